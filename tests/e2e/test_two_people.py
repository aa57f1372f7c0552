"""Two users in two real terminals, with a real server."""

from __future__ import annotations

import json
import os
import re
import signal
from itertools import pairwise

import websocket

from tests.e2e.conftest import Open, ServerProcess
from tests.support.ports import unused_port
from tests.support.terminal import left_clean

COVERED_KEYS = frozenset(("log.show-presence",))


def test_two_users_continue_after_losing_the_server(server: ServerProcess, open_terminal: Open) -> None:
    ana = open_terminal("chat", server.url)
    ana.wait_for("Your name")
    ana.enter("ana")
    ana.wait_for("1 here")
    bob = open_terminal("chat", server.url, "--name", "bob", home="bob")
    bob.wait_for("2 here")
    ana.wait_for("2 here", "bob joined")
    ana.type("\x1bj")
    ana.wait_for("Join and leave lines: everyone")
    ana.type("\x1bj")
    ana.wait_gone("bob joined")
    ana.type("\x1bj")
    ana.wait_for("bob joined")

    ana.enter("hello from ana")
    bob.wait_for("hello from ana")
    ana.wait_for("hello from ana")
    bob.enter("hi ana, bob here")
    ana.wait_for("hi ana, bob here")

    server.kill()
    ana.wait_for("econnecting")
    bob.wait_for("econnecting")
    ana.enter("written while it was down")
    ana.wait_for("written while it was down")
    server.start()
    ana.wait_for("2 here")
    bob.wait_for("2 here", "written while it was down")
    bob.enter("we are back")
    ana.wait_for("we are back")
    assert ana.text.count("written while it was down") == 1
    assert bob.text.count("written while it was down") == 1

    bob.enter("/quit")
    assert bob.wait_exit() == 0
    ana.wait_for("1 here", "bob left")
    ana.type("\x11")
    assert ana.wait_exit() == 0
    for terminal in (ana, bob):
        assert left_clean(bytes(terminal.raw))


def test_plain_client_of_another_library_can_chat(server: ServerProcess, open_terminal: Open) -> None:
    ana = open_terminal("chat", server.url, "--name", "ana")
    ana.wait_for("1 here")
    plain = websocket.create_connection(server.url, timeout=30)
    welcome = json.loads(plain.recv())
    assert welcome["message"] == "Welcome! You are now connected to the broadcast server. 2 client(s) online."
    ana.wait_for("2 here")
    plain.send(json.dumps({"type": "message", "message": "Hello, world!", "sender": "Alice"}))
    echo = json.loads(plain.recv())
    assert (echo["type"], echo["message"], echo["sender"]) == ("message", "Hello, world!", "Alice")
    ana.wait_for("Hello, world!", "Alice")
    ana.enter("welcome Alice")
    assert json.loads(plain.recv())["message"] == "welcome Alice"
    plain.close()
    ana.wait_for("1 here", "Alice left")


def test_taken_name_can_be_changed_in_the_dialog(server: ServerProcess, open_terminal: Open) -> None:
    ana = open_terminal("chat", server.url, "--name", "ana")
    ana.wait_for("1 here")
    other = open_terminal("chat", server.url, home="other")
    other.wait_for("Your name")
    other.enter("ana")
    other.wait_for("taken")
    other.type("2")
    other.wait_for("ana2")
    other.type("\r")
    other.wait_for("2 here")
    ana.wait_for("2 here")


def test_serve_option_starts_a_server_and_stops_it(server: ServerProcess, open_terminal: Open) -> None:
    port = server.port
    server.stop()
    ana = open_terminal("chat", "--serve", "--host", "127.0.0.1", "--port", str(port), "--name", "ana")
    ana.wait_for("1 here")
    bob = open_terminal("chat", f"127.0.0.1:{port}", "--name", "bob", home="bob")
    bob.wait_for("2 here")
    bob.enter("/join #dev")
    bob.wait_for("Joined #dev as bob")
    bob.enter("/part #lobby")
    ana.wait_for("1 here")
    ana.enter("/quit")
    ana.wait_for("1 other is still here", "Close it")
    ana.type("\x1b")
    ana.wait_gone("still here")
    ana.enter("/quit")
    ana.wait_for("still here")
    ana.type("c")
    assert ana.wait_exit() == 0
    bob.wait_for("econnecting")


def test_started_server_can_keep_running_for_others(open_terminal: Open) -> None:
    address = f"127.0.0.1:{unused_port()}"
    ana = open_terminal("chat", address, "--name", "ana")
    ana.wait_for(f"No server at ws://{address}", "Start a server here")
    ana.type("s")
    ana.wait_for("1 here")
    bob = open_terminal("chat", address, "--name", "bob", home="bob")
    bob.wait_for("2 here")
    ana.wait_for("2 here")
    ana.type("\x11")
    ana.wait_for("Keep the server running")
    ana.type("k")
    assert ana.wait_exit() == 0
    found = re.search(rb"Server still running at ws://\S+; stop it with: kill (\d+)", bytes(ana.raw))
    assert found is not None
    try:
        bob.wait_for("1 here")
        bob.enter("still open")
        again = open_terminal("chat", address, "--name", "ana")
        again.wait_for("2 here", "still open")
    finally:
        os.kill(int(found[1]), signal.SIGTERM)
    bob.wait_for("econnecting")


def test_dialog_can_wait_for_a_server(open_terminal: Open) -> None:
    ana = open_terminal("chat", "127.0.0.1:1", "--name", "ana")
    ana.wait_for("Keep trying")
    ana.type("k")
    ana.wait_for("econnecting")
    ana.wait_gone("Keep trying")
    ana.type("\x11")
    assert ana.wait_exit() == 0


def test_sigterm_restores_the_terminal_and_prints_the_reason(
    server: ServerProcess, open_terminal: Open
) -> None:
    ana = open_terminal("chat", server.url, "--name", "ana")
    ana.wait_for("1 here")
    ana.signal(signal.SIGTERM)
    assert ana.wait_exit() == 143
    assert left_clean(bytes(ana.raw))
    assert b"terminated" in bytes(ana.raw)[-400:].lower()


def test_permanently_lost_server_is_reported_once(server: ServerProcess, open_terminal: Open) -> None:
    ana = open_terminal("chat", server.url, "--name", "ana")
    ana.wait_for("1 here")
    server.kill()
    ana.wait_for("econnecting")
    shown: list[str] = []

    def counts_down_again() -> bool:
        """Whether the delay until the next attempt has grown, because an attempt has failed."""
        now = re.search(r"econnecting in (\d+) s", ana.text)
        if now and (not shown or now[1] != shown[-1]):
            shown.append(now[1])
        return any(int(later) > int(before) for before, later in pairwise(shown))

    ana.wait_until(counts_down_again, "another try")
    assert sum("Connection lost" in line for line in ana.lines) == 1
    ana.type("\x11")
    assert ana.wait_exit() == 0
