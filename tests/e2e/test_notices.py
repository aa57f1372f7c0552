"""Notifications of mentions in a real terminal; old mentions are silent."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
import websocket

from tests.e2e.conftest import Open, ServerProcess
from tests.support.terminal import Terminal

FOCUS_IN, FOCUS_OUT, CTRL_Q, ALT_P, ALT_U, ESCAPE = "\x1b[I", "\x1b[O", "\x11", "\x1bp", "\x1bu", "\x1b"
COVERED_KEYS = frozenset(("log.go-unread",))
RULE = "── new ──"


@pytest.fixture(autouse=True)
def plain_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TMUX", "VTE_VERSION"):
        monkeypatch.delenv(name, raising=False)


class Bob:
    """Another user in the lobby."""

    def __init__(self, url: str) -> None:
        self._socket = websocket.create_connection(url, timeout=20)

    def say(self, *texts: str) -> None:
        """Post, and wait until the server has broadcast it."""
        for text in texts:
            self._socket.send(json.dumps({"type": "message", "message": text, "sender": "bob"}))
            while json.loads(self._socket.recv()).get("message") != text:
                pass

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def bob(server: ServerProcess) -> Iterator[Bob]:
    bob = Bob(server.url)
    yield bob
    bob.close()


def look_away(terminal: Terminal, bob: Bob) -> None:
    """Remove the focus from a terminal, and wait until the chat knows."""
    terminal.type(FOCUS_OUT)
    for number in range(100):
        bob.say(f"filler {number}")
        terminal.wait_for(f"filler {number}")
        terminal.read()
        if b"\x1b]0;(" in terminal.raw:
            return
    raise AssertionError("it never saw that the focus went")


def rings(terminal: Terminal) -> list[bytes]:
    """Bells and notifications that were sent, without titles and pointer shapes, which also end with BEL."""
    raw = re.sub(rb"\x1b\](?:0|22);[^\x07]*\x07", b"", bytes(terminal.raw))
    return re.findall(rb"\x1bPtmux;.*?\x1b\\\x07?|\x1b\][^\x07]*\x07\x07?|\x07", raw, re.DOTALL)


def test_mention_rings_the_bell_without_focus(server: ServerProcess, bob: Bob, open_terminal: Open) -> None:
    ana = open_terminal("chat", server.url, "--name", "ana")
    ana.wait_for("2 here")
    bob.say("hi ana, you are looking")
    ana.wait_for("you are looking")
    assert rings(ana) == []
    look_away(ana, bob)
    bob.say("ana: look; here")
    ana.wait_until(lambda: rings(ana), "a notice")
    ana.wait_until(lambda: b"(1!, " in ana.raw, "a title with the mention")
    assert rings(ana) == [b"\x1b]9;bob in #lobby: ana: look, here\x07\x07"]
    ana.type(FOCUS_IN)
    ana.wait_until(
        lambda: ana.raw.rstrip(b"\x07").rfind(b"\x1b]0;#lobby") > ana.raw.rfind(b"(1!"), "no count"
    )
    ana.wait_for(RULE)
    ana.type(CTRL_Q)
    assert ana.wait_exit() == 0
    assert bytes(ana.raw).rpartition(b"\x1b]0;")[2].startswith(b"\x07\x1b[23;0t")


def test_notification_is_wrapped_for_tmux_and_the_bell_is_not(
    server: ServerProcess, bob: Bob, open_terminal: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMUX", "/tmp/tmux-1000/default,1,0")
    ana = open_terminal("chat", server.url, "--name", "ana")
    ana.wait_for("2 here")
    look_away(ana, bob)
    bob.say("ana?")
    ana.wait_until(lambda: rings(ana) and b"(1!, " in ana.raw, "a notice and a title with the mention")
    assert rings(ana) == [b"\x1bPtmux;\x1b\x1b]9;bob in #lobby: ana?\x07\x1b\\\x07"]


def test_old_mentions_are_silent_and_shown_below_the_unread_line(
    server: ServerProcess, bob: Bob, open_terminal: Open
) -> None:
    bob.say("ana: from before")
    ana = open_terminal("chat", server.url, "--name", "ana")
    ana.wait_for("ana: from before", "2 here")
    assert RULE not in ana.text
    ana.type(CTRL_Q)
    assert ana.wait_exit() == 0
    bob.say(*(f"night {number}" for number in range(20)), "ana: good morning", "and the last")
    again = open_terminal("chat", server.url, "--name", "ana")
    again.wait_for("2 here", RULE, "night 0", "↓ 22 new")
    again.type(ALT_U)
    again.type(ESCAPE)
    again.wait_for("and the last")
    again.wait_gone("↓ 22 new")
    again.type(ALT_P)
    again.wait_for("ana: from before")
    assert rings(ana) == rings(again) == []
    assert "p" not in again.lines[-3]
