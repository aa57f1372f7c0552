"""Commands about the connection: ping, connect, invite, reconnect, disconnect."""

from __future__ import annotations

from functools import partial
from time import monotonic

from broadcast_tui.client.address import parse_address
from broadcast_tui.core.errors import BroadcastError
from broadcast_tui.core.names import is_direct
from broadcast_tui.core.session.updates import ConnectionState
from broadcast_tui.tui.commands.context import CommandHandler
from broadcast_tui.tui.model.status import server_lines, unsent_text


class ConnectionCommands(CommandHandler):
    """Handlers of commands about the connection."""

    def ping(self, _argument: str) -> bool:
        if not self._state.is_online:
            return self.fail("You are offline. Try again when you are connected.")
        self._state.requests.start_ping(self._client.list_members(self._state.rooms.shown_name), monotonic())
        return True

    def connect(self, typed: str) -> bool:
        try:
            address = parse_address(typed)
        except BroadcastError as error:
            return self.fail(str(error))
        self._context.connect_to(address)
        return True

    def invite(self, name: str) -> bool:
        if is_direct(self._state.rooms.shown_name):
            return self.fail("Nobody can be invited to direct messages. Go to a room first.")
        self._context.open_invite(name)
        return True

    def reconnect(self, _argument: str) -> bool:
        if self._state.is_online:
            self._client.disconnect()
        self._client.reconnect_now()
        return True

    def disconnect(self, typed: str) -> bool:
        """Leave a server, by default this one; if it is the only one, go offline."""
        servers = self._context.servers
        server = servers.find(typed) if typed else servers.shown
        if server is None:
            names = ", ".join(map(servers.name, servers.all))
            return self.fail(f"Not connected to '{typed}'. Your servers: {names}")
        if servers.is_single and self._state.connection.state is ConnectionState.CLOSED:
            return self.print("You are already offline. Use /reconnect to connect.")
        if servers.is_single:
            self._client.disconnect()
        elif (unsent := server.state.pending_count) and not server.state.is_online:
            question = f"{unsent_text(unsent)} to {servers.name(server)}."
            leave = partial(self._context.leave_server, server)
            self._context.post_context.confirm(question, "Disconnect", leave)
        else:
            self._context.leave_server(server)
        return True

    def servers(self, _argument: str) -> bool:
        """List the servers, with their rooms."""
        return self.print(*server_lines(self._context.servers))
