"""Asks for a token when the server wants one, and has it kept once it has worked."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from textual.app import App

from broadcast_tui.client.requests import ClientRequests
from broadcast_tui.client.storage.credentials import PendingCredentials
from broadcast_tui.core.session.updates import ConnectionChanged, ConnectionState, Update
from broadcast_tui.core.text import visible_line
from broadcast_tui.tui.screens.token import TokenGiven, TokenScreen


class TokenPrompter:
    """Follows the updates of an app's client; `keeper` has what is to be kept for its server."""

    def __init__(self, app: App[None], keeper: PendingCredentials) -> None:
        self._app = app
        self._keeper = keeper

    def follow(self, updates: Iterable[Update], client: ClientRequests) -> None:
        """Take in a batch of updates that the screen has taken in too."""
        for update in updates:
            if not isinstance(update, ConnectionChanged):
                continue
            if update.state is ConnectionState.ONLINE and self._keeper.waiting:
                self._app.run_worker(self._keep(), group="keeping")
            elif update.state is ConnectionState.REFUSED:
                self._keeper.token = ""
                if update.unauthorized:
                    self._ask(update.reason, client)

    def _ask(self, reason: str, client: ClientRequests) -> None:
        def answer(given: TokenGiven | None) -> None:
            if given is not None:
                self._keeper.token = given.token if given.keep else ""
                client.authenticate(given.token)

        if not isinstance(self._app.screen, TokenScreen):
            self._app.push_screen(TokenScreen(client.url, reason), answer)

    async def _keep(self) -> None:
        # The keyring may ask the user something: the chat goes on meanwhile.
        said = await asyncio.to_thread(self._keeper.keep)
        if said:
            self._app.notify(visible_line(said), markup=False)
