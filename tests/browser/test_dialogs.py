"""What people do beside the conversation, in dialogs, as two of them in two windows see it."""

import io
import re
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import LIVE_MS, Meet, Person, Two, badge, message
from tests.browser.test_pages import PHONE, overflow

pytestmark = pytest.mark.browser

RECORD_NOTIFICATIONS = """
window.Notification = class extends EventTarget {
  static permission = "default";
  static async requestPermission() { return (Notification.permission = "granted"); }
  constructor(title, { body }) {
    super();
    document.body.dataset.told = `${document.body.dataset.told ?? ""}${title}: ${body}.`;
  }
  close() {}
};
"""


def dialog(page: Page, name: str | re.Pattern[str]) -> Locator:
    return page.get_by_role("dialog", name=name)


def about_channel(page: Page, tab: str = "About") -> Locator:
    page.locator("#channel-name").click()
    page.locator("#channel-details").get_by_role("tab", name=tab).click()
    return page.locator("#channel-details")


def about_workspace(page: Page, tab: str) -> Locator:
    page.get_by_role("button", name="Workspace menu").click()
    page.get_by_role("button", name="About this workspace").click()
    page.locator("#workspace-details").get_by_role("tab", name=tab).click()
    return page.locator("#workspace-details")


def listed(place: Locator, person: Person) -> Locator:
    return place.get_by_role("listitem").filter(has_text=f"@{person.username}")


def channel_link(page: Page, name: str) -> Locator:
    return page.locator(".channel-link").filter(has_text=name)


def profile(page: Page) -> Locator:
    page.get_by_role("button", name="Account and settings").click()
    page.get_by_role("button", name="Your profile").click()
    return dialog(page, "Your profile")


def id_of(person: Person) -> int:
    return int(person.call("user.me")["user"]["id"])


def test_a_new_name_and_topic_are_seen_by_the_other_and_not_offered_to_them(two: Two) -> None:
    theirs = about_channel(two.bob.page)
    expect(theirs.get_by_label("Name", exact=True)).to_be_hidden()
    expect(theirs.get_by_role("button", name="Archive this channel")).to_be_hidden()
    expect(theirs.get_by_role("button", name="Make private")).to_be_hidden()
    own = about_channel(two.ada.page)
    own.get_by_label("Name", exact=True).fill("kitchen")
    own.get_by_label("What it is about").fill("Who cooks")
    own.get_by_role("button", name="Save").click()
    expect(own.get_by_text("Saved")).to_be_visible()
    expect(theirs.get_by_role("heading", name="#kitchen")).to_be_visible(timeout=LIVE_MS)
    expect(theirs.get_by_text("Who cooks")).to_be_visible()
    expect(channel_link(two.bob.page, "kitchen")).to_be_visible()


def test_a_name_that_is_taken_is_refused_in_place_and_a_change_elsewhere_keeps_what_one_writes(two: Two) -> None:
    own = about_channel(two.ada.page)
    own.get_by_label("Name", exact=True).fill("QUIET")
    two.ada.call("channel.update", channel_id=two.place.general, name="salon", topic="meanwhile")
    expect(own.get_by_label("What it is about")).to_have_value("meanwhile", timeout=LIVE_MS)
    expect(own.get_by_role("heading", name="#salon")).to_be_visible()
    expect(own.get_by_label("Name", exact=True)).to_have_value("QUIET")
    own.get_by_role("button", name="Save").click()
    expect(own.get_by_role("alert").first).to_be_visible()
    expect(own.get_by_text("Saved")).to_have_count(0)


