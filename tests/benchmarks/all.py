"""Runs every benchmark that docs/performance.md has a table of, and rewrites the tables.

Needs what the benchmarks need: two idle processor cores, redis-server, and the load generator and peers of
../shared/bench (run its `setup` once). WeeChat is measured too if it is installed.

    python tests/benchmarks/all.py                    # about 40 minutes: medians of 3 or 5 runs
    python tests/benchmarks/all.py --quick            # about 15 minutes: medians of fewer runs, fewer posts
    python tests/benchmarks/all.py fanout terminal    # some of them
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SHOWN = ("chat", "weechat")
"""Programs in the table of the client."""
BENCHMARKS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "fanout": ((), ("--repeat", "1")),
    "terminal": (("--programs", *SHOWN), ("--programs", *SHOWN, "--repeat", "1")),
    "figures": ((), ("--repeat", "1")),
    "http_api": ((), ("--repeat", "1")),
    "history": ((), ("--posts", "200000")),
    "notes": ((), ("--posts", "20000", "--notes", "2000")),
    "hostile_load": ((), ("join", "message", "GET")),
    "cluster": ((), ("--repeat", "1", "--members", "2000")),
}
"""Options of each benchmark, and those for a quick run."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", choices=[*BENCHMARKS, []], help="by default all")
    parser.add_argument("--quick", action="store_true", help="few runs, to see whether all of it works")
    parser.add_argument("--dry-run", action="store_true", help="leave docs/performance.md as it is")
    arguments = parser.parse_args()
    failed = []
    for name in arguments.names or BENCHMARKS:
        full, quick = BENCHMARKS[name]
        words = [*(quick if arguments.quick else full), *([] if arguments.dry_run else ["--write"])]
        print(f"== {name} {' '.join(words)}", flush=True)
        started = time.monotonic()
        done = subprocess.run([sys.executable, "-m", f"tests.benchmarks.{name}", *words], cwd=ROOT)
        print(f"== {name}: {(time.monotonic() - started) / 60:.1f} min", flush=True)
        if done.returncode:
            failed.append(name)
    if failed:
        sys.exit(f"No figures of: {', '.join(failed)}")


if __name__ == "__main__":
    main()
