"""`broadcast-tui config`: print settings and their sources; check an options file of serve."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from cyclopts import App

from broadcast_tui.cli.chat import check_theme
from broadcast_tui.cli.errors import ExitCode, UsageError
from broadcast_tui.cli.option_tables import OptionsTable
from broadcast_tui.cli.option_types import FilePath
from broadcast_tui.cli.parser import app
from broadcast_tui.cli.settings import (
    KEYS,
    SECTIONS,
    SETTINGS,
    USER_CONFIG,
    ConfigError,
    ConfigMistakes,
    read_toml,
    suggest,
)
from broadcast_tui.cli.stdio import print_message
from broadcast_tui.core.errors import BroadcastError
from broadcast_tui.core.redaction import redact_userinfo
from broadcast_tui.core.text import log_safe

if TYPE_CHECKING:
    from cyclopts.argument import Argument

Row = tuple[str, str, str]
"""A setting: its dotted name, its value in TOML syntax, and its source."""

configuration = App(name="config", help="Show settings and where they come from.", help_format="plaintext")


@configuration.default
def config(section: str = "", /) -> int:
    """Print each setting as NAME = VALUE and its source: a file, the environment, or the default.

    Parameters
    ----------
    section
        Print only this section: chat, send, tail, ask, serve, settings or keys.
    """
    if section and section not in SECTIONS:
        raise BroadcastError(f"No such section: {section!r}.{suggest(section, SECTIONS)}")
    rows = _all_rows([name for name in SECTIONS if section in ("", name)])
    missing = "" if USER_CONFIG.file.exists() else " (does not exist)"
    lines = [f"# {USER_CONFIG.file}{missing}"]
    width = min(60, max(len(f"{name} = {value}") for name, value, _ in rows))
    lines += [f"{f'{name} = {value}':<{width}}  # {source}" for name, value, source in rows]
    print("\n".join(log_safe(redact_userinfo(line), 4096) for line in lines))
    if section in ("", KEYS):
        # Checked after printing, so that the valid ids are listed above the error.
        _warn_of_clashes(USER_CONFIG.checked_keys())
    return ExitCode.OK


@configuration.command
def check(file: FilePath, /) -> int:
    """Check an options file for serve --config.

    Parameters
    ----------
    file
        The file to check.
    """
    try:
        table = read_toml(file)
    except (FileNotFoundError, NotADirectoryError):
        raise UsageError(f"{file} does not exist.") from None
    before, app.config = app.config, (OptionsTable(file, table),)
    try:
        app.parse_args(["serve"], print_error=False, exit_on_error=False)
    finally:
        app.config = before
    print(f"{file} is valid")
    return ExitCode.OK


def check_user_config() -> None:
    """Check all of the user's configuration file. Raises BroadcastError."""
    _all_rows(SECTIONS)
    USER_CONFIG.checked_keys()


def _all_rows(sections: Sequence[str]) -> list[Row]:
    """The settings in these sections. Raises ConfigMistakes for all mistakes in the user's file."""
    rows: list[Row] = []
    mistakes: list[str] = []
    for section in sections:
        try:
            rows += _rows(section)
        except ConfigMistakes as error:
            mistakes += error.lines
        except ConfigError as error:
            mistakes.append(str(error))
    if mistakes:
        # A file that cannot be read is a mistake of each section.
        raise ConfigMistakes(dict.fromkeys(mistakes))
    return rows


def _rows(section: str) -> Iterator[Row]:
    if section == KEYS:
        yield from _key_rows()
        return
    if section == SETTINGS:
        yield from _setting_rows()
        return
    command = app[section]
    arguments = command.assemble_argument_collection(
        default_parameter=app.default_parameter, parse_docstring=True
    )
    for source in app.config:
        source(command, (section,), arguments)
    for argument in arguments:
        if argument.name.startswith("--"):
            value, where = _value(argument)
            if argument.name == "--theme":
                check_theme(json.loads(value))
            yield f"{section}.{argument.name.removeprefix('--')}", value, where


def _value(argument: Argument) -> tuple[str, str]:
    if not argument.tokens:
        default = argument.field_info.default
        if isinstance(default, (str, int, float)) and default != "":
            return json.dumps(default, ensure_ascii=False), "default"
        return _documented(argument.parameter.help or "")
    token = argument.tokens[0]
    converted = argument.convert()
    if isinstance(converted, tuple):
        converted = list(converted)
    source = token.keyword if token.source == "env" and token.keyword else token.source
    return json.dumps(converted, ensure_ascii=False, default=str), source


def _documented(text: str) -> tuple[str, str]:
    """The default given at the end of a help text: a value, or a description of it as the source."""
    found = re.search(r"\[default: ([^]]*)\]\.?$", text.strip())
    if found is None:
        return '""', "default"
    words = " ".join(found[1].split())
    if " " in words:
        return '""', f"default: {words}"
    return json.dumps(int(words) if words.isdecimal() else words), "default"


def _setting_rows() -> Iterator[Row]:
    from broadcast_tui.tui.model.settings import SETTINGS as TABLE

    own = USER_CONFIG.chat_settings()
    for row in TABLE:
        if row.in_file:
            value = own.get(row.name, row.values[0])
            source = str(USER_CONFIG.file) if row.name in own else "default: as chosen in the chat"
            yield f"{SETTINGS}.{row.name}", json.dumps(value), source


def _key_rows() -> Iterator[Row]:
    from broadcast_tui.tui.keymap import KEYS as TABLE

    own = USER_CONFIG.keys()
    for row in TABLE:
        source = str(USER_CONFIG.file) if row.id in own else "default"
        yield f'keys."{row.id}"', json.dumps(own.get(row.id, row.keys), ensure_ascii=False), source


def _warn_of_clashes(own: Mapping[str, str]) -> None:
    """Warn on standard error of keys bound to two actions; the chat accepts them."""
    from broadcast_tui.tui.keymap_config import clashes

    for clash in clashes(own):
        text = f"{USER_CONFIG.file}: [keys] {clash}: the binding nearer to the focus wins."
        print_message(log_safe(text, 400))
