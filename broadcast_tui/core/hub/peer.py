"""One connection as the hub sees it: who it is, where it stands, and what waits to be written to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from broadcast_tui.core.errors import CloseCode, ErrorCode, RequestError
from broadcast_tui.core.hub.auth import Identity, Role
from broadcast_tui.core.hub.room import WRITE_BYTES, Subscription
from broadcast_tui.core.limits import Limits
from broadcast_tui.core.protocol.codec import framed
from broadcast_tui.core.protocol.events import Event
from broadcast_tui.core.rate_limit import TokenBucket

GUEST = "guest-"
"""How the posts of a connection without a name begin their sender."""


class Link(Protocol):
    """What carries frames to a peer; the server's connection, or a test's list."""

    @property
    def write_now(self) -> Callable[[bytes], object]:
        """Takes complete WebSocket frames, unchecked: only while the connection is open and not blocked.

        Never waits; has `Peer.blocked` set when it is to get no more for now.
        """
        ...

    def write(self, data: bytes) -> None:
        """`write_now` if the connection is open, else nothing."""
        ...


class Peer:
    """A live connection. `control` are framed answers and notices, written before any posts.

    `blocked` is set by the server while the connection takes no more; posts then wait as a lagging
    cursor, volatile frames are dropped.
    """

    __slots__ = (
        "address",
        "blocked",
        "byte_bucket",
        "client_id",
        "closing",
        "control",
        "delivered",
        "error_bucket",
        "fetch_bucket",
        "hello_until",
        "id",
        "identity",
        "key",
        "link",
        "name",
        "post_bucket",
        "presence_stale",
        "role",
        "subscriptions",
        "typed_at",
        "v1",
        "welcomed",
    )

    def __init__(
        self, peer_id: int, link: Link, *, v1: bool, address: str, now: float, limits: Limits
    ) -> None:
        self.id = peer_id
        self.link = link
        self.v1 = v1
        self.address = address
        self.name = ""
        self.key = f"\0{peer_id}"
        """Presence key: the name's skeleton, or one of its own while there is no name."""
        self.client_id = ""
        self.identity: Identity | None = None
        """What its token says of it; None for those who came in without one."""
        self.role = Role.MEMBER
        """What it may do: what its token says, or a member's rights without one."""
        self.welcomed = not v1
        self.hello_until = now + limits.hello_timeout_s
        self.subscriptions: dict[str, Subscription] = {}
        self.control: list[bytes] = []
        self.delivered = 0
        """Posts collected since this was last looked at."""
        self.blocked = False
        self.presence_stale = False
        self.closing: tuple[CloseCode, str] | None = None
        self.typed_at = float("-inf")
        self.set_limits(limits)

    def set_limits(self, limits: Limits) -> None:
        """What this connection may do from now on, with full buckets."""
        rate = limits.message_rate if limits.message_burst else 0.0
        self.post_bucket = TokenBucket(rate, limits.message_burst)
        self.byte_bucket = TokenBucket(
            limits.byte_rate if rate and limits.byte_burst else 0, limits.byte_burst
        )
        self.fetch_bucket = TokenBucket(limits.history_rate, 2 * limits.history_rate)
        self.error_bucket = TokenBucket(limits.max_errors / limits.error_window_s, limits.max_errors)

    def identify(self, identity: Identity) -> None:
        """It has shown a token."""
        self.identity, self.role = identity, identity.role

    @property
    def sender(self) -> str:
        """Name that stands beside this connection's posts."""
        return self.name or f"{GUEST}{self.id}"

    @property
    def label(self) -> str:
        """How logs call this connection."""
        return f"#{self.id} {self.name or 'unnamed'} ({self.address})"

    def spend_post(self, size_bytes: int, now: float) -> None:
        """Use up what it may post, or nothing of it: raises Refused (RATE_LIMITED) if that is too much."""
        wait_s = max(self.post_bucket.wait_s(now), self.byte_bucket.wait_s(now, size_bytes))
        if wait_s > 0:
            raise _too_fast(f"You are sending too fast; wait {wait_s:.1f} s and send it again.", wait_s)
        self.post_bucket.take(now)
        self.byte_bucket.take(now, size_bytes)

    def spend_fetch(self, now: float) -> None:
        """Use up one of the requests that it may make. Raises Refused (RATE_LIMITED)."""
        wait_s = self.fetch_bucket.take(now)
        if wait_s > 0:
            raise _too_fast(f"You are asking too often; wait {wait_s:.1f} s.", wait_s)

    def send(self, event: Event) -> None:
        """Queue an event for this connection alone."""
        self.control.append(framed(event))

    def collect(self) -> bytes:
        """Everything due to this connection, about `WRITE_BYTES` at most; empty if nothing is."""
        parts = self.control
        self.control = []
        size = sum(map(len, parts))
        for subscription in self.subscriptions.values():
            if size >= WRITE_BYTES:
                break
            if subscription.behind:
                parts.append(subscription.collect())
                size += len(parts[-1])
        return b"".join(parts)

    def settle(self) -> None:
        """All that was due has been written: in a single room, posts may go the short way again."""
        for subscription in self.subscriptions.values():
            subscription.live = len(self.subscriptions) == 1 and not (self.blocked or self.behind)

    def leave_fast_path(self) -> None:
        """Something else is due, or nothing is taken."""
        for subscription in self.subscriptions.values():
            subscription.live = False

    @property
    def behind(self) -> bool:
        """Whether `collect` would return something."""
        return bool(self.control) or any(s.behind for s in self.subscriptions.values())


def _too_fast(reason: str, wait_s: float) -> RequestError:
    return RequestError(ErrorCode.RATE_LIMITED, reason, temporary=True, retry_after=round(wait_s, 3))
