"""Everything the chat screen shows, changed only by batches of updates and by what the user does.

Invariants: pure (times are arguments), widgets only read it; a lost connection adds one line until it
is back, however many attempts that takes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import assert_never

from broadcast_tui.core.text import visible_line
from broadcast_tui.core.updates import (
    AwayChanged,
    BansListed,
    CaughtUp,
    ConnectionChanged,
    ConnectionState,
    GapFound,
    HistoryFetched,
    MembersListed,
    Moderated,
    NameChanged,
    NameDenied,
    Noticed,
    PostArrived,
    PostDelivered,
    PostRefused,
    PresenceChanged,
    RoomEntered,
    RoomLeft,
    RoomsListed,
    SearchFound,
    TopicChanged,
    TypingSeen,
    Update,
    Welcomed,
)
from broadcast_tui.tui.model.absence import Absence, own_line
from broadcast_tui.tui.model.asked import Asked
from broadcast_tui.tui.model.connection import Connection
from broadcast_tui.tui.model.moderating import ban_lines, done_text
from broadcast_tui.tui.model.notices import Alert
from broadcast_tui.tui.model.room import Person, RoomView
from broadcast_tui.tui.model.rooms_state import RoomsState
from broadcast_tui.tui.model.search import ServerSearch
from broadcast_tui.tui.model.showing import PresenceShown

RoomUpdate = (
    RoomEntered
    | RoomLeft
    | CaughtUp
    | PostDelivered
    | PostRefused
    | GapFound
    | HistoryFetched
    | PresenceChanged
    | MembersListed
    | TopicChanged
    | TypingSeen
)


@dataclass(slots=True)
class Changes:
    """What a batch changed, for whoever shows it."""

    people: bool = False
    """Who is in the shown room changed, or our own name."""
    refused: list[PostRefused] = field(default_factory=list)
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
class AppState(RoomsState):
    """The rooms, the connection and our name."""

    name: str = ""
    known_rooms: dict[str, tuple[int, str]] = field(default_factory=dict)
    """All rooms of the server as last listed: people and topic."""
    absence: Absence = field(default_factory=Absence)
    asked: Asked = field(default_factory=Asked)
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
        self.begin()

    @property
    def queued(self) -> int:
        """Posts of ours, in all rooms, that wait for a connection; 0 while there is one."""
        if self.connection.state is ConnectionState.ONLINE:
            return 0
        return sum(view.transcript.pending_count for view in self.rooms.values())

    # -- people

    def ignore(self, name: str, until: float | None) -> None:
        """Hide what `name` says, until then or until `unignore`."""
        self.ignored.add(name, until)
        self._hide_ignored()

    def unignore(self, name: str) -> bool:
        """Show what `name` says and said; false if it was not hidden."""
        if not self.ignored.remove(name):
            return False
        self._hide_ignored()
        return True

    def tick(self, now: float, at: datetime) -> bool:
        """What time alone brings; whether anything."""
        over = self.ignored.expire(now)
        if over:
            self._hide_ignored()
        for name in over:
            self.tell(f"{name} is no longer ignored", at)
        return bool(over)

    def _hide_ignored(self) -> None:
        hides = self._hides()
        for view in [*self.rooms.values(), *self.left.values()]:
            view.hide(hides)

    def persons(self) -> list[Person] | None:
        """Who is in the shown room, in the order shown, or None where only the count is known."""
        names = self.shown.people()
        if names is None:
            return None
        return [Person(name, name == self.name, self.absence.why(name)) for name in names]

    def here(self, name: str) -> list[RoomView]:
        """The rooms of ours in which `name` is, as far as we know."""
        return [view for view in self.rooms.values() if name in view.members]

    @property
    def own_away(self) -> str | None:
        """Why we are away, or None if we are not."""
        return self.absence.why(self.name)

    # -- what we do and what comes

    def said(self, nonce: str, text: str, at: datetime) -> None:
        """We posted to the shown room; the line waits below all others for its place."""
        self.shown.reading.drop_rule()
        self.shown.transcript.add_pending(nonce, self.name, text, at)

    def tell(self, text: str, at: datetime, *, error: bool = False) -> None:
        """Put a line of our own into the shown room."""
        self.shown.transcript.add_system(text, at, error=error)

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
                        for view in self.rooms.values():
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
                case AwayChanged():
                    if self.absence.changed(update) and visible_line(update.name) == self.name:
                        self.tell(own_line(update), at)
                    changes.people = True
                case RoomsListed():
                    self._rooms_listed(update, at)
                    changes.rooms_listed = True
                case SearchFound():
                    self._forget_request(update.ref)
                case Moderated():
                    self.tell(done_text(update, at), at)
                case BansListed():
                    self.tell("\n".join(ban_lines(update)), at)
                case Noticed():
                    self.tell(visible_line(update.text), at, error=update.error)
                    self._forget_request(update.ref)
                case _:
                    self._room_changed(update, changes, now, at)
        self._settle_denied(changes, refused, at)
        changes.unlisted = [room for room, view in self.rooms.items() if view.wants_list()]
        return changes

    def _arrived(self, update: PostArrived, changes: Changes) -> None:
        view = self.view(update.post.room)
        there = self.is_there(view)
        alert = view.arrived(update, self.name, self.keywords, there=there, at_end=self.at_end)
        if alert and view.level.takes(mention=alert.mention):
            changes.alerts.append(alert)

    def _room_changed(self, update: RoomUpdate, changes: Changes, now: float, at: datetime) -> None:
        if isinstance(update, RoomEntered):
            self.enter(update.room)
        view = self.view(update.room)
        match update:
            case RoomEntered():
                self._entered(view, update, at)
                changes.people = True
            case RoomLeft() if update.room in self.parted:
                self.parted.discard(update.room)
            case RoomLeft():
                self.leave(update.room, at)
                changes.people = True
            case CaughtUp():
                self._caught_up(view, changes, at)
            case PostDelivered():
                view.transcript.confirm(update.nonce)
            case PostRefused():
                view.transcript.refuse(update.nonce, update.reason)
                changes.refused.append(update)
            case GapFound():
                view.missed(update, at)
            case HistoryFetched():
                view.prepended(update, self.name, self.keywords)
            case TopicChanged():
                view.topic_changed(update, at)
            case PresenceChanged():
                view.people_changed(update, self.name)
                self.absence.follow(update, self.here)
                changes.people = True
            case MembersListed():
                self._members_listed(view, update, now, at)
                changes.people = True
            case TypingSeen():
                view.saw_typing(update.name, self.name, now)
            case _:
                assert_never(update)

    def _connection_changed(self, update: ConnectionChanged, now: float, at: datetime) -> None:
        self.connection, line = self.connection.after(update, now, entered=self.shown.entered)
        if line:
            self.tell(line, at)

    def _named(self, name: str, at: datetime, *, tell: bool) -> None:
        before, self.name = self.name, visible_line(name)
        self.absence.renamed(before, self.name)
        for view in self.rooms.values():
            if before in view.members:
                view.members.discard(before)
                view.members.add(self.name)
        if tell and self.name != before:
            self.tell(f"You are now {self.name}", at)

    def _entered(self, view: RoomView, update: RoomEntered, at: datetime) -> None:
        view.online = update.online
        view.list_asked = False
        if visible_line(update.topic) != view.topic:
            view.topic, view.topic_by, view.topic_at = visible_line(update.topic), "", None
        view.reading.entered(at, there=self.is_there(view))
        if not view.entered:
            view.entered = view.greeting_due = True

    def _members_listed(self, view: RoomView, update: MembersListed, now: float, at: datetime) -> None:
        self.absence.listed(update)
        view.people_listed(update, self.name, at)
        if line := self.asked.members_listed(update, now):
            self.tell(line, at)

    def _rooms_listed(self, update: RoomsListed, at: datetime) -> None:
        self.known_rooms = {visible_line(room): (online, topic) for room, online, topic in update.rooms}
        if lines := self.asked.rooms_listed(update, self.rooms):
            self.tell(lines, at)

    def _caught_up(self, view: RoomView, changes: Changes, at: datetime) -> None:
        """What was missed is here: tell of it, and show where it begins if the room is only just opened."""
        there = self.is_there(view)
        is_opened = view.reading.is_resuming
        if view.greeting_due:
            view.greeting_due = False
            view.transcript.add_system(self._greeting(view), at)
        self.tell_meantime(view, view.reading.caught_up(at, there=there), at)
        if is_opened and view is self.shown:
            changes.opened = True
        elif there:
            self.stand(self.at_end)

    def _greeting(self, view: RoomView) -> str:
        others = max(0, view.online - 1)
        company = {0: ", alone so far", 1: " with 1 other"}.get(others, f" with {others:,} others")
        return f"You are in {view.name} as {self.name}{company}. {self.help_key or '/help'} helps."

    def _forget_request(self, ref: str) -> None:
        self.asked.forget(ref)
        for view in self.rooms.values():
            if ref and ref == view.history_ref:
                view.history_ref = ""
            if ref and ref == view.who_ref:
                view.who_ref = ""

    def _settle_denied(self, changes: Changes, refused: bool, at: datetime) -> None:
        """A name denied at the door needs another one; denied later, the old one stays."""
        if self._denied is None:
            if refused:
                reason = self.connection.reason or "no reason given"
                self.tell(f"The server refused us: {reason}", at, error=True)
            return
        if self.connection.state is ConnectionState.REFUSED:
            changes.denied, self._denied = self._denied, None
        elif self.connection.state is ConnectionState.ONLINE:
            self.tell(visible_line(self._denied.reason), at, error=True)
            self._denied = None
