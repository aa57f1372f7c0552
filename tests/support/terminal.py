"""A program in a pseudo-terminal, with a terminal emulator for its screen.

Tests wait for the contents of the screen, with a generous timeout, and never for a fixed time.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pexpect
import pyte

LIMIT_S = 40.0
QUIET_S = 0.1 if sys.platform == "linux" else 0.5
"""How long a program writes nothing before it counts as idle: longer than the timers that delay a frame."""


class Terminal:
    """`command` (words) running in a terminal of `columns` by `rows`.

    `raw` contains all bytes that the terminal received, `lines` the rows of its screen.
    """

    def __init__(
        self,
        command: list[str],
        *,
        columns: int = 80,
        rows: int = 24,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.raw = bytearray()
        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)
        self._child = pexpect.spawn(
            command[0],
            command[1:],
            dimensions=(rows, columns),
            env={**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", **(environment or {})},
            timeout=LIMIT_S,
        )
        self._child.delaybeforesend = None
        # The emulator answers queries, such as for the position of the cursor.
        vars(self._screen)["write_process_input"] = self.type

    # -- looking

    @property
    def lines(self) -> list[str]:
        """The rows of the screen without trailing blanks."""
        screen = self._screen
        rows = (screen.buffer[y] for y in range(screen.lines))
        # pyte's `display` fails if half of a wide character was overwritten.
        return ["".join(row[x].data for x in range(screen.columns)).rstrip() for row in rows]

    @property
    def cells(self) -> list[list[tuple[str, ...]]]:
        """The visible parts of each cell: character and style; for most blanks only the background."""
        return [
            [_seen(self._screen.buffer[y][x]) for x in range(self._screen.columns)]
            for y in range(self._screen.lines)
        ]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def read(self, wait_s: float = 0.05) -> bool:
        """Read output of the program for at most `wait_s`; returns False if it has exited."""
        try:
            data = self._child.read_nonblocking(65_536, wait_s)
        except pexpect.TIMEOUT:
            return True
        except pexpect.EOF:
            return False
        self.raw += data
        # pyte would print parts of sequences with private parameters, such as ESC [ > 25 u.
        self._stream.feed(re.sub(rb"\x1b\[[<>=?][0-9;]*[a-ln-zA-Z]|\x1b\[>[0-9;]*m", b"", data))
        return True

    def wait_until(self, condition: Callable[[], object], what: str) -> None:
        """Read until `condition` holds; on timeout, fails and shows the screen."""
        deadline = time.monotonic() + LIMIT_S
        while not condition():
            alive = self.read()
            if condition():
                return
            if not alive or time.monotonic() > deadline:
                state = "the limit is over" if alive else "the program has ended"
                raise AssertionError(f"{state}, and still not: {what}\n{self.text}")

    def wait_idle(self, *process_ids: int) -> None:
        """Read until nothing arrives while the program and the processes `process_ids` sleep.

        A process that waits for a CPU is not asleep, so this is slower but still correct on a busy machine.
        """
        deadline = time.monotonic() + LIMIT_S
        processes = (self._child.pid, *process_ids)
        while True:
            assert time.monotonic() < deadline, f"still busy:\n{self.text}"
            received_bytes = len(self.raw)
            was_idle = all(map(_is_asleep, processes))
            self.read(QUIET_S)
            if was_idle and len(self.raw) == received_bytes and all(map(_is_asleep, processes)):
                return

    def wait_for(self, *texts: str) -> None:
        """Wait until the screen contains all `texts`."""
        self.wait_until(lambda: all(text in self.text for text in texts), f"{texts} on the screen")

    def wait_gone(self, text: str) -> None:
        self.wait_until(lambda: text not in self.text, f"{text!r} gone from the screen")

    # -- acting

    def type(self, text: str) -> None:
        self._child.send(text)

    def enter(self, text: str) -> None:
        """Type a line and send it."""
        self.type(text + "\r")

    def paste(self, text: str) -> None:
        self.type(f"\x1b[200~{text}\x1b[201~")

    def resize(self, columns: int, rows: int) -> None:
        self._screen.resize(rows, columns)
        self._child.setwinsize(rows, columns)

    def forget(self) -> None:
        """Clear the screen behind the program's back."""
        self._screen.erase_in_display(2)

    def signal(self, number: signal.Signals) -> None:
        self._child.kill(number)

    def wait_exit(self) -> int:
        """Wait for the end; returns the exit status, 128 + n after an unhandled signal n."""
        deadline = time.monotonic() + LIMIT_S
        while self.read():
            assert time.monotonic() < deadline, f"still running:\n{self.text}"
        self._child.wait()
        if self._child.signalstatus is not None:
            return 128 + int(self._child.signalstatus)
        return int(self._child.exitstatus)

    def close(self) -> None:
        with contextlib.suppress(OSError, pexpect.ExceptionPexpect):
            self._child.close(force=True)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _is_asleep(process_id: int) -> bool:
    """Whether all threads of a process wait for an event; always true where /proc does not tell."""
    if sys.platform != "linux":
        return True
    threads = Path(f"/proc/{process_id}/task").glob("*/stat")
    return all(stat.read_text().rpartition(")")[2].split()[0] == "S" for stat in threads)


def _seen(cell: pyte.screens.Char) -> tuple[str, ...]:
    looks = [name for name in ("underscore", "strikethrough", "reverse") if getattr(cell, name)]
    if cell.data == " " and not looks:
        return (" ", cell.bg)
    looks += [name for name in ("bold", "italics") if getattr(cell, name)]
    return (cell.data, cell.bg, cell.fg, *looks)


def program(*words: str) -> list[str]:
    """The command line of `broadcast-tui` in this environment."""
    return [str(Path(sys.executable).parent / "broadcast-tui"), *words]


def left_clean(raw: bytes) -> bool:
    """Whether all modes that were enabled in a terminal have been disabled again."""
    for on, off in (
        (rb"\x1b\[\?1049h", rb"\x1b\[\?1049l"),
        (rb"\x1b\[\?1000h", rb"\x1b\[\?1000l"),
        (rb"\x1b\[\?2004h", rb"\x1b\[\?2004l"),
        (rb"\x1b\[\?25l", rb"\x1b\[\?25h"),
    ):
        last_on = max((m.start() for m in re.finditer(on, raw)), default=-1)
        last_off = max((m.start() for m in re.finditer(off, raw)), default=-1)
        if last_on > last_off:
            return False
    return True
