"""Slash commands: requests to the client, output, and errors. Most run without an app."""

from __future__ import annotations

import pytest

from broadcast_tui.core.protocol import events
from broadcast_tui.core.session.updates import (
    ConnectionChanged,
    ConnectionState,
    PresenceChanged,
    RoomEntered,
    RoomLeft,
)
from broadcast_tui.tui.commands.context import CommandHandler
from broadcast_tui.tui.commands.dispatcher import HANDLERS
from broadcast_tui.tui.commands.parser import InputError, parse
from broadcast_tui.tui.commands.registry import COMMANDS, Argument, Command
from broadcast_tui.tui.model.rooms import RoomSet
from broadcast_tui.tui.model.servers import Server
from broadcast_tui.tui.model.state import AppState
from broadcast_tui.tui.model.transcript.navigation import posts_by
from tests.support.chat_app import Chat, chatting
from tests.support.fake_client import AT, FakeClient, member_list, room_list
from tests.support.fake_context import FakeContext

OFFLINE = ConnectionChanged(ConnectionState.WAITING, "gone", 9.0)


def shown(chat: Chat) -> str:
    """The text of the log on the screen, with single spaces."""
    return " ".join(" ".join(chat.drawn("#log")).split())


def last_ref(client: FakeClient) -> str:
    return f"n{client._count}"


def joined(context: FakeContext, *rooms: str) -> None:
    """Join rooms and let the server confirm it; the last one is shown."""
    for room in rooms:
        assert context.execute(f"/join {room}")
        context.receive(RoomEntered(room, 1, 0), member_list(room, "", 1, ("ana",), False))


# -- the table and the dispatcher


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_each_row_names_a_public_method_of_a_handler(command: Command) -> None:
    handler, _, method = command.handler.partition(".")
    assert not method.startswith("_")
    assert method not in vars(CommandHandler)
    assert callable(getattr(HANDLERS[handler], method))


def test_no_two_rows_share_a_handler() -> None:
    assert len({command.handler for command in COMMANDS}) == len(COMMANDS)


def test_commands_without_a_required_argument_report_their_usage() -> None:
    for command in COMMANDS:
        if command.argument is Argument.REQUIRED:
            parsed = parse(f"/{command.name}")
            assert isinstance(parsed, InputError)
            assert parsed.text.startswith(f"Usage: {command.usage}")


@pytest.mark.parametrize(
    ("typed", "follows"),
    [("/help nick", True), ("/who", True), ("/search post", False), ("/quit", False), ("/back", True)],
)
def test_the_log_follows_commands_that_print(typed: str, follows: bool) -> None:
    context = FakeContext("ana")
    assert context.execute(typed)
    assert bool(context.called("follow_log")) is follows


def test_the_log_does_not_follow_a_command_that_fails() -> None:
    context = FakeContext("ana")
    assert not context.execute("/nick <>")
    assert context.called("follow_log") == []


# -- general


def test_me_and_shrug_post_to_the_room() -> None:
    context = FakeContext("ana")
    for typed in ("/me waves", "/shrug", "/shrug no idea"):
        assert context.execute(typed)
    assert context.called("say") == [("/me waves",), (r"¯\_(ツ)_/¯",), (r"no idea ¯\_(ツ)_/¯",)]


def test_quit_passes_the_reason() -> None:
    context = FakeContext("ana")
    assert context.execute("/quit home")
    assert context.called("quit_chat") == [("home",)]


def test_theme_lists_selects_and_suggests() -> None:
    context = FakeContext("ana")
    assert context.execute("/theme")
    assert context.output[-1] == "Current theme: broadcast-dark. Available: broadcast-dark, nord"
    assert context.execute("/theme nord")
    assert context.theme_host.theme == "nord"
    assert not context.execute("/theme nrod")
    assert context.warnings == ["No such theme: nrod. Did you mean nord?"]


# -- rooms


