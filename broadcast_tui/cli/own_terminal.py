"""The terminal a server was started on: SIGHUP says that it is gone, or only asks to reload."""

from __future__ import annotations

import os
import signal
import sys

from broadcast_tui.cli.standard_streams import point_nowhere

STREAMS = (0, 1, 2)


class OwnTerminal:
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
        point_nowhere(self._streams)


def _is_controlled() -> bool:
    """Whether a terminal controls this process, so that closing it sends SIGHUP."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True
