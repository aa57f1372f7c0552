"""The client side of protocol v1 without I/O: frames in, updates and frames out.

The caller (`broadcast_tui.client`) opens connections, passes in received data and the time, sends
`pop_outgoing()` and delivers `pop_updates()` to the user. One session spans many connections.

Invariants: posts and notes are delivered in room order, each once; an own one is resent until the server
acknowledges or rejects it; `receive` never raises, whatever the server sends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from broadcast_tui.core.clock import Instant, parse_time
from broadcast_tui.core.errors import ErrorCode, FrameError
from broadcast_tui.core.names import is_direct
from broadcast_tui.core.notes import Entry, Note
from broadcast_tui.core.post import Position, Post, positions_of
from broadcast_tui.core.post_state import NoteKind
from broadcast_tui.core.protocol import commands, events
from broadcast_tui.core.protocol.codec import decode_event, encode
from broadcast_tui.core.protocol.entries import entry_of, post_of
from broadcast_tui.core.session import updates as up
from broadcast_tui.core.session.bounds import bounded, bounded_delay_s
from broadcast_tui.core.session.expected import is_expected
from broadcast_tui.core.session.hello import build_hello, changes_since
from broadcast_tui.core.session.outbox import Outbox, Outgoing
from broadcast_tui.core.session.own_posts import OwnPosts
from broadcast_tui.core.session.page_notes import PageNotes
from broadcast_tui.core.session.room_cursor import RoomCursor
from broadcast_tui.core.session.updates import update_from_event, update_from_notice
from broadcast_tui.core.text import too_long_reason

NAME_CODES = frozenset((ErrorCode.BAD_NAME, ErrorCode.NAME_TAKEN, ErrorCode.NAME_RESERVED))
NOT_IN_ROOM = (ErrorCode.NOT_IN_ROOM, "You are not in this room; join it first.")
UNSUPPORTED = "This server is too old for that command."
NO_SUCH_POST = (ErrorCode.NO_SUCH_POST, "This message does not exist.")
DIRECTS_MAX = 500
"""Maximum number of rooms for direct messages that the server can open without a request."""
FILL_PAGE = 200
"""Entries per history request while a gap is filled."""
REASON_MAX = 120
"""Maximum length of a leave reason in characters; the server truncates longer ones."""


class ClientSession:
    """A user's presence on a server.

    Args:
        client_id: Random, one per installation and server. Together with the name and the nonce, it
            identifies resent posts.
        make_nonce: Returns a new nonce that cannot be guessed.
        rooms: Rooms to enter, each with the number of latest posts to request.
        presence: Whether the user is counted, listed and announced in rooms.
    """

    def __init__(
        self,
        *,
        client_id: str,
        make_nonce: Callable[[], str],
        name: str,
        rooms: Iterable[tuple[str, int]],
        presence: bool = True,
    ) -> None:
        self.name = name
        self.welcomed = False
        self.fatal: str | None = None
        """Why the server rejected this client permanently; set together with state REFUSED."""
        self.cause = up.DisconnectCause.OTHER
        """Cause of the last disconnect that a user can do something about."""
        self.drain_spread_s: float | None = None
        """Seconds over which a stopping server asked its clients to reconnect; None if it did not."""
        self.cursors = {room: RoomCursor(room, last) for room, last in rooms}
        self._left: dict[str, RoomCursor] = {}
        """Cursors of rooms left earlier, so that rejoining replays only what was missed."""
        self._client_id = client_id
        self._presence = presence
        self._hello = commands.Hello()
        self._outbox = Outbox(make_nonce)
        self._own_posts = OwnPosts(self._outbox)
        self._outgoing: list[bytes] = []
        self._updates: list[up.Update] = []
        self._refs: dict[str, commands.Request] = {}
        self._page_notes = PageNotes()
        self._ref_count = 0
        self._fills: dict[str, str] = {}
        """Rooms whose gap is being filled, by the ref of the history request."""
        self._fill_at: dict[str, float] = {}
        """When to retry a history request that the server rejected temporarily, by room."""
        self._send_at: float | None = None
        self._rename: commands.Rename | None = None
        """A rename that waits until no post is in flight: the server recognizes resent posts by the name."""
        self._is_name_rejected = False
        """Whether the server has rejected the name in the last hello."""
        self._away: events.Away | None = None
        """The last away status, sent again after a reconnect: the server may have restarted."""
        self._directs: set[str] = set()
        """Rooms for direct messages that the server has opened without a request."""

    # -- output

    def pop_outgoing(self) -> list[bytes]:
        """Remove and return the frames to send, as JSON in UTF-8, in order."""
        outgoing, self._outgoing = self._outgoing, []
        return outgoing

    def pop_updates(self) -> list[up.Update]:
        """Remove and return the updates for the user, in order."""
        updates, self._updates = self._updates, []
        return updates

    @property
    def unacknowledged(self) -> int:
        """Number of own posts and notes that were neither acknowledged nor rejected."""
        return len(self._outbox)

    @property
    def unsent(self) -> int:
        """Number of own posts and notes not yet sent on this connection."""
        return self._outbox.unsent

    @property
    def is_writing(self) -> bool:
        """Whether there are frames to send, now or at the time `next_due`."""
        return bool(self._outgoing or self._fill_at) or self._send_at is not None

    # -- connection

    def connecting(self) -> None:
        self._updates.append(up.ConnectionChanged(up.ConnectionState.CONNECTING))

    def connected(self) -> None:
        """A connection is open: send the hello frame."""
        self.fatal = None
        self.drain_spread_s = None
        self._send_hello()

    def _send_hello(self) -> None:
        self._hello = build_hello(self.name, self._client_id, self.cursors, self._presence)
        self._send(self._hello)

    def disconnected(self, state: up.ConnectionState, reason: str, retry_in_s: float | None = None) -> None:
        """The connection was lost, or could not be opened."""
        self.welcomed = False
        self._send_at = None
        self._outgoing.clear()
        self._fills.clear()
        self._fill_at.clear()
        for cursor in self.cursors.values():
            cursor.disconnected()
        for ref, command in self._refs.items():
            if not isinstance(command, commands.Join | commands.Leave):
                self._updates.append(up.Noticed("Connection lost; please try again.", True, "", ref))
        self._refs.clear()
        self._page_notes.clear()
        self._updates.append(up.ConnectionChanged(state, reason, retry_in_s, self.cause))

    def goodbye(self, reason: str = "") -> None:
        """Leave all rooms, so that others see it at once and not after the grace period."""
        for room in self.cursors if self.welcomed else ():
            self._send(commands.Leave(room, reason=reason[:REASON_MAX]))

    # -- user actions

    def say(
        self, room: str, text: str, now: float, *, re: str = "", ask: commands.Question | None = None
    ) -> str:
        """Queue a post; returns its nonce.

        Args:
            re: Post that it replies to: its id, or the nonce of an own post.
            ask: Makes the post a question.
        """
        outgoing = self._outbox.add(room, text.encode(errors="replace").decode(), re=re, ask=ask)
        self._queued(outgoing, now)
        return outgoing.nonce

    def send_note(
        self, room: str, re: str, kind: NoteKind, now: float, *, text: str = "", on: bool = True
    ) -> str:
        """Queue a change of a post; returns its nonce.

        An edit or deletion of an own post that was never sent changes it at once.

        Args:
            re: Id of the post, or the nonce of an own post.
            text: The new text of an edit, the reason of a deletion, a reaction, or the choice of an answer.
            on: False removes a pin or reaction.
        """
        text = text.encode(errors="replace").decode()
        note = self._outbox.add(room, text, re=re, kind=kind, on=on)
        if self._outbox.change_unsent(note):
            self._updates.append(up.NoteDelivered(room, note.nonce, note.re, kind, text))
            if kind is NoteKind.DELETE:
                self._reject(self._outbox.reject([note.re]), *NO_SUCH_POST)
        self._queued(note, now)
        return note.nonce

    def _queued(self, outgoing: Outgoing, now: float) -> None:
        """Reject a new entry that cannot be sent, and send what is due."""
        if outgoing.room not in self.cursors:
            self._reject(self._outbox.reject_room(outgoing.room), *NOT_IN_ROOM)
        elif (outgoing.re or outgoing.kind) and not self._outbox.has_target(outgoing):
            self._reject(self._outbox.reject([outgoing.nonce]), *NO_SUCH_POST)
        self.flush_outbox(now)

    def request(self, build: Callable[[str], commands.Request]) -> str:
        """Send the request that `build` makes from a new ref.

        Offline, joining, leaving and renaming change the session at once; other requests fail with `Noticed`.
        A rename waits until the server has acknowledged or rejected all posts that it may have stored.

        Returns:
            The ref of the answer; empty if the request took effect offline.
        """
        self._ref_count += 1
        command = build(f"r{self._ref_count}")
        match command:
            case commands.Join():
                return self._join(command)
            case commands.Leave() if not self.welcomed:
                self._leave_room(command.room)
                return ""
            case commands.Leave():
                return self._send_request(
                    commands.Leave(command.room, command.ref, command.reason[:REASON_MAX])
                )
            case commands.Rename() if not self.welcomed:
                if self._outbox.in_flight and not self._is_name_rejected:
                    self._rename = command
                else:
                    self.name, self._rename = command.name, None
                return ""
            case commands.Rename() if self._outbox.in_flight:
                self._rename = command
                return command.ref
            case _:
                return self._send_request(command)

    def send_typing(self, room: str) -> None:
        if self.welcomed and room in self.cursors:
            self._send(commands.Typing(room))

    def _join(self, command: commands.Join) -> str:
        room = command.room
        if room not in self.cursors:
            self.cursors[room] = (
                self._left.pop(room) if room in self._left else RoomCursor(room, command.last)
            )
        cursor = self.cursors[room]
        if not self.welcomed:
            return ""
        since = str(cursor.position) if cursor.position else ""
        return self._send_request(commands.Join(room, command.ref, since, 0 if since else command.last))

    # -- time

    def next_due(self) -> float | None:
        """When to call `tick`, in monotonic seconds; None if nothing is scheduled."""
        times = [*self._fill_at.values(), *([self._send_at] if self._send_at is not None else [])]
        return min(times, default=None)

    def tick(self, now: float) -> None:
        for room in [room for room, at in self._fill_at.items() if at <= now]:
            del self._fill_at[room]
            self._fill(self.cursors[room])
        if self._send_at is not None and self._send_at <= now:
            self.flush_outbox(now)

    def flush_outbox(self, now: float) -> None:
        """Send the posts and notes that are due; reject those too long for this server."""
        if not self.welcomed:
            return
        reason = too_long_reason(self._outbox.message_bytes)
        self._reject(self._outbox.reject_too_long(), ErrorCode.TOO_LONG, reason)
        if self._rename is not None and not self._outbox.in_flight:
            rename, self._rename = self._rename, None
            self._send_request(rename)
        is_renaming = self._rename is not None or any(
            isinstance(request, commands.Rename) for request in self._refs.values()
        )
        synced = {cursor.room for cursor in self.cursors.values() if cursor.synced}
        due, self._send_at = self._outbox.due(synced, now, only_resends=is_renaming)
        for outgoing in due:
            self._send(outgoing.command(self.name))

    # -- input from the server

    def receive(self, data: bytes, when: Instant) -> None:
        """Process one text frame from the server."""
        try:
            event = decode_event(data)
        except FrameError as error:
            self._updates.append(up.Noticed(error.text, True, error.code))
            return
        if event is not None and is_expected(
            event, self.cursors, self._refs.keys(), self._fills.keys(), welcomed=self.welcomed
        ):
            self._react(bounded(event), when)

    def _react(self, event: events.Event, when: Instant) -> None:
        match event:
            case events.Message() | events.Note():
                self._on_entry(event, when)
            case events.Ack():
                self._acknowledge(event.nonce, event.id, event.timestamp, when)
            case events.System():
                self._updates.append(update_from_notice(event, when))
            case events.Welcome():
                self._on_welcome(event, when)
            case events.Synced():
                cursor = self.cursors[event.room]
                if cursor.entered and not cursor.synced:
                    cursor.synced = True
                    self._fill(cursor)
                    self.flush_outbox(when.now)
            case events.Gap():
                self._on_gap(event)
            case events.Epoch():
                self._on_epoch(event)
            case events.History():
                self._on_history(event, when)
            case events.Error():
                self._on_error(event, when)
            case events.Joined():
                self._refs.pop(event.ref, None)
                self._enter(event)
            case events.Left():
                self._refs.pop(event.ref, None)
                joining = {r.room for r in self._refs.values() if isinstance(r, commands.Join)}
                if event.room not in joining:
                    self._leave_room(event.room)
            case events.Renamed():
                self._refs.pop(event.ref, None)
                self.name = event.name
                self._updates.append(up.NameChanged(event.name))
                self.flush_outbox(when.now)
            case events.Drain():
                self.drain_spread_s = max(0.0, min(event.spread, 60.0))
            case events.Found():
                self._refs.pop(event.ref, None)
                found = tuple(post_of(item, when) for item in event.items)
                posts = self._page_notes.completed(event.ref, found)
                self._updates.append(up.SearchFound(event.room, event.ref, posts, event.more))
            case events.Moderated() | events.BanList():
                self._refs.pop(event.ref, None)
                self._updates.append(update_from_event(event, when))
            case events.Typing():
                self._updates.append(event)
            case events.Direct():
                self._on_direct(event)
            case _:
                self._refs.pop(event.ref, None)
                if isinstance(event, events.Away) and event.name == self.name:
                    self._away = event
                self._updates.append(event)

    def _on_welcome(self, event: events.Welcome, when: Instant) -> None:
        self.welcomed = True
        self._is_name_rejected = False
        changes = tuple(changes_since(self._hello, self.name, self.cursors))
        self.name = event.name or self.name
        self._outbox.connected(event.limits.rate, event.limits.burst, event.limits.message_bytes)
        self._updates.append(up.ConnectionChanged(up.ConnectionState.ONLINE))
        rooms = tuple(state.room for state in event.rooms if state.room in self.cursors)
        self._updates.append(up.Welcomed(self.name, event.node, rooms, event.limits.message_bytes))
        for state in event.rooms:
            if state.room in self.cursors:
                self._enter(state)
        for direct in event.directs:
            event_of_room = events.Direct(direct.room, direct.other, direct.head, direct.durable)
            self._on_direct(event_of_room, is_listed=True)
        for build in changes:
            self.request(build)
        if self._away is not None and self._away.away:
            text = self._away.text
            self.request(lambda ref: commands.SetAway(True, text, ref))

    def _enter(self, state: events.RoomState | events.Joined) -> None:
        cursor = self.cursors[state.room]
        head = Position.parse(state.head)
        if head is None:
            self._updates.append(up.Noticed("The server sent no position; posts may be missing.", True))
            return
        cursor.entered_at(head, state.missed)
        self._updates.append(
            up.RoomEntered(
                state.room,
                state.online,
                state.missed,
                state.topic,
                positions_of(state.pinned),
                positions_of(state.asks),
            )
        )

    def _on_direct(self, event: events.Direct, *, is_listed: bool = False) -> None:
        """Report a room for direct messages, unless nothing follows from it.

        Those that the server lists after connecting may have another name of the other person.
        """
        head, is_requested = Position.parse(event.head), self._refs.pop(event.ref, None) is not None
        if not is_direct(event.room):
            return  # others can enter it, whatever the server says
        if not is_requested:
            left = self._left.get(event.room)
            if (event.room in self.cursors and not is_listed) or (left is not None and left.position == head):
                return
            if event.room not in self._directs and len(self._directs) >= DIRECTS_MAX:
                return
            self._directs.add(event.room)
        ref = event.ref if is_requested else ""
        self._updates.append(up.DirectOpened(event.room, event.other, event.durable, event.note, ref, head))

    def _on_entry(self, event: events.Message | events.Note, when: Instant) -> None:
        entry, cursor = entry_of(event, when), self.cursors[event.room]
        if not entry.position.epoch:
            if isinstance(entry, Post):
                self._updates.append(up.PostArrived(entry, live=True, own=False))
            return
        if entry.nonce and entry.nonce in self._outbox:
            sender = entry.by if isinstance(entry, Note) else entry.sender
            if sender == (self.name or sender):
                self._acknowledge(entry.nonce, event.id, event.timestamp, when)
        self._deliver(cursor, cursor.received(entry))
        self._fill(cursor)

    def _deliver(self, cursor: RoomCursor, released: Iterable[Entry | up.GapFound]) -> None:
        for item in released:
            match item:
                case Post():
                    nonce = self._own_posts.claim(item, self.name)
                    post = msgspec.structs.replace(item, nonce=nonce) if nonce != item.nonce else item
                    self._updates.append(up.PostArrived(post, cursor.synced, bool(nonce)))
                case Note():
                    nonce = self._own_posts.claim_note(item, self.name)
                    note = msgspec.structs.replace(item, nonce=nonce) if nonce != item.nonce else item
                    self._page_notes.arrived(note)
                    self._updates.append(up.NoteArrived(note, cursor.synced, bool(nonce)))
                case _:
                    self._own_posts.skipped(cursor.room)
                    self._updates.append(item)

    def _acknowledge(self, nonce: str, post_id: str, at: str, when: Instant) -> None:
        outgoing = self._outbox.acknowledged(nonce, post_id)
        if outgoing is None:
            return
        has_arrived, position = False, Position.parse(post_id)
        if position is not None:
            cursor = self.cursors.get(outgoing.room)
            last = cursor.position if cursor is not None else None
            has_arrived = self._own_posts.acknowledged(outgoing, position, last)
        if outgoing.kind is None:
            at_utc = parse_time(at, when)
            self._updates.append(up.PostDelivered(outgoing.room, nonce, post_id, at_utc, has_arrived))
        else:
            self._updates.append(up.NoteDelivered(outgoing.room, nonce, outgoing.re, outgoing.kind))
        if self._rename is not None or self._outbox.has_waiting:
            self.flush_outbox(when.now)

    def _on_gap(self, event: events.Gap) -> None:
        cursor, start, end = self.cursors[event.room], Position.parse(event.start), Position.parse(event.end)
        if end is None:
            return
        if event.forked and start is not None:
            self._fork(cursor, start._replace(seq=start.seq - 1), end)
        else:
            self._deliver(cursor, cursor.gap(end, event.reason))
            self._fill(cursor)

    def _on_epoch(self, event: events.Epoch) -> None:
        start, end = Position.parse(event.start), Position.parse(event.end)
        if start is not None and end is not None:
            self._fork(self.cursors[event.room], start._replace(seq=end.seq), end)

    def _fork(self, cursor: RoomCursor, common: Position, end: Position) -> None:
        """Follow a room to another epoch, and withdraw what it has lost.

        Args:
            common: Position in the former epoch up to which both are the same.
            end: Position after which the server continues.
        """
        change = up.EpochChanged(cursor.room, common.epoch, end.epoch, common.seq)
        self._outbox.follow(change)
        self._page_notes.follow(change)
        self._updates += cursor.fork(change, end.seq, self._own_posts.follow(change))
        self._fill(cursor)

    def _fill(self, cursor: RoomCursor) -> None:
        """Request missing posts, or report that none are missing."""
        if cursor.newly_caught_up():
            self._updates.append(up.CaughtUp(cursor.room))
        elif self.welcomed and cursor.filling and cursor.room not in self._fills.values():
            self._ref_count += 1
            ref = f"r{self._ref_count}"
            self._fills[ref] = cursor.room
            self._send(commands.FetchHistory(cursor.room, ref, after=str(cursor.position), limit=FILL_PAGE))

    def _on_history(self, event: events.History, when: Instant) -> None:
        entries = tuple(entry_of(item, when) for item in event.items)
        room = self._fills.pop(event.ref, None)
        if room is None:
            self._refs.pop(event.ref, None)
            found = (entry for entry in entries if isinstance(entry, Post))
            posts = self._page_notes.completed(event.ref, found)
            start = entries[0].position if entries else None
            notes = tuple(entry for entry in entries if isinstance(entry, Note))
            self._updates.append(up.HistoryFetched(event.room, event.ref, posts, event.more, start, notes))
        elif (cursor := self.cursors.get(room)) is not None and cursor.filling:
            self._deliver(cursor, cursor.filled(entries))
            self._fill(cursor)

    def _on_error(self, event: events.Error, when: Instant) -> None:
        request = self._refs.pop(event.ref, None) if event.ref else None
        self._page_notes.completed(event.ref, ())
        if event.nonce in self._outbox:
            self._on_entry_error(event, when)
        elif isinstance(request, commands.Rename) and self.welcomed:
            self._on_rename_error(request, event, when)
        elif not self.welcomed and event.code in NAME_CODES and self._rename is not None:
            # The old name is no longer available, so there is nothing to wait for.
            self.name, self._rename = self._rename.name, None
            self._send_hello()
        elif (room := self._fills.pop(event.ref, None)) is not None:
            self._on_fill_error(room, event, when)
        elif not self.welcomed and not (event.temporary and event.code not in NAME_CODES):
            if event.code in NAME_CODES:
                self._is_name_rejected = True
                self._updates.append(up.NameDenied(self.name, event.code, event.message))
            self.fatal = event.message
            is_unauthorized = event.code == ErrorCode.UNAUTHORIZED
            self.cause = up.DisconnectCause.UNAUTHORIZED if is_unauthorized else up.DisconnectCause.OTHER
        else:
            if isinstance(request, commands.Join):
                self._leave_room(request.room)
            ref = event.ref if request is not None else ""
            text = UNSUPPORTED if event.code == ErrorCode.UNKNOWN_TYPE else event.message
            retry_after_s = bounded_delay_s(event.retry_after) if ref and event.temporary else None
            self._updates.append(up.Noticed(text, True, event.code, ref, retry_after_s))

    def _on_rename_error(self, request: commands.Rename, event: events.Error, when: Instant) -> None:
        if event.code in NAME_CODES:
            self._updates.append(up.NameDenied(request.name, event.code, event.message))
        else:
            self._updates.append(up.Noticed(event.message, True, event.code, event.ref))
        self.flush_outbox(when.now)

    def _on_entry_error(self, event: events.Error, when: Instant) -> None:
        if event.temporary:
            self._outbox.retry(event.nonce, when.now + bounded_delay_s(event.retry_after))
            self.flush_outbox(when.now)
        else:
            reason = UNSUPPORTED if event.code == ErrorCode.UNKNOWN_TYPE else event.message
            self._reject(self._outbox.reject([event.nonce]), event.code, reason)
            if self._rename is not None or self._outbox.has_waiting:
                self.flush_outbox(when.now)

    def _on_fill_error(self, room: str, event: events.Error, when: Instant) -> None:
        if (cursor := self.cursors.get(room)) is None:
            return
        if event.temporary:
            self._fill_at[room] = when.now + bounded_delay_s(event.retry_after)
        else:
            self._deliver(cursor, cursor.filled(()))
            self._fill(cursor)

    # -- frames out

    def _send(self, command: commands.Command) -> None:
        self._outgoing.append(encode(command))

    def _send_request(self, command: commands.Request) -> str:
        if self.welcomed:
            self._refs[command.ref] = command
            if isinstance(command, commands.FetchHistory | commands.Search):
                self._page_notes.requested(command.ref, command.room)
            self._send(command)
        else:
            notice = "You are not connected; try again once you are online."
            self._updates.append(up.Noticed(notice, True, "", command.ref))
        return command.ref

    def _leave_room(self, room: str) -> None:
        self._fill_at.pop(room, None)
        if (cursor := self.cursors.pop(room, None)) is not None:
            cursor.disconnected()
            self._own_posts.skipped(room)
            self._left[room] = cursor
            self._reject(self._outbox.reject_room(room), *NOT_IN_ROOM)
            self._updates.append(up.RoomLeft(room))

    def _reject(self, entries: Iterable[Outgoing], code: str, reason: str) -> None:
        """Return posts and notes to the user as rejected."""
        self._updates += [entry.rejected(code, reason) for entry in entries]
