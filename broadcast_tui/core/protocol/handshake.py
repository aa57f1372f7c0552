"""What both ends of a connection must agree on before a frame is sent: subprotocol, address, fingerprint."""

from __future__ import annotations

import base64
import hashlib

SUBPROTOCOL = "broadcast-tui.v1"
"""Offered in the handshake by clients of protocol v1; everyone else is plain."""


def websocket_url(host: str, port: int, *, secure: bool = False) -> str:
    """`ws://host:port` or `wss://host:port`, with brackets around an IPv6 address (RFC 3986 3.2.2)."""
    bracketed = f"[{host}]" if ":" in host else host
    return f"{'wss' if secure else 'ws'}://{bracketed}:{port}"


FINGERPRINT = "sha256:"
"""How a fingerprint begins."""


def fingerprint(certificate: bytes) -> str:
    """`sha256:` and the SHA-256 of a certificate in DER form, in base64url without padding (RFC 4648 5)."""
    digest = base64.urlsafe_b64encode(hashlib.sha256(certificate).digest())
    return FINGERPRINT + digest.decode().rstrip("=")