def test_join_enters_and_shows_a_room() -> None:
    context = FakeContext("ana")
    assert context.execute("/join #Dev")
    assert context.client.called("join") == [("dev", "50")]
    assert context.state.rooms.shown_name == "dev"
    assert context.execute("/j lobby")
    assert len(context.client.called("join")) == 1
    assert context.state.rooms.shown_name == "lobby"


def test_join_rejects_invalid_room_names() -> None:
    context = FakeContext("ana")
    assert not context.execute("/join #a b")
    assert not context.execute("/join")
    assert context.client.called("join") == []
    assert context.warnings[-1] == "Specify a room: /join #room"


def test_part_leaves_and_join_alone_returns_to_the_same_lines() -> None:
    context = FakeContext("ana")
    joined(context, "dev")
    context.receive(context.client.post("bob", "something", room="dev"))
    assert context.execute("/part")
    assert context.client.called("leave") == [("dev",)]
    assert context.output[-1] == "You left #dev. /join to return."
    context.receive(RoomLeft("dev"))
    assert context.execute("/join")
    assert context.client.called("join")[-1] == ("dev", "50")
    assert context.state.rooms.shown_name == "dev"
    assert posts_by(context.state.rooms.shown.transcript, "bob")[0] == 1


def test_part_passes_the_reason() -> None:
    context = FakeContext("ana")
    joined(context, "dev", "ops", "art", "tea")
    for typed in ("/part #tea see you", "/part art for good", "/part for lunch"):
        assert context.execute(typed)
    assert context.client.called("leave") == [("tea", "see you"), ("art", "for good"), ("ops", "for lunch")]


def test_part_accepts_a_room_and_keeps_the_last_one() -> None:
    context = FakeContext("ana")
    joined(context, "dev", "ops")
    assert context.execute("/leave #dev")
    assert context.client.called("leave") == [("dev",)]
    assert context.state.rooms.shown_name == "ops"
    assert not context.execute("/part nowhere")
    assert context.execute("/close")
    assert not context.execute("/part")
    assert context.warnings == [
        "You are not in #nowhere.",
        "This is your only room. /join another one first, or /quit.",
    ]


@pytest.mark.parametrize(
    ("typed", "room"),
    [("/buffer 2", "dev"), ("/b dv", "dev"), ("/3", "ops"), ("/switch #lobby", "lobby")],
)
def test_buffer_shows_a_room_by_number_or_name(typed: str, room: str) -> None:
    context = FakeContext("ana")
    joined(context, "dev", "ops")
    assert context.execute(typed)
    assert context.state.rooms.shown_name == room


def test_buffer_without_a_match_fails() -> None:
    context = FakeContext("ana")
    assert not context.execute("/buffer zzz")
    assert context.warnings == ["You are not in a room that matches 'zzz'. /join enters a room."]


def test_list_prints_rooms_and_members() -> None:
    context = FakeContext("ana", "bob")
    assert context.execute("/list")
    rooms = f"n{context.client._count - 1}"
    context.receive(
        room_list(rooms, (("dev", 3, "Work"), ("lobby", 2, "")), False),
        member_list("lobby", last_ref(context.client), 2, ("ana", "bob"), False),
    )
    text = "\n".join(context.output)
    assert "2 rooms with member counts (* joined):" in text
    assert "#dev       3  Work" in text
    assert "2 here: ana (you), bob" in text


def test_topic_is_shown_set_and_cleared() -> None:
    context = FakeContext("ana")
    assert context.execute("/topic")
    assert context.output[-1] == "#lobby has no topic. Set one with /topic <text>"
    assert context.execute("/topic Release on Friday")
    assert context.execute("/topic -")
    assert context.client.called("set_topic") == [("lobby", "Release on Friday"), ("lobby", "")]
    context.receive(events.Topic("lobby", "Release", "bob"))
    assert context.execute("/topic")
    assert context.output[-1].startswith("Topic of #lobby: Release, set by bob on ")


