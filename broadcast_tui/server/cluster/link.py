"""The interface between the runner of a hub and the other nodes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from broadcast_tui.core.hub.cluster import Answers, Need, ReleasedName, Signal
from broadcast_tui.server.cluster.port import HubPort


class ClusterLink(Protocol):
    """A node's link to the other nodes."""

    async def start(self, hub: HubPort, wake: Callable[[], None]) -> None:
        """Register the node, and pass signals to the hub from now on. Raises EngineError.

        Args:
            wake: Call it after every call to the hub.
        """
        ...

    async def prepare(self, needs: Sequence[Need]) -> Answers:
        """Answer needs: open the rooms, claim the names, and find the rest.

        If one of them fails, none is done. Raises RequestError. Call `prepared` in any case, when the command
        is executed or has failed.
        """
        ...

    def prepared(self, needs: Sequence[Need]) -> None:
        """Give back the rooms and names of needs that the hub does not use."""
        ...

    def close_room(self, room: str) -> None:
        """Close a room and stop following it, unless it is in use again. Returns at once."""
        ...

    def release(self, names: Sequence[ReleasedName]) -> None:
        """Release names, after earlier claims and before later ones. Returns at once."""
        ...

    def send(self, signals: Sequence[Signal]) -> None:
        """Send signals to the other nodes, in order. Returns at once."""
        ...

    async def stop(self) -> None:
        """Remove the node and its members from the cluster."""
        ...
