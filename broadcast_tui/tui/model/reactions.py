"""Emoji to react with: recently used ones, then common ones."""

from __future__ import annotations

from collections.abc import Iterable

RECENT_MAX = 20
COMMON = ("👍", "✅", "🎉", "👀", "😄", "🙏", "🚀", "👎")


class RecentReactions:
    """The reactions that the user has used, the most recent first."""

    def __init__(self, used: Iterable[str] = ()) -> None:
        self._used = list(dict.fromkeys(used))[:RECENT_MAX]

    def use(self, emoji: str) -> None:
        """Put `emoji` first."""
        self._used = [emoji, *(other for other in self._used if other != emoji)][:RECENT_MAX]

    @property
    def used(self) -> tuple[str, ...]:
        """The used ones, the most recent first."""
        return tuple(self._used)

    def offered(self) -> list[str]:
        """Emoji to offer: the used ones, then the common ones."""
        return list(dict.fromkeys((*self._used, *COMMON)))
