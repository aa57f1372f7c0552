from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from broadcast_tui.core.protocol import events
from broadcast_tui.core.session.updates import ConnectionState, RoomEntered
from broadcast_tui.tui.model.connection import Connection
from broadcast_tui.tui.model.notifications import NotifyLevel
from broadcast_tui.tui.model.room import RoomModel
from broadcast_tui.tui.model.rooms import RoomSet
from broadcast_tui.tui.model.servers import Server, ServerSet, host_of
from broadcast_tui.tui.model.state import AppState
from broadcast_tui.tui.model.status import GAP, ShownElsewhere, fit, rooms_activity, status_items
from tests.support.fake_client import AT, FakeClient

SERVER = "ws://localhost:8765"


def line(state: AppState, width: int, now: float = 0.0) -> str:
    left, right, between = fit(*status_items(state, SERVER, now), width)
    texts = [GAP.join(text for text, _ in side) for side in (left, right)]
    return texts[0] + " " * between + texts[1]


def busy() -> AppState:
    state = AppState(name="ana")
    client = FakeClient()
    state.apply([*client.online("ana", "bob", "eve"), events.Typing("lobby", "bob")], 0.0, AT)
    state.rooms.unseen = 12
    return state


def test_a_wide_line_has_everything() -> None:
    assert line(busy(), 90) == (
        "#lobby  3 here" + " " * 26 + "bob is typing…  ● online  ws://localhost:8765  ana"
    )


def test_hidden_posts_that_came_last_are_counted() -> None:
    state, client = busy(), FakeClient()
    state.rooms.unseen = 0
    state.rooms.ignore("eve", None)
    state.apply([client.post("eve", "1"), client.post("eve", "2")], 9.0, AT)
    assert line(state, 90, 9.0).endswith("  2 hidden  ● online  ws://localhost:8765  ana")
    state.apply([client.post("bob", "3")], 9.0, AT)
    assert "hidden" not in line(state, 90, 9.0)


def test_forty_columns_show_the_important_items() -> None:
    assert line(busy(), 40) == "#lobby  3 here  bob is typing…  ● online"


def test_twenty_columns_show_room_and_state() -> None:
    assert line(busy(), 20).split() == ["#lobby", "●", "online"]


def test_other_servers_are_shortened_before_the_room_is_dropped() -> None:
    states = [busy() for _ in range(3)]
    urls = ("ws://localhost:8765", "ws://chat.example.org:1", "ws://other.example.net:1")
    servers = ServerSet([Server(url, state) for url, state in zip(urls, states, strict=True)])
    states[1].connection = Connection(ConnectionState.REFUSED, "Wrong token.")
    states[2].connection = Connection(ConnectionState.WAITING, "", 110.0)

    def shown(width: int) -> list[str]:
        left, right, _ = fit(*status_items(states[0], SERVER, 100.0, servers), width)
        return [text for text, _ in [*left, *right]]

    assert "✕ chat.example.org ◌ other.example.net" in shown(90)
    assert shown(40)[:2] == ["#lobby", "localhost"]
    assert "✕ ◌" in shown(40)
    states[0].connection = Connection(ConnectionState.WAITING, "", 130.0)
    assert shown(24) == ["#lobby", "✕ ◌", "◌ in 30 s"]
    assert shown(17) == ["#lobby", "◌ in 30 s"]


def test_a_long_room_name_is_cut_before_it_is_dropped() -> None:
    state = AppState(name="ana", rooms=RoomSet("x" * 30, {"x" * 30: RoomModel("x" * 30)}))
    state.connection = Connection(ConnectionState.REFUSED, "Wrong token.")
    assert line(state, 30).startswith("#xxxxxxxxxxxxxx…  ")
    assert line(state, 80).startswith(f"#{'x' * 30}  ")


def test_what_is_elsewhere_on_the_screen_is_left_out() -> None:
    state, client = busy(), FakeClient()
    state.apply(
        [
            RoomEntered("dev", 2, 0),
            client.post("bob", "ana?", room="dev"),
            events.Topic("lobby", "All day", "bob"),
        ],
        0.0,
        AT,
    )
    assert line(state, 100).startswith("#lobby  All day  3 here  ")
    assert "2:dev @1" in line(state, 100)
    everything = ShownElsewhere(topic=True, rooms=True, people=True)
    left, right = status_items(state, SERVER, 0.0, elsewhere=everything)
    assert [item.text for item in left] == ["#lobby"]
    assert [item.text for item in right] == ["bob is typing…", "● online", SERVER, "ana"]


@given(st.integers(0, 120), st.integers(0, 3), st.text(max_size=40))
def test_it_always_fits(width: int, unseen: int, name: str) -> None:
    state = busy()
    state.name = name.replace("\n", " ")
    state.rooms.unseen = unseen
    assert cell_len(line(state, width)) <= width


def test_the_countdown_runs() -> None:
    state = AppState(name="ana", connection=Connection(ConnectionState.WAITING, "", 110.0))
    assert "  ◌ reconnecting in 10 s  " in line(state, 60, 100.0)
    assert "  ◌ reconnecting in 3 s  " in line(state, 60, 107.2)
    assert "  ◌ reconnecting now  " in line(state, 60, 111.0)


def test_a_rejection_shows_its_reason_if_it_fits() -> None:
    state = AppState(name="ana", connection=Connection(ConnectionState.REFUSED, "Wrong token."))
    assert "  ✕ rejected: Wrong token.  " in line(state, 80)
    assert line(state, 20).endswith("✕ rejected")


def test_a_long_refusal_is_cut_and_leaves_room_for_the_rest() -> None:
    state = AppState(name="ana", connection=Connection(ConnectionState.REFUSED, "Go away. " * 40))
    shown = line(state, 90)
    assert "  ✕ rejected: Go away. Go away. Go away." in shown
    assert {"#lobby", "ana"} <= set(shown.split())
    assert line(state, 40).split() == ["#lobby", "✕", "rejected", "localhost:8765", "ana"]


def test_people_are_not_counted_while_offline() -> None:
    state = busy()
    state.connection = Connection(ConnectionState.CONNECTING)
    assert "here" not in line(state, 90)


def test_the_server_is_shortened_to_its_host_and_never_shows_a_password() -> None:
    assert host_of("ws://ana:secret@example.org:80/x") == "example.org:80"
    assert host_of("nothing") == "nothing"
    assert host_of("ws://[bad") == "ws://[bad"


def test_other_rooms_are_listed_with_unread_counts_mentions_first() -> None:
    state = AppState(name="ana")
    for name, unread, mentions in [("dev", 5, 0), ("ops", 2, 1), ("docs", 1, 0), ("more", 9, 0)]:
        reading = state.rooms.get(name).reading
        reading.count, reading.mentions = unread, mentions
    state.rooms.get("docs").level = NotifyLevel.OFF
    assert rooms_activity(state) == ("3:ops @1  2:dev 5  5:more 9", "3@ 2+ 5+")
    state.rooms.show("ops", AT)
    assert rooms_activity(state) == ("2:dev 5  5:more 9", "2+ 5+")
