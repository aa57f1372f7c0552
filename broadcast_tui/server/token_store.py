"""Stored tokens: their digests, names and roles; by default in the token file."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import msgspec

from broadcast_tui.core.hub.auth import Identity, Role
from broadcast_tui.core.redaction import TOKEN_PREFIX
from broadcast_tui.server.secret_store import (
    ID_CHARS,
    SecretEntry,
    SecretFile,
    SecretFileError,
    SecretStore,
    check_owner_name,
    new_secret,
)


class TokenFileError(SecretFileError):
    """The token file cannot be read, written or parsed, or a token cannot be added to it."""


class TokenEntry(SecretEntry, frozen=True, kw_only=True):
    """A stored token."""

    role: Role

    @property
    def identity(self) -> Identity:
        """The identity that the token grants."""
        return Identity(self.id, self.name, self.role, self.expires)


class _Contents(msgspec.Struct, frozen=True):
    tokens: tuple[TokenEntry, ...] = ()


class Tokens(SecretStore[TokenEntry]):
    """Tokens in memory, as they were last read from where they are stored."""

    def create(self, name: str, role: Role, expires: datetime | None) -> tuple[str, TokenEntry]:
        """Create a token.

        Returns:
            The token, which cannot be recovered later, and the stored entry.

        Raises:
            InvalidNameError: The name is invalid, or looks like another name with a token.
            TokenFileError: It cannot be stored.
        """
        token, digest = new_secret(TOKEN_PREFIX)
        entry = TokenEntry(
            id=digest[:ID_CHARS],
            name=check_owner_name(name),
            role=role,
            sha256=digest,
            created=datetime.now(UTC).replace(microsecond=0),
            expires=expires,
        )
        self.add(entry)
        return token, entry

    def find(self, token: str, at: datetime) -> Identity | None:
        """The identity of a token; None if it is unknown or has expired."""
        entry = self.find_entry(token, at)
        return entry.identity if entry is not None else None

    def is_valid(self, identity: Identity, at: datetime) -> bool:
        """Whether the token of an identity still exists unchanged and has not expired."""
        entry = self.entry_of(identity.token_id)
        return entry is not None and entry.identity == identity and not entry.has_expired(at)


class TokenStore(Tokens):
    """The tokens in the file at `path`. A missing file contains none."""

    def __init__(self, path: Path) -> None:
        super().__init__(SecretFile(path, "token", _decode, _Contents, TokenFileError))
        self.path = path


def _decode(content: bytes) -> tuple[TokenEntry, ...]:
    entries = msgspec.json.decode(content, type=_Contents).tokens
    for entry in entries:
        check_owner_name(entry.name)
    return entries
