from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from broadcast_tui.core.export.moments import on_day, parse_moment, time_of_day

ZONE = timezone(timedelta(hours=2))
NOW = datetime(2025, 8, 30, 13, 0, tzinfo=UTC)
"""15:00 in `ZONE`."""


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("14:00", datetime(2025, 8, 30, 12, 0, tzinfo=UTC)),
        (" 9:05:07 ", datetime(2025, 8, 30, 7, 5, 7, tzinfo=UTC)),
        ("15:00", NOW),
        ("15:01", datetime(2025, 8, 29, 13, 1, tzinfo=UTC)),
        ("00:30", datetime(2025, 8, 29, 22, 30, tzinfo=UTC)),
        ("2025-08-01", datetime(2025, 7, 31, 22, 0, tzinfo=UTC)),
        ("2025-08-01 14:00", datetime(2025, 8, 1, 12, 0, tzinfo=UTC)),
        ("2025-08-01T14:00:05Z", datetime(2025, 8, 1, 14, 0, 5, tzinfo=UTC)),
        ("2025-08-01T14:00+05:00", datetime(2025, 8, 1, 9, 0, tzinfo=UTC)),
        ("2h", NOW - timedelta(hours=2)),
        ("8w", NOW - timedelta(weeks=8)),
    ],
)
def test_moments_are_read_in_local_time(text: str, found: datetime) -> None:
    assert parse_moment(text, NOW, ZONE) == found


@pytest.mark.parametrize(
    "text",
    ["", "soon", "24:00", "12:60", "1:2", "2025-13-01", "0001-01-01", "9999-12-31", "999999w", "-1h", "٣:٠٠"],
)
def test_other_text_is_no_moment(text: str) -> None:
    assert parse_moment(text, NOW, ZONE) is None


def test_the_time_zone_of_the_system_is_the_default() -> None:
    local = datetime(2025, 8, 1, 14, 0).astimezone()
    assert parse_moment("2025-08-01 14:00", NOW) == local
    assert on_day(local, (9, 30, 0)) == datetime(2025, 8, 1, 9, 30).astimezone()


def test_a_time_of_day_has_hour_minute_and_second() -> None:
    assert time_of_day("14:05") == (14, 5, 0)
    assert time_of_day("23:59:59") == (23, 59, 59)
    assert time_of_day("23:59:60") is None
