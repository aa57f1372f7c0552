"""What both ends of a connection must agree on before a frame is sent: subprotocol and address."""

from __future__ import annotations

SUBPROTOCOL = "broadcast-tui.v1"
"""Offered in the handshake by clients of protocol v1; everyone else is plain."""


def websocket_url(host: str, port: int, *, secure: bool = False) -> str:
    """`ws://host:port` or `wss://host:port`, with brackets around an IPv6 address (RFC 3986 3.2.2)."""
    bracketed = f"[{host}]" if ":" in host else host
    return f"{'wss' if secure else 'ws'}://{bracketed}:{port}"
