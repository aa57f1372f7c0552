"""Fan-out of `broadcast-tui serve` beside its peers, in one run, as a table for docs/performance.md.

Needs the load generator and the peers of ../shared/bench (beside this repository; run its `setup`
once) and two processor cores: the server is pinned to one, the generator to the other.

    python -m tests.benchmarks.fanout                 # print the table
    python -m tests.benchmarks.fanout --write         # and write it into docs/performance.md
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path

from tests.benchmarks.tables import Table, add_write_option

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


def run(clients: int, messages: int, window: int, repeat: int) -> dict[str, float]:
    """Median deliveries a second of each peer, all measured in turn."""
    command = [
        *(sys.executable, str(BENCH / "fanout.py"), "--clients", str(clients), "--messages", str(messages)),
        *("--payload", "64", "--window", str(window), "--repeat", str(repeat), *PEERS),
    ]
    environment = dict(
        os.environ,
        PROJECT_BIN=str(Path(sys.executable).parent / "broadcast-tui"),
        PROJECT_ARGS="serve --host 127.0.0.1 --port PORT --message-rate 0 --history memory",
    )
    output = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    print(output, file=sys.stderr)
    rates = {}
    for name in PEERS:
        found = re.search(rf"^{re.escape(name)}\s+(\d+)\s", output, re.MULTILINE)
        if found is None:
            sys.exit(f"{name} gave no result; see the lines above")
        rates[name] = float(found.group(1))
    return rates


def table(results: dict[int, dict[str, float]]) -> Table:
    """One row a server; in brackets how many times the naive server's rate."""
    rows = Table("fanout", "server", *(f"window {window}" for window in results))
    for name, shown in PEERS.items():
        cells = (
            f"{rates[name] / 1000:,.0f} k ({rates[name] / rates['naive']:.1f}×)" for rates in results.values()
        )
        rows.add(shown, *cells)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clients", type=int, default=500)
    parser.add_argument("--messages", type=int, default=800)
    parser.add_argument("--windows", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--repeat", type=int, default=5, help="runs a median is taken of")
    add_write_option(parser)
    arguments = parser.parse_args()
    results = {
        window: run(arguments.clients, arguments.messages, window, arguments.repeat)
        for window in arguments.windows
    }
    rows = table(results)
    if arguments.write:
        rows.write()


if __name__ == "__main__":
    main()
