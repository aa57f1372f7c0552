"""Rejected frames and commands: the replies, and the connections that are closed after too many of them."""

from __future__ import annotations

from broadcast_tui.core.clock import Instant
from broadcast_tui.core.errors import CloseCode, ErrorCode, FrameError, RequestError
from broadcast_tui.core.hub.broadcaster import Broadcaster
from broadcast_tui.core.hub.effects import Effects
from broadcast_tui.core.hub.peer import Peer
from broadcast_tui.core.protocol import commands

_REFUSALS = {
    ErrorCode.RATE_LIMITED: CloseCode.TOO_MANY_REQUESTS,
    ErrorCode.TRY_LATER: CloseCode.TRY_AGAIN_LATER,
}
"""Errors about a limit, and the code that closes a connection after too many of them."""
_OVERTAKEN = frozenset((ErrorCode.NO_SUCH_POST, ErrorCode.TOO_MANY_NOTES, ErrorCode.ASK_CLOSED))
"""Errors of notes that were valid when their sender wrote them, perhaps offline: not invalid frames."""


class Rejections:
    """Replies to what is rejected, and closes connections."""

    def __init__(self, broadcaster: Broadcaster, effects: Effects) -> None:
        self._broadcaster = broadcaster
        self._effects = effects

    def reject_command(
        self, peer: Peer, command: commands.Command | None, error: RequestError, when: Instant
    ) -> None:
        """Reply to a command that cannot be executed; closes the connection if it has to end."""
        nonce, ref = getattr(command, "nonce", ""), getattr(command, "ref", "")
        self._broadcaster.send_error(peer, error, when, nonce=nonce, ref=ref)
        if error.code is ErrorCode.UNAUTHORIZED:
            self.close_later(peer, CloseCode.UNAUTHORIZED, error.text)
        elif error.code is ErrorCode.BANNED and not isinstance(command, commands.Rename):
            self.close_later(peer, CloseCode.KICKED, error.text)
        elif error.code in _REFUSALS:
            self._count_refusal(peer, error, when)
        elif not error.temporary and error.code not in _OVERTAKEN:
            self._count_error(peer, when)

    def reject_frame(self, peer: Peer, error: FrameError, when: Instant) -> None:
        """Reply to an invalid frame; closes the connection after too many of them."""
        self._broadcaster.send_error(
            peer, RequestError(error.code, error.text), when, nonce=error.nonce, ref=error.ref
        )
        if error.code is ErrorCode.BAD_UTF8:
            self.close_later(peer, CloseCode.BAD_UTF8, error.text)
        elif error.code is ErrorCode.BINARY:
            self.close_later(peer, CloseCode.BINARY, error.text)
        else:
            self._count_error(peer, when)

    def _count_error(self, peer: Peer, when: Instant) -> None:
        if peer.error_bucket.take(when.now) > 0:
            self.close_later(peer, CloseCode.TOO_MANY_ERRORS, "Too many invalid frames.")

    def _count_refusal(self, peer: Peer, error: RequestError, when: Instant) -> None:
        """Count a request over a limit that came before the end of the last `retry_after`.

        A client that waits as long is never closed, however often it is rejected.
        """
        is_early = when.now < peer.retry_at
        peer.retry_at = when.now + (error.retry_after or 0.0)
        if not peer.welcomed:
            self.close_later(peer, CloseCode.TOO_MANY_REQUESTS, error.text)
        elif is_early and peer.refusal_bucket.take(when.now) > 0:
            text = "Too many rejected requests. Wait as long as retry_after says."
            self.close_later(peer, _REFUSALS[error.code], text)

    def close_later(self, peer: Peer, code: CloseCode, reason: str) -> None:
        peer.closing = peer.closing or (code, reason)
        self._effects.closing_peers.add(peer)
