"""`broadcast-tui invite`: print the command with which others join a server on this machine."""

from __future__ import annotations

import sys

from broadcast_tui.cli.errors import ExitCode, UsageError
from broadcast_tui.cli.option_types import ServerPort
from broadcast_tui.cli.server_info import check_host, data_path, find_server
from broadcast_tui.cli.token import create_token, open_token_store
from broadcast_tui.core.hub.auth import Role
from broadcast_tui.core.names import DEFAULT_ROOM, check_room
from broadcast_tui.qr_code import qr_lines


def invite(
    *,
    token: str = "",
    role: Role | None = None,
    expires: str = "",
    host: str = "",
    port: ServerPort | None = None,
    room: str = DEFAULT_ROOM,
    qr: bool = False,
) -> int:
    """Print the command with which others join a server on this machine.

    Parameters
    ----------
    token
        Create a token for this name and include it in the invite, which you must then keep secret.
    role
        Permissions of the new token: read (reader), also post (member), also moderate (admin)
        [default: member].
    expires
        Validity of the new token, such as 12h, 30d or 8w [default: until it is revoked].
    host
        Host name or address at which others reach this machine [default: where the server listens].
    port
        Port of the server [default: that of the server on this machine, or 8765].
    room
        Room to join.
    qr
        Also print a link for browsers and its QR code.
    """
    host = check_host(host)
    for option in [name for name, value in (("--role", role), ("--expires", expires)) if value and not token]:
        raise UsageError(f"{option}: There is no new token. Create one with --token NAME.")
    info = find_server(data_path(), port)
    room = check_room(room)
    secret = create_token(open_token_store(info.tokens), token, role, expires)[0] if token else ""
    address = info.address(host=host, room=room, token=secret)
    print(f"broadcast-tui chat '{address.invite}'")
    if qr:
        print("\n".join(qr_invite(address.link)))
    if info.needs_token and not token:
        print("A token is required to join. Use --token NAME to create one and include it.", file=sys.stderr)
    elif secret:
        print(
            f"This invite contains the token of {token}: send it privately. "
            "'broadcast-tui chat -' prompts for it, which keeps it out of the process list. "
            "'broadcast-tui token revoke' revokes it.",
            file=sys.stderr,
        )
    return ExitCode.OK


def qr_invite(link: str) -> list[str]:
    """Lines with a link and its QR code, for standard output."""
    return [link, *qr_lines(link, colors=sys.stdout.isatty())]
