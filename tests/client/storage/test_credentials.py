"""Saved credentials: in the keyring if there is one, otherwise in a private file."""

from __future__ import annotations

import stat
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from broadcast_tui.client.storage import credentials as module
from broadcast_tui.client.storage.credentials import Credentials, PendingCredentials

URL, OTHER = "wss://chat.example.org:8765", "ws://chat.example.org:8765"
TOKEN = "bt_" + "k" * 43
PIN = "sha256:" + "A" * 43


class KeyringError(Exception):
    pass


class Ring:
    """A keyring for tests; `broken` raises, `forgetful` stores nothing."""

    def __init__(self, *, broken: bool = False, forgetful: bool = False) -> None:
        self.kept: dict[tuple[str, str], str] = {}
        self.errors = SimpleNamespace(KeyringError=KeyringError)
        self._broken = broken
        self._forgetful = forgetful

    def set_password(self, service: str, user: str, password: str) -> None:
        if self._broken:
            raise KeyringError
        if not self._forgetful:
            self.kept[service, user] = password

    def delete_password(self, service: str, user: str) -> None:
        del self.kept[service, user]

    def get_password(self, service: str, user: str) -> str | None:
        return self.kept.get((service, user))


def use(monkeypatch: pytest.MonkeyPatch, ring: Ring | None) -> None:
    monkeypatch.setattr(module, "_keyring", lambda: ring)


def test_token_is_in_a_private_file_without_a_keyring(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, None)
    kept = Credentials(tmp_path / "state")
    message = kept.save_token(URL, TOKEN)
    assert str(kept.path) in message
    assert TOKEN not in message
    assert Credentials(tmp_path / "state").token(URL) == TOKEN
    assert kept.token(OTHER) == "", "a token for TLS is never shown without it"
    if sys.platform != "win32":
        assert stat.S_IMODE(kept.path.stat().st_mode) == 0o600


def test_token_is_in_the_keyring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, Ring())
    kept = Credentials(tmp_path)
    assert "keyring" in kept.save_token(URL, TOKEN)
    assert TOKEN not in kept.path.read_text()
    assert Credentials(tmp_path).token(URL) == TOKEN
    use(monkeypatch, None)
    assert kept.token(URL) == ""


@pytest.mark.parametrize("ring", [Ring(broken=True), Ring(forgetful=True)], ids=["broken", "forgetful"])
def test_keyring_that_stores_nothing_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ring: Ring
) -> None:
    use(monkeypatch, ring)
    kept = Credentials(tmp_path)
    assert str(kept.path) in kept.save_token(URL, TOKEN)
    assert kept.token(URL) == TOKEN


def test_pending_credentials_are_saved_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, None)
    kept = Credentials(tmp_path)
    pending = PendingCredentials(kept, URL, TOKEN, PIN)
    assert TOKEN not in repr(pending)
    assert pending.has_any
    assert pending.save()
    assert not pending.has_any
    assert (kept.token(URL), kept.pin(URL)) == (TOKEN, PIN)
    assert PendingCredentials(kept, OTHER, "", PIN).save() == "", "a fingerprint is no news"
    assert kept.token(URL) == TOKEN


@pytest.mark.parametrize("ring", [None, Ring()], ids=["file", "keyring"])
def test_credentials_can_be_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ring: Ring | None
) -> None:
    use(monkeypatch, ring)
    kept = Credentials(tmp_path)
    for url in (URL, OTHER):
        PendingCredentials(kept, url, TOKEN, PIN).save()
    assert kept.forget(URL) == (True, "")
    assert (kept.token(URL), kept.pin(URL)) == ("", "")
    assert (kept.token(OTHER), kept.pin(OTHER)) == (TOKEN, PIN)
    assert kept.forget(URL) == (False, "")
    assert ring is None or len(ring.kept) == 1


@pytest.mark.parametrize(
    "content", ["", "nonsense", "[]", '{"wss://chat.example.org:8765": 1}', '{"a": {"token": 1}}']
)
def test_file_with_other_content_counts_as_missing(tmp_path: Path, content: str) -> None:
    kept = Credentials(tmp_path)
    kept.path.write_text(content)
    assert (kept.token(URL), kept.pin(URL)) == ("", "")


def test_malformed_credentials_are_skipped(tmp_path: Path) -> None:
    kept = Credentials(tmp_path)
    kept.path.write_text(f'{{"{URL}": {{"token": "a b", "pin": "x"}}}}')
    assert (kept.token(URL), kept.pin(URL)) == ("", "")


def test_unwritable_directory_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    message = Credentials(tmp_path / "file" / "state").save_token(URL, TOKEN)
    assert "Cannot write" in message
    assert TOKEN not in message
