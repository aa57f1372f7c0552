"""One batch of entries in the transaction that appends it to a SQLite history."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass

from broadcast_tui.core.notes import Entry, NewEntry, NewNote, Note
from broadcast_tui.core.post import NewPost, Position, Post
from broadcast_tui.core.post_state import NO_STATE
from broadcast_tui.engine.sqlite_index import SearchIndex
from broadcast_tui.engine.sqlite_retention import Bounds, microseconds
from broadcast_tui.engine.sqlite_rows import PINNED, RoomReader, encode_state, flags_of

INSERT_POST = (
    "INSERT INTO posts (id, room_id, seq, at_us, sender, text, client_id, nonce, author)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
"""Inserts a post that is not a reply and has no notes, like most posts. The other columns have their
defaults, which takes a quarter less time."""
INSERT = (
    "INSERT INTO posts (id, room_id, seq, at_us, sender, text, client_id, nonce, author,"
    " kind, re, root, state, flags) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_PostRow = tuple[int, int, int, int, str, str, str, str, str]
_Row = tuple[int, int, int, int, str, str, str, str, str, str, int, int, str | None, int]


@dataclass(slots=True)
class _Stored:
    """A post of the file, before the batch and with its changes so far."""

    row_id: int
    before: Post
    post: Post


class AppendBatch:
    """Entries that are appended together. States are folded in memory, and written once by `write`.

    Args:
        heads: First and last seq of each room.
        starts: For each room, the seq that its next one must exceed.
        last_id: Row id of the newest entry.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        index: SearchIndex,
        epoch: str,
        heads: Bounds,
        starts: Mapping[str, int],
        last_id: int,
    ) -> None:
        self._connection = connection
        self._index = index
        self._epoch = epoch
        self._heads = heads
        self._starts = starts
        self.last_id = last_id
        self.bounds: Bounds = {}
        """First and last seq of the rooms with new entries."""
        self.entries: list[Entry] = []
        """The new entries, for the tail."""
        self._sources: list[NewEntry] = []
        self._readers: dict[str, RoomReader] = {}
        self._new: dict[tuple[str, int], Post] = {}
        """New posts by room and seq, with their changes so far."""
        self._stored: dict[tuple[str, int], _Stored] = {}

    # -- what `apply_entry` needs

    def next_position(self, room: str) -> Position:
        return Position(self._epoch, self._bounds_of(room)[1] + 1)

    def find_post(self, room: str, seq: int) -> Post | None:
        key = room, seq
        if (post := self._new.get(key)) is not None:
            return post
        if key not in self._stored:
            reader = self._reader(room)
            found = reader.posts([seq]) if reader.room_id else []
            if not found:
                return None
            [(row_id,)] = self._connection.execute(
                "SELECT id FROM posts WHERE room_id = ? AND seq = ?", (reader.room_id, seq)
            ).fetchall()
            self._stored[key] = _Stored(row_id, found[0], found[0])
        return self._stored[key].post

    def pin_count(self, room: str) -> int:
        row = self._connection.execute(
            "SELECT count(*) FROM posts INDEXED BY posts_flagged"
            " WHERE room_id = ? AND flags != 0 AND flags & ? != 0",
            (self._reader(room).room_id, PINNED),
        ).fetchone()
        before = [each.before for key, each in self._stored.items() if key[0] == room]
        after = [each.post for key, each in self._stored.items() if key[0] == room]
        after += [post for key, post in self._new.items() if key[0] == room]
        return int(row[0]) - _pinned_count(before) + _pinned_count(after)

    def add(self, entry: Entry, source: NewEntry) -> None:
        oldest, newest = self._bounds_of(entry.room)
        self.bounds[entry.room] = oldest, newest + 1
        self.entries.append(entry)
        self._sources.append(source)
        if isinstance(entry, Post):
            self._new[entry.room, entry.position.seq] = entry

    def change(self, post: Post) -> None:
        key = post.room, post.position.seq
        if key in self._new:
            self._new[key] = post
        else:
            self._stored[key].post = post

    # -- writing

    @property
    def changed(self) -> list[Post]:
        """The posts whose state may have changed, as they are after the batch."""
        stored = [each.post for each in self._stored.values() if each.post is not each.before]
        return stored + [post for post in self._new.values() if post.state is not NO_STATE]

    @property
    def removes_text(self) -> bool:
        """Whether a text that was stored before the batch is deleted or replaced."""
        return any(each.post.text != each.before.text for each in self._stored.values())

    def write(self) -> None:
        """Write everything in the current transaction."""
        self._write_changes()
        room_ids = {room: self._room_id(room) for room in self.bounds}
        posts: list[_PostRow] = []
        others: list[_Row] = []
        texts: list[tuple[int, int, str]] = []
        for entry, source in zip(self.entries, self._sources, strict=True):
            self.last_id += 1
            row_id, room_id = self.last_id, room_ids[entry.room]
            seq, at_us = entry.position.seq, microseconds(entry.at)
            if isinstance(source, NewPost):
                post = self._new[entry.room, seq]
                sender, text, state = post.sender, post.text, post.state
                row = row_id, room_id, seq, at_us, sender, text, source.client_id, source.nonce, post.author
                if state is NO_STATE and not post.re:
                    posts.append(row)
                else:
                    others.append((*row, "", post.re, post.root, encode_state(state), flags_of(state)))
                texts.append((row_id, room_id, text))
            elif isinstance(entry, Note):
                others.append((row_id, room_id, seq, at_us, *_note_columns(entry, source)))
        self._connection.executemany(INSERT_POST, posts)
        self._connection.executemany(INSERT, others)
        self._index.add(texts)
        self._connection.executemany(
            "UPDATE rooms SET first_seq = ?, last_seq = ? WHERE id = ?",
            [(oldest, newest, room_ids[room]) for room, (oldest, newest) in self.bounds.items()],
        )

    def _write_changes(self) -> None:
        changed = [each for each in self._stored.values() if each.post is not each.before]
        for each in sorted(changed, key=lambda each: each.row_id):
            post = each.post
            self._connection.execute(
                "UPDATE posts SET text = ?, state = ?, flags = ? WHERE id = ?",
                (post.text, encode_state(post.state), flags_of(post.state), each.row_id),
            )
            if post.text != each.before.text:
                room_id = self._reader(post.room).room_id
                self._index.replace(each.row_id, room_id, each.before.text, post.text)

    def _bounds_of(self, room: str) -> tuple[int, int]:
        """First and last seq of a room. An empty log begins after `starts[room]`."""
        if (bounds := self.bounds.get(room)) is not None:
            return bounds
        first, last = self._heads.get(room, (1, 0))
        if first > last and last < (start := self._starts[room]):
            return start + 1, start
        return first, last

    def _reader(self, room: str) -> RoomReader:
        if (reader := self._readers.get(room)) is None:
            reader = self._readers[room] = RoomReader(self._connection, room, self._epoch)
        return reader

    def _room_id(self, room: str) -> int:
        return room_id_of(self._connection, room)


def _note_columns(
    note: Note, source: NewEntry
) -> tuple[str, str, str, str, str, str, int, int, str | None, int]:
    """The columns of a note after `at_us`."""
    client_id = nonce = author = ""
    if isinstance(source, NewNote):
        client_id, nonce, author = source.client_id, source.nonce, source.author
    return note.by, "", client_id, nonce, author, note.kind.value, note.re, 0, None, 0


def room_id_of(connection: sqlite3.Connection, room: str, start: int = 0) -> int:
    """The row id of a room, inserted if needed, in the current transaction."""
    row = connection.execute("SELECT id FROM rooms WHERE name = ?", (room,)).fetchone()
    if row is None:
        row = connection.execute(
            "INSERT INTO rooms (name, first_seq, last_seq) VALUES (?, ?, ?) RETURNING id",
            (room, start + 1, start),
        ).fetchone()
    return int(row[0])


def _pinned_count(posts: list[Post]) -> int:
    return sum(post.state.pinned is not None for post in posts)
