"""What was typed before, walked with Up and Down; the unsent draft waits at the end and is never lost.

Invariants: no two neighbours are equal; edits made to a recalled entry last until something is added.
"""

from __future__ import annotations

HISTORY_LIMIT = 500


class InputHistory:
    """Entries, oldest first, and a place among them; the place after the last one is the draft."""

    def __init__(self, limit: int = HISTORY_LIMIT) -> None:
        self._entries: list[str] = []
        self._limit = limit
        self._edited: dict[int, str] = {}
        self._place = 0

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, text: str) -> None:
        """Remember `text` as the newest entry and go back to an empty draft; blanks are not kept."""
        if text.strip() and (not self._entries or self._entries[-1] != text):
            self._entries.append(text)
            del self._entries[: -self._limit]
        self._edited.clear()
        self._place = len(self._entries)

    def older(self, current: str) -> str | None:
        """The entry before this place, or None at the oldest one. `current` is kept for the way back."""
        return self._move(-1, current)

    def newer(self, current: str) -> str | None:
        """The entry after this place, at last the draft; None at the draft."""
        return self._move(1, current)

    def _move(self, step: int, current: str) -> str | None:
        target = self._place + step
        if not 0 <= target <= len(self._entries):
            return None
        self._edited[self._place] = current
        self._place = target
        kept = self._entries[target] if target < len(self._entries) else ""
        return self._edited.get(target, kept)
