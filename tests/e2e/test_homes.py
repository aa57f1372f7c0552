"""The home directory: shared by two chats of one user, or unusable."""

from __future__ import annotations

import json
from pathlib import Path

from tests.e2e.conftest import Open, ServerProcess


def test_two_chats_with_one_home_merge_their_changes(
    server: ServerProcess, open_terminal: Open, tmp_path: Path
) -> None:
    first = open_terminal("chat", server.url, "--name", "ana")
    first.wait_for("● online")
    second = open_terminal("chat", server.url, "--name", "eve")
    second.wait_for("● online")
    first.enter("/ignore bob")
    first.wait_for("Ignoring bob")
    second.enter("/ignore max")
    second.wait_for("Ignoring max")
    first.enter("/join dev")
    first.wait_for("Joined #dev")
    second.enter("/join ops")
    second.wait_for("Joined #ops")
    for chat in (first, second):
        chat.enter("/quit")
        assert chat.wait_exit() == 0
    (path,) = tmp_path.rglob("state.json")
    saved = json.loads(path.read_text())
    assert set(saved["ignored"][server.url]) == {"bob", "max"}
    assert set(saved["rooms"][server.url]["joined"]) == {"lobby", "dev", "ops"}


def test_without_a_usable_home_the_chat_runs_and_says_once_that_nothing_is_saved(
    server: ServerProcess, open_terminal: Open, tmp_path: Path
) -> None:
    (tmp_path / "home").write_text("a file")
    ana = open_terminal("chat", server.url, "--name", "ana")
    ana.wait_for("● online", "Nothing is saved: cannot write")
    ana.enter("hello")
    ana.wait_for("hello")
    assert "Cannot read" not in ana.text
    ana.enter("/quit")
    assert ana.wait_exit() == 0
