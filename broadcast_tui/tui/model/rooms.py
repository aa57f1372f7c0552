"""The rooms of the user, and ways to find one: by number, by letters, by direction, by urgency.

Rooms are in join order, which is that of their numbers, from 1.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from difflib import get_close_matches
from functools import lru_cache
from typing import TypeVar

import msgspec
from rich.cells import cell_len

from broadcast_tui.core.names import DEFAULT_ROOM, VOLATILE_SIGN, name_key
from broadcast_tui.core.post import Bookmark
from broadcast_tui.core.protocol import events
from broadcast_tui.core.text import visible_line
from broadcast_tui.tui.model.ignore_list import IgnoreList
from broadcast_tui.tui.model.notifications import NotifyLevel
from broadcast_tui.tui.model.read_state import CatchUpSummary
from broadcast_tui.tui.model.room import RoomModel

T = TypeVar("T")

PAGES_MAX = 10
"""Pages of the room list that are requested: 5,000 rooms of a server with the default limits."""
LISTED_MAX = 60
"""Rooms printed by /list; the room switcher finds the others."""


def adjacent_room(rooms: Sequence[T], shown: T, step: int) -> T:
    """The room `step` places after the shown one, cyclically."""
    return rooms[(rooms.index(shown) + step) % len(rooms)]


def room_by_number(rooms: Sequence[T], number: int) -> T | None:
    """The room with this number, or None."""
    return rooms[number - 1] if 0 < number <= len(rooms) else None


def rank_rooms(typed: str, names: Iterable[str]) -> list[str]:
    """Filter and rank `names` by the letters of `typed`, which must occur in this order; best match first.

    Ranking: the exact name; names that start with it; names with a word that starts with it, or words whose
    initials are its letters; names that contain it; names with its letters close together. Ties keep the
    given order. An empty `typed` matches all.
    """
    wanted = typed.removeprefix("#").casefold()
    scored = [(score, name) for name in names if (score := _match_key(wanted, name.casefold())) is not None]
    return [name for _, name in sorted(scored, key=lambda pair: pair[0])]


def is_close(typed: str, name: str) -> bool:
    """Whether a word of `name` starts with what was typed, or its words have these initials."""
    key = _match_key(typed.removeprefix("#").casefold(), name.casefold())
    return key is not None and key[0] <= _WORD


def near_rooms(typed: str, names: Iterable[str]) -> list[str]:
    """The `names` that `typed` may be a misspelling of; best match first."""
    by_key = {name.casefold(): name for name in names}
    return [by_key[key] for key in get_close_matches(typed.removeprefix("#").casefold(), by_key, n=3)]


def find_room(typed: str, names: Sequence[str]) -> str | None:
    """Return the room with this number or the best match of these letters, or None."""
    if typed in names:
        return typed
    if typed.isascii() and typed.isdecimal():
        return room_by_number(names, int(typed)) if len(typed) < 4 else None
    return next(iter(rank_rooms(typed, names)), None)


_WORD = 2
"""Score of a name in which a word starts with what was typed."""


def _match_key(wanted: str, name: str) -> tuple[int, int] | None:
    """Sort key of a match, lower is better; None if `name` does not match."""
    at = name.find(wanted)
    if at < 0 or (at and name[at - 1].isalnum()):
        initials = "".join(word[:1] for word in re.split(r"[-_.]", name))
        if initials.startswith(wanted):
            return _WORD, 0
    if at >= 0:
        starts_word = at == 0 or not name[at - 1].isalnum()
        return (0 if name == wanted else 1 if at == 0 else _WORD if starts_word else 3), at
    spans = [span for start in range(len(name)) if (span := _match_length(wanted, name, start)) is not None]
    return (4, min(spans)) if spans else None


def _match_length(wanted: str, name: str, start: int) -> int | None:
    """Length of the part of `name` from `start` that has all letters of `typed`; None if there is none."""
    if name[start] != wanted[0]:
        return None
    at = start - 1
    for letter in wanted:
        at = name.find(letter, at + 1)
        if at < 0:
            return None
    return at - start


def most_urgent(views: Iterable[RoomModel]) -> RoomModel | None:
    """The room to visit next: one with mentions, else one with unread posts that is not muted."""
    views = list(views)
    mentioning = (view for view in views if view.mention_count)
    return next(mentioning, None) or next((view for view in views if view.unread and not view.muted), None)


class RoomListing:
    """The room list of the server, collected from at most `PAGES_MAX` pages."""

    def __init__(self) -> None:
        self.rooms: dict[str, events.RoomInfo] = {}
        """The rooms listed so far, by name."""
        self._pages = 0
        self._next_ref = ""

    def expect(self, ref: str) -> None:
        """Continue the list with the reply that has this ref; any other reply starts a new list."""
        self._next_ref = ref

    def add(self, page: events.RoomList) -> str:
        """Add a page.

        Returns the name after which to request the next one; empty if the list is complete, or too long.
        """
        if not page.ref or page.ref != self._next_ref:
            self.rooms, self._pages = {}, 0
        known_count = len(self.rooms)
        self.rooms.update((info.room, info) for info in page.rooms)
        self._pages += 1
        self._next_ref = ""
        # Servers without pages send the same rooms again.
        is_new = len(self.rooms) == known_count + len(page.rooms)
        if page.truncated and page.rooms and is_new and self._pages < PAGES_MAX:
            return page.rooms[-1].room
        return ""


def room_lines(update: events.RoomList, joined: Iterable[str]) -> list[str]:
    """Output of /list: a heading, then one line for each room with member count and topic."""
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


def is_lasting(room: str) -> bool:
    """Whether a room can outlast the server's process, so that its settings are worth saving."""
    return VOLATILE_SIGN not in room


