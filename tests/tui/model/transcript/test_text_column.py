from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcast_tui.tui.model.transcript.text_column import RECENT_MAX, TextColumn

TEXTS = st.lists(
    st.sampled_from(["", "hello", "Größe", "漢字", "😀", "\ud800", "x" * 300]), max_size=3 * RECENT_MAX
)


@given(TEXTS, st.data())
def test_a_column_has_the_texts_that_were_added(texts: list[str], data: st.DataObject) -> None:
    column = TextColumn(texts)
    assert len(column) == len(texts)
    assert list(column) == texts
    assert [column[-i] for i in range(1, len(texts) + 1)] == texts[::-1]
    start, end = data.draw(st.integers(-5, 200)), data.draw(st.integers(-5, 200))
    assert column[start:end] == texts[start:end]


@given(TEXTS.filter(bool), st.data())
def test_a_copy_changes_alone(texts: list[str], data: st.DataObject) -> None:
    column = TextColumn(texts)
    i = data.draw(st.integers(0, len(texts) - 1))
    changed = column.replaced(i, "other ä")
    changed.append("more")
    assert list(changed) == [*texts[:i], "other ä", *texts[i + 1 :], "more"]
    assert list(column) == texts


@pytest.mark.parametrize("index", [3, -4, 300])
def test_there_are_no_other_texts(index: int) -> None:
    with pytest.raises(IndexError):
        TextColumn("abc")[index]


def test_packed_texts_take_less_memory_than_strings() -> None:
    texts = [f"post {n} {'word ' * 12}" for n in range(4 * RECENT_MAX)]
    column = TextColumn(texts)
    assert not column._recent
    packed_bytes = sys.getsizeof(column._packed) + sys.getsizeof(column._ends)
    assert packed_bytes < 0.65 * (sum(map(sys.getsizeof, texts)) + sys.getsizeof(texts))
