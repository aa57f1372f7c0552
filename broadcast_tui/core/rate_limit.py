"""A token bucket that is told the time."""

from __future__ import annotations

from collections import OrderedDict

from broadcast_tui.core.network import parse_ip, rate_limit_key


class TokenBucket:
    """`rate` tokens a second, up to `burst`; full at the start. A rate of 0 never refuses."""

    __slots__ = ("_at", "_burst", "_rate", "_tokens")

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = max(1.0, burst)
        self._tokens = self._burst
        self._at: float | None = None

    def take(self, now: float, cost: float = 1.0) -> float:
        """Take `cost` tokens. Returns 0.0 if there were as many, else the seconds until there will be.

        What costs more than the burst is had for a full bucket, so that nothing is refused for ever.
        """
        wait_s = self.wait_s(now, cost)
        if self._rate > 0 and wait_s == 0.0:
            self._tokens -= min(cost, self._burst)
        return wait_s

    def wait_s(self, now: float, cost: float = 1.0) -> float:
        """What `take` would return, with nothing taken."""
        if self._rate <= 0:
            return 0.0
        if self._at is not None:
            self._tokens = min(self._burst, self._tokens + max(0.0, now - self._at) * self._rate)
        self._at = now
        return max(0.0, (min(cost, self._burst) - self._tokens) / self._rate)

    @property
    def is_full(self) -> bool:
        """Whether nothing is missing since the last call; such a bucket may be forgotten."""
        return self._rate <= 0 or self._tokens >= self._burst


FAILURES_A_MINUTE = 10


LOCAL_FAILURES_A_MINUTE = 100
"""Everyone on this machine shares an address, as does everyone behind a proxy on it."""


ADDRESSES_MAX = 10_000


class FailureLimiter:
    """Failures of the last minute or so, for the `ADDRESSES_MAX` addresses that failed last."""

    def __init__(self) -> None:
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def wait_s(self, address: str, now: float) -> float:
        """Seconds until this address may try again; 0.0 if it may now."""
        bucket = self._buckets.get(_key(address))
        return 0.0 if bucket is None else bucket.wait_s(now)

    def record_failure(self, address: str, now: float) -> None:
        """The address has guessed wrong."""
        key = _key(address)
        bucket = self._buckets.pop(key, None)
        if bucket is None:
            most = LOCAL_FAILURES_A_MINUTE if key == "loopback" else FAILURES_A_MINUTE
            bucket = TokenBucket(most / 60, most)
        bucket.take(now)
        self._buckets[key] = bucket
        while len(self._buckets) > ADDRESSES_MAX:
            self._buckets.popitem(last=False)


def _key(address: str) -> str:
    """The rate-limit key of `host`, `host:port` or `[host]:port`."""
    # The address of a connection has a port after an IPv6 address without brackets.
    host = address.rpartition(":")[0]
    return rate_limit_key(address if parse_ip(host) is None else host)


KEYS_MAX = 1_000


class LogLimiter:
    """Lets one event of a key through every `interval_s`; the others are counted."""

    def __init__(self, interval_s: float = 10.0) -> None:
        self._interval_s = interval_s
        self._seen: dict[str, tuple[float, int]] = {}

    def allow(self, key: str, now: float) -> int | None:
        """How many events of `key` were held back since the last one let through; None: hold this one."""
        at, held = self._seen.get(key, (float("-inf"), 0))
        if now - at < self._interval_s:
            self._seen[key] = at, held + 1
            return None
        if len(self._seen) >= KEYS_MAX:
            self._seen.clear()
        self._seen[key] = now, 0
        return held
