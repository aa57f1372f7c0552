"""Errors in the command line: one line each, in words that say what to change."""

from __future__ import annotations

import os

import pytest

from broadcast_tui.cli import main

UNIT = "Write only the number, in the unit that the help names."
EXAMPLES = "Use 90s, 5m or 2h."


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("serve extra", "Unexpected argument: 'extra'."),
        ("serve extra more", "Unexpected arguments: 'extra', 'more'."),
        ("serve --port", "--port needs a value."),
        ("token create", "Missing argument: NAME."),
        ("history copy a", "Missing argument: TARGET."),
        ("hook create bob", "Missing option: --room."),
        ("hook create bob --rom ops", "Missing option: --room. Did you mean --room instead of --rom?"),
        ("serve --keep-days 3d", f"Invalid value for --keep-days: '3d' is not a number. {UNIT}"),
        ("serve --keep-bytes 64MB", f"Invalid value for --keep-bytes: '64MB' is not a whole number. {UNIT}"),
        ("serve --port 0x50", "Invalid value for --port: '0x50' is not a whole number."),
        ("serve --drain-delay x", f"Invalid value for --drain-delay: 'x' is not a duration. {EXAMPLES}"),
        ("tail --timeout 5x", "Invalid value for --timeout: '5x' is not a duration. " + EXAMPLES),
    ],
)
def test_errors_are_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: str, text: str
) -> None:
    for name in [name for name in os.environ if name.startswith("BROADCAST_TUI_")]:
        monkeypatch.delenv(name)
    with pytest.raises(SystemExit, match="2"):
        main(words.split())
    out, err = capsys.readouterr()
    assert out == ""
    command = " ".join(words.split()[: 2 if words.startswith(("token", "history", "hook")) else 1])
    assert err == f"broadcast-tui: {text} See 'broadcast-tui {command} --help'.\n"
