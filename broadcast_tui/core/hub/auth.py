"""Who a connection is by its token, and what it may do: identities, roles, and the gate that knows them."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Protocol

import msgspec

from broadcast_tui.core.clock import Instant
from broadcast_tui.core.errors import ErrorCode, RequestError


class Role(StrEnum):
    """What a connection may do: a reader reads, a member posts too, an admin also keeps order."""

    ADMIN = "admin"
    MEMBER = "member"
    READER = "reader"


class Identity(msgspec.Struct, frozen=True):
    """What a token says of whoever sent it."""

    token_id: str
    """Tells tokens of one name apart; no secret."""
    name: str
    """The one name of the holder, which nobody else can have."""
    role: Role = Role.MEMBER
    expires_at: datetime | None = None


class Authenticator(Protocol):
    """Who may come in. All methods return at once."""

    @property
    def needs_token(self) -> bool:
        """Whether nobody comes in without a token."""
        ...

    def identify(self, token: str, address: str, when: Instant) -> Identity:
        """Whose token this is. Raises Refused (UNAUTHORISED), with `retry_after` after many wrong ones."""
        ...

    def reserves(self, key: str) -> bool:
        """Whether the name with this skeleton belongs to the holder of a token."""
        ...

    def knows(self, identity: Identity, when: Instant) -> bool:
        """Whether the token is still valid: neither revoked nor expired."""
        ...


class OpenAuthenticator:
    """Everyone may come in, and there are no tokens."""

    needs_token = False

    def identify(self, token: str, address: str, when: Instant) -> Identity:
        raise RequestError(ErrorCode.UNAUTHORISED, "This server takes no tokens; connect without one.")

    def reserves(self, key: str) -> bool:
        return False

    def knows(self, identity: Identity, when: Instant) -> bool:
        return True
