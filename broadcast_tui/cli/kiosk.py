"""Environment variables in a kiosk, which the user may have set over ssh (`AcceptEnv` of sshd)."""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence

IGNORED = ("BROADCAST_TUI_", "TEXTUAL")
"""Prefixes of variables that choose options, such as another server, name or file, or that write files."""
KEPT = ("BROADCAST_TUI_OUTPUT",)
"""Variables that only describe the terminal."""


def is_kiosk(tokens: Sequence[str]) -> bool:
    """Whether a command line, without the program, opens the chat as a kiosk."""
    return bool(tokens) and tokens[0] in ("chat", "connect") and "--kiosk" in tokens


def forget_variables(environment: MutableMapping[str, str]) -> None:
    """Remove the variables that have no effect in a kiosk."""
    for name in [*environment]:
        if name.startswith(IGNORED) and name not in KEPT:
            del environment[name]
