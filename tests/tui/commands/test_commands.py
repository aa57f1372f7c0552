"""Each command: what is asked of the client, and what is shown."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from broadcast_tui.core.session.updates import (
    AwayChanged,
    ConnectionChanged,
    ConnectionState,
    MembersListed,
    PresenceChanged,
    RoomEntered,
    RoomLeft,
    RoomsListed,
    TopicChanged,
)
from broadcast_tui.tui.commands.dispatcher import write_export
from broadcast_tui.tui.commands.registry import COMMANDS, Argument
from broadcast_tui.tui.model.transcript.transcript import RoomTranscript
from tests.support.chat_app import Chat, chatting
from tests.support.fake_client import AT, FakeClient


def shown(chat: Chat) -> str:
    """What the log shows, as one text."""
    return " ".join(" ".join(chat.drawn("#log")).split())


def last_ref(client: FakeClient) -> str:
    return f"n{client._count}"


def connecting(chat: Chat) -> list[str]:
    """What was asked of the client about its connection, in order."""
    return [call[0] for call in chat.client.calls if "connect" in call[0]]


async def entered(chat: Chat, *rooms: str) -> None:
    """Join rooms, as the server lets us; the last one is shown."""
    for room in rooms:
        await chat.enter(f"/join {room}")
        await chat.deliver(RoomEntered(room, 1, 0), MembersListed(room, "", 1, ("ana",), False))


async def test_shrug_comes_after_the_text() -> None:
    async with chatting("ana") as chat:
        await chat.enter("/shrug")
        await chat.enter("/shrug no idea")
        assert chat.said == [r"¯\_(ツ)_/¯", r"no idea ¯\_(ツ)_/¯"]


@pytest.mark.parametrize("command", ["/help nick", "/nick bob", "/kick bob", "/export {path}", "/who"])
async def test_a_command_that_answers_goes_to_the_end_of_the_log(tmp_path: Path, command: str) -> None:
    async with chatting("ana") as chat:
        await chat.deliver(*(chat.client.post("bob", f"post {n}") for n in range(60)))
        await chat.type("pageup")
        assert not chat.screen.log_view.is_following
        await chat.enter(command.format(path=tmp_path / "lobby.txt"))
        assert chat.screen.log_view.is_following


@pytest.mark.parametrize("command", ["/nick <>", "/search post"])
async def test_one_that_answers_elsewhere_leaves_the_log_where_it_stands(command: str) -> None:
    async with chatting("ana") as chat:
        log = chat.screen.log_view
        await chat.deliver(*(chat.client.post("bob", f"post {n}") for n in range(60)))
        await chat.type("pageup")
        await chat.enter(command)
        assert not log.is_following


def test_what_was_written_is_counted_in_words(tmp_path: Path) -> None:
    view = RoomTranscript()
    view.add_post("bob", "hi", AT)
    assert write_export(tmp_path / "a.jsonl", view.held(), "lobby").startswith("Wrote 1 line to ")
    view.add_post("bob", "again", AT)
    assert write_export(tmp_path / "a.txt", view.held(), "lobby").startswith("Wrote 2 lines to ")


async def test_join_enters_and_shows_a_room() -> None:
    async with chatting("ana") as chat:
        await chat.enter("/join #Dev")
        assert chat.client.called("join") == [("dev", "50")]
        assert "#dev" in chat.drawn("#status")[0]
        await chat.enter("/j lobby")
        assert len(chat.client.called("join")) == 1
        assert "#lobby" in chat.drawn("#status")[0]


async def test_join_refuses_names_that_no_room_can_have() -> None:
    async with chatting("ana") as chat:
        await chat.enter("/join #a b")
        assert chat.composer.text == "/join #a b"
        assert chat.client.called("join") == []
        assert chat.toasts
        await chat.type("ctrl+u")
        await chat.enter("/join")
        assert "Say which room" in chat.toasts


async def test_part_leaves_and_join_alone_comes_back_to_the_same_lines() -> None:
    async with chatting("ana") as chat:
        await entered(chat, "dev")
        await chat.deliver(chat.client.post("bob", "something", room="dev"))
        await chat.enter("/part")
        assert chat.client.called("leave") == [("dev",)]
        assert "You left #dev" in shown(chat)
        await chat.deliver(RoomLeft("dev"))
        await chat.enter("/join")
        await chat.deliver(RoomEntered("dev", 2, 0))
        assert chat.client.called("join")[-1] == ("dev", "50")
        assert "something" in shown(chat)


async def test_part_and_quit_say_why() -> None:
    async with chatting("ana") as chat:
        await entered(chat, "dev", "ops", "art", "tea")
        for typed in ("/part #tea see you", "/part art for good", "/part for lunch"):
            await chat.enter(typed)
        assert chat.client.called("leave") == [
            ("tea", "see you"),
            ("art", "for good"),
            ("ops", "for lunch"),
        ]
        await chat.enter("/quit home")
        assert chat.client.leave_reason == "home"


async def test_why_somebody_left_is_in_the_log() -> None:
    async with chatting("ana", "bob") as chat:
        await chat.deliver(
            chat.client.post("bob", "bye"),
            PresenceChanged("lobby", "leave", ("bob",), 1, "", AT, "a \x1b[31mb"),
        )
        assert "bob left: a ␛[31mb" in shown(chat)


async def test_part_takes_a_room_and_keeps_the_last_one() -> None:
    async with chatting("ana") as chat:
        await entered(chat, "dev", "ops")
        await chat.enter("/leave #dev")
        assert chat.client.called("leave") == [("dev",)]
        assert "#ops" in chat.drawn("#status")[0]
        await chat.enter("/part nowhere")
        assert "not in #nowhere" in chat.toasts
        await chat.type("ctrl+u")
        await chat.enter("/close")
        await chat.enter("/part")
        assert "only room" in chat.toasts
        assert chat.composer.text == "/part"


@pytest.mark.parametrize(
    ("typed", "room"),
    [("/buffer 2", "dev"), ("/b dv", "dev"), ("/3", "ops"), ("/switch #lobby", "lobby")],
)
async def test_buffer_shows_a_room_by_number_or_name(typed: str, room: str) -> None:
    async with chatting("ana") as chat:
        await entered(chat, "dev", "ops")
        await chat.enter(typed)
        assert f"#{room} " in chat.drawn("#status")[0]


async def test_buffer_that_fits_no_room_stays_in_the_input() -> None:
    async with chatting("ana") as chat:
        await chat.enter("/buffer zzz")
        assert chat.composer.text == "/buffer zzz"
        assert "None of your rooms" in chat.toasts


async def test_list_prints_rooms_and_people() -> None:
    async with chatting("ana", "bob") as chat:
        await chat.enter("/list")
        rooms = f"n{chat.client._count - 1}"
        await chat.deliver(
            RoomsListed(rooms, (("dev", 3, "Work"), ("lobby", 2, "")), False),
            MembersListed("lobby", last_ref(chat.client), 2, ("ana", "bob"), False),
        )
        assert "2 rooms" in shown(chat)
        assert "#dev 3 Work" in shown(chat)
        assert "2 here: ana (you), bob" in shown(chat)


async def test_topic_is_shown_set_and_cleared() -> None:
    async with chatting("ana", size=(100, 24)) as chat:
        await chat.enter("/topic")
        assert "#lobby has no topic" in shown(chat)
        await chat.enter("/topic Release on Friday")
        await chat.enter("/topic -")
        assert chat.client.called("set_topic") == [("lobby", "Release on Friday"), ("lobby", "")]
        await chat.deliver(TopicChanged("lobby", "Release", "bob"))
        assert chat.drawn("#topic")[0].strip() == "Release"
        await chat.enter("/topic")
        assert "Topic of #lobby: Release, set by bob on" in shown(chat)


async def test_whois_says_what_is_known() -> None:
    async with chatting("ana", "bob", size=(120, 24)) as chat:
        await chat.deliver(chat.client.post("bob", "hi"), AwayChanged("bob", True, "lunch"))
        await chat.enter("/whois @BOB:")
        assert "bob: is in #lobby, is away: lunch, wrote 1 of the posts held here" in shown(chat)
        await chat.enter("/whois ana")
        assert "ana: that is you" in shown(chat)
        await chat.enter("/whois nobody")
        assert "Nobody called nobody" in shown(chat)


async def test_away_and_back() -> None:
    async with chatting("ana") as chat:
        await chat.enter("/back")
        assert "You are not away" in shown(chat)
        await chat.enter("/away lunch")
        assert chat.client.called("set_away") == [("away", "lunch")]
        await chat.deliver(AwayChanged("ana", True, "lunch"))
        assert "away" in chat.drawn("#status")[0]
        await chat.enter("still here")
        assert "/back" in chat.toasts
        await chat.enter("/away")
        assert chat.client.called("set_away")[-1] == ("back", "")
        await chat.enter("/back")
        assert chat.client.called("set_away")[-1] == ("back", "")
        await chat.deliver(AwayChanged("ana", False))
        assert "You are back" in shown(chat)
        assert "away" not in chat.drawn("#status")[0]


async def test_ignore_hides_lists_and_brings_back() -> None:
    async with chatting("ana", "bob", "eve") as chat:
        await chat.deliver(chat.client.post("eve", "noise 1"), chat.client.post("bob", "words"))
        await chat.enter("/ignore")
        assert "You ignore nobody" in shown(chat)
        await chat.enter("/ignore eve 10m")
        assert "noise 1" not in shown(chat)
        assert "1 hidden from eve" in shown(chat)
        assert "for 10 min" in shown(chat)
        await chat.deliver(chat.client.post("eve", "noise 2"))
        await chat.enter("/ignore")
        assert "eve, for 10 min more" in shown(chat)
        await chat.enter("/unignore eve")
        assert "noise 1" in shown(chat)
        assert "noise 2" in shown(chat)
        assert "hidden" not in shown(chat)


async def test_ignoring_one_who_was_never_here_is_done_and_said() -> None:
    async with chatting("ana", "bob") as chat:
        await chat.enter("/ignore some one")
        assert "You ignore some one. Nobody called so has been here." in shown(chat)
        await chat.enter("/ignore bob")
        assert "You ignore bob. /unignore" in shown(chat)


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("/ignore ANA", "yourself"),
        ("/unignore eve", "do not ignore"),
        ("/ignore @", "Say whom"),
        ("/ignore Bob xx", "xx is no time: /ignore bob 10m"),
        ("/ignore bob 400d", "400d is no time"),
    ],
)
async def test_who_cannot_be_ignored(typed: str, says: str) -> None:
    async with chatting("ana", "bob", "eve") as chat:
        await chat.enter(typed)
        assert says in chat.toasts
        assert chat.composer.text == typed


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


async def test_export_writes_what_is_held_and_never_overwrites(tmp_path: Path) -> None:
    async with chatting("ana", size=(120, 30)) as chat:
        await chat.deliver(chat.client.post("bob", "kept"))
        await chat.enter("/clear")
        await chat.enter(f"/export {tmp_path}/log.jsonl")
        async with asyncio.timeout(30):
            while "Wrote" not in shown(chat):
                await chat.pilot.pause()
                await chat.settled()
        rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
        assert [row["text"] for row in rows if row["sender"] == "bob"] == ["kept"]
        assert (tmp_path / "log.jsonl").stat().st_mode & 0o777 == 0o600
        await chat.enter(f"/export {tmp_path}/log.jsonl")
        assert "already" in chat.toasts
        assert chat.composer.text.startswith("/export")
        await chat.type("ctrl+u")
        await chat.enter(f"/export {tmp_path}/no/log.txt")
        assert "no directory" in chat.toasts


async def test_theme_lists_chooses_and_offers() -> None:
    async with chatting("ana", size=(120, 30)) as chat:
        await chat.enter("/theme")
        assert "You have broadcast-dark" in shown(chat)
        await chat.enter("/theme nord")
        assert chat.app.theme == "nord"
        await chat.enter("/theme nrod")
        assert "Did you mean nord?" in chat.toasts
        assert chat.composer.text == "/theme nrod"


async def test_ping_tells_the_round_trip() -> None:
    async with chatting("ana") as chat:
        await chat.enter("/ping")
        await chat.deliver(MembersListed("lobby", last_ref(chat.client), 1, ("ana",), False))
        assert "The server answered within" in shown(chat)


async def test_what_needs_a_connection_says_so_and_keeps_the_input() -> None:
    async with chatting("ana") as chat:
        await chat.deliver(ConnectionChanged(ConnectionState.WAITING, "gone", 9.0))
        for typed in ("/ping", "/list"):
            await chat.enter(typed)
            assert "not connected" in chat.toasts
            assert chat.composer.text == typed
            await chat.type("ctrl+u")


async def test_another_name_while_offline_is_for_when_we_are_back() -> None:
    async with chatting("ana") as chat:
        await chat.deliver(ConnectionChanged(ConnectionState.CLOSED))
        await chat.enter("/nick nina2")
        assert chat.client.called("rename") == [("nina2",)]
        assert "You will be nina2 when you are back" in shown(chat)


async def test_disconnect_and_reconnect() -> None:
    async with chatting("ana") as chat:
        await chat.enter("/disconnect")
        assert chat.client.called("disconnect") == [()]
        await chat.deliver(ConnectionChanged(ConnectionState.CLOSED))
        assert "offline" in chat.drawn("#status")[0]
        await chat.enter("/disconnect")
        assert "offline already" in shown(chat)
        await chat.enter("/reconnect")
        assert [call[0] for call in chat.client.calls if "connect" in call[0]] == [
            "disconnect",
            "reconnect_now",
        ]
        await chat.deliver(ConnectionChanged(ConnectionState.ONLINE))
        await chat.enter("/reconnect")
        assert [call[0] for call in chat.client.calls if "connect" in call[0]][2:] == [
            "disconnect",
            "reconnect_now",
        ]


async def test_connect_goes_to_another_server() -> None:
    async with chatting("ana") as chat:
        await chat.enter("/connect ftp://x")
        assert "ws://" in chat.toasts
        assert chat.composer.text == "/connect ftp://x"
        await chat.type("ctrl+u")
        await chat.enter(f"/connect {chat.client.url}")
        assert "already" in chat.toasts
        await chat.enter("/connect ws://elsewhere:9999/dev")
        await chat.pilot.pause()
        assert chat.client.closed
        (other,) = chat.elsewhere
        assert (other.url, other.name) == ("ws://elsewhere:9999", "ana")
        assert other.called("start") == [()]
        other.feed(*other.online("ana", "max", room="dev"))
        await chat.pilot.pause()
        assert "#dev" in chat.drawn("#status")[0]
        await chat.enter("hello there")
        assert other.called("say") == [("dev", "hello there")]


async def test_going_elsewhere_offline_loses_nothing() -> None:
    async with chatting("ana") as chat:
        await chat.deliver(ConnectionChanged(ConnectionState.WAITING, "gone", 9.0))
        await chat.enter("unsent")
        await chat.enter("/connect ws://elsewhere:9999")
        assert "1 post has not been sent" in chat.toasts
        assert chat.elsewhere == []


async def test_commands_without_what_they_need_print_their_usage_and_stay() -> None:
    async with chatting("ana") as chat:
        for command in COMMANDS:
            if command.argument is Argument.REQUIRED:
                await chat.enter(f"/{command.name}")
                assert f"Usage: {command.usage}" in chat.toasts
                assert chat.composer.text == f"/{command.name}"
                await chat.type("ctrl+u")


async def test_commands_that_come_later_are_unknown() -> None:
    async with chatting("ana") as chat:
        for typed in ("/msg bob hi", "/kick bob"):
            await chat.enter(typed)
            assert "There is no command" in chat.toasts
            assert chat.said == []
            await chat.type("ctrl+u")


async def test_hostile_text_from_the_server_is_harmless_in_what_commands_print() -> None:
    evil = "e\x1b[31m\u202ev\nSYSTEM"
    async with chatting("ana", "bob", size=(120, 30)) as chat:
        await chat.enter("/list")
        rooms = f"n{chat.client._count - 1}"
        await chat.deliver(
            RoomsListed(rooms, ((evil, 3, evil),), False),
            TopicChanged("lobby", evil, evil),
            AwayChanged("ana", True, evil),
            PresenceChanged("lobby", "join", (evil,), 3, "", AT),
            AwayChanged(evil, True, evil),
        )
        for typed in ("/topic", f"/whois {evil.splitlines()[0]}", "/ignore a\u202eb", "/ignore"):
            await chat.enter(typed)
        assert not set("\x1b\u202e") & set("".join(chat.drawn()))
        assert not any(row.strip().startswith("SYSTEM") for row in chat.drawn())
