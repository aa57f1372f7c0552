"""Stored hooks: digests only, in a private file beside the tokens, reloaded after a change."""

from __future__ import annotations

import stat
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from broadcast_tui.core.clock import Instant
from broadcast_tui.core.errors import InvalidNameError, RequestError
from broadcast_tui.core.hub.auth import Identity, Role
from broadcast_tui.core.redaction import redact
from broadcast_tui.server.auth import TokenAuthenticator
from broadcast_tui.server.hook_store import HOOK_PREFIX, HookFileError, HookStore
from broadcast_tui.server.token_store import TokenStore

NOW = datetime.now(UTC)
WHEN = Instant(0.0, NOW)


@pytest.fixture
def hooks(tmp_path: Path) -> HookStore:
    made = HookStore(tmp_path / "data" / "tokens.hooks.json")
    made.load()
    return made


def test_only_the_digest_is_stored_in_a_private_file(hooks: HookStore, tmp_path: Path) -> None:
    secret, entry = hooks.create("ci", "#Ops", None)
    path = tmp_path / "data" / "tokens.hooks.json"
    assert secret.startswith(HOOK_PREFIX)
    assert (entry.name, entry.room) == ("ci", "ops")
    assert secret.removeprefix(HOOK_PREFIX) not in path.read_text("utf-8")
    assert entry.sha256 in path.read_text("utf-8")
    if sys.platform != "win32":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_secret_is_redacted_also_in_a_path() -> None:
    secret = f"{HOOK_PREFIX}{'x' * 43}"
    assert "xxx" not in redact(f"POST {secret}")
    assert redact("POST /hooks/abc%5Fdef?x=1 HTTP/1.1") == "POST /hooks/…?x=1 HTTP/1.1"


def test_a_hook_is_found_until_it_is_revoked_or_expires(hooks: HookStore, tmp_path: Path) -> None:
    reader = HookStore(tmp_path / "data" / "tokens.hooks.json")
    reader.load()
    secret, entry = hooks.create("ci", "ops", NOW + timedelta(seconds=10))
    assert reader.has_changed()
    reader.load()
    assert reader.find_entry(secret, NOW) == entry
    assert reader.find_entry(secret, NOW + timedelta(seconds=10)) is None
    assert reader.find_entry(f"{secret}x", NOW) is None
    assert hooks.revoke("ci") == (entry,)
    assert hooks.revoke("ci") == ()
    reader.load()
    assert reader.find_entry(secret, NOW) is None


def test_names_and_rooms_are_checked(hooks: HookStore) -> None:
    hooks.create("Bob", "ops", None)
    hooks.create("Bob", "dev", None)
    with pytest.raises(InvalidNameError, match="looks like Bob"):
        hooks.create("B0b", "ops", None)
    with pytest.raises(RequestError):
        hooks.create("ci", "no room", None)
    with pytest.raises(RequestError):
        hooks.create("ci", "@direct", None)
    assert len(hooks.entries) == 2


def test_a_file_of_something_else_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "tokens.hooks.json"
    path.write_text('{"hooks": 3}', "utf-8")
    with pytest.raises(HookFileError, match="not a valid hook file"):
        HookStore(path).load()


def test_an_authenticator_knows_the_hooks_of_a_changed_file(hooks: HookStore, tmp_path: Path) -> None:
    authenticator = TokenAuthenticator(TokenStore(tmp_path / "tokens.json"), needs_token=False, hooks=hooks)
    authenticator.load()
    assert authenticator.hooks is not None
    secret, entry = HookStore(tmp_path / "data" / "tokens.hooks.json").create("ci", "ops", None)
    assert authenticator.hooks.find(secret, WHEN) == entry
    assert authenticator.is_reserved("ci")
    assert authenticator.is_valid(entry.identity, WHEN)
    assert not authenticator.is_valid(Identity(entry.id, "ci", Role.MEMBER), WHEN)
    authenticator.refresh(NOW)
    HookStore(tmp_path / "data" / "tokens.hooks.json").revoke(entry.id)
    assert authenticator.refresh(NOW)
    assert not authenticator.is_valid(entry.identity, WHEN)
    assert not authenticator.is_reserved("ci")


def test_unknown_secrets_are_throttled_by_address(hooks: HookStore, tmp_path: Path) -> None:
    authenticator = TokenAuthenticator(TokenStore(tmp_path / "tokens.json"), needs_token=False, hooks=hooks)
    assert authenticator.hooks is not None
    waits = [authenticator.hooks.record_failure("192.0.2.7:1234", WHEN) for _ in range(20)]
    assert waits[0] == 0
    assert waits[-1] > 0
    assert authenticator.hooks.record_failure("192.0.2.8:1234", WHEN) == 0
