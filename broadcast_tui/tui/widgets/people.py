"""Who is here: a list of names beside the log, in the colours that the names have there."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from broadcast_tui.tui.model.colour import colour_index, palette


class People(VerticalScroll, can_focus=False):
    """A view of the names in a room; above the number that is listed it shows the count alone."""

    DEFAULT_CSS = """
    People {
        width: 22;
        padding: 0 1;
        scrollbar-size-vertical: 1;
        & > Static { width: 1fr; text-wrap: nowrap; text-overflow: ellipsis; }
        & > #people-heading { color: $text-muted; margin-bottom: 1; }
    }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._names: tuple[str, ...] | None = ()
        self._online = 0
        self._own = ""

    def compose(self) -> ComposeResult:
        yield Static(id="people-heading", markup=False)
        yield Static(id="people-names", markup=False)

    def on_mount(self) -> None:
        self.watch(self.app, "theme", self._draw, init=False)
        self._draw()

    def show(self, names: Sequence[str] | None, online: int, own: str) -> None:
        """Show `names` (safe to draw, in order; None: unknown) of `online` people; `own` is one of them."""
        shown = None if names is None else tuple(names)
        if (shown, online, own) != (self._names, self._online, self._own):
            self._names, self._online, self._own = shown, online, own
            self._draw()

    def _draw(self) -> None:
        if not self.is_mounted:
            return
        colours = palette(self.background_colors[1].rgb)
        names = self._names or ()
        lines = [
            Content.assemble(
                (name, colours[colour_index(name)]), (" (you)" if name == self._own else "", "dim")
            )
            for name in names
        ]
        heading = f"{self._online:,} here" if self._online else "Nobody here"
        self.query_one("#people-heading", Static).update(Content(heading), layout=False)
        listing = self.query_one("#people-names", Static)
        listing.update(Content("\n").join(lines) if lines else Content(""))
