"""Stored tokens: their digests, names and roles; by default in the token file.

`token` commands write it, the server reads it.

Invariants: a token itself is never stored. The file is replaced atomically, by one writer at a time. Readers
detect a change by its inode, size or modification time.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import secrets
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from broadcast_tui.core.errors import BroadcastError, ErrorCode, InvalidNameError
from broadcast_tui.core.hub.auth import Identity, Role
from broadcast_tui.core.names import check_name, check_not_guest, name_key
from broadcast_tui.core.redaction import TOKEN_PREFIX
from broadcast_tui.private_file import readable_by_others, sole_writer, write_private

TOKEN_BYTES = 32
ID_CHARS = 8


class TokenFileError(BroadcastError):
    """The token file cannot be read, written or parsed, or a token cannot be added to it."""


class TokenEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A stored token. `sha256` is the hexadecimal digest of the whole token."""

    id: str
    name: str
    role: Role
    sha256: str
    created: datetime
    expires: datetime | None = None

    @property
    def identity(self) -> Identity:
        """The identity that the token grants."""
        return Identity(self.id, self.name, self.role, self.expires)

    def has_expired(self, at: datetime) -> bool:
        """Whether the token has expired at a UTC time."""
        return self.expires is not None and self.expires <= at


class _Contents(msgspec.Struct, frozen=True):
    tokens: tuple[TokenEntry, ...] = ()


class Tokens(ABC):
    """Tokens in memory, as they were last read from where they are stored."""

    def __init__(self) -> None:
        self.entries: tuple[TokenEntry, ...] = ()
        self.version = 0
        """Increases whenever `entries` are replaced."""
        self._by_digest: dict[str, TokenEntry] = {}
        self._by_id: dict[str, TokenEntry] = {}
        self._names: dict[str, str] = {}
        """The names of the entries, by skeleton."""

    # -- where they are stored

    @abstractmethod
    def read(self) -> tuple[TokenEntry, ...]:
        """Read the stored tokens without replacing the entries. Raises TokenFileError."""

    @abstractmethod
    def has_changed(self) -> bool:
        """Whether the stored tokens have changed since they were last read."""

    @abstractmethod
    def warning(self) -> str:
        """A warning about how they are stored, once; otherwise empty."""

    @abstractmethod
    def create(self, name: str, role: Role, expires: datetime | None) -> tuple[str, TokenEntry]:
        """Create a token.

        Returns:
            The token, which cannot be recovered later, and the stored entry.

        Raises:
            InvalidNameError: The name is invalid, or looks like another name with a token.
            TokenFileError: It cannot be stored.
        """

    @abstractmethod
    def revoke(self, id_or_name: str) -> tuple[TokenEntry, ...]:
        """Remove the token with an id, or all tokens with a name; returns the removed entries.

        Raises:
            TokenFileError: The tokens cannot be stored.
        """

    def load(self) -> None:
        """Read the stored tokens and replace the entries.

        Raises:
            TokenFileError: They cannot be read; the entries have not changed.
        """
        self.replace(self.read())

    def replace(self, entries: tuple[TokenEntry, ...]) -> None:
        """Replace the entries."""
        self.entries = entries
        self.version += 1
        self._by_digest = {entry.sha256: entry for entry in entries}
        self._by_id = {entry.id: entry for entry in entries}
        self._names = {name_key(entry.name): entry.name for entry in entries}

    # -- queries

    def find(self, token: str, at: datetime) -> Identity | None:
        """The identity of a token; None if it is unknown or has expired."""
        digest = digest_of(token)
        entry = self._by_digest.get(digest)
        # Looking up a digest leaks nothing useful to a guesser; the constant-time comparison is for auditors.
        if not hmac.compare_digest(digest, entry.sha256 if entry is not None else "0" * len(digest)):
            return None
        assert entry is not None
        if entry.has_expired(at):
            return None
        return entry.identity

    def is_valid(self, identity: Identity, at: datetime) -> bool:
        """Whether the token of an identity still exists unchanged and has not expired."""
        entry = self._by_id.get(identity.token_id)
        return entry is not None and entry.identity == identity and not entry.has_expired(at)

    def is_reserved(self, key: str) -> bool:
        """Whether the name with this skeleton has a token, even an expired one."""
        return key in self._names

    def name_of(self, key: str) -> str:
        """The name with this skeleton that has a token, even an expired one; empty if there is none."""
        return self._names.get(key, "")


