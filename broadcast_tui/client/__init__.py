"""The client without a screen: asyncio and websockets around the session."""

from __future__ import annotations

from broadcast_tui.client.address import AddressError, parse_address
from broadcast_tui.client.client import BroadcastClient
from broadcast_tui.client.connection import ConnectError, Unauthorised
from broadcast_tui.client.trust import Trust, TrustError

__all__ = [
    "AddressError",
    "BroadcastClient",
    "ConnectError",
    "Trust",
    "TrustError",
    "Unauthorised",
    "parse_address",
]
