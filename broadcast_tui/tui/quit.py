"""Leaving the chat: what would be lost is asked about, the others see us go, what was lost is told."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from contextlib import suppress

from textual.app import App

from broadcast_tui.client.requests import ClientRequests
from broadcast_tui.tui import PROGRAM
from broadcast_tui.tui.local_server import LocalServerPrompts
from broadcast_tui.tui.model.state import AppState
from broadcast_tui.tui.model.status import undelivered_text, unsent_text
from broadcast_tui.tui.screens.choice import Choice, ChoiceScreen
from broadcast_tui.tui.terminal.renderer import TerminalRenderer

LEAVE = "leave"
CLOSE_TIMEOUT_S = 2.0
"""How long leaving in order may take: the last posts go out, the others see us leave."""

ANSWER_TIMEOUT_S = 0.3
"""How long to wait, when leaving, for what the terminal was asked last."""


class UnsentQuestion(ChoiceScreen):
    """Asked while `count` posts, at least one, wait for a connection. Dismissed with LEAVE, or "" to stay."""

    def __init__(self, count: int) -> None:
        them = "it" if count == 1 else "them"
        super().__init__(
            f"{unsent_text(count)}.",
            (Choice("s", "Stay in the chat", ""), Choice("l", f"Leave without {them}", LEAVE)),
        )


class QuitFlow:
    """The end of `app`, which may have a server of its own (`hosting`) and draws on `terminal`."""

    def __init__(self, app: App[None], hosting: LocalServerPrompts, terminal: TerminalRenderer) -> None:
        self._app = app
        self._hosting = hosting
        self._terminal = terminal
        self.has_begun = False
        self.words = ""
        """Why it ended, for standard error."""
        self.reason = ""
        """Why we leave, for the others."""

    async def ask(self, state: AppState, client: ClientRequests | None, leave: Callable[[str], None]) -> None:
        """Call `leave`, with what to say in the end, once the user agrees to what is lost by it.

        Asked again, posts are no question any more, and once it has begun nothing is.
        """
        screen = self._app.screen

        async def ask_of_server() -> None:
            if not await self._hosting.asks_first(client, leave):
                leave("")

        def answered(answer: str | None) -> None:
            if answer == LEAVE:
                self._app.run_worker(ask_of_server(), group="leaving")

        if self.has_begun:
            leave("")
        elif isinstance(screen, UnsentQuestion):
            screen.dismiss(LEAVE)
        elif state.queued:
            self._app.push_screen(UnsentQuestion(state.queued), answered)
        else:
            await ask_of_server()

    def begin(self, client: ClientRequests | None, code: int, words: str) -> None:
        """Close `client`, then end with status `code`; begun again, end at once."""
        self.words = self.words or words
        if self.has_begun or client is None:
            self._app.exit(return_code=code)
            return
        self.has_begun = True
        self._app.run_worker(self._close_and_exit(client, code), group="leaving")

    async def _close_and_exit(self, client: ClientRequests, code: int) -> None:
        try:
            await close_in_time(client, self.reason)
            await self._terminal.settle(ANSWER_TIMEOUT_S)
        finally:
            self._app.exit(return_code=code)

    def tell(self, client: ClientRequests | None) -> None:
        """Say on standard error, once, why it ended and what was lost."""
        lines, self.words = [self.words] if self.words else [], ""
        if client is not None and (lost := client.unacknowledged):
            lines.append(f"{PROGRAM}: {undelivered_text(lost)}; Up brings back what you wrote, next time.")
        if lines and sys.__stderr__ is not None:
            # After SIGHUP there is nobody left to tell.
            with suppress(OSError, ValueError):
                print("\n".join(lines), file=sys.__stderr__, flush=True)


async def close_in_time(client: ClientRequests, reason: str = "") -> None:
    """Close `client` in order, as far as that is possible within `CLOSE_TIMEOUT_S`."""
    with suppress(TimeoutError):
        await asyncio.wait_for(client.close(reason), CLOSE_TIMEOUT_S)
