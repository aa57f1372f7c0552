"""The names that users and their scripts rely on: options, variables, defaults, settings, keys, commands.

They are read from the program's output, without prose and in alphabetical order. COMPAT_RECORD=1 in
the environment writes the golden files.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.compat.program import check_golden, run, serving

COMMANDS = (
    *("", "serve", "chat", "send", "tail", "ask", "export", "replay", "config", "config check"),
    *("token", "token create", "token list", "token revoke", "cluster", "doctor", "invite", "forget"),
    *("history", "history copy"),
)


def test_options_are_as_recorded(tmp_path: Path) -> None:
    def text(command: str) -> str:
        outcome = run(*command.split(), "--help", home=tmp_path)
        assert (outcome.status, outcome.err) == (0, "")
        return outcome.out

    with ThreadPoolExecutor(max_workers=2) as pool:
        pages = list(pool.map(text, COMMANDS))
    lines = [
        line
        for command, page in zip(COMMANDS, pages, strict=True)
        for line in (f"# broadcast-tui {command}".rstrip(), *sorted(names_in(page)), "")
    ]
    check_golden("options.txt", "\n".join(lines))


def names_in(page: str) -> Iterator[str]:
    """The usage, and a line for each option, argument or command of a help page."""
    usage, _, sections = page.partition("\n\n")
    yield " ".join(usage.split())
    rows: list[str] = []
    for line in re.findall(r"^  (.*)$", sections.partition(":\n")[2], re.MULTILINE):
        if line.startswith(" "):
            rows[-1] += f"  {line.strip()}"
        else:
            rows.append(line)
    for row in rows:
        # At least two spaces separate a name from its text.
        name, _, text = row.partition("  ")
        about = " ".join(text.split())
        _, found, tags = about.partition("[env var: ")
        _, has_choices, choices = about.partition("[choices: ")
        _, has_default, default = about.partition("[default: ")
        parts = [
            name,
            f"[choices: {choices.partition(']')[0]}]" if has_choices else "",
            f"{found}{tags}",
            f"[default: {default.partition(']')[0]}]" if has_default else "",
        ]
        yield " ".join(part for part in parts if part)


def test_settings_and_keys_are_as_recorded(tmp_path: Path) -> None:
    outcome = run("config", home=tmp_path)
    assert (outcome.status, outcome.err) == (0, "")
    first, *rows = outcome.out.splitlines()
    assert first.startswith(f"# {tmp_path / 'broadcast-tui' / 'config.toml'}")
    settings = [row.rpartition("  # ")[0].rstrip() for row in rows]
    assert all(row.rpartition("  # ")[2].startswith("default") for row in rows)
    check_golden("settings.txt", "\n".join(sorted(settings)) + "\n")


def test_slash_commands_are_as_recorded(tmp_path: Path) -> None:
    with serving("--history", "off", home=tmp_path) as server:
        outcome = run("chat", "--plain", server.url, "--name", "ana", home=tmp_path, given="/help\n")
    assert outcome.status == 0
    names = sorted(set(re.findall(r"(?<!\S)/[a-z][a-z-]*", outcome.out)))
    check_golden("chat_commands.txt", "\n".join(names) + "\n")
