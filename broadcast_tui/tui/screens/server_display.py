"""How a chat screen, which belongs to one server, lets the user go to the rooms of another one."""

from __future__ import annotations

from typing import Protocol

from broadcast_tui.tui.model.servers import Place, Server, ServerSet, single_server
from broadcast_tui.tui.model.state import AppState


class ServerDisplay(Protocol):
    """Displays servers. Calls take effect at once, so that the next key is for the displayed server."""

    @property
    def servers(self) -> ServerSet: ...

    def display(self, server: Server) -> None:
        """Display the screen of `server`, which is `servers.shown`."""
        ...

    def join(self, place: Place) -> None:
        """Join a room of any server and display it."""
        ...

    def list_rooms(self) -> None:
        """Request the rooms of all servers, for the switcher."""
        ...


class OneServer:
    """The display of a chat with one server."""

    def __init__(self, url: str, state: AppState) -> None:
        self.servers = single_server(url, state)

    def display(self, server: Server) -> None:
        """Do nothing: the server is displayed."""

    def join(self, place: Place) -> None:
        """Do nothing: the screen joins rooms of its own server."""

    def list_rooms(self) -> None:
        """Do nothing: nobody has a switcher open."""
