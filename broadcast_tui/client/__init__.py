"""The client library: connections over asyncio and websockets, without a user interface.

Names are imported lazily, so that parsing an address does not load websockets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__all__ = [
    "AddressError",
    "BroadcastClient",
    "ConnectError",
    "SecurityOptions",
    "TrustError",
    "Unauthorized",
    "parse_address",
]

if TYPE_CHECKING:
    from broadcast_tui.client.address import AddressError, parse_address
    from broadcast_tui.client.client import BroadcastClient
    from broadcast_tui.client.disconnect import ConnectError, Unauthorized
    from broadcast_tui.client.security import SecurityOptions, TrustError

_LAZY = {
    "AddressError": "address",
    "BroadcastClient": "client",
    "ConnectError": "disconnect",
    "SecurityOptions": "security",
    "TrustError": "security",
    "Unauthorized": "disconnect",
    "parse_address": "address",
}


def __getattr__(name: str) -> object:
    """Import the module that defines `name` on first access (PEP 562)."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
