"""Everything the chat screen shows, changed only by batches of updates and by what the user does.

Invariants: pure (times are arguments), widgets only read it; a lost connection adds one line until it
is back, however many attempts that takes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import assert_never

from broadcast_tui.core.limits import DEFAULT_ROOM
from broadcast_tui.core.text import visible_line
from broadcast_tui.core.updates import (
    AwayChanged,
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
from broadcast_tui.tui.model.ignoring import Ignored
from broadcast_tui.tui.model.moderating import done_text
from broadcast_tui.tui.model.room import Person, RoomView
from broadcast_tui.tui.model.rooms import most_urgent
from broadcast_tui.tui.model.search import ServerSearch

RoomUpdate = (
    RoomEntered
    | RoomLeft
    | CaughtUp
    | PostArrived
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


LEFT_MAX = 8
"""Rooms whose lines are kept after leaving, should we come back."""


@dataclass(slots=True)
class AppState:
    """The rooms, the connection and our name. `room` is the one on the screen."""

    name: str = ""
    room: str = DEFAULT_ROOM
    rooms: dict[str, RoomView] = field(default_factory=dict)
    """The rooms we are in, or want to be in, in the order joined; never empty."""
    left: dict[str, RoomView] = field(default_factory=dict)
    """Rooms we left, the last one last."""
    known_rooms: dict[str, tuple[int, str]] = field(default_factory=dict)
    """All rooms of the server as last listed: people and topic."""
    absence: Absence = field(default_factory=Absence)
    ignored: Ignored = field(default_factory=Ignored)
    asked: Asked = field(default_factory=Asked)
    previous: str = ""
    """The room shown before this one; empty if none was."""
    connection: Connection = field(default_factory=Connection)
    message_bytes: int = 0
    looking: bool = True
    """Whether the terminal has the focus, so that what arrives in the shown room counts as read."""
    help_hint: str = "F1 helps"
    unseen: int = 0
    """Posts below the screen's end in the shown room, as the message log counts them."""
    draft_excess: str = ""
    """By how much what is being written is too long for a post; empty if it fits."""
    search: ServerSearch | None = None
    """What is being searched for at the server."""
    _denied: NameDenied | None = None
    _parted: set[str] = field(default_factory=set)
    """Rooms left at our wish, which the server has not confirmed: it is no news then, we may be back."""
    _jumped_from: str = ""
    """Where we were before going to what is urgent."""

    def __post_init__(self) -> None:
        self.name = visible_line(self.name)
        self.view(self.room)

    @property
    def shown(self) -> RoomView:
        """The room on the screen."""
        return self.view(self.room)

    @property
    def unread(self) -> int:
        """Posts nobody has seen: those below the screen's end, or that came without focus or elsewhere."""
        elsewhere = sum(view.unread for view in self.rooms.values() if view is not self.shown)
        return self.unread_here + elsewhere

    @property
    def unread_here(self) -> int:
        """Those of `unread` that are in the shown room."""
        return max(self.unseen, self.shown.unread)

    @property
    def queued(self) -> int:
        """Posts of ours, in all rooms, that wait for a connection; 0 while there is one."""
        if self.connection.state is ConnectionState.ONLINE:
            return 0
        return sum(view.transcript.pending_count for view in self.rooms.values())

    def view(self, room: str) -> RoomView:
        """The room called `room`, which is made if it is new; one we left stays so."""
        if room in self.left:
            return self.left[room]
        if room not in self.rooms:
            self.rooms[room] = RoomView(room)
            self.rooms[room].transcript.hide(self._hides())
        return self.rooms[room]

    def enter(self, room: str) -> RoomView:
        """The room called `room`, among those we are in from here on, with the lines it had."""
        if room in self.left:
            self.rooms[room] = self.left.pop(room)
        return self.view(room)

    def part(self, room: str) -> None:
        """Leave `room` at our own wish."""
        self._parted.add(room)
        self.leave(room)

    def leave(self, room: str) -> None:
        """We are no longer in `room`: its lines are kept, another one is shown, unless it is the only one."""
        view = self.view(room)
        view.entered = False
        if room not in self.rooms or len(self.rooms) == 1:
            return
        if room == self.room:
            names = list(self.rooms)
            neighbour = names[names.index(room) - 1]
            self.show(self.previous if self.previous in self.rooms else neighbour)
        self.left[room] = self.rooms.pop(room)
        if self.previous == room:
            self.previous = ""
        while len(self.left) > LEFT_MAX:
            del self.left[next(iter(self.left))]

    def show(self, room: str) -> None:
        """Put `room` on the screen; what it has is read."""
        if room != self.room:
            self.previous, self.room = self.room, room
            self._jumped_from = ""
            self.unseen = 0
        self.look(self.looking)

    def show_urgent(self) -> bool:
        """Show a room with a mention, else one with something unread, else the one where this began."""
        began, here = self._jumped_from, self.room
        urgent = most_urgent(view for view in self.rooms.values() if view is not self.shown)
        target = urgent or began
        if target not in self.rooms or target == here:
            return False
        self.show(target)
        self._jumped_from = (began or here) if urgent else ""
        return True

    def look(self, looking: bool) -> None:
        """The terminal got or lost the focus."""
        self.looking = looking
        if looking:
            self.shown.seen()

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

    def _hides(self) -> Callable[[str], bool] | None:
        return lru_cache(maxsize=512)(self.ignored.has) if self.ignored else None

    def _hide_ignored(self) -> None:
        hides = self._hides()
        for view in [*self.rooms.values(), *self.left.values()]:
            view.transcript.hide(hides)

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
                case SearchFound() | HistoryFetched() | Noticed() if self.search and self.search.took(update):
                    pass
                case ConnectionChanged():
                    self._connection_changed(update, now, at)
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
                case Noticed():
                    self.tell(visible_line(update.text), at, error=update.error)
                    self._forget_request(update.ref)
                case _:
                    self._room_changed(update, changes, now, at)
        self._settle_denied(changes, refused, at)
        changes.unlisted = [room for room, view in self.rooms.items() if view.wants_list()]
        return changes

    def _room_changed(self, update: RoomUpdate, changes: Changes, now: float, at: datetime) -> None:
        if isinstance(update, RoomEntered):
            self.enter(update.room)
        view = self.view(update.post.room if isinstance(update, PostArrived) else update.room)
        match update:
            case RoomEntered():
                self._entered(view, update, at)
                changes.people = True
            case RoomLeft() if update.room in self._parted:
                self._parted.discard(update.room)
            case RoomLeft():
                self.leave(update.room)
                changes.people = True
            case CaughtUp():
                pass
            case PostArrived():
                view.arrived(update, self.name, self.looking and view is self.shown)
            case PostDelivered():
                view.transcript.confirm(update.nonce)
            case PostRefused():
                view.transcript.refuse(update.nonce, update.reason)
                changes.refused.append(update)
            case GapFound():
                view.missed(update, at)
            case HistoryFetched():
                view.prepended(update, self.name)
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
        if not view.entered:
            view.entered = True
            others = max(0, update.online - 1)
            company = {0: ", alone so far", 1: " with 1 other"}.get(others, f" with {others:,} others")
            where = f"You are in {view.name} as {self.name}{company}. {self.help_hint}."
            view.transcript.add_system(where, at)

    def _members_listed(self, view: RoomView, update: MembersListed, now: float, at: datetime) -> None:
        self.absence.listed(update)
        view.people_listed(update, self.name, at)
        if line := self.asked.members_listed(update, now):
            self.tell(line, at)

    def _rooms_listed(self, update: RoomsListed, at: datetime) -> None:
        self.known_rooms = {visible_line(room): (online, topic) for room, online, topic in update.rooms}
        if lines := self.asked.rooms_listed(update, self.rooms):
            self.tell(lines, at)

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
