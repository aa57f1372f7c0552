"""Which servers `chat` connects to."""

from __future__ import annotations

from pathlib import Path

import pytest

from broadcast_tui.cli.chat_servers import chat_addresses
from broadcast_tui.cli.errors import UsageError
from broadcast_tui.client.storage.preferences import FILE_NAME, Preferences
from broadcast_tui.core.errors import BroadcastError

HOME, WORK = "ws://localhost:8765", "wss://work.example.org:8765"


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of the saved state."""
    monkeypatch.setattr("broadcast_tui.client.storage.preferences.state_dir", lambda: tmp_path)
    return tmp_path


def save(state: Path, *urls: str) -> None:
    preferences = Preferences.load(state)
    preferences.servers = urls
    assert preferences.save()


def urls(
    *given: str,
    host: str | None = None,
    port: int | None = None,
    room: str | None = None,
    restore: bool = True,
) -> list[str]:
    """The addresses with their rooms."""
    return [f"{each.url}/{each.room}" for each in chat_addresses(given, host, port, room, restore=restore)]


def test_the_default_is_this_machine() -> None:
    assert urls() == [f"{HOME}/lobby"]
    assert urls(host="h", port=1, room="dev") == ["ws://h:1/dev"]


def test_several_addresses_have_their_own_rooms_and_room_is_for_the_first() -> None:
    assert urls("localhost/ops", WORK) == [f"{HOME}/ops", f"{WORK}/lobby"]
    assert urls("localhost/ops", f"{WORK}/dev", room="new") == [f"{HOME}/new", f"{WORK}/dev"]


def test_an_address_that_is_given_twice_counts_once() -> None:
    assert urls(WORK, "localhost", WORK, f"{WORK}/dev") == [f"{WORK}/lobby", f"{HOME}/lobby"]


def test_saved_servers_are_restored_if_no_address_is_given(state: Path) -> None:
    save(state, WORK, HOME)
    assert urls() == [f"{WORK}/lobby", f"{HOME}/lobby"]
    assert urls(room="dev") == [f"{WORK}/dev", f"{HOME}/lobby"]
    assert urls("elsewhere") == ["ws://elsewhere:8765/lobby"]
    assert urls(WORK) == [f"{WORK}/lobby"]
    assert urls(restore=False) == [f"{HOME}/lobby"]


def test_a_host_restores_the_servers_only_if_it_is_one_of_them(state: Path) -> None:
    save(state, WORK, HOME)
    assert urls(host="localhost") == [f"{WORK}/lobby", f"{HOME}/lobby"]
    assert urls(host="elsewhere") == ["ws://elsewhere:8765/lobby"]
    assert urls(port=9000) == ["ws://localhost:9000/lobby"]


def test_unusable_saved_servers_are_skipped(state: Path) -> None:
    (state / FILE_NAME).write_text(
        '{"servers": ["ftp://x", "", 7, "ws://ok:1", "ws://ok:1"], "client_id": "c"}'
    )
    assert urls() == ["ws://ok:1/lobby"]
    (state / FILE_NAME).write_text('{"servers": "ws://ok:1"}')
    assert urls() == [f"{HOME}/lobby"]


def test_contradicting_or_malformed_addresses_are_errors() -> None:
    with pytest.raises(UsageError, match="either a URL or --host"):
        urls("localhost", host="x")
    with pytest.raises(UsageError, match="port 0"):
        urls("localhost", "work:0")
    with pytest.raises(BroadcastError, match="ftp"):
        urls("localhost", "ftp://x")
