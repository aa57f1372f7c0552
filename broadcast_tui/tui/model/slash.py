"""The slash commands, in one table: parser, /help, completion and command palette are made from it.

An unknown `/word` is never sent; `//word`, or a blank before the slash, sends it as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from enum import Enum, StrEnum


class Verb(StrEnum):
    """What a command does; one for each row of the table."""

    HELP = "help"
    ME = "me"
    NICK = "nick"
    WHO = "who"
    CLEAR = "clear"
    NOTIFY = "notify"
    MUTE = "mute"
    UNMUTE = "unmute"
    QUIT = "quit"


class Argument(Enum):
    """Whether a command takes text after its name."""

    NONE = "none"
    OPTIONAL = "optional"
    REQUIRED = "required"


@dataclass(frozen=True, slots=True)
class Command:
    """A row of the table. `hint` names the argument, `help` is one sentence without a full stop."""

    verb: Verb
    help: str
    aliases: tuple[str, ...] = ()
    hint: str = ""
    argument: Argument = Argument.NONE
    example: str = ""

    @property
    def name(self) -> str:
        return self.verb.value

    @property
    def usage(self) -> str:
        """The command as it is typed: `/nick <name>`, `/help [command]`."""
        marks = {
            Argument.NONE: "",
            Argument.OPTIONAL: f" [{self.hint}]",
            Argument.REQUIRED: f" <{self.hint}>",
        }
        return f"/{self.name}{marks[self.argument]}"


COMMANDS: tuple[Command, ...] = (
    Command(
        Verb.HELP,
        "List the commands, or explain one",
        hint="command",
        argument=Argument.OPTIONAL,
        example="/help nick",
    ),
    Command(
        Verb.ME,
        "Say what you do, in the third person",
        hint="action",
        argument=Argument.REQUIRED,
        example="/me waves",
    ),
    Command(
        Verb.NICK,
        "Take another name; it is yours once the server agrees",
        aliases=("name",),
        hint="name",
        argument=Argument.REQUIRED,
        example="/nick ana",
    ),
    Command(Verb.WHO, "List who is here", aliases=("names", "users")),
    Command(Verb.CLEAR, "Clear the screen; the room keeps its history"),
    Command(
        Verb.NOTIFY,
        "Say what rings: off, mentions, all, test",
        hint="which",
        argument=Argument.OPTIONAL,
        example="/notify all",
    ),
    Command(Verb.MUTE, "Never ring here; count mentions only"),
    Command(Verb.UNMUTE, "Ring here again for mentions"),
    Command(Verb.QUIT, "Leave the chat", aliases=("exit", "q")),
)

_BY_WORD = {word: command for command in COMMANDS for word in (command.name, *command.aliases)}


@dataclass(frozen=True, slots=True)
class Say:
    """Send `text` to the room."""

    text: str


@dataclass(frozen=True, slots=True)
class Run:
    """Do `command` with `argument` (blanks around it removed, empty if none)."""

    command: Command
    argument: str


@dataclass(frozen=True, slots=True)
class Mistake:
    """Nothing is done, what was typed stays; `text` says why and what would be right."""

    text: str


def find(word: str) -> Command | None:
    """The command called `word`, with or without its slash, in any case, by name or alias."""
    return _BY_WORD.get(word.removeprefix("/").casefold())


def nearest(word: str) -> Command | None:
    """The command most like `word`, or None if none is."""
    key = word.removeprefix("/").casefold()
    started = [name for name in _BY_WORD if key and name.startswith(key)]
    close = started or get_close_matches(key, list(_BY_WORD), n=1, cutoff=0.5)
    return _BY_WORD[close[0]] if close else None


def parse(text: str) -> Say | Run | Mistake:
    """What typing `text` and Enter means. `text` is not blank."""
    bare = text.lstrip()
    if not bare.startswith("/"):
        return Say(text)
    if bare.startswith("//"):
        return Say(bare[1:])
    if bare != text:
        return Say(bare)
    word, _, rest = _split(text)
    command = find(word)
    if command is None:
        return Mistake(_unknown(word))
    argument = rest.strip()
    if command.argument is Argument.REQUIRED and not argument:
        return Mistake(f"Usage: {command.usage}   e.g. {command.example}")
    if command.argument is Argument.NONE and argument:
        return Mistake(f"{command.usage} takes nothing after it. To send this as text: /{text.split()[0]} …")
    return Run(command, argument)


def _split(text: str) -> tuple[str, str, str]:
    for index, character in enumerate(text):
        if character.isspace():
            return text[:index], character, text[index + 1 :]
    return text, "", ""


def _unknown(word: str) -> str:
    like = nearest(word)
    offer = f" Did you mean /{like.name}?" if like else " /help lists the commands."
    return f"There is no command {word}, nothing was sent.{offer} To send it as text: /{word}"


def help_lines(word: str = "") -> list[str]:
    """What /help prints: all commands, or usage and example of one; one string a line, aligned."""
    if not word:
        width = max(len(command.usage) for command in COMMANDS)
        lines = [f"{command.usage:<{width}}  {command.help}" for command in COMMANDS]
        return [*lines, f"{'//text':<{width}}  Send text that begins with a slash"]
    command = find(word)
    if command is None:
        return [_unknown(f"/{word.removeprefix('/')}")]
    lines = [f"{command.usage}  {command.help}"]
    if command.aliases:
        lines.append("Also: " + ", ".join(f"/{alias}" for alias in command.aliases))
    if command.example:
        lines.append(f"Example: {command.example}")
    return lines
