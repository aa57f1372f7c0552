"""Histories in SQLite files, for copying."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import sqlite3
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path

from broadcast_tui.core.errors import EngineError
from broadcast_tui.core.post_state import NoteKind
from broadcast_tui.engine.copying import PAGE_ENTRIES, StoredEntry, StoredRoom
from broadcast_tui.engine.epoch_file import EpochFile
from broadcast_tui.engine.file_lock import FileLock
from broadcast_tui.engine.sqlite_batch import INSERT, room_id_of
from broadcast_tui.engine.sqlite_forks import OTHER_ROOMS, read_forks, write_forks
from broadcast_tui.engine.sqlite_index import SearchIndex
from broadcast_tui.engine.sqlite_rows import decode_state, encode_state, flags_of
from broadcast_tui.engine.sqlite_schema import COPY_KEY, check_complete, meta_value, open_error, open_file

_READ = (
    "SELECT posts.id, rooms.name, seq, at_us, sender, text, kind, re, root, author, state, client_id, nonce"
    " FROM posts JOIN rooms ON rooms.id = room_id WHERE posts.id > ? ORDER BY posts.id LIMIT ?"
)


class SqliteHistory:
    """A file to copy from or to. It is locked until `close`.

    Row ids are assigned in the order of arrival, since the retention by age relies on it.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, lock: FileLock) -> None:
        self.path = path
        self._connection = connection
        self._lock = lock
        self._epoch = str(meta_value(connection, "epoch"))
        self._room_ids: dict[str, int] = {}
        self._index: SearchIndex | None = None
        [(self._last_id,)] = connection.execute("SELECT coalesce(max(id), 0) FROM posts")

    @classmethod
    def open(cls, path: Path) -> SqliteHistory:
        """Open an existing history to copy it. Raises EngineError."""
        if not path.exists():
            raise EngineError(f"There is no history {path}.")
        if path.is_file() and not path.stat().st_size:
            raise EngineError(f"The file {path} is empty, not a history.")
        history = cls._open(path)
        try:
            check_complete(history._connection, path)
        except EngineError:
            history._close()
            raise
        return history

    @classmethod
    def create(cls, path: Path) -> SqliteHistory:
        """Open a file to copy to; it is created if needed. Raises EngineError."""
        if not path.parent.is_dir():
            raise EngineError(f"No such directory: {path.parent}.")
        return cls._open(path)

    @classmethod
    def _open(cls, path: Path) -> SqliteHistory:
        connection, lock = open_file(path)
        try:
            return cls(path, connection, lock)
        except sqlite3.DatabaseError as error:
            connection.close()
            lock.release()
            raise open_error(path, error) from error

    def _close(self) -> None:
        self._connection.close()
        self._lock.release()

    async def check_unused(self) -> None:
        pass  # it is locked

    async def close(self) -> None:
        self._close()

    # -- reading

    @property
    def identity(self) -> str:
        return f"file {self._epoch}"

    async def rooms(self) -> Sequence[StoredRoom]:
        with self._errors():
            forks = read_forks(self._connection)
            rows = self._connection.execute("SELECT name, first_seq, last_seq, topic FROM rooms")
            return [
                StoredRoom(name, first, last, topic, (*forks.of(name).items(), (self._epoch, last)))
                for name, first, last, topic in rows
            ]

    async def other_rooms(self) -> StoredRoom:
        with self._errors():
            floor = int(meta_value(self._connection, "floor") or 0)
            forks = read_forks(self._connection).of(OTHER_ROOMS)
            return StoredRoom(OTHER_ROOMS, floor + 1, floor, "", (*forks.items(), (self._epoch, floor)))

    async def entries(self) -> AsyncIterator[Sequence[StoredEntry]]:
        last_id = 0
        while True:
            with self._errors():
                rows = self._connection.execute(_READ, (last_id, PAGE_ENTRIES)).fetchall()
                page = [_entry(*row) for _, *row in rows]
            if not rows:
                return
            last_id = rows[-1][0]
            yield page
            await asyncio.sleep(0)  # so that the copy can be cancelled

    # -- writing

    async def begin(self, identity: str) -> Mapping[str, int]:
        with self._errors():
            marker = meta_value(self._connection, COPY_KEY)
            if marker is None and self._connection.execute("SELECT 1 FROM rooms LIMIT 1").fetchone():
                raise EngineError(f"{self.path} is a history already. Copy to a new file.")
            if marker not in (None, identity):
                raise EngineError(f"{self.path} is an unfinished copy of another history. Delete it first.")
            with self._transaction():
                if marker is None:
                    # The file may have had another epoch while nothing was in it.
                    self._epoch = secrets.token_hex(4)
                    self._set_meta(epoch=self._epoch, **{COPY_KEY: identity})
                self._index = SearchIndex(self._connection, self._last_id)
            return dict(self._connection.execute("SELECT name, last_seq FROM rooms"))

    async def clear(self) -> None:
        with self._errors(), self._transaction():
            execute = self._connection.execute
            execute("DELETE FROM posts")
            execute("DELETE FROM rooms")
            execute(f"DROP TABLE {meta_value(self._connection, 'search_table')}")
            execute("DELETE FROM meta WHERE key LIKE 'search_%'")
            self._index = SearchIndex(self._connection, 0)
            self._last_id = 0
            self._room_ids.clear()

    async def put(self, entries: Sequence[StoredEntry]) -> None:
        assert self._index is not None
        with self._errors(), self._transaction():
            first_id = self._last_id + 1
            heads: dict[int, int] = {}
            rows, texts = [], []
            for row_id, entry in enumerate(entries, first_id):
                room_id = self._room_id(entry.room)
                heads[room_id] = entry.seq
                rows.append((row_id, room_id, *_columns(entry)))
                texts.append((row_id, room_id, entry.text))
            self._connection.executemany(INSERT, rows)
            self._index.add(texts)
            self._connection.executemany(
                "UPDATE rooms SET last_seq = ? WHERE id = ?",
                [(seq, room_id) for room_id, seq in heads.items()],
            )
            self._last_id += len(entries)

    async def finish(self, rooms: Sequence[StoredRoom], others: StoredRoom) -> None:
        with self._errors(), self._transaction():
            self._connection.execute("DELETE FROM rooms WHERE id NOT IN (SELECT room_id FROM posts)")
            self._connection.executemany(
                "INSERT INTO rooms (name, first_seq, last_seq, topic) VALUES (?1, ?2, ?3, ?4) ON CONFLICT"
                " (name) DO UPDATE SET first_seq = ?2, last_seq = ?3, topic = ?4",
                [room[:4] for room in rooms],
            )
            self._set_meta(floor=str(others.last_seq))
            write_forks(self._connection, (*rooms, others))

    async def complete(self) -> None:
        epoch_file = EpochFile(self.path)
        try:
            epoch_file.create(self._epoch, self._last_id)
        except OSError as error:
            raise EngineError(f"Cannot write {epoch_file.path}: {error.strerror}.") from error
        finally:
            epoch_file.close()
        with self._errors(), self._transaction():
            self._set_meta(has_epoch_file="1")
            self._connection.execute("DELETE FROM meta WHERE key = ?", (COPY_KEY,))

    def _room_id(self, room: str) -> int:
        if (room_id := self._room_ids.get(room)) is None:
            room_id = self._room_ids[room] = room_id_of(self._connection, room)
        return room_id

    def _set_meta(self, **values: str) -> None:
        self._connection.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", values.items())

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            yield

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, ValueError) as error:
            raise EngineError(f"{self.path}: {error}.") from error


def _entry(
    room: str,
    seq: int,
    at_us: int,
    sender: str,
    text: str,
    kind: str,
    re: int,
    root: int,
    author: str,
    state: str | None,
    client_id: str,
    nonce: str,
) -> StoredEntry:
    """The entry in a row of `_READ`, without its id."""
    if kind:  # other stores have no author of a note
        note = NoteKind(kind)
        return StoredEntry(room, seq, at_us, sender, "", note, re, client_id=client_id, nonce=nonce)
    return StoredEntry(
        room, seq, at_us, sender, text, None, re, root, author, decode_state(state), client_id, nonce
    )


def _columns(entry: StoredEntry) -> tuple[int | str | None, ...]:
    """The columns of `INSERT` after the ids of row and room."""
    return (
        *(entry.seq, entry.at_us, entry.sender, entry.text, entry.client_id, entry.nonce, entry.author),
        *(entry.kind.value if entry.kind is not None else "", entry.re, entry.root),
        *(encode_state(entry.state), flags_of(entry.state)),
    )
