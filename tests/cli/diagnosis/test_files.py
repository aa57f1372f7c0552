"""`doctor` and files: configuration, directories, secrets, saved state, histories."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from broadcast_tui.cli.diagnosis import Status
from broadcast_tui.cli.diagnosis.files import (
    check_configuration,
    check_directory,
    check_histories,
    check_json,
    check_secrets,
    size_text,
)
from broadcast_tui.core.errors import BroadcastError
from broadcast_tui.engine.sqlite_schema import find_fault, open_file


def test_configuration(tmp_path: Path) -> None:
    def fail() -> None:
        raise BroadcastError("config.toml: [chat] has no option 'nmae'.")

    good = check_configuration(tmp_path / "config.toml", lambda: None)
    assert (good.status, "all defaults" in good.text) == (Status.OK, True)
    bad = check_configuration(tmp_path / "config.toml", fail)
    assert (bad.status, "nmae" in bad.text, "config.toml" in bad.advice) == (Status.FAILED, True, True)


def free(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=count))


@pytest.mark.parametrize(
    ("count", "status"),
    [(200_000_000, Status.OK), (99_000_000, Status.WARNING), (100_000, Status.FAILED)],
)
def test_free_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int, status: Status) -> None:
    free(monkeypatch, count)
    [check] = check_directory("state", "Saved state", tmp_path / "new" / "one")
    assert check.status is status
    assert not (tmp_path / "new").exists()


def test_a_directory_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda *_: False)
    [check] = check_directory("data", "Data of servers", tmp_path)
    assert (check.status, "ls -ld" in check.advice) == (Status.FAILED, True)
    monkeypatch.undo()
    (tmp_path / "file").write_text("")
    [check] = check_directory("data", "Data of servers", tmp_path / "file")
    assert check.status is Status.FAILED


def test_secrets(tmp_path: Path) -> None:
    [none] = check_secrets([tmp_path, tmp_path])
    assert none.status is Status.OK
    for name, mode in (("tokens.json", 0o644), ("credentials.json", 0o600), ("history.db", 0o644)):
        (tmp_path / name).write_text("{}")
        (tmp_path / name).chmod(mode)
    [exposed] = check_secrets([tmp_path, tmp_path])
    assert (exposed.status, exposed.advice) == (Status.WARNING, f"Run: chmod 600 {tmp_path / 'tokens.json'}")
    (tmp_path / "tokens.json").chmod(0o600)
    [private] = check_secrets([tmp_path])
    assert private.status is Status.OK


def test_damaged_files_are_named_without_their_content(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text("{}")
    [good] = check_json([tmp_path])
    assert good.status is Status.OK
    (tmp_path / "credentials.json").write_text('{"token": "hunter2')
    [bad] = check_json([tmp_path])
    assert (bad.status, "credentials.json" in bad.text) == (Status.WARNING, True)
    assert "hunter2" not in bad.text + bad.advice


def make_history(path: Path) -> Path:
    connection, lock = open_file(path)
    connection.execute("INSERT OR REPLACE INTO meta VALUES ('epoch', 'e1')")
    connection.close()
    lock.release()
    return path


def test_histories(tmp_path: Path) -> None:
    [none] = check_histories(tmp_path, None)
    assert none.status is Status.SKIPPED
    first = make_history(tmp_path / "history-1.db")
    before = first.read_bytes()
    [one] = check_histories(tmp_path, None)
    assert (one.status, "is intact" in one.text) == (Status.OK, True)
    make_history(tmp_path / "history-2.db")
    (tmp_path / "history-3.db").write_bytes(b"no database" * 100)
    bad, rest = check_histories(tmp_path, None)
    assert (bad.status, "history-3.db" in bad.text) == (Status.FAILED, True)
    assert rest.text.startswith("2 of 3 histories")
    assert first.read_bytes() == before
    [given] = check_histories(tmp_path, tmp_path / "history-1.db")
    assert given.status is Status.OK
    [missing] = check_histories(tmp_path, tmp_path / "no.db")
    assert missing.status is Status.FAILED


def test_a_damaged_history(tmp_path: Path) -> None:
    path = make_history(tmp_path / "history-1.db")
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xff" * (len(data) - 4096)
    path.write_bytes(bytes(data))
    [check] = check_histories(tmp_path, None)
    assert (check.status, "damaged" in check.text) == (Status.FAILED, True)


def test_a_check_that_takes_too_long_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broadcast_tui.engine.sqlite_schema.CHECK_STEPS", 1)
    path = make_history(tmp_path / "history-1.db")
    with pytest.raises(TimeoutError):
        find_fault(path, -1.0)
    [check] = check_histories(tmp_path, path, limit_s=-1.0)
    assert (check.status, "not checked to the end" in check.text) == (Status.SKIPPED, True)


@pytest.mark.parametrize(
    ("size", "text"),
    [(800, "1 kB"), (312_000, "312 kB"), (4_210_000, "4.2 MB"), (120_000_000_000, "120.0 GB")],
)
def test_sizes(size: int, text: str) -> None:
    assert size_text(size) == text
