"""Several servers in one chat: display, keys, dialogs, notifications, drafts, history, leaving, quitting."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from broadcast_tui.client.address import parse_address
from broadcast_tui.client.storage.bookmarks import Bookmarks
from broadcast_tui.client.storage.preferences import Preferences
from broadcast_tui.core.errors import ErrorCode
from broadcast_tui.core.session.updates import (
    ConnectionChanged,
    ConnectionState,
    DirectOpened,
    DisconnectCause,
    NameDenied,
    PostRejected,
    RoomEntered,
    Update,
)
from broadcast_tui.tui.screens.chat import ChatScreen
from broadcast_tui.tui.screens.chat_messages import ConnectRequested
from broadcast_tui.tui.screens.choice import ChoiceScreen
from broadcast_tui.tui.screens.login import LoginScreen
from broadcast_tui.tui.screens.switcher import SwitcherScreen
from broadcast_tui.tui.screens.token import TokenScreen
from broadcast_tui.tui.terminal.notifications import Notifier
from broadcast_tui.tui.terminal.title import TerminalTitle
from tests.support.chat_app import Chat, chatting, enter_rooms
from tests.support.fake_client import FakeClient, room_list
from tests.support.running import eventually

WORK = "ws://work.example.org:8765"
LOST = ConnectionChanged(ConnectionState.WAITING, "no answer", 4.0)


@asynccontextmanager
async def two_servers(
    size: tuple[int, int] = (120, 30), home: Path | None = None
) -> AsyncIterator[tuple[Chat, FakeClient]]:
    """A chat with localhost, which has the rooms lobby and dev, and WORK with the room lobby, displayed."""
    async with chatting("ana", "bob", size=size, home=home) as chat:
        await enter_rooms(chat, "dev")
        work = await connect(chat, WORK)
        await deliver(chat, work, *work.online("ana", "max"))
        yield chat, work


async def connect(chat: Chat, url: str) -> FakeClient:
    """Connect to another server with /connect."""
    count = len(chat.elsewhere)
    await chat.enter(f"/connect {url}")
    await eventually(lambda: len(chat.elsewhere) > count and isinstance(chat.app.screen, ChatScreen))
    await chat.pilot.pause()
    return chat.elsewhere[-1]


async def deliver(chat: Chat, client: FakeClient, *updates: Update) -> None:
    await client.deliver(*updates)
    await chat.pilot.pause()
    await chat.settled()


def shown(chat: Chat) -> str:
    """The rooms in the list, with single spaces."""
    return " | ".join(" ".join(row.split()) for row in chat.drawn("#rooms") if row.strip())


def log(chat: Chat) -> str:
    return " ".join(" ".join(chat.drawn("#log")).split())


async def test_one_server_has_no_name_in_the_list() -> None:
    async with chatting("ana", "bob", size=(120, 30)) as chat:
        await enter_rooms(chat, "dev")
        assert shown(chat) == "1 lobby | ▸2 dev"


async def test_connect_adds_a_server_and_displays_it() -> None:
    async with two_servers() as (chat, work):
        assert not chat.client.closed
        assert work.called("start") == [()]
        assert shown(chat) == "localhost ● | 1 lobby | 2 dev | work.example.org ● | ▸3 lobby"
        assert "#lobby  work.example.org" in chat.drawn("#status")[0]
        assert "Message #lobby on work.example.org" in " ".join(chat.drawn("#composer"))
        await chat.enter("hello work")
        assert work.called("say") == [("lobby", "hello work")]
        assert chat.client.called("say") == []


async def test_a_connected_server_is_displayed_not_added_again() -> None:
    async with two_servers() as (chat, _work):
        await chat.enter(f"/connect {chat.client.url}/dev")
        assert shown(chat) == "localhost ● | 1 lobby | ▸2 dev | work.example.org ● | 3 lobby"
        await chat.enter(f"/connect {WORK}/ops")
        assert len(chat.elsewhere) == 1
        assert chat.elsewhere[0].called("join") == [("ops", "50")]
        assert "▸4 ops" in shown(chat)


@pytest.mark.parametrize(
    ("keys", "row"),
    [
        (["alt+1"], "▸1 lobby"), (["alt+2"], "▸2 dev"), (["ctrl+n"], "▸1 lobby"), (["ctrl+p"], "▸2 dev"),
        (["alt+slash"], "▸2 dev"), (["alt+1", "alt+slash"], "▸3 lobby"), (["alt+2", "alt+3"], "▸3 lobby"),
    ],
)  # fmt: skip
async def test_keys_go_to_the_rooms_of_all_servers(keys: list[str], row: str) -> None:
    async with two_servers() as (chat, _work):
        await chat.type(*keys)
        assert row in shown(chat)


async def test_what_is_typed_after_a_change_of_server_goes_to_the_new_one() -> None:
    async with two_servers() as (chat, work):
        await chat.type("alt+1", "h", "i", "enter", "alt+3", "y", "o", "enter")
        assert chat.client.called("say") == [("lobby", "hi")]
        assert work.called("say") == [("lobby", "yo")]


async def test_rooms_of_the_same_name_have_their_own_posts_and_drafts() -> None:
    async with two_servers() as (chat, work):
        await deliver(chat, work, work.post("max", "work news"))
        await chat.type(*"draft for work")
        await chat.type("alt+1")
        assert "work news" not in log(chat)
        assert chat.composer.text == ""
        await chat.type(*"draft for home")
        await chat.type("alt+3")
        assert "work news" in log(chat)
        assert chat.composer.text == "draft for work"
        await chat.type("alt+1")
        assert chat.composer.text == "draft for home"


async def test_posts_on_a_hidden_server_are_counted_and_mentions_alert() -> None:
    async with two_servers() as (chat, _work):
        bells: list[str] = []
        chat.app._notifier = Notifier(bells.append, {"TERM": "xterm"})
        await deliver(chat, chat.client, chat.client.post("bob", "hi"), chat.client.post("bob", "ana: see"))
        assert "1 lobby @1 2" in shown(chat)
        assert bells == ["\x1b]9;bob in #lobby on localhost: ana: see\x07\x07"]
        await chat.type("alt+a")
        assert "▸1 lobby" in shown(chat)
        assert "ana: see" in log(chat)
        await chat.type("alt+a")
        assert "▸3 lobby" in shown(chat)


async def test_the_unread_line_of_a_hidden_server_is_shown_on_return() -> None:
    async with two_servers() as (chat, work):
        await deliver(chat, work, work.post("max", "seen"))
        await chat.type("alt+1")
        await deliver(chat, work, *(work.post("max", f"line {n}") for n in range(60)))
        await chat.type("alt+3")
        assert "new" in log(chat)
        assert "line 0" in log(chat)


async def test_a_lost_server_is_marked_and_the_other_one_works() -> None:
    async with two_servers() as (chat, work):
        await chat.type("alt+1")
        await deliver(chat, work, LOST)
        assert "work.example.org ◌" in shown(chat)
        status = chat.drawn("#status")[0]
        assert "● online" in status
        assert "work.example.org" not in status  # the room list shows it
        await chat.type("f7")
        assert "◌ work.example.org" in chat.drawn("#status")[0]
        await chat.type("f7")
        await chat.enter("still here")
        assert chat.client.called("say") == [("lobby", "still here")]
        await chat.type("alt+3")
        assert "reconnecting" in chat.drawn("#status")[0]
        await chat.enter("for later")
        assert "1 queued" in chat.drawn("#status")[0]
        await chat.type("alt+1")
        assert "queued" not in chat.drawn("#status")[0]
        await deliver(chat, work, ConnectionChanged(ConnectionState.ONLINE))
        assert "work.example.org ●" in shown(chat)


async def test_dialogs_about_a_hidden_server_wait_until_it_is_displayed() -> None:
    async with two_servers() as (chat, work):
        await chat.type("alt+1")
        refused = ConnectionChanged(
            ConnectionState.REFUSED, "This server needs a token.", cause=DisconnectCause.UNAUTHORIZED
        )
        await deliver(chat, work, refused)
        assert isinstance(chat.app.screen, ChatScreen)
        assert "work.example.org ✕" in shown(chat)
        await chat.type("alt+3")
        assert isinstance(chat.app.screen, TokenScreen)
        assert WORK in "\n".join(chat.drawn())
        await chat.type("escape", "alt+1")
        await deliver(chat, work, refused, ConnectionChanged(ConnectionState.ONLINE))
        await chat.type("alt+3")
        assert isinstance(chat.app.screen, ChatScreen)


async def test_a_rejected_name_is_asked_for_the_server_that_rejected_it() -> None:
    async with two_servers() as (chat, work):
        await chat.type("alt+1")
        refused = ConnectionChanged(ConnectionState.REFUSED, "Name in use.")
        await deliver(chat, work, NameDenied("ana", ErrorCode.NAME_TAKEN, "Name in use."), refused)
        assert isinstance(chat.app.screen, ChatScreen)
        await chat.type("alt+3")
        assert isinstance(chat.app.screen, LoginScreen)
        assert "work.example.org" in "\n".join(chat.drawn())
        await chat.type("2", "enter")
        assert work.called("rename") == [("ana2",)]
        assert chat.client.called("rename") == []


async def test_rejected_posts_of_a_hidden_server_return_to_their_draft() -> None:
    async with two_servers() as (chat, work):
        await chat.enter("too fast")
        await chat.type("alt+1")
        await deliver(chat, work, PostRejected("lobby", "n1", "rate_limited", "Too fast.", "too fast"))
        assert chat.composer.text == ""
        await chat.type("alt+3")
        assert chat.composer.text == "too fast"


async def test_the_switcher_lists_the_rooms_of_all_servers() -> None:
    async with two_servers() as (chat, work):
        await chat.type("alt+1")
        await chat.type("alt+k")
        assert len(work.called("list_rooms")) == len(chat.client.called("list_rooms")) == 1
        await deliver(chat, work, room_list("", (("lobby", 2, ""), ("ops", 4, "On call")), False))
        assert isinstance(chat.app.screen, SwitcherScreen)
        rows = " ".join(" ".join(chat.drawn()).split())
        assert "#lobby work.example.org · joined" in rows
        assert "#ops work.example.org · 4 here On call" in rows
        assert "#lobby localhost · current" in rows
        await chat.type(*"ops", "enter")
        assert work.called("join") == [("ops", "50")]
        assert "▸4 ops" in shown(chat)
        await chat.type("alt+1", "alt+k", *"lobby work", "enter")
        assert "▸3 lobby" in shown(chat)
        await chat.type("alt+k", *"dev", "enter")
        assert "▸2 dev" in shown(chat)


async def test_the_switcher_offers_a_new_room_on_the_displayed_server() -> None:
    async with two_servers() as (chat, work):
        await chat.type("alt+k", *"dev")
        assert "new room" in " ".join(chat.drawn())
        await chat.type("down", "enter")
        assert work.called("join") == [("dev", "50")]


async def test_buffer_goes_to_a_room_of_another_server() -> None:
    async with two_servers() as (chat, _work):
        await chat.enter("/buffer localhost/lobby")
        assert "▸1 lobby" in shown(chat)
        await chat.enter("/buffer 3")
        assert "▸3 lobby" in shown(chat)


async def test_a_click_on_a_server_or_room_displays_it() -> None:
    async with two_servers() as (chat, _work):
        await chat.pilot.click("#rooms", offset=(3, 0))
        assert "▸2 dev" in shown(chat)
        await chat.pilot.click("#rooms", offset=(3, 4))
        assert "▸3 lobby" in shown(chat)


async def test_input_history_is_per_room_and_server_and_shared_by_all_rooms() -> None:
    async with two_servers() as (chat, _work):
        await chat.enter("said at work")
        await chat.type("alt+1")
        await chat.enter("said at home")
        await chat.type("ctrl+up", "ctrl+up")
        assert chat.composer.text == "said at work"
        await chat.type("ctrl+down", "ctrl+down")
        assert chat.composer.text == ""
        await chat.type("x", "home", "up")
        assert chat.composer.text == "said at home"
        await chat.type("home", "up")
        assert chat.composer.text == "said at home"


async def test_commands_act_on_the_displayed_server() -> None:
    async with two_servers() as (chat, work):
        await chat.enter("/away lunch")
        await chat.enter("/msg max hello")
        await chat.enter("/search word")
        assert [call[0] for call in work.calls if call[0] in ("set_away", "direct", "search")] == [
            "set_away",
            "direct",
            "search",
        ]
        assert not [call for call in chat.client.calls if call[0] in ("set_away", "direct", "search")]


async def test_ignore_lists_are_per_server(tmp_path: Path) -> None:
    async with two_servers(home=tmp_path) as (chat, work):
        await chat.enter("/ignore bob")
        await deliver(chat, work, work.post("bob", "spam"))
        assert "spam" not in log(chat)
        await chat.type("alt+1")
        await deliver(chat, chat.client, chat.client.post("bob", "useful"))
        assert "useful" in log(chat)
        assert list(Preferences.load(tmp_path).ignored) == [WORK]


async def test_shown_lists_and_join_lines_are_the_same_on_all_servers() -> None:
    async with two_servers() as (chat, _work):
        await chat.type("f7", "alt+j", "alt+1")
        assert not chat.screen.rooms.display
        choice = chat.screen.log_view.index.visibility.presence
        await chat.type("alt+3")
        assert chat.screen.log_view.index.visibility.presence is choice


async def test_a_resize_reaches_servers_that_are_not_displayed() -> None:
    async with two_servers() as (chat, _work):
        await chat.pilot.resize_terminal(40, 10)
        await chat.type("alt+1")
        assert chat.screen.has_class("-narrow", "-short")
        assert chat.screen.log_view.size.width == 40
        await chat.pilot.resize_terminal(120, 30)
        await chat.type("alt+3")
        assert chat.screen.has_class("-wide", "-roomy")
        assert "▸3 lobby" in shown(chat)


async def test_servers_added_at_once_are_displayed_one_after_the_other() -> None:
    async with chatting("ana", size=(120, 30)) as chat:
        for port in (9001, 9002):
            chat.screen.post_message(ConnectRequested(parse_address(f"ws://localhost:{port}")))
        await eventually(lambda: len(chat.elsewhere) == 2)
        await chat.pilot.pause()
        for key, port in (("alt+2", 9001), ("alt+3", 9002), ("alt+2", 9001)):
            await chat.type(key)
            assert f"localhost:{port}" in chat.drawn("#status")[0]
            assert f"▸{key[-1]} lobby" in shown(chat)


async def test_others_are_connected_once_the_name_is_known() -> None:
    async with chatting("ana", others=(parse_address(WORK), parse_address("ws://localhost:8765"))) as chat:
        (work,) = chat.elsewhere
        assert (work.url, work.name) == (WORK, "ana")
        assert "#lobby  localhost" in chat.drawn("#status")[0]
        assert "◐ work.example.org" in chat.drawn("#status")[0]


async def test_the_server_and_the_room_of_the_last_run_are_shown(tmp_path: Path) -> None:
    others = (parse_address(WORK), parse_address("ws://other.example:1"))
    async with chatting("ana", home=tmp_path, others=others) as chat:
        work = chat.elsewhere[0]
        await chat.type("alt+2")
        await deliver(chat, work, *work.online("ana"))
        await enter_rooms(chat, "dev")
        await chat.type("ctrl+q")
    saved = Preferences.load(tmp_path)
    assert (saved.shown_server, saved.rooms_on(WORK).shown) == (WORK, "dev")
    async with chatting("ana", home=tmp_path, others=others, shown_server=WORK, size=(120, 30)) as chat:
        assert "work.example.org" in chat.drawn("#status")[0]
        assert "▸2 lobby" in shown(chat)
        assert "Message #lobby on work.example.org" in " ".join(chat.drawn("#composer"))
        await chat.enter("/disconnect")
        await eventually(lambda: chat.elsewhere[0].closed)
        await chat.enter("/disconnect ws://other.example:1")
        await eventually(lambda: chat.elsewhere[1].closed)
        await chat.pilot.pause()
        await chat.type("ctrl+q")
    assert Preferences.load(tmp_path).shown_server == ""


async def test_a_new_screen_shows_the_lists_as_the_one_before() -> None:
    async with chatting("ana", "bob", size=(80, 24)) as chat:
        await enter_rooms(chat, "dev")
        await chat.type("f7", "f8")
        assert (chat.screen.rooms.display, chat.screen.people.display) == (True, True)
        await connect(chat, WORK)
        assert (chat.screen.rooms.display, chat.screen.people.display) == (True, True)


async def test_disconnect_leaves_a_server(tmp_path: Path) -> None:
    async with two_servers(home=tmp_path) as (chat, work):
        await deliver(chat, work, work.post("max", "seen"))
        await chat.enter("/disconnect")
        await eventually(lambda: work.closed)
        await chat.pilot.pause()
        assert shown(chat) == "1 lobby | ▸2 dev"
        assert " ".join(" ".join(chat.drawn("#composer")).split()) == "Message #dev"
        assert not chat.client.closed
        assert "Disconnected from work.example.org" in chat.toasts
        assert "lobby" in Bookmarks(WORK, tmp_path).load()
        await chat.enter("/disconnect")
        assert chat.client.called("disconnect") == [()]
        again = await connect(chat, WORK)
        assert again is not work
        assert "work.example.org ◐" in shown(chat)


async def test_disconnect_can_leave_a_hidden_server() -> None:
    async with two_servers() as (chat, work):
        await chat.enter("/disconnect localhost")
        await eventually(lambda: chat.client.closed)
        await chat.pilot.pause()
        assert not work.closed
        assert [row.name for row in chat.screen.rooms.rows] == ["lobby"]
        await chat.enter("/who")
        assert work.called("list_members")


async def test_disconnect_asks_if_posts_would_be_lost() -> None:
    async with two_servers() as (chat, work):
        await deliver(chat, work, LOST)
        await chat.enter("unsent")
        await chat.enter("/disconnect")
        assert isinstance(chat.app.screen, ChoiceScreen)
        assert "1 post has not been sent to work.example.org." in " ".join(chat.drawn("#choice"))
        await chat.type("escape")
        assert not work.closed
        await chat.enter("/disconnect")
        await chat.type("y")
        await eventually(lambda: work.closed)
        await chat.pilot.pause()
        assert "localhost" not in shown(chat)


async def test_quitting_asks_about_unsent_posts_of_hidden_servers_and_closes_all() -> None:
    async with two_servers() as (chat, work):
        await deliver(chat, work, LOST)
        await chat.enter("unsent")
        await chat.type("alt+1", "ctrl+q")
        assert "1 post has not been sent." in " ".join(chat.drawn("#choice"))
        await chat.type("q")
        await eventually(lambda: chat.app.return_code == 0)
        assert work.closed
        assert chat.client.closed


async def test_a_direct_message_on_a_hidden_server_opens_its_conversation() -> None:
    async with chatting("ana", "bob", size=(120, 30)) as chat:
        work = await connect(chat, WORK)
        await chat.type("alt+1")
        await deliver(chat, work, *work.online("ana", "max"))
        await deliver(chat, work, DirectOpened("@ana+max~x1", "max", True))
        assert work.called("join") == [("@ana+max~x1", "50")]
        assert "▸1 lobby" in shown(chat)
        assert "3 @max" in shown(chat)


async def test_the_title_names_the_server() -> None:
    async with two_servers() as (chat, work):
        titles: list[str] = []
        chat.app._terminal_title = TerminalTitle(titles.append)
        await chat.type("alt+1")
        await deliver(chat, work, work.post("max", "ana?"))
        assert titles[-1] == "\x1b]0;(1!) #lobby · localhost · broadcast-tui\x07"


async def test_a_room_entered_on_a_hidden_server_is_in_the_list() -> None:
    async with two_servers() as (chat, _work):
        await deliver(chat, chat.client, RoomEntered("ops", 1, 0))
        assert "3 ops" in shown(chat)
        assert "▸4 lobby" in shown(chat)
