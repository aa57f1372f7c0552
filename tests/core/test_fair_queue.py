"""A queue in which sources take turns."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcast_tui.core.fair_queue import FairQueue


def test_sources_take_turns_and_keep_their_order() -> None:
    queue: FairQueue[str] = FairQueue()
    for item in ("a1", "a2", "a3", "b1", "c1", "c2"):
        queue.put(item[0], item)
    assert [queue.pop() for _ in range(3)] == ["a1", "b1", "c1"]
    queue.put("b", "b2")
    assert [queue.pop() for _ in range(len(queue))] == ["a2", "c2", "b2", "a3"]
    with pytest.raises(IndexError):
        queue.pop()


@given(st.lists(st.integers(0, 4) | st.none()))
def test_nothing_is_lost_and_each_source_is_in_the_next_round(steps: list[int | None]) -> None:
    queue: FairQueue[tuple[int, int]] = FairQueue()
    put: list[tuple[int, int]] = []
    taken: list[tuple[int, int]] = []
    for number, source in enumerate(steps):
        if source is not None:
            put.append((source, number))
            queue.put(source, put[-1])
        elif queue:
            taken.append(queue.pop())
    rest = [queue.pop() for _ in range(len(queue))]
    taken += rest
    assert sorted(taken) == sorted(put)
    for source in range(5):
        assert [item for item in taken if item[0] == source] == [item for item in put if item[0] == source]
    waiting = {source for source, _ in rest}
    assert {source for source, _ in rest[: len(waiting)]} == waiting
