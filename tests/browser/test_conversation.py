"""Everything around a message, as two people in two windows see it."""

import re

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.browser.conftest import LIVE_MS, Meet, Person, Two, badge, message, settle
from tests.browser.test_pages import PHONE, overflow
from tests.conftest import StartServer

pytestmark = pytest.mark.browser


def send(person: Person, channel_id: int, body: str, **more: object) -> int:
    """The id of a message that a test needs but does not prove."""
    sent = person.call("message.send", channel_id=channel_id, body=body, **more)["message"]
    return int(sent["id"])


def seen(page: Page, text: str) -> Locator:
    """The one message with this text; replies among the others say what they are replies to."""
    found = page.locator("#timeline > .message:not(.pending, .reply)").filter(has_text=text)
    expect(found).to_have_count(1, timeout=LIVE_MS)
    return found


def reaction(page: Page, text: str, emoji: str) -> Locator:
    return seen(page, text).locator(f'.reaction[data-emoji="{emoji}"]')


def menu_item(page: Page, text: str, name: str) -> None:
    seen(page, text).hover()
    message(page, text).get_by_role("button", name="More").click()
    page.get_by_role("menuitem", name=name).click()


def look_away(page: Page) -> None:
    """The window is in the background until `look_back`."""
    page.evaluate("() => { document.hasFocus = () => false; dispatchEvent(new Event('blur')); }")


def look_back(page: Page) -> None:
    page.evaluate("() => { delete document.hasFocus; dispatchEvent(new Event('focus')); }")


def test_a_reaction_is_searched_for_seen_live_counted_and_taken_back(two: Two) -> None:
    ada, bob = two.ada.page, two.bob.page
    two.bob.write("It works")
    seen(ada, "It works").focus()
    ada.keyboard.press("+")
    ada.keyboard.type("party popper")
    expect(ada.locator("#emoji-grid button").first).to_have_attribute("data-emoji", "🎉")
    ada.keyboard.press("Enter")
    for page in (ada, bob):
        expect(reaction(page, "It works", "🎉")).to_have_text("🎉1", timeout=LIVE_MS)
    expect(reaction(ada, "It works", "🎉")).to_have_attribute("aria-pressed", "true")
    expect(reaction(bob, "It works", "🎉")).to_have_attribute("aria-label", f"🎉 by {two.ada.username}")
    expect(message(ada, "It works")).to_be_focused()
    reaction(bob, "It works", "🎉").click()
    for page in (ada, bob):
        expect(reaction(page, "It works", "🎉")).to_have_text("🎉2", timeout=LIVE_MS)
    reaction(ada, "It works", "🎉").press("Enter")
    for page in (ada, bob):
        expect(reaction(page, "It works", "🎉")).to_have_text("🎉1", timeout=LIVE_MS)


def test_the_grid_of_emoji_is_walked_with_the_arrows_and_a_skin_tone_is_kept(two: Two) -> None:
    page = two.ada.page
    two.ada.write("Hello")
    seen(page, "Hello").focus()
    page.keyboard.press("+")
    page.get_by_role("button", name="Medium skin tone").click()
    page.locator("#emoji-search").fill("waving")
    expect(page.locator("#emoji-grid button").first).to_have_attribute("data-emoji", "👋🏽")
    page.locator("#emoji-search").fill("heart")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    second = page.locator("#emoji-grid button").nth(1)
    expect(second).to_be_focused()
    wanted = second.get_attribute("data-emoji")
    page.keyboard.press("Enter")
    expect(page.locator("#emoji-picker")).to_be_hidden()
    expect(reaction(page, "Hello", str(wanted))).to_be_visible(timeout=LIVE_MS)


