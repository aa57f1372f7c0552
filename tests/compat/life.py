"""A run of a server and a chat that writes every kind of file.

It has written `files/`, and writes the files whose structure is compared with them.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.compat.program import environment, run, serving
from tests.compat.transcript import Transcript, transcript
from tests.support.terminal import Terminal, program

CTRL_Q, ALT_J = "\x11", "\x1bj"
DIRECTORY = "broadcast-tui"
"""Name of the directory of the program."""


def live(home: Path, port: int, tls_port: int) -> None:
    """Create tokens in `home`, and run a server with posts and bans, a chat, and a server with TLS."""
    tokens = {}
    for name, *options in (
        ("zoe", "--role", "admin"),
        ("mia", "--role", "member"),
        ("rita", "--role", "reader", "--expires", "99999d"),
    ):
        made = run("token", "create", name, *options, home=home)
        assert made.status == 0, made.err
        tokens[name] = made.out.strip()
    (home / "made-tokens.json").write_text(json.dumps(tokens))
    with serving(home=home, port=port) as server, transcript(server.url) as script:
        script.enter("zoe", "lobby", "dev", "empty", token=tokens["zoe"])
        script.ask("zoe", "topic", room="dev", topic="Où sont les bugs?")
        script.ask("zoe", "topic", room="empty", topic="Nothing said yet")
        for number in range(1, 6):
            script.say("zoe", f"lobby post {number}", room="lobby", nonce=f"n{number}")
        script.say("zoe", "two lines\nünïcode 🦆 `code`", room="dev", nonce="d1")
        script.open("plain", v1=False)
        script.expect("plain", event="welcome")
        script.send("plain", "message", message="from a plain client", sender="Pete")
        script.expect("plain", type="message")
        sanction(script)
        chat(home, server.url, tokens["mia"], script)
    with serving("--tls", "self-signed", "--auth", "token", home=home, port=tls_port):
        invited(home, tls_port)


def sanction(script: Transcript) -> None:
    """Ban and mute names and addresses, permanently and temporarily."""
    script.enter("bob", "dev")
    script.ask("zoe", "ban", who="bob", reason="spam, spam")
    script.closed("bob")
    script.ask("zoe", "ban", who="203.0.113.0/24", ref="network")
    script.ask("zoe", "ban", who="Mallory", seconds=300_000_000, ref="for years")
    script.ask("zoe", "mute", name="eve", seconds=300_000_000, reason="too loud", ref="mute")


def chat(home: Path, url: str, token: str, script: Transcript) -> None:
    """Run a full-screen chat with an invite that saves every kind of state."""
    state = home / DIRECTORY / "state.json"
    words = program("chat", f"{url}/lobby#token={token}", "--name", "mia")
    with Terminal(words, columns=100, rows=30, environment=environment(home)) as terminal:
        terminal.wait_for("lobby post 5", "from a plain client")
        terminal.enter("hello from mia")
        script.expect("zoe", type="message", message="hello from mia")
        terminal.enter("/join dev")
        script.expect("zoe", event="join", name="mia", room="dev")
        terminal.wait_for("two lines")
        terminal.enter("**bold** words, read by many")
        script.expect("zoe", type="message", room="dev", sender="mia")
        terminal.enter("/ignore Mallory")
        terminal.enter("/ignore troll 100d")
        terminal.enter("/notify all")
        terminal.enter("/theme nord")
        terminal.type(ALT_J)
        terminal.wait_until(
            lambda: _all_kept(state), f"everything in {state.read_text() if state.exists() else 'no file'}"
        )
        wait_for_credentials(home, url, terminal)
        terminal.type(CTRL_Q)
        assert terminal.wait_exit() == 0


def invited(home: Path, port: int) -> None:
    """Run a chat over TLS with the output of `invite`; it saves the token and the fingerprint."""
    made = run("invite", "--token", "mia", "--port", str(port), home=home)
    assert made.status == 0, made.err
    words = shlex.split(made.out)[1:]
    with Terminal(program(*words), columns=100, rows=30, environment=environment(home)) as terminal:
        wait_for_credentials(home, words[1].partition("/lobby")[0], terminal)
        terminal.type(CTRL_Q)
        assert terminal.wait_exit() == 0


def wait_for_credentials(home: Path, url: str, terminal: Terminal) -> None:
    """Wait until the chat has saved the token for `url`."""
    path = home / DIRECTORY / "credentials.json"
    terminal.wait_until(
        lambda: path.exists() and url in json.loads(path.read_text()), f"the token for {url} kept"
    )


def _all_kept(path: Path) -> bool:
    state: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    people = [name for names in state.get("ignored", {}).values() for name in names]
    return all(state.get(key) for key in ("levels", "theme", "presence")) and len(people) == 2


def shape(value: object, name: Callable[[str], str] = str) -> object:
    """The structure of a JSON value: keys and types; for a list, the structures of its items."""
    if isinstance(value, dict):
        return {name(key): shape(part, name) for key, part in sorted(value.items())}
    if isinstance(value, list):
        shapes = [shape(item, name) for item in value]
        return [one for place, one in enumerate(shapes) if one not in shapes[:place]]
    return type(value).__name__
