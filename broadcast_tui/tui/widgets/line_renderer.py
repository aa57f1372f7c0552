"""Renders one line of a transcript as strips, one per row.

The gutter shows what kind of line it is. Text of other people never gets into the gutter, so a post cannot
imitate a system line:

    HH:MM and name   of a post; blank if the post above has the same
    │                the first row of a post; ┃ a mention; … an own post on its way; ⚠ one that was refused
    ┆                a further row of a post (┇ of a mention), or one about it: a quoted post, reactions
    ── and ⚠         a system line, an error

A line becomes rows in three steps. The layout (`LineLayout`) splits the text into rows, as ranges of
characters. Markup, links and code become runs: ranges of characters with a style, ascending and disjoint.
Each row then cuts its range out of the text at the borders of the runs, and pads it to the width of the
column. Rows and runs both refer to characters, so neither has to know about the other; only padding needs
cell widths. The text is that of a `ShownText`, which maps
it to the written one. A run that ends inside a grapheme cluster is extended to the whole
cluster: a part of a cluster may have another width than the terminal gives it.

Every row has exactly the width of the log: the compositor can use it without cropping or extending.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, tzinfo
from itertools import accumulate

from rich.cells import set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.filter import LineFilter
from textual.strip import Strip

from broadcast_tui.core.names import name_key
from broadcast_tui.tui.model.text.code import parts_of_code
from broadcast_tui.tui.model.text.colors import NameHues
from broadcast_tui.tui.model.text.markup import CodeBlock, StyledSpan, TextStyle
from broadcast_tui.tui.model.text.name_links import NAME_OR_ROOM
from broadcast_tui.tui.model.text.wrapping import Span, cells_of, clip, clusters, is_single
from broadcast_tui.tui.model.transcript.chunks import POSTS, DeliveryState, Line, LineKind
from broadcast_tui.tui.model.transcript.layout import LineLayout, RowLayout, VisibilityOptions
from broadcast_tui.tui.model.transcript.log_options import TimeFormat
from broadcast_tui.tui.model.transcript.post_rows import PieceRow, quote_of
from broadcast_tui.tui.terminal.row_strip import RowStrip
from broadcast_tui.tui.widgets.log_styles import LogStyles

_SYSTEM_KINDS = (LineKind.SYSTEM, LineKind.ERROR, LineKind.PRESENCE)

_NAMED = (LineKind.POST, LineKind.DELETED)
"""Kinds of lines with the sender in the gutter."""

_NEXT_SIGN = " ┆ "

LANGUAGE_CELLS = 16
"""Cells of the language of a code block."""

Run = tuple[int, int, Style]
"""Start and end (exclusive) of a range of characters, and its style."""


class LineRenderer:
    """Renders lines at one width with one set of styles."""

    def __init__(
        self,
        columns: RowLayout,
        styles: LogStyles,
        zone: tzinfo | None,
        filters: Sequence[LineFilter] = (),
        background: Color | None = None,
        showing: VisibilityOptions | None = None,
        unfold_key: str = "",
        quoted: Callable[[Line], Line | None] = lambda line: None,
        own_name: str = "",
        hues: NameHues | None = None,
        is_room: Callable[[str], bool] = lambda name: False,
    ) -> None:
        """Make a renderer.

        Args:
            columns: The layout of the rows.
            styles: The styles of all parts.
            zone: Time zone of the times displayed; None: the local one.
            filters: Line filters of the app (no color, dimming), applied once per row.
            background: The background that the filters blend with.
            showing: Which posts are folded and which lines are hidden.
            unfold_key: The key that unfolds long posts, as displayed.
            quoted: Returns the line that a reply quotes; None if it is not loaded.
            own_name: Name of the user, whose votes are highlighted.
            hues: The colors of the names.
            is_room: Whether `#name` in a text is a link to the room of this name.
        """
        self.columns = columns
        self._showing = VisibilityOptions() if showing is None else showing
        self._unfold_key = unfold_key
        self._quoted = quoted
        self._own_key = name_key(own_name) if own_name else ""
        self._own_name = own_name
        self._hues = NameHues() if hues is None else hues
        self._is_room = is_room
        self.longest_name = 0
        """Cells of the longest name rendered so far."""
        self.styles = styles
        self._zone = zone
        self._filters = filters
        self._background = background or Color(0, 0, 0)
        self.blank = self.strip([Segment(" " * columns.width, styles.text)])

    def render(self, line: Line, above: Line | None) -> list[Strip]:
        """The rows of `line`, as many as `RowLayout.count_rows` says; `above` is the line before it."""
        if line.kind is LineKind.DAY:
            return [self.titled_rule(line.text, self.styles.day)]
        shown = self._showing.shown_line(line)
        if shown is None:
            return []
        line = shown
        folded = self._showing.folds(line.id)
        laid = self.columns.lay(
            line.kind,
            line.sender,
            line.text,
            folded=folded,
            details=line.details,
            reactions=self._showing.reactions,
        )
        base = self._text_style(line)
        runs = _whole_clusters(laid.text, list(self._runs(line, laid, base)))
        ends = [run[1] for run in runs]
        code = _block_spans(laid)
        languages = {span[0]: block.language for span, block in zip(code, laid.shown.blocks, strict=True)}
        gutter = self._first_gutter(line, above, is_quote=laid.has_quote)
        fold_row, host_row, first_below = laid.fold_row, laid.host_row, laid.first_below
        cut_row = laid.cut_row
        rows: list[Strip] = []
        for number, (start, end) in enumerate(laid.rows):
            if number == 0 and laid.has_quote:
                text = self._note_row(quote_of(self._quoted(line)), base, self.styles.note)
            elif number >= first_below:
                gutter = self._next_gutter(line, is_about=True)
                text = self._vote_row(laid.below[number - first_below], base)
            elif number == fold_row:
                text = self._note_row(self._fold_text(laid), base, self.styles.fold)
            elif number == host_row:
                text = self._note_row(f"⚠ a link goes to {', '.join(laid.hosts)}", base, self.styles.error)
            else:
                in_block = any(first <= start <= last for first, last in code)
                inset = laid.inset(number)
                style = self.styles.block if in_block else self._quote_style(base) if inset else base
                nearby = runs[bisect_right(ends, start) : bisect_right(ends, end) + 1]
                text = self._text_segments(laid.text, start, end, nearby, style, base, inset)
                if number == cut_row:
                    text = self._with_ellipsis(text, cells_of(laid.text[start:end]), style, inset)
                language = languages.pop(start, "")
                if language and not self.columns.is_source:
                    text = self._with_language(text, language)
                if inset:
                    bar = Segment("▎ "[:inset], self.styles.rule + Style(bgcolor=base.bgcolor))
                    text.insert(0, bar)
            rows.append(self.strip(gutter + text))
            if number == 0:
                gutter = self._next_gutter(line, is_first=laid.has_quote)
            elif number == 1 and laid.has_quote:
                gutter = self._next_gutter(line)
        return rows

    def _runs(self, line: Line, laid: LineLayout, base: Style) -> Iterator[Run]:
        """The runs of `laid.text`, ascending."""
        if laid.label:
            yield 0, laid.label, self._label_style(line)
        yield from self._text_runs(line, laid, base)
        if laid.marks:
            yield laid.text_end, len(laid.text), self.styles.note + Style(bgcolor=base.bgcolor)

    def _text_runs(self, line: Line, laid: LineLayout, base: Style) -> Iterator[Run]:
        if line.kind is LineKind.DELETED:
            return
        shown = laid.shown
        is_post = line.kind in POSTS
        blocks = {block.first: block for block in shown.blocks if is_post}
        lines = shown.text.split("\n")
        number, offset = 0, laid.label
        while number < len(lines):
            if block := blocks.get(number):
                ended = block.end
                yield from self._block_runs(block, lines[number:ended], offset, laid.indent)
            else:
                ended = number + 1
                runs = [
                    (offset + span.start, offset + span.end, self._run_style(span, base))
                    for span in shown.spans.get(number, ())
                    if is_post or span.href
                ]
                if is_post and number not in shown.quotes and ("@" in lines[number] or "#" in lines[number]):
                    runs = _merged(runs, self._name_runs(lines[number], offset, base))
                yield from runs
            offset += sum(len(text) + 1 + laid.indent for text in lines[number:ended])
            number = ended

    def _name_runs(self, text: str, offset: int, base: Style) -> Iterator[Run]:
        """The runs of `@name` and `#room` in a line that begins at `offset`."""
        for match in NAME_OR_ROOM.finditer(text):
            if match["room"]:
                if self._is_room(match["room"]):
                    yield offset + match.start(), offset + match.end(), base + self.styles.room
                continue
            name = self._mentioned(match)
            if name:
                end = match.start() + 1 + len(name)
                style = self.styles.names[self._hues.of(name)] + Style(bgcolor=base.bgcolor)
                if self._own_key and name_key(name) == self._own_key:
                    style += Style(bold=True)
                yield offset + match.start(), offset + end, style

    def _mentioned(self, match: re.Match[str]) -> str:
        """The name that a match of `NAME_OR_ROOM` mentions; empty if nobody in the room has it."""
        for name in (match["names"], match["name"], match["name"].rstrip(".-_")):
            if name and (self._hues.known(name) or name == self._own_name):
                return name
        return ""

    def _block_runs(self, block: CodeBlock, lines: list[str], offset: int, indent: int) -> Iterator[Run]:
        """The runs of the `lines` of a code block, the first of which begins at `offset`."""
        style = self.styles.block
        starts = list(accumulate((len(text) + 1 for text in lines), initial=0))
        for first, last, kind in parts_of_code("\n".join(lines), block.language):
            number = bisect_right(starts, first) - 1
            while number < len(lines) and starts[number] < last:
                shift = offset + number * indent
                start, end = max(first, starts[number]), min(last, starts[number + 1] - 1)
                if start < end:
                    yield start + shift, end + shift, style + self.styles.syntax[kind]
                number += 1

    def _run_style(self, span: StyledSpan, base: Style) -> Style:
        styles, look, href = self.styles, span.style, span.href
        style = base + styles.code if TextStyle.CODE in look else base
        if TextStyle.MARK in look or TextStyle.HOST in look:
            style += Style(color=styles.marks.color)
        added = Style(
            bold=True if TextStyle.BOLD in look else None,
            italic=True if TextStyle.ITALIC in look else None,
            strike=True if TextStyle.STRUCK in look else None,
            underline=True if TextStyle.LINK in look else None,
            link=href or None,
        )
        return style + added

    def _fold_text(self, laid: LineLayout) -> str:
        """The number of folded lines, or of folded rows of a single long line."""
        lines = laid.text.count("\n", laid.rows[laid.fold_row][0])
        count = lines or laid.hidden  # of one long line, the rows
        amount = f"{count:,} more line{'s' * (count > 1)}"
        key = f" ({self._unfold_key})" if self._unfold_key else ""
        return f"… {amount}{key}{laid.marks}"

    def _with_ellipsis(self, row: list[Segment], cells: int, style: Style, inset: int) -> list[Segment]:
        """A row with `…` after its text of `cells` cells, or over the end of that if there is no room."""
        at = min(cells, self.columns.text - inset - 1)
        strip = Strip(row)
        ellipsis = Segment("…", self.styles.fold + Style(bgcolor=style.bgcolor))
        return [*strip.crop(0, at), ellipsis, *strip.crop(at + 1)]

    def _note_row(self, text: str, base: Style, style: Style) -> list[Segment]:
        """A row about the post that is not part of its text."""
        room = self.columns.text
        text = clip(text, room)
        blanks = " " * (room - cells_of(text) + self.columns.padding)
        return [Segment(text, style + Style(bgcolor=base.bgcolor)), Segment(blanks, base)]

    def _quote_style(self, base: Style) -> Style:
        return self.styles.note + Style(bgcolor=base.bgcolor)

    def _with_language(self, row: list[Segment], language: str) -> list[Segment]:
        """A row of code with the language of its block at the right end, if there is room."""
        if len(row) < 2:
            return row
        *before, (text, style, _), padding = row
        label = f"{clip(language, LANGUAGE_CELLS)} "
        code = text.rstrip()
        blanks = cells_of(text) - cells_of(code) - cells_of(label)
        if blanks < 1:
            return row
        marks = self.styles.block + Style(color=self.styles.marks.color)
        return [*before, Segment(code + " " * blanks, style), Segment(label, marks), padding]

    def _vote_row(self, row: PieceRow, base: Style) -> list[Segment]:
        """A row of votes or reactions; those of the user stand out, also without color."""
        on_base = Style(bgcolor=base.bgcolor)
        segments = [
            Segment(
                piece.text,
                (self.styles.own_vote if self._is_own(piece.voters) else self.styles.note) + on_base,
            )
            for piece in row
        ]
        cells = sum(cells_of(piece.text) for piece in row)
        return [*segments, Segment(" " * (self.columns.text - cells + self.columns.padding), base)]

    def _is_own(self, voters: Sequence[str]) -> bool:
        return bool(self._own_key) and any(name_key(name) == self._own_key for name in voters)

    def titled_rule(self, title: str, style: Style) -> Strip:
        """A horizontal rule with `title` in the middle."""
        return self.strip([Segment(self._rule_row(title), style)])

    def with_badge(self, row: Strip, text: str, style: Style) -> Strip:
        """`row` with `text` over its right end."""
        width = self.columns.width
        badge = clip(text, width)
        start = max(0, width - cells_of(badge) - self.columns.padding)
        end = start + cells_of(badge)
        middle = self.strip([Segment(badge, style)], cells_of(badge))
        return Strip.join([row.crop(0, start), middle, row.crop(end, width)])

    def strip(self, segments: list[Segment], cells: int | None = None) -> Strip:
        for line_filter in self._filters:
            segments = line_filter.apply(segments, self._background)
        return RowStrip(segments, self.columns.width if cells is None else cells)

    def _rule_row(self, title: str) -> str:
        width = self.columns.width
        title = clip(f" {title} ", width)
        rule = width - cells_of(title)
        return "─" * (rule // 2) + title + "─" * (rule - rule // 2)

    def _text_style(self, line: Line) -> Style:
        styles = self.styles
        if line.kind in (LineKind.SYSTEM, LineKind.PRESENCE):
            return styles.system
        if line.kind is LineKind.ERROR:
            return styles.error
        if line.mark in (DeliveryState.PENDING, DeliveryState.REJECTED):
            return styles.pending
        if line.kind is LineKind.DELETED:
            return styles.note
        return styles.mention if line.mention else styles.text

    def _name_style(self, line: Line) -> Style:
        style = self.styles.names[self._hues.of(line.sender)]
        return style + self.styles.own if line.own else style

    def _label_style(self, line: Line) -> Style:
        """The style of a name inside the text: on the background of the text."""
        return self._name_style(line) + Style(bgcolor=self._text_style(line).bgcolor)

    def _first_gutter(self, line: Line, above: Line | None, *, is_quote: bool) -> list[Segment]:
        columns, styles = self.columns, self.styles
        same_minute = above is not None and above.at // 60 == line.at // 60 and above.kind is not LineKind.DAY
        is_same = same_minute
        if above is not None and columns.clock is TimeFormat.SECONDS:
            is_same = same_minute and above.at // 1 == line.at // 1
        time = "" if is_same else columns.clock.show(datetime.fromtimestamp(line.at, self._zone))
        sign, sign_style = self._sign(line)
        if is_quote and sign in (" │ ", " ┃ "):
            sign = _NEXT_SIGN
        if not columns.time and not columns.name:
            return [Segment(sign.strip()[:1].ljust(columns.mark)[: columns.mark], sign_style)]
        if not columns.name:
            if line.mention or sign == _NEXT_SIGN:
                return [Segment(f"{time:{columns.time - 1}}", styles.time), Segment(sign.strip(), sign_style)]
            if sign.strip() != "│":
                return [Segment(f"{sign.strip():>{columns.time - 1}} ", sign_style)]
            return [Segment(f"{time:{columns.time}}", styles.time)]
        segments = [Segment(f"{'':{columns.margin}}{time:{columns.time}}", styles.time)]
        name = ""
        if line.kind is LineKind.ACTION:
            name = "*"
        elif line.kind in _NAMED and not (
            same_minute and above and above.kind in _NAMED and above.sender == line.sender
        ):
            name = line.sender
            self.longest_name = max(self.longest_name, cells_of(name))
        segments.append(self._name_segment(line, name))
        segments.append(Segment(sign, sign_style))
        return segments

    def _name_segment(self, line: Line, name: str) -> Segment:
        name = clip(name, self.columns.name)
        blanks = " " * (self.columns.name - cells_of(name))
        return Segment(blanks + name, self._name_style(line) if name else self.styles.text)

    def with_head(self, row: Strip, line: Line) -> Strip:
        """`row` of a post with its time and sender in the gutter, whatever is above it."""
        columns = self.columns
        if not (columns.time or columns.name) or line.kind not in POSTS:
            return row
        at = columns.clock.show(datetime.fromtimestamp(line.at, self._zone)) if columns.time else ""
        if not columns.name:
            # The sign of a mention stands in the last cell.
            head, cells = [Segment(at, self.styles.time)], columns.time - 1
        else:
            name = "*" if line.kind is LineKind.ACTION else line.sender
            time = Segment(f"{'':{columns.margin}}{at:{columns.time}}", self.styles.time)
            head, cells = [time, self._name_segment(line, name)], columns.gutter - columns.mark
        return Strip.join([self.strip(head, cells), row.crop(cells, columns.width)])

    def _next_gutter(self, line: Line, *, is_first: bool = False, is_about: bool = False) -> list[Segment]:
        """The gutter of all rows of a line but the first.

        Args:
            line: The line.
            is_first: The row is the first one of the text, below a quoted post.
            is_about: The row is about the post.
        """
        columns, styles = self.columns, self.styles
        if line.kind in _SYSTEM_KINDS or not (columns.name or is_about):
            return [Segment(" " * columns.gutter, styles.text)]
        sign, style = (" ┇ ", styles.mention_mark) if line.mention else (_NEXT_SIGN, styles.rule)
        if is_about:
            sign = _NEXT_SIGN
        elif is_first:
            sign, style = self._sign(line)
        if not columns.name:
            return [Segment(sign.strip().rjust(columns.gutter)[: columns.gutter], style)]
        return [Segment(" " * (columns.gutter - columns.mark), styles.text), Segment(sign, style)]

    def _sign(self, line: Line) -> tuple[str, Style]:
        """The three cells before the text of the first row."""
        styles = self.styles
        if line.kind in (LineKind.SYSTEM, LineKind.PRESENCE):
            return "── ", styles.system
        if line.kind is LineKind.ERROR or line.mark is DeliveryState.REJECTED:
            return " ⚠ ", styles.error
        if line.mark is DeliveryState.PENDING:
            return " … ", styles.pending
        return (" ┃ ", styles.mention_mark) if line.mention else (" │ ", styles.post)

    def _text_segments(
        self,
        text: str,
        start: int,
        end: int,
        runs: Sequence[Run],
        base: Style,
        around: Style,
        inset: int = 0,
    ) -> list[Segment]:
        """One row of the text column in style `base`; the padding at its end has the style `around`.

        The first `inset` cells of the column are left out.
        """
        row = text[start:end]
        cells = cells_of(row)
        room = self.columns.text - inset
        if cells > room:
            return [Segment(set_cell_size(row, room), base)]
        padding = [Segment(" " * self.columns.padding, around)] if base is not around else []
        blanks = " " * (room - cells + (0 if padding else self.columns.padding))
        if not runs:
            return [Segment(row + blanks, base), *padding]
        segments: list[Segment] = []
        for run_start, run_end, style in runs:
            stop = min(run_end, end)
            if stop <= start:
                continue
            if run_start > start:
                segments.append(Segment(text[start : min(run_start, end)], base))
            if stop > run_start:
                segments.append(Segment(text[max(start, run_start) : stop], style))
            start = max(start, stop)
        segments.append(Segment(text[start:end] + blanks, base))
        return segments + padding


def _whole_clusters(text: str, runs: list[Run]) -> list[Run]:
    """`runs` extended to whole clusters: a part of a cluster may have another width than the whole."""
    if not runs or is_single(text):
        return runs
    edges = [0, *(end for _, end, _ in clusters(text))]
    return [
        (edges[bisect_right(edges, start) - 1], edges[bisect_left(edges, end)], style)
        for start, end, style in runs
    ]


def _block_spans(laid: LineLayout) -> list[Span]:
    """The code blocks in `laid.text`, from their start to the end of their last line."""
    if not laid.shown.blocks:
        return []
    ends = [-1]
    for line in laid.text.split("\n"):
        ends.append(ends[-1] + len(line) + 1)
    return [(ends[block.first] + 1, ends[block.end]) for block in laid.shown.blocks]


def _merged(runs: list[Run], names: Iterable[Run]) -> list[Run]:
    """`runs` and those of `names` that overlap none of them, ascending."""
    free = [run for run in names if not any(start < run[1] and run[0] < end for start, end, _ in runs)]
    return sorted((*runs, *free), key=lambda run: run[0])
