"""Server that the chat can start on this machine: its interface and the prompts about it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
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
    """A server process. Once started here it ends with this program, unless it is detached."""

    @property
    def is_managed(self) -> bool:
        """Whether it was started here and ends with this program."""
        ...

    @property
    def has_ended(self) -> bool:
        """Whether it was started here and has ended by itself since."""
        ...

    def answers(self) -> bool:
        """Whether anything listens at the address, even if it rejects us; takes 2 s at most."""
        ...

    def start(self) -> None:
        """Start it and return when it listens, after some seconds at most. Raises BroadcastError."""
        ...

    def connected_count(self) -> int:
        """Number of connections to it, including our own; 0 if it does not report it within 2 s."""
        ...

    def detach(self) -> str:
        """Let it continue without this program; returns a line with its address and how to stop it."""
        ...


def start_question(address: str) -> ChoiceScreen:
    """Question shown if no server listens at `address`. Dismissed with START, WAIT, QUIT or ""."""
    return ChoiceScreen(
        f"No server at {address}.",
        (
            Choice("s", "Start a server here", START),
            Choice("k", "Keep trying", WAIT),
            Choice("q", "Quit", QUIT),
        ),
        title="Connect",
    )


def leave_question(others: int) -> ChoiceScreen:
    """Question shown if `others` (at least 1) use the server. Dismissed with CLOSE, KEEP or "" to stay."""
    who = "1 other is" if others == 1 else f"{others:,} others are"
    return ChoiceScreen(
        f"{who} still here, and this chat started the server.",
        (
            Choice("k", "Keep the server running", KEEP),
            Choice("c", "Close it for everyone", CLOSE),
            Choice("s", "Stay in the chat", ""),
        ),
        title="Quit",
    )


class LocalServerPrompts:
    """Offers to start `server` and asks what happens to it on quit.

    Args:
        app: The app that shows the questions.
        server: None if no server can be started here.
        address: Address of the server, for comparison with a client's and for display.
    """

    def __init__(self, app: App[None], server: LocalServer | None, address: str) -> None:
        self._app = app
        self._server = server
        self._address = address
        self._offered = False

    def offer_start(self, state: AppState, client: ClientRequests) -> None:
        """Offer to start a server: once if the first connection fails because no server listens, and each
        time that one started here has ended.
        """
        server, waiting = self._server, state.connection.state is ConnectionState.WAITING
        if server is None or client.url != self._address:
            return
        if state.is_online and server.is_managed:
            self._offered = False
        has_ended = waiting and server.has_ended
        if self._offered or (server.is_managed and not has_ended):
            return
        # Another server that goes away after we joined is not ours to start again.
        self._offered = waiting or state.rooms.shown.entered

        def on_answer(answer: str | None) -> None:
            if answer == START:
                self._app.run_worker(self._start(server, client), group="server")
            elif answer == QUIT:
                self._app.run_worker(self._app.action_quit(), group="leaving")

        async def offer() -> None:
            if not await asyncio.to_thread(server.answers):
                self._app.push_screen(start_question(self._address), on_answer)

        if waiting:
            self._app.run_worker(offer(), group="server")

    async def _start(self, server: LocalServer, client: ClientRequests) -> None:
        try:
            await asyncio.to_thread(server.start)
        except BroadcastError as error:
            self._app.notify(visible_line(str(error)), severity="error", timeout=10, markup=False)
        client.reconnect_now()

    async def confirm_quit(self, clients: Iterable[ClientRequests], leave: Callable[[str], None]) -> bool:
        """Ask what happens to a managed server that others use; returns whether it asked.

        Args:
            clients: The clients of the chat, which may be connected to other servers.
            leave: Called if the user quits, with a line to print at the end or "".
        """
        server = self._server
        if server is None or not server.is_managed:
            return False
        others = await asyncio.to_thread(server.connected_count)
        others -= any(
            client.url == self._address and client.state is ConnectionState.ONLINE for client in clients
        )
        if others <= 0:
            return False

        def on_answer(answer: str | None) -> None:
            if answer == KEEP:
                leave(server.detach())
            elif answer == CLOSE:
                leave("")

        if not isinstance(self._app.screen, ChoiceScreen):
            self._app.push_screen(leave_question(others), on_answer)
        return True
