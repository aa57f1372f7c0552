"""The server's state machine, without I/O: frames and time in, `Effects` out.

`broadcast_tui.server` passes frames, posts and the time to the hub and performs the effects. No method
blocks.

Invariants: the posts of a room are delivered in the order of the engine. A post is acknowledged only after
the engine has stored it. An invalid frame affects only the connection that sent it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import assert_never

from broadcast_tui.core.clock import Instant
from broadcast_tui.core.errors import CloseCode, ErrorCode, FrameError, RequestError
from broadcast_tui.core.hub.auth import Authenticator, Identity, OpenAuthenticator
from broadcast_tui.core.hub.authorization import NAME_LOST, Authorizer
from broadcast_tui.core.hub.away import AwayStatus
from broadcast_tui.core.hub.broadcaster import Broadcaster
from broadcast_tui.core.hub.cluster import (
    Answers,
    Cluster,
    OpenRoom,
    Preparation,
    TopicChanged,
    TypingNotice,
)
from broadcast_tui.core.hub.cluster_port import ClusterPort
from broadcast_tui.core.hub.directs import DirectRooms
from broadcast_tui.core.hub.effects import Effects, TopicChange
from broadcast_tui.core.hub.entering import Entering
from broadcast_tui.core.hub.guest_numbers import GuestNumbers
from broadcast_tui.core.hub.history import plan_history, plan_search
from broadcast_tui.core.hub.log_index import LogIndex
from broadcast_tui.core.hub.moderation import Moderation
from broadcast_tui.core.hub.name_claims import NameClaims
from broadcast_tui.core.hub.name_registry import NameRegistry
from broadcast_tui.core.hub.notes import Summaries
from broadcast_tui.core.hub.peer import Link, Peer
from broadcast_tui.core.hub.pending_entries import PendingEntry
from broadcast_tui.core.hub.posting import Posting
from broadcast_tui.core.hub.reads import Reads
from broadcast_tui.core.hub.rejections import Rejections
from broadcast_tui.core.hub.room import Room
from broadcast_tui.core.hub.rooms import Rooms
from broadcast_tui.core.hub.rosters import Rosters
from broadcast_tui.core.hub.signals import Signals
from broadcast_tui.core.hub.work_budget import (
    CONNECT_S,
    PriceList,
    WorkBudgets,
    frame_price_s,
)
from broadcast_tui.core.limits import Limits, SharedLimits
from broadcast_tui.core.names import DIRECT_SIGN, is_direct
from broadcast_tui.core.notes import LogEvent, NewEntry, NewNote, NewSummary
from broadcast_tui.core.post import AppendResult, Fork, NewPost, Post
from broadcast_tui.core.protocol import commands, events
from broadcast_tui.core.protocol.codec import decode_command
from broadcast_tui.core.protocol.handshake import SUBPROTOCOL
from broadcast_tui.core.text import clean_line

TOPIC_BYTES = 512
TOPIC_CHANGES_MAX = 100
"""Maximum number of topics waiting for the engine; further ones are temporarily rejected."""
_NEW_ENTRIES = (commands.Say, commands.Note)
"""Commands that append to a log. A union in `isinstance` would be built for each frame."""
TICK_PEERS = 64
"""Connections that a step of `Hub.tick_steps` checks."""


class Hub:
    """All rooms and connections of one server process (a node).

    Args:
        index: The engine's index of its logs.
        node: Id of this process, sent to clients.
        authenticator: Checks tokens; by default there are none, and everyone may connect.
        random_id: Returns an unguessable string of letters, digits, `-` and `_`, never the same one twice.
        is_durable: Whether logs outlast the process.
        is_shared: Whether other nodes have the same rooms.
    """

    def __init__(
        self,
        index: LogIndex,
        limits: Limits,
        node: str,
        authenticator: Authenticator | None = None,
        *,
        random_id: Callable[[], str],
        is_durable: bool = False,
        is_shared: bool = False,
    ) -> None:
        self._limits = SharedLimits(limits)
        self.peers: dict[int, Peer] = {}
        self.effects = Effects()
        self.cluster = Cluster(index, node, is_shared=is_shared)
        self.broadcaster = Broadcaster(self.peers, self.effects)
        self.rejections = Rejections(self.broadcaster, self.effects)
        self.authorizer = Authorizer(authenticator if authenticator is not None else OpenAuthenticator())
        self._names = NameRegistry(self._limits)
        rosters = Rosters(self.cluster, self._limits, self._names)
        self.rooms = Rooms(index, self._limits, self.broadcaster, self.effects, self.cluster, rosters)
        self.moderation = Moderation(
            self.peers, self.broadcaster, self.effects, self.rejections.close_later,
            self.rooms.by_name, self.cluster,
        )  # fmt: skip
        self._index = index
        self._node = node
        self.away = AwayStatus(self.peers, self._names, self.broadcaster, self._limits)
        self._last_peer_id = 0
        self._guest_numbers = GuestNumbers(random_id)
        self.directs = DirectRooms(
            self.peers,
            self._names,
            self.rooms,
            self.broadcaster,
            self.authorizer,
            index,
            self._limits,
            is_durable=is_durable,
            random_id=random_id,
            cluster=self.cluster,
        )
        self._claims = NameClaims(
            self._names,
            self.authorizer,
            self.moderation,
            self.away,
            self.broadcaster,
            self.directs.renamed,
            self.cluster,
            rosters,
            self._close_replaced,
        )
        signals = Signals(self.rooms, rosters, self.broadcaster, self.away, self.moderation, self.directs)
        self.port = ClusterPort(
            self.cluster, self._names, self.rooms, rosters, signals, self.moderation, self.directs,
            self._guest_numbers, self._close_replaced,
        )  # fmt: skip
        self.posting = Posting(
            self.rooms, index, self._limits, self.moderation, self.effects, self._claims, self.cluster,
            self.directs,
        )  # fmt: skip
        self._entering = Entering(
            self.cluster, self.rooms, self._claims, self.directs, self.authorizer, self.moderation,
            self.broadcaster, self.rejections, self.away, self._limits,
        )  # fmt: skip
        self._summaries = Summaries(index, self.effects)
        self.rooms.on_fork = self._forked
        self.budgets = WorkBudgets(self._limits)
        self._prices = PriceList(self.rooms, index, self._limits, self.peers)
        self.reads = Reads(self.peers, self.rooms, index, self.broadcaster, self._prices, self.effects)

    @property
    def limits(self) -> Limits:
        """The current limits."""
        return self._limits.current

    def set_limits(self, limits: Limits) -> None:
        """Apply new limits, with full buckets for all connections, addresses and rooms."""
        self._limits.replace(limits)
        self.rooms.limits_changed()

    # -- connections

    def open(
        self,
        link: Link,
        *,
        v1: bool,
        address: str,
        when: Instant,
        identity: Identity | None = None,
        rate_limit_key: str = "",
    ) -> Peer:
        """Add a connection.

        A plain one enters the default room; a v1 connection is expected to send a hello.

        Args:
            rate_limit_key: Key of its address for limits per address; empty if it is exempt.
        """
        self._last_peer_id += 1
        budget = self.budgets.of(rate_limit_key)
        budget.charge(CONNECT_S, when.now)
        peer = Peer(
            self._last_peer_id,
            link,
            v1=v1,
            address=address,
            now=when.now,
            limits=self._limits,
            budget=budget,
            rate_limit_key=rate_limit_key,
            guest_number=self._guest_numbers.take() if self.cluster.is_shared else 0,
        )
        self.peers[peer.id] = peer
        if identity is not None:
            peer.set_identity(identity)
        if not v1:
            self._entering.connect(peer, when)
        return peer

    def close(self, peer: Peer, when: Instant) -> None:
        """Remove a closed connection; does nothing if it has already been removed."""
        if self.peers.pop(peer.id, None) is None:
            return
        self.directs.left(peer)
        was_kicked = peer.closing is not None and peer.closing[0] is CloseCode.KICKED
        dropped = bool(peer.subscriptions) and not was_kicked
        for room_name in list(peer.subscriptions):
            self.rooms.leave(
                peer, self.rooms.by_name[room_name], when, grace=bool(peer.name) and not was_kicked
            )
        if peer.name:
            self._claims.release(peer, when, grace=dropped)
        self.effects.dirty_peers.discard(peer)
        self.effects.closing_peers.discard(peer)

    def receive(self, peer: Peer, data: bytes, when: Instant) -> None:
        """Handle a text frame from a connection.

        Replies with an error if it is invalid or cannot be executed.
        """
        peer.refresh_limits()
        if peer.budget.is_limited:
            peer.budget.charge(frame_price_s(len(data)), when.now)
        try:
            command = decode_command(data)
        except FrameError as error:
            self.rejections.reject_frame(peer, error, when)
            return
        try:
            self._dispatch(peer, command, when)
        except RequestError as error:
            self.rejections.reject_command(peer, command, error, when)

    def reject_binary(self, peer: Peer, when: Instant) -> None:
        """Reject a binary frame, which the protocol does not use, and close the connection with 1003."""
        self.rejections.reject_frame(
            peer, FrameError(ErrorCode.BINARY, "Binary frames are not supported. Send text frames."), when
        )

    # -- the cluster

    def prepared(self, preparation: Preparation, answers: Answers | RequestError, when: Instant) -> None:
        """Execute a command whose needs have been answered, or reply with the error."""
        if not isinstance(answers, RequestError):
            for need in preparation.needs:
                if isinstance(need, OpenRoom):
                    self._summaries.room_opened(need.room)
        peer, command = preparation.peer, preparation.command
        if peer.id not in self.peers or peer.closing is not None:
            return
        try:
            if isinstance(answers, RequestError):
                raise answers
            preparation.then(answers, when)
        except RequestError as error:
            if command is None:
                self._entering.connect_failed(peer, error)
            elif isinstance(command, commands.Hello) and error.code is ErrorCode.TRY_LATER:
                self.broadcaster.send_error(peer, error, when)
            else:
                self.rejections.reject_command(peer, command, error, when)
        if not self.cluster.is_waiting(peer):
            peer.link.release()

    def _close_replaced(self, peer_id: int) -> None:
        if (peer := self.peers.get(peer_id)) is not None:
            self.rejections.close_later(peer, CloseCode.REPLACED, NAME_LOST)

    # -- results of effects

    def started(self, when: Instant) -> None:
        """Continue with what the engine has stored. Call it when the engine is open."""
        self.directs.load()
        self._summaries.start(when)

    def entries_appended(
        self, batch: Sequence[PendingEntry], results: Sequence[AppendResult], when: Instant
    ) -> None:
        """Acknowledge entries that the engine has stored or rejected; `results` are in the order of `batch`.

        Call it before `deliver` with the same entries, so that their authors recognize them.
        """
        for pending, result in zip(batch, results, strict=True):
            entry, peer, position = pending.entry, pending.peer, result.position
            room = self.rooms.by_name.get(entry.room)
            if room is not None and result.error is None:
                if position.epoch != room.epoch:
                    self.rooms.sync(entry.room)
                if position.epoch == room.epoch and position.seq > room.appended_seq:
                    room.appended_seq = position.seq
            if result.post is not None and isinstance(entry, NewNote):
                self._summaries.changed(entry.room, entry.re, entry.kind, when)
            if self.cluster.is_shared:
                self._share_result(entry, result, when)
            if peer is None:
                continue
            if result.error is not None:
                self.broadcaster.send_error(peer, result.error, when, nonce=entry.nonce)
            elif entry.nonce:
                self._acknowledge(peer, entry, result)

    def _share_result(self, entry: NewEntry, result: AppendResult, when: Instant) -> None:
        """Notify other nodes of a direct message, or repeat a summary that was not stored."""
        if isinstance(entry, NewSummary):
            if result.error is not None and result.error.temporary:
                self._summaries.failed(entry, when)
        elif isinstance(entry, NewPost) and is_direct(entry.room) and result.error is None and not result.dup:
            self.directs.share(entry, result)

    def _acknowledge(self, peer: Peer, entry: NewEntry, result: AppendResult) -> None:
        position = result.position
        if peer.v1:
            peer.send(events.Ack(entry.nonce, str(position), entry.room, result.at_text, result.dup))
            self.broadcaster.mark_dirty(peer)
        if isinstance(entry, NewNote) and position.seq == entry.re:
            return  # it has no entry of its own
        subscription = peer.subscriptions.get(entry.room)
        if subscription is not None and subscription.room.epoch == position.epoch:
            subscription.add_own_post(position.seq, entry.nonce)

    def are_appended(self, log_events: Sequence[LogEvent]) -> bool:
        """Whether `entries_appended` was called for entries of the tail, or they have no reader here."""
        return all(
            isinstance(event, Fork)
            or (room := self.rooms.by_name.get(event.room)) is None
            or (event.position.epoch == room.epoch and event.position.seq <= room.appended_seq)
            for event in log_events
        )

    def append_failed(self, batch: Sequence[PendingEntry], reason: str, when: Instant) -> None:
        """Report to their authors that entries were not stored and may be sent again."""
        error = RequestError(ErrorCode.TRY_LATER, reason, temporary=True, retry_after=2.0)
        for pending in batch:
            if pending.peer is not None:
                self.broadcaster.send_error(pending.peer, error, when, nonce=pending.entry.nonce)
            elif isinstance(pending.entry, NewSummary):
                self._summaries.failed(pending.entry, when)

    def deliver(self, log_events: Sequence[LogEvent]) -> None:
        """Add entries from the engine's tail, in order within each room, to the rings of their rooms."""
        for entry in log_events:
            if isinstance(entry, Fork):
                self.rooms.follow(entry)
                continue
            if isinstance(entry, Post) and entry.state.ask is not None:
                self._summaries.opened(entry)
            self.rooms.append(entry)
            if entry.room[0] == DIRECT_SIGN:
                self.directs.delivered(entry)

    def _forked(self, fork: Fork) -> None:
        self._summaries.forked(fork)
        self.directs.forked(fork)

    def topic_saved(self, change: TopicChange) -> None:
        """Announce a topic that the engine has stored."""
        if change.peer.id in self.peers:
            self.broadcaster.reply(
                change.peer, events.Topic(change.room, change.topic, change.name, change.ref)
            )
        room = self.rooms.by_name.get(change.room)
        if room is not None:
            self.broadcaster.broadcast_topic(room, change.topic, change.name, but=change.peer)
        self.cluster.send(TopicChanged(change.room, change.topic, change.name))

    def topic_failed(self, change: TopicChange, reason: str, when: Instant) -> None:
        """Report that a topic was not stored and may be set again."""
        error = RequestError(ErrorCode.TRY_LATER, reason, temporary=True, retry_after=2.0)
        self.broadcaster.send_error(change.peer, error, when, ref=change.ref)

    # -- time

    def tick(self, when: Instant) -> None:
        """Advance time: expire names, announce due joins and leaves, close connections without a hello."""
        for _ in self.tick_steps(when):
            pass

    def tick_steps(self, when: Instant) -> Iterator[None]:
        """Do the work of `tick` in short steps, between which anything else may be done."""
        self._summaries.tick(when)
        yield from self._names.expire_steps(when.now)
        yield from self.rooms.tick_steps(when)
        yield from self.directs.sweep_steps(when.now)
        for number, peer in enumerate(list(self.peers.values())):
            if number % TICK_PEERS == 0:
                yield
            if not peer.welcomed and peer.hello_until <= when.now:
                self.rejections.close_later(peer, CloseCode.HELLO_TIMEOUT, "No hello received.")
            elif peer.presence_stale and not peer.blocked:
                self.broadcaster.send_member_count(peer, when)

    # -- commands

    def _dispatch(self, peer: Peer, command: commands.Command, when: Instant) -> None:
        self._check_allowed(peer, command, when)
        match command:
            case commands.Say() | commands.Note() if self.cluster.is_shared and is_direct(command.room):
                self.directs.reach_other(peer, command, when, self._post)
            case commands.Say():
                self.posting.say(peer, command, when)
            case commands.Note():
                self.posting.note(peer, command, when)
            case commands.Hello():
                self._entering.hello(peer, command, when)
            case commands.Join():
                self._entering.join(peer, command, when)
            case commands.Leave():
                subscription = self.rooms.subscription(peer, command.room)
                reason = self.moderation.leave_reason(peer, command.reason, when)
                self.rooms.leave(peer, subscription.room, when, grace=False, reason=reason)
                self.broadcaster.reply(peer, events.Left(command.ref, subscription.room.name))
            case commands.FetchHistory():
                room = self._request_room(peer, command.room, when)
                page_max = self.limits.history_page_max
                self.reads.start(peer, plan_history(peer, command, room.name, self._index, page_max))
            case commands.ListMembers():
                room = self._request_room(peer, command.room, when)
                self.broadcaster.reply(peer, self.away.members_of(room, command.ref))
            case commands.Rename():
                self._claims.rename(peer, command, when)
            case commands.Search():
                room = self._request_room(peer, command.room, when)
                page_max = self.limits.history_page_max
                self.reads.start(peer, plan_search(peer, command, room.name, self._index, page_max))
            case commands.ListRooms():
                peer.spend_fetch(when.now)
                self.rooms.send_list(peer, command, when)
            case commands.SetTopic():
                room = self._request_room(peer, command.room, when)
                topic = clean_line(command.topic, TOPIC_BYTES)
                if len(self.effects.topic_changes) >= TOPIC_CHANGES_MAX:
                    raise _busy()
                change = TopicChange(peer, command.ref, room.name, topic, peer.sender)
                self.effects.topic_changes.append(change)
            case commands.SetAway():
                peer.spend_fetch(when.now)
                self.away.update(peer, command)
            case commands.Typing():
                room = self.rooms.subscription(peer, command.room).room
                is_allowed = self.authorizer.may_post(peer) and self.moderation.mute_of(peer, when) is None
                if is_allowed and self.broadcaster.relay_typing(peer, room, self.limits, when):
                    self.cluster.send(TypingNotice(room.name, peer.key, peer.name))
            case commands.Kick() | commands.Ban() | commands.Unban() | commands.Mute() | commands.Unmute():
                self.moderation.execute(peer, command, when)
            case commands.ListBans():
                peer.spend_fetch(when.now)
                self.moderation.send_bans(peer, command, self.limits.presence_list_max, when)
            case commands.Direct():
                self.directs.open(peer, command, when)
            case _:
                assert_never(command)

    def _post(self, peer: Peer, command: commands.Say | commands.Note, when: Instant) -> None:
        if isinstance(command, commands.Say):
            self.posting.say(peer, command, when)
        else:
            self.posting.note(peer, command, when)

    def _check_allowed(self, peer: Peer, command: commands.Command, when: Instant) -> None:
        """Raise RequestError if the connection may not use a command now; otherwise pay its price."""
        if not peer.welcomed and not isinstance(command, commands.Hello):
            raise RequestError(
                ErrorCode.HELLO_EXPECTED, "Expected a hello: the first frame must have type hello."
            )
        if not peer.v1 and not isinstance(command, commands.Say):
            raise RequestError(
                ErrorCode.BAD_FRAME,
                f"Only frames of type message are allowed without the subprotocol {SUBPROTOCOL}.",
            )
        if peer.budget.is_limited:
            peer.budget.spend(self._prices.price_s(peer, command), when.now)
        self.authorizer.check_command(peer, command)
        if commands.publishes_text(command):
            self.moderation.check_not_muted(peer, when)
        if isinstance(command, _NEW_ENTRIES) and is_direct(command.room):
            self.directs.check_post(peer, command.room, when)

    # -- closing and limits

    def close_expired(self, when: Instant) -> None:
        """Close connections whose token is no longer valid or whose name now requires one."""
        for peer, code, reason in self.authorizer.expired(self.peers.values(), when):
            self.rejections.close_later(peer, code, reason)

    def _request_room(self, peer: Peer, room_name: str, when: Instant) -> Room:
        """The room of a request.

        Raises RequestError if the connection is not in it or exceeds its rate limit.
        """
        room = self.rooms.subscription(peer, room_name).room
        peer.spend_fetch(when.now)
        return room


def _busy() -> RequestError:
    text = "The server is busy. Try again."
    return RequestError(ErrorCode.TRY_LATER, text, temporary=True, retry_after=1.0)
