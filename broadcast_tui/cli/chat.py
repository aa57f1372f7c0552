"""`broadcast-tui chat`: the full-screen client, with a server of its own if asked."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from typing import Annotated

from cyclopts import Parameter

from broadcast_tui.cli.child_server import ChildServer
from broadcast_tui.cli.credentials import WHERE_TO_PUT, prompt_address, saved_security, security_for
from broadcast_tui.cli.errors import ExitCode, UsageError
from broadcast_tui.cli.option_types import Port, Texts
from broadcast_tui.cli.settings import USER_CONFIG, offer
from broadcast_tui.client import SecurityOptions
from broadcast_tui.client.address import DEFAULT_HOST, DEFAULT_PORT, Address, parse_address
from broadcast_tui.core.errors import InvalidNameError
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
    theme: str = "",
    plain: Annotated[bool, Parameter(negative=())] = False,
    mention: Texts = (),
    token_file: str = "",
    ca: str = "",
    insecure_token: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Chat in a room, full-screen.

    Parameters
    ----------
    url
        Server and room, such as ws://chat.example.org:8765/lobby, or host:port, or an invite; - asks for it,
        so that a token in it is in no list of commands.
    host
        Host of the server, instead of a URL [default: localhost].
    port
        Port of the server, instead of a URL [default: 8765].
    name
        Your name; without it you are asked.
    room
        Room to enter and show [default: the rooms of last time, at first the lobby].
    serve
        Start a server first if none answers there; it ends with the chat.
    theme
        Colors for this run, such as broadcast-light or nord [default: those chosen last].
    plain
        Print lines instead, and read lines: for screen readers and pipes [default: where TERM is dumb].
    mention
        A word that counts as a mention of you, as your name does; may be given several times.
    token_file
        File with the token to show, readable by you alone [default: BROADCAST_TUI_TOKEN, or what is kept].
    ca
        File with the authorities whose certificates to trust [default: those of the system].
    insecure_token
        Send the token over unencrypted connections to other machines too.
    """
    address = _address(prompt_address(url), host, port, room)
    if name:
        try:
            name = check_name(name)
        except InvalidNameError as error:
            raise UsageError(f"--name: {error.text}") from error
    check_theme(theme)
    plain = plain or os.environ.get("TERM") == "dumb"
    if not plain and not (sys.stdin.isatty() and sys.__stderr__ is not None and sys.__stderr__.isatty()):
        raise UsageError(
            "The chat needs a terminal; run it in one, without redirecting input or errors, or use --plain."
        )
    security = security_for(address, token_file, ca, insecure_token)
    child = ChildServer(address)
    try:
        if serve:
            child.start_if_needed()
        wanted = address.room if room is not None else address.explicit_room
        if plain:
            return _run_plain(address, name, security, mention)
        return _run(address, name, wanted, theme, child, security, ca, mention)
    finally:
        child.stop()


def check_theme(name: str) -> None:
    """Raises UsageError if there are no such colors; empty is none chosen."""
    if not name:
        return
    from broadcast_tui.tui.themes import theme_names

    if name not in (known := theme_names()):
        raise UsageError(f"There is no theme {name!r}.{offer(name, known)}")


def _run(
    address: Address,
    name: str,
    room: str,
    theme: str,
    child: ChildServer,
    security: SecurityOptions,
    ca: str,
    mentions: tuple[str, ...],
) -> int:
    from broadcast_tui.client import BroadcastClient
    from broadcast_tui.client.storage.credentials import Credentials, PendingCredentials
    from broadcast_tui.client.storage.preferences import Preferences
    from broadcast_tui.tui.app import ChatApp

    keys = USER_CONFIG.checked_keys()
    preferences = Preferences.load()

    def make_client(there: Address, chosen: str, wanted: str = "") -> BroadcastClient:
        rooms = preferences.rooms_on(there.url, wanted or there.explicit_room).joined
        return BroadcastClient(
            there.url,
            name=chosen,
            rooms=rooms,
            client_id=preferences.client_id,
            security=security if there.url == address.url else saved_security(there, ca),
        )

    app = ChatApp(
        lambda chosen: make_client(address, chosen, room),
        name=name,
        room=preferences.rooms_on(address.url, room).shown,
        server=address.url,
        elsewhere=make_client,
        preferences=preferences,
        theme=theme,
        keys=keys,
        credentials=PendingCredentials(Credentials(), address.url, address.token, address.pin),
        has_token=bool(security.token),
        mentions=mentions,
        local_server=child if address.is_local and not address.secure else None,
    )
    app.run()
    return app.return_code if app.return_code is not None else ExitCode.OK


def _run_plain(address: Address, name: str, security: SecurityOptions, mentions: tuple[str, ...]) -> int:
    import asyncio

    from broadcast_tui.cli.pipes import lines_of_input, write_all_characters
    from broadcast_tui.client import BroadcastClient
    from broadcast_tui.client.storage.preferences import Preferences
    from broadcast_tui.tui.line_mode import LineChat

    preferences = Preferences.load()
    chosen = name or preferences.name
    if not chosen:
        raise UsageError("Give your name: broadcast-tui chat --plain --name NAME.")
    write_all_characters(as_json=False)

    async def run() -> int:
        client = BroadcastClient(
            address.url, name=chosen, rooms=[address.room], client_id=preferences.client_id, security=security
        )
        typed = sys.stdin is not None and sys.stdin.isatty()
        chat = LineChat(
            client,
            address.room,
            lambda text: print(text, flush=True),
            echo=not typed,
            preferences=preferences,
            mentions=mentions,
            token_hint=f"To come in, {WHERE_TO_PUT}.",
        )
        await chat.run(lines_of_input())
        return ExitCode.UNREACHABLE if chat.was_rejected else ExitCode.OK

    return asyncio.run(run())


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
    return replace(parsed, room=chosen_room or parsed.room)
