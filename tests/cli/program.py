"""`broadcast-tui` as a process whose output is read while it runs."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.running import PATIENCE_S

START_S = 60.0
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Outcome:
    status: int
    out: str
    err: str


class Program:
    """A running process. `out` and `err` are its output read so far."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.err = ""
        self.out = ""

    @staticmethod
    def environment(home: Path) -> dict[str, str]:
        """The environment of the tests, with an empty home and no settings of the user."""
        return {
            **{key: value for key, value in os.environ.items() if not key.startswith("BROADCAST_TUI_")},
            "HOME": str(home),
            "XDG_CONFIG_HOME": str(home),
            "XDG_DATA_HOME": str(home),
            "XDG_STATE_HOME": str(home),
        }

    async def line(self) -> str:
        """The next line of standard output."""
        assert self.process.stdout is not None
        async with asyncio.timeout(START_S):
            line = (await self.process.stdout.readline()).decode()
        self.out += line
        return line.rstrip("\n")

    async def port(self) -> int:
        """The port in the first line of output."""
        line = await self.line()
        found = re.fullmatch(r"Broadcast server started on wss?://\S+:(\d+)", line)
        assert found, f"{line!r}, and {self.err}"
        return int(found[1])

    async def line_with(self, text: str) -> str:
        """Read standard output up to a line that contains `text`."""
        while text not in (line := await self.line()):
            assert line, f"the end came before {text!r}, and {self.err}"
        return line

    async def log_line(self, pattern: str) -> re.Match[str]:
        """Wait for a match of `pattern` on standard error."""
        assert self.process.stderr is not None
        try:
            async with asyncio.timeout(PATIENCE_S):
                while (found := re.search(pattern, self.err, re.MULTILINE)) is None:
                    data = await self.process.stderr.read(65_536)
                    assert data, f"no {pattern} in {self.err}"
                    self.err += data.decode()
        except TimeoutError:
            raise AssertionError(f"no {pattern} in {self.err}") from None
        return found

    async def stop(self, number: signal.Signals) -> Outcome:
        """Send a signal and wait for the end."""
        self.process.send_signal(number)
        return await self.ended()

    async def ended(self) -> Outcome:
        async with asyncio.timeout(PATIENCE_S):
            out, err = await self.process.communicate()
        self.out += out.decode()
        self.err += err.decode()
        assert self.process.returncode is not None
        return Outcome(self.process.returncode, self.out, self.err)


EXECUTED = "from broadcast_tui.cli import main; main()"
"""`code` that starts a new interpreter, to measure memory: forks share pages."""


@asynccontextmanager
async def program(
    *arguments: str, home: Path, before: tuple[str, ...] = (), code: str = ""
) -> AsyncIterator[Program]:
    """Run `broadcast-tui` with an empty home directory; killed at the end if it is still running.

    Args:
        before: Words in front of the command, such as a shell that sets limits.
        code: Python code to run instead of the module, with the same arguments.
    """
    how = ("-c", code) if code else ("-m", "broadcast_tui")
    process = await asyncio.create_subprocess_exec(
        *(*before, sys.executable, *how, *arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=ROOT,
        env=Program.environment(home),
    )
    try:
        yield Program(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def run(*arguments: str, home: Path) -> Outcome:
    """Run a command and wait for its end."""
    async with program(*arguments, home=home) as running:
        async with asyncio.timeout(START_S):
            return await running.ended()
