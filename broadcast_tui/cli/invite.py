"""`broadcast-tui invite`: print the command with which others join a server on this machine."""

from __future__ import annotations

import ipaddress
import re
import sys
from typing import Annotated

import segno
from cyclopts import Parameter
from cyclopts.validators import Number

from broadcast_tui.cli.errors import ExitCode, UsageError
from broadcast_tui.cli.security import data_path
from broadcast_tui.cli.server_info import ServerInfo
from broadcast_tui.cli.token import create_token, open_token_store
from broadcast_tui.core.hub.auth import Role
from broadcast_tui.core.limits import DEFAULT_ROOM
from broadcast_tui.core.names import check_room


def invite(
    *,
    token: str = "",
    role: Role | None = None,
    expires: str = "",
    host: str = "",
    port: Annotated[int, Parameter(validator=Number(gte=1, lte=65535))] = 8765,
    room: str = DEFAULT_ROOM,
    qr: Annotated[bool, Parameter(negative=())] = False,
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
        Port of the server.
    room
        Room to join.
    qr
        Also print the invite as a QR code.
    """
    if not _is_host(host):
        raise UsageError(f"--host: Invalid host name or address: {host!r}.")
    info = ServerInfo.load(data_path(), port)
    if info is None:
        raise UsageError(f"No server was started on port {port}. Use --port, or run 'broadcast-tui serve'.")
    room = check_room(room)
    secret = create_token(open_token_store(info.tokens), token, role, expires)[0] if token else ""
    url = info.invite(host=host, room=room, token=secret)
    print(f"broadcast-tui chat '{url}'")
    if qr:
        print("\n".join(qr_lines(url, colors=sys.stdout.isatty())))
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


def _is_host(text: str) -> bool:
    """Whether `text` is a host name or address, or empty."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return re.fullmatch(r"[\w.-]*", text) is not None
    return True


QUIET_ZONE = 2
"""Margin around the QR code in modules. The standard requires 4; readers need only 2."""
BLACK_ON_WHITE = "\x1b[38;5;16;48;5;231m"
RESET = "\x1b[0m"


def qr_lines(text: str, *, colors: bool) -> list[str]:
    """Lines of equal width that show a QR code.

    With `colors` it is black on white; without, printed characters are light, as on a dark terminal.
    """
    matrix = [[bool(module) for module in row] for row in segno.make(text, error="l", micro=False).matrix]
    width = len(matrix[0]) + 2 * QUIET_ZONE
    blank = [[False] * width] * QUIET_ZONE
    rows = [*blank, *([False] * QUIET_ZONE + row + [False] * QUIET_ZONE for row in matrix), *blank]
    if len(rows) % 2:
        rows.append([False] * width)
    blocks = {(False, False): " ", (True, False): "▀", (False, True): "▄", (True, True): "█"}
    lines = []
    for upper, lower in zip(rows[::2], rows[1::2], strict=True):
        if colors:
            line = "".join(blocks[pair] for pair in zip(upper, lower, strict=True))
            lines.append(f"{BLACK_ON_WHITE}{line}{RESET}")
        else:
            lines.append("".join(blocks[not a, not b] for a, b in zip(upper, lower, strict=True)))
    return lines
