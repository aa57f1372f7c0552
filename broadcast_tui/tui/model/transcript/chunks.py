"""What a line of a transcript is, and how neighbouring lines are kept: as parallel columns.

Invariants: a chunk only grows, at its end; whatever else happens to lines makes new chunks, so a chunk
seen before, and as long, is as it was. There is no object a line: hence little memory, and nothing for
the garbage collector to walk.
"""

from __future__ import annotations

from array import array
from enum import IntEnum
from typing import NamedTuple

from broadcast_tui.tui.model.text.links import real_hosts
from broadcast_tui.tui.model.text.wrapping import MULTILINE, measure


class LineKind(IntEnum):
    POST = 0
    ACTION = 1
    """A post that says what its sender does: `/me waves`; its text is what comes after `/me`."""
    SYSTEM = 2
    ERROR = 3
    DAY = 4
    PRESENCE = 5
    """Of the system too: who came and went."""


class DeliveryState(IntEnum):
    """How far an own post has come."""

    NONE = 0
    """It is in the log, at its place; so are all posts of others."""
    PENDING = 1
    DELIVERED = 2
    """The server has it safe, its place is not known yet."""
    REJECTED = 3


class Line(NamedTuple):
    """One line as it is to be drawn. `at` is seconds since 1970, `sender` empty unless a post."""

    id: int
    kind: LineKind
    sender: str
    text: str
    at: float
    mark: DeliveryState
    own: bool
    mention: bool
    brief: str = ""
    """What is left of a PRESENCE line where only those who spoke lately are of interest."""


class LineRecord(NamedTuple):
    """A line's columns, cleaned. `epoch` and `number` are its post id, parted to be small."""

    kind: LineKind
    sender: str
    text: str
    at: float
    flags: int = 0
    epoch: str = ""
    number: int = -1


ACTION_PREFIX = "/me "
"""What a post that is an action begins with, on the wire."""
OWN = 4
MENTION = 8
_MARK_BITS = 3
_MENTION_MARKS = bytes(flags & MENTION > 0 for flags in range(256))
_NO_BRIEFS: dict[int, str] = {}
"""Shared by all chunks without a PRESENCE line, hence never written to."""


class Chunk:
    """Neighbouring lines as parallel columns; line `i` has the id `first_id + i`."""

    __slots__ = (
        "briefs", "cells", "epochs", "first_id", "flags", "kinds", "numbers", "senders", "texts", "times",
    )  # fmt: skip

    def __init__(self, first_id: int) -> None:
        self.first_id = first_id
        self.briefs: dict[int, str] = _NO_BRIEFS
        """Of the PRESENCE lines, by their ids."""
        self.kinds = bytearray()
        self.flags = bytearray()
        self.senders: list[str] = []
        self.texts: list[str] = []
        self.times = array("d")
        self.cells = array("I")
        self.epochs: list[str] = []
        self.numbers = array("q")

    def __len__(self) -> int:
        return len(self.texts)

    def append(self, entry: LineRecord) -> None:
        kind, sender, text, at, flags, epoch, number = entry
        self.kinds.append(kind)
        self.flags.append(flags)
        self.senders.append(sender)
        self.times.append(at)
        # A row is added that names the true host of a link that may mislead.
        self.cells.append(MULTILINE if "://" in text and real_hosts(text) else measure(text))
        self.epochs.append(epoch)
        self.numbers.append(number)
        self.texts.append(text)

    def line(self, i: int) -> Line:
        flags = self.flags[i]
        return Line(
            self.first_id + i,
            LineKind(self.kinds[i]),
            self.senders[i],
            self.texts[i],
            self.times[i],
            DeliveryState(flags & _MARK_BITS),
            bool(flags & OWN),
            bool(flags & MENTION),
            self.briefs.get(self.first_id + i, ""),
        )

    def mention_marks(self) -> bytearray:
        """A byte a line: 1 where it mentions us, else 0."""
        return self.flags.translate(_MENTION_MARKS)

    def first_post_id(self) -> str:
        """Id of the first post that has one, or empty."""
        for epoch, number in zip(self.epochs, self.numbers, strict=True):
            if epoch:
                return epoch if number < 0 else f"{epoch}-{number}"
        return ""

    def without_first(self) -> Chunk:
        return self._part(1, len(self))

    def without_last(self) -> Chunk:
        return self._part(0, len(self) - 1)

    def _part(self, start: int, end: int) -> Chunk:
        part = Chunk(self.first_id + start)
        part.briefs = self.briefs
        part.kinds = self.kinds[start:end]
        part.flags = self.flags[start:end]
        part.senders = self.senders[start:end]
        part.texts = self.texts[start:end]
        part.times = self.times[start:end]
        part.cells = self.cells[start:end]
        part.epochs = self.epochs[start:end]
        part.numbers = self.numbers[start:end]
        return part
