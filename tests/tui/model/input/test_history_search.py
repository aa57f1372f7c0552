from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from broadcast_tui.tui.model.input.history import Entry, HistorySearch


def searching(*texts: str) -> HistorySearch:
    return HistorySearch([Entry("lobby", text) for text in texts])


def test_typing_narrows_the_search_and_older_continues_it() -> None:
    search = searching("food", "foo bar", "other", "Foo")
    assert search.found is None
    search.type("f")
    assert search.found == "Foo"
    search.older()
    assert search.found == "foo bar"
    search.type("oo")
    assert search.found == "foo bar"
    search.type("d")
    assert search.found == "food"
    search.newer()
    assert search.found == "food"


def test_deleting_a_letter_finds_more_and_keeps_the_selection() -> None:
    search = searching("abc", "abd")
    search.type("abc")
    search.delete_last()
    assert (search.query, search.found) == ("ab", "abc")
    search.newer()
    assert search.found == "abd"
    search.type("zzz")
    assert search.found is None
    search.delete_last()
    assert search.found is None
    search.clear()
    assert (search.query, search.found) == ("", None)


def test_a_capital_letter_makes_the_search_case_sensitive() -> None:
    search = searching("Foo", "foo")
    search.type("F")
    assert search.found == "Foo"
    assert len(search.offers().rows) == 1


def test_each_text_is_found_once() -> None:
    search = searching("same", "other", "same")
    search.type("s")
    search.older()
    assert search.found == "same"
    assert len(search.offers().rows) == 1


def test_the_prompt_shows_query_and_progress() -> None:
    search = searching("one\x1b\ntwo", "on")
    assert search.offers().prompt == "(search) "
    search.type("on")
    search.older()
    offers = search.offers()
    assert (offers.prompt, offers.state) == ("(search) on", "2 of 2")
    assert [row.label for row in offers.rows] == ["one␛ ⏎ two", "on"]
    assert offers.chosen == 0
    search.type("z")
    assert search.offers().state == "no matches"


@given(
    st.lists(st.text("abA", max_size=4), max_size=8),
    st.lists(st.sampled_from(["a", "b", "A", "older", "newer", "rub", "clear"]), max_size=12),
)
def test_every_match_contains_the_query(texts: list[str], steps: list[str]) -> None:
    search = searching(*texts)
    for step in steps:
        match step:
            case "older":
                search.older()
            case "newer":
                search.newer()
            case "rub":
                search.delete_last()
            case "clear":
                search.clear()
            case _:
                search.type(step)
        exact = "A" in search.query
        fitting = [t for t in texts if search.query in (t if exact else t.lower())] if search.query else []
        assert {row.label for row in search.offers().rows} == set(fitting)
        assert (search.found is None) == (not fitting)
        if search.found is not None:
            offers = search.offers()
            assert offers.rows[offers.chosen].label == search.found
            search.choose(offers.chosen)
            assert offers.rows[offers.chosen].label == search.found
