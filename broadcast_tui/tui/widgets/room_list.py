"""The room list beside the log: number, name, mentions and unread posts of each joined room.

▸1 lobby          the displayed room, on another background
 2 dev     @3 12  three mentions, twelve unread posts
 3 ops ⊘       4  muted

With several servers, the rooms of each one follow a row with its name and the state of its connection. The
list is as wide as its longest name and counts need, up to `WIDTH_MAX`.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from rich.cells import cell_len
from textual import events
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.geometry import Region
from textual.message import Message
from textual.widgets import Static

from broadcast_tui.tui.model.room import RoomModel
from broadcast_tui.tui.model.servers import ServerSet
from broadcast_tui.tui.model.status import Role, connection_mark
from broadcast_tui.tui.model.text.wrapping import clip
from broadcast_tui.tui.themes import MUTED

WIDTH_MIN, WIDTH_MAX = 12, 24
"""Cells of the list."""
BADGE_CELLS = 6
"""Cells reserved for the counts beside the longest name, so that the list keeps its width as they change."""
COUNT_MAX = 999
"""Higher counts are shown as `999+`, which leaves space for the name."""


class Row(msgspec.Struct, frozen=True):
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


class ServerRow(msgspec.Struct, frozen=True):
    """The row above the rooms of a server: its name and the state of its connection."""

    name: str
    mark: str
    role: Role
    shown: bool


def room_rows(servers: ServerSet) -> list[Row | ServerRow]:
    """The rows for the rooms of all servers."""
    rows: list[Row | ServerRow] = []
    here = servers.shown_place
    for server in servers.all:
        if not servers.is_single:
            name = servers.name(server)
            rows.append(ServerRow(name, *connection_mark(server.state), shown=server is servers.shown))
        rows += [
            Row.of(room, server is here.server and name == here.room)
            for name, room in server.state.rooms.joined.items()
        ]
    return rows


class RoomList(VerticalScroll, can_focus=False):
    """The joined rooms in the order joined. A click on a row posts `RoomChosen` or `ServerChosen`."""

    DEFAULT_CSS = """
    RoomList {
        width: 22;
        scrollbar-size-vertical: 1;
        & > Static { width: 1fr; text-wrap: nowrap; }
    }
    """

    class RoomChosen(Message):
        """The user has clicked the room with this number, from 1."""

        def __init__(self, number: int) -> None:
            super().__init__()
            self.number = number

    class ServerChosen(Message):
        """The user has clicked the name of the server with this index."""

        def __init__(self, index: int) -> None:
            super().__init__()
            self.index = index

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._rows: tuple[Row | ServerRow, ...] = ()

    @property
    def rows(self) -> Sequence[Row | ServerRow]:
        return self._rows

    def compose(self) -> ComposeResult:
        yield Static(id="rooms-names", markup=False)

    def on_mount(self) -> None:
        self._draw()

    def show(self, rows: Sequence[Row | ServerRow]) -> None:
        """Show `rows`; one of them is the displayed room."""
        if tuple(rows) != self._rows:
            self._rows = tuple(rows)
            self.styles.width = width_of(self._rows)
            self._draw()

    def on_resize(self) -> None:
        self._draw()

    def on_click(self, event: events.Click) -> None:
        event.stop()
        row = event.screen_y - self.content_region.y + round(self.scroll_y)
        if not 0 <= row < len(self._rows):
            return
        server_count = sum(isinstance(each, ServerRow) for each in self._rows[: row + 1])
        if isinstance(self._rows[row], ServerRow):
            self.post_message(self.ServerChosen(server_count - 1))
        else:
            self.post_message(self.RoomChosen(row + 1 - server_count))

    def _draw(self) -> None:
        if not self.is_mounted:
            return
        width = max(1, self.scrollable_content_region.width)
        digits = _digits(self._rows)
        lines: list[Content] = []
        number = 0
        for row in self._rows:
            if isinstance(row, ServerRow):
                lines.append(_server_line(row, width))
            else:
                number += 1
                lines.append(_line(f"{number:>{digits}}", row, width))
        self.query_one("#rooms-names", Static).update(Content("\n").join(lines))
        shown = next((i for i, row in enumerate(self._rows) if isinstance(row, Row) and row.shown), 0)
        self.call_after_refresh(self.scroll_to_region, Region(0, shown, 1, 1), animate=False)


_MARK_STYLES = {Role.GOOD: "$text-success", Role.WAIT: "bold $text-warning", Role.BAD: "bold $text-error"}


def width_of(rows: Sequence[Row | ServerRow]) -> int:
    """Cells of the list for `rows`."""
    lead = _digits(rows) + 2
    longest = max(
        (
            lead + cell_len(row.name) + 2 * row.muted + BADGE_CELLS
            if isinstance(row, Row)
            else cell_len(row.name) + 4
            for row in rows
        ),
        default=0,
    )
    return min(max(longest, WIDTH_MIN), WIDTH_MAX)


def _digits(rows: Sequence[Row | ServerRow]) -> int:
    """Digits of the number of the last room."""
    return len(str(sum(isinstance(row, Row) for row in rows)))


def _server_line(row: ServerRow, width: int) -> Content:
    """A row of `width` cells: the name to the left, the state to the right."""
    width = max(1, width - 1)
    name = clip(row.name, max(1, width - 3))
    blanks = " " * max(1, width - cell_len(name) - 2)
    weight = "bold" if row.shown else MUTED
    return Content.assemble(" ", (name, weight), blanks, (row.mark, _MARK_STYLES[row.role]))


def _line(number: str, row: Row, width: int) -> Content:
    """A row of `width` cells: number and name to the left, counts to the right."""
    lead = f"{'▸' if row.shown else ' '}{number} "
    mentions = f"@{_count(row.mentions)}" if row.mentions else ""
    unread = _count(row.unread) if row.unread > row.mentions else ""
    width = max(1, width - 1)
    right = " ".join(filter(None, (mentions, unread)))
    mark = " ⊘" if row.muted else ""
    room = width - len(lead) - len(mark) - (len(right) + 1 if right else 0)
    name = clip(row.name, max(1, room))
    blanks = " " * max(1 if right else 0, width - len(lead) - cell_len(name) - len(mark) - len(right))
    weight = MUTED if row.muted else "bold" if row.shown or row.unread else ""
    line = Content.assemble(
        (lead, "bold $text-accent" if row.shown else MUTED),
        (name + mark, weight),
        blanks,
        (mentions, "bold $text-warning"),
        (" " if mentions and unread else ""),
        (unread, MUTED if row.muted else "$text-accent"),
        " ",
    )
    return line.stylize("on $primary 25%") if row.shown else line


def _count(count: int) -> str:
    return f"{count}" if count <= COUNT_MAX else f"{COUNT_MAX}+"
