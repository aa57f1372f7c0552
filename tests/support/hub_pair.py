"""A hub and client sessions connected without event loop, socket or clock, with faults that tests choose."""

from __future__ import annotations

from collections import deque
from datetime import UTC, datetime, timedelta
from itertools import count

import msgspec

from broadcast_tui.core.clock import Instant
from broadcast_tui.core.hub.auth import Authenticator
from broadcast_tui.core.hub.hub import Hub
from broadcast_tui.core.hub.peer import Peer
from broadcast_tui.core.limits import Limits
from broadcast_tui.core.post import Post
from broadcast_tui.core.protocol.codec import text_frames
from broadcast_tui.core.session import updates as up
from broadcast_tui.core.session.session import ClientSession
from tests.support.model_log import ModelLog

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


class Wire:
    """One connection, with the frames in transit in both directions; it is the `Link` of its peer."""

    def __init__(self) -> None:
        self.to_client: deque[bytes] = deque()
        self.to_server: deque[bytes] = deque()
        self.peer: Peer | None = None
        self.is_held = False

    fileno = -1

    def write_now(self, data: bytes) -> None:
        self.to_client.extend(text_frames(data)[0])

    def hold(self) -> None:
        self.is_held = True

    def release(self) -> None:
        self.is_held = False

    def end(self, code: int, reason: str) -> None:
        """Nothing is left to write."""


class User:
    """A client session and its updates."""

    def __init__(self, world: World, name: str, rooms: tuple[tuple[str, int], ...]) -> None:
        self.world = world
        numbers = count(1)
        self.session = ClientSession(
            client_id=f"id-{name}", make_nonce=lambda: f"{name}.{next(numbers)}", name=name, rooms=rooms
        )
        self.wire: Wire | None = None
        self.updates: list[up.Update] = []

    def connect(self) -> None:
        wire = self.wire = Wire()
        wire.peer = self.world.hub.open(wire, v1=True, address="test", when=self.world.when)
        self.session.connected()
        self.collect()

    def cut(self, *, noticed: bool = True) -> None:
        """Break the connection; the server notices now, or never (a ghost remains)."""
        wire, self.wire = self.wire, None
        if wire is None:
            return
        if noticed and wire.peer is not None:
            self.world.hub.close(wire.peer, self.world.when)
        self.session.disconnected(up.ConnectionState.WAITING, "cut", 1.0)
        self.collect()

    def say(self, text: str, room: str = "lobby") -> str:
        nonce = self.session.say(room, text, self.world.when.now)
        self.collect()
        return nonce

    def collect(self) -> None:
        outgoing = self.session.pop_outgoing()
        if self.wire is not None:
            self.wire.to_server.extend(outgoing)
        self.updates += self.session.pop_updates()

    def posts(self, room: str = "lobby") -> list[Post]:
        return [u.post for u in self.updates if isinstance(u, up.PostArrived) and u.post.room == room]

    def seen(self, kind: type[up.Update]) -> list[up.Update]:
        return [update for update in self.updates if isinstance(update, kind)]


class World:
    """A hub, its log and users. `step` delivers frames until none are left."""

    def __init__(self, limits: Limits | None = None, authenticator: Authenticator | None = None) -> None:
        self.authenticator = authenticator
        ids = count(1)
        self.make_id = lambda: f"random{next(ids)}"
        self.log = ModelLog()
        self.limits = limits or Limits(message_rate=0, message_burst=0)
        self.hub = Hub(self.log, self.limits, "n1", authenticator, random_id=self.make_id)
        self.when = Instant(100.0, EPOCH)
        self.users: list[User] = []

    def user(self, name: str, *rooms: tuple[str, int], connect: bool = True) -> User:
        user = User(self, name, rooms or (("lobby", 0),))
        self.users.append(user)
        if connect:
            user.connect()
            self.step()
        return user

    def plain(self) -> Wire:
        wire = Wire()
        wire.peer = self.hub.open(wire, v1=False, address="test", when=self.when)
        self.step()
        return wire

    def pass_time(self, seconds: float) -> None:
        self.when = Instant(self.when.now + seconds, self.when.at + timedelta(seconds=seconds))
        self.hub.tick(self.when)
        for user in self.users:
            user.session.tick(self.when.now)
            user.collect()

    def restart(self, *, keep_log: bool) -> None:
        """Restart the server, with its log or with an empty one."""
        for user in self.users:
            user.cut(noticed=False)
        if not keep_log:
            self.log = ModelLog(f"{self.log.epoch}x")
        self.hub = Hub(self.log, self.limits, "n2", self.authenticator, random_id=self.make_id)
        self.hub.started(self.when)

    def serve(self) -> None:
        """Do what the server does in a loop turn: append, read, write."""
        hub = self.hub
        if hub.effects.pending_entries:
            batch = hub.effects.pending_entries.take_batch()
            results, posts = self.log.append([pending.entry for pending in batch])
            hub.entries_appended(batch, results, self.when)
            hub.deliver(posts)
        while hub.effects.topic_changes:
            change = hub.effects.take_topic_change()
            self.log.topics[change.room] = change.topic
            hub.topic_saved(change)
        for read in hub.effects.take_reads():
            hub.reads.done(read, self.log.read(read))
        for room in hub.effects.dirty_rooms:
            hub.effects.dirty_peers |= set(room.subscriptions)
        hub.effects.dirty_rooms.clear()
        dirty = hub.effects.take_dirty_peers()
        for peer in sorted(dirty, key=lambda peer: peer.id):
            while not peer.blocked and (data := b"".join(peer.collect())):
                peer.link.write_now(data)

    def step(self) -> None:
        """Deliver all frames in transit, and those that they cause."""
        moved = True
        while moved:
            moved = False
            self.serve()
            for user in self.users:
                moved |= self.deliver(user)
            moved |= bool(self.hub.effects.pending_entries or self.hub.effects.reads)

    def deliver(self, user: User, frames: int = 1_000_000) -> bool:
        """Move up to `frames` frames of one user in each direction; whether any moved."""
        wire = user.wire
        if wire is None:
            return False
        moved = False
        for _ in range(min(frames, len(wire.to_server))):
            assert wire.peer is not None
            self.hub.receive(wire.peer, wire.to_server.popleft(), self.when)
            moved = True
        for _ in range(min(frames, len(wire.to_client))):
            user.session.receive(wire.to_client.popleft(), self.when)
            user.collect()
            moved = True
        return moved


def read_frames(wire: Wire) -> list[dict[str, object]]:
    """Read the frames that a plain client has received."""
    frames = [msgspec.json.decode(data, type=dict[str, object]) for data in wire.to_client]
    wire.to_client.clear()
    return frames
