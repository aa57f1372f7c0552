"""The words of a text as searching sees them: without case and accents.

A query finds a text if each of its words begins some word of the text. That is what SQLite's
FTS5 does with `unicode61` and prefixes, and what the engines without it do here.
"""

from __future__ import annotations

import re
import unicodedata

_WORD = re.compile(r"[^\W_]+")


def words_of(text: str) -> list[str]:
    """The words of `text`, in order, folded."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return _WORD.findall("".join(char for char in decomposed if not unicodedata.combining(char)))


def matches(query_words: list[str], text: str) -> bool:
    """Whether each of `query_words` begins a word of `text`; an empty query finds nothing."""
    if not query_words:
        return False
    found = words_of(text)
    return all(any(word.startswith(wanted) for word in found) for wanted in query_words)
