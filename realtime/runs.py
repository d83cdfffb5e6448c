"""What sessions of many streams write alike: entries that follow each other, encoded once for all of them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from realtime.streams import ERASED, MESSAGE, REDACTED, Entry, Placed

RUN_BYTES: Final = 32 * 1024
"""A run is written whole, so it is not longer than this unless a single entry is."""


class Run:
    """Entries that have one seq after the other, in each stream that they were placed in together."""

    __slots__ = ("_entries", "_template", "count", "era", "erased", "size")

    def __init__(self, entries: Sequence[Entry], era: str = "") -> None:
        self._entries = entries
        self.era = era
        self._template = b""
        self.count = len(entries)
        self.size = sum(len(entry.body) for entry in entries)
        self.erased = entries[0].about.get(ERASED)
        """The message whose text its only entry erases everywhere."""

    @property
    def entries(self) -> Sequence[Entry]:
        return self._entries

    def frame(self, seq: int) -> bytes:
        """As one frame: an object, or an array of more than one."""
        return self.frames(seq) if self.count == 1 else b"[%b]" % self.frames(seq)

    def frames(self, seq: int) -> bytes:
        """The frames, with commas between them, of which the first has this seq."""
        if not self._template:
            # All that differs from stream to stream are the numbers, and to fill in those is one call.
            self._template = b",".join(
                b'{"type":"event","seq":%d,' + entry.body.replace(b"%", b"%%") for entry in self._entries
            )
        return self._template % (seq if self.count == 1 else tuple(range(seq, seq + self.count)))

    def holds(self, name: str) -> bool:
        """Whether an event of this name is in it."""
        return any(entry.name == name for entry in self._entries)

    def after(self, count: int) -> "Run":
        """Without the first ones."""
        return Run(self._entries[count:], self.era)

    def without(self, message_id: int) -> "Run":
        """With nothing in the place of a message's text; itself when it does not hold it."""
        if all(entry.about.get(MESSAGE) != message_id for entry in self._entries):
            return self
        entries = [replace(e, body=REDACTED) if e.about.get(MESSAGE) == message_id else e for e in self._entries]
        return Run(entries, self.era)


def runs_of(rung: Iterable[Placed]) -> Iterator[tuple[Run, dict[str, int]]]:
    """The longest runs of what was placed, each with the first seq of each stream that it went to."""
    entries: list[Entry] = []
    first: dict[str, int] = {}
    last: dict[str, int] = {}
    size, era = 0, ""
    for entry, seqs, _listeners, its_era in rung:
        size += len(entry.body)
        follows = its_era == era and _follow(last, seqs)
        if entries and not (size <= RUN_BYTES and follows and _may_join(entries[-1], entry)):
            yield Run(entries, era), first
            entries = []
        if not entries:
            first, size, era = seqs, len(entry.body), its_era
        entries.append(entry)
        last = seqs
    if entries:
        yield Run(entries, era), first


def _follow(last: dict[str, int], seqs: dict[str, int]) -> bool:
    """Whether these are the next places of the same streams."""
    return list(seqs) == list(last) and list(seqs.values()) == [seq + 1 for seq in last.values()]


def _may_join(last: Entry, entry: Entry) -> bool:
    """One that erases a text goes alone: the text may be in what it would join."""
    return ERASED not in last.about and ERASED not in entry.about
