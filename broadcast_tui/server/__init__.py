"""The headless server: asyncio and websockets around the hub."""

from __future__ import annotations

from broadcast_tui.server.listen import ListenError
from broadcast_tui.server.server import BroadcastServer

__all__ = ["BroadcastServer", "ListenError"]
