"""README says what is so: its commands parse, its options are the program's, its examples run."""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cyclopts import CycloptsError

import broadcast_tui
from broadcast_tui.cli import app
from broadcast_tui.cli.chat import chat
from broadcast_tui.cli.send import send
from broadcast_tui.cli.serve import serve
from broadcast_tui.cli.settings import UserConfig
from broadcast_tui.cli.tail import tail
from broadcast_tui.core.errors import CloseCode, ErrorCode
from broadcast_tui.core.protocol.codec import schema
from broadcast_tui.tui.commands.registry import COMMANDS as COMMANDS_OF_THE_CHAT
from broadcast_tui.tui.keymap_config import checked_keys

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")
PROTOCOL = (ROOT / "broadcast_tui" / "PROTOCOL.md").read_text("utf-8")
COMMANDS: dict[str, Callable[..., int]] = {"serve": serve, "chat": chat, "send": send, "tail": tail}
EXAMPLES = re.findall(r"(<!--.*?-->\n)?```python\n(.*?)```", README, re.DOTALL)


def shown_commands() -> Iterator[list[str]]:
    """Every `broadcast-tui …` of README's code, as words, without what is before and behind it."""
    spans = re.findall(r"^ {4}(\S.*)$", README, re.MULTILINE) + re.findall(r"`([^`\n]+)`", README)
    for span in spans:
        for part in re.split(r"&&|\|", span):
            found = re.search(r"(?:^|/|\s)broadcast-tui(?:\s+(.*))?$", part.strip())
            if found and found.group(1) and "[" not in found.group(1):
                yield shlex.split(found.group(1).split("(")[0])


@pytest.mark.parametrize("words", [*shown_commands()], ids=" ".join)
def test_a_command_that_readme_shows_exists(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "server.toml").touch()
    try:
        app.parse_args(words, print_error=False, exit_on_error=False)
    except CycloptsError as error:
        pytest.fail(str(error))


def test_readme_shows_commands() -> None:
    shown = {words[0] for words in shown_commands()}
    assert set(COMMANDS) <= shown


def options_of(command: str) -> dict[str, object]:
    """Every option of a command with its default; those of a group are the fields of a dataclass."""
    options = {}
    for parameter in inspect.signature(COMMANDS[command]).parameters.values():
        if dataclasses.is_dataclass(parameter.default):
            for field in dataclasses.fields(parameter.default):
                options[field.name] = field.default
        elif parameter.kind is parameter.KEYWORD_ONLY:
            options[parameter.name] = parameter.default
    return {f"--{name.replace('_', '-')}": default for name, default in options.items()}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_is_in_readme_with_its_default(command: str) -> None:
    table = re.search(rf"^\| `broadcast-tui {command}.*?(?=\n\n)", README, re.MULTILINE | re.DOTALL)
    assert table is not None
    rows = dict(re.findall(r"^\| `(--[a-z-]+)`(?:, `-\w`)? \|([^|]*)\|", table.group(), re.MULTILINE))
    options = options_of(command)
    assert options
    assert set(rows) == set(options)
    for name, default in options.items():
        if default not in (None, "", False, ()):
            assert rows[name].strip() == f"`{default}`", name


def test_the_install_commands_are_the_ones_asked_for() -> None:
    lines = [line.strip() for line in README.splitlines()]
    venv = "python3 -m venv .venv && .venv/bin/pip install -e"
    assert f"{venv} . && .venv/bin/broadcast-tui chat --serve" in lines
    test_command = f"{venv} '.[test]' && .venv/bin/pytest"
    assert test_command in lines
    assert test_command in (ROOT / ".ci" / "run").read_text("utf-8")


@pytest.mark.parametrize("name", broadcast_tui.__all__[:2])
def test_every_method_that_readme_lists_is_there(name: str) -> None:
    section = README.split("## As a library")[1].split("## Performance")[0]
    owner = getattr(broadcast_tui, name)
    others = {method for other in broadcast_tui.__all__[:2] for method in dir(getattr(broadcast_tui, other))}
    for row in re.findall(r"^\| (`.*?) \|", section, re.MULTILINE):
        for method in re.findall(r"`(?:await )?(\w+)\(", row):
            assert method in others, method
    for method, value in vars(owner).items():
        if not method.startswith("_") and inspect.isfunction(value):
            assert inspect.getdoc(value) or name == "BroadcastClient", method


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_an_example_of_readme_runs(number: int) -> None:
    comment, code = EXAMPLES[number]
    server = None
    if "8765" in comment:
        server = subprocess.Popen(
            [sys.executable, "-m", "broadcast_tui", "serve", "--port", "0", "--host", "127.0.0.1"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert server.stdout is not None
        url = server.stdout.readline().rsplit(" ", 1)[1].strip()
        code = code.replace("ws://localhost:8765", url)
    try:
        result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    finally:
        if server is not None:
            server.terminate()
            server.communicate()
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    assert result.stdout


def test_the_settings_that_readme_shows_are_settings(tmp_path: Path) -> None:
    (example,) = re.findall(r"```toml\n(\[chat\].*?)```", README, re.DOTALL)
    path = tmp_path / "config.toml"
    path.write_text(example, "utf-8")
    user = UserConfig(path)
    assert checked_keys(user.keys())
    chat_app = app["chat"]
    arguments = chat_app.assemble_argument_collection()
    user(chat_app, ("chat",), arguments)
    assert {argument.name for argument in arguments if argument.tokens} == {"--host", "--name", "--theme"}


def test_every_slash_command_is_in_readme_and_no_other() -> None:
    table = README.split("<!-- command table")[1].split("<!-- /command table -->")[0]
    shown = re.findall(r"`/([a-z-]+)`", table)
    assert sorted(shown) == sorted(command.name for command in COMMANDS_OF_THE_CHAT)


def test_readme_has_examples_for_both_classes() -> None:
    text = "".join(code for _, code in EXAMPLES)
    for method in ("start_server", "stop_server", "broadcast_to_all", "broadcast_to_others", "connect(",
                   "listen_for_messages", "send_messages"):  # fmt: skip
        assert method in text


def test_every_picture_and_page_that_readme_links_is_there() -> None:
    for target in re.findall(r"\]\(([^)#]+?)\)", README):
        if "://" not in target:
            assert (ROOT / target).exists(), target


def test_the_schema_file_is_the_codes() -> None:
    written = json.loads((ROOT / "broadcast_tui" / "protocol.schema.json").read_text("utf-8"))
    assert written == json.loads(json.dumps(schema(), default=list))


def test_every_close_code_is_in_the_protocol_page() -> None:
    for code in CloseCode:
        if code is not CloseCode.NORMAL:
            assert str(code.value) in PROTOCOL, code


def test_error_codes_are_words_of_one_case() -> None:
    assert all(code.value == code.name.lower() for code in ErrorCode)