def test_who_is_added_to_a_private_channel_sees_it_and_who_is_removed_sees_it_no_more(two: Two) -> None:
    ada, bob = two.ada.page, two.bob.page
    ada.get_by_role("button", name="Create a channel").click()
    ada.get_by_role("textbox", name="Name", exact=True).fill("surprise")
    ada.get_by_role("radio", name="Private").check()
    ada.get_by_role("button", name="Create channel").click()
    expect(ada.get_by_role("heading", name="Welcome to #surprise")).to_be_visible()
    details = about_channel(ada, "Members")
    details.get_by_role("button", name="Add").click()
    ada.get_by_role("combobox", name="People to add").fill(two.bob.username)
    adding = dialog(ada, "Add people to #surprise")
    expect(adding.get_by_role("option")).to_have_count(1)
    ada.keyboard.press("Enter")
    expect(adding.locator(".chip")).to_contain_text(two.bob.username)
    ada.keyboard.press("Enter")
    expect(adding).to_be_hidden()
    expect(listed(details, two.bob)).to_be_visible()
    ada.keyboard.press("Escape")
    two.ada.write("the cake is at noon")

    channel_link(bob, "surprise").click(timeout=LIVE_MS)
    expect(message(bob, "the cake is at noon")).to_be_visible(timeout=LIVE_MS)
    theirs = about_channel(bob, "Members")
    expect(theirs.get_by_role("button", name=re.compile("^Remove"))).to_have_count(0)
    listed(about_channel(ada, "Members"), two.bob).get_by_role("button", name=re.compile("^Remove")).click()
    ada.locator("#confirm-yes").click()

    expect(theirs).to_be_hidden(timeout=LIVE_MS)
    expect(channel_link(bob, "surprise")).to_have_count(0)
    expect(bob.get_by_text("the cake is at noon")).to_have_count(0)
    expect(bob.locator("#channel-name")).to_have_text("general")
    expect(listed(details, two.bob)).to_have_count(0)


def test_a_channel_is_made_private_only_after_a_warning(two: Two) -> None:
    own = about_channel(two.ada.page)
    own.get_by_role("button", name="Make private").click()
    expect(two.ada.page.get_by_text("It cannot be made public again.")).to_be_visible()
    two.ada.page.locator("#confirm-yes").click()
    expect(own.get_by_role("button", name="Make private")).to_be_hidden()
    expect(own.get_by_text("Only people who are added can see it.")).to_be_visible()
    expect(channel_link(two.bob.page, "general").locator("use")).to_have_attribute("href", re.compile("#lock$"))


def test_an_archived_channel_leaves_the_lists_is_read_through_browsing_and_comes_back(two: Two) -> None:
    ada, bob = two.ada.page, two.bob.page
    bob.get_by_role("link", name="quiet").click()
    about_channel(ada).get_by_role("button", name="Archive this channel").click()
    ada.locator("#confirm-yes").click()
    expect(channel_link(bob, "general")).to_have_count(0, timeout=LIVE_MS)
    bob.get_by_role("button", name="Browse channels").click()
    bob.locator("#browse-archived").get_by_role("button", name="Open").click()
    expect(bob.locator("#channel-name")).to_have_text("general")
    expect(bob.get_by_text("This channel is archived.")).to_be_visible()
    ada.get_by_role("button", name="Bring it back").click()
    expect(channel_link(bob, "general")).to_be_visible(timeout=LIVE_MS)


def test_an_invite_that_somebody_uses_is_counted_and_they_are_in_the_list_of_members_at_once(meet: Meet) -> None:
    ada, bob = meet("ada"), meet("bob")
    workspace_id = ada.call("workspace.create", name="Studio")["workspace"]["id"]
    channel = ada.call("channel.create", workspace_id=workspace_id, kind="public", name="general")["channel"]
    ada.look_at(channel["id"])
    details = about_workspace(ada.page, "Invites")
    details.get_by_label("They come as").select_option("guest")
    details.get_by_label("How many people").select_option("1 person")
    details.get_by_role("button", name="Make a link").click()
    expect(details.locator("#invites-list")).to_contain_text("0 of 1 used")
    link = details.locator("#invite-url").input_value()
    details.get_by_role("tab", name="Members").click()

    bob.page.goto(link)
    bob.page.get_by_role("button", name="Join").click()
    expect(listed(details, bob)).to_contain_text("Guest", timeout=LIVE_MS)
    expect(bob.page.get_by_text("Somebody has to add you to a channel.")).to_be_visible()
    expect(bob.page.get_by_role("button", name="Browse channels")).to_have_count(0)
    details.get_by_role("tab", name="Invites").click()
    expect(details.locator("#invites-list")).to_contain_text("None.")


def test_an_invite_is_revoked(two: Two) -> None:
    details = about_workspace(two.ada.page, "Invites")
    details.get_by_role("button", name="Make a link").click()
    expect(details.locator("#invites-list li")).to_have_count(2)
    link = details.locator("#invite-url").input_value()
    details.locator("#invites-list li").first.get_by_role("button", name=re.compile("^Revoke")).click()
    expect(details.locator("#invites-list li")).to_have_count(1)
    answer = two.bob.page.goto(link)
    assert answer is not None
    assert answer.status == 404


