"""Saved credentials by server: tokens, and fingerprints from invites.

Tokens are saved in the system keyring if the package `keyring` finds one, else in a JSON file with mode 600.
Fingerprints are always in that file.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from types import ModuleType

import msgspec

from broadcast_tui.client.security import TrustError, normalize_pin, normalize_token
from broadcast_tui.client.storage.preferences import LOCK_TIMEOUT_S, state_dir
from broadcast_tui.private_file import sole_writer, write_private

FILE_NAME = "credentials.json"
SERVICE = "broadcast-tui"


class _Saved(msgspec.Struct, frozen=True, omit_defaults=True):
    token: str = ""
    pin: str = ""
    keyring: bool = False
    """Whether the token is in the keyring."""


class Credentials:
    """The saved credentials of this user. Unreadable entries are ignored."""

    def __init__(self, directory: Path | None = None) -> None:
        self.path = (directory or state_dir()) / FILE_NAME

    def token(self, url: str) -> str:
        """The saved token for a server; empty if there is none. May prompt the user to unlock the keyring."""
        saved = self._read().get(url, _Saved())
        token = _load_from_keyring(url) if saved.keyring else saved.token
        try:
            return normalize_token(token)
        except TrustError:
            return ""

    def pin(self, url: str) -> str:
        """The saved fingerprint for a server; empty if there is none."""
        pin = self._read().get(url, _Saved()).pin
        try:
            return normalize_pin(pin) if pin else ""
        except TrustError:
            return ""

    def save_token(self, url: str, token: str) -> str:
        """Save a token; returns a sentence that says where. Blocks on disk and keyring."""
        in_keyring = _save_in_keyring(url, token)
        if problem := self._change(url, token="" if in_keyring else token, keyring=in_keyring):
            return problem
        return "The token is saved in the keyring." if in_keyring else f"The token is saved in {self.path}."

    def save_pin(self, url: str, pin: str) -> str:
        """Save a fingerprint; returns an error sentence, or an empty string on success."""
        return self._change(url, pin=pin) if pin != self.pin(url) else ""

    def forget(self, url: str) -> tuple[bool, str]:
        """Delete the token and the fingerprint of a server.

        Returns:
            Whether anything was saved, and an error sentence if it could not be deleted.
        """
        saved = self._read().get(url)
        if saved is None:
            return False, ""
        if saved.keyring and not _delete_from_keyring(url):
            return True, f"Cannot delete the token for {url} from the keyring; delete it there yourself."
        try:
            with sole_writer(self.path, timeout_s=LOCK_TIMEOUT_S):
                self._write({key: entry for key, entry in self._read().items() if key != url})
        except OSError as error:
            return True, f"Cannot write {self.path}: {error.strerror}."
        return True, ""

    def _change(self, url: str, **changes: str | bool) -> str:
        try:
            with sole_writer(self.path, timeout_s=LOCK_TIMEOUT_S):
                entries = self._read()
                entries[url] = msgspec.structs.replace(entries.get(url, _Saved()), **changes)
                self._write(entries)
        except OSError as error:
            return f"Cannot write {self.path}: {error.strerror}."
        return ""

    def _write(self, entries: dict[str, _Saved]) -> None:
        write_private(self.path, msgspec.json.format(msgspec.json.encode(entries), indent=2).decode() + "\n")

    def _read(self) -> dict[str, _Saved]:
        try:
            return msgspec.json.decode(self.path.read_bytes(), type=dict[str, _Saved])
        except (OSError, msgspec.MsgspecError, ValueError):
            return {}


class PendingCredentials:
    """Credentials to save for the server at `url` once it has accepted them."""

    def __init__(self, credentials: Credentials, url: str, token: str = "", pin: str = "") -> None:
        self.credentials = credentials
        self.url = url
        self.token = token
        self.pin = pin

    @property
    def has_any(self) -> bool:
        """Whether there is anything to save."""
        return bool(self.token or self.pin)

    def save(self) -> str:
        """Save them; returns a sentence for the user, which may be empty. Blocks on disk and keyring."""
        token, self.token = self.token, ""
        pin, self.pin = self.pin, ""
        message = self.credentials.save_pin(self.url, pin) if pin else ""
        return self.credentials.save_token(self.url, token) if token else message


def _keyring() -> ModuleType | None:
    try:
        return import_module("keyring")
    except ImportError:
        return None


def _load_from_keyring(url: str) -> str:
    keyring = _keyring()
    if keyring is None:
        return ""
    try:
        return keyring.get_password(SERVICE, url) or ""
    except (keyring.errors.KeyringError, OSError, RuntimeError):
        return ""


def _save_in_keyring(url: str, token: str) -> bool:
    """Save in the keyring and read back, because some backends accept tokens but save nothing."""
    keyring = _keyring()
    if keyring is None:
        return False
    try:
        keyring.set_password(SERVICE, url, token)
        return bool(keyring.get_password(SERVICE, url) == token)
    except (keyring.errors.KeyringError, OSError, RuntimeError):
        return False


def _delete_from_keyring(url: str) -> bool:
    """Delete from the keyring; false if that failed."""
    keyring = _keyring()
    if keyring is None:
        return False
    try:
        if keyring.get_password(SERVICE, url) is not None:
            keyring.delete_password(SERVICE, url)
    except (keyring.errors.KeyringError, OSError, RuntimeError):
        return False
    return True
