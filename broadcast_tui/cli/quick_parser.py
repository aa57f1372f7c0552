"""Parses the usual command lines of `chat`, `send` and `tail`; anything else is left to cyclopts.

Loading and running cyclopts takes as long as a fifth of the start of the chat. The signatures of the commands
say what is parsed here: words and options with plain values. `tests/cli/test_quick_parser.py` compares both
parsers.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib import import_module
from inspect import Parameter, signature

from broadcast_tui.cli.settings import ADDRESS, USER_CONFIG

COMMANDS = {"chat": "chat", "connect": "chat", "send": "send", "tail": "tail"}
"""Module and function of each command and alias."""
TEXTS = ("str", "str | None")
FLAGS = ("bool", "cli.option_types.Follow")
LARGEST = {"cli.option_types.Port | None": 65_535, "cli.option_types.Last": 999_999}
"""Annotations of parameters; for whole numbers, the largest that is parsed here."""
MAX_DIGITS = 6
SHORT = {"cli.option_types.Follow": "-f", "cli.option_types.Last": "-n"}
"""Short options by annotation."""


def quick_call(tokens: Sequence[str]) -> Callable[[], object] | None:
    """The call of the command with its arguments, or None if cyclopts has to parse the command line.

    Raises:
        ConfigError: The user's configuration file has a problem.
    """
    if not tokens or tokens[0] not in COMMANDS:
        return None
    name = COMMANDS[tokens[0]]
    variables = tuple(f"BROADCAST_TUI_{word.upper()}_" for word in {name, tokens[0]})
    if any(variable.startswith(variables) for variable in os.environ):
        return None
    function = getattr(import_module(f"broadcast_tui.cli.{name}"), name)
    parameters = list(signature(function).parameters.values())
    arguments = _parse(tokens[1:], parameters)
    if arguments is None:
        return None
    words, given = arguments
    for key, value in USER_CONFIG.tables.get(name, {}).items():
        option = next((row for row in parameters if row.name == key.replace("-", "_")), None)
        if key in ADDRESS or option is None or option.annotation not in TEXTS or not _is_plain(value):
            return None
        given.setdefault(option.name, value)
    return partial(function, *words, **given)


def _parse(
    tokens: Sequence[str], parameters: Sequence[Parameter]
) -> tuple[list[str], dict[str, object]] | None:
    """The words and options of a command line; None if it has anything unusual."""
    rows = [row for row in parameters if row.kind is Parameter.KEYWORD_ONLY]
    options = {"--" + row.name.replace("_", "-"): row for row in rows}
    options |= {SHORT[row.annotation]: row for row in rows if row.annotation in SHORT}
    words: list[str] = []
    given: dict[str, object] = {}
    rest = iter(tokens)
    for token in rest:
        if (parameter := options.get(token)) is not None:
            value = _read(parameter, rest)
            if value is None or parameter.name in given:
                return None
            given[parameter.name] = value
        elif _is_plain(token):
            words.append(token)
        else:
            return None
    first = parameters[0]
    if len(words) > 1 and first.kind is not Parameter.VAR_POSITIONAL:
        return None
    return words, given


def _is_plain(token: object) -> bool:
    """Whether a token can only be a word or the value of an option."""
    return isinstance(token, str) and token != "" and not token.startswith("-")


def _read(parameter: Parameter, rest: Iterator[str]) -> object:
    """The value of an option, whose tokens are taken from `rest`; None if it is not plain.

    The annotation is not evaluated: it is a string.
    """
    if parameter.annotation in FLAGS:
        return True
    value = next(rest, "")
    if not _is_plain(value):
        return None
    if parameter.annotation in TEXTS:
        return value
    if parameter.annotation not in LARGEST or not (value.isascii() and value.isdecimal()):
        return None
    number = int(value[:MAX_DIGITS])
    return number if str(number) == value and number <= LARGEST[parameter.annotation] else None
