"""Which web pages may connect: those of the server itself and those the operator names.

A browser sends the page's `Origin` with every WebSocket handshake and lets any page open one, to this machine
too; whoever sends none is no browser.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from broadcast_tui.core.network import is_loopback_host

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
