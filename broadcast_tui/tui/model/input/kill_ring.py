"""What readline's cutting keys take, and what they took before, to be put back.

Invariant: cuts in a row are one cut, whichever way they went.
"""

from __future__ import annotations

import re
from typing import Literal

KEPT_CUTS = 10

Where = Literal["blank", "word-left", "word-right", "line-start", "line-end"]


def cut_span(text: str, cursor: int, where: Where) -> tuple[int, int]:
    """From and to which index of `text` a cut from `cursor` to `where` goes.

    At the start or the end of a line, a cut of the line takes the line end there.
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
        self._cuts: list[str] = []
        self._at = -1

    def cut(self, piece: str, *, goes_on: bool, backwards: bool) -> None:
        """Keep `piece`; if it `goes_on` the last cut, as one with that."""
        if goes_on and self._cuts:
            last = self._cuts.pop()
            piece = piece + last if backwards else last + piece
        self._cuts.append(piece)
        del self._cuts[:-KEPT_CUTS]
        self._at = -1

    @property
    def newest(self) -> str:
        """The last cut, or the one `older` went to since; empty if nothing was cut."""
        return self._cuts[self._at] if self._cuts else ""

    def older(self) -> str:
        """Go to the cut before, from the oldest one to the newest."""
        if self._cuts:
            self._at = -1 - (-self._at % len(self._cuts))
        return self.newest
