"""Options of a command from a table of a TOML file, and the mistakes in it with their lines."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cyclopts import CycloptsError
from cyclopts.config import Dict

from broadcast_tui.cli.errors import with_advice
from broadcast_tui.cli.option_types import sentence
from broadcast_tui.cli.settings import OPTIONS_FILE, ConfigMistakes, Table, suggest
from broadcast_tui.core.errors import BroadcastError

if TYPE_CHECKING:
    from cyclopts import App
    from cyclopts.argument import Argument, ArgumentCollection

Arguments = Mapping[str, "Argument"]
"""Options of a command by name, with leading dashes."""

_HEADER = re.compile(r"\s*\[\s*([\w.-]+)\s*\]\s*(?:#.*)?", re.ASCII)
_KEY = re.compile(r"""\s*(?:"([^"\\]*)"|'([^']*)'|([\w-]+))\s*[.=]""", re.ASCII)


@dataclass(frozen=True, slots=True)
class OptionsTable:
    """A cyclopts config: options that were read from the file `path`, perhaps from its table `section`."""

    path: Path
    table: Table
    section: str = ""

    def __call__(self, command: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
        """Set the options, unless they already have a value. Raises ConfigMistakes."""
        names = option_names(arguments)
        found = {key: self._mistake(key, value, names) for key, value in self.table.items()}
        mistakes = {key: text for key, text in found.items() if text}
        valid = {key: value for key, value in self.table.items() if key not in mistakes}
        self._set(valid, command, commands, arguments)
        options = {argument.name: argument for argument in arguments if argument.name.startswith("--")}
        # Without those that the command line or the environment override.
        keys = {name: key for key in valid if self._is_source_of(options[name := f"--{_dashed(key)}"])}
        for name, key in keys.items():
            try:
                options[name].convert_and_validate()
            except CycloptsError as error:
                text = re.sub(f" (?:from|provided by) {re.escape(str(self.path))}", "", sentence(error))
                mistakes[key] = f"{text} See '{' '.join(('broadcast-tui', *commands))} --help'."
        if "--trusted-proxy" in options:
            right = {name: key for name, key in keys.items() if key not in mistakes}
            mistakes |= {right[name]: text for name, text in _unusable(options, right)}
        if mistakes:
            raise ConfigMistakes(self._located(mistakes))

    def _set(
        self, values: Table, command: App, commands: tuple[str, ...], arguments: ArgumentCollection
    ) -> None:
        # Without the names of the commands around it, cyclopts would skip options that are named like a
        # command: `history` of serve, `serve` of chat.
        table: dict[str, Any] = {_dashed(key): value for key, value in values.items()}
        for name in reversed(commands):
            table = {name: table}
        Dict(table, source=str(self.path))(command, commands, arguments)

    def _mistake(self, key: str, value: object, names: set[str]) -> str:
        """What is wrong with the name of an option or the type of its value; empty if nothing is."""
        if _dashed(key) not in names:
            if not self.section and isinstance(value, dict):
                return f"Write the options without the table [{key}]."
            what = f"[{self.section}] has no option {key!r}." if self.section else f"Unknown option {key}."
            return what + suggest(key, names)
        values = value if isinstance(value, list) else [value]
        if not all(isinstance(one, str | int | float | bool) for one in values):
            return f"{key} must be a string, a number, a boolean, or a list of these."
        return ""

    def _is_source_of(self, argument: Argument) -> bool:
        return bool(argument.tokens) and argument.tokens[0].source == str(self.path)

    def _located(self, mistakes: Mapping[str, str]) -> Iterator[str]:
        """The mistakes by key in the order of the file, with their places."""
        try:
            lines = key_lines(self.path.read_text("utf-8"), self.section)
        except (OSError, UnicodeError):
            lines = {}
        end = max(lines.values(), default=0) + 1
        for key in sorted(mistakes, key=lambda key: lines.get(key, end)):
            place = f"{self.path}:{lines[key]}" if key in lines else str(self.path)
            yield f"{place}: {mistakes[key]}"


def _unusable(options: Arguments, names: Container[str]) -> Iterator[tuple[str, str]]:
    """Options of `serve` among `names` with values that it cannot use, and why."""
    for group, check in (
        (("--trusted-proxy",), _check_networks),
        (("--origin",), _check_origins),
        (("--history",), _check_history),
        (("--tls", "--tls-key", "--tls-cert"), _check_certificate),
    ):
        given = [name for name in group if options[name].tokens]
        if not given or not all(name in names for name in given):
            continue  # `serve` itself reports what comes from elsewhere
        try:
            check(options)
        except BroadcastError as error:
            yield given[-1], with_advice(error)


def _check_networks(options: Arguments) -> None:
    from broadcast_tui.server.client_address import parse_networks

    parse_networks(_value(options["--trusted-proxy"]))


def _check_origins(options: Arguments) -> None:
    from broadcast_tui.server.admission import check_origins

    check_origins(_value(options["--origin"]))


def _check_history(options: Arguments) -> None:
    from broadcast_tui.engine.registry import check_location, public_location

    check_location(_value(options["--history"]))
    public_location(_value(options["--history"]))


def _check_certificate(options: Arguments) -> None:
    from broadcast_tui.cli.security import Security

    tls, certificate, key = (_value(options[name]) for name in ("--tls", "--tls-cert", "--tls-key"))
    Security("open", "", tls, certificate, key).given_certificate()


def _value(argument: Argument) -> Any:
    return argument.convert() if argument.tokens else argument.field_info.default


def option_names(arguments: ArgumentCollection) -> set[str]:
    """The options of a command that a file can set, without dashes: all except `--config`."""
    names = {argument.name for argument in arguments if argument.name.startswith("--")}
    return {name.removeprefix("--") for name in names - {OPTIONS_FILE}}


def key_lines(text: str, section: str = "") -> dict[str, int]:
    """The lines of the keys of a table in a TOML file, from 1 on; keys whose line is not certain are missing.

    Args:
        text: Valid TOML.
        section: The table; empty for the keys before the first one.
    """
    found: dict[str, list[int]] = {}
    current = ""
    for number, line in enumerate(text.split("\n"), 1):
        if header := _HEADER.fullmatch(line.rstrip("\r")):
            current = header[1]
            outer, _, key = current.rpartition(".")
            if outer == section:
                found.setdefault(key, []).append(number)
        elif current == section and (entry := _KEY.match(line)):
            found.setdefault(next(filter(None, entry.groups()), ""), []).append(number)
    return {key: numbers[0] for key, numbers in found.items() if len(numbers) == 1}


def _dashed(key: str) -> str:
    return key.replace("_", "-")
