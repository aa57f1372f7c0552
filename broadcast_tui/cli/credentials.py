"""The token to show and the certificates to believe: from the invite, options, the environment, or kept."""

from __future__ import annotations

import getpass
import os
import sys
from dataclasses import replace
from pathlib import Path

from broadcast_tui.cli import ASK
from broadcast_tui.cli.errors import UsageError
from broadcast_tui.client import SecurityOptions, TrustError
from broadcast_tui.client.address import Address
from broadcast_tui.client.storage.credentials import Credentials
from broadcast_tui.private_file import readable_by_others

VARIABLE = "BROADCAST_TUI_TOKEN"


WHERE_TO_PUT = f"give a token with --token-file FILE or in {VARIABLE}"


TOKEN_FILE_BYTES = 4096


def security_for(address: Address, token_file: str, ca: str, insecure_token: bool) -> SecurityOptions:
    """What to show and believe at `address`; a token may be empty.

    Raises:
        UsageError: a file given cannot be read, or what is given is no token.
    """
    given = address.token or _from_file(token_file) or os.environ.get(VARIABLE, "").strip()
    return saved_security(replace(address, token=given), ca, insecure_token)


def saved_security(address: Address, ca: str, insecure_token: bool = False) -> SecurityOptions:
    """What the address says, else what is kept for its server: no token that was given for another one.

    Raises:
        UsageError: what is kept or given in the address is no token.
    """
    kept = Credentials()
    try:
        return SecurityOptions(
            address.token or kept.token(address.url),
            address.pin or ("" if ca else kept.pin(address.url)),
            Path(ca).expanduser() if ca else None,
            insecure_token,
        )
    except TrustError as error:
        raise UsageError(str(error)) from error


def _from_file(name: str) -> str:
    if not name:
        return ""
    path = Path(name).expanduser()
    try:
        with path.open(encoding="utf-8") as file:
            token = file.read(TOKEN_FILE_BYTES).strip()
    except (OSError, UnicodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text"
        raise UsageError(f"--token-file: {path} cannot be read: {why}.") from error
    if not token:
        raise UsageError(f"--token-file: {path} is empty; put the token into it.")
    if path.is_file() and readable_by_others(path):
        print(f"Warning: others on this machine may read {path}; run 'chmod 600 {path}'.", file=sys.stderr)
    return token


LINE_BYTES_MAX = 4096


def prompt_address(given: str) -> str:
    """`given`, or if that is `ASK` what is typed unseen; without a terminal, the first line of the input.

    Raises:
        UsageError: there was none.
    """
    if given != ASK:
        return given
    try:
        typed = getpass.getpass("Address or invite: ") if sys.stdin.isatty() else _first_line()
    except EOFError:
        typed = ""
    if not typed.strip():
        raise UsageError("Type the address or the invite, or give it in place of -.")
    return typed.strip()


def _first_line() -> str:
    """The first line of standard input; what follows is left there for whoever reads on."""
    line = b""
    while len(line) < LINE_BYTES_MAX and (char := os.read(sys.stdin.fileno(), 1)) not in (b"", b"\n"):
        line += char
    return line.decode(errors="replace")
