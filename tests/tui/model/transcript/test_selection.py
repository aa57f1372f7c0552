from __future__ import annotations

from datetime import UTC, datetime

import pytest

from broadcast_tui.tui.model.text.links import links_in
from broadcast_tui.tui.model.transcript.records import OlderPost
from broadcast_tui.tui.model.transcript.selection import (
    Excerpt,
    TextPosition,
    excerpt,
    stamped_post,
    whole_post,
    word_at,
)
from broadcast_tui.tui.model.transcript.transcript import Transcript

NOON = datetime(2025, 8, 30, 12, tzinfo=UTC)


@pytest.fixture
def transcript() -> Transcript:
    """Lines 0 to 4: day, ana's two rows, system, bob's action, carl's post."""
    made = Transcript(zone=UTC)
    made.add_post("ana", "hello world\nsecond row", NOON)
    made.add_system("bob joined", NOON)
    made.add_post("bob", "/me waves", NOON)
    made.add_post("carl", "last", NOON)
    return made


def copied(transcript: Transcript, start: tuple[int, int] | None, end: tuple[int, int] | None) -> str:
    found = excerpt(transcript, start and TextPosition(*start), end and TextPosition(*end))
    return "" if found is None else found.text


def test_part_of_a_post_is_copied_without_the_sender(transcript: Transcript) -> None:
    assert copied(transcript, (1, 6), (1, 11)) == "world"
    assert copied(transcript, (1, 6), (1, 18)) == "world\nsecond"
    assert excerpt(transcript, TextPosition(1, 6), TextPosition(1, 11)) == Excerpt("world", 1, False)


def test_several_lines_are_copied_with_their_senders(transcript: Transcript) -> None:
    assert copied(transcript, (1, 6), (4, 2)) == (
        "ana: world\nsecond row\n-- bob joined\n* bob waves\ncarl: la"
    )
    found = excerpt(transcript, TextPosition(3, 0), TextPosition(4, 4))
    assert found == Excerpt("* bob waves\ncarl: last", 2, True)


def test_a_selection_from_the_bottom_up_is_the_same(transcript: Transcript) -> None:
    assert copied(transcript, (4, 2), (1, 6)) == copied(transcript, (1, 6), (4, 2))


def test_a_line_without_selected_characters_is_left_out(transcript: Transcript) -> None:
    assert copied(transcript, (1, 0), (2, 0)) == "hello world\nsecond row"
    assert copied(transcript, (1, 0), (2, -1)) == "hello world\nsecond row"


@pytest.mark.parametrize(("start", "end"), [((4, 2), (4, 2)), ((9, 0), (9, 5)), ((1, 99), (1, 120))])
def test_an_empty_selection_copies_nothing(
    transcript: Transcript, start: tuple[int, int], end: tuple[int, int]
) -> None:
    assert excerpt(transcript, TextPosition(*start), TextPosition(*end)) is None


def test_a_selection_without_ends_is_everything(transcript: Transcript) -> None:
    assert copied(transcript, None, None).startswith("-- Saturday 30 August 2025\nana: hello world\n")
    assert copied(transcript, None, None).endswith("\ncarl: last")
    assert copied(transcript, (3, 0), None) == "* bob waves\ncarl: last"
    assert copied(transcript, None, (1, 5)).endswith("\nana: hello")


def test_line_ends_around_the_selection_are_left_out(transcript: Transcript) -> None:
    assert copied(transcript, (1, 0), (1, 12)) == "hello world"
    assert copied(transcript, (1, 11), (1, 18)) == "second"


def test_clusters_are_never_cut() -> None:
    transcript = Transcript(zone=UTC)
    transcript.add_post("ana", "a👍🏽b e\u0301\u0302 👩\u200d👧", NOON)
    text = "a👍🏽b e\u0301\u0302 👩\u200d👧"
    assert copied(transcript, (1, 2), (1, 4)) == "👍🏽b"
    assert copied(transcript, (1, 1), (1, 2)) == "👍🏽"
    assert copied(transcript, (1, text.index("👧")), (1, len(text))) == "👩\u200d👧"


def test_the_selection_survives_prepended_and_trimmed_lines() -> None:
    transcript = Transcript(64, zone=UTC)
    for n in range(40):
        transcript.add_post("ana", f"post {n}", NOON)
    before = copied(transcript, (30, 0), (31, 99))
    assert transcript.prepend_posts([OlderPost("bob", "older", NOON, False, False, "")])
    assert copied(transcript, (30, 0), (31, 99)) == before
    for n in range(40, 60):
        transcript.add_post("ana", f"post {n}", NOON)
    assert copied(transcript, (30, 0), (31, 99)) == before
    for n in range(60, 160):
        transcript.add_post("ana", f"post {n}", NOON)
    assert excerpt(transcript, TextPosition(30, 0), TextPosition(31, 99)) is None


def test_a_picked_post_is_copied_with_or_without_its_time(transcript: Transcript) -> None:
    line, action = transcript.line(1), transcript.line(3)
    assert line is not None
    assert action is not None
    assert whole_post(line).text == "hello world\nsecond row"
    assert stamped_post(line, UTC).text == "2025-08-30 12:00 ana: hello world\nsecond row"
    assert stamped_post(action, UTC).text == "2025-08-30 12:00 * bob waves"


@pytest.mark.parametrize(
    ("found", "amount"),
    [
        (Excerpt("x", 0, False), "1 character"),
        (Excerpt("x" * 1200, 1, False), "1,200 characters"),
        (Excerpt("hello", 1, True), "1 post"),
        (Excerpt("a\nb", 2, False), "2 posts"),
        (Excerpt("-- bob joined", 0, True), "13 characters"),
    ],
)
def test_the_amount_copied_is_described(found: Excerpt, amount: str) -> None:
    assert found.amount == amount


@pytest.mark.parametrize(
    ("text", "index", "word"),
    [
        ("hello world", 1, "hello"),
        ("hello world", 10, "world"),
        ("hello world", 5, " "),
        ("hello", 5, ""),
        ("don't panic", 2, "don't"),
        ("see https://example.org/a?b=c, ok", 12, "https://example.org/a?b=c"),
        ("(漢字)", 1, "漢字"),
        ("a 👍🏽 b", 2, "👍🏽"),
    ],
)
def test_a_click_selects_the_word_under_it(text: str, index: int, word: str) -> None:
    start, end = word_at(text, index)
    assert text[start:end] == word


def test_links_are_distinct_http_addresses() -> None:
    text = "see https://a.example/x, http://b.example (https://a.example/x) file:///etc javascript:x"
    assert links_in(text) == ["https://a.example/x", "http://b.example"]
