"""Splits the text of a post into its fenced code blocks and the rest."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

_FENCE = re.compile(r" {0,3}(`{3,})([^`]*)")


class Part(NamedTuple):
    """Consecutive lines of a post."""

    is_code: bool
    lines: list[str]


def parts_of(text: str) -> Iterator[Part]:
    """Yield the parts of a text, without the fences. A block without an end is not a code block."""
    lines, plain, index = text.split("\n"), list[str](), 0
    while index < len(lines):
        end = _end_of_block(lines, index)
        if end is None:
            plain.append(lines[index])
            index += 1
            continue
        if plain:
            yield Part(False, plain)
            plain = []
        yield Part(True, lines[index + 1 : end])
        index = end + 1
    if plain:
        yield Part(False, plain)


def _end_of_block(lines: list[str], start: int) -> int | None:
    """Index of the line that closes the block which begins at `start`; None if there is none."""
    opening = _FENCE.fullmatch(lines[start])
    if opening is None:
        return None
    for index in range(start + 1, len(lines)):
        closing = lines[index].strip()
        if len(closing) >= len(opening[1]) and not closing.strip("`"):
            return index
    return None
