"""Lines about joins and leaves: in small rooms everyone's, two in a minute with a line each."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from broadcast_tui.core.session.updates import PresenceChanged
from broadcast_tui.tui.model.room import RoomModel
from broadcast_tui.tui.model.transcript.chunks import LineKind
from broadcast_tui.tui.model.transcript.presence_lines import ROW_MAX, SMALL_ROOM_MAX

NOON = datetime(2025, 8, 30, 12, tzinfo=UTC)


class Lobby:
    """A room, and the user ana in it."""

    def __init__(self) -> None:
        self.room = RoomModel("lobby")

    def change(
        self, second: float, event: str, *names: str, online: int = 5, text: str = "", reason: str = ""
    ) -> None:
        at = NOON + timedelta(seconds=second)
        self.room.people_changed(PresenceChanged("lobby", event, names, online, text, at, reason), "ana")

    @property
    def lines(self) -> list[tuple[str, str]]:
        """The text and the short form of each line about joins and leaves."""
        lines = [chunk.line(i) for chunk in self.room.transcript.chunks for i in range(len(chunk))]
        return [(line.text, line.brief) for line in lines if line.kind is LineKind.PRESENCE]

    @property
    def briefs(self) -> list[str]:
        return [brief for _, brief in self.lines]


def test_small_room_shows_people_who_have_written_nothing() -> None:
    lobby = Lobby()
    lobby.change(0, "join", "bob")
    lobby.change(300, "leave", "bob", reason="lunch")
    assert lobby.briefs == ["bob joined", "bob left: lunch"]


def test_third_change_in_a_minute_and_later_ones_share_a_line() -> None:
    lobby = Lobby()
    for second, name in enumerate(["bob", "cy", "dora", "eve", "finn"]):
        lobby.change(second, "join", name)
    assert lobby.briefs == ["bob joined", "cy joined", "dora, eve and finn joined"]


def test_changes_have_a_line_each_again_after_a_minute() -> None:
    lobby = Lobby()
    for second, name in [(0, "bob"), (59, "cy"), (60, "dora"), (118, "eve"), (200, "finn")]:
        lobby.change(second, "join", name)
    assert lobby.briefs == ["bob joined", "cy joined", "dora joined", "eve joined", "finn joined"]
    lobby.room.transcript.add_post("finn", "bye", NOON)
    lobby.change(201, "leave", "finn")
    lobby.change(202, "leave", "eve")
    lobby.change(203, "leave", "dora")
    assert lobby.briefs[5:] == ["finn left", "eve and dora left"]


def test_slow_changes_fill_only_a_few_lines_of_a_quiet_room() -> None:
    lobby = Lobby()
    for hour in range(10):
        lobby.change(3600 * hour, "join" if hour % 2 else "leave", f"bob{hour}")
    assert len(lobby.lines) == ROW_MAX + 1
    lobby.room.transcript.add_post("bob1", "hi", NOON)
    lobby.change(3600 * 11, "join", "cy")
    assert lobby.briefs[-1] == "cy joined"


def test_unstable_connection_takes_three_lines() -> None:
    lobby = Lobby()
    for second in range(0, 50, 2):
        lobby.change(second, "leave", "bob")
        lobby.change(second + 1, "join", "bob")
    assert lobby.briefs == ["bob left", "bob joined", ""]


def test_post_ends_the_line_that_changes_share() -> None:
    lobby = Lobby()
    for name in ("bob", "cy", "dora"):
        lobby.change(0, "join", name)
    lobby.room.transcript.add_post("bob", "hi", NOON)
    lobby.change(1, "join", "eve")
    assert lobby.briefs == ["bob joined", "cy joined", "dora joined", "eve joined"]


@pytest.mark.parametrize(
    ("online", "expected"), [(SMALL_ROOM_MAX, ["bob joined", "cy joined"]), (SMALL_ROOM_MAX + 1, [""])]
)
def test_size_of_a_small_room(online: int, expected: list[str]) -> None:
    lobby = Lobby()
    lobby.change(0, "join", "bob", online=online)
    lobby.change(0, "join", "cy", online=online)
    assert lobby.briefs == expected


def test_large_room_shows_recent_speakers_only() -> None:
    lobby = Lobby()
    lobby.room.transcript.add_post("bob", "hi", NOON)
    lobby.change(0, "leave", "bob", online=50)
    lobby.change(600, "join", "cy", online=51)
    assert lobby.lines == [("cy joined · bob left", "bob left")]


def test_room_that_grows_shows_no_more_strangers() -> None:
    lobby = Lobby()
    for online in range(SMALL_ROOM_MAX - 2, SMALL_ROOM_MAX + 3):
        lobby.change(0, "join", f"bob{online}", online=online)
    assert lobby.briefs == ["bob18 joined", "bob19 joined", "bob20 joined", ""]


def test_users_without_names_are_shown_without_the_count() -> None:
    lobby = Lobby()
    lobby.change(0, "join", text="A new client has joined the chat. 5 client(s) online.")
    lobby.change(1, "rename", "bob", text="A client is now known as bob.")
    assert lobby.briefs == ["A new client has joined the chat", "A client is now known as bob"]


def test_joins_and_leaves_are_never_unread() -> None:
    lobby = Lobby()
    for second in range(5):
        lobby.change(second, "join", f"bob{second}")
    assert lobby.room.unread == lobby.room.urgent_count == lobby.room.transcript.received_count == 0


def test_ignored_people_are_left_out() -> None:
    lobby = Lobby()
    lobby.room.hide("troll".__eq__)
    lobby.change(0, "join", "troll")
    lobby.change(0, "rename", "troll", "troll2")
    lobby.change(0, "join", "bob", "troll")
    assert lobby.briefs == ["bob joined"]
