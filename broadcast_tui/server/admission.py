"""Who is let in before there is a WebSocket, answered in plain HTTP with why not and when to come back.

Invariants: connections are counted from the moment the kernel hands them over; whoever has not asked for a
WebSocket in time, or is the oldest of too many who have not, loses the connection without a word, so that
those who ask at once always find a place. Whoever was answered no counts among them until it has gone. What
counts by address never counts clients on this machine.
"""

from __future__ import annotations

import http
import logging
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from websockets.http11 import Request, Response

from broadcast_tui.core.hub.auth import Role
from broadcast_tui.core.limits import AdmissionLimits
from broadcast_tui.core.network import is_loopback, is_loopback_host, rate_limit_key
from broadcast_tui.core.rate_limit import LogLimiter, TokenBucket
from broadcast_tui.core.text import log_safe
from broadcast_tui.server import http as pages
from broadcast_tui.server.client_address import client_address, is_within, parse_networks
from broadcast_tui.server.connection import PeerConnection
from broadcast_tui.server.listen import FREE_DESCRIPTORS, open_files_max

ARRIVALS_MAX = 10_000
"""Addresses whose rate is remembered; those heard of longest ago are forgotten first."""


audit = logging.getLogger("broadcast_tui.audit")


@dataclass(slots=True)
class _HalfOpen:
    counted: str
    until: float


class Admission:
    """Counts connections in all and by address, and decides on each handshake.

    Args:
        is_banned: Reason and seconds left (None: for ever) of the ban of an address; None if it has none.
        check_token: The answer to a handshake that is denied for its token, or for having none.
    """

    def __init__(
        self,
        limits: AdmissionLimits,
        *,
        url: Callable[[], str] = lambda: "",
        is_banned: Callable[[str], tuple[str, float | None] | None] = lambda _: None,
        check_token: Callable[[PeerConnection, Request], Response | None] = lambda connection, request: None,
    ) -> None:
        self.draining = False
        self.ready = False
        """Whether the server has started and not begun to stop."""
        self.rejected: Counter[str] = Counter()
        """Connections not let in, by reason."""
        self._url = url
        self._is_banned = is_banned
        self._check_token = check_token
        self._half_open: OrderedDict[PeerConnection, _HalfOpen] = OrderedDict()
        self._half_open_by_address: Counter[str] = Counter()
        self._held: dict[PeerConnection, str] = {}
        self._by_address: Counter[str] = Counter()
        self._arrivals: OrderedDict[str, TokenBucket] = OrderedDict()
        self._repeats = LogLimiter()
        self.limits = limits
        self.set_limits(limits)

    def set_limits(self, limits: AdmissionLimits) -> None:
        """Other limits from now on; connections that are open stay. Raises NetworkError."""
        self._trusted = parse_networks(limits.trusted_proxies)
        if self.limits.max_new_per_minute != limits.max_new_per_minute:
            self._arrivals.clear()
        self.limits = limits
        self.max_half_open, self.max_connections = _fitting(limits)

    # -- before the request

    def register(self, connection: PeerConnection) -> None:
        """A TCP connection is up; nothing was asked yet, and no TLS agreed on."""
        peer = _peer_of(connection)
        key = "" if self._is_exempt(peer) or is_within(peer, self._trusted) else rate_limit_key(peer)
        limits, now = self.limits, connection.loop.time()
        most = limits.max_half_open_per_ip
        if key and most and self._half_open_by_address[key] >= most:
            self._drop(next(c for c, half in self._half_open.items() if half.counted == key), "half_open")
        if self.max_half_open and len(self._half_open) >= self.max_half_open:
            self._drop(next(iter(self._half_open)), "half_open")
        self._half_open[connection] = _HalfOpen(key, now + limits.handshake_timeout_s)
        self._half_open_by_address[key] += 1
        connection.connection_lost_waiter.add_done_callback(lambda _: self._gone(connection))

    def sweep(self, now: float) -> None:
        """Cut those that have not asked in time."""
        if not self.limits.handshake_timeout_s:
            return
        while self._half_open:
            connection, half = next(iter(self._half_open.items()))
            if half.until > now:
                return
            self._drop(connection, "timeout")

    def _drop(self, connection: PeerConnection, reason: str) -> None:
        self._settled(connection)
        self._note(reason, _peer_of(connection), connection.loop.time())
        connection.abort()

    def _settled(self, connection: PeerConnection) -> None:
        half = self._half_open.pop(connection, None)
        if half is not None:
            self._half_open_by_address[half.counted] -= 1
            if self._half_open_by_address[half.counted] <= 0:
                del self._half_open_by_address[half.counted]

    # -- the request

    @property
    def half_open(self) -> int:
        """Connections that have not asked yet."""
        return len(self._half_open)

    @property
    def unready(self) -> str:
        """Why no new connections are taken now; empty if they are."""
        if self.draining:
            return "the server is stopping"
        if not self.ready:
            return "the server is starting"
        return "the server is full" if self._is_full else ""

    def process_request(self, connection: PeerConnection, request: Request) -> Response | None:
        """None lets the handshake go on and counts the connection until it is gone."""
        page = pages.answer(request, unready=self.unready, url=self._url(), secure=connection.secure)
        if page is not None:
            return page
        forwarded = request.headers.get_all("X-Forwarded-For")
        address = client_address(_peer_of(connection), forwarded, self._trusted)
        connection.client_address = address
        refusal = self._refusal(connection, request, address)
        if refusal is not None:
            reason, status, text, retry_after_s = refusal
            self._note(reason, address, connection.loop.time())
            return pages.refuse(status, text, retry_after_s)
        denied = self._check_token(connection, request)
        if denied is not None:
            self._note("token", address, connection.loop.time())
            return denied
        self._settled(connection)
        counted = rate_limit_key(address)
        self._held[connection] = counted
        self._by_address[counted] += 1
        return None

    def _gone(self, connection: PeerConnection) -> None:
        self._settled(connection)
        counted = self._held.pop(connection, None)
        if counted is not None:
            self._by_address[counted] -= 1
            if self._by_address[counted] <= 0:
                del self._by_address[counted]

    @property
    def _is_full(self) -> bool:
        return bool(self.max_connections) and len(self._held) >= self.max_connections

    def _refusal(
        self, connection: PeerConnection, request: Request, address: str
    ) -> tuple[str, http.HTTPStatus, str, float | None] | None:
        """Reason, status, sentence and seconds to wait of a handshake that is denied."""
        limits, unavailable = self.limits, http.HTTPStatus.SERVICE_UNAVAILABLE
        if self.draining:
            return "draining", unavailable, "The server is restarting; come back in a moment.", 5
        banned = self._is_banned(address)
        if banned is not None and not self._is_admin(connection, request):
            return "banned", http.HTTPStatus.FORBIDDEN, *banned
        origins, hosts = request.headers.get_all("Origin"), request.headers.get_all("Host")
        if not is_allowed(origins, hosts, limits.origins, local=is_loopback(address)):
            text = "Web pages from elsewhere may not connect; the server's --origin option can allow yours."
            return "origin", http.HTTPStatus.FORBIDDEN, text, None
        if self._is_full:
            text = f"The server is full: {self.max_connections} connections are the most it takes."
            return "full", unavailable, text, 30
        if self._is_exempt(address):
            return None
        counted, too_many = rate_limit_key(address), http.HTTPStatus.TOO_MANY_REQUESTS
        if limits.max_connections_per_ip and self._by_address[counted] >= limits.max_connections_per_ip:
            text = f"Too many connections from your address: {limits.max_connections_per_ip} are the most."
            return "per_address", too_many, f"{text} Close one, or wait 60 s.", 60
        wait_s = self._arrival(counted, connection.loop.time())
        if wait_s > 0:
            text = f"Too many new connections from your address; wait {max(1, round(wait_s))} s."
            return "rate", too_many, text, wait_s
        return None

    def _is_admin(self, connection: PeerConnection, request: Request) -> bool:
        """Whether the handshake has the token of an operator, whom no ban keeps out."""
        if self._check_token(connection, request) is not None or connection.identity is None:
            return False
        return connection.identity.role is Role.ADMIN

    def _arrival(self, counted: str, now: float) -> float:
        """Seconds that an address has to wait for its next connection; 0.0 if it need not."""
        most = self.limits.max_new_per_minute
        if not most:
            return 0.0
        bucket = self._arrivals.get(counted)
        if bucket is None:
            while len(self._arrivals) >= ARRIVALS_MAX:
                self._arrivals.popitem(last=False)
            bucket = self._arrivals[counted] = TokenBucket(most / 60, most)
        self._arrivals.move_to_end(counted)
        return bucket.take(now)

    def _is_exempt(self, address: str) -> bool:
        return self.limits.exempt_loopback and is_loopback(address)

    def _note(self, reason: str, address: str, now: float) -> None:
        """Count a refusal, and log one now and then."""
        self.rejected[reason] += 1
        held = self._repeats.allow(reason, now)
        if held is not None:
            also = f" ({held} more like it before)" if held else ""
            audit.info("connection from %s refused: %s%s", log_safe(address, 60), reason, also)


