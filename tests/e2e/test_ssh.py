"""The chat over ssh: each key is a name, and none of them reaches into the machine."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from broadcast_tui.core.hub.auth import Role
from broadcast_tui.server.token_store import TokenStore
from tests.e2e.conftest import ServerProcess
from tests.support.ssh_server import SshServer, needs_sshd
from tests.support.terminal import Terminal

pytestmark = needs_sshd

REFUSED = "Not available here."
Login = Callable[..., Terminal]


@pytest.fixture
def ssh(tmp_path: Path) -> Iterator[SshServer]:
    directory = tmp_path / "ssh"
    directory.mkdir()
    ssh = SshServer(directory)
    ssh.start()
    yield ssh
    ssh.stop()


@pytest.fixture
def login(ssh: SshServer) -> Iterator[Login]:
    """Logs in with the key of a name, in a terminal that is closed at the end."""
    terminals: list[Terminal] = []

    def login(name: str, *words: str, columns: int = 80, rows: int = 24, **environment: str) -> Terminal:
        command = ssh.command(name, "-tt", *words)
        terminals.append(Terminal(command, columns=columns, rows=rows, environment=environment))
        return terminals[-1]

    yield login
    for terminal in terminals:
        terminal.close()


def kiosk(name: str, url: str, *options: str) -> str:
    program = Path(sys.executable).parent / "broadcast-tui"
    return " ".join([str(program), "chat", "--kiosk", "--name", name, *options, url])


def test_two_keys_are_two_people(server: ServerProcess, ssh: SshServer, login: Login) -> None:
    for name in ("ken", "ana"):
        ssh.authorize(name, kiosk(name, server.url))
    ken = login("ken")
    ken.wait_for("1 here")
    ana = login("ana", columns=40, rows=10)
    ana.wait_for("2 here")
    ken.enter("hello from ken")
    ana.wait_for("hello from ken")
    ana.enter("hello from ana")
    ken.wait_for("hello from ana")

    # The same key again is the same person.
    again = login("ken", columns=120, rows=40)
    again.wait_for("2 here", "hello from ana")
    again.enter("ken again")
    ana.wait_for("ken again")
    assert len([*(ssh.directory / "state" / "broadcast-tui" / "kiosk").iterdir()]) == 2

    ken.type("\x03\x03")
    assert ken.wait_exit() == 0
    again.enter("/quit")
    assert again.wait_exit() == 0
    ana.wait_for("1 here")
    # The state of a key is there at its next login; that of the other key is not.
    ken = login("ken")
    ken.wait_for("2 here")
    ken.type("\x1b[A")
    ken.wait_for("Editing")


def test_nothing_leads_out_of_the_chat(
    server: ServerProcess, ssh: SshServer, login: Login, tmp_path: Path
) -> None:
    mark, editor = tmp_path / "escaped", tmp_path / "editor"
    editor.write_text(f"#!/bin/sh\ntouch {mark}\n", "utf-8")
    editor.chmod(0o755)
    ssh.authorize("ken", kiosk("ken", server.url))
    # What is requested with the login is ignored.
    ken = login("ken", f"touch {mark}", EDITOR=str(editor), VISUAL=str(editor), DISPLAY=":0", TMUX="x,1,0")
    ken.wait_for("1 here")

    ken.enter(f"/export {mark}")
    ken.wait_for(REFUSED)
    ken.type("\x03")
    ken.wait_for("Message #lobby")
    ken.enter("/help export")
    ken.wait_for(f"── {REFUSED}")
    for key, text in (("\x18", "after the editor"), ("\x1a", "after suspending")):
        ken.type(key)
        ken.enter(text)
        ken.wait_for(f"│ {text}")
    ken.type("/ex")
    ken.wait_for("/exit")
    assert "/export" not in ken.text
    ken.type("\x15")
    ken.enter("https://example.org/page")
    ken.wait_for("│ https://example.org/page")
    ken.type("\x1b[1;3A")
    ken.wait_for("Reply")
    ken.type("o")
    ken.wait_for("No browser available", "OSC 52)")
    ken.type("\x11")
    assert ken.wait_exit() == 0
    plain = login("ken", TERM="dumb")
    plain.wait_for("Joined #lobby")
    plain.type("\x1a\x1c")
    plain.enter(f"/export {mark}")
    plain.wait_for(f"!! {REFUSED}")
    plain.enter("/quit")
    assert plain.wait_exit() == 0
    for request in (["sh"], ["-s", "sftp"]):
        refused = subprocess.run(
            ssh.command("ken", *request), capture_output=True, stdin=subprocess.DEVNULL, timeout=60
        )
        assert refused.returncode == 2
        assert refused.stdout == b""
    assert not mark.exists()
    assert not [*ssh.directory.rglob("crash.log"), *ssh.directory.rglob("*.svg")]


def test_variables_choose_nothing(
    server: ServerProcess, ssh: SshServer, login: Login, tmp_path: Path
) -> None:
    """Even if `sshd` lets clients set them."""
    ssh.authorize("ken", kiosk("ken", server.url))
    ken = login(
        "ken",
        BROADCAST_TUI_CONFIG=str(tmp_path / "missing.toml"),
        BROADCAST_TUI_TOKEN="bt_wrong",
        BROADCAST_TUI_CHAT_ROOM="secret",
        BROADCAST_TUI_CHAT_SERVE="true",
        BROADCAST_TUI_CHAT_THEME="no such theme",
        BROADCAST_TUI_CHAT_TOKEN_FILE=str(ssh.directory / "host_key"),
        TEXTUAL_LOG=str(tmp_path / "textual.log"),
        TEXTUAL_SCREENSHOT="1",
        TEXTUAL_SCREENSHOT_LOCATION=str(tmp_path),
    )
    ken.wait_for("1 here", "Message #lobby")
    ken.enter("hello")
    ken.wait_for("│ hello")
    assert "secret" not in ken.text
    ken.enter("/quit")
    assert ken.wait_exit() == 0
    assert not (tmp_path / "textual.log").exists()
    assert not [*tmp_path.glob("*.svg")]


def test_key_with_a_token_file(book: TokenStore, ssh: SshServer, login: Login, tmp_path: Path) -> None:
    token, _ = book.create("ken", Role.MEMBER, None)
    server = ServerProcess(tmp_path / "server.log")
    server.start("--auth", "token", "--tokens", str(tmp_path / "tokens.json"), "--history", "off")
    file = tmp_path / "ken.token"
    file.write_text(token, "utf-8")
    file.chmod(0o600)
    ssh.authorize("ken", kiosk("ken", server.url, "--token-file", str(file)))
    ssh.authorize("eve", kiosk("eve", server.url))
    ken = login("ken")
    ken.wait_for("1 here")
    eve = login("eve")
    eve.wait_for("requires a token")
    assert "Save token" not in eve.text
    ken.enter("hello")
    ken.wait_for("ken │ hello")
    assert not [*ssh.directory.rglob("credentials.json")]
    server.stop()
