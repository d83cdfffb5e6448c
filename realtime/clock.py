"""The one clock of the server; tests replace `now` and `monotonic` here and nowhere else."""

import time
from datetime import UTC, datetime


def now() -> datetime:
    return datetime.now(UTC)


def monotonic() -> float:
    """Seconds, for durations; never goes back."""
    return time.monotonic()


def stamp(moment: datetime) -> str:
    """RFC 3339 in UTC with milliseconds, as every time on the wire: 2026-11-21T09:00:00.123Z."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
