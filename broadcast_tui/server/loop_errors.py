"""What goes wrong in the event loop itself, said once and counted, not thousands of times a second."""

from __future__ import annotations

import asyncio
import errno
import logging
from typing import Any

from broadcast_tui.core.repeats import Repeats

log = logging.getLogger("broadcast_tui.server")


class LoopErrors:
    """A loop's exception handler. asyncio reports each failed `accept` of a full process with a traceback:
    some 4,000 lines a second.
    """

    def __init__(self) -> None:
        self._repeats = Repeats()

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        text = str(context.get("message", ""))
        number = error.errno if isinstance(error, OSError) else None
        full = number in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
        if "_start_serving" in text and isinstance(error, ValueError):
            return  # asyncio 3.11 tries a listener again a second after it was full, closed or not
        held = self._repeats.pass_on(f"{type(error).__name__} {number} {text[:80]}", loop.time())
        if held is None:
            return
        also = f" ({held} more like it before)" if held else ""
        if full:
            log.error("no new connection can be taken: %s%s", error, also)
        else:
            log.error("the event loop reports: %s%s", text, also, exc_info=error)
