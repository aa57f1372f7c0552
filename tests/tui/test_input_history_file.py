from __future__ import annotations

import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcast_tui.tui.input_history_file import ENTRY_MAX, FILE_BYTES, FILE_NAME, InputHistoryFile
from broadcast_tui.tui.model.input.history import HISTORY_LIMIT, Entry


def entries(count: int, size: int = 1) -> list[Entry]:
    return [Entry("lobby", f"{number} " + "x" * size) for number in range(count)]


def written(directory: Path, items: list[Entry]) -> InputHistoryFile:
    file = InputHistoryFile(directory)
    for item in items:
        file.append(item)
    return file


def test_saved_entries_are_loaded_in_order(tmp_path: Path) -> None:
    items = [Entry("lobby", "one"), Entry("ops", "two\nlines"), Entry("lobby", "é😄")]
    written(tmp_path / "new" / "state", items)
    assert InputHistoryFile(tmp_path / "new" / "state").load() == items


def test_a_missing_file_is_an_empty_history(tmp_path: Path) -> None:
    file = InputHistoryFile(tmp_path / "none")
    assert file.load() == []
    assert file.notice == ""
    assert not (tmp_path / "none").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="modes are those of POSIX")
def test_only_the_user_can_read_the_file(tmp_path: Path) -> None:
    file = written(tmp_path / "state", entries(1))
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.path.parent.stat().st_mode) == 0o700
    file.path.chmod(0o644)
    file.load()
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    written(tmp_path / "state", entries(2 * HISTORY_LIMIT + 1)).load()
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600


def test_only_the_newest_are_loaded_and_the_file_is_shortened(tmp_path: Path) -> None:
    items = entries(2 * HISTORY_LIMIT + 2)
    file = written(tmp_path, items)
    assert file.load() == items[-HISTORY_LIMIT:]
    assert file.path.read_bytes().count(b"\n") == HISTORY_LIMIT
    assert file.load() == items[-HISTORY_LIMIT:]
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]


def test_long_entries_do_not_exceed_the_file_limit(tmp_path: Path) -> None:
    file = written(tmp_path, entries(150, ENTRY_MAX - 10))
    file.append(Entry("lobby", "x" * (ENTRY_MAX + 1)))
    loaded = file.load()
    assert file.path.stat().st_size <= FILE_BYTES
    assert loaded[-1].text.startswith("149 ")


def test_only_damaged_lines_are_skipped(tmp_path: Path) -> None:
    good = [Entry("lobby", "one"), Entry("lobby", "two")]
    file = written(tmp_path, good[:1])
    with file.path.open("ab") as damage:
        damage.write(
            b"\xff\xfe\n{\n[]\n7\n" + json.dumps({"room": 1, "text": "x"}).encode() + b"\n" + b"[" * 9999
        )
        damage.write(b'\n{"room": "lobby", "text": " "}\n')
    file.append(good[1])
    assert file.load() == good


def test_a_line_truncated_by_a_crash_does_not_damage_others(tmp_path: Path) -> None:
    file = written(tmp_path, entries(2))
    file.path.write_bytes(file.path.read_bytes()[:-5])
    assert file.load() == entries(1)
    file.append(entries(2)[1])
    assert file.load() == entries(2)


def test_foreign_content_is_sanitized(tmp_path: Path) -> None:
    file = written(tmp_path, [Entry("a\x1b\nb", "x\x1b[31m\x9b\u202e")])
    assert file.load() == [Entry("a␛ b", "x␛[31m��")]


def test_a_write_error_is_one_notice(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    file = written(tmp_path / "state", entries(2))
    assert "Cannot write" in file.notice
    assert "\n" not in file.notice


def test_a_directory_with_the_name_of_the_file_is_one_notice(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).mkdir()
    file = InputHistoryFile(tmp_path)
    assert file.load() == []
    assert "Cannot read" in file.notice
    file.append(Entry("lobby", "x"))
    assert "Cannot write" in file.notice
    assert "\n" not in file.notice


ADD_MANY = """
import sys
from pathlib import Path
from broadcast_tui.tui.input_history_file import InputHistoryFile
from broadcast_tui.tui.model.input.history import Entry
who, count = sys.argv[2], int(sys.argv[3])
for number in range(count):
    file = InputHistoryFile(Path(sys.argv[1]))
    file.append(Entry(who, f"{number} " + "x" * 900))
    if number % 20 == 0:
        file.load()
"""


def test_concurrent_chats_lose_no_entries(tmp_path: Path) -> None:
    count = 400
    # The size makes both of them shorten it again and again while the other one adds.
    written(tmp_path, entries(2 * HISTORY_LIMIT + 1, 900))
    both = [
        subprocess.Popen([sys.executable, "-c", ADD_MANY, str(tmp_path), who, str(count)])
        for who in ("a", "b")
    ]
    assert [process.wait(60) for process in both] == [0, 0]
    loaded = InputHistoryFile(tmp_path).load()
    for who in ("a", "b"):
        texts = [int(entry.text.split()[0]) for entry in loaded if entry.room == who]
        assert texts == list(range(count))


@given(st.lists(st.tuples(st.text(max_size=5), st.text(min_size=1, max_size=20)), max_size=5))
def test_any_text_is_loaded_sanitized(
    tmp_path_factory: pytest.TempPathFactory, items: list[tuple[str, str]]
) -> None:
    file = written(tmp_path_factory.mktemp("state"), [Entry(room, text) for room, text in items])
    loaded = file.load()
    assert file.notice == ""
    assert len(loaded) == sum(bool(text.strip()) for _, text in items)


def test_the_server_of_an_entry_is_saved(tmp_path: Path) -> None:
    file = InputHistoryFile(tmp_path)
    entries = [Entry("lobby", "a", "ws://home:1"), Entry("lobby", "b")]
    for entry in entries:
        file.append(entry)
    with file.path.open("a") as lines:
        lines.write('{"room": "lobby", "text": "c", "server": 7}\n')
    assert InputHistoryFile(tmp_path).load() == [*entries, Entry("lobby", "c")]
