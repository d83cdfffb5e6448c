"""Who is there, and what they say of themselves, on the pages of the others."""

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import LIVE_MS, Meet, Person, Two, message, settle
from tests.browser.test_pages import PHONE, overflow
from tests.conftest import StartServer

pytestmark = pytest.mark.browser


@pytest.fixture
def brief(meet: Meet, start_server: StartServer) -> Two:
    """Two on a server where who closes their page is soon gone, and a message of each."""
    server = start_server(demo=False, LEASE_SECONDS=1, SWEEP_SECONDS=0.2, STATUS_TEXT_PER_MINUTE=1)
    return greet(settle(meet("ada", at=server), meet("bob", at=server)))


def greet(two: Two) -> Two:
    for person in (two.ada, two.bob):
        person.write(f"I am {person.username}")
    for page in (two.ada.page, two.bob.page):
        expect(message(page, "I am")).to_have_count(2, timeout=LIVE_MS)
    return two


def dot(page: Page, person: Person) -> Locator:
    return message(page, f"I am {person.username}").locator(".dot")


def mark(page: Page, person: Person) -> Locator:
    return message(page, f"I am {person.username}").locator(".status-mark")


def open_menu(page: Page) -> None:
    page.get_by_role("button", name="Account and settings").press("Enter")


def open_editor(page: Page) -> Locator:
    open_menu(page)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    editor = page.get_by_role("dialog", name="Your status")
    expect(editor).to_be_visible()
    return editor


def test_a_dot_changes_while_the_other_persons_page_closes_and_opens(brief: Two) -> None:
    page = brief.ada.page
    expect(dot(page, brief.bob)).to_have_text("Online", timeout=LIVE_MS)
    brief.bob.page.close()
    expect(dot(page, brief.bob)).to_have_text("Offline", timeout=LIVE_MS)
    brief.bob.look_at(brief.place.general, brief.bob.tab())
    expect(dot(page, brief.bob)).to_have_text("Online", timeout=LIVE_MS)


def test_the_list_of_members_says_who_is_there_and_follows(brief: Two) -> None:
    page = brief.ada.page
    page.get_by_role("button", name="Members of this channel").click()
    row = page.locator("#members-list li").filter(has_text=f"@{brief.bob.username}")
    expect(row.locator(".dot")).to_have_text("Online", timeout=LIVE_MS)
    brief.bob.page.close()
    expect(row.locator(".dot")).to_have_text("Offline", timeout=LIVE_MS)


def test_in_a_large_workspace_a_page_follows_whom_it_shows(meet: Meet, start_server: StartServer) -> None:
    server = start_server(demo=False, LEASE_SECONDS=1, SWEEP_SECONDS=0.2, PRESENCE_MEMBERS=1)
    two = greet(settle(meet("ada", at=server), meet("bob", at=server)))
    expect(dot(two.ada.page, two.bob)).to_have_text("Online", timeout=LIVE_MS)
    two.bob.page.close()
    expect(dot(two.ada.page, two.bob)).to_have_text("Offline", timeout=LIVE_MS)


def test_who_says_that_they_are_away_stays_it_whatever_they_do_until_they_say_otherwise(brief: Two) -> None:
    page, seen = brief.ada.page, dot(brief.bob.page, brief.ada)
    expect(seen).to_have_text("Online", timeout=LIVE_MS)
    open_menu(page)
    page.get_by_role("button", name="Set yourself away").press("Enter")
    expect(page.get_by_role("button", name="Account and settings")).to_be_focused()
    expect(seen).to_have_text("Away", timeout=LIVE_MS)
    brief.ada.write("only looking something up")
    expect(message(brief.bob.page, "only looking something up")).to_be_visible(timeout=LIVE_MS)
    brief.ada.look_at(brief.place.general)
    brief.ada.write("once more")
    expect(message(brief.bob.page, "once more")).to_be_visible(timeout=LIVE_MS)
    expect(seen).to_have_text("Away")
    open_menu(page)
    page.get_by_role("button", name="Set yourself active").press("Enter")
    expect(seen).to_have_text("Online", timeout=LIVE_MS)


def test_who_does_nothing_is_away_and_with_the_first_move_back(meet: Meet, start_server: StartServer) -> None:
    server = start_server(demo=False, AWAY_SECONDS=5, SWEEP_SECONDS=0.2)
    two = greet(settle(meet("ada", at=server), meet("bob", at=server)))
    seen = dot(two.bob.page, two.ada)
    expect(seen).to_have_text("Away", timeout=15_000)
    two.ada.page.mouse.move(300, 300)
    two.ada.page.mouse.move(310, 310)
    expect(seen).to_have_text("Online", timeout=LIVE_MS)


def test_a_status_is_set_and_cleared_with_the_keyboard_only_and_seen_by_the_other(two: Two) -> None:
    greet(two)
    page, seen = two.ada.page, mark(two.bob.page, two.ada)
    editor = open_editor(page)
    page.keyboard.type("Back at two")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    expect(editor.get_by_role("button", name="Concentrating")).to_have_attribute("aria-pressed", "true")
    editor.get_by_label("Show it for").select_option("Today")
    editor.get_by_label("What the others should know").press("Enter")
    expect(editor).to_be_hidden(timeout=LIVE_MS)
    expect(page.get_by_role("button", name="Account and settings")).to_be_focused()
    expect(page.locator("#account-status")).to_have_text("🎧 Back at two")
    expect(seen).to_have_text("🎧", timeout=LIVE_MS)
    expect(seen).to_have_attribute("aria-label", "Back at two")

    expect(open_editor(page).get_by_label("What the others should know")).to_have_value("Back at two")
    editor.get_by_role("button", name="Clear the status").press("Enter")
    expect(editor).to_be_hidden(timeout=LIVE_MS)
    expect(page.locator("#account-status")).to_be_empty()
    expect(seen).to_be_hidden(timeout=LIVE_MS)


def test_escape_leaves_the_status_as_it_was_and_the_focus_where_it_was(two: Two) -> None:
    page = two.ada.page
    editor = open_editor(page)
    page.keyboard.type("Never mind")
    page.keyboard.press("Escape")
    expect(editor).to_be_hidden()
    expect(page.get_by_role("button", name="Account and settings")).to_be_focused()
    expect(open_editor(page).get_by_label("What the others should know")).to_have_value("")


def test_a_status_that_is_too_long_or_refused_says_so_in_its_place(brief: Two) -> None:
    page = brief.ada.page
    editor = open_editor(page)
    field = editor.get_by_label("What the others should know")
    field.fill("話" * 101)
    expect(editor.locator("#status-count")).to_have_text("-1")
    expect(editor.get_by_role("button", name="Save")).to_be_disabled()
    field.fill("話" * 100)
    field.press("Enter")
    expect(editor).to_be_hidden(timeout=LIVE_MS)
    open_editor(page)
    field.press("Enter")
    expect(editor.get_by_role("alert")).to_contain_text("That was too fast", timeout=LIVE_MS)
    expect(field).to_have_value("話" * 100)


def test_the_status_editor_fits_a_phone(meet: Meet) -> None:
    ada = meet("ada", **PHONE)
    workspace = ada.call("workspace.create", name="Studio")["workspace"]
    channel = ada.call("channel.create", workspace_id=workspace["id"], kind="public", name="kiln")["channel"]
    page = ada.look_at(channel["id"])
    page.get_by_role("button", name="Show channels").click()
    editor = open_editor(page)
    assert overflow(page) == 0
    for name in ("On holiday", "Save"):
        expect(editor.get_by_role("button", name=name)).to_be_in_viewport()
