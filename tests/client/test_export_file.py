from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from broadcast_tui.client.export_file import ExportFileError, check_target, write_lines
from broadcast_tui.private_file import write_private

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs file modes")


def test_a_file_is_written_privately(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    write_lines(file, ["é", "two"], force=False)
    assert file.read_bytes() == "é\ntwo\n".encode()
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [file]


def test_a_file_is_replaced_by_force_only(tmp_path: Path) -> None:
    file, link = tmp_path / "a.txt", tmp_path / "link.txt"
    file.write_text("old")
    link.symlink_to(file)
    with pytest.raises(ExportFileError) as caught:
        write_lines(file, ["new"], force=False)
    assert caught.value.exists
    assert file.read_text() == "old"
    write_lines(link, ["new"], force=True)
    assert (file.read_text(), link.is_symlink()) == ("new\n", True)


def test_a_file_that_appears_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text("old")
    with pytest.raises(FileExistsError):
        write_private(file, "new", replace=False)
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_file_systems_without_hard_links_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object) -> None:
        raise PermissionError

    monkeypatch.setattr("broadcast_tui.private_file.os.link", refuse)
    file = tmp_path / "a.txt"
    write_private(file, "new", replace=False)
    assert file.read_text() == "new"
    with pytest.raises(FileExistsError):
        write_private(file, "newer", replace=False)
    assert (file.read_text(), list(tmp_path.iterdir())) == ("new", [file])


def test_devices_are_written_and_not_replaced(tmp_path: Path) -> None:
    write_lines(Path(os.devnull), ["x"], force=True)
    assert not Path(os.devnull).is_file()


def test_errors_name_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ExportFileError, match="No such directory"):
        check_target(tmp_path / "no" / "a.txt", force=True)
    with pytest.raises(ExportFileError, match="is a directory"):
        check_target(tmp_path, force=True)

    def full(*_args: object, **_options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("broadcast_tui.client.export_file.write_private", full)
    with pytest.raises(ExportFileError, match=r"Cannot write .*a\.txt: No space left on device"):
        write_lines(tmp_path / "a.txt", ["x"], force=False)
