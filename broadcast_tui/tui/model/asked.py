"""What was asked of the server to be printed: which answer is awaited, and the lines it makes.

A later request of a kind takes the place of an earlier one. Each answer is printed once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from broadcast_tui.core.updates import MembersListed, RoomsListed
from broadcast_tui.tui.model.rooms import room_lines


@dataclass(slots=True)
class Asked:
    """Requests by their refs; empty where nothing is awaited. `ping_at` in monotonic seconds."""

    list_ref: str = ""
    ping_ref: str = ""
    ping_at: float = 0.0

    def pinged(self, ref: str, now: float) -> None:
        self.ping_ref, self.ping_at = ref, now

    def members_listed(self, update: MembersListed, now: float) -> str:
        """The line for /ping, which asks for a list to have something come back; empty if it did not ask."""
        if not update.ref or update.ref != self.ping_ref:
            return ""
        self.ping_ref = ""
        return f"The server answered within {1000 * max(0.0, now - self.ping_at):,.0f} ms"

    def rooms_listed(self, update: RoomsListed, joined: Iterable[str]) -> str:
        """The lines for /list; empty if it did not ask."""
        if not update.ref or update.ref != self.list_ref:
            return ""
        self.list_ref = ""
        return "\n".join(room_lines(update, joined))

    def forget(self, ref: str) -> None:
        """No answer will come."""
        if ref and ref == self.ping_ref:
            self.ping_ref = ""
        if ref and ref == self.list_ref:
            self.list_ref = ""
