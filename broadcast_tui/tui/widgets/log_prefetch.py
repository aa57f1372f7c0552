"""Renders the pages beside the view in advance: who scrolls will scroll on."""

from __future__ import annotations

from time import monotonic

from broadcast_tui.tui.widgets.anchored_scroll_view import SLICE_S, AnchoredScrollView
from broadcast_tui.tui.widgets.log_rows import CACHED_LINES, LogRows

PAUSE_S = 0.02
"""Time after scrolling, and between two slices, for everything else."""


class LogPrefetch:
    """Renders the page above `view`, then the one below it, into the cache `rows`."""

    def __init__(self, view: AnchoredScrollView, rows: LogRows) -> None:
        self._view = view
        self._rows = rows
        self._is_scheduled = False

    def start(self) -> None:
        """Render the pages in slices, as soon as nothing else happens."""
        if not self._is_scheduled:
            self._is_scheduled = True
            self._view.set_timer(PAUSE_S, self._render_slice)

    def _render_slice(self) -> None:
        self._is_scheduled = False
        height, top = self._view.container_size.height, round(self._view.scroll_y)
        if 3 * height > CACHED_LINES:
            return
        until = monotonic() + SLICE_S
        rows = (*range(top - 1, top - 1 - height, -1), *range(top + height, top + 2 * height))
        if not self._rows.prepare(self._view.index, rows, lambda: monotonic() >= until):
            self.start()
