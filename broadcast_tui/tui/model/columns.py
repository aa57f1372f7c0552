"""How a row of the log is split, at each width: time, name and mark in a gutter, then the text.

Only the text column ever holds what people wrote; what is left of it is ours, so no post can look like
two lines, or like a line of the system. From 60 cells on there is a column for names:

    |  21:04          ana │ hello                |     posts: `│`, system lines: `─`, and so on

below that, a name goes before its text, and a mark takes the place of the time:

    | 21:04 ana: hello           |
    |    ── bob joined           |

and below 24 cells, there is room for the mark alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from broadcast_tui.tui.model.transcript import Chunk, LineKind
from broadcast_tui.tui.model.wrapping import cells_of, clip, wrap

WIDE_FROM = 60
ROOMY_FROM = 100
NARROW_FROM = 24
_GUTTERLESS_BELOW = 4
_INLINE_NAME_CELLS = 16


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of a row, in cells, from the left. All of them together are `width`, at least 1."""

    width: int
    margin: int
    time: int
    """`HH:MM` and a blank; 0 where there is no room."""
    name: int
    """Names, right-aligned; 0 where a name goes before its text."""
    mark: int
    text: int
    padding: int

    @classmethod
    @lru_cache(maxsize=64)
    def of_width(cls, width: int) -> Columns:
        if width >= WIDE_FROM:
            name = 16 if width >= ROOMY_FROM else 12
            margin, time, mark, padding = 1, 6, 3, 1
        else:
            margin = name = padding = 0
            time = 6 if width >= NARROW_FROM else 0
            mark = 0 if time or width < _GUTTERLESS_BELOW else 2
        width = max(1, width)
        text = width - margin - time - name - mark - padding
        return cls(width, margin, time, name, mark, text, padding)

    @classmethod
    @lru_cache(maxsize=64)
    def bare(cls, width: int) -> Columns:
        """The text alone, as for a copy by the terminal: what a line is, only its beginning says."""
        width = max(1, width)
        return cls(width, 0, 0, 0, 0, width, 0)

    @property
    def gutter(self) -> int:
        """Cells left of the text."""
        return self.margin + self.time + self.name + self.mark

    def label(self, kind: int, sender: str) -> str:
        """What stands before the text of a line, in the text's own column."""
        if kind == LineKind.ACTION:
            return f"{clip_name(sender)} " if self.name else f"* {clip_name(sender)} "
        return f"{clip_name(sender)}: " if kind == LineKind.POST and not self.name else ""

    def body(self, text: str) -> str:
        """`text` after its label; below a label its lines are indented, so that none can pose as a post."""
        return text if self.name else text.replace("\n", "\n  ")

    def count_rows(self, chunk: Chunk, start: int = 0) -> list[int]:
        """Rows that each line of `chunk` takes, from line `start` of it."""
        width, cells, senders = self.text, chunk.cells[start:], chunk.senders[start:]
        if self.name:
            counts = [1 if count <= width else 0 for count in cells]
        else:
            labels = {sender: cells_of(self.label(LineKind.POST, sender)) for sender in set(senders)}
            labels[""] = width
            counts = [
                1 if count + labels[sender] <= width else 0
                for count, sender in zip(cells, senders, strict=True)
            ]
        if LineKind.ACTION in chunk.kinds:
            counts = [
                0 if kind == LineKind.ACTION else count
                for count, kind in zip(counts, chunk.kinds[start:], strict=True)
            ]
        return [count or self._count_wrapped(chunk, i) for i, count in enumerate(counts, start)]

    def _count_wrapped(self, chunk: Chunk, i: int) -> int:
        kind = chunk.kinds[i]
        if kind == LineKind.DAY:
            return 1
        return len(wrap(self.label(kind, chunk.senders[i]) + self.body(chunk.texts[i]), self.text))


@lru_cache(maxsize=1024)
def clip_name(name: str) -> str:
    """`name`, as it stands before a text."""
    return clip(name, _INLINE_NAME_CELLS)
