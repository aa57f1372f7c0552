"""Emoji by their short names, as rich knows them; the table is loaded when somebody first asks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from broadcast_tui.core.text import visible_line

EMOJI_OFFERED = 40
"""As many as anybody looks through."""

_NAME = re.compile(r"[a-z0-9_+\-]+")


@lru_cache(maxsize=1)
def emoji_table() -> Mapping[str, str]:
    """Names without colons to emoji, in rich's order; only those that arrive as they are sent."""
    # The only list of its names that rich has; its public `Emoji` finds one, but lists none.
    from rich._emoji_codes import EMOJI

    return {
        name: emoji for name, emoji in EMOJI.items() if _NAME.fullmatch(name) and visible_line(emoji) == emoji
    }


def emoji_named(part: str) -> list[tuple[str, str]]:
    """Names with their emoji: those that begin with `part` before those that contain it, short ones first.

    Each emoji comes once, by the first of its names.
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
