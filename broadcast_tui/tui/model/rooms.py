"""Finding a room: by number, by what is typed of its name, by direction, by what waits in it.

Rooms are given in the order joined, which is that of their numbers, from 1.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from rich.cells import cell_len

from broadcast_tui.core.text import visible_line
from broadcast_tui.core.updates import RoomsListed
from broadcast_tui.tui.model.room import RoomView

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


def chosen(typed: str, names: Sequence[str]) -> str | None:
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


def most_urgent(views: Iterable[RoomView]) -> str | None:
    """The room to look at next: one that mentions us, else one with something unread that is not muted."""
    views = list(views)
    for view in views:
        if view.mention_count:
            return view.name
    return next((view.name for view in views if view.unread and not view.muted), None)


def room_lines(update: RoomsListed, joined: Iterable[str]) -> list[str]:
    """What /list prints: a heading, then a line a room with people and topic; those we are in are marked."""
    mine = frozenset(joined)
    rows = [
        (f"#{visible_line(name)}", online, visible_line(topic), name in mine)
        for name, online, topic in update.rooms
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
    return [f"{count}, with how many are there (* you are in it):", *lines]
