"""A `redis-server` or `valkey-server` of a test's own, on a free port of 127.0.0.1.

Tests that need one have the mark `needs_redis`, which skips them where neither is installed.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.support.ports import unused_port

PROGRAM = shutil.which("redis-server") or shutil.which("valkey-server")
START_S = 20.0
ALWAYS = ("--appendonly", "yes", "--appendfsync", "always")
EVERYSEC = ("--appendonly", "yes", "--appendfsync", "everysec")
NO_FILE = ("--appendonly", "no")
"""Options for the durability of writes: synced before each reply, once a second, or not stored."""

needs_redis = pytest.mark.skipif(
    PROGRAM is None, reason="needs redis-server or valkey-server: apt install redis-server"
)


class RedisServer:
    """A server process with its files in `directory`; it can be killed, paused and restarted.

    Args:
        options: Options of the command line.
        password: Password of the default user; empty for none.
        port: Port to use; by default an unused one.
    """

    def __init__(self, directory: Path, *options: str, password: str = "", port: int = 0) -> None:
        self.directory = directory
        self.options = options
        self.password = password
        self.port = port or unused_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The address with the password, if there is one."""
        return self.url_at(self.port)

    def url_at(self, port: int) -> str:
        """The address through a proxy on another port."""
        user = f":{self.password}@" if self.password else ""
        return f"redis://{user}127.0.0.1:{port}/0"

    @property
    def process_id(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self, *options: str) -> None:
        """Start it with its options and these; returns when it has loaded its files and answers."""
        assert PROGRAM is not None
        self.directory.mkdir(parents=True, exist_ok=True)
        words = [PROGRAM, "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
        words += ["--dir", str(self.directory), "--logfile", str(self.directory / "redis.log")]
        words += ["--repl-diskless-sync-delay", "0", "--enable-debug-command", "local"]
        if self.password:
            words += ["--requirepass", self.password, "--masterauth", self.password]
        self._process = subprocess.Popen(
            [*words, *self.options, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self._wait_for("PONG", "PING")

    def cli(self, *words: str) -> str:
        """The reply to a command, as `redis-cli` prints it."""
        program = [shutil.which("redis-cli") or "valkey-cli", "--no-auth-warning", "-p", str(self.port)]
        password = ["-a", self.password] if self.password else []
        done = subprocess.run([*program, *password, *words], capture_output=True, text=True, timeout=START_S)
        return done.stdout.strip()

    def kill(self) -> None:
        """Kill it: nothing is written or answered any more."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self._process = None

    def pause(self) -> None:
        """Stop it from answering, with its connections open."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """End it, if it is running; it would wait for replicas if it were asked to."""
        if self._process is not None:
            self.kill()

    def follow(self, port: int) -> None:
        """Make it a replica of the server on another port, and wait until it has copied everything."""
        self.cli("REPLICAOF", "127.0.0.1", str(port))
        self.wait_synced()

    def promote(self) -> None:
        """Make it a primary."""
        self.cli("REPLICAOF", "NO", "ONE")

    def wait_synced(self) -> None:
        """Wait until its link to the primary is up."""
        self._wait_for("master_link_status:up", "INFO", "replication")

    def _wait_for(self, text: str, *words: str) -> None:
        deadline = time.monotonic() + START_S
        while text not in self.cli(*words):
            assert time.monotonic() < deadline, (self.directory / "redis.log").read_text()
            time.sleep(0.02)
