from __future__ import annotations

from pathlib import Path

import pytest

from broadcast_tui.tui.path_completion import complete_path


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "docs").mkdir()
    for name in ("dump.md", "docs/b.md", "docs/a.md", ".hidden", "dirty\x1b[31m"):
        (tmp_path / name).touch()
    return tmp_path


def test_paths_are_completed_in_the_form_typed(home: Path) -> None:
    assert complete_path("") == ("docs/", "dump.md")
    assert complete_path("du") == ("dump.md",)
    assert complete_path("docs/") == ("docs/a.md", "docs/b.md")
    assert complete_path("./docs/b") == ("./docs/b.md",)
    assert complete_path(f"{home}/do") == (f"{home}/docs/",)
    assert complete_path("~/du") == ("~/dump.md",)


def test_hidden_files_need_their_dot_and_names_that_cannot_be_drawn_are_left_out(home: Path) -> None:
    assert complete_path(".") == (".hidden",)
    assert complete_path("dirty") == ()


def test_an_unreadable_directory_has_no_completions(home: Path) -> None:
    assert complete_path("nowhere/x") == ()
    assert complete_path("dump.md/x") == ()
    assert complete_path("a\0b/") == ()
