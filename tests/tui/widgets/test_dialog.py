"""Dialogs: whole hints, readable highlighted rows, and keys that are typed before they are mounted."""

from __future__ import annotations

import pytest
from textual import events
from textual.screen import ModalScreen
from textual.widgets import OptionList

from broadcast_tui.tui.screens.palette import Palette, choose_theme
from broadcast_tui.tui.widgets.dialog import Dialog, fitting_hints
from tests.support.chat_app import Chat, chatting
from tests.support.scenes import SCENES, showing

DIALOGS = [name for name, scene in SCENES.items() if scene.dialog]


@pytest.mark.parametrize(
    ("cells", "shown"),
    [(31, "↑↓ Choose · Enter Go · Esc Back"), (30, "Enter Go · Esc Back"), (18, "Esc Back"), (7, "")],
)
def test_hints_that_do_not_fit_are_left_out(cells: int, shown: str) -> None:
    assert fitting_hints(("↑↓ Choose", "Enter Go", "Esc Back"), cells) == shown


@pytest.mark.parametrize("name", DIALOGS)
async def test_a_dialog_has_a_frame_with_a_title_and_hints_before_the_dimmed_chat(name: str) -> None:
    async with showing(name, size=(48, 14)) as chat:
        screen = chat.app.screen
        assert isinstance(screen, ModalScreen)
        box = screen.query_one(Dialog)
        rows = [row.strip() for row in chat.drawn(f"#{box.id}")]
        assert rows[0].startswith("╭─ ")
        assert rows[-1].startswith("╰─")
        assert "…" not in rows[-1]
        assert rows[-1].endswith(("Esc Close ─╯", "Esc Back ─╯", "Esc Back to the room ─╯", "Quit ─╯"))
        assert 0 < screen.styles.background.a < 1


async def type_at_once(chat: Chat, *keys: str) -> None:
    """Type keys that arrive in one read."""
    for key in keys:
        chat.app.post_message(events.Key(key, "\r" if key == "enter" else None))
    await chat.settled()
    await chat.pilot.pause()


@pytest.mark.parametrize(
    ("opens", "closes"),
    [("f6", "f6"), ("f6", "escape"), ("f1", "f1"), ("alt+k", "alt+k"), ("ctrl+g", "escape")],
)
async def test_a_key_typed_before_a_dialog_is_mounted_closes_it(opens: str, closes: str) -> None:
    async with chatting("ana") as chat:
        await type_at_once(chat, opens, closes)
        assert not isinstance(chat.app.screen, ModalScreen)
        assert chat.screen.is_running


@pytest.mark.parametrize("opened_by", ["alt+k", "ctrl+g", "/delete", "themes"])
async def test_two_enter_in_one_read_choose_once(opened_by: str) -> None:
    async with chatting("ana", "bob") as chat:
        await chat.deliver(chat.client.post("ana", "hello"))
        if opened_by.startswith("/"):
            await chat.enter(opened_by)
        elif opened_by == "themes":
            choose_theme(chat.app)
            await chat.pilot.pause()
        else:
            await chat.type(opened_by)
        assert isinstance(chat.app.screen, ModalScreen)
        while chat.app.screen.query_one(OptionList).option_count == 0:
            await chat.pilot.pause()
        await type_at_once(chat, "enter", "enter")
        assert not isinstance(chat.app.screen, ModalScreen)
        assert chat.screen.is_running


async def test_two_enter_in_one_read_run_a_command_of_the_palette_once() -> None:
    async with chatting("ana", "bob") as chat:
        await chat.type("ctrl+g", *"People")
        listed = chat.app.screen.query_one(OptionList)
        while not (listed.option_count and "People" in str(listed.get_option_at_index(0).prompt)):
            await chat.pilot.pause()
        await type_at_once(chat, "enter", "enter")
        assert chat.screen.people.display


async def test_a_timer_of_the_palette_that_fires_while_it_closes_does_nothing() -> None:
    async with chatting("ana") as chat:
        await chat.type("ctrl+g")
        palette = chat.app.screen
        assert isinstance(palette, Palette)
        timer = palette.set_timer(60, lambda: palette.query_one("#gone"))
        assert timer._callback is not None
        timer._callback()
        palette.dismiss()
        await chat.pilot.pause()
        assert chat.screen.is_running
