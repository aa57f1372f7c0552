"""Checks README.md and docs/ against the program: commands, options, links, examples and names."""

from __future__ import annotations

import importlib
import inspect
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cyclopts import CycloptsError

import broadcast_tui
from broadcast_tui.cli.parser import app
from broadcast_tui.cli.settings import UserConfig
from broadcast_tui.core.errors import CloseCode, ErrorCode
from broadcast_tui.tui.commands.registry import COMMANDS
from broadcast_tui.tui.keymap_config import checked_keys
from broadcast_tui.tui.model.settings import SETTINGS
from tests.benchmarks.all import BENCHMARKS
from tests.support import make_options, make_schema

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = {path.relative_to(ROOT).as_posix(): path for path in [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]}
HANDWRITTEN = {name: path for name, path in PAGES.items() if path != make_options.PATH}
README_LINES_MAX = 150
PYTHON = re.compile(r"(<!--.*?-->\n)?```python\n(.*?)```", re.DOTALL)
EXAMPLES = [
    pytest.param(comment, code, id=f"{name}-{number}")
    for name, path in HANDWRITTEN.items()
    for number, (comment, code) in enumerate(PYTHON.findall(path.read_text("utf-8")), 1)
]
PAGES_ABOUT_CODE = ("docs/architecture.md", "docs/CONTRIBUTING.md")


def read(name: str) -> str:
    return PAGES[name].read_text("utf-8")


def shown_commands(text: str) -> Iterator[list[str]]:
    """The words after `broadcast-tui` of every command in code blocks and inline code."""
    spans = re.findall(r"^ {4}(\S.*)$", text, re.MULTILINE) + re.findall(r"`([^`\n]+)`", text)
    for span in spans:
        for part in re.split(r"&&|\|", span):
            found = re.search(r"(?:^|/|\s)broadcast-tui(?:\s+(.*))?$", part.strip())
            if found and found.group(1) and "[" not in found.group(1):
                yield shlex.split(found.group(1))


COMMANDS_SHOWN = sorted(
    {
        (name, shlex.join(words))
        for name, path in HANDWRITTEN.items()
        for words in shown_commands(path.read_text("utf-8"))
    }
)


ALIASES = {"start", "connect"}
"""Other names of commands, which earlier versions had."""


@pytest.mark.parametrize(("page", "command"), COMMANDS_SHOWN)
def test_shown_command_parses(
    page: str, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "server.toml").touch()
    words = shlex.split(command)
    try:
        app.parse_args(words, print_error=False, exit_on_error=False)
    except CycloptsError as error:
        pytest.fail(f"{page}: {error}")


def test_every_command_is_shown() -> None:
    shown = {shlex.split(command)[0] for _, command in COMMANDS_SHOWN}
    commands = {name for name in app if not name.startswith("-")}
    assert {"serve", "hook", "cluster"} <= commands
    assert commands - shown <= ALIASES


def test_options_page_is_current() -> None:
    assert make_options.PATH.read_text("utf-8") == make_options.render(), (
        "run: python -m tests.support.make_options"
    )


def test_readme_is_short() -> None:
    assert len(read("README.md").splitlines()) <= README_LINES_MAX


def test_readme_has_the_install_and_test_commands() -> None:
    lines = [line.strip() for line in read("README.md").splitlines()]
    venv = "python3 -m venv .venv && .venv/bin/pip install -e"
    assert f"{venv} . && .venv/bin/broadcast-tui chat --serve" in lines
    assert f"{venv} '.[test]' && .venv/bin/pytest" in lines


def test_all_checks_are_run() -> None:
    """They take the place of README's test command, with the packages of all checks installed at once."""
    run = (ROOT / ".ci" / "run").read_text("utf-8").splitlines()
    checks = ["pip install -e '.[test,lint]'", "mypy ", "pytest ", "ruff check .", "ruff format --check ."]
    at = [next(n for n, line in enumerate(run) if f".venv/bin/{check}" in line) for check in checks]
    assert at == sorted(at)


def test_readme_links_every_page() -> None:
    linked = set(re.findall(r"\]\((docs/[^)#]+)\)", read("README.md")))
    assert linked == {name for name in PAGES if name.startswith("docs/")}


@pytest.mark.parametrize("page", PAGES)
def test_links_and_pictures_exist(page: str) -> None:
    for target, fragment in re.findall(r"\]\(([^)#]*)(?:#([^)]*))?\)", read(page)):
        if "://" in target:
            continue
        path = (PAGES[page].parent / target).resolve() if target else PAGES[page]
        assert path.exists(), target
        if fragment:
            assert fragment in anchors(path.read_text("utf-8")), f"{target}#{fragment}"


