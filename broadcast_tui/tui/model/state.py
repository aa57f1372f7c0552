"""Everything the chat screen shows, changed only by batches of updates and by what the user does.

Invariants: pure (times are arguments), widgets only read it; a lost connection adds one line until it
is back, however many attempts that takes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import assert_never

import msgspec

from broadcast_tui.core.protocol import events
from broadcast_tui.core.session.updates import (
    BansListed,
    CaughtUp,
    ConnectionChanged,
    ConnectionState,
    GapFound,
    HistoryFetched,
    Moderated,
    NameChanged,
    NameDenied,
    Noticed,
    PostArrived,
    PostDelivered,
    PostRejected,
    PresenceChanged,
    RoomEntered,
    RoomLeft,
    SearchFound,
    Update,
    Welcomed,
)
from broadcast_tui.core.text import visible_line
from broadcast_tui.tui.model.moderation import action_line, ban_lines
from broadcast_tui.tui.model.notifications import Alert
from broadcast_tui.tui.model.room import Person, RoomModel
from broadcast_tui.tui.model.rooms import RoomSet, room_lines
from broadcast_tui.tui.model.server_search import ServerSearch
from broadcast_tui.tui.model.transcript.layout import PresenceShown


@dataclass(slots=True)
class PendingRequests:
    """Requests by their refs; empty where nothing is awaited. `ping_at` in monotonic seconds."""

    list_ref: str = ""
    ping_ref: str = ""
    ping_at: float = 0.0

    def start_ping(self, ref: str, now: float) -> None:
        self.ping_ref, self.ping_at = ref, now

    def members_listed(self, update: events.Presence, now: float) -> str:
        """The line for /ping, which asks for a list to have something come back; empty if it did not ask."""
        if not update.ref or update.ref != self.ping_ref:
            return ""
        self.ping_ref = ""
        return f"Round trip: {1000 * max(0.0, now - self.ping_at):,.0f} ms"

    def rooms_listed(self, update: events.RoomList, joined: Iterable[str]) -> str:
        """The lines for /list; empty if it did not ask."""
        if not update.ref or update.ref != self.list_ref:
            return ""
        self.list_ref = ""
        return "\n".join(room_lines(update, joined))

    def forget(self, ref: str) -> None:
        """No answer will come."""
        if ref and ref == self.ping_ref:
            self.ping_ref = ""
        if ref and ref == self.list_ref:
            self.list_ref = ""


class AwayMap:
    """People who are away, by name, each with the reason (empty: none given)."""

    def __init__(self) -> None:
        self._why: dict[str, str] = {}

    def reason(self, name: str) -> str | None:
        """Why `name` is away, or None if they are not."""
        return self._why.get(name)

    def changed(self, update: events.Away) -> bool:
        """Somebody went away or came back; whether that is news."""
        name = visible_line(update.name)
        before = self._why.pop(name, None)
        if update.away:
            self._why[name] = visible_line(update.text)
        return before != self._why.get(name)

    def listed(self, update: events.Presence) -> None:
        """A list of people says of each of them whether they are away."""
        for member in update.members:
            name = visible_line(member.name)
            if member.away is None:
                self._why.pop(name, None)
            else:
                self._why[name] = visible_line(member.away)

    def renamed(self, old: str, new: str) -> None:
        if old in self._why:
            self._why[new] = self._why.pop(old)

    def follow(self, update: PresenceChanged, is_here: Callable[[str], object]) -> None:
        """Nobody tells that somebody who left is no longer away, or under which name they still are."""
        names = [visible_line(name) for name in update.names]
        if update.event == "rename" and len(names) == 2:
            self.renamed(names[0], names[1])
        elif update.event == "leave":
            for name in names:
                if not is_here(name):
                    self._why.pop(name, None)


def own_away_line(update: events.Away) -> str:
    """The dim line about our own going away or coming back."""
    why = f": {visible_line(update.text)}" if update.text else ""
    return f"You are away{why}. /back when you are here again." if update.away else "You are back"


class Connection(msgspec.Struct, frozen=True):
    """How the connection stands. `retry_at` is when the next try comes (monotonic seconds)."""

    state: ConnectionState = ConnectionState.CONNECTING
    reason: str = ""
    retry_at: float | None = None
    told: bool = False
    """Whether a line says that there is no connection; then one more says that it is back."""

    def retry_in(self, now: float) -> int | None:
        """Whole seconds until the next try, at least 0, or None if none is planned."""
        return None if self.retry_at is None else max(0, round(self.retry_at - now))

    def after(self, update: ConnectionChanged, now: float, *, entered: bool) -> tuple[Connection, str]:
        """The connection after `update`, and the line that tells of it (empty: none).

        `entered` says whether there was a connection before, so that we are in a room.
        """
        retry_at = None if update.retry_in_s is None else now + update.retry_in_s
        reason, told, line = visible_line(update.reason), self.told, ""
        match update.state:
            case ConnectionState.WAITING if not told:
                why = f": {reason.rstrip('.')}" if reason else ""
                lost = "Connection lost" if entered else "No connection yet"
                told, line = True, f"{lost}{why}. Trying again; what you write is kept and sent then."
            case ConnectionState.CLOSED:
                told, line = True, "Disconnected. What you write is kept; /reconnect comes back and sends it."
            case ConnectionState.ONLINE if told:
                told, line = False, "Back online" if entered else "Connected"
        return Connection(update.state, reason, retry_at, told), line


RoomUpdate = (
    RoomEntered
    | RoomLeft
    | CaughtUp
    | PostDelivered
    | PostRejected
    | GapFound
    | HistoryFetched
    | PresenceChanged
    | events.Presence
    | events.Topic
    | events.Typing
)


@dataclass(slots=True)
class Changes:
    """What a batch changed, for whoever shows it."""

    people: bool = False
    """Who is in the shown room changed, or our own name."""
    refused: list[PostRejected] = field(default_factory=list)
    """Posts whose text is to be given back."""
    denied: NameDenied | None = None
    """Without another name there is no connection: ask for one."""
    rooms_listed: bool = False
    """`known_rooms` is new."""
    unlisted: list[str] = field(default_factory=list)
    """Rooms whose members are to be asked for."""
    alerts: list[Alert] = field(default_factory=list)
    """Posts that are worth a notice, in the order they came."""
    opened: bool = False
    """The shown room has its first posts: show it from the unread line on, unless that is in view."""


@dataclass(slots=True)
class AppState:
    """The rooms, the connection and our name."""

    rooms: RoomSet = field(default_factory=RoomSet)
    name: str = ""
    known_rooms: dict[str, tuple[int, str]] = field(default_factory=dict)
    """All rooms of the server as last listed: people and topic."""
    away: AwayMap = field(default_factory=AwayMap)
    requests: PendingRequests = field(default_factory=PendingRequests)
    connection: Connection = field(default_factory=Connection)
    message_bytes: int = 0
    help_key: str = "F1"
    """The key that shows the help screen, as people write it; empty where there is none."""
    draft_excess: str = ""
    """By how much what is being written is too long for a post; empty if it fits."""
    search: ServerSearch | None = None
    """What is being searched for at the server."""
    presence: PresenceShown = PresenceShown.SPEAKERS
    """Which lines of comings and goings are shown at first."""
    keywords: tuple[str, ...] = ()
    """Words that count as mentions of us."""
    _denied: NameDenied | None = None

    def __post_init__(self) -> None:
        self.name = visible_line(self.name)

    @property
    def is_online(self) -> bool:
        return self.connection.state is ConnectionState.ONLINE

    @property
    def queued(self) -> int:
        """Posts of ours, in all rooms, that wait for a connection; 0 while there is one."""
        if self.connection.state is ConnectionState.ONLINE:
            return 0
        return self.rooms.pending_count

    # -- people

    def tick(self, now: float, at: datetime) -> bool:
        """Apply what depends on time alone; returns whether anything changed."""
        expired = self.rooms.expire_ignored(now)
        for name in expired:
            self.print(f"{name} is no longer ignored", at)
        return bool(expired)

    def member_list(self) -> list[Person] | None:
        """Who is in the shown room, in the order shown, or None where only the count is known."""
        names = self.rooms.shown.people()
        if names is None:
            return None
        return [Person(name, name == self.name, self.away.reason(name)) for name in names]

    @property
    def own_away(self) -> str | None:
        """Why we are away, or None if we are not."""
        return self.away.reason(self.name)

    # -- what we do and what comes

    def said(self, nonce: str, text: str, at: datetime) -> None:
        """We posted to the shown room; the line waits below all others for its place."""
        self.rooms.shown.reading.drop_rule()
        self.rooms.shown.transcript.add_pending(nonce, self.name, text, at)

    def print(self, text: str, at: datetime, *, error: bool = False) -> None:
        """Put a line of our own into the shown room."""
        self.rooms.shown.transcript.add_system(text, at, error=error)

    def apply(self, updates: Iterable[Update], now: float, at: datetime) -> Changes:
        """Follow a batch of updates; `now` in monotonic seconds, `at` UTC, for lines without a time."""
        changes = Changes()
        refused = False
        for update in updates:
            match update:
                # First, since in a flood there is hardly anything else.
                case PostArrived():
                    self._arrived(update, changes)
                case SearchFound() | HistoryFetched() | Noticed() if self.search and self.search.took(update):
                    pass
                case ConnectionChanged():
                    self._connection_changed(update, now, at)
                    if update.state is ConnectionState.WAITING:
                        for view in self.rooms.joined.values():
                            view.reading.cut_off(at)
                    refused = update.state is ConnectionState.REFUSED
                    changes.people = True
                case Welcomed():
                    self._named(update.name, at, tell=False)
                    self.message_bytes = update.message_bytes
                    changes.people = True
                case NameDenied():
                    self._denied = update
                case NameChanged():
                    self._named(update.name, at, tell=True)
                    changes.people = True
                case events.Away():
                    if self.away.changed(update) and visible_line(update.name) == self.name:
                        self.print(own_away_line(update), at)
                    changes.people = True
                case events.RoomList():
                    self._rooms_listed(update, at)
                    changes.rooms_listed = True
                case SearchFound():
                    self._forget_request(update.ref)
                case Moderated():
                    self.print(action_line(update, at), at)
                case BansListed():
                    self.print("\n".join(ban_lines(update)), at)
                case Noticed():
                    self.print(visible_line(update.text), at, error=update.error)
                    self._forget_request(update.ref)
                case _:
                    self._room_changed(update, changes, now, at)
        self._settle_denied(changes, refused, at)
        changes.unlisted = [room for room, view in self.rooms.joined.items() if view.wants_list()]
        return changes

    def _arrived(self, update: PostArrived, changes: Changes) -> None:
        view = self.rooms.get(update.post.room)
        there = self.rooms.is_viewing(view)
        alert = view.arrived(update, self.name, self.keywords, there=there, at_end=self.rooms.at_end)
        if alert and view.level.includes(mention=alert.mention):
            changes.alerts.append(alert)

    def _room_changed(self, update: RoomUpdate, changes: Changes, now: float, at: datetime) -> None:
        if isinstance(update, RoomEntered):
            self.rooms.enter(update.room)
        view = self.rooms.get(update.room)
        match update:
            case RoomEntered():
                self._entered(view, update, at)
                changes.people = True
            case RoomLeft() if update.room in self.rooms.parted:
                self.rooms.parted.discard(update.room)
            case RoomLeft():
                self.rooms.leave(update.room, at)
                changes.people = True
            case CaughtUp():
                self._caught_up(view, changes, at)
            case PostDelivered():
                view.transcript.confirm(update.nonce)
            case PostRejected():
                view.transcript.reject(update.nonce, update.reason)
                changes.refused.append(update)
            case GapFound():
                view.missed(update, at)
            case HistoryFetched():
                view.prepended(update, self.name, self.keywords)
            case events.Topic():
                view.topic_changed(update, at)
            case PresenceChanged():
                view.people_changed(update, self.name)
                self.away.follow(update, self.rooms.with_member)
                changes.people = True
            case events.Presence():
                self._members_listed(view, update, now, at)
                changes.people = True
            case events.Typing():
                view.saw_typing(update.name, self.name, now)
            case _:
                assert_never(update)

    def _connection_changed(self, update: ConnectionChanged, now: float, at: datetime) -> None:
        self.connection, line = self.connection.after(update, now, entered=self.rooms.shown.entered)
        if line:
            self.print(line, at)

    def _named(self, name: str, at: datetime, *, tell: bool) -> None:
        before, self.name = self.name, visible_line(name)
        self.away.renamed(before, self.name)
        for view in self.rooms.joined.values():
            if before in view.members:
                view.members.discard(before)
                view.members.add(self.name)
        if tell and self.name != before:
            self.print(f"You are now {self.name}", at)

    def _entered(self, view: RoomModel, update: RoomEntered, at: datetime) -> None:
        view.online = update.online
        view.list_asked = False
        if visible_line(update.topic) != view.topic:
            view.topic, view.topic_by, view.topic_at = visible_line(update.topic), "", None
        view.reading.entered(at, there=self.rooms.is_viewing(view))
        if not view.entered:
            view.entered = view.greeting_due = True

    def _members_listed(self, view: RoomModel, update: events.Presence, now: float, at: datetime) -> None:
        self.away.listed(update)
        view.people_listed(update, self.name, at)
        if line := self.requests.members_listed(update, now):
            self.print(line, at)

    def _rooms_listed(self, update: events.RoomList, at: datetime) -> None:
        self.known_rooms = {visible_line(info.room): (info.online, info.topic) for info in update.rooms}
        if lines := self.requests.rooms_listed(update, self.rooms.joined):
            self.print(lines, at)

    def _caught_up(self, view: RoomModel, changes: Changes, at: datetime) -> None:
        """What was missed is here: tell of it, and show where it begins if the room is only just opened."""
        there = self.rooms.is_viewing(view)
        is_opened = view.reading.is_resuming
        if view.greeting_due:
            view.greeting_due = False
            view.transcript.add_system(self._greeting(view), at)
        self.rooms.print_catch_up(view, view.reading.caught_up(at, there=there), at)
        if is_opened and view is self.rooms.shown:
            changes.opened = True
        elif there:
            self.rooms.set_at_end(self.rooms.at_end)

    def _greeting(self, view: RoomModel) -> str:
        others = max(0, view.online - 1)
        company = {0: ", alone so far", 1: " with 1 other"}.get(others, f" with {others:,} others")
        return f"You are in {view.name} as {self.name}{company}. {self.help_key or '/help'} helps."

    def _forget_request(self, ref: str) -> None:
        self.requests.forget(ref)
        for view in self.rooms.joined.values():
            if ref and ref == view.history_ref:
                view.history_ref = ""
            if ref and ref == view.who_ref:
                view.who_ref = ""

    def _settle_denied(self, changes: Changes, refused: bool, at: datetime) -> None:
        """A name denied at the door needs another one; denied later, the old one stays."""
        if self._denied is None:
            if refused:
                reason = self.connection.reason or "no reason given"
                self.print(f"The server refused us: {reason}", at, error=True)
            return
        if self.connection.state is ConnectionState.REFUSED:
            changes.denied, self._denied = self._denied, None
        elif self.connection.state is ConnectionState.ONLINE:
            self.print(visible_line(self._denied.reason), at, error=True)
            self._denied = None