def test_a_thread_is_opened_with_a_key_answered_and_seen_by_the_other(two: Two) -> None:
    ada, bob = two.ada.page, two.bob.page
    two.ada.write("Who has the key?")
    seen(bob, "Who has the key?").focus()
    bob.keyboard.press("r")
    panel = bob.get_by_role("complementary", name="Thread")
    expect(panel.locator(".message")).to_contain_text("Who has the key?")
    field = bob.get_by_role("textbox", name="Reply", exact=True)
    expect(field).to_be_focused()
    bob.keyboard.type("I do")
    bob.keyboard.press("Enter")
    expect(panel.locator(".message").filter(has_text="I do")).to_have_count(1, timeout=LIVE_MS)
    look_away(ada)
    expect(ada.locator(".message.reply")).to_contain_text("I do", timeout=LIVE_MS)
    summary = seen(ada, "Who has the key?").locator(".thread-summary")
    expect(summary).to_have_text(re.compile("1 reply"), timeout=LIVE_MS)
    send(two.bob, two.place.general, "in my bag", thread_root_id=thread_of(ada))
    expect(summary).to_have_text(re.compile("2 replies.*2 new"), timeout=LIVE_MS)
    expect(ada.locator("#threads-badge")).to_have_text("1")
    look_back(ada)
    summary.click()
    theirs = ada.get_by_role("complementary", name="Thread")
    expect(theirs.locator(".message").filter(has_text="in my bag")).to_be_visible()
    expect(summary).to_have_text("2 replies", timeout=LIVE_MS)
    expect(ada.locator("#threads-badge")).to_be_hidden()
    theirs.get_by_role("button", name="Following").click()
    expect(theirs.get_by_role("button", name="Follow", exact=True)).to_be_visible(timeout=LIVE_MS)
    ada.keyboard.press("Escape")
    theirs.get_by_role("button", name="Close the thread").click()
    expect(theirs).to_be_hidden()


def thread_of(page: Page) -> int:
    href = page.locator(".thread-summary").get_attribute("href")
    assert href
    return int(href.split("/")[-1])


def test_a_pin_is_seen_live_and_leads_to_its_message(two: Two) -> None:
    ada, bob = two.ada.page, two.bob.page
    send(two.bob, two.place.general, "The address is 5 Pine Lane")
    for number in range(70):
        send(two.bob, two.place.general, f"line {number}.")
    ada.get_by_role("button", name="Pinned messages").click()
    panel = ada.get_by_role("complementary", name="Pinned messages")
    expect(panel).to_contain_text("Nothing is pinned here yet")
    bob.keyboard.press("F6")
    bob.locator("#scroller").evaluate("scroller => scroller.scrollTop = 0")
    menu_item(bob, "The address is 5 Pine Lane", "Pin to this channel")
    expect(panel.get_by_role("listitem")).to_contain_text("5 Pine Lane", timeout=LIVE_MS)
    fresh = two.ada.look_at(two.place.general)
    fresh.get_by_role("button", name="Pinned messages").click()
    assert message(fresh, "5 Pine Lane").count() == 0
    fresh.get_by_role("button", name="Go to the message").click()
    expect(message(fresh, "5 Pine Lane")).to_be_in_viewport()
    expect(message(fresh, "5 Pine Lane")).to_contain_text("Pinned")
    fresh.get_by_role("button", name="Unpin").click()
    expect(panel).to_contain_text("Nothing is pinned here yet", timeout=LIVE_MS)
    expect(message(bob, "5 Pine Lane")).not_to_contain_text("Pinned", timeout=LIVE_MS)