def test_a_new_role_changes_what_the_other_is_offered_at_once(two: Two) -> None:
    ada, bob = two.ada.page, two.bob.page
    bob.get_by_role("button", name="Workspace menu").click()
    expect(bob.get_by_role("button", name="Invite people")).to_be_hidden()
    bob.keyboard.press("Escape")
    details = about_workspace(ada, "Members")
    listed(details, two.bob).get_by_label(re.compile("^Role of")).select_option("admin")
    their = about_workspace(bob, "About")
    expect(their.get_by_text("Admin", exact=True)).to_be_visible(timeout=LIVE_MS)
    expect(their.get_by_role("tab", name="Invites")).to_be_visible()
    their.get_by_label("Name", exact=True).fill("Atelier")
    their.get_by_role("button", name="Save").click()
    expect(details.get_by_role("heading", name="Atelier")).to_be_visible(timeout=LIVE_MS)
    listed(details, two.bob).get_by_label(re.compile("^Role of")).select_option("member")
    expect(their.get_by_role("tab", name="Invites")).to_be_hidden(timeout=LIVE_MS)
    expect(their.get_by_label("Name", exact=True)).to_be_hidden()


def test_the_last_owner_is_told_why_they_cannot_go(two: Two) -> None:
    details = about_workspace(two.ada.page, "About")
    details.get_by_role("button", name="Leave this workspace").click()
    two.ada.page.locator("#confirm-yes").click()
    expect(two.ada.page.locator("#confirm-dialog").get_by_role("alert")).to_contain_text("owner")
    two.ada.page.keyboard.press("Escape")
    details.get_by_role("tab", name="Members").click()
    own = listed(details, two.ada)
    own.get_by_label(re.compile("^Role of")).select_option("member")
    expect(own.get_by_role("alert")).to_contain_text("owner")
    expect(own.get_by_label(re.compile("^Role of"))).to_have_value("owner")


def test_who_is_removed_from_a_workspace_loses_it_at_once(two: Two) -> None:
    details = about_workspace(two.ada.page, "Members")
    listed(details, two.bob).get_by_role("button", name=re.compile("^Remove")).click()
    two.ada.page.locator("#confirm-yes").click()
    expect(two.bob.page.get_by_role("heading", name="A place for your people")).to_be_visible(timeout=LIVE_MS)
    expect(listed(details, two.bob)).to_have_count(0)


def test_who_may_only_read_is_marked_and_let_write_again(two: Two) -> None:
    ada, bob = two.ada.page, two.bob.page
    row = listed(about_workspace(ada, "Members"), two.bob)
    row.get_by_role("button", name=re.compile("only read")).click()
    ada.get_by_label("Why").fill("Too loud")
    ada.get_by_role("button", name="Let them only read").click()
    expect(row).to_contain_text("Only reads")
    expect(about_workspace(bob, "About")).to_contain_text("You can only read", timeout=LIVE_MS)
    row.get_by_role("button", name=re.compile("write again")).click()
    expect(row).not_to_contain_text("Only reads")
    expect(bob.locator("#workspace-details")).not_to_contain_text("You can only read", timeout=LIVE_MS)


def test_a_muted_channel_shows_no_number_but_who_names_me_and_the_tab_counts_that(two: Two) -> None:
    bob = two.bob.page
    details = about_channel(bob, "Notifications")
    details.get_by_label("Mute").check()
    expect(channel_link(bob, "general")).to_have_class(re.compile("muted"))
    bob.keyboard.press("Escape")
    bob.get_by_role("link", name="quiet").click()
    two.ada.write("nothing important")
    two.ada.write(f"@{two.bob.username} but this is")
    expect(channel_link(bob, "general").locator(".mention-badge")).to_have_text("@1", timeout=LIVE_MS)
    expect(badge(bob, "general")).to_be_hidden()
    expect(bob).to_have_title(re.compile(r"^\(1\) "))
    bob.reload()
    expect(channel_link(bob, "general")).to_have_class(re.compile("muted"))


