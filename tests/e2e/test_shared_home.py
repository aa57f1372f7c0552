"""Two chats of one user share their saved state."""

from __future__ import annotations

import json
from pathlib import Path

from tests.e2e.conftest import Open, ServerProcess


def test_two_chats_with_one_home_keep_each_others_changes(
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
