"""The rows of a log as strips, rendered once per line and cached."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from textual.strip import Strip

from broadcast_tui.tui.model.transcript.row_index import RowIndex
from broadcast_tui.tui.widgets.line_renderer import LineRenderer

CACHED_LINES = 256
"""A few screens. Strips are most of what the garbage collector has to traverse."""


UNREAD_TITLE = "new"


class LogRows:
    """Cache of rendered lines. A row that has only scrolled is not rendered again.

    Args:
        make_renderer: Makes the renderer; called again after `reset`.
    """

    def __init__(self, make_renderer: Callable[[], LineRenderer]) -> None:
        self._make_renderer = make_renderer
        self._renderer: LineRenderer | None = None
        self.own_name = ""
        """Name of the user, whose votes are highlighted; set by `set_own_name`."""
        self._joined: frozenset[str] = frozenset()
        self._known: Collection[str] = ()
        self._strips: dict[int, list[Strip]] = {}
        """Rendered lines by id, oldest rendering first."""

    def __len__(self) -> int:
        """The number of cached lines."""
        return len(self._strips)

    @property
    def renderer(self) -> LineRenderer:
        if self._renderer is None:
            self._renderer = self._make_renderer()
        return self._renderer

    def reset(self) -> None:
        """Drop the renderer too: styles, width or transcript have changed."""
        self._renderer = None
        self._strips.clear()

    def set_own_name(self, name: str) -> bool:
        """Highlight the votes of another user; returns whether rows have changed."""
        if name == self.own_name:
            return False
        self.own_name = name
        self.reset()
        return True

    def set_rooms(self, joined: Iterable[str], known: Collection[str]) -> bool:
        """Link to the rooms with these names; returns whether rows may have changed.

        `known` is the same object while it is unchanged: comparing thousands of names would take too long.
        """
        before = self._joined, self._known
        self._joined, self._known = frozenset(joined), known
        if self._joined == before[0] and known is before[1]:
            return False
        self.clear()
        return True

    def is_room(self, name: str) -> bool:
        """Whether `#name` in a text is a link to a room."""
        return name in self._joined or name in self._known

    def clear(self) -> None:
        """Drop all rendered lines."""
        self._strips.clear()

    def drop(self, line_ids: Iterable[int | None]) -> None:
        """Drop some rendered lines."""
        for line_id in line_ids:
            if line_id is not None:
                self._strips.pop(line_id, None)

    def drop_from(self, line_id: int) -> None:
        """Drop the rendered lines from `line_id` on."""
        self.drop([cached_id for cached_id in self._strips if cached_id >= line_id])

    def prepare(self, index: RowIndex, rows: Iterable[int], enough: Callable[[], bool]) -> bool:
        """Render the lines of `rows` that are not cached, until `enough()`; returns whether all are."""
        for y in rows:
            anchor = index.anchor_at(y)
            if anchor is None or anchor.line_id in self._strips:
                continue
            if enough():
                return False
            self.strip(index, y)
        return True

    def strip(self, index: RowIndex, y: int) -> Strip:
        """Row `y` of the index; blank below the last line."""
        renderer = self.renderer
        anchor = index.anchor_at(y)
        if anchor is None:
            return renderer.blank
        text_row = index.text_row(anchor)
        if text_row < 0:
            return renderer.titled_rule(_unread_title(index), renderer.styles.unread)
        rows = self._strips.get(anchor.line_id)
        if rows is None:
            line = index.transcript.line(anchor.line_id)
            if line is None:
                return renderer.blank
            while len(self._strips) >= CACHED_LINES:
                del self._strips[next(iter(self._strips))]
            is_ruled = anchor.line_id == index.unread_line_id
            rows = renderer.render(line, None if is_ruled else index.line_above(anchor.line_id))
            self._strips[anchor.line_id] = rows
        return rows[text_row] if text_row < len(rows) else renderer.blank


def _unread_title(index: RowIndex) -> str:
    above = index.transcript.unloaded_count
    return f"{above:,} older unread above" if above else UNREAD_TITLE
