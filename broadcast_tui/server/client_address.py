"""Where a client really is: behind which proxies, and who counts as one address with it.

Invariant: nothing that a client writes itself is believed, unless a trusted proxy stands before it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from broadcast_tui.core.errors import BroadcastError

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class NetworkError(BroadcastError):
    """What should be a network is none, or is the whole internet; the operator's fault."""


def parse_networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """Networks such as `10.0.0.0/8` or a single address. Raises NetworkError."""
    networks = []
    for text in texts:
        try:
            network = ipaddress.ip_network(text.strip(), strict=False)
        except ValueError:
            raise NetworkError(
                f"{text!r} is no network; give a trusted proxy as 127.0.0.1 or 10.0.0.0/8."
            ) from None
        if network.prefixlen == 0:
            raise NetworkError(f"{text} is everyone; name the network of your own proxies.")
        networks.append(network)
    return tuple(networks)


def parse_address(text: str) -> Address | None:
    """An address, with or without a port, brackets or zone; None if it is none."""
    bare = text.strip().strip('"')
    if bare.startswith("["):
        bare = bare[1:].partition("]")[0]
    elif bare.count(":") == 1:
        bare = bare.partition(":")[0]
    try:
        address = ipaddress.ip_address(bare.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped if mapped is not None else address


def client_address(peer: str, forwarded_for: Sequence[str], trusted: Sequence[Network]) -> str:
    """Address of the client: that of the TCP connection, or the newest one that no trusted proxy has.

    Args:
        peer: Address of the other end of the TCP connection.
        forwarded_for: Values of all `X-Forwarded-For` headers, in order. Each proxy appends the address
            that it was called from, so they are read from the right.
        trusted: Networks of proxies that tell the truth.
    """
    address = parse_address(peer)
    if address is None:
        return peer
    hops = [hop for value in forwarded_for for hop in value.split(",")]
    while hops and any(address in network for network in trusted):
        before = parse_address(hops.pop())
        if before is None:
            break
        address = before
    return str(address)


def is_within(address: str, networks: Sequence[Network]) -> bool:
    """Whether `address` is in one of `networks`."""
    parsed = parse_address(address)
    return parsed is not None and any(parsed in network for network in networks)


def counted_as(address: str) -> str:
    """What one host is counted under: an IPv4 address, or the /64 that one host usually gets."""
    parsed = parse_address(address)
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed) if parsed is not None else "unknown"


def is_loopback(address: str) -> bool:
    """Whether the client is on this machine."""
    parsed = parse_address(address)
    return parsed is not None and parsed.is_loopback
