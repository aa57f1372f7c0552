"""The command line: one module a subcommand, imported when it is chosen.

Standard output is data, standard error is narration. Whatever a user gets wrong is one line on
standard error and exit status 2.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from cyclopts import App, CoercionError, CycloptsError
from cyclopts.argument import ArgumentCollection
from cyclopts.config import Env

from broadcast_tui import __version__
from broadcast_tui.cli.errors import ExitCode, UsageError, with_advice
from broadcast_tui.cli.settings import USER_CONFIG
from broadcast_tui.cli.stdio import announce, is_of_output, open_closed, stdout_gone
from broadcast_tui.core.errors import BroadcastError

ASK = "(asked for)"
"""In place of an address: it is to be typed. What is typed is `-`."""


def _from_file(command: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """The source of options that `--config` names; imported when a command has that option."""
    if any(argument.name == "--config" for argument in arguments):
        from broadcast_tui.cli.settings import from_file

        from_file(command, commands, arguments)


app = App(
    name="broadcast-tui",
    help="A chat room in one command: a broadcast server and a full-screen terminal client.",
    version=f"broadcast-tui {__version__}",
    config=(Env("BROADCAST_TUI_", command=True), _from_file, USER_CONFIG),
    help_format="plaintext",
)


app.command("broadcast_tui.cli.serve:serve", name="serve", alias="start", help="Start a server.")


app.command("broadcast_tui.cli.chat:chat", name="chat", alias="connect", help="Chat, full-screen.")


app.command("broadcast_tui.cli.send:send", name="send", help="Send posts from words or a pipe.")


app.command("broadcast_tui.cli.tail:tail", name="tail", help="Print the posts of a room.")


app.command(
    "broadcast_tui.cli.config:configuration", name="config", help="Show settings and where they come from."
)


app.command("broadcast_tui.cli.token:app", name="token", help="Create, list and revoke tokens.")


app.command("broadcast_tui.cli.forget:forget", name="forget", help="Forget what is kept for a server.")


app.command("broadcast_tui.cli.invite:invite", name="invite", help="Print how others join this server.")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the program and exit with its status."""
    tokens = list(sys.argv[1:] if arguments is None else arguments)
    open_closed()
    try:
        status = _run(_with_address_to_ask_for(tokens) or ["--help"])
    except CycloptsError as error:
        command = (
            " ".join(["broadcast-tui", *error.command_chain]) if error.command_chain else "broadcast-tui"
        )
        _complain(f"{_one_line(_sentence(error))} See '{command} --help'.")
        sys.exit(ExitCode.USAGE)
    except BroadcastError as error:
        _complain(_one_line(with_advice(error)))
        sys.exit(ExitCode.USAGE)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        stdout_gone()
        status = ExitCode.OK
    sys.exit(status if isinstance(status, int) else ExitCode.OK)


_NUMBERS = {int: "whole number", float: "number"}


def _sentence(error: CycloptsError) -> str:
    """What is wrong, in words for people, with its full stop."""
    if isinstance(error, CoercionError) and error.msg is None and error.token is not None:
        for kind, word in _NUMBERS.items():
            if error.target_type is kind:
                error.msg = f"{error.token.value!r} is no {word}."
    text = str(error)
    return text if text.endswith((".", "?")) else f"{text}."


def _run(tokens: list[str]) -> object:
    """What a command returns. Raises UsageError if what it prints cannot be written."""
    try:
        status: object = app(tokens, print_error=False, exit_on_error=False, result_action="return_value")
        sys.stdout.flush()
    except OSError as error:
        if not is_of_output(error):
            raise
        stdout_gone()
        raise UsageError(f"Standard output cannot be written: {error.strerror}.") from error
    return status


def _with_address_to_ask_for(tokens: list[str]) -> list[str]:
    """`-` in place of an address as the word that commands know it by: cyclopts takes it for an option."""
    where = [at for at, before in enumerate(tokens[:-1], 1) if before == "--url"]
    if tokens and tokens[0] in ("chat", "connect", "tail"):
        where += range(1, len(tokens))
    return [ASK if at in where and token == "-" else token for at, token in enumerate(tokens)]


def _one_line(text: str) -> str:
    from broadcast_tui.core.redaction import redact
    from broadcast_tui.core.text import log_safe

    return log_safe(redact(" ".join(text.split())), 400)


def _complain(text: str) -> None:
    announce(f"broadcast-tui: {text}", sys.stderr)
