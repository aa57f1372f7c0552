"""The renderer compared with Textual's own output: both terminals must show the same."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest
from rich.console import RenderableType
from rich.control import Control
from rich.text import Text
from textual import events
from textual._compositor import CompositorUpdate
from textual.drivers.headless_driver import HeadlessDriver
from textual.geometry import Size
from textual.screen import Screen

from broadcast_tui.tui.app import ChatApp
from broadcast_tui.tui.terminal.renderer import OUTPUT_VARIABLE, is_enabled
from tests.support.chat_app import Chat, chatting
from tests.support.hostile_server import HOSTILE
from tests.support.profile import by_profile
from tests.support.strict_screen import StrictScreen

WORDS = [
    "hello",
    "漢字かな",
    "https://example.org/a",
    "😀🎉",
    "👩‍👩‍👧‍👦",
    "e\u0301",
    "word" * 12,
    "ana",
    "`code`",
    "*b*",
]
ACTION_COUNT = by_profile(25, 60)
"""Random actions per seed."""


@dataclass
class Screens:
    """Two terminals: one written to by Textual, one by the renderer."""

    stock: StrictScreen = field(default_factory=lambda: StrictScreen(80, 24))
    fast: StrictScreen = field(default_factory=lambda: StrictScreen(80, 24))
    frames: int = 0
    holding: bool = False

    def resize(self, size: Size) -> None:
        """Resize both terminals to `size`, with random content, if they have another size."""
        if (self.stock.width, self.stock.height) != size:
            self.stock, self.fast = StrictScreen(*size), StrictScreen(*size)
            for screen in (self.stock, self.fast):
                screen.scramble(random.Random(self.frames))

    def feed(self, data: str) -> None:
        """Feed the app's output, except for the shape of the mouse pointer."""
        if not data.startswith("\x1b]22;"):
            self.fast.feed(data)

    def compare(self) -> None:
        self.frames += 1
        for y, (ours, theirs) in enumerate(zip(self.fast.seen, self.stock.seen, strict=True)):
            assert ours == theirs, f"row {y} of frame {self.frames}: {self.fast.lines[y]!r}"
        assert (self.fast.x, self.fast.y) == (self.stock.x, self.stock.y)


@pytest.fixture
def screens(monkeypatch: pytest.MonkeyPatch) -> Screens:
    """Write the app's frames to both terminals and compare them."""
    both = Screens()

    def display(app: ChatApp, screen: Screen[object], update: RenderableType | None) -> None:
        if isinstance(update, CompositorUpdate) and app._running:
            both.resize(app.screen.outer_size)
            cursor = app.screen.outer_size.clamp_offset(app.cursor_position)
            both.stock.feed(update.render_segments(app.console) + Control.move_to(*cursor).segment.text)
            assert app._renderer.show(update)
            if not both.holding:
                both.compare()
        app.post_display_hook()

    monkeypatch.setattr(ChatApp, "_display", display)
    monkeypatch.setattr(HeadlessDriver, "write", lambda _, data: both.feed(data))
    return both


def sentence(dice: random.Random) -> str:
    return " ".join(dice.choices(WORDS, k=dice.randint(1, 12)))


async def act(chat: Chat, dice: random.Random) -> None:
    """Do one random action that changes the screen."""
    match dice.randrange(12):
        case 0 | 1 | 2:
            posts = [
                chat.client.post(dice.choice(("bob", "漢")), sentence(dice))
                for _ in range(dice.choice((1, 1, 3, 60)))
            ]
            await chat.deliver(*posts)
        case 3:
            await chat.type(*dice.choices("abc ", k=3))
        case 4:
            await chat.type(dice.choice(("pageup", "pagedown", "shift+up", "shift+down", "escape")))
        case 5:
            await chat.type("f1")
        case 6:
            await chat.type("escape")
        case 7:
            await chat.type("f8")
        case 8:
            chat.app.theme = dice.choice(("nord", "textual-light", "textual-dark"))
        case 9:
            chat.app.notify(dice.choice(("one", "two 漢字")), timeout=60)
        case 10:
            await chat.pilot.resize_terminal(dice.choice((20, 61, 80, 120)), dice.choice((6, 12, 24, 40)))
        case _:
            await chat.type("ctrl+l")
    await chat.pilot.pause()


