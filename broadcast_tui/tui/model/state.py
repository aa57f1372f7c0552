"""The state of the chat: rooms, connection, name. Changed by batches of updates and by user actions.

Pure: times are arguments, and widgets only read it. A lost connection adds a single line until it is back,
regardless of the number of attempts.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, assert_never

import msgspec

from broadcast_tui.core.protocol import events
from broadcast_tui.core.session.updates import (
    BansListed,
    CaughtUp,
    ConnectionChanged,
    ConnectionState,
    DirectOpened,
    DisconnectCause,
    EpochChanged,
    GapFound,
    HistoryFetched,
    Moderated,
    NameChanged,
    NameDenied,
    NoteArrived,
    NoteDelivered,
    NoteRejected,
    Noticed,
    PostArrived,
    PostDelivered,
    PostRejected,
    PresenceChanged,
    RoomEntered,
    RoomLeft,
    RoomRewound,
    SearchFound,
    Update,
    Welcomed,
    Withdrawn,
)
from broadcast_tui.core.text import visible_line
from broadcast_tui.tui.model.connection import Connection
from broadcast_tui.tui.model.directs import DirectOpening, Directs, ended_line
from broadcast_tui.tui.model.moderation import action_line, ban_lines
from broadcast_tui.tui.model.notice_limiter import HIDDEN_LINE, Admission, NoticeLimiter
from broadcast_tui.tui.model.notifications import Alert, NotifyLevel
from broadcast_tui.tui.model.reactions import RecentReactions
from broadcast_tui.tui.model.room import Person, RoomModel, gap_line
from broadcast_tui.tui.model.rooms import RoomListing, RoomSet, room_lines
from broadcast_tui.tui.model.settings import Settings
from broadcast_tui.tui.model.transcript.post_details import reply_details

if TYPE_CHECKING:
    from broadcast_tui.core.export.pages import HistoryPages
    from broadcast_tui.tui.model.server_search import ServerSearch
    from broadcast_tui.tui.model.thread import Thread


BACKGROUND_MAX = 200
"""Maximum number of requests in the background whose refs are known."""


class PendingRequests(msgspec.Struct):
    """Refs of pending requests, empty if there is none. `ping_at` is in monotonic seconds."""

    list_ref: str = ""
    listing: RoomListing = msgspec.field(default_factory=RoomListing)
    ping_ref: str = ""
    ping_at: float = 0.0
    background: deque[str] = msgspec.field(default_factory=lambda: deque(maxlen=BACKGROUND_MAX))
    """Latest requests that the user has not asked for, so that their failure is not reported."""

    def start_ping(self, ref: str, now: float) -> None:
        self.ping_ref, self.ping_at = ref, now

    def members_listed(self, update: events.Presence, now: float) -> str:
        """Return the line for a pending /ping, or an empty string. A ping is a member list request."""
        if not update.ref or update.ref != self.ping_ref:
            return ""
        self.ping_ref = ""
        return f"Round trip: {1000 * max(0.0, now - self.ping_at):,.0f} ms"

    def rooms_listed(self, update: events.RoomList, joined: Iterable[str]) -> str:
        """Return the lines for a pending /list, or an empty string."""
        if not update.ref or update.ref != self.list_ref:
            return ""
        self.list_ref = ""
        listed = events.RoomList(update.ref, tuple(self.listing.rooms.values()), update.truncated)
        return "\n".join(room_lines(listed, joined))

    def continue_list(self, ref: str, next_ref: str) -> None:
        """Expect the next page of the room list, requested as `next_ref`, after that of `ref`."""
        self.listing.expect(next_ref)
        if ref and ref == self.list_ref:
            self.list_ref = next_ref

    def clear(self, ref: str) -> None:
        """Clear the request with this ref: it failed."""
        if ref and ref == self.ping_ref:
            self.ping_ref = ""
        if ref and ref == self.list_ref:
            self.list_ref = ""


AWAY_MAX = 2_000
"""Maximum number of users known to be away; the earliest ones are dropped first."""


class AwayMap:
    """Users who are away, by name, each with the reason (may be empty)."""

    def __init__(self) -> None:
        self._reasons: dict[str, str] = {}

    def reason(self, name: str) -> str | None:
        """The reason why `name` is away; None if they are not."""
        return self._reasons.get(name)

    def update(self, update: events.Away) -> bool:
        """Apply an away event; returns whether the status changed."""
        name = visible_line(update.name)
        before = self._reasons.pop(name, None)
        if update.away:
            self._set(name, update.text)
        return before != self._reasons.get(name)

    def _set(self, name: str, text: str) -> None:
        self._reasons[name] = visible_line(text)
        if len(self._reasons) > AWAY_MAX:
            del self._reasons[next(iter(self._reasons))]

    def replace(self, update: events.Presence) -> None:
        """Replace the status of everyone in a member list."""
        for member in update.members:
            name = visible_line(member.name)
            if member.away is None:
                self._reasons.pop(name, None)
            else:
                self._set(name, member.away)

    def rename(self, old: str, new: str) -> None:
        if old in self._reasons:
            self._reasons[new] = self._reasons.pop(old)

    def apply_presence(
        self, update: PresenceChanged, is_member: Callable[[str], object], own_name: str
    ) -> None:
        """Apply renames and departures, for which the server sends no away event.

        A line about a rename from the user's own name is about another connection: both remain away.
        """
        names = [visible_line(name) for name in update.names]
        if update.event == "rename" and len(names) == 2:
            reason = self._reasons.get(own_name)
            self.rename(names[0], names[1])
            if names[0] == own_name and reason is not None:
                self._set(own_name, reason)
        elif update.event == "leave":
            for name in names:
                if not is_member(name):
                    self._reasons.pop(name, None)


def own_away_line(update: events.Away) -> str:
    """The line about the user's own away status."""
    why = f": {visible_line(update.text)}" if update.text else ""
    return f"You are away{why}. Use /back when you return." if update.away else "You are back."


