"""Rooms of several servers: numbers, names, unread posts, and what is displayed."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from broadcast_tui.core.session.updates import ConnectionChanged, ConnectionState, RoomEntered, Update
from broadcast_tui.tui.model.notifications import NotifyLevel
from broadcast_tui.tui.model.servers import Place, Server, ServerSet
from broadcast_tui.tui.model.state import AppState, Changes
from broadcast_tui.tui.model.status import Role, connection_mark, fit, rooms_activity, status_items
from tests.support.fake_client import FakeClient

AT = datetime(2025, 8, 30, 10, 30, tzinfo=UTC)


class OneServer:
    """A server whose rooms have people, and the fake client that creates its updates."""

    def __init__(self, url: str, *rooms: str) -> None:
        self.client = FakeClient(url=url)
        self.server = Server(url, AppState(name="ana"))
        self.apply(*self.client.online("ana", "bob"))
        self.apply(*(RoomEntered(room, 1, 0) for room in rooms))

    def apply(self, *updates: Update) -> Changes:
        return self.server.state.apply(updates, 100.0, AT)

    def post(self, text: str, room: str = "lobby") -> Changes:
        return self.apply(self.client.post("bob", text, room=room))


class Several:
    """The servers `home` and `work`, both with the room `lobby`; the lobby of `home` is displayed."""

    def __init__(self) -> None:
        self.home = OneServer("ws://home.example.org:8765", "dev")
        self.work = OneServer("wss://work.example.org:8765", "ops")
        self.set = ServerSet([self.home.server, self.work.server])

    def show(self, where: OneServer, room: str) -> None:
        self.set.show(Place(where.server, room), AT)
        self.set.shown.state.rooms.set_at_end(True)

    @property
    def shown(self) -> str:
        place = self.set.shown_place
        return f"{self.set.name(place.server).partition('.')[0]}/{place.room}"


def test_rooms_are_numbered_server_by_server() -> None:
    several = Several()
    places = [several.set.by_number(number) for number in range(6)]
    assert places == [
        None,
        Place(several.home.server, "lobby"),
        Place(several.home.server, "dev"),
        Place(several.work.server, "lobby"),
        Place(several.work.server, "ops"),
        None,
    ]


def test_stepping_goes_through_the_rooms_of_all_servers() -> None:
    several = Several()
    visited = []
    for _ in range(4):
        several.set.show(several.set.adjacent(1), AT)
        visited.append(several.shown)
    assert visited == ["home/dev", "work/lobby", "work/ops", "home/lobby"]
    assert several.set.adjacent(-1) == Place(several.work.server, "ops")


def test_servers_are_named_by_host_and_by_port_only_if_needed() -> None:
    urls = ("ws://localhost:8765", "ws://localhost:9000", "wss://[::1]:8765", "no address")
    names = ServerSet([Server(url, AppState()) for url in urls])
    assert [names.name(server) for server in names.all] == [
        "localhost:8765",
        "localhost:9000",
        "::1",
        "no address",
    ]
    assert ServerSet(names.all[:1]).label(names.all[0]) == ""


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("3", "work/lobby"), ("lobby", "home/lobby"), ("ops", "work/ops"), ("work/lobby", "work/lobby"),
        ("work/", "work/lobby"), ("home/dev", "home/dev"), ("lobby work", "work/lobby"), ("9", ""),
        ("9999", ""), ("work/dev", ""), ("xyz", ""),
    ],
)  # fmt: skip
def test_a_room_is_found_by_number_or_letters_first_on_the_displayed_server(typed: str, found: str) -> None:
    several = Several()
    place = several.set.find_room(typed)
    if place is not None:
        several.set.show(place, AT)
    assert (several.shown if place is not None else "") == found


def test_a_server_is_found_by_name_address_or_letters() -> None:
    several = Several()
    find = several.set.find
    assert (
        find("work.example.org") is find("wss://work.example.org:8765") is find("wo") is several.work.server
    )
    assert find("") is find("nowhere") is None


def test_rooms_with_the_same_name_do_not_mix() -> None:
    several = Several()
    several.work.post("for work only")
    assert several.home.server.state.rooms.get("lobby").unread == 0
    assert several.work.server.state.rooms.get("lobby").unread == 1


def test_posts_in_the_selected_room_of_a_hidden_server_are_unread_and_alert() -> None:
    several = Several()
    changes = several.work.post("ana: look")
    assert [alert.text for alert in changes.alerts] == ["ana: look"]
    assert (several.set.unread, several.set.mention_count) == (1, 1)
    several.show(several.work, "lobby")
    assert (several.set.unread, several.set.mention_count) == (0, 0)
    assert several.home.post("ana?").alerts  # now the other one is hidden
    assert not several.work.post("ana!").alerts


def test_coming_back_to_a_server_keeps_the_unread_line() -> None:
    several = Several()
    several.home.post("read")
    several.show(several.work, "lobby")
    several.home.post("unread")
    several.set.show(Place(several.home.server, "lobby"), AT)
    transcript = several.home.server.state.rooms.shown.transcript
    line_id = transcript.unread_line_id
    assert line_id is not None
    line = transcript.line(line_id)
    assert line is not None
    assert line.text == "unread"


def test_focus_concerns_the_displayed_server_only() -> None:
    several = Several()
    several.set.set_focused(False, AT)
    assert several.home.post("ana?").alerts
    several.show(several.work, "lobby")
    assert several.work.post("ana?").alerts
    several.set.set_focused(True, AT)
    assert not several.work.post("ana?").alerts
    assert several.home.post("ana?").alerts


def test_the_room_before_may_be_on_another_server() -> None:
    several = Several()
    assert several.set.previous() is None
    several.show(several.home, "dev")
    several.show(several.work, "ops")
    assert several.set.previous() == Place(several.home.server, "dev")
    several.show(several.work, "lobby")
    assert several.set.previous() == Place(several.work.server, "ops")


def test_mentions_anywhere_are_visited_before_unread_posts_here() -> None:
    several = Several()
    several.home.post("hi", "dev")
    several.work.post("ana?", "ops")
    several.work.post("hm", "lobby")
    visited = []
    while several.set.show_urgent(AT):
        several.set.shown.state.rooms.set_at_end(True)
        visited.append(several.shown)
    assert visited == ["work/ops", "work/lobby", "home/dev", "home/lobby"]


def test_urgent_rooms_are_visited_mentions_first_then_the_first_room_again() -> None:
    home = OneServer("ws://localhost:8765", "dev", "ops", "quiet")
    servers = ServerSet([home.server])
    rooms = home.server.state.rooms
    rooms.get("quiet").level = NotifyLevel.OFF
    home.post("hi", "dev")
    home.post("ana?", "ops")
    home.post("hm", "quiet")
    visited = []
    while servers.show_urgent(AT):
        rooms.set_at_end(True)
        visited.append(rooms.shown_name)
    assert visited == ["ops", "dev", "lobby"]


def test_going_to_another_room_forgets_the_way_back() -> None:
    home = OneServer("ws://localhost:8765", "ops", "dev")
    servers = ServerSet([home.server])
    home.post("hi", "dev")
    assert servers.show_urgent(AT)
    home.server.state.rooms.set_at_end(True)
    servers.show(Place(home.server, "ops"), AT)
    assert not servers.show_urgent(AT)
    assert home.server.state.rooms.shown_name == "ops"


def test_the_way_back_ends_with_the_server_it_leads_to() -> None:
    several = Several()
    several.work.post("ana?", "ops")
    assert several.set.show_urgent(AT)
    several.set.shown.state.rooms.set_at_end(True)
    several.set.remove(several.home.server)
    assert several.set.is_single
    assert not several.set.show_urgent(AT)
    assert several.set.previous() == Place(several.work.server, "lobby")


def test_a_lost_server_has_its_own_state_and_queue() -> None:
    several = Several()
    several.work.apply(ConnectionChanged(ConnectionState.WAITING, "gone", 4.0))
    several.work.server.state.add_own_post("n1", "later", AT)
    assert several.home.server.state.is_online
    assert several.set.queued == 1
    assert connection_mark(several.home.server.state) == ("●", Role.GOOD)
    assert connection_mark(several.work.server.state) == ("◌", Role.WAIT)


def status_line(servers: ServerSet, width: int = 120) -> str:
    state = servers.shown.state
    left, right, gap = fit(*status_items(state, servers.shown.url, 100.0, servers), width)
    return "  ".join(text for text, _ in left) + " " * gap + "  ".join(text for text, _ in right)


def test_the_status_line_names_unread_rooms_and_lost_servers_elsewhere() -> None:
    several = Several()
    assert "work" not in status_line(several.set)
    assert "#lobby  home.example.org" in status_line(several.set, 60)
    several.work.post("ana?", "ops")
    several.home.post("hi", "dev")
    several.work.apply(ConnectionChanged(ConnectionState.WAITING, "gone", 4.0))
    shown = status_line(several.set)
    assert "4:work.example.org/ops @1  2:dev 1" in shown
    assert "● online" in shown
    assert "◌ work.example.org" in shown
    assert rooms_activity(several.home.server.state, several.set)[1] == "4@ 2+"
    several.work.apply(ConnectionChanged(ConnectionState.REFUSED, "no"))
    assert "✕ work.example.org" in status_line(several.set)
