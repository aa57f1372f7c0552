"""HTTP beside WebSockets, in one run, as a table for docs/performance.md.

Posts over kept connections, the memory of idle connections, and what readers of event streams cost those who
chat. Needs two processor cores and the load generator of fanout.py: servers are pinned to one core, all
clients to the other. Everything is measured in turn, and medians are printed. Believe the ratios.

    python -m tests.benchmarks.http_api                        # print the table
    python -m tests.benchmarks.http_api --write                # and write it into docs/performance.md
    python -m tests.benchmarks.http_api streams --repeat 9 --readers 1000
    python -m tests.benchmarks.http_api --small                # small numbers, to see whether it works
"""

from __future__ import annotations

import argparse
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import NamedTuple

from tests.benchmarks.cluster import MESSAGES, node
from tests.benchmarks.figures import LAB, load, medians
from tests.benchmarks.tables import Table, parse_options
from tests.support.ports import unused_port
from tests.support.process_cost import resident_bytes

ROOT = Path(__file__).resolve().parents[2]
RATE = 100
POST_CONNECTIONS = 32
WARM_UP_CONNECTIONS = 100
"""Connections before those that are measured: what the first ones load is no cost of each."""
READ_INTERVAL_S = 0.1
STREAM = b"GET /rooms/lobby HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n"
KEPT = b"HEAD /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n"
POST = b"POST /rooms/lobby HTTP/1.1\r\nHost: localhost\r\nContent-Length: 64\r\n\r\n" + b"x" * 64


class Options(NamedTuple):
    """How much is measured.

    `messages` are those of a run by window; window 0 stands for `RATE` a second.
    """

    repeat: int = 5
    readers: int = 1_000
    clients: int = 500
    idle_connections: int = 2_000
    post_s: float = 5.0
    messages: Mapping[int, int] = MappingProxyType({0: 1_000, **MESSAGES})


SMALL = Options(1, 50, 50, 200, 0.5, MappingProxyType({0: 100, 1: 50, 8: 100, 64: 300}))


@contextmanager
def serving(history: str = "memory") -> Iterator[tuple[int, int]]:
    """A server on core 0: its port and process id."""
    port = unused_port()
    with TemporaryDirectory() as directory, ExitStack() as stack:
        path = history if history == "memory" else f"{directory}/history.db"
        yield port, stack.enter_context(node(path, port))


def opened(port: int, request: bytes) -> socket.socket:
    """A connection whose request has been answered, at least with the head of the response."""
    sock = socket.create_connection(("127.0.0.1", port), 30)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.sendall(request)
    head = sock.recv(65_536)
    if b" 200 OK" not in head or b"connection: close" in head.lower():
        sys.exit(f"unexpected response: {head[:200]!r}")
    return sock


# -- posts


def post_rate(history: str, seconds: float) -> float:
    """Posts per second over kept connections, each of which waits for its response."""
    with serving(history) as (port, _):
        words = [sys.executable, "-m", "tests.benchmarks.http_api", "post", "--port", str(port)]
        words += ["--seconds", str(seconds)]
        done = subprocess.run(
            ["taskset", "-c", "1", *words], capture_output=True, text=True, check=True, cwd=ROOT
        )
        return float(done.stdout)


def post_until(port: int, seconds: float) -> float:
    """Post over `POST_CONNECTIONS` connections; returns the posts per second."""
    poller = select.epoll()
    socks = {}
    for _ in range(POST_CONNECTIONS):
        sock = socket.create_connection(("127.0.0.1", port), 30)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        socks[sock.fileno()] = sock
        poller.register(sock, select.EPOLLIN)
        sock.sendall(POST)
    count, started = 0, time.monotonic()
    while (now := time.monotonic()) - started < seconds:
        for descriptor, _ in poller.poll(1):
            sock = socks[descriptor]
            if not sock.recv(4_096).startswith(b"HTTP/1.1 201"):
                sys.exit("a post was rejected")
            count += 1
            sock.sendall(POST)
    return count / (now - started)


def measure_posts(options: Options) -> list[tuple[str, str]]:
    found = medians(("memory", "sqlite"), options.repeat, lambda name: post_rate(name, options.post_s))
    shown = " / ".join(f"{found[name]:,.0f}" for name in ("memory", "sqlite"))
    title = f"Posts per second over {POST_CONNECTIONS} kept HTTP connections, history in memory / SQLite"
    return [(title, shown)]


# -- memory


def idle_kb(request: bytes, connections: int) -> float:
    """Memory of the server for one connection that is idle, without the kernel's buffers."""
    with serving() as (port, pid), ExitStack() as stack:
        before = 0
        for number in range(WARM_UP_CONNECTIONS + connections):
            if number == WARM_UP_CONNECTIONS:
                before = resident_bytes(pid)
            stack.enter_context(opened(port, request))
        return (resident_bytes(pid) - before) / 1024 / connections


