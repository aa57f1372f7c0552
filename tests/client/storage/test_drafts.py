from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from broadcast_tui.client.storage.drafts import FILE_NAME, ROOMS_MAX, SERVERS_MAX, TEXT_MAX, DraftFile

URL = "ws://localhost:8765"


def test_drafts_are_saved_per_server(tmp_path: Path) -> None:
    drafts = {"lobby": "Hello\nthere", "dev": "\ud800 🐙"}
    assert DraftFile(URL, tmp_path / "state").load() == {}
    assert DraftFile(URL, tmp_path / "state").save(drafts)
    assert DraftFile(URL, tmp_path / "state").load() == drafts
    assert DraftFile("ws://other:8765", tmp_path / "state").load() == {}


@pytest.mark.skipif(os.name != "posix", reason="modes are of POSIX")
def test_file_is_private(tmp_path: Path) -> None:
    DraftFile(URL, tmp_path).save({"lobby": "Hello"})
    assert stat.S_IMODE((tmp_path / FILE_NAME).stat().st_mode) == 0o600
    assert {entry.name for entry in tmp_path.iterdir()} == {FILE_NAME, f".{FILE_NAME}.lock"}


def test_without_a_draft_no_file_is_written(tmp_path: Path) -> None:
    file = DraftFile(URL, tmp_path)
    file.load()
    assert file.save({})
    assert not any(tmp_path.iterdir())


def test_a_sent_draft_is_removed(tmp_path: Path) -> None:
    file = DraftFile(URL, tmp_path)
    file.save({"lobby": "Hello", "dev": "Bye"})
    file.save({"dev": "Bye", "ops": "  "})
    assert DraftFile(URL, tmp_path).load() == {"dev": "Bye"}


def test_two_chats_keep_each_others_drafts(tmp_path: Path) -> None:
    DraftFile(URL, tmp_path).save({"lobby": "Hello", "dev": "Bye"})
    one, other = DraftFile(URL, tmp_path), DraftFile(URL, tmp_path)
    one.load(), other.load()
    one.save({"dev": "Bye", "ops": "New"})
    other.save({"lobby": "Hello", "dev": "Bye, all"})
    assert DraftFile(URL, tmp_path).load() == {"dev": "Bye, all", "ops": "New"}


def test_the_file_is_bounded(tmp_path: Path) -> None:
    DraftFile(URL, tmp_path).save({f"r{number}": "x" for number in range(ROOMS_MAX + 5)} | {"lobby": "x"})
    assert len(DraftFile(URL, tmp_path).load()) == ROOMS_MAX
    assert "lobby" in DraftFile(URL, tmp_path).load()
    for number in range(SERVERS_MAX):
        DraftFile(f"ws://server{number}:1", tmp_path).save({"lobby": "x"})
    assert DraftFile(URL, tmp_path).load() == {}
    file = DraftFile(URL, tmp_path)
    file.save({"lobby": "x" * (TEXT_MAX + 1)})
    assert DraftFile(URL, tmp_path).load() == {}


@pytest.mark.parametrize("content", ["", "[1]", "{", '{"ws://localhost:8765": 5}', "\x00"])
def test_a_damaged_file_is_ignored_and_replaced(tmp_path: Path, content: str) -> None:
    (tmp_path / FILE_NAME).write_text(content)
    assert DraftFile(URL, tmp_path).load() == {}
    assert DraftFile(URL, tmp_path).save({"lobby": "Hello"})
    assert DraftFile(URL, tmp_path).load() == {"lobby": "Hello"}


def test_a_damaged_entry_is_skipped(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text(f'{{"{URL}": {{"lobby": "Hello", "dev": 5, "ops": " "}}}}')
    assert DraftFile(URL, tmp_path).load() == {"lobby": "Hello"}


def test_a_directory_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert not DraftFile(URL, tmp_path / "file" / "state").save({"lobby": "Hello"})
