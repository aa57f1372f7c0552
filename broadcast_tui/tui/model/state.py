"""Everything the chat screen shows, changed only by batches of updates and by what the user does.

Invariants: pure (times are arguments), widgets only read it; a lost connection adds one line until it
is back, however many attempts that takes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import assert_never

from broadcast_tui.core.bookmark import Bookmark
from broadcast_tui.core.limits import DEFAULT_ROOM
from broadcast_tui.core.text import visible_line
from broadcast_tui.core.updates import (
    CaughtUp,
    ConnectionChanged,
    ConnectionState,
    GapFound,
    HistoryFetched,
    MembersListed,
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
from broadcast_tui.tui.model.notices import Alert, Level
from broadcast_tui.tui.model.reading import Absence
from broadcast_tui.tui.model.room import RoomView

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
    unlisted: list[str] = field(default_factory=list)
    """Rooms whose members are to be asked for."""
    alerts: list[Alert] = field(default_factory=list)
    """Posts that are worth a notice, in the order they came."""
    opened: bool = False
    """The shown room has its first posts: show it from the unread line on, unless that is in view."""


@dataclass(slots=True)
class Connection:
    """How the connection stands. `retry_at` is when the next try comes (monotonic seconds)."""

    state: ConnectionState = ConnectionState.CONNECTING
    reason: str = ""
    retry_at: float | None = None
    told: bool = False
    """Whether a line says that the connection is lost; then one more says that it is back."""

    def retry_in(self, now: float) -> int | None:
        """Whole seconds until the next try, at least 0, or None if none is planned."""
        return None if self.retry_at is None else max(0, round(self.retry_at - now))


@dataclass(slots=True)
class AppState:
    """The rooms, the connection and our name. `room` is the one on the screen."""

    name: str = ""
    room: str = DEFAULT_ROOM
    rooms: dict[str, RoomView] = field(default_factory=dict)
    connection: Connection = field(default_factory=Connection)
    message_bytes: int = 0
    looking: bool = True
    """Whether the terminal has the focus, so that what arrives in the shown room counts as read."""
    unseen: int = 0
    """Posts below the screen's end in the shown room, as the message log counts them."""
    at_end: bool = True
    """Whether the log of the shown room stands at its end."""
    keywords: tuple[str, ...] = ()
    """Words that count as mentions of us."""
    levels: Mapping[str, Level] = field(default_factory=dict)
    """Which posts of which rooms ring, from an earlier run."""
    bookmarks: Mapping[str, Bookmark] = field(default_factory=dict)
    """How far rooms were read, from an earlier run."""
    unread_key: str = "Alt+U"
    """The key that goes to the first unread post, as people write it."""
    _denied: NameDenied | None = None

    def __post_init__(self) -> None:
        self.name = visible_line(self.name)
        for view in self.rooms.values():
            self._recall(view)
        self.view(self.room)

    @property
    def shown(self) -> RoomView:
        """The room on the screen."""
        return self.view(self.room)

    @property
    def unread(self) -> int:
        """Posts nobody has seen: those below the screen's end, or that came without focus or elsewhere."""
        elsewhere = sum(view.urgent_count for view in self.rooms.values() if view is not self.shown)
        return max(self.unseen, self.shown.unread) + elsewhere

    @property
    def mention_count(self) -> int:
        """Those of them that mention us."""
        return sum(view.mention_count for view in self.rooms.values())

    def view(self, room: str) -> RoomView:
        """The room called `room`, which is made if it is new."""
        if room not in self.rooms:
            self.rooms[room] = RoomView(room)
            self._recall(self.rooms[room])
        return self.rooms[room]

    def look(self, looking: bool, at: datetime) -> None:
        """The terminal got or lost the focus."""
        if looking == self.looking:
            return
        self.looking = looking
        if looking:
            self._come_back(at)
            self.stand(self.at_end)
        else:
            self.shown.reading.left(at)

    def show(self, room: str, at: datetime) -> None:
        """Put `room` on the screen; once its log is there, `stand` says whether at its end."""
        if room == self.room:
            return
        if self.looking:
            self.shown.reading.left(at)
        self.room = self.view(room).name
        self.unseen = 0
        if self.looking:
            self._come_back(at)

    def stand(self, at_end: bool) -> None:
        """The log of the shown room went to, or from, its end; at the end everything is seen."""
        self.at_end = at_end
        if at_end and self.looking:
            self.unseen = 0
            self.shown.reading.seen()

    def read_marks(self, at: datetime) -> dict[str, Bookmark]:
        """How far each room is read, for the next run."""
        marks = {room: view.reading.bookmark(at) for room, view in self.rooms.items()}
        return {room: mark for room, mark in marks.items() if mark is not None}

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
                case TopicChanged():
                    about = f"set the topic: {update.topic}" if update.topic else "cleared the topic"
                    self.tell(visible_line(f"{update.name} {about}"), at)
                case SearchFound() | RoomsListed():
                    self._forget_request(update.ref)
                case Noticed():
                    self.tell(visible_line(update.text), at, error=update.error)
                    self._forget_request(update.ref)
                case _:
                    self._room_changed(update, changes, now, at)
        self._settle_denied(changes, refused, at)
        changes.unlisted = [room for room, view in self.rooms.items() if view.wants_list()]
        return changes

    def _room_changed(self, update: RoomUpdate, changes: Changes, now: float, at: datetime) -> None:
        view = self.view(update.post.room if isinstance(update, PostArrived) else update.room)
        match update:
            case RoomEntered():
                self._entered(view, update, at)
                changes.people = True
            case RoomLeft():
                view.entered = False
            case CaughtUp():
                self._caught_up(view, changes, at)
            case PostArrived():
                there = self._is_there(view)
                alert = view.arrived(update, self.name, self.keywords, there=there, at_end=self.at_end)
                if alert and not there and view.level.takes(mention=alert.mention):
                    changes.alerts.append(alert)
            case PostDelivered():
                view.transcript.confirm(update.nonce)
            case PostRefused():
                view.transcript.refuse(update.nonce, update.reason)
                changes.refused.append(update)
            case GapFound():
                view.missed(update, at)
            case HistoryFetched():
                view.prepended(update, self.name, self.keywords)
            case PresenceChanged():
                view.people_changed(update, self.name)
                changes.people = True
            case MembersListed():
                view.people_listed(update, self.name, at)
                changes.people = True
            case TypingSeen():
                view.saw_typing(update.name, self.name, now)
            case _:
                assert_never(update)

    def _connection_changed(self, update: ConnectionChanged, now: float, at: datetime) -> None:
        was = self.connection
        retry_at = None if update.retry_in_s is None else now + update.retry_in_s
        self.connection = Connection(update.state, visible_line(update.reason), retry_at, was.told)
        match update.state:
            case ConnectionState.WAITING if not was.told:
                why = f": {self.connection.reason.rstrip('.')}" if update.reason else ""
                lost = "Connection lost" if self.shown.entered else "No connection yet"
                self.tell(f"{lost}{why}. Trying again; what you write is kept and sent then.", at)
                self.connection.told = True
            case ConnectionState.ONLINE if was.told:
                self.tell("Back online" if self.shown.entered else "Connected", at)
                self.connection.told = False

    def _named(self, name: str, at: datetime, *, tell: bool) -> None:
        before, self.name = self.name, visible_line(name)
        for view in self.rooms.values():
            if before in view.members:
                view.members.discard(before)
                view.members.add(self.name)
        if tell and self.name != before:
            self.tell(f"You are now {self.name}", at)

    def _entered(self, view: RoomView, update: RoomEntered, at: datetime) -> None:
        view.online = update.online
        view.list_asked = False
        view.reading.entered(at, there=self._is_there(view))
        if not view.entered:
            view.entered = True
            others = max(0, update.online - 1)
            company = {0: "Nobody else is here yet", 1: "1 other is here"}.get(
                others, f"{others:,} others are here"
            )
            view.transcript.add_system(f"You are in {view.name} as {self.name}. {company}. F1 helps.", at)

    def _caught_up(self, view: RoomView, changes: Changes, at: datetime) -> None:
        """What was missed is here: tell of it, and show where it begins if the room is only just opened."""
        there = self._is_there(view)
        is_opened = view.reading.is_resuming
        self._tell_absence(view, view.reading.caught_up(at, there=there), at)
        if is_opened and view is self.shown:
            changes.opened = True
        elif there:
            self.stand(self.at_end)

    def _come_back(self, at: datetime) -> None:
        self._tell_absence(self.shown, self.shown.reading.returned(at), at)

    def _tell_absence(self, view: RoomView, absence: Absence | None, at: datetime) -> None:
        if absence is not None and absence.is_told:
            view.transcript.add_system(absence.line(self.unread_key), at)

    def _is_there(self, view: RoomView) -> bool:
        """Whether the user looks at a room."""
        return self.looking and view is self.shown

    def _recall(self, view: RoomView) -> None:
        """Give a room what an earlier run knew of it."""
        view.level = self.levels.get(view.name, view.level)
        if bookmark := self.bookmarks.get(view.name):
            view.reading.resume(bookmark)

    def _forget_request(self, ref: str) -> None:
        for view in self.rooms.values():
            if ref and ref == view.history_ref:
                view.history_ref = ""
            if ref and ref == view.who_ref:
                view.who_ref = ""

    def _settle_denied(self, changes: Changes, refused: bool, at: datetime) -> None:
        """A name denied at the door needs another one; denied later, the old one stays."""
        if self._denied is None:
            if refused:
                self.tell(
                    f"The server refused us: {self.connection.reason or 'no reason given'}", at, error=True
                )
            return
        if self.connection.state is ConnectionState.REFUSED:
            changes.denied, self._denied = self._denied, None
        elif self.connection.state is ConnectionState.ONLINE:
            self.tell(visible_line(self._denied.reason), at, error=True)
            self._denied = None
