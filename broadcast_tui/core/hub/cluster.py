"""What a hub needs from the other nodes of a cluster, and what it notifies them of.

A node is one server process; its hub knows all rooms that its connections are in, and their members on all
nodes. What it has to learn from elsewhere before it can execute a command is a `Need`. The connection is held
meanwhile: its later frames wait, so that they are executed in order. A `Signal` notifies other nodes of
something that no log contains.

Invariants: the hub never waits. A server without other nodes has no needs and sends no signals.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import msgspec

from broadcast_tui.core.clock import Instant
from broadcast_tui.core.hub.auth import Role
from broadcast_tui.core.hub.log_index import LogIndex
from broadcast_tui.core.hub.peer import Peer
from broadcast_tui.core.hub.sanctions import Action, Sanction
from broadcast_tui.core.names import check_any_room
from broadcast_tui.core.post import Position
from broadcast_tui.core.protocol import commands, events

# -- needs


class OpenRoom(msgspec.Struct, frozen=True):
    """The log and the members of a room that is not open on this node."""

    room: str


class CompareRoom(msgspec.Struct, frozen=True):
    """The log of an open room as it is stored: a client names an epoch of it that this node has not seen."""

    room: str


class ClaimName(msgspec.Struct, frozen=True):
    """A name for a connection, unique in the cluster. The answer is the claim or NAME_TAKEN."""

    key: str
    """Skeleton of the name."""
    name: str
    owner: str
    """The owner of the name, as in `NameRegistry`; empty for a plain client, which never shares a name."""
    take_over: bool = False
    """Whether the claim succeeds even if the name has another owner."""


class FindConnections(msgspec.Struct, frozen=True):
    """The connections on other nodes that an action of an admin is about."""

    who: str
    """A name or a guest, an address, or a network, as the admin wrote it."""


class ShareSanction(msgspec.Struct, frozen=True):
    """A change of the bans and mutes. It is in force on all nodes that respond when this is answered."""

    action: Action
    who: str
    """A name, an address or a network, as the admin wrote it."""
    sanction: Sanction | None
    """None if that of `who` is lifted."""


class FindPerson(msgspec.Struct, frozen=True):
    """The owner of a name that is in use on another node."""

    key: str
    owner: str = ""
    """The owner itself, under any name, if it is known."""


class LoadDirects(msgspec.Struct, frozen=True):
    """The rooms for direct messages of an owner; their later posts arrive as signals."""

    owner: str


class OpenDirect(msgspec.Struct, frozen=True):
    """The room for direct messages of two owners, which is created if there is none."""

    room: str
    """Its name if it has to be created."""
    names: dict[str, str]
    """The names of both owners, by owner."""


class ListStoredRooms(msgspec.Struct, frozen=True):
    """The first `limit` rooms of the cluster that follow `after`, sorted by name."""

    after: str
    limit: int


Need = (
    OpenRoom
    | CompareRoom
    | ClaimName
    | FindConnections
    | ShareSanction
    | FindPerson
    | LoadDirects
    | OpenDirect
    | ListStoredRooms
)


class RemoteConnection(msgspec.Struct, frozen=True):
    """A connection on another node, as moderation needs it."""

    sender: str
    key: str
    client_id: str
    host: str
    role: Role
    rooms: tuple[str, ...]


class Person(msgspec.Struct, frozen=True):
    """The owner of a name and the name as it is shown."""

    owner: str
    name: str
    has_v1: bool = True
    """Whether a v1 client is connected, or nobody is."""


class StoredDirect(msgspec.Struct, frozen=True):
    """A room for direct messages, with the names of its owners and the position of its newest post."""

    room: str
    names: dict[str, str]
    head: str = ""


class Answers(msgspec.Struct):
    """The answers to needs. Rooms are open, and names claimed, when they are complete."""

    connections: tuple[RemoteConnection, ...] = ()
    person: Person | None = None
    directs: tuple[StoredDirect, ...] = ()
    rooms: tuple[events.RoomInfo, ...] = ()


class Preparation(NamedTuple):
    """Needs of a command, and what executes it when they are answered. The runner performs it."""

    peer: Peer
    needs: tuple[Need, ...]
    then: Callable[[Answers, Instant], None]
    """Executes the command. Raises RequestError."""
    command: commands.Command | None
    """The command, whose errors are replies to it; None if the connection has not sent one."""


class ReleasedName(NamedTuple):
    """A name that no connection of this node has any more."""

    key: str
    owner: str
    grace_s: float
    """Time for which only its owner can claim it again."""


# -- signals


class Member(msgspec.Struct, frozen=True, omit_defaults=True):
    """A person in a room, as one node sees it."""

    key: str
    """Presence key: the skeleton of the name, or a unique key without a name."""
    name: str = ""
    connections: int = 1
    """On that node; 0: the person has left."""
    away: str | None = None
    """Away message; None if the person is not away."""
    away_version: int = 0
    """Version of the away status: of two nodes with the person, the one with the higher version is right."""
    in_grace: bool = False
    """Whether the last connection broke, and the person may still return."""
    reason: str = ""
    """Reason for leaving."""
    former: str = ""
    """The key before a rename, which the node no longer has; the same key if only the name changed."""
    former_name: str = ""
    """The name before a rename; empty if the person had none."""


class RosterChanged(msgspec.Struct, frozen=True, tag="roster"):
    """Changed members of a room on a node. `version` is one more than that of the change before."""

    room: str
    node: str
    version: int
    members: tuple[Member, ...]


class TypingNotice(msgspec.Struct, frozen=True, tag="typing"):
    """Somebody in a room is typing."""

    room: str
    key: str
    name: str


class TopicChanged(msgspec.Struct, frozen=True, tag="topic"):
    """A topic that was stored."""

    room: str
    topic: str
    name: str


class Kicked(msgspec.Struct, frozen=True, tag="kick"):
    """The connections of a person or guest are to be closed."""

    who: str
    """As the admin wrote it."""
    reason: str
    """The reason for closing, for the person."""
    is_network: bool = False
    """Whether all connections of an address or a network are to be closed."""


class RoomNotice(msgspec.Struct, frozen=True, tag="notice"):
    """A line from the server in several rooms."""

    rooms: tuple[str, ...]
    text: str


class DirectPosted(msgspec.Struct, frozen=True, tag="direct"):
    """A post in a room for direct messages, for connections of its owners that are not in the room."""

    room: str
    names: dict[str, str]
    """The names of both owners, by owner."""
    position: str
    sender: str
    text: str
    at: str
    """Timestamp."""


Signal = RosterChanged | TypingNotice | TopicChanged | Kicked | RoomNotice | DirectPosted


class Cluster:
    """The needs of a hub, and its signals to other nodes.

    Args:
        node: Id of this node.
        is_shared: Whether there may be other nodes. Otherwise nothing is ever needed or sent.
    """

    def __init__(self, index: LogIndex, node: str, *, is_shared: bool) -> None:
        self.node = node
        self.is_shared = is_shared
        self.preparations: list[Preparation] = []
        self.signals: list[Signal] = []
        self.released_names: list[ReleasedName] = []
        self.closed_rooms: list[str] = []
        """Rooms that are no longer in memory."""
        self._changed_rosters: dict[str, Callable[[], RosterChanged]] = {}
        self._index = index

    @property
    def has_work(self) -> bool:
        """Whether there is anything for the runner to perform."""
        return bool(
            self.preparations
            or self.signals
            or self._changed_rosters
            or self.released_names
            or self.closed_rooms
        )

    def needs(self, *needs: Need) -> tuple[Need, ...]:
        """The needs, or none on a server without other nodes."""
        return needs if self.is_shared else ()

    def is_open(self, room: str) -> bool:
        """Whether connections can enter a room now."""
        return not self.is_shared or self._index.is_open(room)

    def entry_needs(self, rooms: Iterable[str], *others: Need) -> tuple[Need, ...]:
        """What is needed before a connection can enter rooms and for `others`.

        None if the rooms are open and there are no others. Otherwise all rooms are needed, as open ones may
        be closed in the meantime.
        """
        if not self.is_shared:
            return ()
        needs = tuple(map(OpenRoom, rooms))
        if not others and all(self._index.is_open(need.room) for need in needs):
            return ()
        return (*needs, *others)

    def compare_needs(self, requests: Iterable[commands.RoomRequest]) -> tuple[Need, ...]:
        """What is needed before clients can continue in epochs that this node may only not have seen yet.

        A room that is not open is read when it is opened. Raises RequestError for an invalid name.
        """
        if not self.is_shared:
            return ()
        index, needs = self._index, []
        for request in requests:
            name, position = check_any_room(request.room), Position.parse(request.since)
            if position is None or not index.is_open(name) or position.epoch == index.epoch_of(name):
                continue
            if index.fork_of(name, position.epoch) is None:
                needs.append(CompareRoom(name))
        return tuple(needs)

    def close_room(self, room: str) -> None:
        """Add a room that is no longer in memory."""
        if self.is_shared:
            self.closed_rooms.append(room)

    def room_entered(self, room: str) -> None:
        """Cancel the closing of a room that is in memory again."""
        if room in self.closed_rooms:
            self.closed_rooms.remove(room)

    def release_name(self, name: ReleasedName | None) -> None:
        """Release a name that has no connections on this node any more."""
        if self.is_shared and name is not None:
            self.released_names.append(name)

    def name_claimed(self, key: str) -> None:
        """Cancel the release of a name that a connection has claimed again."""
        if self.released_names:
            self.released_names = [name for name in self.released_names if name.key != key]

    def is_waiting(self, peer: Peer) -> bool:
        """Whether a command of a connection waits for the runner to answer its needs."""
        return any(preparation.peer is peer for preparation in self.preparations)

    def send(self, signal: Signal) -> None:
        """Notify the other nodes."""
        if self.is_shared:
            self.signals.append(signal)

    def send_roster(self, room: str, signal: Callable[[], RosterChanged]) -> None:
        """Notify the other nodes of changed members of a room.

        Args:
            signal: Returns the signal about all changes since the last one. Called once, when the signals are
                taken.
        """
        if self.is_shared:
            self._changed_rosters[room] = signal

    def flush_roster(self, room: str) -> None:
        """Send the changes of a roster before any later ones."""
        if (signal := self._changed_rosters.pop(room, None)) is not None:
            self.signals.append(signal())

    def prepare(
        self,
        peer: Peer,
        command: commands.Command | None,
        needs: tuple[Need, ...],
        then: Callable[[Answers, Instant], None],
        when: Instant,
    ) -> None:
        """Execute a command: now if it needs nothing, otherwise when its needs are answered.

        Raises:
            RequestError: Raised by `then`, if it needs nothing.
        """
        if not needs:
            then(Answers(), when)
            return
        peer.link.hold()
        self.preparations.append(Preparation(peer, needs, then, command))

    def take_preparations(self) -> list[Preparation]:
        """Remove and return the commands with needs."""
        preparations, self.preparations = self.preparations, []
        return preparations

    def take_signals(self) -> list[Signal]:
        """Remove and return the signals to send, in order."""
        signals, self.signals = self.signals, []
        if self._changed_rosters:
            changed, self._changed_rosters = self._changed_rosters, {}
            signals += [signal() for signal in changed.values()]
        return signals

    def take_released_names(self) -> list[ReleasedName]:
        """Remove and return the names to release, in order."""
        names, self.released_names = self.released_names, []
        return names

    def take_closed_rooms(self) -> list[str]:
        """Remove and return the rooms to close."""
        rooms, self.closed_rooms = self.closed_rooms, []
        return rooms
