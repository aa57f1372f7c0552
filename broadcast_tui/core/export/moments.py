"""Points in time as people write them: `14:00`, `2025-08-30 14:00`, `2h`."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, tzinfo

from broadcast_tui.core.clock import parse_duration

EXAMPLES = "Use 14:00, 2025-08-30, '2025-08-30 14:00' or 2h"
_TIME_OF_DAY = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}))?", re.ASCII)
_DAY = timedelta(days=1)


def parse_moment(text: str, now: datetime, zone: tzinfo | None = None) -> datetime | None:
    """Parse a point in time, by default in local time; None if `text` is not one.

    A time of day is its latest occurrence, a duration is the time so long ago. Any ISO 8601 date or time is
    accepted as well, with or without a UTC offset.

    Args:
        now: The current time, aware.
        zone: The time zone of times without an offset; None for that of the system.
    """
    text = text.strip()
    if (seconds := parse_duration(text)) is not None:
        return _earlier(now, seconds)
    if (clock := time_of_day(text)) is not None:
        today = on_day(now.astimezone(zone), clock, zone)
        return today if today <= now else on_day(now.astimezone(zone) - _DAY, clock, zone)
    try:
        at = datetime.fromisoformat(text)
        return _in_zone(at, zone) if 1970 <= at.year <= 9000 else None
    except (ValueError, OverflowError):
        return None


def _earlier(now: datetime, seconds: float) -> datetime | None:
    try:
        return now - timedelta(seconds=seconds)
    except OverflowError:
        return None


def time_of_day(text: str) -> tuple[int, int, int] | None:
    """Hour, minute and second of `14:05` or `14:05:30`; None if `text` is not a time of day."""
    match = _TIME_OF_DAY.fullmatch(text.strip())
    if match is None:
        return None
    hour, minute, second = int(match[1]), int(match[2]), int(match[3] or 0)
    return (hour, minute, second) if hour < 24 and minute < 60 and second < 60 else None


def on_day(day: datetime, clock: tuple[int, int, int], zone: tzinfo | None = None) -> datetime:
    """The time of day `clock` on the date of `day`."""
    hour, minute, second = clock
    return _in_zone(datetime(day.year, day.month, day.day, hour, minute, second), zone)


def _in_zone(at: datetime, zone: tzinfo | None) -> datetime:
    if at.tzinfo is not None:
        return at
    return at.replace(tzinfo=zone) if zone is not None else at.astimezone()
