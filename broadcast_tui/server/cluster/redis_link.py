"""A node's link to the other nodes, over Redis.

Invariants: nobody is disconnected because Redis is away. Meanwhile, what needs other nodes fails at once with
a temporary error, and what they have to know is written again afterwards.

Costs: a claim, a release, or a change of the members of a room takes one script, 10 to 15 µs of Redis 7.0. A
change also takes one message to each node with the room, and opening a room two scripts and a subscription.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
import logging
from collections import Counter
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, assert_never

from broadcast_tui.core.clock import Instant
from broadcast_tui.core.errors import EngineError, RequestError
from broadcast_tui.core.hub.cluster import (
    Answers,
    ClaimName,
    CompareRoom,
    DirectPosted,
    FindConnections,
    FindPerson,
    Kicked,
    ListStoredRooms,
    LoadDirects,
    Need,
    OpenDirect,
    OpenRoom,
    ReleasedName,
    RoomNotice,
    RosterChanged,
    ShareSanction,
    Signal,
    TopicChanged,
    TypingNotice,
)
from broadcast_tui.core.rate_limit import FailureLimiter
from broadcast_tui.engine.base import Engine
from broadcast_tui.redis_client import FAILURES, Client, end, open_client
from broadcast_tui.redis_settings import RedisSettings
from broadcast_tui.redis_subscriber import Subscriber
from broadcast_tui.server.cluster.commands import CommandQueue, UnavailableError
from broadcast_tui.server.cluster.directs import Directs
from broadcast_tui.server.cluster.failures import FailureCounter
from broadcast_tui.server.cluster.keys import Keys
from broadcast_tui.server.cluster.link_stats import LinkStats
from broadcast_tui.server.cluster.names import Names
from broadcast_tui.server.cluster.nodes import LEASE_S, RENEW_S, Nodes, random_node
from broadcast_tui.server.cluster.port import HubPort
from broadcast_tui.server.cluster.queries import Queries
from broadcast_tui.server.cluster.resources import INBOX, NAME, resource_of
from broadcast_tui.server.cluster.room_list import RoomList
from broadcast_tui.server.cluster.rosters import Rosters
from broadcast_tui.server.cluster.scripts import TAKE_NUMBERS
from broadcast_tui.server.cluster.shared_lists import SharedLists
from broadcast_tui.server.cluster.signals import (
    ConnectionsAsked,
    ConnectionsFound,
    LinkMessage,
    ListChanged,
    NamesLost,
    NodeStopped,
    PersonAsked,
    PersonFound,
    RosterWritten,
    SanctionApplied,
    SanctionAsked,
    decode,
    encode,
)

RETRY_S = 0.5
"""Delay before Redis is tried again."""
INBOXES_S = 60.0
"""Interval at which the inboxes of people who have left are closed."""
GUEST_NUMBERS = 1000
"""Numbers of guests that a node takes at once."""

log = logging.getLogger("broadcast_tui.server")


class RedisLink:
    """The link of this process.

    Args:
        settings: How to use Redis.
        client: Client of it; its replies are bytes.
        engine: The engine whose rooms are opened.
        partitions: Number of partitions of the rooms, as in the engine.
        version: Version of the program, for the record of the node.
    """

    def __init__(
        self,
        settings: RedisSettings,
        client: Client,
        engine: Engine,
        *,
        partitions: int = 1,
        version: str = "",
        lease_s: float = LEASE_S,
    ) -> None:
        self.keys = Keys(settings.prefix, partitions)
        self._client = client
        self._owns_client = False
        self._engine = engine
        self._commands = CommandQueue(client, self._disconnected)
        self._subscriber = Subscriber(
            settings, client, received=self._received, lost=self._disconnected, resumed=self._resumed
        )
        self.nodes = Nodes(
            self._commands,
            self.keys,
            random_node(),
            version=version,
            record=lambda: self.record(),
            lease_s=lease_s,
        )
        self._names = Names(self._commands, self.keys)
        self._directs = Directs(self._commands, self.keys, self._subscriber)
        self._room_list = RoomList(self._commands, self.keys)
        self._queries = Queries(self._send_to_all, self._live_others)
        self.lists = SharedLists(
            self._commands,
            self.keys,
            announce=lambda name: self._send_to_all(ListChanged(name)),
            changed=lambda: self._wake(),
        )
        self.sanctions, self.tokens = self.lists.sanctions, self.lists.tokens
        self.hooks = self.lists.hooks
        self.record: Callable[[], Mapping[str, object]] = dict
        """Returns the changing fields of the node's record, such as its number of connections."""
        self._others: set[str] = set()
        """Other live nodes."""
        self._has_missed = True
        """Whether signals may have been missed, or changes not written."""
        self._was_up = False
        """Whether Redis could be reached before the last failure."""
        self._up_since = 0.0
        self._is_taking_numbers = False
        self._opening: dict[str, asyncio.Task[None]] = {}
        self._in_use: Counter[str] = Counter()
        """Rooms, names and owners that commands are being prepared with, see `resource_of`."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._beat_now = asyncio.Event()

    @property
    def node(self) -> str:
        """The current id of this node."""
        return self.nodes.id

    @property
    def is_up(self) -> bool:
        """Whether Redis can be reached."""
        return self._commands.is_up

    @property
    def stats(self) -> LinkStats:
        """What was exchanged with the other nodes."""
        return self._commands.stats

    @property
    def live_node_count(self) -> int:
        """Number of nodes that this one knows to be live, with itself."""
        return 1 + len(self._others)

    @classmethod
    def open(cls, settings: RedisSettings, engine: Engine) -> RedisLink:
        """A link with a client of its own, which `stop` closes."""
        link = cls(
            settings,
            open_client(settings),
            engine,
            partitions=settings.partitions,
            version=importlib.metadata.version("broadcast-tui"),
        )
        link._owns_client = True
        return link

    def count_failures(self, limiter: FailureLimiter) -> None:
        """Count failed attempts to authenticate over all nodes."""
        FailureCounter(self._commands, self.keys, limiter)

    # -- start and stop

    async def start(self, hub: HubPort, wake: Callable[[], None]) -> None:
        """Register the node, and pass signals to the hub from now on. Raises EngineError."""
        self._loop = asyncio.get_running_loop()
        self._hub, self._wake = hub, wake
        hub.cluster.node = self.node
        self._rosters = Rosters(
            self._commands,
            self.keys,
            hub,
            self._instant,
            lambda room: self._spawn(self._load_roster(room)),
            command=self._subscriber.publish_command,
        )
        self._commands.start()
        try:
            await self._subscriber.subscribe(self.keys.everyone, self.keys.node_channel(self.node))
            beat = await self.nodes.beat(is_new=True)
            self._commands.is_up = self._was_up = True
            self._others = set(beat.live) - {self.node}
            await self._take_guest_numbers()
            await self.lists.load(beat, force=True)
        except RequestError as error:
            await self._end()
            raise EngineError("Cannot join the cluster: Redis does not respond.") from error
        except EngineError:
            await self._end()
            raise
        self._has_missed = False
        self._up_since = self._loop.time() - self.nodes.lease_s
        self._spawn(self._renew())
        self._spawn(self.lists.poll())
        self._spawn(self._leave_inboxes())
        self._wake()

    def announce(self) -> None:
        """Write the record of the node now, since it has changed. Returns at once."""
        self._beat_now.set()

    async def stop(self) -> None:
        """Remove the node and its members from the cluster."""
        await end(*self._tasks)
        with contextlib.suppress(RequestError):
            await self._commands.drain()
            self._send_to_all(NodeStopped())
            await self.nodes.remove(self.node)
        await self._end()

    async def _end(self) -> None:
        await self._subscriber.close()
        await self._commands.stop()
        if self._owns_client:
            with contextlib.suppress(*FAILURES):
                await self._client.aclose()

    # -- needs

    async def prepare(self, needs: Sequence[Need]) -> Answers:
        """Answer needs: open the rooms, claim the names, and find the rest.

        If one of them fails, none is done. Raises RequestError. Call `prepared` in any case, when the command
        is executed or has failed.
        """
        self._in_use.update(filter(None, map(resource_of, needs)))
        if not self._commands.is_up:
            raise UnavailableError
        answers = Answers()
        for need in needs:
            await self._answer(need, answers)
        for need in needs:  # a room may have been closed meanwhile
            if isinstance(need, OpenRoom) and not self._is_open(need.room):
                await self._open(need.room)
        return answers

    def prepared(self, needs: Sequence[Need]) -> None:
        """Give back the rooms and names of needs that the hub does not use."""
        for need in needs:
            resource = resource_of(need)
            if resource is None:
                continue
            self._in_use[resource] -= 1
            if self._in_use[resource] > 0:
                continue
            del self._in_use[resource]
            if isinstance(need, OpenRoom):
                self.close_room(need.room)
            elif isinstance(need, ClaimName) and not self._hub.uses_name(need.key):
                owner = self._names.owner_of(need.key)
                if owner is not None:
                    self._names.release(self.node, ReleasedName(need.key, owner, 0.0))

        if self._hub.needs_guest_numbers and not self._is_taking_numbers:
            self._is_taking_numbers = True
            self._spawn(self._take_more_numbers())

    def close_room(self, room: str) -> None:
        """Stop following a room, unless it is in use again."""
        if room in self._in_use or self._hub.uses_room(room):
            return
        self._engine.close_room(room)
        if room in self._rosters.rooms:
            self._rosters.close(room)
            self._spawn(self._subscriber.unsubscribe(self.keys.room_channel(room)))

    async def _answer(self, need: Need, answers: Answers) -> None:
        match need:
            case OpenRoom():
                await self._open(need.room)
            case CompareRoom():
                await self._compare(need.room)
            case ClaimName():
                claimed = await self._names.claim(self.node, need)
                for loser in claimed.losers:
                    self._send_to(loser, NamesLost({need.key: need.owner}))
            case FindConnections():
                answers.connections += await self._queries.connections(need.who)
            case ShareSanction():
                await self._queries.share_sanction(need)
            case FindPerson():
                answers.person = await self._queries.person(need.key, need.owner)
            case LoadDirects():
                answers.directs += await self._directs.load(need.owner)
            case OpenDirect():
                answers.directs += (await self._directs.open(need),)
            case ListStoredRooms():
                answers.rooms += await self._room_list.page(need)
            case _:
                assert_never(need)

    async def _compare(self, room: str) -> None:
        """Let a room follow the stored log. Raises UnavailableError."""
        try:
            await self._engine.open_room(room, refresh=True)
        except EngineError as error:
            raise UnavailableError from error

    def _is_open(self, room: str) -> bool:
        return self._engine.is_open(room) and room in self._rosters.rooms

    async def _open(self, room: str) -> None:
        """Open a room, with its log and its members. Raises UnavailableError."""
        if self._is_open(room):
            return
        task = self._opening.get(room)
        if task is None:
            task = self._opening[room] = self._loop.create_task(self._open_now(room))
            task.add_done_callback(lambda _: self._opening.pop(room, None))
        await asyncio.shield(task)

    async def _open_now(self, room: str) -> None:
        try:
            # The channel first, so that no change is missed.
            await self._subscriber.subscribe(self.keys.room_channel(room))
            opened = await asyncio.gather(
                self._engine.open_room(room),
                self._rosters.load(room, self._presumed()),
                return_exceptions=True,  # when both have ended, both can be undone
            )
            for error in filter(None, opened):
                raise error
        except (EngineError, RequestError) as error:
            self._rosters.close(room)
            self._engine.close_room(room)
            self._spawn(self._subscriber.unsubscribe(self.keys.room_channel(room)))
            raise UnavailableError from error

    # -- names and signals of this node

    def release(self, names: Sequence[ReleasedName]) -> None:
        """Release names, after earlier claims and before later ones. Returns at once."""
        for released in names:
            if f"{NAME}{released.key}" not in self._in_use:
                self._names.release(self.node, released)

    def send(self, signals: Sequence[Signal]) -> None:
        """Send signals to the other nodes, in order. Returns at once."""
        for signal in signals:
            match signal:
                case RosterChanged():
                    self._rosters.write(signal)
                case TypingNotice() | TopicChanged():
                    self._publish(self.keys.room_channel(signal.room), signal)
                case Kicked() | RoomNotice():
                    self._send_to_all(signal)
                case DirectPosted():
                    self._directs.posted(signal.room)
                    for owner in signal.names:
                        self._publish(self.keys.inbox(owner), signal)
                case _:
                    assert_never(signal)

    def _send_to_all(self, message: Signal | LinkMessage, node: str = "") -> None:
        self._publish(self.keys.everyone, message, node)

    def _send_to(self, node: str, message: LinkMessage) -> None:
        self._publish(self.keys.node_channel(node), message)

    def _publish(self, channel: str, message: Signal | LinkMessage, node: str = "") -> None:
        self._commands.put(self._subscriber.publish_command, channel, encode(node or self.node, message))

    # -- messages of other nodes

    def _received(self, channel: str, data: bytes) -> None:
        envelope = decode(data)
        if envelope is None or envelope.node == self.node:
            return
        self.stats.messages += 1
        try:
            self._handle(*envelope)
        except Exception:
            log.exception("a message from another node could not be handled")
        self._wake()

    def _handle(self, node: str, message: Signal | LinkMessage) -> None:
        if not isinstance(message, NodeStopped | ListChanged) and node not in self._others:
            self._others.add(node)
        match message:
            case RosterChanged():
                self._rosters.receive(message)
            case TypingNotice() | TopicChanged() | Kicked() | RoomNotice() | DirectPosted():
                self._hub.receive_signal(message, self._instant())
            case NodeStopped():
                self._node_left(node)
            case RosterWritten():
                if message.room in self._rosters.rooms:
                    self._spawn(self._load_roster(message.room))
            case NamesLost():
                lost = [key for key, owner in message.owners.items() if self._names.lose(key, owner)]
                if lost:
                    self._hub.names_lost(lost, self._instant())
            case ListChanged():
                self._spawn(self.lists.reload(message.name))
            case ConnectionsAsked():
                found = tuple(self._hub.answer_connections(message.who))
                self._send_to(node, ConnectionsFound(message.id, found))
            case PersonAsked():
                self._send_to(
                    node, PersonFound(message.id, self._hub.find_person(message.key, message.owner))
                )
            case SanctionAsked():
                self._hub.apply_sanction(message.change, self._instant())
                self._send_to(node, SanctionApplied(message.id))
            case ConnectionsFound() | PersonFound() | SanctionApplied():
                self._queries.answered(node, message)
            case _:
                assert_never(message)

    async def _live_others(self) -> Collection[str]:
        return await self.nodes.live() - {self.node}

    def _node_left(self, node: str) -> None:
        self._others.discard(node)
        if self._rosters.remove_node(node):
            self._wake()

    # -- the lease

    async def _renew(self) -> None:
        """Renew the lease, and write everything again after an outage."""
        while True:
            self._beat_now.clear()
            delay_s = RENEW_S * self.nodes.lease_s / LEASE_S
            try:
                await self._renew_once()
            except (RequestError, EngineError):
                self._disconnected()
                delay_s = RETRY_S
            except Exception:
                log.exception("the lease of the node could not be renewed; this will be retried")
                delay_s = RETRY_S
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(delay_s):
                    await self._beat_now.wait()

    async def _renew_once(self) -> None:
        beat = await self.nodes.beat()
        former = ""
        if beat.state == "gone":
            former = await self._take_new_id()
            beat = await self.nodes.beat(is_new=True)
        if beat.state != "live":
            self._has_missed = True
        if not self._commands.is_up:
            self._commands.is_up = self._was_up = True
            self._up_since = self._loop.time()
            log.info("connected to the other nodes again")
        if self._has_missed:
            await self._synchronize(former)
        await self.lists.load(beat)
        self._others |= beat.live - {self.node}
        if self._loop.time() - self._up_since < self.nodes.lease_s:
            return  # after an outage, the others have to renew their leases first
        for node in (self._others | self._rosters.nodes) - beat.live:
            self._node_left(node)
        for node in beat.dead:
            if await self.nodes.reap(node):
                extra = {"event": "node_removed", "node": node}
                log.warning("removed node %s, which does not respond", node, extra=extra)

    async def _take_new_id(self) -> str:
        """Take a new id, since the others have removed this node; returns the former one."""
        former = self.nodes.renew_id()
        log.warning("the lease of this node has ended; it rejoins the cluster with a new id")
        self._hub.cluster.node = self.node
        await self._subscriber.unsubscribe(self.keys.node_channel(former))
        await self._subscriber.subscribe(self.keys.node_channel(self.node))
        return former

    async def _synchronize(self, former: str) -> None:
        """Write what this node shares again, and read what others share. Raises UnavailableError."""
        self._has_missed = False
        try:
            if former:
                self._send_to_all(NodeStopped(), former)
                await self.nodes.remove(former)
                await self._take_guest_numbers()
            await self._rosters.write_again()
            lost = await self._names.claim_again(self.node)
            if lost:
                self._hub.names_lost(lost, self._instant())
            for room in list(self._rosters.rooms):
                await self._rosters.load(room, self._presumed())
        except RequestError:
            self._has_missed = True
            raise
        finally:
            self._wake()

    def _presumed(self) -> Collection[str]:
        """Nodes that count as live: after an outage, they have to renew their leases first."""
        return self._others if self._loop.time() - self._up_since < self.nodes.lease_s else ()

    async def _take_guest_numbers(self) -> None:
        end = int(await self._commands.eval(TAKE_NUMBERS, self.keys.control, GUEST_NUMBERS))
        self._hub.add_guest_numbers(end - GUEST_NUMBERS + 1, GUEST_NUMBERS)

    async def _take_more_numbers(self) -> None:
        try:
            with contextlib.suppress(RequestError):
                await self._take_guest_numbers()
        finally:
            self._is_taking_numbers = False

    def _disconnected(self) -> None:
        """Reject what needs other nodes, until Redis is back."""
        if self._was_up:
            log.warning("cannot reach the other nodes; new names and rooms have to wait")
            self.stats.outages += 1
            self._beat_now.set()
        self._commands.is_up = self._was_up = False
        self._has_missed = True

    def _resumed(self) -> None:
        self._has_missed = True
        self._beat_now.set()

    async def _leave_inboxes(self) -> None:
        """Stop following the direct messages of people who are not connected any more."""
        while True:
            await asyncio.sleep(INBOXES_S)
            in_use = {owner.removeprefix(INBOX) for owner in self._in_use if owner.startswith(INBOX)}
            await self._directs.follow_only(self._hub.owners() | in_use)

    # -- tasks

    async def _load_roster(self, room: str) -> None:
        with contextlib.suppress(RequestError):
            await self._rosters.load(room, self._presumed())
            self._wake()

    def _instant(self) -> Instant:
        return Instant(self._loop.time(), datetime.now(UTC))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
