"""Prompt for a token when the server requires one; a token that worked can be saved."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from textual.app import App

from broadcast_tui.client.requests import ClientRequests
from broadcast_tui.client.storage.credentials import PendingCredentials
from broadcast_tui.core.session.updates import ConnectionChanged, ConnectionState, DisconnectCause, Update
from broadcast_tui.core.text import visible_line
from broadcast_tui.tui.screens.token import TokenGiven, TokenScreen


class TokenPrompter:
    """Watches connection updates, asks for a token after a rejection and saves `pending` once online."""

    def __init__(self, app: App[None], pending: PendingCredentials) -> None:
        self._app = app
        self._pending = pending

    def handle(self, updates: Iterable[Update], client: ClientRequests) -> None:
        """Handle a batch of updates of `client`, after the screen did."""
        for update in updates:
            if not isinstance(update, ConnectionChanged):
                continue
            if update.state is ConnectionState.ONLINE and self._pending.has_any:
                self._app.run_worker(self._save(), group="keeping")
            elif update.state is ConnectionState.REFUSED:
                self._pending.token = ""
                if update.cause is DisconnectCause.UNAUTHORIZED:
                    self._ask(update.reason, client)

    def _ask(self, reason: str, client: ClientRequests) -> None:
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
