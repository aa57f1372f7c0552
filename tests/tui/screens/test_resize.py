"""The terminal after a resize, compared with a chat that was started at that size."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from rich.console import RenderableType
from rich.control import Control
from textual import events, messages
from textual._compositor import CompositorUpdate, LayoutUpdate
from textual.drivers.headless_driver import HeadlessDriver
from textual.geometry import Size
from textual.screen import Screen

from broadcast_tui.tui.app import ChatApp
from broadcast_tui.tui.screens.chat import ChatScreen
from tests.support.chat_app import Chat, chatting
from tests.support.running import eventually
from tests.support.scenes import fixed_clock
from tests.support.strict_screen import StrictScreen

SIZES = [(80, 24), (120, 40), (40, 10)]
POST = "a post that takes two rows or more in a narrow terminal, and one in a wide one"
PREPARED = {
    "log": (),
    "dialog": ("f1",),
    "find bar": ("ctrl+f", *"post 49"),
    "long draft": tuple("words that fill more than one row of the composer " * 2),
    "picked": ("f7",),
}
"""Keys that are typed before the resize."""


class Terminal:
    """Shows what the app writes; a resize leaves it with random content."""

    def __init__(self) -> None:
        self._screen = StrictScreen(80, 24)
        self.full_paints = 0

    def show(self, app: ChatApp, update: CompositorUpdate) -> None:
        size = app.screen.outer_size
        if (self._screen.width, self._screen.height) != size:
            self._screen = StrictScreen(*size)
            self._screen.scramble(random.Random(1))
        self.full_paints += isinstance(update, LayoutUpdate)
        home = Control.move_to(0, 0).segment.text
        self._screen.feed(update.render_segments(app.console) + home)

    @property
    def rows(self) -> list[str]:
        return [row.rstrip() for row in self._screen.lines]


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    found, shown = Terminal(), ChatApp._display

    def display(app: ChatApp, screen: Screen[object], update: RenderableType | None) -> None:
        if isinstance(update, CompositorUpdate) and app._running:
            found.show(app, update)
        shown(app, screen, update)

    monkeypatch.setattr(ChatApp, "_display", display)
    return found


@pytest.fixture(autouse=True)
def fixed_time(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with fixed_clock(monkeypatch):
        yield


@asynccontextmanager
async def chat_of_size(size: tuple[int, int], keys: tuple[str, ...] = ()) -> AsyncIterator[Chat]:
    async with chatting("ana", "bob", "carl", size=size) as chat:
        posts = (chat.client.post("bob", f"post {number}: {POST}") for number in range(50))
        await chat.deliver(*posts)
        await chat.type(*keys)
        yield chat


async def finish(chat: Chat) -> None:
    """Wait until everything is measured and shown."""
    await chat.settled()
    log = next(screen.log_view for screen in chat.app.screen_stack if isinstance(screen, ChatScreen))
    while not log.index.is_exact:
        await chat.pilot.pause(0.005)
    await chat.pilot.pause(0.05)


def post_resize(chat: Chat, size: tuple[int, int]) -> None:
    """Resize the terminal without waiting."""
    assert isinstance(chat.app._driver, HeadlessDriver)
    chat.app._driver._size = Size(*size)
    chat.app.post_message(events.Resize(Size(*size), Size(*size)))


async def rows_of_fresh_start(terminal: Terminal, size: tuple[int, int], keys: tuple[str, ...]) -> list[str]:
    async with chat_of_size(size, keys) as chat:
        await finish(chat)
        return terminal.rows


@pytest.mark.parametrize("prepared", PREPARED)
async def test_it_shows_the_same_as_after_a_start_at_that_size(terminal: Terminal, prepared: str) -> None:
    keys = PREPARED[prepared]
    expected = {size: await rows_of_fresh_start(terminal, size, keys) for size in SIZES}
    async with chat_of_size((100, 30), keys) as chat:
        for size in (*SIZES, SIZES[0]):
            await chat.pilot.resize_terminal(*size)
            await finish(chat)
            assert terminal.rows == expected[size], size


async def test_after_a_drag_it_shows_the_last_size_and_what_came_in_between(terminal: Terminal) -> None:
    async with chat_of_size((80, 24)) as chat:
        for step in range(30):
            post_resize(chat, (80 + step, 24 + step % 7))
            if step % 5 == 0:
                await chat.client.deliver(chat.client.post("bob", f"during the drag {step}"))
                chat.app.post_message(events.Key("x", "x"))
        post_resize(chat, (70, 22))
        await chat.pilot.pause()
        await finish(chat)
        shown, expected = terminal.rows, chat.drawn()
        assert shown == expected
        assert len(shown) == 22
        assert "during the drag 25" in "".join(shown)
        assert "xxxxxx" in "".join(shown)


@pytest.mark.parametrize("keys", [(), ("f1",)], ids=["log", "dialog"])
async def test_a_size_is_not_lost_behind_an_earlier_one(terminal: Terminal, keys: tuple[str, ...]) -> None:
    earlier, newer = Size(90, 30), Size(110, 28)
    async with chat_of_size((80, 24), keys) as chat:
        await chat.pilot.resize_terminal(*newer)
        await finish(chat)
        screen, expected = chat.app.screen, terminal.rows
        # Textual reports the earlier size again, behind the newer one.
        screen.post_message(events.Resize(earlier, earlier))
        screen.post_message(messages.Update(screen))
        screen.post_message(events.Resize(newer, newer))
        await eventually(lambda: not screen.message_queue_size)
        await finish(chat)
        assert screen.outer_size == newer
        assert terminal.rows == expected


async def test_a_scrolled_log_keeps_its_top_post(terminal: Terminal) -> None:
    async with chat_of_size((120, 40)) as chat:
        await chat.type("pageup")
        log = chat.screen.log_view
        assert log.top_anchor is not None
        top_id = log.top_anchor.line_id
        for size in SIZES:
            await chat.pilot.resize_terminal(*size)
            await finish(chat)
            assert terminal.rows == chat.drawn()
            anchor = log.index.anchor_at(round(log.scroll_y))
            assert anchor is not None
            assert anchor.line_id == top_id


async def test_a_new_size_takes_one_layout_and_one_paint(terminal: Terminal) -> None:
    async with chat_of_size((120, 30)) as chat:
        screen, layouts = chat.screen, list[Size]()
        screen.screen_layout_refresh_signal.subscribe(
            screen, lambda _: layouts.append(screen.outer_size), immediate=True
        )
        before = terminal.full_paints
        await chat.pilot.resize_terminal(120, 40)
        await finish(chat)
        assert layouts == [(120, 40)]
        assert terminal.full_paints == before + 1
