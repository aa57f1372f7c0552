"""Full-text search without an index: words, folded to ignore case and accents.

A query matches a text if each of its words is a prefix of a word in the text, as in SQLite's FTS5 with
`unicode61` and prefix queries.
"""

from __future__ import annotations

import re
import unicodedata

_WORD = re.compile(r"[^\W_]+")


def words_of(text: str) -> list[str]:
    """The folded words of `text`, in order."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return _WORD.findall("".join(char for char in decomposed if not unicodedata.combining(char)))


def matches(query_words: list[str], text: str) -> bool:
    """Whether each of `query_words` is a prefix of a word in `text`; an empty query never matches."""
    if not query_words:
        return False
    words = words_of(text)
    return all(any(word.startswith(prefix) for word in words) for prefix in query_words)
