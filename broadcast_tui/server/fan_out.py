"""Writes the same bytes to many connections: the hot path of the server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from broadcast_tui.server.batch_send import send_each


class Receiver(Protocol):
    """A connection that is open and not blocked, so that nothing waits in a buffer of the event loop."""

    @property
    def fileno(self) -> int:
        """See `Link.fileno`."""
        ...

    @property
    def write_now(self) -> Callable[[bytes], object]:
        """See `Link.write_now`."""
        ...


AnyReceiver = TypeVar("AnyReceiver", bound=Receiver)


def fan_out(data: bytes, receivers: list[AnyReceiver]) -> list[AnyReceiver]:
    """Write complete frames to several connections.

    What a socket does not take goes through its transport, which buffers it.

    Returns:
        The connections whose transport has ended, which have got nothing.
    """
    ended = []
    for index, sent in send_each([receiver.fileno for receiver in receivers], data):
        receiver = receivers[index]
        try:
            receiver.write_now(data[sent:])
        except RuntimeError:
            # uvloop raises it between the end of a transport and `connection_lost`.
            ended.append(receiver)
    return ended
