"""Layout of the rows of the log at each width: a gutter (time, name, mark) and the text column.

Only the text column shows what users wrote, so a post cannot imitate two lines or a system line. From 48
cells, there is a column for names:

    |  21:04          ana │ hello                |     posts: `│`, system lines: `─`, etc.

Below that, the name is in front of the text, and system lines have a mark instead of the time:

    | 21:04 ana: hello           |
    |    ── bob joined           |

Below 24 cells, only the mark remains.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum
from functools import lru_cache
from typing import NamedTuple

import msgspec

from broadcast_tui.tui.model.text.links import real_hosts
from broadcast_tui.tui.model.text.shown_text import ShownText, is_shown_as_written, shown_text, source_text
from broadcast_tui.tui.model.text.wrapping import Span, cells_of, clip, wrap, wrap_by_cells
from broadcast_tui.tui.model.transcript.chunks import Chunk, Line, LineKind
from broadcast_tui.tui.model.transcript.log_options import LogOptions, TimeFormat
from broadcast_tui.tui.model.transcript.post_details import PostDetails
from broadcast_tui.tui.model.transcript.post_rows import PieceRow, rows_below

FOLD_ROWS_MIN = 4
"""Number of rows that no post needs to be folded for."""


FOLD_ROWS = 16
"""Number of rows above which a post is folded if the height of the log is unknown."""


FOLD_KEEPS = 8
"""Rows of a folded post that stay visible, if the log has room for them."""


NAME_MIN, NAME_MAX = 3, 12
"""Narrowest and widest column of names, in cells."""
_NARROW_NAME_MAX = 8


NAMED_FROM = 48


WIDE_FROM = 60


NARROW_FROM = 24


_GUTTERLESS_BELOW = 4


_INLINE_NAME_CELLS = 16


_INDENT = "  "


TEXT_MIN = 16
"""Narrowest text column that options of the user may lead to, in cells."""


class LineLayout(NamedTuple):
    """A line split into rows."""

    shown: ShownText
    """The text of the line as shown, without label, indents and marks."""
    text: str
    """The content of the text column: label, text and marks."""
    label: int
    """Length of the label in characters."""
    rows: list[Span]
    """Span of `text` in each row; empty for rows that show nothing of it."""
    indent: int
    """Number of blanks before each line of the text but the first."""
    hidden: int
    """Number of folded rows; 0: the line is not folded."""
    kept: int
    """Number of rows of the text that are visible if it is folded."""
    is_long: bool
    """Whether the line can be folded."""
    hosts: tuple[str, ...]
    """Real hosts of spoofed links, shown in a row below the text if there are any."""
    marks: str = ""
    """Words about the post at the end of `text`, such as ` (edited)`."""
    has_quote: bool = False
    """Whether the first row quotes another post."""
    below: Sequence[PieceRow] = ()
    """The last rows: votes and reactions."""
    insets: Sequence[int] = ()
    """Cells of the bar before each row of the text, for quotes; empty: there are none."""

    @property
    def fold_row(self) -> int:
        """Index of the row that counts the folded rows; -1 if there is none."""
        return self.kept + self.has_quote if self.hidden else -1

    @property
    def cut_row(self) -> int:
        """Index of the last row above `fold_row` if the rest of its line is folded; -1 otherwise."""
        if not self.hidden:
            return -1
        rest = self.text[self.rows[self.fold_row][0] :].lstrip(" ")
        return -1 if rest.startswith("\n") else self.fold_row - 1

    @property
    def host_row(self) -> int:
        """Index of the row with the real hosts; -1 if there is none."""
        return self.first_below - 1 if self.hosts else -1

    @property
    def first_below(self) -> int:
        """Index of the first row of `below`."""
        return len(self.rows) - len(self.below)

    @property
    def text_end(self) -> int:
        """Index in `text` of the end of what was written, before the marks."""
        return len(self.text) - len(self.marks)

    def inset(self, row: int) -> int:
        """Cells of the bar before the text of a row; 0 without one."""
        at = row - self.has_quote
        if not self.insets or not 0 <= at < len(self.insets) or row == self.fold_row:
            return 0
        return self.insets[at]


class RowLayout(msgspec.Struct, frozen=True):
    """Widths of the columns of a row in cells, from the left. Their sum is `width`, at least 1."""

    width: int
    margin: int
    time: int
    """`HH:MM` and a space; 0 if there is no room."""
    name: int
    """Names, right-aligned; 0 if names are in front of the text."""
    mark: int
    text: int
    padding: int
    fold_from: int = FOLD_ROWS
    """Posts with more rows are folded."""
    is_source: bool = False
    """Whether markup is shown as it was written."""
    clock: TimeFormat = TimeFormat.H24

    @classmethod
    @lru_cache(maxsize=256)
    def of_width(cls, width: int, name_cells: int = NAME_MAX, height: int = 0) -> RowLayout:
        """The layout for a log.

        Args:
            width: Its width in cells.
            name_cells: Cells of the longest name; the column for names may be narrower.
            height: Its height in rows, of which a folded post takes a part; 0 if it is unknown.
        """
        if width >= NAMED_FROM:
            widest = NAME_MAX if width >= WIDE_FROM else _NARROW_NAME_MAX
            name = max(NAME_MIN, min(name_cells, widest))
            margin = padding = 1
            time, mark = 6, 3
        else:
            margin = name = padding = 0
            time = 6 if width >= NARROW_FROM else 0
            mark = 0 if time or width < _GUTTERLESS_BELOW else 2
        width = max(1, width)
        text = width - margin - time - name - mark - padding
        return cls(width, margin, time, name, mark, text, padding, _fold_from(height))

    @classmethod
    @lru_cache(maxsize=64)
    def bare(cls, width: int, name_cells: int = NAME_MAX, height: int = 0) -> RowLayout:
        """The text only, as written, for copying with the terminal's own selection."""
        width = max(1, width)
        return cls(width, 0, 0, 0, 0, width, 0, _fold_from(height), True)

    @property
    def fold_keeps(self) -> int:
        """Rows of a folded post that stay visible."""
        return min(FOLD_KEEPS, self.fold_from - 1)

    def with_options(self, options: LogOptions) -> RowLayout:
        """This layout with the columns that the user has chosen, as far as there is room."""
        time, mark, name = self.time, self.mark, self.name
        if time:
            time = options.time.cells + 1 if options.time.cells else 0
            mark = mark or (0 if time else 2)
        if name and options.name_cells:
            name = options.name_cells
        text = self.width - self.margin - time - name - mark - self.padding
        if text < min(self.text, TEXT_MIN):
            return msgspec.structs.replace(self, is_source=options.is_source)
        return msgspec.structs.replace(
            self,
            time=time,
            mark=mark,
            name=name,
            text=text,
            is_source=options.is_source,
            clock=options.time,
        )

    @property
    def gutter(self) -> int:
        """Cells to the left of the text column."""
        return self.margin + self.time + self.name + self.mark

    def label(self, kind: int, sender: str) -> str:
        """The label in front of the text, inside the text column."""
        if kind == LineKind.ACTION:
            return f"{clip_name(sender)} " if self.name else f"* {clip_name(sender)} "
        is_named = kind in (LineKind.POST, LineKind.DELETED) and not self.name
        return f"{clip_name(sender)}: " if is_named else ""

    def body(self, text: str) -> str:
        """`text` as shown. Without a name column, its lines are indented so they cannot imitate a post."""
        return text if self.name else text.replace("\n", f"\n{_INDENT}")

    def lay(
        self,
        kind: int,
        sender: str,
        text: str,
        *,
        folded: bool = False,
        details: PostDetails | None = None,
        reactions: bool = True,
    ) -> LineLayout:
        """Split a line into rows; not for day lines.

        Args:
            kind: Kind of the line.
            sender: Its sender.
            text: Its text.
            folded: Fold the line if it is long.
            details: Details of the post.
            reactions: Show reactions.
        """
        if kind == LineKind.DELETED:
            details = None
        label = self.label(kind, sender)
        is_post = kind <= LineKind.ACTION
        shown = self.shown(text, is_labeled=bool(label)) if is_post else source_text(text, has_blocks=False)
        whole = label + self.body(shown.text)
        marks = f" {details.marks}" if details is not None and details.marks else ""
        whole += marks
        rows, insets = self._wrap_lines(whole, shown) if is_post else (wrap(whole, self.text), [])
        hidden = 0
        kept = self.fold_keeps
        is_long = is_post and len(rows) > self.fold_from
        if is_long and folded:
            hidden = len(rows) - kept
            del rows[kept:], insets[kept:]
            rows.append((rows[-1][1], rows[-1][1]))
        end = len(whole) - len(marks)
        hosts = real_hosts(text) if is_post and "://" in text else ()
        if hosts:
            rows.append((end, end))
        indent = 0 if self.name else len(_INDENT)
        laid = LineLayout(
            shown, whole, len(label), rows, indent, hidden, kept, is_long, hosts, marks, insets=insets
        )
        if details is None:
            return laid
        below = rows_below(details, self.text, named=self.name > 0, reactions=reactions)
        rows += [(end, end)] * len(below)
        if details.re:
            rows.insert(0, (0, 0))
        return laid._replace(has_quote=details.re != 0, below=below)

    def shown(self, text: str, *, is_labeled: bool) -> ShownText:
        """The text of a post as shown at this width; `is_labeled` if a label is in front of it."""
        if self.is_source:
            return ShownText(text, text)
        room = self.text if self.name else self.text - len(_INDENT)
        # A label in the first line would be quoted too.
        return shown_text(
            text, quotes=not is_labeled, tables_within=max(0, room), tables_below_label=is_labeled
        )

    def _wrap_lines(self, whole: str, shown: ShownText) -> tuple[list[Span], list[int]]:
        """Rows of a post, and the cells of the bar before each (empty without quotes).

        Code wraps at any cell.
        """
        if not (shown.blocks or shown.quotes):
            return wrap(whole, self.text), []
        code = {line for block in shown.blocks for line in range(block.first, block.end)}
        rows: list[Span] = []
        insets: list[int] = []
        offset = 0
        for number, line in enumerate(whole.split("\n")):
            inset = min(shown.quotes.get(number, 0), self.text - 1)
            width = self.text - inset
            spans = wrap_by_cells(line, width) if number in code else wrap(line, width)
            rows += [(start + offset, end + offset) for start, end in spans]
            insets += [inset] * len(spans)
            offset += len(line) + 1
        return rows, insets if shown.quotes else []

    def count_rows(
        self, chunk: Chunk, start: int = 0, visibility: VisibilityOptions | None = None
    ) -> list[int]:
        """Count the rows of each line of `chunk` from line `start`; 0 for lines that are not visible.

        The fast path compares stored cell counts with the width, for a whole chunk at once. Only lines that
        need more than one row are laid out.
        """
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
        for line_id in chunk.details:
            if line_id >= chunk.first_id + start:
                counts[line_id - chunk.first_id - start] = 0
        visibility = visibility or VisibilityOptions()
        return [count or self._count_wrapped(chunk, i, visibility) for i, count in enumerate(counts, start)]

    def _count_wrapped(self, chunk: Chunk, i: int, visibility: VisibilityOptions) -> int:
        """Count the rows of a line that may need more than one.

        Most posts have no markup that changes their characters; their rows are counted without a layout.
        """
        kind, text, line_id = chunk.kinds[i], chunk.texts[i], chunk.first_id + i
        if kind == LineKind.DAY:
            return 1
        if kind == LineKind.PRESENCE:
            text = visibility.presence_text(text, chunk.briefs.get(line_id, ""))
            if not text:
                return 0
        details, folded = chunk.details.get(line_id), visibility.folds(line_id)
        is_post = kind <= LineKind.ACTION
        if (details is None or kind == LineKind.DELETED) and (not is_post or is_shown_as_written(text)):
            count = len(wrap(self.label(kind, chunk.senders[i]) + self.body(text), self.text))
            if not is_post:
                return count
            if folded and count > self.fold_from:
                count = self.fold_keeps + 1
            return count + bool("://" in text and real_hosts(text))
        laid = self.lay(
            kind,
            chunk.senders[i],
            text,
            folded=folded,
            details=details,
            reactions=visibility.reactions,
        )
        return len(laid.rows)


