"""Several hubs over one log, without event loop, Redis or clock: a cluster whose faults tests choose.

What one node sends to another arrives in order; between nodes, the test chooses the order. Nothing moves
before the test moves it: `settle` moves everything, `run` one kind of work of one node.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import msgspec

from broadcast_tui.core.clock import Instant
from broadcast_tui.core.errors import ErrorCode, InvalidNameError, RequestError
from broadcast_tui.core.hub.auth import Authenticator, Identity
from broadcast_tui.core.hub.cluster import (
    Answers,
    ClaimName,
    DirectPosted,
    FindConnections,
    FindPerson,
    ListStoredRooms,
    LoadDirects,
    Member,
    Need,
    OpenDirect,
    OpenRoom,
    Preparation,
    ReleasedName,
    RosterChanged,
    ShareSanction,
    Signal,
    StoredDirect,
    TopicChanged,
    TypingNotice,
)
from broadcast_tui.core.hub.hub import Hub
from broadcast_tui.core.hub.sanctions import Sanction
from broadcast_tui.core.limits import Limits
from broadcast_tui.core.names import is_direct
from broadcast_tui.core.notes import LogEvent
from broadcast_tui.core.post import Position
from broadcast_tui.core.post_state import NoteKind
from broadcast_tui.core.protocol import events
from tests.support.hub_pair import EPOCH, Wire
from tests.support.model_log import ModelLog

Frame = dict[str, Any]
GUEST_NUMBERS = 1_000


class NodeIndex:
    """The log as one node sees it: rooms that are not open look empty."""

    def __init__(self, log: ModelLog) -> None:
        self.log = log
        self.opened: set[str] = set()

    def is_open(self, room: str) -> bool:
        return room in self.opened

    def epoch_of(self, room: str) -> str:
        return self.log.epoch_of(room)

    def fork_of(self, room: str, epoch: str) -> int | None:
        return self.log.fork_of(room, epoch)

    def first_seq(self, room: str) -> int:
        return self.log.first_seq(room) if room in self.opened else 1

    def last_seq(self, room: str) -> int:
        return self.log.last_seq(room) if room in self.opened else 0

    def pins(self, room: str) -> Sequence[int]:
        return self.log.pins(room) if room in self.opened else ()

    def open_asks(self, room: str = "") -> Sequence[tuple[str, int, datetime]]:
        return [ask for ask in self.log.open_asks(room) if ask.room in self.opened]

    def pending_summaries(self) -> Sequence[tuple[str, int, NoteKind]]:
        return ()

    def topic(self, room: str) -> str:
        return self.log.topic(room) if room in self.opened else ""

    def room_names(self) -> Sequence[str]:
        return sorted(name for name in self.log.room_names() if name in self.opened)


class Client:
    """A connection to a node. Frames that it sends wait while the node holds it."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.wire = Wire()
        self.received: list[Frame] = []
        """All frames so far."""

    @property
    def peer_name(self) -> str:
        """The name that its node knows."""
        assert self.wire.peer is not None
        return self.wire.peer.name

    @property
    def close_code(self) -> int | None:
        """The code with which the node closes it; None while it is open."""
        assert self.wire.peer is not None
        closing = self.wire.peer.closing
        return None if closing is None else int(closing[0])

    def send(self, type_: str, **fields: Any) -> None:
        """Send a frame, which arrives when the node is served."""
        self.wire.to_server.append(msgspec.json.encode({"type": type_, **fields}))

    def close(self) -> None:
        """Close the connection, which the node notices now."""
        assert self.wire.peer is not None
        self.node.hub.close(self.wire.peer, self.node.cluster.when)

    def frames(self, type_: str = "") -> list[Frame]:
        """The frames of a type that have arrived, or all of them."""
        while self.wire.to_client:
            self.received.append(msgspec.json.decode(self.wire.to_client.popleft()))
        return [frame for frame in self.received if type_ in ("", frame["type"])]

    def clear(self) -> None:
        """Forget what has arrived."""
        self.frames()
        self.received.clear()


