"""Who is let in before there is a WebSocket: connection limits, answered in plain HTTP."""

from __future__ import annotations

import http
import ipaddress
from collections import Counter

from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response


class Admission:
    """Counts connections in all and per address; 0 means unlimited.

    IPv6 addresses count by their /64, since that is what one host usually gets.
    """

    def __init__(self, max_connections: int = 0, max_connections_per_ip: int = 0) -> None:
        self.max_connections = max_connections
        self.max_connections_per_ip = max_connections_per_ip
        self.draining = False
        self._counts: Counter[str] = Counter()
        self._held: dict[ServerConnection, str] = {}

    def process_request(self, connection: ServerConnection, request: Request) -> Response | None:
        """None lets the handshake go on and counts the connection until `release`."""
        if self.draining:
            return self._refuse(
                connection, http.HTTPStatus.SERVICE_UNAVAILABLE, "The server is restarting.", 5
            )
        if self.max_connections and len(self._held) >= self.max_connections:
            text = f"The server is full: {self.max_connections} connections are the most it takes."
            return self._refuse(connection, http.HTTPStatus.SERVICE_UNAVAILABLE, text, 30)
        address = self._address(connection)
        if self.max_connections_per_ip and self._counts[address] >= self.max_connections_per_ip:
            text = f"Too many connections from your address: {self.max_connections_per_ip} are the most."
            return self._refuse(connection, http.HTTPStatus.TOO_MANY_REQUESTS, text, 60)
        self._held[connection] = address
        self._counts[address] += 1
        connection.connection_lost_waiter.add_done_callback(lambda _: self.release(connection))
        return None

    def release(self, connection: ServerConnection) -> None:
        """The connection is gone; harmless if it was never counted."""
        address = self._held.pop(connection, None)
        if address is not None:
            self._counts[address] -= 1
            if self._counts[address] <= 0:
                del self._counts[address]

    @staticmethod
    def _refuse(
        connection: ServerConnection, status: http.HTTPStatus, text: str, retry_after_s: int
    ) -> Response:
        response = connection.respond(status, text + "\n")
        response.headers["Retry-After"] = str(retry_after_s)
        return response

    @staticmethod
    def _address(connection: ServerConnection) -> str:
        peername = connection.transport.get_extra_info("peername")
        if not peername:
            return "unknown"
        address = ipaddress.ip_address(str(peername[0]).partition("%")[0])
        if isinstance(address, ipaddress.IPv6Address):
            if address.ipv4_mapped is not None:
                return str(address.ipv4_mapped)
            return str(ipaddress.ip_network((address, 64), strict=False))
        return str(address)
