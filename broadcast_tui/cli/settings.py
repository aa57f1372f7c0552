"""The user's config file: options of the commands, and keys of the chat, in one TOML file.

    [chat]
    name = "ana"
    [keys]
    "log.page-up" = "pageup,alt+v"

What is given on the command line comes first, then the environment, then this file, then the default.
Nothing in the file that means nothing is passed over in silence.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from cyclopts import App
from cyclopts.argument import ArgumentCollection
from cyclopts.config import Dict

from broadcast_tui.cli.errors import UsageError
from broadcast_tui.core.errors import BroadcastError

if TYPE_CHECKING:
    from cyclopts import App
    from cyclopts.argument import ArgumentCollection


FILE_NAME = "config.toml"


FILE_VARIABLE = "BROADCAST_TUI_CONFIG"
"""Environment variable that names another file; that one must exist."""


OPTIONS_FILE = "--config"
"""Option of a command that names another file for it; the table here does not count then."""


KEYS = "keys"


SECTIONS = ("chat", "send", "tail", "serve", KEYS)


Table = Mapping[str, object]


class ConfigError(BroadcastError):
    """The file says something that cannot be; the text names the file, the place and the way out."""


@dataclass(slots=True)
class UserConfig:
    """One file, read when it is first asked for. As a cyclopts config it gives options their values."""

    path: Path | None = None
    """None: the file that `config_path` names."""
    _tables: dict[str, Table] | None = field(default=None, init=False)

    @property
    def tables(self) -> dict[str, Table]:
        """The file's tables by section; empty if there is no file. Raises ConfigError."""
        if self._tables is None:
            self._tables = read_tables(self.file, must_exist=self.path is not None or _is_named())
        return self._tables

    @property
    def file(self) -> Path:
        return self.path or config_path()

    def read_again(self) -> None:
        """Look at the file anew from here on; it may have changed."""
        self._tables = None

    def keys(self) -> dict[str, str]:
        """Keys by binding id, as written. Raises ConfigError."""
        found: dict[str, str] = {}
        for name, value in _flat(self.tables.get(KEYS, {})):
            if isinstance(value, list) and all(isinstance(key, str) for key in value):
                value = ",".join(value)
            if not isinstance(value, str):
                raise ConfigError(f'{self.file}: [keys] "{name}" must be text such as "ctrl+f".')
            found[name] = value
        return found

    def checked_keys(self) -> dict[str, str]:
        """Keys by binding id, in Textual's spelling. Raises ConfigError."""
        from broadcast_tui.tui.keymap_config import KeyBindingError, checked_keys

        try:
            return checked_keys(self.keys())
        except KeyBindingError as refused:
            raise ConfigError(f"{self.file}: {refused}") from None

    def __call__(self, app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
        """Give the options of a command, unless they have a value already, those of its table."""
        from cyclopts.config import Dict

        section = commands[0] if len(commands) == 1 else ""
        table = self.tables.get(_ALIASES.get(section, section), {})
        if options_file(arguments) is not None:
            return
        options = option_names(arguments)
        for key in table:
            if key.replace("_", "-") not in options:
                raise ConfigError(f"{self.file}: [{section}] has no {key!r}.{offer(key, options)}")
        given = {argument.name for argument in arguments if argument.tokens}
        # An address that is given replaces all parts of the one in the file.
        apart = _ADDRESS if given.intersection({"URL", "--url", "--host", "--port"}) else ()
        values = {key: value for key, value in table.items() if key not in apart}
        Dict(values, use_commands_as_keys=False, source=str(self.file))(app, commands, arguments)


_ADDRESS = ("host", "port", "url")


_ALIASES = {"start": "serve", "connect": "chat"}


def config_path() -> Path:
    """The file that is read; it may not exist."""
    if _is_named():
        return Path(os.environ[FILE_VARIABLE]).expanduser()
    import platformdirs

    return platformdirs.user_config_path("broadcast-tui", appauthor=False) / FILE_NAME


def read_tables(path: Path, *, must_exist: bool) -> dict[str, Table]:
    """The tables of a file by section, all of them known ones. Raises ConfigError."""
    try:
        content = read_toml(path)
    except FileNotFoundError:
        if must_exist:
            raise ConfigError(f"{path} does not exist; make it, or unset {FILE_VARIABLE}.") from None
        return {}
    tables: dict[str, Table] = {}
    for section, table in content.items():
        if section not in SECTIONS:
            raise ConfigError(f"{path} has an unknown table [{section}].{offer(section, SECTIONS)}")
        if not isinstance(table, dict):
            raise ConfigError(f"{path}: {section} must be a table: write [{section}], and its values below.")
        tables[section] = table
    return tables


def read_toml(path: Path) -> dict[str, object]:
    """What is in a file. Raises ConfigError, and FileNotFoundError if there is none."""
    import tomllib

    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise
    except (OSError, UnicodeError) as error:
        raise ConfigError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}.") from error
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(f"{path} is not TOML: {error}.") from error


def options_file(arguments: ArgumentCollection) -> Path | None:
    """The file that a command was told to take its options from."""
    for argument in arguments:
        if argument.name == OPTIONS_FILE and argument.tokens and argument.tokens[0].value:
            return Path(argument.tokens[0].value).expanduser()
    return None


def option_names(arguments: ArgumentCollection) -> set[str]:
    """What a file may set of a command: its options without the dashes, but for the one that names a file."""
    names = {argument.name for argument in arguments if argument.name.startswith("--")}
    return {name.removeprefix("--") for name in names - {OPTIONS_FILE}}


def offer(word: str, known: Iterable[str]) -> str:
    """A sentence that names the known word nearest to `word`, or all of them; begins with a blank."""
    names = sorted(known)
    close = get_close_matches(word.replace("_", "-").casefold(), names, n=1, cutoff=0.5)
    return f" Did you mean {close[0]}?" if close else f" There are: {', '.join(names)}."


def _is_named() -> bool:
    return bool(os.environ.get(FILE_VARIABLE))


def _flat(table: Table, before: str = "") -> Iterator[tuple[str, object]]:
    """Dotted names and values: `log.find = …` in TOML is a table in a table."""
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield before + name, value


USER_CONFIG = UserConfig()
"""The file of whoever runs the program."""


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
