"""What a log draws over its first and last row: where the view is, and what is below it.

The first row shows when and by whom its post was written, even if the post began above. While the log is
scrolled up, the first row also has the day, and the last row says how to get to the newest post.
"""

from __future__ import annotations

from collections.abc import Callable

from textual.geometry import Region
from textual.strip import Strip

from broadcast_tui.tui.keymap import active_key
from broadcast_tui.tui.model.transcript.calendar import day_of
from broadcast_tui.tui.model.transcript.chunks import Line, LineKind
from broadcast_tui.tui.widgets.anchored_scroll_view import AnchoredScrollView
from broadcast_tui.tui.widgets.line_renderer import LineRenderer


class LogEdges:
    """The first and last row of `view`; `unseen` returns the number of new posts below it."""

    def __init__(self, view: AnchoredScrollView, unseen: Callable[[], int]) -> None:
        self._view = view
        self._unseen = unseen
        self._covered = 0
        """Rows at the end of the view that something else covers."""

    def cover(self, top: int | None) -> None:
        """Keep the badge above row `top` of the screen; None: nothing covers the view."""
        covered = 0 if top is None else max(0, self._view.region.bottom - top)
        if covered != self._covered:
            self._covered = covered
            self._view.refresh()

    @property
    def _badge_row(self) -> int:
        return self._view.container_size.height - 1 - self._covered

    @property
    def badge(self) -> str:
        """What is below the view; empty at the end."""
        if self._view.is_following:
            return ""
        if unseen := self._unseen():
            return f" ↓ {unseen:,} new "
        key = active_key(self._view.app, "log.go-bottom")
        return f" ↓ {key} Latest " if key else " ↓ Latest "

    def is_badge(self, x: int, y: int) -> bool:
        """Whether the badge is at a cell of the view."""
        badge = self.badge
        return bool(badge) and y == self._badge_row and x >= self._view.index.columns.width - len(badge) - 1

    def with_head(self, row: Strip, renderer: LineRenderer) -> Strip:
        """The first row, which begins with time and sender."""
        line = self._first_line()
        return row if line is None else renderer.with_head(row, line)

    def draw(self, rows: list[Strip], crop: Region, renderer: LineRenderer) -> None:
        """Draw the day and the badge over `rows`, which are those of `crop`."""
        badge, last = self.badge, self._badge_row
        if not badge:
            return
        line = self._first_line()
        if crop.y == 0 and last > 0 and line is not None and line.kind is not LineKind.DAY:
            day = f" {day_of(line.at, self._view.index.transcript.zone)} "
            rows[0] = renderer.with_badge(rows[0], day, renderer.styles.date)
        if crop.y <= last < crop.bottom:
            style = renderer.styles.badge if self._unseen() else renderer.styles.date
            rows[last - crop.y] = renderer.with_badge(rows[last - crop.y], badge, style)

    def _first_line(self) -> Line | None:
        """The line in the first row; None if that is blank or the unread line."""
        index = self._view.index
        anchor = index.anchor_at(round(self._view.scroll_y))
        if anchor is None or index.text_row(anchor) < 0:
            return None
        return index.transcript.line(anchor.line_id)
