"""An input is painted right after a key, and shows the same as when the whole screen is rendered."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from textual import events
from textual._compositor import LayoutUpdate
from textual.geometry import Region
from textual.screen import ModalScreen, Screen
from textual.strip import Strip
from textual.widgets import Static

from broadcast_tui.tui.app import ChatApp
from tests.support.chat_app import Chat, chatting


@dataclass
class Echo:
    """A chat with one row in its input, and the paints of the input alone since the last look."""

    chat: Chat
    paints: list[LayoutUpdate] = field(default_factory=list)

    async def type(self, key: str) -> list[LayoutUpdate]:
        """Let the input handle a key, but no message after it; returns how the input was painted."""
        self.paints.clear()
        with self.chat.composer._context():
            await self.chat.composer._dispatch_message(events.Key(key, key if len(key) == 1 else None))
        return [*self.paints]

    async def settle(self) -> None:
        """Wait until the screen shows everything."""
        await self.chat.pilot.pause()
        await self.chat.pilot.pause()

    def rendered(self) -> list[Strip]:
        """The rows of the input, without its padding, in a rendering of the whole screen."""
        region = self.chat.composer.content_region.grow((0, 1, 0, 1))
        rows = self.chat.screen._compositor.render_strips()[region.y : region.bottom]
        return [row.crop(region.x, region.right) for row in rows]


@pytest.fixture
async def echo(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Echo]:
    async with chatting("ana", size=(120, 40)) as chat:
        made = Echo(chat)
        original = ChatApp._display

        def display(app: ChatApp, screen: Screen[object], update: object) -> None:
            if isinstance(update, LayoutUpdate) and update.region.height < 40:
                made.paints.append(update)
            original(app, screen, update)  # type: ignore[arg-type]

        monkeypatch.setattr(ChatApp, "_display", display)
        await made.settle()
        yield made


KEYS = [
    *"he漢字😀",
    *("left", "shift+left", "x", "backspace", "ctrl+a", "shift+right", "shift+right", "right"),
    *("ctrl+k", "ctrl+y", "ctrl+u", "z"),
]


async def test_each_key_is_painted_at_once_as_the_screen_would_be(echo: Echo) -> None:
    for key in KEYS:
        (paint,) = await echo.type(key)
        assert paint.region == echo.chat.composer.content_region.grow((0, 1, 0, 1))
        shown = [Strip.join([*row]) for row in paint.strips]
        assert [[*row.simplify()] for row in shown] == [[*row.simplify()] for row in echo.rendered()]
        await echo.settle()
        assert not echo.chat.composer._repaint_regions
        assert [[*row.simplify()] for row in shown] == [[*row.simplify()] for row in echo.rendered()]


async def test_a_key_that_changes_the_height_is_painted_with_the_screen(echo: Echo) -> None:
    height = echo.chat.composer.region.height
    await echo.type("a")
    await echo.settle()
    assert not await echo.type("alt+enter")
    # Until the layout has changed, so is the next key.
    assert not await echo.type("b")
    await echo.settle()
    assert echo.chat.composer.region.height == height + 1
    assert await echo.type("c")
    assert [row.text.strip() for row in echo.rendered()] == ["a", "bc"]


async def test_a_key_that_changes_only_something_else_is_not_painted(echo: Echo) -> None:
    assert not await echo.type("pageup")


async def test_several_keys_at_once_are_painted_once(echo: Echo) -> None:
    echo.paints.clear()
    for letter in "abcdef":
        echo.chat.composer.post_message(events.Key(letter, letter))
    await echo.settle()
    assert not echo.paints
    assert echo.chat.composer.text == "abcdef"


async def test_an_input_behind_something_is_painted_with_it(echo: Echo) -> None:
    cover = Static("cover")
    cover.styles.overlay = "screen"
    cover.styles.width, cover.styles.height = 10, 3
    cover.styles.position, cover.styles.offset = "absolute", (0, echo.chat.composer.region.y)
    await echo.chat.screen.mount(cover)
    await echo.settle()
    assert cover.region.overlaps(echo.chat.composer.region)
    assert not await echo.type("a")
    await cover.remove()
    await echo.settle()
    assert await echo.type("b")


async def test_an_input_behind_a_dialog_is_not_painted(echo: Echo) -> None:
    composer = echo.chat.composer
    await echo.chat.app.push_screen(ModalScreen[None]())
    with composer._context():
        await composer._dispatch_message(events.Key("a", "a"))
    assert composer.text == "a"
    assert not echo.paints
    await echo.chat.app.pop_screen()


async def test_new_styles_are_not_mixed_with_old_ones(echo: Echo) -> None:
    await echo.type("a")
    await echo.settle()
    before = echo.rendered()
    echo.chat.app.theme = "textual-light"
    await echo.chat.pilot.pause()
    echo.chat.composer.refresh()
    assert not await echo.type("b")
    await echo.settle()
    assert await echo.type("c")
    after = echo.rendered()
    assert before[0].text.strip() == "a"
    assert after[0].text.strip() == "abc"
    assert not {*before[0]} & {*after[0]}


async def test_nothing_is_painted_while_the_app_collects_changes(echo: Echo) -> None:
    with echo.chat.app.batch_update():
        assert not await echo.type("a")
    await echo.settle()
    assert "a" in echo.rendered()[0].text
    assert echo.chat.composer.region == Region(0, 36, 120, 3)
