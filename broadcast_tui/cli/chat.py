"""`broadcast-tui chat`: the full-screen client, optionally with its own server."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from broadcast_tui import cli
from broadcast_tui.cli import PROMPT
from broadcast_tui.cli.chat_servers import chat_addresses
from broadcast_tui.cli.child_server import ChildServer
from broadcast_tui.cli.connect_options import ConnectOptions
from broadcast_tui.cli.credentials import ADVICE, saved_security
from broadcast_tui.cli.errors import ExitCode, UsageError
from broadcast_tui.cli.login_name import login_name
from broadcast_tui.cli.settings import USER_CONFIG, suggest
from broadcast_tui.client import SecurityOptions
from broadcast_tui.client.address import Address
from broadcast_tui.core.errors import InvalidNameError
from broadcast_tui.core.names import check_name
from broadcast_tui.core.session.updates import DisconnectCause

if TYPE_CHECKING:
    from broadcast_tui.tui.invites import Invite
    from broadcast_tui.tui.model.settings import Fixed

ASKED = (DisconnectCause.UNAUTHORIZED,)
"""Causes of a failed connection about which the full-screen chat asks."""
CONNECT_TIMEOUT_S = 10.0
"""Time to reach the server with `--plain` if the input is not a terminal, where nobody can end the chat."""


def chat(
    *url: str,
    host: str | None = None,
    port: cli.option_types.Port | None = None,
    name: str = "",
    ask_name: bool = False,
    room: str | None = None,
    serve: bool = False,
    qr: bool = False,
    theme: str = "",
    plain: bool = False,
    kiosk: bool = False,
    mention: cli.option_types.Texts = (),
    connection: cli.option_types.Connection = ConnectOptions(),  # noqa: B008
) -> int:
    """Open the chat client.

    Parameters
    ----------
    url
        Servers and rooms, such as ws://chat.example.org:8765/lobby, host:port, or an invite; - prompts for
        it, which keeps a token out of the process list and the shell history [default: the servers of the
        last chat with several servers, or this machine].
    host
        Host of the server, in place of a URL [default: localhost].
    port
        Port of the server, in place of a URL [default: 8765].
    name
        Your name for this run [default: the one you chose last; the client asks the first time].
    ask_name
        Ask for your name again.
    room
        Room to join and show [default: the rooms of the last run, or lobby].
    serve
        Start a server if there is none at the address; it stops when you quit.
    qr
        With --serve, let others in: listen on this machine's address in the network, and start with a link
        and a QR code with which others join.
    theme
        Color theme for this run, such as broadcast-light or nord [default: the last one chosen].
    plain
        Print and read lines, for screen readers and pipes [default: only if TERM is dumb].
    kiosk
        Turn off what uses this machine or another name, for people who log in over ssh. Requires --name, and
        saves the settings of each name separately.
    mention
        Additional word that counts as a mention of you; can be repeated.
    """
    if kiosk:
        _check_kiosk(url, name, serve=serve)
        from broadcast_tui.tui.terminal.signals import ignore_stop_keys

        ignore_stop_keys()
    if qr and not serve:
        raise UsageError("--qr requires --serve. In a running chat, use /invite.")
    plain = plain or os.environ.get("TERM") == "dumb"
    # A pipe talks to one server.
    restore = not (serve or kiosk) and (not plain or is_interactive())
    address, *others = chat_addresses(url, host, port, room, restore=restore)
    if qr:
        from broadcast_tui.cli.security import network_host

        address = replace(address, host=network_host(address.host))
    if name:
        try:
            name = check_name(name)
        except InvalidNameError as error:
            raise UsageError(f"--name: {error.text}") from error
    check_theme(theme)
    if not plain and not has_terminal():
        advice = "Connect with ssh -t." if kiosk else "Use --plain without one."
        raise UsageError(f"The chat needs a terminal for standard input and standard error. {advice}")
    if ask_name and (name or kiosk):
        raise UsageError("Use either --name or --ask-name, not both.")
    security = connection.security(address, saved_token=not kiosk)
    child = ChildServer(address, is_own=qr)
    try:
        if serve:
            child.start_if_needed()
        explicit_room = address.room if room is not None else address.explicit_room
        if plain:
            return _run_plain(
                address, others, name, security, connection.ca, mention, ask_name=ask_name, kiosk=kiosk
            )
        return _run(
            address,
            others,
            name,
            explicit_room,
            theme,
            child,
            security,
            connection.ca,
            mention,
            ask_name=ask_name,
            kiosk=kiosk,
            qr=qr,
            restores=not (url or host or port or room),
        )
    finally:
        child.stop()


def _check_kiosk(urls: tuple[str, ...], name: str, *, serve: bool) -> None:
    """Raise UsageError for options that contradict `--kiosk`."""
    if not name:
        raise UsageError("--kiosk requires --name, the only name of whoever uses it.")
    if serve:
        raise UsageError("--kiosk: Start the server separately, with 'broadcast-tui serve'.")
    if len(urls) > 1:
        raise UsageError("--kiosk: Use one address.")
    if PROMPT in urls:
        raise UsageError("--kiosk: The address must be given on the command line.")


def is_interactive() -> bool:
    """Whether a user can type lines."""
    return sys.stdin is not None and sys.stdin.isatty()


def has_terminal() -> bool:
    """Whether the full-screen chat can read keys and draw."""
    return sys.stdin.isatty() and sys.__stderr__ is not None and sys.__stderr__.isatty()


def check_theme(name: str) -> None:
    """Raises UsageError if there is no such theme; empty means that none is chosen."""
    if not name:
        return
    from broadcast_tui.tui.themes import theme_names

    if name not in (known := theme_names()):
        raise UsageError(f"No such theme: {name!r}.{suggest(name, known)}")


def _run(
    address: Address,
    others: list[Address],
    name: str,
    room: str,
    theme: str,
    child: ChildServer,
    security: SecurityOptions,
    ca: str,
    mentions: tuple[str, ...],
    *,
    ask_name: bool,
    kiosk: bool,
    qr: bool,
    restores: bool,
) -> int:
    from broadcast_tui.client import BroadcastClient
    from broadcast_tui.client.storage.credentials import Credentials, PendingCredentials
    from broadcast_tui.client.storage.install_secret import load_secret
    from broadcast_tui.client.storage.preferences import Preferences, kiosk_dir
    from broadcast_tui.tui.app import ChatApp

    keys = USER_CONFIG.checked_keys()
    directory = kiosk_dir(name) if kiosk else None
    preferences, secret = Preferences.load(directory), load_secret(directory)
    # In a kiosk, a token is in the file or nowhere: another person must not find it.
    token, pin = ("", "") if kiosk else (address.token, address.pin)

    def make_client(server: Address, user: str, room: str = "") -> BroadcastClient:
        rooms = preferences.rooms_on(server.url, room or server.explicit_room).joined
        return BroadcastClient(
            server.url,
            name=user,
            rooms=rooms,
            client_id=secret,
            security=security if server.url == address.url else saved_security(server, ca),
        )

    app = ChatApp(
        lambda user: make_client(address, user, room),
        name=name,
        suggested_name="" if kiosk else login_name(),
        ask_name=ask_name,
        room=preferences.rooms_on(address.url, room).shown,
        server=address.url,
        elsewhere=None if kiosk else make_client,
        preferences=preferences,
        theme=theme,
        keys=keys,
        credentials=PendingCredentials(Credentials(directory), address.url, token, pin),
        has_token=bool(security.token),
        mentions=mentions,
        advice={} if kiosk else {cause: ADVICE[cause] for cause in ADVICE if cause not in ASKED},
        local_server=child if (address.is_local or qr) and not (address.secure or kiosk) else None,
        kiosk=kiosk,
        make_invite=_make_invite,
        show_invite=qr,
        others=others,
        shown_server=preferences.shown_server if restores else "",
        fixed=_fixed_settings(theme),
    )
    app.run()
    return app.return_code if app.return_code is not None else ExitCode.OK


def _run_plain(
    address: Address,
    others: list[Address],
    name: str,
    security: SecurityOptions,
    ca: str,
    mentions: tuple[str, ...],
    *,
    ask_name: bool,
    kiosk: bool,
) -> int:
    import asyncio

    from broadcast_tui.cli.pipes import configure_stdout, read_input_lines
    from broadcast_tui.client import BroadcastClient
    from broadcast_tui.client.storage.install_secret import load_secret
    from broadcast_tui.client.storage.preferences import Preferences, kiosk_dir
    from broadcast_tui.tui.line_mode import LineChat

    directory = kiosk_dir(name) if kiosk else None
    preferences = Preferences.load(directory)
    interactive = is_interactive()
    chosen = name or ("" if ask_name else preferences.name)
    if not chosen and interactive:
        chosen = preferences.name = _prompt_name(preferences.name or login_name())
        preferences.save()
    if not chosen:
        raise UsageError("A name is required: broadcast-tui chat --plain --name NAME.")
    configure_stdout(as_json=False)

    async def run() -> int:
        secret = load_secret(directory)

        def make_client(server: Address, user: str) -> BroadcastClient:
            options = security if server is address else saved_security(server, ca)
            return BroadcastClient(
                server.url, name=user, rooms=[server.room], client_id=secret, security=options
            )

        client = make_client(address, chosen)
        chat = LineChat(
            client,
            address.room,
            lambda text: print(text, flush=True),
            echo=not interactive,
            preferences=preferences,
            mentions=mentions,
            advice={} if kiosk else ADVICE,
            connect_timeout_s=None if interactive else CONNECT_TIMEOUT_S,
            kiosk=kiosk,
            make_invite=_make_invite,
            elsewhere=None if kiosk else make_client,
            fixed=_fixed_settings(""),
        )
        for other in others:
            chat.add_server(other)
        if preferences.notice:
            chat.warn(preferences.notice)
        await chat.run(read_input_lines())
        return ExitCode.UNREACHABLE if chat.has_failed else ExitCode.OK

    return asyncio.run(run())


def _prompt_name(suggested: str) -> str:
    """Prompt for a name until it is valid; Enter accepts `suggested`, unless that is empty.

    Raises UsageError at the end of the input.
    """
    question = f"Your name [{suggested}]: " if suggested else "Your name: "
    while True:
        try:
            return check_name(input(question).strip() or suggested)
        except InvalidNameError as error:
            print(error.text, file=sys.stderr)
        except EOFError:
            raise UsageError("A name is required.") from None


def _fixed_settings(theme: str) -> dict[str, Fixed]:
    """The settings that do not come from the chat: those of the configuration file, and the theme.

    Raises:
        ConfigError: The file has an unknown setting or value.
    """
    from broadcast_tui.tui.model.settings import Fixed

    file = USER_CONFIG.file.name
    fixed = {name: Fixed(value, file) for name, value in USER_CONFIG.chat_settings().items()}
    if theme:
        in_file = USER_CONFIG.tables.get("chat", {}).get("theme")
        fixed["theme"] = Fixed(theme, file if theme == in_file else "an option")
    return fixed


def _make_invite(url: str, room: str, name: str) -> Invite:
    """As `make_invite`, which is loaded on the first use."""
    from broadcast_tui.cli.chat_invites import make_invite

    return make_invite(url, room, name)
