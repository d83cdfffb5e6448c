"""Who types, on the pages of the others."""

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import LIVE_MS, Two, message

pytestmark = pytest.mark.browser


def test_typing_is_seen_by_the_other_and_gone_with_the_message(two: Two) -> None:
    typing = two.bob.page.locator("#typing")
    composer = two.bob.page.locator("#composer-body")
    place = composer.bounding_box()
    two.ada.page.locator("#composer-body").press_sequentially("Good mor")
    expect(typing).to_contain_text(f"{two.ada.username} is typing", timeout=LIVE_MS)
    expect(two.bob.page.locator("#typing-spoken")).to_have_text(f"{two.ada.username} is typing", timeout=LIVE_MS)
    assert composer.bounding_box() == place
    expect(two.ada.page.locator("#typing-text")).to_be_empty()
    two.ada.write("Good morning")
    expect(two.bob.page.locator("#typing-text")).to_be_empty(timeout=LIVE_MS)
    expect(message(two.bob.page, "Good morning")).to_be_visible(timeout=LIVE_MS)


@pytest.mark.parametrize("ending", ["emptied", "left"])
def test_typing_is_gone_when_the_field_is_emptied_or_left(two: Two, ending: str) -> None:
    typing = two.bob.page.locator("#typing-text")
    two.ada.page.locator("#composer-body").press_sequentially("Hm")
    expect(typing).to_have_text(f"{two.ada.username} is typing", timeout=LIVE_MS)
    if ending == "emptied":
        for _ in range(2):
            two.ada.page.keyboard.press("Backspace")
    else:
        two.ada.page.get_by_role("link", name="quiet").click()
    # Sooner than it would end by itself.
    expect(typing).to_be_empty(timeout=3_000)
