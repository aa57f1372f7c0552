"""Admission: limits, bans and origins, checked before the WebSocket upgrade. Rejections are HTTP responses.

Invariants: connections are counted from the moment they are accepted. A half-open connection that is late, or
the oldest of too many, is dropped without a response, so that prompt clients always find a place. A rejected
handshake counts as half-open until its socket closes. Limits per address do not apply to loopback clients,
unless they come through a trusted proxy.

Connections and requests are charged to the budget of server time of their address. While it is negative,
requests are rejected with 429. If it falls further, new connections are closed as soon as they are accepted,
which costs the least.
"""

from __future__ import annotations

import asyncio
import http
import logging
import math
import re
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol
from urllib.parse import urlsplit

from websockets.http11 import Request, Response

from broadcast_tui.core.errors import BroadcastError
from broadcast_tui.core.hub.auth import Role
from broadcast_tui.core.hub.work_budget import ACCEPT_S, UNLIMITED, WorkBudget, request_price_s
from broadcast_tui.core.limits import AdmissionLimits
from broadcast_tui.core.network import (
    Network,
    contains_loopback,
    is_loopback,
    is_loopback_host,
    rate_limit_key,
)
from broadcast_tui.core.rate_limit import AddressRates, LogLimiter
from broadcast_tui.core.text import log_safe
from broadcast_tui.server import http as pages
from broadcast_tui.server.client_address import client_address, is_within, parse_networks
from broadcast_tui.server.connection import PeerConnection
from broadcast_tui.server.listen import RESERVED_DESCRIPTORS, open_files_max

CONNECTIONS_EXPECTED = 500
"""Number of connections that a server should admit if it is not limited by an option."""
_PORTS = {"http": 80, "ws": 80, "https": 443, "wss": 443}

_ORIGIN = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s/?#@]+/?")
audit = logging.getLogger("broadcast_tui.audit")


@dataclass(slots=True)
class _HalfOpen:
    """A connection without a completed handshake: its rate-limit key (empty if exempt), deadline and peer."""

    key: str
    deadline: float
    peer: str


class Droppable(Protocol):
    """A connection, as far as it is only counted."""

    def abort(self) -> None:
        """Drop the connection."""
        ...


class Payer(Protocol):
    """A connection whose requests are paid."""

    loop: asyncio.AbstractEventLoop
    budget: WorkBudget

    @property
    def peer(self) -> str:
        """Address of the peer of the TCP connection."""
        ...


class HttpCaller(Droppable, Payer, Protocol):
    """A connection for HTTP requests."""


class Rejection(NamedTuple):
    """Why a handshake or request is rejected, and when to try again."""

    reason: str
    status: http.HTTPStatus
    text: str
    retry_after_s: float | None


