"""Fan-out of `broadcast-tui serve` beside its peers, in one run, as tables for docs/performance.md.

Needs the load generator and the peers of ../shared/bench (beside this repository; run its `setup`
once) and two processor cores: the server is pinned to one, the generator to the other.

    python -m tests.benchmarks.fanout                 # print the tables
    python -m tests.benchmarks.fanout --write         # and write them into docs/performance.md
    python -m tests.benchmarks.fanout --only grid     # other numbers of connections, and longer messages
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

from tests.benchmarks.tables import Table, parse_options

ROOT = Path(__file__).resolve().parents[2]
BENCH = Path(os.environ.get("BENCH", ROOT.parent / "shared" / "bench"))
PEERS = {
    "naive": "gather over send, `websockets`",
    "ws.broadcast+uvloop": "`websockets.broadcast`, uvloop",
    "node-ws": "`ws`, Node.js",
    "picows+uvloop": "picows (Cython), uvloop",
    "uws": "uWebSockets (C++)",
    "project": "**broadcast-tui**",
}
MESSAGES = {1: 400, 8: 2_500, 64: 8_000}
"""Messages of a run, by window: few of them measure the first moments only."""
FAST = ("uws", "project")
"""Servers that deliver so many. The others, which take ten times as long, get `SLOW_MESSAGES`."""
SLOW_MESSAGES = 150
GRID_CLIENTS = (100, 500, 2_000)
GRID_PAYLOADS = (64, 1_024, 4_096)
GRID_WINDOW = 8
GRID_DELIVERIES = 600_000
"""Deliveries of a run of the grid."""


def run(
    clients: int, messages: int, window: int, repeat: int, names: Collection[str], payload: int = 64
) -> dict[str, float]:
    """Median deliveries a second of each peer, all measured in turn."""
    command = [
        *(sys.executable, str(BENCH / "fanout.py"), "--clients", str(clients), "--messages", str(messages)),
        *("--payload", str(payload), "--window", str(window), "--repeat", str(repeat), *names),
    ]
    environment = dict(
        os.environ,
        PROJECT_BIN=str(Path(sys.executable).parent / "broadcast-tui"),
        PROJECT_ARGS="serve --host 127.0.0.1 --port PORT --message-rate 0 --history memory",
    )
    output = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    print(output, file=sys.stderr)
    rates = {}
    for name in names:
        found = re.search(rf"^{re.escape(name)}\s+(\d+)\s", output, re.MULTILINE)
        if found is None:
            sys.exit(f"{name} gave no result; see the lines above")
        rates[name] = float(found.group(1))
    return rates


def compare_peers(clients: int, windows: Collection[int], repeat: int) -> Table:
    """One row a server; in brackets how many times the naive server's rate."""
    slow = [name for name in PEERS if name not in FAST]
    results = {
        window: run(clients, SLOW_MESSAGES, window, repeat, slow)
        | run(clients, MESSAGES.get(window, 800), window, repeat, FAST)
        for window in windows
    }
    rows = Table("fanout", "server", *(f"window {window}" for window in results))
    for name, shown in PEERS.items():
        cells = (
            f"{rates[name] / 1000:,.0f} k ({rates[name] / rates['naive']:.1f}×)" for rates in results.values()
        )
        rows.add(shown, *cells)
    return rows


def compare_sizes(repeat: int) -> Table:
    """The rate as a multiple of that of uWebSockets, by number of connections and size of messages."""
    rows = Table("grid", "connections", *(f"{payload:,} bytes" for payload in GRID_PAYLOADS))
    for clients in GRID_CLIENTS:
        messages = GRID_DELIVERIES // clients
        rates = [run(clients, messages, GRID_WINDOW, repeat, FAST, payload) for payload in GRID_PAYLOADS]
        rows.add(f"{clients:,}", *(f"{rate['project'] / rate['uws']:.2f}" for rate in rates))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=["peers", "grid"], help="print one of the tables")
    parser.add_argument("--clients", type=int, default=500)
    parser.add_argument("--windows", type=int, nargs="+", default=list(MESSAGES))
    parser.add_argument("--repeat", type=int, default=5, help="runs a median is taken of")
    arguments = parse_options(parser)
    tables = []
    if arguments.only != "grid":
        tables.append(compare_peers(arguments.clients, arguments.windows, arguments.repeat))
    if arguments.only != "peers":
        tables.append(compare_sizes(arguments.repeat))
    if arguments.write:
        for rows in tables:
            rows.write()


if __name__ == "__main__":
    main()
