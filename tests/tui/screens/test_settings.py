"""The settings screen and /set: changes apply at once and are saved beside the configuration file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from textual.widgets import Static

from broadcast_tui.tui.model.settings import SETTINGS, Fixed
from broadcast_tui.tui.screens.settings import SettingsScreen
from tests.support.chat_app import Chat, chatting
from tests.support.scenes import deliver_conversation


def saved(home: Path) -> dict[str, object]:
    content: dict[str, object] = json.loads((home / "state.json").read_text("utf-8"))
    return content


def row(chat: Chat, label: str) -> str:
    return next(line for line in chat.drawn("#settings-rows") if label in line)


@pytest.mark.parametrize("size", [(80, 24), (40, 10)])
async def test_settings_are_changed_by_keys_and_saved(size: tuple[int, int], tmp_path: Path) -> None:
    async with chatting("ana", "bob", size=size, home=tmp_path) as chat:
        await deliver_conversation(chat)
        assert any(line.lstrip().startswith("10:34") for line in chat.drawn("#log"))
        await chat.enter("/settings")
        assert isinstance(chat.app.screen, SettingsScreen)
        await chat.type("j", "right")
        assert "  12h" in row(chat, "Time of posts")
        await chat.type("escape")
        await chat.settled()
        assert any(line.lstrip().startswith("10:34am") for line in chat.drawn("#log"))
        await chat.type("f6", "j", "l", "l", "f6")
        await chat.settled()
        assert not any("10:3" in line for line in chat.drawn("#log"))
        await chat.type("f6", "k", "k")  # the last one
        assert "Markdown" in SETTINGS[-1].label
    assert saved(tmp_path)["settings"] == {"time": "off"}
    async with chatting("ana", "bob", size=size, home=tmp_path) as chat:
        assert chat.app._settings["time"] == "off"


async def test_a_click_changes_a_setting() -> None:
    async with chatting("ana") as chat:
        await chat.type("f6")
        index = [setting.name for setting in SETTINGS].index("people")
        await chat.pilot.click("#settings-rows", offset=(3, index))
        await chat.pilot.pause()
        assert "  on" in row(chat, "Member list")
        await chat.pilot.click("#settings-rows", offset=(3, index))
        await chat.pilot.pause()
        assert "  off" in row(chat, "Member list")
        await chat.type("escape")
        assert not chat.screen.people.display


async def test_each_setting_has_an_effect_at_once(tmp_path: Path) -> None:
    async with chatting("ana", "bob", size=(100, 30), home=tmp_path) as chat:
        await deliver_conversation(chat)
        await chat.enter("/set theme broadcast-light")
        assert chat.app.theme == "broadcast-light"
        await chat.enter("/set names 20")
        await chat.enter("/set people off")
        await chat.enter("/set rooms on")
        await chat.enter("/set notify all")
        await chat.enter("/set joins none")
        await chat.enter("/set reactions off")
        await chat.enter("/set folding off")
        await chat.enter("/set markdown off")
        await chat.settled()
        screen, index = chat.screen, chat.screen.log_view.index
        assert (screen.people.display, screen.rooms.display) == (False, True)
        assert index.columns.name == 20
        assert index.columns.is_source
        visibility = index.visibility
        assert (visibility.presence.word, visibility.reactions, visibility.folding) == ("none", False, False)
        assert chat.screen._state.rooms.shown.level == "all"
        await chat.type("alt+j")
        assert chat.app._settings["joins"] == "auto"
    content = saved(tmp_path)
    assert content["settings"] == {
        "names": "20",
        "people": "off",
        "rooms": "on",
        "notify": "all",
        "folding": "off",
        "markdown": "off",
    }
    assert (content["theme"], content["presence"], content["reactions"]) == ("broadcast-light", "auto", False)


async def test_theme_and_setting_are_the_same(tmp_path: Path) -> None:
    async with chatting("ana", home=tmp_path) as chat:
        await chat.enter("/theme nord")
        assert chat.app._settings["theme"] == "nord"
        await chat.type("f6", "right")
        assert chat.app.theme == chat.app._settings["theme"] != "nord"
    assert saved(tmp_path)["theme"] == chat.app.theme


async def test_the_screen_says_what_is_fixed_and_a_change_of_it_is_for_this_run(tmp_path: Path) -> None:
    fixed = {"time": Fixed("seconds", "config.toml")}
    async with chatting("ana", home=tmp_path, fixed=fixed) as chat:
        await chat.type("f6", "j")
        assert "  seconds *" in row(chat, "Time of posts")
        about = chat.app.screen.query_one("#settings-about", Static)
        assert str(about.render()) == "* Fixed by config.toml. A change lasts until you quit."
        await chat.type("left")
        assert str(about.render()) == "* config.toml says seconds. This lasts until you quit."
    async with chatting("ana", home=tmp_path, fixed=fixed) as chat:
        assert chat.app._settings["time"] == "seconds"


async def test_set_lists_shows_and_rejects() -> None:
    async with chatting("ana", size=(100, 40)) as chat:
        await chat.enter("/set")
        assert "markdown = on  (on or off)" in " ".join(chat.drawn("#log"))
        await chat.enter("/clear")
        await chat.enter("/set people")
        assert "people = auto  (auto, on or off)" in " ".join(chat.drawn("#log"))
        await chat.enter("/set time 13h")
        assert "Invalid value for time: '13h'" in chat.toasts
        assert chat.composer.text == "/set time 13h"
        chat.composer.text = ""
        await chat.type(*"/set ti", "tab", *"se", "tab")
        assert chat.composer.text == "/set time seconds "


async def test_the_palette_finds_themes_and_settings() -> None:
    async with chatting("ana") as chat:
        found = {command.title: command for command in chat.app.get_system_commands(chat.screen)}
        found["Theme nord"].callback()
        assert chat.app.theme == "nord"
        found["Settings"].callback()
        await chat.pilot.pause()
        assert isinstance(chat.app.screen, SettingsScreen)
