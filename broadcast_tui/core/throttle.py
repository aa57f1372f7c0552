"""Wrong guesses by address: a number a minute, then a wait. In bounded memory, and told the time."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict

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
        bucket = self._buckets.get(network_of(address))
        return 0.0 if bucket is None else bucket.wait_s(now)

    def failed(self, address: str, now: float) -> None:
        """The address has guessed wrong."""
        network = network_of(address)
        bucket = self._buckets.pop(network, None)
        if bucket is None:
            most = LOCAL_FAILURES_A_MINUTE if network == "loopback" else FAILURES_A_MINUTE
            bucket = TokenBucket(most / 60, most)
        bucket.take(now)
        self._buckets[network] = bucket
        while len(self._buckets) > ADDRESSES_MAX:
            self._buckets.popitem(last=False)


def network_of(address: str) -> str:
    """What counts as one address, from `host`, `host:port` or `[host]:port`: of IPv6, the /64."""
    for text in (address.rpartition(":")[0], address):
        try:
            host = ipaddress.ip_address(text.strip("[]").partition("%")[0])
        except ValueError:
            continue
        if isinstance(host, ipaddress.IPv6Address) and host.ipv4_mapped is not None:
            host = host.ipv4_mapped
        if host.is_loopback:
            return "loopback"
        if isinstance(host, ipaddress.IPv6Address):
            return str(ipaddress.ip_network((host, 64), strict=False))
        return str(host)
    return address
