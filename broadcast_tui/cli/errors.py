"""Exit codes, and the error for bad usage."""

from __future__ import annotations

from enum import IntEnum

from broadcast_tui.core.errors import BroadcastError


class ExitCode(IntEnum):
    """What the exit status says."""

    OK = 0
    FAILED = 1
    USAGE = 2
    """Something given was wrong, or a port or host cannot be had."""
    REFUSED = 3
    """The server refused a post."""
    UNREACHABLE = 4
    """The server could not be reached, or would not have us."""


class UsageError(BroadcastError):
    """What was asked for cannot be done as it was asked; the text says what to change."""
