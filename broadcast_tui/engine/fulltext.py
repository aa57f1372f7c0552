"""Full-text search: words, folded to ignore case and accents.

A query matches a text if each of its terms is a prefix of a word in the text. All engines follow this
definition: those with an index store folded words in it.
"""

from __future__ import annotations

import re
import unicodedata
from itertools import filterfalse

TERMS_MAX = 8
"""Maximum number of terms of a query that are searched for."""
SEARCH_TIME_LIMIT_S = 0.25
"""Maximum time of a search, after which it is rejected as too costly."""

_WORD = re.compile(r"[^\W_]+")


def fold(text: str) -> str:
    """`text` without case and accents, in which search terms can be found."""
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(filterfalse(unicodedata.combining, decomposed))


def words_of(text: str) -> list[str]:
    """The folded words of `text`, in order."""
    return _WORD.findall(fold(text))


def query_terms(query: str) -> list[str]:
    """The terms to search for: the folded words of `query`, longest first, without redundant ones.

    A word that begins another word of the query is redundant. Of more than `TERMS_MAX` words, the longest
    count, so that a pasted sentence still finds its post. Empty if there are no words.
    """
    terms: list[str] = []
    for word in sorted(set(words_of(query)), key=lambda word: (-len(word), word)):
        if not any(term.startswith(word) for term in terms):
            terms.append(word)
            if len(terms) == TERMS_MAX:
                break
    return terms


class Matcher:
    """Matches folded texts against the terms of a query; without terms, it matches nothing."""

    __slots__ = ("_patterns", "terms")

    def __init__(self, terms: list[str]) -> None:
        self.terms = terms
        self._patterns = [re.compile(rf"(?<![^\W_]){term}") for term in terms]

    def matches(self, folded: str) -> bool:
        """Whether each term is a prefix of a word in `folded`, the result of `fold`."""
        # A substring test is far cheaper than a pattern, and fails for most texts.
        return (
            bool(self.terms)
            and all(term in folded for term in self.terms)
            and all(pattern.search(folded) for pattern in self._patterns)
        )