def test_the_switcher_finds_by_words_in_any_order_and_goes_by_the_keyboard(two: Two) -> None:
    page = two.ada.page
    two.ada.call("channel.create", workspace_id=two.place.workspace_id, kind="public", name="autumn fair plans")
    expect(channel_link(page, "autumn fair plans")).to_be_visible(timeout=LIVE_MS)
    page.locator("#composer-body").focus()
    page.keyboard.press("Control+k")
    field = page.get_by_role("combobox", name="Go to a channel or a person")
    expect(field).to_be_focused()
    page.keyboard.type("pla aut")
    expect(page.locator("#switcher-list").get_by_role("option")).to_have_count(1)
    page.keyboard.press("Enter")
    expect(page.locator("#channel-name")).to_have_text("autumn fair plans")
    page.keyboard.press("Control+k")
    page.keyboard.press("ArrowDown")
    second = page.locator("#switcher-list").get_by_role("option").nth(1)
    expect(second).to_have_attribute("aria-selected", "true")
    expect(field).to_have_attribute("aria-activedescendant", str(second.get_attribute("id")))
    page.keyboard.press("Escape")
    expect(field).to_be_hidden()
    page.keyboard.press("Control+k")
    page.keyboard.type(two.bob.username)
    option = page.locator("#switcher-list").get_by_role("option")
    expect(option).to_contain_text(two.bob.username)
    page.keyboard.press("Enter")
    expect(page.locator("#channel-name")).to_have_text(two.bob.username)
    two.ada.write("only for you")
    expect(badge(two.bob.page, two.ada.username)).to_have_text("1", timeout=LIVE_MS)


def test_the_switcher_puts_what_is_unread_first(two: Two) -> None:
    page = two.ada.page
    two.bob.call("message.send", channel_id=two.place.quiet, body="psst")
    expect(badge(page, "quiet")).to_have_text("1", timeout=LIVE_MS)
    page.keyboard.press("Control+k")
    first = page.locator("#switcher-list").get_by_role("option").first
    expect(first).to_contain_text("quiet")
    expect(first.locator(".badge")).to_have_text("1")


def test_a_direct_message_to_chosen_people_is_in_their_list_before_anything_is_written(two: Two) -> None:
    page = two.ada.page
    page.get_by_role("button", name="New direct message").click()
    page.get_by_role("combobox", name="To whom").fill(two.bob.username)
    expect(dialog(page, "New direct message").get_by_role("option")).to_have_count(1)
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    expect(page.locator("#channel-name")).to_have_text(two.bob.username)
    expect(two.bob.page.locator("#directs .channel-link")).to_contain_text(two.ada.username, timeout=LIVE_MS)


def test_notes_to_oneself_are_opened_from_the_own_card(two: Two) -> None:
    page = two.ada.page
    profile(page).get_by_role("button", name="What others see").click()
    page.get_by_role("button", name="Notes to yourself").click()
    expect(page.locator("#channel-name")).to_have_text(f"{two.ada.username} (you)")
    two.ada.write("buy clay")
    expect(message(page, "buy clay")).to_be_visible()


def test_a_name_and_a_picture_of_the_profile_are_seen_by_the_other(two: Two) -> None:
    ada, bob = two.ada.page, two.bob.page
    two.ada.write("who am I")
    expect(message(bob, "who am I")).to_be_visible(timeout=LIVE_MS)
    own = profile(ada)
    own.get_by_label("Name that others see").fill("Ada Lovelace")
    own.get_by_label("Time zone").select_option("Asia/Tokyo")
    own.get_by_role("button", name="Save").click()
    expect(message(bob, "who am I").locator(".message-author")).to_have_text("Ada Lovelace", timeout=LIVE_MS)
    picture = io.BytesIO()
    Image.new("RGB", (900, 500), "#f0875a").save(picture, "PNG")
    own.locator("#picture-file").set_input_files(
        {"name": "me.png", "mimeType": "image/png", "buffer": picture.getvalue()}
    )
    ada.keyboard.press("ArrowRight")
    own.get_by_role("button", name="Use it").click()
    seen = message(bob, "who am I").locator("img.avatar")
    expect(seen).to_be_visible(timeout=LIVE_MS)
    expect(seen).to_have_js_property("naturalWidth", 256)
    bob.locator(".message-author").first.click()
    card = dialog(bob, "Ada Lovelace")
    expect(card).to_contain_text("Their time")
    expect(card).to_contain_text("Owner")
    own.get_by_role("button", name="Remove the picture").click()
    expect(card.locator("img.avatar")).to_have_count(0, timeout=LIVE_MS)


def test_a_file_that_is_no_picture_is_refused_kindly(two: Two) -> None:
    own = profile(two.ada.page)
    own.locator("#picture-file").set_input_files(
        {"name": "me.png", "mimeType": "image/png", "buffer": b"not a picture"}
    )
    expect(own.get_by_role("alert").first).to_contain_text("no picture")


