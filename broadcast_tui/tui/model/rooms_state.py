"""The rooms we are in, which of them is on the screen, and what of each is read.

Invariants: pure (times are arguments); somebody is `there` in a room while it is shown and the terminal has
the focus; going away from a room and coming back to it is told to its `Reading`, whatever the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache

from broadcast_tui.core.bookmark import Bookmark
from broadcast_tui.core.limits import DEFAULT_ROOM
from broadcast_tui.tui.model.ignoring import Ignored
from broadcast_tui.tui.model.notices import Level
from broadcast_tui.tui.model.reading import Meantime
from broadcast_tui.tui.model.room import RoomView
from broadcast_tui.tui.model.rooms import most_urgent

LEFT_MAX = 8
"""Rooms whose lines are kept after leaving, should we come back."""


@dataclass(slots=True)
class RoomsState:
    """`room` is the one on the screen. `begin` comes before all else."""

    room: str = DEFAULT_ROOM
    rooms: dict[str, RoomView] = field(default_factory=dict)
    """The rooms we are in, or want to be in, in the order joined; never empty."""
    left: dict[str, RoomView] = field(default_factory=dict)
    """Rooms we left, the last one last."""
    previous: str = ""
    """The room shown before this one; empty if none was."""
    ignored: Ignored = field(default_factory=Ignored)
    looking: bool = True
    """Whether the terminal has the focus, so that what arrives in the shown room counts as read."""
    at_end: bool = True
    """Whether the log of the shown room stands at its end."""
    unseen: int = 0
    """Posts below the screen's end in the shown room, as the message log counts them."""
    levels: Mapping[str, Level] = field(default_factory=dict)
    """Which posts of which rooms ring, from an earlier run."""
    bookmarks: Mapping[str, Bookmark] = field(default_factory=dict)
    """How far rooms were read, from an earlier run."""
    unread_key: str = "Alt+U"
    """The key that goes to the first unread post, as people write it."""
    parted: set[str] = field(default_factory=set)
    """Rooms left at our wish, which the server has not confirmed: it is no news then, we may be back."""
    _jumped_from: str = ""
    """Where we were before going to what is urgent."""

    def begin(self) -> None:
        """Give the rooms what an earlier run knew of them."""
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
        return self.unread_here + elsewhere

    @property
    def unread_here(self) -> int:
        """Those of `unread` that are in the shown room."""
        return max(self.unseen, self.shown.unread)

    @property
    def mention_count(self) -> int:
        """Those of them that mention us."""
        return sum(view.mention_count for view in self.rooms.values())

    def view(self, room: str) -> RoomView:
        """The room called `room`, which is made if it is new; one we left stays so."""
        known = self.rooms.get(room) or self.left.get(room)
        if known is None:
            known = self.rooms[room] = RoomView(room)
            self._recall(known)
        return known

    def enter(self, room: str) -> RoomView:
        """The room called `room`, among those we are in from here on, with the lines it had."""
        if room in self.left:
            self.rooms[room] = self.left.pop(room)
        return self.view(room)

    def part(self, room: str, at: datetime) -> None:
        """Leave `room` at our own wish."""
        self.parted.add(room)
        self.leave(room, at)

    def leave(self, room: str, at: datetime) -> None:
        """We are no longer in `room`: its lines are kept, another one is shown, unless it is the only one."""
        view = self.view(room)
        view.entered = False
        if room not in self.rooms or len(self.rooms) == 1:
            return
        if room == self.room:
            names = list(self.rooms)
            neighbour = names[names.index(room) - 1]
            self.show(self.previous if self.previous in self.rooms else neighbour, at)
        self.left[room] = self.rooms.pop(room)
        if self.previous == room:
            self.previous = ""
        while len(self.left) > LEFT_MAX:
            del self.left[next(iter(self.left))]

    def show(self, room: str, at: datetime) -> None:
        """Put `room` on the screen; once its log is there, `stand` says whether at its end."""
        if room == self.room:
            return
        if self.looking:
            self.shown.reading.left(at)
        self.previous, self.room = self.room, self.view(room).name
        self._jumped_from = ""
        self.unseen = 0
        if self.looking:
            self._come_back(at)

    def show_urgent(self, at: datetime) -> bool:
        """Show a room with a mention, else one with something unread, else the one where this began."""
        began, here = self._jumped_from, self.room
        urgent = most_urgent(view for view in self.rooms.values() if view is not self.shown)
        target = urgent or began
        if target not in self.rooms or target == here:
            return False
        self.show(target, at)
        self._jumped_from = (began or here) if urgent else ""
        return True

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

    def stand(self, at_end: bool) -> None:
        """The log of the shown room went to, or from, its end; at the end everything is seen."""
        self.at_end = at_end
        if at_end and self.looking:
            self.unseen = 0
            self.shown.reading.seen()

    def read_marks(self, at: datetime) -> dict[str, Bookmark]:
        """How far each room is read, for the next run."""
        marks = {room: view.reading.bookmark(at) for room, view in {**self.left, **self.rooms}.items()}
        return {room: mark for room, mark in marks.items() if mark is not None}

    def _hides(self) -> Callable[[str], bool] | None:
        return lru_cache(maxsize=512)(self.ignored.has) if self.ignored else None

    def _come_back(self, at: datetime) -> None:
        self.tell_meantime(self.shown, self.shown.reading.returned(at), at)

    def tell_meantime(self, view: RoomView, meantime: Meantime | None, at: datetime) -> None:
        if meantime is not None and meantime.is_told:
            view.transcript.add_system(meantime.line(self.unread_key), at)

    def is_there(self, view: RoomView) -> bool:
        """Whether the user looks at a room."""
        return self.looking and view.name == self.room

    def _recall(self, view: RoomView) -> None:
        """Give a room what an earlier run knew of it, and whom it is to hide."""
        view.hide(self._hides())
        view.level = self.levels.get(view.name, view.level)
        if bookmark := self.bookmarks.get(view.name):
            view.reading.resume(bookmark)
