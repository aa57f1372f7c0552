from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from broadcast_tui.client.preferences import FILE_NAME, Preferences


def test_the_first_run_makes_an_id_that_stays(tmp_path: Path) -> None:
    first = Preferences.load(tmp_path / "state")
    again = Preferences.load(tmp_path / "state")
    assert len(first.client_id) >= 16
    assert again.client_id == first.client_id
    assert again.notice == ""


def test_name_and_theme_come_back(tmp_path: Path) -> None:
    preferences = Preferences.load(tmp_path)
    preferences.name = "ana"
    preferences.theme = "nord"
    assert preferences.save()
    again = Preferences.load(tmp_path)
    assert (again.name, again.theme) == ("ana", "nord")


def test_levels_of_notices_come_back_by_server_and_room(tmp_path: Path) -> None:
    preferences = Preferences.load(tmp_path)
    preferences.set_level("ws://a:1", "lobby", "off")
    preferences.set_level("ws://a:1", "lobby", "all")
    preferences.set_level("ws://a:12", "dev", "off")
    assert preferences.save()
    again = Preferences.load(tmp_path)
    assert again.levels_at("ws://a:1") == {"lobby": "all"}
    assert again.levels_at("ws://a:12") == {"dev": "off"}
    assert again.levels_at("ws://b:1") == {}


@pytest.mark.parametrize("levels", [7, ["all"], {"ws://a:1 #lobby": 7, "x\x1b": "all", "y": "a" * 99}])
def test_levels_of_other_types_are_left_out(tmp_path: Path, levels: object) -> None:
    (tmp_path / FILE_NAME).write_text(json.dumps({"levels": levels, "client_id": "c", "name": "ana"}))
    preferences = Preferences.load(tmp_path)
    assert (preferences.levels, preferences.name, preferences.notice) == ({}, "ana", "")


@pytest.mark.skipif(os.name != "posix", reason="modes are of POSIX")
def test_the_file_is_for_the_user_alone(tmp_path: Path) -> None:
    path = Preferences.load(tmp_path).path
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == [FILE_NAME]


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe", b"[1]", b"[" * 100_000, b'"x"', b""])
def test_a_corrupt_file_is_ignored_with_a_notice(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE_NAME).write_bytes(content)
    preferences = Preferences.load(tmp_path)
    assert preferences.name == ""
    assert "Ignoring" in preferences.notice
    assert Preferences.load(tmp_path).notice == ""


def test_values_of_other_types_or_with_controls_are_left_out(tmp_path: Path) -> None:
    content = {"name": "a\x1b[31m", "theme": ["nord"], "client_id": 7}
    (tmp_path / FILE_NAME).write_text(json.dumps(content))
    preferences = Preferences.load(tmp_path)
    assert (preferences.name, preferences.theme) == ("", "")
    assert preferences.client_id.isalnum()


def test_a_directory_that_cannot_be_made_is_a_notice(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    preferences = Preferences.load(tmp_path / "file" / "state")
    assert "cannot" in preferences.notice
    assert preferences.client_id
