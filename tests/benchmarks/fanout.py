"""Fan-out of `broadcast-tui serve` beside its peers, in one run, as a table for docs/performance.md.

Needs the load generator and the peers of ../shared/bench (beside this repository; run its `setup`
once) and two processor cores: the server is pinned to one, the generator to the other.

    python tests/benchmarks/fanout.py                 # print the table
    python tests/benchmarks/fanout.py --write         # and write it into docs/performance.md
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path

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


def table(results: dict[int, dict[str, float]]) -> str:
    """Markdown, one row a server; in brackets how many times the naive server's rate."""
    lines = ["| server | " + " | ".join(f"window {window}" for window in results) + " |"]
    lines.append("|---|" + "---:|" * len(results))
    for name, shown in PEERS.items():
        cells = [
            f"{rates[name] / 1000:,.0f} k ({rates[name] / rates['naive']:.1f}×)" for rates in results.values()
        ]
        lines.append(f"| {shown} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clients", type=int, default=500)
    parser.add_argument("--messages", type=int, default=800)
    parser.add_argument("--windows", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--repeat", type=int, default=5, help="runs a median is taken of")
    parser.add_argument("--write", action="store_true", help="write the table into docs/performance.md")
    arguments = parser.parse_args()
    results = {
        window: run(arguments.clients, arguments.messages, window, arguments.repeat)
        for window in arguments.windows
    }
    text = table(results)
    print(text)
    if arguments.write:
        page = ROOT / "docs" / "performance.md"
        marked = re.compile(r"(<!-- fanout table: [^>]*-->\n).*?(<!-- /fanout table -->)", re.DOTALL)
        page.write_text(marked.sub(lambda found: f"{found[1]}{text}\n{found[2]}", page.read_text("utf-8")))


if __name__ == "__main__":
    main()
