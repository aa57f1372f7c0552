"""Direct messages: rooms for two people, which nobody else can enter, find or list.

Invariants: a room belongs to two *owners*, not to their names. An owner is a token, a client id, or a single
connection without either. The room of two token holders is named `@ana+bob` and stored as any other room.
Otherwise a name proves nothing: the room ends with the server's process, and its name ends with `~` and a
random id that is never used again. To everyone else, rooms that exist and rooms that do not look the same.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import TypeVar

from broadcast_tui.core.clock import Instant, timestamp
from broadcast_tui.core.errors import ErrorCode, RequestError
from broadcast_tui.core.hub.authorization import Authorizer
from broadcast_tui.core.hub.broadcaster import Broadcaster
from broadcast_tui.core.hub.cluster import (
    Answers,
    Cluster,
    DirectPosted,
    FindPerson,
    LoadDirects,
    Need,
    OpenDirect,
    Person,
    StoredDirect,
)
from broadcast_tui.core.hub.log_index import LogIndex
from broadcast_tui.core.hub.moderation import unknown_person
from broadcast_tui.core.hub.name_registry import NameRegistry
from broadcast_tui.core.hub.peer import Peer
from broadcast_tui.core.hub.rooms import Rooms
from broadcast_tui.core.hub.work_budget import EVENT_S, LISTED_S, SCAN_S
from broadcast_tui.core.limits import SharedLimits
from broadcast_tui.core.names import (
    DIRECT_SIGN,
    DIRECTS_END,
    VOLATILE_SIGN,
    check_name,
    is_direct,
    name_key,
)
from broadcast_tui.core.notes import Entry, author_key
from broadcast_tui.core.post import AppendResult, Fork, NewPost, Position, Post
from broadcast_tui.core.protocol import commands, events

C = TypeVar("C", bound=commands.Say | commands.Note)
SWEEP_EVERY_S = 60.0
UNUSED_S = 600.0
"""Time after which a room without posts and people is forgotten."""
NOTIFIED_MAX = 32
"""Maximum number of connections of an owner that are notified of a post in a room they are not in."""
NOTIFIED_POSTS = 32
"""Recent posts of a room that are recognized if they arrive both in its log and as a signal."""
SWEEP_ROOMS = 256
"""Rooms that a step of `DirectRooms.sweep_steps` checks."""
_TOKEN = author_key("x", "").removesuffix("x")
"""Prefix of owners that are tokens."""
_CONNECTION = "connection "
"""Prefix of owners that are single connections, without a token or a client id."""


@dataclass(eq=False, slots=True)
class _Owner:
    """An owner of rooms for two, with the current name and the open connections."""

    name: str
    peers: set[Peer] = field(default_factory=set)
    rooms: dict[str, DirectRoom] = field(default_factory=dict)
    """By name; the most recently used is the last one."""


@dataclass(eq=False, slots=True)
class DirectRoom:
    """A room for two owners."""

    name: str
    owners: tuple[str, str]
    unused_at: float | None = None
    """Time since which it has had neither posts nor people, as of the last sweep."""
    head: str = ""
    """Position of its newest post, as far as it is known while the room is not open."""
    notified: deque[str] = field(default_factory=lambda: deque(maxlen=NOTIFIED_POSTS))
    """Positions of posts that connections were notified of."""

    def other(self, owner: str) -> str:
        """The owner who is not `owner`."""
        first, second = self.owners
        return second if owner == first else first


def _own_name(name: str, peer: Peer) -> str:
    """Why a connection cannot write to a name of its own owner."""
    text = "You cannot send direct messages to yourself."
    if name_key(name) == name_key(peer.name):
        return text
    return f"{text} {name} is another chat of the same user on the same machine."


def owner_of(peer: Peer) -> str:
    """The owner that a connection belongs to."""
    return peer.author or f"{_CONNECTION}{peer.guest_number}"


class DirectRooms:
    """The rooms for two of a hub.

    Args:
        is_durable: Whether the rooms of token holders outlast the process.
        random_id: Returns an unguessable string of letters, digits, `-` and `_`, never the same one twice.
    """

    def __init__(
        self,
        peers: Mapping[int, Peer],
        names: NameRegistry,
        rooms: Rooms,
        broadcaster: Broadcaster,
        authorizer: Authorizer,
        index: LogIndex,
        limits: SharedLimits,
        *,
        is_durable: bool,
        random_id: Callable[[], str],
        cluster: Cluster,
    ) -> None:
        self._peers = peers
        self._names = names
        self._hub_rooms = rooms
        self._broadcaster = broadcaster
        self._authorizer = authorizer
        self._index = index
        self._limits = limits
        self._is_durable = is_durable
        self._random_id = random_id
        self._cluster = cluster
        self._rooms: dict[str, DirectRoom] = {}
        self._by_owners: dict[frozenset[str], DirectRoom] = {}
        self._people: dict[str, _Owner] = {}
        self._lone: dict[str, Peer] = {}
        """Connections with a name that are owners of their own."""
        self._sweep_at = 0.0

    def __len__(self) -> int:
        """Number of rooms."""
        return len(self._rooms)

    def load(self) -> None:
        """Find the rooms that the engine has stored. In a cluster, they are loaded for each owner."""
        if self._cluster.is_shared:
            return
        names = self._index.room_names()
        for name in names[bisect_left(names, DIRECT_SIGN) : bisect_left(names, DIRECTS_END)]:
            if name not in self._rooms and (owners := token_owners(name)):
                self._add(name, owners)

    # -- access

    def open(self, peer: Peer, command: commands.Direct, when: Instant) -> None:
        """Reply with the room for a person and another one; creates it if there is none.

        Raises:
            RequestError: UNKNOWN_PERSON, BAD_NAME without a name of one's own or with that name,
                TOO_MANY_ROOMS or RATE_LIMITED if the room would be one too many.
        """
        peer.spend_fetch(when.now)
        if not peer.name:
            raise RequestError(ErrorCode.BAD_NAME, "Choose a name before you send direct messages.")
        key = name_key(command.name)
        needs = () if self._names.connections(key) else self._cluster.needs(FindPerson(key))
        self._cluster.prepare(
            peer, command, needs, lambda answers, when: self._open(peer, command, answers.person, when), when
        )

    def _open(self, peer: Peer, command: commands.Direct, remote: Person | None, when: Instant) -> None:
        own = owner_of(peer)
        person = self._find_person(command.name, remote)
        if person.owner == own:
            raise RequestError(ErrorCode.BAD_NAME, _own_name(person.name, peer))
        room = self._by_owners.get(frozenset((own, person.owner)))
        if room is not None:
            self._broadcaster.reply(peer, self._event(room, own, self._note_about(person), command.ref))
            return
        names = {own: peer.name, person.owner: person.name}
        name = self._new_name(peer, names, when)

        def opened(answers: Answers, when: Instant) -> None:
            self.loaded(answers.directs)
            room = self._by_owners.get(frozenset(names)) or self._add(name, names)
            self._broadcaster.reply(peer, self._event(room, own, self._note_about(person), command.ref))

        self._cluster.prepare(peer, command, self._cluster.needs(OpenDirect(name, names)), opened, when)

    def _note_about(self, person: Person) -> str:
        """What to know before writing to a person; empty if nothing."""
        peers = self._people[person.owner].peers
        has_v1 = any(peer.v1 for peer in peers) if peers else person.has_v1
        return "" if has_v1 else f"{person.name}'s client shows your messages, but cannot reply to them."

    def check_access(self, peer: Peer, room_name: str) -> None:
        """Raise RequestError (FORBIDDEN) unless a connection belongs to an owner of a room.

        A room of token holders that was forgotten, since it has no posts, is created again.
        """
        room, own = self._rooms.get(room_name), owner_of(peer)
        if room is None and not self._cluster.is_shared and (names := self._restorable(peer, room_name)):
            room = self._add(room_name, names)
        if room is None or own not in room.owners:
            text = "You cannot open this conversation: it belongs to other people, or has ended."
            raise RequestError(ErrorCode.FORBIDDEN, text)

    def may_enter(self, peer: Peer, room_name: str) -> bool:
        """Whether a connection belongs to an owner of a room."""
        room = self._rooms.get(room_name)
        return room is not None and owner_of(peer) in room.owners

    # -- other nodes

    def load_needs(self, peer: Peer) -> tuple[Need, ...]:
        """What is needed before a connection can get direct messages."""
        return self._cluster.needs(LoadDirects(owner_of(peer)))

    def restore_needs(self, peer: Peer, *room_names: str) -> tuple[Need, ...]:
        """What is needed before a token holder can enter rooms that this node does not know."""
        if not self._cluster.is_shared:
            return ()
        found = ((name, self._restorable(peer, name)) for name in room_names if name not in self._rooms)
        return tuple(OpenDirect(name, names) for name, names in found if names)

    def loaded(self, stored: Iterable[StoredDirect]) -> None:
        """Add rooms that other nodes know."""
        for direct in stored:
            self._learn(direct.room, direct.names, direct.head)

    def _learn(self, name: str, names: dict[str, str], head: str) -> DirectRoom | None:
        """The room of other nodes; None if it is not a valid one."""
        if len(names) != 2:
            return None
        room = self._rooms.get(name)
        if room is None:
            if frozenset(names) in self._by_owners:
                self._remove(self._by_owners[frozenset(names)])
            room = self._add(name, names)
        elif set(room.owners) != set(names):
            return None
        for owner, shown in names.items():
            if not self._people[owner].peers:
                self._people[owner].name = shown
        room.head = _newer(room.head, head)
        return room

    def share(self, post: NewPost, result: AppendResult) -> None:
        """Notify other nodes of a post that this node has appended."""
        room = self._rooms.get(post.room)
        if room is not None:
            names = {owner: self._people[owner].name for owner in room.owners}
            self._cluster.send(
                DirectPosted(room.name, names, str(result.position), post.sender, post.text, result.at_text)
            )

    def posted(self, signal: DirectPosted) -> None:
        """Notify connections of a post that another node has appended."""
        room = self._learn(signal.room, signal.names, signal.position)
        if room is not None:
            self._notify(room, signal.position, signal.sender, signal.text, signal.at)

    def find_local(self, key: str, owner: str = "") -> Person | None:
        """The owner of a name that a connection of this node has; None if there is none.

        Args:
            owner: The owner, if it is known: a single connection is then found under any name.
        """
        if owner.startswith(_CONNECTION):
            peers = [self._lone[owner]] if owner in self._lone else []
        else:
            peers = [self._peers[peer_id] for peer_id in self._names.connections(key)]
        if not peers:
            return None
        return Person(owner_of(peers[0]), peers[0].name, any(peer.v1 for peer in peers))

    def local_owners(self) -> set[str]:
        """The owners of the connections of this node."""
        return {owner_of(peer) for peer in self._peers.values()}

    # -- posting

    def check_post(self, peer: Peer, room_name: str, when: Instant) -> None:
        """Check a post or note, and charge for the notification of connections that are not in the room.

        Raises:
            RequestError: UNKNOWN_PERSON if the other owner was a connection that is closed. In a cluster,
                `reach_other` checks that.
        """
        room = self._rooms.get(room_name)
        if room is None or room_name not in peer.subscriptions:
            return
        other = room.other(owner_of(peer))
        person = self._people[other]
        if other.startswith(_CONNECTION) and not person.peers and not self._cluster.is_shared:
            raise _disconnected()
        count = sum(min(len(self._people[owner].peers), NOTIFIED_MAX) for owner in room.owners)
        peer.budget.charge(count * EVENT_S, when.now)

    def reach_other(
        self, peer: Peer, command: C, when: Instant, then: Callable[[Peer, C, Instant], None]
    ) -> None:
        """Execute the post or note of a connection, if the other owner can still receive it.

        Only a connection without token and client id is asked for; others get it when they come back.

        Raises:
            RequestError: UNKNOWN_PERSON.
        """
        room = self._rooms.get(command.room)
        other = room.other(owner_of(peer)) if room is not None else ""
        needs: tuple[Need, ...] = ()
        if other.startswith(_CONNECTION) and not self._people[other].peers:
            needs = (FindPerson(name_key(self._people[other].name), other),)

        def execute(answers: Answers, when: Instant) -> None:
            if needs and (answers.person is None or answers.person.owner != other):
                raise _disconnected()
            then(peer, command, when)

        self._cluster.prepare(peer, command, needs, execute, when)

    # -- people

    def entered(self, peer: Peer, when: Instant) -> tuple[events.DirectInfo, ...]:
        """Add a connection to its owner.

        Returns the rooms with posts, sorted by the other person's name; at most as many as fit into a list.
        """
        own = owner_of(peer)
        person = self._people.get(own)
        if person is None:
            return ()
        person.peers.add(peer)
        self.renamed(peer)
        stored = [room for room in person.rooms.values() if self._has_posts(room.name)]
        stored = stored[-self._limits.current.presence_list_max :]
        peer.budget.charge(len(stored) * LISTED_S, when.now)
        infos = (
            events.DirectInfo(event.room, event.other, event.head, event.durable)
            for event in (self._event(room, own) for room in stored)
        )
        return tuple(sorted(infos, key=lambda info: (info.other.casefold(), info.other, info.room)))

    def renamed(self, peer: Peer) -> None:
        """Store the name of a connection's owner."""
        own = owner_of(peer)
        if own.startswith(_CONNECTION):
            self._lone[own] = peer
        person = self._people.get(own)
        if person is not None and peer.name and peer in person.peers:
            person.name = peer.name

    def left(self, peer: Peer) -> None:
        """Remove a closed connection."""
        own = owner_of(peer)
        self._lone.pop(own, None)
        if (person := self._people.get(own)) is not None:
            person.peers.discard(peer)

    # -- delivery

    def delivered(self, entry: Entry) -> None:
        """Notify the connections of both owners that are not in the room of an entry about a post."""
        room = self._rooms.get(entry.room)
        if room is None or not isinstance(entry, Post):
            return
        self._notify(room, str(entry.position), entry.sender, entry.text, timestamp(entry.at))

    def forked(self, fork: Fork) -> None:
        """Set the head of a room in its new epoch."""
        room = self._rooms.get(fork.room)
        head = Position.parse(room.head) if room is not None else None
        if room is not None and head is not None and head.epoch == fork.former:
            room.head = str(Position(fork.epoch, min(head.seq, fork.seq)))

    def _notify(self, room: DirectRoom, position: str, sender: str, text: str, at: str) -> None:
        """Notify connections of both owners that are not in a room about a post, once."""
        if self._cluster.is_shared:
            if position in room.notified:
                return
            room.notified.append(position)
            room.head = _newer(room.head, position)
        for owner in room.owners:
            person = self._people[owner]
            person.rooms[room.name] = person.rooms.pop(room.name)
            elsewhere = (peer for peer in person.peers if room.name not in peer.subscriptions)
            for peer in islice(elsewhere, NOTIFIED_MAX):
                if peer.v1:
                    self._broadcaster.reply(peer, self._event(room, owner))
                elif name_key(sender) != peer.key:
                    line = events.System("direct", f"{sender}, to you alone: {text}", at, name=sender)
                    self._broadcaster.reply(peer, line)

    # -- time

    def sweep_steps(self, now: float) -> Iterator[None]:
        """Forget rooms that have had neither posts nor people for `UNUSED_S`, in short steps."""
        if now < self._sweep_at:
            return
        self._sweep_at = now + SWEEP_EVERY_S
        for number, room in enumerate(list(self._rooms.values())):
            if number % SWEEP_ROOMS == 0:
                yield
            if room.name in self._hub_rooms.by_name or self._is_needed(room):
                room.unused_at = None
            elif room.unused_at is None:
                room.unused_at = now
            elif now - room.unused_at >= UNUSED_S:
                self._remove(room)

    # -- rooms

    def _is_needed(self, room: DirectRoom) -> bool:
        """Whether a room has posts. In a cluster: whether an owner is connected here."""
        if self._cluster.is_shared:
            return any(self._people[owner].peers for owner in room.owners)
        return self._hub_rooms.is_stored(room.name)

    def _find_person(self, name: str, remote: Person | None) -> Person:
        """A person who is connected here or on another node, or who has a token."""
        key = name_key(name)
        if person := self.find_local(key) or remote:
            return person
        shown = self._authorizer.token_name(key)
        if not shown:
            raise unknown_person(name)
        return Person(_token_owner(shown), shown)

    def _new_name(self, peer: Peer, names: dict[str, str], when: Instant) -> str:
        """The name of a new room for two owners with these names. Raises RequestError."""
        count_max = self._limits.current.max_rooms_total
        if count_max and len(self._rooms) >= count_max:
            text = f"The server has its maximum of {count_max:,} rooms for direct messages. Try again later."
            raise RequestError(ErrorCode.TOO_MANY_ROOMS, text)
        name = f"{DIRECT_SIGN}{'+'.join(sorted(names.values(), key=name_key))}"
        if not all(owner.startswith(_TOKEN) for owner in names):
            name += VOLATILE_SIGN + self._random_id()
        self._hub_rooms.check_new(peer, name, when.now)
        peer.budget.charge(len(self._peers) * SCAN_S, when.now)
        return name

    def _add(self, name: str, names: dict[str, str]) -> DirectRoom:
        first, second = names
        room = self._rooms[name] = DirectRoom(name, (first, second))
        self._by_owners[frozenset(names)] = room
        new_people = {owner: _Owner(shown) for owner, shown in names.items() if owner not in self._people}
        self._people.update(new_people)
        if new_people:
            for peer in self._peers.values():
                if peer.welcomed and (person := new_people.get(owner_of(peer))) is not None:
                    person.peers.add(peer)
        for owner in names:
            self._people[owner].rooms[name] = room
        return room

    def _restorable(self, peer: Peer, name: str) -> dict[str, str]:
        """The names of the owners of a room of token holders that does not exist, but may, by owner.

        Empty if it must not, or the connection does not belong to one of them.
        """
        pair = _token_names(name) if peer.identity is not None else None
        if pair is None or not all(self._authorizer.token_name(name_key(person)) for person in pair):
            return {}
        names = {_token_owner(person): person for person in pair}
        return names if owner_of(peer) in names and frozenset(names) not in self._by_owners else {}

    def _remove(self, room: DirectRoom) -> None:
        del self._rooms[room.name], self._by_owners[frozenset(room.owners)]
        for owner in room.owners:
            person = self._people[owner]
            del person.rooms[room.name]
            if not person.rooms:
                del self._people[owner]

    def _has_posts(self, name: str) -> bool:
        if not self._cluster.is_open(name):
            return bool(self._rooms[name].head)
        return self._index.first_seq(name) <= self._index.last_seq(name)

    def _event(self, room: DirectRoom, owner: str, note: str = "", ref: str = "") -> events.Direct:
        """The description of a room for one of its owners."""
        head = room.head
        if self._cluster.is_open(room.name):
            head = str(Position(self._index.epoch_of(room.name), self._index.last_seq(room.name)))
        durable = self._is_durable and VOLATILE_SIGN not in room.name
        return events.Direct(room.name, self._people[room.other(owner)].name, head, durable, note, ref)


def _disconnected() -> RequestError:
    text = "The other person has disconnected and cannot receive your messages."
    return RequestError(ErrorCode.UNKNOWN_PERSON, text)


def _newer(head: str, position: str) -> str:
    """The later of two positions of a room: the second one if it is from another epoch."""
    old, new = Position.parse(head), Position.parse(position)
    if new is None or (old is not None and old.epoch == new.epoch and old.seq > new.seq):
        return head
    return position


def token_owners(room_name: str) -> dict[str, str]:
    """The owners of a room of token holders and their names; empty if the name is not one of such a room."""
    return {_token_owner(person): person for person in _token_names(room_name) or ()}


def _token_owner(name: str) -> str:
    return author_key(name_key(name), "")


def _token_names(room_name: str) -> tuple[str, str] | None:
    """The names in the name of a room of token holders; None if it is not a valid one."""
    if not is_direct(room_name):
        return None
    names = room_name.removeprefix(DIRECT_SIGN).split("+")
    if len(names) != 2 or not _are_checked(names):
        return None
    first, second = names
    return (first, second) if name_key(first) < name_key(second) else None


def _are_checked(names: Iterable[str]) -> bool:
    try:
        return all(check_name(name) == name for name in names)
    except RequestError:
        return False
