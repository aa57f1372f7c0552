"""Rate limits: token buckets, failed attempts per address, and repeated log lines. Time is an argument."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

from broadcast_tui.core.network import parse_ip, rate_limit_key

FAILURES_PER_MINUTE = 10
LOOPBACK_FAILURES_PER_MINUTE = 100
"""Higher, since all users of this machine, and all clients behind a proxy on it, share one address."""
ADDRESSES_MAX = 10_000
"""Maximum number of addresses whose budgets are stored."""
LOG_KEYS_MAX = 1_000
LOG_RATE_BYTES = 2_048
"""Sustained size of the log lines about one address, per second."""
LOG_BURST_BYTES = 16_384
"""The same at once, such as the lines of a class that connects."""
LOG_REPORT_S = 10.0
"""Minimum time between two reports of suppressed lines of one address."""

V = TypeVar("V")


class LruMap(Generic[V]):
    """The values of the `max_count` most recently used keys, each created when it is first used."""

    def __init__(self, create: Callable[[str], V], max_count: int) -> None:
        self._create = create
        self._max_count = max_count
        self._values: OrderedDict[str, V] = OrderedDict()

    def __len__(self) -> int:
        return len(self._values)

    def use(self, key: str) -> V:
        """The value of a key, which becomes the most recently used one."""
        value = self._values.get(key)
        if value is None:
            if len(self._values) >= self._max_count:
                self._values.popitem(last=False)
            value = self._values[key] = self._create(key)
        else:
            self._values.move_to_end(key)
        return value

    def peek(self, key: str) -> V | None:
        """The value of a key if it is stored; does not count as a use."""
        return self._values.get(key)

    def clear(self) -> None:
        """Drop all values."""
        self._values.clear()


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
        self._buckets = LruMap(_new_failure_bucket, ADDRESSES_MAX)
        self.on_failure: Callable[[str, float], None] = lambda address, now: None
        """Called with each failed attempt."""

    def __len__(self) -> int:
        return len(self._buckets)

    def wait_s(self, address: str, now: float) -> float:
        """Seconds until an address may try again; 0.0 if it may now."""
        bucket = self._buckets.peek(_key(address))
        return 0.0 if bucket is None else bucket.wait_s(now)

    def record_failure(self, address: str, now: float) -> None:
        """Count a failed attempt of an address."""
        self._buckets.use(_key(address)).take(now)
        self.on_failure(address, now)

    def record_total(self, address: str, count: int, now: float) -> None:
        """Block an address if it had too many failures in the last minute, counted elsewhere."""
        key = _key(address)
        if count >= _failures_per_minute(key):
            bucket = self._buckets.use(key)
            while bucket.take(now) == 0.0:
                pass

    @staticmethod
    def key_of(address: str) -> str:
        """The key by which failures of an address are counted."""
        return _key(address)


def _failures_per_minute(key: str) -> int:
    return LOOPBACK_FAILURES_PER_MINUTE if key == "loopback" else FAILURES_PER_MINUTE


def _new_failure_bucket(key: str) -> TokenBucket:
    burst = _failures_per_minute(key)
    return TokenBucket(burst / 60, burst)


class AddressRates:
    """Limits a kind of event to `rate` per minute for each rate-limit key, with as many at once.

    For the `ADDRESSES_MAX` keys with the most recent events. Rate 0 is unlimited.
    """

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._buckets = LruMap(lambda _: TokenBucket(self._rate / 60, self._rate), ADDRESSES_MAX)

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
        return self._buckets.use(key).take(now)


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
        self._buckets = LruMap(lambda _: TokenBucket(LOG_RATE_BYTES, LOG_BURST_BYTES), LOG_KEYS_MAX)
        self._suppressed: dict[str, tuple[int, float]] = {}
        """Number of suppressed lines, and the time at which to report them."""

    def __len__(self) -> int:
        return len(self._buckets)

    def allow(self, key: str, size_bytes: int, now: float) -> bool:
        """Whether to log a line about an address; otherwise it is counted."""
        if self._buckets.use(key).take(now, size_bytes) == 0.0:
            return True
        count, report_at = self._suppressed.get(key, (0, now + LOG_REPORT_S))
        self._suppressed[key] = count + 1, report_at
        return False

    def take_reports(self, now: float) -> list[tuple[str, int]]:
        """Addresses with suppressed lines that are due, and the numbers of lines."""
        due = [(key, count) for key, (count, report_at) in self._suppressed.items() if report_at <= now]
        for key, _ in due:
            del self._suppressed[key]
        return due
