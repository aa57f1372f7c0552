"""The secret of this installation, from which the client id for each server is derived.

It has a file of its own, with mode 600. The `client_id` of the saved state cannot serve: version 0.1 sent it
to every server.
"""

from __future__ import annotations

import secrets
from pathlib import Path

from broadcast_tui.client.storage.preferences import LOCK_TIMEOUT_S, state_dir
from broadcast_tui.private_file import sole_writer, write_private

FILE_NAME = "install-secret"
_BYTES = 16
_CHARS = 2 * _BYTES


def load_secret(directory: Path | None = None) -> str:
    """The secret, 128 bits in hexadecimal; created at the first call, and again if its file is damaged.

    If the file can be neither read nor written, the result is a new secret, which is not saved.
    """
    path = (directory or state_dir()) / FILE_NAME
    if secret := _read(path):
        return secret
    secret = secrets.token_hex(_BYTES)
    try:
        with sole_writer(path, timeout_s=LOCK_TIMEOUT_S):
            if first := _read(path):
                return first
            write_private(path, f"{secret}\n")
    except OSError:
        pass
    return secret


def _read(path: Path) -> str:
    """The saved secret; empty if there is no valid one."""
    try:
        text = path.read_text("ascii").strip()
        return text if len(text) == _CHARS and len(bytes.fromhex(text)) == _BYTES else ""
    except (OSError, ValueError):
        return ""
