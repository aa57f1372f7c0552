from __future__ import annotations

from datetime import UTC, datetime

import pytest

from broadcast_tui.core.clock import (
    Instant,
    format_duration,
    is_mistyped_duration,
    parse_duration,
    parse_time,
    timestamp,
)

NOW = Instant(100.0, datetime(2026, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30),
        ("10m", 600),
        ("10min", 600),
        ("2H", 7_200),
        (" 1 D ", 86_400),
        ("8w", 4_838_400),
        ("0m", 0),
        ("m", None),
        ("10", None),
        ("-5m", None),
        ("1.5h", None),
        ("٣m", None),
        ("9999999d", None),
    ],
)
def test_duration_is_a_number_and_a_unit(text: str, seconds: float | None) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0 s"),
        (0, "0 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (3_599, "59 min"),
        (3_600, "1 h"),
        (7_500, "2 h 5 min"),
        (86_399, "23 h 59 min"),
        (86_400, "1 day"),
        (300_000, "3 days 11 h"),
    ],
)
def test_duration_is_formatted_in_its_largest_units(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "1 s"),
        (0.1, "1 s"),
        (59.5, "1 min"),
        (60, "1 min"),
        (61, "2 min"),
        (599.9, "10 min"),
        (3_599, "1 h"),
        (3_601, "1 h 1 min"),
        (86_399, "1 day"),
        (1e6, "11 days 14 h"),
    ],
)
def test_remaining_time_is_rounded_up(seconds: float, text: str) -> None:
    assert format_duration(seconds, round_up=True) == text


def test_timestamp_can_be_parsed() -> None:
    at = datetime(2026, 5, 4, 3, 2, 1, 9, tzinfo=UTC)
    assert parse_time(timestamp(at), NOW) == at
    assert parse_time("2026-05-04T03:02:01.000009", NOW) == at


@pytest.mark.parametrize("text", ["", "yesterday", "1969-12-31T23:59:59+00:00", "9001-01-01T00:00:00+00:00"])
def test_invalid_timestamp_is_replaced_by_the_current_time(text: str) -> None:
    assert parse_time(text, NOW) == NOW.at


@pytest.mark.parametrize("year", [1970, 9000])
def test_first_and_last_year_of_a_timestamp_are_valid(year: int) -> None:
    assert parse_time(f"{year}-06-01T00:00:00+00:00", NOW).year == year


@pytest.mark.parametrize(
    ("text", "is_mistyped"),
    [
        ("1x", True),
        ("10", True),
        ("5hrs", True),
        ("1h", False),
        ("3rd", False),
        ("21ST", False),
        ("x", False),
    ],
)
def test_mistyped_durations(text: str, is_mistyped: bool) -> None:
    assert is_mistyped_duration(text) is is_mistyped
