"""NO_COLOR: nothing is colored, and different backgrounds can still be told apart."""

from __future__ import annotations

import pytest
from rich.style import Style

from broadcast_tui.core.session.updates import RoomEntered
from tests.support.chat_app import Chat, chatting
from tests.support.running import eventually

THEMES = ["broadcast-dark", "broadcast-light", "ansi-dark"]


@pytest.fixture(autouse=True)
def no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")


def drawn(chat: Chat) -> list[tuple[str, Style]]:
    """The segments of the screen; asserts that their styles have no color."""
    strips = chat.app.screen._compositor.render_strips()
    pieces = [(part.text, part.style or Style()) for strip in strips for part in strip]
    colored = [
        piece for piece in pieces for c in (piece[1].color, piece[1].bgcolor) if c and not c.is_default
    ]
    assert colored == []
    return pieces


def reversed_texts(chat: Chat) -> list[str]:
    return [text.strip() for text, style in drawn(chat) if style.reverse]


@pytest.mark.parametrize("theme", THEMES)
async def test_distinct_backgrounds_are_reversed(theme: str) -> None:
    async with chatting("ana", "bob", theme=theme, rooms=("lobby", "dev")) as chat:
        await chat.deliver(RoomEntered("dev", 1, 0, ""))
        await chat.deliver(*(chat.client.post("bob", f"line {number}") for number in range(3)))
        await chat.type(*"input")
        assert "" in reversed_texts(chat), "the cursor"
        await chat.type("shift+left", "shift+left")
        assert "".join(reversed_texts(chat)).startswith("ut"), "what is selected in the input"
        await chat.type("ctrl+u", *"/un", "tab")
        assert any(text.startswith("/unmute") for text in reversed_texts(chat)), "the completion chosen"
        await chat.type("escape", "ctrl+u", "alt+k")
        assert any("#" in text for text in reversed_texts(chat)), "the room to go to"
        await chat.type("escape", "ctrl+f", *"line")
        await eventually(lambda: reversed_texts(chat).count("line") == 3)
        found = [style for text, style in drawn(chat) if text == "line" and style.underline]
        assert [style.bold for style in found] == [None, None, True], "the match one stands at"
        await chat.type("escape", "alt+up")
        assert any("line 2" in text for text in reversed_texts(chat)), "the post picked"


@pytest.mark.parametrize("theme", THEMES[:2])
async def test_weak_text_is_dim_and_a_mention_is_marked(theme: str) -> None:
    async with chatting("ana", "bob", theme=theme) as chat:
        await chat.deliver(chat.client.post("bob", "ana: look"), chat.client.post("bob", "well"))
        styles = {text.strip(): style for text, style in drawn(chat)}
        assert styles["┃"].bold
        assert not styles["┃"].dim
        assert styles["│"].dim
        assert styles["10:30"].dim
        assert not styles["well"].dim
        assert not styles["bob"].dim


async def test_a_badge_of_unread_posts_is_reversed() -> None:
    async with chatting("ana", "bob", size=(80, 12)) as chat:
        await chat.deliver(*(chat.client.post("bob", f"line {number}") for number in range(30)))
        await chat.type("pageup")
        await chat.deliver(chat.client.post("bob", "below"))
        assert any("new" in text for text in reversed_texts(chat))
