"""The store of who types, the same for every backend. Others are told when the set changes, and in time to go on."""

from collections.abc import Callable
from typing import Any

import pytest

from presence import typists
from realtime import backends
from realtime.errors import Unavailable
from tests.cast import at_once
from tests.services import free_port

SECONDS = 1.2


@pytest.fixture(autouse=True)
def _seconds(settings: Any) -> None:
    settings.TYPING_SECONDS = SECONDS


def test_who_starts_is_told_and_for_how_long(stores: str) -> None:
    step = typists.start(1, 7)

    assert (step.to_tell, step.user_ids) == (True, [7])
    assert step.ends_in == step.next_ends_in == pytest.approx(SECONDS, abs=0.01)


def test_a_repeat_in_time_tells_nobody(stores: str, passes: Callable[[float], None]) -> None:
    typists.start(1, 7)
    passes(0.1)

    assert not any(typists.start(1, 7).to_tell for _ in range(20))


def test_who_goes_on_is_told_again_before_others_forget_them(stores: str, passes: Callable[[float], None]) -> None:
    typists.start(1, 7)
    passes(SECONDS / 2)
    again = typists.start(1, 7)

    assert (again.to_tell, again.user_ids) == (True, [7])
    assert again.ends_in == pytest.approx(SECONDS, abs=0.01)
    assert not typists.start(1, 7).to_tell


def test_the_set_is_told_whole(stores: str) -> None:
    steps = [typists.start(1, 9), typists.start(1, 7), typists.stop(1, 9), typists.stop(1, 7)]

    assert [(step.to_tell, step.user_ids) for step in steps] == [(True, [9]), (True, [7, 9]), (True, [7]), (True, [])]
    assert [step.at for step in steps] == sorted(step.at for step in steps)
    assert steps[-1].ends_in == 0


def test_who_does_not_type_stops_nothing(stores: str) -> None:
    typists.start(1, 7)

    step = typists.stop(1, 8)

    assert (step.to_tell, step.user_ids) == (False, [7])
    assert (typists.stop(2, 7).to_tell, typists.look(2).to_tell) == (False, False)


def test_each_channel_has_its_own(stores: str) -> None:
    typists.start(1, 7)

    assert typists.start(2, 8).user_ids == [8]
    assert typists.look(1).user_ids == [7]


def test_each_ends_by_themself_and_that_is_told_once(stores: str, passes: Callable[[float], None]) -> None:
    typists.start(1, 7)
    passes(SECONDS / 2)
    typists.start(1, 8)
    assert typists.look(1).next_ends_in == pytest.approx(SECONDS / 2, abs=0.1)

    passes(SECONDS / 2 + 0.1)
    looks = [typists.look(1), typists.look(1)]
    assert [(look.to_tell, look.user_ids) for look in looks] == [(True, [8]), (False, [8])]

    passes(SECONDS / 2)
    looks = [typists.look(1), typists.look(1)]
    assert [(look.to_tell, look.user_ids) for look in looks] == [(True, []), (False, [])]


def test_whoever_starts_as_another_ends_tells_both(stores: str, passes: Callable[[float], None]) -> None:
    typists.start(1, 7)
    passes(SECONDS + 0.1)

    step = typists.start(1, 8)

    assert (step.to_tell, step.user_ids) == (True, [8])


def test_of_starts_at_once_one_is_told_and_nobody_is_left_out(stores: str) -> None:
    steps = at_once(*[lambda: typists.start(1, 7)] * 8)
    assert [step.to_tell for step in steps].count(True) == 1

    steps = at_once(*[lambda user_id=user_id: typists.start(1, user_id) for user_id in range(10, 18)])
    assert all(step.to_tell for step in steps)
    assert typists.look(1).user_ids == [7, *range(10, 18)]


def test_what_has_ended_takes_no_room(stores: str, passes: Callable[[float], None]) -> None:
    for channel_id in range(1, 10):
        typists.start(channel_id, 7)
    typists.stop(1, 7)
    passes(SECONDS + 0.1)
    for channel_id in range(2, 10):
        typists.look(channel_id)

    if (connection := backends.redis()) is not None:
        assert list(connection.client.scan_iter("*typing*")) == []
    else:
        assert typists._channels._channels == {}


def test_an_outage_is_unavailable(settings: Any) -> None:
    settings.REDIS_URL = f"redis://127.0.0.1:{free_port()}/0"
    backends.redis.cache_clear()
    try:
        with pytest.raises(Unavailable):
            typists.start(1, 7)
    finally:
        backends.redis.cache_clear()
