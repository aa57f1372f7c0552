from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from broadcast_tui.tui.model.input.suggestions import Suggestion, Suggestions


@given(st.integers(0, 20), st.integers(-1, 19), st.integers(-2, 25), st.booleans())
def test_the_window_contains_the_chosen_suggestion_and_fits(
    count: int, chosen: int, room: int, prompt: bool
) -> None:
    chosen = min(chosen, count - 1)
    offers = Suggestions(
        tuple(Suggestion(str(i)) for i in range(count)), chosen, "(search)" if prompt else ""
    )
    window = offers.window(room)
    assert len(window) == max(0, min(room, count))
    assert set(window) <= set(range(count))
    assert chosen < 0 or not window or chosen in window


def test_a_search_shows_its_newest_next_to_the_prompt() -> None:
    rows = tuple(Suggestion(str(i)) for i in range(9))
    assert Suggestions(rows, 8, prompt="p").window(3) == range(6, 9)
    assert Suggestions(rows, 7, prompt="p").window(3) == range(6, 9)
    assert Suggestions(rows, 2, prompt="p").window(3) == range(2, 5)
