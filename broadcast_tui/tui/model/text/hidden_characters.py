"""Hidden characters and homoglyphs in a text, made visible for the post inspector.

Transcript texts are sanitized: characters that would control the terminal or change the writing direction are
U+FFFD there. The rest is harmless to a screen but may deceive a reader.
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
_PLAIN_BLANKS = " \n"


class CharacterInfo(msgspec.Struct, frozen=True):
    """A part of a text; `odd` if it represents a hidden or misleading character."""

    text: str
    odd: bool = False


class HiddenCharacter(msgspec.Struct, frozen=True):
    """A hidden or misleading character, its number of occurrences and a description."""

    char: str
    count: int
    about: str

    @property
    def code(self) -> str:
        return code_of(self.char)


def code_of(char: str) -> str:
    """`U+202E`"""
    return f"U+{ord(char):04X}"


def split_hidden(text: str) -> list[CharacterInfo]:
    """Split `text` into parts. Hidden characters become `⟨U+200D⟩`, which also follows each homoglyph."""
    homoglyphs = _homoglyphs_in(text)
    pieces: list[CharacterInfo] = []
    plain = ""
    for index, char in enumerate(text):
        if index in homoglyphs:
            plain += char
        elif not _is_hidden(char):
            plain += char
            continue
        if plain:
            pieces.append(CharacterInfo(plain))
            plain = ""
        pieces.append(CharacterInfo(f"⟨{code_of(char)}⟩", odd=True))
    return [*pieces, CharacterInfo(plain)] if plain else pieces


def hidden_characters(text: str) -> list[HiddenCharacter]:
    """The hidden characters and homoglyphs in `text`, in order of appearance."""
    homoglyphs = _homoglyphs_in(text)
    hidden = Counter(char for index, char in enumerate(text) if index not in homoglyphs and _is_hidden(char))
    misleading = Counter(text[index] for index in sorted(homoglyphs))
    return [
        *(HiddenCharacter(char, count, _name_of(char)) for char, count in hidden.items()),
        *(
            HiddenCharacter(char, count, f"{_name_of(char)}, looks like {HOMOGLYPHS[ord(char.lower())]}")
            for char, count in misleading.items()
        ),
    ]


def _is_hidden(char: str) -> bool:
    """Whether `char` is invisible, or replaces a character that must not be drawn."""
    if char in _PLAIN_BLANKS or "!" <= char <= "~":
        return False
    return (
        char == REPLACEMENT
        or char in INVISIBLE
        or _VARIATIONS.match(char) is not None
        or category(char) in {"Cf", "Cc", "Co", "Cn", "Cs", "Zl", "Zp", "Zs"}
    )


def _homoglyphs_in(text: str) -> set[int]:
    """Positions of letters that imitate Latin ones, in words that also have Latin letters."""
    if text.isascii():
        return set()
    found: set[int] = set()
    for match in _WORD.finditer(text):
        word = match[0]
        if word.isascii() or not any(char.isascii() and char.isalpha() for char in word):
            continue
        found |= {match.start() + i for i, char in enumerate(word) if _is_homoglyph(char)}
    return found


def _is_homoglyph(char: str) -> bool:
    """Whether `char` is a non-Latin letter that looks like a Latin one."""
    return not char.isascii() and ord(char.lower()) in HOMOGLYPHS and not name(char, "").startswith("LATIN")


def _name_of(char: str) -> str:
    if char == REPLACEMENT:
        return "replaces a character that must not be drawn"
    return name(char, "unnamed character").lower()
