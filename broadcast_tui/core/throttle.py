"""Wrong guesses by address: a number a minute, then a wait. In bounded memory, and told the time."""

from __future__ import annotations

from collections import OrderedDict

from broadcast_tui.core.network import parse_ip, rate_limit_key
from broadcast_tui.core.ratelimit import TokenBucket

FAILURES_A_MINUTE = 10
LOCAL_FAILURES_A_MINUTE = 100
"""Everyone on this machine shares an address, as does everyone behind a proxy on it."""
ADDRESSES_MAX = 10_000


class Throttle:
    """Failures of the last minute or so, for the `ADDRESSES_MAX` addresses that failed last."""

    def __init__(self) -> None:
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def wait_s(self, address: str, now: float) -> float:
        """Seconds until this address may try again; 0.0 if it may now."""
        bucket = self._buckets.get(_key(address))
        return 0.0 if bucket is None else bucket.wait_s(now)

    def failed(self, address: str, now: float) -> None:
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
