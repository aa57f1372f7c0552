from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from rich.cells import cell_len

from broadcast_tui.core.export.recording import Recording
from broadcast_tui.tui.model.replay import Playback, bar_text, position_of, step_text
from tests.support.exports import AT, ZONE, post


def playback(*minutes: float, speed: float = 1.0, max_pause_s: float = 0.0) -> Playback:
    entries = tuple(post(seq, f"post {seq}", minutes=at) for seq, at in enumerate(minutes, 1))
    times_s = tuple((entry.at - entries[0].at).total_seconds() for entry in entries)
    return Playback(Recording("lobby", entries, times_s, ("ana",)), speed, max_pause_s)


def shown(played: Playback, now: float) -> list[int]:
    return [entry.position.seq for entry in played.advance(now)]


def test_entries_are_due_at_their_times() -> None:
    played = playback(0, 1, 1, 5, speed=2.0)
    assert played.delay_s() == 0.0
    assert shown(played, 100.0) == [1]
    assert played.delay_s() == 30.0
    assert shown(played, 129.0) == []
    assert played.delay_s() == 1.0
    assert shown(played, 130.0) == [2, 3]
    assert played.at == AT + timedelta(minutes=1)
    assert shown(played, 1_000.0) == [4]
    assert played.is_at_end
    assert played.delay_s() is None
    assert shown(played, 2_000.0) == []


def test_long_silences_are_skipped() -> None:
    played = playback(0, 600, speed=8.0, max_pause_s=5.0)
    assert shown(played, 0.0) == [1]
    assert played.delay_s() == 5.0
    played.tick(1.0)
    assert played.position_s == 600 * 60 - 40 + 8
    assert played.delay_s() == 4.0
    assert shown(played, 5.0) == [2]


def test_a_pause_stops_the_clock() -> None:
    played = playback(0, 1)
    assert shown(played, 0.0) == [1]
    played.tick(10.0)
    played.toggle()
    assert played.delay_s() is None
    assert shown(played, 500.0) == []
    played.toggle()
    assert played.delay_s() == 50.0
    assert shown(played, 550.0) == [2]
    played.toggle()
    assert (played.position_s, played.count, played.is_paused) == (0.0, 1, False)


def test_seeking_counts_what_lies_before() -> None:
    played = playback(0, 1, 2, 3)
    played.seek(120.0)
    assert played.count == 3
    played.seek(-5.0)
    assert (played.position_s, played.count) == (0.0, 1)
    played.seek(1e9)
    assert (played.position_s, played.is_at_end) == (180.0, True)


def test_steps_go_at_least_to_the_next_entry() -> None:
    played = playback(0, 100, 100, 101, 200)
    played.seek(0.0)
    assert played.step_s == 300
    played.step(1)
    assert played.count == 3
    played.step(1)
    assert played.count == 4
    assert played.position_s == 105 * 60
    played.step(-1)
    assert played.position_s == 100 * 60
    played.step(-1)
    assert played.position_s == 0.0
    played.step(-1)
    assert (played.position_s, played.count) == (0.0, 1)
    played.seek(1e9)
    played.step(1)
    assert played.is_at_end


def test_the_speed_has_limits() -> None:
    played = playback(0, 1)
    for _ in range(20):
        played.change_speed(2.0)
    assert played.speed == 1024
    for _ in range(20):
        played.change_speed(0.5)
    assert played.speed == 0.25


@pytest.mark.parametrize(
    ("text", "minutes"),
    [
        ("12:35", 4 + 20 / 60),
        ("12:35:40", 5.0),
        ("2025-08-30 12:40:40", 10.0),
        ("2025-08-30T10:40:40Z", 10.0),
        ("00:30:40", 720.0),
    ],
)
def test_times_are_found_in_the_recording(text: str, minutes: float) -> None:
    assert position_of(playback(0, 800), text, ZONE) == pytest.approx(minutes * 60)


def test_a_time_of_day_is_on_the_day_of_the_position() -> None:
    played = playback(0, 3_000)
    played.seek(1_440 * 60)
    assert position_of(played, "12:31:40", ZONE) == (1_440 + 1) * 60
    assert position_of(playback(0, 5), "09:00", ZONE) == -(3 * 60 + 30) * 60 - 40
    assert position_of(played, "soon", ZONE) is None
    local = (AT + timedelta(minutes=1)).astimezone()
    assert position_of(played, f"{local:%Y-%m-%d %H:%M:%S}") == 60.0


def test_the_row_fits_every_width() -> None:
    played = playback(0, 1, 60, 2_000)
    played.seek(60.0)
    for width in range(140):
        assert cell_len(bar_text(played, width, ZONE)) <= width
    assert bar_text(played, 120, ZONE).startswith("▶ Playing  1×  2025-08-30 12:31:40 (10:31:40 UTC)  ")
    assert "Space" in bar_text(played, 120, ZONE)
    narrow = bar_text(played, 38, ZONE)
    assert narrow.startswith("▶ ")
    assert "12:31:40" in narrow
    assert narrow.endswith("2/4")
    played.toggle()
    assert bar_text(played, 80, ZONE).startswith("‖ Paused")
    played.seek(1e9)
    assert bar_text(played, 80, UTC).startswith("■ End")
    assert "─" not in bar_text(played, 80, UTC)


def test_steps_are_written_in_their_unit() -> None:
    assert [step_text(each) for each in (1, 30, 300, 21_600, 86_400)] == [
        "1 s",
        "30 s",
        "5 min",
        "6 h",
        "1 day",
    ]


def test_a_recording_of_one_post_is_at_its_end_at_once() -> None:
    played = playback(0)
    assert shown(played, 0.0) == [1]
    assert played.is_at_end
    assert "━" in bar_text(played, 80)
    assert played.at == datetime(2025, 8, 30, 10, 30, 40, tzinfo=UTC)
