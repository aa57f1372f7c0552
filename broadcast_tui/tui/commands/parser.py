"""Parser of typed lines: a post, a command or an error.

An unknown `/word` is never sent. `//word`, or a space before the slash, sends the text as a post. Text that
starts with `/me ` gets a leading space then, because `/me ` marks an action on the wire. `s/old/new/` is
short for `/replace`; with a space before it, it is sent as a post.
"""

from __future__ import annotations

from difflib import get_close_matches

import msgspec

from broadcast_tui.core.lazy_pattern import lazy_pattern
from broadcast_tui.core.post import ACTION_PREFIX
from broadcast_tui.tui.commands.registry import (
    COMMANDS,
    NOT_AVAILABLE,
    Argument,
    Command,
    Group,
    available_commands,
)

SUBSTITUTION = lazy_pattern(r"s/((?:[^/\\\n]|\\.)+)/((?:[^/\\\n]|\\.)*)/(g?)")
"""`s/old/new/`, with `g` for each occurrence; a backslash quotes the next character."""
_BY_WORD = {word: command for command in COMMANDS for word in (command.name, *command.aliases)}


class PostInput(msgspec.Struct, frozen=True):
    """A post to send to the current room."""

    text: str


class CommandInput(msgspec.Struct, frozen=True):
    """A command and its argument, stripped; empty if there is none."""

    command: Command
    argument: str


class InputError(msgspec.Struct, frozen=True):
    """A line that cannot be executed. `text` says why and suggests a fix; the line stays in the input."""

    text: str


def find(word: str) -> Command | None:
    """Return the command with this name or alias. The slash is optional and case is ignored."""
    return _BY_WORD.get(word.removeprefix("/").casefold())


SIMILARITY_MIN = 0.65
"""Of a typing error; `nosuch` is no misspelled /announce (0.57)."""


def nearest(word: str, *, kiosk: bool = False) -> Command | None:
    """Return the available command most similar to `word`, or None."""
    key = word.removeprefix("/").casefold()
    words = [name for name, command in _BY_WORD.items() if command.in_kiosk or not kiosk]
    started = [name for name in words if key and name.startswith(key)]
    started.sort(key=lambda name: _BY_WORD[name].name != name)
    close = started or get_close_matches(key, words, n=1, cutoff=SIMILARITY_MIN)
    return _BY_WORD[close[0]] if close else None


def parse(text: str, *, kiosk: bool = False) -> PostInput | CommandInput | InputError:
    """Parse a submitted line, which must not be blank. In a kiosk, commands that it lacks are errors."""
    bare = text.lstrip()
    if SUBSTITUTION.fullmatch(text.rstrip()):
        return CommandInput(_BY_WORD["replace"], text.rstrip())
    if not bare.startswith("/"):
        return PostInput(text)
    if bare.startswith("//"):
        return PostInput(_literal(bare[1:]))
    if bare != text:
        return PostInput(_literal(bare))
    word, _, rest = _split(text)
    if word[1:].isdecimal() and word.isascii():
        if rest.strip():
            return InputError(_unknown(word, kiosk))
        return CommandInput(_BY_WORD["buffer"], word[1:])
    command = find(word)
    if command is None:
        return InputError(_unknown(word, kiosk))
    if kiosk and not command.in_kiosk:
        return InputError(NOT_AVAILABLE)
    argument = rest.strip()
    if command.argument is Argument.REQUIRED and not argument:
        return InputError(f"Usage: {command.usage}, for example {command.examples[0]}")
    if command.argument is Argument.NONE and argument:
        return InputError(f"{command.usage} takes no argument. To send this as text: /{text.split()[0]} …")
    return CommandInput(command, argument)


def _literal(text: str) -> str:
    return f" {text}" if text.startswith(ACTION_PREFIX) else text


def _split(text: str) -> tuple[str, str, str]:
    for index, character in enumerate(text):
        if character.isspace():
            return text[:index], character, text[index + 1 :]
    return text, "", ""


def _unknown(word: str, kiosk: bool) -> str:
    return f"{_no_such_command(word, kiosk)} To send it as text: /{word}"


def _no_such_command(word: str, kiosk: bool) -> str:
    """The error for an unknown command, with the most similar command."""
    similar = nearest(word, kiosk=kiosk)
    suggestion = f"Did you mean /{similar.name}?" if similar else "/help lists the commands."
    return f"No such command: {word}. {suggestion}"


def grouped(*, kiosk: bool = False) -> list[tuple[str, list[tuple[str, str]]]]:
    """The available commands by group, in table order: pairs of heading and rows of (usage, help)."""
    commands = available_commands(kiosk=kiosk)
    groups = [
        (group.value, [(command.usage, command.help) for command in commands if command.group is group])
        for group in Group
    ]
    groups[0][1].append(("//text", "Send text that starts with a slash"))
    return groups


def help_lines(word: str = "", key: str = "", *, kiosk: bool = False) -> list[str]:
    """The lines that /help prints: the available commands by group, or usage and examples of one command.

    `key` opens the help page; empty if there is none.
    """
    if not word:
        return [
            *(
                f"{heading}: {', '.join(usage.split()[0] for usage, _ in rows)}"
                for heading, rows in grouped(kiosk=kiosk)
            ),
            f"/help join describes /join.{f' {key} opens the help page.' if key else ''}",
        ]
    command = find(word)
    if command is None:
        return [_no_such_command(f"/{word.removeprefix('/')}", kiosk)]
    if kiosk and not command.in_kiosk:
        return [NOT_AVAILABLE]
    lines = [f"{command.usage}  {command.help}"]
    if command.aliases:
        lines.append("Aliases: " + ", ".join(f"/{alias}" for alias in command.aliases))
    return lines + [f"Example: {example}" for example in command.examples]
