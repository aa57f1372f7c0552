"""The handshake: subprotocol, URL, and certificate fingerprint."""

from __future__ import annotations

import base64
import hashlib

SUBPROTOCOL = "broadcast-tui.v1"
"""Subprotocol of v1 clients. Clients that do not offer it are plain."""
FINGERPRINT_PREFIX = "sha256:"
WEB_CLIENT_PREFIX = "http:"
"""Start of the client ids of HTTP requests, which other clients cannot use."""


def websocket_url(host: str, port: int, *, secure: bool = False) -> str:
    """`ws://host:port` or `wss://host:port`, with an IPv6 address in brackets (RFC 3986 3.2.2)."""
    bracketed = f"[{host}]" if ":" in host else host
    return f"{'wss' if secure else 'ws'}://{bracketed}:{port}"


def fingerprint(certificate: bytes) -> str:
    """`sha256:` and the SHA-256 of a DER certificate, in base64url without padding (RFC 4648 5)."""
    digest = base64.urlsafe_b64encode(hashlib.sha256(certificate).digest())
    return FINGERPRINT_PREFIX + digest.decode().rstrip("=")
