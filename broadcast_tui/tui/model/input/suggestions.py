"""Suggestions shown above the input: completions, a command's usage, or search results."""

from __future__ import annotations

import msgspec


class Suggestion(msgspec.Struct, frozen=True):
    """One row: a label and a dimmer note, both sanitized single lines."""

    label: str
    note: str = ""


class Suggestions(msgspec.Struct, frozen=True):
    """Rows from the top; `chosen` is an index into them, -1 for none. A prompt is the last row."""

    rows: tuple[Suggestion, ...]
    chosen: int = -1
    prompt: str = ""
    state: str = ""
    """Progress of the search, shown beside the prompt."""

    def window(self, count: int) -> range:
        """Indices of the `count` rows to show, which include the chosen one."""
        count = max(0, min(count, len(self.rows)))
        at = max(self.chosen, 0)
        if self.prompt:
            # The newest entry is next to the prompt.
            first = min(len(self.rows) - count, at)
        else:
            first = max(0, min(at - count // 2, len(self.rows) - count))
        return range(first, first + count)
