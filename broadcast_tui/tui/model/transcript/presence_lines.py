"""Lines about joins, leaves and renames in a transcript.

In a small room, everyone's changes are shown: two in a minute get a line each, further ones share a line. In
a larger room, consecutive changes share a line, and its short form covers recent senders only.
"""

from __future__ import annotations

import re
from collections import deque

from broadcast_tui.core.session.updates import PresenceChanged
from broadcast_tui.core.text import visible_line
from broadcast_tui.tui.model.transcript.presence_summary import PresenceSummary
from broadcast_tui.tui.model.transcript.transcript import Transcript

SMALL_ROOM_MAX = 20
"""Largest room in which everyone's joins and leaves are shown.

Its member list fits on a screen of 24 rows. In larger rooms, people come and go too often to be news.
"""
SINGLE_MAX = 2
"""Changes in `SINGLE_S` seconds that get a line each."""
SINGLE_S = 60.0
ROW_MAX = 5
"""Consecutive lines of their own, however slowly they come: a quiet room must not lose its posts to them."""

_COUNT = re.compile(r"\.( \d+ client\(s\) online\.)?$")
"""The end of the server's sentence about users without names."""


class PresenceLines:
    """Adds the lines of one room to its transcript."""

    def __init__(self, transcript: Transcript) -> None:
        self._transcript = transcript
        self._summary = PresenceSummary()
        """Content of the last line."""
        self._recent: deque[float] = deque(maxlen=SINGLE_MAX)
        """Unix times of the last changes."""
        self._last_id = -1
        self._row_count = 0
        """Consecutive lines at the end of the transcript."""

    def add(self, update: PresenceChanged, names: tuple[str, ...]) -> None:
        """Extend the last line by a change, or add a line.

        Args:
            names: Sanitized names of the users to mention; empty if they have none.
        """
        transcript, at = self._transcript, update.at.timestamp()
        follows = self._last_id == transcript.next_id - 1
        is_small = update.online <= SMALL_ROOM_MAX
        is_single = is_small and not self._is_frequent(at, follows=follows)
        self._recent.append(at)
        line_id = transcript.growing_id
        if line_id is None or is_single or self._summary.is_full or self._summary.is_complete != is_small:
            self._summary = PresenceSummary(transcript.posted_recently, is_complete=is_small)
            line_id = None
        self._record(update, names)
        text, brief = self._summary.text(), self._summary.brief()
        if line_id is None or not transcript.replace_presence(line_id, text, brief, update.at):
            self._last_id = transcript.add_presence(text, brief, update.at, grows=not is_single)
            self._row_count = self._row_count + 1 if follows else 1

    def _is_frequent(self, at: float, *, follows: bool) -> bool:
        """Whether a change shares a line: it is the third in a minute, or follows a row of lines."""
        if follows and self._row_count >= ROW_MAX:
            return True
        return len(self._recent) == SINGLE_MAX and at - self._recent[0] < SINGLE_S

    def _record(self, update: PresenceChanged, names: tuple[str, ...]) -> None:
        match update.event, names:
            case "join", (_, *_):
                self._summary.joined(names)
            case "leave", (_, *_):
                self._summary.left(names, visible_line(update.reason))
            case "rename", (before, now):
                self._summary.renamed(before, now)
            case _:
                self._summary.add_unnamed(_COUNT.sub("", visible_line(update.text)))
