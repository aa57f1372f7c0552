"""Authorization: which name a connection may use, whether it may post, and when it must be closed."""

from __future__ import annotations

from collections.abc import Iterable

from broadcast_tui.core.clock import Instant
from broadcast_tui.core.errors import CloseCode, ErrorCode, InvalidNameError, RequestError
from broadcast_tui.core.hub.auth import Authenticator, Role
from broadcast_tui.core.hub.peer import Peer
from broadcast_tui.core.names import check_name
from broadcast_tui.core.protocol import commands

TOKEN_REQUIRED = "This server requires a token. Ask its operator for one."
TOKEN_EXPIRED = "Your token has expired or was revoked. Ask the server's operator for a new one."
NAME_FIXED = "Your token determines your name; you cannot change it."
READ_ONLY = "Your token is read-only. Ask the server's operator for one that can post."
NAME_LOST = "Your name now belongs to someone else. Reconnect under another name."
NAME_CLAIMED = "Your name now belongs to a token holder. Reconnect under another name."


class Authorizer:
    """Permissions of connections, by the identities that `authenticator` grants."""

    def __init__(self, authenticator: Authenticator) -> None:
        self._authenticator = authenticator

    def name_at_hello(self, peer: Peer, hello: commands.Hello, when: Instant) -> str:
        """Return the name for a new connection, empty if it has none.

        Sets the identity from the hello's token.

        Raises:
            RequestError: UNAUTHORIZED; the connection must be closed.
            InvalidNameError: The name is invalid.
        """
        if peer.identity is None and hello.token:
            peer.set_identity(self._authenticator.authenticate(hello.token, peer.address, when))
        if peer.identity is not None:
            return peer.identity.name
        if self._authenticator.needs_token:
            raise RequestError(ErrorCode.UNAUTHORIZED, TOKEN_REQUIRED)
        return check_name(hello.name) if hello.name else ""

    def check_command(self, peer: Peer, command: commands.Command) -> None:
        """Raise RequestError (FORBIDDEN) if the connection's role does not allow the command."""
        if not self.may_post(peer) and commands.publishes_text(command):
            raise RequestError(ErrorCode.FORBIDDEN, READ_ONLY)

    def may_post(self, peer: Peer) -> bool:
        """Whether the connection's role allows posting."""
        return peer.role is not Role.READER

    def name_owner(self, peer: Peer, key: str, name: str) -> str:
        """Return the owner under which a connection claims the name with skeleton `key`.

        That is the name's token, or the connection's client id.

        Raises:
            RequestError: The connection's token is for another name.
            InvalidNameError: The name belongs to another token.
        """
        if peer.identity is not None:
            if name != peer.identity.name:
                raise RequestError(ErrorCode.FORBIDDEN, NAME_FIXED)
            return f"token {key}"
        if self._authenticator.is_reserved(key):
            raise InvalidNameError(
                ErrorCode.NAME_RESERVED,
                f"The name {name} requires its token. Choose another name, or connect with that token.",
            )
        return peer.client_id

    def token_name(self, key: str) -> str:
        """The name with this skeleton that belongs to a token; empty if there is none."""
        return self._authenticator.token_name(key)

    def expired(self, peers: Iterable[Peer], when: Instant) -> list[tuple[Peer, CloseCode, str]]:
        """Connections to close, with close code and reason: their token is invalid or their name reserved."""
        expired = []
        for peer in peers:
            if peer.identity is not None:
                if not self._authenticator.is_valid(peer.identity, when):
                    expired.append((peer, CloseCode.UNAUTHORIZED, TOKEN_EXPIRED))
            elif peer.name and self._authenticator.is_reserved(peer.key):
                expired.append((peer, CloseCode.REPLACED, NAME_CLAIMED))
        return expired
