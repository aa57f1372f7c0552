"""Settings about the rows of the log, and how they change its layout."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

import msgspec

from broadcast_tui.tui.model.settings import Settings

LOG_SETTINGS = ("joins", "reactions", "folding", "time")
"""Settings to apply to a new log; the last one stands for all that make up its `LogOptions`."""


class TimeFormat(StrEnum):
    """How the time of a post is shown."""

    H24 = "24h"
    H12 = "12h"
    SECONDS = "seconds"
    OFF = "off"

    @property
    def cells(self) -> int:
        """Widest time in cells."""
        return {TimeFormat.H24: 5, TimeFormat.H12: 7, TimeFormat.SECONDS: 8, TimeFormat.OFF: 0}[self]

    def show(self, at: datetime) -> str:
        """The time as text; empty if it is off."""
        match self:
            case TimeFormat.H24:
                return f"{at:%H:%M}"
            case TimeFormat.H12:
                return f"{at.hour % 12 or 12}:{at:%M}{'am' if at.hour < 12 else 'pm'}"
            case TimeFormat.SECONDS:
                return f"{at:%H:%M:%S}"
            case TimeFormat.OFF:
                return ""


class LogOptions(msgspec.Struct, frozen=True):
    """What the user has chosen for the rows of the log."""

    time: TimeFormat = TimeFormat.H24
    name_cells: int = 0
    """Width of the column with names; 0: as the layout chooses it."""
    is_source: bool = False
    """Whether markup is shown as it was written."""


def log_options(settings: Settings) -> LogOptions:
    """The options that the settings say."""
    names = settings["names"]
    return LogOptions(
        TimeFormat(settings["time"]), int(names) if names.isdecimal() else 0, not settings.is_on("markdown")
    )