def _fold_from(height: int) -> int:
    """Number of rows of a post above which it is folded: two thirds of the log."""
    return max(FOLD_ROWS_MIN, height * 2 // 3) if height else FOLD_ROWS


def longest_of(names: Iterable[str]) -> int:
    """Cells of the longest of `names`, at least `NAME_MIN`."""
    return max(map(cells_of, names), default=NAME_MIN)


@lru_cache(maxsize=1024)
def clip_name(name: str) -> str:
    """`name`, clipped for use in a label."""
    return clip(name, _INLINE_NAME_CELLS)


class PresenceShown(Enum):
    """Which join and leave lines are visible."""

    AUTO = "small rooms, recent speakers"
    """Everyone's in small rooms, those of recent speakers in larger ones: the short form of a line."""
    ALL = "everyone"
    NONE = "hidden"

    def next(self) -> PresenceShown:
        """The next choice, cyclically."""
        choices = list(PresenceShown)
        return choices[(choices.index(self) + 1) % len(choices)]

    @property
    def word(self) -> str:
        """Name used in the preferences file; see `presence_of`."""
        return self.name.lower()


def presence_of(word: str) -> PresenceShown:
    """Parse a saved choice; the default if it is invalid."""
    return next((choice for choice in PresenceShown if choice.word == word), PresenceShown.AUTO)


class VisibilityOptions(msgspec.Struct):
    """What the user chose to show. After a change, rows must be counted again."""

    presence: PresenceShown = PresenceShown.AUTO
    unfolded: set[int] = msgspec.field(default_factory=set)
    """Ids of long posts shown in full, or in part if `folding` is off."""
    reactions: bool = True
    folding: bool = True
    """Whether long posts are folded unless they are in `unfolded`; otherwise it is the reverse."""

    def presence_text(self, text: str, brief: str) -> str:
        """The visible text of a PRESENCE line; empty if it is not visible."""
        match self.presence:
            case PresenceShown.ALL:
                return text
            case PresenceShown.AUTO:
                return brief
            case PresenceShown.NONE:
                return ""

    def shown_line(self, line: Line) -> Line | None:
        """The line as displayed, or None if it is not visible."""
        if line.kind is not LineKind.PRESENCE:
            return line
        text = self.presence_text(line.text, line.brief)
        return line._replace(text=text) if text else None

    def folds(self, line_id: int) -> bool:
        """Whether the post is folded if it is long."""
        return (line_id not in self.unfolded) is self.folding

    def toggle(self, line_id: int) -> None:
        """Fold or unfold the post."""
        self.unfolded ^= {line_id}
