"""Stored secrets, those of tokens and hooks: their digests and names, by default in a file.

The commands of the program write them, the server reads them.

Invariants: a secret itself is never stored. A file is replaced atomically, by one writer at a time. Readers
detect a change by its inode, size or modification time.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import secrets
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import msgspec

from broadcast_tui.core.errors import BroadcastError, ErrorCode, InvalidNameError
from broadcast_tui.core.names import check_name, check_not_guest, name_key
from broadcast_tui.private_file import readable_by_others, sole_writer, write_private

SECRET_BYTES = 32
ID_CHARS = 8


class SecretFileError(BroadcastError):
    """Stored secrets cannot be read, written or parsed, or one cannot be added."""

    is_in_redis = False
    """Whether they are not in a file, but in Redis."""


class SecretEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A stored secret. `sha256` is the hexadecimal digest of all of it."""

    id: str
    name: str
    sha256: str
    created: datetime
    expires: datetime | None = None

    def has_expired(self, at: datetime) -> bool:
        """Whether the secret has expired at a UTC time."""
        return self.expires is not None and self.expires <= at


E = TypeVar("E", bound=SecretEntry)


class SecretStorage(Protocol[E]):
    """Where secrets of one kind are stored."""

    def read(self) -> tuple[E, ...]:
        """The stored secrets. Raises SecretFileError."""
        ...

    def has_changed(self) -> bool:
        """Whether they have changed since they were last read or written."""
        ...

    def warning(self) -> str:
        """A warning about how they are stored, once; otherwise empty."""
        ...

    def add(self, entry: E) -> tuple[E, ...]:
        """Store another secret, and return all of them.

        Raises:
            InvalidNameError: Its name looks like another name with a secret.
            SecretFileError: It cannot be stored.
        """
        ...

    def revoke(self, id_or_name: str) -> tuple[tuple[E, ...], tuple[E, ...]]:
        """Remove the secret with an id, or all secrets with a name; returns the removed and the other ones.

        Raises SecretFileError.
        """
        ...


class SecretStore(Generic[E]):
    """Secrets in memory, as they were last read from where they are stored."""

    def __init__(self, storage: SecretStorage[E]) -> None:
        self.entries: tuple[E, ...] = ()
        self.version = 0
        """Increases whenever `entries` are replaced."""
        self._storage = storage
        self._by_digest: dict[str, E] = {}
        self._by_id: dict[str, E] = {}
        self._names: dict[str, str] = {}
        """The names of the entries, by skeleton."""

    # -- where they are stored

    def read(self) -> tuple[E, ...]:
        """Read the stored secrets without replacing the entries. Raises SecretFileError."""
        return self._storage.read()

    def has_changed(self) -> bool:
        """Whether the stored secrets have changed since they were last read."""
        return self._storage.has_changed()

    def warning(self) -> str:
        """A warning about how they are stored, once; otherwise empty."""
        return self._storage.warning()

    def add(self, entry: E) -> None:
        """Store another secret. Raises InvalidNameError and SecretFileError."""
        self.replace(self._storage.add(entry))

    def revoke(self, id_or_name: str) -> tuple[E, ...]:
        """Remove the secret with an id, or all secrets with a name; returns the removed entries.

        Raises:
            SecretFileError: The secrets cannot be stored.
        """
        removed, others = self._storage.revoke(id_or_name)
        self.replace(others)
        return removed

    def load(self) -> None:
        """Read the stored secrets and replace the entries.

        Raises:
            SecretFileError: They cannot be read; the entries have not changed.
        """
        self.replace(self.read())

    def replace(self, entries: tuple[E, ...]) -> None:
        """Replace the entries."""
        self.entries = entries
        self.version += 1
        self._by_digest = {entry.sha256: entry for entry in entries}
        self._by_id = {entry.id: entry for entry in entries}
        self._names = {name_key(entry.name): entry.name for entry in entries}

    # -- queries

    def find_entry(self, secret: str, at: datetime) -> E | None:
        """The entry of a secret; None if it is unknown or has expired."""
        digest = digest_of(secret)
        entry = self._by_digest.get(digest)
        # Looking up a digest leaks nothing useful to a guesser; the constant-time comparison is for auditors.
        if not hmac.compare_digest(digest, entry.sha256 if entry is not None else "0" * len(digest)):
            return None
        assert entry is not None
        return None if entry.has_expired(at) else entry

    def entry_of(self, entry_id: str) -> E | None:
        """The entry with an id, even an expired one."""
        return self._by_id.get(entry_id)

    def is_reserved(self, key: str) -> bool:
        """Whether the name with this skeleton has a secret, even an expired one."""
        return key in self._names

    def name_of(self, key: str) -> str:
        """The name with this skeleton that has a secret, even an expired one; empty if there is none."""
        return self._names.get(key, "")


