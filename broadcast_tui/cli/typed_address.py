"""An address or invite that is typed rather than given: it may hold a token, and others can list commands."""

from __future__ import annotations

import getpass
import os
import sys

from broadcast_tui.cli import ASK, UsageError

LINE_BYTES_MAX = 4096


def typed_address(given: str) -> str:
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