class TokenStore(Tokens):
    """The tokens in the file at `path`. A missing file contains none."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self._read_stat: tuple[int, int, int] | None = None
        self._warned = False

    # -- reading

    def read(self) -> tuple[TokenEntry, ...]:
        """Read the file without replacing the entries.

        Raises:
            TokenFileError: It cannot be read.
        """
        self._read_stat = self._stat()
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            content = b"{}"
        except OSError as error:
            raise TokenFileError(f"Cannot read the tokens in {self.path}: {error.strerror}.") from error
        try:
            entries = msgspec.json.decode(content, type=_Contents).tokens
            for entry in entries:
                _check_token_name(entry.name)
        except InvalidNameError as error:
            raise TokenFileError(f"Invalid name in {self.path}: {error.text}") from error
        except (msgspec.MsgspecError, ValueError) as error:
            raise TokenFileError(
                f"{self.path} is not a valid token file ({error}). Move it away and create the tokens again."
            ) from error
        return entries

    def has_changed(self) -> bool:
        """Whether the file has changed since it was last read."""
        return self._stat() != self._read_stat

    def warning(self) -> str:
        """A warning if other users can read the file, once; otherwise empty."""
        if self._warned or not readable_by_others(self.path):
            return ""
        self._warned = True
        return f"Other users can read {self.path}. Run: chmod 600 {self.path}"

    # -- writing

    def create(self, name: str, role: Role, expires: datetime | None) -> tuple[str, TokenEntry]:
        token, entry = new_token(name, role, expires)
        with self._locked():
            check_no_lookalike(entry.name, self.entries)
            self._write((*self.entries, entry))
        return token, entry

    def revoke(self, id_or_name: str) -> tuple[TokenEntry, ...]:
        with self._locked():
            removed = find_entries(id_or_name, self.entries)
            if removed:
                self._write(tuple(entry for entry in self.entries if entry not in removed))
        return removed

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Lock the file against other writers, and reload the entries."""
        try:
            with sole_writer(self.path):
                self.load()
                yield
        except OSError as error:
            raise TokenFileError(f"Cannot write {self.path}: {error.strerror}.") from error

    def _write(self, entries: tuple[TokenEntry, ...]) -> None:
        content = msgspec.json.format(msgspec.json.encode(_Contents(entries)), indent=2).decode()
        write_private(self.path, content + "\n")
        self._read_stat = self._stat()
        self.replace(entries)

    def _stat(self) -> tuple[int, int, int] | None:
        try:
            status = self.path.stat()
        except OSError:
            return None
        return status.st_ino, status.st_size, status.st_mtime_ns


def new_token(name: str, role: Role, expires: datetime | None) -> tuple[str, TokenEntry]:
    """A new token and the entry to store. Raises InvalidNameError."""
    token = TOKEN_PREFIX + secrets.token_urlsafe(TOKEN_BYTES)
    digest = digest_of(token)
    entry = TokenEntry(
        id=digest[:ID_CHARS],
        name=_check_token_name(name),
        role=role,
        sha256=digest,
        created=datetime.now(UTC).replace(microsecond=0),
        expires=expires,
    )
    return token, entry


def check_no_lookalike(name: str, entries: Iterable[TokenEntry]) -> None:
    """Raise InvalidNameError if a name looks like another name with a token."""
    for other in entries:
        if name_key(other.name) == name_key(name) and other.name != name:
            text = f"{name} looks like {other.name}, which has a token. Use that name."
            raise InvalidNameError(ErrorCode.NAME_RESERVED, text)


def find_entries(id_or_name: str, entries: Iterable[TokenEntry]) -> tuple[TokenEntry, ...]:
    """The entry with an id, or else all entries with a name."""
    entries = tuple(entries)
    return tuple(entry for entry in entries if entry.id == id_or_name) or tuple(
        entry for entry in entries if entry.name == id_or_name
    )


def _check_token_name(raw: str) -> str:
    """Validate and normalize the name of a token. Raises InvalidNameError."""
    name = check_name(raw)
    check_not_guest(name)
    return name


def digest_of(token: str) -> str:
    """Hexadecimal SHA-256 of a token. A slow hash is not needed for 256 random bits."""
    return hashlib.sha256(token.encode(errors="surrogatepass")).hexdigest()
