"""Links, code and long posts, in a real terminal."""

from __future__ import annotations

import json
import re

import websocket

from tests.e2e.conftest import Open, ServerProcess
from tests.support.terminal import Terminal, left_clean

MOVE, PRESS, RELEASE = 35, 0, 0
LINK = re.compile(r"\x1b\]8;(.*?)\x1b\\")
"""The parameters and the target of the text that follows; both are empty after a link."""


def mouse(terminal: Terminal, button: int, x: int, y: int, end: str) -> None:
    """Report a mouse event at column `x`, row `y`, from 0."""
    terminal.type(f"\x1b[<{button};{x + 1};{y + 1}{end}")


def place_of(terminal: Terminal, text: str) -> tuple[int, int]:
    y = next(y for y, row in enumerate(terminal.lines) if text in row)
    return terminal.lines[y].index(text), y


def test_links_have_safe_targets_and_clicks_run_no_actions(
    server: ServerProcess, open_terminal: Open
) -> None:
    ana = open_terminal("chat", server.url, "--name", "ana", columns=110)
    ana.wait_for("1 here")
    plain = websocket.create_connection(server.url, timeout=30)

    def say(text: str) -> None:
        plain.send(json.dumps({"type": "message", "message": text, "sender": "bob"}))

    say("[the docs](https://example.org/a;b?q=ä) or [@click=app.quit]this[/] or [x](javascript:alert)")
    say("https://аррӏе.com/")
    ana.wait_for("the docs", "xn--80ak6aa92e.com")
    raw = ana.raw.decode()
    assert ";https://example.org/a%3Bb?q=%C3%A4\x1b\\" in raw
    assert ";https://xn--80ak6aa92e.com/\x1b\\" in raw
    assert "javascript:" not in "".join(LINK.findall(raw))
    for text in ("the docs", "@click", "this", "аррӏе"):
        x, y = place_of(ana, text)
        mouse(ana, MOVE, x + 1, y, "M")
        mouse(ana, PRESS, x + 1, y, "M")
        mouse(ana, RELEASE, x + 1, y, "m")
    ana.enter("still here")
    ana.wait_for("still here")
    plain.close()
    ana.type("\x11")
    assert ana.wait_exit() == 0
    assert left_clean(bytes(ana.raw))
    # One link may follow another directly.
    assert LINK.findall(ana.raw.decode())[-1] == ";"


def test_long_post_is_unfolded_by_key_and_mouse(server: ServerProcess, open_terminal: Open) -> None:
    ana = open_terminal("chat", server.url, "--name", "ana")
    ana.wait_for("1 here")
    plain = websocket.create_connection(server.url, timeout=30)
    text = "```python\n" + "\n".join(f"row = {number}" for number in range(19)) + "\n```"
    plain.send(json.dumps({"type": "message", "message": text, "sender": "bob"}))
    ana.wait_for("… 11 more lines (Alt+O)")
    ana.type("\x1bo")
    ana.wait_for("row = 8")
    ana.type("\x1bo")
    ana.wait_gone("row = 8")
    x, y = place_of(ana, "more lines")
    mouse(ana, PRESS, x, y, "M")
    mouse(ana, RELEASE, x, y, "m")
    ana.wait_for("row = 8")
    plain.close()