def test_edited_and_deleted_messages_say_so_and_the_author_sees_what_was_there(two: Two) -> None:
    ada, bob = two.ada.page, two.bob.page
    two.ada.write("tomorow at nine")
    seen(ada, "tomorow").focus()
    ada.keyboard.press("e")
    ada.get_by_role("textbox", name="Edit message").fill("tomorrow at nine")
    ada.keyboard.press("Enter")
    expect(seen(bob, "tomorrow at nine").locator(".message-mark")).to_have_text("edited", timeout=LIVE_MS)
    assert message(bob, "tomorrow at nine").get_by_role("button", name="edited").count() == 0
    message(ada, "tomorrow").get_by_role("button", name="edited").click()
    versions = ada.get_by_role("dialog", name="Earlier versions")
    expect(versions.get_by_role("listitem")).to_have_count(2)
    expect(versions).to_contain_text("tomorow at nine")
    ada.keyboard.press("Escape")
    message(ada, "tomorrow").focus()
    ada.keyboard.press("Delete")
    ada.get_by_role("button", name="Delete", exact=True).click()
    for page in (ada, bob):
        expect(page.locator(".tombstone")).to_contain_text("This message was deleted.", timeout=LIVE_MS)
        expect(message(page, "tomorrow")).to_have_count(0)


def test_a_name_is_completed_with_the_keyboard_and_marks_the_message_for_who_is_named(two: Two) -> None:
    ada, bob = two.ada.page, two.bob.page
    two.bob.look_at(two.place.quiet)
    field = ada.locator("#composer-body")
    field.focus()
    ada.keyboard.type(f"Ask @{two.bob.username[:3]}")
    expect(ada.get_by_role("option", selected=True)).to_contain_text(f"@{two.bob.username}")
    expect(field).to_have_attribute("aria-expanded", "true")
    ada.keyboard.press("Escape")
    expect(ada.get_by_role("listbox")).to_be_hidden()
    ada.keyboard.type(two.bob.username[3])
    expect(ada.get_by_role("listbox")).to_be_hidden()
    field.fill("")
    ada.keyboard.type(f"Ask @{two.bob.username[:3]}")
    ada.keyboard.press("Tab")
    expect(field).to_have_value(f"Ask @{two.bob.username} ")
    ada.keyboard.type("tomorrow")
    ada.keyboard.press("Enter")
    mentions = bob.locator(".channel-link").filter(has_text="general").locator(".mention-badge")
    expect(mentions).to_have_text("@1", timeout=LIVE_MS)
    bob.get_by_role("link", name="general").click()
    expect(seen(bob, "tomorrow").locator(".mention.is-me")).to_have_text(f"@{two.bob.username}")
    expect(message(bob, "tomorrow")).to_have_class(re.compile("names-me"))
    expect(mentions).to_be_hidden(timeout=LIVE_MS)
    expect(message(ada, "tomorrow")).not_to_have_class(re.compile("names-me"))


def test_a_muted_channel_counts_only_mentions(two: Two) -> None:
    page = two.ada.page
    two.ada.call("channel.mute", channel_id=two.place.quiet, muted=True)
    link = page.locator(".channel-link").filter(has_text="quiet")
    expect(link).to_have_class(re.compile("muted"), timeout=LIVE_MS)
    send(two.bob, two.place.quiet, "nothing of interest")
    send(two.bob, two.place.quiet, f"@{two.ada.username} but this is")
    expect(link.locator(".mention-badge")).to_have_text("@1", timeout=LIVE_MS)
    expect(badge(page, "quiet")).to_be_hidden()


def test_marking_unread_stays_until_the_channel_is_opened_again_in_every_tab(two: Two) -> None:
    page = two.ada.page
    for text in ("one", "two", "three"):
        send(two.bob, two.place.general, f"number {text}")
    seen(page, "number three")
    expect(badge(page, "general")).to_be_hidden(timeout=LIVE_MS)
    second = two.ada.look_at(two.place.general, two.ada.tab())
    expect(message(second, "number three")).to_be_visible()
    message(page, "number two").focus()
    page.keyboard.press("u")
    for tab in (page, second):
        expect(badge(tab, "general")).to_have_text("2", timeout=LIVE_MS)
        line = tab.locator(".timeline > .new-line + .message")
        expect(line).to_contain_text("number two")
    send(two.bob, two.place.general, "number four")
    for tab in (page, second):
        expect(badge(tab, "general")).to_have_text("3", timeout=LIVE_MS)
    page.get_by_role("link", name="quiet").click()
    expect(page.get_by_role("heading", name="Welcome to #quiet")).to_be_visible()
    page.get_by_role("link", name="general").click()
    for tab in (page, second):
        expect(badge(tab, "general")).to_be_hidden(timeout=LIVE_MS)


