"""A server that requires tokens, in a real terminal."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from broadcast_tui.core.hub.auth import Role
from broadcast_tui.server.token_store import TokenStore
from tests.e2e.conftest import Open, ServerProcess
from tests.support.terminal import left_clean


@pytest.fixture
def closed(tmp_path: Path, book: TokenStore) -> Iterator[ServerProcess]:
    process = ServerProcess(tmp_path / "server.log")
    options = ("--auth", "token", "--tokens", str(book.path), "--history", "off", "--log-level", "debug")
    process.start(*options)
    yield process
    process.stop()


def shows_nothing_of(token: str, *places: bytes) -> bool:
    """Whether no part of the token is in any of the places."""
    parts = [token[start : start + 10].encode() for start in range(3, len(token) - 9)]
    return not any(part in place for part in parts for place in places)


def test_token_is_prompted_saved_and_prompted_again_after_revocation(
    closed: ServerProcess, book: TokenStore, open_terminal: Open, tmp_path: Path
) -> None:
    token, _ = book.create("ana", Role.MEMBER, None)
    ana = open_terminal("chat", closed.url, "--name", "somebody", columns=160)
    ana.wait_for("This server requires a token")
    ana.paste(token)
    ana.wait_for("••••")
    ana.type("\t ")
    ana.wait_for("[x] Save")
    ana.type("\r")
    ana.wait_for("is saved in")
    ana.wait_for("online", "as ana")
    ana.enter("hello")
    ana.wait_for("hello")
    ana.type("\x11")
    assert ana.wait_exit() == 0

    again = open_terminal("chat", closed.url)
    again.wait_for("as ana")
    book.revoke("ana")
    again.wait_for("was revoked", "Save token")
    again.type("\x1b")
    again.wait_gone("Save token")
    again.type("\x11")
    assert again.wait_exit() == 0
    for terminal in (ana, again):
        assert left_clean(bytes(terminal.raw))
    assert shows_nothing_of(token, bytes(ana.raw), bytes(again.raw), closed.log.read_bytes())


def test_invite_token_is_in_no_title_screen_or_log(
    closed: ServerProcess, book: TokenStore, open_terminal: Open, tmp_path: Path
) -> None:
    token, _ = book.create("ana", Role.MEMBER, None)
    ana = open_terminal("chat", f"{closed.url}/dev#token={token}", columns=160)
    ana.wait_for("is saved in")
    ana.wait_for("online", "#dev", "as ana")
    ana.type("\x11")
    assert ana.wait_exit() == 0
    again = open_terminal("chat", f"{closed.url}/dev")
    again.wait_for("online", "as ana")
    again.type("\x11")
    assert again.wait_exit() == 0
    assert shows_nothing_of(token, bytes(ana.raw), bytes(again.raw), closed.log.read_bytes())
    kept = [path for path in (tmp_path / "home").rglob("*") if path.is_file()]
    assert [path.name for path in kept if token.encode() in path.read_bytes()] == ["credentials.json"]
