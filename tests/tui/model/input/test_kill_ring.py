from __future__ import annotations

from typing import get_args

from hypothesis import given
from hypothesis import strategies as st

from broadcast_tui.tui.model.input.kill_ring import KEPT_CUTS, KillRing, Where, cut_span


@given(st.text("ab /.\n", max_size=12), st.data(), st.sampled_from(get_args(Where)))
def test_a_cut_touches_the_cursor_and_stays_in_the_text(text: str, data: st.DataObject, where: Where) -> None:
    cursor = data.draw(st.integers(0, len(text)))
    start, end = cut_span(text, cursor, where)
    assert 0 <= start <= end <= len(text)
    assert cursor in (start, end)
    piece = text[start:end]
    if where in ("line-start", "line-end"):
        assert "\n" not in piece or piece == "\n"
    if where == "blank" and piece:
        assert start == 0 or text[start - 1].isspace()


def test_cuts_in_a_row_are_one() -> None:
    ring = KillRing()
    ring.cut("two", goes_on=False, backwards=True)
    ring.cut("one ", goes_on=True, backwards=True)
    ring.cut(" three", goes_on=True, backwards=False)
    assert ring.newest == "one two three"
    ring.cut("x", goes_on=False, backwards=False)
    assert ring.newest == "x"


def test_older_goes_round_and_a_new_cut_is_the_newest() -> None:
    ring = KillRing()
    assert ring.older() == ""
    for piece in "abc":
        ring.cut(piece, goes_on=False, backwards=True)
    assert [ring.older() for _ in range(4)] == ["b", "a", "c", "b"]
    ring.cut("d", goes_on=False, backwards=True)
    assert ring.newest == "d"


def test_only_the_last_cuts_are_kept() -> None:
    ring = KillRing()
    for number in range(KEPT_CUTS + 3):
        ring.cut(str(number), goes_on=False, backwards=True)
    assert {ring.older() for _ in range(40)} == {str(n) for n in range(3, KEPT_CUTS + 3)}
