"""The three standard streams, whatever whoever started the program has made of them.

Invariant: after `open_closed` nothing else gets the numbers 0 to 2, and no stream of `sys` is missing.
"""

from __future__ import annotations

import errno
import os
import select
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
            point_nowhere((number,))
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "w" if number else "r", closefd=False))  # noqa: SIM115


def announce(text: str, stream: TextIO | None = None) -> None:
    """Print, by default to standard output, if that is possible: the rest of the program goes on anyway."""
    chosen = stream if stream is not None else sys.stdout
    try:
        print(text, file=chosen, flush=True)
    except OSError:
        point_nowhere((chosen.fileno(),))


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
        point_nowhere((sys.stdout.fileno(),))
    return gone


def is_of_output(error: OSError) -> bool:
    """Whether standard output failed, and no file: those have a name, or errors of their own."""
    return error.filename is None and error.errno in _FULL


def point_nowhere(streams: Collection[int]) -> None:
    """Have these file descriptors, open or not, read and write nothing from now on."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in streams:
        os.dup2(nowhere, stream)
    if nowhere not in streams:  # a closed one may have been given to it
        os.close(nowhere)
