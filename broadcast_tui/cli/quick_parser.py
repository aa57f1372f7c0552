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

from broadcast_tui.cli.settings import USER_CONFIG

COMMANDS = {"chat": "chat", "connect": "chat", "send": "send", "tail": "tail"}
"""Module and function of each command and alias."""
PORT_MAX = 65535


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
    parameters = signature(function).parameters.values()
    arguments = _parse(tokens[1:], list(parameters))
    if arguments is None or USER_CONFIG.tables.get(name):
        return None
    words, options = arguments
    return partial(function, *words, **options)


def _parse(
    tokens: Sequence[str], parameters: Sequence[Parameter]
) -> tuple[list[str], dict[str, object]] | None:
    """The words and options of a command line; None if it has anything unusual."""
    options = {_option(row.name): row for row in parameters if row.kind is Parameter.KEYWORD_ONLY}
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


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")


def _is_plain(token: str) -> bool:
    """Whether a token can only be a word or the value of an option."""
    return token != "" and not token.startswith("-")


def _read(parameter: Parameter, rest: Iterator[str]) -> object:
    """The value of an option, whose tokens are taken from `rest`; None if it is not plain.

    The annotation is not evaluated: it is a string.
    """
    if parameter.annotation == "bool":
        return True
    value = next(rest, "")
    if not _is_plain(value):
        return None
    match parameter.annotation:
        case "str" | "str | None":
            return value
        case "cli.option_types.Port | None" if value.isascii() and value.isdecimal():
            return port if (port := int(value)) <= PORT_MAX else None
    return None
