"""Commands about the connection: how fast it is, ending it, making it again, going elsewhere."""

from __future__ import annotations

from time import monotonic
from typing import Literal, assert_never

from broadcast_tui.client.address import parse_address
from broadcast_tui.core.errors import BroadcastError
from broadcast_tui.core.session.updates import ConnectionState
from broadcast_tui.tui.commands.context import CommandHandler
from broadcast_tui.tui.commands.registry import Verb
from broadcast_tui.tui.model.status import unsent_text

ServerVerb = Literal[Verb.PING, Verb.CONNECT, Verb.RECONNECT, Verb.DISCONNECT]


class ConnectionCommands(CommandHandler):
    def carry_out(self, verb: ServerVerb, argument: str) -> bool:
        match verb:
            case Verb.PING:
                return self._ping()
            case Verb.CONNECT:
                return self._connect(argument)
            case Verb.RECONNECT:
                return self._reconnect()
            case Verb.DISCONNECT:
                return self._disconnect()
            case _:
                assert_never(verb)

    @property
    def _online(self) -> bool:
        return self._state.connection.state is ConnectionState.ONLINE

    def _ping(self) -> bool:
        if not self._online:
            return self.refuse("You are not connected; ask again when online.")
        self._state.asked.pinged(self._client.list_members(self._state.room), monotonic())
        return True

    def _connect(self, typed: str) -> bool:
        try:
            address = parse_address(typed)
        except BroadcastError as error:
            return self.refuse(str(error))
        unsent = sum(view.transcript.pending_count for view in self._state.rooms.values())
        if unsent and not self._online:
            return self.refuse(f"{unsent_text(unsent)}; /reconnect first, so that nothing is lost.")
        self._desk.ask_to_connect(address)
        return True

    def _reconnect(self) -> bool:
        if self._online:
            self._client.disconnect()
        self._client.reconnect_now()
        return True

    def _disconnect(self) -> bool:
        if self._state.connection.state is ConnectionState.CLOSED:
            return self.tell("You are offline already; /reconnect comes back.")
        self._client.disconnect()
        return True
