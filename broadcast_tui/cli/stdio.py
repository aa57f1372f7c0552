"""The three standard streams, whatever whoever started the program has made of them.

Invariant: after `open_closed` nothing else gets the numbers 0 to 2, and no stream of `sys` is missing.
"""

from __future__ import annotations

import errno
import os
import select
import signal
import sys
from collections.abc import Collection
from typing import TextIO

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


def open_closed() -> None:
    """Put the null device where a standard stream is closed: else the next socket would be taken for it."""
    if sys.platform == "win32":
        return
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            redirect_to_devnull((number,))
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "w" if number else "r", closefd=False))  # noqa: SIM115


def announce(text: str, stream: TextIO | None = None) -> None:
    """Print, by default to standard output, if that is possible: the rest of the program goes on anyway."""
    chosen = stream if stream is not None else sys.stdout
    try:
        print(text, file=chosen, flush=True)
    except OSError:
        redirect_to_devnull((chosen.fileno(),))


def stdout_gone(*, only_look: bool = False) -> bool:
    """Whether nobody reads standard output any more; if so (or unless `only_look`) it is put aside.

    Put aside, the interpreter's last flush finds no closed pipe to complain about.
    """
    gone = not only_look
    if only_look and hasattr(select, "poll"):
        poll = select.poll()
        poll.register(sys.stdout.fileno(), 0)
        gone = any(happened & (select.POLLERR | select.POLLNVAL) for _, happened in poll.poll(0))
    if gone:
        redirect_to_devnull((sys.stdout.fileno(),))
    return gone


def is_of_output(error: OSError) -> bool:
    """Whether standard output failed, and no file: those have a name, or errors of their own."""
    return error.filename is None and error.errno in _FULL


def redirect_to_devnull(streams: Collection[int]) -> None:
    """Have these file descriptors, open or not, read and write nothing from now on."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in streams:
        os.dup2(nowhere, stream)
    if nowhere not in streams:  # a closed one may have been given to it
        os.close(nowhere)


STREAMS = (0, 1, 2)


class ControllingTerminal:
    """Which standard streams are the terminal that controls us, at the time this is made; perhaps none."""

    def __init__(self) -> None:
        streams = tuple(stream for stream in STREAMS if os.isatty(stream))
        # Who starts it with nohup wants it to outlive the terminal.
        outlives = sys.platform == "win32" or signal.getsignal(signal.SIGHUP) is signal.Handlers.SIG_IGN
        self._streams = streams if not outlives and _is_controlled() else ()

    @property
    def is_gone(self) -> bool:
        """Whether there was a terminal, and it was closed since: then it answers nothing, or is not ours."""
        if not self._streams:
            return False
        return not (all(os.isatty(stream) for stream in self._streams) and _is_controlled())

    def forget(self) -> None:
        """Write nowhere what would go there: it could only fail."""
        redirect_to_devnull(self._streams)


def _is_controlled() -> bool:
    """Whether a terminal controls this process, so that closing it sends SIGHUP."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True