def test_an_address_leads_to_an_old_message_and_on_to_the_newest(two: Two) -> None:
    page = two.ada.page
    ids = [send(two.bob, two.place.quiet, f"line {number}.") for number in range(130)]
    page.goto(f"{two.ada.server.url}/c/{two.place.quiet}/{ids[20]}")
    target = page.locator(f"#message-{ids[20]}")
    expect(target).to_be_in_viewport()
    expect(target).to_be_focused()
    expect(target).to_have_class(re.compile("highlighted"))
    expect(page.get_by_role("heading", name="#quiet", exact=True)).to_be_visible()
    assert message(page, "line 129.").count() == 0
    expect(badge(page, "quiet")).to_have_text("99+")
    page.get_by_role("button", name="Newest messages").click()
    expect(message(page, "line 129.")).to_be_in_viewport()
    expect(badge(page, "quiet")).to_be_hidden(timeout=LIVE_MS)
    page.goto(f"{two.ada.server.url}/#/channels/{two.place.quiet}/{ids[-1] + 5_000}")
    expect(page.locator("#notice")).to_have_text("This message is not there any more.", timeout=LIVE_MS)


def test_a_link_is_copied_and_a_quote_begins_an_answer(two: Two) -> None:
    page = two.ada.page
    two.ada.context.grant_permissions(["clipboard-read", "clipboard-write"])
    said = send(two.bob, two.place.general, "first\n\nsecond")
    seen(page, "second").focus()
    page.keyboard.press("c")
    expect(page.locator("#notice")).to_have_text("Link copied")
    address = f"{two.ada.server.url}/c/{two.place.general}/{said}"
    assert page.evaluate("navigator.clipboard.readText()") == address
    message(page, "second").focus()
    page.keyboard.press("q")
    field = page.locator("#composer-body")
    expect(field).to_be_focused()
    expect(field).to_have_value(re.compile(rf"^> first\n>\n> second\n> — \[{two.bob.username}\]\({address}\)\n\n$"))
    page.keyboard.type("Agreed.")
    page.keyboard.press("Enter")
    quoted = seen(two.bob.page, "Agreed.")
    expect(quoted.locator("blockquote")).to_contain_text("first")
    quoted.get_by_role("link", name=two.bob.username).click()
    expect(two.bob.page.locator(f"#message-{said}")).to_be_focused(timeout=LIVE_MS)


def test_what_is_written_without_a_connection_outlives_a_reload_and_arrives_once_in_order(
    meet: Meet, start_server: StartServer
) -> None:
    server = start_server(demo=False)
    two = settle(meet("ada", at=server), meet("bob", at=server))
    page = two.ada.page
    page.locator("#composer-body").fill("half a thou")
    cut_off(page)
    page.route("**/api/message.send", lambda route: route.abort())
    expect(page.locator("#composer-body")).to_have_value("half a thou")
    two.ada.write("written in a tunnel")
    two.ada.write("and this too")
    expect(page.locator(".message.pending")).to_have_count(2)
    page.reload()
    expect(page.locator(".message.pending")).to_have_count(2, timeout=20_000)
    expect(page.locator(".message.pending").first).to_contain_text("written in a tunnel")
    page.unroute("**/api/message.send")
    expect(message(two.bob.page, "and this too")).to_have_count(1, timeout=40_000)
    expect(page.locator(".message.pending")).to_have_count(0, timeout=LIVE_MS)
    for tab in (page, two.bob.page):
        assert texts(tab) == ["written in a tunnel", "and this too"]


