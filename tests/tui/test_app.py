from __future__ import annotations

from pathlib import Path

import pytest
from textual import events
from textual.widgets import Input

from broadcast_tui.client.preferences import FILE_NAME, Preferences
from broadcast_tui.core.updates import ConnectionChanged, ConnectionState, NameDenied
from broadcast_tui.tui.app import ChatApp
from broadcast_tui.tui.keymap import AREAS, KEYS, shown_key
from broadcast_tui.tui.screens.chat import ChatScreen
from broadcast_tui.tui.screens.login import LoginScreen
from broadcast_tui.tui.terminal import Title, report_crash
from broadcast_tui.tui.widgets.composer import Composer
from tests.support.chat_app import chatting


async def test_the_first_thing_asked_is_the_name(tmp_path: Path) -> None:
    async with chatting(name="", home=tmp_path) as chat:
        assert isinstance(chat.app.screen, LoginScreen)
        assert chat.client.calls == []
        await chat.type(*"bob", "enter")
        assert isinstance(chat.app.screen, ChatScreen)
        assert chat.client.name == "bob"
        assert chat.client.calls == [("start",)]
    assert Preferences.load(tmp_path).name == "bob"


async def test_the_last_name_is_offered(tmp_path: Path) -> None:
    preferences = Preferences.load(tmp_path)
    preferences.name = "eve"
    preferences.save()
    async with chatting(name="", home=tmp_path) as chat:
        assert chat.app.screen.query_one(Input).value == "eve"
        await chat.type("enter")
        assert chat.client.name == "eve"


async def test_a_bad_name_is_refused_while_typing() -> None:
    async with chatting(name="") as chat:
        for typed, says in [("system", "reserved"), ("x" * 40, "shorter"), ("<b>", "letters")]:
            chat.app.screen.query_one(Input).value = typed
            await chat.pilot.pause()
            assert says in " ".join(" ".join(chat.drawn("#login-reason")).split())
            assert chat.app.screen.query_one("#login-reason").has_class("-bad")
            await chat.type("enter")
            assert isinstance(chat.app.screen, LoginScreen)


async def test_a_bad_name_from_outside_brings_the_dialog_with_the_reason() -> None:
    async with chatting(name="system") as chat:
        assert isinstance(chat.app.screen, LoginScreen)
        assert "reserved" in " ".join(chat.drawn("#login-reason"))
        assert chat.client.calls == []


async def test_an_empty_name_is_refused_when_it_is_meant() -> None:
    async with chatting(name="") as chat:
        assert not chat.app.screen.query_one("#login-reason").has_class("-bad")
        await chat.type("enter")
        assert "empty" in " ".join(chat.drawn("#login-reason"))


async def test_a_taken_name_brings_the_dialog_back_with_the_reason() -> None:
    async with chatting() as chat:
        await chat.deliver(
            NameDenied("ana", "name_taken", "That name is taken."), ConnectionChanged(ConnectionState.REFUSED)
        )
        assert isinstance(chat.app.screen, LoginScreen)
        assert "taken" in " ".join(chat.drawn("#login-reason"))
        assert chat.app.screen.query_one(Input).value == "ana"
        await chat.type("2", "enter")
        assert chat.client.called("rename") == [("ana2",)]
        assert isinstance(chat.app.screen, ChatScreen)
        await chat.deliver(*chat.client.online("ana2"))
        assert "● online" in chat.drawn("#status")[0]


async def test_a_paste_into_the_name_is_cleaned() -> None:
    async with chatting(name="") as chat:
        chat.app.screen.query_one(Input).post_message(events.Paste("\x1b[31mbob\u202e\nrm -rf\n"))
        await chat.pilot.pause()
        assert chat.app.screen.query_one(Input).value == "[31mbob"


async def test_keys_of_the_dialog_are_done_in_the_order_typed() -> None:
    async with chatting(name="") as chat:
        for key in ["o", "l", "d", "ctrl+u", "n", "e", "x", "backspace", "w", "enter"]:
            character = {"ctrl+u": "\x15", "backspace": "\x7f", "enter": "\r"}.get(key, key)
            chat.app.post_message(events.Key(key, character))
        await chat.pilot.pause()
        assert chat.client.name == "new"


async def test_alt_backspace_deletes_the_word_before_the_cursor_in_the_dialog() -> None:
    async with chatting(name="") as chat:
        await chat.type(*"one", " ", *"two", "alt+backspace")
        assert chat.app.screen.query_one(Input).value == "one "


async def test_ctrl_q_leaves_from_the_dialog() -> None:
    async with chatting(name="") as chat:
        await chat.type("ctrl+q")
        assert chat.app.return_code == 0


async def test_the_theme_is_remembered(tmp_path: Path) -> None:
    async with chatting("ana", home=tmp_path) as chat:
        chat.app.theme = "nord"
        await chat.pilot.pause()
    async with chatting("ana", home=tmp_path) as chat:
        assert chat.app.theme == "nord"


async def test_a_corrupt_file_of_preferences_is_a_notice(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text("{")
    async with chatting("ana", home=tmp_path, size=(120, 30)) as chat:
        assert "Ignoring" in chat.toasts


async def test_a_crash_ends_with_one_line_and_a_file(tmp_path: Path) -> None:
    apps: list[ChatApp] = []

    async def crash() -> None:
        async with chatting("ana", home=tmp_path) as chat:
            apps.append(chat.app)
            chat.app.call_later(lambda: 1 // 0)
            await chat.pilot.pause()

    with pytest.raises(ZeroDivisionError):
        await crash()
    assert apps[0].return_code == 1
    assert "ZeroDivisionError" in (tmp_path / "crash.log").read_text()


def test_a_crash_report_is_one_safe_line(tmp_path: Path) -> None:
    line = report_crash(ValueError("bad\n\x1b[31m" + "x" * 500), tmp_path)
    assert line.startswith("broadcast-tui: internal error: ValueError: bad")
    assert str(tmp_path / "crash.log") in line
    assert not set("\n\x1b") & set(line)
    (tmp_path / "file").write_text("")
    assert "no details" in report_crash(ValueError("x"), tmp_path / "file")


def test_the_title_is_pushed_once_made_safe_and_given_back() -> None:
    written: list[str] = []
    title = Title(written.append)
    title.set("lob\x1b]0;by\x07", 3)
    title.set("lob\x1b]0;by\x07", 3)
    title.give_back()
    title.give_back()
    assert written[:2] == ["\x1b[22;0t", "\x1b]0;(3) lob␛]0;by␇ · broadcast-tui\x07"]
    assert written[2].endswith("\x1b[23;0t")
    assert len(written) == 3
    title.show_again()
    assert "(3)" in written[3]


def test_every_key_has_one_meaning_in_its_place() -> None:
    assert len({row.id for row in KEYS}) == len(KEYS)
    assert {row.area for row in KEYS} == set(AREAS)
    for area in AREAS:
        keys = [key for row in KEYS if row.area == area for key in row.keys.split(",")]
        assert len(keys) == len(set(keys))


def test_every_binding_is_in_the_key_table() -> None:
    rows = {row.id: row for row in KEYS}
    bound = [b for cls in (ChatApp, ChatScreen, Composer) for b in cls.__dict__["BINDINGS"]]
    assert {binding.id for binding in bound} == set(rows)
    assert all(binding.key == rows[binding.id].keys for binding in bound)


def test_keys_are_written_as_people_write_them() -> None:
    assert [shown_key(key) for key in ("f1", "ctrl+a", "alt+backspace", "pageup")] == [
        "F1",
        "Ctrl+A",
        "Alt+Backspace",
        "PgUp",
    ]
