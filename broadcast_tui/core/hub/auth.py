"""Authentication: the roles and identities that tokens grant, and the interface that checks tokens."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Protocol

import msgspec

from broadcast_tui.core.clock import Instant
from broadcast_tui.core.errors import ErrorCode, RequestError


class Role(StrEnum):
    """The permissions of a connection: a reader reads, a member also posts, an admin also moderates."""

    ADMIN = "admin"
    MEMBER = "member"
    READER = "reader"


class Identity(msgspec.Struct, frozen=True):
    """The claims of a valid token."""

    token_id: str
    """Distinguishes tokens with the same name; not secret."""
    name: str
    """The only name its holder can use. Nobody else can use it."""
    role: Role = Role.MEMBER
    expires_at: datetime | None = None


class Authenticator(Protocol):
    """Checks tokens. No method blocks."""

    @property
    def needs_token(self) -> bool:
        """Whether every connection must present a token."""
        ...

    def authenticate(self, token: str, address: str, when: Instant) -> Identity:
        """Return the identity of a token.

        Args:
            address: `host:port` of the client, by which failed attempts are limited.

        Raises:
            RequestError: UNAUTHORIZED if the token is invalid, with `retry_after` after too many failures.
        """
        ...

    def is_reserved(self, key: str) -> bool:
        """Whether the name with this skeleton belongs to a token."""
        ...

    def token_name(self, key: str) -> str:
        """The name with this skeleton that belongs to a token; empty if there is none."""
        ...

    def is_valid(self, identity: Identity, when: Instant) -> bool:
        """Whether the identity's token has been neither revoked nor changed, and has not expired."""
        ...


class OpenAuthenticator:
    """Authenticator of a server without tokens: everyone may connect."""

    needs_token = False

    def authenticate(self, token: str, address: str, when: Instant) -> Identity:
        raise RequestError(
            ErrorCode.UNAUTHORIZED, "This server does not use tokens. Connect without a token."
        )

    def is_reserved(self, key: str) -> bool:
        return False

    def token_name(self, key: str) -> str:
        return ""

    def is_valid(self, identity: Identity, when: Instant) -> bool:
        return True
