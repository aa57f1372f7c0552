"""What commands end with, and where they write: the table in `exit_codes.txt`, a line a command.

A line has the exit status, how many lines there are on standard output and on standard error (0, 1 or
many), and the command as a shell would be given it: variables before it, `text |` for its input. Names in
braces are filled in. COMPAT_RECORD=1 in the environment, and -n0, write the three figures; for a new
line write `? ? ?  command` first.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.compat.program import COMMAND, FILES, HERE, LIMIT_S, Outcome, environment, run, serving
from tests.compat.tokens import MIA_MEMBER, RITA_READER, TOKENS_FILE
from tests.support.terminal import Terminal, program

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs signals and pseudo-terminals")

TABLE = HERE / "exit_codes.txt"


def commands() -> list[str]:
    """The commands of the table."""
    rows = [line for line in TABLE.read_text("utf-8").splitlines() if not line.startswith("#")]
    return [row.split(maxsplit=3)[3] for row in rows]


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Addresses of an open server, and of one that requires tokens."""
    home = tmp_path_factory.mktemp("servers")
    with (
        serving("--history", str(home / "used.db"), "--max-message-bytes", "100", home=home) as free,
        serving("--history", "off", "--auth", "token", "--tokens", str(TOKENS_FILE), home=home) as guarded,
    ):
        yield {
            "open": free.url,
            "open-port": str(free.port),
            "guarded": guarded.url,
            "down": "ws://127.0.0.1:1",
            "used.db": str(home / "used.db"),
            "mia": MIA_MEMBER,
            "rita": RITA_READER,
        }


def prepare(home: Path) -> dict[str, str]:
    """Create the files that commands use; returns their paths."""
    written = {
        "garbage": "\0\1 this is nothing",
        "wrong-token": "bt_wrong",
        "unknown.toml": "prt = 1\n",
        "table.toml": "[serve]\nport = 1\n",
        "broken.toml": "port = \n",
        "keys.toml": '[keys]\n"no.such-key" = "f9"\n',
        "clash.toml": '[keys]\n"log.page-up" = "pagedown"\n',
        "option.toml": '[chat]\nnam = "ana"\n',
        "server.toml": (FILES / "server.toml").read_text(),
        "tokens.json": TOKENS_FILE.read_text(),
        "other.json": '{"tokens": 7}',
    }
    paths = {"missing": str(home / "no" / "such" / "file")}
    for name, content in written.items():
        path = home / name
        path.write_text(content)
        path.chmod(0o600)
        paths[name] = str(path)
    paths["other.db"] = str(home / "other.db")
    with closing(sqlite3.connect(home / "other.db")) as database, database:
        database.execute("CREATE TABLE other (id)")
    return paths


@pytest.mark.parametrize("command", commands())
def test_command_exits_as_recorded(command: str, servers: dict[str, str], tmp_path: Path) -> None:
    outcome = carry_out(command, {**servers, **prepare(tmp_path)}, tmp_path)
    figures = str(outcome.status), amount(outcome.out), amount(outcome.err)
    row = "{:<3} {:<4} {:<4}  {}".format(*figures, command)
    lines = TABLE.read_text("utf-8").splitlines()
    [place] = [number for number, line in enumerate(lines) if line.endswith(f"  {command}")]
    if os.environ.get("COMPAT_RECORD"):
        lines[place] = row
        TABLE.write_text("\n".join(lines) + "\n", "utf-8")
    assert row == lines[place], f"{outcome.out}\n{outcome.err}"
    assert "Traceback" not in outcome.err


def carry_out(command: str, names: dict[str, str], home: Path) -> Outcome:
    """Run a command of the table."""
    given, _, rest = command.rpartition(" | ")
    words = shlex.split(re.sub(r"\{([^}]+)\}", lambda found: shlex.quote(names[found[1]]), rest))
    env = {}
    while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
        variable, _, value = words.pop(0).partition("=")
        env[variable] = value
    given = re.sub(r"\{([^}]+)\}", lambda found: names[found[1]], given).replace("\\n", "\n")
    return run(*words, home=home, given=given and f"{given}\n", env=env)


def amount(text: str) -> str:
    count = len(text.splitlines())
    return str(count) if count < 2 else "many"


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 0), (signal.SIGTERM, 0)])
def test_server_exits_gracefully(number: signal.Signals, status: int, tmp_path: Path) -> None:
    with serving("--history", "off", home=tmp_path) as server:
        server.process.send_signal(number)
        assert server.wait() == status


def test_following_ends_with_ctrl_c(servers: dict[str, str], tmp_path: Path) -> None:
    assert run("send", "--url", servers["open"], "--wait", "hello", home=tmp_path).status == 0
    process = subprocess.Popen(
        [*COMMAND, "tail", "--follow", "--json", servers["open"]],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(tmp_path),
        cwd=tmp_path,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=LIMIT_S)
    assert (process.returncode, err) == (130, b"")


def test_chat_exits_with_143_after_sigterm(servers: dict[str, str], tmp_path: Path) -> None:
    words = program("chat", servers["open"], "--name", "term")
    with Terminal(words, environment=environment(tmp_path)) as terminal:
        terminal.wait_for("#lobby")
        terminal.signal(signal.SIGTERM)
        assert terminal.wait_exit() == 143
