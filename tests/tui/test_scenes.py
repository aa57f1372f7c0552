"""Snapshots of all screens; see `tests/support/scenes.py`."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import broadcast_tui.tui
from broadcast_tui.tui.themes import DARK, LIGHT
from broadcast_tui.tui.widgets.dialog import Dialog
from tests.support.chat_app import Chat
from tests.support.scenes import SCENES, fixed_clock, showing
from tests.support.screen_text import compare, screen_text

SIZES = [(80, 24), (40, 10), (120, 40)]


@pytest.fixture(autouse=True)
def fixed_time(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with fixed_clock(monkeypatch):
        yield


async def set_theme(chat: Chat, theme: str) -> None:
    chat.app.theme = theme
    await chat.pilot.pause()
    await chat.settled()


@pytest.mark.parametrize("name", SCENES)
async def test_a_screen(name: str) -> None:
    scene = SCENES[name]
    async with showing(name) as chat:
        assert type(chat.app.screen).__name__ == scene.screen
        if not scene.dialog:
            return  # for its snapshots, see test_snapshots.py
        for width, height in SIZES if scene.important else SIZES[:1]:
            await chat.pilot.resize_terminal(width, height)
            for theme in DARK.name, LIGHT.name:
                await set_theme(chat, theme)
                # Without the chat behind it, which has snapshots of its own.
                text = screen_text(chat.app, region=chat.app.screen.query_one(Dialog).region)
                compare(f"{name}-{width}x{height}-{theme}", text)


def declared_screens() -> set[str]:
    """Names of all classes of screens in the package, from its source: also those that nothing imports."""
    bases: dict[str, list[str]] = {}
    for path in Path(broadcast_tui.tui.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ClassDef):
                parts = [base.value if isinstance(base, ast.Subscript) else base for base in node.bases]
                bases[node.name] = [part.id for part in parts if isinstance(part, ast.Name)]

    def is_screen(name: str) -> bool:
        return name in ("Screen", "ModalScreen") or any(map(is_screen, bases.get(name, [])))

    return {name for name in bases if is_screen(name)}


def test_every_screen_has_a_scene() -> None:
    declared = declared_screens()
    assert {"ChatScreen", "ChoiceScreen", "UnsentQuestion"} <= declared
    abstract = {"FilterListScreen"}
    assert declared - abstract == {scene.screen for scene in SCENES.values()}
