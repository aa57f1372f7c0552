"""Reloading of tokens and hooks: what the log says."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from broadcast_tui.core.hub.auth import Role
from broadcast_tui.server.secret_reload import SecretReloader
from broadcast_tui.server.token_store import TokenStore


def test_a_reload_without_secrets_before_and_after_is_not_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    operator, store = TokenStore(tmp_path / "tokens.json"), TokenStore(tmp_path / "tokens.json")
    reloader = SecretReloader(store, "token")
    reloader.load()
    reloader.reload()
    assert caplog.messages == []
    operator.create("ana", Role.MEMBER, None)
    reloader.reload()
    operator.revoke("ana")
    reloader.reload()
    reloader.reload()
    assert caplog.messages == ["reloaded 1 token(s)", "reloaded 0 token(s)"]
