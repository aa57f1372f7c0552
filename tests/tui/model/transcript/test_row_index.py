from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from broadcast_tui.tui.model.transcript.layout import PresenceShown, RowLayout, VisibilityOptions
from broadcast_tui.tui.model.transcript.records import OlderPost
from broadcast_tui.tui.model.transcript.row_index import RowAnchor, RowIndex
from broadcast_tui.tui.model.transcript.transcript import Transcript

NOON = datetime(2025, 8, 30, 12, tzinfo=UTC)


def transcript_of(count: int, limit: int = 100_000) -> Transcript:
    transcript = Transcript(limit, zone=UTC)
    for number in range(count):
        transcript.add_post(f"user{number % 7}", f"post {number} " * (1 + number % 11), NOON)
    return transcript


def all_rows(transcript: Transcript, columns: RowLayout, showing: VisibilityOptions) -> list[RowAnchor]:
    """Every row of the transcript, counted one by one."""
    return [
        RowAnchor(chunk.first_id + i, row)
        for chunk in transcript.chunks
        for i, count in enumerate(columns.count_rows(chunk, 0, showing))
        for row in range(count + (chunk.first_id + i == transcript.unread_line_id))
    ]


def assert_exact(index: RowIndex) -> None:
    index.measure_some(lambda: False)
    rows = all_rows(index.transcript, index.columns, index.visibility)
    assert index.is_exact
    assert index.total == len(rows)
    assert [index.anchor_at(row) for row in range(index.total)] == rows
    assert [index.row_of(place) for place in rows] == list(range(index.total))
    assert index.anchor_at(-1) is None
    assert index.anchor_at(index.total) is None


def test_an_empty_transcript_has_no_rows() -> None:
    index = RowIndex(Transcript(), RowLayout.of_width(80))
    index.measure_end(10)
    index.measure_around(RowAnchor(0, 0), 10)
    assert (index.total, index.anchor_at(0), index.measure_anchor(0), index.row_of(RowAnchor(3, 0))) == (
        0,
        None,
        None,
        0,
    )


@given(st.lists(st.integers(1, 200), min_size=1, max_size=4))
def test_every_row_is_found_at_every_width(widths: list[int]) -> None:
    index = RowIndex(transcript_of(300), RowLayout.of_width(80))
    for width in widths:
        index.resize(RowLayout.of_width(width))
    assert_exact(index)


EVENTS = [
    "post", "older", "pending", "arrive", "refuse", "clear", "many", "resize",
    "long", "toggle", "came", "went", "presence", "rule", "no rule",
]  # fmt: skip


@given(st.lists(st.sampled_from(EVENTS), max_size=40))
def test_follows_whatever_happens_to_a_transcript(events: list[str]) -> None:
    transcript = transcript_of(20, limit=300)
    index = RowIndex(transcript, RowLayout.of_width(40))
    index.measure_end(10)
    for event in events:
        match event:
            case "post":
                transcript.add_post("ana", "a longer post " * 5, NOON)
            case "older":
                transcript.prepend_posts([OlderPost("bob", "old " * 30, NOON, False, False, "")] * 9)
            case "pending":
                transcript.add_pending("n", "ana", "mine", NOON)
            case "arrive":
                transcript.add_post("ana", "mine", NOON, nonce="n")
            case "refuse":
                transcript.reject("n", "no")
            case "clear":
                transcript.clear()
            case "rule":
                transcript.unread_line_id = transcript.first_id + transcript.next_id * 7 % 41
            case "no rule":
                transcript.unread_line_id = None
            case "many":
                for number in range(100):
                    transcript.add_post("ana", "many " * (number % 20), NOON)
            case "long":
                transcript.add_post("ana", "a line\n" * 20 + "```\ncode " * 9, NOON)
            case "toggle":
                index.visibility.toggle(transcript.next_id - 1)
                index.recount(transcript.next_id - 1)
            case "came":
                transcript.add_presence("bob and eve joined", "bob joined", NOON)
            case "went":
                transcript.replace_presence(transcript.next_id - 1, "eve left " * 20, "", NOON)
            case "presence":
                index.visibility.presence = index.visibility.presence.next()
                index.recount()
            case _:
                index.resize(RowLayout.of_width(60 if index.columns.width == 40 else 40))
        index.update()
    assert_exact(index)


