"""Help pages, which are recorded."""

from __future__ import annotations

import subprocess
import sys

import pytest

from broadcast_tui.cli.help import RECORD, requested_text
from tests.support import make_help


def test_record_is_up_to_date() -> None:
    assert RECORD.read_text("utf-8") == make_help.render(), "run `python -m tests.support.make_options`"


@pytest.mark.parametrize(
    ("words", "usage"),
    [
        ("", "broadcast-tui COMMAND"),
        ("--help", "broadcast-tui COMMAND"),
        ("-h", "broadcast-tui COMMAND"),
        ("send --help", "broadcast-tui send "),
        ("send hello --help", "broadcast-tui send "),
        ("start -h", "broadcast-tui serve "),
        ("token", "broadcast-tui token COMMAND"),
        ("token create --role admin -h", "broadcast-tui token create "),
        ("config -h", "broadcast-tui config COMMAND"),
        ("--help send", "broadcast-tui send "),
    ],
)
def test_page_is_that_of_the_command(words: str, usage: str) -> None:
    text = requested_text(words.split())
    assert text is not None
    assert text.startswith(f"Usage: {usage}")


@pytest.mark.parametrize(
    "words", ["send hello", "config", "serve", "nosuch --help", "send -- --help", "token nosuch"]
)
def test_other_command_lines_are_parsed(words: str) -> None:
    assert requested_text(words.split()) is None


@pytest.mark.parametrize("columns", [40, 80, 100])
def test_pages_fit_the_terminal(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    text = requested_text(["serve", "--help"])
    assert text is not None
    assert max(len(line) for line in text.splitlines()) <= columns


def test_wide_terminals_have_lines_of_readable_length(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    text = requested_text(["serve", "--help"])
    assert text is not None
    assert 80 < max(len(line) for line in text.splitlines()) <= 100


@pytest.mark.parametrize("words", ["--version", "send --help", "chat --help", ""])
def test_help_and_version_load_no_parser(words: str) -> None:
    code = (
        "import sys; from broadcast_tui.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit as end: assert not end.code\n"
        "loaded = {'cyclopts', 'rich', 'asyncio', 'websockets', 'textual', 'msgspec'} & set(sys.modules)\n"
        "sys.exit(f'loaded: {loaded}' if loaded else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code, *words.split()], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
