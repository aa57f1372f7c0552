"""The help screen: the first keys, all commands, all keys, generated from their tables."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar

import msgspec
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.padding import Padding
from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import Static

from broadcast_tui.tui.commands.parser import grouped
from broadcast_tui.tui.keymap import bind, first_keys, key_help
from broadcast_tui.tui.widgets.dialog import Dialog, DialogScreen

SECOND_WIDTH_MIN = 24
"""Narrowest second column, in cells; below that the descriptions go on rows of their own."""


def help_sections(
    keys: Mapping[str, str] = MappingProxyType({}), *, kiosk: bool = False
) -> list[tuple[str, list[tuple[str, str]]]]:
    """Headings with rows of (key or command, description).

    The keys to know first, then commands by group, then all keys by area.

    Args:
        keys: The user's own keys, by id.
    """
    commands = [(f"Commands: {heading}", rows) for heading, rows in grouped(kiosk=kiosk)]
    areas = [(f"Keys: {heading}", rows) for heading, rows in key_help(keys, kiosk=kiosk)]
    return [("Keys to know first", first_keys(keys)), *commands, *areas]


class Section(msgspec.Struct, frozen=True):
    """Rows in two columns, the first `first_width` cells wide; in one column if the screen is narrow."""

    rows: list[tuple[str, str]]
    first_width: int

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if options.max_width < self.first_width + SECOND_WIDTH_MIN:
            for what, does in self.rows:
                yield Text(what, style="bold")
                yield Padding(Text(does), (0, 0, 0, 2))
            return
        table = Table.grid(padding=(0, 2, 0, 0), expand=True)
        table.add_column(width=self.first_width, style="bold")
        table.add_column(ratio=1)
        for what, does in self.rows:
            table.add_row(Text(what), Text(does))
        yield table


class HelpScreen(DialogScreen[None]):
    """Closed by Esc, q or the key that opened it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        bind("app.show-help", "dismiss"),
        Binding("escape,q,ctrl+c", "dismiss", "Close", show=False),
        Binding("up,k", "scroll(-1)", "Up", show=False),
        Binding("down,j", "scroll(1)", "Down", show=False),
    ]

    def __init__(self, keys: Mapping[str, str] | None = None, *, kiosk: bool = False) -> None:
        super().__init__()
        self._keys = keys or {}
        self._kiosk = kiosk

    def compose(self) -> ComposeResult:
        with Dialog("Help", ("PgDn More", "Esc Close"), id="help", page=True):
            first, *others = help_sections(self._keys, kiosk=self._kiosk)
            for sections in (
                [first],
                others,
            ):  # the first ones fill a page if their column is no wider than needed
                width = max(cell_len(what) for _, rows in sections for what, _ in rows)
                for heading, rows in sections:
                    yield Static(Content(heading), classes="help-heading")
                    yield Static(Section(rows, width))

    def on_mount(self) -> None:
        self.query_one("#help").focus()

    def action_scroll(self, lines: int) -> None:
        self.query_one("#help").scroll_relative(y=lines, animate=False)
