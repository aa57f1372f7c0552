"""Where a client really is, behind which proxies.

Invariant: nothing that a client writes itself is believed, unless a trusted proxy stands before it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from broadcast_tui.core.errors import BroadcastError
from broadcast_tui.core.network import Address, Network, parse_ip


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


def client_address(peer: str, forwarded_for: Sequence[str], trusted: Sequence[Network]) -> str:
    """Address of the client: that of the TCP connection, or the newest one that no trusted proxy has.

    Args:
        peer: Address of the other end of the TCP connection.
        forwarded_for: Values of all `X-Forwarded-For` headers, in order. Each proxy appends the address
            that it was called from, so they are read from the right.
        trusted: Networks of proxies that tell the truth.
    """
    address = parse_ip(peer)
    if address is None:
        return peer
    hops = [hop for value in forwarded_for for hop in value.split(",")]
    while hops and any(address in network for network in trusted):
        before = _parse_hop(hops.pop())
        if before is None:
            break
        address = before
    return str(address)


def is_within(address: str, networks: Sequence[Network]) -> bool:
    """Whether `address` is in one of `networks`."""
    parsed = parse_ip(address)
    return parsed is not None and any(parsed in network for network in networks)


def _parse_hop(text: str) -> Address | None:
    """An address in `X-Forwarded-For`, perhaps quoted or with a port; None if it is not an address."""
    bare = text.strip().strip('"')
    if bare.startswith("["):
        bare = bare[1:].partition("]")[0]
    elif bare.count(":") == 1:
        bare = bare.partition(":")[0]
    return parse_ip(bare)
