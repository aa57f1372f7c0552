from __future__ import annotations

import sys

from hypothesis import given
from hypothesis import strategies as st

from broadcast_tui.tui.model.transcript.repeated_texts import RepeatedTexts

TEXTS = st.lists(st.sampled_from(["ana", "bob", "", "Zoë", "a\ud800b"]), max_size=40)


@given(TEXTS, TEXTS, st.data())
def test_it_has_the_texts_that_were_added(texts: list[str], more: list[str], data: st.DataObject) -> None:
    column = RepeatedTexts(texts)
    for text in more:
        column.append(text)
        texts.append(text)
    assert len(column) == len(texts)
    assert list(column) == texts
    assert list(reversed(column)) == texts[::-1]
    start, end = data.draw(st.integers(-5, 90)), data.draw(st.integers(-5, 90))
    assert column[start:end] == texts[start:end]
    assert column[::-1] == texts[::-1]
    assert [column.count(name) for name in ("ana", "eve")] == [texts.count(name) for name in ("ana", "eve")]
    if texts:
        i = data.draw(st.integers(0, len(texts) - 1))
        column[i] = texts[i] = data.draw(st.sampled_from(["eve", "ana"]))
        assert [column[i] for i in range(len(texts))] == texts
        assert list(RepeatedTexts(column)) == texts


def test_there_can_be_many_different_texts() -> None:
    names = [f"user{n}" for n in range(300)]
    column = RepeatedTexts(names[:255])
    for name in names[255:]:
        column.append(name)
    column[0] = "other"
    assert list(column) == ["other", *names[1:]]
    assert list(RepeatedTexts(names)) == names


def test_names_take_less_memory_than_in_a_list() -> None:
    names = [f"user{n % 23}" for n in range(256)]
    column = RepeatedTexts(names)
    assert sys.getsizeof(column._codes) + sys.getsizeof(column._values) < 0.4 * sys.getsizeof(names)
