"""The client without a screen: asyncio and websockets around the session."""

from __future__ import annotations

from broadcast_tui.client.address import AddressError, parse_address
from broadcast_tui.client.client import BroadcastClient, ConnectError

__all__ = ["AddressError", "BroadcastClient", "ConnectError", "parse_address"]