LEFT_MAX = 8
"""Left rooms whose lines are kept in case the user rejoins."""


class RoomSet(msgspec.Struct):
    """The rooms the user is in or has left, and which one is on the screen."""

    shown_name: str = DEFAULT_ROOM
    joined: dict[str, RoomModel] = msgspec.field(default_factory=dict)
    """Rooms the user is in or is joining, in join order; never empty."""
    left: dict[str, RoomModel] = msgspec.field(default_factory=dict)
    """Rooms the user has left, the most recent last; at most `LEFT_MAX`."""
    previous: str = ""
    """The room shown before this one; empty if there was none."""
    ignored: IgnoreList = msgspec.field(default_factory=IgnoreList)
    has_focus: bool = True
    """Whether the terminal has the focus. Posts that arrive in the shown room then count as read."""
    at_end: bool = True
    """Whether the log of the shown room is scrolled to its end."""
    unseen: int = 0
    """Posts below the visible part of the shown room's log, as counted by the message log."""
    levels: dict[str, NotifyLevel] = msgspec.field(default_factory=dict)
    """Saved notification levels by room."""
    default_level: NotifyLevel = NotifyLevel.MENTIONS
    """The level of rooms without a saved one."""
    bookmarks: Mapping[str, Bookmark] = msgspec.field(default_factory=dict)
    """Saved read positions by room."""
    unread_key: str = "Alt+U"
    """Display name of the key that scrolls to the first unread post."""
    parted: set[str] = msgspec.field(default_factory=set)
    """Rooms left by the user's command whose `RoomLeft` is pending. The user may have rejoined by then."""

    def __post_init__(self) -> None:
        for room in self.joined.values():
            self._restore(room)
        self.get(self.shown_name)

    @property
    def shown(self) -> RoomModel:
        """The room on the screen."""
        return self.get(self.shown_name)

    @property
    def unread(self) -> int:
        """Unseen posts: those in the shown room, and those that need attention in other rooms."""
        elsewhere = sum(room.urgent_count for room in self.joined.values() if room is not self.shown)
        return self.unread_here + elsewhere

    @property
    def unread_here(self) -> int:
        """Unseen posts in the shown room."""
        return max(self.unseen, self.shown.unread)

    @property
    def mention_count(self) -> int:
        """Unread posts in all rooms that mention the user."""
        return sum(room.mention_count for room in self.joined.values())

    @property
    def pending_count(self) -> int:
        """The user's own posts in all rooms that the server has not acknowledged."""
        return sum(room.transcript.pending_count for room in self.joined.values())

    def get(self, name: str) -> RoomModel:
        """Return the room called `name`, joined or left; add it to the joined rooms if it is unknown."""
        room = self.joined.get(name) or self.left.get(name)
        if room is None:
            room = self.joined[name] = RoomModel(name)
            self._restore(room)
        return room

    def find(self, name: str) -> RoomModel | None:
        """The room called `name`, joined or left; None if it is unknown."""
        return self.joined.get(name) or self.left.get(name)

    def all(self) -> list[RoomModel]:
        """All rooms, joined and left."""
        return [*self.joined.values(), *self.left.values()]

    def direct_with(self, name: str) -> RoomModel | None:
        """The room for direct messages with a person, joined or left."""
        key = name_key(name)
        rooms = (room for room in self.all() if room.is_direct and not room.is_replaced)
        return next((room for room in rooms if key and name_key(room.other) == key), None)

    def enter(self, name: str) -> RoomModel:
        """Move a room that was left, with its lines, back to the joined rooms; or add a new one."""
        if name in self.left:
            self.joined[name] = self.left.pop(name)
        return self.get(name)

    def rewind(self, name: str) -> None:
        """Begin a joined room again, without its lines."""
        self.joined[name] = RoomModel(name)
        self.unseen = 0
        self.at_end = True

    def part(self, name: str, at: datetime) -> None:
        """Leave a room by the user's command."""
        self.parted.add(name)
        self.leave(name, at)

    def leave(self, name: str, at: datetime) -> None:
        """Move a room to the left rooms and show another one. The last joined room stays."""
        room = self.get(name)
        room.entered = False
        if name not in self.joined or len(self.joined) == 1:
            return
        if name == self.shown_name:
            names = list(self.joined)
            adjacent = names[names.index(name) - 1]
            self.show(self.previous if self.previous in self.joined else adjacent, at)
        self.left[name] = self.joined.pop(name)
        if self.previous == name:
            self.previous = ""
        while len(self.left) > LEFT_MAX:
            del self.left[next(iter(self.left))]

    def show(self, name: str, at: datetime) -> None:
        """Put a room on the screen. The caller then reports its scroll position with `set_at_end`."""
        if name == self.shown_name:
            return
        if self.has_focus:
            self.shown.reading.left(at)
        self.previous, self.shown_name = self.shown_name, self.get(name).name
        self.unseen = 0
        if self.has_focus:
            self._return(at)

    def set_focused(self, focused: bool, at: datetime) -> None:
        """Record that the terminal gained or lost the focus."""
        if focused == self.has_focus:
            return
        self.has_focus = focused
        if focused:
            self._return(at)
            self.set_at_end(self.at_end)
        else:
            self.shown.reading.left(at)

    def resume(self, at: datetime) -> None:
        """Record that the user is back from another server. The caller then calls `set_at_end`."""
        self.has_focus = True
        self.unseen = 0
        self._return(at)

    def set_at_end(self, at_end: bool) -> None:
        """Record whether the shown log is scrolled to its end; at the end, all posts count as seen."""
        self.at_end = at_end
        if at_end and self.has_focus:
            self.unseen = 0
            self.shown.reading.seen()

    def is_viewing(self, room: RoomModel) -> bool:
        """Whether `room` is shown and the terminal has the focus."""
        return self.has_focus and room.name == self.shown_name

    def with_member(self, name: str) -> list[RoomModel]:
        """The joined rooms that have `name` as a known member."""
        return [room for room in self.joined.values() if name in room.members]

    def current_bookmarks(self, at: datetime) -> dict[str, Bookmark]:
        """The read position of each room, to save for the next run."""
        lasting = {name: room for name, room in {**self.left, **self.joined}.items() if is_lasting(name)}
        marks = {name: room.reading.bookmark(at) for name, room in lasting.items()}
        return {name: mark for name, mark in marks.items() if mark is not None}

    def ignore(self, name: str, until: float | None) -> None:
        """Hide the posts of `name` until the given monotonic time; None: until `unignore`."""
        self.ignored.add(name, until)
        self._apply_ignored()

    def unignore(self, name: str) -> bool:
        """Show the posts of `name` again; returns false if they were not hidden."""
        if not self.ignored.remove(name):
            return False
        self._apply_ignored()
        return True

    def expire_ignored(self, now: float) -> list[str]:
        """Stop ignoring users whose time is over; returns their names."""
        expired = self.ignored.expire(now)
        if expired:
            self._apply_ignored()
        return expired

    def print_catch_up(self, room: RoomModel, summary: CatchUpSummary | None, at: datetime) -> None:
        """Print `summary` in `room` if it is worth a line."""
        if summary is not None and summary.is_notable:
            room.transcript.add_system(summary.line(self.unread_key), at)

    def _return(self, at: datetime) -> None:
        self.print_catch_up(self.shown, self.shown.reading.returned(at), at)

    def set_level(self, room: str, level: NotifyLevel) -> None:
        """Set the level of a joined room."""
        self.levels[room] = self.get(room).level = level

    def set_default_level(self, level: NotifyLevel) -> None:
        """Set the level of all rooms without one of their own."""
        self.default_level = level
        for room in self.joined.values():
            room.level = self.levels.get(room.name, level)

    def _restore(self, room: RoomModel) -> None:
        """Apply the saved level, read position and ignore list to a new room."""
        room.hide(self._hide_rule())
        room.level = self.levels.get(room.name, self.default_level)
        if bookmark := self.bookmarks.get(room.name):
            room.reading.resume(bookmark)

    def _apply_ignored(self) -> None:
        rule = self._hide_rule()
        for room in [*self.joined.values(), *self.left.values()]:
            room.hide(rule)

    def _hide_rule(self) -> Callable[[str], bool] | None:
        return lru_cache(maxsize=512)(self.ignored.has) if self.ignored else None
