"""What of a log is shown: long posts in full or folded, reactions, join and leave lines, and its columns."""

from __future__ import annotations

from collections.abc import Callable

from broadcast_tui.tui.model.transcript.layout import PresenceShown, RowLayout
from broadcast_tui.tui.model.transcript.log_options import LogOptions
from broadcast_tui.tui.widgets.anchored_scroll_view import AnchoredScrollView


class LogFolding:
    """Changes which rows of `view` are visible; the row at the top of the view stays there.

    Args:
        view: The log.
        rows_changed: Called when rendered rows are outdated.
    """

    def __init__(self, view: AnchoredScrollView, rows_changed: Callable[[], None]) -> None:
        self._view = view
        self._rows_changed = rows_changed
        self.options = LogOptions()
        """Time, names and markup as the user has chosen; see `MessageLog.set_bare`."""

    def layout(self, width: int, name_cells: int, height: int) -> RowLayout:
        """The usual layout, with the options of the user; see `RowLayout.of_width`."""
        return RowLayout.of_width(width, name_cells, height).with_options(self.options)

    def unfold_next(self) -> bool:
        """Unfold the lowest folded post in view, or fold all if none is folded; false without long posts."""
        view = self._view
        top, height = round(view.scroll_y), view.container_size.height
        anchors = filter(None, (view.index.anchor_at(top + y) for y in range(height)))
        in_view = dict.fromkeys(anchor.line_id for anchor in anchors)
        long_ids = [line_id for line_id in in_view if view.index.is_long(line_id)]
        folded = [line_id for line_id in long_ids if view.index.visibility.folds(line_id)]
        for line_id in folded[-1:] or long_ids:
            self._toggle(line_id)
        return bool(long_ids)

    def unfold(self, line_id: int) -> None:
        """Show a post in full."""
        if self._view.index.visibility.folds(line_id):
            self._toggle(line_id)

    def show_presence(self, choice: PresenceShown) -> None:
        """Show the join and leave lines that `choice` selects."""
        self._view.index.visibility.presence = choice
        self._recount(None)

    def show_reactions(self, shown: bool) -> None:
        """Show the reactions to posts, or hide them."""
        if shown != self._view.index.visibility.reactions:
            self._view.index.visibility.reactions = shown
            self._recount(None)

    def fold_long_posts(self, fold: bool) -> None:
        """Fold long posts, or show them in full."""
        visibility = self._view.index.visibility
        if fold != visibility.folding:
            visibility.folding = fold
            visibility.unfolded.clear()
            self._recount(None)

    def _toggle(self, line_id: int) -> None:
        self._view.index.visibility.toggle(line_id)
        self._recount(line_id)

    def _recount(self, line_id: int | None) -> None:
        """Count the rows of one line, or of all (None), again; the top of the view stays in place."""
        view = self._view
        anchor = view.top_anchor
        if anchor is None and line_id is not None and view.index.total > view.container_size.height:
            anchor = view.index.anchor_at(round(view.scroll_y))
        view.index.recount(line_id)
        self._rows_changed()
        view.top_anchor = anchor
        view.scroll_to_anchor()
        if view.scroll_y >= view.max_scroll_y:
            view.top_anchor = None
            view.scroll_to_anchor()
        view.refresh()
        view.anchor_changed()
