"""Tokens and trusted certificates: from the invite, options, the environment, or saved credentials."""

from __future__ import annotations

import getpass
import os
import sys
from dataclasses import replace
from pathlib import Path

from broadcast_tui.cli import PROMPT
from broadcast_tui.cli.errors import UsageError
from broadcast_tui.client import SecurityOptions, TrustError
from broadcast_tui.client.address import Address
from broadcast_tui.client.storage.credentials import Credentials
from broadcast_tui.core.session.updates import DisconnectCause
from broadcast_tui.private_file import readable_by_others

VARIABLE = "BROADCAST_TUI_TOKEN"
TOKEN_ADVICE = f"To authenticate, pass a token with --token-file FILE or in {VARIABLE}."
ADVICE = {
    DisconnectCause.UNAUTHORIZED: TOKEN_ADVICE,
    DisconnectCause.UNENCRYPTED_TOKEN: "To send it anyway, add --insecure-token.",
    DisconnectCause.UNTRUSTED_CERTIFICATE: "If you have the certificate of its authority, add --ca FILE.",
}
"""What a user can do about the causes of a failed connection."""
TOKEN_FILE_BYTES = 4096


def add_advice(reason: str, cause: DisconnectCause) -> str:
    """Append to `reason` what the user can do about `cause`."""
    return f"{reason.rstrip('.')}. {ADVICE[cause]}" if cause in ADVICE else reason


def security_for(
    address: Address, token_file: str, ca: str, insecure_token: bool, *, saved_token: bool = True
) -> SecurityOptions:
    """Security options for `address`; the token may be empty.

    Args:
        saved_token: Whether the saved token of the server is used if no other is given.

    Raises:
        UsageError: The token file cannot be read, or the token is malformed.
    """
    token = address.token or _from_file(token_file) or os.environ.get(VARIABLE, "").strip()
    return saved_security(replace(address, token=token), ca, insecure_token, saved_token=saved_token)


def saved_security(
    address: Address, ca: str, insecure_token: bool = False, *, saved_token: bool = True
) -> SecurityOptions:
    """Security options from the address and the saved credentials of its server only.

    Raises:
        UsageError: A token or pin is malformed.
    """
    saved = Credentials()
    try:
        return SecurityOptions(
            address.token or (saved.token(address.url) if saved_token else ""),
            address.pin or ("" if ca else saved.pin(address.url)),
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
        why = error.strerror if isinstance(error, OSError) else "not a text file"
        raise UsageError(f"--token-file: Cannot read {path}: {why}.") from error
    if not token:
        raise UsageError(f"--token-file: {path} is empty.")
    if path.is_file() and readable_by_others(path):
        print(f"Warning: {path} is readable by other users. Run: chmod 600 {path}", file=sys.stderr)
    return token


LINE_BYTES_MAX = 4096


def prompt_address(given: str) -> str:
    """Return `given`; if it is `PROMPT`, prompt without echo, or read a line if input is not a terminal.

    Raises:
        UsageError: Nothing was entered.
    """
    if given != PROMPT:
        return given
    try:
        typed = getpass.getpass("Address or invite: ") if sys.stdin.isatty() else _first_line()
    except EOFError:
        typed = ""
    if not typed.strip():
        raise UsageError("An address or invite is required.")
    return typed.strip()


def _first_line() -> str:
    """Read the first line of standard input and leave the rest unread."""
    line = b""
    while len(line) < LINE_BYTES_MAX and (char := os.read(sys.stdin.fileno(), 1)) not in (b"", b"\n"):
        line += char
    return line.decode(errors="replace")