class SecretFile(Generic[E]):
    """The file at `path` with secrets of one kind. A missing file contains none.

    Args:
        kind: What the secrets are, in the singular.
        decode: Returns the entries in the content of the file. Raises MsgspecError or InvalidNameError.
        contents: Returns the structure to write for entries.
        error: What is raised if the file cannot be read or written.
    """

    def __init__(
        self,
        path: Path,
        kind: str,
        decode: Callable[[bytes], tuple[E, ...]],
        contents: Callable[[tuple[E, ...]], msgspec.Struct],
        error: type[SecretFileError],
    ) -> None:
        self._path = path
        self._kind = kind
        self._decode = decode
        self._contents = contents
        self._error = error
        self._read_stat: tuple[int, int, int] | None = None
        self._warned = False

    def read(self) -> tuple[E, ...]:
        """The entries in the file. Raises SecretFileError."""
        self._read_stat = self._stat()
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise self._error(f"Cannot read the {self._kind}s in {self._path}: {error.strerror}.") from error
        try:
            return self._decode(content)
        except InvalidNameError as error:
            raise self._error(f"Invalid name in {self._path}: {error.text}") from error
        except (msgspec.MsgspecError, ValueError) as error:
            raise self._error(
                f"{self._path} is not a valid {self._kind} file ({error}). "
                f"Move it away and create the {self._kind}s again."
            ) from error

    def has_changed(self) -> bool:
        """Whether the file has changed since it was last read or written."""
        return self._stat() != self._read_stat

    def warning(self) -> str:
        """A warning if other users can read the file, once; otherwise empty."""
        if self._warned or not readable_by_others(self._path):
            return ""
        self._warned = True
        return f"Other users can read {self._path}. Run: chmod 600 {self._path}"

    def add(self, entry: E) -> tuple[E, ...]:
        """Add an entry, and return all of them. Raises InvalidNameError and SecretFileError."""
        with self._locked():
            entries = self.read()
            check_no_lookalike(entry.name, entries, self._kind)
            self._write((*entries, entry))
        return *entries, entry

    def revoke(self, id_or_name: str) -> tuple[tuple[E, ...], tuple[E, ...]]:
        """Remove the entry with an id, or all entries with a name; returns the removed and the other ones.

        Raises SecretFileError.
        """
        with self._locked():
            removed, others = split_entries(id_or_name, self.read())
            if removed:
                self._write(others)
        return removed, others

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Lock the file against other writers. Raises SecretFileError."""
        try:
            with sole_writer(self._path):
                yield
        except OSError as error:
            raise self._error(f"Cannot write {self._path}: {error.strerror}.") from error

    def _write(self, entries: tuple[E, ...]) -> None:
        """Replace the file. Raises OSError."""
        content = msgspec.json.format(msgspec.json.encode(self._contents(entries)), indent=2).decode()
        write_private(self._path, content + "\n")
        self._read_stat = self._stat()

    def _stat(self) -> tuple[int, int, int] | None:
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_ino, status.st_size, status.st_mtime_ns


def check_no_lookalike(name: str, entries: Iterable[SecretEntry], kind: str) -> None:
    """Raise InvalidNameError if a name looks like another name with a secret of a kind."""
    for other in entries:
        if name_key(other.name) == name_key(name) and other.name != name:
            text = f"{name} looks like {other.name}, which has a {kind}. Use that name."
            raise InvalidNameError(ErrorCode.NAME_RESERVED, text)


def split_entries(id_or_name: str, entries: tuple[E, ...]) -> tuple[tuple[E, ...], tuple[E, ...]]:
    """The entry with an id, or else all entries with a name; and the others."""
    found = tuple(entry for entry in entries if entry.id == id_or_name) or tuple(
        entry for entry in entries if entry.name == id_or_name
    )
    return found, tuple(entry for entry in entries if entry not in found)


def check_owner_name(raw: str) -> str:
    """Validate and normalize the name that a secret grants. Raises InvalidNameError."""
    name = check_name(raw)
    check_not_guest(name)
    return name


def new_secret(prefix: str) -> tuple[str, str]:
    """A random secret, and its digest."""
    secret = prefix + secrets.token_urlsafe(SECRET_BYTES)
    return secret, digest_of(secret)


def digest_of(secret: str) -> str:
    """Hexadecimal SHA-256 of a secret. A slow hash is not needed for 256 random bits."""
    return hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()
