"""What happens on one page is seen on the others without reloading."""

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import LIVE_MS, Meet, Two, badge, message, settle
from tests.conftest import StartServer

pytestmark = pytest.mark.browser


def test_a_message_appears_at_the_other_person_and_in_the_own_second_tab(two: Two) -> None:
    second = two.ada.look_at(two.place.general, two.ada.tab())
    two.ada.write("Good morning")
    for page in (two.ada.page, second, two.bob.page):
        expect(message(page, "Good morning")).to_have_count(1, timeout=LIVE_MS)


def test_messages_of_both_stand_in_one_order(two: Two) -> None:
    for number in range(6):
        (two.ada if number % 2 else two.bob).write(f"number {number}")
        expect(message(two.ada.page, f"number {number}")).to_have_count(1, timeout=LIVE_MS)
    pages = [
        [text.strip() for text in page.locator(".message-text").all_inner_texts()]
        for page in (two.ada.page, two.bob.page)
    ]
    assert pages[0] == pages[1] == [f"number {number}" for number in range(6)]


def test_markdown_is_rendered_and_a_script_stays_text(two: Two) -> None:
    two.ada.write("**bold** <script>document.title = 'taken'</script><img src=x onerror=\"document.title = 'taken'\">")
    shown = message(two.bob.page, "bold")
    expect(shown.locator("strong").filter(has_text="bold")).to_be_visible(timeout=LIVE_MS)
    expect(shown).to_contain_text("<script>")
    assert shown.locator("script, img").count() == 0
    assert "taken" not in two.bob.page.title()


def test_unread_appears_and_clears_in_both_tabs(two: Two) -> None:
    second = two.ada.look_at(two.place.general, two.ada.tab())
    two.bob.look_at(two.place.quiet)
    two.bob.write("psst")
    two.bob.write("here")
    for page in (two.ada.page, second):
        expect(badge(page, "quiet")).to_have_text("2", timeout=LIVE_MS)
    two.ada.page.get_by_role("link", name="quiet").click()
    for page in (two.ada.page, second):
        expect(badge(page, "quiet")).to_be_hidden(timeout=LIVE_MS)
    expect(two.ada.page.get_by_text("New", exact=True)).to_be_visible()


def test_a_deleted_message_disappears_everywhere(two: Two) -> None:
    two.ada.write("a slip of the tongue")
    expect(message(two.bob.page, "a slip of the tongue")).to_be_visible(timeout=LIVE_MS)
    message(two.ada.page, "a slip of the tongue").hover()
    message(two.ada.page, "a slip of the tongue").get_by_role("button", name="More").click()
    two.ada.page.get_by_role("menuitem", name="Delete message").click()
    two.ada.page.get_by_role("button", name="Delete", exact=True).click()
    for page in (two.ada.page, two.bob.page):
        expect(message(page, "a slip of the tongue")).to_have_count(0, timeout=LIVE_MS)


def test_an_edit_is_seen_by_the_other(two: Two) -> None:
    two.ada.write("tomorow")
    expect(message(two.ada.page, "tomorow")).to_be_visible()
    two.ada.page.keyboard.press("ArrowUp")
    two.ada.page.get_by_role("textbox", name="Edit message").fill("tomorrow")
    two.ada.page.keyboard.press("Enter")
    expect(message(two.bob.page, "tomorrow")).to_contain_text("edited", timeout=LIVE_MS)


def test_another_persons_message_cannot_be_edited_or_deleted(two: Two) -> None:
    two.ada.write("mine")
    expect(message(two.bob.page, "mine")).to_be_visible(timeout=LIVE_MS)
    message(two.bob.page, "mine").hover()
    message(two.bob.page, "mine").get_by_role("button", name="More").click()
    menu = two.bob.page.get_by_role("menu")
    expect(menu.get_by_role("menuitem", name="Copy link")).to_be_visible()
    expect(menu.get_by_role("menuitem", name="Edit message")).to_have_count(0)
    expect(menu.get_by_role("menuitem", name="Delete message")).to_have_count(0)


def test_a_channel_that_somebody_else_left_and_joined_counts_its_members(two: Two) -> None:
    expect(two.ada.page.locator("#members-count")).to_have_text("2")
    two.bob.call("channel.leave", channel_id=two.place.general)
    expect(two.ada.page.locator("#members-count")).to_have_text("1", timeout=LIVE_MS)
    expect(two.bob.page.get_by_role("link", name="general")).to_have_count(0, timeout=LIVE_MS)


def test_older_messages_load_where_the_reader_is(two: Two) -> None:
    for number in range(70):
        sent = two.bob.call("message.send", channel_id=two.place.quiet, body=f"line {number}.")
    two.ada.call("read.mark", channel_id=two.place.quiet, last_read_id=sent["message"]["id"])
    page = two.ada.look_at(two.place.quiet)
    expect(message(page, "line 69.")).to_be_in_viewport()
    assert message(page, "line 5.").count() == 0
    page.locator("#scroller").evaluate("scroller => scroller.scrollTop = 0")
    expect(message(page, "line 5.")).to_have_count(1)
    expect(message(page, "line 5.")).not_to_be_in_viewport()
    two.bob.call("message.send", channel_id=two.place.quiet, body="after all")
    expect(page.get_by_role("button", name="1 new message")).to_be_visible(timeout=LIVE_MS)
    page.get_by_role("button", name="1 new message").click()
    expect(message(page, "after all")).to_be_in_viewport()


def test_the_sign_tells_of_a_server_that_goes_and_comes_and_nothing_written_is_lost(
    meet: Meet, start_server: StartServer
) -> None:
    server = start_server(demo=False)
    two = settle(meet("ada", at=server), meet("bob", at=server))
    sign = two.ada.page.locator("#connection")
    expect(sign).to_have_attribute("data-state", "live")
    server.stop()
    expect(sign).to_have_attribute("data-state", "reconnecting", timeout=LIVE_MS)
    two.ada.write("written in the dark")
    expect(two.ada.page.get_by_text("Waiting for the connection")).to_be_visible()
    server.start()
    for page in (two.ada.page, two.bob.page):
        expect(page.locator("#connection")).to_have_attribute("data-state", "live", timeout=40_000)
        expect(message(page, "written in the dark")).to_have_count(1, timeout=40_000)
