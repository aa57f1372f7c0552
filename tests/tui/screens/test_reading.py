"""Picking, finding and selecting while rooms, ignored people and folded posts change."""

from __future__ import annotations

import pytest

from broadcast_tui.core.session.updates import PresenceChanged
from broadcast_tui.tui.widgets.find_bar import FindBar
from broadcast_tui.tui.widgets.post_bar import PostBar
from tests.support.chat_app import Chat, enter_rooms
from tests.support.fake_client import AT
from tests.tui.widgets.test_conversation import chat_with_posts, find_status, no_desktop, picked

__all__ = ["no_desktop"]

LONG = "\n".join(f"row {n}" for n in range(60))


def is_idle(chat: Chat) -> bool:
    """Whether nothing is picked, searched or selected, and the input has the focus."""
    bars = chat.screen.query_one(PostBar), chat.screen.query_one(FindBar)
    log = chat.screen.conversation.log_view
    busy = (
        any(bar.display for bar in bars)
        or log.highlights.picked is not None
        or log.highlights.selected() is not None
    )
    return not busy and chat.composer.has_focus


@pytest.mark.parametrize("keys", [["alt+up", "k"], ["ctrl+f", *"post"], ["ctrl+f", *"post", "enter"]])
async def test_switching_rooms_ends_picking_and_finding(keys: list[str]) -> None:
    async with chat_with_posts() as chat:
        await enter_rooms(chat, "dev")
        await chat.type("alt+1", *keys)
        assert not is_idle(chat)
        await chat.type("alt+2", *"hi")
        assert is_idle(chat)
        assert chat.composer.text == "hi"
        assert chat.screen._state.rooms.shown_name == "dev"
        await chat.type("alt+1")
        assert is_idle(chat)
        assert chat.composer.text == ""


async def test_switching_rooms_clears_the_selection() -> None:
    async with chat_with_posts() as chat:
        await enter_rooms(chat, "dev")
        await chat.type("alt+1")
        await chat.pilot.triple_click("#log", offset=(30, 3))
        assert chat.screen.conversation.log_view.highlights.selected() is not None
        await chat.type("alt+2")
        assert chat.screen.conversation.log_view.highlights.selected() is None
        assert not chat.screen.selections


async def test_a_folded_post_is_picked_in_full() -> None:
    async with chat_with_posts(LONG, "short") as chat:
        assert not any("row 50" in row for row in chat.drawn("#log"))
        await chat.type("alt+up", "k")
        assert picked(chat) == LONG
        assert any(row.endswith("row 10") for row in chat.drawn("#log"))


async def test_a_match_in_a_folded_post_is_unfolded() -> None:
    async with chat_with_posts(LONG, *(f"post {n}" for n in range(60))) as chat:
        await chat.type("ctrl+f", *"row 55")
        assert await find_status(chat) == "1/1"
        assert any(row.endswith("row 55") for row in chat.drawn("#log"))
        await chat.type("escape")
        assert chat.drawn("#log")[-1].endswith("post 59")


async def test_ignoring_somebody_preserves_matches_and_the_picked_post() -> None:
    async with chat_with_posts("tea 0", "none", "tea 1", "tea 2") as chat:
        await chat.deliver(chat.client.post("eve", "tea 3"))
        await chat.type("ctrl+f", *"tea", "up", "up")
        assert (await find_status(chat), picked(chat)) == ("3/4", "tea 1")
        chat.screen._state.rooms.ignore("eve", None)
        chat.screen.refresh_views()
        await chat.settled()
        chat.screen.conversation.finder.search_some()
        assert (await find_status(chat), picked(chat)) == ("2/3", "tea 1")
        await chat.type("up")
        assert (await find_status(chat), picked(chat)) == ("3/3", "tea 0")
        chat.screen._state.rooms.unignore("eve")
        chat.screen.conversation.finder.search_some()
        await chat.type("down")
        assert (await find_status(chat), picked(chat)) == ("3/4", "tea 1")


async def test_a_picked_post_that_is_hidden_is_no_longer_picked() -> None:
    async with chat_with_posts("tea") as chat:
        await chat.type("alt+up")
        chat.screen._state.rooms.ignore("bob", None)
        chat.screen.refresh_views()
        await chat.settled()
        assert picked(chat) == ""
        await chat.type("k")
        await chat.pilot.pause()
        assert is_idle(chat)


async def test_cleared_posts_are_found_once_restored() -> None:
    async with chat_with_posts("tea 0", "tea 1") as chat:
        await chat.enter("/clear")
        await chat.deliver(chat.client.post("bob", "tea 2"))
        await chat.type("ctrl+f", *"tea")
        assert await find_status(chat) == "1/1"
        await chat.type("enter", "k")
        await chat.pilot.pause()
        assert chat.screen._state.rooms.shown.transcript.has_cleared is False
        await find_status(chat)
        await chat.type("n", "n")
        assert picked(chat) == "tea 0"


async def test_clearing_drops_the_selection() -> None:
    async with chat_with_posts("tea") as chat:
        await chat.pilot.triple_click("#log", offset=(30, 2))
        assert chat.screen.conversation.log_view.highlights.selected() is not None
        await chat.enter("/clear")
        assert not chat.screen.selections


async def test_join_and_leave_lines_are_copied_as_shown() -> None:
    async with chat_with_posts("first") as chat:
        joins = (PresenceChanged("lobby", "join", (name,), 30, "", AT) for name in ("zoe", "bob"))
        await chat.deliver(*joins)
        log = chat.screen.conversation.log_view
        brief = next(row for row in chat.drawn("#log") if "bob" in row and "first" not in row)
        assert "zoe" not in brief
        chat.screen.selections = {}
        chat.screen.conversation.action_toggle_bare()
        await chat.pilot.pause()
        chat.screen.conversation.action_toggle_bare()
        log.text_select_all()
        selected = log.highlights.selected()
        assert selected is not None
        assert "bob" in selected.text.splitlines()[-1]
        assert "zoe" not in selected.text
        await chat.type("alt+j")
        selected = log.highlights.selected()
        assert selected is not None
        assert "zoe" in selected.text


async def test_the_bare_view_hides_rooms_and_topic() -> None:
    async with chat_with_posts("only this", size=(120, 24)) as chat:
        await enter_rooms(chat, "dev")
        chat.screen._state.rooms.shown.topic = "about"
        chat.screen.refresh_views()
        await chat.type("f7", "f7", "f8", "f8", "alt+1", "alt+l")
        assert any(row == "bob: only this" for row in chat.drawn())
        assert not any("dev" in row or "online" in row for row in chat.drawn())
        await chat.type("alt+2")
        assert not any("bob" in row or "about" in row for row in chat.drawn())
        await chat.type("alt+l")
        await chat.pilot.pause()
        assert chat.composer.has_focus
        assert chat.screen.rooms.display
