"""Posts of ours that the server has not acknowledged: kept in order, sent again after a cut.

Invariants: a post leaves the outbox only when the server has it or has refused it for good; each
has a nonce of its own, so a resend is recognised.
"""

from __future__ import annotations

from dataclasses import dataclass

from broadcast_tui.core.rate_limit import TokenBucket


@dataclass(slots=True)
class Outgoing:
    """One post; `sent`: written on this connection."""

    room: str
    nonce: str
    text: str
    size: int
    """Bytes of UTF-8."""
    sent: bool = False


class Outbox:
    """Unacknowledged posts in the order written, paced to the server's rate limit."""

    def __init__(self, nonce_prefix: str) -> None:
        self._prefix = nonce_prefix
        self._count = 0
        self._waiting: dict[str, Outgoing] = {}
        self._bucket = TokenBucket(0, 1)
        self._hold_until = 0.0
        self.message_bytes = 0
        """Longest post that the server takes, in bytes of UTF-8; 0: unlimited, or not known yet."""

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def unsent(self) -> int:
        """Posts not written on this connection."""
        return sum(not outgoing.sent for outgoing in self._waiting.values())

    def is_ours(self, nonce: str) -> bool:
        """Whether a nonce was made here, in this session."""
        return nonce.startswith(self._prefix)

    def add(self, room: str, text: str) -> Outgoing:
        """Put a post at the end; it has a new nonce."""
        self._count += 1
        outgoing = Outgoing(room, f"{self._prefix}{self._count}", text, len(text.encode()))
        self._waiting[outgoing.nonce] = outgoing
        return outgoing

    def remove(self, nonce: str) -> Outgoing | None:
        """The post is settled; None if it was already."""
        return self._waiting.pop(nonce, None)

    def remove_room(self, room: str) -> list[Outgoing]:
        """Settle all posts of a room that we are no longer to be in."""
        return self._remove([outgoing for outgoing in self._waiting.values() if outgoing.room == room])

    def remove_too_long(self) -> list[Outgoing]:
        """Settle what the server would refuse for its length, or end the connection for."""
        if not self.message_bytes:
            return []
        return self._remove([one for one in self._waiting.values() if one.size > self.message_bytes])

    def _remove(self, gone: list[Outgoing]) -> list[Outgoing]:
        for outgoing in gone:
            del self._waiting[outgoing.nonce]
        return gone

    def connected(self, rate: float, burst: int, message_bytes: int) -> None:
        """A new connection: everything is to be sent again, within the server's limits."""
        self.message_bytes = message_bytes
        for outgoing in self._waiting.values():
            outgoing.sent = False
        self._bucket = TokenBucket(0.9 * rate, max(1, burst - 1)) if burst else TokenBucket(0, 1)
        self._hold_until = 0.0

    def hold(self, nonce: str, until: float) -> None:
        """The server refused a post for now: send it again, and nothing before `until`."""
        if (outgoing := self._waiting.get(nonce)) is not None:
            outgoing.sent = False
        self._hold_until = max(self._hold_until, until)

    def due(self, ready_rooms: set[str], now: float) -> tuple[list[Outgoing], float | None]:
        """Posts to be written now, marked as sent, and when to ask again (None: when something changes)."""
        if now < self._hold_until:
            return [], self._hold_until
        due: list[Outgoing] = []
        for outgoing in self._waiting.values():
            if outgoing.sent or outgoing.room not in ready_rooms:
                continue
            wait_s = self._bucket.take(now)
            if wait_s > 0:
                return due, now + wait_s
            outgoing.sent = True
            due.append(outgoing)
        return due, None
