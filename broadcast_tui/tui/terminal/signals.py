"""The signals that end the chat: caught while it runs, told to the app on its loop, then given back."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from types import FrameType

TERMINAL_GONE = "the terminal is gone"

_WORDS = {"SIGTERM": "terminated", "SIGHUP": TERMINAL_GONE}


class Signals:
    """Calls `ended` on the loop with the number of a signal and what it means in words.

    Before that, and even if the loop stands still, `terminal_gone` if that is what it means.
    """

    def __init__(self, ended: Callable[[int, str], None], terminal_gone: Callable[[], None]) -> None:
        self._ended = ended
        self._terminal_gone = terminal_gone
        self._handlers_before: dict[int, Callable[[int, FrameType | None], object] | int | None] = {}

    def catch(self) -> None:
        """Take the signals over. Needs a running loop."""
        loop = asyncio.get_running_loop()

        def tell(number: int, words: str) -> None:
            if words == TERMINAL_GONE:
                self._terminal_gone()
            loop.call_soon_threadsafe(self._ended, number, words)

        for name, words in _WORDS.items():
            number = getattr(signal, name, None)
            # Windows has not all of them, and threads other than the main one get none.
            with suppress(ValueError, OSError):
                if number is not None:
                    handler = partial(tell, int(number), words)
                    self._handlers_before[number] = signal.signal(
                        number, lambda *_, handler=handler: handler()
                    )

    def release(self) -> None:
        """Give them back to whoever had them."""
        while self._handlers_before:
            with suppress(ValueError, OSError):
                signal.signal(*self._handlers_before.popitem())
