"""Entries of a log as they are stored in Redis, and what its scripts return and publish.

A row is a JSON array: `[at_us, re, root, sender, text, author]` for a post, with its state at the end if it
has one, and `[at_us, re, -1, by, kind]` for a note. A message about a room has the header
`epoch before first node forks` and a line for each new entry after `before`: its row and, for a note, a tab
and the row of its post.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import msgspec

from broadcast_tui.core.notes import Entry, Note
from broadcast_tui.core.post import Position, Post
from broadcast_tui.core.post_state import NO_STATE, NoteKind, PostState

NOTE_ROOT = -1
"""In the place of the root: the row is a note."""
_UNIX_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(list[Any]).decode


def microseconds(at: datetime) -> int:
    """Microseconds since 1970 of a UTC time."""
    return (at - _UNIX_EPOCH) // _MICROSECOND


def datetime_of(at_us: int) -> datetime:
    """The UTC time of microseconds since 1970."""
    return _UNIX_EPOCH + timedelta(0, 0, at_us)


def plain_row(at: datetime, sender: str, text: str, author: str) -> str:
    """The row of a post that is not a reply and has no state, like most posts."""
    return _encode((microseconds(at), 0, 0, sender, text, author)).decode()


def post_row(post: Post) -> str:
    """The row of a post."""
    fields = microseconds(post.at), post.re, post.root, post.sender, post.text, post.author
    return _encode(fields if post.state == NO_STATE else (*fields, post.state)).decode()


def note_row(note: Note) -> str:
    """The row of a note, without its post."""
    return _encode((microseconds(note.at), note.re, NOTE_ROOT, note.by, note.kind)).decode()


def entry_of(room: str, position: Position, row: bytes | str, target: bytes | str = "") -> Entry:
    """The entry in a row.

    Args:
        target: For a note, the row of its post; empty if the post is not stored.
    """
    at_us, re, root, sender, text, *rest = _decode(row)
    at = datetime_of(at_us)
    if root == NOTE_ROOT:
        about = entry_of(room, Position(position.epoch, re), target) if target else None
        assert not isinstance(about, Note)
        return Note(room, position, NoteKind(text), re, sender, at, about)
    state = msgspec.convert(rest[1], PostState) if len(rest) > 1 else NO_STATE
    return Post(room, position, sender, text, at, re=re, root=root, author=rest[0], state=state)


def parse_forks(text: str) -> dict[str, int]:
    """The former epochs of a room, each with the seq up to which it has the same entries as the current one.

    `text` has them in order, as `epoch:seq` with the seq at which each ended. What a later epoch has lost is
    lost of the earlier ones, too.
    """
    forks: dict[str, int] = {}
    lowest: int | None = None
    for item in reversed(text.split()):
        epoch, _, digits = item.partition(":")
        lowest = int(digits) if lowest is None else min(lowest, int(digits))
        forks.setdefault(epoch, lowest)
    return forks


class Head(NamedTuple):
    """The state of a log: its epoch, empty if it was never written, its seqs and its former epochs."""

    epoch: str
    last: int
    first: int
    forks: dict[str, int]

    @classmethod
    def of(cls, reply: Sequence[Any]) -> Head:
        """The head in the first items of a script's reply."""
        epoch, last, first, forks = reply[:4]
        return cls(epoch.decode(), last, first, parse_forks(forks.decode()))


class Message:
    """A message about a room: its head before the new entries, and the new entries, decoded when needed."""

    __slots__ = ("_lines", "head", "node", "room")

    def __init__(self, room: str, data: bytes) -> None:
        header, _, body = data.partition(b"\n")
        epoch, before, first, self.node, forks = header.decode().split(" ", 4)
        self.room = room
        self.head = Head(epoch, int(before), int(first), parse_forks(forks))
        self._lines = body.split(b"\n") if body else []

    def __len__(self) -> int:
        """Number of new entries."""
        return len(self._lines)

    def entries(self, start: int) -> list[Entry]:
        """The new entries without the first `start`."""
        found = []
        for seq, line in enumerate(self._lines[start:], self.head.last + 1 + start):
            row, _, target = line.partition(b"\t")
            found.append(entry_of(self.room, Position(self.head.epoch, seq), row, target))
        return found


def entries_of(room: str, epoch: str, reply: Sequence[Any]) -> list[Entry]:
    """The entries in the reply of the script that reads them, after its head."""
    items = reply[4:]
    return [
        entry_of(room, Position(epoch, int(seq)), row, target)
        for seq, row, target in zip(items[::3], items[1::3], items[2::3], strict=True)
    ]