def test_notify_sets_shows_and_saves_the_level() -> None:
    context = FakeContext("ana")
    for typed in ("/notify", "/notify ALL", "/mute", "/unmute", "/notify test"):
        assert context.execute(typed)
    assert context.output[-4:] == [
        "#lobby notifies you of mentions.",
        "#lobby notifies you of every post.",
        "#lobby is muted. Mentions are still counted.",
        "#lobby notifies you of mentions.",
    ]
    levels = [("lobby", "all"), ("lobby", "off"), ("lobby", "mentions")]
    assert context.called("save_notify_level") == levels
    assert context.called("test_notification") == [()]
    assert not context.execute("/notify loud")
    assert context.warnings == ["Invalid notification level: 'loud'. Use off, mentions, all or test."]


# -- people


def test_whois_prints_known_facts() -> None:
    context = FakeContext("ana", "bob")
    context.receive(context.client.post("bob", "hi"), events.Away("bob", True, "lunch"))
    for typed in ("/whois @BOB:", "/whois ana", "/whois nobody"):
        assert context.execute(typed)
    bob, ana, nobody = context.output[-3:]
    assert bob.startswith("bob: in #lobby, away: lunch, 1 loaded post here, the last on ")
    assert ana == "ana: this is you, in #lobby"
    assert nobody == "No such user in your rooms: nobody"


def test_nick_while_offline_takes_effect_on_reconnect() -> None:
    context = FakeContext("ana")
    context.receive(ConnectionChanged(ConnectionState.CLOSED))
    assert context.execute("/nick nina2")
    assert context.client.called("rename") == [("nina2",)]
    assert context.output[-1] == "Your name will change to nina2 when you are back online."


def test_away_and_back() -> None:
    context = FakeContext("ana")
    assert context.execute("/back")
    assert context.output[-1] == "You are not away."
    assert context.execute("/away lunch")
    context.receive(events.Away("ana", True, "lunch"))
    assert context.execute("/away")
    assert context.execute("/back")
    assert context.client.called("set_away") == [("away", "lunch"), ("back", ""), ("back", "")]


def test_ignore_lists_and_unignore_restores() -> None:
    context = FakeContext("ana", "bob", "eve")
    context.receive(context.client.post("eve", "noise 1"))
    assert context.execute("/ignore")
    assert context.output[-1] == "Your ignore list is empty."
    assert context.execute("/ignore eve 10m")
    assert context.output[-1] == "Ignoring eve for 10 min. Undo with /unignore eve"
    assert context.execute("/ignore")
    assert context.output[-1] == "Ignored users:\n  eve (10 min left)"
    assert posts_by(context.state.rooms.shown.transcript, "eve")[0] == 0
    assert context.execute("/unignore eve")
    assert posts_by(context.state.rooms.shown.transcript, "eve")[0] == 1
    assert len(context.called("save_ignore_list")) == 2


def test_ignoring_an_unknown_name_is_noted() -> None:
    context = FakeContext("ana", "bob")
    assert context.execute("/ignore some one")
    assert context.output[-1] == "Ignoring some one (no such user seen yet). Undo with /unignore some one"
    assert context.execute("/ignore bob")
    assert context.output[-1] == "Ignoring bob. Undo with /unignore bob"


@pytest.mark.parametrize(
    ("typed", "error"),
    [
        ("/ignore ANA", "You cannot ignore yourself."),
        ("/unignore eve", "eve is not ignored. /ignore lists ignored users."),
        ("/ignore @", "Specify a name: /ignore bob, or /ignore bob 10m"),
        ("/ignore Bob xx", "Invalid duration: 'xx'. Use 30s, 10m, 2h or 1d."),
        ("/ignore nobody 1x", "Invalid duration: '1x'. Use 30s, 10m, 2h or 1d."),
        ("/ignore bob 400d", "Invalid duration: '400d'. Use 30s, 10m, 2h or 1d."),
    ],
)
def test_invalid_ignore_commands_fail(typed: str, error: str) -> None:
    context = FakeContext("ana", "bob", "eve")
    assert not context.execute(typed)
    assert context.warnings == [error]


