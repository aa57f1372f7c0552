"""Environment variables with the prefix of the program: which it knows, and warnings about the others."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches

from broadcast_tui.cli.help import RECORD
from broadcast_tui.cli.settings import FILE_VARIABLE

PREFIX = "BROADCAST_TUI_"
OTHERS = frozenset(
    (
        FILE_VARIABLE,
        f"{PREFIX}TOKEN",
        f"{PREFIX}OUTPUT",
        f"{PREFIX}REDIS_USER",
        f"{PREFIX}REDIS_PASSWORD",
    )
)
"""Variables that are not options of a command."""
ALIASES = (("START", "SERVE"), ("CONNECT", "CHAT"))
_OF_KUBERNETES = re.compile(r"SERVICE_(?:HOST|PORT(?:_\w+)?)|PORT_\d+_(?:TCP|UDP)(?:_\w+)?")
"""Variables, without the prefix, that Kubernetes sets for a service named `broadcast-tui`."""


def unknown_variables(environ: Mapping[str, str]) -> Iterator[str]:
    """A line about each variable with the prefix that no command knows, sorted by name."""
    given = [name for name in environ if name.startswith(PREFIX) and name not in OTHERS]
    if not given:
        return
    known = known_variables()
    for name in sorted(given):
        word = name.removeprefix(PREFIX)
        if name in known or _OF_KUBERNETES.fullmatch(word) or (word == "PORT" and "://" in environ[name]):
            continue
        meant = _closest(word.upper(), sorted(each.removeprefix(PREFIX) for each in known))
        advice = f"Did you mean {PREFIX}{meant}?" if meant else "It has no effect."
        yield f"Unknown environment variable: {name}. {advice}"


def _closest(word: str, known: Sequence[str]) -> str:
    """The known word that is meant: an option of `serve` without the command, or a similar word, or empty."""
    if f"SERVE_{word}" in known:
        return f"SERVE_{word}"
    return next(iter(get_close_matches(word, known, n=1)), "")


def known_variables() -> frozenset[str]:
    """The variables of all commands, of which the recorded help pages have those of options."""
    of_options = set(re.findall(rf"{PREFIX}[A-Z0-9_]+", RECORD.read_text("utf-8")))
    for alias, command in ALIASES:
        before = f"{PREFIX}{command}_"
        of_options |= {
            name.replace(before, f"{PREFIX}{alias}_", 1) for name in of_options if name.startswith(before)
        }
    return OTHERS | of_options
