"""What a user feels: the chat and its peers in a real terminal of 120x40, as a table for docs/performance.md.

Needs Linux. WeeChat is measured too if it is installed. Each measure is the median of some runs, the
programs in turn, so that a noisy machine is noisy for all of them.

    python -m tests.benchmarks.terminal                     # all measures of all programs
    python -m tests.benchmarks.terminal --only echo-idle bytes --programs chat --repeat 1
    python -m tests.benchmarks.terminal --write             # and write the table into docs/performance.md
"""

from __future__ import annotations

import argparse
import os
import random
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyte

from tests.benchmarks.tables import Table, parse_options
from tests.benchmarks.wire import Line, Wire

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PATIENCE_S = 90.0
LETTERS = [chr(code) for code in range(0x410, 0x450)]
"""Typed to see them come back: nobody else uses them."""
MARK = "ΩΨΦ"
"""The last of many posts says this."""
SLOW_LINE = Line(rate=20_000, delay_s=0.040)


@dataclass(frozen=True)
class Program:
    """How to start a peer; `URL`, `IRC` and `HOME` in its words are filled in. `hint`: it is there."""

    words: tuple[str, ...]
    hint: bytes
    environment: tuple[tuple[str, str], ...] = ()
    clear: bytes = b"\x15"


PYTHON = sys.executable
CHAT = ("-m", "broadcast_tui", "chat", "URL", "--name", "ana")
PROGRAMS = {
    "chat": Program((PYTHON, *CHAT), b"essage #lobby"),
    "textual": Program((PYTHON, *CHAT), b"essage #lobby", (("BROADCAST_TUI_OUTPUT", "textual"),)),
    "richlog": Program((PYTHON, str(HERE / "richlog_chat.py"), "URL"), b"essage #lobby"),
    "weechat": Program(
        (
            "weechat", "-d", "HOME/weechat", "-r", "/set weechat.history.max_buffer_lines_number 110000",
            "-r", "/server add s 127.0.0.1/IRC", "-r", "/set irc.server.s.tls off",
            "-r", "/set irc.server.s.nicks ana", "-r", "/set irc.server.s.autojoin #lobby",
            "-r", "/connect s",
        ),
        b"lobby",
    ),
}  # fmt: skip


@dataclass
class Running:
    """A program and the server that it is connected to."""

    wire: Wire
    server: subprocess.Popen[str]
    program: Program
    home: Path
    start_cpu_s: float
    """Processor time until the first screen."""

    def tell(self, line: str) -> float:
        """Have the server do something; returns when it was told."""
        assert self.server.stdin is not None
        self.server.stdin.write(line + "\n")
        self.server.stdin.flush()
        return time.monotonic()

    def hold(self, count: int) -> float:
        """Post so many and wait until the last is on the screen; returns how long that took."""
        since = len(self.wire.chunks)
        self.tell(f"post {count} {MARK}")
        assert self.server.stdout is not None
        self.server.stdout.readline()
        begun = time.monotonic()
        return self.wire.wait(MARK.encode(), PATIENCE_S, since) - begun

    def echo(self, keys: int, pause_s: tuple[float, float] = (0.03, 0.13)) -> list[float]:
        """Type letters; for each, how long until it came back, in milliseconds."""
        dice, times = random.Random(2), []
        for n in range(keys):
            if n and n % 40 == 0:
                self.wire.send(self.program.clear)
                self.wire.pump(0.3)
            letter = LETTERS[n % len(LETTERS)].encode()
            since = len(self.wire.chunks)
            typed = self.wire.send(letter)
            came = self.wire.wait(letter, PATIENCE_S, since)
            times.append(1000 * (came - typed))
            self.wire.pump(dice.uniform(*pause_s))
        return times


