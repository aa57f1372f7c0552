"""Limit on the lines that a server can add to the log without a post: notices, errors, topics, gaps."""

from __future__ import annotations

from enum import Enum

WINDOW_S = 10.0
LINES_MAX = 50
"""Maximum number of lines in `WINDOW_S`. A reconnect to 32 rooms needs about one for each room."""
HIDDEN_LINE = "Too many notices from the server; some are not shown."


class Admission(Enum):
    """Whether to show a line."""

    SHOWN = "shown"
    LAST = "last"
    """Show `HIDDEN_LINE` in its place."""
    HIDDEN = "hidden"


class NoticeLimiter:
    """Admits `LINES_MAX` lines in `WINDOW_S`."""

    def __init__(self) -> None:
        self._window_end = float("-inf")
        self._count = 0

    def add(self, now: float) -> Admission:
        """Count a line at `now`, in monotonic seconds."""
        if now >= self._window_end:
            self._window_end = now + WINDOW_S
            self._count = 0
        self._count += 1
        if self._count <= LINES_MAX:
            return Admission.SHOWN
        return Admission.LAST if self._count == LINES_MAX + 1 else Admission.HIDDEN
