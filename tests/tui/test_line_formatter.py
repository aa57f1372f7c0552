from __future__ import annotations

from datetime import UTC, datetime

from broadcast_tui.tui.line_formatter import LineFormatter
from broadcast_tui.tui.model.room import RoomModel
from broadcast_tui.tui.model.transcript.transcript import Transcript

NOON = datetime(2025, 8, 30, 12, tzinfo=UTC)


def test_a_presence_summary_is_yielded_once_another_line_follows() -> None:
    room = RoomModel("lobby", Transcript(zone=UTC))
    transcript = room.transcript
    formatter = LineFormatter(UTC)
    transcript.add_post("ana", "hi", NOON)
    line_id = transcript.add_presence("bob joined", "", NOON)
    assert list(formatter.new_lines(room)) == ["-- Saturday 30 August 2025", "12:00 ana: hi"]
    transcript.replace_presence(line_id, "bob and eve joined", "", NOON)
    assert list(formatter.new_lines(room)) == []
    transcript.add_post("bob", "hello", NOON)
    assert list(formatter.new_lines(room)) == ["-- bob and eve joined", "12:00 bob: hello"]


def test_a_presence_line_that_cannot_change_is_yielded_at_once() -> None:
    room = RoomModel("lobby", Transcript(zone=UTC))
    transcript = room.transcript
    formatter = LineFormatter(UTC)
    transcript.add_presence("bob joined", "bob joined", NOON, grows=False)
    assert list(formatter.new_lines(room)) == ["-- Saturday 30 August 2025", "-- bob joined"]
    assert list(formatter.new_lines(room)) == []


def test_an_empty_presence_summary_is_not_yielded() -> None:
    room = RoomModel("lobby", Transcript(zone=UTC))
    transcript = room.transcript
    formatter = LineFormatter(UTC)
    line_id = transcript.add_presence("bob joined", "", NOON)
    transcript.replace_presence(line_id, "", "", NOON)
    transcript.add_post("ana", "hi", NOON)
    assert list(formatter.new_lines(room)) == ["-- Saturday 30 August 2025", "12:00 ana: hi"]
