"""From nothing to a conversation, with the mouse and the keyboard only."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import LIVE_MS, Meet, message

pytestmark = pytest.mark.browser


def test_two_people_sign_up_make_a_place_and_talk(meet: Meet) -> None:
    ada, bob = meet("ada", account=False), meet("bob", account=False)
    ada.page.goto(ada.server.url)
    ada.page.get_by_role("link", name="Create an account").click()
    ada.sign_up()

    expect(ada.page.get_by_role("heading", name="A place for your people")).to_be_visible()
    expect(ada.page.locator(".skeleton")).to_have_count(0)
    ada.page.locator("#vacant").get_by_role("button", name="Add a workspace").click()
    ada.page.get_by_label("Name of the new workspace").fill("Pottery")
    ada.page.get_by_role("button", name="Create workspace").click()
    expect(ada.page.get_by_role("heading", name="Pottery")).to_be_visible()

    ada.page.locator("#vacant").get_by_role("button", name="Create a channel").click()
    ada.page.get_by_role("textbox", name="Name", exact=True).fill("kiln")
    ada.page.get_by_role("button", name="Create channel").click()
    expect(ada.page.get_by_role("heading", name="Welcome to #kiln")).to_be_visible()
    expect(ada.page.locator(".skeleton")).to_have_count(0)

    ada.page.get_by_role("button", name="Workspace menu").click()
    ada.page.get_by_role("button", name="Invite people").click()
    ada.page.get_by_role("button", name="Make a link").click()
    expect(ada.page.locator("#invite-url")).to_have_value(re.compile("/join/inv"))
    link = ada.page.locator("#invite-url").input_value()
    ada.page.keyboard.press("Escape")

    bob.page.goto(link)
    expect(bob.page.get_by_role("heading", name="Pottery")).to_be_visible()
    bob.page.get_by_role("link", name="Create an account").click()
    bob.sign_up()
    bob.page.get_by_role("button", name="Join").click()
    bob.page.locator("#vacant").get_by_role("button", name="Browse channels").click()
    bob.page.locator("#browse-list").get_by_role("button", name="Join").click()
    expect(bob.page.get_by_role("heading", name="Welcome to #kiln")).to_be_visible()

    bob.write("Is it hot already?")
    expect(message(ada.page, "Is it hot already?")).to_be_visible(timeout=LIVE_MS)
    ada.write("Nearly.")
    expect(message(bob.page, "Nearly.")).to_be_visible(timeout=LIVE_MS)


def test_a_newcomer_joins_the_open_workspace_with_one_click(meet: Meet) -> None:
    ada = meet("ada")
    ada.page.get_by_role("button", name="Join General").click()
    expect(ada.page.get_by_role("heading", name="General")).to_be_visible()
    expect(ada.page.get_by_role("heading", name="No channels here yet")).to_be_visible()


def test_a_link_that_does_not_work_says_so_kindly(meet: Meet) -> None:
    eve = meet("eve", account=False)
    answer = eve.page.goto(f"{eve.server.url}/join/inv_nothing/")
    assert answer is not None
    assert answer.status == 404
    expect(eve.page.get_by_role("heading", name="This invitation does not work")).to_be_visible()


def test_a_token_is_shown_once_and_can_be_revoked(meet: Meet) -> None:
    ada = meet("ada")
    ada.page.goto(f"{ada.server.url}/settings/tokens/")
    ada.page.get_by_label("Name").fill("build notices")
    ada.page.get_by_role("button", name="Create token").click()
    token = ada.page.locator("#new-token").inner_text()
    mine = ada.context.request.get(f"{ada.server.url}/api/user.me", headers={"Authorization": f"Bearer {token}"})
    assert mine.ok
    ada.page.goto(f"{ada.server.url}/settings/tokens/")
    assert token not in ada.page.content()
    ada.page.get_by_role("button", name="Revoke build notices").click()
    expect(ada.page.get_by_text("You have no tokens yet.")).to_be_visible()
