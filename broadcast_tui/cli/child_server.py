"""A server started by the chat client as a child process, which stops when the client ends in any way.

The server stops when its standard input ends, unless the last line was `KEEP`. It replies to `COUNT` with a
line that contains the number of its connections.
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
    """A `broadcast-tui serve` process for the address of a chat.

    Args:
        is_own: Whether the address is one of this machine, although it is not `localhost`.
    """

    def __init__(self, address: Address, *, is_own: bool = False) -> None:
        self._address = address
        self._is_own = is_own or address.is_local
        self._process: subprocess.Popen[str] | None = None
        self._counts: queue.SimpleQueue[int] = queue.SimpleQueue()

    @property
    def is_managed(self) -> bool:
        """Whether this process started the server and stops it on exit."""
        return self._process is not None

    @property
    def has_ended(self) -> bool:
        """Whether this process started the server, and it has ended by itself since."""
        return self._process is not None and self._process.poll() is not None

    def start_if_needed(self) -> None:
        """Start the server if there is none at the address, and wait until it listens.

        Raises:
            UsageError: It could not start; the text is the error of the server.
        """
        if not self.answers():
            self.start()

    def start(self) -> None:
        """Start the server and wait until it listens. Raises UsageError like `start_if_needed`."""
        if not self._is_own:
            raise UsageError(
                f"No server at {self._address.url}. --serve starts servers on this machine only; "
                "omit the address, or start a server on that machine."
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
        for read, stream in ((self._read_counts, process.stdout), (_drain, process.stderr)):
            threading.Thread(target=read, args=(stream,), daemon=True).start()
        self._process = process

    def connected_count(self) -> int:
        """Number of connections to the server; 0 if it does not reply within `COUNT_TIMEOUT_S`."""
        if self._process is None or self._process.stdin is None:
            return 0
        try:
            self._process.stdin.write(COUNT.decode())
            self._process.stdin.flush()
            return self._counts.get(timeout=COUNT_TIMEOUT_S)
        except (OSError, queue.Empty):
            return 0

    def _read_counts(self, stream: Iterable[str]) -> None:
        """Read a pipe to its end; lines other than counts are ignored."""
        for line in stream:
            if line.strip().isdecimal():
                self._counts.put(int(line))

    def detach(self) -> str:
        """Let the server keep running; returns a line with its address and how to stop it."""
        if self._process is None:
            return ""
        process, self._process = self._process, None
        assert process.stdin is not None
        process.stdin.write(KEEP.decode())
        process.stdin.close()
        # The child outlives its parent on purpose: avoid the ResourceWarning.
        process.returncode = 0
        return f"Server still running at {self._address.url}; stop it with: kill {process.pid}"

    def stop(self) -> None:
        """Stop the server if this process started it. Its clients are notified."""
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
        """Whether anything listens at the address; waits at most 2 s."""
        try:
            socket.create_connection((self._address.host, self._address.port), timeout=2.0).close()
        except OSError:
            return False
        return True

    @staticmethod
    def _started(process: subprocess.Popen[str]) -> bool:
        """Whether the server reported within `START_TIMEOUT_S` that it listens."""
        output: list[str] = []

        def read_first_line() -> None:
            assert process.stdout is not None
            output.append(process.stdout.readline())

        reader = threading.Thread(target=read_first_line, daemon=True)
        reader.start()
        reader.join(START_TIMEOUT_S)
        return bool(output and output[0].startswith("Broadcast server started"))


def _drain(stream: Iterable[str]) -> None:
    """Read a pipe to its end, so that its writer never blocks."""
    for _ in stream:
        pass
