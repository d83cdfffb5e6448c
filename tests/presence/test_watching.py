"""The store of who watches whom, the same for every backend."""

from collections.abc import Callable
from typing import Any

import pytest

from presence import watching
from realtime import backends
from realtime.errors import Unavailable
from tests.services import free_port


def test_who_watches_is_found_by_whom_they_watch_and_the_other_way_round(stores: str) -> None:
    watching.watch(1, [5, 6])
    watching.watch(2, [6])

    assert watching.watchers_of([5, 6, 7]) == {5: {1}, 6: {1, 2}, 7: set()}
    assert [watching.watched_by(user_id) for user_id in (1, 2, 3)] == [{5, 6}, {6}, set()]


def test_nobody_is_watched_at_first(stores: str) -> None:
    assert (watching.watchers_of([1]), watching.watchers_of([]), watching.watched_by(1)) == ({1: set()}, {}, set())


def test_a_watch_replaces_all_of_the_one_before(stores: str) -> None:
    watching.watch(1, [5, 6])
    watching.watch(1, [6, 7])
    assert watching.watchers_of([5, 6, 7]) == {5: set(), 6: {1}, 7: {1}}

    watching.watch(1, [])
    assert watching.watchers_of([5, 6, 7]) == {5: set(), 6: set(), 7: set()}
    assert watching.watched_by(1) == set()


def test_500_are_watched_at_once(stores: str) -> None:
    everybody = range(1, 501)
    watching.watch(1, everybody)

    assert watching.watched_by(1) == set(everybody)
    assert watching.watchers_of(everybody) == {user_id: {1} for user_id in everybody}


def test_each_watch_ends_at_its_own_time(stores: str, passes: Callable[[float], None], settings: Any) -> None:
    settings.PRESENCE_WATCH_SECONDS = 1
    watching.watch(1, [5])
    watching.watch(2, [5])
    passes(0.6)
    watching.watch(1, [5])
    passes(0.6)
    assert watching.watchers_of([5]) == {5: {1}}
    assert (watching.watched_by(1), watching.watched_by(2)) == ({5}, set())

    passes(0.6)
    assert watching.watchers_of([5]) == {5: set()}
    assert watching.watched_by(1) == set()


def test_what_has_ended_takes_no_room(stores: str, passes: Callable[[float], None], settings: Any) -> None:
    settings.PRESENCE_WATCH_SECONDS = 0.4
    for watcher in range(1, 20):
        watching.watch(watcher, [5, 100 + watcher])
    for watcher in (20, 21):
        passes(0.25)
        watching.watch(watcher, [5])

    if (connection := backends.redis()) is not None:
        keys = {b"ms:{watch}:by:20", b"ms:{watch}:by:21", b"ms:{watch}:of:5"}
        assert set(connection.client.scan_iter("*watch*")) <= keys
        assert connection.client.zcount("ms:{watch}:of:5", "-inf", "+inf") in {1, 2}
    else:
        assert (set(watching._watches._by), watching._watches._of) == ({20, 21}, {5: {20, 21}})


def test_an_outage_is_unavailable(settings: Any) -> None:
    settings.REDIS_URL = f"redis://127.0.0.1:{free_port()}/0"
    backends.redis.cache_clear()
    try:
        for ask in (lambda: watching.watch(1, [2]), lambda: watching.watchers_of([1]), lambda: watching.watched_by(1)):
            with pytest.raises(Unavailable):
                ask()
    finally:
        backends.redis.cache_clear()
