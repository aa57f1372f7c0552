"""How connections enter: the hello, plain connections, and joining further rooms.

What has to be asked for is asked before anything changes: a hello whose rooms cannot be opened or whose name
is taken can be sent again.
"""

from __future__ import annotations

import msgspec

from broadcast_tui.core.clock import Instant
from broadcast_tui.core.errors import CloseCode, ErrorCode, RequestError
from broadcast_tui.core.hub.authorization import Authorizer
from broadcast_tui.core.hub.away import AwayStatus
from broadcast_tui.core.hub.broadcaster import Broadcaster
from broadcast_tui.core.hub.cluster import Answers, Cluster
from broadcast_tui.core.hub.directs import DirectRooms
from broadcast_tui.core.hub.moderation import Moderation
from broadcast_tui.core.hub.name_claims import NameClaims
from broadcast_tui.core.hub.peer import Peer
from broadcast_tui.core.hub.rejections import Rejections
from broadcast_tui.core.hub.rooms import Rooms
from broadcast_tui.core.limits import SharedLimits
from broadcast_tui.core.names import DEFAULT_ROOM, are_too_many, check_any_room, is_direct, name_key
from broadcast_tui.core.protocol import commands, events
from broadcast_tui.core.protocol.codec import framed
from broadcast_tui.core.protocol.dialects import Dialect
from broadcast_tui.core.protocol.handshake import WEB_CLIENT_PREFIX


