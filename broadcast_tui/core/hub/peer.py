"""One connection: its identity, rate limits, subscriptions and queued frames."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from broadcast_tui.core.errors import CloseCode, rate_limited
from broadcast_tui.core.hub.auth import Identity, Role
from broadcast_tui.core.hub.history import Read, SearchRead
from broadcast_tui.core.hub.room import WRITE_BYTES, Subscription
from broadcast_tui.core.hub.work_budget import WorkBudget
from broadcast_tui.core.limits import SharedLimits
from broadcast_tui.core.names import GUEST, name_key
from broadcast_tui.core.notes import author_key
from broadcast_tui.core.protocol.codec import framed
from broadcast_tui.core.protocol.dialects import Dialect
from broadcast_tui.core.protocol.events import Event
from broadcast_tui.core.rate_limit import TokenBucket

READS_MAX = 20
"""Maximum number of history pages that a connection may wait for."""
READ_RETRY_S = 0.5
"""Time to wait after a rejected read."""


class Link(Protocol):
    """The transport of a peer."""

    @property
    def write_now(self) -> Callable[[bytes], object]:
        """Writes complete WebSocket frames without checks: call only while the connection is open and not
        blocked.

        Never waits. Sets `Peer.blocked` when the write buffer is full.
        """
        ...

    @property
    def fileno(self) -> int:
        """File descriptor of the socket that takes what is written, unchanged, while it is not blocked; -1 if
        there is none.
        """
        ...

    def hold(self) -> None:
        """Let further frames from the peer wait until `release`."""
        ...

    def release(self) -> None:
        """Pass on the frames that wait."""
        ...

    def end(self, code: CloseCode, reason: str) -> None:
        """Close the connection after what has been written to it; does nothing if it has ended."""
        ...


class RateLimits:
    """Rate limits that several connections share, until the limits of the server change."""

    __slots__ = ("buckets", "version")

    def __init__(self) -> None:
        self.version = -1
        self.buckets: tuple[TokenBucket, TokenBucket, TokenBucket] | None = None
        """Those of posts, their bytes, and requests."""


class Peer:
    """An open connection. `control` contains encoded replies and notices; they are written before any posts.

    The server sets `blocked` while the write buffer is full. Then the cursors lag behind, and volatile frames
    are dropped.
    """

    __slots__ = (
        "_limits",
        "_limits_version",
        "address",
        "author",
        "blocked",
        "budget",
        "byte_bucket",
        "client_id",
        "closing",
        "control",
        "deferred",
        "delivered",
        "dialect",
        "error_bucket",
        "fetch_bucket",
        "follows_epochs",
        "guest_number",
        "hello_until",
        "id",
        "identity",
        "is_counted",
        "key",
        "link",
        "name",
        "post_bucket",
        "presence_stale",
        "rate_limit_key",
        "reads",
        "refusal_bucket",
        "retry_at",
        "role",
        "subscriptions",
        "typed_at",
        "v1",
        "welcomed",
    )

    def __init__(
        self,
        peer_id: int,
        link: Link,
        *,
        v1: bool,
        address: str,
        now: float,
        limits: SharedLimits,
        budget: WorkBudget,
        rate_limit_key: str = "",
        guest_number: int = 0,
    ) -> None:
        self.id = peer_id
        self.guest_number = guest_number or peer_id
        """Number in its sender name while it has no name, unique in the cluster."""
        self.link = link
        self.v1 = v1
        self.address = address
        self.rate_limit_key = rate_limit_key
        """Key of its address for limits per address; empty if it is exempt."""
        self.budget = budget
        """Server time for its requests, shared by the connections of its address."""
        self.name = ""
        self.key = f"\0{self.guest_number}"
        """Presence key: the skeleton of the name, or a unique key without a name."""
        self.client_id = ""
        self.author = ""
        """Identifies it as the author of posts (see `author_key`)."""
        self.is_counted = True
        """Whether the connection makes its person present in rooms; false for programs that asked for it."""
        self.identity: Identity | None = None
        """Identity from its token; None without a token."""
        self.role = Role.MEMBER
        """Role from its token; a member without a token."""
        self.dialect = Dialect.LEGACY if v1 else Dialect.PLAIN
        """The form in which it gets entries of logs; set by its hello."""
        self.follows_epochs = False
        """Whether it understands new epochs of a room; set by its hello."""
        self.welcomed = not v1
        self.hello_until = now + limits.current.hello_timeout_s
        self.subscriptions: dict[str, Subscription] = {}
        self.control: list[bytes] = []
        self.delivered = 0
        """Posts collected since the server last reset this counter."""
        self.reads: list[Read] = []
        """Its reads of the log that are running."""
        self.deferred = False
        """Whether others get posts before it does; set before it enters a room."""
        self.blocked = False
        self.presence_stale = False
        self.closing: tuple[CloseCode, str] | None = None
        self.typed_at = float("-inf")
        self.retry_at = float("-inf")
        """Time before which no request should follow the last rejected one."""
        self._limits = limits
        self._apply_limits()

    def refresh_limits(self) -> None:
        """Apply changed rate limits, with full buckets.

        Called for each frame, so that a change of the limits need not visit all connections at once.
        """
        if self._limits.version != self._limits_version:
            self._apply_limits()

    def _apply_limits(self) -> None:
        self._limits_version = self._limits.version
        limits = self._limits.current
        rate = limits.message_rate if limits.message_burst else 0.0
        self.post_bucket = TokenBucket(rate, limits.message_burst)
        self.byte_bucket = TokenBucket(
            limits.byte_rate if rate and limits.byte_burst else 0, limits.byte_burst
        )
        self.fetch_bucket = TokenBucket(limits.history_rate, 2 * limits.history_rate)
        self.error_bucket = TokenBucket(limits.max_errors / limits.error_window_s, limits.max_errors)
        self.refusal_bucket = TokenBucket(limits.max_refusals / limits.error_window_s, limits.max_refusals)

    def share_rate_limits(self, shared: RateLimits) -> None:
        """Use the buckets of the other connections that share them."""
        if shared.buckets is None or shared.version != self._limits_version:
            shared.version = self._limits_version
            shared.buckets = self.post_bucket, self.byte_bucket, self.fetch_bucket
        self.post_bucket, self.byte_bucket, self.fetch_bucket = shared.buckets

    def set_identity(self, identity: Identity) -> None:
        """Set the identity and role that a token grants."""
        self.identity, self.role = identity, identity.role
        self.author = author_key(name_key(identity.name), "")

    def set_client_id(self, client_id: str) -> None:
        """Set the id from its hello, after its identity if it has one."""
        self.client_id = client_id
        if self.identity is None:
            self.author = author_key("", client_id)

    @property
    def sender(self) -> str:
        """Sender name of its posts."""
        return self.name or f"{GUEST}{self.guest_number}"

    @property
    def label(self) -> str:
        """Description for logs: id, name and address."""
        return f"#{self.id} {self.name or 'unnamed'} ({self.address})"

    def spend_post(self, size_bytes: int, now: float) -> None:
        """Take one post of `size_bytes`, before sanitizing, from the rate limits.

        Raises:
            RequestError: RATE_LIMITED if the post exceeds them; nothing has been taken.
        """
        wait_s = max(self.post_bucket.wait_s(now), self.byte_bucket.wait_s(now, size_bytes))
        if wait_s > 0:
            raise rate_limited(f"You are sending too fast. Wait {wait_s:.1f} s and try again.", wait_s)
        self.post_bucket.take(now)
        self.byte_bucket.take(now, size_bytes)

    def spend_fetch(self, now: float) -> None:
        """Take one request from the rate limit. Raises RequestError (RATE_LIMITED)."""
        wait_s = self.fetch_bucket.take(now)
        if wait_s > 0:
            raise rate_limited(f"Too many requests. Wait {wait_s:.1f} s and try again.", wait_s)

    def start_read(self, read: Read) -> None:
        """Add a running read. Raises RequestError (RATE_LIMITED) if too many are running."""
        searches = sum(isinstance(other, SearchRead) for other in self.reads)
        if isinstance(read, SearchRead) and searches:
            raise rate_limited("A search is still running. Wait for its result.", READ_RETRY_S)
        if len(self.reads) - searches >= READS_MAX:
            raise rate_limited("Too many pages are being read. Wait for their arrival.", READ_RETRY_S)
        self.reads.append(read)

    def end_read(self, read: Read) -> None:
        """Remove a read that has ended."""
        if read in self.reads:
            self.reads.remove(read)

    def send(self, event: Event) -> None:
        """Queue an event for this connection."""
        self.control.append(framed(event))

    def collect(self) -> list[bytes]:
        """Remove and return pending frames, about `WRITE_BYTES` at most; empty if there are none.

        Connections that are to get the same frames get the same objects.
        """
        parts = self.control
        self.control = []
        size = sum(map(len, parts))
        for subscription in self.subscriptions.values():
            if size >= WRITE_BYTES:
                break
            if subscription.has_pending and (frames := subscription.collect()):
                parts.append(frames)
                size += len(frames)
        return parts

    @property
    def is_backfilling(self) -> bool:
        """Whether the ring of one of its rooms is being backfilled for it."""
        return any(s.paused and s.backfilled for s in self.subscriptions.values())

    def resume_waiting(self) -> None:
        """Resume the subscriptions that wait for the backfill of another room of the connection."""
        for subscription in self.subscriptions.values():
            if not subscription.backfilled:
                subscription.paused = False

    def enter_fast_path(self) -> None:
        """Allow direct writes of the posts of each room in which nothing else is pending."""
        is_ready = not (self.blocked or self.control)
        for subscription in self.subscriptions.values():
            subscription.fast = is_ready and not (
                subscription.paused
                or subscription.has_pending
                or subscription.own_nonces
                or subscription.synced_at is not None
            )

    def leave_fast_path(self) -> None:
        """Stop direct writes: control frames are pending or the socket is blocked."""
        for subscription in self.subscriptions.values():
            subscription.fast = False

    @property
    def has_pending(self) -> bool:
        """Whether `collect` would return frames."""
        return bool(self.control) or any(s.has_pending for s in self.subscriptions.values())
