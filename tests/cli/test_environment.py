"""Warnings about environment variables that no command knows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from broadcast_tui.cli.environment import PREFIX, known_variables, unknown_variables
from tests.cli.program import ROOT
from tests.compat.program import run


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("SERVE_PROT", "Did you mean BROADCAST_TUI_SERVE_PORT?"),
        ("SERVER_PORT", "Did you mean BROADCAST_TUI_SERVE_PORT?"),
        ("MAX_ROOMS", "Did you mean BROADCAST_TUI_SERVE_MAX_ROOMS?"),
        ("serve_port", "Did you mean BROADCAST_TUI_SERVE_PORT?"),
        ("TOKN", "Did you mean BROADCAST_TUI_TOKEN?"),
        ("PORT", "Did you mean BROADCAST_TUI_SERVE_PORT?"),
        ("QQQQ", "It has no effect."),
    ],
)
def test_an_unknown_variable_is_named_with_the_nearest_known_one(name: str, advice: str) -> None:
    lines = [f"Unknown environment variable: {PREFIX}{name}. {advice}"]
    assert list(unknown_variables({"HOME": "/", f"{PREFIX}{name}": "secret"})) == lines


def test_variables_of_other_commands_and_of_kubernetes_are_not_reported() -> None:
    known = dict.fromkeys(("SERVE_PORT", "START_PORT", "CONNECT_NAME", "TOKEN_CREATE_ROLE", "TOKEN"), "x")
    services = {
        "SERVICE_HOST": "10.0.0.1",
        "SERVICE_PORT": "8765",
        "SERVICE_PORT_HTTP": "8765",
        "PORT": "tcp://10.0.0.1:8765",
        "PORT_8765_TCP": "tcp://10.0.0.1:8765",
        "PORT_8765_TCP_ADDR": "10.0.0.1",
    }
    environ = {f"{PREFIX}{name}": value for name, value in {**known, **services}.items()}
    assert list(unknown_variables({**environ, "BROADCAST_TUIX": "x", "BROADCAST": "x"})) == []


def test_every_variable_in_the_documentation_and_the_code_is_known() -> None:
    texts = [path.read_text("utf-8") for path in (ROOT / "docs").glob("*.md")]
    texts += [path.read_text("utf-8") for path in (ROOT / "broadcast_tui").rglob("*.py")]
    found = {name for text in texts for name in re.findall(rf"{PREFIX}[A-Z0-9_]*[A-Z0-9]\b", text)}
    assert len(found) > 100
    assert found <= known_variables()


def test_the_warning_is_a_line_and_no_error(tmp_path: Path) -> None:
    env = {f"{PREFIX}SERVE_PROT": "1", f"{PREFIX}SERVE_PORT": "2"}
    outcome = run("config", "chat", home=tmp_path, env=env)
    assert outcome.status == 0
    assert outcome.err == (
        "broadcast-tui: Unknown environment variable: BROADCAST_TUI_SERVE_PROT. "
        "Did you mean BROADCAST_TUI_SERVE_PORT?\n"
    )
    kiosk = run("chat", "--kiosk", "--name", "x", home=tmp_path, env=env)
    assert "PROT" not in kiosk.err
