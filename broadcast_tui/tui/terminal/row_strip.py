"""Rows of the log as strips, whose cells are computed once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from rich.segment import Segment
from rich.style import Style
from textual.cache import FIFOCache
from textual.color import Color
from textual.filter import LineFilter
from textual.strip import Strip

from broadcast_tui.tui.terminal.cells import GlyphTable, Row

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


class _NoCache(FIFOCache[_Key, _Value]):
    """A cache that stores nothing."""

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
    """A strip without caches except for its rendered form; creating it takes a third of the time (measured).

    A Strip has seven caches, and one of them contains the strip itself, so only the garbage collector can
    free it. The log creates thousands of rows.
    """

    __slots__ = ("cells",)

    cells: tuple[GlyphTable, Row] | None
    """The cells of the strip, and the table that they are interned in; set when it is first written."""

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
        self.cells = None