RoomUpdate = (
    RoomEntered
    | RoomLeft
    | RoomRewound
    | CaughtUp
    | PostDelivered
    | PostRejected
    | NoteDelivered
    | NoteRejected
    | GapFound
    | EpochChanged
    | Withdrawn
    | HistoryFetched
    | PresenceChanged
    | events.Presence
    | events.Topic
    | events.Typing
)


class Changes(msgspec.Struct):
    """Changes made by a batch that the UI must act on."""

    people: bool = False
    """The members of the shown room or the user's name changed."""
    rejected: list[PostRejected] = msgspec.field(default_factory=list)
    """Rejected posts, whose text returns to the input."""
    rejected_notes: list[NoteRejected] = msgspec.field(default_factory=list)
    """Changes to posts that the server has rejected."""
    errors: list[str] = msgspec.field(default_factory=list)
    """Why requests of the user failed. They are not in the log, which has only what happened there."""
    denied: NameDenied | None = None
    """The server denied the name and closed the connection: ask for another name."""
    rooms_listed: bool = False
    """`known_rooms` changed."""
    next_rooms: tuple[str, str] | None = None
    """The ref of a page of the room list, and the name after which to request the next page."""
    rooms_to_list: list[str] = msgspec.field(default_factory=list)
    """Rooms whose member list must be requested."""
    questions_to_fetch: list[tuple[str, str]] = msgspec.field(default_factory=list)
    """Room and post id of open questions that must be requested."""
    alerts: list[Alert] = msgspec.field(default_factory=list)
    """Posts to notify the user of, in order of arrival."""
    directs: list[DirectOpening] = msgspec.field(default_factory=list)
    """Rooms for direct messages that were opened."""
    opened: bool = False
    """The shown room got its first posts: scroll to the unread line unless it is visible."""


