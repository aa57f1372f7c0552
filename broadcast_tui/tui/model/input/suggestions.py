"""What is offered above the input: completions, the hint of a command, or what a search found.

Pure: rows, which of them is chosen, and which part of them fits.
"""

from __future__ import annotations

import msgspec


class Suggestion(msgspec.Struct, frozen=True):
    """One row: what it stands for, and a dimmer word about it. Both are safe to draw, of one line."""

    label: str
    note: str = ""


class Suggestions(msgspec.Struct, frozen=True):
    """Rows from the top; `chosen` is an index into them, -1 for none. The prompt, if any, is the last row."""

    rows: tuple[Suggestion, ...]
    chosen: int = -1
    prompt: str = ""
    state: str = ""
    """A word on how the search goes, beside the prompt."""

    def window(self, count: int) -> range:
        """Indices of the `count` rows to show, with the chosen one among them."""
        count = max(0, min(count, len(self.rows)))
        at = max(self.chosen, 0)
        if self.prompt:
            # The newest is nearest to the prompt.
            first = min(len(self.rows) - count, at)
        else:
            first = max(0, min(at - count // 2, len(self.rows) - count))
        return range(first, first + count)
