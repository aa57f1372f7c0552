from __future__ import annotations

import json
import os
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from broadcast_tui.client.storage.bookmarks import FILE_NAME, ROOMS_MAX, SERVERS_MAX, Bookmarks
from broadcast_tui.core.post import ROOM_BEGIN, Bookmark, Position

NOON = datetime(2025, 8, 30, 12, tzinfo=UTC)
URL = "ws://localhost:8765"


def mark(seq: int, epoch: str = "k3f9", minutes: int = 0) -> Bookmark:
    return Bookmark(Position(epoch, seq), NOON + timedelta(minutes=minutes))


def test_bookmarks_are_saved(tmp_path: Path) -> None:
    marks = {"lobby": mark(7), "dev": Bookmark(ROOM_BEGIN, NOON)}
    assert Bookmarks(URL, tmp_path / "state").load() == {}
    assert Bookmarks(URL, tmp_path / "state").save(marks)
    assert Bookmarks(URL, tmp_path / "state").load() == marks
    assert Bookmarks("ws://other:8765", tmp_path / "state").load() == {}


@pytest.mark.skipif(os.name != "posix", reason="modes are of POSIX")
def test_file_is_private(tmp_path: Path) -> None:
    Bookmarks(URL, tmp_path).save({"lobby": mark(7)})
    assert stat.S_IMODE((tmp_path / FILE_NAME).stat().st_mode) == 0o600
    assert {entry.name for entry in tmp_path.iterdir()} == {FILE_NAME, f".{FILE_NAME}.lock"}


def test_unchanged_bookmarks_are_written_at_the_end_only(tmp_path: Path) -> None:
    kept = Bookmarks(URL, tmp_path)
    kept.save({"lobby": mark(7)})
    (tmp_path / FILE_NAME).unlink()
    kept.save({"lobby": mark(7, minutes=5)})
    assert not (tmp_path / FILE_NAME).exists()
    kept.close({"lobby": mark(7, minutes=5)})
    assert Bookmarks(URL, tmp_path).load() == {"lobby": mark(7, minutes=5)}
    kept.save({"lobby": mark(8)})
    assert Bookmarks(URL, tmp_path).load() == {"lobby": mark(8)}


def test_two_chats_keep_the_later_bookmark(tmp_path: Path) -> None:
    one, other = Bookmarks(URL, tmp_path), Bookmarks(URL, tmp_path)
    elsewhere = Bookmarks("ws://other:1", tmp_path)
    one.save({"lobby": mark(9), "dev": mark(2)})
    elsewhere.save({"lobby": mark(1)})
    other.save({"lobby": mark(7), "ops": mark(3)})
    assert one.load() == {"lobby": mark(9), "dev": mark(2), "ops": mark(3)}
    assert elsewhere.load() == {"lobby": mark(1)}
    other.save({"lobby": mark(1, epoch="new")})
    assert one.load()["lobby"] == mark(1, epoch="new")


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe", b"[1]", b"[" * 100_000, b'"x"', b"", b"null"])
def test_corrupt_file_counts_as_missing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE_NAME).write_bytes(content)
    kept = Bookmarks(URL, tmp_path)
    assert kept.load() == {}
    assert kept.save({"lobby": mark(1)})
    assert kept.load() == {"lobby": mark(1)}


@pytest.mark.parametrize(
    "value",
    [
        *(7, None, [], ["k3f9-7"], ["k3f9-7", "x"], ["k3f9-7", 1, 2], ["k3f9", 1], ["k3f9-x", 1], [7, 7]),
        *(["k3f9-7", -1], ["k3f9-7", 10**30], ["k3f9-7", 1.5], ["\x1b-7", 1], {"k": 1}),
    ],
)
def test_damaged_bookmark_does_not_affect_others(tmp_path: Path, value: object) -> None:
    content = {URL: {"lobby": value, "dev": ["k3f9-2", int(NOON.timestamp())], "x" * 999: ["k3f9-2", 1]}}
    (tmp_path / FILE_NAME).write_text(json.dumps({**content, "ws://bad": value}))
    assert Bookmarks(URL, tmp_path).load() == {"dev": mark(2)}
    assert Bookmarks(URL, tmp_path).save({"ops": mark(3)})
    assert Bookmarks(URL, tmp_path).load() == {"dev": mark(2), "ops": mark(3)}


def test_file_is_bounded(tmp_path: Path) -> None:
    for number in range(SERVERS_MAX + 3):
        Bookmarks(f"ws://{number}", tmp_path).save({"lobby": mark(1, minutes=number)})
    assert len(json.loads((tmp_path / FILE_NAME).read_text())) == SERVERS_MAX
    assert Bookmarks("ws://2", tmp_path).load() == {}
    assert Bookmarks("ws://3", tmp_path).load() != {}
    rooms = {f"room{number}": mark(1, minutes=number) for number in range(ROOMS_MAX + 2)}
    Bookmarks(URL, tmp_path).save(rooms)
    assert set(Bookmarks(URL, tmp_path).load()) == set(list(rooms)[2:])


def test_uncreatable_directory_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    assert not Bookmarks(URL, tmp_path / "file" / "state").save({"lobby": mark(1)})
    assert Bookmarks(URL, tmp_path / "file" / "state").save({})
