"""The servers that the chat is connected to: opens, displays and closes them, and routes their updates."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime

import msgspec
from textual.app import App

from broadcast_tui.client.requests import ClientRequests
from broadcast_tui.core.session.updates import Update
from broadcast_tui.core.text import visible_line
from broadcast_tui.tui.connected_server import ConnectedServer
from broadcast_tui.tui.invites import InviteMaker
from broadcast_tui.tui.model.notifications import Alert
from broadcast_tui.tui.model.servers import Place, Server, ServerSet
from broadcast_tui.tui.model.state import Changes
from broadcast_tui.tui.model.status import undelivered_text
from broadcast_tui.tui.quit import QUIT_TIMEOUT_S
from broadcast_tui.tui.saved_state import SavedState
from broadcast_tui.tui.screens.chat import ChatScreen


class ConnectedServers:
    """The connections of the chat in the order opened. One of them, once there is any, is displayed.

    Args:
        app: Shows the screens.
        saved: Has the input history.
        make_invite: Makes the invites of /invite.
        on_displayed: Called after another server was displayed.
    """

    def __init__(
        self,
        app: App[None],
        saved: SavedState,
        make_invite: InviteMaker,
        on_displayed: Callable[[ConnectedServer], None],
    ) -> None:
        self._app = app
        self._saved = saved
        self._make_invite = make_invite
        self._on_displayed = on_displayed
        self._set: ServerSet | None = None
        self.all: list[ConnectedServer] = []

    @property
    def servers(self) -> ServerSet:
        """The servers; only while there is a connection."""
        assert self._set is not None, "the first connection creates it"
        return self._set

    @property
    def shown(self) -> ConnectedServer | None:
        """The connection to the displayed server; None before the first one."""
        return None if self._set is None else self.of(self._set.shown)

    @property
    def clients(self) -> list[ClientRequests]:
        return [connection.client for connection in self.all]

    def of(self, server: Server) -> ConnectedServer:
        """The connection to a server."""
        return next(connection for connection in self.all if connection.server is server)

    def at(self, url: str) -> ConnectedServer | None:
        """The connection to the server with this address."""
        return next((connection for connection in self.all if connection.server.url == url), None)

    def save_states(self) -> None:
        """Save the read positions and unsent texts on all servers."""
        for connection in self.all:
            connection.save()

    def save(self) -> None:
        """Save the servers for the next run: the user has changed which ones there are."""
        self._saved.save_servers(connection.server.url for connection in self.all)

    def add(self, connection: ConnectedServer) -> None:
        """Add a connection. The first one is displayed; for others, call `display`."""
        self.all.append(connection)
        if self._set is None:
            self._set = ServerSet([connection.server])
            connection.screen = self._make_screen(connection)
        else:
            self._set.add(connection.server)
            self._refresh()

    def remove(self, connection: ConnectedServer) -> None:
        """Remove a connection, which is not the only one. If it is displayed, another one takes its place."""
        servers = self.servers
        if servers.shown is connection.server:
            servers.show(servers.place_of(servers.next_to(connection.server)), datetime.now(UTC))
            self.display(servers.shown)
        servers.remove(connection.server)
        self.all.remove(connection)
        if connection.screen is not None:
            self._app.uninstall_screen(connection.screen)
            connection.screen.remove()
        self._refresh()

    async def leave(self, connection: ConnectedServer) -> None:
        """Disconnect from a server, which is not the only one, and report it."""
        name = self.servers.name(connection.server)
        connection.save()
        self.remove(connection)
        self.save()
        connection.server.state.close()
        await connection.client.close(timeout_s=QUIT_TIMEOUT_S)
        lost = connection.client.unacknowledged
        report = f"{undelivered_text(lost)} to {name}. Press Ctrl+Up to edit and resend." if lost else ""
        text = report or f"Disconnected from {name}. /connect returns."
        self._app.notify(visible_line(text), severity="warning" if lost else "information", markup=False)

    def apply(self, connection: ConnectedServer, updates: Iterable[Update]) -> Changes:
        """Apply updates of a connection. Alerts get the name of the server if there are several."""
        changes = connection.apply(updates)
        servers = self.servers
        if connection.server is not servers.shown:
            self._refresh()
        if changes.rooms_listed:
            self._update_switcher()
        if label := servers.label(connection.server):
            changes.alerts = [named(alert, label) for alert in changes.alerts]
        return changes

    def _update_switcher(self) -> None:
        """Offer the rooms that are known now, if the switcher is open."""
        from broadcast_tui.tui.screens.switcher import SwitcherScreen, choices_of

        if isinstance(screen := self._app.screen, SwitcherScreen):
            screen.set_choices(choices_of(self.servers))

    # ServerDisplay

    def display(self, server: Server) -> None:
        """Display the screen of `server`, which is the one that `servers` shows."""
        connection = self.of(server)
        while not isinstance(self._app.screen, ChatScreen) and self._has_chat_screen:
            self._app.pop_screen()  # a dialog about another server
        before = self._app.screen
        if connection.screen is None:
            connection.screen = self._make_screen(connection)
        screen = connection.screen
        if isinstance(before, ChatScreen):
            if not self._app.is_screen_installed(before):
                self._app.install_screen(before, f"chat-{id(before)}")
            if before.is_ready:
                before.put_away()
            self._app.switch_screen(screen)
        else:
            self._app.push_screen(screen)
        if isinstance(before, ChatScreen):
            screen.bring_back(before)
        self._on_displayed(connection)

    def _make_screen(self, connection: ConnectedServer) -> ChatScreen:
        past = self._saved.history_of(connection)
        return ChatScreen(connection.client, connection.server.state, past, self._make_invite, self)

    @property
    def _has_chat_screen(self) -> bool:
        return any(isinstance(screen, ChatScreen) for screen in self._app.screen_stack)

    def list_rooms(self) -> None:
        """Request the rooms of all servers."""
        for connection in self.all:
            if connection.server.state.is_online:
                connection.client.list_rooms()

    def join(self, place: Place) -> None:
        """Join a room of any server and display it."""
        rooms = place.server.state.rooms
        if place.room not in rooms.joined:
            rooms.enter(place.room)
            self.of(place.server).client.join(place.room)
        self.servers.show(place, datetime.now(UTC))
        self.display(place.server)

    def _refresh(self) -> None:
        """Show on the displayed screen what has changed on other servers."""
        screen = None if self.shown is None else self.shown.screen
        if screen is not None and screen.is_ready:
            screen.refresh_overview()


def named(alert: Alert, server: str) -> Alert:
    """An alert with the name of its server."""
    return msgspec.structs.replace(alert, server=server)
