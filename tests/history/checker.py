"""Compares every log with every other, with what was acknowledged and with the database (contract, section 9)."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.history import leaks, presences
from tests.history.journal import Booted, Connected, Got, Journal, Log
from tests.history.people import Person
from tests.history.state import Facts
from tests.history.truth import Row, Truth


def check(journal: Journal, people: Sequence[Person], truth: Truth, *, lease_seconds: float) -> None:
    """Note every violation in the journal."""
    stored = truth.messages()
    _check_acknowledged(journal, people, stored, truth)
    _check_mentions(journal, people, truth.mentions())
    for log in journal.logs:
        for window in _windows(log):
            _check_window(log, window, stored, journal)
    _check_same_order(journal)
    _check_same_log(journal)
    leaks.check(journal)
    presences.check(journal, lease_seconds)


def check_state(name: str, shown: Facts, fresh: Facts, journal: Journal) -> None:
    """I2: what a client shows after all that equals a fresh login."""
    if shown.keys() != fresh.keys():
        journal.violation("state", f"{name} shows the channels {list(shown)}, a fresh login {list(fresh)}")
    for pk in shown.keys() & fresh.keys():
        for what, value in fresh[pk].items():
            if shown[pk][what] != value:
                journal.violation("state", f"{name} shows in {pk} {what} {_difference(shown[pk][what], value)}")


def _difference(shown: Any, fresh: Any) -> str:
    if not isinstance(shown, dict):
        return f"{shown} instead of {fresh}"
    keys = [key for key in sorted(shown.keys() | fresh.keys()) if shown.get(key) != fresh.get(key)]
    return "; ".join(f"{key}: {shown.get(key)} instead of {fresh.get(key)}" for key in keys[:5])


def _check_acknowledged(journal: Journal, people: Sequence[Person], stored: dict[int, Row], truth: Truth) -> None:
    """I7 and I8: what was acknowledged is in the database as it was acknowledged, once."""
    members, reactions = truth.members(), truth.reactions()
    for message in journal.messages.values():
        row = stored.get(message.id)
        body = "" if message.deleted_at is not None else message.texts[-1].body
        wanted = (message.channel_id, message.author_id, message.client_msg_id, body, message.deleted_at is not None)
        if row is None or row[1:] != wanted:
            journal.violation("lost", f"message {message.id} was acknowledged as {wanted}, stored is {row}")
        given = set() if message.deleted_at is not None else message.reactions
        if differing := (given ^ reactions[message.id]) - message.unsure:
            journal.violation("lost", f"of message {message.id} these reactions are not as acknowledged: {differing}")
    keys = {message.client_msg_id: message.id for message in journal.messages.values()}
    for row in stored.values():
        if keys.get(row.client_msg_id, row.id) != row.id:
            journal.violation("twice", f"{row.client_msg_id} is stored as {row.id} and as {keys[row.client_msg_id]}")
    for person in people:
        if (stored_in := {channel for user, channel in members if user == person.id}) != person.joined:
            journal.violation("lost", f"{person.name} is in {stored_in}, acknowledged was {person.joined}")
    _check_people(journal, people, truth)


def _check_people(journal: Journal, people: Sequence[Person], truth: Truth) -> None:
    cursors, roles, names = truth.cursors(), truth.roles(), truth.display_names()
    for person in people:
        for pk, last_read_id in person.cursors.items():
            if cursors.get((person.id, pk)) != last_read_id:
                told = f"in {pk} up to {last_read_id}, stored is {cursors.get((person.id, pk))}"
                journal.violation("lost", f"{person.name} has read {told}")
        if not person.manages and roles.get(person.id, "") != person.role:
            journal.violation("lost", f"{person.name} was made {person.role!r}, stored is {roles.get(person.id)}")
        if person.shown_name and names[person.id] != person.shown_name:
            journal.violation("lost", f"{person.name} is called {names[person.id]!r}, and said {person.shown_name!r}")
    if (stored := truth.audited()) != journal.audited:
        journal.violation("audit", f"{journal.audited} deeds belong into the audit log, it has {stored}")


def _check_mentions(journal: Journal, people: Sequence[Person], stored: set[tuple[int, int]]) -> None:
    """Whom a text names who is in the channel, and nobody else, as far as it is known who was there then."""
    for message in journal.messages.values():
        text = message.texts[-1]
        for person in people:
            named = message.deleted_at is None and person.id != message.author_id
            by_name = named and person.id in text.names
            meant = by_name or (named and text.everybody)
            moment = text.asked_at, text.since
            away = journal.away.of(person.id, message.channel_id)
            muted = [] if by_name else journal.muted.of(person.id, message.channel_id)
            if (message.id, person.id) in stored:
                journal.count("mentions")
                if not meant or any(one.covers(*moment) for one in [*away, *muted]):
                    journal.violation("mention", f"{person.name} is named by {message} and should not be: {away}")
            elif meant and not any(one.touches(*moment) for one in [*away, *muted]):
                journal.violation("mention", f"{person.name} is not named by {message}: {away}")


@dataclass
class _Window:
    """From one fetch of the whole state to the next: in it nothing may be missing, and nothing may come twice."""

    latest: dict[int, int] = field(default_factory=dict)
    events: list[Got] = field(default_factory=list)
    last: bool = False


def _windows(log: Log) -> Iterator[_Window]:
    window = _Window()
    for line in log.lines:
        match line:
            case Connected(mode="fresh" | "resume_failed"):
                yield window
                window = _Window()
            case Booted(latest=latest, whole=True):
                window.latest = dict(latest)
            case Got():
                window.events.append(line)
    window.last = True
    yield window


def _check_window(log: Log, window: _Window, stored: dict[int, Row], journal: Journal) -> None:
    journal.count("events delivered", len(window.events))
    seen: set[tuple[Any, ...]] = set()
    stamps: dict[int, str] = {}
    for got in window.events:
        if got.name == "redacted":
            journal.count("events redacted")
            continue
        if got.key in seen:
            journal.violation("twice", f"{log.name} was told of {got.key} twice")
        seen.add(got.key)
        pk = got.channel_id
        if pk is None or got.name == "read.updated":
            continue
        if got.stamp < stamps.get(pk, ""):
            journal.violation("order", f"{log.name} was told of {got.key} after something of {stamps[pk]}")
        stamps[pk] = got.stamp
    for stay in _stays(window):
        if stay.ended_at is not None or window.last or not stay.redacted:
            # Else they had left perhaps, and were not told of the removal any more in this window.
            _check_created(log, stay, stored, journal)


@dataclass
class _Stay:
    """A time in a channel, within a window: the messages whose creation was told, in the order of the telling."""

    channel_id: int
    known: int | None
    """The newest message that was known before, if the log says it."""
    told: list[tuple[int, float]] = field(default_factory=list)
    ended_at: float | None = None
    redacted: bool = False


def _stays(window: _Window) -> list[_Stay]:
    stays: list[_Stay] = []
    now_in: dict[int, _Stay] = {}
    redacted = False

    def stay_in(pk: int) -> _Stay:
        if pk not in now_in:
            # What was redacted before the first message here may have been one, too.
            now_in[pk] = _Stay(pk, window.latest.get(pk), redacted=redacted)
            stays.append(now_in[pk])
        return now_in[pk]

    for got in window.events:
        match got.name, got.channel_id:
            case "redacted", _:
                redacted = True
                for stay in now_in.values():
                    stay.redacted = True
            case "channel.added", int(pk):
                stays.append(now_in.setdefault(pk, _Stay(pk, got.data["channel"]["latest_message_id"])))
            case "channel.removed", int(pk):
                stay_in(pk).ended_at = got.at
                del now_in[pk]
            case "message.created", int(pk):
                stay_in(pk).told.append((got.data["message"]["id"], got.at))
    return stays


def _check_created(log: Log, stay: _Stay, stored: dict[int, Row], journal: Journal) -> None:
    """In a stay no message is left out and none comes before an older one."""
    told = [pk for pk, _ in stay.told]
    if told != sorted(told):
        journal.violation("order", f"{log.name} was told of the messages of {stay.channel_id} in the order {told}")
    if stay.ended_at is not None:
        # Who leaves has no right any more to what was said before and is told after: some of it comes, some does not.
        left = journal.away.of(log.user_id, stay.channel_id)
        asked_at = max((one.asked_at for one in left if one.asked_at < stay.ended_at), default=0.0)
        told = [pk for pk, at in stay.told if at < asked_at]
    if not told:
        return
    first = min(told[0], told[0] if stay.known is None else stay.known + 1)
    wanted = {
        row.id
        for row in stored.values()
        if row.channel_id == stay.channel_id
        and first <= row.id <= max(told)
        # Deleted while it waited for a slow reader, its creation comes redacted.
        and not (stay.redacted and row.deleted)
    }
    if missing := wanted - set(told):
        rows = [stored[pk] for pk in sorted(missing)]
        journal.violation("lost", f"{log.name} was never told of {rows}, told was {told}, {stay}")


def _check_same_order(journal: Journal) -> None:
    """I1: the events of a channel come in one order, the same for everybody."""
    before: set[tuple[Any, Any]] = set()
    for log in journal.logs:
        for window in _windows(log):
            last: dict[int, Got] = {}
            for got in window.events:
                pk = got.channel_id
                if pk is None or got.name == "read.updated":
                    continue
                if pk in last and last[pk].stamp == got.stamp:
                    before.add((last[pk].key, got.key))
                last[pk] = got
    for one, other in before:
        if (other, one) in before and one != other:
            journal.violation("order", f"{one} and {other} came in both orders")


def _check_same_log(journal: Journal) -> None:
    """Contract 2.6: sessions of one user have identical logs, whichever worker and transport brought them."""
    known: dict[tuple[int, str, int], tuple[Any, ...]] = {}
    for log in journal.logs:
        for got in _events(log.lines):
            if got.name != "redacted":
                place = (log.user_id, got.epoch, got.seq)
                if known.setdefault(place, got.key) != got.key:
                    journal.violation("order", f"{log.name} has {got.key} where another session has {known[place]}")


def _events(lines: Iterable[object]) -> Iterator[Got]:
    return (line for line in lines if isinstance(line, Got))
