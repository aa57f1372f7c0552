"""What commands need of the screen they are given on, and what all who carry them out have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Protocol

from broadcast_tui.client.address import Address
from broadcast_tui.client.requests import ChatClient
from broadcast_tui.tui.model.notifications import NotifyLevel
from broadcast_tui.tui.model.state import AppState


class ThemeHost(Protocol):
    """The colors of the program; what Textual's App has."""

    theme: str

    @property
    def available_themes(self) -> Mapping[str, object]: ...


class CommandContext(Protocol):
    """The screen, as commands see it."""

    @property
    def looks(self) -> ThemeHost: ...

    def say(self, text: str) -> None:
        """Send a post to the shown room."""
        ...

    def warn(self, text: str) -> None:
        """Say why something cannot be done."""
        ...

    def refresh_views(self, *, people: bool = False) -> None:
        """Show the state as it is now."""
        ...

    def follow_log(self) -> None:
        """Go to the newest line."""
        ...

    def show_room(self, room: str) -> None:
        """Put a room that we are in on the screen."""
        ...

    def open_search(self, query: str) -> None:
        """Search all of the shown room's history at the server."""
        ...

    def run_in_thread(self, work: Callable[[], str]) -> None:
        """Do what takes a while in a thread, then put the line that comes of it into the shown room."""
        ...

    def keep_level(self, room: str, level: NotifyLevel) -> None:
        """Remember for the next run what notices are wanted of a room."""
        ...

    def keep_ignored(self) -> None:
        """Remember for the next run whom we ignore."""
        ...

    def try_notice(self) -> None:
        """Send a notice to see whether the terminal shows it."""
        ...

    def ask_to_connect(self, address: Address) -> None:
        """Go to another server."""
        ...

    def ask_to_leave(self, reason: str = "") -> None:
        """Leave the chat; the others are told the reason."""
        ...


class CommandHandler:
    """Does commands with `client` and `state` for a `desk`.

    Each command is a method that says whether it did what was asked; if not, it has said why, and what
    was typed stays.
    """

    def __init__(self, client: ChatClient, state: AppState, desk: CommandContext) -> None:
        self._client = client
        self._state = state
        self._desk = desk

    def tell(self, *lines: str) -> bool:
        """Put lines of our own into the shown room; true."""
        self._state.tell("\n".join(lines), datetime.now(UTC))
        self._desk.refresh_views()
        return True

    def refuse(self, reason: str) -> bool:
        """Say why a command cannot be done; false."""
        self._desk.warn(reason)
        return False
