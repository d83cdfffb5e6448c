"""publish, the outbox and the relay: told after commit, once, and in the end whatever happens in between."""

import asyncio
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from groups.events import ChannelRemoved
from groups.models import Channel, Message, User
from realtime import backends, clock, relay
from realtime.errors import Unavailable
from realtime.hub import hub
from realtime.models import OutboxEvent
from realtime.publish import Audience, Publication, publish, publish_all, users
from realtime.relay import send_left_behind, user_stream
from realtime.streams import Position, Streams
from tests.cast import Api, say
from tests.realtime.conftest import Clock

pytestmark = pytest.mark.django_db(transaction=True)

STREAM = user_stream(7)


def tell(number: int = 1, *, order: str = "channel:1") -> None:
    """An event for user 7, published as an action does."""
    with transaction.atomic():
        publish(ChannelRemoved(channel_id=number), to=users([7]), order=order)


@pytest.fixture
def streams() -> Iterator[Streams]:
    """The streams of this process, empty."""
    backends.streams.cache_clear()
    yield backends.streams()
    backends.streams.cache_clear()


@pytest.fixture
def start(streams: Streams) -> Position:
    """Where the stream of user 7 stands before the test."""
    return streams.open(STREAM)


@pytest.fixture
def serving(streams: Streams) -> Iterator[None]:
    """This process serves streams, as a server does; its loop runs in a thread."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    hub.start(loop)
    yield
    hub.stop()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def told(streams: Streams, start: Position, stream: str = STREAM) -> list[int]:
    """The numbers of the events in a stream, in their order."""
    return [json.loads(b"{" + entry.body)["data"]["channel_id"] for _, entry in streams.read(stream, start)]


def left() -> int:
    return OutboxEvent.objects.count()


def test_publishing_outside_a_transaction_is_refused(streams: Streams, start: Position) -> None:
    with pytest.raises(RuntimeError, match=r"channel\.removed"):
        publish(ChannelRemoved(channel_id=1), to=users([7]), order="channel:1")

    assert left() == 0


def test_an_event_leaves_with_the_commit_and_not_before(streams: Streams, serving: None, start: Position) -> None:
    with transaction.atomic():
        publish(ChannelRemoved(channel_id=1), to=users([7]), order="channel:1")
        assert (told(streams, start), left()) == ([], 1)

    assert (told(streams, start), left()) == ([1], 0)


def test_an_event_of_an_inner_transaction_waits_for_the_outer_one(
    streams: Streams, serving: None, start: Position
) -> None:
    with transaction.atomic():
        tell(1)
        assert told(streams, start) == []

    assert told(streams, start) == [1]


def test_a_rollback_leaves_no_row_and_tells_nothing(streams: Streams, serving: None, start: Position) -> None:
    def fail() -> None:
        with transaction.atomic():
            publish(ChannelRemoved(channel_id=1), to=users([7]), order="channel:1")
            raise KeyError

    with pytest.raises(KeyError):
        fail()

    assert (told(streams, start), left()) == ([], 0)


def test_a_rolled_back_part_of_a_transaction_is_not_told(streams: Streams, serving: None, start: Position) -> None:
    with transaction.atomic():
        publish(ChannelRemoved(channel_id=1), to=users([7]), order="channel:1")
        with transaction.atomic():
            publish(ChannelRemoved(channel_id=2), to=users([7]), order="channel:1")
            transaction.set_rollback(True)

    assert (told(streams, start), left()) == ([1], 0)


def test_an_event_goes_to_its_audience_once_each_and_to_nobody_else(
    streams: Streams, serving: None, start: Position
) -> None:
    other, stranger = streams.open(user_stream(8)), streams.open(user_stream(9))
    with transaction.atomic():
        publish(ChannelRemoved(channel_id=1), to=users([7, 8, 8, 7]), order="channel:1")

    logs = [told(streams, start), told(streams, other, user_stream(8)), told(streams, stranger, user_stream(9))]
    assert logs == [[1], [1], []]


def test_an_event_carries_its_name_its_moment_and_its_data(
    streams: Streams, serving: None, start: Position, still: Clock
) -> None:
    tell(5)

    [(_, entry)] = streams.read(STREAM, start)
    assert json.loads(b"{" + entry.body) == {
        "event": "channel.removed",
        "at": "2026-11-21T09:00:00.000Z",
        "data": {"channel_id": 5},
    }
    assert entry.name == "channel.removed"


def test_a_process_that_serves_nobody_leaves_its_events_to_one_that_does(streams: Streams, start: Position) -> None:
    tell(1)

    assert (told(streams, start), left()) == ([], 1)


def test_the_sweep_sends_what_was_left_behind_in_order(streams: Streams, start: Position, still: Clock) -> None:
    for number in (1, 2, 3):
        tell(number)
    still.advance(relay.LEFT_BEHIND_SECONDS + 0.1)

    assert send_left_behind() == 1

    assert (told(streams, start), left()) == ([1, 2, 3], 0)


def test_the_sweep_sends_every_order_in_its_own(streams: Streams, start: Position, still: Clock) -> None:
    for number in range(1, 7):
        tell(number, order=f"channel:{number % 2}")
    still.advance(relay.LEFT_BEHIND_SECONDS + 0.1)

    assert send_left_behind() == 2

    numbers = told(streams, start)
    assert [number for number in numbers if number % 2] == [1, 3, 5]
    assert [number for number in numbers if number % 2 == 0] == [2, 4, 6]


def test_the_sweep_sends_more_than_fits_into_one_go(
    streams: Streams, start: Position, still: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "ROWS_AT_ONCE", 3)
    for number in range(1, 9):
        tell(number)
    still.advance(relay.LEFT_BEHIND_SECONDS + 0.1)

    send_left_behind()

    assert (told(streams, start), left()) == (list(range(1, 9)), 0)


def test_the_sweep_leaves_what_is_on_its_way(streams: Streams, start: Position, still: Clock) -> None:
    tell(1)
    still.advance(relay.LEFT_BEHIND_SECONDS / 2)

    assert send_left_behind() == 0
    assert (told(streams, start), left()) == ([], 1)


def test_a_sweep_with_nothing_to_send_does_nothing(streams: Streams, start: Position) -> None:
    assert send_left_behind() == 0
    assert told(streams, start) == []


def test_what_another_process_left_behind_goes_before_a_later_event(
    streams: Streams, start: Position, request: pytest.FixtureRequest
) -> None:
    tell(1)
    request.getfixturevalue("serving")

    tell(2)

    assert (told(streams, start), left()) == ([1, 2], 0)


def test_a_crash_between_append_and_deletion_repeats_nothing(
    streams: Streams, serving: None, start: Position, still: Clock
) -> None:
    """The row is there again as if it had never been deleted, once beside a later one."""
    with transaction.atomic():
        publish(ChannelRemoved(channel_id=1), to=users([7]), order="channel:1")
        [row] = OutboxEvent.objects.all()
    row.pk = None
    row.save(force_insert=True)
    tell(2)
    assert told(streams, start) == [1, 2]

    row.pk = None
    row.save(force_insert=True)
    still.advance(relay.LEFT_BEHIND_SECONDS + 0.1)
    send_left_behind()

    assert (told(streams, start), left()) == ([1, 2], 0)


def test_two_rows_of_one_event_cannot_be_stored(streams: Streams) -> None:
    tell(1)
    [row] = OutboxEvent.objects.all()
    row.pk = None

    with pytest.raises(Exception, match=r"(?i)unique"):
        row.save(force_insert=True)


@pytest.mark.parametrize("failure", [Unavailable("Redis"), ConnectionResetError(), RuntimeError("out of memory")])
def test_a_store_that_fails_does_not_fail_the_action_and_the_sweep_delivers(
    serving: None,
    streams: Streams,
    api: Api,
    general: Channel,
    ada: User,
    monkeypatch: pytest.MonkeyPatch,
    failure: Exception,
) -> None:
    stream = user_stream(ada.pk)
    begun_at = streams.open(stream)
    call = api(ada)

    def fail(entries: Any) -> Any:
        raise failure

    with monkeypatch.context() as outage:
        outage.setattr(streams, "append", fail)
        answer = call("message.send", channel_id=general.pk, body="hello")
    assert answer.status == 200
    assert (Message.objects.count(), left(), streams.read(stream, begun_at)) == (1, 1, [])

    later = clock.now() + timedelta(seconds=relay.LEFT_BEHIND_SECONDS + 0.1)
    monkeypatch.setattr(clock, "now", lambda: later)
    send_left_behind()

    [(_, entry)] = streams.read(stream, begun_at)
    assert json.loads(b"{" + entry.body)["data"] == {"message": answer.body["message"]}
    assert left() == 0


def test_an_event_after_an_outage_takes_those_of_the_outage_along_in_order(
    streams: Streams, serving: None, start: Position, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(entries: Any) -> Any:
        raise Unavailable("Redis")

    with monkeypatch.context() as outage:
        outage.setattr(streams, "append", fail)
        tell(1)
        tell(2)

    tell(3)

    assert (told(streams, start), left()) == ([1, 2, 3], 0)


def test_an_order_that_cannot_be_sent_keeps_no_other_waiting(streams: Streams, start: Position, still: Clock) -> None:
    """As of an event whose audience this version does not know, left by a newer one that was rolled back."""
    with transaction.atomic():
        tell(1, order="channel:1")
        OutboxEvent.objects.update(audience={"kind": "of the future"})
        tell(2, order="channel:2")
    still.advance(relay.LEFT_BEHIND_SECONDS + 0.1)

    send_left_behind()

    assert told(streams, start) == [2]
    assert list(OutboxEvent.objects.values_list("order_key", flat=True)) == ["channel:1"]


def test_an_order_that_cannot_be_sent_keeps_no_other_of_its_transaction_waiting(
    streams: Streams, serving: None, start: Position
) -> None:
    unknown = Audience("of the future", {})
    with transaction.atomic():
        publish_all(
            [
                Publication(ChannelRemoved(channel_id=1), unknown, "channel:1"),
                Publication(ChannelRemoved(channel_id=2), users([7]), "channel:2"),
                Publication(ChannelRemoved(channel_id=3), users([7]), "channel:3"),
            ]
        )

    assert told(streams, start) == [2, 3]
    assert list(OutboxEvent.objects.values_list("order_key", flat=True)) == ["channel:1"]


def test_events_of_many_orders_leave_together_and_cost_the_queries_of_one(
    streams: Streams, serving: None, start: Position
) -> None:
    with CaptureQueriesContext(connection) as of_one:
        tell(0)
    publications = [
        Publication(ChannelRemoved(channel_id=number), users([7]), f"channel:{number % 3}") for number in range(1, 10)
    ]
    with CaptureQueriesContext(connection) as of_many, transaction.atomic():
        publish_all(publications)

    assert (told(streams, start), left()) == (list(range(10)), 0)
    assert len(of_many) == len(of_one)


def test_what_commits_after_a_deletion_waits_for_the_disk_as_before(streams: Streams, serving: None) -> None:
    before = _waits_for_the_disk()

    tell(1)

    assert (left(), _waits_for_the_disk()) == (0, before)


def _waits_for_the_disk() -> Any:
    with connection.cursor() as cursor:
        cursor.execute("SHOW synchronous_commit" if connection.vendor == "postgresql" else "PRAGMA synchronous")
        return cursor.fetchone()


def test_publishing_nothing_asks_nothing(streams: Streams, serving: None, django_assert_num_queries: Any) -> None:
    with transaction.atomic(), django_assert_num_queries(0):
        publish_all([])


def test_senders_at_once_and_a_sweep_tell_everything_once_in_the_order_of_the_commits(
    serving: None, streams: Streams, general: Channel, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "LEFT_BEHIND_SECONDS", -1)
    stream = user_stream(ada.pk)
    begun_at = streams.open(stream)
    done = threading.Event()

    def sweep() -> None:
        while not done.is_set():
            send_left_behind()
        connection.close()

    with ThreadPoolExecutor(5) as pool:
        sweeping = pool.submit(sweep)
        try:
            for sending in [pool.submit(_say_many, ada, general) for _ in range(4)]:
                sending.result()
        finally:
            done.set()
        sweeping.result()

    send_left_behind()
    found = [json.loads(b"{" + entry.body)["data"]["message"]["id"] for _, entry in streams.read(stream, begun_at)]
    assert found == sorted(Message.objects.values_list("pk", flat=True))
    assert len(found) == 60


def _say_many(author: User, channel: Channel) -> None:
    try:
        for _ in range(15):
            say(author, channel)
    finally:
        connection.close()
