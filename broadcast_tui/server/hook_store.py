"""Stored hooks: addresses at which programs can post to one room; by default in a file beside the tokens."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import msgspec

from broadcast_tui.core.hub.auth import Identity, Role
from broadcast_tui.core.names import check_room
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

HOOK_PREFIX = f"{TOKEN_PREFIX}hook_"
"""Prefix of the secrets of hooks, which are redacted as tokens are."""
_IDENTITY_PREFIX = "hook "
"""Distinguishes the identities of hooks from those of tokens."""


class HookFileError(SecretFileError):
    """The stored hooks cannot be read, written or parsed, or a hook cannot be added to them."""


class HookEntry(SecretEntry, frozen=True, kw_only=True):
    """A stored hook: who has its secret can post to `room` under `name`."""

    room: str

    @property
    def identity(self) -> Identity:
        """The identity under which it posts."""
        return Identity(f"{_IDENTITY_PREFIX}{self.id}", self.name, Role.MEMBER, self.expires)


class _Contents(msgspec.Struct, frozen=True):
    hooks: tuple[HookEntry, ...] = ()


class Hooks(SecretStore[HookEntry]):
    """Hooks in memory, as they were last read from where they are stored."""

    def create(self, name: str, room: str, expires: datetime | None) -> tuple[str, HookEntry]:
        """Create a hook.

        Returns:
            Its secret, which cannot be recovered later, and the stored entry.

        Raises:
            InvalidNameError: The name is invalid, or looks like the name of another hook.
            RequestError: The name of the room is invalid.
            HookFileError: It cannot be stored.
        """
        secret, digest = new_secret(HOOK_PREFIX)
        entry = HookEntry(
            id=digest[:ID_CHARS],
            name=check_owner_name(name),
            room=check_room(room),
            sha256=digest,
            created=datetime.now(UTC).replace(microsecond=0),
            expires=expires,
        )
        self.add(entry)
        return secret, entry

    def is_valid(self, identity: Identity, at: datetime) -> bool:
        """Whether the hook of an identity still exists unchanged and has not expired."""
        entry = self.entry_of(identity.token_id.removeprefix(_IDENTITY_PREFIX))
        return entry is not None and entry.identity == identity and not entry.has_expired(at)


class HookStore(Hooks):
    """The hooks in the file at `path`. A missing file contains none."""

    def __init__(self, path: Path) -> None:
        super().__init__(SecretFile(path, "hook", _decode, _Contents, HookFileError))


def _decode(content: bytes) -> tuple[HookEntry, ...]:
    entries = msgspec.json.decode(content, type=_Contents).hooks
    for entry in entries:
        check_owner_name(entry.name)
    return entries
