"""`python tests/benchmarks/watched_chat.py FILE chat …`: the program, with an eye on its event loop.

Each SIGUSR1 writes to FILE for how many seconds the loop was held up at the longest since the one before.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from pathlib import Path

BEAT_S = 0.002


class Heart:
    """Beats in the loop, and notes the longest time between two beats."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._last = time.monotonic()
        self._longest = 0.0
        self._started = False

    def tell(self) -> None:
        """Called by the signal; a loop that sleeps is woken."""
        asyncio.get_running_loop().call_soon_threadsafe(self._tell)

    def _tell(self) -> None:
        loop = asyncio.get_running_loop()
        if not self._started:
            self._started = True
            self._last = time.monotonic()
            self._beat(loop)
        self._file.write_text(f"{self._longest:.6f}\n")
        self._longest = 0.0

    def _beat(self, loop: asyncio.AbstractEventLoop) -> None:
        now = time.monotonic()
        self._longest = max(self._longest, now - self._last - BEAT_S)
        self._last = now
        loop.call_later(BEAT_S, self._beat, loop)


def main() -> None:
    heart = Heart(Path(sys.argv.pop(1)))
    signal.signal(signal.SIGUSR1, lambda *_: heart.tell())
    from broadcast_tui.cli import main

    main()


if __name__ == "__main__":
    main()
