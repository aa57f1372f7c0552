"""Searching backwards in what was typed: each letter narrows, and what was found stays while it still fits.

Letters in either case are found by small ones; a capital asks for just that.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from broadcast_tui.core.text import visible_line
from broadcast_tui.tui.model.input_history import Entry
from broadcast_tui.tui.model.offers import Offer, Offers


class HistorySearch:
    """One search. `query` is what is looked for; nothing is found by an empty one."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._texts = list(dict.fromkeys(entry.text for entry in reversed(entries)))
        self._matching: list[str] = []
        self._index = 0
        self.query = ""

    @property
    def found(self) -> str | None:
        """The text that Enter would take, or None."""
        return self._matching[self._index] if self._matching else None

    def type(self, text: str) -> None:
        """Look for what was looked for and `text` after it."""
        self._look_for(self.query + text, self._texts if not self.query else self._matching)

    def rub_out(self) -> None:
        """Look for one letter less."""
        self._look_for(self.query[:-1], self._texts)

    def clear(self) -> None:
        self._look_for("", self._texts)

    def older(self) -> None:
        """On to the next older text, if there is one."""
        self._index = max(0, min(self._index + 1, len(self._matching) - 1))

    def newer(self) -> None:
        self._index = max(0, self._index - 1)

    def choose(self, row: int) -> None:
        """On to the text in `row` of what `offers` shows."""
        self._index = max(0, min(len(self._matching) - 1 - row, len(self._matching) - 1))

    def offers(self) -> Offers:
        """All that was found as rows, the oldest on top, above the prompt."""
        rows = tuple(Offer(visible_line(text.replace("\n", " ⏎ "))) for text in reversed(self._matching))
        state = f"{self._index + 1} of {len(rows)}" if rows else "nothing found" if self.query else ""
        return Offers(rows, len(rows) - 1 - self._index, prompt=f"(search) {self.query}", state=state)

    def _look_for(self, query: str, among: Iterable[str]) -> None:
        before, self.query = self.found, query
        exact = query != query.lower()
        self._matching = [text for text in among if query and query in (text if exact else text.lower())]
        self._index = self._matching.index(before) if before in self._matching else 0
