"""Direct messages between real terminals."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from broadcast_tui.core.hub.auth import Role
from broadcast_tui.server.token_store import TokenStore
from tests.e2e.conftest import Open, ServerProcess
from tests.support.terminal import Terminal, left_clean

AT_TWO_SIZES = pytest.mark.parametrize(("columns", "rows"), [(80, 24), (40, 10)])


@AT_TWO_SIZES
def test_two_people_talk_alone(server: ServerProcess, open_terminal: Open, columns: int, rows: int) -> None:
    ana = open_terminal("chat", server.url, "--name", "ana", columns=columns, rows=rows)
    ana.wait_for("1 here")
    bob = open_terminal("chat", server.url, "--name", "bob", home="bob", columns=columns, rows=rows)
    mia = open_terminal("chat", server.url, "--name", "mia", home="mia", columns=100)
    ana.wait_for("3 here")
    bob.wait_for("3 here")
    ana.enter("/msg bob psst bob")
    ana.wait_for("Sent to @bob only.")
    bob.wait_for("2:@ana")
    assert "psst" not in bob.text
    bob.type("\x1ba")
    bob.wait_for("psst bob", "@ana")
    bob.enter("loud and clear")
    ana.wait_for("2:@bob")
    ana.enter("/r good")
    bob.wait_for("good")
    ana.enter("/query bob")
    ana.wait_for("loud and clear", "good")
    ana.enter("/part")
    ana.wait_for("Closed @bob")
    bob.enter("still there?")
    ana.wait_for("2:@bob")
    mia.enter("hello all")
    mia.wait_for("hello all")
    assert "@" not in mia.text
    for word in ("psst", "loud", "good", "still"):
        assert word.encode() not in bytes(mia.raw)
    for terminal in (ana, bob, mia):
        terminal.type("\x11")
        assert terminal.wait_exit() == 0
        assert left_clean(bytes(terminal.raw))


def wait_for_unread_from_ana(terminal: Terminal) -> None:
    """Wait until the room list counts one unread post in the direct messages with ana, the second room."""
    terminal.wait_until(lambda: re.search(r"2 @ana +1\b", terminal.text), "an unread post from ana")


def test_the_end_of_a_conversation_is_reported(server: ServerProcess, open_terminal: Open) -> None:
    ana = open_terminal("chat", server.url, "--name", "ana", columns=120)
    bob = open_terminal("chat", server.url, "--name", "bob", home="bob", columns=120)
    ana.wait_for("2 here")
    bob.wait_for("2 here")
    ana.enter("/query bob")
    ana.wait_for("Only you and bob can read", "Names prove nothing on this server")
    ana.enter("hi")
    wait_for_unread_from_ana(bob)
    server.kill()
    ana.wait_for("econnecting")
    server.start()
    ana.wait_for("The direct messages with bob have ended", "#lobby")
    bob.wait_gone("@ana")
    ana.enter("/msg bob again")
    wait_for_unread_from_ana(bob)


@pytest.fixture
def closed(tmp_path: Path, book: TokenStore) -> Iterator[ServerProcess]:
    process = ServerProcess(tmp_path / "server.log")
    options = ("--auth", "token", "--tokens", str(book.path), "--history", str(tmp_path / "history.db"))
    process.start(*options, "--log-level", "debug")
    yield process
    process.stop()


def test_a_person_who_is_away_reads_it_later(
    closed: ServerProcess, book: TokenStore, open_terminal: Open, tmp_path: Path
) -> None:
    tokens = {name: book.create(name, Role.MEMBER, None)[0] for name in ("ana", "bob")}
    ana = open_terminal("chat", f"{closed.url}#token={tokens['ana']}", "--plain", "--name", "ana")
    ana.wait_for("Joined #lobby as ana")
    ana.enter("/msg bob for later")
    ana.wait_for("Sent to @bob only.")
    bob = open_terminal("chat", f"{closed.url}#token={tokens['bob']}", home="bob", columns=120)
    wait_for_unread_from_ana(bob)
    bob.type("\x1ba")
    bob.wait_for("for later", "2 here", "bob (you)")
    bob.wait_until(lambda: re.search(r"  ana$", bob.text, re.MULTILINE), "ana in the list of people")
    bob.enter("thanks")
    ana.wait_for("@bob bob: thanks")
    bob.type("\x11")
    assert bob.wait_exit() == 0
    ana.enter("/r one more")
    ana.wait_for("Sent to @bob only.")
    again = open_terminal("chat", f"{closed.url}#token={tokens['bob']}", home="bob", columns=120)
    wait_for_unread_from_ana(again)
    again.wait_for("#lobby")
    again.enter("/query ana")
    again.wait_for("for later", "thanks", "one more")
    log = closed.log.read_text()
    assert "as bob" in log or "is bob" in log
    for word in ("for later", "thanks", "one more", "@"):
        assert word not in log
