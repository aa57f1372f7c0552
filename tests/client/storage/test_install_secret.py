"""The secret of an installation."""

from __future__ import annotations

import json
import stat
import sys
from pathlib import Path

import pytest

from broadcast_tui.client.storage import install_secret, preferences
from broadcast_tui.client.storage.install_secret import load_secret
from broadcast_tui.client.storage.preferences import Preferences


def test_first_run_creates_a_secret_that_stays(tmp_path: Path) -> None:
    secret = load_secret(tmp_path / "state")
    assert len(secret) == 32
    assert load_secret(tmp_path / "state") == secret
    assert load_secret(tmp_path / "other") != secret


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_secret_is_private(tmp_path: Path) -> None:
    load_secret(tmp_path)
    assert stat.S_IMODE((tmp_path / install_secret.FILE_NAME).stat().st_mode) == 0o600


def test_secret_is_not_the_id_that_old_versions_sent(tmp_path: Path) -> None:
    old = "ab" * 16
    (tmp_path / preferences.FILE_NAME).write_text(json.dumps({"client_id": old}))
    assert load_secret(tmp_path) != old
    assert Preferences.load(tmp_path).client_id == old


@pytest.mark.parametrize("damage", [b"", b"\n", b"xyz", b"\xff" * 32, b"zz" * 16, b"ab" * 40])
def test_damaged_secret_is_replaced(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / install_secret.FILE_NAME).write_bytes(damage)
    secret = load_secret(tmp_path)
    assert secret.encode() != damage
    assert load_secret(tmp_path) == secret


def test_unwritable_directory_gives_a_secret_for_this_run(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    assert len(load_secret(tmp_path / "file" / "state")) == 32
