"""The server's other figures beside its peers: latency, many clients, memory, joins, a stalled reader.

Needs what fanout.py needs. Prints a row of docs/performance.md for each measure.

    python -m tests.benchmarks.figures            # all
    python -m tests.benchmarks.figures latency memory
    python -m tests.benchmarks.figures --write
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shlex
import socket
import ssl
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from broadcast_tui.core.protocol.handshake import SUBPROTOCOL
from broadcast_tui.server.tls import self_signed
from tests.benchmarks import http_connections
from tests.benchmarks.fanout import BENCH, MESSAGES
from tests.benchmarks.tables import Table, parse_options
from tests.support.process_cost import processor_s, resident_bytes

LAB = Path(os.environ.get("LAB", Path.home() / ".cache" / "fanout-lab"))
PYTHON = str(LAB / "v" / "bin" / "python")
Row = tuple[str, str]
"""What was measured, and the result."""
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
    "tls": [*PROJECT, "--history", "memory", "--tls-cert", "CERT", "--port", "PORT"],
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
CROWD = 20_000
SPARE_DESCRIPTORS = 1_500
"""What a server keeps of its descriptors for other things than connections."""


@contextmanager
def serving(name: str) -> Iterator[tuple[int, int]]:
    """A server on core 0: its port and process id."""
    with socket.socket() as probe, TemporaryDirectory() as directory:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        cert = self_signed(Path(directory) / "cert.pem", "localhost") if name == "tls" else Path()
        places = {"PORT": str(port), "FILE": f"{directory}/h.db", "CERT": str(cert)}
        words = [places.get(word, word) for word in SERVERS[name]]
        server = subprocess.Popen(
            ["taskset", "-c", "0", *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            if not _has_started(server, port):
                sys.exit(f"The server has not started: {shlex.join(words)}")
            time.sleep(0.5)
            yield port, server.pid
        finally:
            server.terminate()
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                server.kill()


def _has_started(server: subprocess.Popen[bytes], port: int) -> bool:
    """Wait until the server listens; false if it has ended, or needs too long."""
    for _ in range(200):
        if server.poll() is not None:
            return False
        try:
            socket.create_connection(("127.0.0.1", port), 0.2).close()
            return True
        except OSError:
            time.sleep(0.05)
    return False


def load(
    port: int, clients: int, messages: int, window: int, rate: float = 0, *, hello: str = "", path: str = "/"
) -> dict[str, float]:
    """One run of the load generator on core 1; each connection begins with the frame `hello`."""
    options = (LAB / "fanload", port, clients, messages, 64, window, rate, hello, path)
    words = [str(option) for option in options]
    done = subprocess.run(["taskset", "-c", "1", *words], capture_output=True, text=True, check=True)
    result: dict[str, float] = json.loads(done.stdout)
    return result


def medians(names: Collection[str], repeat: int, measure: Callable[[str], float]) -> dict[str, float]:
    """Median of `repeat` runs of each, taken in turn."""
    runs: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(repeat):
        for name in names:
            runs[name].append(measure(name))
            print(f"{name}: {runs[name][-1]:,.2f}", file=sys.stderr, flush=True)
    return {name: statistics.median(values) for name, values in runs.items()}


def measure_sqlite(repeat: int) -> Iterator[Row]:
    ratios = []
    for window, messages in MESSAGES.items():

        def rate(name: str, window: int = window, messages: int = messages) -> float:
            with serving(name) as (port, _):
                return load(port, 500, messages, window)["deliveries_per_s"]

        found = medians(["sqlite", "project", "unsynced"], repeat, rate)
        ratios.append((found["sqlite"] / found["project"], found["sqlite"] / found["unsynced"]))
    windows = f"500 connections, windows {' / '.join(str(window) for window in MESSAGES)}"
    for title, column in zip(
        ("History in SQLite compared with memory", "Commits synced to the disk compared with unsynced"),
        zip(*ratios, strict=True),
        strict=True,
    ):
        yield f"{title}, {windows}", f"{' / '.join(f'{ratio:.2f}' for ratio in column)} of the rate"


def measure_latency(repeat: int) -> Iterator[Row]:
    """Latency, and its price: a server that polls its sockets without sleeping is never late."""
    cores: dict[str, list[float]] = {"project": [], "uws": []}

    def p99(name: str) -> float:
        with serving(name) as (port, pid):
            before = processor_s(pid)
            found = load(port, 500, 1_000, 1, rate=100)
            cores[name].append((processor_s(pid) - before) / found["elapsed_s"])
            return found["p99_ms"]

    found = medians(cores, repeat, p99)
    own, peer = (f"{min(1, statistics.median(cores[name])):.0%}" for name in ("project", "uws"))
    shown = f"{found['project']:.1f} ms (uWebSockets: {found['uws']:.1f} ms)"
    yield "100 posts per second to 500 connections, p99 latency", shown
    yield "Processor time in these runs, of one core", f"{own} (uWebSockets: {peer})"


def measure_many(repeat: int) -> Iterator[Row]:
    def rate(name: str) -> float:
        with serving(name) as (port, _):
            return load(port, 8_000, 100, 8)["deliveries_per_s"]

    found = medians(["project", "ws.broadcast"], repeat, rate)
    ratio = found["project"] / found["ws.broadcast"]
    yield "8,000 connections, window 8", f"{ratio:.1f} times `websockets.broadcast`"


def measure_rooms(repeat: int) -> Iterator[Row]:
    """The generator sends plain requests; the rest of its request line becomes a header of no meaning."""
    path = f"/ HTTP/1.1\r\nSec-WebSocket-Protocol: {SUBPROTOCOL}\r\nX-Rest: "
    rooms = {"one": ["lobby"], "two": ["lobby", "dev"]}

    def rate(name: str) -> float:
        entered = [{"room": room} for room in rooms[name]]
        hello = json.dumps({"type": "hello", "name": "u%d", "rooms": entered})
        with serving("project") as (port, _):
            return load(port, 500, MESSAGES[8], 8, hello=hello, path=path)["deliveries_per_s"]

    found = medians(rooms, repeat, rate)
    title = "Connections in two rooms compared with one, 500 connections, window 8"
    yield title, f"{found['two'] / found['one']:.2f} of the rate"


def measure_memory(_repeat: int) -> Iterator[Row]:
    for name, count, title in (("project", 10_000, ""), ("tls", 2_000, " with TLS")):
        with serving(name) as (port, pid):
            before = resident_bytes(pid)
            held = [greeted(port, secure=name == "tls") for _ in range(count)]
            time.sleep(2)
            each_kb = (resident_bytes(pid) - before) / 1024 / len(held)
            for connection in held:
                connection.close()
        yield f"Memory of an idle connection{title}, with {count:,} of them", f"{each_kb:.1f} KB"


def measure_joins(_repeat: int) -> Iterator[Row]:
    clients = 5_000
    with serving("project") as (port, _):
        result = load(port, clients, 1, 1)
    shown = (
        f"{result['other_frames'] / clients:.1f} frames each; all joined after {result['connect_s']:.1f} s"
    )
    yield f"{clients:,} connections joining at once", shown


def measure_crowd(_repeat: int) -> Iterator[Row]:
    """As many connections as two processes may have descriptors for, up to `CROWD`."""
    _, limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    clients = min(CROWD, limit - SPARE_DESCRIPTORS)
    results = {}
    for name in ("project", "uws"):
        with serving(name) as (port, _):
            results[name] = load(port, clients, 20, 1)
    own, peer = results["project"], results["uws"]
    joined = f"{own['connect_s']:.1f} s (uWebSockets: {peer['connect_s']:.1f} s)"
    ratio = own["elapsed_s"] / peer["elapsed_s"]
    yield f"{clients:,} connections: until all have joined", joined
    yield "A message to all of them, window 1", f"{ratio:.2f} times the time of uWebSockets"


def measure_stalled(repeat: int) -> Iterator[Row]:
    def p99(name: str) -> float:
        with serving("project") as (port, _):
            stalled = greeted(port) if name == "with" else None
            found = load(port, 500, 2_000, 8)["p99_ms"]
            if stalled is not None:
                stalled.close()
            return found

    found = medians(["with", "without"], repeat, p99)
    title = "p99 latency with a connection that never reads, compared with none"
    yield title, f"{found['with'] / found['without']:.2f} times"


def measure_start(_repeat: int) -> Iterator[Row]:
    start_s, resident_mb = http_connections.measure_starts(PROJECT[0])
    yield "Start of a server, processor time and memory", f"{start_s:.2f} s, {resident_mb:.0f} MB"


def greeted(port: int, *, secure: bool = False) -> socket.socket:
    """A WebSocket connection that has shaken hands and reads nothing more."""
    connection = socket.create_connection(("127.0.0.1", port))
    if secure:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection = context.wrap_socket(connection)
    connection.sendall(
        b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    connection.recv(4096)
    return connection


MEASURES: dict[str, Callable[[int], Iterator[Row]]] = {
    "sqlite": measure_sqlite,
    "latency": measure_latency,
    "many": measure_many,
    "rooms": measure_rooms,
    "memory": measure_memory,
    "start": measure_start,
    "joins": measure_joins,
    "crowd": measure_crowd,
    "stalled": measure_stalled,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", choices=[*MEASURES, []], help="by default all")
    parser.add_argument("--repeat", type=int, default=3, help="runs a median is taken of")
    options = parse_options(parser)
    table = Table("server", "Measurement", "Result")
    for name in options.names or MEASURES:
        for row in MEASURES[name](options.repeat):
            table.add(*row)
    if options.write:
        table.write()


if __name__ == "__main__":
    main()
