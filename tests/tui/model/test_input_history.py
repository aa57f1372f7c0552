from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from broadcast_tui.tui.model.input_history import InputHistory


def filled(*entries: str) -> InputHistory:
    history = InputHistory()
    for entry in entries:
        history.add(entry)
    return history


def test_up_goes_back_and_down_restores_the_draft() -> None:
    history = filled("one", "two")
    assert history.older("dra") == "two"
    assert history.older("two") == "one"
    assert history.older("one") is None
    assert history.newer("one") == "two"
    assert history.newer("two") == "dra"
    assert history.newer("dra") is None


def test_neighbours_are_never_equal_and_blanks_are_not_kept() -> None:
    assert len(filled("one", "one", " ", "", "two", "one")) == 3


def test_edits_of_a_recalled_entry_last_until_something_is_sent() -> None:
    history = filled("one", "two")
    assert history.older("") == "two"
    assert history.older("two!") == "one"
    assert history.newer("one") == "two!"
    history.add("sent")
    assert history.older("") == "sent"
    assert history.older("sent") == "two"


def test_only_the_newest_are_kept() -> None:
    history = InputHistory(limit=2)
    for entry in "abc":
        history.add(entry)
    assert history.older("") == "c"
    assert history.older("c") == "b"
    assert history.older("b") is None


@given(st.lists(st.text(max_size=3), max_size=8), st.lists(st.booleans(), max_size=30), st.text(max_size=5))
def test_the_draft_is_never_lost(entries: list[str], walk: list[bool], draft: str) -> None:
    history = filled(*entries)
    shown, place = draft, 0
    for up in walk:
        moved = history.older(shown) if up else history.newer(shown)
        if moved is not None:
            shown, place = moved, place + (1 if up else -1)
    while place:
        moved = history.newer(shown)
        assert moved is not None
        shown, place = moved, place - 1
    assert shown == draft
    assert history.newer(shown) is None
