"""Order of the spans of a frame: the pen and the cursor change with few bytes.

Widgets beside each other have different colors, so from row to row, the pen would change several times. A
small frame, such as that of one new post, is split into runs of one style, and the run that takes the fewest
bytes to get to is written next. It begins with the pen that the previous frame left, so every other frame
goes through the styles in reverse. The spans of a larger frame are only grouped by their background.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from broadcast_tui.tui.terminal.cell_writer import CellWriter
from broadcast_tui.tui.terminal.cells import FILL, UNKNOWN, GlyphTable, Row

RUNS_MAX = 24
"""Most runs that are ordered one by one, which takes a time that grows with their square."""


class Span(NamedTuple):
    """Cells of row `y` from column `start` to before `end`."""

    y: int
    start: int
    end: int


class _Run(NamedTuple):
    """A span that one pen can write."""

    span: Span
    style: str
    """The interned style of its characters."""
    is_blank: bool


class _Colors(NamedTuple):
    """SGR parameters."""

    foreground: str
    background: str


class SpanOrder:
    """Writes spans of the rows `target` over the rows `shown`."""

    def __init__(self, shown: Sequence[Row], target: Sequence[Row], glyphs: GlyphTable) -> None:
        self._shown = shown
        self._target = target
        self._glyphs = glyphs

    def write(self, spans: list[Span], writer: CellWriter) -> None:
        """Write `spans`, which are sorted from the top."""
        if len(spans) <= RUNS_MAX:
            runs = [run for span in spans for run in self._runs(span)]
            if len(runs) <= RUNS_MAX:
                self._write_nearest_first(runs, writer)
                return
        for span in self._by_background(spans, writer.pen):
            writer.write(*span, self._target[span.y])

    # Small frames

    def _runs(self, span: Span) -> Iterator[_Run]:
        """Split `span` where the style changes, and leave out runs that are up to date.

        Blanks belong to the run beside them if they have its background. Cells after a wide character or a
        cluster must be written after it, because terminals disagree on how many cells it covers. So a span
        that contains one remains whole.
        """
        y, start, end = span
        text, styles = self._target[y]
        if FILL in text[start:end] or self._glyphs.has_clusters(text[start:end]):
            yield _Run(span, styles[start], is_blank=False)
            return
        run: _Run | None = None
        at = start
        for style, cells in groupby(styles[start:end]):
            begin, at = at, at + len(list(cells))
            part = _Run(Span(y, begin, at), style, text[begin:at].isspace())
            joined = run and self._joined(run, part)
            if run and not joined and self._is_changed(run.span):
                yield run
            run = joined or part
        if run and self._is_changed(run.span):
            yield run

    def _joined(self, run: _Run, part: _Run) -> _Run | None:
        """`run` with the part after it, or None if a pen cannot write both."""
        background = self._glyphs.background
        if not (run.is_blank or part.is_blank) or background(run.style) != background(part.style):
            return None
        span = run.span._replace(end=part.span.end)
        return _Run(span, part.style if run.is_blank else run.style, run.is_blank and part.is_blank)

    def _is_changed(self, span: Span) -> bool:
        old, new, cells = self._shown[span.y], self._target[span.y], slice(span.start, span.end)
        return (old.text[cells], old.styles[cells]) != (new.text[cells], new.styles[cells])

    def _write_nearest_first(self, runs: list[_Run], writer: CellWriter) -> None:
        """Write all runs on one background, then those on another, because there is a way back to each.

        A single run on its own background, such as the scrollbar's, is on the way to the others. A color that
        several backgrounds need comes last on the first of them, so that it is set once. On the last of them,
        it is the color of the longest run, because the next frame probably needs it first.
        """
        colors = {run: self._colors(run.style) for run in runs}
        count = Counter(color.background for color in colors.values())
        waiting = list(runs)
        while waiting:
            pen, late = self._colors(writer.pen), _shared(colors[run] for run in waiting)
            if len(count) > 1 and len({colors[run].background for run in waiting}) == 1:
                late = {colors[max(waiting, key=_length)].foreground}

            def cost(run: _Run, pen: _Colors = pen, late: set[str] = late) -> tuple[int, bool, int]:
                foreground, background = colors[run]
                leaves = 0 if background == pen.background else min(2, count[background])
                is_early = foreground in late and foreground != pen.foreground and not run.is_blank
                size = writer.cost(run.span.y, run.span.start, run.style, is_blank=run.is_blank)
                return leaves, is_early, size

            run = min(waiting, key=cost)
            waiting.remove(run)
            writer.write(*run.span, self._target[run.span.y])

    def _colors(self, style: str) -> _Colors:
        if style == UNKNOWN:
            return _Colors("", "")
        return _Colors(self._glyphs.style(style).foreground, self._glyphs.background(style))

    # Large frames

    def _by_background(self, spans: Iterable[Span], pen: str) -> Iterator[Span]:
        """`spans` such that the background of the pen changes seldom; within a background, from the top."""
        waiting: dict[str, tuple[list[Span], list[Span]]] = {}
        for span in spans:
            styles = self._target[span.y].styles
            first, last = (self._glyphs.background(styles[x]) for x in (span.start, span.end - 1))
            waiting.setdefault(first, ([], []))[first != last].append(span)
        background = "" if pen == UNKNOWN else self._glyphs.background(pen)
        while waiting:
            if background not in waiting:
                background = next(iter(waiting))
            same, others = waiting[background]
            yield from same
            same.clear()
            if others:
                span = others.pop(0)
                yield span
                if not others:
                    del waiting[background]
                background = self._glyphs.background(self._target[span.y].styles[span.end - 1])
            else:
                del waiting[background]


def _length(run: _Run) -> int:
    return run.span.end - run.span.start


def _shared(colors: Iterable[_Colors]) -> set[str]:
    """The foregrounds that occur on more than one background."""
    found: dict[str, str] = {}
    return {
        foreground
        for foreground, background in colors
        if found.setdefault(foreground, background) != background
    }
