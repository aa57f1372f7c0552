"""Every key and every command on one page, made from their tables."""

from __future__ import annotations

from typing import ClassVar

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from broadcast_tui.tui.keymap import key_help
from broadcast_tui.tui.model.slash import COMMANDS


def help_sections() -> list[tuple[str, list[tuple[str, str]]]]:
    """Headings with rows of (what to press or type, what it does): commands first, then keys by area."""
    commands = [(command.usage, command.help) for command in COMMANDS]
    return [("Commands", [*commands, ("//text", "Send text that begins with a slash")]), *key_help()]


def help_text() -> Content:
    """The page, the first column as wide as its widest entry."""
    sections = help_sections()
    width = max(cell_len(what) for _, rows in sections for what, _ in rows) + 2
    lines: list[Content] = []
    for heading, rows in sections:
        lines += (
            [Content(""), Content.styled(heading, "bold $text-accent")]
            if lines
            else [Content.styled(heading, "bold $text-accent")]
        )
        lines += [Content.assemble((what.ljust(width), "bold"), does) for what, does in rows]
    return Content("\n").join(lines)


class HelpScreen(ModalScreen[None]):
    """Closed by Esc, F1 or q."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,f1,q,ctrl+c", "dismiss", "Close", show=False),
        Binding("up,k", "scroll(-1)", "Up", show=False),
        Binding("down,j", "scroll(1)", "Down", show=False),
    ]

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="help"):
            yield Static(help_text())

    def on_mount(self) -> None:
        page = self.query_one("#help")
        page.border_title = "Help"
        page.border_subtitle = "Esc closes"
        page.focus()

    def action_scroll(self, lines: int) -> None:
        self.query_one("#help").scroll_relative(y=lines, animate=False)
