"""For everybody: with a keyboard, on a phone, in Japanese."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import LIVE_MS, PASSWORD, Meet, Two, message

pytestmark = pytest.mark.browser

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


def overflow(page: Page) -> int:
    width: int = page.evaluate("document.scrollingElement.scrollWidth - innerWidth")
    return width


def test_a_message_can_be_sent_and_deleted_with_the_keyboard_only(two: Two) -> None:
    page = two.ada.page
    page.locator("body").press("Tab")
    page.locator(".skip").focus()
    page.keyboard.press("Enter")
    page.keyboard.type("first line")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("second line")
    page.keyboard.press("Enter")
    expect(message(two.bob.page, "second line")).to_contain_text("first line", timeout=LIVE_MS)
    expect(page.locator("#composer-body")).to_be_focused()
    page.keyboard.press("F6")
    expect(message(page, "second line")).to_be_focused()
    page.keyboard.press("Delete")
    page.get_by_role("button", name="Delete", exact=True).press("Enter")
    expect(message(two.bob.page, "second line")).to_have_count(0, timeout=LIVE_MS)


def test_enter_that_ends_a_japanese_conversion_sends_nothing(two: Two) -> None:
    field = two.ada.page.locator("#composer-body")
    field.fill("へんかん")
    field.dispatch_event("keydown", {"key": "Enter", "isComposing": True, "bubbles": True, "cancelable": True})
    expect(field).to_have_value("へんかん")


def test_a_draft_stays_with_its_channel(two: Two) -> None:
    page = two.ada.page
    page.locator("#composer-body").fill("half a thought")
    page.get_by_role("link", name="quiet").click()
    expect(page.locator("#composer-body")).to_have_value("")
    page.get_by_role("link", name="general").click()
    expect(page.locator("#composer-body")).to_have_value("half a thought")


@pytest.mark.parametrize(
    "path", ["/", "/accounts/login/", "/accounts/signup/", "/accounts/password/reset/", "/join/x/"]
)
def test_pages_for_strangers_fit_a_phone(meet: Meet, path: str) -> None:
    eve = meet("eve", account=False, **PHONE)
    eve.page.goto(f"{eve.server.url}{path}")
    assert overflow(eve.page) == 0


def test_the_chat_fits_a_phone(meet: Meet) -> None:
    ada = meet("ada", **PHONE)
    workspace = ada.call("workspace.create", name="A workspace with quite a long name, as they happen to be")[
        "workspace"
    ]
    channel = ada.call(
        "channel.create", workspace_id=workspace["id"], kind="public", name="x" * 60, topic="A long topic. " * 12
    )["channel"]
    ada.look_at(channel["id"])
    ada.write("```\n" + "wide " * 60 + "\n```\n" + "w" * 200 + "\n\n|" + " column |" * 14 + "\n|" + " - |" * 14)
    expect(message(ada.page, "wide")).to_be_visible(timeout=LIVE_MS)
    assert overflow(ada.page) == 0
    ada.page.get_by_role("button", name="Show channels").click()
    expect(ada.page.get_by_role("link", name="x" * 60)).to_be_in_viewport()
    assert overflow(ada.page) == 0
    ada.page.keyboard.press("Escape")
    expect(ada.page.get_by_role("link", name="x" * 60)).not_to_be_in_viewport()


def test_the_chat_speaks_japanese(meet: Meet) -> None:
    ada = meet("ada")
    workspace = ada.call("workspace.create", name="工房")["workspace"]
    channel = ada.call("channel.create", workspace_id=workspace["id"], kind="public", name="窯")["channel"]
    page = ada.look_at(channel["id"])
    page.get_by_role("button", name="Account and settings").click()
    page.get_by_role("button", name="日本語").click()
    expect(page.locator("html")).to_have_attribute("lang", "ja")
    expect(page.get_by_role("heading", name="#窯 へようこそ")).to_be_visible()
    expect(page.get_by_role("button", name="送信")).to_be_visible()
    expect(page.locator("#connection")).to_have_text("接続済み")


def test_a_browser_that_prefers_japanese_is_welcomed_in_it(meet: Meet) -> None:
    ada = meet("ada", account=False, locale="ja-JP")
    ada.page.goto(ada.server.url)
    expect(ada.page.get_by_role("heading", level=1)).to_have_text("ひとつのテーブルを囲むように話そう。")


def test_signing_out_and_in_again_finds_everything(two: Two) -> None:
    two.ada.write("still here tomorrow")
    expect(message(two.bob.page, "still here tomorrow")).to_be_visible(timeout=LIVE_MS)
    page = two.ada.page
    page.get_by_role("button", name="Account and settings").click()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_label("Login").fill(two.ada.username)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("main").get_by_role("button", name="Sign in").click()
    expect(message(page, "still here tomorrow")).to_be_visible(timeout=LIVE_MS)


def test_a_tab_whose_person_signed_out_elsewhere_says_so(two: Two) -> None:
    second = two.ada.look_at(two.place.general, two.ada.tab())
    two.ada.page.get_by_role("button", name="Account and settings").click()
    two.ada.page.get_by_role("button", name="Sign out").click()
    expect(second.locator("#banner")).to_contain_text("You are signed out.", timeout=LIVE_MS)
    expect(second.get_by_role("link", name="Sign in again")).to_be_visible()
