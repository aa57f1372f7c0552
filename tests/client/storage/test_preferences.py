from __future__ import annotations

import json
import os
import stat
import sys
from pathlib import Path

import pytest

from broadcast_tui.client.storage.preferences import FILE_NAME, SERVERS_MAX, Preferences, SavedRooms
from broadcast_tui.private_file import sole_writer


def test_first_run_creates_a_permanent_id(tmp_path: Path) -> None:
    first = Preferences.load(tmp_path / "state")
    again = Preferences.load(tmp_path / "state")
    assert len(first.client_id) >= 16
    assert again.client_id == first.client_id
    assert again.notice == ""


def test_name_and_theme_are_saved(tmp_path: Path) -> None:
    preferences = Preferences.load(tmp_path)
    preferences.name = "ana"
    preferences.theme = "nord"
    assert preferences.save()
    again = Preferences.load(tmp_path)
    assert (again.name, again.theme) == ("ana", "nord")


def test_notification_levels_are_saved_by_server_and_room(tmp_path: Path) -> None:
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
def test_invalid_notification_levels_are_skipped(tmp_path: Path, levels: object) -> None:
    (tmp_path / FILE_NAME).write_text(json.dumps({"levels": levels, "client_id": "c", "name": "ana"}))
    preferences = Preferences.load(tmp_path)
    assert (preferences.levels, preferences.name, preferences.notice) == ({}, "ana", "")


def test_ignore_list_is_saved_by_server(tmp_path: Path) -> None:
    preferences = Preferences.load(tmp_path)
    preferences.set_ignored("ws://a:1", {"bob": None, "eve": 1_900_000_000.5})
    preferences.set_ignored("ws://b:1", {"bob": None})
    preferences.set_ignored("ws://b:1", {})
    assert preferences.save()
    assert Preferences.load(tmp_path).ignored == {"ws://a:1": {"bob": None, "eve": 1_900_000_000.5}}


@pytest.mark.parametrize(
    "ignored",
    [7, ["bob"], {"ws://a:1": ["bob"]}, {"ws://a:1": {"bob": "x", "e\x1b": None, "eve": True, "x": 1e300}}],
)
def test_invalid_ignore_entries_are_skipped(tmp_path: Path, ignored: object) -> None:
    (tmp_path / FILE_NAME).write_text(json.dumps({"ignored": ignored, "client_id": "c", "name": "ana"}))
    preferences = Preferences.load(tmp_path)
    assert (preferences.ignored, preferences.name, preferences.notice) == ({}, "ana", "")


