"""The scrollbar of a log, rendered in one go.

Textual 8.2 renders its rows one by one through a cache for borders and padding, which takes half as long as
the rows of the log beside it. A vertical scrollbar has neither, and at most five different cells.
"""

from __future__ import annotations

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.scrollbar import ScrollBar, ScrollBarRender
from textual.strip import Strip
from textual.widget import Widget

from broadcast_tui.tui.terminal.row_strip import RowStrip


class LogScrollBar(ScrollBar):
    """A vertical scrollbar without border and padding."""

    def render_lines(self, crop: Region) -> list[Strip]:
        bar = self.render()
        assert isinstance(bar, ScrollBarRender)
        assert isinstance(bar.style, Style)
        assert bar.style.color is not None
        assert bar.style.bgcolor is not None
        rows = bar.render_bar(
            size=self.size.height,
            virtual_size=bar.virtual_size,
            window_size=bar.window_size,
            position=bar.position,
            thickness=bar.thickness,
            back_color=bar.style.bgcolor,
            bar_color=bar.style.color,
        ).segments
        background, ground = self.background_colors[1], self.visual_style.rich_style
        strips: dict[object, Strip] = {}
        for cell in set(rows):
            strip: Strip = RowStrip(Segment.apply_style([cell], ground), bar.thickness)
            for line_filter in self.get_line_filters():
                strip = strip.apply_filter(line_filter, background)
            strips[cell] = strip
        return [strips[row] for row in rows[crop.y : crop.bottom]]


def log_scrollbar(view: Widget) -> ScrollBar:
    """The vertical scrollbar of `view`, which is created when it is needed, as Textual creates its own."""
    if view._vertical_scrollbar is None:
        view._vertical_scrollbar = bar = LogScrollBar(name="vertical", thickness=view.scrollbar_size_vertical)
        bar.display = False
        view.app._start_widget(view, bar)
    return view._vertical_scrollbar
