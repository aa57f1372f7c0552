"""Options from a TOML file: the same names as on the command line, without the dashes in front.

What the command line and the environment say goes before the file. Whatever is wrong with the file is one
line that names it and the key.
"""

from __future__ import annotations

from pathlib import Path

from cyclopts import App
from cyclopts.argument import ArgumentCollection
from cyclopts.config import Dict

from broadcast_tui.cli import UsageError
from broadcast_tui.cli.settings import OPTIONS_FILE, SECTIONS, offer, option_names, options_file, read_toml


def from_file(command: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """A source of options for cyclopts: the file that `--config` names, if the command has and was given it.

    Raises:
        ConfigError: the file cannot be read.
        UsageError: there is none, or it has a key that is no option.
    """
    path = options_file(arguments)
    if path is None:
        return
    options = option_names(arguments)
    try:
        known = {key.replace("_", "-"): value for key, value in read_toml(path).items()}
    except FileNotFoundError:
        raise UsageError(f"{path} does not exist; give {OPTIONS_FILE} another file.") from None
    for key, value in known.items():
        _check_key(path, key, value, options)
    Dict(known, source=str(path), use_commands_as_keys=False)(command, commands, arguments)


def _check_key(path: Path, key: str, value: object, options: set[str]) -> None:
    """Refuse what is no option, and values that no option has."""
    if key in SECTIONS and isinstance(value, dict):
        raise UsageError(f"{path}: write the options without the table [{key}].")
    if key not in options:
        raise UsageError(f"{path}: there is no option {key}.{offer(key, options)}")
    values = value if isinstance(value, list) else [value]
    if not all(isinstance(one, str | int | float | bool) for one in values):
        raise UsageError(f"{path}: {key} must be a text, a number, true or false, or a list of them.")
