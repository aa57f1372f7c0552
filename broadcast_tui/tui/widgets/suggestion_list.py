"""The list of suggestions for the composer, as an overlay over the rows above it.

It covers at most half of the rows above, and is hidden if there are none.
"""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.content import Content
from textual.message import Message
from textual.visual import VisualType
from textual.widget import Widget

from broadcast_tui.tui.model.input.suggestions import Suggestion, Suggestions
from broadcast_tui.tui.model.text.wrapping import cells_of, clip

ROWS_MAX = 6


class SuggestionList(Widget):
    """A view of `Suggestions`. It must be the sibling right before the widget it is displayed above."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "suggestion--chosen",
        "suggestion--note",
        "suggestion--prompt",
    }

    DEFAULT_CSS = """
    SuggestionList {
        display: none;
        overlay: screen;
        width: 100%;
        height: auto;
        padding: 0 1;
        background: $panel;
        color: $foreground;
        .suggestion--chosen { background: $primary; color: $text; text-style: bold; }
        .suggestion--note { color: $text-muted; }
        .suggestion--prompt { color: $text-accent; text-style: bold; }
    }
    """

    class Chosen(Message):
        """The suggestion `index` was clicked."""

        def __init__(self, index: int) -> None:
            super().__init__()
            self.index = index

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.suggestions: Suggestions | None = None
        self.top: int | None = None
        """Row of the screen where the list begins; None while it is hidden."""
        self.above = 0
        """Rows of the screen above."""

    def show(self, suggestions: Suggestions | None, above: int) -> None:
        """Show suggestions; `above` is the number of rows above."""
        self.suggestions, self.above = suggestions, above
        count = self._row_count()
        self.display = count > 0
        if count:
            self.styles.offset = (0, -count)
            self.styles.height = count
            self.refresh()
        self.top = above - count if count else None

    def _row_count(self) -> int:
        if self.suggestions is None:
            return 0
        room = min(ROWS_MAX, self.above // 2)
        if self.suggestions.prompt:
            # Without its prompt, a search would take keys and nobody would see why.
            return min(1 + len(self.suggestions.rows), max(room, min(1, self.above)))
        return min(len(self.suggestions.rows), room)

    def _shown(self) -> range:
        """Indices of the displayed rows, from the top."""
        if self.suggestions is None:
            return range(0)
        return self.suggestions.window(self._row_count() - bool(self.suggestions.prompt))

    def render(self) -> VisualType:
        suggestions, width = self.suggestions, self.content_size.width
        if suggestions is None or width <= 0:
            return Content("")
        shown = self._shown()
        column = max((cells_of(suggestions.rows[i].label) for i in shown), default=0)
        rows = [self._row(suggestions.rows[i], i == suggestions.chosen, column, width) for i in shown]
        if shown and len(shown) < len(suggestions.rows) and not suggestions.prompt:
            rows[-1] = self._row_with_count(suggestions, shown, column, width)
        if suggestions.prompt:
            rows.append(self._prompt(suggestions, width, alone=not shown))
        return Content("\n").join(rows)

    def _row(self, suggestion: Suggestion, chosen: bool, column: int, width: int) -> Content:
        label = clip(suggestion.label, width)
        gap = " " * (min(column, width) - cells_of(label) + 2)
        room = width - cells_of(label) - len(gap)
        note = clip(suggestion.note, room) if suggestion.note and room > 0 else ""
        if chosen:
            blanks = " " * max(0, room - cells_of(note)) if note or room > 0 else ""
            return Content.styled(f"{label}{gap}{note}{blanks}", self.get_visual_style("suggestion--chosen"))
        return Content.assemble(label, (f"{gap}{note}", self.get_visual_style("suggestion--note")))

    def _row_with_count(self, suggestions: Suggestions, shown: range, column: int, width: int) -> Content:
        """The last row, with the numbers of the shown rows at its end if its label leaves room for them."""
        last = suggestions.rows[shown[-1]]
        is_chosen = shown[-1] == suggestions.chosen
        count = f"  {shown.start + 1}\u2013{shown.stop} of {len(suggestions.rows)}"
        room = width - cells_of(count)
        if room < cells_of(last.label):
            return self._row(last, is_chosen, column, width)
        row = self._row(last, is_chosen, column, room)
        style = self.get_visual_style("suggestion--chosen" if is_chosen else "suggestion--note")
        return Content.assemble(row, (" " * (room - row.cell_length) + count, style))

    def _prompt(self, suggestions: Suggestions, width: int, *, alone: bool) -> Content:
        state = suggestions.state
        if alone and suggestions.rows:
            state = suggestions.rows[suggestions.chosen].label
        prompt = clip(suggestions.prompt, width - 1)
        room = width - cells_of(prompt) - 3
        return Content.assemble(
            (prompt, self.get_visual_style("suggestion--prompt")),
            (" ", "reverse"),
            (f"  {clip(state, room)}" if room > 0 else "", self.get_visual_style("suggestion--note")),
        )

    async def _on_click(self, event: events.Click) -> None:
        event.stop()
        shown = self._shown()
        if 0 <= event.y < len(shown):
            self.post_message(self.Chosen(shown[event.y]))
