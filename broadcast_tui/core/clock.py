"""Points in time, timestamps, and durations as people write and read them. `core` never reads a clock."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import NamedTuple

MINUTE_S = 60
HOUR_S = 3_600
DAY_S = 86_400
_UNITS_S = {"s": 1, "m": MINUTE_S, "min": MINUTE_S, "h": HOUR_S, "d": DAY_S, "w": 7 * DAY_S}
_DURATION = re.compile(r"(\d{1,6})\s*(s|min|m|h|d|w)", re.ASCII)
_MISTYPED = re.compile(r"\d+[^\W\d]{0,3}")
_ORDINAL = re.compile(r"\d*(1st|2nd|3rd|\dth)", re.IGNORECASE)


class Instant(NamedTuple):
    """One point in time on both clocks: monotonic to measure with, UTC to show."""

    now: float
    """Monotonic seconds."""
    at: datetime
    """UTC, aware."""


def timestamp(at: datetime) -> str:
    """ISO 8601 text of `at` (UTC) with microseconds and `+00:00`, as `fromisoformat` of Python 3.7+ reads."""
    return at.isoformat(timespec="microseconds")


def parse_time(text: str, when: Instant) -> datetime:
    """Parse a server's timestamp; returns `when.at` if it is invalid or outside the years 1970 to 9000."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return when.at
    if not 1970 <= at.year <= 9000:
        return when.at
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at


def parse_duration(text: str) -> float | None:
    """Seconds of a duration such as `30s`, `10m`, `10min`, `2h`, `1d` or `8w`; None if `text` is not one."""
    match = _DURATION.fullmatch(text.strip().casefold())
    return None if match is None else float(int(match[1]) * _UNITS_S[match[2]])


def is_mistyped_duration(text: str) -> bool:
    """Whether `text` looks like a duration and is not one: `1x`, `10`, but not `3rd`."""
    return (
        parse_duration(text) is None
        and _MISTYPED.fullmatch(text) is not None
        and _ORDINAL.fullmatch(text) is None
    )


def format_duration(seconds: float, *, round_up: bool = False) -> str:
    """A duration in its largest units: `45 s`, `14 min`, `2 h 5 min`, `3 days 4 h`.

    Args:
        round_up: Round up, and to at least 1 s, as for a remaining time; by default fractions are dropped.
    """
    precision_s = 1 if seconds < MINUTE_S else MINUTE_S if seconds < DAY_S else HOUR_S
    units = -int(-seconds // precision_s) if round_up else int(seconds // precision_s)
    total_s = max(1 if round_up else 0, units) * precision_s
    if total_s < MINUTE_S:
        return f"{total_s} s"
    if total_s < HOUR_S:
        return f"{total_s // MINUTE_S} min"
    if total_s < DAY_S:
        hours, rest_s = divmod(total_s, HOUR_S)
        return f"{hours} h" + (f" {rest_s // MINUTE_S} min" if rest_s else "")
    days, rest_s = divmod(total_s, DAY_S)
    return f"{days} day{'s' * (days != 1)}" + (f" {rest_s // HOUR_S} h" if rest_s else "")