class Node:
    """A hub, its view of the log, and what is on its way to it."""

    def __init__(self, cluster: HubCluster, name: str, authenticator: Authenticator | None) -> None:
        self.cluster = cluster
        self.name = name
        self.index = NodeIndex(cluster.log)
        ids = count(1)
        self.hub = Hub(
            self.index, cluster.limits, name, authenticator,
            random_id=lambda: f"{name}-random{next(ids)}", is_durable=True, is_shared=True,
        )  # fmt: skip
        self.clients: list[Client] = []
        self.signals: dict[str, deque[Signal]] = {}
        """Signals on their way, by the node that sent them."""
        self.tail: deque[LogEvent] = deque()
        """Entries of the log on their way."""
        self.preparations: list[Preparation] = []
        """Commands whose needs have not been answered."""
        self.in_use: Counter[str] = Counter()
        """Rooms and names (with a preceding NUL) of these commands."""
        self.known: dict[str, dict[str, int]] = {}
        """Versions of the parts of other nodes, by open room and node."""
        self.inboxes: set[str] = set()
        """Owners whose direct messages arrive here."""
        self.is_up = True
        """Whether needs of this node can be answered."""
        self.hub.port.add_guest_numbers(cluster.guest_numbers(), GUEST_NUMBERS)
        self.hub.started(cluster.when)

    def connect(
        self, *, v1: bool = True, identity: Identity | None = None, address: str = "192.0.2.1:9"
    ) -> Client:
        """Open a connection."""
        client = Client(self)
        client.wire.peer = self.hub.open(
            client.wire, v1=v1, address=address, when=self.cluster.when, identity=identity
        )
        self.clients.append(client)
        return client

    # -- work of the server

    def receive(self) -> bool:
        """Handle the frames of connections that are not held; returns whether there were any."""
        moved = False
        for client in self.clients:
            while client.wire.to_server and not client.wire.is_held and client.wire.peer is not None:
                if client.wire.peer.id not in self.hub.peers:
                    break
                self.hub.receive(client.wire.peer, client.wire.to_server.popleft(), self.cluster.when)
                moved = True
        return moved

    def append(self) -> bool:
        """Append what is pending, and store topics; other nodes get the entries later."""
        hub, cluster, moved = self.hub, self.cluster, False
        if hub.effects.pending_entries:
            batch = hub.posting.take_batch()
            results, new = cluster.log.append([pending.entry for pending in batch])
            hub.entries_appended(batch, results, cluster.when)
            self.follow()  # entries arrive in order within a room
            hub.deliver(new)
            for node in cluster.nodes.values():
                if node is not self:
                    node.tail.extend(entry for entry in new if entry.room in node.index.opened)
            moved = True
        while hub.effects.topic_changes:
            change = hub.effects.take_topic_change()
            cluster.log.topics[change.room] = change.topic
            hub.topic_saved(change)
            moved = True
        for read in hub.effects.take_reads():
            hub.reads.done(read, cluster.log.read(read))
            moved = True
        return moved

    def follow(self) -> bool:
        """Deliver the entries that other nodes have appended; returns whether there were any."""
        entries = [*self.tail]
        self.tail.clear()
        if entries:
            self.hub.deliver(entries)
        return bool(entries)

    def write(self) -> None:
        """Write frames to connections."""
        effects = self.hub.effects
        for room in effects.dirty_rooms:
            effects.dirty_peers |= set(room.subscriptions)
        effects.dirty_rooms.clear()
        for peer in sorted(effects.take_dirty_peers(), key=lambda peer: peer.id):
            while not peer.blocked and (data := b"".join(peer.collect())):
                peer.link.write_now(data)

    def close_closing(self) -> bool:
        """Close the connections that the hub wants to close; returns whether there were any."""
        closing = list(self.hub.effects.closing_peers)
        for peer in closing:
            self.hub.close(peer, self.cluster.when)
        return bool(closing)

    # -- work of the cluster

    def collect(self) -> bool:
        """Take what the hub needs from and has for other nodes; returns whether there was anything."""
        work, cluster = self.hub.cluster, self.cluster
        has_work = work.has_work
        for released in work.take_released_names():
            if not self.in_use[f"\0{released.key}"]:
                cluster.release(self.name, released)
        for signal in work.take_signals():
            cluster.route(self, signal)
        for room in work.take_closed_rooms():
            self.close_room(room)
        for preparation in work.take_preparations():
            self.in_use.update(_resources(preparation))
            self.preparations.append(preparation)
        return has_work

    def open_room(self, room: str) -> None:
        """Open a room, with the members on other nodes."""
        if room not in self.index.opened:
            self.index.opened.add(room)
            self.known[room] = {}
            self.load_roster(room)

    def close_room(self, room: str) -> None:
        """Close a room, unless it is in use again."""
        if not self.in_use[room] and not self.hub.port.uses_room(room):
            self.index.opened.discard(room)
            self.known.pop(room, None)
            self.hub.port.roster_closed(room)

    def load_roster(self, room: str) -> None:
        """Read the members of a room on other nodes."""
        known, stored = self.known[room], self.cluster.rosters.get(room, {})
        for name in {*known, *stored} - {self.name}:
            part = stored.get(name, StoredPart())
            version = part.version if part.members else 0
            if version != known.get(name, 0):
                known[name] = version
                self.hub.port.roster_loaded(
                    room, name, version, list(part.members.values()), self.cluster.when
                )

    def load_rosters(self) -> None:
        """Read the members of all open rooms, as after an outage."""
        for room in self.known:
            self.load_roster(room)

    def node_left(self, name: str) -> None:
        """Notice that another node has left."""
        queue = self.signals.get(name, deque())
        self.signals[name] = deque(signal for signal in queue if not isinstance(signal, RosterChanged))
        for known in self.known.values():
            known.pop(name, None)
        self.hub.port.node_left(name, self.cluster.when)

    def answer(self, number: int = 0, *, error: RequestError | None = None) -> None:
        """Answer the needs of one command, or let them fail."""
        preparation = self.preparations.pop(number)
        answers: Answers | RequestError
        try:
            if error is not None:
                raise error
            answers = self.cluster.answer(self, preparation.needs)
        except RequestError as raised:
            answers = raised
        self.hub.prepared(preparation, answers, self.cluster.when)
        self.in_use.subtract(_resources(preparation))
        for need in preparation.needs:
            if isinstance(need, OpenRoom):
                self.close_room(need.room)
            elif isinstance(need, ClaimName) and not self._uses_name(need.key):
                self.cluster.release(self.name, ReleasedName(need.key, need.owner, 0.0))

    def _uses_name(self, key: str) -> bool:
        return bool(self.in_use[f"\0{key}"]) or self.hub.port.uses_name(key)

    def deliver(self, source: str) -> bool:
        """Deliver the next signal of another node; returns whether there was one."""
        queue = self.signals.get(source)
        if not queue:
            return False
        signal = queue.popleft()
        if not isinstance(signal, RosterChanged):
            self.hub.port.receive_signal(signal, self.cluster.when)
        elif (known := self.known.get(signal.room)) is not None:
            version = known.get(source, 0)
            if signal.version == version + 1:
                known[source] = signal.version
                self.hub.port.receive_signal(signal, self.cluster.when)
            elif signal.version > version:
                self.load_roster(signal.room)
        return True

    def lose_signals(self) -> None:
        """Lose the signals on their way to this node."""
        self.signals.clear()


