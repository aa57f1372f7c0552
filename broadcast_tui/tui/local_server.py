"""A server that the chat may start on this machine: what the app needs of it, and what it asks about it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from textual.app import App

from broadcast_tui.client.requests import ClientRequests
from broadcast_tui.core.errors import BroadcastError
from broadcast_tui.core.session.updates import ConnectionState
from broadcast_tui.core.text import visible_line
from broadcast_tui.tui.model.state import AppState
from broadcast_tui.tui.screens.choice import Choice, ChoiceScreen

START, WAIT, QUIT = "start", "wait", "quit"
CLOSE, KEEP = "close", "keep"


class LocalServer(Protocol):
    """Started here, it ends with this program unless it is let go."""

    @property
    def is_ours(self) -> bool:
        """Whether it was started here and ends with us."""
        ...

    def answers(self) -> bool:
        """Whether anything listens there, be it that it will not have us; waits 2 s at most."""
        ...

    def start(self) -> None:
        """Start it; returns, after some seconds at most, when it listens. Raises BroadcastError."""
        ...

    def connected_count(self) -> int:
        """Connections to it, ours among them; 0 if it does not say so within 2 s."""
        ...

    def detach(self) -> str:
        """Let it run on without us; returns a line that says where it is and what stops it."""
        ...


def start_question(place: str) -> ChoiceScreen:
    """Asked where nobody answers. Dismissed with START, WAIT, QUIT or ""."""
    return ChoiceScreen(
        f"Nothing answers at {place}.",
        (
            Choice("s", "Start a server here", START),
            Choice("w", "Wait for one", WAIT),
            Choice("q", "Leave", QUIT),
        ),
    )


def leave_question(others: int) -> ChoiceScreen:
    """Asked when we leave `others`, at least one, behind. Dismissed with CLOSE, KEEP or "" to stay."""
    who = "1 other is" if others == 1 else f"{others:,} others are"
    return ChoiceScreen(
        f"{who} still here, and this chat started the server.",
        (
            Choice("k", "Keep the server running", KEEP),
            Choice("c", "Close it for everyone", CLOSE),
            Choice("s", "Stay in the chat", ""),
        ),
    )


class LocalServerPrompts:
    """Asks an app's user about `server` (None: there cannot be one), whose address is shown as `place`."""

    def __init__(self, app: App[None], server: LocalServer | None, place: str) -> None:
        self._app = app
        self._server = server
        self._place = place
        self._offered = False

    def follow(self, state: AppState, client: ClientRequests) -> None:
        """Where nobody has answered yet, ask once whether to start a server here."""
        server, waiting = self._server, state.connection.state is ConnectionState.WAITING
        if server is None or server.is_ours or self._offered:
            return
        # Once we were in, a server that goes away is for its own people to start again.
        self._offered = waiting or state.shown.entered

        def answered(answer: str | None) -> None:
            if answer == START:
                self._app.run_worker(self._start(server, client), group="server")
            elif answer == QUIT:
                self._app.run_worker(self._app.action_quit(), group="leaving")

        async def offer() -> None:
            if not await asyncio.to_thread(server.answers):
                self._app.push_screen(start_question(self._place), answered)

        if waiting:
            self._app.run_worker(offer(), group="server")

    async def _start(self, server: LocalServer, client: ClientRequests) -> None:
        try:
            await asyncio.to_thread(server.start)
        except BroadcastError as error:
            self._app.notify(visible_line(str(error)), severity="error", timeout=10, markup=False)
        client.reconnect_now()

    async def asks_first(self, client: ClientRequests | None, leave: Callable[[str], None]) -> bool:
        """Whether the server is ours and others are on it: then ask; `leave` gets what to say in the end.

        `client` may have gone to another server meanwhile.
        """
        server = self._server
        if server is None or not server.is_ours:
            return False
        others = await asyncio.to_thread(server.connected_count)
        if client is not None and client.url == self._place and client.state is ConnectionState.ONLINE:
            others -= 1
        if others <= 0:
            return False

        def answered(answer: str | None) -> None:
            if answer == KEEP:
                leave(server.detach())
            elif answer == CLOSE:
                leave("")

        if not isinstance(self._app.screen, ChoiceScreen):
            self._app.push_screen(leave_question(others), answered)
        return True
