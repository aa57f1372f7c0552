"""The server's rules without its sockets: connections in, frames out, posts to and from the log.

The shell around it (broadcast_tui.server) feeds bytes and time in and carries out what is left in
`pending_posts` (posts to append), `rooms.reads` (log ranges to read), `rooms.dirty` and `herald.dirty_peers`
(connections to write to) and `closing` (connections to end). All methods return at once.

Invariants: a room's posts are delivered in the order the engine gave them; a post is acknowledged
only after the engine has it; one peer's bad frame reaches nobody else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

import msgspec

from broadcast_tui.core.clock import Instant
from broadcast_tui.core.errors import CloseCode, ErrorCode, FrameError, InvalidNameError, RequestError
from broadcast_tui.core.hub.auth import Authenticator, Identity, OpenAuthenticator
from broadcast_tui.core.hub.authorization import Authorizer
from broadcast_tui.core.hub.away import AwayStatus
from broadcast_tui.core.hub.broadcaster import Broadcaster
from broadcast_tui.core.hub.effects import PendingPost, TopicChange
from broadcast_tui.core.hub.history import BackfillRead, LogIndex, Read, answer_to, plan_page, plan_search
from broadcast_tui.core.hub.moderation import Moderation
from broadcast_tui.core.hub.name_registry import NameRegistry
from broadcast_tui.core.hub.peer import GUEST, Link, Peer
from broadcast_tui.core.hub.room import Room
from broadcast_tui.core.hub.rooms import Rooms, all_rooms
from broadcast_tui.core.limits import DEFAULT_ROOM, Limits, SharedLimits
from broadcast_tui.core.names import check_name, check_room, name_key
from broadcast_tui.core.post import AppendResult, NewPost, Post
from broadcast_tui.core.protocol import commands, events
from broadcast_tui.core.protocol.codec import decode_command, framed
from broadcast_tui.core.protocol.handshake import SUBPROTOCOL
from broadcast_tui.core.text import clean_line, clean_post

TOPIC_BYTES = 512
SUBMISSIONS_MAX = 10_000
"""Posts that may wait for the engine before further ones are refused for now."""
CONTROL_BYTES = 524_288
"""Answers that may wait for one connection before further pages are refused."""


class Hub:
    """All rooms and connections of one server process (a node)."""

    def __init__(self, index: LogIndex, limits: Limits, node: str, gate: Authenticator | None = None) -> None:
        self._limits = SharedLimits(limits)
        self.peers: dict[int, Peer] = {}
        self.pending_posts: list[PendingPost] = []
        self.topics: list[TopicChange] = []
        self.herald = Broadcaster(self.peers)
        self.access = Authorizer(gate if gate is not None else OpenAuthenticator())
        self.rooms = Rooms(index, self._limits, self.herald)
        self.closing: set[Peer] = set()
        self.moderation = Moderation(self.peers, self.herald, self._end)
        self.draining = False
        self._index = index
        self._node = node
        self._directory = NameRegistry(self._limits)
        self._whereabouts = AwayStatus(self._directory, self.herald, self._limits)
        self._last_peer_id = 0

    @property
    def limits(self) -> Limits:
        """The limits in force."""
        return self._limits.current

    def set_limits(self, limits: Limits) -> None:
        """Put other limits in force, with full buckets for all connections and rooms."""
        self._limits.current = limits
        for peer in self.peers.values():
            peer.set_limits(limits)
        for room in self.rooms.by_name.values():
            room.limits_changed()

    # -- connections

    def open(
        self, link: Link, *, v1: bool, address: str, when: Instant, identity: Identity | None = None
    ) -> Peer:
        """A connection is up. A plain one is in the default room from here on; v1 waits for its hello."""
        self._last_peer_id += 1
        peer = Peer(self._last_peer_id, link, v1=v1, address=address, now=when.now, limits=self.limits)
        self.peers[peer.id] = peer
        if identity is not None:
            peer.identify(identity)
        if not v1:
            try:
                if identity is not None:
                    self._take_name(peer, identity.name, when)
            except RequestError as error:
                self._end(peer, CloseCode.KICKED, error.text)
                return peer
            state = self.rooms.enter(peer, commands.RoomRequest(DEFAULT_ROOM))
            self.herald.greet(peer, DEFAULT_ROOM, state.online, when)
            self.herald.announce(self.rooms.by_name[DEFAULT_ROOM], when)
        return peer

    def close(self, peer: Peer, when: Instant) -> None:
        """A connection is gone; harmless if it already was."""
        if self.peers.pop(peer.id, None) is None:
            return
        was_kicked = peer.closing is not None and peer.closing[0] is CloseCode.KICKED
        dropped = bool(peer.subscriptions) and not was_kicked
        for room_name in list(peer.subscriptions):
            self.rooms.leave(
                peer, self.rooms.by_name[room_name], when, grace=bool(peer.name) and not was_kicked
            )
        if peer.name:
            self._directory.release(peer.key, peer.id, when.now, grace=dropped)
        self.herald.dirty_peers.discard(peer)
        self.closing.discard(peer)

    def receive(self, peer: Peer, data: bytes, when: Instant) -> None:
        """One text frame from a connection. Whatever is wrong with it is answered to that connection."""
        try:
            command = decode_command(data)
        except FrameError as error:
            self.reject(peer, error, when)
            return
        nonce = command.nonce if isinstance(command, commands.Say) else ""
        ref = getattr(command, "ref", "")
        try:
            self._carry_out(peer, command, when)
        except RequestError as error:
            self.herald.refuse(peer, error, when, nonce=nonce, ref=ref)
            if error.code is ErrorCode.UNAUTHORISED:
                self._end(peer, CloseCode.UNAUTHORISED, error.text)
            elif error.code is ErrorCode.BANNED and not isinstance(command, commands.Rename):
                self._end(peer, CloseCode.KICKED, error.text)
            elif not error.temporary:
                self._count_error(peer, when)

    def reject(self, peer: Peer, error: FrameError, when: Instant) -> None:
        """Answer what is no frame of ours; too many of them end the connection."""
        self.herald.refuse(peer, RequestError(error.code, error.text), when, nonce=error.nonce, ref=error.ref)
        if error.code is ErrorCode.BAD_UTF8:
            self._end(peer, CloseCode.BAD_UTF8, error.text)
        elif error.code is ErrorCode.BINARY:
            self._end(peer, CloseCode.BINARY, error.text)
        else:
            self._count_error(peer, when)

    def reject_binary(self, peer: Peer, when: Instant) -> None:
        """A binary frame: no part of the protocol, the connection ends with 1003."""
        self.reject(peer, FrameError(ErrorCode.BINARY, "Send text frames; binary ones are not taken."), when)

    # -- the log

    def accepted(self, pending_posts: Sequence[PendingPost], results: Sequence[AppendResult]) -> None:
        """The engine has these posts safe; `results` in the order of `pending_posts`."""
        for pending_post, result in zip(pending_posts, results, strict=True):
            draft = pending_post.draft
            if draft.nonce and pending_post.peer.v1:
                pending_post.peer.send(
                    events.Ack(draft.nonce, str(result.position), draft.room, result.at_text, result.dup)
                )
                self.herald.touch(pending_post.peer)

    def failed(self, pending_posts: Sequence[PendingPost], reason: str, when: Instant) -> None:
        """The engine could not take these posts: nothing was kept, the authors may try again."""
        error = RequestError(ErrorCode.TRY_LATER, reason, temporary=True, retry_after=2.0)
        for pending_post in pending_posts:
            self.herald.refuse(pending_post.peer, error, when, nonce=pending_post.draft.nonce)

    def arrived(self, posts: Sequence[Post]) -> None:
        """Posts from the engine's tail, in order a room: on their way to everyone in it."""
        for post in posts:
            room = self.rooms.by_name.get(post.room)
            if room is not None:
                room.append(post)
                self.rooms.dirty.add(room)

    def topic_set(self, change: TopicChange) -> None:
        """The engine has the topic safe: tell the room."""
        told = events.Topic(change.room, change.topic, change.name)
        if change.peer.id in self.peers:
            self.herald.answer(change.peer, events.Topic(change.room, change.topic, change.name, change.ref))
        room = self.rooms.by_name.get(change.room)
        if room is not None:
            plain = frozenset(peer for peer in room.subscriptions if not peer.v1)
            self.herald.broadcast(room, told, but=plain | {change.peer})

    def topic_failed(self, change: TopicChange, reason: str, when: Instant) -> None:
        """The engine could not keep the topic; who set it may try again."""
        error = RequestError(ErrorCode.TRY_LATER, reason, temporary=True, retry_after=2.0)
        self.herald.refuse(change.peer, error, when, ref=change.ref)

    def read_done(self, read: Read, posts: Sequence[Post]) -> None:
        """The engine read what `reads` asked for; `posts` ascending."""
        if isinstance(read, BackfillRead):
            room = self.rooms.by_name.get(read.room)
            if room is not None:
                room.warm(list(posts))
                for subscription in room.subscriptions.values():
                    subscription.held = False
                    self.herald.touch(subscription.peer)
            return
        if read.peer.id not in self.peers:
            return
        if sum(map(len, read.peer.control)) > CONTROL_BYTES:
            full = "Read what was sent before asking for more."
            read.peer.send(events.Error(ErrorCode.TRY_LATER, full, temporary=True, ref=read.ref))
        else:
            read.peer.send(answer_to(read, posts, self._index))
        self.herald.touch(read.peer)

    # -- time

    def tick(self, when: Instant) -> None:
        """What time alone brings: leaves after their grace, merged lines, overdue hellos."""
        self._directory.expire(when.now)
        for room in list(self.rooms.by_name.values()):
            if room.presence.pending:
                room.presence.expire(when.now)
                self.herald.announce(room, when)
                self.rooms.forget(room)
        for peer in self.peers.values():
            if not peer.welcomed and peer.hello_until <= when.now:
                self._end(peer, CloseCode.HELLO_TIMEOUT, "No hello came.")
            elif peer.presence_stale and not peer.blocked:
                self.herald.send_member_count(peer, when)

    # -- commands

    def _carry_out(self, peer: Peer, command: commands.Command, when: Instant) -> None:
        if not peer.welcomed and not isinstance(command, commands.Hello):
            raise RequestError(
                ErrorCode.HELLO_EXPECTED, "Say hello first: the first frame must be of type hello."
            )
        if not peer.v1 and not isinstance(command, commands.Say):
            raise RequestError(ErrorCode.BAD_FRAME, f"Only messages, please; the rest needs {SUBPROTOCOL}.")
        self.access.check_command(peer, command)
        if commands.publishes_text(command):
            self.moderation.check_not_muted(peer, when)
        match command:
            case commands.Say():
                self._say(peer, command, when)
            case commands.Hello():
                self._hello(peer, command, when)
            case commands.Join():
                self._join(peer, command, when)
            case commands.Leave():
                subscription = self.rooms.subscription(peer, command.room)
                said = self.moderation.leave_reason(peer, command.reason, when)
                self.rooms.leave(peer, subscription.room, when, grace=False, reason=said)
                self.herald.answer(peer, events.Left(command.ref, subscription.room.name))
            case commands.FetchHistory():
                room = self._fetch_from(peer, command.room, when)
                page_max = self.limits.history_page_max
                self.rooms.reads.append(plan_page(peer, command, room.name, self._index, page_max))
            case commands.ListMembers():
                room = self._fetch_from(peer, command.room, when)
                self.herald.answer(peer, self._whereabouts.members_of(room, command.ref))
            case commands.Rename():
                self._rename(peer, command, when)
            case commands.Search():
                room = self._fetch_from(peer, command.room, when)
                page_max = self.limits.history_page_max
                self.rooms.reads.append(plan_search(peer, command, room.name, self._index, page_max))
            case commands.ListRooms():
                peer.spend_fetch(when.now)
                most = self.limits.presence_list_max
                self.herald.answer(peer, all_rooms(self.rooms, self._index, command, most))
            case commands.SetTopic():
                room = self._fetch_from(peer, command.room, when)
                topic = clean_line(command.topic, TOPIC_BYTES)
                self.topics.append(TopicChange(peer, command.ref, room.name, topic, peer.sender))
            case commands.SetAway():
                peer.spend_fetch(when.now)
                self._whereabouts.change(peer, command)
            case commands.Typing():
                room = self.rooms.subscription(peer, command.room).room
                if self.access.may_write(peer) and self.moderation.mute_of(peer, when) is None:
                    self.herald.relay_typing(peer, room, self.limits, when)
            case commands.Kick() | commands.Ban() | commands.Unban() | commands.Mute() | commands.Unmute():
                self.moderation.carry_out(peer, command, when)
            case commands.ListBans():
                peer.spend_fetch(when.now)
                self.moderation.send_bans(peer, command, self.limits.presence_list_max, when)
            case _:
                assert_never(command)

    def _say(self, peer: Peer, say: commands.Say, when: Instant) -> None:
        if len(self.pending_posts) >= SUBMISSIONS_MAX:
            raise RequestError(
                ErrorCode.TRY_LATER, "The server is busy; send it again.", temporary=True, retry_after=1.0
            )
        if self.draining:
            raise RequestError(
                ErrorCode.DRAINING,
                "The server is restarting; send it again.",
                temporary=True,
                retry_after=2.0,
            )
        room = self.rooms.subscription(peer, say.room).room
        text = clean_post(say.message, self.limits.max_message_bytes)
        peer.spend_post(len(text.encode()), when.now)
        if not peer.name and say.sender and not peer.v1:
            self._take_name(peer, check_name(say.sender), when)
            self.moderation.check_not_muted(peer, when)  # the name may be a muted one
        draft = NewPost(room.name, peer.sender, text, when.at, peer.client_id, say.nonce)
        self.pending_posts.append(PendingPost(peer, draft))

    def _hello(self, peer: Peer, hello: commands.Hello, when: Instant) -> None:
        if peer.welcomed:
            raise RequestError(ErrorCode.BAD_FRAME, "Hello is only for the start of a v1 connection.")
        requests = hello.rooms or (commands.RoomRequest(DEFAULT_ROOM),)
        if 0 < self.limits.max_rooms_per_peer < len(requests):
            raise self._too_many_rooms()
        for request in requests:
            check_room(request.room)
        name = self.access.name_at_hello(peer, hello, when)
        self.moderation.check_name(peer, name_key(name) if name else "", hello.client_id, when)
        peer.client_id = hello.client_id
        if name:
            self._take_name(peer, name, when)
        peer.welcomed = True
        states = tuple(self.rooms.enter(peer, request) for request in requests)
        self.herald.welcome(peer, self._node, self.limits, states, when)
        for state in states:
            room = self.rooms.by_name[state.room]
            self.herald.announce(room, when)
            self._whereabouts.entered(peer, room)

    def _join(self, peer: Peer, join: commands.Join, when: Instant) -> None:
        name = check_room(join.room)
        peer.spend_fetch(when.now)
        if name not in peer.subscriptions and 0 < self.limits.max_rooms_per_peer <= len(peer.subscriptions):
            raise self._too_many_rooms()
        waiting, peer.control = peer.control, []
        state = self.rooms.enter(peer, commands.RoomRequest(name, join.since, join.last))
        joined = events.Joined(join.ref, **msgspec.structs.asdict(state))
        peer.control = [*waiting, framed(joined), *peer.control]
        self.herald.touch(peer)
        self.herald.announce(self.rooms.by_name[name], when)
        self._whereabouts.entered(peer, self.rooms.by_name[name])

    def _rename(self, peer: Peer, rename: commands.Rename, when: Instant) -> None:
        peer.spend_fetch(when.now)
        old, name = peer.name, check_name(rename.name)
        self._take_name(peer, name, when)
        self.herald.answer(peer, events.Renamed(rename.ref, name))
        if old and old != name:
            for subscription in peer.subscriptions.values():
                self.herald.broadcast_rename(subscription.room, peer, old, name, when)

    # -- names and rooms

    def _take_name(self, peer: Peer, name: str, when: Instant) -> None:
        key = name_key(name)
        if name.casefold().startswith(GUEST):
            raise InvalidNameError(
                ErrorCode.NAME_RESERVED, "Choose another name: guests without one are called this."
            )
        owner = self.access.owner_of(peer, key, name)
        self.moderation.check_name(peer, key, peer.client_id, when)
        if key != peer.key:
            self._directory.claim(key, name, owner, peer.id, when.now, by_right=peer.identity is not None)
            if peer.name:
                self._directory.keep_away(peer.key, key)
                self._directory.release(peer.key, peer.id, when.now, grace=False)
            for subscription in peer.subscriptions.values():
                subscription.room.presence.rekey(peer.key, key, name)
                if not peer.name:
                    self.herald.broadcast_first_name(subscription.room, peer, name, when)
        else:
            for subscription in peer.subscriptions.values():
                subscription.room.presence.rekey(key, key, name)
        peer.key, peer.name = key, name

    # -- ends and ceilings

    def close_expired(self, when: Instant) -> None:
        """The gate has changed its mind, or time has: connections it would not let in any more end."""
        for peer, code, reason in self.access.expired(self.peers.values(), when):
            self._end(peer, code, reason)

    def _count_error(self, peer: Peer, when: Instant) -> None:
        if peer.error_bucket.take(when.now) > 0:
            self._end(peer, CloseCode.TOO_MANY_ERRORS, "Too many bad frames.")

    def _end(self, peer: Peer, code: CloseCode, reason: str) -> None:
        peer.closing = peer.closing or (code, reason)
        self.closing.add(peer)

    def _fetch_from(self, peer: Peer, room_name: str, when: Instant) -> Room:
        """The room asked about, if the connection is in it and does not ask too often."""
        room = self.rooms.subscription(peer, room_name).room
        peer.spend_fetch(when.now)
        return room

    def _too_many_rooms(self) -> RequestError:
        return RequestError(
            ErrorCode.TOO_MANY_ROOMS,
            f"At most {self.limits.max_rooms_per_peer} rooms a connection; leave one.",
        )
