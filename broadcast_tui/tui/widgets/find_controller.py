"""Incremental search in a log: find as you type, in slices that never delay a key."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

from textual.timer import Timer

from broadcast_tui.tui.model.transcript.find import FindState, pattern_of
from broadcast_tui.tui.model.transcript.row_index import RowAnchor
from broadcast_tui.tui.widgets.message_log import MessageLog

SLICE_S = 0.006
"""Longest time to search without a pause."""
SLICE_PAUSE_S = 0.006
UPDATE_PAUSE_S = 0.25
"""Pause between searches of new lines, once all others have been searched."""


class FindController:
    """Searches `log` for a query and picks the matches.

    Args:
        log: The log to search.
        show_count: Called with the position and the number of matches, as short text.
        finished: Called once after `finish`, with the line of the current match, or None without a match.
    """

    def __init__(
        self, log: MessageLog, show_count: Callable[[str], None], finished: Callable[[int | None], None]
    ) -> None:
        self._log = log
        self._show_count = show_count
        self._finished = finished
        self.state: FindState | None = None
        self.query = ""
        self.origin: RowAnchor | None = None
        """The position of the log before the search."""
        self._start_id = 0
        self._finishing = False
        """Whether Enter was pressed and there is no match yet."""
        self._next_slice: Timer | None = None

    def begin(self) -> None:
        """Start from the current position, without a query yet."""
        self.origin, self._start_id = self._log.top_anchor, self._log.navigator.last_line_in_view()
        self.query = ""

    def end(self) -> None:
        """Stop searching and remove the highlights of the matches."""
        if self._next_slice is not None:
            self._next_slice.stop()
        self.state, self._next_slice, self._finishing = None, None, False
        self._log.highlights.pattern = None

    def set_query(self, query: str) -> None:
        """Search for another text; a query without a pattern matches nothing."""
        if query == self.query:
            return
        self.query = query
        pattern = pattern_of(query)
        self._log.highlights.pattern = pattern
        self._log.pick(None)
        self.state = pattern and FindState(self._log.transcript, pattern, self._start_id)
        self.search_some()

    def finish(self) -> None:
        """Call `finished` as soon as there is a match or the search is complete."""
        self._finishing = True
        self.search_some()

    def step(self, *, older: bool) -> None:
        """Pick the next match."""
        if self.state is not None and self.state.is_outdated:
            self.search_some()
        if self.state is not None and self.state.step(older=older) is not None:
            self._log.pick(self.state.current)
            self._show_count(count_text(self.state))

    def search_some(self) -> None:
        """Search for `SLICE_S`, show the result so far, and schedule the next slice."""
        if self._next_slice is not None:
            self._next_slice.stop()
            self._next_slice = None
        state = self.state
        if state is None or state.transcript is not self._log.transcript:
            self.state = None
            self._show_count("")
            return
        before = None if state.is_renumbered else state.current
        if state.is_outdated:
            state = self.state = self._restarted(state)
        until = monotonic() + SLICE_S
        complete = state.search_some(lambda: monotonic() >= until)
        if state.current != before and (complete or state.current is not None):
            self._log.pick(state.current)
        self._show_count(count_text(state))
        if self._finishing and (complete or state.current is not None):
            self._finishing = False
            self._finished(state.current)
        if self.state is not None:
            pause_s = UPDATE_PAUSE_S if complete else SLICE_PAUSE_S
            self._next_slice = self._log.set_timer(pause_s, self.search_some)

    def _restarted(self, outdated: FindState) -> FindState:
        """The same search from the current match on: lines were renumbered, or posts edited."""
        log = self._log
        log.highlights.follow_renumbering()
        if outdated.is_renumbered:
            self.origin = None
        picked = log.highlights.picked
        self._start_id = log.transcript.next_id if picked is None else picked
        return FindState(log.transcript, outdated.pattern, self._start_id)


def count_text(state: FindState) -> str:
    """The progress of a search as short text: `3/17`."""
    if state.count:
        return f"{state.number:,}/{state.count:,}{'' if state.is_complete else '…'}"
    return "none · Enter asks the server" if state.is_complete else "…"
