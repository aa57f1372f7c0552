"""Several rooms on one screen: list, keys, switcher, drafts and saved rooms."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual import events
from textual.geometry import Region
from textual.widgets import OptionList

from broadcast_tui.client.storage.preferences import Preferences
from broadcast_tui.core.session.updates import PostRejected, RoomEntered, RoomLeft
from broadcast_tui.tui.model.notifications import NotifyLevel
from broadcast_tui.tui.screens.chat import ChatScreen
from broadcast_tui.tui.screens.switcher import SwitcherScreen
from tests.support.chat_app import Chat, chatting, enter_rooms
from tests.support.fake_client import member_list, room_list
from tests.support.profile import by_profile

WIDE = (120, 24)


def room_rows(chat: Chat) -> list[str]:
    return [row.rstrip() for row in chat.drawn("#rooms") if row.strip()]


async def test_the_room_list_is_shown_for_two_rooms_if_there_is_space() -> None:
    async with chatting("ana", size=WIDE) as chat:
        assert not chat.screen.rooms.display
        await enter_rooms(chat, "dev")
        assert room_rows(chat) == [" 1 lobby", "▸2 dev"]
        await chat.pilot.resize_terminal(99, 24)
        assert not chat.screen.rooms.display
        await chat.type("f7")
        assert room_rows(chat) == [" 1 lobby", "▸2 dev"]
        await chat.type("f7")
        assert not chat.screen.rooms.display
        await chat.pilot.resize_terminal(120, 24)
        assert not chat.screen.rooms.display


async def test_the_room_list_shows_unread_mentions_and_muted_rooms() -> None:
    async with chatting("ana", "bob", size=WIDE) as chat:
        await enter_rooms(chat, "dev", "ops")
        await chat.type("alt+1")
        chat.screen._state.rooms.get("ops").level = NotifyLevel.OFF
        await chat.deliver(
            *(chat.client.post("bob", text, room="dev") for text in ("hi", "ana: look", "hm")),
            *(chat.client.post("bob", "x", room="ops") for _ in range(1200)),
        )
        rows = [" ".join(row.split()) for row in room_rows(chat)]
        assert rows == ["▸1 lobby", "2 dev @1 3", "3 ops ⊘ 999+"]
        assert "dev" not in chat.drawn("#status")[0], "the list says it"
        await chat.type("f7")
        assert "2:dev @1" in chat.drawn("#status")[0]
        assert "ops" not in chat.drawn("#status")[0]
        await chat.type("f7")
        await chat.type("alt+2")
        rows = [" ".join(row.split()) for row in room_rows(chat)]
        assert rows[:2] == ["1 lobby", "▸2 dev"]


async def test_long_names_are_cut_to_leave_space_for_counts() -> None:
    async with chatting("ana", "bob", size=WIDE) as chat:
        await enter_rooms(chat, "a-very-long-name-of-a-room-for-a-list", "漢字漢字漢字漢字漢字漢字")
        await chat.type("alt+1")
        for room in list(chat.screen._state.rooms.joined)[1:]:
            await chat.deliver(*(chat.client.post("bob", "ana", room=room) for _ in range(12)))
        assert all(row.endswith(" @12") for row in room_rows(chat)[1:])


async def test_a_click_shows_a_room() -> None:
    async with chatting("ana", size=WIDE) as chat:
        await enter_rooms(chat, "dev", "ops")
        await chat.pilot.click("#rooms", offset=(3, 1))
        assert "#dev" in chat.drawn("#status")[0]
        await chat.pilot.click("#rooms", offset=(3, 9))
        assert "#dev" in chat.drawn("#status")[0]


@pytest.mark.parametrize(
    ("keys", "room"),
    [
        (["alt+1"], "lobby"),
        (["alt+2"], "dev"),
        (["alt+9"], "ops"),
        (["ctrl+n"], "lobby"),
        (["ctrl+p"], "dev"),
        (["alt+right", "alt+right"], "dev"),
        (["alt+left"], "dev"),
        (["alt+slash"], "dev"),
        (["alt+slash", "alt+slash"], "ops"),
        (["alt+1", "alt+slash"], "ops"),
    ],
)
async def test_keys_switch_rooms(keys: list[str], room: str) -> None:
    async with chatting("ana") as chat:
        await enter_rooms(chat, "dev", "ops")
        await chat.type(*keys)
        assert f"#{room} " in chat.drawn("#status")[0]
        assert chat.composer.placeholder.plain == f"Message #{room}"  # type: ignore[union-attr]


async def test_alt_a_visits_mentions_then_unread_rooms_then_returns() -> None:
    async with chatting("ana", "bob") as chat:
        await enter_rooms(chat, "dev", "ops")
        await chat.type("alt+1")
        await chat.deliver(
            chat.client.post("bob", "hm", room="dev"), chat.client.post("bob", "ana?", room="ops")
        )
        rooms = []
        for _ in range(3):
            await chat.type("alt+a")
            rooms.append(chat.screen._state.rooms.shown_name)
        assert rooms == ["ops", "dev", "lobby"]
        await chat.type("alt+a")
        assert "No unread posts in other rooms" in chat.toasts


async def test_each_room_has_its_own_log_members_topic_and_draft() -> None:
    async with chatting("ana", "bob", size=WIDE) as chat:
        await chat.deliver(chat.client.post("bob", "in the lobby"))
        await chat.type(*"lobby draft")
        chat.screen.submit("/join dev")
        await chat.deliver(
            RoomEntered("dev", 2, 0, "All about dev"),
            member_list("dev", "", 2, ("ana", "zoe"), False),
            chat.client.post("zoe", "in dev", room="dev"),
        )
        assert chat.composer.text == ""
        assert any(row.endswith("in dev") for row in chat.drawn("#log"))
        assert "zoe" in "".join(chat.drawn("#people"))
        assert chat.drawn("#topic")[0].split("  ")[:2] == [" #dev", "All about dev"]
        typed = len(chat.client.called("send_typing"))
        await chat.type("alt+1")
        assert chat.composer.text == "lobby draft"
        assert any(row.endswith("in the lobby") for row in chat.drawn("#log"))
        assert "zoe" not in "".join(chat.drawn("#people"))
        assert not chat.screen.query_one("#topic").display
        assert len(chat.client.called("send_typing")) == typed
        await chat.type("!", "alt+2")
        await chat.type("alt+1", "enter")
        assert chat.client.called("say") == [("lobby", "lobby draft!")]


async def test_undo_does_not_restore_the_draft_of_another_room() -> None:
    async with chatting("ana") as chat:
        await enter_rooms(chat, "dev")
        await chat.type(*"dev words", "alt+1", "ctrl+underscore")
        assert "words" not in chat.composer.text


async def test_a_post_goes_to_the_room_it_was_written_in() -> None:
    async with chatting("ana") as chat:
        await enter_rooms(chat, "dev", "ops")
        for key in ["t", "o", "enter", "alt+1", "h", "i", "enter", "alt+2"]:
            chat.app.post_message(events.Key(key, "\r" if key == "enter" else key if len(key) == 1 else None))
        await chat.pilot.pause()
        await chat.pilot.pause()
        assert chat.client.called("say") == [("ops", "to"), ("lobby", "hi")]
        assert chat.composer.text == ""


async def test_an_invalid_command_stays_in_the_input_of_its_room() -> None:
    async with chatting("ana") as chat:
        await enter_rooms(chat, "dev")
        for key in [*"/zz", "enter", "alt+1"]:
            chat.app.post_message(events.Key(key, "\r" if key == "enter" else key if len(key) == 1 else None))
        await chat.pilot.pause()
        await chat.pilot.pause()
        assert chat.composer.text == ""
        await chat.type("alt+2")
        assert chat.composer.text == "/zz"


async def test_a_post_rejected_in_another_room_is_restored_there() -> None:
    async with chatting("ana") as chat:
        await enter_rooms(chat, "dev")
        await chat.enter("hi")
        nonce = f"n{chat.client._count}"
        await chat.type("alt+1")
        await chat.deliver(PostRejected("dev", nonce, "rate_limited", "Too fast.", "hi"))
        assert chat.composer.text == ""
        await chat.type("alt+2")
        assert chat.composer.text == "hi"


async def test_a_room_that_rejects_the_user_is_removed() -> None:
    async with chatting("ana") as chat:
        await chat.enter("/join dev")
        await chat.deliver(RoomLeft("dev"))
        assert "#lobby" in chat.drawn("#status")[0]
        assert list(chat.screen._state.rooms.joined) == ["lobby"]


async def test_each_room_preserves_its_scroll_position() -> None:
    async with chatting("ana", "bob") as chat:
        await chat.deliver(*(chat.client.post("bob", f"line {n}") for n in range(60)))
        await enter_rooms(chat, "dev")
        await chat.type("alt+1", "pageup")
        top = chat.drawn("#log")[0]
        await chat.type("alt+2")
        await chat.deliver(chat.client.post("bob", "new"))
        await chat.type("alt+1")
        assert chat.drawn("#log")[0] == top


async def test_the_switcher_finds_a_room_by_some_letters() -> None:
    async with chatting("ana", "bob") as chat:
        await enter_rooms(chat, "dev-ops", "random")
        await chat.type("alt+k")
        assert chat.client.called("list_rooms") == [()]
        await chat.client.deliver(room_list("", (("docs", 7, "Writing"), ("lobby", 1, "")), False))
        await chat.pilot.pause()
        offered = [row.strip() for row in chat.drawn("#switcher-rows")]
        assert offered[0].startswith("#lobby")
        assert any(row.startswith("#docs  7 here  Writing") for row in offered)
        await chat.type(*"do")
        assert [row.split()[0] for row in map(str.strip, chat.drawn("#switcher-rows"))] == [
            "#docs",
            "#dev-ops",
            "#do",
            "#random",
        ]
        await chat.type("down", "enter")
        assert isinstance(chat.app.screen, ChatScreen)
        assert "#dev-ops" in chat.drawn("#status")[0]


async def test_the_switcher_offers_rooms_of_all_pages() -> None:
    async with chatting("ana") as chat:
        await chat.type("alt+k")
        await chat.client.deliver(room_list("", (("docs", 7, ""),), True))
        await chat.pilot.pause()
        assert chat.client.called("list_rooms") == [(), ("docs",)]
        ref = f"n{chat.client._count}"
        await chat.client.deliver(room_list(ref, (("zebra", 3, ""),), False))
        await chat.pilot.pause()
        offered = [row.split()[0] for row in map(str.strip, chat.drawn("#switcher-rows")) if row]
        assert {"#docs", "#zebra"} <= set(offered)


async def test_the_switcher_suggests_rooms_for_a_misspelled_name() -> None:
    async with chatting("ana", "bob") as chat:
        await enter_rooms(chat, "oncall", "random")
        await chat.type("alt+k", *"onclal")
        offered = [row.split() for row in map(str.strip, chat.drawn("#switcher-rows")) if row]
        assert offered == [
            ["#oncall", "joined"],
            ["#onclal", "new", "room", "·", "Alt+Enter"],
        ] or offered == [
            ["#oncall", "current"],
            ["#onclal", "new", "room", "·", "Alt+Enter"],
        ]
        await chat.type("enter")
        assert "#oncall" in chat.drawn("#status")[0]


async def test_the_switcher_enters_rooms_that_are_new() -> None:
    async with chatting("ana") as chat:
        await chat.type("alt+k", *"fresh", "enter")
        assert chat.client.called("join") == [("fresh", "50")]
        assert "#fresh" in chat.drawn("#status")[0]


async def test_alt_enter_in_the_switcher_joins_exactly_what_was_typed() -> None:
    async with chatting("ana", "bob") as chat:
        await enter_rooms(chat, "oncall", "dev-ops")
        await chat.type("alt+k", *"onc")
        assert "Alt+Enter New room" in chat.drawn("#switcher")[-1]
        await chat.type("alt+enter")
        assert chat.client.called("join")[-1] == ("onc", "50")
        await chat.type("alt+k", *"dev-ops")
        assert "Alt+Enter" not in "".join(chat.drawn("#switcher"))
        await chat.type("alt+enter")
        assert "#dev-ops" in chat.drawn("#status")[0]
        await chat.type("alt+k", *"!!!", "alt+enter")
        assert isinstance(chat.app.screen, SwitcherScreen)


async def test_a_new_room_stands_above_the_rooms_that_are_only_similar() -> None:
    async with chatting("ana") as chat:
        await chat.type("alt+k")
        rooms = (("first-review-ash", 1, ""), ("far-east-shop", 1, ""), ("refreshments", 1, ""))
        await chat.client.deliver(room_list("", rooms, False))
        await chat.type(*"fresh")
        offered = [row.split()[0] for row in map(str.strip, chat.drawn("#switcher-rows")) if row]
        assert offered == ["#refreshments", "#fresh", "#far-east-shop", "#first-review-ash"]


async def test_the_switcher_rejects_invalid_names_and_closes_without_effect() -> None:
    async with chatting("ana") as chat:
        await chat.type(*"draft")
        await chat.type("alt+k", *"!!!", "enter")
        assert isinstance(chat.app.screen, SwitcherScreen)
        assert chat.app.screen.query_one(OptionList).option_count == 0
        await chat.type("escape")
        assert isinstance(chat.app.screen, ChatScreen)
        assert chat.composer.text == "draft"
        assert chat.client.called("join") == []


async def test_rooms_and_the_shown_room_are_saved_per_server(tmp_path: Path) -> None:
    async with chatting("ana", home=tmp_path) as chat:
        await enter_rooms(chat, "dev", "ops")
        await chat.type("alt+2", "ctrl+q")
    saved = Preferences.load(tmp_path).rooms_on("ws://localhost:8765")
    assert (saved.joined, saved.shown) == (("lobby", "dev", "ops"), "dev")
    assert Preferences.load(tmp_path).rooms_on("ws://elsewhere:1").joined == ("lobby",)


async def test_the_rooms_of_the_client_are_listed_at_the_start() -> None:
    async with chatting(rooms=("lobby", "dev"), size=WIDE) as chat:
        assert room_rows(chat) == ["▸1 lobby", " 2 dev"]


async def test_lists_fit_any_terminal_size() -> None:
    async with chatting("ana", "bob", size=(1, 1)) as chat:
        await enter_rooms(chat, *(f"room-{n}" for n in range(20)))
        await chat.type("f7", "f8")
        more = by_profile([], [(5, 2), (14, 4), (1, 1)])
        for size in [(2, 3), *more, (300, 3), (40, 10)]:
            await chat.pilot.resize_terminal(*size)
            await chat.type("f7", "f7", "alt+3", "alt+k", "a", "escape", "ctrl+n")
        assert any("▸ 4" in row for row in chat.drawn("#rooms"))


async def test_keys_typed_before_the_switcher_opens_go_to_it() -> None:
    async with chatting("ana") as chat:
        await enter_rooms(chat, "dev", "ops")
        for key in ["alt+k", "d", "e", "enter"]:
            chat.app.post_message(events.Key(key, "\r" if key == "enter" else key if len(key) == 1 else None))
        for _ in range(3):
            await chat.pilot.pause()
        assert "#dev" in chat.drawn("#status")[0]
        assert chat.composer.text == ""


@pytest.mark.parametrize("size", [(80, 24), (40, 10)])
async def test_the_switcher_has_a_frame_and_says_that_no_room_matches(size: tuple[int, int]) -> None:
    async with chatting("ana", size=size) as chat:
        await chat.type("alt+k")
        rows = chat.drawn("#switcher")
        assert (rows[0].strip()[0], rows[-1].strip()[0]) == ("╭", "╰")
        assert "Enter Go" in rows[-1]
        await chat.type(*"!!!")
        assert "No matching room" in chat.drawn("#switcher")[-2]
        await chat.type("ctrl+u", *"new")
        assert "No matching room" not in "".join(chat.drawn("#switcher"))


async def test_a_notice_does_not_cover_the_switcher_of_a_small_terminal() -> None:
    async with chatting("ana", size=(40, 10)) as chat:
        await chat.type("alt+k")
        before = chat.drawn("#switcher")
        chat.app.notify("a notice that goes on " * 6)
        await chat.pilot.pause()
        assert "a notice" in "".join(chat.drawn())
        assert chat.drawn("#switcher") == before


def room_links(chat: Chat) -> list[str]:
    """The underlined parts of the log."""
    log = chat.screen.log_view
    return [
        segment.text
        for strip in log.render_lines(Region(0, 0, *log.container_size))
        for segment in strip
        if segment.style is not None and segment.style.underline
    ]


async def test_earlier_posts_link_to_a_room_while_it_is_known() -> None:
    async with chatting("ana", "bob") as chat:
        await chat.deliver(chat.client.post("bob", "see #docs and #dev"))
        assert room_links(chat) == []
        await chat.client.deliver(room_list("", (("docs", 7, ""),), False))
        assert room_links(chat) == ["#docs"]
        await enter_rooms(chat, "dev")
        await chat.type("alt+1")
        assert room_links(chat) == ["#docs", "#dev"]
        await chat.enter("/part #dev")
        assert room_links(chat) == ["#docs"]


async def test_a_click_on_the_name_of_a_room_goes_there() -> None:
    async def click(text: str) -> None:
        rows = chat.drawn("#log")
        y = next(number for number, row in enumerate(rows) if text in row)
        await chat.pilot.click("#log", offset=(rows[y].index(text) + 1, y))
        await chat.pilot.pause()

    async with chatting("ana", "bob") as chat:
        await enter_rooms(chat, "dev")
        await chat.type("alt+1")
        await chat.client.deliver(room_list("", (("docs", 7, ""),), False))
        await chat.deliver(chat.client.post("bob", "not #nosuch but #dev or #docs"))
        for place in ("#nosuch", "not "):
            await click(place)
            assert "#lobby" in chat.drawn("#status")[0]
        await click("#dev")
        assert "#dev" in chat.drawn("#status")[0]
        assert chat.client.called("join") == [("dev", "50")]
        await chat.type("alt+1")
        await click("#docs")
        assert "#docs" in chat.drawn("#status")[0]
        assert chat.client.called("join")[-1] == ("docs", "50")
