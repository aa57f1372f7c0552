"""The file of tokens: who may come in, kept as digests. Written by the `token` commands, read by the server.

Invariants: a token itself is never written anywhere; the file is replaced as a whole by one writer at
a time; a reader sees a change as another file identity (inode, size or time).
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from broadcast_tui.core.errors import BroadcastError, ErrorCode, InvalidNameError
from broadcast_tui.core.hub.auth import Identity, Role
from broadcast_tui.core.hub.peer import GUEST
from broadcast_tui.core.names import check_name, name_key
from broadcast_tui.core.redaction import TOKEN_PREFIX
from broadcast_tui.private_file import readable_by_others, sole_writer, write_private

TOKEN_BYTES = 32
ID_CHARS = 8


class TokenFileError(BroadcastError):
    """The file cannot be read or written, or holds something else; the environment's fault."""


class TokenEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One token as it is kept. `sha256` is the digest of the whole token, in hexadecimal."""

    id: str
    name: str
    role: Role
    sha256: str
    created: datetime
    expires: datetime | None = None

    @property
    def identity(self) -> Identity:
        return Identity(self.id, self.name, self.role, self.expires)

    def has_expired(self, at: datetime) -> bool:
        return self.expires is not None and self.expires <= at


class _Contents(msgspec.Struct, frozen=True):
    tokens: tuple[TokenEntry, ...] = ()


class TokenStore:
    """The tokens in the file at `path`; no file: none."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.entries: tuple[TokenEntry, ...] = ()
        self.version = 0
        """Rises whenever `entries` are replaced."""
        self._by_digest: dict[str, TokenEntry] = {}
        self._by_id: dict[str, TokenEntry] = {}
        self._keys: frozenset[str] = frozenset()
        self._seen: tuple[int, int, int] | None = None
        self._warned = False

    # -- reading

    def load(self) -> None:
        """Read the file as it is now.

        Raises:
            TokenFileError: it cannot be read; the entries stay as they were.
        """
        self.take(self.read())

    def read(self) -> tuple[TokenEntry, ...]:
        """What the file holds now; `take` makes it count.

        Raises:
            TokenFileError: it cannot be read.
        """
        self._seen = self._look()
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            content = b"{}"
        except OSError as error:
            raise TokenFileError(
                f"The tokens in {self.path} cannot be read: {error.strerror}; choose others with --tokens."
            ) from error
        try:
            entries = msgspec.json.decode(content, type=_Contents).tokens
            for entry in entries:
                _holders_name(entry.name)
        except InvalidNameError as refused:
            raise TokenFileError(
                f"A name in {self.path} cannot be had: {refused.text} Change or remove it there."
            ) from refused
        except (msgspec.MsgspecError, ValueError) as error:
            raise TokenFileError(
                f"{self.path} is no file of tokens ({error}); move it away and create the tokens anew."
            ) from error
        return entries

    def changed(self) -> bool:
        """Whether the file is another one than at the last `load`."""
        return self._look() != self._seen

    def warning(self) -> str:
        """One sentence if others may read the file, once; else empty."""
        if self._warned or not readable_by_others(self.path):
            return ""
        self._warned = True
        return f"Others on this machine may read {self.path}; run 'chmod 600 {self.path}'."

    def find(self, token: str, at: datetime) -> Identity | None:
        """Whose token this is; None if it is unknown or has expired."""
        digest = digest_of(token)
        entry = self._by_digest.get(digest)
        # The look-up goes by digest, of which a guesser controls nothing; this is for those who check.
        if not hmac.compare_digest(digest, entry.sha256 if entry is not None else "0" * len(digest)):
            return None
        assert entry is not None
        if entry.has_expired(at):
            return None
        return entry.identity

    def is_valid(self, identity: Identity, at: datetime) -> bool:
        """Whether the identity's token is still here, unchanged, and has not expired."""
        entry = self._by_id.get(identity.token_id)
        return entry is not None and entry.identity == identity and not entry.has_expired(at)

    def is_reserved(self, key: str) -> bool:
        """Whether the name with this skeleton has a token, expired ones included."""
        return key in self._keys

    # -- writing

    def create(self, name: str, role: Role, expires: datetime | None) -> tuple[str, TokenEntry]:
        """Make a token for `name`; returns it, to be shown this once, and what is kept of it.

        Raises:
            InvalidNameError: nobody may have this name.
            TokenFileError: the name passes for another one that has a token, or the file cannot be written.
        """
        name = _holders_name(name)
        token = TOKEN_PREFIX + secrets.token_urlsafe(TOKEN_BYTES)
        digest = digest_of(token)
        entry = TokenEntry(
            id=digest[:ID_CHARS],
            name=name,
            role=role,
            sha256=digest,
            created=datetime.now(UTC).replace(microsecond=0),
            expires=expires,
        )
        with self._changing():
            for other in self.entries:
                if name_key(other.name) == name_key(name) and other.name != name:
                    raise TokenFileError(f"{name} looks like {other.name}, which has a token; use that name.")
            self._write((*self.entries, entry))
        return token, entry

    def revoke(self, wanted: str) -> tuple[TokenEntry, ...]:
        """Remove the token with this id, or all of this name; returns those removed, perhaps none.

        Raises:
            TokenFileError: the file cannot be written.
        """
        with self._changing():
            gone = tuple(entry for entry in self.entries if entry.id == wanted) or tuple(
                entry for entry in self.entries if entry.name == wanted
            )
            if gone:
                self._write(tuple(entry for entry in self.entries if entry not in gone))
        return gone

    @contextlib.contextmanager
    def _changing(self) -> Iterator[None]:
        """Nobody else changes the file meanwhile, and `entries` are what it holds."""
        try:
            with sole_writer(self.path):
                self.load()
                yield
        except OSError as error:
            raise TokenFileError(
                f"{self.path} cannot be written: {error.strerror}; choose another place with --tokens."
            ) from error

    def _write(self, entries: tuple[TokenEntry, ...]) -> None:
        content = msgspec.json.format(msgspec.json.encode(_Contents(entries)), indent=2).decode()
        write_private(self.path, content + "\n")
        self._seen = self._look()
        self.take(entries)

    def take(self, entries: tuple[TokenEntry, ...]) -> None:
        """Let these count from now on."""
        self.entries = entries
        self.version += 1
        self._by_digest = {entry.sha256: entry for entry in entries}
        self._by_id = {entry.id: entry for entry in entries}
        self._keys = frozenset(name_key(entry.name) for entry in entries)

    def _look(self) -> tuple[int, int, int] | None:
        try:
            status = self.path.stat()
        except OSError:
            return None
        return status.st_ino, status.st_size, status.st_mtime_ns


def _holders_name(raw: str) -> str:
    """`raw` as the name of a token's holder. Raises InvalidNameError."""
    name = check_name(raw)
    if name.casefold().startswith(GUEST):
        raise InvalidNameError(ErrorCode.NAME_RESERVED, "Choose another name: guests are called this.")
    return name


def digest_of(token: str) -> str:
    """SHA-256 of a token, in hexadecimal. 256 random bits need no slow hash."""
    return hashlib.sha256(token.encode(errors="surrogatepass")).hexdigest()
