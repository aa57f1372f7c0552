"""A program in a pseudo-terminal at the end of a wire: what it writes, byte by byte, and when it arrives.

The wire may be a slow line: bytes a second, a delay each way, and what its buffers hold. The terminal
answers what terminals are asked (cursor position, synchronized output, left and right margins), and draws
nothing.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from tests.support.process_cost import processor_s, resident_bytes

_ANSWERS = {
    b"\x1b[6n": b"\x1b[38;5R",
    b"\x1b[?2026$p": b"\x1b[?2026;2$y",
    b"\x1b[?69$p": b"\x1b[?69;2$y",
}
"""What xterm answers to queries."""
_QUESTION = re.compile(rb"\x1b\[6n|\x1b\[\?(2026|69)\$p")


@dataclass(frozen=True)
class Line:
    """A line: `rate` in bytes a second (0: any), `delay_s` one way, `buffer` bytes under way at most."""

    rate: float = 0.0
    delay_s: float = 0.0
    buffer: int = 32_768


class Wire:
    """`command` in a terminal of `columns` by `rows`. `chunks` is what arrived: (when, data)."""

    def __init__(
        self,
        command: list[str],
        environment: Mapping[str, str],
        line: Line = Line(),
        columns: int = 120,
        rows: int = 40,
        *,
        has_margins: bool = True,
    ) -> None:
        self.line = line
        self._answers = {**_ANSWERS} if has_margins else {**_ANSWERS, b"\x1b[?69$p": b"\x1b[?69;0$y"}
        self.chunks: list[tuple[float, bytes]] = []
        self._down: deque[tuple[float, float, bytes]] = deque()
        self._up: deque[tuple[float, bytes]] = deque()
        self._busy_until = 0.0
        self._tail = b""
        self.started_at = time.monotonic()
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self._child = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, env=environment, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )  # fmt: skip
        os.close(slave)
        os.set_blocking(self._master, False)

    @property
    def pid(self) -> int:
        return self._child.pid

    # -- acting

    def send(self, data: bytes) -> float:
        """Type `data`; returns when."""
        now = time.monotonic()
        self._up.append((now + self.line.delay_s, data))
        self.pump(0.0)
        return now

    def resize(self, columns: int, rows: int) -> float:
        now = time.monotonic()
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        return now

    def signal(self, number: signal.Signals) -> None:
        self._child.send_signal(number)

    def close(self) -> None:
        self._child.kill()
        self._child.wait()
        os.close(self._master)

    # -- looking

    def pump(self, seconds: float) -> None:
        """Let the wire work so long."""
        until = time.monotonic() + seconds
        while True:
            now = time.monotonic()
            self._deliver(now)
            wake = min(
                [until, *(self._down[0][1:2] if self._down else ()), *(self._up[0][:1] if self._up else ())]
            )
            under_way = sum(len(data) for busy, _, data in self._down if busy > now) if self.line.rate else 0
            readable = [self._master] if under_way < self.line.buffer else []
            if not readable and self._down:
                wake = min(wake, next(busy for busy, _, _ in self._down if busy > now))
            ready, _, _ = select.select(readable, [], [], max(0.0, wake - now))
            if ready and not self._take():
                return
            if time.monotonic() >= until:
                self._deliver(time.monotonic())
                return

    def wait(self, text: bytes, limit_s: float, since: int = 0) -> float:
        """Pump until `text` has arrived, from chunk `since` on; returns when it did."""
        until = time.monotonic() + limit_s
        seen, at = b"", since
        while True:
            for when, data in self.chunks[at:]:
                at += 1
                seen += data
                if text in seen:
                    return when
            if time.monotonic() > until:
                raise TimeoutError(f"{text.decode()!r} not within {limit_s} s; last was {seen[-300:]!r}")
            self.pump(0.002)

    def next_chunk(self, since: int, limit_s: float) -> float:
        """Pump until chunk number `since` has arrived; returns when it did."""
        until = time.monotonic() + limit_s
        while len(self.chunks) <= since:
            if time.monotonic() > until:
                raise TimeoutError(f"nothing within {limit_s} s")
            self.pump(0.002)
        return self.chunks[since][0]

    def quiet(self, seconds: float, limit_s: float = 60.0) -> float:
        """Pump until nothing has come for so long; returns when the last came."""
        until = time.monotonic() + limit_s
        while time.monotonic() < until:
            last = self.chunks[-1][0] if self.chunks else self.started_at
            if time.monotonic() - last >= seconds and not self._down:
                return last
            self.pump(0.005)
        raise TimeoutError("never quiet")

    def _take(self) -> bool:
        try:
            data = os.read(self._master, 4096 if self.line.rate else 65_536)
        except OSError:
            return False
        now = time.monotonic()
        if self.line.rate:
            self._busy_until = max(now, self._busy_until) + len(data) / self.line.rate
            self._down.append((self._busy_until, self._busy_until + self.line.delay_s, data))
        else:
            self._down.append((now, now + self.line.delay_s, data))
        return bool(data)

    def _deliver(self, now: float) -> None:
        while self._down and self._down[0][1] <= now:
            _, when, data = self._down.popleft()
            self.chunks.append((when, data))
            seen = self._tail + data
            for question in _QUESTION.finditer(seen):
                if question.end() > len(self._tail):
                    self._up.append((now + self.line.delay_s, self._answers[question.group()]))
            self._tail = seen[-9:]
        while self._up and self._up[0][0] <= now:
            with contextlib.suppress(OSError):
                os.write(self._master, self._up.popleft()[1])

    # -- what it costs

    @property
    def resident_mb(self) -> float:
        """Memory in use now."""
        return resident_bytes(self.pid) / 2**20

    @property
    def cpu_s(self) -> float:
        """Processor time used so far, by all threads."""
        return processor_s(self.pid)