# -- connection


def test_ping_prints_the_round_trip_time() -> None:
    context = FakeContext("ana")
    assert context.execute("/ping")
    context.receive(member_list("lobby", last_ref(context.client), 1, ("ana",), False))
    assert context.output[-1].startswith("Round trip: ")


def test_commands_that_need_a_connection_fail_offline() -> None:
    context = FakeContext("ana")
    context.receive(OFFLINE)
    for typed in ("/ping", "/list"):
        assert not context.execute(typed)
    assert context.warnings == ["You are offline. Try again when you are connected."] * 2


def test_disconnect_and_reconnect() -> None:
    context = FakeContext("ana")
    assert context.execute("/disconnect")
    context.receive(ConnectionChanged(ConnectionState.CLOSED))
    assert context.execute("/disconnect")
    assert context.output[-1] == "You are already offline. Use /reconnect to connect."
    assert context.execute("/reconnect")
    context.receive(ConnectionChanged(ConnectionState.ONLINE))
    assert context.execute("/reconnect")
    assert [call[0] for call in context.client.calls] == [
        "disconnect",
        "reconnect_now",
        "disconnect",
        "reconnect_now",
    ]


def test_connect_checks_the_address_and_leaves_unsent_posts_queued() -> None:
    context = FakeContext("ana")
    assert not context.execute("/connect ftp://x")
    assert "ws://" in context.warnings[-1]
    assert context.execute("/connect ws://elsewhere:9999/dev")
    context.receive(OFFLINE)
    context.state.add_own_post("n1", "unsent", AT)
    assert context.execute("/connect ws://elsewhere:9999")
    assert context.called("connect_to") == [("ws://elsewhere:9999",), ("ws://elsewhere:9999",)]
    assert context.state.queued == 1


def test_disconnect_leaves_a_server_if_there_are_several_and_asks_about_unsent_posts() -> None:
    context = FakeContext("ana")
    other = Server("ws://work.example.org:8765", AppState(name="ana"))
    context.servers.add(other)
    assert not context.execute("/disconnect nowhere")
    assert context.warnings == ["Not connected to 'nowhere'. Your servers: localhost, work.example.org"]
    assert context.execute("/disconnect work")
    assert context.execute("/disconnect")
    assert context.called("leave_server") == [(other.url,), (context.client.url,)]
    assert not context.called("confirm")
    other.state.add_own_post("n1", "unsent", AT)
    assert context.execute("/disconnect work.example.org")
    assert context.called("confirm") == [("1 post has not been sent to work.example.org.", "Disconnect")]
    assert context.called("leave_server")[-1] == (other.url,)


def test_servers_lists_all_rooms_with_the_states_of_the_connections() -> None:
    context = FakeContext("ana")
    context.servers.add(Server("ws://work.example.org:8765", AppState(RoomSet("dev"), "ana")))
    context.receive(ConnectionChanged(ConnectionState.ONLINE))
    assert context.execute("/servers")
    assert context.output[-1].splitlines() == [
        "localhost ● online",
        "* 1 #lobby",
        "work.example.org ◐ connecting…",
        "  2 #dev",
    ]


# -- in the app


async def test_a_command_that_prints_scrolls_to_the_end_of_the_log() -> None:
    async with chatting("ana") as chat:
        await chat.deliver(*(chat.client.post("bob", f"post {n}") for n in range(60)))
        await chat.type("pageup")
        assert not chat.screen.log_view.is_following
        await chat.enter("/help nick")
        assert chat.screen.log_view.is_following