class AppState(msgspec.Struct):
    """The whole state of the chat."""

    rooms: RoomSet = msgspec.field(default_factory=RoomSet)
    name: str = ""
    known_rooms: dict[str, tuple[int, str]] = msgspec.field(default_factory=dict)
    """All rooms of the server as last listed: member count and topic by name."""
    away: AwayMap = msgspec.field(default_factory=AwayMap)
    requests: PendingRequests = msgspec.field(default_factory=PendingRequests)
    directs: Directs = msgspec.field(default_factory=Directs)
    connection: Connection = msgspec.field(default_factory=Connection)
    message_bytes: int = 0
    help_key: str = "F1"
    """Display name of the key that opens the help page; empty if there is none."""
    reconnect_key: str = ""
    """Display name of the key that reconnects; empty if there is only /reconnect."""
    has_header: bool = True
    """Whether a header says who can read direct messages."""
    server_label: Callable[[], str] = str
    """Returns the name of the server for the first line of a room; empty if something else shows it."""
    draft_excess: str = ""
    """How far the draft exceeds the limits of a post; empty if it fits."""
    search: ServerSearch | None = None
    """The current search on the server."""
    settings: Settings = msgspec.field(default_factory=Settings)
    keywords: tuple[str, ...] = ()
    """Keywords that count as mentions of the user."""
    advice: Mapping[DisconnectCause, str] = msgspec.field(default_factory=dict)
    """What the user can do about causes of a rejected connection."""
    thread: Thread | None = None
    """The open thread."""
    export: HistoryPages | None = None
    """The history that is being exported."""
    recent_reactions: RecentReactions = msgspec.field(default_factory=RecentReactions)
    is_kiosk: bool = False
    """Whether the user must not reach into this machine, nor take another name."""
    _notes: dict[str, str] = msgspec.field(default_factory=dict)
    """Rooms of the user's changes to posts that the server has not acknowledged, by nonce."""
    _denied: NameDenied | None = None
    _notices: NoticeLimiter = msgspec.field(default_factory=NoticeLimiter)
    _stop_watching: Callable[[], object] = lambda: None

    def __post_init__(self) -> None:
        self.name = visible_line(self.name)
        self._stop_watching = self.settings.watch(self._apply_setting)

    def close(self) -> None:
        """Ignore further changes of settings: the server was left."""
        self._stop_watching()

    def _apply_setting(self, name: str) -> None:
        if name == "notify":
            self.rooms.set_default_level(NotifyLevel(self.settings[name]))

    @property
    def is_online(self) -> bool:
        return self.connection.state is ConnectionState.ONLINE

    @property
    def queued(self) -> int:
        """Own posts and changes to posts in all rooms that wait for a connection; 0 while online."""
        if self.connection.state is ConnectionState.ONLINE:
            return 0
        return self.pending_count

    @property
    def pending_count(self) -> int:
        """Own posts and changes to posts in all rooms that the server has neither accepted nor rejected."""
        return self.rooms.pending_count + len(self._notes)

    # -- people

    def tick(self, now: float, at: datetime) -> bool:
        """Apply what depends on time alone; returns whether anything changed."""
        expired = self.rooms.expire_ignored(now)
        for name in expired:
            self.print(f"{name} is no longer ignored", at)
        return bool(expired)

    def member_list(self) -> list[Person] | None:
        """Members of the shown room in display order; None if only their number is known."""
        names = self.rooms.shown.people()
        if names is None:
            return None
        return [Person(name, name == self.name, self.away.reason(name)) for name in names]

    @property
    def own_away(self) -> str | None:
        """The reason why the user is away; None if they are not."""
        return self.away.reason(self.name)

    # -- user actions and updates

    def add_own_post(
        self, nonce: str, text: str, at: datetime, *, re: str = "", room: RoomModel | None = None
    ) -> None:
        """Add an own post to a room, by default the shown one; it is pending below all lines at first.

        `re` is what it replies to, as for `ClientRequests.say`.
        """
        room = room or self.rooms.shown
        room.reading.drop_unread_line()
        room.transcript.add_pending(nonce, self.name, text, at, reply_details(re))
        if self.thread is not None and (room.name, re) == (self.thread.view.name, self.thread.root_id):
            self.thread.add_own_post(nonce, self.name, text, at)

    def add_note(self, nonce: str, room: str) -> None:
        """Record a change to a post in `room` that the server has not acknowledged."""
        self._notes[nonce] = room

    def print(self, text: str, at: datetime, *, error: bool = False) -> None:
        """Print a system line in the shown room."""
        self.rooms.shown.transcript.add_system(text, at, error=error)

    def _admits_line(self, room: RoomModel, now: float, at: datetime) -> bool:
        """Whether a line that the server causes may be added to `room`; there is a limit on their rate."""
        admission = self._notices.add(now)
        if admission is Admission.LAST:
            room.transcript.add_system(HIDDEN_LINE, at)
        return admission is Admission.SHOWN

    def _print_notice(self, text: str, now: float, at: datetime, *, error: bool = False) -> None:
        """Print a line that the server causes, within the limit on their rate."""
        if self._admits_line(self.rooms.shown, now, at):
            self.print(text, at, error=error)

    def apply(self, updates: Iterable[Update], now: float, at: datetime) -> Changes:
        """Apply a batch of updates.

        Args:
            now: Monotonic seconds.
            at: UTC, the time of lines without their own.
        """
        changes = Changes()
        refused: ConnectionChanged | None = None
        for update in updates:
            if self.thread is not None:
                self.thread.apply(update, self.name, self.keywords)
            if self.export is not None and self.export.apply(update):
                continue
            match update:
                # First, because most updates are posts.
                case PostArrived():
                    self._arrived(update, changes)
                case NoteArrived():
                    self._note_arrived(update, changes)
                case SearchFound() | HistoryFetched() | Noticed() if self.search and self.search.handle_reply(
                    update
                ):
                    if not isinstance(update, Noticed) and (room := self.rooms.joined.get(update.room)):
                        room.merge(update.posts, self.name, self.keywords)
                case ConnectionChanged():
                    self._connection_changed(update, now, at)
                    if update.state is ConnectionState.WAITING:
                        for joined in self.rooms.joined.values():
                            joined.reading.disconnected(at)
                    refused = update if update.state is ConnectionState.REFUSED else None
                    changes.people = True
                case Welcomed():
                    self._set_name(update.name)
                    self.message_bytes = update.message_bytes
                    changes.people = True
                case NameDenied():
                    self._denied = update
                case NameChanged():
                    if self._set_name(update.name):
                        self._print_notice(f"You are now known as {self.name}", now, at)
                    changes.people = True
                case events.Away():
                    if self.away.update(update) and visible_line(update.name) == self.name:
                        self._print_notice(own_away_line(update), now, at)
                    changes.people = True
                case events.RoomList():
                    self._rooms_listed(update, changes, at)
                case SearchFound():
                    self._clear_request(update.ref)
                case Moderated():
                    self.print(action_line(update, at), at)
                case BansListed():
                    self.print("\n".join(ban_lines(update)), at)
                case Noticed() if self.thread is not None and self.thread.handle_error(update):
                    pass
                case Noticed():
                    self._noticed(update, changes, now, at)
                case DirectOpened():
                    changes.directs += self.directs.opened(update, self.rooms, at)
                case _:
                    self._room_changed(update, changes, now, at)
        self._handle_denied_name(changes, refused, at)
        changes.rooms_to_list = [room.name for room in self.rooms.joined.values() if room.request_list()]
        return changes

    def _noticed(self, update: Noticed, changes: Changes, now: float, at: datetime) -> None:
        text = visible_line(update.text)
        if update.error and update.ref:
            if update.ref not in self.requests.background:
                changes.errors.append(text)
        else:
            self._print_notice(text, now, at, error=update.error)
        self._clear_request(update.ref)
        if typed := self.directs.failed(update.ref):
            shown = self.rooms.shown_name
            changes.rejected.append(PostRejected(shown, "", update.code, update.text, typed))

    def _arrived(self, update: PostArrived, changes: Changes) -> None:
        room = self.rooms.get(update.post.room)
        if room.is_direct and not update.own and visible_line(update.post.sender) == room.other:
            self.directs.last_room = room.name
        there = self.rooms.is_viewing(room)
        alert = room.arrived(update, self.name, self.keywords, there=there, at_end=self.rooms.at_end)
        if alert and room.level.includes(mention=alert.mention):
            changes.alerts.append(alert)

    def _note_arrived(self, update: NoteArrived, changes: Changes) -> None:
        room = self.rooms.get(update.note.room)
        there = self.rooms.is_viewing(room)
        alert = room.note_arrived(update, self.name, self.keywords, there=there, at_end=self.rooms.at_end)
        if alert and room.level.includes(mention=alert.mention):
            changes.alerts.append(alert)

    def _room_changed(self, update: RoomUpdate, changes: Changes, now: float, at: datetime) -> None:
        if isinstance(update, RoomEntered):
            self.rooms.enter(update.room)
        room = self.rooms.get(update.room)
        match update:
            case RoomEntered():
                self._entered(room, update, at)
                changes.people = True
            case RoomLeft() if update.room in self.rooms.parted:
                self.rooms.parted.discard(update.room)
            case RoomLeft():
                self.rooms.leave(update.room, at)
                changes.people = True
                if room.is_direct:
                    self.print(ended_line(room), at)
            case RoomRewound():
                self.rooms.rewind(update.room)
            case CaughtUp():
                self._caught_up(room, changes, at)
            case PostDelivered():
                room.transcript.confirm(update.nonce, has_arrived=update.has_arrived)
            case PostRejected():
                room.transcript.reject(update.nonce, update.reason)
                changes.rejected.append(update)
            case NoteDelivered():
                self._notes.pop(update.nonce, None)
                room.notes.delivered(update)
            case NoteRejected():
                self._notes.pop(update.nonce, None)
                changes.rejected_notes.append(update)
            case GapFound():
                room.reading.add_lost(update.count)
                if self._admits_line(room, now, at):
                    room.transcript.add_system(gap_line(update), at)
            case EpochChanged():
                room.follow(update)
            case Withdrawn():
                room.transcript.add_system(room.withdraw(update), at)
            case HistoryFetched():
                room.prepended(update, self.name, self.keywords)
            case events.Topic():
                line = room.topic_changed(update, at)
                if self._admits_line(room, now, at):
                    room.transcript.add_system(line, at)
            case PresenceChanged():
                room.people_changed(update, self.name)
                self.away.apply_presence(update, self.rooms.with_member, self.name)
                changes.people = True
            case events.Presence():
                self._members_listed(room, update, now, at)
                changes.people = True
            case events.Typing():
                room.set_typing(update.name, self.name, now)
            case _:
                assert_never(update)

    def _connection_changed(self, update: ConnectionChanged, now: float, at: datetime) -> None:
        self.connection, line = self.connection.advance(update, now, entered=self.rooms.shown.entered)
        if line:
            self.print(line, at)

    def _set_name(self, name: str) -> bool:
        """Set the user's name; returns whether it is another one."""
        before, self.name = self.name, visible_line(name)
        self.away.rename(before, self.name)
        for room in self.rooms.joined.values():
            if before in room.members:
                room.members.discard(before)
                room.members.add(self.name)
        return self.name != before

    def _entered(self, room: RoomModel, update: RoomEntered, at: datetime) -> None:
        room.online = update.online
        room.list_asked = room.list_pending = False
        if visible_line(update.topic) != room.topic:
            room.topic, room.topic_by, room.topic_at = visible_line(update.topic), "", None
        room.notes.entered(update)
        room.reading.entered(at, there=self.rooms.is_viewing(room))
        if not room.entered:
            room.entered = room.greeting_due = True

    def _members_listed(self, room: RoomModel, update: events.Presence, now: float, at: datetime) -> None:
        self.away.replace(update)
        room.people_listed(update, self.name, at)
        if line := self.requests.members_listed(update, now):
            self.print(line, at)

    def _rooms_listed(self, update: events.RoomList, changes: Changes, at: datetime) -> None:
        changes.rooms_listed = True
        after = self.requests.listing.add(update)
        self.known_rooms = {
            visible_line(info.room): (info.online, info.topic)
            for info in self.requests.listing.rooms.values()
        }
        if after:
            changes.next_rooms = update.ref, after
        elif lines := self.requests.rooms_listed(update, self.rooms.joined):
            self.print(lines, at)

    def _caught_up(self, room: RoomModel, changes: Changes, at: datetime) -> None:
        """Print what was missed. If the room has just been opened, scroll to the unread line."""
        there = self.rooms.is_viewing(room)
        is_opened = room.reading.is_resuming
        room.alerts_of_replay = False
        if room.greeting_due:
            room.greeting_due = False
            if greeting := self._greeting(room):
                room.transcript.add_system(greeting, at)
        changes.questions_to_fetch += [(room.name, ask) for ask in room.notes.take_questions_to_fetch()]
        self.rooms.print_catch_up(room, room.reading.caught_up(at, there=there), at)
        if is_opened and room is self.rooms.shown:
            changes.opened = True
        elif there:
            self.rooms.set_at_end(self.rooms.at_end)

    def _greeting(self, room: RoomModel) -> str:
        """The first line of a room; empty if its header says the same, or for a user without a name."""
        if not self.name or (room.is_direct and self.has_header):
            return ""
        if room.is_direct:
            return f"Only you and {room.other or 'one other person'} can read this conversation."
        others = max(0, room.online - 1)
        company = {0: ". Nobody else is here yet.", 1: " with 1 other."}.get(
            others, f" with {others:,} others."
        )
        server = self.server_label()
        where = f"#{room.name} on {server}" if server else f"#{room.name}"
        return f"Joined {where} as {self.name}{company} {self.help_key or '/help'} for help."

    def _clear_request(self, ref: str) -> None:
        self.requests.clear(ref)
        for room in self.rooms.joined.values():
            if ref and ref == room.history_ref:
                room.history_ref = ""
            if ref and ref == room.who_ref:
                room.who_ref = ""

    def _handle_denied_name(self, changes: Changes, refused: ConnectionChanged | None, at: datetime) -> None:
        """Ask for another name if the connection was rejected because of it; otherwise report the error."""
        if self._denied is None:
            if refused is not None:
                line = self.connection.refusal(self.advice, self.reconnect_key or "/reconnect")
                self.print(line, at, error=True)
            return
        if self.connection.state is ConnectionState.REFUSED:
            changes.denied, self._denied = self._denied, None
        elif self.connection.state is ConnectionState.ONLINE:
            changes.errors.append(visible_line(self._denied.reason))
            self._denied = None
