"""Prompt for a token when the server requires one; a token that worked can be saved."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING

from textual.app import App

from broadcast_tui.client.requests import ClientRequests
from broadcast_tui.client.storage.credentials import PendingCredentials
from broadcast_tui.core.session.updates import ConnectionChanged, ConnectionState, DisconnectCause, Update
from broadcast_tui.core.text import visible_line

if TYPE_CHECKING:
    from broadcast_tui.tui.screens.token import TokenGiven


class TokenPrompter:
    """Watches connection updates, asks for a token after a rejection and saves `pending` once online.

    A dialog about a server opens while that server is displayed.
    """

    def __init__(self, app: App[None], pending: PendingCredentials) -> None:
        self._app = app
        self._pending = pending
        self._due: str | None = None
        """The reason of a rejection about which the user was not asked yet; None if there is none."""

    def handle(self, updates: Iterable[Update], client: ClientRequests, *, is_displayed: bool = True) -> None:
        """Handle a batch of updates of `client`, after the screen did."""
        for update in updates:
            if not isinstance(update, ConnectionChanged):
                continue
            self._due = None
            if update.state is ConnectionState.ONLINE and self._pending.has_any:
                self._app.run_worker(self._save(), group="keeping")
            elif update.state is ConnectionState.REFUSED:
                self._pending.token = ""
                if update.cause is DisconnectCause.UNAUTHORIZED:
                    self._due = update.reason
        if is_displayed:
            self.ask_if_due(client)

    def ask_if_due(self, client: ClientRequests) -> None:
        """Ask for a token if the server has rejected the connection."""
        reason, self._due = self._due, None
        if reason is not None:
            self._ask(reason, client)

    def _ask(self, reason: str, client: ClientRequests) -> None:
        from broadcast_tui.tui.screens.token import TokenScreen

        def on_answer(given: TokenGiven | None) -> None:
            if given is not None:
                self._pending.token = given.token if given.save else ""
                client.authenticate(given.token)

        if not isinstance(self._app.screen, TokenScreen):
            self._app.push_screen(TokenScreen(client.url, reason), on_answer)

    async def _save(self) -> None:
        # The keyring may prompt the user, and the chat must not wait for that.
        message = await asyncio.to_thread(self._pending.save)
        if message:
            self._app.notify(visible_line(message), markup=False)
