"""The parser of the command line, and the commands by name."""

from __future__ import annotations

import os
import sys

from cyclopts import App, CoercionError, CycloptsError
from cyclopts.argument import ArgumentCollection
from cyclopts.config import Env

from broadcast_tui import __version__
from broadcast_tui.cli import PROMPT
from broadcast_tui.cli.errors import ExitCode, with_advice
from broadcast_tui.cli.kiosk import forget_variables, is_kiosk
from broadcast_tui.cli.settings import USER_CONFIG
from broadcast_tui.cli.stdio import print_safely, with_stdout
from broadcast_tui.core.errors import BroadcastError


def _from_file(command: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Read options from the file given by `--config`; imported only for commands that have this option."""
    if any(argument.name == "--config" for argument in arguments):
        from broadcast_tui.cli.settings import from_file

        from_file(command, commands, arguments)


app = App(
    name="broadcast-tui",
    help="Terminal chat: a broadcast server and a full-screen client.",
    version=f"broadcast-tui {__version__}",
    config=(Env("BROADCAST_TUI_", command=True), _from_file, USER_CONFIG),
    help_format="plaintext",
)
app.command("broadcast_tui.cli.serve:serve", name="serve", alias="start", help="Start a server.")
app.command("broadcast_tui.cli.chat:chat", name="chat", alias="connect", help="Open the chat client.")
app.command("broadcast_tui.cli.send:send", name="send", help="Send posts from arguments or standard input.")
app.command("broadcast_tui.cli.ask:ask", name="ask", help="Ask people a question and wait for answers.")
app.command("broadcast_tui.cli.tail:tail", name="tail", help="Print the posts of a room.")
app.command("broadcast_tui.cli.export:export", name="export", help="Save the history of a room.")
app.command("broadcast_tui.cli.replay:replay", name="replay", help="Watch an exported history in the chat.")
app.command(
    "broadcast_tui.cli.config:configuration", name="config", help="Show settings and where they come from."
)
app.command("broadcast_tui.cli.token:app", name="token", help="Create, list and revoke tokens.")
app.command("broadcast_tui.cli.hook:app", name="hook", help="Create, list and revoke webhooks.")
app.command("broadcast_tui.cli.history:app", name="history", help="Copy a history to another place.")
app.command("broadcast_tui.cli.cluster:cluster", name="cluster", help="List the servers that share a Redis.")
app.command("broadcast_tui.cli.forget:forget", name="forget", help="Delete saved credentials of a server.")
app.command("broadcast_tui.cli.doctor:doctor", name="doctor", help="Find problems and say what to do.")
app.command("broadcast_tui.cli.invite:invite", name="invite", help="Print an invite to a server here.")


def run(tokens: list[str]) -> int:
    """Run a command and return the exit status. Errors are printed as one line."""
    if is_kiosk(tokens):
        forget_variables(os.environ)
    try:
        return with_stdout(lambda: _call(_replace_dash(tokens)))
    except (BroadcastError, CycloptsError) as error:
        print_error(described(error))
        return ExitCode.USAGE
    except KeyboardInterrupt:
        return 130


def described(error: BroadcastError | CycloptsError) -> str:
    """The error and what to do about it, in one line."""
    if isinstance(error, BroadcastError):
        return _one_line(with_advice(error))
    command = " ".join(["broadcast-tui", *(error.command_chain or ())])
    return f"{_one_line(sentence(error))} See '{command} --help'."


_NUMBERS = {int: "whole number", float: "number"}


def sentence(error: CycloptsError) -> str:
    """The error as a sentence."""
    if isinstance(error, CoercionError) and error.msg is None and error.token is not None:
        for kind, word in _NUMBERS.items():
            if error.target_type is kind:
                error.msg = f"{error.token.value!r} is not a {word}."
    text = str(error)
    return text if text.endswith((".", "?")) else f"{text}."


def _call(tokens: list[str]) -> object:
    """Call a command and return its result."""
    return app(tokens, print_error=False, exit_on_error=False, result_action="return_value")


def _replace_dash(tokens: list[str]) -> list[str]:
    """Replace `-` in place of an address by `PROMPT`, because cyclopts takes `-` for an option."""
    positions = [at for at, before in enumerate(tokens[:-1], 1) if before == "--url"]
    if tokens and tokens[0] in ("chat", "connect", "tail", "doctor"):
        positions += range(1, len(tokens))
    return [PROMPT if at in positions and token == "-" else token for at, token in enumerate(tokens)]


def _one_line(text: str) -> str:
    from broadcast_tui.core.redaction import redact
    from broadcast_tui.core.text import log_safe

    return log_safe(redact(" ".join(text.split())), 400)


def print_error(text: str) -> None:
    """Print an error on standard error."""
    print_safely(f"broadcast-tui: {text}", sys.stderr)
