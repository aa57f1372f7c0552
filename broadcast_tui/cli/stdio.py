"""Standard streams and the controlling terminal.

Invariant: after `open_closed`, file descriptors 0 to 2 are open and no stream of `sys` is None.
"""

from __future__ import annotations

import errno
import os
import select
import signal
import sys
from collections.abc import Callable, Collection
from typing import TextIO

from broadcast_tui.cli.errors import ExitCode

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


def open_closed() -> None:
    """Open closed standard streams on the null device, so that no socket gets their descriptors."""
    if sys.platform == "win32":
        return
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            redirect_to_devnull((number,))
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "w" if number else "r", closefd=False))  # noqa: SIM115


def one_line(text: str) -> str:
    """The text as one line without secrets and control characters."""
    from broadcast_tui.core.redaction import redact
    from broadcast_tui.core.text import log_safe

    return log_safe(redact(" ".join(text.split())), 400)


def print_message(text: str) -> None:
    """Print an error or a note on standard error, after the name of the program."""
    print_safely(f"broadcast-tui: {text}", sys.stderr)


def print_safely(text: str, stream: TextIO | None = None) -> None:
    """Print, by default to standard output, and discard the stream if that fails."""
    chosen = stream if stream is not None else sys.stdout
    try:
        print(text, file=chosen, flush=True)
    except OSError:
        redirect_to_devnull((chosen.fileno(),))


def with_stdout(function: Callable[[], object]) -> int:
    """Call a function that prints, flush standard output, and return the exit status.

    The status is the result if that is a number, otherwise 0; also 0 if the reader of standard output is
    gone, such as `head`. If standard output cannot be written, such as on a full disk, the error is printed
    in one line and the status is 1.
    """
    try:
        result = function()
        sys.stdout.flush()
    except BrokenPipeError:
        discard_stdout()
        return ExitCode.OK
    except OSError as error:
        if not _is_stdout_error(error):
            raise
        discard_stdout()
        print_message(f"Cannot write to standard output: {error.strerror}.")
        return ExitCode.FAILED
    return result if isinstance(result, int) else ExitCode.OK


def discard_stdout() -> None:
    """Discard standard output from now on, so that the interpreter's last flush does not fail."""
    redirect_to_devnull((sys.stdout.fileno(),))


def is_stdout_closed() -> bool:
    """Whether the reader of standard output is gone; always false where that cannot be polled."""
    if not hasattr(select, "poll"):
        return False
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    return any(event & (select.POLLERR | select.POLLNVAL) for _, event in poll.poll(0))


def _is_stdout_error(error: OSError) -> bool:
    """Whether an error is of standard output and not of a file, which has a name or other errors."""
    return error.filename is None and error.errno in _FULL


def redirect_to_devnull(streams: Collection[int]) -> None:
    """Redirect file descriptors, open or closed, to the null device."""
    null = os.open(os.devnull, os.O_RDWR)
    for stream in streams:
        os.dup2(null, stream)
    if null not in streams:  # a closed one may have been reused for it
        os.close(null)


STREAMS = (0, 1, 2)


class ControllingTerminal:
    """The standard streams on the controlling terminal at construction time, possibly none."""

    def __init__(self) -> None:
        streams = tuple(stream for stream in STREAMS if os.isatty(stream))
        # Under nohup the process must outlive the terminal.
        outlives = sys.platform == "win32" or signal.getsignal(signal.SIGHUP) is signal.Handlers.SIG_IGN
        self._streams = streams if not outlives and _is_controlled() else ()

    @property
    def is_gone(self) -> bool:
        """Whether the terminal was closed since construction; false if there was none."""
        if not self._streams:
            return False
        return not (all(os.isatty(stream) for stream in self._streams) and _is_controlled())

    def detach(self) -> None:
        """Redirect the streams of the terminal to the null device, because writing to them fails."""
        redirect_to_devnull(self._streams)


def _is_controlled() -> bool:
    """Whether this process has a controlling terminal, so that closing it sends SIGHUP."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True
