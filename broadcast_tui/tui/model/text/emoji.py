"""Emoji by their short names, from Rich's table, loaded on first use."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from broadcast_tui.core.text import visible_line

EMOJI_OFFERED = 40
"""Maximum number of suggestions."""

EMOJI_CHARS = 32
"""Maximum number of characters of an emoji, of which some consist of many."""
_ASCII = frozenset(map(chr, range(0x20, 0x7F))) - frozenset("#*0123456789")
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


@lru_cache(maxsize=1)
def _names() -> Mapping[str, str]:
    """The shortest name of each emoji."""
    names: dict[str, str] = {}
    for name, emoji in sorted(emoji_table().items(), key=lambda item: len(item[0])):
        names.setdefault(emoji, name)
    return names


_CODE = re.compile(r"(```.*?(?:```|\Z)|`[^`\n]+`)", re.DOTALL)
_TYPED_NAMES = re.compile(r"(?<![^\s(])(?::[A-Za-z0-9_+\-]+:)+(?![\w:])")


def with_emoji(text: str) -> str:
    """`text` with emoji instead of their names, as in `:heart:`, except in code.

    Before a name there must be a blank or a parenthesis, so that times and addresses remain as they are.
    """
    if ":" not in text:
        return text
    parts = _CODE.split(text)
    parts[::2] = [_TYPED_NAMES.sub(_emoji_in, part) for part in parts[::2]]
    return "".join(parts)


def _emoji_in(match: re.Match[str]) -> str:
    names = match[0][1:-1].split("::")
    return "".join(emoji_table().get(name.casefold(), f":{name}:") for name in names)


def name_of(emoji: str) -> str:
    """The shortest name of an emoji, without colons; empty if it has none."""
    return _names().get(emoji, "")


def emoji_of(typed: str) -> str:
    """The emoji typed as `:name:`, `name` or itself; empty if it is none of these."""
    typed = typed.strip()
    name = typed.strip(":").casefold()
    if found := emoji_table().get(name):
        return found
    is_emoji = 0 < len(typed) <= EMOJI_CHARS and not any(
        character.isspace() or character.isalpha() or character in _ASCII for character in typed
    )
    return typed if is_emoji and visible_line(typed) == typed else ""
