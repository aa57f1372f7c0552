"""A transcript's lines as plain text, one after the other, for those who cannot use a screen.

14:02 ana: hi          a post; `14:02 ! ana: hi bob` mentions us; what goes on below is indented
14:03 * bob waves      an action
-- bob joined          a line of the program; `!! not sent: …` an error

Who came and went is said once something else is: until then they may go and come again.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, tzinfo

from broadcast_tui.tui.model.lines import Line, LineKind
from broadcast_tui.tui.model.room_transcript import RoomTranscript

_INDENT = "\n      "


class PlainText:
    """Says of each transcript what has come since it was asked last."""

    def __init__(self, zone: tzinfo | None = None, *, own: bool = True) -> None:
        """Times are of `zone` (None: here). Without `own`, our own posts are left out."""
        self._zone = zone
        self._own = own
        self._said: dict[str, tuple[int, int]] = {}
        """Of each room, how often it was laid anew, and up to before which line it was told."""

    def news(self, room: str, transcript: RoomTranscript, *, place: str = "") -> Iterator[str]:
        """The new lines of `room`, each with `place` before it if that is not empty.

        When all are laid anew, to hide or show somebody, only the last one, which says so, is new.
        """
        end = transcript.settled_id
        laid_count, start = self._said.get(room, (transcript.laid_count, 0))
        start = end - 1 if laid_count != transcript.laid_count else max(start, transcript.first_id)
        last = transcript.line(end - 1)
        if last is not None and last.kind is LineKind.PRESENCE:
            end = max(start, end - 1)
        self._said[room] = transcript.laid_count, end
        for line_id in range(start, end):
            line = transcript.line(line_id)
            if line is not None and line.text and (self._own or not line.own):
                yield self._text(line, f"#{place} " if place else "")

    def _text(self, line: Line, place: str) -> str:
        text = line.text.replace("\n", _INDENT)
        match line.kind:
            case LineKind.SYSTEM | LineKind.PRESENCE | LineKind.DAY:
                return f"-- {place}{text}"
            case LineKind.ERROR:
                return f"!! {place}{text}"
        time = f"{datetime.fromtimestamp(line.at, self._zone):%H:%M}"
        mark = "! " if line.mention else ""
        who = f"* {line.sender} " if line.kind is LineKind.ACTION else f"{line.sender}: "
        return f"{time} {place}{mark}{who}{text}"
