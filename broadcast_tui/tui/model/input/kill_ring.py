"""Kill ring: texts removed with the readline keys, to yank back.

Invariant: consecutive kills form one entry, in either direction.
"""

from __future__ import annotations

import re
from typing import Literal

MAX_KILLS = 10

Where = Literal["blank", "word-left", "word-right", "line-start", "line-end"]


def kill_span(text: str, cursor: int, where: Where) -> tuple[int, int]:
    """The span of `text` to kill from `cursor` in direction `where`.

    At the start or end of a line, killing the line removes the line break.
    """
    line_start = text.rfind("\n", 0, cursor) + 1
    line_end = text.find("\n", cursor)
    line_end = len(text) if line_end < 0 else line_end
    match where:
        case "blank":
            return len(re.sub(r"\S*\s*\Z", "", text[:cursor])), cursor
        case "word-left":
            return len(re.sub(r"\w*\W*\Z", "", text[:cursor])), cursor
        case "word-right":
            found = re.match(r"\W*\w*", text[cursor:])
            return cursor, cursor + (found.end() if found else 0)
        case "line-start":
            return (line_start, cursor) if line_start < cursor else (max(0, cursor - 1), cursor)
        case "line-end":
            return cursor, line_end if line_end > cursor else min(len(text), cursor + 1)


class KillRing:
    """The last cuts, newest last, and which of them is the next to be put back."""

    def __init__(self) -> None:
        self._kills: list[str] = []
        self._at = -1

    def kill(self, piece: str, *, append: bool, backwards: bool) -> None:
        """Add `piece`; if `append`, join it with the last entry."""
        if append and self._kills:
            last = self._kills.pop()
            piece = piece + last if backwards else last + piece
        self._kills.append(piece)
        del self._kills[:-MAX_KILLS]
        self._at = -1

    def yank(self) -> str:
        """The current entry: the last kill, or the one selected by `yank_pop`; empty if there is none."""
        return self._kills[self._at] if self._kills else ""

    def yank_pop(self) -> str:
        """Select the previous entry, cyclically, and return it."""
        if self._kills:
            self._at = -1 - (-self._at % len(self._kills))
        return self.yank()
