"""Quitting the chat: confirm what would be lost, close the connection in order, report what was lost."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress

from textual.app import App

from broadcast_tui.client.requests import ClientRequests
from broadcast_tui.tui import PROGRAM
from broadcast_tui.tui.local_server import LocalServerPrompts
from broadcast_tui.tui.model.status import undelivered_text, unsent_text
from broadcast_tui.tui.screens.choice import Choice, ChoiceScreen
from broadcast_tui.tui.terminal.renderer import TerminalRenderer

LEAVE = "leave"
QUIT_TIMEOUT_S = 0.5
"""Limit for closing in order, so that the whole end takes less than 1 s whatever the server does."""
ANSWER_TIMEOUT_S = 0.3
"""Limit for the terminal's answer to the last question it was sent."""


class UnsentQuestion(ChoiceScreen):
    """Question shown while `count` posts (at least 1) are queued. Dismissed with LEAVE, or "" to stay."""

    def __init__(self, count: int) -> None:
        them = "it" if count == 1 else "them"
        super().__init__(
            f"{unsent_text(count)}.",
            (Choice("s", "Stay in the chat", ""), Choice("q", f"Quit without sending {them}", LEAVE)),
            title="Quit",
        )


class QuitFlow:
    """The steps from the wish to quit to the end of `app`."""

    def __init__(
        self, app: App[None], server_prompts: LocalServerPrompts, renderer: TerminalRenderer
    ) -> None:
        self._app = app
        self._server_prompts = server_prompts
        self._renderer = renderer
        self.has_begun = False
        self.message = ""
        """Why the chat ended, printed on standard error at the end."""
        self.reason = ""
        """Why the user leaves, for the other members."""

    async def confirm(
        self, queued: int, clients: Sequence[ClientRequests], leave: Callable[[str], None]
    ) -> None:
        """Call `leave`, with a line to print at the end or "", once the user accepts what would be lost.

        `queued` is the number of own posts that wait for a connection. A second request skips the question
        about them; once closing has begun, there are no questions.
        """
        screen = self._app.screen

        async def confirm_server() -> None:
            if not await self._server_prompts.confirm_quit(clients, leave):
                leave("")

        def on_answer(answer: str | None) -> None:
            if answer == LEAVE:
                self._app.run_worker(confirm_server(), group="leaving")

        if self.has_begun:
            leave("")
        elif isinstance(screen, UnsentQuestion):
            screen.dismiss(LEAVE)
        elif queued:
            self._app.push_screen(UnsentQuestion(queued), on_answer)
        else:
            await confirm_server()

    def begin(self, clients: Sequence[ClientRequests], code: int, message: str) -> None:
        """Close `clients`, then exit with status `code`; a second call exits at once."""
        self.message = self.message or message
        if self.has_begun or not clients:
            self._app.exit(return_code=code)
            return
        self.has_begun = True
        self._app.run_worker(self._close_and_exit(clients, code), group="leaving")

    async def _close_and_exit(self, clients: Sequence[ClientRequests], code: int) -> None:
        try:
            await asyncio.gather(*(client.close(self.reason, QUIT_TIMEOUT_S) for client in clients))
            await self._renderer.finish(ANSWER_TIMEOUT_S)
        finally:
            self._app.exit(return_code=code)

    def report(self, clients: Sequence[ClientRequests]) -> None:
        """Print on standard error, once, why the chat ended and what was lost."""
        lines, self.message = [self.message] if self.message else [], ""
        if lost := sum(client.unacknowledged for client in clients):
            lines.append(
                f"{PROGRAM}: {undelivered_text(lost)}. To edit and resend, press Ctrl+Up in the next chat."
            )
        if lines and sys.__stderr__ is not None:
            # After SIGHUP there is no terminal to write to.
            with suppress(OSError, ValueError):
                print("\n".join(lines), file=sys.__stderr__, flush=True)
