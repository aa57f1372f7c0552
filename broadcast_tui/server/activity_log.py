"""Log lines for posts, names, frames and event loop errors. Content is logged at DEBUG only.

Invariant: no line says anything about direct messages, not even who writes to whom.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from broadcast_tui.core.hub.moderation import host_of
from broadcast_tui.core.hub.peer import Peer
from broadcast_tui.core.hub.pending_entries import PendingEntry
from broadcast_tui.core.hub.rooms import Rooms
from broadcast_tui.core.names import is_direct
from broadcast_tui.core.post import NewPost, Position
from broadcast_tui.core.protocol.codec import text_frames
from broadcast_tui.core.rate_limit import LogBudget, LogLimiter
from broadcast_tui.core.redaction import redact
from broadcast_tui.core.text import log_safe

_SIGNS_OF_SECRETS = (b"hello", b"direct", b"@", b"\\u")
"""Bytes in an invalid frame that may be a hello or about direct messages."""
_ESCAPED = re.compile(r"\\u([0-9a-fA-F]{4})")

LINE_OVERHEAD_BYTES = 40
"""Time, level and end of a line."""

log = logging.getLogger("broadcast_tui.server")


class _Room(msgspec.Struct):
    room: str = ""


class _Frame(msgspec.Struct):
    """The parts of a frame that tell whether it may be logged."""

    type: str = ""
    event: str = ""
    room: str = ""
    rooms: tuple[_Room, ...] = ()
    directs: tuple[_Room, ...] = ()

    @property
    def is_about_directs(self) -> bool:
        return (
            "direct" in (self.type, self.event)
            or is_direct(self.room)
            or bool(self.directs)
            or any(is_direct(room.room) for room in self.rooms)
        )


_frame_decoder = msgspec.json.Decoder(_Frame)


class ActivityLog:
    """Log lines that peers cause: at most 2 KB per second for each address, then only their number.

    Args:
        clock: Monotonic time in seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._budget = LogBudget()

    def connected(self, peer: Peer, count: int) -> None:
        text, label = "%s connected, %d client(s)", log_safe(peer.label)
        self.log(peer, logging.INFO, text, label, count, event="connected", count=count)

    def disconnected(self, peer: Peer, code: int, count: int) -> None:
        text, label = "%s disconnected (%s), %d client(s)", log_safe(peer.label)
        fields = {"code": int(code), "count": count}
        self.log(peer, logging.INFO, text, label, code, count, event="disconnected", **fields)

    def dropped(self, peer: Peer, reason: str) -> None:
        label = log_safe(peer.label)
        self.log(peer, logging.WARNING, "%s dropped: it %s", label, reason, event="dropped", reason=reason)

    def renamed(self, peer: Peer, old_name: str) -> None:
        """Log a changed or first name of a connection."""
        name = log_safe(peer.name, 40)
        if old_name:
            text, old = "#%d %s is now %s", log_safe(old_name, 40)
            self.log(peer, logging.INFO, text, peer.id, old, name, event="renamed", former=old_name)
        else:
            self.log(peer, logging.INFO, "#%d is %s", peer.id, name, event="renamed")

    def stored(self, entries: Sequence[tuple[PendingEntry, Position]], rooms: Rooms) -> None:
        """Log a line for each connection and room with new posts, and one for notes.

        Args:
            entries: The entries that have changed the log, with their positions.
        """
        if not log.isEnabledFor(logging.INFO):
            return
        positions: dict[tuple[Peer, str], list[Position]] = {}
        notes: Counter[tuple[Peer, str]] = Counter()
        for pending, position in entries:
            if pending.peer is None:
                continue
            key = pending.peer, pending.entry.room
            if isinstance(pending.entry, NewPost):
                positions.setdefault(key, []).append(position)
            else:
                notes[key] += 1
        for (peer, room_name), posted in positions.items():
            if is_direct(room_name):
                continue
            room = rooms.by_name.get(room_name)
            recipient_count = len(room.subscriptions) if room is not None else 0
            self.log(
                peer,
                logging.INFO,
                "broadcast %s%s from %s in %s to %d client(s)",
                posted[0],
                f"…{posted[-1].seq}" if len(posted) > 1 else "",
                log_safe(peer.sender, 40),
                log_safe(room_name, 60),
                recipient_count,
                event="posted",
                user=peer.sender,
                room=room_name,
                id=str(posted[0]),
                count=len(posted),
                recipients=recipient_count,
            )
        for (peer, room_name), count in notes.items():
            if is_direct(room_name):
                continue
            sender, shown_room = log_safe(peer.sender, 40), log_safe(room_name, 60)
            text = "%d note(s) from %s in %s"
            fields: dict[str, str | float] = {"user": peer.sender, "room": room_name, "count": count}
            self.log(peer, logging.INFO, text, count, sender, shown_room, event="noted", **fields)

    def not_stored(self, what: str, error: Exception) -> None:
        """Log that the engine could not store something."""
        reason = log_safe(str(error))
        text = "%s could not be stored: %s"
        self.log(None, logging.ERROR, text, what, reason, event="not_stored", reason=reason)

    def log(
        self, peer: Peer | None, level: int, text: str, *args: object, event: str, **fields: str | float
    ) -> None:
        """Log a line about a peer, or about the storage (None), unless there are too many.

        Args:
            event: What has happened.
            fields: Further fields of the record, in addition to those of the peer.
        """
        if not log.isEnabledFor(level):
            return
        line = text % args
        key = (peer.rate_limit_key or "loopback") if peer is not None else "storage"
        if self._budget.allow(key, len(line) + LINE_OVERHEAD_BYTES, self._clock()):
            about = {} if peer is None else fields_of(peer)
            log.log(level, "%s", line, extra={**about, "event": event, **fields})

    def report_suppressed(self) -> None:
        """Log the numbers of suppressed lines that are due. Call it periodically."""
        for key, count in self._budget.take_reports(self._clock()):
            text, extra = "%d more line(s) about %s suppressed", {"event": "suppressed", "count": count}
            log.info(text, count, log_safe(key, 60), extra={**extra, "address": key})