def cut_off(page: Page) -> None:
    """From now on it has no socket, so that calls go over HTTP, where a test can answer them."""
    page.route_web_socket("**/ws/**", lambda socket: socket.close(code=1012))
    page.reload()
    page.locator("#composer-body:enabled").wait_for()


def texts(page: Page) -> list[str]:
    return [text.strip() for text in page.locator(".message-text").all_inner_texts()]


def test_a_refused_message_says_why_and_can_be_discarded(two: Two) -> None:
    page = two.ada.page
    cut_off(page)
    refusal = {"code": "silenced", "detail": "You may write again at nine.", "status": 403}
    page.route("**/api/message.send", lambda route: route.fulfill(status=403, json=refusal))
    two.ada.write("let me speak")
    trouble = page.locator(".message.pending.failed")
    expect(trouble).to_contain_text("You may write again at nine.", timeout=LIVE_MS)
    trouble.get_by_role("button", name="Discard").click()
    expect(trouble).to_have_count(0)
    page.reload()
    expect(page.locator("#composer-body:enabled")).to_be_visible()
    expect(page.locator(".message.pending")).to_have_count(0)


def test_who_may_only_read_is_told_until_when_and_writes_again_afterwards(two: Two) -> None:
    two.ada.write("calm down")
    page = two.bob.page
    field, note = page.locator("#composer-body"), page.locator("#composer .composer-note")
    seen(page, "calm down")
    field.fill("but I")
    place = {"workspace_id": two.place.workspace_id, "user_id": two.bob.call("user.me")["user"]["id"], "reason": "calm"}
    two.ada.call("workspace.silence_member", **place, minutes=30)
    expect(note).to_contain_text("You may only read here until", timeout=LIVE_MS)
    expect(field).to_be_disabled()
    expect(page.locator("#composer .send")).to_be_disabled()
    seen(page, "calm down").hover()
    expect(seen(page, "calm down").get_by_role("button", name="React")).to_have_count(0)
    page.reload()
    expect(note).to_be_visible()
    two.ada.call("workspace.unsilence_member", **place)
    expect(note).to_be_hidden(timeout=LIVE_MS)
    expect(field).to_have_value("but I")
    expect(field).to_be_enabled()
    field.press("Enter")
    seen(two.ada.page, "but I")


def test_an_edit_completes_names_and_asks_before_it_tells_many(meet: Meet, start_server: StartServer) -> None:
    server = start_server(demo=False, GROUP_MENTION_CONFIRM=1)
    two = settle(meet("ada", at=server), meet("bob", at=server))
    page = two.ada.page
    two.ada.write("lunch")
    seen(page, "lunch").focus()
    page.keyboard.press("e")
    field = page.get_by_label("Edit message")
    late: list[Route] = []

    def keep(route: Route) -> None:
        late.append(route)

    page.route("**/api/channel.members", keep)
    with page.expect_request("**/api/channel.members"):
        page.keyboard.type(f" @{two.bob.username[:3]}")
    expect(page.get_by_role("listbox")).to_be_hidden()
    late.pop().continue_()
    expect(page.get_by_role("option", selected=True)).to_contain_text(f"@{two.bob.username}")
    page.keyboard.press("Escape")
    expect(page.get_by_role("listbox")).to_be_hidden()
    field.fill("")
    page.keyboard.type("lunch @cha")
    page.keyboard.press("Tab")
    expect(field).to_have_value("lunch @channel ")
    page.keyboard.press("Enter")
    sure = page.get_by_role("dialog", name="Tell so many people?")
    sure.get_by_role("button", name="Cancel").click()
    expect(field).to_be_focused()
    page.keyboard.press("Enter")
    sure.get_by_role("button", name="Send it").click()
    expect(field).to_have_count(0)
    expect(seen(two.bob.page, "lunch").locator(".mention-group")).to_have_text("@channel", timeout=LIVE_MS)


