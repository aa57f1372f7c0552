"""The rows of a SQLite history: posts and notes in one table, and how they are read.

A note has a `kind` and no text: it is read together with the current state of the post that it is about.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from broadcast_tui.core.notes import Entry, Note, first_fitting
from broadcast_tui.core.post import Position, Post
from broadcast_tui.core.post_state import NO_STATE, NoteKind, PostState
from broadcast_tui.engine.note_index import is_open_ask

COLUMNS = (
    "posts.seq, posts.at_us, posts.sender, posts.text,"
    " posts.kind, posts.re, posts.root, posts.author, posts.state"
)
"""The columns of an entry, as `RowReader.entry` expects them."""
CHUNK_ROWS = 64
"""Rows read at once, with one query for the posts that the notes among them are about."""

PINNED = 1
OPEN_ASK = 2
PENDING = 4
"""Flags of posts that are found through an index: pinned, an open question, with changes to be announced."""

_UNIX_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_decoder = msgspec.json.Decoder(PostState)

Row = tuple[int, int, str, str, str, int, int, str, str | None]


def encode_state(state: PostState) -> str | None:
    """The state as JSON; None for a post without notes."""
    return None if state is NO_STATE or state == NO_STATE else msgspec.json.encode(state).decode()


def decode_state(text: str | None) -> PostState:
    """The state in a row."""
    return NO_STATE if text is None else _decoder.decode(text)


def flags_of(state: PostState) -> int:
    """The flags of a post in this state."""
    if state is NO_STATE:
        return 0
    return (
        (PINNED if state.pinned is not None else 0)
        | (OPEN_ASK if is_open_ask(state) else 0)
        | (PENDING if state.pending else 0)
    )


def datetime_of(at_us: int) -> datetime:
    """The UTC time of microseconds since 1970."""
    return _UNIX_EPOCH + timedelta(0, 0, at_us)


class RoomReader:
    """Reads the entries of one room, for one query. The connection must be in a transaction."""

    def __init__(self, connection: sqlite3.Connection, room: str, epoch: str) -> None:
        self._connection = connection
        self._room = room
        self._epoch = epoch
        found = connection.execute("SELECT id FROM rooms WHERE name = ?", (room,)).fetchone()
        self.room_id = int(found[0]) if found is not None else 0
        """Row id of the room; 0 if it is not stored."""
        self._targets: dict[int, Post] = {}
        """The posts that notes are about, by seq."""

    def entries(
        self, *, after: int, before: int, limit: int, from_end: bool, max_bytes: int | None
    ) -> list[Entry]:
        """Entries with `after` < seq < `before`, in ascending order: the oldest or the newest ones."""
        cursor = self._connection.execute(
            f"SELECT {COLUMNS} FROM posts WHERE room_id = ? AND seq > ? AND seq < ?"
            f" ORDER BY seq {_order(from_end)} LIMIT ?",
            (self.room_id, after, before, limit),
        )
        return self._fitting(cursor, max_bytes)

    def thread(
        self, root: int, *, after: int, before: int, limit: int, from_end: bool, max_bytes: int | None
    ) -> list[Entry]:
        """The posts of a thread in this range."""
        cursor = self._connection.execute(
            f"SELECT {COLUMNS} FROM posts"
            " WHERE room_id = ?1 AND seq = ?2 AND kind = '' AND seq > ?3 AND seq < ?4"
            f" UNION ALL SELECT {COLUMNS} FROM posts"
            " WHERE room_id = ?1 AND root = ?2 AND root != 0 AND seq > ?3 AND seq < ?4"
            f" ORDER BY 1 {_order(from_end)} LIMIT ?5",
            (self.room_id, root, after, before, limit),
        )
        return self._fitting(cursor, max_bytes)

    def posts(self, seqs: Collection[int]) -> list[Post]:
        """The stored posts with these seqs, in ascending order."""
        found: list[Post] = []
        ordered = sorted(set(seqs))
        for start in range(0, len(ordered), CHUNK_ROWS):
            chunk = ordered[start : start + CHUNK_ROWS]
            rows = self._connection.execute(
                f"SELECT {COLUMNS} FROM posts WHERE room_id = ? AND kind = ''"
                f" AND seq IN ({', '.join('?' * len(chunk))}) ORDER BY seq",
                (self.room_id, *chunk),
            )
            found += [self.post(row) for row in rows]
        return found

    def post(self, row: Sequence[Any]) -> Post:
        """The post in a row that is not a note."""
        seq, at_us, sender, text, _, re, root, author, state = row
        position, at = Position(self._epoch, seq), datetime_of(at_us)
        if state is None and not re:  # most posts
            return Post(self._room, position, sender, text, at, author=author)
        return Post(
            self._room, position, sender, text, at, re=re, root=root, author=author, state=decode_state(state)
        )

    def _fitting(self, cursor: sqlite3.Cursor, max_bytes: int | None) -> list[Entry]:
        found = first_fitting(self._read(cursor), max_bytes)
        cursor.close()
        return sorted(found, key=lambda entry: entry.position.seq)

    def _read(self, cursor: sqlite3.Cursor) -> Iterator[Entry]:
        """The entries in rows, read in chunks, so that their limit in bytes holds for what is read, too."""
        while rows := cursor.fetchmany(CHUNK_ROWS):
            self._load_targets({row[5] for row in rows if row[4]})
            for row in rows:
                yield self._note(row) if row[4] else self.post(row)

    def _load_targets(self, seqs: set[int]) -> None:
        if missing := seqs - self._targets.keys():
            self._targets.update((post.position.seq, post) for post in self.posts(missing))

    def _note(self, row: Row) -> Note:
        seq, at_us, by, _, kind, re, *_ = row
        position, at = Position(self._epoch, seq), datetime_of(at_us)
        return Note(self._room, position, NoteKind(kind), re, by, at, self._targets.get(re))


def _order(from_end: bool) -> str:
    return "DESC" if from_end else "ASC"
