"""Emoji by their short names, from Rich's table, loaded on first use."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from broadcast_tui.core.text import visible_line

EMOJI_OFFERED = 40
"""Maximum number of suggestions."""

_NAME = re.compile(r"[a-z0-9_+\-]+")


@lru_cache(maxsize=1)
def emoji_table() -> Mapping[str, str]:
    """Emoji by name without colons, in Rich's order; only those that sanitizing leaves unchanged."""
    # Rich's public `Emoji` looks up one name but cannot list them.
    from rich._emoji_codes import EMOJI

    return {
        name: emoji for name, emoji in EMOJI.items() if _NAME.fullmatch(name) and visible_line(emoji) == emoji
    }


def emoji_named(part: str) -> list[tuple[str, str]]:
    """Pairs of name and emoji that match: prefix matches first, then shorter names.

    Each emoji appears once, under the first of its names.
    """
    part = part.casefold()
    names = sorted(
        (name for name in emoji_table() if part in name),
        key=lambda name: (not name.startswith(part), len(name), name),
    )
    first: dict[str, str] = {}
    for name in names:
        first.setdefault(emoji_table()[name], name)
    return [(name, emoji) for emoji, name in first.items()][:EMOJI_OFFERED]
