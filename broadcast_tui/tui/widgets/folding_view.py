"""A view of a transcript in which long posts are folded and lines about who came and went can be hidden.

What is on top of the view stays there when other rows are shown.
"""

from __future__ import annotations

from broadcast_tui.tui.model.showing import PresenceShown
from broadcast_tui.tui.model.transcript import Line, LineKind, Transcript
from broadcast_tui.tui.widgets.placed_view import PlacedView


class FoldingView(PlacedView):
    # For who derives from it

    def forget_rows(self) -> None:
        """Rows that are drawn and kept are to be drawn anew."""

    # What is shown

    @property
    def transcript(self) -> Transcript:
        return self.index.transcript

    def unfold_next(self) -> bool:
        """Show the lowest folded post in view in full, or else fold all in view; false if none is long."""
        top, height = round(self.scroll_y), self.container_size.height
        places = filter(None, (self.index.line_at(top + y) for y in range(height)))
        in_view = dict.fromkeys(place.line_id for place in places)
        long_ids = [line_id for line_id in in_view if self._is_long(line_id)]
        unfolded = self.index.showing.unfolded
        folded = [line_id for line_id in long_ids if line_id not in unfolded]
        self._toggle_folds(folded[-1:] or long_ids)
        return bool(long_ids)

    def unfold(self, line_id: int) -> None:
        """Show a post in full."""
        if line_id not in self.index.showing.unfolded:
            self._toggle_folds([line_id])

    def show_next_presence(self) -> PresenceShown:
        """Show more or fewer of the lines that say who came and went; returns which."""
        self.show_presence(self.index.showing.presence.next())
        return self.index.showing.presence

    def show_presence(self, choice: PresenceShown) -> None:
        """Show these of the lines that say who came and went."""
        self.index.showing.presence = choice
        self._recount(None)

    def _is_long(self, line_id: int) -> bool:
        line = self.transcript.line(line_id)
        if line is None or line.kind > LineKind.ACTION:
            return False
        return self.index.columns.lay(line.kind, line.sender, line.text).is_long

    def _toggle_folds(self, line_ids: list[int]) -> None:
        for line_id in line_ids:
            self.index.showing.toggle(line_id)
            self._recount(line_id)

    def _recount(self, line_id: int | None) -> None:
        """Other rows are shown, of a line or of all (None): what is on top of the view stays there."""
        place = self.place
        if place is None and line_id is not None and self.index.total > self.container_size.height:
            place = self.index.line_at(round(self.scroll_y))
        self.index.recount(line_id)
        self.forget_rows()
        self.place = place
        self.settle()
        if self.scroll_y >= self.max_scroll_y:
            self.place = None
            self.settle()
        self.refresh()
        self.place_changed()

    def fold_row(self, line_id: int) -> int:
        """Which row of a line says how much of it is folded; -1: none."""
        line = self.transcript.line(line_id)
        if line is None or line.kind > LineKind.ACTION:
            return -1
        folded = self.index.showing.folds(line_id)
        return self.index.columns.lay(line.kind, line.sender, line.text, folded=folded).fold_row

    def line_above(self, line_id: int) -> Line | None:
        """The nearest line above that is shown."""
        showing = self.index.showing
        above = self.transcript.line(line_id - 1)
        while above is not None and showing.shown_line(above) is None:
            above = self.transcript.line(above.id - 1)
        return above
