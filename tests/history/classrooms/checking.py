"""Compares what the members of one classroom saw, with each other and with what was acknowledged."""

from collections.abc import Iterable, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise

from tests.history.classrooms.records import INFINITE, Fired, Log, Room, Stay
from tests.history.journal import Journal

PLACED_SECONDS = 5.0
"""After it was acknowledged an event is in the log, whatever happened: a sweep takes a part of it."""
TROUBLED_SECONDS = 3.0
"""After Redis is back all workers have noticed."""
SHOWN = 5


def check(logs: Sequence[Log], journal: Journal) -> None:
    """Note every violation in the journal."""
    order = _order(logs, journal)
    for log in logs:
        _check_once(log, journal)
        _check_senders_order(log, journal)
        _check_gaps(log, journal)
        if log.logged:
            _check_polled(log, order, journal)
        for stay in log.stays:
            _check_stay(log, stay, order, journal)
    _check_one_order(logs, journal)
    _check_one_log(logs, journal)


def check_values(room: Room, stored: Mapping[tuple[str, str], str], journal: Journal) -> None:
    """What was acknowledged last of each key is stored, or what had no answer."""
    for at, value in room.values.items():
        if stored.get(at, "") not in {value.acked, *value.unsure}:
            told = f"{at} of {room.place} is {stored.get(at)!r}, acknowledged was {value.acked!r}"
            journal.violation("classroom lost", f"{told}, unsure are {sorted(value.unsure)}")
    if strange := stored.keys() - room.values.keys():
        journal.violation("classroom leak", f"{room.place} holds {strange}")


def _order(logs: Iterable[Log], journal: Journal) -> list[str]:
    """The log by its cursors, which are the same for all who poll."""
    cursors: dict[str, str] = {}
    for log in logs:
        for one in log.logged:
            if cursors.setdefault(one.name, one.cursor) != one.cursor:
                told = f"{one.name!r} is at {one.cursor} for {log.who}, elsewhere at {cursors[one.name]}"
                journal.violation("classroom order", told)
    return sorted(cursors, key=cursors.__getitem__)


def _check_once(log: Log, journal: Journal) -> None:
    seen: set[str] = set()
    for name in log.names:
        if name in seen:
            journal.violation("classroom twice", f"{log.who} saw {name!r} twice")
        seen.add(name)


def _check_senders_order(log: Log, journal: Journal) -> None:
    """What one member fired comes in the order of its order keys."""
    newest: dict[str, Fired] = {}
    for name in log.names:
        fired = log.room.fired.get(name)
        if fired is None:
            continue
        before = newest.get(fired.node_id, fired)
        if fired.number < before.number:
            journal.violation("classroom order", f"{log.who} saw {name!r} after {before.name!r}")
        newest[fired.node_id] = max(fired, before, key=lambda one: one.number)


def _check_gaps(log: Log, journal: Journal) -> None:
    """Our own doors say that something is missing only when Redis lost it."""
    for gap in log.gaps:
        emptied = any(one.back_at >= gap.known_at and one.asked_at <= gap.told_at for one in journal.outages)
        if not emptied or gap.how != "resume_failed, unknown_epoch":
            journal.violation("classroom lost", f"{log.who} was told {gap.how}, and Redis had lost nothing")


def _check_polled(log: Log, order: Sequence[str], journal: Journal) -> None:
    """Cursors and times rise, and nothing is missing but what Redis lost before it was polled."""
    for one, other in pairwise(log.logged):
        if other.cursor <= one.cursor:
            journal.violation("classroom order", f"{log.who} polled {other} after {one}")
        if other.stamp < one.stamp:
            journal.violation("classroom order", f"the times of {one} and {other} of {log.who} fall")
    seen = {one.name for one in log.logged}
    others = [log.room.fired[name] for name in order if name in log.room.fired]
    acknowledged = [fired for fired in log.room.fired.values() if fired.acked_at < INFINITE]
    missing = {fired for fired in [*others, *acknowledged] if fired.name not in seen}
    _tell_lost(log, [fired for fired in missing if not _lost_with_redis(fired, log, journal)], journal)
    journal.count("classroom events lost with Redis", sum(_lost_with_redis(fired, log, journal) for fired in missing))


def _lost_with_redis(fired: Fired, log: Log, journal: Journal) -> bool:
    """Whether it may have been in a log that Redis lost before this member polled it."""
    troubled = [(one.asked_at, one.back_at) for one in journal.outages] + journal.pauses
    calm = not any(begun <= fired.acked_at and fired.asked_at <= over + TROUBLED_SECONDS for begun, over in troubled)
    placed_at = fired.acked_at + (0 if calm and fired.at_once else PLACED_SECONDS)
    return any(
        fired.asked_at < one.gone_at and not any(placed_at < asked_at < one.asked_at for asked_at in log.drained)
        for one in journal.outages
    )


def _check_stay(log: Log, stay: Stay, order: Sequence[str], journal: Journal) -> None:
    """What is told is a piece of the log without a hole, from what was fired after the start on."""
    places = {name: place for place, name in enumerate(order)}
    told = [places[name] for name in stay.names if name in places]
    fired_since = [
        place for name, place in places.items() if name in log.room.fired and log.room.fired[name].asked_at > stay.since
    ]
    for one, other in pairwise(told):
        if other < one:
            journal.violation("classroom order", f"{log.who} was told {order[other]!r} after {order[one]!r}")
    last = len(order) - 1 if stay.until == INFINITE else max(told, default=-1)
    first = 0 if stay.first else min([*told, *fired_since], default=last + 1)
    missing = [order[place] for place in sorted({*range(first, last + 1)} - {*told})]
    lost = [log.room.fired[name] for name in missing if name in log.room.fired]
    if log.room.over:
        # Behind the end a poll says that all is over, and not that Redis lost what came before.
        emptied_at = max((one.gone_at for one in journal.outages if one.gone_at > stay.since), default=0.0)
        lost = [fired for fired in lost if fired.asked_at > emptied_at]
    _tell_lost(log, lost, journal)


def _check_one_order(logs: Sequence[Log], journal: Journal) -> None:
    """What two members saw they saw in the same order, whatever others missed."""
    before: dict[str, set[str]] = {}
    for log in logs:
        names = list(dict.fromkeys(log.names))
        for one, other in pairwise(names):
            before.setdefault(other, set()).add(one)
    try:
        TopologicalSorter(before).prepare()
    except CycleError as error:
        journal.violation("classroom order", f"members of {logs[0].room.place} saw two orders: {error.args[1]}")


def _check_one_log(logs: Sequence[Log], journal: Journal) -> None:
    """A place of the stream is the same for all who follow it."""
    known: dict[tuple[str, int], str] = {}
    for log in logs:
        for place, what in log.places.items():
            if known.setdefault(place, what) != what:
                journal.violation("classroom order", f"{log.who} has {what} at {place}, others {known[place]}")


def _tell_lost(log: Log, missing: Sequence[Fired], journal: Journal) -> None:
    if missing:
        shown = sorted(missing, key=lambda fired: fired.asked_at)[:SHOWN]
        journal.violation("classroom lost", f"{log.who} never saw {len(missing)}, as {shown}, {journal.outages}")
