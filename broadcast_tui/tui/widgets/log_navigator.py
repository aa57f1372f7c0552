"""Scrolls a log to lines, posts and mentions."""

from __future__ import annotations

from collections.abc import Callable

from broadcast_tui.tui.model.transcript.navigation import next_mention, post_from, post_near
from broadcast_tui.tui.model.transcript.row_index import RowAnchor
from broadcast_tui.tui.widgets.anchored_scroll_view import AnchoredScrollView

_ANY_ROW = 2**31
"""More rows than a line has: stands for its last row."""


class LogNavigator:
    """Moves `view` to a line.

    Args:
        view: The log.
        sync: Brings the index of the log up to date with its transcript.
    """

    def __init__(self, view: AnchoredScrollView, sync: Callable[[], None]) -> None:
        self._view = view
        self._sync = sync
        self._last_mention: tuple[int, tuple[RowAnchor | None, int]] | None = None
        """The line of the last mention shown, and the position of the log right after."""

    def reset(self) -> None:
        """Forget the last mention: another transcript is shown."""
        self._last_mention = None

    # Positions

    def last_line_in_view(self) -> int:
        """Id of the line at the bottom of the view."""
        view = self._view
        anchor = view.index.anchor_at(round(view.scroll_y) + view.container_size.height - 1)
        return view.index.transcript.next_id - 1 if anchor is None else anchor.line_id

    def newest_post_in_view(self) -> int | None:
        """The last post in view, or else the nearest one above or below."""
        return post_near(self._view.index.transcript, self.last_line_in_view())

    def post_one_page_from(self, line_id: int, step: int) -> int | None:
        """The post about one page above (`step` -1) or below (1) a line."""
        view = self._view
        row = view.index.row_of(RowAnchor(line_id, 0)) + step * max(1, view.container_size.height - 2)
        anchor = view.index.measure_anchor(row)
        if anchor is None:
            return None
        transcript = view.index.transcript
        beyond = post_from(transcript, anchor.line_id, step)
        return post_from(transcript, anchor.line_id, -step) if beyond is None else beyond

    # Moves

    def go_to(self, anchor: RowAnchor | None) -> None:
        """Scroll to an anchor; None: to the end, which the log then follows."""
        view = self._view
        view.top_anchor = anchor
        if anchor is None:
            self._sync()
            view.refresh()
            return
        view.scroll_to_anchor()
        if view.scroll_y >= view.max_scroll_y:
            view.top_anchor = None
        view.refresh()
        view.anchor_changed()

    def go_to_line(self, line_id: int, rows_above: int = 0) -> None:
        """Put a line at the top, below `rows_above` other rows, if there are enough lines below it."""
        self._sync()
        view, anchor = self._view, RowAnchor(line_id, 0)
        view.index.measure_around(anchor, 2 * view.container_size.height)
        view.scroll_to_anchor()
        view.scroll_to_row(max(0, view.index.row_of(anchor) - rows_above))

    def go_to_unread_line(self) -> bool:
        """Scroll to the unread line; false if there is none, it is in view or it is above the view."""
        self._sync()
        view = self._view
        transcript, height = view.index.transcript, view.container_size.height
        unread_line_id = transcript.unread_line_id
        if unread_line_id is None or unread_line_id < transcript.first_id or height <= 0:
            return False
        if view.top_anchor is not None and view.top_anchor.line_id >= unread_line_id:
            return False
        top = round(view.scroll_y)
        if top <= view.index.row_of(RowAnchor(unread_line_id, 0)) < top + height:
            return False
        self.go_to_line(unread_line_id)
        return True

    def go_to_mention(self, *, back: bool) -> bool | None:
        """Go to the mention before or after the last one shown, or else before or after the top row.

        Returns whether the search wrapped around to the other end; None without any mention.
        """
        self._sync()
        view = self._view
        transcript = view.index.transcript
        top = view.index.measure_anchor(round(view.scroll_y))
        line_id = transcript.next_id if top is None else top.line_id
        if self._last_mention is not None and self._last_mention[1] == self._position():
            line_id = self._last_mention[0]
        mention = next_mention(transcript, line_id, back=back)
        if mention is None:
            return None
        self.go_to_line(mention.line_id, view.container_size.height // 3)
        self._last_mention = (mention.line_id, self._position())
        return mention.wrapped

    def bring_into_view(self, line_id: int, *, match_row: int = 0, least: bool = False) -> None:
        """Scroll, unless the whole line is in view, so that its first row is a third from the top.

        Args:
            match_row: Row of the line to show if the line is taller than the view.
            least: Scroll no more rows than necessary.
        """
        view, height = self._view, self._view.container_size.height
        index = view.index
        index.update()
        index.measure_around(RowAnchor(line_id, 0), 2 * height)
        view.scroll_to_anchor()  # measured lines above the view have other rows
        first, last = (index.row_of(RowAnchor(line_id, row)) for row in (0, _ANY_ROW))
        top = round(view.scroll_y)
        if height <= 0 or top <= first <= last < top + height:
            return
        if last - first < height:
            room = height - (last - first + 1)
            above = min(height // 3, room) if not least else 0 if first < top else room
            self.go_to(index.measure_anchor(first - above))
        else:
            self.go_to(index.measure_anchor(first + max(0, match_row - height // 3)))

    def _position(self) -> tuple[RowAnchor | None, int]:
        """The position of the log; at the end it changes with each new line."""
        anchor = self._view.top_anchor
        return anchor, self._view.index.transcript.next_id if anchor is None else 0
