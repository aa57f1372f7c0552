from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcast_tui.tui.model.transcript.text_column import (
    CACHED_MAX,
    RECENT_MAX,
    TextColumn,
    _decompressed,
)

TEXTS = st.lists(
    st.sampled_from(["", "hello", "Größe", "漢字", "😀", "\ud800", "x" * 300]), max_size=3 * RECENT_MAX
)


def column_of(texts: list[str], data: st.DataObject) -> TextColumn:
    """A column, compressed once while texts are added, or at the end, or not at all."""
    compressed_at = data.draw(st.none() | st.integers(0, len(texts)))
    column = TextColumn(texts[:compressed_at])
    if compressed_at is not None:
        column.compress()
        for text in texts[compressed_at:]:
            column.append(text)
    return column


@given(TEXTS, st.data())
def test_a_column_has_the_texts_that_were_added(texts: list[str], data: st.DataObject) -> None:
    column = column_of(texts, data)
    assert len(column) == len(texts)
    assert list(column) == texts
    assert [column[-i] for i in range(1, len(texts) + 1)] == texts[::-1]
    start, end, step = (data.draw(st.integers(-5, 200)) for _ in range(3))
    assert column[start:end] == texts[start:end]
    assert column[start : end : step or 1] == texts[start : end : step or 1]
    column.compress()
    assert list(column) == texts


@given(TEXTS.filter(bool), st.data())
def test_a_copy_changes_alone(texts: list[str], data: st.DataObject) -> None:
    column = column_of(texts, data)
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


def test_compressed_texts_take_less_memory_than_packed_ones() -> None:
    column = TextColumn(f"post {n} {'word ' * 12}" for n in range(4 * RECENT_MAX))
    packed_bytes = len(column._packed)
    column.compress()
    assert len(column._packed) < 0.3 * packed_bytes
    changed = column.replaced(3, "shorter")
    assert len(changed._packed) < 0.3 * packed_bytes


def test_few_columns_are_decompressed() -> None:
    columns = [TextColumn([f"post {n}"]) for n in range(2 * CACHED_MAX)]
    for column in columns:
        column.compress()
    assert [column[0] for column in columns] == [f"post {n}" for n in range(2 * CACHED_MAX)]
    assert _decompressed.cache_info().currsize == CACHED_MAX
