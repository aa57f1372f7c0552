"""The room list beside the log: number, name, mentions and unread posts of each joined room.

▸1 lobby        the displayed room
 2 dev     3! 12   three mentions, twelve unread posts
 3 ops ⊘      4   muted
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from textual import events
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.geometry import Region
from textual.message import Message
from textual.widgets import Static

from broadcast_tui.tui.model.room import RoomModel
from broadcast_tui.tui.model.text.wrapping import clip

COUNT_MAX = 999
"""Higher counts are shown as `999+`, which leaves space for the name."""


@dataclass(frozen=True, slots=True)
class Row:
    """The data of one row."""

    name: str
    unread: int
    mentions: int
    muted: bool
    shown: bool

    @classmethod
    def of(cls, view: RoomModel, shown: bool) -> Row:
        mentions = 0 if view.is_direct else view.mention_count
        return cls(view.label.removeprefix("#"), view.unread, mentions, view.muted, shown)


class RoomList(VerticalScroll, can_focus=False):
    """The joined rooms in the order joined. A click on a row posts `RoomChosen`."""

    DEFAULT_CSS = """
    RoomList {
        width: 22;
        padding: 0 1 0 0;
        scrollbar-size-vertical: 1;
        & > Static { width: 1fr; text-wrap: nowrap; }
    }
    """

    @dataclass
    class RoomChosen(Message):
        """The user has clicked the room with this number, from 1."""

        number: int

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._rows: tuple[Row, ...] = ()

    def compose(self) -> ComposeResult:
        yield Static(id="rooms-names", markup=False)

    def on_mount(self) -> None:
        self._draw()

    def show(self, rows: Sequence[Row]) -> None:
        """Show `rows`; one of them is the displayed room."""
        if tuple(rows) != self._rows:
            self._rows = tuple(rows)
            self._draw()

    def on_resize(self) -> None:
        self._draw()

    def on_click(self, event: events.Click) -> None:
        event.stop()
        row = event.screen_y - self.content_region.y + round(self.scroll_y)
        if 0 <= row < len(self._rows):
            self.post_message(self.RoomChosen(row + 1))

    def _draw(self) -> None:
        if not self.is_mounted:
            return
        width = max(1, self.scrollable_content_region.width)
        lines = [_line(number, row, width) for number, row in enumerate(self._rows, 1)]
        self.query_one("#rooms-names", Static).update(Content("\n").join(lines))
        shown = next((i for i, row in enumerate(self._rows) if row.shown), 0)
        self.call_after_refresh(self.scroll_to_region, Region(0, shown, 1, 1), animate=False)


def _line(number: int, row: Row, width: int) -> Content:
    """A row of `width` cells: number and name to the left, counts to the right."""
    lead = f"{'▸' if row.shown else ' '}{number:<2}"
    mentions = f"{_count(row.mentions)}!" if row.mentions else ""
    unread = _count(row.unread) if row.unread else ""
    right = " ".join(filter(None, (mentions, unread)))
    mark = " ⊘" if row.muted else ""
    room = width - len(lead) - len(mark) - (len(right) + 1 if right else 0)
    name = clip(row.name, max(1, room))
    blanks = " " * max(1 if right else 0, width - len(lead) - cell_len(name) - len(mark) - len(right))
    weight = "dim" if row.muted else "bold" if row.shown or row.unread else ""
    return Content.assemble(
        (lead, "bold $text-accent" if row.shown else "$text-muted"),
        (name + mark, weight),
        blanks,
        (mentions, "bold $text-warning"),
        (" " if mentions and unread else ""),
        (unread, "dim" if row.muted else "$text-accent"),
    )


def _count(count: int) -> str:
    return f"{count}" if count <= COUNT_MAX else f"{COUNT_MAX}+"
