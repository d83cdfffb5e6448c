"""People with browsers. Each test has its own, who know nobody: accounts and workspaces are made anew."""

import itertools
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, sync_playwright

from tests.server import Server

PASSWORD = "correct horse battery staple"
ARGUMENTS = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
LIVE_MS = 5_000
"""Far more than a message takes, for the slowest machine that runs the tests."""

numbers = itertools.count(1)

# Signing up is limited per address and minute, and hashing a password is slow on purpose: who is not there to prove
# signing up gets an account and a session from one batch per server.
BATCH = 150
MAKE_ACCOUNTS = f"""
from django.contrib.auth.hashers import make_password
from django.test import Client
from groups.models import User
password = make_password({PASSWORD!r})
for number in range({BATCH}):
    for name in ("ada", "bob"):
        user = User.objects.create_user(f"{{name}}_{{number}}")
        user.password = password
        user.save()
        client = Client()
        client.force_login(user)
        print(user.username, client.cookies["sessionid"].value)
"""


class Accounts:
    def __init__(self) -> None:
        self._batches: dict[str, list[list[str]]] = {}

    def take(self, name: str, server: Server) -> tuple[str, str]:
        """A username that begins with `name`, and the key of a session in which it is signed in."""
        if server.database_url not in self._batches:
            printed = server.manage("shell", "--verbosity=0", "-c", MAKE_ACCOUNTS)
            self._batches[server.database_url] = [line.split() for line in printed.splitlines()]
        batch = self._batches[server.database_url]
        username, session = batch.pop(next(at for at, entry in enumerate(batch) if entry[0].startswith(name)))
        return username, session


@dataclass
class Person:
    """Somebody with one browser; `page` is their first tab."""

    username: str
    server: Server
    context: BrowserContext
    page: Page = field(init=False)
    troubles: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.context.set_default_timeout(15_000)
        self.page = self.tab()

    def tab(self) -> Page:
        page = self.context.new_page()
        page.on("pageerror", lambda error: self.troubles.append(str(error)))
        page.on("console", lambda said: self._heard(said.text))
        return page

    def sign_up(self) -> "Person":
        """Fill in the form that is open."""
        self.page.get_by_label("Username").fill(self.username)
        self.page.get_by_label("Password", exact=True).fill(PASSWORD)
        self.page.get_by_label("Password (again)").fill(PASSWORD)
        self.page.get_by_role("button", name="Create an account").click()
        self.page.wait_for_url(lambda url: "/accounts/" not in url)
        return self

    def sign_in(self, session: str) -> "Person":
        self.context.add_cookies([{"name": "sessionid", "value": session, "url": self.server.url}])
        self.page.goto(self.server.url)
        return self

    def call(self, method: str, **params: object) -> dict[str, Any]:
        """Call the API as this person, for what a test needs but does not prove."""
        token = next(cookie["value"] for cookie in self.context.cookies() if cookie["name"] == "csrftoken")
        answer = self.context.request.post(
            f"{self.server.url}/api/{method}", data=params, headers={"X-CSRFToken": token}
        )
        assert answer.ok, answer.text()
        body: dict[str, Any] = answer.json()
        return body

    def look_at(self, channel_id: int, page: Page | None = None) -> Page:
        page = page or self.page
        page.goto(f"{self.server.url}/#/channels/{channel_id}")
        page.reload()
        page.locator("#connection[data-state=live]").wait_for()
        page.locator("#composer-body:enabled").wait_for()
        return page

    def write(self, text: str) -> None:
        self.page.get_by_role("textbox", name="Message", exact=True).fill(text)
        self.page.keyboard.press("Enter")

    def _heard(self, text: str) -> None:
        if "Content Security Policy" in text:
            self.troubles.append(text)


def message(page: Page, text: str) -> Locator:
    """The messages on the page with this text in them."""
    return page.locator(".message:not(.pending)").filter(has_text=text)


def badge(page: Page, channel: str) -> Locator:
    return page.locator(".channel-link").filter(has_text=channel).locator(".badge")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    executable = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    assert executable, "chromium is missing: apt-get install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
        yield browser
        browser.close()


Meet = Callable[..., Person]


@pytest.fixture(scope="session")
def accounts() -> Accounts:
    return Accounts()


@pytest.fixture
def meet(browser: Browser, server: Server, accounts: Accounts) -> Iterator[Meet]:
    """Gives ada, bob, or a stranger without an account, each in a browser of their own."""
    people: list[Person] = []

    def make(name: str, *, at: Server = server, account: bool = True, **options: Any) -> Person:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, "locale": "en-US"} | options)
        username, session = accounts.take(name, at) if account else (f"{name}{next(numbers)}", "")
        person = Person(username, at, context)
        people.append(person)
        return person.sign_in(session) if account else person

    yield make
    for person in people:
        person.context.close()
    assert [trouble for person in people for trouble in person.troubles] == []


@dataclass(frozen=True)
class Place:
    workspace_id: int
    general: int
    """Where ada and bob talk."""
    quiet: int
    """Another channel of both."""


@dataclass(frozen=True)
class Two:
    ada: Person
    bob: Person
    place: Place


@pytest.fixture
def two(meet: Meet) -> Two:
    """Ada and bob, members of two channels, both looking at the first."""
    ada, bob = meet("ada"), meet("bob")
    return settle(ada, bob)


def settle(ada: Person, bob: Person) -> Two:
    workspace_id = ada.call("workspace.create", name="Studio")["workspace"]["id"]
    token = ada.call("workspace.invite", workspace_id=workspace_id)["invite"]["token"]
    bob.call("workspace.join", token=token)
    ids = []
    for name in ("general", "quiet"):
        channel = ada.call("channel.create", workspace_id=workspace_id, kind="public", name=name)["channel"]
        bob.call("channel.join", channel_id=channel["id"])
        ids.append(channel["id"])
    place = Place(workspace_id, *ids)
    ada.look_at(place.general)
    bob.look_at(place.general)
    return Two(ada, bob, place)
