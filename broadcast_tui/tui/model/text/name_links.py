"""`@name` and `#room` in a text."""

from __future__ import annotations

from broadcast_tui.core.lazy_pattern import lazy_pattern

NAME_OR_ROOM = lazy_pattern(
    r"(?<![\w@#/&.])(?:@(?P<names>(?P<name>[\w.\-]{1,64})(?: [\w.\-]{1,64})?)|#(?P<room>[\w.\-]{0,63}\w))"
)
"""A mention, of which `name` is the first word, or the name of a room. They need not exist."""


def room_at(text: str, index: int) -> str:
    """The room named by `#room` at `index`; empty if there is none."""
    for match in NAME_OR_ROOM.finditer(text):
        if match.start() <= index < match.end() and match["room"]:
            return match["room"]
    return ""
