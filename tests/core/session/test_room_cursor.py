"""A client's place in a room: in order, once, holes filled or announced."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec
import pytest

from broadcast_tui.core.notes import Entry
from broadcast_tui.core.post import Position, Post
from broadcast_tui.core.session.room_cursor import AHEAD_CHARS, AHEAD_MAX, RoomCursor
from broadcast_tui.core.session.updates import GapFound

AT = datetime(2026, 1, 1, tzinfo=UTC)


def post(seq: int, epoch: str = "e") -> Post:
    return Post("lobby", Position(epoch, seq), "ana", f"text {seq}", AT)


def track_at(seq: int) -> RoomCursor:
    track = RoomCursor("lobby", 0)
    track.entered_at(Position("e", seq), 0)
    return track


def seqs(released: Sequence[Entry | GapFound]) -> list[int | str]:
    return [
        f"{item.reason}:{item.count}" if isinstance(item, GapFound) else item.position.seq
        for item in released
    ]


def test_position_starts_before_the_replay() -> None:
    track = RoomCursor("lobby", 10)
    track.entered_at(Position("e", 30), 10)
    assert track.position == Position("e", 20)
    assert seqs(track.received(post(21))) == [21]


def test_known_post_is_dropped() -> None:
    track = track_at(5)
    assert seqs(track.received(post(6))) == [6]
    assert track.received(post(6)) == []
    assert track.received(post(3)) == []
    assert track.position == Position("e", 6)


def test_posts_after_a_hole_wait_until_it_is_filled() -> None:
    track = track_at(5)
    assert track.received(post(9)) == []
    assert track.filling
    assert track.received(post(10)) == []
    assert track.position == Position("e", 5)
    assert seqs(track.filled([post(6), post(7)])) == [6, 7]
    assert track.filling
    assert seqs(track.filled([post(8), post(9)])) == [8, 9, 10]
    assert not track.filling


def test_the_post_behind_a_hole_is_released_without_being_fetched() -> None:
    track = track_at(5)
    assert track.received(post(8)) == []
    assert seqs(track.filled([post(6), post(7)])) == [6, 7, 8]
    assert not track.filling


def test_a_page_with_duplicates_or_out_of_order_is_released_once_and_in_order() -> None:
    track = track_at(5)
    assert track.received(post(10)) == []
    assert seqs(track.filled([post(6), post(6), post(8), post(7), post(9)])) == [6, "trimmed:1", 8, 9, 10]


def test_lagged_gap_is_filled_from_history() -> None:
    track = track_at(5)
    assert track.gap(Position("e", 8), "lagged") == []
    assert track.filling
    assert track.received(post(9)) == []
    assert seqs(track.filled([post(6), post(7), post(8)])) == [6, 7, 8, 9]


def test_missing_history_is_reported_as_a_gap() -> None:
    track = track_at(5)
    track.gap(Position("e", 100), "lagged")
    assert seqs(track.filled([post(90), post(91)])) == ["trimmed:84", 90, 91]
    assert seqs(track.filled([])) == ["trimmed:9"]
    assert track.position == Position("e", 100)
    assert not track.filling


def test_trimmed_gap_advances_the_position_and_has_a_count() -> None:
    track = track_at(5)
    assert track.gap(Position("e", 20), "trimmed") == [GapFound("lobby", 15, "trimmed")]
    assert seqs(track.received(post(21))) == [21]


def test_new_epoch_is_a_gap_of_unknown_size() -> None:
    track = track_at(5)
    assert track.gap(Position("f", 0), "epoch") == [GapFound("lobby", None, "epoch")]
    assert seqs(track.received(post(1, "f"))) == [1]


def test_unannounced_new_epoch_is_reported() -> None:
    track = track_at(5)
    assert seqs(track.received(post(7, "f"))) == ["epoch:None", 7]


def test_posts_after_a_large_hole_are_fetched_again() -> None:
    track = track_at(0)
    last = AHEAD_MAX + 2
    for seq in range(2, last + 1):
        assert track.received(post(seq)) == []
    assert seqs(track.filled([post(seq) for seq in range(1, last + 1)])) == list(range(1, last + 1))
    assert not track.filling


def test_disconnect_drops_buffered_posts() -> None:
    track = track_at(5)
    track.received(post(9))
    track.disconnected()
    assert not track.filling
    assert track.position == Position("e", 5)


def test_a_gap_backwards_is_ignored() -> None:
    cursor = track_at(9)
    assert cursor.gap(Position("e", 4), "trimmed") == []
    assert cursor.gap(Position("e", 9), "trimmed") == []
    assert seqs(cursor.received(post(5))) == []
    assert seqs(cursor.received(post(10))) == [10]


@pytest.mark.parametrize("missed", [-5, 10**9])
def test_an_impossible_number_of_missed_posts_is_corrected(missed: int) -> None:
    cursor = RoomCursor("lobby", 0)
    cursor.entered_at(Position("e", 7), missed)
    assert cursor.position is not None
    assert 0 <= cursor.position.seq <= 7


def test_buffered_posts_are_also_bounded_by_length() -> None:
    cursor = track_at(1)
    long = "x" * (AHEAD_CHARS // 4)
    for seq in range(3, 12):
        cursor.received(msgspec.structs.replace(post(seq), text=long))
    assert cursor._buffered_chars <= AHEAD_CHARS
    assert cursor.filling
