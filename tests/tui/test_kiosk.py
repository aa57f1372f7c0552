"""A kiosk: what its user could use this machine for is neither offered nor carried out."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from broadcast_tui.client.storage.preferences import kiosk_dir
from broadcast_tui.core.session.updates import ConnectionChanged, ConnectionState, DisconnectCause, NameDenied
from broadcast_tui.tui.commands.parser import CommandInput, InputError, grouped, help_lines, nearest, parse
from broadcast_tui.tui.commands.registry import COMMANDS, NOT_AVAILABLE, Kind, available_commands
from broadcast_tui.tui.keymap import key_help
from broadcast_tui.tui.model.input.completion import CompletionContext, argument_words, candidates, hint
from broadcast_tui.tui.screens.help import HelpScreen
from broadcast_tui.tui.terminal.signals import ignore_stop_keys, report_crash
from tests.support.chat_app import chatting
from tests.support.running import eventually

HIDDEN = {"connect", "export", "invite", "nick"}


def test_commands_that_reach_into_the_machine_are_not_available() -> None:
    offered = available_commands(kiosk=True)
    assert {command.name for command in COMMANDS} - {command.name for command in offered} == HIDDEN
    for command in COMMANDS:
        for word in (command.name, *command.aliases):
            for typed in (f"/{word}", f"/{word} x", f"/{word.upper()} /etc/passwd"):
                answer = parse(typed, kiosk=True)
                if command.name in HIDDEN:
                    assert answer == InputError(NOT_AVAILABLE)
                else:
                    assert answer == parse(typed)
                assert parse(typed) != InputError(NOT_AVAILABLE)


@pytest.mark.parametrize("name", sorted(HIDDEN))
def test_they_are_not_offered(name: str) -> None:
    context = CompletionContext(commands=available_commands(kiosk=True), own="ken")
    offered = [candidate.text for candidate in candidates("/", 1, context).found]  # type: ignore[union-attr]
    assert f"/{name} " not in offered
    assert len(offered) == len(COMMANDS) - len(HIDDEN)
    assert hint(f"/{name} ", len(name) + 2, lambda: context) is None
    assert hint("/me ", 4, lambda: context) is not None
    words = argument_words(
        Kind.COMMAND,
        name,
        people=(),
        rooms=(),
        themes=(),
        files=lambda _: (),
        commands=context.commands,
    )
    assert f"{name} " not in words
    rows = [usage.split()[0] for _, rows in grouped(kiosk=True) for usage, _ in rows]
    assert f"/{name}" not in rows
    assert "/me" in rows
    assert f"/{name}," not in "\n".join(help_lines(kiosk=True))
    assert help_lines(name, kiosk=True) == [NOT_AVAILABLE]
    similar = nearest(name[:-1], kiosk=True)
    assert similar is None or similar.name != name
    assert isinstance(parse(f"/{name} x"), CommandInput)


def test_help_omits_keys_that_do_nothing() -> None:
    def listed(*, kiosk: bool) -> set[str]:
        return {text for _, rows in key_help(kiosk=kiosk) for _, text in rows}

    missing = listed(kiosk=False) - listed(kiosk=True)
    assert {text.split()[0] for text in missing} == {"Suspend;", "Edit"}
    assert len(missing) == 2


async def test_kiosk_runs_no_program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a kiosk must not look for programs")

    monkeypatch.setattr("broadcast_tui.tui.widgets.conversation.browser_tool", refuse)
    monkeypatch.setattr("broadcast_tui.tui.terminal.clipboard.clipboard_tools", refuse)
    monkeypatch.setattr("broadcast_tui.tui.widgets.composer_panel.edit", refuse)
    monkeypatch.setattr("textual.app.App.action_suspend_process", refuse)
    monkeypatch.chdir(tmp_path)
    before = set(tmp_path.iterdir())
    async with chatting("ana", "bob", kiosk=True) as chat:
        await chat.deliver(chat.client.post("bob", "https://example.org/page"))
        for key in ("ctrl+x", "ctrl+z"):
            await chat.type(key)
            assert NOT_AVAILABLE in chat.toasts
            chat.app.clear_notifications()
        await chat.enter("/export here.md")
        assert NOT_AVAILABLE in chat.toasts
        chat.composer.give_back("")
        await chat.type("alt+up", "o")
        await eventually(lambda: "No browser available. Copied" in chat.toasts)
        await chat.type("escape", "f1")
        assert isinstance(chat.app.screen, HelpScreen)
        titles = [entry.title for entry in chat.app.get_system_commands(chat.app.screen)]
        assert "Theme" in titles
        assert "Screenshot" not in titles
    assert set(tmp_path.iterdir()) == before


async def test_palette_offers_available_commands_only() -> None:
    async with chatting("ana", kiosk=True) as chat:
        titles = {entry.title.split()[0] for entry in chat.app.get_system_commands(chat.screen)}
        assert "/me" in titles
        assert not titles & {f"/{name}" for name in HIDDEN}


async def test_rejected_name_ends_the_chat() -> None:
    async with chatting("ana", kiosk=True) as chat:
        denied = NameDenied("ana", "name_taken", "The name ana is taken.")
        await chat.deliver(denied, ConnectionChanged(ConnectionState.REFUSED))
        await eventually(lambda: chat.app.return_code == 1)


async def test_kiosk_does_not_ask_for_a_token() -> None:
    async with chatting(kiosk=True) as chat:
        shown = chat.app.screen
        await chat.deliver(
            ConnectionChanged(
                ConnectionState.REFUSED, "A token is needed.", cause=DisconnectCause.UNAUTHORIZED
            )
        )
        assert chat.app.screen is shown


def test_crash_writes_no_file(tmp_path: Path) -> None:
    line = report_crash(ValueError("secret of the machine"), None)
    assert line == "broadcast-tui: internal error (ValueError)"


def test_stop_keys_are_ignored() -> None:
    numbers = (signal.SIGTSTP, signal.SIGQUIT)
    before = [signal.getsignal(number) for number in numbers]
    try:
        ignore_stop_keys()
        for number in numbers:
            os.kill(os.getpid(), number)
            assert signal.getsignal(number) is signal.SIG_IGN
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def test_names_have_separate_directories() -> None:
    names = ("ken", "Ken", "..", "a/b", "ü" * 32)
    assert len({kiosk_dir(name) for name in names}) == len(names)
    assert {kiosk_dir(name).parent.name for name in names} == {"kiosk"}
