"""The SQLite engine: one file, a writing thread with one transaction per batch, and two reading threads.

Acknowledged posts survive a crash and a power failure (write-ahead log with `synchronous=FULL`: one sync per
batch). The file is locked against other servers. Search uses FTS5.

Invariants: only the writing thread uses `_connection`, `_heads` and `dedup`. The state in the event loop
(`_index`, `_notes` and the tail) is updated after each commit, even if the caller has been cancelled. Appends
never wait for reads, nor reads for searches.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import sqlite3
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from broadcast_tui.core.clock import timestamp
from broadcast_tui.core.errors import EngineError
from broadcast_tui.core.notes import Entry, NewEntry
from broadcast_tui.core.post import AppendResult, NewPost, Position, Post
from broadcast_tui.engine.applying import apply_entry
from broadcast_tui.engine.base import OpenAsk, PendingSummary
from broadcast_tui.engine.dedup import DEDUP_COUNT, DEDUP_S, SWEEP_EVERY_S, DedupCache, SeenPost, dedup_key
from broadcast_tui.engine.epoch_file import EpochFile
from broadcast_tui.engine.fulltext import SEARCH_TIME_LIMIT_S, query_terms
from broadcast_tui.engine.note_index import NoteIndex
from broadcast_tui.engine.room_index import FORGET_ROOMS, RoomIndex
from broadcast_tui.engine.sqlite_batch import AppendBatch, room_id_of
from broadcast_tui.engine.sqlite_forks import Forks, read_forks
from broadcast_tui.engine.sqlite_index import SearchIndex, search
from broadcast_tui.engine.sqlite_purge import TextPurge
from broadcast_tui.engine.sqlite_reader import LogGate, SqliteReader
from broadcast_tui.engine.sqlite_retention import Bounds, Retention
from broadcast_tui.engine.sqlite_rows import COLUMNS, PENDING, RoomReader, datetime_of
from broadcast_tui.engine.sqlite_schema import check_complete, meta_value, open_error, open_file
from broadcast_tui.engine.steady_clock import STEADY_S, SteadyClock
from broadcast_tui.engine.tail import Tail

T = TypeVar("T")

TRIM_EVERY_S = 60.0
PAUSE_S = 0.02
"""Pause between two transactions of maintenance, for appends."""
RETRY_S = 60.0
"""Time after which failed maintenance of the index is retried."""
PURGE_DELAY_S = 1.0
"""Time for which removed texts are collected before their copies are removed."""
PURGE_BLOCKED_S = 0.5
"""Pause after a read prevented emptying the write-ahead log. Each attempt syncs the file."""
PURGE_SHARE = 0.1
"""Maximum share of the time in which copies of removed texts are being removed."""

log = logging.getLogger("broadcast_tui.engine")


class SqliteEngine:
    """Stores logs in a SQLite file.

    Args:
        path: The file; it and its directory are created if needed.
        keep_days: Age in days after which posts are deleted; 0: never.
        keep_posts: Maximum number of posts per room; 0: unlimited.
        clock: Monotonic clock in seconds, for the deduplication.
        work_clock: Monotonic clock in seconds, for the time limits of searches and of maintenance.
    """

    def __init__(
        self,
        path: Path,
        *,
        keep_days: float = 30.0,
        keep_posts: int = 100_000,
        clock: Callable[[], float] = time.monotonic,
        work_clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.path = path
        self._work_clock = work_clock
        self._keep_days = keep_days
        self._keep_posts = keep_posts
        self._clock = clock
        self._epoch = ""
        self._index = RoomIndex()
        self._notes = NoteIndex()
        self._pending_summaries: list[PendingSummary] = []
        self._heads: Bounds = {}
        self._forks = Forks({})
        self.memory = None
        self.dedup = DedupCache()
        """Nonces of recent posts."""
        self.new_entries = Tail()
        self._last_id = 0
        """Row id of the newest post there has been."""
        self._epoch_file = EpochFile(path)
        self._epoch_file_failed = False
        self._steady_clock = SteadyClock()
        self._closed = False
        self._is_new = False
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sqlite")
        self._upkeep: asyncio.Future[Any] | None = None
        self._text_removed = asyncio.Event()

    # -- index

    @property
    def epoch(self) -> str:
        return self._epoch

    @property
    def is_shared(self) -> bool:
        return False

    async def open_room(self, room: str, *, refresh: bool = False) -> None:
        pass

    def close_room(self, room: str) -> None:
        pass

    def is_open(self, room: str) -> bool:
        return True

    def epoch_of(self, room: str) -> str:
        return self.epoch

    def fork_of(self, room: str, epoch: str) -> int | None:
        return self._forks.of(room).get(epoch)

    def first_seq(self, room: str) -> int:
        return self._index.first_seq(room)

    def last_seq(self, room: str) -> int:
        return self._index.last_seq(room)

    def topic(self, room: str) -> str:
        return self._index.topic(room)

    def room_names(self) -> Sequence[str]:
        return self._index.names()

    def set_open_rooms(self, rooms: Collection[str]) -> None:
        self._index.open_rooms = rooms

    def pins(self, room: str) -> Sequence[int]:
        return self._notes.pins(room)

    def open_asks(self, room: str = "") -> Sequence[OpenAsk]:
        return self._notes.open_asks(room)

    def pending_summaries(self) -> Sequence[PendingSummary]:
        return self._pending_summaries

    # -- opening and closing

    async def start(self) -> None:
        """Open the file and read the position of each room.

        Raises:
            EngineError: The file is damaged, locked, read-only, of a newer version, or not a history. It is
                unchanged.
        """
        self._loop = asyncio.get_running_loop()
        await self._in_thread(self._open)
        self._upkeep = asyncio.gather(
            self._trim_periodically(), self._sweep_periodically(), self._maintain_index()
        )

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._upkeep is not None:
            self._upkeep.cancel()
            await asyncio.gather(self._upkeep, return_exceptions=True)
            await self._page_reader.close()
            await self._search_reader.close()
            await self._in_thread(self._close)
        self._thread.shutdown()
        self.new_entries.close()

    def _open(self) -> None:
        self._is_new = not self.path.exists()
        self._connection, self._lock = open_file(self.path)
        try:
            check_complete(self._connection, self.path)
            self._load()
        except EngineError:
            self._release()
            raise
        except sqlite3.DatabaseError as error:
            self._release()
            raise open_error(self.path, error) from error
        except OSError as error:
            self._release()
            raise EngineError(f"Cannot write {self._epoch_file.path}: {error.strerror}.") from error

    def _load(self) -> None:
        """Read the state of the file, and prepare what belongs to it."""
        execute = self._connection.execute
        rooms = execute("SELECT name, first_seq, last_seq, topic FROM rooms").fetchall()
        self._index.load(rooms, int(meta_value(self._connection, "floor") or 0))
        self._forks = read_forks(self._connection)
        self._heads.update((name, (first, last)) for name, first, last, _ in rooms)
        # Deleted posts may have had higher ids than those that are left.
        [(newest_id,)] = execute("SELECT coalesce(max(id), 0) FROM posts").fetchall()
        self._last_id = max(newest_id, int(meta_value(self._connection, "last_id") or 0))
        self._check_epoch()
        with self._connection:
            execute("BEGIN IMMEDIATE")
            self._search_index = SearchIndex(self._connection, self._last_id)
        self._retention = Retention(
            self._connection,
            self._search_index,
            self._heads,
            keep_days=self._keep_days,
            keep_posts=self._keep_posts,
            clock=self._work_clock,
            last_id=lambda: self._last_id,
        )
        self._purge = TextPurge(self._connection, self._search_index, self.path)
        self._load_nonces()
        self._load_notes()
        self._log_gate = LogGate(self.path)
        self._page_reader = SqliteReader(self.path, "sqlite-pages", self._log_gate, self._work_clock)
        self._search_reader = SqliteReader(self.path, "sqlite-search", self._log_gate, self._work_clock)

    def _check_epoch(self) -> None:
        """Start a new epoch if posts were sent that the file does not contain."""
        self._epoch = str(meta_value(self._connection, "epoch"))
        has_file = meta_value(self._connection, "has_epoch_file") is not None
        fault = self._epoch_file.fault(self._epoch, self._last_id, required=has_file)
        if fault:
            self._epoch = secrets.token_hex(4)
            log.warning(
                "%s starts a new epoch, and clients load their rooms again: %s", self.path.name, fault
            )
        if fault or not has_file:
            # Before the epoch file, so that after a crash in between, the file does not fit.
            with self._connection:
                self._connection.execute("BEGIN IMMEDIATE")
                self._connection.executemany(
                    "INSERT OR REPLACE INTO meta VALUES (?, ?)",
                    [("epoch", self._epoch), ("has_epoch_file", "1")],
                )
        if self._epoch_file.is_from(self._epoch):
            self._epoch_file.open(self._epoch)
        else:
            self._epoch_file.create(self._epoch, self._last_id)

    def _load_nonces(self) -> None:
        execute = self._connection.execute
        since = int((time.time() - DEDUP_S) * 1e6)
        rows = execute(
            "SELECT rooms.name, seq, at_us, sender, client_id, nonce"
            " FROM posts JOIN rooms ON rooms.id = room_id"
            " WHERE at_us > ? AND nonce != '' ORDER BY posts.id DESC LIMIT ?",
            (since, DEDUP_COUNT),
        ).fetchall()
        now = self._clock()
        for name, seq, at_us, sender, client_id, nonce in reversed(rows):
            at = datetime_of(at_us)
            self.dedup.add(dedup_key(NewPost(name, sender, "", at, client_id, nonce)), seq, at, now)

    def _load_notes(self) -> None:
        """Find pinned posts, open questions, and changes that were not announced."""
        rows = self._connection.execute(
            f"SELECT rooms.name, flags, {COLUMNS} FROM posts INDEXED BY posts_flagged"
            " CROSS JOIN rooms ON rooms.id = room_id WHERE flags != 0 ORDER BY posts.id"
        )
        readers: dict[str, RoomReader] = {}
        for room, flags, *row in rows:
            if room not in readers:
                readers[room] = RoomReader(self._connection, room, self._epoch)
            post = readers[room].post(row)
            self._notes.update(post)
            if flags & PENDING:
                seq = post.position.seq
                self._pending_summaries += [PendingSummary(room, seq, kind) for kind in post.state.pending]

    def _close(self) -> None:
        is_unused = self._is_new and not self._heads
        with contextlib.suppress(sqlite3.Error):  # fails on a full disk, which is harmless
            self._connection.execute("PRAGMA optimize")
            self._purge.finish()
        self._release()
        if is_unused:
            self.path.resolve().unlink(missing_ok=True)
            self._epoch_file.path.unlink(missing_ok=True)

    def _release(self) -> None:
        self._epoch_file.close()
        self._connection.close()
        self._lock.release()

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    # -- appending

    async def append(self, entries: Sequence[NewEntry]) -> list[AppendResult]:
        now = self._clock()
        rooms = {entry.room for entry in entries}
        starts = {room: self._index.start_change(room, now) for room in rooms}
        done: asyncio.Future[list[AppendResult]] = self._loop.create_future()

        def run() -> None:
            try:
                results, batch = self._append_batch(entries, starts)
            except Exception as error:
                self._loop.call_soon_threadsafe(fail, error)
            else:
                self._loop.call_soon_threadsafe(publish, results, batch)

        def publish(results: list[AppendResult], batch: AppendBatch) -> None:
            if not done.cancelled():
                done.set_result(results)
            self._publish(batch.bounds, batch.entries, batch.changed)

        def fail(error: Exception) -> None:
            if not done.cancelled():
                done.set_exception(error)

        self._thread.submit(run)
        try:
            return await done
        except sqlite3.Error as error:
            raise EngineError(f"{self.path}: {error}") from error

    def _publish(self, bounds: Bounds, entries: Sequence[Entry] = (), changed: Sequence[Post] = ()) -> None:
        """Update the state in the event loop after a commit.

        Args:
            changed: Posts whose state may have changed.
        """
        now = self._clock()
        for room, (first, last) in bounds.items():
            self._index.set_bounds(room, first, last, now)
            self._notes.trim(room, first)
        for post in changed:
            self._notes.update(post)
        if entries:
            self.new_entries.put(entries)
        if self._purge.is_pending:
            self._text_removed.set()

    def _append_batch(
        self, entries: Sequence[NewEntry], starts: Mapping[str, int]
    ) -> tuple[list[AppendResult], AppendBatch]:
        """Append a batch in one transaction, in the engine's thread. After an error, nothing has changed.

        Args:
            starts: For each room, the seq that its next one must exceed.
        """
        now = self._clock()
        results: list[AppendResult] = []
        fresh: dict[bytes, SeenPost] = {}
        with self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            batch = AppendBatch(
                self._connection, self._search_index, self._epoch, self._heads, starts, self._last_id
            )
            for entry in entries:
                key = dedup_key(entry)
                if (seen := self.dedup.find(key, now) or fresh.get(key)) is not None:
                    position = Position(self._epoch, seen.seq)
                    results.append(AppendResult(position, timestamp(seen.at), dup=True))
                    continue
                result = apply_entry(entry, batch)
                results.append(result)
                if key and result.error is None:
                    fresh[key] = SeenPost(result.position.seq, entry.at)
            batch.write()
            if batch.removes_text:
                self._purge.mark()
        for key, seen in fresh.items():
            self.dedup.add(key, seen.seq, seen.at, now)
        self._heads.update(batch.bounds)
        self._retention.posts_added(batch.bounds)
        if batch.entries:
            self._last_id = batch.last_id
            self._record_last_id()
        self._log_gate.check()
        return results, batch

    def _record_last_id(self) -> None:
        try:
            self._epoch_file.write(self._last_id)
        except OSError as error:
            if not self._epoch_file_failed:
                log.warning("cannot write %s: %s", self._epoch_file.path, error.strerror)
            self._epoch_file_failed = True

    async def set_topic(self, room: str, topic: str) -> None:
        if not topic and not self._index.topic(room):
            return
        start = self._index.start_change(room, self._clock())

        def run() -> None:
            with self._connection:
                self._connection.execute("BEGIN IMMEDIATE")
                values = (topic, room_id_of(self._connection, room, start))
                self._connection.execute("UPDATE rooms SET topic = ? WHERE id = ?", values)
            self._heads.setdefault(room, (start + 1, start))
            self._loop.call_soon_threadsafe(publish)

        def publish() -> None:
            now = self._clock()
            if room not in self._index:
                self._index.set_bounds(room, start + 1, start, now)
            self._index.set_topic(room, topic, now)

        try:
            await self._in_thread(run)
        except sqlite3.Error as error:
            raise EngineError(f"{self.path}: {error}") from error

    # -- reading

    async def read(
        self,
        room: str,
        *,
        after: int = 0,
        before: int | None = None,
        limit: int,
        from_end: bool = False,
        max_bytes: int | None = None,
        root: int = 0,
    ) -> list[Entry]:
        stop = self.last_seq(room) + 1 if before is None else before

        def run(connection: sqlite3.Connection) -> list[Entry]:
            reader = RoomReader(connection, room, self._epoch)
            read = partial(reader.thread, root) if root else reader.entries
            return read(after=after, before=stop, limit=limit, from_end=from_end, max_bytes=max_bytes)

        return await self._read_with(self._page_reader, run)

    async def posts(self, room: str, seqs: Sequence[int]) -> list[Post]:
        def run(connection: sqlite3.Connection) -> list[Post]:
            return RoomReader(connection, room, self._epoch).posts(seqs)

        return await self._read_with(self._page_reader, run)

    async def search(
        self, room: str, query: str, *, before: int | None = None, limit: int, root: int = 0
    ) -> list[Post]:
        terms = query_terms(query)
        stop = self.last_seq(room) + 1 if before is None else before

        def run(connection: sqlite3.Connection) -> list[Post]:
            reader = RoomReader(connection, room, self._epoch)
            rows = search(connection, reader.room_id, terms, before=stop, limit=limit, root=root)
            return [reader.post(row) for row in reversed(rows)]

        return await self._read_with(self._search_reader, run, time_limit_s=SEARCH_TIME_LIMIT_S)

    async def _read_with(
        self,
        reader: SqliteReader,
        work: Callable[[sqlite3.Connection], T],
        *,
        time_limit_s: float | None = None,
    ) -> T:
        try:
            return await reader.run(work, time_limit_s=time_limit_s)
        except sqlite3.Error as error:
            raise EngineError(f"{self.path}: {error}") from error

    # -- retention

    async def _trim_periodically(self) -> None:
        while True:
            try:
                await self.trim_pass(datetime.now(UTC), self._clock())
            except EngineError as error:
                log.warning("old posts could not be deleted: %s", error)
            await asyncio.sleep(TRIM_EVERY_S)

    async def trim_pass(self, now: datetime, now_s: float) -> None:
        """Delete all posts that exceed the retention, if the clock is steady.

        Args:
            now: The wall clock.
            now_s: The monotonic clock in seconds.
        """
        by_age = self._steady_clock.check(now, now_s)
        if self._steady_clock.stepped and self._keep_days:
            log.warning("the clock was changed: no posts are deleted by age for %g min", STEADY_S / 60)
        while await self.trim(now, by_age=by_age):
            await asyncio.sleep(PAUSE_S)
        await self._in_thread(self._retention.end_pass)

    async def _maintain_index(self) -> None:
        """Complete the search index, then remove copies of texts whenever some have been removed."""
        await self._build_index()
        if self._purge.is_pending:
            self._text_removed.set()
        while True:
            await self._text_removed.wait()
            await asyncio.sleep(PURGE_DELAY_S)
            self._text_removed.clear()
            started = self._work_clock()
            try:
                while await self._in_thread(self._purge.step):
                    await asyncio.sleep(PURGE_BLOCKED_S if self._purge.is_blocked else PAUSE_S)
            except sqlite3.Error as error:
                log.warning("copies of deleted texts could not be removed: %s", error)
                self._text_removed.set()
                await asyncio.sleep(RETRY_S)
            await asyncio.sleep((self._work_clock() - started) * (1 / PURGE_SHARE - 1))

    async def _build_index(self) -> None:
        """Complete the search index, if it is new, and delete an old one."""
        while True:
            try:
                while await self._in_thread(self._search_index.step):
                    await asyncio.sleep(PAUSE_S)
                return
            except sqlite3.Error as error:
                log.warning("the search index could not be built: %s", error)
                await asyncio.sleep(RETRY_S)

    async def _sweep_periodically(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_EVERY_S)
            await self._in_thread(lambda: self.dedup.sweep(self._clock()))
            await self._forget_rooms()

    async def _forget_rooms(self) -> None:
        """Forget empty rooms, some at a time, so that appends never wait long."""
        count = 0
        try:
            while names := self._index.forget(self._clock(), FORGET_ROOMS):
                await self._in_thread(partial(self._delete_rooms, names, self._index.floor))
                count += len(names)
        except sqlite3.Error as error:
            # They remain in the file and are forgotten after the next start.
            log.warning("empty rooms could not be deleted: %s: %s", self.path, error)
        if count:
            extra = {"event": "forgotten", "rooms": count}
            log.info("%d room(s) without posts and topic forgotten", count, extra=extra)

    def _delete_rooms(self, names: Sequence[str], floor: int) -> None:
        with self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.execute("INSERT OR REPLACE INTO meta VALUES ('floor', ?)", (str(floor),))
            self._connection.executemany(
                "DELETE FROM rooms WHERE name = ? AND first_seq > last_seq AND topic = ''",
                [(name,) for name in names],
            )
        for name in names:
            first, last = self._heads.get(name, (1, 0))
            if first > last:
                self._heads.pop(name, None)

    async def trim(self, now: datetime, *, by_age: bool = True) -> bool:
        """Delete some posts that exceed the retention at `now`; returns whether there may be more.

        With `by_age` unset, only posts above the maximum per room. Raises EngineError.
        """

        def run() -> bool:
            bounds, more = self._retention.trim(now, by_age=by_age)
            self._loop.call_soon_threadsafe(self._publish, bounds)
            return more

        try:
            return await self._in_thread(run)
        except sqlite3.Error as error:
            raise EngineError(f"{self.path}: {error}") from error
