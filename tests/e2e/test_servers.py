"""Several servers in one chat, in a real terminal: one is restarted while the other one is used."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.e2e.conftest import HistoryServer, Open, Other, ServerProcess
from tests.support.terminal import Terminal

ALT, F7 = "\x1b", "\x1b[18~"


@pytest.fixture
def work(tmp_path: Path) -> Iterator[HistoryServer]:
    """A server besides `server`, which can be killed and restarted with its history."""
    directory = tmp_path / "work"
    directory.mkdir()
    process = HistoryServer(directory)
    process.start()
    yield process
    process.stop()


def wait_for_state(terminal: Terminal, server: ServerProcess, mark: str) -> None:
    """Wait until the room list shows a server with the state `mark`."""
    start = f"127.0.0.1:{server.port} "
    terminal.wait_until(
        lambda: any(line.lstrip().startswith(start) and mark in line[:24] for line in terminal.lines),
        f"{start}{mark}",
    )


def row(terminal: Terminal, text: str) -> str:
    """The first row of the screen with `text`; empty if there is none."""
    return next((line for line in terminal.lines if text in line), "")


def test_a_killed_server_gets_its_posts_after_its_restart_and_the_other_one_works_meanwhile(
    server: ServerProcess, work: HistoryServer, open_terminal: Open
) -> None:
    ana = open_terminal("chat", server.url, work.url, "--name", "ana", columns=120, rows=30)
    wait_for_state(ana, server, "●")
    wait_for_state(ana, work, "●")
    ana.wait_for("▸1 lobby", " 2 lobby")
    ana.type(f"{ALT}2")
    ana.wait_for("▸2 lobby", "Joined #lobby")
    ana.enter("before the crash")
    ana.wait_for("before the crash")
    work.kill()
    ana.wait_for("◌ reconnecting")
    wait_for_state(ana, work, "◌")
    wait_for_state(ana, server, "●")
    ana.enter("written while it was down")
    ana.wait_for("1 queued")
    with closing(Other(server.url)) as bob:
        # In one write: what follows the key is for the other server.
        ana.type(f"a draft{ALT}1hello bob\r")
        ana.wait_for("● online", "▸1 lobby")
        assert "queued" not in ana.text
        bob.read_until("hello bob")
        bob.say("hello ana")
        ana.wait_for("hello ana")
    work.start()
    wait_for_state(ana, work, "●")
    with closing(Other(work.url)) as other:
        other.say("ana: welcome back")
        ana.wait_until(lambda: "@1" in row(ana, " 2 lobby"), "a mention on the other server")
        ana.type(f"{ALT}a")
        ana.wait_for(
            "▸2 lobby", "ana: welcome back", "before the crash", "written while it was down", "a draft"
        )
        assert "hello bob" not in ana.text
        assert "queued" not in ana.text


def test_servers_are_restored_unless_the_user_left_them_or_names_another(
    server: ServerProcess, work: HistoryServer, open_terminal: Open
) -> None:
    def start(*arguments: str) -> Terminal:
        return open_terminal("chat", *arguments, columns=100, rows=24)

    ana = start(server.url, "--name", "ana")
    ana.wait_for("Joined #lobby")
    assert "●  " not in ana.lines[0]
    ana.enter(f"/connect {work.url}/ops")
    ana.wait_for("▸2 ops", "Joined #ops")
    ana.enter("/quit")
    assert ana.wait_exit() == 0

    ana = start()
    ana.wait_for(" 1 lobby", "▸2 ops", f"127.0.0.1:{work.port}")
    ana.type(f"{ALT}1")
    ana.wait_for("▸1 lobby", " 2 ops")
    ana.enter("/quit")
    assert ana.wait_exit() == 0

    ana = start(work.url)
    ana.wait_for("Joined #ops", str(work.port))
    assert str(server.port) not in ana.text
    ana.enter("/quit")
    assert ana.wait_exit() == 0

    ana = start()
    ana.wait_for("▸1 lobby", " 2 ops")
    ana.enter(f"/disconnect 127.0.0.1:{server.port}")
    ana.wait_gone(f"127.0.0.1:{server.port}")
    ana.enter("/quit")
    assert ana.wait_exit() == 0

    ana = start()
    ana.wait_for("#ops", str(work.port))
    assert str(server.port) not in ana.text


@pytest.mark.parametrize(("columns", "rows", "unread"), [(40, 10, "#lobby .*  2@  "), (80, 24, "/lobby @1")])
def test_servers_in_smaller_terminals(
    server: ServerProcess, work: HistoryServer, open_terminal: Open, columns: int, rows: int, unread: str
) -> None:
    ana = open_terminal("chat", server.url, work.url, "--name", "ana", columns=columns, rows=rows)
    ana.wait_until(lambda: "● online" in ana.text and not set("◌◐") & set(ana.text), "both are online")
    with closing(Other(work.url)) as other:
        other.say("ana: look")
        ana.wait_until(lambda: re.search(unread, ana.text) is not None, "an unread post")
    work.kill()
    ana.wait_for("◌")
    ana.type(F7)
    ana.wait_for("▸1 lobby", " 2 lobby")


def test_plain_mode_names_the_server_of_other_rooms(
    server: ServerProcess, work: HistoryServer, open_terminal: Open
) -> None:
    ana = open_terminal("chat", server.url, "--plain", "--name", "ana", columns=100, rows=24)
    ana.wait_for("Joined #lobby")
    ana.type(f"/connect {work.url}/ops\n")
    ana.wait_for("Joined #ops")
    with closing(Other(server.url)) as bob:
        bob.say("ana: on the first one")
        ana.wait_for(f"127.0.0.1:{server.port}/#lobby ! bob: ana: on the first one")
        ana.type("/buffer 1\n")
        ana.wait_for("Now in #lobby on 127.0.0.1:")
        ana.type("for the first one\n")
        bob.read_until("for the first one")
    ana.type("/servers\n")
    ana.wait_for("* 1 #lobby", "2 #ops")
    ana.type("/disconnect\n")
    ana.wait_for("Now in #ops on", "Disconnected from 127.0.0.1:")
    ana.type("/quit\n")
    assert ana.wait_exit() == 0
