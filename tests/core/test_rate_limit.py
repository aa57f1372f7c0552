"""Failed attempts are limited per address, in bounded memory."""

from __future__ import annotations

import pytest

from broadcast_tui.core import rate_limit
from broadcast_tui.core.rate_limit import (
    FAILURES_PER_MINUTE,
    LOG_BURST_BYTES,
    LOG_RATE_BYTES,
    LOOPBACK_FAILURES_PER_MINUTE,
    FailureLimiter,
    LogBudget,
    LruMap,
)


def test_the_least_recently_used_key_is_dropped_first() -> None:
    created: list[str] = []

    def create(key: str) -> list[str]:
        created.append(key)
        return [key]

    values = LruMap(create, 2)
    first = values.use("a")
    values.use("b")
    assert values.use("a") is first
    assert values.peek("b") == ["b"]
    values.use("c")
    assert (len(values), values.peek("b")) == (2, None)
    assert values.use("a") is first
    assert created == ["a", "b", "c"]
    values.clear()
    assert (len(values), values.peek("a")) == (0, None)


def fail(guesses: FailureLimiter, address: str, times: int, now: float) -> None:
    for _ in range(times):
        assert guesses.wait_s(address, now) == 0.0
        guesses.record_failure(address, now)


def test_eleventh_failure_in_a_minute_has_to_wait() -> None:
    guesses = FailureLimiter()
    fail(guesses, "192.0.2.1:5000", FAILURES_PER_MINUTE, 100.0)
    assert guesses.wait_s("192.0.2.1:5001", 100.0) == pytest.approx(6.0), "the port does not matter"
    assert guesses.wait_s("192.0.2.2:5000", 100.0) == 0.0
    fail(guesses, "192.0.2.1:5000", 1, 106.1)
    assert guesses.wait_s("192.0.2.1:5000", 106.1) > 0
    fail(guesses, "192.0.2.1:5000", FAILURES_PER_MINUTE, 200.0)


def test_wait_does_not_count_as_a_failure() -> None:
    guesses = FailureLimiter()
    assert not any(guesses.wait_s("192.0.2.1:1", 0.0) for _ in range(100))
    assert len(guesses) == 0


def test_loopback_has_a_higher_limit() -> None:
    guesses = FailureLimiter()
    fail(guesses, "127.0.0.1:1", LOOPBACK_FAILURES_PER_MINUTE, 0.0)
    assert guesses.wait_s("::1:1", 0.0) > 0


def test_oldest_addresses_are_dropped_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limit, "ADDRESSES_MAX", 100)
    guesses = FailureLimiter()
    for number in range(1000):
        fail(guesses, f"198.51.{number // 250}.{number % 250}:1", 1, 0.0)
    assert len(guesses) == 100
    fail(guesses, "198.51.3.249:1", FAILURES_PER_MINUTE - 1, 0.0)
    assert guesses.wait_s("198.51.3.249:1", 0.0) > 0


@pytest.mark.parametrize(
    ("address", "other"),
    [
        ("192.0.2.1:5000", "192.0.2.1"),
        ("192.0.2.1:5000", "::ffff:192.0.2.1:5000"),
        ("2001:db8:1:2:3:4:5:6:5000", "2001:db8:1:2::9:5000"),
        ("2001:db8:1:2::9:5000", "[2001:db8:1:2::9]:5000"),
        ("2001:db8:1:2::9:5000", "2001:db8:1:2:ffff::1"),
        ("fe80::1%eth0:5000", "fe80::2:5001"),
        ("::1:5000", "127.9.9.9:5000"),
        ("unknown", "unknown"),
    ],
)
def test_addresses_of_one_host_share_a_limit_with_and_without_a_port(address: str, other: str) -> None:
    guesses = FailureLimiter()
    fail(
        guesses, address, LOOPBACK_FAILURES_PER_MINUTE if address == "::1:5000" else FAILURES_PER_MINUTE, 0.0
    )
    assert guesses.wait_s(other, 0.0) > 0
    assert guesses.wait_s("2001:db8:1:3::9:5000", 0.0) == 0.0


def test_log_lines_about_an_address_are_limited_in_bytes() -> None:
    lines, logged = LogBudget(), 0
    for second in range(100):
        logged += sum(lines.allow("192.0.2.1", 100, float(second)) for _ in range(300))
    assert logged * 100 <= LOG_BURST_BYTES + 100 * LOG_RATE_BYTES
    assert logged * 100 >= 99 * LOG_RATE_BYTES
    assert lines.allow("192.0.2.2", 100, 99.0), "others have their own"


def test_suppressed_lines_are_reported_by_number() -> None:
    lines = LogBudget()
    logged = sum(lines.allow("192.0.2.1", 100, 0.0) for _ in range(1_000))
    assert lines.take_reports(9.9) == []
    assert lines.take_reports(10.0) == [("192.0.2.1", 1_000 - logged)]
    assert lines.take_reports(20.0) == []


def test_addresses_with_log_lines_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limit, "LOG_KEYS_MAX", 10)
    lines = LogBudget()
    for number in range(1_000):
        lines.allow(f"key {number}", 100_000, 0.0)
        assert not lines.allow(f"key {number}", 100_000, 0.0)
        lines.take_reports(float(number))
        assert len(lines) <= 10
    assert len(lines.take_reports(2_000.0)) <= 20
