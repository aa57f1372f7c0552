"""The name of the system's user, and how the chat and the commands for scripts use it."""

from __future__ import annotations

import pytest

from broadcast_tui.cli.login_name import login_name, system_user


@pytest.mark.parametrize(
    ("user", "name"),
    [
        ("ana", "ana"),
        ("CORP\\ana", "ana"),
        ("ana@corp.example", "ana"),
        ("root", ""),
    ],
)
def test_login_name_is_a_name_without_a_domain(monkeypatch: pytest.MonkeyPatch, user: str, name: str) -> None:
    monkeypatch.setenv("LOGNAME", user)
    assert login_name() == name


@pytest.mark.parametrize("error", [KeyError, OSError, ImportError])
def test_a_user_without_a_name_has_none(monkeypatch: pytest.MonkeyPatch, error: type[Exception]) -> None:
    def fail() -> str:
        raise error

    monkeypatch.setattr("getpass.getuser", fail)
    assert (system_user(), login_name()) == ("", "")
