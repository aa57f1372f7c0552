"""Mentions: whether a text contains a name or keyword as a whole word, ignoring case.

`ana's`, `@ana` and `"ana"` count; `banana` does not. Apostrophes within a word do not separate: `don't`
mentions neither "t" nor "don". Scripts without spaces between words (Chinese, Japanese, Korean with its
endings, Thai and related ones) may touch a name on either side.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from unicodedata import category, normalize

from broadcast_tui.core.lazy_pattern import lazy_pattern

_UNSPACED = lazy_pattern(
    "[\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u3005-\u3007\u3040-\u318f\u31a0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\uff66-\uffdc\U00020000-\U0003ffff]"
)
_APOSTROPHES = "'\u2019"
_CACHED_WORDS = 64


def mentions(text: str, name: str, keywords: Sequence[str] = ()) -> bool:
    """Whether `text` mentions `name` or one of `keywords`; empty ones never match."""
    folded = ""
    for word in (name, *keywords):
        needle = _folded_word(word)
        if needle:
            folded = folded or _folded(text)
            if needle in folded and _stands_alone(folded, needle):
                return True
    return False


def mentioning_line(text: str, name: str, keywords: Sequence[str] = ()) -> str:
    """The first line of `text` with a mention; the whole text if no single line has one."""
    return next((line for line in text.split("\n") if mentions(line, name, keywords)), text)


def _stands_alone(text: str, needle: str) -> bool:
    """Whether `needle` occurs in `text` as a whole word."""
    at = text.find(needle)
    while at >= 0:
        if not _joins_before(text, at) and not _joins_after(text, at + len(needle)):
            return True
        at = text.find(needle, at + 1)
    return False


def _joins_before(text: str, at: int) -> bool:
    """Whether the character before `at` belongs to the same word."""
    if at == 0:
        return False
    if text[at - 1] in _APOSTROPHES:
        return at > 1 and _is_word_char(text[at - 2])
    return _is_word_char(text[at - 1])


def _joins_after(text: str, end: int) -> bool:
    """Whether the character at `end` belongs to the same word: only `'t` does of all endings."""
    rest = text[end : end + 3]
    if not rest:
        return False
    if rest[0] in _APOSTROPHES:
        return rest[1:2] == "t" and not (len(rest) > 2 and _is_word_char(rest[2]))
    return _is_word_char(rest[0]) or category(rest[0])[0] == "M"


def _is_word_char(char: str) -> bool:
    """Whether a name next to `char` is part of a longer word. Marks belong to the letter before them."""
    if char.isascii():
        return char.isalnum() or char == "_"
    return (char.isalnum() or category(char)[0] == "M") and not _UNSPACED.match(char)


@lru_cache(maxsize=_CACHED_WORDS)
def _folded_word(word: str) -> str:
    return _folded(word.strip())


def _folded(text: str) -> str:
    """`text` case-folded for comparison."""
    return text.lower() if text.isascii() else normalize("NFC", normalize("NFC", text).casefold())
