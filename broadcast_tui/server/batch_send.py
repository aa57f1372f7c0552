"""Sends the same bytes to many sockets: most of the time of a server goes into this.

`_batch_send.pyx` does the same a third faster. It is compiled at installation where there is a C compiler; a
server without it works alike.
"""

from __future__ import annotations

import os

__all__ = ["IS_COMPILED", "IS_SUPPORTED", "NO_DESCRIPTOR", "send_each", "send_each_interpreted"]

NO_DESCRIPTOR = -1
"""In place of a file descriptor, where bytes must go through the transport of the event loop."""
IS_SUPPORTED = os.name == "posix"
"""Whether sockets have file descriptors that can be written to; not on Windows."""


def send_each_interpreted(filenos: list[int], data: bytes) -> list[tuple[int, int]]:
    """Send `data` to each of several non-blocking sockets, as far as their buffers have space.

    Nothing may be waiting to be sent to them in a buffer of the event loop.

    Args:
        filenos: File descriptors; nothing is sent to a negative one.

    Returns:
        For each socket that has not taken all of it: its index in `filenos`, and the number of bytes that it
        has taken. That is 0 after an error, which shows again when the event loop writes the rest.
    """
    size = len(data)
    incomplete = []
    for index, fileno in enumerate(filenos):
        sent = 0
        if fileno >= 0:
            try:
                sent = os.write(fileno, data)
            except OSError:
                sent = 0
        if sent < size:
            incomplete.append((index, sent))
    return incomplete


try:
    from broadcast_tui.server._batch_send import send_each

    IS_COMPILED = True
except ImportError:
    send_each = send_each_interpreted
    IS_COMPILED = False
