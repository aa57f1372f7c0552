"""How a row of the log is split, at each width: time, name and mark in a gutter, then the text.

Only the text column ever holds what people wrote; what is left of it is ours, so no post can look like
two lines, or like a line of the system. From 48 cells on there is a column for names:

    |  21:04          ana │ hello                |     posts: `│`, system lines: `─`, and so on

below that, a name goes before its text, and a mark takes the place of the time:

    | 21:04 ana: hello           |
    |    ── bob joined           |

and below 24 cells, there is room for the mark alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from typing import NamedTuple

import msgspec

from broadcast_tui.tui.model.text.links import real_hosts
from broadcast_tui.tui.model.text.markup import CodeBlock, blocks_of
from broadcast_tui.tui.model.text.wrapping import Span, cells_of, clip, wrap, wrap_by_cells
from broadcast_tui.tui.model.transcript.chunks import Chunk, Line, LineKind

FOLD_FROM_LINES = 6
"""A post of so many lines is folded."""


FOLD_FROM_ROWS = 12
"""And so is one of fewer lines that takes so many rows."""


FOLD_KEEPS = 3
"""Rows of a folded post that stay."""


NAMED_FROM = 48


WIDE_FROM = 60


ROOMY_FROM = 100


NARROW_FROM = 24


_GUTTERLESS_BELOW = 4


_INLINE_NAME_CELLS = 16


class LineLayout(NamedTuple):
    """A line as its rows show it."""

    text: str
    """All that stands in the text column: a label, and what was written after it."""
    label: int
    """Characters of the label."""
    rows: list[Span]
    """What of `text` each row shows. A row that says how much is folded, and one that names the true hosts
    of links, show nothing of it: they are empty, at the place where they stand."""
    blocks: list[CodeBlock]
    """The blocks of code, in lines of `text`."""
    hidden: int
    """Rows folded away; 0: none, and there is no row that says so."""
    is_long: bool
    """Whether it can be folded."""
    hosts: tuple[str, ...]
    """True hosts of links that may mislead; if there are any, the last row names them."""

    @property
    def fold_row(self) -> int:
        """The row that says how much is folded; -1 if nothing is."""
        return FOLD_KEEPS if self.hidden else -1


class RowLayout(msgspec.Struct, frozen=True):
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
    def of_width(cls, width: int) -> RowLayout:
        if width >= NAMED_FROM:
            name = 16 if width >= ROOMY_FROM else 12 if width >= WIDE_FROM else 8
            margin = padding = 1 if width >= WIDE_FROM else 0
            time, mark = 6, 3
        else:
            margin = name = padding = 0
            time = 6 if width >= NARROW_FROM else 0
            mark = 0 if time or width < _GUTTERLESS_BELOW else 2
        width = max(1, width)
        text = width - margin - time - name - mark - padding
        return cls(width, margin, time, name, mark, text, padding)

    @classmethod
    @lru_cache(maxsize=64)
    def bare(cls, width: int) -> RowLayout:
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

    def lay(self, kind: int, sender: str, text: str, *, folded: bool = False) -> LineLayout:
        """The rows of a line, which is no day line; `folded` if it may be, when it is long."""
        label = self.label(kind, sender)
        whole = label + self.body(text)
        is_post = kind <= LineKind.ACTION
        blocks = blocks_of(text) if is_post else []
        rows = self._wrap_blocks(whole, blocks) if blocks else wrap(whole, self.text)
        hidden = 0
        is_long = len(rows) >= FOLD_FROM_ROWS or text.count("\n") >= FOLD_FROM_LINES - 1
        if is_post and is_long and folded:
            hidden = len(rows) - FOLD_KEEPS
            del rows[FOLD_KEEPS:]
            rows.append((rows[-1][1], rows[-1][1]))
        hosts = real_hosts(text) if is_post and "://" in text else ()
        if hosts:
            rows.append((len(whole), len(whole)))
        return LineLayout(whole, len(label), rows, blocks, hidden, is_post and is_long, hosts)

    def _wrap_blocks(self, whole: str, blocks: Sequence[CodeBlock]) -> list[Span]:
        """Rows of a text with blocks of code, which are wrapped by cells."""
        code = {line for block in blocks for line in range(block.first + 1, block.end)}
        rows: list[Span] = []
        offset = 0
        for number, line in enumerate(whole.split("\n")):
            spans = wrap_by_cells(line, self.text) if number in code else wrap(line, self.text)
            rows += [(start + offset, end + offset) for start, end in spans]
            offset += len(line) + 1
        return rows

    def count_rows(self, chunk: Chunk, start: int = 0, showing: VisibilityOptions | None = None) -> list[int]:
        """Rows that each line of `chunk` takes, from line `start` of it; 0 for those that are not shown."""
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
        if LineKind.ACTION in chunk.kinds or LineKind.PRESENCE in chunk.kinds:
            counts = [
                0 if kind in (LineKind.ACTION, LineKind.PRESENCE) else count
                for count, kind in zip(counts, chunk.kinds[start:], strict=True)
            ]
        showing = showing or VisibilityOptions()
        return [count or self._count_laid(chunk, i, showing) for i, count in enumerate(counts, start)]

    def _count_laid(self, chunk: Chunk, i: int, showing: VisibilityOptions) -> int:
        kind, text, line_id = chunk.kinds[i], chunk.texts[i], chunk.first_id + i
        if kind == LineKind.DAY:
            return 1
        if kind == LineKind.PRESENCE:
            text = showing.presence_text(text, chunk.briefs.get(line_id, ""))
            if not text:
                return 0
        return len(self.lay(kind, chunk.senders[i], text, folded=showing.folds(line_id)).rows)


@lru_cache(maxsize=1024)
def clip_name(name: str) -> str:
    """`name`, as it stands before a text."""
    return clip(name, _INLINE_NAME_CELLS)


class PresenceShown(Enum):
    """About whom lines are shown that say who came and went."""

    SPEAKERS = "those who spoke lately"
    ALL = "everyone"
    NONE = "hidden"

    def next(self) -> PresenceShown:
        """The one that comes after this one, round and round."""
        choices = list(PresenceShown)
        return choices[(choices.index(self) + 1) % len(choices)]

    @property
    def word(self) -> str:
        """Its name in a file; see `presence_of`."""
        return self.name.lower()


def presence_of(word: str) -> PresenceShown:
    """The choice that `word` names; the usual one if it names none."""
    return next((choice for choice in PresenceShown if choice.word == word), PresenceShown.SPEAKERS)


@dataclass(slots=True)
class VisibilityOptions:
    """Changed by what the user wishes; who changes it counts rows anew."""

    presence: PresenceShown = PresenceShown.SPEAKERS
    unfolded: set[int] = field(default_factory=set)
    """Ids of long posts that are shown in full."""

    def presence_text(self, text: str, brief: str) -> str:
        """What is shown of a line about who came and went; empty: the line is not shown at all."""
        match self.presence:
            case PresenceShown.ALL:
                return text
            case PresenceShown.SPEAKERS:
                return brief
            case PresenceShown.NONE:
                return ""

    def shown_line(self, line: Line) -> Line | None:
        """The line as it is shown, or None if it is not."""
        if line.kind is not LineKind.PRESENCE:
            return line
        text = self.presence_text(line.text, line.brief)
        return line._replace(text=text) if text else None

    def folds(self, line_id: int) -> bool:
        """Whether the post is folded, if it is long."""
        return line_id not in self.unfolded

    def toggle(self, line_id: int) -> None:
        """Fold the post, or unfold it."""
        self.unfolded ^= {line_id}
