from __future__ import annotations

from typing import get_args

from hypothesis import given
from hypothesis import strategies as st

from broadcast_tui.tui.model.input.kill_ring import MAX_KILLS, KillRing, Where, kill_span


@given(st.text("ab /.\n", max_size=12), st.data(), st.sampled_from(get_args(Where)))
def test_a_cut_range_touches_the_cursor_within_the_text(text: str, data: st.DataObject, where: Where) -> None:
    cursor = data.draw(st.integers(0, len(text)))
    start, end = kill_span(text, cursor, where)
    assert 0 <= start <= end <= len(text)
    assert cursor in (start, end)
    piece = text[start:end]
    if where in ("line-start", "line-end"):
        assert "\n" not in piece or piece == "\n"
    if where == "blank" and piece:
        assert start == 0 or text[start - 1].isspace()


def test_consecutive_kills_form_one_entry() -> None:
    ring = KillRing()
    ring.kill("two", append=False, backwards=True)
    ring.kill("one ", append=True, backwards=True)
    ring.kill(" three", append=True, backwards=False)
    assert ring.yank() == "one two three"
    ring.kill("x", append=False, backwards=False)
    assert ring.yank() == "x"


def test_yank_pop_cycles_and_a_new_kill_resets_it() -> None:
    ring = KillRing()
    assert ring.yank_pop() == ""
    for piece in "abc":
        ring.kill(piece, append=False, backwards=True)
    assert [ring.yank_pop() for _ in range(4)] == ["b", "a", "c", "b"]
    ring.kill("d", append=False, backwards=True)
    assert ring.yank() == "d"


def test_old_kills_are_dropped() -> None:
    ring = KillRing()
    for number in range(MAX_KILLS + 3):
        ring.kill(str(number), append=False, backwards=True)
    assert {ring.yank_pop() for _ in range(40)} == {str(n) for n in range(3, MAX_KILLS + 3)}
