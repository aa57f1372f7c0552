"""A server started beside the chat, as a child process that ends with it, however it ends.

Its standard input is the leash: the server stops when that ends, unless `KEEP` was the last word. `COUNT` it
answers with a line that is the number of its connections.
"""

from __future__ import annotations

import queue
import socket
import subprocess
import sys
import threading
from collections.abc import Iterable

from broadcast_tui.cli.errors import UsageError
from broadcast_tui.client.address import Address

KEEP = b"keep\n"
COUNT = b"count\n"
START_TIMEOUT_S = 15.0
STOP_TIMEOUT_S = 5.0
COUNT_TIMEOUT_S = 2.0


class ChildServer:
    """`broadcast-tui serve` for the address of a chat; does nothing if a server answers there already."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._process: subprocess.Popen[str] | None = None
        self._counts: queue.SimpleQueue[int] = queue.SimpleQueue()

    @property
    def is_managed(self) -> bool:
        """Whether the server was started here and ends with us."""
        return self._process is not None

    def start_if_needed(self) -> None:
        """Start the server, if none answers, and wait until it listens.

        Raises:
            UsageError: it could not start; the text is its own reason.
        """
        if not self.answers():
            self.start()

    def start(self) -> None:
        """Start the server and wait until it listens. Raises UsageError as `start_if_needed` does."""
        if not self._address.is_local:
            raise UsageError(
                f"Nothing answers at {self._address.url}, and --serve starts servers on this machine only; "
                "leave out the address, or start a server there."
            )
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "broadcast_tui", "serve", "--stop-on-eof", "--log-level", "error"),
                *("--host", self._address.host, "--port", str(self._address.port)),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        if not self._started(process):
            process.kill()
            _, errors = process.communicate()
            lines = errors.strip().splitlines()
            raise UsageError(
                lines[-1].removeprefix("broadcast-tui: ") if lines else "The server did not start."
            )
        for read, stream in ((self._take_counts, process.stdout), (_throw_away, process.stderr)):
            threading.Thread(target=read, args=(stream,), daemon=True).start()
        self._process = process

    def connected_count(self) -> int:
        """Connections to the server; 0 if it does not say so within `COUNT_TIMEOUT_S`."""
        if self._process is None or self._process.stdin is None:
            return 0
        try:
            self._process.stdin.write(COUNT.decode())
            self._process.stdin.flush()
            return self._counts.get(timeout=COUNT_TIMEOUT_S)
        except (OSError, queue.Empty):
            return 0

    def _take_counts(self, stream: Iterable[str]) -> None:
        """Read a pipe to its end; the other lines say nothing new."""
        for line in stream:
            if line.strip().isdecimal():
                self._counts.put(int(line))

    def detach(self) -> str:
        """Let the server run on without us; returns a line that says where it is and what stops it."""
        if self._process is None:
            return ""
        process, self._process = self._process, None
        assert process.stdin is not None
        process.stdin.write(KEEP.decode())
        process.stdin.close()
        # A child that outlives its parent on purpose is no reason for a ResourceWarning.
        process.returncode = 0
        return f"The server goes on at {self._address.url}; 'kill {process.pid}' stops it."

    def stop(self) -> None:
        """End the server, if it was started here; its clients are told."""
        if self._process is None:
            return
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def answers(self) -> bool:
        """Whether anything listens at the address; waits 2 s at most."""
        try:
            socket.create_connection((self._address.host, self._address.port), timeout=2.0).close()
        except OSError:
            return False
        return True

    @staticmethod
    def _started(process: subprocess.Popen[str]) -> bool:
        """Whether the server said that it listens, within `START_TIMEOUT_S`."""
        said: list[str] = []

        def read_first_line() -> None:
            assert process.stdout is not None
            said.append(process.stdout.readline())

        reader = threading.Thread(target=read_first_line, daemon=True)
        reader.start()
        reader.join(START_TIMEOUT_S)
        return bool(said and said[0].startswith("Broadcast server started"))


def _throw_away(stream: Iterable[str]) -> None:
    """Read a pipe to its end, so that its writer never waits for us."""
    for _ in stream:
        pass
