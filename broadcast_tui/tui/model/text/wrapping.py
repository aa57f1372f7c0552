"""Wraps text into rows of terminal cells without splitting grapheme clusters.

Rows are spans `(start, end)` of character indices, so each cell can be mapped back to the text. Rules for
each paragraph (ended by a line feed):

- a row takes as much as fits; only a cluster wider than the whole row exceeds it, alone;
- it ends at the last space that has text before it in the row, and that run of spaces belongs to no row;
  otherwise next to a wide character if punctuation allows it; otherwise anywhere;
- an empty paragraph is an empty row, so `wrap` never returns an empty list.

Cell widths are those of Rich (Unicode 17 clusters), except that two regional indicators, a flag, are one
cluster.
"""

from __future__ import annotations

import re

from rich.cells import get_character_cell_size, split_graphemes

from broadcast_tui.core.lazy_pattern import lazy_pattern

Span = tuple[int, int]
"""Start and end (exclusive)."""

Cluster = tuple[int, int, int]
"""Start, end (exclusive) and cells."""

_Atom = tuple[int, int, int, int]
"""Start, end (exclusive), cells, and one of the following kinds:"""
_BLANK, _LETTER_RUN, _CLUSTER = 1, 2, 3

MULTILINE = 0xFFFF_FFFF
"""Result of `measure` for text with line feeds: more cells than any row has."""

_LETTERS = (
    "!-~"  # ASCII
    "\xa0-\xac\xae-\u02ff"  # Latin, but for the soft hyphen
    "\u0370-\u0482"  # Greek and Cyrillic, but for combining marks
    "\u2010-\u2027"  # dashes, quotes, ellipsis
    "\u2500-\u25fc"  # boxes and shapes
)
"""Characters (besides the space) that take one cell and are clusters of their own."""
_ODD = re.compile(f"[^ {_LETTERS}]")
_ATOM = lazy_pattern(
    f"( (?![^ {_LETTERS}]))"
    f"|([{_LETTERS}]+(?![^ {_LETTERS}]))"
    f"|.?[^ {_LETTERS}](?:[^ {_LETTERS}]|(?<=\u200d).)*",
    re.DOTALL,
)
"""A space; a run of letters; or other characters, with the one before, which they may combine with."""
_RESIZING = ("\u200d", "\ufe0f")
"""Zero width joiner and variation selector 16: the width is then not the sum of the characters."""
FLAG_LETTERS = re.compile("[\U0001f1e6-\U0001f1ff]")
"""Regional indicators: two of them form a flag."""
_NEVER_FIRST = frozenset("、。，．：；！？）」』】〉》〕｝ー々…,.:;!?)]}%’”")
_NEVER_LAST = frozenset("（「『【〈《〔｛([{‘“")


def is_single(text: str) -> bool:
    """Whether every character takes one cell and is a cluster of its own; may be false for such text."""
    return text.isascii() or not _ODD.search(text)


def cells_of(text: str) -> int:
    """Cells of `text`, which must not contain line feeds."""
    if text.isascii():
        return len(text)
    odd = _ODD.findall(text)
    if any(char in odd for char in _RESIZING):
        return split_graphemes(text)[1]
    return len(text) - len(odd) + sum(map(get_character_cell_size, odd))


def measure(text: str) -> int:
    """Cells of `text`, or `MULTILINE`. Text that fits the width by this measure is one row."""
    return MULTILINE if "\n" in text else cells_of(text)


def clusters(text: str) -> list[Cluster]:
    """The grapheme clusters of `text`, in order, without gaps."""
    spans = split_graphemes(text)[0]
    if not FLAG_LETTERS.search(text):
        return spans
    joined: list[Cluster] = []
    half_flag = False
    for start, end, cells in spans:
        is_letter = FLAG_LETTERS.match(text, start) is not None
        if is_letter and half_flag:
            joined[-1] = (joined[-1][0], end, joined[-1][2] + cells)
            half_flag = False
        else:
            joined.append((start, end, cells))
            half_flag = is_letter and end == start + 1
    return joined


