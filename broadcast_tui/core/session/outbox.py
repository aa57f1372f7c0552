"""Unacknowledged posts and notes of this client, kept in order and resent after a reconnect.

Invariants: an entry leaves the outbox only when the server has acknowledged or permanently rejected it, or
the user has deleted it before it was sent; each entry has its own random nonce, so that the server recognizes
a resend and nobody can guess the nonce of the next one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property

from broadcast_tui.core.errors import RequestError
from broadcast_tui.core.post import Position
from broadcast_tui.core.post_state import NoteKind
from broadcast_tui.core.protocol import commands
from broadcast_tui.core.rate_limit import TokenBucket
from broadcast_tui.core.session.updates import EpochChanged, NoteRejected, PostRejected
from broadcast_tui.core.text import clean_post

POST_BYTES_MAX = 4_194_304
"""Maximum length of a post, in bytes of UTF-8, for servers without a limit.

With its escapes, a longer one could exceed the frame size that clients accept.
"""
STORED_MAX = 1_000
"""Number of the last acknowledged posts whose nonces still identify them."""


@dataclass
class Outgoing:
    """A post or note to send."""

    room: str
    nonce: str
    text: str
    """Of a note: the new text of an edit, the reason of a deletion, a reaction or a choice."""
    size: int
    """Length in bytes of UTF-8."""
    re: str = ""
    """The post that it replies to or changes: its id, or the nonce of a post in the outbox."""
    ask: commands.Question | None = None
    kind: NoteKind | None = None
    """Kind of a note; None for a post."""
    on: bool = True
    sent: bool = False
    """Whether it was written to the current connection."""
    is_recognized: bool = False
    """Whether it was found among the entries that arrived, before its ack."""

    @cached_property
    def clean_text(self) -> str:
        """The text as the server sanitizes it; empty if it rejects it."""
        try:
            return clean_post(self.text, 0)
        except RequestError:
            return ""

    def command(self, name: str) -> commands.Say | commands.Note:
        """The frame that sends it. `name`: name of the sender."""
        match self.kind:
            case None:
                return commands.Say(self.text, name or None, self.room, self.nonce, self.re, self.ask)
            case NoteKind.EDIT:
                return commands.Note(self.kind, self.re, self.room, self.nonce, message=self.text)
            case NoteKind.DELETE:
                return commands.Note(self.kind, self.re, self.room, self.nonce, reason=self.text)
            case NoteKind.PIN:
                return commands.Note(self.kind, self.re, self.room, self.nonce, on=self.on)
            case NoteKind.REACT:
                return commands.Note(self.kind, self.re, self.room, self.nonce, on=self.on, key=self.text)
            case NoteKind.ANSWER:
                return commands.Note(self.kind, self.re, self.room, self.nonce, choice=self.text)

    def rejected(self, code: str, reason: str) -> PostRejected | NoteRejected:
        """The update for the user if the server does not store it."""
        if self.kind is None:
            return PostRejected(self.room, self.nonce, code, reason, self.text, self.re)
        text = self.text if self.kind is NoteKind.EDIT else ""
        return NoteRejected(self.room, self.nonce, self.re, self.kind, code, reason, text)


class Outbox:
    """Unacknowledged posts and notes in the order written, paced to the server's rate limit.

    Args:
        make_nonce: Returns a new nonce that cannot be guessed.
    """

    def __init__(self, make_nonce: Callable[[], str]) -> None:
        self._make_nonce = make_nonce
        self._entries: dict[str, Outgoing] = {}
        self._in_flight: dict[str, Outgoing] = {}
        """Entries that the server may have stored: written to any connection, and not rejected since."""
        self._dependents: dict[str, list[str]] = {}
        """Nonces of the entries that are about a post in the outbox, by its nonce."""
        self._stored: dict[str, str] = {}
        """Ids of the last acknowledged posts, by nonce."""
        self.has_waiting = False
        """Whether entries wait for the ack of an earlier one."""
        self._bucket = TokenBucket(0, 1)
        self._not_before = 0.0
        self.message_bytes = 0
        """Maximum length of a post on this server, in bytes of UTF-8; 0 if not known yet."""

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def unsent(self) -> int:
        """Number of entries not yet sent on this connection."""
        return sum(not outgoing.sent for outgoing in self._entries.values())

    def __contains__(self, nonce: str) -> bool:
        """Whether the entry with this nonce is in the outbox."""
        return nonce in self._entries

    @property
    def in_flight(self) -> bool:
        """Whether the server may have stored an entry without an ack."""
        return bool(self._in_flight)

    def first_unrecognized(self, room: str, kind: NoteKind | None = None, re: str = "") -> Outgoing | None:
        """The first entry that the server may have stored and that has not been recognized.

        A post, or with `kind` a note of this kind to the post with the id `re`.
        """
        for outgoing in self._in_flight.values():
            is_alike = outgoing.room == room and outgoing.kind is kind and (kind is None or outgoing.re == re)
            if is_alike and not outgoing.is_recognized:
                return outgoing
        return None

    def add(
        self,
        room: str,
        text: str,
        *,
        re: str = "",
        ask: commands.Question | None = None,
        kind: NoteKind | None = None,
        on: bool = True,
    ) -> Outgoing:
        """Append a post or note and give it a new nonce."""
        size = len(text.encode()) if kind is None or kind is NoteKind.EDIT else 0
        outgoing = Outgoing(room, self._make_nonce(), text, size, self._stored.get(re, re), ask, kind, on)
        self._entries[outgoing.nonce] = outgoing
        if outgoing.re in self._entries:
            self._dependents.setdefault(outgoing.re, []).append(outgoing.nonce)
        return outgoing

    def has_target(self, outgoing: Outgoing) -> bool:
        """Whether the post that an entry is about may exist: it has an id, or is in the outbox."""
        target = self._entries.get(outgoing.re)
        if target is not None:
            return target.kind is None and target.room == outgoing.room
        return Position.parse(outgoing.re) is not None

    def change_unsent(self, note: Outgoing) -> bool:
        """Carry out an edit or deletion of a post that was never sent. The note then leaves the outbox.

        Returns:
            Whether it was carried out. The entries about a deleted post are still in the outbox.
        """
        target = self._entries.get(note.re)
        if target is None or note.re in self._in_flight or note.room != target.room:
            return False
        if target.kind is None and note.kind is NoteKind.EDIT:
            self._entries[target.nonce] = replace(target, text=note.text, size=note.size)
        elif target.kind is None and note.kind is NoteKind.DELETE:
            del self._entries[target.nonce]
        else:
            return False
        del self._entries[note.nonce]
        self._dependents[note.re].remove(note.nonce)
        return True

    def acknowledged(self, nonce: str, post_id: str) -> Outgoing | None:
        """Remove and return an entry that is stored; entries about it can now be sent.

        Returns:
            None if it is not in the outbox.
        """
        outgoing = self._remove(nonce)
        if outgoing is not None and outgoing.kind is None:
            self._stored[nonce] = post_id
            if len(self._stored) > STORED_MAX:
                del self._stored[next(iter(self._stored))]
            for dependent in self._dependents.pop(nonce, ()):
                if (entry := self._entries.get(dependent)) is not None:
                    entry.re = post_id
        return outgoing

    def follow(self, change: EpochChanged) -> None:
        """Change the ids of posts that entries are about."""
        for entry in self._entries.values():
            if entry.room == change.room and entry.re:
                entry.re = change.follow_id(entry.re)

    def reject(self, nonces: Iterable[str]) -> list[Outgoing]:
        """Remove and return entries and all that are about them, in the order written within each."""
        rejected: list[Outgoing] = []
        todo = list(nonces)[::-1]
        while todo:
            nonce = todo.pop()
            if (outgoing := self._remove(nonce)) is not None:
                rejected.append(outgoing)
            todo += self._dependents.pop(nonce, ())[::-1]
        return rejected

    def reject_room(self, room: str) -> list[Outgoing]:
        """Remove and return all entries to a room."""
        return self.reject([outgoing.nonce for outgoing in self._entries.values() if outgoing.room == room])

    def reject_too_long(self) -> list[Outgoing]:
        """Remove and return posts longer than the server accepts; it may close the connection over them."""
        if not self.message_bytes:
            return []
        return self.reject(
            [entry.nonce for entry in self._entries.values() if entry.size > self.message_bytes]
        )

    def _remove(self, nonce: str) -> Outgoing | None:
        self._in_flight.pop(nonce, None)
        return self._entries.pop(nonce, None)

    def connected(self, rate: float, burst: int, message_bytes: int) -> None:
        """Start a new connection: mark all entries as unsent and apply the server's limits."""
        self.message_bytes = message_bytes if message_bytes > 0 else POST_BYTES_MAX
        for outgoing in self._entries.values():
            outgoing.sent = False
        self._bucket = TokenBucket(0.9 * rate, max(1, burst - 1)) if burst else TokenBucket(0, 1)
        self._not_before = 0.0

    def retry(self, nonce: str, at: float) -> None:
        """Resend an entry that the server rejected temporarily; send nothing before `at`."""
        if (outgoing := self._entries.get(nonce)) is not None:
            outgoing.sent = False
            self._in_flight.pop(nonce, None)
        self._not_before = max(self._not_before, at)

    def due(
        self, ready_rooms: set[str], now: float, *, only_resends: bool = False
    ) -> tuple[list[Outgoing], float | None]:
        """Mark the entries to send now as sent; with `only_resends`, none that was never sent.

        An entry about a post without an ack waits for it, and a note for the previous one about the same
        post, so that a temporary error does not change their order. Later entries to the room wait as well.

        Returns:
            Those entries in order, and when to call again; None if only a change can make more of them due.
        """
        if now < self._not_before:
            return [], self._not_before
        due: list[Outgoing] = []
        ready = set(ready_rooms)
        noted: set[str] = set()
        self.has_waiting = False
        for outgoing in self._entries.values():
            must_wait = outgoing.re in self._entries or (outgoing.kind is not None and outgoing.re in noted)
            if outgoing.kind is not None:
                noted.add(outgoing.re)
            if outgoing.sent or outgoing.room not in ready:
                continue
            if must_wait:
                self.has_waiting = True
                ready.discard(outgoing.room)
                if not ready:
                    break
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