def test_another_language_is_that_of_the_page_at_once(two: Two) -> None:
    own = profile(two.ada.page)
    own.get_by_label("Language").select_option("ja")
    own.get_by_role("button", name="Save").click()
    expect(two.ada.page.locator("html")).to_have_attribute("lang", "ja")


def test_messages_are_notified_of_only_where_it_was_switched_on(two: Two) -> None:
    page = two.ada.page
    page.add_init_script(RECORD_NOTIFICATIONS)
    two.ada.look_at(two.place.quiet)
    two.bob.write("too early")
    expect(badge(page, "general")).to_have_text("1", timeout=LIVE_MS)
    own = profile(page)
    own.get_by_label("Notifications in this browser").check()
    expect(own).to_contain_text("You are told of messages")
    page.keyboard.press("Escape")
    two.ada.call("channel.mute", channel_id=two.place.general, notify="mentions")
    two.bob.write("not for you")
    two.bob.write(f"@{two.ada.username} look")
    told = f"{two.bob.username} in #general: @{two.ada.username} look."
    expect(page.locator("body")).to_have_attribute("data-told", told, timeout=LIVE_MS)


def test_a_list_that_does_not_load_says_so_and_loads_again(two: Two) -> None:
    page = two.ada.page
    page.route("**/api/channel.members", lambda route: route.abort())
    details = about_channel(page, "Members")
    expect(details.get_by_text("The server could not be reached.")).to_be_visible()
    page.unroute("**/api/channel.members")
    details.get_by_role("button", name="Try again").click()
    expect(listed(details, two.bob)).to_be_visible()
    details.get_by_label("Filter by name").fill(two.bob.username)
    expect(details.locator("#members-list li")).to_have_count(1)
    details.get_by_label("Filter by name").fill("nobody at all")
    expect(details.get_by_text("Nobody of this name.")).to_be_visible()


def test_tabs_are_walked_with_the_arrows_and_escape_leads_back(two: Two) -> None:
    page = two.ada.page
    page.locator("#channel-name").press("Enter")
    page.locator("#channel-tab-about").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="Members")).to_be_focused()
    expect(page.get_by_role("tabpanel", name="Members")).to_be_visible()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_role("tab", name="Notifications")).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Escape")
    expect(page.locator("#channel-name")).to_be_focused()


def test_the_dialogs_fit_a_phone(meet: Meet) -> None:
    ada = meet("ada", **PHONE)
    long: dict[str, Any] = {"name": "x" * 60, "topic": "A long topic. " * 12}
    workspace_id = ada.call("workspace.create", name="A workspace with quite a long name")["workspace"]["id"]
    channel = ada.call("channel.create", workspace_id=workspace_id, kind="public", **long)["channel"]
    ada.call("user.update", display_name="W" * 80)
    page = ada.look_at(channel["id"])
    for tab in ("about", "members", "notify"):
        page.locator("#channel-name").click()
        page.locator(f"#channel-tab-{tab}").click()
        expect(page.locator(f"#channel-part-{tab}")).to_be_visible()
        assert overflow(page) == 0
        assert page.locator("#channel-details").evaluate("node => node.scrollWidth - node.clientWidth") <= 0, tab
        page.keyboard.press("Escape")
    page.get_by_role("button", name="Show channels").click()
    for tab in ("about", "members", "invites"):
        page.get_by_role("button", name="Workspace menu").click()
        page.locator("#workspace-settings").click()
        page.locator(f"#workspace-tab-{tab}").click()
        expect(page.locator(f"#workspace-part-{tab}")).to_be_visible()
        assert page.locator("#workspace-details").evaluate("node => node.scrollWidth - node.clientWidth") <= 0, tab
        page.keyboard.press("Escape")
    assert channel_link(page, "x" * 60).evaluate("node => innerWidth - node.getBoundingClientRect().right") > 0
    for opener, name in (("#new-direct", "#direct-dialog"), ("#open-switcher", "#switcher")):
        page.locator(opener).click()
        expect(page.locator(name).get_by_role("option").filter(has_text="W" * 80)).to_be_visible()
        assert page.locator(name).evaluate("node => node.scrollWidth - node.clientWidth") <= 0, name
        page.keyboard.press("Escape")
    assert profile(page).evaluate("node => node.scrollWidth - node.clientWidth") <= 0
