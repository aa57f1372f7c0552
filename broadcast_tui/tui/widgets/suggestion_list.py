"""What is offered while somebody writes, over the last rows of what is above: it moves nothing.

It takes at most half of the room above, and none where there is none.
"""

from __future__ import annotations

from dataclasses import dataclass
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
    """A view of `Suggestions`; it must stand right before what it belongs to."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"offers--chosen", "offers--note", "offers--prompt"}

    DEFAULT_CSS = """
    SuggestionList {
        display: none;
        overlay: screen;
        width: 100%;
        height: auto;
        padding: 0 1;
        background: $panel;
        color: $foreground;
        .offers--chosen { background: $primary; color: $text; text-style: bold; }
        .offers--note { color: $text-muted; }
        .offers--prompt { color: $text-accent; text-style: bold; }
    }
    """

    @dataclass
    class Chosen(Message):
        """Row `index` of what is offered was clicked."""

        index: int

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.offers: Suggestions | None = None
        self.above = 0
        """Rows of the screen that it may cover part of."""

    def show(self, offers: Suggestions | None, above: int) -> None:
        """Offer this; `above` is how many rows there are to cover."""
        self.offers, self.above = offers, above
        count = self._row_count()
        self.display = count > 0
        if count:
            self.styles.offset = (0, -count)
            self.styles.height = count
            self.refresh()

    def _row_count(self) -> int:
        if self.offers is None:
            return 0
        room = min(ROWS_MAX, self.above // 2)
        if self.offers.prompt:
            # Without its prompt a search would be a trap.
            return min(1 + len(self.offers.rows), max(room, min(1, self.above)))
        return min(len(self.offers.rows), room)

    def _shown(self) -> range:
        """Indices of the rows that are drawn, from the top."""
        if self.offers is None:
            return range(0)
        return self.offers.window(self._row_count() - bool(self.offers.prompt))

    def render(self) -> VisualType:
        offers, width = self.offers, self.content_size.width
        if offers is None or width <= 0:
            return Content("")
        shown = self._shown()
        column = max((cells_of(offers.rows[i].label) for i in shown), default=0)
        rows = [self._row(offers.rows[i], i == offers.chosen, column, width) for i in shown]
        if offers.prompt:
            rows.append(self._prompt(offers, width, alone=not shown))
        return Content("\n").join(rows)

    def _row(self, offer: Suggestion, chosen: bool, column: int, width: int) -> Content:
        label = clip(offer.label, width)
        gap = " " * (min(column, width) - cells_of(label) + 2)
        room = width - cells_of(label) - len(gap)
        note = clip(offer.note, room) if offer.note and room > 0 else ""
        if chosen:
            blanks = " " * max(0, room - cells_of(note)) if note or room > 0 else ""
            return Content.styled(f"{label}{gap}{note}{blanks}", self.get_visual_style("offers--chosen"))
        return Content.assemble(label, (f"{gap}{note}", self.get_visual_style("offers--note")))

    def _prompt(self, offers: Suggestions, width: int, *, alone: bool) -> Content:
        state = offers.state
        if alone and offers.rows:
            state = offers.rows[offers.chosen].label
        prompt = clip(offers.prompt, width - 1)
        room = width - cells_of(prompt) - 3
        return Content.assemble(
            (prompt, self.get_visual_style("offers--prompt")),
            (" ", "reverse"),
            (f"  {clip(state, room)}" if room > 0 else "", self.get_visual_style("offers--note")),
        )

    async def _on_click(self, event: events.Click) -> None:
        event.stop()
        shown = self._shown()
        if 0 <= event.y < len(shown):
            self.post_message(self.Chosen(shown[event.y]))