class Admission:
    """Counts connections in total and per address, and accepts or rejects handshakes.

    Args:
        find_ban: Returns the message and remaining seconds (None: permanent) of the ban of an address.
        check_token: Returns the response to a handshake with an invalid or missing token.
        budget_of: Returns the budget of server time for a rate-limit key; an empty key is exempt.
        store_fault: Returns why load balancers should choose servers that can store posts; empty if this one
            can. Clients are admitted nevertheless.
    """

    def __init__(
        self,
        limits: AdmissionLimits,
        *,
        find_ban: Callable[[str], tuple[str, float | None] | None] = lambda _: None,
        check_token: Callable[[PeerConnection, Request], Response | None] = lambda connection, request: None,
        budget_of: Callable[[str], WorkBudget] = lambda _: UNLIMITED,
        store_fault: Callable[[], str] = lambda: "",
    ) -> None:
        self.leaving = False
        """Whether load balancers should choose other servers, because this one stops soon."""
        self.draining = False
        """Whether the server is stopping: all handshakes are rejected."""
        self.ready = False
        """Whether the server has started."""
        self.rejected: Counter[str] = Counter()
        """Number of rejected or dropped connections, by reason."""
        self._find_ban = find_ban
        self._check_token = check_token
        self._budget_of = budget_of
        self._store_fault = store_fault
        self._half_open: OrderedDict[Droppable, _HalfOpen] = OrderedDict()
        self._half_open_by_address: Counter[str] = Counter()
        self._admitted: dict[Droppable, str] = {}
        self._by_address: Counter[str] = Counter()
        self._rates = AddressRates(limits.max_new_per_minute)
        self._log_limiter = LogLimiter()
        self.limits = limits
        self.set_limits(limits)

    def set_limits(self, limits: AdmissionLimits) -> None:
        """Apply new limits; open connections are not affected. Raises NetworkError."""
        self._trusted = parse_networks(limits.trusted_proxies)
        self._rates.set_rate(limits.max_new_per_minute)
        self.limits = limits
        self.max_half_open, self.max_connections = _fit_descriptors(limits)

    # -- before the handshake

    def register(self, connection: PeerConnection) -> None:
        """Count a new TCP connection as half-open, before TLS and handshake."""
        peer = connection.peer
        # All clients of a proxy share its address before their handshakes.
        is_proxy = is_within(peer, self._trusted)
        key = "" if is_proxy or self._is_exempt(peer, peer) else rate_limit_key(peer)
        limits, now = self.limits, connection.loop.time()
        connection.budget = budget = self._budget_of(key)
        is_exhausted = budget.is_exhausted(now) and not is_loopback(peer)  # it may be a health check
        budget.charge(ACCEPT_S, now)
        if is_exhausted:
            self.log_rejection("work", peer)
            connection.abort()
            return
        per_ip_max = limits.max_half_open_per_ip
        if key and per_ip_max and self._half_open_by_address[key] >= per_ip_max:
            self._drop(next(c for c, half in self._half_open.items() if half.key == key), "half_open")
        if self.max_half_open and len(self._half_open) >= self.max_half_open:
            self._drop(next(iter(self._half_open)), "half_open")
        self._half_open[connection] = _HalfOpen(key, now + limits.handshake_timeout_s, peer)
        self._half_open_by_address[key] += 1
        connection.connection_lost_waiter.add_done_callback(lambda _: self._connection_lost(connection))

    def sweep(self, now: float) -> None:
        """Drop half-open connections past their deadline."""
        if not self.limits.handshake_timeout_s:
            return
        while self._half_open:
            connection, half = next(iter(self._half_open.items()))
            if half.deadline > now:
                return
            self._drop(connection, "timeout")

    def _drop(self, connection: Droppable, reason: str) -> None:
        half = self._half_open[connection]
        self._remove_half_open(connection)
        self.log_rejection(reason, half.peer)
        connection.abort()

    def _remove_half_open(self, connection: Droppable) -> None:
        half = self._half_open.pop(connection, None)
        if half is not None:
            self._half_open_by_address[half.key] -= 1
            if self._half_open_by_address[half.key] <= 0:
                del self._half_open_by_address[half.key]

    # -- the handshake

    @property
    def half_open(self) -> int:
        """Number of connections without a completed handshake."""
        return len(self._half_open)

    @property
    def not_ready_reason(self) -> str:
        """Why load balancers should choose other servers; empty if this one is ready for new connections."""
        if self.leaving or self.draining:
            return "the server is stopping"
        if not self.ready:
            return "the server is starting"
        return "the server is full" if self._is_full else self._store_fault()

    def process_request(self, connection: PeerConnection, request: Request) -> Response | None:
        """Return a response that rejects the handshake.

        None accepts it and counts the connection until it closes.
        """
        peer, forwarded = connection.peer, request.headers.get_all("X-Forwarded-For")
        address = client_address(peer, forwarded, self._trusted)
        connection.client_address = address
        _, wait_s = self.pay(connection, address, request_price_s(connection.head_bytes))
        if wait_s > 0:
            text = f"The requests from your address take too much time. Wait {math.ceil(wait_s)} s."
            return pages.rejection(http.HTTPStatus.TOO_MANY_REQUESTS, text, math.ceil(wait_s))
        rejection = self._check(connection, request, address)
        if rejection is not None:
            self.log_rejection(rejection.reason, address)
            return pages.rejection(rejection.status, rejection.text, rejection.retry_after_s)
        denied = self._check_token(connection, request)
        if denied is not None:
            self.log_rejection("token", address)
            return denied
        key = rate_limit_key(address)
        if not self._is_exempt(peer, address):
            connection.rate_limit_key = key
        self._admit(connection, key)
        return None

    def opened(self, connection: PeerConnection, replacement: Droppable) -> None:
        """Count an admitted connection on, after its handshake, as the one that has replaced it."""
        key = self._admitted.pop(connection, None)
        if key is not None:
            self._admitted[replacement] = key

    @property
    def connections(self) -> list[Droppable]:
        """All connections that are counted."""
        return [*self._half_open, *self._admitted]

    # -- other HTTP requests

    def take_over(self, connection: PeerConnection, http: HttpCaller) -> None:
        """Count a connection as half-open that has replaced another, with the same time for its response."""
        half = self._half_open.get(connection)
        if half is not None:
            self._remove_half_open(connection)
            half.deadline = connection.loop.time() + self.limits.handshake_timeout_s
            self._half_open[http] = half
            self._half_open_by_address[half.key] += 1

    def count(self, connection: HttpCaller, address: str) -> Rejection | None:
        """Count an HTTP connection for the address of its current request; returns why there is no place."""
        key, counted = rate_limit_key(address), self._admitted.get(connection)
        if counted == key:
            return None
        rejection = self._full() if counted is None else None
        if rejection is None and not self._is_exempt(connection.peer, address):
            rejection = self._too_many(key)
        if rejection is None:
            self._discount(connection)
            self._admit(connection, key)
        return rejection

    def count_new(self, connection: HttpCaller, address: str) -> Rejection | None:
        """Count an HTTP connection as a new one of an address; returns why it may not open another yet."""
        if self._is_exempt(connection.peer, address):
            return None
        return self._too_often(rate_limit_key(address), connection.loop.time())

    def rest(self, connection: HttpCaller) -> None:
        """Note that a request has ended: the connections of a proxy do not belong to an address."""
        if is_within(connection.peer, self._trusted) and connection in self._admitted:
            self._discount(connection)
            self._admit(connection, "")

    def is_admitted(self, connection: HttpCaller) -> bool:
        """Whether an HTTP connection has been counted and may stay open after its response."""
        return connection in self._admitted

    def end(self, connection: Droppable) -> None:
        """Remove a connection that has closed, after a handshake or for HTTP."""
        self._connection_lost(connection)

    def reject_caller(self, address: str, *, is_admin: Callable[[], bool]) -> Rejection | None:
        """Why nobody at an address is admitted now; None if they are."""
        if self.draining:
            unavailable = http.HTTPStatus.SERVICE_UNAVAILABLE
            return Rejection("draining", unavailable, "The server is restarting. Try again in a moment.", 5)
        ban = self._find_ban(address)
        if ban is not None and not is_admin():
            return Rejection("banned", http.HTTPStatus.FORBIDDEN, *ban)
        return None

    def pay(
        self, connection: Payer, address: str, price_s: float, *, is_probe: bool = False
    ) -> tuple[WorkBudget, float]:
        """Pay for a request from the budget of an address; returns that, and seconds to wait, mostly 0.0.

        The request must be rejected if the budget was negative. Health checks that this machine or a load
        balancer makes for itself are always answered.
        """
        peer, now = connection.peer, connection.loop.time()
        if self._is_exempt(peer, address):
            return UNLIMITED, 0.0
        budget = self._budget_of(rate_limit_key(address))
        if budget is not connection.budget:  # the connection of a proxy has not been paid
            price_s += ACCEPT_S
        in_debt = budget.debt_wait_s(now) > 0
        budget.charge(price_s, now)  # a rejection costs about as much
        if not in_debt or (is_probe and (is_loopback(peer) or is_within(peer, self._trusted))):
            return budget, 0.0
        self.log_rejection("work", address)
        return budget, budget.debt_wait_s(now)

    # -- counting

    def _admit(self, connection: Droppable, key: str) -> None:
        self._remove_half_open(connection)
        self._admitted[connection] = key
        self._by_address[key] += 1

    def _discount(self, connection: Droppable) -> None:
        key = self._admitted.pop(connection, None)
        if key is not None:
            self._by_address[key] -= 1
            if self._by_address[key] <= 0:
                del self._by_address[key]

    def _connection_lost(self, connection: Droppable) -> None:
        self._remove_half_open(connection)
        self._discount(connection)

    @property
    def trusted(self) -> Sequence[Network]:
        """The networks of trusted proxies."""
        return self._trusted

    @property
    def trusts_loopback(self) -> bool:
        """Whether a proxy on this machine is trusted, so that remote clients may have a loopback address."""
        return any(contains_loopback(network) for network in self._trusted)

    @property
    def _is_full(self) -> bool:
        return bool(self.max_connections) and len(self._admitted) >= self.max_connections

    def _check(self, connection: PeerConnection, request: Request, address: str) -> Rejection | None:
        """Why a handshake is rejected; None to accept it."""
        rejection = self.reject_caller(address, is_admin=lambda: self._is_admin(connection, request))
        if rejection is not None:
            return rejection
        origins, hosts = request.headers.get_all("Origin"), request.headers.get_all("Host")
        if not is_allowed_origin(origins, hosts, self.limits.origins, local=is_loopback(address)):
            text = "Web pages from this origin may not connect to this server."
            return Rejection("origin", http.HTTPStatus.FORBIDDEN, text, None)
        rejection = self._full()
        if rejection is not None or self._is_exempt(connection.peer, address):
            return rejection
        key = rate_limit_key(address)
        return self._too_many(key) or self._too_often(key, connection.loop.time())

    def _full(self) -> Rejection | None:
        if not self._is_full:
            return None
        text = f"The server is full: {self.max_connections} connections is the maximum."
        return Rejection("full", http.HTTPStatus.SERVICE_UNAVAILABLE, text, 30)

    def _too_many(self, key: str) -> Rejection | None:
        """Why an address may not have one more connection."""
        places = self.limits.max_connections_per_ip
        if not places or self._by_address[key] < places:
            return None
        text = f"Too many connections from your address: {places} is the maximum. Close one, or wait 60 s."
        return Rejection("per_address", http.HTTPStatus.TOO_MANY_REQUESTS, text, 60)

    def _too_often(self, key: str, now: float) -> Rejection | None:
        """Why an address may not open another connection yet."""
        wait_s = self._rates.take(key, now)
        if wait_s <= 0:
            return None
        text = f"Too many new connections from your address. Wait {max(1, round(wait_s))} s."
        return Rejection("rate", http.HTTPStatus.TOO_MANY_REQUESTS, text, wait_s)

    def _is_admin(self, connection: PeerConnection, request: Request) -> bool:
        """Whether the handshake has an admin's token, to which bans do not apply."""
        if self._check_token(connection, request) is not None or connection.identity is None:
            return False
        return connection.identity.role is Role.ADMIN

    def _is_exempt(self, peer: str, address: str) -> bool:
        """Whether the limits per address do not apply to a client.

        A trusted proxy on this machine and its clients are never exempt: without a valid `X-Forwarded-For`,
        a remote client has the proxy's address.
        """
        return self.limits.exempt_loopback and is_loopback(address) and not is_within(peer, self._trusted)

    def log_rejection(self, reason: str, address: str) -> None:
        """Count a rejection, and log it unless it repeats."""
        self.rejected[reason] += 1
        suppressed = self._log_limiter.allow(reason, asyncio.get_running_loop().time())
        if suppressed is not None:
            more = f" ({suppressed} more since the last line)" if suppressed else ""
            extra = {"event": "rejected", "address": address, "reason": reason}
            audit.info("connection from %s rejected: %s%s", log_safe(address, 60), reason, more, extra=extra)


