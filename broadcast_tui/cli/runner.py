"""Runs a command: reports errors in one line, and returns the exit status."""

from __future__ import annotations

import os

from broadcast_tui.cli import PROMPT
from broadcast_tui.cli.environment import unknown_variables
from broadcast_tui.cli.errors import ExitCode, with_advice
from broadcast_tui.cli.kiosk import forget_variables, is_kiosk
from broadcast_tui.cli.quick_parser import quick_call
from broadcast_tui.cli.settings import ConfigMistakes
from broadcast_tui.cli.stdio import one_line, print_message, with_stdout
from broadcast_tui.core.errors import BroadcastError


def run(tokens: list[str]) -> int:
    """Run a command and return the exit status. Each error, and each mistake in a file, is one line."""
    if is_kiosk(tokens):
        forget_variables(os.environ)
    for line in unknown_variables(os.environ):
        print_message(one_line(line))
    try:
        return with_stdout(lambda: _result(_replace_dash(tokens)))
    except ConfigMistakes as error:
        for line in error.lines:
            print_message(one_line(line))
        return ExitCode.USAGE
    except BroadcastError as error:
        print_message(one_line(with_advice(error)))
        return ExitCode.USAGE
    except KeyboardInterrupt:
        return 130


def _result(tokens: list[str]) -> object:
    command = quick_call(tokens)
    if command is not None:
        return command()
    from broadcast_tui.cli.parser import call

    return call(tokens)


def _replace_dash(tokens: list[str]) -> list[str]:
    """Replace `-` in place of an address by `PROMPT`, because cyclopts takes `-` for an option."""
    positions = [at for at, before in enumerate(tokens[:-1], 1) if before == "--url"]
    if tokens and tokens[0] in ("chat", "connect", "tail", "doctor"):
        positions += range(1, len(tokens))
    return [PROMPT if at in positions and token == "-" else token for at, token in enumerate(tokens)]
