"""What HTTP costs a server: processor time at the start, and the memory of an idle connection.

python tests/benchmarks/http_connections.py                     # the installed program
python tests/benchmarks/http_connections.py other/bin/broadcast-tui --path /rooms
"""

from __future__ import annotations

import argparse
import re
import socket
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.support.process_cost import processor_s, resident_bytes

STARTS = 9
CONNECTIONS = 2_000


@contextmanager
def serving(program: str) -> Iterator[tuple[int, int, float]]:
    """A server: its port, its process id, and the seconds of processor time until it listened."""
    words = [program, "serve", "--host", "127.0.0.1", "--port", "0", "--history", "memory"]
    server = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert server.stdout is not None
        for line in server.stdout:
            if found := re.search(r"ws://[^\s]*:([0-9]+)", line):
                yield int(found[1]), server.pid, processor_s(server.pid)
                return
        raise RuntimeError(f"{program} did not start")
    finally:
        server.terminate()
        server.wait(30)


def idle_bytes(program: str, path: str) -> float:
    """Memory of one connection that has been answered and stays open, without the kernel's buffers."""
    sent = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    with serving(program) as (port, pid, _), ExitStack() as stack:
        socks: list[socket.socket] = []
        before = 0
        for number in range(CONNECTIONS + 100):
            if number == 100:  # what the first connections load is no cost of each
                before = resident_bytes(pid)
            socks.append(stack.enter_context(socket.create_connection(("127.0.0.1", port), 10)))
            socks[-1].sendall(sent)
            head = socks[-1].recv(65_536)
            assert head
            assert b"connection: close" not in head.lower(), head
        return (resident_bytes(pid) - before) / CONNECTIONS


def measure_starts(program: str) -> tuple[float, float]:
    """Processor time of a start in seconds, a median, and the memory after it in MB."""
    starts = []
    for _ in range(STARTS):
        with serving(program) as (_, pid, start_s):
            starts.append(start_s)
            resident = resident_bytes(pid)
    return statistics.median(starts), resident / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program", nargs="?", default=str(Path(sys.executable).parent / "broadcast-tui"))
    parser.add_argument("--path", help="a path with a short answer, after which the connection stays open")
    options = parser.parse_args()
    start_s, resident_mb = measure_starts(options.program)
    print(f"start {start_s:.2f} s of the processor, {resident_mb:.1f} MB")
    if options.path:
        print(f"idle connection {idle_bytes(options.program, options.path) / 1024:.1f} KiB")


if __name__ == "__main__":
    main()
