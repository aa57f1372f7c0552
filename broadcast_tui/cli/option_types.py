"""Types of options, and errors in options. Importing them loads the full parser, cyclopts.

Commands that `quick_parser` starts do not load it. They import the
package, `from broadcast_tui import cli`, and annotate options as `cli.option_types.Port`. Only the
full parser evaluates these annotations.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import (
    CoercionError,
    CycloptsError,
    MissingArgumentError,
    Parameter,
    Token,
    UnusedCliTokensError,
)
from cyclopts.argument import Argument
from cyclopts.validators import Number

from broadcast_tui.cli.connect_options import ConnectOptions
from broadcast_tui.core.clock import parse_duration


def whole_number(_type: object, tokens: Sequence[Token]) -> int:
    """Convert the value of an option to an integer. Raises ValueError."""
    try:
        return int(tokens[0].value)
    except ValueError:
        raise ValueError(_not_a("whole number", tokens[0].value)) from None


def given_text(_type: object, tokens: Sequence[Token]) -> str:
    """The value of an option, which may be empty in a file or the environment only. Raises ValueError.

    On a command line, `--tls-cert "$CERTIFICATE"` with a missing variable must not turn off TLS.
    """
    if not tokens[0].value and tokens[0].source == "cli":
        raise ValueError("it is empty")
    return tokens[0].value


def given_path(_type: object, tokens: Sequence[Token]) -> Path:
    """The path that is an argument. Raises ValueError if it is empty, which would be the directory."""
    if not tokens[0].value:
        raise ValueError("The name of the file is empty")
    return Path(tokens[0].value).expanduser()


def time_span(_type: object, tokens: Sequence[Token]) -> float:
    """Convert a duration such as `5m`, or a number of seconds, to seconds. Raises ValueError."""
    value = tokens[0].value
    seconds = parse_duration(value)
    if seconds is not None:
        return seconds
    try:
        return float(value)
    except ValueError:
        raise ValueError(f"{value!r} is not a duration. Use 90s, 5m or 2h.") from None


Port = Annotated[int, Parameter(converter=whole_number, validator=Number(gte=0, lte=65535))]
ServerPort = Annotated[int, Parameter(converter=whole_number, validator=Number(gte=1, lte=65535))]
"""Port of a server that listens already."""
Count = Annotated[int, Parameter(converter=whole_number, validator=Number(gte=0, lte=2**53))]
"""At most the largest integer that every client can read as JSON (RFC 8259 6), and SQLite can store."""
Rate = Annotated[float, Parameter(validator=Number(gte=0, lt=math.inf))]
Duration = Annotated[float, Parameter(converter=time_span, validator=Number(gt=0))]
Delay = Annotated[float, Parameter(converter=time_span, validator=Number(gte=0, lt=math.inf))]
Text = Annotated[str, Parameter(converter=given_text)]
FilePath = Annotated[Path, Parameter(converter=given_path)]
Texts = Annotated[tuple[str, ...], Parameter(show_default=False)]
Words = Annotated[str, Parameter(allow_leading_hyphen=False)]
Connection = Annotated[ConnectOptions, Parameter(name="*")]
Last = Annotated[int, Parameter(alias="-n", validator=Number(gte=0))]
Follow = Annotated[bool, Parameter(alias="-f")]

_NUMBERS = {int: "whole number", float: "number"}


def sentence(error: CycloptsError) -> str:
    """An error in an option as a sentence."""
    error.verbose = False
    match error:
        case CoercionError(msg=None, token=Token(value=value)):
            for kind, word in _NUMBERS.items():
                if error.target_type is kind:
                    error.msg = f"{_not_a(word, value)}."
        case UnusedCliTokensError():
            unused = error.unused_tokens or []
            return f"Unexpected argument{'s' * (len(unused) > 1)}: {', '.join(map(repr, unused))}."
        case MissingArgumentError(argument=Argument() as argument) if type(error) is MissingArgumentError:
            return _missing(error, argument)
    text = str(error)
    return text if text.endswith((".", "?")) else f"{text}."


def _missing(error: MissingArgumentError, argument: Argument) -> str:
    """What is missing: an argument or option, or the value of an option."""
    if name := error.keyword or next((token.keyword for token in argument.tokens if token.keyword), None):
        return f"{name} needs a value."
    suggestion = "".join(str(error).partition(" Did you mean ")[1:])
    kind = "option" if argument.name.startswith("-") else "argument"
    return f"Missing {kind}: {argument.name}.{suggestion}"


def _not_a(kind: str, value: str) -> str:
    has_unit = re.fullmatch(r"[+-]?[\d.,]+\s*[A-Za-z%]+", value)
    return f"{value!r} is not a {kind}" + (
        ". Write only the number, in the unit that the help names" if has_unit else ""
    )
