"""Who is banned or muted: by name, as whatever looks like it, or by address, for a time or for good.

Invariant: what has run out is as if it had never been.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Literal

import msgspec

from broadcast_tui.core.clock import format_duration
from broadcast_tui.core.errors import ErrorCode, RequestError
from broadcast_tui.core.names import name_key
from broadcast_tui.core.network import LOOPBACK_NETWORKS, Network, host_network

LONGEST_S = 10 * 365 * 86_400.0
"""A longer time is for good."""


MANY = 10_000
"""Most sanctions kept at once."""


Action = Literal["ban", "mute"]


class Sanction(msgspec.Struct, frozen=True, omit_defaults=True):
    """`key` is what a name looks like, or a network; `clients` are the client ids that had the name then."""

    action: Action
    kind: Literal["name", "address"]
    key: str
    shown: str
    by: str
    at: datetime
    until: datetime | None = None
    reason: str = ""
    clients: tuple[str, ...] = ()

    def left_s(self, at: datetime) -> float | None:
        """Seconds until it is over; None: never."""
        return None if self.until is None else (self.until - at).total_seconds()

    def sentence(self, at: datetime) -> str:
        """What the one it is about is told."""
        did = "banned" if self.action == "ban" else "muted"
        left_s = self.left_s(at)
        how_long = "" if left_s is None else f" for another {format_duration(left_s, round_up=True)}"
        return f"You are {did}{how_long}{': ' + self.reason if self.reason else ''}"


class Sanctions:
    """All sanctions of a server; `changed` says that they should be kept again."""

    def __init__(self, kept: Iterable[Sanction] = ()) -> None:
        self._kept: dict[tuple[str, str, str], Sanction] = {}
        self._networks: dict[str, Network] = {}
        self.changed = False
        self.replace(kept)

    def replace(self, kept: Iterable[Sanction]) -> None:
        """Hold these and no others. Those whose address is none are left out."""
        self._kept.clear()
        self._networks.clear()
        for sanction in kept:
            if sanction.kind == "name" or parse_network(sanction.key) is not None:
                self._hold(sanction)
        self.changed = False

    def all(self, at: datetime) -> list[Sanction]:
        """Those in force, oldest first."""
        for key, sanction in list(self._kept.items()):
            if (left_s := sanction.left_s(at)) is not None and left_s <= 0:
                self._forget(key)
        return sorted(self._kept.values(), key=lambda sanction: sanction.at)

    def add(self, sanction: Sanction) -> None:
        """Hold one more, in place of an earlier one about the same. Raises Refused if there are too many."""
        if len(self._kept) >= MANY and len(self.all(sanction.at)) >= MANY:
            raise RequestError(ErrorCode.TRY_LATER, f"{MANY:,} bans are the most that are kept; lift some.")
        self._hold(sanction)
        self.changed = True

    def lift(self, action: Action, who: str) -> bool:
        """End the sanction about a name or an address; False if there is none."""
        network = parse_network(who)
        key = (action, "name", name_key(who)) if network is None else (action, "address", str(network))
        found = key in self._kept
        if found:
            self._forget(key)
            self.changed = True
        return found

    def of_address(self, host: str, at: datetime) -> Sanction | None:
        """The ban of an address."""
        if not self._networks:
            return None
        network = parse_network(host, whole=False)
        for key, banned in list(self._networks.items()):
            within = network and network.version == banned.version and network.subnet_of(banned)  # type: ignore[arg-type]
            if within and (found := self._in_force(("ban", "address", key), at)) is not None:
                return found
        return None

    def of_person(self, action: Action, key: str, client_id: str, at: datetime) -> Sanction | None:
        """The sanction of whoever looks like `key` or is `client_id`."""
        if (found := self._in_force((action, "name", key), at)) is not None:
            return found
        if client_id:
            for sanction in self._kept.values():
                key_of = (sanction.action, sanction.kind, sanction.key)
                if sanction.action == action and client_id in sanction.clients and self._in_force(key_of, at):
                    return sanction
        return None

    def _in_force(self, key: tuple[str, str, str], at: datetime) -> Sanction | None:
        sanction = self._kept.get(key)
        if sanction is None or (sanction.until is not None and sanction.until <= at):
            return None
        return sanction

    def _hold(self, sanction: Sanction) -> None:
        self._kept[sanction.action, sanction.kind, sanction.key] = sanction
        if sanction.kind == "address" and (network := parse_network(sanction.key)) is not None:
            self._networks[sanction.key] = network

    def _forget(self, key: tuple[str, str, str]) -> None:
        del self._kept[key]
        self._networks.pop(key[2], None) if key[1] == "address" else None


def parse_network(text: str, *, whole: bool = True) -> Network | None:
    """An address or network; a single IPv6 address is its /64, which is what one host usually gets.

    Args:
        whole: Whether that is so; False for the address of a connection.
    """
    bare = text.strip().strip("[]").partition("%")[0]
    try:
        network = ipaddress.ip_network(bare, strict=False)
    except ValueError:
        return None
    if isinstance(network, ipaddress.IPv6Network):
        if (mapped := network.network_address.ipv4_mapped) is not None and network.prefixlen == 128:
            return ipaddress.ip_network(mapped)
        if whole and "/" not in bare:
            return host_network(network.network_address)
    return network


def is_here(network: Network) -> bool:
    """Whether addresses of this machine are in `network`."""
    return any(network.overlaps(loopback) for loopback in LOOPBACK_NETWORKS)


def until(seconds: float, at: datetime) -> datetime | None:
    """When so many seconds from `at` are over; None for 0, or for longer than anyone will wait."""
    return at + timedelta(seconds=seconds) if 0 < seconds <= LONGEST_S else None