def fields_of(peer: Peer) -> dict[str, str | int]:
    """Fields of log lines about a connection."""
    return {"user": peer.name, "address": host_of(peer), "connection": peer.id}


def log_frames(recipient: str, data: bytes) -> None:
    """Log a line for each frame in `data`, except for those about direct messages."""
    for payload in text_frames(data)[0]:
        if not _frame_decoder.decode(payload).is_about_directs:
            log.debug("> %s %s", recipient, describe_sent(payload))


def describe_received(data: bytes, *, welcomed: bool) -> str:
    """Text for a frame from a peer; empty if it is about direct messages.

    A frame that may be a hello is shown by size, since it may contain a token, and so is an invalid one that
    may be about direct messages.
    """
    try:
        frame = _frame_decoder.decode(data)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        if not welcomed:
            return f"a hello, {len(data)} bytes"
        may_be_secret = any(sign in data for sign in _SIGNS_OF_SECRETS)
        return f"an invalid frame, {len(data)} bytes" if may_be_secret else describe_sent(data)
    if frame.type == "hello":
        return f"a hello, {len(data)} bytes"
    return "" if frame.is_about_directs else describe_sent(data)


def describe_sent(payload: bytes) -> str:
    """Text for a frame to a peer, with tokens redacted."""
    return log_safe(redact(_ESCAPED.sub(_unescape, payload.decode(errors="replace"))))


def _unescape(escape: re.Match[str]) -> str:
    return chr(int(escape[1], 16))


class LoopErrors:
    """Exception handler of an event loop, with limited repetition.

    At the open file limit, asyncio reports each failed `accept` with a traceback: about 4,000 lines per
    second.
    """

    def __init__(self) -> None:
        self._log_limiter = LogLimiter()

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        text = str(context.get("message", ""))
        number = error.errno if isinstance(error, OSError) else None
        out_of_resources = number in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
        if "_start_serving" in text and isinstance(error, ValueError):
            return  # asyncio 3.11 retries a listener a second after the failure, even if it has been closed
        suppressed = self._log_limiter.allow(f"{type(error).__name__} {number} {text[:80]}", loop.time())
        if suppressed is None:
            return
        more = f" ({suppressed} more since the last line)" if suppressed else ""
        if out_of_resources:
            extra = {"event": "not_accepted", "reason": str(error)}
            log.error("cannot accept new connections: %s%s", error, more, extra=extra)
        else:
            log.error("event loop error: %s%s", text, more, exc_info=error)
