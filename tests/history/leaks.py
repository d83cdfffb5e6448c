"""I3: nothing is told that the user may not read at that moment; a text that is gone never leaves again."""

from tests.history.journal import Connected, Got, Journal, Log, Message

IN_FLIGHT_SECONDS = 2.5
"""How long after its end something may still come live. An event that waited for less than a second leaves the outbox
as it was written; then a paused Redis may hold up the worker that sends it for a second, and the unreliable channel
layer for 0.2 s more. The rest is for busy machines. What a connection replays was read after the connection was asked
for, so there nothing is in flight.
"""


def check(journal: Journal) -> None:
    for log in journal.logs:
        _check_rights(log, journal)
        _check_workspace(log, journal)
        _check_removals(log, journal)
        _check_texts(log, journal)


def _check_rights(log: Log, journal: Journal) -> None:
    """Nothing of a channel to somebody who had left it or was removed."""
    away = [one for one in journal.away if one.user_id == log.user_id]
    for got in _events(log):
        if got.name == "channel.removed":
            continue
        for one in away:
            if one.channel_id == got.channel_id and _too_late(got, one.since) and got.at < one.until:
                journal.violation("leak", f"{log.name}, who had left {one.channel_id}, was told {got}")


def _check_workspace(log: Log, journal: Journal) -> None:
    """Nothing of a workspace, and of nobody there, to somebody who was out of it."""
    for one in journal.outside.of(log.user_id):
        for got in _events(log):
            others = got.about_user_id not in (None, log.user_id)
            about = others or got.name == "workspace.updated"
            if about and _too_late(got, one.since) and got.at < one.until:
                journal.violation("leak", f"{log.name}, who was out of the workspace, was told {got}")


def _check_removals(log: Log, journal: Journal) -> None:
    """Nothing of a channel between `channel.removed` and the next `channel.added`."""
    removed: set[int] = set()
    for line in log.lines:
        if isinstance(line, Connected) and line.mode != "resumed":
            removed.clear()
        if not isinstance(line, Got):
            continue
        pk = line.channel_id
        if line.name == "channel.removed" and pk is not None:
            removed.add(pk)
        elif line.name == "channel.added" and pk is not None:
            removed.discard(pk)
        elif pk in removed:
            journal.violation("leak", f"{log.name} was told {line} after the removal from {pk}")


def _check_texts(log: Log, journal: Journal) -> None:
    """No text that was deleted or edited away."""
    for got in _events(log):
        payload = got.data.get("message")
        message: Message | None = None if payload is None else journal.messages.get(payload["id"])
        if payload is None or message is None:
            continue
        for text in message.texts:
            if text.gone_at is not None and text.body in str(payload) and _too_late(got, text.gone_at):
                late = f"{got.at - text.gone_at:.2f} s after it was gone"
                journal.violation("leak", f"{log.name} was told {text.body!r} of message {message.id} {late}: {got}")


def _too_late(got: Got, ended_at: float) -> bool:
    return got.asked_at > ended_at if got.replayed else got.at > ended_at + IN_FLIGHT_SECONDS


def _events(log: Log) -> list[Got]:
    return [line for line in log.lines if isinstance(line, Got)]
