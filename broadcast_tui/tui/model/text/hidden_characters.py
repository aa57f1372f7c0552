"""What a text has in it that nobody sees: characters without ink, and letters that pass for others.

A transcript holds texts made safe to draw: what would drive a terminal or turn the writing round is U+FFFD
there. What stays is harmless to a screen but not to a reader, and is made visible here.
"""

from __future__ import annotations

import re
from collections import Counter
from unicodedata import category, name

import msgspec

from broadcast_tui.core.confusables import HOMOGLYPHS, INVISIBLE
from broadcast_tui.core.text import REPLACEMENT

_WORD = re.compile(r"\w+")
_VARIATIONS = re.compile("[\u180b-\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef]")
_SEEN_BLANKS = " \n"


class CharacterInfo(msgspec.Struct, frozen=True):
    """A part of a text; `odd` if it stands for a character that is hidden or misleads."""

    text: str
    odd: bool = False


class HiddenCharacter(msgspec.Struct, frozen=True):
    """A character that is hidden or misleads, how often it occurs, and what it is."""

    char: str
    count: int
    about: str

    @property
    def code(self) -> str:
        return code_of(self.char)


def code_of(char: str) -> str:
    """`U+202E`"""
    return f"U+{ord(char):04X}"


def pieces_of(text: str) -> list[CharacterInfo]:
    """`text` in order; hidden characters are `⟨U+200D⟩`, which also follows each letter that misleads."""
    twins = _twins_in(text)
    pieces: list[CharacterInfo] = []
    plain = ""
    for index, char in enumerate(text):
        if index in twins:
            plain += char
        elif not _is_hidden(char):
            plain += char
            continue
        if plain:
            pieces.append(CharacterInfo(plain))
            plain = ""
        pieces.append(CharacterInfo(f"⟨{code_of(char)}⟩", odd=True))
    return [*pieces, CharacterInfo(plain)] if plain else pieces


def oddities_of(text: str) -> list[HiddenCharacter]:
    """What `text` has of hidden characters and misleading letters, in the order first met."""
    twins = _twins_in(text)
    hidden = Counter(char for index, char in enumerate(text) if index not in twins and _is_hidden(char))
    misleading = Counter(text[index] for index in sorted(twins))
    return [
        *(HiddenCharacter(char, count, _name_of(char)) for char, count in hidden.items()),
        *(
            HiddenCharacter(char, count, f"{_name_of(char)}, looks like {HOMOGLYPHS[ord(char.lower())]}")
            for char, count in misleading.items()
        ),
    ]


def _is_hidden(char: str) -> bool:
    """Whether `char` leaves nothing to see, or stands for what must not be drawn."""
    if char in _SEEN_BLANKS or "!" <= char <= "~":
        return False
    return (
        char == REPLACEMENT
        or char in INVISIBLE
        or _VARIATIONS.match(char) is not None
        or category(char) in {"Cf", "Cc", "Co", "Cn", "Cs", "Zl", "Zp", "Zs"}
    )


def _twins_in(text: str) -> set[int]:
    """Where letters stand that pass for Latin ones, in words that have Latin letters too."""
    if text.isascii():
        return set()
    found: set[int] = set()
    for match in _WORD.finditer(text):
        word = match[0]
        if word.isascii() or not any(char.isascii() and char.isalpha() for char in word):
            continue
        found |= {match.start() + i for i, char in enumerate(word) if _is_twin(char)}
    return found


def _is_twin(char: str) -> bool:
    """Whether `char` is of another script than Latin but looks as if it were not."""
    return not char.isascii() and ord(char.lower()) in HOMOGLYPHS and not name(char, "").startswith("LATIN")


def _name_of(char: str) -> str:
    if char == REPLACEMENT:
        return "stands for a character that must not be drawn"
    return name(char, "a character without a name").lower()
