"""The contract of leases, the same for every backend; see realtime/leases.py."""

import itertools
import random
import sys
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from realtime.errors import Unavailable
from realtime.leases import (
    CLAIM_SECONDS,
    REMEMBER_ENDED_SECONDS,
    Change,
    Connection,
    Held,
    Lapsed,
    Leases,
    Status,
    TooMany,
)
from realtime.leases_memory import MemoryLeases
from realtime.leases_redis import RedisLeases
from realtime.redis_connection import RedisConnection
from tests import services
from tests.realtime.conftest import Clock

LEASE, AWAY, SWEEP = 90.0, 300.0, 5.0
ATTACHED = LEASE + 2 * SWEEP
LIMIT = 20

T = TypeVar("T")
MakeLeases = Callable[[], Leases]

_numbers = itertools.count(1)


@pytest.fixture(params=["memory", "redis", "redis-3-shards"])
def make_leases(request: pytest.FixtureRequest, still: Clock) -> Iterator[MakeLeases]:
    """Makes a new store at each call, as after a loss. What a test finds true of one backend has to be true of each."""
    seconds = {"lease_seconds": LEASE, "away_seconds": AWAY, "sweep_seconds": SWEEP}
    if request.param == "memory":
        yield partial(MemoryLeases, **seconds)
        return
    redis = RedisConnection(request.getfixturevalue("redis_url"))

    def make_in_redis() -> Leases:
        redis.client.flushdb()
        return RedisLeases(redis, **seconds, shards=1 if request.param == "redis" else 3)

    yield make_in_redis
    redis.client.close()


@pytest.fixture
def leases(make_leases: MakeLeases) -> Leases:
    """A store in use."""
    made = make_leases()
    assert made.begin()
    made.restore([])
    return made


