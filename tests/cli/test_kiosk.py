"""`chat --kiosk`: variables that a client of sshd may set choose nothing."""

from __future__ import annotations

import pytest

from broadcast_tui.cli.kiosk import forget_variables, is_kiosk
from broadcast_tui.cli.runner import run


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("chat --kiosk --name ken", True),
        ("connect ws://host --name ken --kiosk", True),
        ("chat --name ken", False),
        ("send --kiosk", False),
        ("", False),
    ],
)
def test_a_kiosk_is_recognized_by_its_command_line(words: str, expected: bool) -> None:
    assert is_kiosk(words.split()) is expected


def test_variables_that_choose_options_are_forgotten() -> None:
    environment = {
        "BROADCAST_TUI_TOKEN": "bt_x",
        "BROADCAST_TUI_CONFIG": "/etc/shadow",
        "BROADCAST_TUI_CHAT_URL": "ws://192.0.2.1",
        "TEXTUAL_LOG": "/home/chat/.ssh/authorized_keys",
        "TEXTUAL": "debug",
        "BROADCAST_TUI_OUTPUT": "textual",
        "LANG": "C.UTF-8",
        "TERM": "xterm",
    }
    forget_variables(environment)
    assert set(environment) == {"BROADCAST_TUI_OUTPUT", "LANG", "TERM"}


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("BROADCAST_TUI_CONFIG", "/dev/null/config.toml"),
        ("BROADCAST_TUI_CHAT_NAME", "root"),
        ("BROADCAST_TUI_CHAT_SERVE", "true"),
        ("BROADCAST_TUI_CHAT_PORT", "port"),
    ],
)
def test_a_kiosk_starts_as_without_them(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(variable, value)
    assert run(["chat", "--kiosk"]) == 2
    assert "--kiosk requires --name" in capsys.readouterr().err