def test_a_resize_measures_only_the_surroundings_of_the_anchor() -> None:
    index = RowIndex(transcript_of(20_000), RowLayout.of_width(80))
    index.measure_some(lambda: False)
    place = RowAnchor(10_000, 0)
    index.resize(RowLayout.of_width(30))
    index.measure_around(place, 100)
    assert not index.is_exact
    top = index.row_of(place)
    around = [index.anchor_at(row) for row in range(top - 100, top + 100)]
    assert None not in around
    assert around[100] == place
    ids = [line.line_id for line in around if line]
    assert ids == sorted(ids)


def test_rows_around_an_anchor_in_long_posts_are_measured() -> None:
    transcript = transcript_of(100)
    index = RowIndex(transcript, RowLayout.of_width(40))
    index.measure_end(20)
    top = RowAnchor(transcript.first_id, 0)
    transcript.prepend_posts([OlderPost("bob", "old " * 30, NOON, False, False, "")] * 50)
    index.update()
    index.measure_around(top, 20)
    row = index.row_of(top)
    assert row > 100, "a page takes many more rows than it has lines"
    around = [index.anchor_at(row + y) for y in range(-20, 20)]
    assert None not in around
    assert around[20] == top


def test_measuring_in_slices_ends_and_moves_no_anchor() -> None:
    index = RowIndex(transcript_of(5_000), RowLayout.of_width(80))
    place = RowAnchor(2_500, 1)
    index.measure_around(place, 50)
    around = [index.anchor_at(index.row_of(place) + row) for row in range(50)]
    slices = 1
    while not index.measure_some(lambda: True):
        slices += 1
    assert 10 < slices <= 20
    assert [index.anchor_at(index.row_of(place) + row) for row in range(50)] == around


def test_resolving_an_estimated_anchor_makes_it_exact() -> None:
    index = RowIndex(transcript_of(5_000), RowLayout.of_width(80))
    assert index.anchor_at(2_000) is None
    place = index.measure_anchor(2_000)
    assert place is not None
    assert index.anchor_at(index.row_of(place)) == place
    last = index.measure_anchor(10**9)
    assert last is not None
    assert last.line_id == 5_000


def test_a_trimmed_anchor_becomes_the_top() -> None:
    transcript = transcript_of(10, limit=64)
    index = RowIndex(transcript, RowLayout.of_width(80))
    for number in range(200):
        transcript.add_post("ana", str(number), NOON)
    index.update()
    assert index.row_of(RowAnchor(3, 0)) == 0


def test_hidden_lines_have_no_rows() -> None:
    transcript = transcript_of(2)
    for number in range(600):
        transcript.add_presence(f"bob {number} joined", "", NOON)
    transcript.add_post("ana", "last", NOON)
    index = RowIndex(transcript, RowLayout.of_width(80))
    last = transcript.next_id - 1
    assert index.measure_anchor(500) == index.measure_anchor(10**6) == RowAnchor(last, 0)
    index.measure_some(lambda: False)
    assert index.total == 4
    assert index.anchor_at(3) == RowAnchor(last, 0)
    assert index.row_of(RowAnchor(300, 0)) == 3
    index.visibility.presence = PresenceShown.ALL
    index.recount()
    assert_exact(index)
    assert index.total == 604


def test_a_transcript_with_only_hidden_lines_has_no_rows() -> None:
    transcript = transcript_of(0)
    transcript.add_presence("bob joined", "", NOON)
    transcript.add_presence("bob left", "", NOON)
    index = RowIndex(transcript, RowLayout.of_width(80))
    assert index.measure_anchor(5) == RowAnchor(0, 0), "the day line"
    transcript.clear()
    transcript.add_presence("bob joined", "", NOON)
    index.update()
    assert index.measure_anchor(5) is None or index.total == 1