@dataclass
class StoredPart:
    """A node's part of the roster of a room."""

    version: int = 0
    members: dict[str, Member] = field(default_factory=dict)

    def change(self, signal: RosterChanged) -> None:
        """Apply a change, as it is stored."""
        self.version = signal.version
        for member in signal.members:
            self.members.pop(member.former, None)
            self.members.pop(member.key, None)
            if member.connections:
                self.members[member.key] = msgspec.structs.replace(
                    member, reason="", former="", former_name=""
                )


@dataclass
class ClaimedName:
    """A name in the cluster."""

    owner: str
    name: str
    nodes: set[str] = field(default_factory=set)
    until: float = 0.0
    """End of the grace period."""


class HubCluster:
    """Nodes that share a log, names and rooms for direct messages.

    Args:
        node_count: Number of nodes, which are called `n1`, `n2` and so on.
    """

    def __init__(
        self, node_count: int = 2, limits: Limits | None = None, authenticator: Authenticator | None = None
    ) -> None:
        self.limits = limits or Limits(message_rate=0, message_burst=0, history_rate=1_000)
        self.log = ModelLog()
        self.when = Instant(100.0, EPOCH)
        self.names: dict[str, ClaimedName] = {}
        self.directs: dict[frozenset[str], StoredDirect] = {}
        self.rosters: dict[str, dict[str, StoredPart]] = {}
        """The stored members, by room and node."""
        self.sanctions: list[Sanction] = []
        self._guest_numbers = count(1, GUEST_NUMBERS)
        self._authenticator = authenticator
        self.nodes: dict[str, Node] = {}
        for number in range(1, node_count + 1):
            self.start(f"n{number}")

    def __getitem__(self, number: int) -> Node:
        """The node with a number, from 1."""
        return self.nodes[f"n{number}"]

    def guest_numbers(self) -> int:
        """The first number of a new block."""
        return next(self._guest_numbers)

    def start(self, name: str) -> Node:
        """Start a node."""
        node = self.nodes[name] = Node(self, name, self._authenticator)
        return node

    def kill(self, name: str) -> Node:
        """Kill a node. Its lease has ended, and its signals may still be on their way."""
        for claimed in self.names.values():
            claimed.nodes.discard(name)
        for parts in self.rosters.values():
            parts.pop(name, None)
        killed = self.nodes.pop(name)
        for node in self.nodes.values():
            node.node_left(name)
        return killed

    def pass_time(self, seconds: float) -> None:
        """Advance the clocks of all nodes."""
        self.when = Instant(self.when.now + seconds, self.when.at + timedelta(seconds=seconds))
        for node in self.nodes.values():
            node.hub.tick(self.when)

    def fork(self, room: str, seq: int, epoch: str) -> None:
        """Lose the entries of a room above `seq`; nodes get the news with their tails."""
        fork = self.log.fork(room, seq, epoch)
        for node in self.nodes.values():
            if room in node.index.opened:
                node.tail.append(fork)

    def settle(self) -> None:
        """Move everything until nothing is on its way."""
        while sum(self.run(node) for node in self.nodes.values()):
            pass
        for node in self.nodes.values():
            node.write()

    def run(self, node: Node) -> bool:
        """Do all that is due on a node; returns whether there was anything."""
        moved = node.receive() | node.append() | node.follow() | node.collect()
        while node.preparations:
            node.answer()
            moved = True
        for source in list(node.signals):
            while node.deliver(source):
                moved = True
        self.share_sanctions(node)
        node.write()
        return moved | node.close_closing() | bool(node.hub.effects.reads)

    # -- signals

    def route(self, source: Node, signal: Signal) -> None:
        """Send a signal to the nodes that it concerns."""
        if isinstance(signal, RosterChanged):
            self.rosters.setdefault(signal.room, {}).setdefault(source.name, StoredPart()).change(signal)
        for node in self.nodes.values():
            if node is not source and self._concerns(node, signal):
                node.signals.setdefault(source.name, deque()).append(signal)

    def _concerns(self, node: Node, signal: Signal) -> bool:
        match signal:
            case DirectPosted():
                return not node.inboxes.isdisjoint(signal.names)
            case RosterChanged() | TypingNotice() | TopicChanged():
                return signal.room in node.index.opened
            case _:
                return True

    # -- sanctions

    def share_sanctions(self, source: Node) -> None:
        """Store the bans and mutes that a node has changed; the others enforce them."""
        effects = source.hub.effects
        if not effects.sanctions_changed:
            return
        effects.sanctions_changed = False
        self.sanctions = source.hub.moderation.sanctions.all(self.when.at)
        for node in self.nodes.values():
            if node is not source:
                node.hub.moderation.sanctions.replace(self.sanctions)
                for _ in node.hub.moderation.enforce_steps(self.when):
                    pass

    # -- names

    def claim(self, node: str, need: ClaimName) -> list[str]:
        """Claim a name; returns the nodes that lose it. Raises InvalidNameError."""
        claimed = self.names.get(need.key)
        if claimed is not None and not claimed.nodes and claimed.until <= self.when.now:
            claimed = None
        losers: list[str] = []
        if claimed is not None and claimed.owner != need.owner:
            if not need.take_over:
                raise _taken(need.name)
            losers, claimed = sorted(claimed.nodes - {node}), None
        elif claimed is not None and claimed.nodes and not need.owner:
            raise _taken(need.name)
        if claimed is None:
            claimed = self.names[need.key] = ClaimedName(need.owner, need.name)
        claimed.nodes.add(node)
        return losers

    def release(self, node: str, released: ReleasedName) -> None:
        """Release a name on a node."""
        claimed = self.names.get(released.key)
        if claimed is None or claimed.owner != released.owner or node not in claimed.nodes:
            return
        claimed.nodes.discard(node)
        claimed.until = self.when.now + released.grace_s
        if not claimed.nodes and not released.grace_s:
            del self.names[released.key]

    # -- needs

    def answer(self, node: Node, needs: Sequence[Need]) -> Answers:
        """Answer needs. Raises RequestError."""
        if not node.is_up:
            raise RequestError(ErrorCode.TRY_LATER, "Try again.", temporary=True, retry_after=2.0)
        answers = Answers()
        for need in needs:
            match need:
                case OpenRoom():
                    node.open_room(need.room)
                case ClaimName():
                    for loser in self.claim(node.name, need):
                        self.nodes[loser].hub.port.names_lost([need.key], self.when)
                case LoadDirects():
                    node.inboxes.add(need.owner)
                    found = [direct for owners, direct in self.directs.items() if need.owner in owners]
                    answers.directs += tuple(map(self._with_head, found))
                case OpenDirect():
                    direct = self.directs.setdefault(
                        frozenset(need.names), StoredDirect(need.room, need.names)
                    )
                    answers.directs += (self._with_head(direct),)
                case ShareSanction():
                    for other in self.nodes.values():
                        if other is not node:
                            other.hub.port.apply_sanction(need, self.when)
                case FindPerson():
                    others = [other for other in self.nodes.values() if other is not node]
                    people = [
                        person
                        for other in others
                        if (person := other.hub.port.find_person(need.key, need.owner))
                    ]
                    answers.person = people[0] if people else None
                case ListStoredRooms():
                    answers.rooms += self._room_list(need)
                case FindConnections():
                    for other in self.nodes.values():
                        if other is not node:
                            answers.connections += tuple(other.hub.port.answer_connections(need.who))
        return answers

    def _with_head(self, direct: StoredDirect) -> StoredDirect:
        seq = self.log.last_seq(direct.room)
        head = str(Position(self.log.epoch, seq)) if seq else ""
        return StoredDirect(direct.room, direct.names, head)

    def _room_list(self, need: ListStoredRooms) -> tuple[events.RoomInfo, ...]:
        names = {name for node in self.nodes.values() for name in node.hub.rooms.by_name}
        names |= {*self.log.room_names()}
        found = sorted(name for name in names if name > need.after and not is_direct(name))
        return tuple(
            events.RoomInfo(name, self._online(name), self.log.topic(name)) for name in found[: need.limit]
        )

    def _online(self, room: str) -> int:
        here = [node.hub.rooms.by_name.get(room) for node in self.nodes.values()]
        return max((found.presence.online for found in here if found is not None), default=0)


def _taken(name: str) -> InvalidNameError:
    return InvalidNameError(ErrorCode.NAME_TAKEN, f"The name {name} is taken.", temporary=True)


def _resources(preparation: Preparation) -> list[str]:
    rooms = [need.room for need in preparation.needs if isinstance(need, OpenRoom)]
    return [*rooms, *(f"\0{need.key}" for need in preparation.needs if isinstance(need, ClaimName))]
