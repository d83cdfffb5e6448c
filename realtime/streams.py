"""The interface of streams: ordered, bounded logs, one per user and one per mesh group.

Guarantees, checked for every backend by one test file:
* `append` gives each open stream in the list the next `seq`, in one atomic step for all of them; 1, 2, 3, no gap.
* The same event id is appended once, however often and from wherever it is tried.
* A stream keeps its newest entries, as many and for as long after it was last opened as its `Bounds` say, then forgets
  all.
* A stream that was forgotten comes back with another epoch, so that an old cursor cannot look valid.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple, Protocol

MESSAGE: Final = "message"
ERASED: Final = "erased"
"""Keys of an entry's `about`: the message whose text it holds, and the message whose text it erases everywhere."""
REDACTED: Final = b'"event":"redacted"}'
"""The body that stands for one that its reader may not see any more."""


class Bounds(NamedTuple):
    """What a stream keeps."""

    events: int
    seconds: float
    """After it was last opened."""


def kind_of(stream: str) -> str:
    """The kind of a stream by its name: "user" of "user:7"."""
    return stream.partition(":")[0]


class Position(NamedTuple):
    epoch: str
    seq: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One stored event, shared by all streams that hold it. `body` is the frame after its seq, encoded once."""

    event_id: str
    name: str
    body: bytes
    about: dict[str, int] = field(default_factory=dict)


class Placed(NamedTuple):
    """An entry, the seq that it got in each stream that was open, and the workers where somebody reads them.

    Streams without a listener, which are all of those in memory, are read in this process or by nobody.
    """

    entry: Entry
    seqs: dict[str, int]
    listeners: dict[str, list[str]]
    era: str = ""
    """What the epochs of all streams begin with until the store loses them: the seqs are of those epochs."""


GapReason = Literal["too_old", "unknown_epoch", "future_seq"]


class Gap(Exception):
    """What was asked for is not whole. `top` is where the stream stands, `missed` the range that is gone, if known."""

    def __init__(self, reason: GapReason, top: Position, missed: tuple[int, int] | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.top = top
        self.missed = missed


class Streams(Protocol):
    """Calls may block for a moment and come from any thread. They raise Unavailable when the store does not answer."""

    shared: bool
    """Whether other processes see the same streams."""

    def open(self, stream: str) -> Position:
        """Make sure that the stream exists and lives STREAM_SECONDS from now; its top."""

    def keep(self, streams: Sequence[str], *, listener: str) -> list[Position]:
        """`open` for many, and the note that this worker, the listener, has readers for them. The note soon fades."""

    def append(self, entries: Sequence[tuple[Entry, Iterable[str]]]) -> list[Placed]:
        """Append each entry to the streams named beside it that are open. Entries seen before are left out.

        One whose streams are of several eras comes once for each.
        """

    def read(self, stream: str, after: Position, most: int | None = None) -> list[tuple[int, Entry]]:
        """Everything after the position, oldest first, or the first `most`. Raises Gap when that is not whole."""
