"""Configuration files: the user's TOML file of options, settings and keys, and the file of `serve --config`.

    [chat]
    name = "ana"
    [settings]
    time = "12h"
    [keys]
    "log.page-up" = "pageup,alt+v"

The command line wins over the environment, the environment over the file, the file over the default.
An unknown entry in a file is an error.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from broadcast_tui.cli.errors import UsageError
from broadcast_tui.core.errors import BroadcastError

if TYPE_CHECKING:
    from cyclopts import App
    from cyclopts.argument import ArgumentCollection


FILE_NAME = "config.toml"
FILE_VARIABLE = "BROADCAST_TUI_CONFIG"
"""Environment variable with the path of another file, which must exist."""
OPTIONS_FILE = "--config"
"""Option with the path of another file for one command, used in place of its table."""
KEYS = "keys"
SETTINGS = "settings"
SECTIONS = ("chat", "send", "tail", "ask", "serve", SETTINGS, KEYS)
Table = Mapping[str, object]


class ConfigError(BroadcastError):
    """A configuration file is invalid; the text names the file, the entry and the remedy."""


class ConfigMistakes(ConfigError):
    """Mistakes in a configuration file; `lines` has a line for each, with its place in the file."""

    def __init__(self, lines: Iterable[str]) -> None:
        self.lines = tuple(lines)
        super().__init__(" ".join(self.lines))


class UserConfig:
    """The user's configuration file, read on first use. As a cyclopts config, it sets options."""

    def __init__(self, path: Path | None = None) -> None:
        """Read the file at `path`; None for the path from `config_path`."""
        self.path = path
        self._tables: dict[str, Table] | None = None

    @property
    def tables(self) -> dict[str, Table]:
        """The tables of the file by section; empty without a file. Raises ConfigError."""
        if self._tables is None:
            self._tables = read_tables(self.file, must_exist=self.path is not None or _is_named())
        return self._tables

    @property
    def file(self) -> Path:
        return self.path or config_path()

    def reload(self) -> None:
        """Read the file again on the next use."""
        self._tables = None

    def keys(self) -> dict[str, str]:
        """Keys by binding id, unchecked. Raises ConfigError."""
        found: dict[str, str] = {}
        for name, value in _flat(self.tables.get(KEYS, {})):
            if isinstance(value, list) and all(isinstance(key, str) for key in value):
                value = ",".join(value)
            if not isinstance(value, str):
                raise ConfigError(f'{self.file}: [keys] "{name}" must be text such as "ctrl+f".')
            found[name] = value
        return found

    def checked_keys(self) -> dict[str, str]:
        """Keys by binding id, in the form Textual uses. Raises ConfigError."""
        from broadcast_tui.tui.keymap_config import KeyBindingError, checked_keys

        try:
            return checked_keys(self.keys())
        except KeyBindingError as refused:
            raise ConfigError(f"{self.file}: {refused}") from None

    def chat_settings(self) -> dict[str, str]:
        """Settings of the chat by name. Raises ConfigError."""
        from broadcast_tui.tui.model.settings import BY_NAME, SettingError, check_setting

        found: dict[str, str] = {}
        for key, value in self.tables.get(SETTINGS, {}).items():
            text = {True: "on", False: "off"}.get(value) if isinstance(value, bool) else str(value)
            try:
                name, found_value = check_setting(key, text or "", themes=(text or "",))
            except SettingError as error:
                raise ConfigError(f"{self.file}: [{SETTINGS}] {error}") from None
            if not BY_NAME[name].in_file:
                raise ConfigError(f"{self.file}: Write {name} into the table [chat].")
            found[name] = found_value
        return found

    def __call__(self, app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
        """Set the options of a command from its table, unless they already have a value."""
        from broadcast_tui.cli.option_tables import OptionsTable

        section = commands[0] if len(commands) == 1 else ""
        if section == "doctor":  # it reports mistakes in the file as a finding
            return
        table = self.tables.get(_ALIASES.get(section, section), {})
        if options_file(arguments) is not None:
            return
        given = {argument.name for argument in arguments if argument.tokens}
        # A given address replaces all parts of the address in the file.
        ignored = ADDRESS if given.intersection({"URL", "--url", "--host", "--port"}) else ()
        values = {key: value for key, value in table.items() if key not in ignored}
        OptionsTable(self.file, values, section)(app, commands, arguments)


ADDRESS = ("host", "port", "url")
"""Options that are parts of the address of a server."""


_ALIASES = {"start": "serve", "connect": "chat"}


def config_path() -> Path:
    """Path of the user's configuration file, which may not exist."""
    if _is_named():
        return Path(os.environ[FILE_VARIABLE]).expanduser()
    import platformdirs

    return platformdirs.user_config_path("broadcast-tui", appauthor=False) / FILE_NAME


def read_tables(path: Path, *, must_exist: bool) -> dict[str, Table]:
    """The tables of a file by section. Raises ConfigError if a section is unknown."""
    try:
        content = read_toml(path)
    except (FileNotFoundError, NotADirectoryError):
        if must_exist:
            raise ConfigError(f"{path} does not exist. Create it, or unset {FILE_VARIABLE}.") from None
        return {}
    tables: dict[str, Table] = {}
    for section, table in content.items():
        if section not in SECTIONS:
            raise ConfigError(f"{path}: Unknown table [{section}].{suggest(section, SECTIONS)}")
        if not isinstance(table, dict):
            raise ConfigError(f"{path}: {section} must be a table: write [{section}] with its values below.")
        tables[section] = table
    return tables


def read_toml(path: Path) -> dict[str, object]:
    """Read a TOML file.

    Raises:
        ConfigError: It cannot be read or is not valid.
        FileNotFoundError, NotADirectoryError: It does not exist.
    """
    try:
        text = path.read_text("utf-8")
    except (FileNotFoundError, NotADirectoryError):
        raise
    except UnicodeError as error:
        raise ConfigError(f"Cannot read {path}: it is not text in UTF-8.") from error
    except OSError as error:
        raise ConfigError(f"Cannot read {path}: {error.strerror or error}.") from error
    import tomllib

    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}.") from error


def options_file(arguments: ArgumentCollection) -> Path | None:
    """The path given by `--config`, or None."""
    for argument in arguments:
        if argument.name == OPTIONS_FILE and argument.tokens and argument.tokens[0].value:
            return Path(argument.tokens[0].value).expanduser()
    return None


def suggest(word: str, known: Iterable[str]) -> str:
    """A sentence that suggests the known word closest to `word`, or all of them. Starts with a space."""
    names = sorted(known)
    close = get_close_matches(word.replace("_", "-").casefold(), names, n=1, cutoff=0.5)
    return f" Did you mean {close[0]}?" if close else f" Available: {', '.join(names)}."


def _is_named() -> bool:
    return bool(os.environ.get(FILE_VARIABLE))


def _flat(table: Table, before: str = "") -> Iterator[tuple[str, object]]:
    """Iterate over dotted names and values: `log.find = …` in TOML is a nested table."""
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield before + name, value


USER_CONFIG = UserConfig()
"""The configuration file of the user who runs the program."""


def from_file(command: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """A cyclopts config: the file given by `--config`, if any.

    Raises:
        ConfigError: The file cannot be read, or has mistakes.
        UsageError: It does not exist.
    """
    from broadcast_tui.cli.option_tables import OptionsTable

    path = options_file(arguments)
    if path is None:
        return
    try:
        table = read_toml(path)
    except FileNotFoundError:
        raise UsageError(f"{OPTIONS_FILE}: {path} does not exist.") from None
    OptionsTable(path, table)(command, commands, arguments)
