from __future__ import annotations

from datetime import UTC, datetime

import pytest

from broadcast_tui.core.post import Position, Post
from broadcast_tui.core.session.updates import HistoryFetched, Noticed, SearchFound
from broadcast_tui.tui.model.server_search import (
    SNIPPET_CELLS,
    ServerSearch,
    format_date,
    snippet_of,
    words_pattern,
)
from broadcast_tui.tui.model.state import AppState
from broadcast_tui.tui.model.transcript.log_options import TimeFormat

NOON = datetime(2025, 8, 30, 12, tzinfo=UTC)


def post(seq: int, text: str = "x") -> Post:
    return Post("lobby", Position("k3f9", seq), "bob", text, NOON)


def test_pages_are_combined_newest_first() -> None:
    search = ServerSearch("lobby", "x", ref="r1")
    assert not search.handle_reply(SearchFound("lobby", "other", (post(1),), True))
    assert search.handle_reply(SearchFound("lobby", "r1", (post(7), post(9)), True))
    assert (search.ref, search.more, search.oldest_id) == ("", True, "k3f9-7")
    search.ref = "r2"
    assert search.handle_reply(SearchFound("lobby", "r2", (post(2),), False))
    assert [found.position.seq for found in search.posts] == [9, 7, 2]
    assert not search.more
    assert not search.handle_reply(SearchFound("lobby", "r2", (post(1),), False))


def test_an_empty_page_is_the_last() -> None:
    search = ServerSearch("lobby", "x", ref="r1")
    assert search.handle_reply(SearchFound("lobby", "r1", (), True))
    assert (search.posts, search.more, search.oldest_id) == ([], False, "")


def test_an_error_reply_is_shown_in_the_search_only() -> None:
    state = AppState(name="ana")
    state.search = ServerSearch("lobby", "x", ref="r1")
    before = len(state.rooms.shown.transcript)
    state.apply([Noticed("Too \x1bfast.", True, "rate_limited", "r1")], 0.0, NOON)
    assert (state.search.error, state.search.ref) == ("Too ␛fast.", "")
    assert len(state.rooms.shown.transcript) == before
    changes = state.apply([Noticed("Something else.", True, "", "r9")], 0.0, NOON)
    assert changes.errors == ["Something else."]


def test_posts_fetched_around_a_result_are_not_added_to_the_room() -> None:
    state = AppState(name="ana")
    state.search = ServerSearch("lobby", "x", around_ref="r1")
    state.apply([HistoryFetched("lobby", "r1", (post(1), post(2)), True)], 0.0, NOON)
    assert [around.position.seq for around in state.search.around] == [1, 2]
    assert len(state.rooms.shown.transcript) == 0


@pytest.mark.parametrize(
    ("query", "text", "found"),
    [
        ("deploy", "Deployment deploy redeploy", ["Deploy", "deploy"]),
        ("a b", "an axe, bob", ["a", "a", "b"]),
        ("c++", "c plus", ["c"]),
        ("漢", "漢字", ["漢"]),
    ],
)
def test_matches_begin_at_word_starts(query: str, text: str, found: list[str]) -> None:
    pattern = words_pattern(query)
    assert pattern is not None
    assert [match[0] for match in pattern.finditer(text)] == found


def test_without_words_nothing_is_marked() -> None:
    assert words_pattern("++ --") is None
    assert snippet_of("some\ntext", None) == ("some text", [])


def test_a_snippet_begins_a_little_before_the_first_match() -> None:
    text = "word " * 40 + "deploy\nand \x1bmore"
    line, spans = snippet_of(text, words_pattern("deploy"))
    assert line.startswith("…word ")
    assert line.endswith("deploy and ␛more")
    assert [line[start:end] for start, end in spans] == ["deploy"]
    assert spans[0][0] <= 30
    assert snippet_of("x" * 90 + " deploy", words_pattern("deploy"))[0] == "…" + "x" * 22 + " deploy"


def test_dates_are_as_short_as_unambiguous() -> None:
    now = NOON.replace(hour=20)
    assert [format_date(at, now) for at in (NOON, NOON.replace(month=1, day=2), NOON.replace(year=2024))] == [
        "12:00",
        "2 Jan 12:00",
        "30 Aug 2024 12:00",
    ]
    assert format_date(NOON, now, TimeFormat.H12) == "12:00pm"
    assert [format_date(at, now, TimeFormat.OFF) for at in (NOON, NOON.replace(month=1, day=2))] == [
        "today",
        "2 Jan",
    ]


def test_a_snippet_is_a_few_rows_of_a_long_post() -> None:
    line, spans = snippet_of("deploy " + "word " * 3_000, words_pattern("deploy"))
    assert len(line) <= SNIPPET_CELLS
    assert line.endswith("…")
    assert spans == [(0, 6)]
