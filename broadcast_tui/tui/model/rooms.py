"""Finding a room: by number, by what is typed of its name, by direction, by what waits in it.

Rooms are given in the order joined, which is that of their numbers, from 1.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache

from rich.cells import cell_len

from broadcast_tui.core.limits import DEFAULT_ROOM
from broadcast_tui.core.post import Bookmark
from broadcast_tui.core.protocol import events
from broadcast_tui.core.text import visible_line
from broadcast_tui.tui.model.ignore_list import IgnoreList
from broadcast_tui.tui.model.notifications import NotifyLevel
from broadcast_tui.tui.model.read_state import CatchUpSummary
from broadcast_tui.tui.model.room import RoomModel

LISTED_MAX = 60
"""Rooms that /list prints; the switcher finds the others."""


def neighbour(names: Sequence[str], shown: str, step: int) -> str:
    """The room `step` places after the shown one, round and round; the shown one if it is alone."""
    return names[(names.index(shown) + step) % len(names)]


def numbered(names: Sequence[str], number: int) -> str | None:
    """The room with this number, or None."""
    return names[number - 1] if 0 < number <= len(names) else None


def ranked(typed: str, names: Iterable[str]) -> list[str]:
    """Those of `names` that have the letters of `typed` in this order, likeliest first.

    Likeliest is the name itself, then what begins with it, has a word that does or words that begin with its
    letters, has it anywhere, has its letters close together. Equally likely ones stay in the order given;
    nothing typed matches all.
    """
    wanted = typed.removeprefix("#").casefold()
    scored = [(score, name) for name in names if (score := _unlikeness(wanted, name.casefold())) is not None]
    return [name for _, name in sorted(scored, key=lambda pair: pair[0])]


def find_room(typed: str, names: Sequence[str]) -> str | None:
    """The room meant by a number or by some of its letters, or None if that fits none."""
    if typed in names:
        return typed
    if typed.isascii() and typed.isdecimal():
        return numbered(names, int(typed)) if len(typed) < 4 else None
    return next(iter(ranked(typed, names)), None)


def _unlikeness(wanted: str, name: str) -> tuple[int, int] | None:
    """How far `name` is from what was typed, 0 being the same; None if it does not match at all."""
    at = name.find(wanted)
    if at < 0 or (at and name[at - 1].isalnum()):
        initials = "".join(word[:1] for word in re.split(r"[-_.]", name))
        if initials.startswith(wanted):
            return 2, 0
    if at >= 0:
        starts_word = at == 0 or not name[at - 1].isalnum()
        return (0 if name == wanted else 1 if at == 0 else 2 if starts_word else 3), at
    spans = [span for start in range(len(name)) if (span := _span(wanted, name, start)) is not None]
    return (4, min(spans)) if spans else None


def _span(wanted: str, name: str, start: int) -> int | None:
    """How many letters of `name` from `start` it takes to have all of `wanted`, beginning there."""
    if name[start] != wanted[0]:
        return None
    at = start - 1
    for letter in wanted:
        at = name.find(letter, at + 1)
        if at < 0:
            return None
    return at - start


def most_urgent(views: Iterable[RoomModel]) -> str | None:
    """The room to look at next: one that mentions us, else one with something unread that is not muted."""
    views = list(views)
    for view in views:
        if view.mention_count:
            return view.name
    return next((view.name for view in views if view.unread and not view.muted), None)


def room_lines(update: events.RoomList, joined: Iterable[str]) -> list[str]:
    """What /list prints: a heading, then a line a room with people and topic; those we are in are marked."""
    mine = frozenset(joined)
    rows = [
        (f"#{visible_line(info.room)}", info.online, visible_line(info.topic), info.room in mine)
        for info in update.rooms
    ]
    rows.sort(key=lambda row: (-row[1], row[0]))
    width = max((cell_len(name) for name, *_ in rows[:LISTED_MAX]), default=0)
    lines = [
        f"{'*' if is_mine else ' '} {name}{' ' * (width - cell_len(name))}  {online:>4}  {topic}".rstrip()
        for name, online, topic, is_mine in rows[:LISTED_MAX]
    ]
    hidden = len(rows) - len(lines)
    if hidden or update.truncated:
        lines.append(f"… and {hidden:,} more" if not update.truncated else "… and more")
    count = "1 room" if len(rows) == 1 else f"{len(rows):,} rooms"
    return [f"{count} with member counts (* joined):", *lines]


LEFT_MAX = 8
"""Rooms whose lines are kept after leaving, should we come back."""


@dataclass(slots=True)
class RoomsState:
    """`room` is the one on the screen. `begin` comes before all else."""

    room: str = DEFAULT_ROOM
    rooms: dict[str, RoomModel] = field(default_factory=dict)
    """The rooms we are in, or want to be in, in the order joined; never empty."""
    left: dict[str, RoomModel] = field(default_factory=dict)
    """Rooms we left, the last one last."""
    previous: str = ""
    """The room shown before this one; empty if none was."""
    ignored: IgnoreList = field(default_factory=IgnoreList)
    looking: bool = True
    """Whether the terminal has the focus, so that what arrives in the shown room counts as read."""
    at_end: bool = True
    """Whether the log of the shown room stands at its end."""
    unseen: int = 0
    """Posts below the screen's end in the shown room, as the message log counts them."""
    levels: Mapping[str, NotifyLevel] = field(default_factory=dict)
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
    def shown(self) -> RoomModel:
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

    def view(self, room: str) -> RoomModel:
        """The room called `room`, which is made if it is new; one we left stays so."""
        known = self.rooms.get(room) or self.left.get(room)
        if known is None:
            known = self.rooms[room] = RoomModel(room)
            self._recall(known)
        return known

    def enter(self, room: str) -> RoomModel:
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

    def tell_meantime(self, view: RoomModel, meantime: CatchUpSummary | None, at: datetime) -> None:
        if meantime is not None and meantime.is_told:
            view.transcript.add_system(meantime.line(self.unread_key), at)

    def is_viewing(self, view: RoomModel) -> bool:
        """Whether the user looks at a room."""
        return self.looking and view.name == self.room

    def _recall(self, view: RoomModel) -> None:
        """Give a room what an earlier run knew of it, and whom it is to hide."""
        view.hide(self._hides())
        view.level = self.levels.get(view.name, view.level)
        if bookmark := self.bookmarks.get(view.name):
            view.reading.resume(bookmark)