def clip(text: str, width: int) -> str:
    """`text`, cut to at most `width` cells including an ellipsis."""
    if cells_of(text) <= width:
        return text
    used = 1
    end = 0
    for _, cluster_end, cells in clusters(text):
        used += cells
        if used > width:
            break
        end = cluster_end
    return text[:end] + "…" if width > 0 else ""


def wrap(text: str, width: int) -> list[Span]:
    """The rows of `text` at `width` cells (at least 1), from top to bottom; never empty."""
    if "\n" not in text:
        return _wrap_paragraph(text, width)
    rows: list[Span] = []
    offset = 0
    for paragraph in text.split("\n"):
        rows += [(start + offset, end + offset) for start, end in _wrap_paragraph(paragraph, width)]
        offset += len(paragraph) + 1
    return rows


def wrap_by_cells(text: str, width: int) -> list[Span]:
    """The rows of a line of code: each takes as much as fits, spaces are kept."""
    if is_single(text):
        return [(start, min(start + width, len(text))) for start in range(0, len(text), width)] or [(0, 0)]
    rows: list[Span] = []
    first = used = 0
    for start, _, cells in clusters(text):
        if used + cells > width and start > first:
            rows.append((first, start))
            first, used = start, 0
        used += cells
    return [*rows, (first, len(text))]


def _wrap_paragraph(text: str, width: int) -> list[Span]:
    return _wrap_single(text, width) if is_single(text) else _wrap_any(text, width)


def _wrap_single(text: str, width: int) -> list[Span]:
    """Wrap a paragraph whose characters all take one cell: the common, fast case."""
    rows: list[Span] = []
    start = 0
    length = len(text)
    while length - start > width:
        cut = text.rfind(" ", start, start + width + 1)
        if cut <= start or (text[start] == " " and not text[start:cut].strip(" ")):
            cut = after = start + width
        else:
            after = cut + 1
            while after < length and text[after] == " ":
                after += 1
        rows.append((start, cut))
        start = after
    if start < length or not rows:
        rows.append((start, length))
    return rows


def _wrap_any(text: str, width: int) -> list[Span]:
    """Wrap any paragraph, atom by atom."""
    atoms = _atoms(text)
    rows: list[Span] = []
    first = atoms[0][0] if atoms else 0
    i = used = cut = 0
    has_text = False
    while i < len(atoms):
        start, end, cells, kind = atoms[i]
        if has_text and (kind == _BLANK or _may_break(text, atoms[i - 1], atoms[i])):
            cut = i
        if used + cells <= width or (start == first and kind == _CLUSTER):
            has_text = has_text or kind != _BLANK
            used += cells
            i += 1
            continue
        if cut:
            i, stop = cut, atoms[cut][0]
            while i < len(atoms) and atoms[i][3] == _BLANK:
                i += 1
        elif kind == _LETTER_RUN:
            stop = start + max(0, width - used)
            atoms[i] = (stop, end, end - stop, kind)
        else:
            stop = start
        rows.append((first, stop))
        first = atoms[i][0] if i < len(atoms) else len(text)
        used = cut = 0
        has_text = False
    if first < len(text) or not rows:
        rows.append((first, len(text)))
    return rows


def _atoms(text: str) -> list[_Atom]:
    """Split `text` into atoms, which are only split if there is no other way."""
    atoms: list[_Atom] = []
    for match in _ATOM.finditer(text):
        start, end = match.span()
        if match.lastindex is not None:
            atoms.append((start, end, end - start, match.lastindex))
            continue
        for part_start, part_end, cells in clusters(match[0]):
            is_blank = match[0][part_start:part_end] == " "
            atoms.append((start + part_start, start + part_end, cells, _BLANK if is_blank else _CLUSTER))
    return atoms


def _may_break(text: str, before: _Atom, after: _Atom) -> bool:
    """Whether a row may end between two atoms, the second of which is not a space."""
    last = text[before[0] if before[3] == _CLUSTER else before[1] - 1]
    return (
        ((before[3] == _CLUSTER and before[2] == 2) or (after[3] == _CLUSTER and after[2] == 2))
        and last != " "
        and last not in _NEVER_LAST
        and text[after[0]] not in _NEVER_FIRST
    )