def _fitting(limits: AdmissionLimits) -> tuple[int, int]:
    """Most half-open connections and most connections, such that descriptors are left for all else."""
    files = open_files_max()
    half_open, wanted = limits.max_half_open, limits.max_connections
    if files is None:
        return half_open, wanted or 0
    room = max(2, files - FREE_DESCRIPTORS)
    half_open = min(half_open, max(1, room // 4))
    most = max(1, room - half_open)
    if wanted is None:
        return half_open, most
    return half_open, min(wanted, most) if wanted else 0


def _peer_of(connection: PeerConnection) -> str:
    """Address of the other end of the TCP connection, the last one known."""
    peername = connection.transport.get_extra_info("peername")
    return str(peername[0]) if peername else "unknown"


_PORTS = {"http": 80, "ws": 80, "https": 443, "wss": 443}


def is_allowed(origins: Sequence[str], hosts: Sequence[str], allowed: Sequence[str], *, local: bool) -> bool:
    """Whether a handshake with these `Origin` and `Host` headers may go on.

    Args:
        allowed: Origins of the operator's choice; `*` is any.
        local: Whether the client is on this machine. A name that points here may then belong to anyone
            (DNS rebinding), so that only the names of this machine pass for the server's own.
    """
    if not origins or "*" in allowed:
        return True
    if len(origins) > 1:
        return False
    origin = _parsed(origins[0])
    if origins[0].lower().rstrip("/") in (other.lower().rstrip("/") for other in allowed):
        return True
    if origin is None or len(hosts) != 1:
        return False
    scheme, name, port = origin
    host = _parsed(f"{scheme}://{hosts[0]}")
    if host is None or host[1:] != (name, port):
        return False
    # Browsers resolve names below localhost to this machine themselves, without DNS (RFC 6761 6.3).
    return not local or is_loopback_host(name) or name.endswith(".localhost")


def _parsed(url: str) -> tuple[str, str, int] | None:
    """Scheme, host and port; None for what has none, such as `null`."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in _PORTS or not parts.hostname or parts.username is not None:
        return None
    return parts.scheme, parts.hostname, port if port is not None else _PORTS[parts.scheme]
