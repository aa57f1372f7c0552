"""What a room without messages shows: how others can join, and the keys to begin with."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from functools import partial

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from broadcast_tui.core.errors import BroadcastError
from broadcast_tui.core.session.updates import ConnectionState
from broadcast_tui.core.text import visible_line
from broadcast_tui.tui.invites import Invite, InviteMaker, join_command
from broadcast_tui.tui.keymap import active_key
from broadcast_tui.tui.model.room import RoomModel
from broadcast_tui.tui.model.state import AppState
from broadcast_tui.tui.model.transcript.navigation import has_posts

SHORT_ROWS, ROW_CELLS = 6, 50
"""A log with more rows than this, although none of them is a message, needs the room for itself."""

KEY_HINTS = (("app.show-help", "Help"), ("room.switch", "Rooms"), ("app.open-palette", "Commands"))


MORE = "/invite shows how others join"
"""Shown in place of a command that is wider than the screen."""

MARGIN = 2
"""Columns at both sides of the texts."""

_UNIT = re.compile(r"(?:broadcast-tui .*|/invite NAME|\S+)(?=\s|$)")
"""A word, or a command, which stays on one row: people copy it or type it in."""


class EmptyState(Vertical):
    """Fills the space below a short log; see `is_empty`.

    Args:
        state: The state to display.
        url: The WebSocket URL of the server.
        make_invite: Makes the command with which others join; called in a thread.
    """

    DEFAULT_CSS = """
    EmptyState {
        display: none;
        height: 1fr;
        align: center middle;
        background: $background;
        & > Static { width: 100%; text-align: center; padding: 0 2; }
        & > #empty-room { text-style: bold; color: $text-primary; }
        & > #empty-people { margin-bottom: 1; }
        & > #empty-command { color: $text-accent; margin-top: 1; }
        & > #empty-note { color: $text-muted; }
        & > #empty-lines { display: none; margin-top: 1; }
        & > #empty-lines.-set { display: block; }
        & > #empty-keys { color: $text-muted; margin-top: 1; }
    }
    """

    def __init__(self, state: AppState, url: str, make_invite: InviteMaker, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._state = state
        self._url = url
        self._make_invite = make_invite
        self._shown: tuple[str, str] | None = None
        """Label of the room and the text about people; None: nothing is displayed."""
        self._invited = ""
        """The room whose invite is displayed or being made."""
        self._invite = Invite("")

    def compose(self) -> ComposeResult:
        for part in ("room", "people", "command", "note", "lines", "keys"):
            yield Static(id=f"empty-{part}", markup=False)

    def on_resize(self) -> None:
        self._show_commands()
        keys = ((active_key(self.app, key_id), text) for key_id, text in KEY_HINTS)
        hints = [f"{key} {text}" for key, text in keys if key]
        self._part("keys").update(Content("\n".join(filled(hints, self._width, "   "))))

    def add_lines(self, lines: Sequence[str]) -> None:
        """Show more lines above the keys, such as what to do next; none: remove them."""
        self._part("lines").update(Content("\n".join(lines)))
        self._part("lines").set_class(bool(lines), "-set")

    def show(self, room: RoomModel) -> bool:
        """Show what `room` lacks; returns whether it is empty. Cheap if nothing has changed."""
        if not self.is_mounted or not is_empty(self._state, room):
            self._shown = None
            return False
        shown = (room.label, people_text(room))
        if shown != self._shown:
            self._shown = shown
            self._part("room").update(Content(shown[0]))
            self._part("people").update(Content(shown[1]))
            invites = not room.is_direct and not self._state.is_kiosk
            self._part("command").display = self._part("note").display = invites
            if invites and self._invited != room.name:
                self._invited = room.name
                self.run_worker(self._fetch_invite(room.name), group="empty-invite", exclusive=True)
        return True

    async def _fetch_invite(self, room: str) -> None:
        """Show how others join `room`; the command is made in a thread, as it reads files."""
        make = partial(self._make_invite, self._url, room, "")
        try:
            self._invite = await asyncio.to_thread(make)
        except BroadcastError as error:
            self._invite = Invite("", str(error))
        self._show_commands()

    def _show_commands(self) -> None:
        command = join_command(self._invite)
        fits = cell_len(command) <= self._width
        self._part("command").update(Content(command if fits else MORE))
        note = note_rows(visible_line(self._invite.note), self._width, more=MORE if fits else "")
        self._part("note").update(Content("\n".join(note)))

    @property
    def _width(self) -> int:
        """Cells of a row of text."""
        return self.size.width - 2 * MARGIN

    def _part(self, name: str) -> Static:
        return self.query_one(f"#empty-{name}", Static)


def note_rows(note: str, width: int, *, more: str) -> list[str]:
    """The rows of a note. A sentence with a command that is too wide is replaced by `more`."""
    sentences = re.split(r"(?<=\.) (?=[A-Z])", note)
    units = [_UNIT.findall(sentence) for sentence in sentences]
    fitting = [words for words in units if all(cell_len(word) <= width for word in words)]
    rows = filled([word for words in fitting for word in words], width)
    return rows if len(fitting) == len(units) else [*rows, *filled(more.split(), width)]


def filled(units: Sequence[str], width: int, gap: str = " ") -> list[str]:
    """`units`, none of which is broken, in rows of up to `width` cells."""
    rows: list[str] = []
    for unit in units:
        if rows and cell_len(rows[-1] + gap + unit) <= width:
            rows[-1] += gap + unit
        else:
            rows.append(unit)
    return rows


def is_empty(state: AppState, room: RoomModel) -> bool:
    """Whether `room` was entered, its history has arrived, and there are no messages in it."""
    if not room.entered or room.greeting_due or state.connection.state is not ConnectionState.ONLINE:
        return False
    if len(room.transcript) > SHORT_ROWS or has_posts(room.transcript):
        return False
    texts = [text for chunk in room.transcript.chunks for text in chunk.texts]
    return sum(1 + text.count("\n") + len(text) // ROW_CELLS for text in texts) <= SHORT_ROWS


def people_text(room: RoomModel) -> str:
    """Who could read a message in `room`."""
    if room.is_direct:
        return f"Only you and {room.other} can read this" if room.other else "No messages yet"
    return "No messages yet" if room.online > 1 else "Nobody else is here yet"
