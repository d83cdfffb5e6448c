"""Whatever the network does to sockets and the server does to its streams, a page shows what a fresh one shows."""

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import LIVE_MS, Meet, Person, Two, badge, message, settle
from tests.conftest import StartServer

pytestmark = pytest.mark.browser

# Where networks block sockets, browsers say so with an exception or an error; `cut` ends those that got through.
BLOCKABLE_SOCKETS = """
const Real = WebSocket;
const opened = [];
globalThis.socketsBlocked = sessionStorage.getItem("blocked") === "yes";
globalThis.cutSockets = () => opened.forEach((socket) => socket.close());
globalThis.WebSocket = function (address) {
  if (globalThis.socketsBlocked) throw new DOMException("blocked by a test", "SecurityError");
  opened.push(new Real(address));
  return opened.at(-1);
};
"""
BLOCK = "() => { sessionStorage.setItem('blocked', 'yes'); socketsBlocked = true; cutSockets(); }"
UNBLOCK = "() => { sessionStorage.removeItem('blocked'); socketsBlocked = false; }"
WAKE = "() => dispatchEvent(new Event('online'))"


def block_sockets(person: Person, channel_id: int) -> Page:
    """From now on their page can only poll."""
    person.context.add_init_script(BLOCKABLE_SOCKETS)
    person.look_at(channel_id)
    person.page.evaluate(BLOCK)
    return person.look_at(channel_id)


def transport(page: Page) -> str | None:
    return page.locator("#connection").get_attribute("data-transport")


def texts(page: Page) -> list[str]:
    found: list[str] = page.locator(".message-text").evaluate_all(
        "nodes => nodes.map((node) => node.textContent.trim())"
    )
    return found


def load_all(page: Page) -> None:
    """Scroll up until the beginning of the channel is there."""
    page.wait_for_function(
        "() => { scroller.scrollTop = 0; return document.querySelector('[data-kind=beginning]'); }", polling=100
    )


def test_a_page_without_sockets_is_live_by_polling_and_says_so(two: Two) -> None:
    page = block_sockets(two.ada, two.place.general)
    expect(page.locator("#connection")).to_have_text("Live, over long-poll")
    two.bob.write("by poll")
    expect(message(page, "by poll")).to_have_count(1, timeout=LIVE_MS)
    two.ada.write("and back")
    expect(message(two.bob.page, "and back")).to_have_count(1, timeout=LIVE_MS)
    two.bob.call("message.send", channel_id=two.place.quiet, body="psst")
    expect(badge(page, "quiet")).to_have_text("1", timeout=LIVE_MS)


def test_a_page_changes_from_polling_to_the_socket_and_back_while_somebody_keeps_sending(two: Two) -> None:
    page = block_sockets(two.ada, two.place.general)
    sent: list[str] = []

    def send() -> None:
        sent.append(f"number {len(sent)}")
        two.bob.call("message.send", channel_id=two.place.general, body=sent[-1])

    def send_until(name: str) -> None:
        while transport(page) != name:
            send()
            assert len(sent) < 2_000, f"the page never went over to {name}"

    for _ in range(10):
        send()
    page.evaluate(UNBLOCK)
    page.evaluate(WAKE)
    send_until("websocket")
    for _ in range(10):
        send()
    page.evaluate(BLOCK)
    send_until("")
    send_until("poll")
    for _ in range(10):
        send()
    expect(message(page, sent[-1]).last).to_be_visible(timeout=LIVE_MS)
    assert texts(page) == sent[-len(texts(page)) :]
    assert len(texts(page)) == len(sent) >= 30


def test_after_a_restart_the_page_equals_a_fresh_one_and_the_reader_keeps_their_place(
    meet: Meet, start_server: StartServer
) -> None:
    server = start_server(demo=False, SEND_PER_MINUTE=100_000, SEND_BURST=1000)
    two = settle(meet("ada", at=server), meet("bob", at=server))
    general, quiet = two.place.general, two.place.quiet
    ids = [send(two.bob, general, f"line {number}.") for number in range(120)]
    in_quiet = [send(two.bob, quiet, f"quiet {number}") for number in range(3)]
    page = two.ada.look_at(general)
    load_all(page)
    page.locator(f"#message-{ids[40]}").evaluate("node => node.scrollIntoView({ block: 'start' })")
    top = page.locator(f"#message-{ids[40]}").bounding_box()

    server.stop()
    # The same database behind another door: what happens there is told by no stream that the page follows.
    two.bob.server = start_server(database_url=server.database_url, SEND_PER_MINUTE=100_000, SEND_BURST=1000)
    two.bob.call("message.update", message_id=ids[10], body="line 10, which takes\n\nmuch more\n\nroom than before")
    two.bob.call("message.update", message_id=ids[43], body="edited in sight")
    for gone in (ids[5], ids[41], ids[119], in_quiet[1]):
        two.bob.call("message.delete", message_id=gone)
    for number in range(60):
        send(two.bob, general, f"meanwhile {number}.")
    two.bob.call("message.delete", message_id=send(two.bob, general, "never seen"))
    two.bob.server.stop()
    server.start()
    page.evaluate(WAKE)

    expect(message(page, "edited in sight")).to_be_visible(timeout=40_000)
    after = page.locator(f"#message-{ids[40]}").bounding_box()
    assert top
    assert after
    assert abs(top["y"] - after["y"]) < 2
    fresh = two.ada.look_at(general, two.ada.tab())
    assert counts(page) == counts(fresh)
    load_all(fresh)
    assert texts(page) == texts(fresh)
    assert len(texts(page)) == 120 - 3 + 60


def send(person: Person, channel_id: int, body: str) -> int:
    sent: dict[str, Any] = person.call("message.send", channel_id=channel_id, body=body)["message"]
    return int(sent["id"])


def counts(page: Page) -> list[str]:
    return page.locator(".channel-link").all_inner_texts()
