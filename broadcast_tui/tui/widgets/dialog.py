"""The box of every dialog, with a title at the top left of its border and key hints at the bottom right.

Their style is in `dialogs.tcss`: the classes `dialog`, `dialog-field`, `dialog-list` and `dialog-note`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.app import App
from textual.await_complete import AwaitComplete
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen, ScreenResultType
from textual.strip import Strip
from textual.widgets import OptionList
from textual.widgets.option_list import Option

STYLES = Path(__file__).parents[1] / "dialogs.tcss"
SEPARATOR = " · "
FRAME_CELLS = 6
"""Cells of a border that its label cannot use: corners, lines and spaces."""


def load_dialog_styles(app: App[object]) -> None:
    """Load the style of dialogs, unless that has been done before."""
    if not app.stylesheet.has_source(str(STYLES)):
        app.stylesheet.add_source(STYLES.read_text("utf-8"), (str(STYLES), ""))


class DialogScreen(ModalScreen[ScreenResultType]):
    """A screen over the chat. Dismissing it a second time does nothing.

    In Textual 8.2, that would close the screen below: two Enter in one read select an entry of a list twice.
    """

    def dismiss(self, result: ScreenResultType | None = None) -> AwaitComplete:
        return super().dismiss(result) if self.is_active else AwaitComplete()


class Dialog(VerticalScroll):
    """The box of a dialog. Its content scrolls if the terminal is too small.

    Args:
        title: Title; safe to draw.
        hints: Keys and what they do, such as `Esc Close`, the most important last. Those that do not fit are
            left out as a whole, the first one first.
        id: Id of the box.
        page: Whether the box itself has the focus, so that keys scroll it.
        classes: More classes for the style sheet.
    """

    def __init__(
        self, title: str, hints: Sequence[str] = (), *, id: str, page: bool = False, classes: str = ""
    ) -> None:
        super().__init__(id=id, classes=f"dialog {classes}".rstrip(), can_focus=page)
        load_dialog_styles(self.app)
        self.border_title = Content(title)
        self._hints = tuple(hints)

    def set_hints(self, *hints: str) -> None:
        """Show other hints."""
        if hints != self._hints:
            self._hints = hints
            self._show_hints(self.outer_size.width)

    def on_resize(self, event: events.Resize) -> None:
        self._show_hints(self.outer_size.width)

    def _show_hints(self, width: int) -> None:
        self.border_subtitle = Content(fitting_hints(self._hints, width - FRAME_CELLS))


class DialogList(OptionList):
    """A list in a dialog. The highlighted row has two colors only, so that all of it can be read.

    Args:
        options: The rows, if they are known.
        id: Id of the list.
        focusable: Whether it can have the focus; otherwise the keys come from an input.
        classes: More classes for the style sheet.
    """

    def __init__(self, *options: Option, id: str, focusable: bool = True, classes: str = "") -> None:
        classes = f"dialog-list {classes}".rstrip()
        super().__init__(*options, id=id, classes=classes, compact=True, markup=False)
        self.can_focus = focusable

    def render_line(self, y: int) -> Strip:
        """A row; the colors of names and notes would be unreadable on the background of the highlight."""
        strip = super().render_line(y)
        highlight = self.get_visual_style("option-list--option-highlighted").rich_style
        segments = list(strip)
        if not segments or segments[-1].style is None or segments[-1].style.bgcolor != highlight.bgcolor:
            return strip
        colors = Style(color=highlight.color, bgcolor=highlight.bgcolor, dim=False)
        return Strip([Segment(text, (style or highlight) + colors) for text, style, _ in segments])


def fitting_hints(hints: Sequence[str], cells: int) -> str:
    """The last of `hints` that fit into `cells` together."""
    for first in range(len(hints)):
        text = SEPARATOR.join(hints[first:])
        if cell_len(text) <= cells:
            return text
    return ""
