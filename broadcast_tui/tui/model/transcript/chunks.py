"""Lines of a transcript, stored in chunks of parallel columns.

Invariants: a chunk only grows, at its end; any other change creates new chunks. So a chunk seen before, with
the same length, is unchanged. There is no object per line, which saves memory and leaves nothing for the
garbage collector to traverse.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

from broadcast_tui.core.post import MAX_SEQ, Position
from broadcast_tui.core.session.updates import EpochChanged
from broadcast_tui.core.text import visible_line
from broadcast_tui.tui.model.text.links import real_hosts
from broadcast_tui.tui.model.text.wrapping import MULTILINE, measure
from broadcast_tui.tui.model.transcript.post_details import PostDetails
from broadcast_tui.tui.model.transcript.repeated_texts import RepeatedTexts
from broadcast_tui.tui.model.transcript.text_column import TextColumn


class LineKind(IntEnum):
    POST = 0
    ACTION = 1
    """An action, `/me waves`; the text is what follows `/me`."""
    SYSTEM = 2
    ERROR = 3
    DAY = 4
    PRESENCE = 5
    """A system line about joins and leaves."""
    DELETED = 6
    """A deleted post; the text says who deleted it."""


POSTS = frozenset((LineKind.POST, LineKind.ACTION, LineKind.DELETED))
"""Kinds of lines that are posts."""


class DeliveryState(IntEnum):
    """Delivery state of an own post."""

    NONE = 0
    """Stored in the log; also all posts of others."""
    PENDING = 1
    DELIVERED = 2
    """Acknowledged by the server; its position is not known yet."""
    REJECTED = 3


class Line(NamedTuple):
    """A line to draw. `at` is Unix time; `sender` is empty except for posts."""

    id: int
    kind: LineKind
    sender: str
    text: str
    at: float
    mark: DeliveryState
    own: bool
    mention: bool
    brief: str = ""
    """The short form of a PRESENCE line: in large rooms, limited to recent senders."""
    details: PostDetails | None = None
    """What there is to display about a post besides its text."""


class LineRecord(NamedTuple):
    """The sanitized columns of a line. `epoch` and `number` are the parts of its post id."""

    kind: LineKind
    sender: str
    text: str
    at: float
    flags: int = 0
    epoch: str = ""
    number: int = -1
    details: PostDetails | None = None


OWN = 4
MENTION = 8
RECENT_CHUNKS = 16
"""Number of last chunks whose texts are not compressed yet: a flood of posts is laid out before they are."""
_MARK_BITS = 3
_MENTION_MARKS = bytes(flags & MENTION > 0 for flags in range(256))
_NO_BRIEFS: dict[int, str] = {}
"""Shared by all chunks without a PRESENCE line; never modified."""
_NO_DETAILS: dict[int, PostDetails] = {}
"""Shared by all chunks without details of posts; never modified."""


class Chunk:
    """Consecutive lines as parallel columns; line `i` has the id `first_id + i`."""

    __slots__ = (
        "_bounds", "briefs", "cells", "char_count", "details", "epochs", "first_id", "flags",
        "kinds", "numbers", "senders", "texts", "times",
    )  # fmt: skip

    def __init__(self, first_id: int) -> None:
        self.first_id = first_id
        self.char_count = 0
        self.briefs: dict[int, str] = _NO_BRIEFS
        """Short texts of PRESENCE lines by line id."""
        self.details: dict[int, PostDetails] = _NO_DETAILS
        """Details of posts by line id, for those that have any; replaced by each change."""
        self._bounds = (0, MAX_SEQ, -1)
        """A number of lines, and the lowest and highest `number` of their posts."""
        self.kinds = bytearray()
        self.flags = bytearray()
        self.senders: list[str] | RepeatedTexts = []
        self.texts = TextColumn()
        self.times = array("d")
        self.cells = array("I")
        self.epochs: list[str] | RepeatedTexts = []
        self.numbers = array("q")

    def __len__(self) -> int:
        return len(self.kinds)

    def append(self, entry: LineRecord) -> None:
        kind, sender, text, at, flags, epoch, number, details = entry
        if details is not None:
            self.details = {**self.details, self.first_id + len(self.texts): details}
        self.kinds.append(kind)
        self.flags.append(flags)
        self.senders.append(sender)
        self.times.append(at)
        self.cells.append(_cells_of(text) if "://" in text else measure(text))
        self.epochs.append(epoch)
        self.numbers.append(number)
        self.texts.append(text)
        self.char_count += len(text)

    def compress(self) -> None:
        """Store texts, senders and epochs in less memory; they read as before."""
        self.texts.compress()
        self.senders, self.epochs = RepeatedTexts(self.senders), RepeatedTexts(self.epochs)

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
            self.details.get(self.first_id + i) if self.details else None,
        )

    def record(self, i: int) -> LineRecord:
        """The columns of a line."""
        return LineRecord(
            LineKind(self.kinds[i]),
            self.senders[i],
            self.texts[i],
            self.times[i],
            self.flags[i],
            self.epochs[i],
            self.numbers[i],
            self.details.get(self.first_id + i),
        )

    def index_of(self, position: Position) -> int | None:
        """Index of the post at a position of the log; None if it is not here."""
        epoch, seq = position
        count, lowest, highest = self._bounds
        if count != len(self.numbers):
            lowest = min((number for number in self.numbers if number >= 0), default=MAX_SEQ)
            highest = max(self.numbers, default=-1)
            self._bounds = len(self.numbers), lowest, highest
        if not lowest <= seq <= highest:
            return None
        start = 0
        while seq in self.numbers[start:]:
            i = self.numbers.index(seq, start)
            if self.epochs[i] == epoch:
                return i
            start = i + 1
        return None

    def follow(self, change: EpochChanged) -> None:
        """Give the posts that are not lost the ids of a new epoch."""
        if change.former in self.epochs or -1 in self.numbers:
            epochs = [
                change.epoch if epoch == change.former and 0 <= number <= change.seq
                # A line that replaces hidden posts has the id of the first one.
                else change.follow_id(epoch) if epoch and number < 0 else epoch
                for epoch, number in zip(self.epochs, self.numbers, strict=True)
            ]  # fmt: skip
            self.epochs = epochs if isinstance(self.epochs, list) else RepeatedTexts(epochs)

    def forget_notes(self, seq: int) -> None:
        """Let other notes take the places of lost ones, those above `seq`."""
        if self.details:
            self.details = {line_id: details.until(seq) for line_id, details in self.details.items()}

    def set_brief(self, line_id: int, brief: str) -> None:
        """Set the short form of a PRESENCE line."""
        self.briefs = {**self.briefs, line_id: visible_line(brief)}

    def mention_marks(self) -> bytearray:
        """One byte for each line: 1 if it mentions the user, else 0."""
        return self.flags.translate(_MENTION_MARKS)

    def first_post_id(self) -> str:
        """Id of the first post with an id; empty if there is none."""
        for epoch, number in zip(self.epochs, self.numbers, strict=True):
            if epoch:
                return epoch if number < 0 else f"{epoch}-{number}"
        return ""

    def without_first(self) -> Chunk:
        return self._part(1, len(self))

    def without_last(self) -> Chunk:
        return self._part(0, len(self) - 1)

    def with_line(self, i: int, entry: LineRecord) -> Chunk:
        """A copy in which line `i` is replaced; its position in the log stays."""
        changed = self._part(0, len(self))
        changed.char_count += len(entry.text) - len(self.texts[i])
        changed.kinds[i], changed.flags[i] = entry.kind, entry.flags
        changed.texts = self.texts.replaced(i, entry.text)
        changed.cells[i] = _cells_of(entry.text)
        line_id = self.first_id + i
        if entry.details is not None:
            changed.details = {**self.details, line_id: entry.details}
        elif line_id in self.details:
            changed.details = {other: self.details[other] for other in self.details if other != line_id}
        return changed

    def _part(self, start: int, end: int) -> Chunk:
        part = Chunk(self.first_id + start)
        part.briefs = self.briefs
        part.details = self.details
        part.kinds = self.kinds[start:end]
        part.flags = self.flags[start:end]
        part.senders = self.senders[start:end]
        if (start, end) == (0, len(self)):
            part.texts, part.char_count = self.texts.copy(), self.char_count
        else:
            texts = self.texts[start:end]
            part.texts, part.char_count = TextColumn(texts), sum(map(len, texts))
        part.times = self.times[start:end]
        part.cells = self.cells[start:end]
        part.epochs = self.epochs[start:end]
        part.numbers = self.numbers[start:end]
        if not isinstance(self.senders, list):
            part.compress()
        return part


def add_chunk(chunks: list[Chunk], first_id: int) -> None:
    """Add an empty chunk at the end, and compress the one that is no longer among the recent ones."""
    if len(chunks) >= RECENT_CHUNKS:
        chunks[-RECENT_CHUNKS].compress()
    chunks.append(Chunk(first_id))


def compressed_chunks(records: Sequence[LineRecord], first_id: int, lines: int) -> list[Chunk]:
    """Compressed chunks of older lines, each of at most `lines`."""
    chunks: list[Chunk] = []
    for start in range(0, len(records), lines):
        chunk = Chunk(first_id + start)
        for record in records[start : start + lines]:
            chunk.append(record)
        chunk.compress()
        chunks.append(chunk)
    return chunks


def _cells_of(text: str) -> int:
    """The stored width of a text, such that texts that need rows of their own are laid out."""
    # Spoofed links add a row with the real hosts.
    return MULTILINE if "://" in text and real_hosts(text) else measure(text)