@pytest.fixture
def hasty_threads() -> Iterator[None]:
    """Threads that interrupt each other all the time: what needs a lock and has none goes wrong soon."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


def connection(worker: str = "w1") -> Connection:
    return Connection(f"c{next(_numbers)}", worker)


def held(lease: str = "s1", *, holder: str = "user:1", worker: str = "w1") -> Held:
    """A lease by a connection that nobody else has."""
    return Held(holder, lease, connection(worker))


def attached(leases: Leases, lease: str = "s1", *, holder: str = "user:1") -> Held:
    one = held(lease, holder=holder)
    leases.attach(one, limit=LIMIT)
    return one


def told(leases: Leases, limit: int = 1000) -> list[Change]:
    """Tell what there is to tell."""
    changes = leases.claim(limit)
    leases.confirm(changes)
    return changes


def statuses(changes: Sequence[Change]) -> list[Status]:
    return [change.status for change in changes]


def online(leases: Leases, lease: str = "s1", *, holder: str = "user:1") -> Held:
    """A holder with one lease, which was told to be online."""
    one = attached(leases, lease, holder=holder)
    assert statuses(told(leases)) == ["online"]
    return one


def sweeps(leases: Leases, still: Clock, seconds: float) -> list[Lapsed]:
    """What ends while time passes and a worker sweeps as it should."""
    lapsed = []
    until = still.passed + seconds
    while still.passed < until:
        still.advance(min(SWEEP, until - still.passed))
        lapsed += leases.sweep(1000)
    return lapsed


def kept(leases: Leases) -> set[str]:
    """What a store holds of anybody, by whichever name."""
    if isinstance(leases, MemoryLeases):
        return {str(name) for names in (leases._holders, leases._changed, leases._ended) for name in names}
    assert isinstance(leases, RedisLeases)
    keys = {key.decode() for key in leases._connection.client.scan_iter()}
    return {key for key in keys if not key.endswith("}:leases")}


def at_once(jobs: Sequence[Callable[[], T]]) -> list[T]:
    barrier = threading.Barrier(len(jobs))

    def job_after_barrier(job: Callable[[], T]) -> T:
        barrier.wait()
        return job()

    with ThreadPoolExecutor(len(jobs)) as pool:
        return list(pool.map(job_after_barrier, jobs))


# Attaching and detaching


def test_a_new_lease_makes_its_holder_online(leases: Leases) -> None:
    assert leases.attach(held(), limit=LIMIT) == (True, None, True)

    [change] = leases.claim(10)

    assert (change.holder, change.status) == ("user:1", "online")


def test_a_second_lease_changes_nothing(leases: Leases) -> None:
    online(leases, "s1")

    assert leases.attach(held("s2"), limit=LIMIT) == (True, None, False)
    assert leases.claim(10) == []


def test_another_connection_takes_the_lease_over_silently(leases: Leases) -> None:
    first = online(leases)

    assert leases.attach(held(), limit=LIMIT) == (False, first.connection, False)
    assert leases.claim(10) == []


def test_attaching_twice_replaces_nobody(leases: Leases) -> None:
    one = online(leases)

    assert leases.attach(one, limit=LIMIT) == (False, None, False)


def test_a_lease_that_is_detached_lives_lease_seconds(leases: Leases, still: Clock) -> None:
    one = online(leases)

    assert leases.detach(one)
    assert sweeps(leases, still, LEASE - 0.001) == []
    assert leases.claim(10) == []
    assert sweeps(leases, still, 0.001) == [Lapsed("user:1", "s1")]
    assert statuses(told(leases)) == ["offline"]


def test_coming_back_within_the_lease_is_silent(leases: Leases, still: Clock) -> None:
    leases.detach(online(leases))
    sweeps(leases, still, LEASE - 1)

    assert leases.attach(held(), limit=LIMIT) == (False, None, False)
    assert sweeps(leases, still, LEASE) == []
    assert leases.claim(10) == []


def test_coming_back_before_anybody_saw_the_end_is_silent(leases: Leases, still: Clock) -> None:
    leases.detach(online(leases))
    still.advance(LEASE + 1)

    assert leases.attach(held(), limit=LIMIT) == (False, None, False)
    assert leases.sweep(10) == []


def test_the_late_end_of_an_old_connection_does_nothing(leases: Leases, still: Clock) -> None:
    old = online(leases)
    new = attached(leases)

    assert not leases.detach(old)
    assert not leases.drop(old)
    assert leases.renew([old]) == [False]
    for _ in range(10):
        still.advance(SWEEP)
        assert leases.renew([new]) == [True]
    sweeps(leases, still, ATTACHED - SWEEP)
    assert leases.claim(10) == []


def test_a_connection_that_ended_does_nothing_any_more(leases: Leases, still: Clock) -> None:
    one = online(leases)
    leases.detach(one)
    sweeps(leases, still, LEASE / 2)

    assert not leases.detach(one)
    assert not leases.drop(one)
    assert leases.renew([one]) == [False]
    assert sweeps(leases, still, LEASE / 2) == [Lapsed("user:1", "s1")]


def test_detaching_what_is_not_there_does_nothing(leases: Leases) -> None:
    assert not leases.detach(held())
    assert not leases.drop(held())
    assert not leases.end("user:1")
    assert not leases.set_away("user:1", None, away=True)
    assert leases.claim(10) == []


def test_leases_of_the_same_name_belong_to_their_holders(leases: Leases, still: Clock) -> None:
    one, other = attached(leases, "s1", holder="user:1"), attached(leases, "s1", holder="user:2")
    leases.detach(one)

    for _ in range(20):
        leases.renew([other])
        sweeps(leases, still, SWEEP)

    assert [(change.holder, change.status) for change in told(leases)] == [("user:2", "online")]


@pytest.mark.parametrize("text", ["a b", "ü:{1}", "x\ny", "l:", "0", '"', "\0"])
def test_names_may_be_any_text(leases: Leases, still: Clock, text: str) -> None:
    old, new = Held(text, text, Connection(text, text)), Held(text, text, Connection(text, text + "2"))
    leases.attach(old, limit=LIMIT)

    assert leases.attach(new, limit=LIMIT).replaced == old.connection
    assert [change.holder for change in told(leases)] == [text]
    assert leases.detach(new)
    assert sweeps(leases, still, LEASE) == [Lapsed(text, text)]


# Passing connections, as polls are


def test_a_passing_connection_renews_without_attaching(leases: Leases, still: Clock) -> None:
    poll = held()._replace(passing=True)

    assert leases.attach(poll, limit=LIMIT) == (True, None, True)
    assert leases.state(poll) == "detached"
    assert sweeps(leases, still, LEASE) == []
    assert leases.renew([poll]) == [True]
    assert sweeps(leases, still, LEASE) == []
    assert sweeps(leases, still, LEASE) == [Lapsed("user:1", "s1")]


def test_a_passing_connection_takes_the_lease_from_one_that_is_attached(leases: Leases) -> None:
    socket, poll = online(leases), held()._replace(passing=True)

    assert leases.attach(poll, limit=LIMIT).replaced == socket.connection
    assert not leases.detach(socket)
    assert leases.state(socket) == "other"


def test_passing_connections_do_not_count_for_the_limit(leases: Leases) -> None:
    for number in range(10):
        leases.attach(held(f"poll{number}")._replace(passing=True), limit=3)

    for number in range(3):
        leases.attach(held(f"s{number}"), limit=3)
    with pytest.raises(TooMany):
        leases.attach(held("s3"), limit=3)


# Renewing


def test_renewing_takes_a_lease_again_that_another_connection_let_go(leases: Leases) -> None:
    """Two connections of one session, which attached in the other order than they came."""
    here, gone = held(), held()
    leases.attach(here, limit=LIMIT)
    leases.attach(gone, limit=LIMIT)
    leases.detach(gone)

    assert leases.renew([gone]) == [False]
    assert leases.renew([here]) == [True]
    assert leases.state(here) == "attached"


def test_a_lease_that_is_renewed_does_not_end(leases: Leases, still: Clock) -> None:
    one = online(leases)

    for _ in range(100):
        still.advance(SWEEP)
        assert leases.renew([one]) == [True]
        assert leases.sweep(10) == []


def test_the_leases_of_a_worker_that_was_killed_last_lease_seconds(leases: Leases, still: Clock) -> None:
    one = online(leases)
    sweeps(leases, still, SWEEP)
    leases.renew([one])

    assert sweeps(leases, still, LEASE + SWEEP) == []
    assert sweeps(leases, still, SWEEP) == [Lapsed("user:1", "s1")]


def test_renewing_tells_of_each_lease_whether_it_is_held(leases: Leases) -> None:
    mine, lost = attached(leases, "s1"), attached(leases, "s2")
    attached(leases, "s2")
    other = attached(leases, "s1", holder="user:2")

    assert leases.renew([mine, lost, other]) == [True, False, True]
    assert leases.renew([]) == []


def test_renewing_reopens_a_lease_that_the_store_lost(leases: Leases, still: Clock) -> None:
    one = held()

    assert leases.renew([one]) == [True]
    assert statuses(told(leases)) == ["online"]
    assert leases.attach(held(), limit=LIMIT).replaced == one.connection


def test_renewing_reopens_a_lease_that_ended_while_its_worker_slept(leases: Leases, still: Clock) -> None:
    one = online(leases)
    sweeps(leases, still, ATTACHED)
    told(leases)

    assert leases.renew([one]) == [True]
    assert statuses(told(leases)) == ["online"]


@pytest.mark.parametrize("drop", [lambda leases, one: leases.drop(one), lambda leases, one: leases.end(one.holder)])
def test_a_late_renewal_does_not_bring_back_what_was_dropped(
    leases: Leases, drop: Callable[[Leases, Held], bool]
) -> None:
    one = online(leases)
    drop(leases, one)
    told(leases)

    assert leases.renew([one]) == [False]
    assert leases.claim(10) == []


def test_who_said_goodbye_may_come_back(leases: Leases) -> None:
    leases.drop(online(leases))
    told(leases)
    one = attached(leases)

    assert leases.renew([one]) == [True]
    assert statuses(told(leases)) == ["online"]


# Ending


def test_saying_goodbye_ends_the_lease_at_once(leases: Leases) -> None:
    one = online(leases)

    assert leases.drop(one)
    assert statuses(told(leases)) == ["offline"]
    assert leases.sweep(10) == []


def test_a_holder_is_online_until_the_last_lease_ends(leases: Leases, still: Clock) -> None:
    online(leases, "s1")
    two = attached(leases, "s2")

    leases.drop(two)
    assert leases.claim(10) == []
    assert sweeps(leases, still, ATTACHED) == [Lapsed("user:1", "s1")]
    assert statuses(told(leases)) == ["offline"]


def test_all_leases_of_a_holder_end_at_once(leases: Leases) -> None:
    one = online(leases, "s1")
    attached(leases, "s2")
    leases.detach(one)

    assert leases.end("user:1")
    assert statuses(told(leases)) == ["offline"]
    assert not leases.end("user:1")


def test_a_sweep_gives_out_up_to_its_limit(leases: Leases, still: Clock) -> None:
    expected = {Lapsed(f"user:{holder}", lease) for holder in range(5) for lease in ("a", "b", "c")}
    for holder, lease in expected:
        attached(leases, lease, holder=holder)
    still.advance(ATTACHED)

    parts = [leases.sweep(4) for _ in range(5)]

    assert [len(part) for part in parts] == [4, 4, 4, 3, 0]
    assert set(itertools.chain(*parts)) == expected


def test_a_sweep_passes_by_who_was_renewed(leases: Leases, still: Clock) -> None:
    """However many of them there are: its limit is of those that end."""
    living = [attached(leases, holder=f"user:{number}") for number in range(1200)]
    attached(leases, holder="user:dead")
    still.advance(ATTACHED / 2)
    leases.renew(living)
    still.advance(ATTACHED / 2)

    assert leases.sweep(1) == [Lapsed("user:dead", "s1")]


def test_several_sweepers_give_out_each_end_once(leases: Leases, still: Clock, hasty_threads: None) -> None:
    for number in range(1000):
        attached(leases, f"s{number % 3}", holder=f"user:{number // 3}")
    still.advance(ATTACHED)

    def sweep_all() -> list[Lapsed]:
        return list(itertools.chain(*iter(lambda: leases.sweep(7), [])))

    lapsed = list(itertools.chain(*at_once([sweep_all] * 3)))

    assert len(lapsed) == 1000
    assert len(set(lapsed)) == 1000


def test_time_in_which_nobody_swept_does_not_count(leases: Leases, still: Clock) -> None:
    """Else a deployment of a minute would end what had ten seconds left, and nobody could have come back."""
    leases.detach(online(leases))
    sweeps(leases, still, LEASE - 10)
    still.advance(60)

    assert leases.sweep(10) == []
    assert sweeps(leases, still, 60 - SWEEP) == []
    assert sweeps(leases, still, SWEEP) == [Lapsed("user:1", "s1")]


def test_after_a_long_pause_everybody_has_lease_seconds(leases: Leases, still: Clock) -> None:
    online(leases, holder="user:1")
    online(leases, holder="user:2")
    leases.sweep(10)
    still.advance(24 * 3600)

    assert leases.sweep(10) == []
    leases.attach(held(holder="user:1"), limit=LIMIT)
    assert sweeps(leases, still, LEASE - SWEEP) == []
    assert sweeps(leases, still, SWEEP) == [Lapsed("user:2", "s1")]


def test_a_clock_that_is_behind_is_no_pause(leases: Leases, still: Clock) -> None:
    """Two workers whose clocks differ sweep in turn."""
    leases.detach(online(leases))
    for _ in range(18):
        still.advance(-20)
        leases.sweep(10)
        still.advance(20 + SWEEP)
        leases.sweep(10)

    assert statuses(told(leases)) == ["offline"]


# The limit


def test_no_more_leases_than_the_limit_are_attached(leases: Leases) -> None:
    for number in range(3):
        leases.attach(held(f"s{number}"), limit=3)
    told(leases)

    with pytest.raises(TooMany):
        leases.attach(held("s3"), limit=3)

    assert leases.renew([held("s0")]) == [False]
    assert leases.attach(held("s3"), limit=4).is_new


def test_the_limit_refuses_no_lease_that_lives(leases: Leases) -> None:
    attached(leases, "s1")
    detached = attached(leases, "s2")
    leases.detach(detached)
    attached(leases, "s3")

    assert not leases.attach(held("s1"), limit=1).is_new
    assert not leases.attach(held("s2"), limit=1).is_new


def test_detached_leases_beyond_the_limit_end_the_oldest_first(leases: Leases, still: Clock) -> None:
    every = [attached(leases, name) for name in ("s1", "s2", "s3")]
    for one in (every[1], every[0], every[2]):
        leases.detach(one)
        still.advance(1)

    leases.attach(held("s4"), limit=3)
    leases.attach(held("s5"), limit=3)

    assert not leases.attach(held("s3"), limit=LIMIT).is_new
    assert leases.attach(held("s1"), limit=LIMIT).is_new
    assert leases.attach(held("s2"), limit=LIMIT).is_new


def test_nothing_is_left_of_a_holder_that_was_refused(leases: Leases) -> None:
    with pytest.raises(TooMany):
        leases.attach(held(), limit=0)

    assert leases.claim(10) == []


# Away


def test_a_holder_is_away_when_all_leases_are(leases: Leases) -> None:
    online(leases, "s1")
    attached(leases, "s2")

    assert not leases.set_away("user:1", "s1", away=True)
    assert leases.set_away("user:1", "s2", away=True)
    assert statuses(told(leases)) == ["away"]
    assert leases.set_away("user:1", "s1", away=False)
    assert statuses(told(leases)) == ["online"]


def test_all_leases_of_a_holder_are_declared_at_once(leases: Leases) -> None:
    online(leases, "s1")
    attached(leases, "s2")

    assert leases.set_away("user:1", None, away=True)
    assert statuses(told(leases)) == ["away"]
    assert leases.set_away("user:1", None, away=False)
    assert statuses(told(leases)) == ["online"]


def test_who_does_nothing_is_away_after_a_while(leases: Leases, still: Clock) -> None:
    one = online(leases)

    def pass_by(seconds: float) -> list[Status]:
        for _ in range(round(seconds / SWEEP)):
            leases.renew([one])
            assert sweeps(leases, still, SWEEP) == []
        return statuses(told(leases))

    assert pass_by(AWAY - SWEEP) == []
    leases.set_away("user:1", "s1", away=False)
    assert pass_by(AWAY - SWEEP) == []
    assert pass_by(SWEEP) == ["away"]
    assert pass_by(2 * AWAY) == []


def test_coming_back_is_no_activity(leases: Leases, still: Clock) -> None:
    one = online(leases)
    leases.set_away("user:1", "s1", away=True)
    told(leases)
    leases.detach(one)

    assert leases.attach(held(), limit=LIMIT) == (False, None, False)
    assert leases.claim(10) == []


def test_a_new_lease_is_active(leases: Leases) -> None:
    online(leases, "s1")
    leases.set_away("user:1", None, away=True)
    told(leases)

    assert leases.attach(held("s2"), limit=LIMIT).changed
    assert statuses(told(leases)) == ["online"]


def test_declaring_what_is_not_there_changes_nothing(leases: Leases) -> None:
    online(leases)

    assert not leases.set_away("user:1", "s9", away=True)
    assert leases.claim(10) == []


# Telling


def test_a_change_that_was_undone_is_never_told(leases: Leases) -> None:
    leases.drop(attached(leases))
    assert leases.claim(10) == []

    online(leases)
    leases.set_away("user:1", None, away=True)
    leases.set_away("user:1", None, away=False)
    assert leases.claim(10) == []


def test_each_change_is_claimed_once(leases: Leases) -> None:
    attached(leases)

    assert len(leases.claim(10)) == 1
    assert leases.claim(10) == []


def test_an_unconfirmed_change_comes_again_with_the_same_version(leases: Leases, still: Clock) -> None:
    one = attached(leases)
    first = leases.claim(10)
    leases.drop(one)

    still.advance(CLAIM_SECONDS - 0.001)
    assert leases.claim(10) == []
    still.advance(0.001)
    assert leases.claim(10) == first
    assert leases.claim(10) == []


def test_what_changed_while_it_was_told_is_told_next(leases: Leases) -> None:
    one = attached(leases)
    first = leases.claim(10)
    leases.drop(one)
    assert leases.claim(10) == []

    leases.confirm(first)
    [second] = leases.claim(10)

    assert second.status == "offline"
    assert second.version > first[0].version


def test_what_was_undone_while_it_was_told_is_told_never(leases: Leases) -> None:
    one = online(leases)
    leases.drop(one)
    offline = leases.claim(10)
    attached(leases)
    leases.end("user:1")
    leases.confirm(offline)

    assert leases.claim(10) == []


def test_confirming_late_or_twice_changes_nothing(leases: Leases) -> None:
    one = attached(leases)
    first = told(leases)
    leases.drop(one)
    second = leases.claim(10)

    leases.confirm(first)
    assert leases.statuses(["user:1"]) == [("offline", second[0].version)]
    leases.confirm(second)
    leases.confirm(second)
    leases.confirm(first)

    assert leases.claim(10) == []


def test_something_to_claim_is_said_once(leases: Leases, still: Clock) -> None:
    """Who is told of a change claims it; nobody else has to."""
    assert leases.attach(held("s1"), limit=LIMIT).changed
    leases.claim(10)

    assert not leases.attach(held("s2"), limit=LIMIT).changed
    assert not leases.set_away("user:1", None, away=True)


def test_claims_are_given_out_oldest_first(leases: Leases, still: Clock) -> None:
    for number in (3, 1, 2):
        attached(leases, holder=f"user:{number}")
        still.advance(0.001)
    leases.tell_again("user:3")

    assert [change.holder for change in leases.claim(2)] == ["user:3", "user:1"]
    assert [change.holder for change in leases.claim(2)] == ["user:2"]


def test_the_limit_of_a_claim_is_of_changes(leases: Leases, still: Clock) -> None:
    """Holders whose change undid itself meanwhile are passed by."""
    away = [attached(leases, holder=f"user:{number}") for number in range(1200)]
    told(leases, 1200)
    for one in away:
        leases.set_away(one.holder, None, away=True)
    told(leases, 1200)
    for one in away:
        leases.set_away(one.holder, None, away=False)
    for _ in range(60):
        still.advance(SWEEP)
        leases.renew(away)
    attached(leases, holder="user:last")

    assert [change.holder for change in leases.claim(5)] == ["user:last"]


def test_a_status_is_told_again_when_that_is_asked(leases: Leases) -> None:
    one = online(leases)
    [before] = leases.statuses(["user:1"])
    leases.tell_again("user:1")

    [again] = told(leases)

    assert again.status == "online"
    assert again.version > before[1]
    assert leases.claim(10) == []
    leases.drop(one)
    assert statuses(told(leases)) == ["offline"]


def test_telling_again_while_it_is_told_is_not_lost(leases: Leases) -> None:
    attached(leases)
    first = leases.claim(10)
    leases.tell_again("user:1")
    leases.confirm(first)

    assert statuses(told(leases)) == ["online"]
    assert leases.claim(10) == []


def test_who_is_offline_is_told_again_too(leases: Leases) -> None:
    leases.tell_again("user:1")

    assert statuses(told(leases)) == ["offline"]
    assert leases.claim(10) == []


def test_a_status_is_what_was_told_or_is_being_told(leases: Leases) -> None:
    assert leases.statuses(["user:1", "user:2"]) == [("offline", 0), ("offline", 0)]
    one = attached(leases)
    assert leases.statuses(["user:1"]) == [("offline", 0)]

    [online] = leases.claim(10)
    assert leases.statuses(["user:1", "user:2"]) == [("online", online.version), ("offline", 0)]
    leases.confirm([online])
    leases.drop(one)
    assert leases.statuses(["user:1"]) == [("online", online.version)]
    [offline] = leases.claim(10)
    assert leases.statuses(["user:1"]) == [("offline", offline.version)]
    assert leases.statuses([]) == []


def test_a_holder_in_its_lease_is_still_online(leases: Leases, still: Clock) -> None:
    leases.detach(online(leases))
    sweeps(leases, still, LEASE - 1)

    assert leases.statuses(["user:1"])[0][0] == "online"


def test_a_version_is_at_least_the_time(leases: Leases, still: Clock) -> None:
    attached(leases)

    [change] = leases.claim(10)

    assert change.version >= still.now().timestamp() * 1000


@pytest.mark.parametrize("forgotten", [False, True])
def test_versions_rise_while_the_clock_stands_or_goes_back(leases: Leases, still: Clock, forgotten: bool) -> None:
    versions = []
    keeps = [] if forgotten else [attached(leases, "keeps")]
    for _ in range(5):
        one = attached(leases)
        versions += [change.version for change in told(leases)]
        leases.drop(one)
        for keep in keeps:
            leases.set_away(keep.holder, keep.lease, away=True)
        versions += [change.version for change in told(leases)]
        still.advance(-3)

    assert len(versions) == 10
    assert versions == sorted(set(versions))


# What is kept


def test_nothing_is_kept_of_who_is_gone(leases: Leases, still: Clock) -> None:
    one = online(leases, "s1")
    leases.detach(attached(leases, "s2"))
    leases.set_away("user:1", "s1", away=True)
    leases.tell_again("user:2")
    told(leases)
    assert kept(leases)

    leases.drop(one)
    sweeps(leases, still, max(LEASE, REMEMBER_ENDED_SECONDS))
    told(leases)

    assert kept(leases) == set()


def test_questions_and_refusals_leave_nothing(leases: Leases) -> None:
    with pytest.raises(TooMany):
        leases.attach(held(), limit=0)
    leases.detach(held())
    leases.drop(held())
    leases.end("user:1")
    leases.set_away("user:1", None, away=True)
    leases.statuses(["user:1"])
    leases.confirm([Change("user:1", "online", 7)])
    leases.drop(attached(leases, holder="user:2"))
    leases.restore([Change("user:1", "online", 7)])

    assert not any("user:" in name for name in kept(leases))


# A store that was lost


def test_one_is_asked_to_restore_a_new_store(make_leases: MakeLeases) -> None:
    leases = make_leases()

    assert leases.begin()
    assert not leases.begin()
    leases.restore([])
    assert not leases.begin()


def test_another_is_asked_when_the_first_does_not(make_leases: MakeLeases, still: Clock) -> None:
    leases = make_leases()
    leases.begin()

    still.advance(CLAIM_SECONDS)

    assert leases.begin()
    assert not leases.begin()


def test_nothing_is_told_before_a_new_store_was_restored(make_leases: MakeLeases) -> None:
    """Else everybody would be told of everybody again."""
    leases = make_leases()
    attached(leases)
    assert leases.claim(10) == []

    leases.restore([Change("user:1", "online", 7)])

    assert leases.claim(10) == []
    assert leases.statuses(["user:1"]) == [("online", 7)]


def test_who_was_here_has_lease_seconds_to_come_back(make_leases: MakeLeases, still: Clock) -> None:
    leases = make_leases()
    leases.begin()
    leases.restore([Change("user:1", "online", 7), Change("user:2", "online", 8), Change("user:3", "offline", 9)])
    assert leases.statuses(["user:1", "user:2", "user:3"]) == [("online", 7), ("online", 8), ("offline", 0)]

    assert leases.attach(held(holder="user:1"), limit=1) == (True, None, False)
    assert sweeps(leases, still, LEASE - 0.001) == []
    assert leases.claim(10) == []
    assert sweeps(leases, still, 0.001) == []
    [change] = told(leases)

    assert (change.holder, change.status) == ("user:2", "offline")


def test_who_comes_back_to_a_new_store_is_as_away_as_before(make_leases: MakeLeases, still: Clock) -> None:
    leases = make_leases()
    leases.restore([Change("user:1", "away", 7), Change("user:2", "away", 7)])

    leases.attach(held(holder="user:1"), limit=LIMIT)
    leases.renew([held(holder="user:2")])

    assert leases.claim(10) == []
    assert leases.set_away("user:1", None, away=False)


def test_coming_back_takes_the_place_of_the_waiting(make_leases: MakeLeases) -> None:
    leases = make_leases()
    leases.restore([Change("user:1", "online", 7)])

    leases.drop(attached(leases))

    assert statuses(told(leases)) == ["offline"]


def test_an_explicit_end_does_not_wait_for_who_was_here(make_leases: MakeLeases) -> None:
    leases = make_leases()
    leases.restore([Change("user:1", "online", 7)])

    assert leases.end("user:1")
    assert statuses(told(leases)) == ["offline"]


def test_versions_rise_across_a_lost_store(make_leases: MakeLeases, still: Clock) -> None:
    """Also when the clock went back."""
    first = make_leases()
    first.restore([])
    here, gone = online(first, holder="user:1"), online(first, holder="user:2")
    first.drop(gone)
    known = [Change(here.holder, *first.statuses(["user:1"])[0]), *told(first)]
    still.advance(-3600)

    second = make_leases()
    second.begin()
    second.restore(known)
    second.drop(attached(second, holder="user:1"))
    attached(second, holder="user:2")
    changes = {change.holder: change for change in told(second)}

    assert [(change.status, changes[change.holder].status) for change in known] == [
        ("online", "offline"),
        ("offline", "online"),
    ]
    assert all(changes[change.holder].version > change.version for change in known)


def test_only_a_new_store_is_restored(leases: Leases) -> None:
    """Who was slow to restore would bring back what was told before."""
    leases.drop(online(leases))
    told(leases)

    leases.restore([Change("user:1", "online", 7)])

    assert leases.statuses(["user:1"]) == [("offline", 0)]
    assert leases.claim(10) == []


# All at once


def test_of_concurrent_connections_one_holds_the_lease(leases: Leases, hasty_threads: None) -> None:
    for _ in range(50):
        every = [held(worker=f"w{number}") for number in range(8)]
        answers = at_once([partial(leases.attach, one, limit=1) for one in every])

        holding = [one for one, kept in zip(every, leases.renew(every), strict=True) if kept]
        replaced = {answer.replaced for answer in answers if answer.replaced}
        assert len(holding) == 1
        assert replaced >= {one.connection for one in every} - {holding[0].connection}


def test_an_attach_wins_against_the_end_of_the_connection_before(leases: Leases, hasty_threads: None) -> None:
    for number in range(100):
        old = attached(leases, holder=f"user:{number}")
        new = held(holder=old.holder)
        end = leases.detach if number % 2 else leases.drop
        jobs: list[Callable[[], object]] = [partial(leases.attach, new, limit=1), partial(end, old)]
        at_once(jobs)

        assert leases.renew([new, old]) == [True, False]


def test_workers_that_claim_at_once_share_the_changes(leases: Leases, hasty_threads: None) -> None:
    for number in range(1000):
        attached(leases, holder=f"user:{number}")

    def tell_all() -> list[Change]:
        changes = []
        while claimed := leases.claim(7):
            changes += claimed
            leases.confirm(claimed)
        return changes

    changes = list(itertools.chain(*at_once([tell_all] * 3)))

    assert Counter(change.holder for change in changes) == {f"user:{number}": 1 for number in range(1000)}


def test_changes_alternate_whatever_happens_at_once(leases: Leases, still: Clock, hasty_threads: None) -> None:
    """Sessions come and go on two workers, which both tell; now and then one dies before it confirms."""
    log: defaultdict[str, dict[int, Status]] = defaultdict(dict)

    def live(seed: int) -> None:
        of = random.Random(seed)
        mine: list[Held] = []
        for _ in range(300):
            match of.randrange(5):
                case 0 | 1:
                    mine.append(held(f"s{of.randrange(3)}", holder=f"user:{of.randrange(3)}", worker=f"w{seed}"))
                    leases.attach(mine[-1], limit=LIMIT)
                case 2 if mine:
                    leases.drop(mine.pop(of.randrange(len(mine))))
                case 3:
                    leases.set_away(f"user:{of.randrange(3)}", None, away=of.random() < 0.5)
                case 4:
                    still.advance(1)
                    changes = leases.claim(2)
                    for change in changes:
                        log[change.holder][change.version] = change.status
                    if of.random() < 0.9:
                        leases.confirm(changes)

    at_once([partial(live, seed) for seed in range(4)])

    assert sum(map(len, log.values())) > 30
    for changes in log.values():
        in_order = [changes[version] for version in sorted(changes)]
        assert all(one != other for one, other in itertools.pairwise(["offline", *in_order]))


Modelled = tuple[Connection | None, bool, float, float]


class Anything(RuleBasedStateMachine):
    """Whatever is done in whichever order: what the store answers and gives out is what a simple model says."""

    make: MakeLeases
    still: Clock

    holders = st.sampled_from(["user:1", "user:2"])
    sessions = st.sampled_from(["s1", "s2", "s3"])

    @initialize()
    def start(self) -> None:
        self.store = self.make()
        self.store.restore([])
        self.every: list[Held] = []
        self.ended: dict[Connection, float] = {}
        # [last connection, whether it is attached, ends at, away at]; under "" what waits for somebody to come back
        self.living: defaultdict[str, dict[str, Modelled]] = defaultdict(dict)
        self.log: defaultdict[str, list[Change]] = defaultdict(list)
        self.asked_again: set[str] = set()
        self.unconfirmed: list[Change] = []

    @rule(holder=holders, session=sessions, passing=st.booleans())
    def attach(self, holder: str, session: str, passing: bool) -> None:
        one = held(session, holder=holder)._replace(passing=passing)
        self.every.append(one)
        before = self.living[holder].get(session)

        answer = self.store.attach(one, limit=LIMIT)

        assert (answer.is_new, answer.replaced) == (before is None, before[0] if before and before[1] else None)
        self._open(one)

    @rule(data=st.data())
    def renew(self, data: st.DataObject) -> None:
        some = data.draw(st.lists(st.sampled_from(self.every), max_size=4)) if self.every else []

        answers = self.store.renew(some)

        for one, answer in zip(some, answers, strict=True):
            before = self.living[one.holder].get(one.lease)
            taken_again = before is not None and not before[1] and before[0] != one.connection
            reopened = before is None and one.connection not in self.ended
            assert answer == (self._holds(one) or taken_again or reopened)
            if answer:
                self._open(one)

    @rule(data=st.data(), drop=st.booleans())
    def end(self, data: st.DataObject, drop: bool) -> None:
        if self.every:
            one = data.draw(st.sampled_from(self.every))
            holds = self._holds(one)
            assert (self.store.drop if drop else self.store.detach)(one) == holds
            if holds and drop:
                self._forget(one.connection)
                del self.living[one.holder][one.lease]
            elif holds:
                *_, away_at = self.living[one.holder][one.lease]
                self.living[one.holder][one.lease] = (one.connection, False, self._now() + LEASE, away_at)

    @rule(data=st.data())
    def look(self, data: st.DataObject) -> None:
        if self.every:
            one = data.draw(st.sampled_from(self.every))
            connection, is_attached, *_ = self.living[one.holder].get(one.lease, (None, False, 0, 0))
            own = connection == one.connection
            assert self.store.state(one) == (("attached" if is_attached else "detached") if own else "other")

    @rule(holder=holders)
    def drop_all(self, holder: str) -> None:
        assert self.store.end(holder) == bool(self.living[holder])
        for connection, *_ in self.living.pop(holder, {}).values():
            self._forget(connection)

    @rule(holder=holders, session=st.none() | sessions, away=st.booleans())
    def set_away(self, holder: str, session: str | None, away: bool) -> None:
        self.store.set_away(holder, session, away=away)
        for name, (connection, is_attached, ends_at, _) in self.living[holder].items():
            if session in (None, name):
                away_at = 0 if away else self._now() + AWAY
                self.living[holder][name] = (connection, is_attached, ends_at, away_at)

    @rule(holder=holders)
    def tell_again(self, holder: str) -> None:
        self.store.tell_again(holder)
        self.asked_again.add(holder)

    @rule(seconds=st.sampled_from([0.5, SWEEP, LEASE / 2, LEASE - 1, LEASE, ATTACHED, AWAY]))
    def pass_by(self, seconds: float) -> None:
        lapsed = sweeps(self.store, self.still, seconds)

        ended = [
            Lapsed(holder, session)
            for holder, sessions in self.living.items()
            for session, (_, _, ends_at, _) in sessions.items()
            if ends_at <= self._now()
        ]
        for holder, session in ended:
            del self.living[holder][session]
        self.ended = {connection: until for connection, until in self.ended.items() if until > self._now()}
        assert sorted(lapsed) == sorted(one for one in ended if one.lease)

    @rule(limit=st.integers(1, 3), confirm=st.booleans())
    def tell(self, limit: int, confirm: bool) -> None:
        changes = self.store.claim(limit)
        for change in changes:
            self._check(change)
        if confirm:
            self.store.confirm(changes)
        else:
            self.unconfirmed += changes

    @rule()
    def confirm_late(self) -> None:
        self.store.confirm(self.unconfirmed)
        self.unconfirmed.clear()

    @rule()
    def lose_the_store(self) -> None:
        self.store = self.make()
        assert self.store.begin()
        self.store.restore([changes[-1] for changes in self.log.values()])
        self.living.clear()
        self.asked_again.clear()
        self.ended.clear()
        for holder, changes in self.log.items():
            if changes[-1].status != "offline":
                away_at = 0 if changes[-1].status == "away" else self._now() + AWAY
                self.living[holder][""] = (None, False, self._now() + LEASE, away_at)

    def teardown(self) -> None:
        """In the end everything is told, and nothing remains."""
        if not hasattr(self, "store"):
            return
        self._tell_all()
        for holder, sessions in self.living.items():
            assert (self.log[holder][-1].status if self.log[holder] else "offline") == self._status(sessions)
        self.pass_by(ATTACHED)
        self._tell_all()
        assert kept(self.store) == set()

    def _tell_all(self) -> None:
        self.pass_by(CLAIM_SECONDS)
        for _ in range(4):
            self.tell(10, confirm=True)
        assert self.store.claim(10) == []

    def _check(self, change: Change) -> None:
        log = self.log[change.holder]
        if log and change.version == log[-1].version:
            assert change == log[-1]
            return
        last = log[-1] if log else Change(change.holder, "offline", 0)
        assert change.version > last.version
        assert change.status == self._status(self.living[change.holder])
        assert change.status != last.status or change.holder in self.asked_again
        self.asked_again.discard(change.holder)
        log.append(change)

    def _forget(self, connection: Connection | None) -> None:
        if connection:
            self.ended[connection] = self._now() + REMEMBER_ENDED_SECONDS

    def _open(self, one: Held) -> None:
        of = self.living[one.holder]
        waiting = of.pop("", None) or (None, False, 0, self._now() + AWAY)
        *_, away_at = of.get(one.lease, waiting)
        of[one.lease] = (one.connection, not one.passing, self._now() + ATTACHED, away_at)

    def _holds(self, one: Held) -> bool:
        connection, is_attached, *_ = self.living[one.holder].get(one.lease, (None, False, 0, 0))
        return connection == one.connection and is_attached is not one.passing

    def _status(self, sessions: dict[str, Modelled]) -> Status:
        if not sessions:
            return "offline"
        return "online" if any(away_at > self._now() for *_, away_at in sessions.values()) else "away"

    def _now(self) -> float:
        return self.still.now().timestamp()


def test_any_order_of_calls_keeps_the_guarantees(make_leases: MakeLeases, still: Clock) -> None:
    kind = type("AnythingHere", (Anything,), {"make": staticmethod(make_leases), "still": still})
    run_state_machine_as_test(
        kind,
        settings=settings(
            max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )


# Outages of Redis


def test_an_outage_raises_unavailable_and_a_new_redis_is_filled_again(still: Clock) -> None:
    with services.redis_server() as server:
        redis = RedisConnection(server.url)
        leases = RedisLeases(redis, lease_seconds=LEASE, away_seconds=AWAY, sweep_seconds=SWEEP)
        leases.begin()
        leases.restore([])
        one = online(leases)
        known = [Change("user:1", *leases.statuses(["user:1"])[0])]
        server.kill()
        calls: list[Callable[[], object]] = [
            partial(leases.attach, one, limit=LIMIT),
            partial(leases.renew, [one]),
            partial(leases.detach, one),
            partial(leases.drop, one),
            partial(leases.end, "user:1"),
            partial(leases.set_away, "user:1", None, away=True),
            partial(leases.tell_again, "user:1"),
            partial(leases.statuses, ["user:1"]),
            partial(leases.sweep, 10),
            partial(leases.claim, 10),
            partial(leases.confirm, known),
            partial(leases.begin),
            partial(leases.restore, known),
        ]
        for call in calls:
            with pytest.raises(Unavailable):
                call()

        server.start()
        redis.client.ping()
        redis._down_until = 0.0

        assert leases.begin()
        leases.restore(known)
        assert leases.renew([one]) == [True]
        assert leases.claim(10) == []
        redis.client.close()
