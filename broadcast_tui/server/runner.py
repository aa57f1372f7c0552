"""Runs a hub: feeds it frames and time, appends and reads what it asks for, writes what it has to say.

One loop turn's input is one batch to the engine and one write a connection: everything that
arrives while a batch is appended and flushed makes up the next one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any, assert_never

from broadcast_tui.core.clock import Instant
from broadcast_tui.core.errors import CloseCode, EngineError
from broadcast_tui.core.hub.auth import Authenticator
from broadcast_tui.core.hub.effects import TopicChange
from broadcast_tui.core.hub.history import BackfillRead, HistoryRead, Read, SearchRead
from broadcast_tui.core.hub.hub import Hub
from broadcast_tui.core.hub.peer import Peer
from broadcast_tui.core.hub.room import Subscription
from broadcast_tui.core.limits import Limits
from broadcast_tui.core.post import Post
from broadcast_tui.core.text import log_safe
from broadcast_tui.engine.base import Engine
from broadcast_tui.server.activity_log import log_broadcast, log_frames, log_name, shown_received
from broadcast_tui.server.connection import PeerConnection
from broadcast_tui.server.keepalive import check
from broadcast_tui.server.sanction_store import SanctionFile, SanctionStore
from broadcast_tui.server.stats import ServerStats

log = logging.getLogger("broadcast_tui.server")


TICK_S = 0.2


DELIVER_POSTS = 256
"""Posts that enter the rings before what is due is written, so that a burst does not outrun them."""


UNDELIVERED_MAX = 5_000
"""Posts appended and not yet written to anyone, before no more are appended."""


SLICE_S = 0.0005
"""Longest a flush holds the loop before others get a turn: what they post joins the writes to come."""


SLICE_PEERS = 32


CANNOT_KEEP = "The server cannot keep posts just now; try again in a moment."


class HubRunner:
    """The hub of this node and the tasks around it."""

    def __init__(
        self,
        engine: Engine,
        limits: Limits,
        node: str,
        gate: Authenticator | None = None,
        *,
        on_tick: Callable[[float], None] = lambda now: None,
        sanction_file: SanctionFile | None = None,
    ) -> None:
        self.hub = Hub(engine, limits, node, gate)
        self.counts = ServerStats()
        self._on_tick = on_tick
        self.moderation_keeper = SanctionStore(self.hub.moderation, sanction_file)
        self.connections: dict[Peer, PeerConnection] = {}
        self._engine = engine
        self._limits = limits
        self._debug = log.isEnabledFor(logging.DEBUG)
        self._flush_scheduled = False
        self._to_write: list[Subscription] = []
        self._append_wanted = asyncio.Event()
        self._undelivered = 0
        self._delivered = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Open the engine and start the tasks. Raises EngineError."""
        await self._engine.start()
        self._loop = asyncio.get_running_loop()
        for work in (self._append(), self._follow_tail(), self._tick()):
            self._spawn(work)

    async def stop(self) -> None:
        """Append what is waiting, keep bans, close the engine, end the tasks."""
        await self._append_waiting()
        await self.moderation_keeper.finish()
        await self._engine.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def set_limits(self, limits: Limits) -> None:
        """Other limits, and another log level, from now on."""
        self._limits = limits
        self._debug = log.isEnabledFor(logging.DEBUG)
        self.hub.set_limits(limits)

    def instant(self) -> Instant:
        return Instant(self._loop.time(), datetime.now(UTC))

    # -- connections

    def attach(self, connection: PeerConnection, *, v1: bool, address: str) -> Peer:
        """A connection is up: from here on its frames go to the hub."""
        peer = self.hub.open(
            connection, v1=v1, address=address, when=self.instant(), identity=connection.identity
        )
        self.connections[peer] = connection
        log.info("%s connected, %d client(s)", log_safe(peer.label), len(self.connections))

        def on_flow(blocked: bool) -> None:
            peer.blocked = blocked
            peer.leave_fast_path()
            if not blocked and peer in self.connections:
                self.hub.herald.dirty_peers.add(peer)
                self.wake()

        connection.on_flow = on_flow
        connection.start_receiving(lambda data, is_text: self.receive(peer, data, is_text))
        self.wake()
        return peer

    def detach(self, peer: Peer) -> None:
        """A connection is gone; harmless if it was already detached."""
        connection = self.connections.pop(peer, None)
        if connection is None:
            return
        self.hub.close(peer, self.instant())
        code = connection.close_code
        log.info(
            "%s disconnected (%s), %d client(s)",
            log_safe(peer.label),
            code if code is not None else CloseCode.ABNORMAL,
            len(self.connections),
        )
        self.wake()

    def receive(self, peer: Peer, data: bytes, is_text: bool) -> None:
        """A whole message from a connection."""
        self.counts.received_bytes += len(data)
        if self._debug:
            log.debug("< #%d %s", peer.id, shown_received(data, welcomed=peer.welcomed))
        if peer.closing is not None:
            return
        name = peer.name
        try:
            if is_text:
                self.hub.receive(peer, data, self.instant())
            else:
                self.hub.reject_binary(peer, self.instant())
        except Exception:
            log.exception(
                "%s sent what broke a rule of ours; it is closed, the others go on", log_safe(peer.label)
            )
            self.connections[peer].end(CloseCode.INTERNAL, "internal error")
        if peer.name != name:
            log_name(peer, name)
        self.wake()

    # -- engine

    def wake(self) -> None:
        """Let what the hub has left to do be done soon."""
        hub = self.hub
        if hub.pending_posts:
            self._append_wanted.set()
        if hub.moderation.audit:
            self.moderation_keeper.look()
        if hub.topics:
            changes, hub.topics = hub.topics, []
            for change in changes:
                self._spawn(self._set_topic(change))
        if hub.rooms.reads:
            reads, hub.rooms.reads = hub.rooms.reads, []
            for read in reads:
                self._spawn(self._read(read))
        if not self._flush_scheduled and (hub.rooms.dirty or hub.herald.dirty_peers or hub.closing):
            self._flush_scheduled = True
            self._loop.call_soon(self._flush)

    async def _append(self) -> None:
        while True:
            await self._append_wanted.wait()
            self._append_wanted.clear()
            await self._append_waiting()

    async def _append_waiting(self) -> None:
        hub = self.hub
        while hub.pending_posts:
            while self._undelivered > UNDELIVERED_MAX:
                self._delivered.clear()
                await self._delivered.wait()
            batch, hub.pending_posts = hub.pending_posts, []
            # Counted before the engine has them: the tail may deliver them before `append` returns.
            self._undelivered += len(batch)
            started = self._loop.time()
            try:
                results = await self._engine.append([pending_post.draft for pending_post in batch])
            except EngineError as error:
                log.error("%d post(s) could not be kept: %s", len(batch), log_safe(str(error)))
                self._discount(len(batch))
                hub.failed(batch, CANNOT_KEEP, self.instant())
            else:
                self._discount(sum(result.dup for result in results))
                hub.accepted(batch, results)
                self.counts.append.observe(self._loop.time() - started)
                self.counts.posts += sum(not result.dup for result in results)
            self.wake()

    def _discount(self, count: int) -> None:
        """So many posts need not be waited for; the tail also brings some that were never counted."""
        self._undelivered = max(0, self._undelivered - count)
        self._delivered.set()

    async def _follow_tail(self) -> None:
        entered = 0
        async for posts in self._engine.tail():
            if not self._flush_scheduled:
                entered = 0
            for start in range(0, len(posts), DELIVER_POSTS):
                part = posts[start : start + DELIVER_POSTS]
                try:
                    self.hub.arrived(part)
                except Exception:
                    log.exception("%d post(s) could not be delivered; they are in the log", len(part))
                if log.isEnabledFor(logging.INFO):
                    log_broadcast(part, self.hub.rooms)
                self.wake()
                entered += len(part)
                if entered >= DELIVER_POSTS:
                    await self.flushed()
                    entered = 0
            self._discount(len(posts))

    async def flushed(self) -> None:
        """Wait until everyone who takes anything has been written what is due."""
        while self._flush_scheduled:
            await asyncio.sleep(0)

    async def _read(self, read: Read) -> None:
        self.hub.read_done(read, await posts_for(read, self._engine))
        self.wake()

    async def _set_topic(self, change: TopicChange) -> None:
        try:
            await self._engine.set_topic(change.room, change.topic)
        except EngineError as error:
            log.error("a topic could not be kept: %s", log_safe(str(error)))
            self.hub.topic_failed(change, CANNOT_KEEP, self.instant())
        else:
            self.hub.topic_set(change)
        self.wake()

    # -- writing

    def _flush(self) -> None:
        """Write to every connection that has something due; yields to the loop after `SLICE_S`."""
        self._flush_scheduled = False
        hub = self.hub
        deadline = self._loop.time() + SLICE_S
        while self._to_write or hub.rooms.dirty:
            if not self._to_write:
                room = hub.rooms.dirty.pop()
                self._to_write = list(room.subscriptions.values())
                continue
            part = self._to_write[-SLICE_PEERS:]
            del self._to_write[-SLICE_PEERS:]
            self._write_posts(part)
            if self._loop.time() > deadline:
                break
        else:
            self._flush_peers()
        self._end_closing()
        if self._to_write or hub.herald.dirty_peers or hub.rooms.dirty:
            self._flush_scheduled = True
            self._loop.call_soon(self._flush)

    def _write_posts(self, subscriptions: list[Subscription]) -> None:
        """The hot path: connections at their room's end get the same bytes, everyone else goes the long way.

        All are of one room. What is not written here is found again by its cursor.
        """
        room = subscriptions[0].room
        ring, head = room.ring, room.ring.last_seq
        known, target, data = -1, head, b""
        deliveries = sent_bytes = post_count = data_bytes = 0
        for subscription in subscriptions:
            if not subscription.live:
                if not subscription.peer.blocked:
                    self.hub.herald.dirty_peers.add(subscription.peer)
                continue
            if (cursor := subscription.cursor) != known:
                if cursor == head:
                    continue
                if cursor < ring.first_seq - 1:
                    self.hub.herald.touch(subscription.peer)
                    continue
                data, post_count = room.chunk(cursor)
                known, target, data_bytes = cursor, cursor + post_count, len(data)
                if target < head:
                    self.hub.rooms.dirty.add(room)
                if self._debug:
                    log_frames(log_safe(room.name, 60), data)
            subscription.cursor = target
            deliveries += post_count
            sent_bytes += data_bytes
            send = subscription.send  # CPython 3.11 looks a slot up faster than a method
            try:
                send(data)
            except RuntimeError:
                # uvloop, between the end of a transport and the call that tells of it.
                subscription.live = False
        self.counts.deliveries += deliveries
        self.counts.sent_bytes += sent_bytes

    def _flush_peers(self) -> None:
        """Answers, notices, replays, and connections in several rooms: one write each."""
        hub = self.hub
        dirty, hub.herald.dirty_peers = hub.herald.dirty_peers, set()
        deadline = self._loop.time() + SLICE_S
        while dirty:
            peer = dirty.pop()
            if peer.blocked:
                if len(peer.control) > self._limits.control_frames:
                    self._drop(peer, "takes none of its answers")
                continue
            data = peer.collect()
            if data:
                if self._debug:
                    log_frames(f"#{peer.id}", data)
                peer.link.write(data)
                self.counts.sent_bytes += len(data)
                self.counts.deliveries += peer.delivered
                peer.delivered = 0
            if not peer.blocked:
                if peer.behind:
                    hub.herald.dirty_peers.add(peer)
                else:
                    peer.settle()
            if self._loop.time() > deadline:
                break
        hub.herald.dirty_peers |= dirty

    def _end_closing(self) -> None:
        for peer in [peer for peer in self.hub.closing if peer not in self.hub.herald.dirty_peers]:
            self.hub.closing.discard(peer)
            connection = self.connections.get(peer)
            if connection is not None and peer.closing is not None:
                connection.end(*peer.closing)

    def _drop(self, peer: Peer, reason: str) -> None:
        connection = self.connections.get(peer)
        if connection is not None:
            self.counts.cut[reason] = self.counts.cut.get(reason, 0) + 1
            log.warning("%s dropped: it %s", log_safe(peer.label), reason)
            connection.transport.abort()
            self.detach(peer)

    # -- time

    async def _tick(self) -> None:
        while True:
            due = self._loop.time() + TICK_S
            await asyncio.sleep(TICK_S)
            self.counts.lag_s = max(0.0, self._loop.time() - due)
            self.counts.lag.observe(self.counts.lag_s)
            try:
                self.hub.tick(self.instant())
                self._on_tick(self._loop.time())
                self.moderation_keeper.look()
                for peer, fault in check(self.connections, self._limits, self._loop.time()):
                    self._drop(peer, fault)
            except Exception:
                log.exception("a tick went wrong; the next one tries again")
            self.wake()

    def close_expired(self) -> None:
        """End the connections whose token is not valid any more."""
        self.hub.close_expired(self.instant())
        self.wake()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.critical("a task of the server ended by mistake: %r", error, exc_info=error)


async def posts_for(read: Read, engine: Engine) -> list[Post]:
    """The posts, oldest first; none, and a line in the log, if the engine cannot read."""
    try:
        match read:
            case BackfillRead():
                return await engine.read(read.room, before=read.before, limit=read.limit, from_end=True)
            case HistoryRead():
                return await engine.read(
                    read.room, after=read.after, before=read.before, limit=read.limit, from_end=read.from_end
                )
            case SearchRead():
                return await engine.search(read.room, read.query, before=read.before, limit=read.limit)
            case _:
                assert_never(read)
    except EngineError as error:
        log.error("history of %s could not be read: %s", log_safe(read.room, 60), log_safe(str(error)))
        return []