def _fit_descriptors(limits: AdmissionLimits) -> tuple[int, int]:
    """Maximum numbers of half-open and of all connections that fit into the open file limit."""
    files = open_files_max()
    half_open, connections = limits.max_half_open, limits.max_connections
    if files is None:
        return half_open, connections or 0
    available = max(2, files - RESERVED_DESCRIPTORS)
    half_open = min(half_open, max(1, available // 4))
    connections_max = max(1, available - half_open)
    if connections is None:
        return half_open, connections_max
    return half_open, min(connections, connections_max) if connections else 0


def file_shortage(limits: AdmissionLimits) -> tuple[int, int] | None:
    """The open file limit and the number of connections it admits; None if these are enough.

    Enough are as many as `limits` admit, or `CONNECTIONS_EXPECTED`.
    """
    files = open_files_max()
    _, admitted = _fit_descriptors(replace(limits, max_connections=None))
    if files is None or admitted >= (limits.max_connections or CONNECTIONS_EXPECTED):
        return None
    return files, admitted


class OriginError(BroadcastError):
    """An origin to allow has another form than those that browsers send."""


def check_origins(origins: Sequence[str]) -> None:
    """Check allowed origins: scheme and host, perhaps with a port, or `*` or `null`. Raises OriginError."""
    for origin in origins:
        if origin not in ("*", "null") and not _ORIGIN.fullmatch(origin):
            raise OriginError(f"Invalid origin: {origin!r}. Use one like https://chat.example.org.")


def is_allowed_origin(
    origins: Sequence[str], hosts: Sequence[str], allowed: Sequence[str], *, local: bool
) -> bool:
    """Whether a handshake with these `Origin` and `Host` headers is allowed.

    Args:
        allowed: Allowed origins besides the server's own; `*` allows any.
        local: Whether the client has a loopback address and so may be on this machine. Then any host name
            may resolve to it (DNS rebinding), and only names of the loopback interface are accepted as the
            server's own.
    """
    if not origins or "*" in allowed:
        return True
    if len(origins) > 1:
        return False
    origin = _parse_origin(origins[0])
    if is_listed_origin(origins[0], allowed):
        return True
    if origin is None or len(hosts) != 1:
        return False
    scheme, name, port = origin
    host = _parse_origin(f"{scheme}://{hosts[0]}")
    if host is None or host[1:] != (name, port):
        return False
    # Browsers resolve names below localhost to this machine themselves, without DNS (RFC 6761 6.3).
    return not local or is_loopback_host(name) or name.endswith(".localhost")


def is_listed_origin(origin: str, allowed: Sequence[str]) -> bool:
    """Whether an origin is one of those besides the server's own."""
    return "*" in allowed or origin.lower().rstrip("/") in (other.lower().rstrip("/") for other in allowed)


def origin_host(origin: str) -> str:
    """The host, and the port if it is not the usual one, as in the `Host` header of a request."""
    return origin.partition("://")[2].rstrip("/").casefold()


def _parse_origin(url: str) -> tuple[str, str, int] | None:
    """Scheme, host and port of an origin; None if it has none, such as `null`."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in _PORTS or not parts.hostname or parts.username is not None:
        return None
    return parts.scheme, parts.hostname, port if port is not None else _PORTS[parts.scheme]
