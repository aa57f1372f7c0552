"""Bans and mutes of names (by skeleton) and of addresses, with or without an end.

Invariant: an expired sanction has no effect, even before it is removed.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Literal

import msgspec

from broadcast_tui.core.clock import DAY_S, format_duration
from broadcast_tui.core.errors import ErrorCode, RequestError
from broadcast_tui.core.names import name_key
from broadcast_tui.core.network import Network, host_network, parse_ip
from broadcast_tui.core.text import visible_line

SANCTION_MAX_S = 10 * 365 * DAY_S
"""A longer sanction is permanent."""
SANCTIONS_MAX = 10_000
"""Maximum number of sanctions in force."""

Action = Literal["ban", "mute"]

_ADDRESS_LIKE = re.compile(
    r"[/:*%]|^\[?[0-9]+(\.[0-9]*){2,}\]?$|^[0-9]+(\.[0-9]+){3} *[-\u2013] *[0-9]+(\.[0-9]+)*$"
)
"""Matches text with characters that names cannot have, numbers with at least two periods, and ranges of
addresses."""


class Sanction(msgspec.Struct, frozen=True, omit_defaults=True):
    """A ban or mute.

    `key` is the skeleton of a name, or a network; `clients` are client ids of the person.
    """

    action: Action
    kind: Literal["name", "address"]
    key: str
    shown: str
    """The name or network for display."""
    by: str
    at: datetime
    until: datetime | None = None
    reason: str = ""
    clients: tuple[str, ...] = ()

    def remaining_s(self, at: datetime) -> float | None:
        """Seconds until it ends; None if it is permanent."""
        return None if self.until is None else (self.until - at).total_seconds()

    def describe(self, at: datetime) -> str:
        """The message for the person it applies to, without a final period."""
        verb = "banned" if self.action == "ban" else "muted"
        remaining_s = self.remaining_s(at)
        duration = (
            "" if remaining_s is None else f" for another {format_duration(remaining_s, round_up=True)}"
        )
        return f"You are {verb}{duration}{': ' + self.reason if self.reason else ''}"


_Key = tuple[str, str, str]
"""Action, kind and key of a sanction."""


class Sanctions:
    """All sanctions of a server.

    Finding one takes the same time however many there are, since each post and handshake does it.
    """

    def __init__(self, sanctions: Iterable[Sanction] = ()) -> None:
        self._sanctions: dict[_Key, Sanction] = {}
        self._networks: dict[tuple[int, int], dict[int, str]] = {}
        """Banned networks by IP version and prefix length: the bits of their prefix, and their keys."""
        self._clients: dict[tuple[str, str], dict[_Key, None]] = {}
        """Sanctions by action and client id."""
        self.replace(sanctions)

    def replace(self, sanctions: Iterable[Sanction]) -> None:
        """Replace all sanctions; those with an invalid address are ignored."""
        self._sanctions.clear()
        self._networks.clear()
        self._clients.clear()
        for sanction in sanctions:
            if sanction.kind == "name" or parse_network(sanction.key) is not None:
                self._store(sanction)

    def all(self, at: datetime) -> list[Sanction]:
        """The sanctions in force, oldest first; removes expired ones."""
        for key, sanction in list(self._sanctions.items()):
            if (remaining_s := sanction.remaining_s(at)) is not None and remaining_s <= 0:
                self._remove(key)
        return sorted(self._sanctions.values(), key=lambda sanction: sanction.at)

    def add(self, sanction: Sanction) -> None:
        """Add a sanction.

        Replaces an earlier one of the same target. Raises RequestError if there are too many.
        """
        if len(self._sanctions) >= SANCTIONS_MAX and len(self.all(sanction.at)) >= SANCTIONS_MAX:
            raise RequestError(
                ErrorCode.TRY_LATER, f"{SANCTIONS_MAX:,} bans and mutes are the maximum. Remove some first."
            )
        self._store(sanction)

    def lift(self, action: Action, who: str) -> bool:
        """Remove the sanction of a name or an address; returns False if there is none."""
        network = parse_network(who)
        key = (action, "name", name_key(who)) if network is None else (action, "address", str(network))
        found = key in self._sanctions
        if found:
            self._remove(key)
        return found

    def find_by_address(self, host: str, at: datetime) -> Sanction | None:
        """The ban that covers an address; None if there is none."""
        address = parse_ip(host) if self._networks else None
        if address is None:
            return None
        for (version, length), keys in self._networks.items():
            if version != address.version:
                continue
            key = keys.get(int(address) >> (address.max_prefixlen - length))
            if key is not None and (sanction := self._in_force(("ban", "address", key), at)) is not None:
                return sanction
        return None

    def find_by_person(self, action: Action, key: str, client_id: str, at: datetime) -> Sanction | None:
        """The sanction of the name with skeleton `key` or of a client id; None if there is none."""
        if not self._sanctions:  # asked for each post
            return None
        if (found := self._in_force((action, "name", key), at)) is not None:
            return found
        for sanction_key in self._clients.get((action, client_id), ()):
            if (found := self._in_force(sanction_key, at)) is not None:
                return found
        return None

    def _in_force(self, key: tuple[str, str, str], at: datetime) -> Sanction | None:
        sanction = self._sanctions.get(key)
        if sanction is None or (sanction.until is not None and sanction.until <= at):
            return None
        return sanction

    def _store(self, sanction: Sanction) -> None:
        key = (sanction.action, sanction.kind, sanction.key)
        if key in self._sanctions:
            self._remove(key)
        self._sanctions[key] = sanction
        for client_id in sanction.clients:
            self._clients.setdefault((sanction.action, client_id), {})[key] = None
        if sanction.kind == "address" and (network := parse_network(sanction.key)) is not None:
            group, prefix = _prefix_of(network)
            self._networks.setdefault(group, {})[prefix] = sanction.key

    def _remove(self, key: _Key) -> None:
        sanction = self._sanctions.pop(key)
        for client_id in sanction.clients:
            keys = self._clients.get((sanction.action, client_id), {})
            keys.pop(key, None)
            if not keys:
                self._clients.pop((sanction.action, client_id), None)
        if sanction.kind == "address" and (network := parse_network(sanction.key)) is not None:
            group, prefix = _prefix_of(network)
            self._networks[group].pop(prefix, None)
            if not self._networks[group]:
                del self._networks[group]


def _prefix_of(network: Network) -> tuple[tuple[int, int], int]:
    """The IP version and prefix length of a network, and the bits of its prefix."""
    host_bits = network.max_prefixlen - network.prefixlen
    return (network.version, network.prefixlen), int(network.network_address) >> host_bits


def parse_network(text: str, *, whole: bool = True) -> Network | None:
    """Parse an address or network; None if it is neither.

    Args:
        whole: Return the /64 of a single IPv6 address, the network that one host usually gets.
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


def network_fault(text: str) -> str:
    """Why a text that looks like an address or network is neither; empty for anything else, such as names."""
    bare = text.strip()
    if not _ADDRESS_LIKE.search(bare) or parse_network(bare) is not None:
        return ""
    shown = visible_line(bare)[:64]
    address, _, prefix = bare.partition("/")
    if prefix and (network := parse_network(address, whole=False)) is not None:
        return f"Invalid network: {shown}. The number after / must be between 0 and {network.max_prefixlen}."
    return f"Invalid address: {shown}. Use an address or a network, such as 192.0.2.7 or 192.0.2.0/24."


def end_time(seconds: float, at: datetime) -> datetime | None:
    """The end of a sanction imposed at `at`.

    None if it is permanent, as for 0 or more than `SANCTION_MAX_S`.
    """
    return at + timedelta(seconds=seconds) if 0 < seconds <= SANCTION_MAX_S else None
