"""The client's half of protocol v1 without a socket: frames in, updates out, frames out.

The shell around it (broadcast_tui.client) opens connections, feeds bytes and time in, writes
`take_outgoing()` and hands `take_updates()` to the user. One session outlives many connections.

Invariants: posts reach the user in room order, each once; a post of ours is sent until it is
acknowledged or refused for good; whatever a server sends, no exception leaves `receive`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from broadcast_tui.core.clock import Instant, parse_time
from broadcast_tui.core.errors import ErrorCode, FrameError
from broadcast_tui.core.post import Position, Post
from broadcast_tui.core.protocol import commands, events
from broadcast_tui.core.protocol.codec import decode_event, encode, post_of
from broadcast_tui.core.session import updates as up
from broadcast_tui.core.session.outbox import Outbox, Outgoing
from broadcast_tui.core.session.room_cursor import RoomCursor
from broadcast_tui.core.session.updates import update_from_event, update_from_notice
from broadcast_tui.core.text import too_long_reason

NAME_CODES = frozenset((ErrorCode.BAD_NAME, ErrorCode.NAME_TAKEN, ErrorCode.NAME_RESERVED))
NOT_IN_ROOM = (ErrorCode.NOT_IN_ROOM, "You are not in this room; join it first.")
FILL_PAGE = 200
REASON_MAX = 120
"""Characters of a reason for leaving: a server cuts what is longer."""


class ClientSession:
    """A user's presence on a server.

    Args:
        client_id: Random, per install; with the nonces, what makes resends recognisable.
        nonce_prefix: Random, per session.
        rooms: Rooms to be in, each with how many of its last posts to ask for.
    """

    def __init__(
        self,
        *,
        client_id: str,
        nonce_prefix: str,
        name: str,
        rooms: Iterable[tuple[str, int]],
    ) -> None:
        self.name = name
        self.welcomed = False
        self.fatal: str | None = None
        """Why the server will not have us at all; set with state REFUSED."""
        self.unauthorized = False  # whether that was, at the last connection, for want of a valid token
        self.drain_spread_s: float | None = None
        """Over how many seconds the server asked its clients to come back; None if it did not."""
        self.tracks = {room: RoomCursor(room, last) for room, last in rooms}
        self._left: dict[str, RoomCursor] = {}
        """Rooms we were in, and how far: whoever comes back gets what was said since."""
        self._client_id = client_id
        self._outbox = Outbox(nonce_prefix)
        self._outgoing: list[bytes] = []
        self._updates: list[up.Update] = []
        self._refs: dict[str, commands.Request] = {}
        self._ref_count = 0
        self._fills: dict[str, str] = {}
        self._fill_at: dict[str, float] = {}
        self._send_at: float | None = None
        self._away: events.Away | None = None
        """What was last said of us; said again to a server that may have forgotten it."""

    # -- what the shell takes

    def take_outgoing(self) -> list[bytes]:
        """Frames to write, as JSON in UTF-8, in order."""
        taken, self._outgoing = self._outgoing, []
        return taken

    def take_updates(self) -> list[up.Update]:
        taken, self._updates = self._updates, []
        return taken

    @property
    def unacknowledged(self) -> int:
        """Posts of ours neither acknowledged nor refused."""
        return len(self._outbox)

    @property
    def unsent(self) -> int:
        return self._outbox.unsent

    # -- the connection

    def connecting(self) -> None:
        self._updates.append(up.ConnectionChanged(up.ConnectionState.CONNECTING))

    def connected(self) -> None:
        """A connection is open: say hello."""
        self.fatal = None
        self.drain_spread_s = None
        requests = tuple(
            commands.RoomRequest(t.room, str(t.position) if t.position else "", 0 if t.position else t.last)
            for t in self.tracks.values()
        )
        self._send(commands.Hello(self.name, self._client_id, rooms=requests))

    def disconnected(self, state: up.ConnectionState, reason: str, retry_in_s: float | None = None) -> None:
        """The connection is gone, or could not be made."""
        self.welcomed = False
        self._send_at = None
        self._outgoing.clear()
        self._fills.clear()
        self._fill_at.clear()
        for track in self.tracks.values():
            track.disconnected()
        for ref, command in self._refs.items():
            if not isinstance(command, commands.Join | commands.Leave):
                self._updates.append(up.Noticed("The connection was lost; ask again.", True, "", ref))
        self._refs.clear()
        self._updates.append(up.ConnectionChanged(state, reason, retry_in_s, self.unauthorized))

    def goodbye(self, reason: str = "") -> None:
        """Leave all rooms, so that the others see it at once rather than after a grace, and perhaps why."""
        for room in self.tracks if self.welcomed else ():
            self._send(commands.Leave(room, reason=reason[:REASON_MAX]))

    # -- what the user does

    def say(self, room: str, text: str, now: float) -> str:
        """Queue a post; returns its nonce."""
        outgoing = self._outbox.add(room, text.encode(errors="replace").decode())
        if room not in self.tracks:
            self._give_back(self._outbox.remove_room(room), *NOT_IN_ROOM)
        self.flush_outbox(now)
        return outgoing.nonce

    def join(self, room: str, last: int) -> str:
        if room not in self.tracks:
            self.tracks[room] = self._left.pop(room) if room in self._left else RoomCursor(room, last)
        track = self.tracks[room]
        if not self.welcomed:
            return ""
        since = str(track.position) if track.position else ""
        return self._ask(commands.Join(room, self._next_ref(), since, 0 if since else last))

    def leave(self, room: str, reason: str = "") -> str:
        if self.welcomed:
            return self._ask(commands.Leave(room, self._next_ref(), reason[:REASON_MAX]))
        self._forget(room)
        return ""

    def fetch_history(self, room: str, before: str, limit: int, around: str = "") -> str:
        latest = not (before or around)
        return self._ask(commands.FetchHistory(room, self._next_ref(), before, "", around, latest, limit))

    def ask(self, make: Callable[[str], commands.Request]) -> str:
        """Send the request that `make` makes with a new ref; returns the ref."""
        return self._ask(make(self._next_ref()))

    def rename(self, name: str) -> str:
        """Ask for a name; while not connected it is simply the one to say hello with."""
        if self.welcomed:
            return self._ask(commands.Rename(name, self._next_ref()))
        self.name = name
        return ""

    def send_typing(self, room: str) -> None:
        if self.welcomed and room in self.tracks:
            self._send(commands.Typing(room))

    # -- time

    def next_due(self) -> float | None:
        """When `tick` has something to do, in monotonic seconds; None if nothing waits for time."""
        times = [*self._fill_at.values(), *([self._send_at] if self._send_at is not None else [])]
        return min(times, default=None)

    def tick(self, now: float) -> None:
        for room in [room for room, at in self._fill_at.items() if at <= now]:
            del self._fill_at[room]
            self._fill(self.tracks[room])
        if self._send_at is not None and self._send_at <= now:
            self.flush_outbox(now)

    def flush_outbox(self, now: float) -> None:
        """Write what the outbox may send by now; what the server would not take comes back."""
        if not self.welcomed:
            return
        reason = too_long_reason(self._outbox.message_bytes)
        self._give_back(self._outbox.remove_too_long(), ErrorCode.TOO_LONG, reason)
        ready = {track.room for track in self.tracks.values() if track.synced}
        due, self._send_at = self._outbox.due(ready, now)
        for outgoing in due:
            self._send(commands.Say(outgoing.text, self.name or None, outgoing.room, outgoing.nonce))

    # -- what the server says

    def receive(self, data: bytes, when: Instant) -> None:
        """One text frame from the server."""
        try:
            event = decode_event(data)
        except FrameError as error:
            self._updates.append(up.Noticed(error.text, True, error.code))
            return
        if event is not None:
            self._react(event, when)

    def _react(self, event: events.Event, when: Instant) -> None:
        match event:
            case events.Message():
                self._on_message(event, when)
            case events.Ack():
                self._settle(event.nonce, event.id, event.timestamp, when)
            case events.System():
                self._updates.append(update_from_notice(event, when))
            case events.Welcome():
                self._on_welcome(event, when)
            case events.Synced():
                if (track := self.tracks.get(event.room)) is not None:
                    track.synced, track.told_caught_up = True, False
                    self._fill(track)
                    self.flush_outbox(when.now)
            case events.Gap():
                self._on_gap(event)
            case events.History():
                self._on_history(event, when)
            case events.Error():
                self._on_error(event, when)
            case events.Joined():
                self._refs.pop(event.ref, None)
                self._enter(event)
            case events.Left():
                self._refs.pop(event.ref, None)
                self._forget(event.room)
            case events.Away():
                self._refs.pop(event.ref, None)
                if event.name == self.name:
                    self._away = event
                self._updates.append(update_from_event(event, when))
            case events.Renamed():
                self._refs.pop(event.ref, None)
                self.name = event.name
                self._updates.append(up.NameChanged(event.name))
            case events.Drain():
                self.drain_spread_s = max(0.0, min(event.spread, 60.0))
            case _:
                self._refs.pop(getattr(event, "ref", ""), None)
                self._updates.append(update_from_event(event, when))

    def _on_welcome(self, event: events.Welcome, when: Instant) -> None:
        self.welcomed = True
        self.name = event.name or self.name
        self._outbox.connected(event.limits.rate, event.limits.burst, event.limits.message_bytes)
        self._updates.append(up.ConnectionChanged(up.ConnectionState.ONLINE))
        rooms = tuple(state.room for state in event.rooms)
        self._updates.append(up.Welcomed(self.name, event.node, rooms, event.limits.message_bytes))
        for state in event.rooms:
            self._enter(state)
        if self._away is not None and self._away.away:
            self._ask(commands.SetAway(True, self._away.text, self._next_ref()))

    def _enter(self, state: events.RoomState | events.Joined) -> None:
        track = self.tracks.setdefault(state.room, RoomCursor(state.room, 0))
        head = Position.parse(state.head)
        if head is None:
            self._updates.append(up.Noticed("The server gave no position; posts may be missed.", True))
            return
        track.entered_at(head, state.missed)
        self._updates.append(up.RoomEntered(state.room, state.online, state.missed, state.topic))

    def _on_message(self, event: events.Message, when: Instant) -> None:
        post = post_of(event, when)
        track = self.tracks.get(event.room)
        if track is None:
            return
        if not post.position.epoch:
            self._updates.append(up.PostArrived(post, live=True, own=False))
            return
        if self._is_own(post):
            self._settle(post.nonce, event.id, event.timestamp, when)
        self._hand_on(track, track.received(post))
        self._fill(track)

    def _hand_on(self, track: RoomCursor, released: Iterable[Post | up.GapFound]) -> None:
        for item in released:
            if isinstance(item, Post):
                self._updates.append(up.PostArrived(item, track.synced, self._is_own(item)))
            else:
                self._updates.append(item)

    def _is_own(self, post: Post) -> bool:
        return self._outbox.is_ours(post.nonce) and post.sender == self.name

    def _settle(self, nonce: str, post_id: str, at: str, when: Instant) -> None:
        outgoing = self._outbox.remove(nonce)
        if outgoing is not None:
            self._updates.append(up.PostDelivered(outgoing.room, nonce, post_id, parse_time(at, when)))

    def _on_gap(self, event: events.Gap) -> None:
        track, end = self.tracks.get(event.room), Position.parse(event.end)
        if track is None or end is None:
            return
        self._updates += track.gap(end, event.reason)
        self._fill(track)

    def _fill(self, track: RoomCursor) -> None:
        """Ask for what is missing, or say that nothing is."""
        if track.newly_caught_up():
            self._updates.append(up.CaughtUp(track.room))
        elif self.welcomed and track.filling and track.room not in self._fills.values():
            ref = self._next_ref()
            self._fills[ref] = track.room
            self._send(commands.FetchHistory(track.room, ref, after=str(track.position), limit=FILL_PAGE))

    def _on_history(self, event: events.History, when: Instant) -> None:
        posts = tuple(post_of(item, when) for item in event.items)
        room = self._fills.pop(event.ref, None)
        if room is None:
            self._refs.pop(event.ref, None)
            self._updates.append(up.HistoryFetched(event.room, event.ref, posts, event.more))
        elif (track := self.tracks.get(room)) is not None and track.filling:
            self._hand_on(track, track.filled(posts))
            self._fill(track)

    def _on_error(self, event: events.Error, when: Instant) -> None:
        asked = self._refs.pop(event.ref, None) if event.ref else None
        if event.nonce and self._outbox.is_ours(event.nonce):
            self._on_post_error(event, when)
        elif (room := self._fills.pop(event.ref, None)) is not None:
            self._on_fill_error(room, event, when)
        elif isinstance(asked, commands.Rename) and event.code in NAME_CODES:
            self._updates.append(up.NameDenied(asked.name, event.code, event.message))
        elif not self.welcomed and not (event.temporary and event.code not in NAME_CODES):
            if event.code in NAME_CODES:
                self._updates.append(up.NameDenied(self.name, event.code, event.message))
            self.fatal = event.message
            self.unauthorized = event.code == ErrorCode.UNAUTHORIZED
        else:
            if isinstance(asked, commands.Join):
                self._forget(asked.room)
            self._updates.append(up.Noticed(event.message, True, event.code, event.ref))

    def _on_post_error(self, event: events.Error, when: Instant) -> None:
        if event.temporary:
            self._outbox.hold(event.nonce, when.now + max(0.1, event.retry_after or 1.0))
            self.flush_outbox(when.now)
        elif (outgoing := self._outbox.remove(event.nonce)) is not None:
            self._give_back([outgoing], event.code, event.message)

    def _on_fill_error(self, room: str, event: events.Error, when: Instant) -> None:
        if (track := self.tracks.get(room)) is None:
            return
        if event.temporary:
            self._fill_at[room] = when.now + max(0.1, event.retry_after or 1.0)
        else:
            self._hand_on(track, track.filled(()))
            self._fill(track)

    # -- frames out

    def _send(self, command: commands.Command) -> None:
        self._outgoing.append(encode(command))

    def _next_ref(self) -> str:
        self._ref_count += 1
        return f"r{self._ref_count}"

    def _ask(self, command: commands.Request) -> str:
        if self.welcomed:
            self._refs[command.ref] = command
            self._send(command)
        else:
            self._updates.append(up.Noticed("Not connected; ask again when online.", True, "", command.ref))
        return command.ref

    def _forget(self, room: str) -> None:
        self._fill_at.pop(room, None)
        if (track := self.tracks.pop(room, None)) is not None:
            track.disconnected()
            self._left[room] = track
            self._give_back(self._outbox.remove_room(room), *NOT_IN_ROOM)
            self._updates.append(up.RoomLeft(room))

    def _give_back(self, posts: Iterable[Outgoing], code: str, reason: str) -> None:
        for post in posts:
            self._updates.append(up.PostRejected(post.room, post.nonce, code, reason, post.text))