def anchors(text: str) -> set[str]:
    """The anchors that GitHub gives the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize(("comment", "code"), EXAMPLES)
def test_python_example_runs(comment: str, code: str) -> None:
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


@pytest.mark.parametrize("name", broadcast_tui.__all__[:2])
def test_listed_methods_exist(name: str) -> None:
    section = re.search(rf"## `{name}\(.*?(?=\n## |\Z)", read("docs/library.md"), re.DOTALL)
    assert section is not None
    owner = getattr(broadcast_tui, name)
    cells = re.findall(r"^\| (`.*?) \|", section.group(), re.MULTILINE)
    methods = [method for cell in cells for method in re.findall(r"`(?:await )?(\w+)\(", cell)]
    assert methods
    for method in methods:
        assert inspect.isfunction(getattr(owner, method)), method
        assert inspect.getdoc(getattr(owner, method)), method


def test_library_examples_use_the_main_methods() -> None:
    code = "".join(code for _, code in PYTHON.findall(read("docs/library.md")))
    for method in ("start_server", "stop_server", "broadcast_to_all", "broadcast_to_others", "connect(",
                   "listen_for_messages", "send_messages"):  # fmt: skip
        assert method in code


def test_settings_example_is_valid(tmp_path: Path) -> None:
    (example,) = re.findall(r"```toml\n(\[chat\].*?)```", read("docs/chat.md"), re.DOTALL)
    path = tmp_path / "config.toml"
    path.write_text(example, "utf-8")
    user = UserConfig(path)
    assert checked_keys(user.keys())
    chat_app = app["chat"]
    arguments = chat_app.assemble_argument_collection()
    user(chat_app, ("chat",), arguments)
    assert {argument.name for argument in arguments if argument.tokens} == {"--host", "--name", "--theme"}


def test_chat_page_lists_every_slash_command() -> None:
    table = read("docs/chat.md").split("<!-- command table")[1].split("<!-- /command table -->")[0]
    listed = re.findall(r"^\| (`/.*?) \|", table, re.MULTILINE)
    names = [name for cell in listed for name in re.findall(r"`/([a-z-]+)`", cell)]
    assert sorted(names) == sorted(command.name for command in COMMANDS)


def test_chat_page_lists_every_setting_with_its_values() -> None:
    table = read("docs/chat.md").split("<!-- settings table")[1].split("<!-- /settings table -->")[0]
    rows = re.findall(r"^\| `([a-z]+)` \| (.*?) \|", table, re.MULTILINE)
    listed = {name: tuple(re.findall(r"`([a-z0-9]+)`", values)) for name, values in rows}
    assert listed == {setting.name: setting.values for setting in SETTINGS}


def test_schema_file_is_current() -> None:
    assert make_schema.PATH.read_text("utf-8") == make_schema.render(), (
        "run: python -m tests.support.make_schema"
    )


def test_protocol_page_lists_every_close_code() -> None:
    section = read("docs/protocol.md").split("## Closing")[1].split("\n## ")[0]
    listed = {int(code) for code in re.findall(r"\b(1\d{3}|4\d{3})\b", section)}
    assert listed == {code.value for code in CloseCode}


def test_protocol_page_lists_every_error_code() -> None:
    section = read("docs/protocol.md").split("## Error codes")[1].split("\n## ")[0]
    listed = {
        code for cell in re.findall(r"^\| (`.*?) \|", section, re.MULTILINE) for code in cell.split(", ")
    }
    assert listed == {f"`{code.value}`" for code in ErrorCode}


@pytest.mark.parametrize("page", PAGES_ABOUT_CODE)
def test_named_files_exist(page: str) -> None:
    """Paths are relative to the repository, the package or `tests/`."""
    for path in re.findall(r"`([\w.-]+(?:/[\w.-]+)*(?:/|\.(?:py|md|json|toml|tcss)))`", read(page)):
        places = [base / path for base in (ROOT, ROOT / "broadcast_tui", ROOT / "tests")]
        assert any(place.exists() for place in places), path


def names_in_code() -> set[str]:
    """Names of the classes and functions of the package and of `tests/support`, methods as `Class.method`."""
    found: set[str] = set()
    for path in [*(ROOT / "broadcast_tui").rglob("*.py"), *(ROOT / "tests" / "support").rglob("*.py")]:
        owner = ""
        for indent, kind, name in re.findall(
            r"^( {0,4})(?:async )?(class|def) (\w+)", path.read_text("utf-8"), re.MULTILINE
        ):
            if not indent:
                found.add(name)
                owner = name if kind == "class" else ""
            elif owner:
                found.add(f"{owner}.{name}")
    return found


@pytest.mark.parametrize("page", PAGES_ABOUT_CODE)
def test_named_classes_and_functions_exist(page: str) -> None:
    """Checks inline code of the forms `Name`, `Class.method` and `function()`."""
    known = names_in_code()
    text = re.sub(r"```.*?```", "", read(page), flags=re.DOTALL)
    for name in re.findall(r"`([A-Z]\w*[a-z]\w*(?:\.\w+)?|\w+(?:\.\w+)?\(\))`", text):
        assert name.removesuffix("()") in known or is_library_name(name), name


def is_library_name(name: str) -> bool:
    """Whether Textual or websockets defines `name`."""
    modules = ("textual.app", "textual.widgets", "textual.screen", "textual.binding", "textual.scroll_view",
               "textual.strip", "websockets.asyncio.server")  # fmt: skip
    return any(hasattr(importlib.import_module(module), name.partition(".")[0]) for module in modules)


def test_every_table_of_figures_is_rewritten_by_a_benchmark() -> None:
    page = (DOCS / "performance.md").read_text("utf-8")
    places = re.findall(
        r"<!-- (\w+) table: python -m tests\.benchmarks\.(\w+)[^>]*-->\n.*?<!-- /(\w+) table -->",
        page,
        re.DOTALL,
    )
    assert [name for name, _, end in places if name != end] == []
    assert len(places) == page.count(" table: ")
    assert {module for _, module, _ in places} == set(BENCHMARKS)
