"""The address of a client behind proxies.

Invariant: `X-Forwarded-For` is used only if the connection comes from a trusted proxy.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from broadcast_tui.core.errors import BroadcastError
from broadcast_tui.core.network import Address, Network, is_loopback, parse_ip


class NetworkError(BroadcastError):
    """A trusted proxy is not a valid network, or is the whole internet."""


def parse_networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """Parse networks such as `10.0.0.0/8`, or single addresses. Raises NetworkError."""
    networks = []
    for text in texts:
        try:
            network = ipaddress.ip_network(text.strip(), strict=False)
        except ValueError:
            raise NetworkError(
                f"Invalid network: {text!r}. Use an address or network, such as 127.0.0.1 or 10.0.0.0/8."
            ) from None
        if network.prefixlen == 0:
            raise NetworkError(f"{text} contains every address. Use the network of your own proxies.")
        networks.append(network)
    return tuple(networks)


def client_address(peer: str, forwarded_for: Sequence[str], trusted: Sequence[Network]) -> str:
    """The address of the client: the last one in the chain of proxies that is not a trusted proxy.

    Args:
        peer: Address of the peer of the TCP connection.
        forwarded_for: Values of all `X-Forwarded-For` headers, in order. Each proxy appends the address of
            its client, so they are read from the right.
        trusted: Networks of trusted proxies.

    Returns:
        The address, or that of the last known proxy if the header is missing or not an address. A loopback
        address from a proxy on another machine means that machine, so the proxy's address is returned.
    """
    address = parse_ip(peer)
    if address is None:
        return peer
    hops = [hop for value in forwarded_for for hop in value.split(",")]
    while hops and any(address in network for network in trusted):
        before = _parse_hop(hops.pop())
        if before is None:
            break
        if is_loopback(before) and not is_loopback(address):
            if not any(before in network for network in trusted):
                break
            continue
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
