"""Rate limits: token buckets, failed attempts per address, and repeated log lines. Time is an argument."""

from __future__ import annotations

from collections import OrderedDict

from broadcast_tui.core.network import parse_ip, rate_limit_key

FAILURES_PER_MINUTE = 10
LOOPBACK_FAILURES_PER_MINUTE = 100
"""Higher, since all users of this machine, and all clients behind a proxy on it, share one address."""
ADDRESSES_MAX = 10_000
LOG_KEYS_MAX = 1_000
LOG_RATE_BYTES = 2_048
"""Sustained size of the log lines about one address, per second."""
LOG_BURST_BYTES = 16_384
"""The same at once, such as the lines of a class that connects."""
LOG_REPORT_S = 10.0
"""Minimum time between two reports of suppressed lines of one address."""


class TokenBucket:
    """A bucket of `burst` tokens, refilled with `rate` tokens per second.

    Full at first. Rate 0 is unlimited.
    """

    __slots__ = ("_burst", "_rate", "_refilled_at", "_tokens")

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = max(1.0, burst)
        self._tokens = self._burst
        self._refilled_at: float | None = None

    def take(self, now: float, cost: float = 1.0) -> float:
        """Take `cost` tokens and return 0.0; with too few tokens, take none and return the seconds to wait.

        A cost above the burst takes a full bucket, so that no request is rejected forever.
        """
        wait_s = self.wait_s(now, cost)
        if self._rate > 0 and wait_s == 0.0:
            self._tokens -= min(cost, self._burst)
        return wait_s

    def charge(self, now: float, cost: float) -> None:
        """Take `cost` tokens, even if there are fewer; `take` succeeds again once the debt is refilled.

        The debt is at most `burst`.
        """
        if self._rate > 0:
            self.wait_s(now)
            self._tokens = max(-self._burst, self._tokens - cost)

    def refund(self, tokens: float) -> None:
        """Put tokens back, up to `burst`."""
        self._tokens = min(self._burst, self._tokens + tokens)

    def wait_s(self, now: float, cost: float = 1.0) -> float:
        """The seconds to wait before `take` succeeds, 0.0 if it would now; takes nothing."""
        if self._rate <= 0:
            return 0.0
        if self._refilled_at is not None:
            self._tokens = min(self._burst, self._tokens + max(0.0, now - self._refilled_at) * self._rate)
        self._refilled_at = now
        return max(0.0, (min(cost, self._burst) - self._tokens) / self._rate)

    @property
    def is_unlimited(self) -> bool:
        """Whether `take` always succeeds."""
        return self._rate <= 0

    @property
    def is_full(self) -> bool:
        """Whether the bucket was full at the last call; a full bucket need not be stored."""
        return self._rate <= 0 or self._tokens >= self._burst


class FailureLimiter:
    """Limits failed attempts per address, for the `ADDRESSES_MAX` addresses with the most recent failures."""

    def __init__(self) -> None:
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def wait_s(self, address: str, now: float) -> float:
        """Seconds until an address may try again; 0.0 if it may now."""
        bucket = self._buckets.get(_key(address))
        return 0.0 if bucket is None else bucket.wait_s(now)

    def record_failure(self, address: str, now: float) -> None:
        """Count a failed attempt of an address."""
        key = _key(address)
        bucket = self._buckets.pop(key, None)
        if bucket is None:
            burst = LOOPBACK_FAILURES_PER_MINUTE if key == "loopback" else FAILURES_PER_MINUTE
            bucket = TokenBucket(burst / 60, burst)
        bucket.take(now)
        self._buckets[key] = bucket
        while len(self._buckets) > ADDRESSES_MAX:
            self._buckets.popitem(last=False)


class AddressRates:
    """Limits a kind of event to `rate` per minute for each rate-limit key, with as many at once.

    For the `ADDRESSES_MAX` keys with the most recent events. Rate 0 is unlimited.
    """

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def set_rate(self, rate: float) -> None:
        """Change the rate; every key can use it in full at once."""
        if rate != self._rate:
            self._rate = rate
            self._buckets.clear()

    def take(self, key: str, now: float) -> float:
        """Count an event and return 0.0; above the rate, count nothing and return the seconds to wait."""
        if not self._rate:
            return 0.0
        bucket = self._buckets.get(key)
        if bucket is None:
            while len(self._buckets) >= ADDRESSES_MAX:
                self._buckets.popitem(last=False)
            bucket = self._buckets[key] = TokenBucket(self._rate / 60, self._rate)
        self._buckets.move_to_end(key)
        return bucket.take(now)


def _key(address: str) -> str:
    """The rate-limit key of `host`, `host:port` or `[host]:port`."""
    # The port also follows IPv6 addresses without brackets.
    host = address.rpartition(":")[0]
    return rate_limit_key(address if parse_ip(host) is None else host)


class LogLimiter:
    """Allows one log line per key every `interval_s`, and counts the others."""

    def __init__(self, interval_s: float = 10.0) -> None:
        self._interval_s = interval_s
        self._seen: dict[str, tuple[float, int]] = {}

    def allow(self, key: str, now: float) -> int | None:
        """Return the number of lines suppressed since the last allowed one.

        None if this one must be suppressed.
        """
        allowed_at, suppressed = self._seen.get(key, (float("-inf"), 0))
        if now - allowed_at < self._interval_s:
            self._seen[key] = allowed_at, suppressed + 1
            return None
        if len(self._seen) >= LOG_KEYS_MAX:
            self._seen.clear()
        self._seen[key] = now, 0
        return suppressed


class LogBudget:
    """Limits the log lines about each address, in bytes, and counts the others.

    Stores the `LOG_KEYS_MAX` addresses with the most recent lines.
    """

    def __init__(self) -> None:
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()
        self._suppressed: dict[str, tuple[int, float]] = {}
        """Number of suppressed lines, and the time at which to report them."""

    def __len__(self) -> int:
        return len(self._buckets)

    def allow(self, key: str, size_bytes: int, now: float) -> bool:
        """Whether to log a line about an address; otherwise it is counted."""
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = TokenBucket(LOG_RATE_BYTES, LOG_BURST_BYTES)
        self._buckets.move_to_end(key)
        if bucket.take(now, size_bytes) == 0.0:
            return True
        count, report_at = self._suppressed.get(key, (0, now + LOG_REPORT_S))
        self._suppressed[key] = count + 1, report_at
        return False

    def take_reports(self, now: float) -> list[tuple[str, int]]:
        """Addresses with suppressed lines that are due, and the numbers of lines; drops old addresses."""
        due = [(key, count) for key, (count, report_at) in self._suppressed.items() if report_at <= now]
        for key, _ in due:
            del self._suppressed[key]
        while len(self._buckets) > LOG_KEYS_MAX:
            self._buckets.popitem(last=False)
        return due
