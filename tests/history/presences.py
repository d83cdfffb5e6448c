"""I4: of one person, online and offline alternate and versions rise, short drops are not told, all agree in the end."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from tests.history.journal import Booted, Connected, Got, Journal, Log, Said
from tests.history.people import Person
from tests.history.state import Presence

TOLD_AGAIN_SECONDS = 20.0
"""How long after a text was set it may be told once more: a worker that dies keeps its claim for 10 s, and who sets it
and who announces it may meet outages of some seconds.
"""
UNCERTAIN_SECONDS = 2.5
"""A lease lasts LEASE_SECONDS from the end of its connection. If that was in an outage of Redis, it lasts two sweeps
longer from the last renewal, which the outage held up: so much less than LEASE_SECONDS.
"""
HELD_UP_SECONDS = 5.0
"""Whether guests are in a channel is asked when its event leaves the outbox, which an outage holds up."""
GOODBYE_SECONDS = 4.0
"""What asks Redis in a pause is done after it, in any order, as of the time when it asked: a goodbye may come first."""


def check(journal: Journal, lease_seconds: float) -> None:
    said: defaultdict[int, list[Said]] = defaultdict(list)
    for one in journal.said:
        said[one.user_id].append(one)
    for one in journal.came:
        if any(guest.touches(one.asked_at, one.since + HELD_UP_SECONDS) for guest in journal.guests):
            said[one.user_id].append(one)
    for log in journal.logs:
        _check_versions(log, journal)
        for window in _windows(log):
            _check_window(log, window, said, journal)
    _check_flaps(journal, lease_seconds - UNCERTAIN_SECONDS)


def disagreements(people: Sequence[Person], lists: Mapping[int, Mapping[int, Presence]]) -> Iterator[str]:
    """Where a fresh `presence.list`, by the id of who asked, is not the truth, or a session believes something else."""
    for observer in people:
        fresh = lists[observer.id]
        for person in people:
            listed = fresh.get(person.id)
            if listed is None or listed[1:] != (person.status, person.text, person.emoji):
                truth = person.status, person.text, person.emoji
                yield f"a list for {observer.name} has {listed} of {person.name}, true is {truth}"
            for session in observer.sessions:
                if session.here and (believed := session.state.presence.get(person.id)) != listed:
                    yield f"{session.name} believes {believed} of {person.name}, a fresh list says {listed}"


@dataclass
class _Window:
    """From one fetch of the whole state to the next: what was told of each user."""

    epoch: str = ""
    told: defaultdict[int, list[Got]] = field(default_factory=lambda: defaultdict(list))
    boot: Mapping[int, Presence] = field(default_factory=dict)
    before: Mapping[int, Presence] = field(default_factory=dict)
    """What was told last before, in the same epoch."""


def _windows(log: Log) -> Iterator[_Window]:
    window = _Window()
    told: dict[int, Presence] = {}
    for line in log.lines:
        match line:
            case Connected(mode="fresh" | "resume_failed", epoch=epoch):
                yield window
                if epoch != window.epoch:
                    told = {}
                window = _Window(epoch, before=dict(told))
            case Booted(presence=presence, whole=True):
                window.boot = presence
            case Booted(presence=presence):
                yield window
                # What was told while it was asked for may be newer.
                newest = {pk: max(known, told.get(pk, known)) for pk, known in presence.items()}
                window = _Window(window.epoch, boot=newest)
            case Got(name="presence.updated"):
                window.told[line.data["user_id"]].append(line)
                told[line.data["user_id"]] = Presence.of(line.data)
    yield window


def _check_versions(log: Log, journal: Journal) -> None:
    """Over the whole log, across every loss."""
    last: dict[int, int] = {}
    for got in _updates([log]):
        user_id, version = got.data["user_id"], got.data["version"]
        if version <= last.get(user_id, 0):
            journal.violation("presence order", f"{log.name} was told of {got.data} after {last[user_id]}")
        last[user_id] = version
        journal.count("changes of presence delivered")


def _check_window(log: Log, window: _Window, said: Mapping[int, list[Said]], journal: Journal) -> None:
    for user_id, before in window.before.items():
        booted = window.boot.get(user_id)
        if booted is not None and booted.version < before.version:
            journal.violation("presence order", f"{log.name} booted with {booted} of {user_id}, told was {before}")
    for user_id, told in window.told.items():
        for before, after in pairwise(_with(window.boot.get(user_id), told)):
            again = _told_again(said[user_id], _found_at(after.version, journal))
            if _out_of_sight(log, user_id, before, after, journal):
                continue
            if not (_follows(before, after) or (again and after[1:] == before[1:])):
                journal.violation("presence order", f"{log.name} was told of {user_id} {after} after {before}")


def _with(booted: Presence | None, told: Iterable[Got]) -> list[Presence]:
    """What was told, with what the state said at its place among it."""
    known = [Presence.of(got.data) for got in told]
    if booted is not None:
        place = next((place for place, one in enumerate(known) if one.version >= booted.version), len(known))
        known.insert(place, booted)
    return known


def _follows(before: Presence, after: Presence) -> bool:
    if after.version == before.version:
        # One of them is of the state, which has a text at once; the other one has that which was told.
        return after.status == before.status
    return after[1:] != before[1:]


def _told_again(said: Iterable[Said], at: float) -> bool:
    """Whether somebody had set a text, which may have been told with a change before and then by itself."""
    return any(one.asked_at <= at <= one.since + TOLD_AGAIN_SECONDS for one in said)


def _out_of_sight(log: Log, user_id: int, before: Presence, after: Presence, journal: Journal) -> bool:
    """Whether one of both was out of the workspace between, or who was told was a guest, who sees only some."""
    start, end = _found_at(before.version, journal), _found_at(after.version, journal)
    spells = [*journal.outside.of(user_id), *journal.outside.of(log.user_id), *journal.guests.of(log.user_id)]
    return any(one.touches(start - TOLD_AGAIN_SECONDS, end) for one in spells)


def _check_flaps(journal: Journal, drop_seconds: float) -> None:
    """Nobody is told to be offline who has just been in contact and did not say goodbye."""
    told = {(got.data["user_id"], got.data["version"]): got for got in _updates(journal.logs)}
    for (user_id, version), got in sorted(told.items(), key=lambda item: item[0]):
        if got.data["status"] != "offline":
            continue
        journal.count("people told to be offline")
        found_at = _found_at(version, journal)
        for log in journal.logs:
            if log.user_id == user_id and (seconds := _drop(log, found_at)) < drop_seconds:
                contacts = [contact for contact in log.contacts if contact.since <= found_at][-3:]
                journal.violation(
                    "presence flap",
                    f"{got.data} was found {seconds:.2f} s after a contact of {log.name}, at {found_at}: {contacts}",
                )


def _found_at(version: int, journal: Journal) -> float:
    """A change's version is when it was found. It may be told later, when it is no longer true."""
    return version / 1000 - journal.unix_at_zero


def _drop(log: Log, at: float) -> float:
    """For how long a session had not been in contact with any server then; for ever if it said goodbye."""
    contacts = [contact for contact in log.contacts if contact.since <= at]
    if not contacts or contacts[-1].bye_at < at + GOODBYE_SECONDS or any(at < one.bye_until for one in contacts):
        return float("inf")
    return max(0.0, at - contacts[-1].until)


def _updates(logs: Iterable[Log]) -> Iterator[Got]:
    return (line for log in logs for line in log.lines if isinstance(line, Got) and line.name == "presence.updated")