@pytest.mark.parametrize("seed", range(by_profile(2, 20)))
async def test_both_show_the_same_after_random_actions(screens: Screens, seed: int) -> None:
    dice = random.Random(seed)
    async with chatting("ana", "bob", "漢") as chat:
        for _ in range(ACTION_COUNT):
            await act(chat, dice)
        assert chat.app._renderer._works
    assert screens.frames > ACTION_COUNT


async def test_both_show_the_same_for_hostile_text(screens: Screens) -> None:
    async with chatting("ana", "bob", size=(120, 40)) as chat:
        for text in HOSTILE.values():
            await chat.deliver(chat.client.post("bob", text), chat.client.post(text, "hi"))
        await chat.type("pageup", "pageup", "pagedown")


async def test_a_post_at_the_bottom_of_a_full_screen_costs_few_bytes(screens: Screens) -> None:
    async with chatting("ana", "bob", size=(120, 40)) as chat:
        await chat.deliver(*(chat.client.post("bob", f"line {n} of what was said") for n in range(60)))
        sent, count = screens.fast.fed, 20
        for n in range(count):
            await chat.deliver(chat.client.post("bob", f"and now number {n}, which is about as long as most"))
        assert (screens.fast.fed - sent) / count < 500


async def test_the_next_frame_includes_frames_that_had_to_wait(screens: Screens) -> None:
    screens.holding = True
    async with chatting("ana", "bob") as chat:
        await chat.deliver(chat.client.post("bob", "first"))
        chat.app._renderer._flow_control.handle_answer()
        chat.app._renderer._flow_control._bytes = 10_000
        await chat.deliver(chat.client.post("bob", "second\n" * 8))
        assert chat.app._renderer._flow_control.is_asking
        await chat.deliver(*(chat.client.post("bob", f"{n} later") for n in range(40)))
        assert "39 later" in "\n".join(screens.stock.lines)
        assert "39 later" not in "\n".join(screens.fast.lines)
        await chat.type(*"echo")
        assert any("echo" in line for line in screens.fast.lines)
        assert "39 later" not in "\n".join(screens.fast.lines)
        chat.app.post_message(events.CursorPosition(3, 3))
        await chat.pilot.pause()
        screens.compare()


async def test_a_resized_terminal_is_written_again(screens: Screens) -> None:
    async with chatting("ana", "bob") as chat:
        await chat.deliver(chat.client.post("bob", "hello"))
        before = screens.fast.seen
        screens.fast.scramble(random.Random(1))
        chat.app.post_message(events.Resize(Size(80, 24), Size(80, 24)))
        await chat.pilot.pause(0.1)
        assert screens.fast.seen == before


async def test_ctrl_l_repairs_the_screen(screens: Screens) -> None:
    async with chatting("ana", "bob") as chat:
        await chat.deliver(chat.client.post("bob", "hello"))
        screens.holding = True
        before = screens.fast.seen
        screens.fast.scramble(random.Random(1))
        await chat.type("ctrl+l")
        await chat.pilot.pause()
        assert screens.fast.seen == before


async def test_an_update_in_a_batch_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    async with chatting() as chat:
        app, shown = chat.app, list[object]()

        def show(update: object) -> bool:
            shown.append(update)
            return True

        monkeypatch.setattr(ChatApp, "is_headless", False)
        monkeypatch.setattr(app._renderer, "show", show)
        with app.batch_update():
            app._display(app.screen, update := Text("new"))
            assert shown[-1] is update, "nothing paints it again after the batch"


async def test_textual_writes_itself_if_it_is_not_as_expected(
    screens: Screens, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with chatting("ana", "bob") as chat:
        monkeypatch.undo()
        monkeypatch.setattr("textual.strip.Strip.render_ansi", None)
        chat.app._renderer._style_keys.clear()
        chat.app.refresh()
        await chat.pilot.pause()
        assert not chat.app._renderer.show(chat.app.screen._compositor.render_full_update())
        assert not chat.app._renderer._works


def test_an_environment_variable_disables_the_renderer() -> None:
    assert is_enabled({}, "linux")
    assert not is_enabled({OUTPUT_VARIABLE: " Textual"}, "linux")
    assert not is_enabled({}, "win32")
