from __future__ import annotations

from collections import deque
from datetime import UTC, datetime

from broadcast_tui.core.session.updates import Noticed, Update
from broadcast_tui.tui.model.state import AppState
from broadcast_tui.tui.model.update_slice import SLICE_S, UpdateSlice


def test_updates_are_applied_within_the_time_limit() -> None:
    pending: deque[Update] = deque(Noticed(str(number)) for number in range(10))
    now = 0.0

    def clock() -> float:
        nonlocal now
        now += SLICE_S / 4
        return now

    first = UpdateSlice(pending, clock)
    AppState().apply(first, 0.0, datetime(2026, 1, 1, tzinfo=UTC))
    assert [update.text for update in first.taken if isinstance(update, Noticed)] == ["0", "1", "2", "3"]
    assert len(pending) == 6
    now = 100.0
    assert len(list(UpdateSlice(pending, lambda: now))) == 6
    assert not pending


def test_a_slow_update_is_still_applied() -> None:
    pending: deque[Update] = deque([Noticed("a"), Noticed("b")])
    times = iter([0.0, 50.0, 50.0, 100.0])
    assert list(UpdateSlice(pending, lambda: next(times))) == [Noticed("a")]
    assert list(UpdateSlice(pending, lambda: next(times))) == [Noticed("b")]
