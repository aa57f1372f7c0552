"""What is kept for servers between runs, by their address: tokens, and the fingerprints of invites.

Tokens are in the system's keyring where there is one (package `keyring`), else in a JSON file for the
user alone (mode 600), which has the fingerprints in any case.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from types import ModuleType

import msgspec

from broadcast_tui.client.security import TrustError, checked_pin, checked_token
from broadcast_tui.client.storage.preferences import state_dir
from broadcast_tui.private_file import sole_writer, write_private

FILE_NAME = "credentials.json"
SERVICE = "broadcast-tui"


class _Kept(msgspec.Struct, frozen=True, omit_defaults=True):
    token: str = ""
    pin: str = ""
    keyring: bool = False
    """The token is in the keyring."""


class Credentials:
    """The credentials of this user. What cannot be read is as if it were not there."""

    def __init__(self, directory: Path | None = None) -> None:
        self.path = (directory or state_dir()) / FILE_NAME

    def token(self, url: str) -> str:
        """The token kept for a server, empty if there is none. May ask the user to unlock the keyring."""
        kept = self._read().get(url, _Kept())
        token = _from_keyring(url) if kept.keyring else kept.token
        try:
            return checked_token(token)
        except TrustError:
            return ""

    def pin(self, url: str) -> str:
        """The fingerprint kept for a server, empty if there is none."""
        pin = self._read().get(url, _Kept()).pin
        try:
            return checked_pin(pin) if pin else ""
        except TrustError:
            return ""

    def keep_token(self, url: str, token: str) -> str:
        """Keep a token; returns one sentence about where. Waits for the disk and the keyring."""
        in_keyring = _into_keyring(url, token)
        if problem := self._change(url, token="" if in_keyring else token, keyring=in_keyring):
            return problem
        return "The token is kept in the keyring." if in_keyring else f"The token is kept in {self.path}."

    def keep_pin(self, url: str, pin: str) -> str:
        """Keep a fingerprint; returns one sentence if that could not be done."""
        return self._change(url, pin=pin) if pin != self.pin(url) else ""

    def forget(self, url: str) -> tuple[bool, str]:
        """Keep nothing for a server any more.

        Returns:
            Whether something was kept, and one sentence if it could not be removed.
        """
        kept = self._read().get(url)
        if kept is None:
            return False, ""
        if kept.keyring and not _out_of_keyring(url):
            return True, f"The keyring does not let go of the token for {url}; remove it there."
        try:
            with sole_writer(self.path):
                self._write({there: one for there, one in self._read().items() if there != url})
        except OSError as error:
            return True, f"{self.path} cannot be written: {error.strerror}."
        return True, ""

    def _change(self, url: str, **changes: str | bool) -> str:
        try:
            with sole_writer(self.path):
                everything = self._read()
                everything[url] = msgspec.structs.replace(everything.get(url, _Kept()), **changes)
                self._write(everything)
        except OSError as error:
            return f"{self.path} cannot be written: {error.strerror}."
        return ""

    def _write(self, everything: dict[str, _Kept]) -> None:
        write_private(
            self.path, msgspec.json.format(msgspec.json.encode(everything), indent=2).decode() + "\n"
        )

    def _read(self) -> dict[str, _Kept]:
        try:
            return msgspec.json.decode(self.path.read_bytes(), type=dict[str, _Kept])
        except (OSError, msgspec.MsgspecError, ValueError):
            return {}


@dataclass(slots=True)
class PendingCredentials:
    """What is to be kept for the server at `url` once it has let us in."""

    credentials: Credentials
    url: str
    token: str = field(default="", repr=False)
    pin: str = ""

    @property
    def waiting(self) -> bool:
        """Whether there is something to keep."""
        return bool(self.token or self.pin)

    def keep(self) -> str:
        """Keep it; returns one sentence for the user, or nothing. Waits for the disk and the keyring."""
        token, self.token = self.token, ""
        pin, self.pin = self.pin, ""
        said = self.credentials.keep_pin(self.url, pin) if pin else ""
        return self.credentials.keep_token(self.url, token) if token else said


def _keyring() -> ModuleType | None:
    try:
        return import_module("keyring")
    except ImportError:
        return None


def _from_keyring(url: str) -> str:
    keyring = _keyring()
    if keyring is None:
        return ""
    try:
        return keyring.get_password(SERVICE, url) or ""
    except (keyring.errors.KeyringError, OSError, RuntimeError):
        return ""


def _into_keyring(url: str, token: str) -> bool:
    """Whether the keyring took it, and gives it back: some back ends take all and keep nothing."""
    keyring = _keyring()
    if keyring is None:
        return False
    try:
        keyring.set_password(SERVICE, url, token)
        return bool(keyring.get_password(SERVICE, url) == token)
    except (keyring.errors.KeyringError, OSError, RuntimeError):
        return False


def _out_of_keyring(url: str) -> bool:
    """Whether the keyring has nothing for the server any more."""
    keyring = _keyring()
    if keyring is None:
        return False
    try:
        if keyring.get_password(SERVICE, url) is not None:
            keyring.delete_password(SERVICE, url)
    except (keyring.errors.KeyringError, OSError, RuntimeError):
        return False
    return True
