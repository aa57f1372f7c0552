from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broadcast_tui.tui.model.text.wrapping import cells_of
from broadcast_tui.tui.model.transcript.chunks import DeliveryState, Line, LineKind
from broadcast_tui.tui.model.transcript.layout import RowLayout
from broadcast_tui.tui.model.transcript.row_text import RowText

TEXTS = st.text(alphabet="ab \n漢é👍🏽\u0301", max_size=60)
COLUMNS = st.integers(1, 130).map(RowLayout.of_width) | st.integers(1, 40).map(RowLayout.bare)


def line_of(text: str, kind: LineKind = LineKind.POST) -> Line:
    return Line(0, kind, "bob", text, 0.0, DeliveryState.NONE, False, False)


@settings(deadline=None)
@given(TEXTS, COLUMNS, st.sampled_from([LineKind.POST, LineKind.ACTION, LineKind.SYSTEM]))
def test_character_and_cell_positions_round_trip(text: str, columns: RowLayout, kind: LineKind) -> None:
    rows = RowText(line_of(text, kind), columns)
    for index in range(len(text) + 1):
        assert rows.written_at(rows.shown_at(index)) == index
    assert "".join(rows.shown[rows.shown_at(i)] for i in range(len(text))) == text
    indices = [rows.written_at(index) for index in range(len(rows.shown) + 1)]
    assert indices == sorted(indices)
    assert indices[-1] == len(text)


@settings(deadline=None)
@given(TEXTS, COLUMNS)
def test_every_cell_of_a_row_has_an_index(text: str, columns: RowLayout) -> None:
    rows = RowText(line_of(text), columns)
    for row, (start, end) in enumerate(rows.rows):
        indices = rows.cell_indices(row)
        assert len(indices) == cells_of(rows.shown[start:end])
        assert indices == sorted(indices)
        assert rows.before(row) <= rows.end(row)
        whole = rows.cells(row, 0, len(text))
        assert whole is None or 0 <= whole[0] < whole[1] <= len(indices)


@pytest.mark.parametrize(
    ("width", "row", "start", "end", "cells"),
    [
        (80, 0, 0, 3, (0, 3)),
        (80, 0, 2, 9, (2, 3)),
        (80, 1, 2, 9, (0, 5)),
        (80, 1, 0, 3, None),
        (40, 0, 0, 3, (5, 8)),
        (40, 1, 4, 5, (2, 3)),
    ],
)
def test_cells_of_a_range_of_characters(
    width: int, row: int, start: int, end: int, cells: tuple[int, int] | None
) -> None:
    assert RowText(line_of("one\nthree"), RowLayout.of_width(width)).cells(row, start, end) == cells
