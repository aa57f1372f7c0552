"""`broadcast-tui` as a process, used only through its command line, streams and files."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import unified_diff
from pathlib import Path

LIMIT_S = 60.0
"""Timeout of everything a test waits for."""
HERE = Path(__file__).parent
FILES = HERE / "files"
"""Files that an earlier version has written, and golden files of its output."""
COMMAND = (sys.executable, "-m", "broadcast_tui")


@dataclass(frozen=True)
class Outcome:
    """Exit status and output of a process."""

    status: int
    out: str
    err: str


def environment(home: Path, **more: str) -> dict[str, str]:
    """The environment of a process with the home directory `home` and no settings."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("BROADCAST_TUI_")}
    homes = dict.fromkeys(
        ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"), str(home)
    )
    fixed = {"TZ": "UTC", "COLUMNS": "120", "NO_COLOR": "1", "PYTHONWARNINGS": "default"}
    return {**kept, **homes, **fixed, **more}


def run(*words: str, home: Path, given: str = "", env: Mapping[str, str] | None = None) -> Outcome:
    """Run a command with `given` on standard input and wait for its end."""
    done = subprocess.run(
        [*COMMAND, *words],
        input=given,
        capture_output=True,
        text=True,
        encoding="utf-8",
        env=environment(home, **(env or {})),
        cwd=home,
        timeout=LIMIT_S,
        check=False,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


class Server:
    """A running `broadcast-tui serve` on 127.0.0.1."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        assert process.stdout is not None
        first_line = process.stdout.readline()
        found = re.fullmatch(r"Broadcast server started on (wss?://\S+:(\d+))\n", first_line)
        assert found, f"the server did not start: {first_line!r}"
        self.url, self.port = found[1], int(found[2])

    def stop(self) -> int:
        """Send SIGTERM and wait for the end; returns the exit status."""
        self.process.terminate()
        return self.wait()

    def wait(self) -> int:
        """Wait for the end; returns the exit status."""
        self.process.communicate(timeout=LIMIT_S)
        return self.process.returncode


@contextmanager
def serving(*words: str, home: Path, port: int = 0) -> Iterator[Server]:
    """A server with these options; stopped at the end. Its log is `serve.log` in `home`."""
    with (home / "serve.log").open("a") as log:
        process = subprocess.Popen(
            [*COMMAND, "serve", "--host", "127.0.0.1", "--port", str(port), *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=environment(home),
            cwd=home,
        )
    try:
        server = Server(process)
        yield server
        if process.returncode is None:
            server.stop()
    finally:
        if process.returncode is None:
            process.kill()
            process.communicate()


def check_golden(name: str, found: str, *, inside: Path = HERE) -> None:
    """Compare with a golden file, or write it if COMPAT_RECORD=1 is set."""
    path = inside / name
    if os.environ.get("COMPAT_RECORD"):
        path.write_text(found, "utf-8")
    assert path.exists(), f"{path} is missing; record it with COMPAT_RECORD=1"
    recorded = path.read_text("utf-8").splitlines()
    different = "\n".join(unified_diff(recorded, found.splitlines(), "recorded", "found", lineterm="", n=1))
    assert not different, f"{name} is not as recorded:\n{different}"
