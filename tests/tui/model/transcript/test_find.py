from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broadcast_tui.tui.model.transcript.chunks import POSTS, LineKind
from broadcast_tui.tui.model.transcript.find import FindState, pattern_of
from broadcast_tui.tui.model.transcript.records import OlderPost
from broadcast_tui.tui.model.transcript.transcript import Transcript

NOON = datetime(2025, 8, 30, 12, tzinfo=UTC)


def transcript_of(*texts: str, limit: int = 100_000) -> Transcript:
    transcript = Transcript(limit, zone=UTC)
    for text in texts:
        transcript.add_post("ana", text, NOON)
    return transcript


def finder(transcript: Transcript, query: str, start_id: int | None = None) -> FindState:
    pattern = pattern_of(query)
    assert pattern is not None
    return FindState(transcript, pattern, transcript.next_id if start_id is None else start_id)


def search_all(search: FindState) -> None:
    while not search.search_some(lambda: True):
        pass


def text_of(transcript: Transcript, line_id: int | None) -> str:
    line = None if line_id is None else transcript.line(line_id)
    return "" if line is None else line.text


@pytest.mark.parametrize(
    ("query", "text", "found"),
    [
        ("hello", "Hello there", True),
        ("Hello", "hello there", False),
        ("a.b", "axb", False),
        ("[x", "an [x]", True),
        ("straße", "STRASSE", False),
        ("ÉCOLE".lower(), "École", True),
        ("e\u0301cole", "école", True),
        ("漢", "漢字", True),
        (" two", "one two", True),
    ],
)
def test_small_letters_find_any_case_and_nothing_is_a_pattern(query: str, text: str, found: bool) -> None:
    pattern = pattern_of(query)
    assert pattern is not None
    assert bool(pattern.search(text)) is found


@pytest.mark.parametrize("query", ["", " ", "\u3000"])
def test_blanks_find_nothing(query: str) -> None:
    assert pattern_of(query) is None


def test_the_newest_match_is_first_and_each_step_goes_up() -> None:
    transcript = transcript_of("x 0", "other", "x 1", "x 2")
    search = finder(transcript, "x")
    search_all(search)
    seen = [(search.number, search.count, text_of(transcript, search.current))]
    for _ in range(3):
        search.step(older=True)
        seen.append((search.number, search.count, text_of(transcript, search.current)))
    assert seen == [(1, 3, "x 2"), (2, 3, "x 1"), (3, 3, "x 0"), (1, 3, "x 2")]
    search.step(older=False)
    assert text_of(transcript, search.current) == "x 0"


def test_search_starts_at_a_line_and_goes_below_it_last() -> None:
    transcript = transcript_of("a x", "b", "c x", "d")
    # The day line is the first one.
    from_b = finder(transcript, "x", transcript.first_id + 2)
    search_all(from_b)
    assert (from_b.number, text_of(transcript, from_b.current)) == (2, "a x")
    from_top = finder(transcript, "c x", transcript.first_id + 1)
    search_all(from_top)
    assert (from_top.number, text_of(transcript, from_top.current)) == (1, "c x")


def test_only_posts_are_found() -> None:
    transcript = transcript_of("x")
    transcript.add_system("x joined", NOON)
    transcript.add_pending("n", "ana", "x on its way", NOON)
    transcript.add_post("bob", "/me sings x", NOON)
    search = finder(transcript, "x")
    search_all(search)
    assert (search.count, text_of(transcript, search.current)) == (2, "sings x")


def test_posts_added_during_the_search_are_found_without_moving_the_current_match() -> None:
    transcript = transcript_of(*(f"x {n}" for n in range(200)))
    search = finder(transcript, "x")
    search.search_some(lambda: True)
    assert not search.is_complete
    current = search.current
    transcript.add_post("bob", "x new", NOON)
    search_all(search)
    assert (search.count, search.number, search.current) == (201, 2, current)
    search.step(older=False)
    assert text_of(transcript, search.current) == "x new"


def test_trimmed_lines_are_no_longer_found() -> None:
    transcript = transcript_of(*(f"x {n}" for n in range(30)), limit=32)
    search = finder(transcript, "x 1", transcript.first_id + 2)
    search_all(search)
    assert text_of(transcript, search.current) == "x 1"
    for n in range(30, 45):
        transcript.add_post("ana", f"x {n}", NOON)
    search_all(search)
    remaining = [n for n in range(10, 20) if any(f"x {n}" in chunk.texts for chunk in transcript.chunks)]
    assert search.count == len(remaining) > 0
    assert text_of(transcript, search.current) == f"x {remaining[0]}"


def test_a_cleared_transcript_has_nothing_to_find() -> None:
    transcript = transcript_of("x", "x")
    search = finder(transcript, "x")
    search_all(search)
    transcript.clear()
    search_all(search)
    assert (search.count, search.number, search.current) == (0, 0, None)
    transcript.add_post("ana", "x again", NOON)
    search_all(search)
    assert text_of(transcript, search.current) == "x again"


def test_stepping_without_a_match_returns_nothing() -> None:
    transcript = transcript_of("one")
    search = finder(transcript, "two")
    search_all(search)
    assert (search.count, search.number, search.step(older=True)) == (0, 0, None)


def page(texts: list[str], at: datetime) -> list[OlderPost]:
    return [OlderPost("bob", text, at, False, False, "") for text in texts]


TEXTS = st.lists(st.sampled_from(["x", "y", "x y", "X"]), max_size=40)
CHANGES = st.lists(
    st.one_of(
        TEXTS.map(lambda texts: ("add", texts)),
        TEXTS.map(lambda texts: ("older", texts)),
        st.just(("search", [])),
        st.just(("clear", [])),
    ),
    max_size=12,
)


@settings(deadline=None)
@given(CHANGES)
def test_search_equals_a_full_scan_after_any_changes(
    changes: list[tuple[str, list[str]]],
) -> None:
    transcript = transcript_of("x", limit=120)
    search = finder(transcript, "x", transcript.next_id)
    before = NOON
    for what, texts in changes:
        match what:
            case "add":
                for text in texts:
                    transcript.add_post("ana", text, NOON)
            case "older":
                before -= timedelta(hours=9)
                transcript.prepend_posts(page(texts, before))
            case "clear":
                transcript.clear()
                search.search_some(lambda: True)
            case _:
                search.search_some(lambda: True)
    search_all(search)
    lines = [chunk.line(i) for chunk in transcript.chunks for i in range(len(chunk))]
    wanted = [line.id for line in reversed(lines) if line.kind in POSTS and "x" in line.text.lower()]
    assert all(line.kind is not LineKind.DAY or line.id not in wanted for line in lines)
    found = []
    for _ in range(search.count):
        found.append(search.current)
        search.step(older=True)
    assert sorted(filter(None, found), reverse=True) == sorted(filter(None, wanted), reverse=True)
    assert search.count == len(wanted)


def test_posts_are_found_by_their_sender_too() -> None:
    transcript = Transcript(zone=UTC)
    for sender, text in (("bob", "one"), ("ana", "two"), ("Bobby", "/me waves"), ("ana", "bob?")):
        transcript.add_post(sender, text, NOON)
    transcript.add_system("bob left", NOON)
    for query, count in (("bob", 3), ("Bob", 1), ("ana", 2)):
        search = finder(transcript, query)
        search_all(search)
        assert search.count == count
