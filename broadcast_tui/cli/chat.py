"""`broadcast-tui chat`: the full-screen client, with a server of its own if asked."""

from __future__ import annotations

import sys
from typing import Annotated

from cyclopts import Parameter

from broadcast_tui.cli import ExitCode, UsageError
from broadcast_tui.cli.child_server import ChildServer
from broadcast_tui.cli.serve_options import Port
from broadcast_tui.client.address import DEFAULT_HOST, DEFAULT_PORT, Address, parse_address
from broadcast_tui.core.errors import NameRefused
from broadcast_tui.core.names import check_name, check_room


def chat(
    url: str = "",
    /,
    *,
    host: str | None = None,
    port: Port | None = None,
    name: str = "",
    room: str | None = None,
    serve: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Chat in a room, full-screen.

    Parameters
    ----------
    url
        Server and room, such as ws://chat.example.org:8765/lobby, or host:port.
    host
        Host of the server, instead of a URL [default: localhost].
    port
        Port of the server, instead of a URL [default: 8765].
    name
        Your name; without it you are asked.
    room
        Room to enter [default: lobby].
    serve
        Start a server first if none answers there; it ends with the chat.
    """
    address = _address(url, host, port, room)
    if name:
        try:
            name = check_name(name)
        except NameRefused as error:
            raise UsageError(f"--name: {error.text}") from error
    if not (sys.stdin.isatty() and sys.__stderr__ is not None and sys.__stderr__.isatty()):
        raise UsageError("The chat needs a terminal; run it in one, without redirecting input or errors.")
    child = ChildServer(address) if serve else None
    try:
        if child is not None:
            child.start_if_needed()
        return _run(address, name)
    finally:
        if child is not None:
            child.stop()


def _run(address: Address, name: str) -> int:
    from broadcast_tui.client import BroadcastClient
    from broadcast_tui.client.preferences import Preferences
    from broadcast_tui.tui.app import ChatApp

    preferences = Preferences.load()

    def make_client(chosen: str) -> BroadcastClient:
        return BroadcastClient(
            address.url, name=chosen, rooms=[address.room], client_id=preferences.client_id
        )

    app = ChatApp(make_client, name=name, room=address.room, server=address.url, preferences=preferences)
    app.run()
    return app.return_code if app.return_code is not None else ExitCode.OK


def _address(url: str, host: str | None, port: int | None, room: str | None) -> Address:
    if url and (host is not None or port is not None):
        raise UsageError("Give either a URL or --host and --port, not both.")
    chosen_room = check_room(room) if room is not None else None
    if url:
        parsed = parse_address(url)
    else:
        parsed = Address(host or DEFAULT_HOST, DEFAULT_PORT if port is None else port)
    if not parsed.port:
        raise UsageError("Port 0 is no port to connect to; give the one that the server printed.")
    return Address(parsed.host, parsed.port, chosen_room or parsed.room, parsed.secure)
