"""The order of names in lists: letters with accents are next to those without."""

from __future__ import annotations

from unicodedata import combining, normalize


def collation_key(name: str) -> tuple[str, str, str]:
    """Sort key of a name: without case and accents, then with them, so that the order is always the same."""
    if name.isascii():
        return name.casefold(), name.casefold(), name
    letters = "".join(each for each in normalize("NFKD", name) if not combining(each))
    return letters.casefold(), name.casefold(), name
