"""Day lines: a new day starts at midnight in the user's time zone."""

from __future__ import annotations

import math
from datetime import datetime, timedelta, tzinfo

from broadcast_tui.tui.model.transcript.chunks import LineKind, LineRecord


def day_of(at: float, zone: tzinfo | None) -> str:
    """The day of a Unix time in short: `Sat 30 August`."""
    local = datetime.fromtimestamp(at, zone)
    return f"{local:%a} {local.day} {local:%B}"


class Calendar:
    """Decides where day lines go. A clock that steps back does not start a new day."""

    __slots__ = ("_zone", "ends_at")

    def __init__(self, zone: tzinfo | None) -> None:
        self._zone = zone
        self.ends_at = -math.inf

    def open_day(self, at: float) -> LineRecord | None:
        """Return the day line to put above a line of time `at`; None if its day is already open."""
        if at < self.ends_at:
            return None
        local = datetime.fromtimestamp(at, self._zone)
        midnight = local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
        self.ends_at = (midnight + timedelta(days=1)).timestamp()
        return LineRecord(LineKind.DAY, "", f"{local:%A} {local.day} {local:%B} {local.year}", at)
