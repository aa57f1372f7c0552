"""The parser of the command line, and the commands by name."""

from __future__ import annotations

from cyclopts import App, CycloptsError, Parameter
from cyclopts.argument import ArgumentCollection
from cyclopts.config import Env

from broadcast_tui import __version__
from broadcast_tui.cli import option_types
from broadcast_tui.cli.errors import ExitCode
from broadcast_tui.cli.option_types import sentence
from broadcast_tui.cli.settings import USER_CONFIG
from broadcast_tui.cli.stdio import one_line, print_message

__all__ = ["app", "call", "described", "option_types"]


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
    # No --no-json, no --empty-mention.
    default_parameter=Parameter(negative=()),
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


def call(tokens: list[str]) -> object:
    """Call the command of a command line and return its result. An error in the command line is printed."""
    try:
        return app(tokens, print_error=False, exit_on_error=False, result_action="return_value")
    except CycloptsError as error:
        print_message(described(error))
        return ExitCode.USAGE


def described(error: CycloptsError) -> str:
    """The error and what to do about it, in one line."""
    command = " ".join(["broadcast-tui", *(error.command_chain or ())])
    return f"{one_line(sentence(error))} See '{command} --help'."
