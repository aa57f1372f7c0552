"""A moment as core is told it: monotonic for measuring, UTC for people. Core never asks a clock."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple


class Instant(NamedTuple):
    now: float
    """Monotonic seconds."""
    at: datetime
    """UTC, aware."""
