from __future__ import annotations

import sys
from pathlib import Path

import pytest

from broadcast_tui.tui.terminal.editor import EditorError, editor_command
from tests.support.chat_app import chatting


def program(directory: Path, name: str) -> str:
    path = directory / name
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.skipif(sys.platform == "win32", reason="programs are found by their mode")
def test_visual_precedes_editor_and_both_precede_the_defaults(tmp_path: Path) -> None:
    for name in ("nano", "vi", "mine", "other"):
        program(tmp_path, name)
    environment = {"PATH": str(tmp_path)}
    assert editor_command(environment) == ["nano"]
    environment["EDITOR"] = "other"
    assert editor_command(environment) == ["other"]
    environment["VISUAL"] = "mine -w --name 'a b'"
    assert editor_command(environment) == ["mine", "-w", "--name", "a b"]
    environment["VISUAL"] = "  "
    assert editor_command(environment) == ["other"]
    (tmp_path / "nano").unlink()
    assert editor_command({"PATH": str(tmp_path)}) == ["vi"]


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({}, "Set EDITOR"),
        ({"EDITOR": "nowhere -w"}, "Editor not found: nowhere -w (from EDITOR)."),
        ({"VISUAL": "a 'b"}, "Invalid VISUAL"),
        ({"VISUAL": "a\x1b[31m"}, "not found: a␛[31m"),
    ],
)
def test_a_missing_editor_is_one_line_with_advice(
    environment: dict[str, str], words: str, tmp_path: Path
) -> None:
    with pytest.raises(EditorError) as failed:
        editor_command({"PATH": str(tmp_path), **environment})
    assert words in str(failed.value)
    assert "\n" not in str(failed.value)


async def test_the_text_stays_if_the_terminal_cannot_be_suspended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VISUAL", sys.executable)
    async with chatting("ana") as chat:
        await chat.type(*"text", "ctrl+x")
        while not chat.toasts:
            await chat.pilot.pause()
        assert "cannot run an editor" in chat.toasts
        assert chat.composer.text == "text"
