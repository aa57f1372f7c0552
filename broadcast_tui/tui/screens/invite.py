"""The invite screen: a link to the room and its QR code."""

from __future__ import annotations

import asyncio
from typing import ClassVar

from textual import events
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import Static

from broadcast_tui.core.errors import BroadcastError
from broadcast_tui.core.text import visible_line
from broadcast_tui.qr_code import qr_rows
from broadcast_tui.tui.invites import Invite, InviteMaker
from broadcast_tui.tui.model.text.wrapping import wrap
from broadcast_tui.tui.model.transcript.selection import Excerpt
from broadcast_tui.tui.terminal.clipboard import copy
from broadcast_tui.tui.widgets.dialog import Dialog, DialogScreen
from broadcast_tui.tui.widgets.toast import show_toast, show_warning

BESIDE_MIN = 28
"""Narrowest text beside the code, in cells."""
FRAME = (6, 2)
"""Columns and rows of border and padding."""
USE = "Scan the code, open the link in a browser, or pass it to broadcast-tui chat."


class InviteScreen(DialogScreen[None]):
    """Closed by Esc, Enter or q. The code is shown only where all of it fits."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,enter,ctrl+c", "dismiss", "Close", show=False),
        Binding("y", "copy_link", "Copy", show=False),
        Binding("up,k", "scroll(-1)", "Up", show=False),
        Binding("down,j", "scroll(1)", "Down", show=False),
    ]

    def __init__(self, invite: Invite) -> None:
        super().__init__()
        self._invite = invite
        self._rows = qr_rows(invite.link)

    def compose(self) -> ComposeResult:
        with Dialog("Invite", ("y Copy the link", "Esc Close"), id="invite", page=True):
            code = Static(Content("\n".join(self._rows)), id="invite-code", markup=False)
            code.styles.width, code.styles.height = len(self._rows[0]), len(self._rows)
            yield code
            yield Static(id="invite-text", markup=False)

    def on_mount(self) -> None:
        self.query_one("#invite").focus()

    def on_resize(self, event: events.Resize) -> None:
        """Put the text beside the code or below it, or omit the code."""
        width, height = event.size.width - FRAME[0], event.size.height - FRAME[1]
        code_width, code_height = len(self._rows[0]), len(self._rows)
        is_beside = width >= code_width + BESIDE_MIN and height >= code_height
        text = self._text(USE)
        below = code_height + 1 + len(wrap(text, width))
        is_below = not is_beside and width >= code_width and height >= below
        if not is_beside and not is_below:
            columns, rows = code_width + BESIDE_MIN + FRAME[0], code_height + FRAME[1]
            text = self._text(f"The QR code needs {columns} columns and {rows} rows.")
        self.set_class(is_beside, "-beside")
        self.set_class(is_below, "-below")
        self.query_one("#invite-text", Static).update(Content(text))

    def _text(self, use: str) -> str:
        parts = (self._invite.link, use, visible_line(self._invite.note))
        return "\n\n".join(filter(None, parts))

    def action_scroll(self, lines: int) -> None:
        self.query_one("#invite").scroll_relative(y=lines, animate=False)

    async def action_copy_link(self) -> None:
        show_toast(self, await copy(Excerpt(self._invite.link, 0, True), self.app.copy_to_clipboard))


async def show_invite(app: App[None], make: InviteMaker, url: str, room: str, name: str) -> None:
    """Make an invite in a thread and show it, or why there is none."""
    try:
        invite = await asyncio.to_thread(make, url, room, name)
    except BroadcastError as error:
        show_warning(app.screen, str(error))
    else:
        app.push_screen(InviteScreen(invite))