def test_naming_everybody_in_a_large_channel_asks_first(meet: Meet, start_server: StartServer) -> None:
    server = start_server(demo=False, GROUP_MENTION_CONFIRM=1)
    two = settle(meet("ada", at=server), meet("bob", at=server))
    page = two.ada.page
    two.ada.write("@channel lunch")
    sure = page.get_by_role("dialog", name="Tell so many people?")
    sure.get_by_role("button", name="Cancel").click()
    expect(page.locator(".message.failed")).to_contain_text("lunch")
    page.get_by_role("button", name="Try again").click()
    sure.get_by_role("button", name="Send it").click()
    expect(seen(two.bob.page, "lunch").locator(".mention-group")).to_have_text("@channel")
    assert message(page, "lunch").count() == 1


def test_an_archived_channel_can_be_read_and_says_why_not_written_in(two: Two) -> None:
    page = two.bob.page
    two.ada.write("the last word")
    seen(page, "the last word")
    two.ada.call("channel.archive", channel_id=two.place.general)
    expect(page.locator("#composer .composer-note")).to_contain_text("This channel is archived", timeout=LIVE_MS)
    expect(page.locator("#composer-body")).to_be_disabled()
    message(page, "the last word").focus()
    page.keyboard.press("m")
    expect(page.get_by_role("menuitem", name="Copy link")).to_be_visible()
    expect(page.get_by_role("menuitem", name="Add a reaction")).to_have_count(0)


def test_a_new_name_is_seen_wherever_it_stands(two: Two) -> None:
    page = two.bob.page
    two.ada.write("who am I")
    seen(page, "who am I")
    two.ada.call("user.update", display_name="Countess Lovelace")
    expect(message(page, "who am I").locator(".message-author")).to_have_text("Countess Lovelace", timeout=LIVE_MS)


def test_hostile_text_stays_in_its_own_box(two: Two) -> None:
    page = two.bob.page
    two.ada.write("\u202eevil\u202c " + "Z" + "\u0300\u0315\u031b" * 300 + "\n\n" + "שלום עולם")
    shown = seen(page, "evil").locator(".message-text")
    box = shown.bounding_box()
    assert box
    assert box["height"] < 200
    assert shown.evaluate("node => getComputedStyle(node).overflowY") == "hidden"
    assert shown.evaluate("node => getComputedStyle(node).unicodeBidi") == "isolate"
    assert overflow(page) == 0


def test_keys_are_listed_and_do_nothing_while_one_writes(two: Two) -> None:
    page = two.ada.page
    page.locator("#composer-body").press_sequentially("e r p u ? +")
    expect(page.locator("#composer-body")).to_have_value("e r p u ? +")
    two.ada.write("hello")
    seen(page, "hello").focus()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_contain_text("Reply in thread")
    page.keyboard.press("Escape")
    message(page, "hello").focus()
    page.keyboard.press("Escape")
    expect(page.locator("#composer-body")).to_be_focused()


def test_a_thread_and_a_menu_fit_a_phone(meet: Meet) -> None:
    two = settle(meet("ada", **PHONE), meet("bob"))
    page = two.ada.page
    root = send(two.bob, two.place.general, "Where shall we meet? " * 8)
    send(two.bob, two.place.general, "At the station, " + "w" * 120, thread_root_id=root)
    expect(page.locator(".message.reply")).to_be_visible(timeout=LIVE_MS)
    assert overflow(page) == 0
    seen(page, "Where shall we meet?").tap()
    seen(page, "Where shall we meet?").get_by_role("button", name="More").tap()
    expect(page.get_by_role("menuitem", name="Mark unread from here")).to_be_in_viewport()
    assert overflow(page) == 0
    page.keyboard.press("Escape")
    page.locator(".thread-summary").tap()
    panel = page.get_by_role("complementary", name="Thread")
    expect(panel.get_by_role("textbox", name="Reply", exact=True)).to_be_in_viewport()
    assert overflow(page) == 0
    page.go_back()
    expect(panel).to_be_hidden()
