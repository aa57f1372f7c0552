"""Incremental search of a transcript by text or sender: newest first, in slices, while posts are added.

The caller limits the time of each step, so a search of 100,000 posts does not block the UI.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable
from operator import neg
from unicodedata import normalize

from broadcast_tui.tui.model.transcript.chunks import POSTS, Chunk, LineKind
from broadcast_tui.tui.model.transcript.transcript import Transcript

Pattern = re.Pattern[str]

_SLICE_LINES = 32


def pattern_of(query: str) -> Pattern | None:
    """Pattern for a literal `query`, case-insensitive unless it has capitals; None if it is blank."""
    query = normalize("NFC", query)
    if not query.strip():
        return None
    return re.compile(re.escape(query), re.IGNORECASE if query == query.lower() else 0)


class FindState:
    """The posts of `transcript` that match `pattern`.

    The current match is the newest one at or above `start_id`; if all are below, the newest of all.
    """

    def __init__(self, transcript: Transcript, pattern: Pattern, start_id: int) -> None:
        self.pattern = pattern
        self.current: int | None = None
        """Line id of the current match."""
        self.transcript = transcript
        self._version = _version(transcript)
        self._named: dict[str, bool] = {}
        """Whether the pattern matches a sender."""
        self._start_id = start_id
        self._origin = self._low = self._high = transcript.next_id
        """The lines from `_low` to before `_high` have been searched."""
        self._older: list[int] = []
        """Matches before `_origin`, descending."""
        self._newer: list[int] = []
        """Matches from `_origin` on, ascending."""

    @property
    def count(self) -> int:
        """Number of matches so far."""
        return len(self._older) + len(self._newer)

    @property
    def number(self) -> int:
        """Rank of the current match, the newest being 1; 0 if there is none."""
        return 0 if self.current is None else self._rank(self.current) + 1

    @property
    def is_complete(self) -> bool:
        """Whether all stored lines have been searched."""
        return self._low <= self._top() and self._high >= self.transcript.next_id

    @property
    def is_outdated(self) -> bool:
        """Whether lines were renumbered or posts edited: start a new search."""
        return self._version != _version(self.transcript)

    @property
    def is_renumbered(self) -> bool:
        """Whether the lines have new ids."""
        return self._version[0] != self.transcript.rebuild_count

    def search_some(self, enough: Callable[[], bool]) -> bool:
        """Search new lines, then further up, until `enough()`; returns whether all are searched."""
        self._drop_trimmed()
        while not self.is_complete:
            self._search_slice()
            if enough():
                break
        self._select_first()
        return self.is_complete

    def step(self, *, older: bool) -> int | None:
        """Go to the next match and return its line; wraps around at the ends."""
        if self.current is None or not self.count:
            return self.current
        rank = self._rank(self.current) + (1 if older else -1)
        if self.is_complete:
            rank %= self.count
        if 0 <= rank < self.count:
            self.current = self._at(rank)
        return self.current

    def _top(self) -> int:
        """The first line to search. A day line at the top is excluded: its id may be reused for a post."""
        chunks = self.transcript.chunks
        return self.transcript.first_id + bool(chunks and chunks[0].kinds[0] == LineKind.DAY)

    def _search_slice(self) -> None:
        if self._high < self.transcript.next_id:
            stop = min(self._high + _SLICE_LINES, self.transcript.next_id)
            self._newer += self._matches(self._high, stop)
            self._high = stop
        else:
            stop = max(self._low - _SLICE_LINES, self._top())
            self._older += reversed(self._matches(stop, self._low))
            self._low = stop

    def _matches(self, start: int, stop: int) -> list[int]:
        """Lines from `start` to before `stop` that match, ascending."""
        search = self.pattern.search
        found: list[int] = []
        for chunk in _chunks_between(self.transcript, start, stop):
            first_id = chunk.first_id
            lines = slice(max(0, start - first_id), min(len(chunk), stop - first_id))
            columns = zip(chunk.kinds[lines], chunk.texts[lines], chunk.senders[lines], strict=True)
            found += [
                line_id
                for line_id, (kind, text, sender) in enumerate(columns, first_id + lines.start)
                if kind in POSTS and (search(text) or self._names(sender))
            ]
        return found

    def _names(self, sender: str) -> bool:
        if sender not in self._named:
            self._named[sender] = self.pattern.search(sender) is not None
        return self._named[sender]

    def _drop_trimmed(self) -> None:
        first_id = self.transcript.first_id
        while self._older and self._older[-1] < first_id:
            self._older.pop()
        if self._newer and self._newer[0] < first_id:
            del self._newer[: bisect_left(self._newer, first_id)]
        # Posts prepended later may reuse the ids of trimmed lines.
        top = self._top()
        self._low, self._high, self._origin = (
            max(line_id, top) for line_id in (self._low, self._high, self._origin)
        )
        if self.current is not None and self.current < first_id:
            self.current = self._at(self.count - 1) if self.count else None

    def _select_first(self) -> None:
        if self.current is not None or not self.count:
            return
        at = bisect_left(self._older, -self._start_id, key=neg)
        if at < len(self._older):
            self.current = self._older[at]
        elif self.is_complete:
            self.current = self._at(0)

    def _rank(self, line_id: int) -> int:
        if line_id >= self._origin:
            return len(self._newer) - 1 - bisect_left(self._newer, line_id)
        return len(self._newer) + bisect_left(self._older, -line_id, key=neg)

    def _at(self, rank: int) -> int:
        newer = len(self._newer)
        return self._newer[newer - 1 - rank] if rank < newer else self._older[rank - newer]


def _chunks_between(transcript: Transcript, start: int, stop: int) -> list[Chunk]:
    """The chunks with the lines from `start` to before `stop`."""
    chunks = transcript.chunks
    first = max(0, bisect_left(chunks, start + 1, key=_first_id) - 1)
    return list(chunks[first : bisect_left(chunks, stop, key=_first_id)])


def _version(transcript: Transcript) -> tuple[int, int]:
    """Changes if lines that have been searched may have changed."""
    return transcript.rebuild_count, transcript.edited_count


def _first_id(chunk: Chunk) -> int:
    return chunk.first_id
