"""Snapshots of the screens; see `tests/support/screen_text.py`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from rich.color import ColorSystem

from broadcast_tui.core.post import Position
from broadcast_tui.core.session.updates import (
    CaughtUp,
    DirectOpened,
    RoomEntered,
)
from tests.support.chat_app import chatting
from tests.support.scenes import PEOPLE, deliver_thread, fixed_clock, showing
from tests.support.screen_text import compare, screen_text

AT_TWO_SIZES = pytest.mark.parametrize("size", [(40, 10), (80, 24)], ids=lambda size: f"{size[0]}x{size[1]}")


@pytest.fixture(autouse=True)
def fixed_time(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with fixed_clock(monkeypatch):
        yield


@pytest.mark.parametrize("theme", ["broadcast-dark", "broadcast-light"])
@pytest.mark.parametrize("size", [(40, 10), (80, 24), (120, 40)], ids=lambda size: f"{size[0]}x{size[1]}")
async def test_a_room(size: tuple[int, int], theme: str) -> None:
    async with showing("room", size=size, theme=theme) as chat:
        compare(f"room-{size[0]}x{size[1]}-{theme}", screen_text(chat.app))


@pytest.mark.parametrize("theme", ["ansi-dark", "ansi-light", "broadcast-dark", "broadcast-light"])
async def test_a_room_in_sixteen_colors(theme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("textual.constants.COLOR_SYSTEM", "standard")
    async with showing("room", theme=theme) as chat:
        compare(f"room-16-colors-{theme}", screen_text(chat.app, ColorSystem.STANDARD))


async def test_a_room_without_colors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with showing("room") as chat:
        compare("room-no-color", screen_text(chat.app))


@pytest.mark.parametrize("theme", ["broadcast-dark", "broadcast-light"])
@pytest.mark.parametrize("size", [(40, 10), (80, 24), (120, 40)], ids=lambda size: f"{size[0]}x{size[1]}")
async def test_notes(size: tuple[int, int], theme: str) -> None:
    async with showing("notes", size=size, theme=theme) as chat:
        compare(f"notes-{size[0]}x{size[1]}-{theme}", screen_text(chat.app))


async def test_notes_in_sixteen_colors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("textual.constants.COLOR_SYSTEM", "standard")
    async with showing("notes", theme="ansi-dark") as chat:
        compare("notes-16-colors", screen_text(chat.app, ColorSystem.STANDARD))


async def test_notes_without_colors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with showing("notes") as chat:
        compare("notes-no-color", screen_text(chat.app))


async def test_rooms_beside_it() -> None:
    async with showing("room", size=(120, 30)) as chat:
        await chat.deliver(
            RoomEntered("dev", 2, 0, "Everything about 1.4"), chat.client.post("bob", "hi ana", room="dev")
        )
        compare("rooms-120x30", screen_text(chat.app))


@pytest.mark.parametrize("size", [(120, 30), (80, 24), (40, 10)])
async def test_several_servers(size: tuple[int, int]) -> None:
    async with showing("servers", size=size) as chat:
        compare(f"servers-{size[0]}x{size[1]}", screen_text(chat.app))


async def test_finding() -> None:
    async with showing("find") as chat:
        compare("find-80x24", screen_text(chat.app))


async def test_a_list_of_completions() -> None:
    async with showing("completion") as chat:
        compare("completion-80x24", screen_text(chat.app))


@AT_TWO_SIZES
async def test_direct_messages(size: tuple[int, int]) -> None:
    room = "@ana+bob~x1"
    async with showing("room", size=size) as chat:
        await chat.deliver(DirectOpened(room, "bob", False, head=Position("k3f9", 1)))
        await chat.deliver(RoomEntered(room, 2, 1, ""), chat.client.post("bob", "Lunch at noon?", room=room))
        await chat.deliver(CaughtUp(room))
        await chat.enter("/buffer bob")
        compare(f"direct-{size[0]}x{size[1]}", screen_text(chat.app))


async def test_the_room_switcher_in_sixteen_colors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("textual.constants.COLOR_SYSTEM", "standard")
    async with chatting(*PEOPLE, theme="ansi-dark") as chat:
        await chat.type("alt+k")
        compare("switcher-16-colors", screen_text(chat.app, ColorSystem.STANDARD))


@AT_TWO_SIZES
async def test_a_picked_post_with_its_actions(size: tuple[int, int]) -> None:
    async with showing("room", size=size) as chat:
        await chat.type("alt+up", "k", "k", "k")
        compare(f"pick-{size[0]}x{size[1]}", screen_text(chat.app))


async def test_the_bare_view() -> None:
    async with showing("room") as chat:
        await chat.type("alt+l")
        compare("bare-80x24", screen_text(chat.app))


@pytest.mark.parametrize("theme", ["broadcast-dark", "broadcast-light"])
@AT_TWO_SIZES
async def test_a_reply(size: tuple[int, int], theme: str) -> None:
    name = f"{size[0]}x{size[1]}-{theme}"
    async with chatting(*PEOPLE, size=size, theme=theme) as chat:
        await deliver_thread(chat)
        await chat.type("alt+up", "k", "k", "k", "r", *"me too")
        compare(f"reply-{name}", screen_text(chat.app))
