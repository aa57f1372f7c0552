"""What a gate's word means for connections: who gets which name, who may post, who has to go."""

from __future__ import annotations

from collections.abc import Iterable

from broadcast_tui.core.clock import Instant
from broadcast_tui.core.errors import CloseCode, ErrorCode, InvalidNameError, RequestError
from broadcast_tui.core.hub.auth import Authenticator, Role
from broadcast_tui.core.hub.peer import Peer
from broadcast_tui.core.names import check_name
from broadcast_tui.core.protocol import commands

NO_TOKEN = "This server needs a token; ask whoever runs it for one."
NO_LONGER_VALID = "Your token is not valid any more; ask for a new one."
FIXED_NAME = "Your name is fixed by your token."
READ_ONLY = "Your token is for reading only; ask for one that may post."


class Authorizer:
    """The gate's decisions about peers."""

    def __init__(self, gate: Authenticator) -> None:
        self._gate = gate

    def name_at_hello(self, peer: Peer, hello: commands.Hello, when: Instant) -> str:
        """The name to come in under, empty for none; sets the peer's identity by the hello's token.

        Raises:
            Refused: UNAUTHORISED, the connection is to end; InvalidNameError for a bad name.
        """
        if peer.identity is None and hello.token:
            peer.identify(self._gate.identify(hello.token, peer.address, when))
        if peer.identity is not None:
            return peer.identity.name
        if self._gate.needs_token:
            raise RequestError(ErrorCode.UNAUTHORISED, NO_TOKEN)
        return check_name(hello.name) if hello.name else ""

    def check_command(self, peer: Peer, command: commands.Command) -> None:
        """Raises Refused (FORBIDDEN) if the peer's role does not allow the command."""
        if commands.publishes_text(command) and not self.may_write(peer):
            raise RequestError(ErrorCode.FORBIDDEN, READ_ONLY)

    def may_write(self, peer: Peer) -> bool:
        """Whether the peer's role is one that may."""
        return peer.role is not Role.READER

    def owner_of(self, peer: Peer, key: str, name: str) -> str:
        """As whom the peer may claim the name with skeleton `key`: its holder by token, or its client id.

        Raises:
            Refused: the name belongs to another token, or the peer's own token fixes another name.
        """
        if peer.identity is not None:
            if name != peer.identity.name:
                raise RequestError(ErrorCode.FORBIDDEN, FIXED_NAME)
            return f"token {key}"
        if self._gate.reserves(key):
            raise InvalidNameError(
                ErrorCode.NAME_RESERVED,
                f"The name {name} belongs to the holder of a token; choose another one, or use that token.",
            )
        return peer.client_id

    def expired(self, peers: Iterable[Peer], when: Instant) -> list[tuple[Peer, CloseCode, str]]:
        """Connections that have to go now: their token is gone, or their name is another's by token."""
        gone = []
        for peer in peers:
            if peer.identity is not None:
                if not self._gate.knows(peer.identity, when):
                    gone.append((peer, CloseCode.UNAUTHORISED, NO_LONGER_VALID))
            elif peer.name and self._gate.reserves(peer.key):
                reason = "Your name now belongs to the holder of a token; come back under another one."
                gone.append((peer, CloseCode.REPLACED, reason))
        return gone
