"""Renders the record of all help pages that `broadcast_tui.cli.help` reads; `make_options` writes it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, cast

from cyclopts import App
from cyclopts.help import HelpEntry, HelpPanel
from cyclopts.help.protocols import HelpFormatter
from rich.console import Console

from broadcast_tui.cli.parser import app

TITLES = {"Parameters": "Options"}
EMPTY_DEFAULTS = (None, "", '""', "False", "0.0")


class _Page:
    """Collects the parts of one page, as a help formatter of cyclopts."""

    def __init__(self) -> None:
        self.usage = ""
        self.summary = ""
        self.sections: dict[str, list[tuple[str, str]]] = {}

    def render_usage(self, _console: object, _options: object, usage: object) -> None:
        self.usage = " ".join(str(usage).split()).removeprefix("Usage: ")

    def render_description(self, _console: object, _options: object, description: object) -> None:
        self.summary = _plain(description)

    def __call__(self, _console: object, _options: object, panel: HelpPanel) -> None:
        title = str(panel.title)
        rows = [(_label(entry), _about(entry)) for entry in panel.entries]
        if rows:
            self.sections[TITLES.get(title, title)] = rows


def render() -> str:
    """The record, as JSON."""
    return json.dumps(dict(sorted(_pages((), app))), ensure_ascii=False, indent=1) + "\n"


def _pages(chain: tuple[str, ...], command: App) -> Iterator[tuple[str, object]]:
    """The page of a command and those of its subcommands; an alias has the name of its command."""
    page = _Page()
    before = app.help_formatter
    app.help_formatter = cast(HelpFormatter, page)
    try:
        app.help_print(list(chain), console=Console(width=80))
    finally:
        app.help_formatter = before
    yield (
        " ".join(chain),
        {
            "usage": page.usage,
            "summary": page.summary,
            "runs": command.default_command is not None,
            "sections": page.sections,
        },
    )
    names: dict[int, str] = {}
    for word in command:
        if word.startswith("-"):
            continue
        subcommand = command[word]
        first = names.setdefault(id(subcommand), word)
        if first != word:
            yield " ".join((*chain, word)), " ".join((*chain, first))
        else:
            yield from _pages((*chain, word), subcommand)


def _label(entry: HelpEntry) -> str:
    names = entry.display_labels_with_metavar
    return f"{names[0]} ({', '.join(names[1:])})" if len(names) > 1 else names[0]


def _about(entry: HelpEntry) -> str:
    text, default = split_default(_plain(entry.description))
    if not default and entry.default not in EMPTY_DEFAULTS:
        default = str(entry.default)
    parts = [
        text,
        f"[choices: {', '.join(entry.choices)}]" if entry.choices else "",
        "[required]" if entry.required else "",
        f"[default: {default}]" if default else "",
        f"[env var: {', '.join(entry.env_var)}]" if entry.env_var else "",
    ]
    return " ".join(part for part in parts if part)


def split_default(text: str) -> tuple[str, str]:
    """A help text without its `[default: ...]` part, and that part's words."""
    found = re.search(r"\s*\[default: ([^]]*)\]", text)
    if found is None:
        return text, ""
    return text[: found.start()] + text[found.end() :], found[1]


def _plain(text: Any) -> str:
    if text is None:
        return ""
    if not isinstance(text, str):
        console = Console(width=10_000)
        with console.capture() as capture:
            console.print(text, end="")
        text = capture.get()
    return " ".join(text.split())
