"""End-to-end tests with real programs: a server process and terminals."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
import pytest_asyncio
import websocket

from broadcast_tui.server.token_store import TokenStore
from tests.support import profile
from tests.support.browser import Browser, chromium, running_browser
from tests.support.ports import unused_port
from tests.support.terminal import Terminal, program

if sys.platform == "win32":
    pytest.skip("needs pseudo-terminals", allow_module_level=True)


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """The random seed of a test."""
    given: int | None = request.config.getoption("--seed", None)
    return random.randrange(2**32) if given is None else given


@pytest.fixture
def soak_s() -> float:
    """Duration of a soak test, in seconds."""
    return profile.soak_s()


@pytest.fixture
def book(tmp_path: Path) -> TokenStore:
    """The tokens of a server; without any, until a test creates them."""
    return TokenStore(tmp_path / "tokens.json")


IN_BROWSER = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(not chromium(), reason="needs Chromium: apt-get install chromium"),
]
"""Marks of modules that share the fixture `browser`."""


class ServerProcess:
    """`broadcast-tui serve` on its own port; it can be killed and restarted."""

    def __init__(self, log: Path) -> None:
        self.port = unused_port()
        self.log = log
        self._process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    @property
    def process_id(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self, *options: str) -> None:
        with self.log.open("a") as log:
            self._process = subprocess.Popen(
                program("serve", "--host", "127.0.0.1", "--port", str(self.port), *options),
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self._process.stdout is not None
        first_line = self._process.stdout.readline()
        assert first_line == f"Broadcast server started on {self.url}\n", first_line + self.log.read_text()

    def kill(self) -> None:
        """Kill the server: clients get no close frames."""
        assert self._process is not None
        self._process.kill()
        self._process.communicate()
        self._process = None

    def pause(self) -> None:
        """Stop it from running, with its connections open."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.communicate(timeout=60)
            self._process = None


class HistoryServer(ServerProcess):
    """A server that stores its history in `file` and restarts with the options of its first start."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory / "server.log")
        self.file = directory / "history.db"
        self._options: tuple[str, ...] = ()

    def start(self, *options: str) -> None:
        self._options = options or self._options
        super().start("--history", str(self.file), *self._options)

    def stored_bytes(self) -> bytes:
        """The contents of the history file, its write-ahead log and all others beside it."""
        return b"".join(path.read_bytes() for path in self.file.parent.glob(f"{self.file.name}*"))


def unlimited_server(tmp_path: Path) -> Iterator[HistoryServer]:
    """A server that keeps its history when it is killed, and does not slow down the tests; for a fixture."""
    process = HistoryServer(tmp_path)
    process.start("--message-rate", "0")
    yield process
    process.stop()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    process = ServerProcess(tmp_path / "server.log")
    process.start()
    yield process
    process.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with running_browser() as browser:
        yield browser


Open = Callable[..., Terminal]


@contextmanager
def terminals(directory: Path) -> Iterator[Open]:
    """A function that opens `broadcast-tui chat` or another command in a terminal; all are closed at the end.

    Home directories are in `directory`.
    """
    opened: list[Terminal] = []

    def open_one(
        *words: str,
        columns: int = 80,
        rows: int = 24,
        home: str = "home",
        environment: Mapping[str, str] | None = None,
    ) -> Terminal:
        state = directory / home
        terminal = Terminal(
            program(*words) if words and words[0] in ("chat", "serve", "connect") else list(words),
            columns=columns,
            rows=rows,
            # The size of the terminal takes precedence over these.
            environment={
                "XDG_STATE_HOME": str(state),
                "HOME": str(state),
                "TZ": "UTC",
                "COLUMNS": "999999",
                "LINES": "999999",
                **(environment or {}),
            },
        )
        opened.append(terminal)
        return terminal

    try:
        yield open_one
    finally:
        for terminal in opened:
            terminal.close()


@pytest.fixture
def open_terminal(tmp_path: Path) -> Iterator[Open]:
    with terminals(tmp_path) as open_one:
        yield open_one


class Other:
    """Another user in the lobby: a plain client named bob."""

    def __init__(self, url: str) -> None:
        self._socket = websocket.create_connection(url, timeout=20)
        self.say("bob is here")

    def say(self, text: str) -> None:
        """Post, and wait until the server has broadcast it."""
        self._socket.send(json.dumps({"type": "message", "message": text, "sender": "bob"}))
        self.read_until(text)

    def read_until(self, text: str) -> list[str]:
        """Read posts until one is `text`; returns those before it."""
        before: list[str] = []
        while True:
            frame = json.loads(self._socket.recv())
            if frame["type"] == "message" and frame["message"] == text:
                return before
            if frame["type"] == "message":
                before.append(frame["message"])

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def bob(server: ServerProcess) -> Iterator[Other]:
    other = Other(server.url)
    yield other
    other.close()
