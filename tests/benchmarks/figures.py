"""The server's other figures beside its peers: latency, many clients, memory, joins, a stalled reader.

Needs what fanout.py needs. Prints one line a measure: what was reached, and of which peer.

    python tests/benchmarks/figures.py            # all
    python tests/benchmarks/figures.py latency memory
"""

from __future__ import annotations

import json
import os
import re
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[2]
BENCH = Path(os.environ.get("BENCH", ROOT.parent / "shared" / "bench"))
LAB = Path(os.environ.get("LAB", Path.home() / ".cache" / "fanout-lab"))
PYTHON = str(LAB / "v" / "bin" / "python")
PROJECT = [
    str(Path(sys.executable).parent / "broadcast-tui"),
    "serve",
    "--host",
    "127.0.0.1",
    "--message-rate",
    "0",
]
SERVERS = {
    "uws": [PYTHON, str(BENCH / "peers" / "uws_socketify.py"), "PORT"],
    "ws.broadcast": [PYTHON, str(BENCH / "peers" / "ws_broadcast.py"), "PORT", "uvloop"],
    "project": [*PROJECT, "--history", "memory", "--port", "PORT"],
    "sqlite": [*PROJECT, "--history", "FILE", "--port", "PORT"],
    "unsynced": [
        sys.executable,
        "-c",
        "from broadcast_tui.cli import main; from broadcast_tui.engine import sqlite_schema;"
        " sqlite_schema.SYNCHRONOUS = 'NORMAL'; main()",
        *PROJECT[1:],
        "--history",
        "FILE",
        "--port",
        "PORT",
    ],
}
REPEAT = 3


@contextmanager
def serving(name: str) -> Iterator[tuple[int, int]]:
    """A server on core 0: its port and process id."""
    with socket.socket() as probe, TemporaryDirectory() as directory:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        words = [
            word.replace("PORT", str(port)).replace("FILE", f"{directory}/h.db") for word in SERVERS[name]
        ]
        server = subprocess.Popen(
            ["taskset", "-c", "0", *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            for _ in range(200):
                try:
                    socket.create_connection(("127.0.0.1", port), 0.2).close()
                    break
                except OSError:
                    time.sleep(0.05)
            time.sleep(0.5)
            yield port, server.pid
        finally:
            server.terminate()
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                server.kill()


def load(port: int, clients: int, messages: int, window: int, rate: float = 0) -> dict[str, float]:
    """One run of the load generator on core 1."""
    words = [str(word) for word in (LAB / "fanload", port, clients, messages, 64, window, rate, "", "/")]
    done = subprocess.run(["taskset", "-c", "1", *words], capture_output=True, text=True, check=True)
    result: dict[str, float] = json.loads(done.stdout)
    return result


def resident_kb(pid: int) -> int:
    """Resident memory of a process now."""
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    return int(found.group(1)) if found else 0


def medians(names: list[str], measure: Callable[[str], float]) -> dict[str, float]:
    """Median of `REPEAT` runs of each, taken in turn."""
    runs: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(REPEAT):
        for name in names:
            runs[name].append(measure(name))
    return {name: statistics.median(values) for name, values in runs.items()}


def compare(title: str, unit: str, names: list[str], measure: Callable[[str], float]) -> None:
    found = medians(names, measure)
    first, second = found[names[0]], found[names[1]]
    shown = ", ".join(f"{name} {value:,.2f} {unit}" for name, value in found.items())
    print(f"{title}: {shown}; ratio {first / second:.2f}", flush=True)


def measure_sqlite() -> None:
    def rate(name: str) -> float:
        with serving(name) as (port, _):
            return load(port, 500, 6_000, 64)["deliveries_per_s"]

    compare("SQLite against memory, 500 clients, window 64", "/s", ["sqlite", "project"], rate)
    compare("SQLite synced against unsynced, window 64", "/s", ["sqlite", "unsynced"], rate)


def measure_latency() -> None:
    def p99(name: str) -> float:
        with serving(name) as (port, _):
            return load(port, 500, 1_000, 1, rate=100)["p99_ms"]

    compare("100 posts/s to 500 clients, p99", "ms", ["project", "uws"], p99)


def measure_many() -> None:
    def rate(name: str) -> float:
        with serving(name) as (port, _):
            return load(port, 8_000, 100, 8)["deliveries_per_s"]

    compare("8,000 clients, window 8", "/s", ["project", "ws.broadcast"], rate)


def measure_memory() -> None:
    idle = []
    with serving("project") as (port, pid):
        before = resident_kb(pid)
        held = [greeted(port) for _ in range(10_000)]
        time.sleep(2)
        idle.append((resident_kb(pid) - before) / len(held))
        for connection in held:
            connection.close()
    print(f"memory of 10,000 idle connections: {idle[0]:.1f} KB each", flush=True)


def measure_joins() -> None:
    for clients in (1_000, 2_000):
        with serving("project") as (port, _):
            result = load(port, clients, 1, 1)
            frames = result["other_frames"]
            print(
                f"{clients} clients joining: {frames:.0f} frames ({frames / clients:.1f} each), "
                f"all connected after {result['connect_s']:.2f} s",
                flush=True,
            )


def measure_stalled() -> None:
    def p99(stalled: bool) -> float:
        with serving("project") as (port, _):
            deaf = greeted(port) if stalled else None
            found = load(port, 500, 2_000, 8)["p99_ms"]
            if deaf is not None:
                deaf.close()
            return found

    found = medians(["with", "without"], lambda name: p99(name == "with"))
    print(
        f"p99 of 500 clients under a flood: {found['with']:.2f} ms with a stalled one, "
        f"{found['without']:.2f} ms without; ratio {found['with'] / found['without']:.2f}",
        flush=True,
    )


def greeted(port: int) -> socket.socket:
    """A WebSocket connection that has shaken hands and reads nothing more."""
    connection = socket.create_connection(("127.0.0.1", port))
    connection.sendall(
        b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    connection.recv(4096)
    return connection


MEASURES = {
    "sqlite": measure_sqlite,
    "latency": measure_latency,
    "many": measure_many,
    "memory": measure_memory,
    "joins": measure_joins,
    "stalled": measure_stalled,
}

if __name__ == "__main__":
    for chosen in sys.argv[1:] or MEASURES:
        MEASURES[chosen]()
