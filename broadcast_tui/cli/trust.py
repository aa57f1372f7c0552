"""The token to show and the certificates to believe: from the invite, options, the environment, or kept."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

from broadcast_tui.cli import UsageError
from broadcast_tui.client import Trust, TrustError
from broadcast_tui.client.address import Address
from broadcast_tui.client.credentials import Credentials
from broadcast_tui.private_file import readable_by_others

VARIABLE = "BROADCAST_TUI_TOKEN"
WHERE_TO_PUT = f"give a token with --token-file FILE or in {VARIABLE}"
TOKEN_FILE_BYTES = 4096


def trust_for(address: Address, token_file: str, ca: str, insecure_token: bool) -> Trust:
    """What to show and believe at `address`; a token may be empty.

    Raises:
        UsageError: a file given cannot be read, or what is given is no token.
    """
    given = address.token or _from_file(token_file) or os.environ.get(VARIABLE, "").strip()
    return kept_trust(replace(address, token=given), ca, insecure_token)


def kept_trust(address: Address, ca: str, insecure_token: bool = False) -> Trust:
    """What the address says, else what is kept for its server: no token that was given for another one.

    Raises:
        UsageError: what is kept or given in the address is no token.
    """
    kept = Credentials()
    try:
        return Trust(
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
