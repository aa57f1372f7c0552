"""IP addresses: parsing, loopback, and keys for limits per host."""

from __future__ import annotations

import ipaddress
from functools import lru_cache

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

LOOPBACK_NETWORKS: tuple[Network, ...] = (
    ipaddress.ip_network("127.0.0.0/8"),
    ipaddress.ip_network("::1/128"),
)
"""The addresses of this machine (RFC 1122 3.2.1.3, RFC 4291 2.5.3)."""
HOST_PREFIX_IPV6 = 64
"""Prefix length of the network that one IPv6 host usually gets (RFC 6177)."""

CACHED_COUNT = 1_024
"""Parsed addresses that are cached: a request parses that of its client several times."""
CACHED_CHARS = 64
"""Longer texts are not cached, to bound the memory."""


def parse_ip(text: str) -> Address | None:
    """An IP address, in brackets or not; None if the text is not one.

    An IPv4-mapped IPv6 address is returned as IPv4, and the zone of an IPv6 address (`%eth0`) is dropped. A
    port is not accepted: without brackets, it cannot be distinguished from the last group of an IPv6 address.
    """
    return _parse_cached(text) if len(text) <= CACHED_CHARS else _parse(text)


def _parse(text: str) -> Address | None:
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    try:
        address = ipaddress.ip_address(bare)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv4Address):
        return address
    return address.ipv4_mapped or ipaddress.IPv6Address(int(address))


_parse_cached = lru_cache(CACHED_COUNT)(_parse)


def is_loopback(address: str | Address) -> bool:
    """Whether an IP address is one of this machine; False for anything that is not an IP address."""
    parsed = parse_ip(address) if isinstance(address, str) else address
    return parsed is not None and any(parsed in network for network in LOOPBACK_NETWORKS)


def contains_loopback(network: Network) -> bool:
    """Whether a network contains loopback addresses."""
    return any(network.overlaps(loopback) for loopback in LOOPBACK_NETWORKS)


def is_loopback_host(host: str) -> bool:
    """Whether a host name or IP address certainly means this machine: `localhost` or a loopback address.

    Names below `localhost` are not included. RFC 6761 reserves them, but the C library of many systems asks
    a DNS server for them.
    """
    return host.casefold() == "localhost" or is_loopback(host)


def host_network(address: Address) -> Network:
    """The network that one host usually gets: one IPv4 address, or a /64 of IPv6."""
    if isinstance(address, ipaddress.IPv4Address):
        return ipaddress.IPv4Network(address)
    return ipaddress.IPv6Network((address, HOST_PREFIX_IPV6), strict=False)


def rate_limit_key(address: str) -> str:
    """The key for limits per host: an IPv4 address, the /64 of an IPv6 address, or `loopback`.

    All loopback addresses share one key. Anything that is not an IP address is `unknown`.
    """
    parsed = parse_ip(address)
    if parsed is None:
        return "unknown"
    if is_loopback(address):
        return "loopback"
    return str(parsed if isinstance(parsed, ipaddress.IPv4Address) else host_network(parsed))
