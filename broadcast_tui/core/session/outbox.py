"""Unacknowledged posts of this client, kept in order and resent after a reconnect.

Invariants: a post leaves the outbox only when the server has acknowledged or permanently rejected it;
each post has its own random nonce, so that the server recognizes a resend and nobody can guess the nonce of
the next post.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from broadcast_tui.core.errors import RequestError
from broadcast_tui.core.rate_limit import TokenBucket
from broadcast_tui.core.text import clean_post

POST_BYTES_MAX = 4_194_304
"""Maximum length of a post, in bytes of UTF-8, for servers without a limit.

With its escapes, a longer one could exceed the frame size that clients accept.
"""


@dataclass
class Outgoing:
    """A post to send. `sent` is true once it was written to the current connection."""

    room: str
    nonce: str
    text: str
    size: int
    """Length in bytes of UTF-8."""
    sent: bool = False
    is_recognized: bool = False
    """Whether it was found among the posts that arrived, before its ack."""

    @cached_property
    def clean_text(self) -> str:
        """The text as the server sanitizes it; empty if it rejects it."""
        try:
            return clean_post(self.text, 0)
        except RequestError:
            return ""


class Outbox:
    """Unacknowledged posts in the order written, paced to the server's rate limit.

    Args:
        make_nonce: Returns a new nonce that cannot be guessed.
    """

    def __init__(self, make_nonce: Callable[[], str]) -> None:
        self._make_nonce = make_nonce
        self._posts: dict[str, Outgoing] = {}
        self._in_flight: dict[str, Outgoing] = {}
        """Posts that the server may have stored: written to any connection, and not rejected since."""
        self._bucket = TokenBucket(0, 1)
        self._not_before = 0.0
        self.message_bytes = 0
        """Maximum length of a post on this server, in bytes of UTF-8; 0 if not known yet."""

    def __len__(self) -> int:
        return len(self._posts)

    @property
    def unsent(self) -> int:
        """Number of posts not yet sent on this connection."""
        return sum(not outgoing.sent for outgoing in self._posts.values())

    def __contains__(self, nonce: str) -> bool:
        """Whether the post with this nonce is in the outbox."""
        return nonce in self._posts

    @property
    def in_flight(self) -> bool:
        """Whether the server may have stored a post without an ack."""
        return bool(self._in_flight)

    def first_unrecognized(self, room: str) -> Outgoing | None:
        """The first post to a room that the server may have stored and that has not been recognized."""
        for outgoing in self._in_flight.values():
            if outgoing.room == room and not outgoing.is_recognized:
                return outgoing
        return None

    def add(self, room: str, text: str) -> Outgoing:
        """Append a post and give it a new nonce."""
        outgoing = Outgoing(room, self._make_nonce(), text, len(text.encode()))
        self._posts[outgoing.nonce] = outgoing
        return outgoing

    def remove(self, nonce: str) -> Outgoing | None:
        """Remove and return a post; None if it is not in the outbox."""
        self._in_flight.pop(nonce, None)
        return self._posts.pop(nonce, None)

    def remove_room(self, room: str) -> list[Outgoing]:
        """Remove and return all posts to a room."""
        return self._remove([outgoing for outgoing in self._posts.values() if outgoing.room == room])

    def remove_too_long(self) -> list[Outgoing]:
        """Remove and return posts longer than the server accepts; it may close the connection over them."""
        if not self.message_bytes:
            return []
        return self._remove([post for post in self._posts.values() if post.size > self.message_bytes])

    def _remove(self, removed: list[Outgoing]) -> list[Outgoing]:
        for outgoing in removed:
            self.remove(outgoing.nonce)
        return removed

    def connected(self, rate: float, burst: int, message_bytes: int) -> None:
        """Start a new connection: mark all posts as unsent and apply the server's limits."""
        self.message_bytes = message_bytes if message_bytes > 0 else POST_BYTES_MAX
        for outgoing in self._posts.values():
            outgoing.sent = False
        self._bucket = TokenBucket(0.9 * rate, max(1, burst - 1)) if burst else TokenBucket(0, 1)
        self._not_before = 0.0

    def retry(self, nonce: str, at: float) -> None:
        """Resend a post that the server rejected temporarily; send nothing before `at`."""
        if (outgoing := self._posts.get(nonce)) is not None:
            outgoing.sent = False
            self._in_flight.pop(nonce, None)
        self._not_before = max(self._not_before, at)

    def due(
        self, ready_rooms: set[str], now: float, *, only_resends: bool = False
    ) -> tuple[list[Outgoing], float | None]:
        """Mark the posts to send now as sent; with `only_resends`, no posts that were never sent.

        Returns:
            Those posts in order, and when to call again; None if only a change can make more posts due.
        """
        if now < self._not_before:
            return [], self._not_before
        due: list[Outgoing] = []
        for outgoing in self._posts.values():
            if outgoing.sent or outgoing.room not in ready_rooms:
                continue
            if only_resends and outgoing.nonce not in self._in_flight:
                continue
            wait_s = self._bucket.take(now)
            if wait_s > 0:
                return due, now + wait_s
            outgoing.sent = True
            self._in_flight[outgoing.nonce] = outgoing
            due.append(outgoing)
        return due, None
