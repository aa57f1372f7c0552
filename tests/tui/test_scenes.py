"""Snapshots of all screens; see `tests/support/scenes.py`."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from textual.color import Color
from textual.theme import Theme

import broadcast_tui.tui
from broadcast_tui.tui.model.text.colors import MIN_CONTRAST, contrast
from broadcast_tui.tui.themes import DARK, HIGH_CONTRAST_THEMES, LIGHT, OWN_THEMES
from broadcast_tui.tui.widgets.dialog import Dialog
from tests.support.chat_app import Chat, chatting
from tests.support.contrast import weak_texts
from tests.support.running import eventually
from tests.support.scenes import PEOPLE, SCENES, fixed_clock, showing
from tests.support.screen_text import compare, screen_text

SIZES = [(80, 24), (40, 10), (120, 40)]
USUAL_THEMES = (DARK, LIGHT)


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
    """Snapshots of dialogs in the usual themes, and the contrast of all screens in all of ours."""
    scene = SCENES[name]
    weak: list[str] = []
    async with showing(name) as chat:
        assert type(chat.app.screen).__name__ == scene.screen
        for size in SIZES if scene.important else SIZES[:1]:
            await chat.pilot.resize_terminal(*size)
            for theme in OWN_THEMES if size == SIZES[0] else USUAL_THEMES:
                await set_theme(chat, theme.name)
                region = chat.app.screen.query_one(Dialog).region if scene.dialog else None
                if scene.dialog and theme in USUAL_THEMES:
                    # Without the chat behind it, which has snapshots of its own.
                    text = screen_text(chat.app, region=region)
                    compare(f"{name}-{size[0]}x{size[1]}-{theme.name}", text)
                if size == SIZES[0]:
                    found = weak_texts(chat.app, minimum_in(theme), region)
                    weak += [f"{theme.name}: {each}" for each in found]
    assert weak == []


@pytest.mark.parametrize("theme", OWN_THEMES, ids=lambda theme: theme.name)
async def test_the_command_palette(theme: Theme) -> None:
    """Opened in each theme: Textual does not restyle an open palette."""
    async with chatting(*PEOPLE, theme=theme.name) as chat:
        await chat.type("ctrl+g", *"theme")
        await eventually(lambda: "Use these colors" in "\n".join(chat.drawn()))
        await chat.type("down")
        region = chat.app.screen.query_one("CommandPalette > Vertical").region
        if theme in USUAL_THEMES:
            compare(f"palette-80x24-{theme.name}", screen_text(chat.app, region=region))
        assert weak_texts(chat.app, minimum_in(theme), region) == []


@pytest.mark.parametrize("theme", OWN_THEMES, ids=lambda theme: theme.name)
@pytest.mark.parametrize(("scene", "part"), [("away", "(away)"), ("muted", "random ⊘")])
async def test_less_important_text_is_weaker(scene: str, part: str, theme: Theme) -> None:
    async with showing(scene, theme=theme.name) as chat:
        strips = chat.app.screen._compositor.render_strips()
        styles = [style for strip in strips for text, style, _ in strip if part in text]
        strongest = chat.app.current_theme.foreground
        assert styles
        for style in styles:
            assert style is not None
            assert style.color is not None
            assert style.bgcolor is not None
            color, background = style.color.get_truecolor(), style.bgcolor.get_truecolor()
            assert strongest is not None
            assert contrast(color, background) < contrast(Color.parse(strongest).rgb, background)


def minimum_in(theme: Theme) -> float:
    """The lowest contrast of text in one of our themes."""
    return 7.0 if theme in HIGH_CONTRAST_THEMES else MIN_CONTRAST


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
    abstract = {"DialogScreen", "FilterListScreen"}
    seen_above = {"Palette"}
    assert declared - abstract - seen_above == {scene.screen for scene in SCENES.values()}