class Entering:
    """Lets connections into the hub and its rooms."""

    def __init__(
        self,
        cluster: Cluster,
        rooms: Rooms,
        claims: NameClaims,
        directs: DirectRooms,
        authorizer: Authorizer,
        moderation: Moderation,
        broadcaster: Broadcaster,
        rejections: Rejections,
        away: AwayStatus,
        limits: SharedLimits,
    ) -> None:
        self._cluster = cluster
        self._rooms = rooms
        self._claims = claims
        self._directs = directs
        self._authorizer = authorizer
        self._moderation = moderation
        self._broadcaster = broadcaster
        self._rejections = rejections
        self._away = away
        self._limits = limits

    # -- plain connections

    def connect(self, peer: Peer, when: Instant) -> None:
        """Let a plain connection into the default room, with the name of its token if it has one."""
        try:
            names = self._claims.needs(peer, peer.identity.name, when) if peer.identity is not None else ()
            directs = self._directs.load_needs(peer) if peer.identity is not None else ()
            needs = self._cluster.entry_needs((DEFAULT_ROOM,), *names, *directs)
            self._cluster.prepare(
                peer, None, needs, lambda answers, when: self._connect(peer, answers, when), when
            )
        except RequestError as error:
            self.connect_failed(peer, error)

    def connect_failed(self, peer: Peer, error: RequestError) -> None:
        """Close a plain connection that cannot enter."""
        code = CloseCode.TRY_AGAIN_LATER if error.code is ErrorCode.TRY_LATER else CloseCode.KICKED
        self._rejections.close_later(peer, code, error.text)

    def _connect(self, peer: Peer, answers: Answers, when: Instant) -> None:
        if peer.identity is not None:
            self._claims.claim(peer, peer.identity.name, when)
            self._directs.loaded(answers.directs)
            self._directs.entered(peer, when)
        state = self._rooms.enter(peer, commands.RoomRequest(DEFAULT_ROOM))
        self._broadcaster.send_greeting(peer, DEFAULT_ROOM, state.online, when)
        room = self._rooms.by_name[DEFAULT_ROOM]
        self._broadcaster.flush_presence(room, when)
        self._away.entered(peer, room)

    # -- hello

    def hello(self, peer: Peer, hello: commands.Hello, when: Instant) -> None:
        """Let a v1 connection in, under its name and into its rooms. Raises RequestError."""
        if peer.welcomed:
            raise RequestError(
                ErrorCode.BAD_FRAME, "A hello is only allowed as the first frame of a v1 connection."
            )
        if hello.client_id.startswith(WEB_CLIENT_PREFIX) and hello.client_id != peer.client_id:
            text = f"A client id cannot start with {WEB_CLIENT_PREFIX!r}."
            raise RequestError(ErrorCode.BAD_FRAME, text)
        requests = hello.rooms or (commands.RoomRequest(DEFAULT_ROOM),)
        if are_too_many((request.room for request in requests), self._limits.current.max_rooms_per_peer):
            raise self._too_many_rooms()
        room_names = [check_any_room(request.room) for request in requests]
        name = self._authorizer.name_at_hello(peer, hello, when)
        self._moderation.check_name(peer, name_key(name) if name else "", hello.client_id, when)
        if name and peer.identity is None:
            self._moderation.check_name_of_muted(name, hello.client_id, when)
        peer.set_client_id(hello.client_id)
        peer.dialect = Dialect.NOTES if hello.notes else Dialect.LEGACY
        peer.follows_epochs = hello.epochs
        peer.is_counted = hello.presence
        needs = self._cluster.entry_needs(
            [room for room in room_names if not is_direct(room)],
            *(self._claims.needs(peer, name, when) if name else ()),
            *self._directs.load_needs(peer),
            *self._directs.restore_needs(peer, *room_names),
        )

        def identified(answers: Answers, when: Instant) -> None:
            self._directs.loaded(answers.directs)
            if name:
                self._claims.claim(peer, name, when)
            self._open_rooms(peer, hello, requests, when)

        self._cluster.prepare(peer, hello, needs, identified, when)

    def _open_rooms(
        self, peer: Peer, hello: commands.Hello, requests: tuple[commands.RoomRequest, ...], when: Instant
    ) -> None:
        """Enter the rooms of a hello. Those for direct messages are known only now."""
        entered = [
            (name, request)
            for request in requests
            if not is_direct(name := check_any_room(request.room)) or self._directs.may_enter(peer, name)
        ]
        needs = self._cluster.entry_needs(
            [name for name, _ in entered],
            *self._cluster.compare_needs(request for _, request in entered),
        )
        self._cluster.prepare(peer, hello, needs, lambda _, when: self._welcome(peer, requests, when), when)

    def _welcome(self, peer: Peer, requests: tuple[commands.RoomRequest, ...], when: Instant) -> None:
        peer.welcomed = True
        states: list[events.RoomState] = []
        rejected: list[tuple[str, RequestError]] = []
        for request in requests:
            try:
                self._check_entry(peer, check_any_room(request.room), when)
                states.append(self._rooms.enter(peer, request))
            except RequestError as error:
                rejected.append((check_any_room(request.room), error))
        directs = self._directs.entered(peer, when)
        self._broadcaster.send_welcome(
            peer, self._cluster.node, self._limits.current, tuple(states), directs, when
        )
        for room_name, rejection in rejected:
            self._broadcaster.send_error(peer, rejection, when)
            peer.send(events.Left("", room_name))
        for state in states:
            room = self._rooms.by_name[state.room]
            self._broadcaster.flush_presence(room, when)
            self._away.entered(peer, room)

    # -- further rooms

    def join(self, peer: Peer, join: commands.Join, when: Instant) -> None:
        """Let a connection into a room, or set its position in it. Raises RequestError."""
        name = check_any_room(join.room)
        peer.spend_fetch(when.now)
        is_new = name not in peer.subscriptions
        if is_new and are_too_many((*peer.subscriptions, name), self._limits.current.max_rooms_per_peer):
            raise self._too_many_rooms()
        restore_needs = self._directs.restore_needs(peer, name)
        if is_direct(name) and not restore_needs:
            self._directs.check_access(peer, name)
        compare_needs = self._cluster.compare_needs([commands.RoomRequest(name, join.since)])
        needs = self._cluster.entry_needs((name,), *restore_needs, *compare_needs)

        def enter(answers: Answers, when: Instant) -> None:
            self._directs.loaded(answers.directs)
            self._join(peer, join, name, when)

        self._cluster.prepare(peer, join, needs, enter, when)

    def _join(self, peer: Peer, join: commands.Join, name: str, when: Instant) -> None:
        self._check_entry(peer, name, when)
        self._rooms.sync(name)
        # The reply precedes the events that `enter` queues.
        queued, peer.control = peer.control, []
        state = self._rooms.enter(peer, commands.RoomRequest(name, join.since, join.last))
        joined = events.Joined(join.ref, **msgspec.structs.asdict(state))
        peer.control = [*queued, framed(joined), *peer.control]
        self._broadcaster.mark_dirty(peer)
        self._broadcaster.flush_presence(self._rooms.by_name[name], when)
        self._away.entered(peer, self._rooms.by_name[name])

    def _check_entry(self, peer: Peer, name: str, when: Instant) -> None:
        """Raise RequestError if a connection may not enter a room."""
        if is_direct(name):
            self._directs.check_access(peer, name)
        if not self._cluster.is_open(name):
            text = "The room cannot be opened right now. Try again in a moment."
            raise RequestError(ErrorCode.TRY_LATER, text, temporary=True, retry_after=2.0)
        if not is_direct(name):
            self._rooms.check_new(peer, name, when.now)

    def _too_many_rooms(self) -> RequestError:
        return RequestError(
            ErrorCode.TOO_MANY_ROOMS,
            f"You can be in at most {self._limits.current.max_rooms_per_peer} rooms. Leave one first.",
        )