@pytest.mark.skipif(os.name != "posix", reason="modes are of POSIX")
def test_file_is_private(tmp_path: Path) -> None:
    path = Preferences.load(tmp_path).path
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert {entry.name for entry in tmp_path.iterdir()} == {FILE_NAME, f".{FILE_NAME}.lock"}


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe", b"[1]", b"[" * 100_000, b'"x"', b""])
def test_corrupt_file_is_ignored_with_a_notice(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE_NAME).write_bytes(content)
    preferences = Preferences.load(tmp_path)
    assert preferences.name == ""
    assert "Ignored" in preferences.notice
    assert Preferences.load(tmp_path).notice == ""


def test_invalid_values_are_skipped(tmp_path: Path) -> None:
    content = {"name": "a\x1b[31m", "theme": ["nord"], "client_id": 7}
    (tmp_path / FILE_NAME).write_text(json.dumps(content))
    preferences = Preferences.load(tmp_path)
    assert (preferences.name, preferences.theme) == ("", "")
    assert preferences.client_id.isalnum()


def test_uncreatable_directory_is_a_notice(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    preferences = Preferences.load(tmp_path / "file" / "state")
    assert "cannot write" in preferences.notice
    assert preferences.client_id


def test_rooms_are_saved_by_server(tmp_path: Path) -> None:
    preferences = Preferences.load(tmp_path)
    preferences.set_rooms("ws://a:1", ("lobby", "dev"), "dev")
    preferences.set_rooms("ws://b:1", ("ops",), "gone")
    assert preferences.save()
    loaded = Preferences.load(tmp_path)
    assert loaded.rooms == {
        "ws://a:1": SavedRooms(("lobby", "dev"), "dev"),
        "ws://b:1": SavedRooms(("ops",), "ops"),
    }


def test_requested_room_is_added_to_saved_rooms(tmp_path: Path) -> None:
    preferences = Preferences.load(tmp_path)
    assert preferences.rooms_on("ws://a:1") == SavedRooms(("lobby",), "lobby")
    assert preferences.rooms_on("ws://a:1", "dev") == SavedRooms(("dev",), "dev")
    preferences.set_rooms("ws://a:1", ("lobby", "dev"), "dev")
    assert preferences.rooms_on("ws://a:1") == SavedRooms(("lobby", "dev"), "dev")
    assert preferences.rooms_on("ws://a:1", "lobby") == SavedRooms(("lobby", "dev"), "lobby")
    assert preferences.rooms_on("ws://a:1", "ops") == SavedRooms(("lobby", "dev", "ops"), "ops")


@pytest.mark.parametrize(
    "rooms",
    [
        7,
        [],
        {"ws://a:1": 7},
        {"ws://a:1": {"joined": "lobby"}},
        {"ws://a:1": {"joined": [7, None, "", "a b", "x\u001b", "#"]}},
        {"x\u001b": {"joined": ["lobby"]}},
        {"x" * 600: {"joined": ["lobby"]}},
    ],
)
def test_invalid_rooms_are_skipped(tmp_path: Path, rooms: object) -> None:
    (tmp_path / FILE_NAME).write_text(json.dumps({"name": "ana", "client_id": "1", "rooms": rooms}))
    loaded = Preferences.load(tmp_path)
    assert (loaded.name, loaded.rooms) == ("ana", {})


def test_valid_rooms_among_invalid_ones_are_kept(tmp_path: Path) -> None:
    many = [f"r{n}" for n in range(99)]
    saved = {"ws://a:1": {"joined": ["Dev", "dev", 7, "#ops"], "shown": 9}, "ws://b:1": {"joined": many}}
    (tmp_path / FILE_NAME).write_text(json.dumps({"client_id": "1", "rooms": saved}))
    loaded = Preferences.load(tmp_path)
    assert loaded.rooms["ws://a:1"] == SavedRooms(("dev", "ops"), "dev")
    assert len(loaded.rooms["ws://b:1"].joined) == 32


def test_two_chats_with_one_file_merge_their_changes(tmp_path: Path) -> None:
    first, second = Preferences.load(tmp_path), Preferences.load(tmp_path)
    first.set_ignored("ws://a:1", {"bob": None})
    first.set_level("ws://a:1", "dev", "off")
    first.set_rooms("ws://a:1", ("lobby", "dev"), "dev")
    first.name = "ana"
    assert first.save()
    second.set_ignored("ws://a:1", {"eve": None})
    second.set_level("ws://a:1", "ops", "all")
    second.set_rooms("ws://a:1", ("lobby", "ops"), "lobby")
    second.theme = "nord"
    assert second.save()
    first.set_ignored("ws://a:1", {})
    first.set_rooms("ws://b:1", ("lobby",), "lobby")
    assert first.save()
    again = Preferences.load(tmp_path)
    assert again.ignored == {"ws://a:1": {"eve": None}}
    assert again.levels_at("ws://a:1") == {"dev": "off", "ops": "all"}
    assert again.rooms["ws://a:1"] == SavedRooms(("lobby", "dev", "ops"), "lobby")
    assert list(again.rooms) == ["ws://a:1", "ws://b:1"]
    assert (again.name, again.theme) == ("ana", "nord")
    assert again.client_id == first.client_id == second.client_id


def test_chats_that_start_together_get_the_same_id(tmp_path: Path) -> None:
    first, second = Preferences(tmp_path / FILE_NAME), Preferences(tmp_path / FILE_NAME)
    assert first.client_id != second.client_id
    assert first.save()
    assert second.save()
    assert first.client_id == second.client_id


def test_a_file_that_vanished_is_written_in_full(tmp_path: Path) -> None:
    preferences = Preferences.load(tmp_path)
    preferences.set_ignored("ws://a:1", {"bob": None})
    assert preferences.save()
    (tmp_path / FILE_NAME).unlink()
    preferences.theme = "nord"
    assert preferences.save()
    assert Preferences.load(tmp_path).ignored == {"ws://a:1": {"bob": None}}


def test_saved_servers_of_two_chats_are_bounded(tmp_path: Path) -> None:
    first, second = Preferences.load(tmp_path), Preferences.load(tmp_path)
    for number in range(SERVERS_MAX):
        first.set_rooms(f"ws://a:{number}", ("lobby",), "lobby")
        second.set_rooms(f"ws://b:{number}", ("lobby",), "lobby")
    assert first.save()
    assert second.save()
    saved = json.loads((tmp_path / FILE_NAME).read_text())
    assert list(saved["rooms"]) == [f"ws://b:{number}" for number in range(SERVERS_MAX)]


@pytest.mark.skipif(sys.platform == "win32", reason="needs flock")
def test_a_process_that_holds_the_lock_delays_a_save_only_briefly(tmp_path: Path) -> None:
    preferences = Preferences.load(tmp_path)
    preferences.theme = "nord"
    with sole_writer(preferences.path):
        assert not preferences.save()
        assert "another process is writing it" in preferences.notice
    assert preferences.save()
    assert Preferences.load(tmp_path).theme == "nord"


def test_the_choice_to_show_reactions_is_saved_and_taken_back(tmp_path: Path) -> None:
    for shown in (True, False, True):
        preferences = Preferences.load(tmp_path)
        preferences.reactions = shown
        assert preferences.save()
        assert Preferences.load(tmp_path).reactions is shown


def test_emoji_are_saved_in_order_and_bounded(tmp_path: Path) -> None:
    preferences = Preferences.load(tmp_path)
    preferences.emoji = ("🎉", "👍", *map(str, range(40)))
    assert preferences.save()
    assert Preferences.load(tmp_path).emoji[:3] == ("🎉", "👍", "0")
    assert len(Preferences.load(tmp_path).emoji) == 20
    file = preferences.path
    file.write_text(file.read_text("utf-8").replace('"0"', '7, {}, "' + 99 * "x" + '"'), "utf-8")
    assert Preferences.load(tmp_path).emoji[:3] == ("🎉", "👍", "1")


def test_servers_are_saved_in_order_and_each_chat_removes_only_its_own(tmp_path: Path) -> None:
    first = Preferences.load(tmp_path)
    first.servers = ("ws://b:1", "ws://a:1")
    assert first.save()
    second = Preferences.load(tmp_path)
    assert second.servers == ("ws://b:1", "ws://a:1")
    second.servers = ("ws://a:1",)
    assert second.save()
    first.servers = (*first.servers, "ws://c:1")
    assert first.save()
    assert Preferences.load(tmp_path).servers == ("ws://a:1", "ws://c:1")