def measure_memory(options: Options) -> list[tuple[str, str]]:
    count = options.idle_connections
    requests = {"kept": KEPT, "stream": STREAM}
    found = medians(requests, options.repeat, lambda name: idle_kb(requests[name], count))
    title = f"Memory of an idle kept connection / reader of events, {count:,} of them"
    return [(title, f"{found['kept']:.1f} / {found['stream']:.1f} KiB")]


# -- streams


@contextmanager
def reading(port: int, readers: int, messages: int) -> Iterator[None]:
    """Readers of events on core 1, which yield to the load generator; all have to get the last message."""
    if not readers:
        yield
        return
    words = [sys.executable, "-m", "tests.benchmarks.http_api", "read", "--port", str(port)]
    words += ["--readers", str(readers), "--messages", str(messages)]
    process = subprocess.Popen(
        ["taskset", "-c", "1", "nice", "-n", "19", *words],
        stdout=subprocess.PIPE, text=True, cwd=ROOT,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        if process.stdout.readline() != "ready\n":
            sys.exit("the readers could not connect")
        yield
        process.send_signal(signal.SIGTERM)
        result = process.stdout.readline()
        if not result.startswith("complete"):
            sys.exit("the readers have not got the last message")
        if " 100.0 %" not in result:  # they read too slowly
            print(f"readers: {result.strip()} of the messages, gaps for the others", file=sys.stderr)
    finally:
        process.kill()
        process.wait()


def read_all(port: int, readers: int, messages: int) -> None:
    """Read events now and then, so that readers take little of the time of the load generator."""
    socks = [opened(port, STREAM) for _ in range(readers)]
    for sock in socks:
        sock.setblocking(False)
    is_over = False

    def end(*_: object) -> None:
        nonlocal is_over
        is_over = True

    signal.signal(signal.SIGTERM, end)
    print("ready", flush=True)
    last = f"~B~{messages - 1}:".encode()
    count, tails = 0, dict.fromkeys(socks, b"")
    patience = time.monotonic() + 600
    while tails and time.monotonic() < patience:
        for sock, tail in [*tails.items()]:
            try:
                while data := sock.recv(262_144):
                    count += data.count(b"~B~")
                    if last in tail + data:
                        del tails[sock]
                        break
                    tails[sock] = tail = data[-len(last) :]
                else:
                    sys.exit("the server has closed a stream")
            except BlockingIOError:
                pass
        if is_over:
            patience = min(patience, time.monotonic() + 60)
        else:
            time.sleep(READ_INTERVAL_S)
    while not is_over:
        time.sleep(READ_INTERVAL_S)
    state = "incomplete" if tails else "complete"
    print(f"{state}: {100 * count / (readers * messages):.1f} %", flush=True)


def p99_ms(options: Options, readers: int, window: int) -> float:
    """The p99 latency of WebSockets: a window of messages in flight, or with 0, `RATE` a second."""
    messages = options.messages[window]
    with serving() as (port, _), reading(port, readers, messages):
        found = load(port, options.clients, messages, window or 1, rate=0 if window else RATE)
        if found["missing"]:
            sys.exit(f"{found['missing']:.0f} messages have not arrived")
        return found["p99_ms"]


def measure_streams(options: Options) -> Iterator[tuple[str, str]]:
    readers = {"alone": 0, "beside": options.readers}
    for window in options.messages:
        measure = partial(p99_ms, options, window=window)
        found = medians(readers, options.repeat, lambda name: measure(readers[name]))  # noqa: B023
        name = f"window {window}" if window else f"{RATE} messages a second"
        title = f"p99 of {options.clients} WebSockets, {name}: alone / beside {options.readers:,} readers"
        ratio = found["beside"] / found["alone"]
        yield title, f"{found['alone']:.1f} / {found['beside']:.1f} ms ({ratio:.2f} times)"


MEASURES = {"posts": measure_posts, "memory": measure_memory, "streams": measure_streams}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "measures", nargs="*", metavar="|".join(MEASURES), help="what to measure; all by default"
    )
    parser.add_argument("--repeat", type=int, default=5, help="runs a median is taken of")
    parser.add_argument("--readers", type=int, default=1_000)
    parser.add_argument("--small", action="store_true", help="small numbers, to see whether it works")
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--messages", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, help=argparse.SUPPRESS)
    arguments = parse_options(parser)
    if arguments.measures == ["post"]:
        print(post_until(arguments.port, arguments.seconds))
        return
    if arguments.measures == ["read"]:
        read_all(arguments.port, arguments.readers, arguments.messages)
        return
    unknown = set(arguments.measures) - set(MEASURES)
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}")
    if not (LAB / "fanload").exists():
        sys.exit("The load generator is missing; see tests/benchmarks/fanout.py.")
    options = SMALL if arguments.small else Options(arguments.repeat, arguments.readers)
    chosen = arguments.measures or MEASURES
    table = Table("http", "Measurement", "Result")
    for name in chosen:
        for row in MEASURES[name](options):
            table.add(*row)
    if arguments.write:
        if set(chosen) != set(MEASURES) or arguments.small:
            sys.exit("Only the complete table can be written: measure everything.")
        table.write()


if __name__ == "__main__":
    main()
