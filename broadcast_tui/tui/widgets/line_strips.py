"""Draws one line of a transcript as strips, one a row, ready for the compositor.

What the gutter shows says what a line is, and nothing that people write can get there:

    HH:MM and name   of a post; left blank where the post above has the same
    │                a post; ┃ one that mentions us; … ours, on its way; ⚠ ours, refused
    ── and ⚠         a line of the system, an error
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from functools import lru_cache
from typing import TypeVar

from rich.cells import set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.cache import FIFOCache
from textual.color import Color
from textual.filter import LineFilter
from textual.strip import Strip

from broadcast_tui.tui.model.colour import colour_index
from broadcast_tui.tui.model.columns import Columns
from broadcast_tui.tui.model.transcript import Line, LineKind, Mark
from broadcast_tui.tui.model.wrapping import cells_of, clip, wrap

_URL = re.compile(r"https?://[^\s<>\"]*[^\s<>\".,:;!?'()\[\]{}]")

Run = tuple[int, int, Style]
"""Characters from the first to before the second look so."""


@dataclass(frozen=True, slots=True)
class LogStyles:
    """How the parts of a row look; each style carries the background it stands on."""

    text: Style
    time: Style
    rule: Style
    system: Style
    error: Style
    day: Style
    own: Style
    pending: Style
    mention: Style
    mention_mark: Style
    names: tuple[Style, ...]
    """The palette, by `colour_index`."""
    link: Style
    """Put over the style of the text around it."""


_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


class _NoCache(FIFOCache[_Key, _Value]):
    """Remembers nothing."""

    __slots__ = ()

    def set(self, key: _Key, value: _Value) -> None:
        pass

    __setitem__ = set


_NO_DIVIDES: FIFOCache[tuple[int, ...], list[Strip]] = _NoCache(1)
_NO_STYLES: FIFOCache[Style, Strip] = _NoCache(1)
_NO_FILTERS: FIFOCache[tuple[LineFilter, Color], Strip] = _NoCache(1)
_NO_LENGTHS: FIFOCache[tuple[int, Style | None], Strip] = _NoCache(1)
_NO_CROPS: FIFOCache[tuple[int, int], Strip] = _NoCache(1)
_NO_EXTENTS: FIFOCache[tuple[int, int, Style | None], Strip] = _NoCache(1)


class RowStrip(Strip):
    """A strip that caches nothing but what it renders to: three times cheaper to make (measured).

    The caches of a Strip are seven dicts, and one of them holds the strip itself, so that only the
    garbage collector frees it; rows of the log are made by the thousand.
    """

    __slots__ = ()

    def __init__(self, segments: Iterable[Segment], cell_length: int | None = None) -> None:
        self._segments = list(segments)
        self._cell_length = cell_length
        self._divide_cache = _NO_DIVIDES
        self._crop_cache = _NO_CROPS
        self._style_cache = _NO_STYLES
        self._filter_cache = _NO_FILTERS
        self._line_length_cache = _NO_LENGTHS
        self._crop_extend_cache = _NO_EXTENTS
        self._offsets_cache = _NO_CROPS
        self._render_cache = None
        self._link_ids = None
        self._cell_count = None


class LinePainter:
    """Draws lines at one width, in one set of styles."""

    def __init__(
        self,
        columns: Columns,
        styles: LogStyles,
        zone: tzinfo | None,
        filters: Sequence[LineFilter] = (),
        background: Color | None = None,
    ) -> None:
        """`filters` (no colours, dimming…) are applied here, once a row, against `background`."""
        self.columns = columns
        self._styles = styles
        self._zone = zone
        self._filters = filters
        self._background = background or Color(0, 0, 0)
        self.blank = self._strip([Segment(" " * columns.width, styles.text)])

    def paint(self, line: Line, above: Line | None) -> list[Strip]:
        """The rows of `line`, as many as `Columns.count_rows` says; `above` is the line before it."""
        if line.kind is LineKind.DAY:
            return [self.titled_rule(line.text, self._styles.day)]
        label = self.columns.label(line.kind, line.sender)
        text = label + self.columns.body(line.text)
        base = self._text_style(line)
        runs: list[Run] = []
        if label:
            runs.append((0, len(label), self._label_style(line)))
        if "://" in line.text:
            link = base + self._styles.link
            runs += [(match.start(), match.end(), link) for match in _URL.finditer(text, len(label))]
        gutter = self._first_gutter(line, above)
        rows: list[Strip] = []
        for start, end in wrap(text, self.columns.text):
            rows.append(self._strip(gutter + self._text_segments(text, start, end, runs, base)))
            if len(rows) == 1:
                gutter = self._next_gutter(line)
        return rows

    def titled_rule(self, title: str, style: Style) -> Strip:
        """A row that is a rule with `title` in its middle."""
        return self._strip([Segment(self._rule_row(title), style)])

    def with_badge(self, row: Strip, text: str, style: Style) -> Strip:
        """`row` with `text` over its right end."""
        width = self.columns.width
        badge = clip(text, width)
        start = max(0, width - cells_of(badge) - self.columns.padding)
        end = start + cells_of(badge)
        middle = self._strip([Segment(badge, style)], cells_of(badge))
        return Strip.join([row.crop(0, start), middle, row.crop(end, width)])

    def _strip(self, segments: list[Segment], cells: int | None = None) -> Strip:
        for line_filter in self._filters:
            segments = line_filter.apply(segments, self._background)
        return RowStrip(segments, self.columns.width if cells is None else cells)

    def _rule_row(self, title: str) -> str:
        width = self.columns.width
        title = clip(f" {title} ", width)
        rule = width - cells_of(title)
        return "─" * (rule // 2) + title + "─" * (rule - rule // 2)

    def _text_style(self, line: Line) -> Style:
        styles = self._styles
        if line.kind is LineKind.SYSTEM:
            return styles.system
        if line.kind is LineKind.ERROR:
            return styles.error
        if line.mark in (Mark.PENDING, Mark.REFUSED):
            return styles.pending
        return styles.mention if line.mention else styles.text

    def _name_style(self, line: Line) -> Style:
        return self._styles.own if line.own else self._styles.names[_cached_index(line.sender)]

    def _label_style(self, line: Line) -> Style:
        """A name among the text: on the background of the text."""
        return self._name_style(line) + Style(bgcolor=self._text_style(line).bgcolor)

    def _first_gutter(self, line: Line, above: Line | None) -> list[Segment]:
        columns, styles = self.columns, self._styles
        same_minute = above is not None and above.at // 60 == line.at // 60 and above.kind is not LineKind.DAY
        time = "" if same_minute else f"{datetime.fromtimestamp(line.at, self._zone):%H:%M}"
        sign, sign_style = self._sign(line)
        if not columns.time:
            return [Segment(sign.strip()[:1].ljust(columns.mark)[: columns.mark], sign_style)]
        if not columns.name:
            if line.mention:
                return [Segment(f"{time:5}", styles.time), Segment("┃", sign_style)]
            if sign.strip() != "│":
                return [Segment(f"{sign.strip():>5} ", sign_style)]
            return [Segment(f"{time:5} ", styles.time)]
        segments = [Segment(f"{'':{columns.margin}}{time:{columns.time}}", styles.time)]
        name = ""
        if line.kind is LineKind.ACTION:
            name = "*"
        elif line.kind is LineKind.POST and not (
            same_minute and above and above.kind is LineKind.POST and above.sender == line.sender
        ):
            name = clip(line.sender, columns.name)
        blanks = " " * (columns.name - cells_of(name))
        segments.append(Segment(blanks + name, self._name_style(line) if name else styles.text))
        segments.append(Segment(sign, sign_style))
        return segments

    def _next_gutter(self, line: Line) -> list[Segment]:
        """What is left of the further rows of a line."""
        columns, styles = self.columns, self._styles
        if not columns.name or line.kind in (LineKind.SYSTEM, LineKind.ERROR):
            return [Segment(" " * columns.gutter, styles.text)]
        sign, style = (" ┃ ", styles.mention_mark) if line.mention else (" │ ", styles.rule)
        return [Segment(" " * (columns.gutter - columns.mark), styles.text), Segment(sign, style)]

    def _sign(self, line: Line) -> tuple[str, Style]:
        """What the three cells before the text show on the first row."""
        styles = self._styles
        if line.kind is LineKind.SYSTEM:
            return "── ", styles.system
        if line.kind is LineKind.ERROR or line.mark is Mark.REFUSED:
            return " ⚠ ", styles.error
        if line.mark is Mark.PENDING:
            return " … ", styles.pending
        return (" ┃ ", styles.mention_mark) if line.mention else (" │ ", styles.rule)

    def _text_segments(
        self, text: str, start: int, end: int, runs: Sequence[Run], base: Style
    ) -> list[Segment]:
        """One row of the text column, padded to the row's end."""
        row = text[start:end]
        cells = cells_of(row)
        room = self.columns.text
        if cells > room:
            return [Segment(set_cell_size(row, room), base)]
        blanks = " " * (room - cells + self.columns.padding)
        if not runs:
            return [Segment(row + blanks, base)]
        segments: list[Segment] = []
        for run_start, run_end, style in runs:
            stop = min(run_end, end)
            if stop <= start:
                continue
            if run_start > start:
                segments.append(Segment(text[start : min(run_start, end)], base))
            if stop > run_start:
                segments.append(Segment(text[max(start, run_start) : stop], style))
            start = max(start, stop)
        segments.append(Segment(text[start:end] + blanks, base))
        return segments


@lru_cache(maxsize=1024)
def _cached_index(name: str) -> int:
    return colour_index(name)