@contextmanager
def running(
    name: str,
    line: Line = Line(),  # noqa: B008
    watched: bool = False,
    has_margins: bool = True,
) -> Iterator[Running]:
    """A program, connected, its first screen drawn; the terminal has left and right margins, as xterm."""
    program = PROGRAMS[name]
    with tempfile.TemporaryDirectory() as directory:
        server = subprocess.Popen(
            [PYTHON, str(HERE / "flood_server.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        assert server.stdout is not None
        port, irc_port = server.stdout.readline().split()
        filled = {"URL": f"ws://127.0.0.1:{port}/lobby", "IRC": irc_port, "HOME": directory}
        words = [re.sub("URL|IRC|HOME", lambda found: filled[found[0]], word) for word in program.words]
        if watched:
            words = [PYTHON, str(HERE / "watched_chat.py"), f"{directory}/beats", *words[3:]]
        environment = {
            **os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", "HOME": directory,
            "XDG_STATE_HOME": directory, "XDG_CONFIG_HOME": directory, "XDG_DATA_HOME": directory,
            "PYTHONPATH": str(ROOT), "LANG": "C.UTF-8", **dict(program.environment),
        }  # fmt: skip
        wire = Wire(words, environment, line, has_margins=has_margins)
        try:
            wire.wait(program.hint, PATIENCE_S)
            start_cpu_s = wire.cpu_s
            while server.stdout.readline().strip() != "ready":
                pass
            wire.quiet(0.3)
            yield Running(wire, server, program, Path(directory), start_cpu_s)
        finally:
            wire.close()
            server.kill()
            server.communicate()


def p95(values: list[float]) -> float:
    return sorted(values)[int(len(values) * 0.95)]


Result = dict[str, float]


def echo_idle(name: str) -> Result:
    with running(name) as it:
        it.hold(10_000)
        it.wire.quiet(0.5)
        times = it.echo(80)
        return {"p95": p95(times), "p50": statistics.median(times), "max": max(times)}


def echo_loaded(name: str, rate: int) -> Result:
    with running(name) as it:
        it.hold(10_000)
        it.wire.quiet(0.5)
        it.tell(f"rate {rate}")
        it.wire.pump(1.0)
        begun, used = time.monotonic(), it.wire.cpu_s
        times = it.echo(80)
        share = 100 * (it.wire.cpu_s - used) / (time.monotonic() - begun)
        since = len(it.wire.chunks)
        stopped = it.tell(f"stop {MARK}")
        behind = it.wire.wait(MARK.encode(), PATIENCE_S, since) - stopped
        p50 = statistics.median(times)
        return {"p95": p95(times), "max": max(times), "cpu": share, "p50": p50, "behind": behind}


def burst(name: str) -> Result:
    with running(name) as it:
        used = it.wire.cpu_s
        taken = it.hold(20_000)
        return {"s": taken, "cpu": it.wire.cpu_s - used}


def memory(name: str) -> Result:
    with running(name) as it:
        it.hold(100_000)
        it.wire.quiet(1.0)
        return {"mb": it.wire.resident_mb}


def resize(name: str) -> Result:
    """First right frame, by emulating the terminal afterwards, and the longest time the loop was held up."""
    # The emulator has no margins.
    with running(name, watched=name == "chat", has_margins=False) as it:
        it.hold(100_000)
        it.wire.quiet(1.5)
        firsts, blocks = [], []
        beats = it.home / "beats"
        for columns in (100, 120, 90, 120, 100):
            if name == "chat":
                it.wire.signal(signal.SIGUSR1)
                it.wire.pump(0.2)
                it.wire.signal(signal.SIGUSR1)
            since = len(it.wire.chunks)
            begun = it.wire.resize(columns, 40)
            it.wire.pump(0.5)
            it.wire.quiet(0.7)
            if name == "chat":
                beats.unlink()
                it.wire.signal(signal.SIGUSR1)
                while not (beats.exists() and beats.read_text()):
                    it.wire.pump(0.02)
                blocks.append(1000 * float(beats.read_text()))
            firsts.append(1000 * (first_right(it.wire.chunks[since:], columns, 40) - begun))
        return {"first": statistics.median(firsts), "block": max(blocks, default=0.0)}


def first_right(chunks: list[tuple[float, bytes]], columns: int, rows: int) -> float:
    """When the screen was first as it stayed, the status line aside."""

    def screens() -> Iterator[tuple[float, list[str]]]:
        screen = pyte.Screen(columns, rows)
        stream = pyte.ByteStream(screen)
        for when, data in chunks:
            stream.feed(re.sub(rb"\x1b\[[<>=?][0-9;]*[a-ln-zA-Z]", b"", data))
            shown = ["".join(screen.buffer[y][x].data for x in range(columns)) for y in range(rows - 6)]
            yield when, shown

    seen = list(screens())
    return next(when for when, shown in seen if shown == seen[-1][1])


def page_up(name: str) -> Result:
    with running(name) as it:
        it.hold(100_000)
        it.wire.quiet(1.5)
        times = []
        for _ in range(40):
            since = len(it.wire.chunks)
            typed = it.wire.send(b"\x1b[5~")
            it.wire.next_chunk(since, PATIENCE_S)
            times.append(1000 * (it.wire.quiet(0.1) - typed))
        return {"p95": p95(times), "p50": statistics.median(times)}


def line_bytes(name: str, *, has_margins: bool = True) -> Result:
    with running(name, has_margins=has_margins) as it:
        it.hold(1_000)
        it.wire.quiet(0.5)
        since = len(it.wire.chunks)
        for _ in range(20):
            it.tell("post 1 the-usual-length-of-a-post-that-people-write-to-each-other-here")
            it.wire.pump(0.25)
        return {"bytes": sum(len(data) for _, data in it.wire.chunks[since:]) / 20}


def slow_line(name: str) -> Result:
    with running(name, SLOW_LINE) as it:
        it.hold(1_000)
        it.wire.quiet(0.5)
        it.tell("rate 10")
        it.wire.pump(2.0)
        times = it.echo(60)
        return {"p95": p95(times), "p50": statistics.median(times), "max": max(times)}


def start(name: str) -> Result:
    with running(name) as it:
        return {"s": it.wire.wait(it.program.hint, 0.0) - it.wire.started_at, "cpu": it.start_cpu_s}


def idle(name: str) -> Result:
    with running(name) as it:
        it.hold(10_000)
        it.wire.quiet(2.0)
        begun, used = time.monotonic(), it.wire.cpu_s
        it.wire.pump(10.0)
        return {"percent": 100 * (it.wire.cpu_s - used) / (time.monotonic() - begun)}


@dataclass(frozen=True)
class Measure:
    """One row of the table: what is shown of a result, and what is to be reached."""

    title: str
    run: Callable[[str], Result]
    shown: str
    target: str


MEASURES = {
    "echo-idle": Measure("key to echo, 10,000 posts held, p95", echo_idle, "{p95:.1f} ms", "0.5 × RichLog"),
    "echo-1000": Measure(
        "the same while 1,000 posts/s arrive", lambda name: echo_loaded(name, 1_000), "{p95:.0f} ms", "30 ms"
    ),
    "echo-5000": Measure(
        "the same at 5,000 posts/s, p95 / max, processor",
        lambda name: echo_loaded(name, 5_000),
        "{p95:.0f} / {max:.0f} ms, {cpu:.0f} %",
        "30 / 60 ms, 0.35 × WeeChat",
    ),
    "burst": Measure("20,000 posts at once, until the last is shown", burst, "{s:.2f} s", "0.12 × WeeChat"),
    "memory": Measure("memory with 100,000 posts held", memory, "{mb:.0f} MB", "WeeChat"),
    "resize": Measure(
        "resize at 100,000 posts: first right frame / longest stall",
        resize,
        "{first:.0f} / {block:.0f} ms",
        "40 / 40 ms",
    ),
    "page-up": Measure("Page Up at 100,000 posts, p95", page_up, "{p95:.1f} ms", "4 × WeeChat"),
    "bytes": Measure("bytes to the terminal for one new line", line_bytes, "{bytes:,.0f}", "WeeChat"),
    "bytes-no-margins": Measure(
        "the same in a terminal without left and right margins",
        lambda name: line_bytes(name, has_margins=False),
        "{bytes:,.0f}",
        "WeeChat",
    ),
    "slow-line": Measure(
        "key to echo over 20 kB/s, 40 ms each way, 10 posts/s, p95", slow_line, "{p95:.0f} ms", "130 ms"
    ),
    "start": Measure(
        "start to the first screen, warm; processor", start, "{s:.2f} s; {cpu:.2f} s", "1.25 × RichLog"
    ),
    "idle": Measure("processor while idle", idle, "{percent:.2f} %", "0.3 %"),
}


def calibration_ms() -> float:
    """Time for a loop of a million steps, by which machines and their phases compare."""
    times = []
    for _ in range(9):
        begun, step = time.perf_counter(), 0
        while step < 1_000_000:
            step += 1
        times.append(1000 * (time.perf_counter() - begun))
    return statistics.median(times)


def median_of(results: list[Result]) -> Result:
    return {key: statistics.median(result[key] for result in results) for key in results[0]}


def measure(name: str, programs: list[str], repeat: int) -> dict[str, str]:
    """The cells of one row, by program."""
    results: dict[str, list[Result]] = {program: [] for program in programs}
    for _ in range(repeat):
        print(f"calibration: {calibration_ms():.0f} ms", file=sys.stderr, flush=True)
        for program in programs:
            try:
                result = MEASURES[name].run(program)
            except (TimeoutError, ProcessLookupError, FileNotFoundError) as error:
                print(f"{name} {program}: {error}", file=sys.stderr)
                continue
            results[program].append(result)
            shown = ", ".join(f"{key} {value:.2f}" for key, value in result.items())
            print(f"{name} {program}: {shown}", file=sys.stderr, flush=True)
    return {
        program: MEASURES[name].shown.format(**median_of(found)) if found else "gave up"
        for program, found in results.items()
    }


def table(cells: dict[str, dict[str, str]], programs: list[str]) -> Table:
    titles = {
        "chat": "**broadcast-tui**",
        "textual": "its output by Textual",
        "richlog": "Textual's RichLog",
        "weechat": "WeeChat",
    }
    rows = Table("terminal", "120×40", *(titles.get(program, program) for program in programs), "aim")
    for name, row in cells.items():
        rows.add(MEASURES[name].title, *(row[program] for program in programs), MEASURES[name].target)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    installed = [name for name in PROGRAMS if name != "weechat" or shutil.which("weechat")]
    parser.add_argument("--only", nargs="+", choices=MEASURES, default=list(MEASURES))
    parser.add_argument("--programs", nargs="+", choices=PROGRAMS, default=installed)
    parser.add_argument("--repeat", type=int, default=3, help="runs a median is taken of")
    arguments = parse_options(parser)
    cells = {name: measure(name, arguments.programs, arguments.repeat) for name in arguments.only}
    rows = table(cells, arguments.programs)
    if arguments.write:
        rows.write()


if __name__ == "__main__":
    main()
