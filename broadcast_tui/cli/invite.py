"""`broadcast-tui invite`: the one line with which others join a server of this machine."""

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
from broadcast_tui.cli.token import make_token, open_book
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
    """Print the line with which others join the server that was started here last on a port.

    Parameters
    ----------
    token
        Make a token for this name and put it into the line: whoever has the line has the token.
    role
        What the new token's holder may do: read (reader), post too (member), or keep order as well (admin)
        [default: member].
    expires
        How long the new token is valid, such as 12h, 30d or 8w [default: until it is revoked].
    host
        Name or address under which others reach this machine [default: where the server listens].
    port
        Port of the server.
    room
        Room to enter.
    qr
        Show the line as a QR code too.
    """
    if not _is_host(host):
        raise UsageError(f"--host: {host!r} is no name or address of a machine.")
    record = ServerInfo.load(data_path(), port)
    if record is None:
        raise UsageError(f"No server was started here on port {port}; start one with 'broadcast-tui serve'.")
    room = check_room(room)
    secret = make_token(open_book(record.tokens), token, role, expires)[0] if token else ""
    url = record.invite(host=host, room=room, token=secret)
    print(f"broadcast-tui chat '{url}'")
    if qr:
        print("\n".join(qr_lines(url, colors=sys.stdout.isatty())))
    if record.needs_token and not token:
        print("They need a token too; --token NAME makes one and puts it into the line.", file=sys.stderr)
    elif secret:
        print(
            f"The line has the token of {token} in it: send it in private; "
            f"'broadcast-tui token revoke' takes it back. Typed where 'broadcast-tui chat -' asks for it, "
            "it is in no list of commands.",
            file=sys.stderr,
        )
    return ExitCode.OK


def _is_host(text: str) -> bool:
    """Whether `text` can stand for a machine in an address; empty for the usual one."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return re.fullmatch(r"[\w.-]*", text) is not None
    return True


QUIET = 2
"""Light modules around the code; the standard asks for 4, readers do with 2."""


BLACK_ON_WHITE = "\x1b[38;5;16;48;5;231m"


RESET = "\x1b[0m"


def qr_lines(text: str, *, colors: bool) -> list[str]:
    """Lines of equal width. With `colors` dark is black and light is white, whatever the terminal's are;
    without, what is printed is light, as it is on a dark terminal.
    """
    matrix = [[bool(module) for module in row] for row in segno.make(text, error="l", micro=False).matrix]
    width = len(matrix[0]) + 2 * QUIET
    blank = [[False] * width] * QUIET
    rows = [*blank, *([False] * QUIET + row + [False] * QUIET for row in matrix), *blank]
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
