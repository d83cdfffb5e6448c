"""Token buckets, in memory and in Redis."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.conf import LazySettings

from realtime import backends, limits
from realtime.errors import RateLimited
from tests.realtime.conftest import Clock
from tests.services import free_port


def spend(key: str = "send:1", *, per_minute: float = 60, burst: float = 3) -> float:
    """The seconds to wait for a token; 0 when one was taken."""
    try:
        limits.spend(key, per_minute=per_minute, burst=burst)
    except RateLimited as limited:
        return limited.retry_after
    return 0.0


@pytest.fixture
def shared(settings: LazySettings, redis_url: str) -> Iterator[None]:
    """Buckets in Redis."""
    settings.REDIS_URL = redis_url
    backends.redis.cache_clear()
    connection = backends.redis()
    assert connection is not None
    connection.client.flushdb()
    yield
    connection.client.close()
    backends.redis.cache_clear()


def test_a_burst_is_let_through_and_the_next_has_to_wait_for_a_token(still: Clock) -> None:
    assert [spend() for _ in range(4)] == [0, 0, 0, pytest.approx(1)]


def test_the_wait_gets_shorter_with_time(still: Clock) -> None:
    for _ in range(3):
        spend()
    still.advance(0.75)

    assert spend() == pytest.approx(0.25)


def test_a_refusal_takes_no_token(still: Clock) -> None:
    for _ in range(3):
        spend()
    refused = [spend() for _ in range(100)]
    still.advance(1)

    assert refused == [pytest.approx(1)] * 100
    assert [spend(), spend()] == [0, pytest.approx(1)]


def test_tokens_come_back_at_their_rate_and_never_above_the_burst(still: Clock) -> None:
    for _ in range(3):
        spend()
    still.advance(2)
    assert [spend(), spend(), spend()] == [0, 0, pytest.approx(1)]

    still.advance(3600)
    assert [spend() for _ in range(4)] == [0, 0, 0, pytest.approx(1)]


def test_whoever_keeps_to_the_rate_never_waits(still: Clock) -> None:
    waits = []
    for _ in range(300):
        waits.append(spend())
        still.advance(1)

    assert set(waits) == {0}


def test_each_key_has_its_own_bucket(still: Clock) -> None:
    for _ in range(4):
        spend("send:1")

    assert [spend("send:1"), spend("send:2")] == [pytest.approx(1), 0]


def test_a_clock_that_goes_back_gives_and_takes_nothing(still: Clock) -> None:
    for _ in range(3):
        spend()
    still.advance(-100)

    assert spend() == pytest.approx(1)


def test_less_than_one_per_minute_is_a_rate_too(still: Clock) -> None:
    assert [spend(per_minute=0.5, burst=1), spend(per_minute=0.5, burst=1)] == [0, pytest.approx(120)]


def test_threads_at_once_get_no_more_than_the_burst(still: Clock) -> None:
    barrier = threading.Barrier(8)

    def spend_many() -> int:
        barrier.wait()
        return [spend(burst=50) for _ in range(50)].count(0)

    with ThreadPoolExecutor(8) as pool:
        got = sum(future.result() for future in [pool.submit(spend_many) for _ in range(8)])

    assert got == 50


def test_buckets_that_are_full_again_are_forgotten_when_there_are_many(
    still: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits._Buckets, "MANY", 10)
    for number in range(10):
        spend(f"send:{number}")
    still.advance(2)
    for _ in range(3):
        spend("send:busy")
    still.advance(1.5)

    spend("send:new")

    assert set(limits._buckets._tokens) == {"send:busy", "send:new"}
    assert spend("send:busy") == 0


def test_workers_share_a_bucket_in_redis(shared: None) -> None:
    mine = [spend(per_minute=6), spend(per_minute=6)]
    # What another worker knows of its own: nothing.
    limits.forget_all()
    theirs = [spend(per_minute=6), spend(per_minute=6)]

    assert [*mine, *theirs] == [0, 0, 0, pytest.approx(10, abs=1)]


@pytest.mark.parametrize("where", ["memory", "shared"])
def test_of_many_keys_at_once_each_spends_its_own(where: str, request: pytest.FixtureRequest) -> None:
    if where == "shared":
        request.getfixturevalue("shared")
    keys = ["send:1", "send:2", "send:1", "send:1", "send:2"]

    waits = limits.spend_each(keys, per_minute=6, burst=2)

    assert waits == [0, 0, 0, pytest.approx(10, abs=1), 0]


def test_a_bucket_in_redis_refills_at_its_rate(shared: None) -> None:
    for _ in range(3):
        spend(per_minute=1200)

    waits = [spend(per_minute=1200)]
    while waits[-1]:
        waits.append(spend(per_minute=1200))

    assert waits[0] == pytest.approx(0.05, abs=0.05)
    assert waits == sorted(waits, reverse=True)


def test_while_redis_is_away_each_worker_counts_for_itself(still: Clock, settings: LazySettings) -> None:
    settings.REDIS_URL = f"redis://127.0.0.1:{free_port()}/0"
    backends.redis.cache_clear()

    waits = [spend() for _ in range(4)]

    backends.redis.cache_clear()
    assert waits == [0, 0, 0, pytest.approx(1)]