async def test_a_leave_reason_is_shown_in_the_log() -> None:
    async with chatting("ana", "bob") as chat:
        await chat.deliver(
            chat.client.post("bob", "bye"),
            PresenceChanged("lobby", "leave", ("bob",), 1, "", AT, "a \x1b[31mb"),
        )
        assert "bob left: a ␛[31mb" in shown(chat)


async def test_away_is_shown_in_the_status_bar() -> None:
    async with chatting("ana") as chat:
        await chat.deliver(events.Away("ana", True, "lunch"))
        assert "away" in chat.drawn("#status")[0]
        await chat.enter("still here")
        assert "/back" in chat.toasts
        await chat.deliver(events.Away("ana", False))
        assert "away" not in chat.drawn("#status")[0]


async def test_ignore_hides_posts_and_unignore_shows_them() -> None:
    async with chatting("ana", "bob", "eve") as chat:
        await chat.deliver(chat.client.post("eve", "noise 1"), chat.client.post("bob", "words"))
        await chat.enter("/ignore eve 10m")
        assert "noise 1" not in shown(chat)
        assert "1 hidden from eve" in shown(chat)
        await chat.deliver(chat.client.post("eve", "noise 2"))
        await chat.enter("/unignore eve")
        assert "noise 1" in shown(chat)
        assert "noise 2" in shown(chat)
        assert "hidden" not in shown(chat)


async def test_clear_is_undone_by_scrolling_up() -> None:
    async with chatting("ana") as chat:
        await chat.deliver(*(chat.client.post("bob", f"line {n}") for n in range(40)))
        await chat.enter("/clear")
        assert "line" not in shown(chat)
        await chat.deliver(chat.client.post("bob", "new"))
        assert shown(chat).endswith("new")
        await chat.type("pageup")
        assert "line 20" in shown(chat)
        await chat.type("escape")
        assert "line 39" in shown(chat)
        assert "new" in shown(chat)
        assert chat.client.called("fetch_history") == []


async def test_connect_adds_another_server() -> None:
    async with chatting("ana") as chat:
        await chat.enter("/connect ftp://x")
        assert "ws://" in chat.toasts
        assert chat.composer.text == "/connect ftp://x"
        await chat.type("ctrl+u")
        await chat.enter(f"/connect {chat.client.url}")
        assert "Already connected" in chat.toasts
        await chat.enter("/connect ws://elsewhere:9999/dev")
        await chat.pilot.pause()
        assert not chat.client.closed
        (other,) = chat.elsewhere
        assert (other.url, other.name) == ("ws://elsewhere:9999", "ana")
        assert other.called("start") == [()]
        other.feed(*other.online("ana", "max", room="dev"))
        await chat.pilot.pause()
        assert "#dev" in chat.drawn("#status")[0]
        await chat.enter("hello there")
        assert other.called("say") == [("dev", "hello there")]


async def test_an_unknown_command_stays_in_the_input() -> None:
    async with chatting("ana") as chat:
        await chat.enter("/xyz bob hi")
        assert "No such command" in chat.toasts
        assert chat.composer.text == "/xyz bob hi"
        assert chat.sent == []


async def test_hostile_text_from_the_server_is_harmless_in_command_output() -> None:
    evil = "e\x1b[31m\u202ev\nSYSTEM"
    async with chatting("ana", "bob", size=(120, 30)) as chat:
        await chat.enter("/list")
        rooms = f"n{chat.client._count - 1}"
        await chat.deliver(
            room_list(rooms, ((evil, 3, evil),), False),
            events.Topic("lobby", evil, evil),
            events.Away("ana", True, evil),
            PresenceChanged("lobby", "join", (evil,), 3, "", AT),
            events.Away(evil, True, evil),
        )
        for typed in ("/topic", f"/whois {evil.splitlines()[0]}", "/ignore a\u202eb", "/ignore"):
            await chat.enter(typed)
        assert not set("\x1b\u202e") & set("".join(chat.drawn()))
        assert not any(row.strip().startswith("SYSTEM") for row in chat.drawn())
