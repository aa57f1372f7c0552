"""Runs a hub: passes it frames and the time, and performs its effects (append, read, write, close).

The posts that arrive while a batch is appended and flushed form the next batch: one append to the engine, and
one write to each connection.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Coroutine, Sequence
from datetime import UTC, datetime
from typing import Any

from broadcast_tui.core.clock import Instant
from broadcast_tui.core.errors import (
    CloseCode,
    EngineError,
    ErrorCode,
    RequestError,
    SearchTooCostlyError,
)
from broadcast_tui.core.hub.auth import Authenticator, Identity
from broadcast_tui.core.hub.effects import TopicChange
from broadcast_tui.core.hub.history import BackfillRead, HistoryRead, Read, SearchRead
from broadcast_tui.core.hub.hub import Hub
from broadcast_tui.core.hub.peer import Peer
from broadcast_tui.core.hub.pending_entries import PendingEntry
from broadcast_tui.core.hub.ring_notes import EncodedEntry
from broadcast_tui.core.hub.room import Room
from broadcast_tui.core.limits import Limits
from broadcast_tui.core.notes import Entry
from broadcast_tui.core.post import AppendResult
from broadcast_tui.core.text import log_safe
from broadcast_tui.engine.base import Engine
from broadcast_tui.server.activity_log import ActivityLog, describe_received
from broadcast_tui.server.cluster.link import ClusterLink
from broadcast_tui.server.cluster.work import ClusterWork
from broadcast_tui.server.deferred_writes import DeferredWrites
from broadcast_tui.server.fair_slots import FairSlots
from broadcast_tui.server.frame_writer import FrameWriter
from broadcast_tui.server.keepalive import CLOSE_TIMEOUT_S, check_connections
from broadcast_tui.server.log_reads import read_log
from broadcast_tui.server.open_connection import OpenConnection
from broadcast_tui.server.post_writer import PostWriter
from broadcast_tui.server.room_passes import RoomPasses
from broadcast_tui.server.sanction_store import SanctionSaver, SanctionStore
from broadcast_tui.server.stats import ServerStats
from broadcast_tui.server.turns import Pauses, TurnScheduler

TICK_S = 0.2
DELIVER_POSTS = 256
"""Posts added to the rings before a flush, so that a burst cannot push posts out of them unsent."""
UNDELIVERED_MAX = 5_000
"""Posts that are appended but not yet written; above it, appending pauses."""
SLICE_S = 0.001
"""Maximum time of one round of replies, and of closing connections; the rest follows in the next turn."""
WAIT_S = 0.001
"""Time between two looks at rooms that wait for more posts; timers of uvloop count milliseconds."""
SEARCHES_AT_ONCE = 1
"""Searches that an engine works on; it has one thread for them, which would do others in order."""
PAGES_AT_ONCE = 2
"""The same for pages of history: one is read while another is on its way."""
CHECK_TURN_S = 0.0001
"""Maximum time of a part of the periodic checks, which posts may have to wait for."""
CHECKED_TOGETHER = 32
"""Connections checked between two looks at the clock."""
READ_BYTES = 65_536
"""Maximum size of a read from a connection with TLS."""
RANDOM_ID_BYTES = 16
"""Size of the random part of the names of rooms."""
STORAGE_FAILED = "The server cannot store posts right now. Try again in a moment."

log = logging.getLogger("broadcast_tui.server")


class HubRunner:
    """The hub of this process and the tasks that perform its effects.

    Args:
        node: Id of this process, sent to clients.
        on_tick: Called every `TICK_S` with the loop time in seconds.
        on_closed: Called with each connection whose TCP connection has ended.
        sanctions: Where bans and mutes are saved; otherwise they are lost on restart.
        cluster: Link to the other nodes of a shared engine; None if there are none.
    """

    def __init__(
        self,
        engine: Engine,
        limits: Limits,
        node: str,
        authenticator: Authenticator | None = None,
        *,
        on_tick: Callable[[float], None] = lambda now: None,
        on_closed: Callable[[OpenConnection], None] = lambda connection: None,
        sanctions: SanctionSaver | None = None,
        cluster: ClusterLink | None = None,
    ) -> None:
        self.hub = Hub(
            engine, limits, node, authenticator,
            random_id=lambda: secrets.token_urlsafe(RANDOM_ID_BYTES),
            is_durable=engine.memory is None,
            is_shared=engine.is_shared,
        )  # fmt: skip
        self._cluster = ClusterWork(self, cluster) if cluster is not None else None
        engine.set_open_rooms(self.hub.rooms.by_name)
        self.stats = ServerStats()
        self.activity = ActivityLog(time.monotonic)
        self._on_tick = on_tick
        self._on_closed = on_closed
        self.sanction_store = SanctionStore(self.hub.moderation.sanctions, self.hub.effects, sanctions)
        self.connections: dict[Peer, OpenConnection] = {}
        self.read_buffer = memoryview(bytearray(READ_BYTES))
        self._effects = self.hub.effects
        self._engine = engine
        self._limits = limits
        self._debug = log.isEnabledFor(logging.DEBUG)
        self._posts = PostWriter(self._effects, self.stats)
        self._frames = FrameWriter(self._effects, self.stats, self._check_blocked)
        self._passes = RoomPasses(self._effects, self._posts, self._defer_writes, lambda: bool(self._appends))
        self._flush_scheduled = False
        self._wait_scheduled = False
        self._append_requested = asyncio.Event()
        self._topics_requested = asyncio.Event()
        self._storing_topics = asyncio.Lock()
        self._appends: dict[asyncio.Event, float] = {}
        """Appends in progress and their start.

        Each event is set when its posts have been acknowledged, or rejected.
        """
        self._undelivered = 0
        self._delivered = asyncio.Event()
        self._unflushed = 0
        """Posts in the rings that have not been flushed."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._slots: dict[type[Read], FairSlots] = {
            SearchRead: FairSlots(SEARCHES_AT_ONCE),
            HistoryRead: FairSlots(PAGES_AT_ONCE),
        }
        self._reads: dict[Peer, set[asyncio.Task[None]]] = {}
        """Reads for connections, which are cancelled when the connection closes."""

    async def start(self) -> None:
        """Open the engine and start the tasks. Raises EngineError."""
        await self._engine.start()
        self._loop = asyncio.get_running_loop()
        self.turns = TurnScheduler(self._loop)
        self._deferred_writes = DeferredWrites(self._loop, self._posts.write, self.wake, self._is_busy)
        self.hub.started(self.instant())
        if self._cluster is not None:
            await self._cluster.start()
        for work in (self._append(), self._store_topics(), self._follow_tail(), self._tick()):
            self._spawn(work)
        self.wake()

    async def stop(self) -> None:
        """Store pending posts and topics, save bans and mutes, close the engine, and cancel the tasks."""
        await self._append_pending()
        await self._store_pending_topics()
        await self.sanction_store.drain()
        if self._cluster is not None:
            await self._cluster.stop()
        await self._engine.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def set_limits(self, limits: Limits) -> None:
        """Apply new limits, and a changed log level."""
        self._limits = limits
        self._debug = log.isEnabledFor(logging.DEBUG)
        self.hub.set_limits(limits)

    def instant(self) -> Instant:
        """The current time."""
        return Instant(self._loop.time(), datetime.now(UTC))

    # -- connections

    def attach(
        self, connection: OpenConnection, *, v1: bool, address: str, identity: Identity | None = None
    ) -> Peer:
        """Add an open connection to the hub and start to receive its messages."""
        peer = self.hub.open(
            connection, v1=v1, address=address, when=self.instant(), identity=identity,
            rate_limit_key=connection.rate_limit_key,
        )  # fmt: skip
        self.connections[peer] = connection
        self.activity.connected(peer, len(self.connections))
        connection.start_receiving(peer)
        self.wake()
        return peer

    def set_blocked(self, peer: Peer, blocked: bool) -> None:
        """Stop to write to a connection whose buffer is full, or go on."""
        peer.blocked = blocked
        peer.leave_fast_path()
        if not blocked and peer.id in self.hub.peers:
            self._effects.dirty_peers.add(peer)
            self.wake()

    def closed(self, connection: OpenConnection) -> None:
        """Remove a connection whose TCP connection has ended."""
        if connection.peer is not None:
            self.detach(connection.peer)
        self._on_closed(connection)

    def detach(self, peer: Peer) -> None:
        """Remove a closed connection from the hub; may be called repeatedly."""
        self.hub.close(peer, self.instant())
        for task in self._reads.pop(peer, ()):
            task.cancel()
        if (connection := self.connections.pop(peer, None)) is not None:
            code = CloseCode.ABNORMAL if connection.close_code is None else connection.close_code
            self.activity.disconnected(peer, code, len(self.connections))
        self.wake()

    def receive(self, peer: Peer, data: bytes, is_text: bool) -> None:
        """Handle a complete message from a connection."""
        self.stats.received_bytes += len(data)
        if self._debug and (text := describe_received(data, welcomed=peer.welcomed)):
            log.debug("< #%d %s", peer.id, text)
        if peer.closing is not None:
            return
        old_name = peer.name
        try:
            if is_text:
                self.hub.receive(peer, data, self.instant())
            else:
                self.hub.reject_binary(peer, self.instant())
        except Exception:
            log.exception(
                "internal error while handling a frame from %s; closing the connection", log_safe(peer.label)
            )
            peer.closing = CloseCode.INTERNAL, "internal error"
            peer.link.end(*peer.closing)
        if peer.name != old_name:
            self.activity.renamed(peer, old_name)
        self.wake()

    # -- engine

    def wake(self) -> None:
        """Schedule the effects of the hub. Call it after every call to the hub."""
        effects = self._effects
        if effects.pending_entries:
            self._append_requested.set()
        if effects.audit_lines:
            self.sanction_store.poll()
        if effects.topic_changes:
            self._topics_requested.set()
        if effects.reads:
            for read in effects.take_reads():
                task = self._spawn(self._read(read))
                if not isinstance(read, BackfillRead):
                    tasks = self._reads.setdefault(read.peer, set())
                    tasks.add(task)
                    task.add_done_callback(tasks.discard)
        if self._cluster is not None and self.hub.cluster.has_work:
            self._cluster.perform()
        if not self._flush_scheduled and effects.needs_flush:
            self._flush_scheduled = True
            self._loop.call_soon(self._flush)

    async def _append(self) -> None:
        while True:
            await self._append_requested.wait()
            self._append_requested.clear()
            await self._append_pending()

    async def _append_pending(self) -> None:
        hub, effects = self.hub, self._effects
        while effects.pending_entries:
            while self._undelivered > UNDELIVERED_MAX:
                self._delivered.clear()
                await self._delivered.wait()
            if not (batch := hub.posting.take_batch()):
                self.wake()
                continue
            # Counted before `append`, since the tail may deliver them before it returns.
            self._undelivered += len(batch)
            started = self._loop.time()
            self._appends[done := asyncio.Event()] = started
            results: Sequence[AppendResult] = ()
            try:
                results = await self._engine.append([pending.entry for pending in batch])
            except Exception as error:
                self._log_failure(f"{len(batch)} post(s) or note(s)", error)
                self._discount(len(batch))
                hub.append_failed(batch, STORAGE_FAILED, self.instant())
            else:
                self._discount(sum(not result.is_appended for result in results))
                hub.entries_appended(batch, results, self.instant())
                self.stats.append.observe(self._loop.time() - started)
            finally:
                del self._appends[done]
                self.stats.append_peak_s = max(self.stats.append_peak_s, self._loop.time() - started)
                done.set()
            if not self._appends:
                self._deliver()  # at once, rather than when the reader of the tail is woken
            self.wake()
            if results:
                # After the flush, which does not have to wait for it.
                self._loop.call_soon(self._record, batch, results)

    def _record(self, batch: Sequence[PendingEntry], results: Sequence[AppendResult]) -> None:
        """Log and count what an append has stored."""
        stored = [
            (pending, result.position)
            for pending, result in zip(batch, results, strict=True)
            if result.has_changed
        ]
        self.activity.stored(stored, self.hub.rooms)
        self.stats.count_entries(pending.entry for pending, _ in stored)

    def take_lag_s(self) -> float:
        """The longest time that posts have waited for the engine since the last call."""
        now = self._loop.time()
        lag_s = max(self.stats.append_peak_s, now - min(self._appends.values(), default=now))
        self.stats.append_peak_s = 0.0
        return lag_s

    def _log_failure(self, what: str, error: Exception) -> None:
        """Log that something could not be stored; an unexpected error with its traceback."""
        if isinstance(error, EngineError):
            self.activity.not_stored(what, error)
        else:
            log.error("%s could not be stored", what, exc_info=error)

    def _discount(self, count: int) -> None:
        """Subtract delivered posts.

        The tail also delivers posts that were never counted, hence the lower bound.
        """
        self._undelivered = max(0, self._undelivered - count)
        self._delivered.set()

    async def _follow_tail(self) -> None:
        tail = self._engine.new_entries
        while await tail.wait():
            await self._wait_for_acks()
            self._deliver()
            if tail.entries:
                await self.flushed()

    def _deliver(self) -> None:
        """Add entries of the tail to the rings, until they have to be flushed before others are added."""
        tail = self._engine.new_entries
        if not self._flush_scheduled:
            self._unflushed = 0
        while tail.entries and self._unflushed < DELIVER_POSTS and not self._deferred_writes.is_urgent:
            batch = tail.take(DELIVER_POSTS)
            try:
                self.hub.deliver(batch)
            except Exception:
                log.exception("%d post(s) could not be delivered; they are in the log", len(batch))
            self._unflushed += len(batch)
            self._discount(len(batch))
            self.wake()

    async def _wait_for_acks(self) -> None:
        """Wait for the appends that stored entries of the tail if they have not returned.

        So acks precede the entries. Those may be in the tail before the task that appends continues. Entries
        of others do not wait for later appends.
        """
        tail = self._engine.new_entries
        while self._appends and not self.hub.are_appended(tail.entries):
            await next(iter(self._appends)).wait()

    async def flushed(self) -> None:
        """Wait until all pending frames have been written to the connections that are not blocked.

        Posts for those that can wait may remain if there is memory for them.
        """
        while self._flush_scheduled or self._effects.dirty_rooms or self._deferred_writes.is_urgent:
            await asyncio.sleep(0)

    def _is_busy(self) -> bool:
        """Whether there are posts to append, deliver or write at once."""
        return self._flush_scheduled or self._undelivered > 0 or bool(self._effects.pending_entries)

    async def _read(self, read: Read) -> None:
        try:
            posts = await self._read_in_turn(read)
        except SearchTooCostlyError as error:
            too_costly = RequestError(ErrorCode.SEARCH_TOO_COSTLY, str(error))
            self.hub.reads.failed(read, too_costly, self.instant())
        else:
            if isinstance(read, BackfillRead):
                self.hub.reads.backfilled(read, await self._encode(posts))
            else:
                self.hub.reads.done(read, posts)
        self.wake()

    async def _read_in_turn(self, read: Read) -> Sequence[Entry]:
        """Read posts when it is the turn of the address. Raises SearchTooCostlyError.

        The posts that a room needs for its ring are read at once.
        """
        if isinstance(read, BackfillRead):
            return await read_log(read, self._engine)
        slots = self._slots[type(read)]
        await slots.acquire(read.peer.rate_limit_key or read.peer)
        try:
            return await read_log(read, self._engine)
        finally:
            slots.release()

    async def _encode(self, entries: Sequence[Entry]) -> list[EncodedEntry]:
        """Encode entries for the ring of a room. A full ring takes several milliseconds."""
        encoded = []
        pauses = Pauses()
        for entry in entries:
            encoded.append(EncodedEntry.of(entry))
            if pauses.is_due:
                await pauses.pause()
        return encoded

    async def _store_topics(self) -> None:
        """Store topics one by one: each is a transaction, and posts wait for one of them at most."""
        while True:
            await self._topics_requested.wait()
            self._topics_requested.clear()
            await self._store_pending_topics()

    async def _store_pending_topics(self) -> None:
        async with self._storing_topics:
            while self._effects.topic_changes:
                await self._set_topic(self._effects.take_topic_change())

    async def _set_topic(self, change: TopicChange) -> None:
        try:
            await self._engine.set_topic(change.room, change.topic)
        except Exception as error:
            self._log_failure("a topic", error)
            self.hub.topic_failed(change, STORAGE_FAILED, self.instant())
        else:
            self.hub.topic_saved(change)
        self.wake()

    # -- writing

    def _flush(self) -> None:
        """Write pending frames to all connections, a slice at a time; the rest is scheduled."""
        self._flush_scheduled = False
        if self._passes.write():
            self._frames.write(SLICE_S)
        self._close_peers()
        effects = self._effects
        if self._passes.in_progress or effects.dirty_peers or effects.closing_peers:
            self._flush_scheduled = True
            self._loop.call_soon(self._flush)
        elif effects.dirty_rooms and not self._wait_scheduled:
            # They wait for more posts, which call `wake`. Threads of the engine need the time meanwhile.
            self._wait_scheduled = True
            self._loop.call_later(WAIT_S, self._wait_over)
        if effects.reads:
            self.wake()

    def _wait_over(self) -> None:
        self._wait_scheduled = False
        self.wake()

    def _defer_writes(self, room: Room) -> None:
        self._deferred_writes.add(room)

    def _check_blocked(self, peer: Peer) -> None:
        """Drop a connection that requests and requests, but reads nothing."""
        if len(peer.control) > self._limits.control_frames:
            self._drop(peer, "reads none of its replies")

    def _close_peers(self) -> None:
        """Close the connections that are due and have no frames left to write."""
        effects = self._effects
        deadline = time.perf_counter() + SLICE_S
        for peer in [peer for peer in effects.closing_peers if peer not in effects.dirty_peers]:
            effects.closing_peers.discard(peer)
            if peer.closing is not None and peer.id in self.hub.peers:
                peer.link.end(*peer.closing)
            if time.perf_counter() > deadline:
                break

    def _drop(self, peer: Peer, reason: str) -> None:
        """Close a connection that has timed out, and remove it at once.

        If its write buffer is full, it gets the close code only if it reads on within `CLOSE_TIMEOUT_S`.
        """
        if peer.id not in self.hub.peers:
            return
        self.stats.dropped[reason] = self.stats.dropped.get(reason, 0) + 1
        self.activity.dropped(peer, reason)
        peer.closing = peer.closing or (CloseCode.TIMED_OUT, f"Timed out: your client {reason}.")
        peer.link.end(*peer.closing)
        if (connection := self.connections.get(peer)) is not None:
            self._loop.call_later(CLOSE_TIMEOUT_S, connection.abort)
        self.detach(peer)

    # -- time

    async def _tick(self) -> None:
        while True:
            due = self._loop.time() + TICK_S
            await asyncio.sleep(TICK_S)
            self.stats.lag_s = max(0.0, self._loop.time() - due)
            self.stats.lag.observe(self.stats.lag_s)
            try:
                await self._check()
            except Exception:
                log.exception("the periodic check failed; it will be retried")
            self.wake()

    async def _check(self) -> None:
        """Do the periodic work, with pauses: it takes longer the more connections and rooms there are."""
        pauses = Pauses(CHECK_TURN_S)
        for _ in self.hub.tick_steps(self.instant()):
            if pauses.is_due:
                self.wake()
                await pauses.pause()
        self._on_tick(self._loop.time())
        self.activity.report_suppressed()
        self.sanction_store.poll()
        checked = list(self.connections.items())
        for start in range(0, len(checked), CHECKED_TOGETHER):
            part = dict(checked[start : start + CHECKED_TOGETHER])
            for peer, fault in check_connections(part, self._limits, self._loop.time()):
                self._drop(peer, fault)
                if pauses.is_due:
                    self.wake()
                    await pauses.pause()
            if pauses.is_due:
                await pauses.pause()

    def close_expired(self) -> None:
        """Close the connections whose token is no longer valid."""
        self.hub.close_expired(self.instant())
        self.wake()

    def enforce_bans(self) -> None:
        """Close the connections of everyone who is banned, in slices of the event loop."""
        self._spawn(self._enforce_bans())

    async def _enforce_bans(self) -> None:
        pauses = Pauses()
        for _ in self.hub.moderation.enforce_steps(self.instant()):
            if pauses.is_due:
                self.wake()
                await pauses.pause()
        self.wake()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.critical("a server task failed: %r", error, exc_info=error)
