"""What typing a line means: a post, a command of the table, or a mistake.

An unknown `/word` is never sent; `//word`, or a blank before the slash, sends it as it is. Before `/me `
a blank is sent too, since on the wire that makes a post an action.
"""

from __future__ import annotations

from difflib import get_close_matches

import msgspec

from broadcast_tui.tui.commands.registry import COMMANDS, Argument, Command, Group, Verb
from broadcast_tui.tui.model.transcript.chunks import ACTION_PREFIX

_PRIVATE = frozenset({"msg", "query", "whisper", "dm", "pm", "tell"})
"""What other chats call private messages."""
_BY_WORD = {word: command for command in COMMANDS for word in (command.name, *command.aliases)}


class PostInput(msgspec.Struct, frozen=True):
    """Send `text` to the room."""

    text: str


class CommandInput(msgspec.Struct, frozen=True):
    """Do `command` with `argument` (blanks around it removed, empty if none)."""

    command: Command
    argument: str


class InputError(msgspec.Struct, frozen=True):
    """Nothing is done, what was typed stays; `text` says why and what would be right."""

    text: str


def find(word: str) -> Command | None:
    """The command called `word`, with or without its slash, in any case, by name or alias."""
    return _BY_WORD.get(word.removeprefix("/").casefold())


def nearest(word: str) -> Command | None:
    """The command most like `word`, or None if none is."""
    key = word.removeprefix("/").casefold()
    started = [name for name in _BY_WORD if key and name.startswith(key)]
    started.sort(key=lambda name: _BY_WORD[name].name != name)
    close = started or get_close_matches(key, list(_BY_WORD), n=1, cutoff=0.5)
    return _BY_WORD[close[0]] if close else None


def parse(text: str) -> PostInput | CommandInput | InputError:
    """What typing `text` and Enter means. `text` is not blank."""
    bare = text.lstrip()
    if not bare.startswith("/"):
        return PostInput(text)
    if bare.startswith("//"):
        return PostInput(_literal(bare[1:]))
    if bare != text:
        return PostInput(_literal(bare))
    word, _, rest = _split(text)
    if word[1:].isdecimal() and word.isascii():
        return (
            CommandInput(_BY_WORD[Verb.BUFFER], word[1:]) if not rest.strip() else InputError(_unknown(word))
        )
    command = find(word)
    if command is None:
        return InputError(_unknown(word))
    argument = rest.strip()
    if command.argument is Argument.REQUIRED and not argument:
        return InputError(f"Usage: {command.usage}, such as {command.examples[0]}")
    if command.argument is Argument.NONE and argument:
        return InputError(
            f"{command.usage} takes nothing after it. To send this as text: /{text.split()[0]} …"
        )
    return CommandInput(command, argument)


def _literal(text: str) -> str:
    return f" {text}" if text.startswith(ACTION_PREFIX) else text


def _split(text: str) -> tuple[str, str, str]:
    for index, character in enumerate(text):
        if character.isspace():
            return text[:index], character, text[index + 1 :]
    return text, "", ""


def _unknown(word: str) -> str:
    return f"{_no_such(word, ', nothing was sent')} To send it as text: /{word}"


def _no_such(word: str, also: str = "") -> str:
    """That there is no command `/word`, and `also` what follows from it; with the nearest one there is."""
    if word.removeprefix("/").casefold() in _PRIVATE:
        return f"There is no command {word}{also}: private messages are not there yet."
    like = nearest(word)
    offer = f"Did you mean /{like.name}?" if like else "/help lists the commands."
    return f"There is no command {word}{also}. {offer}"


def grouped() -> list[tuple[str, list[tuple[str, str]]]]:
    """The headings of the groups, in their order, each with its rows of (usage, help)."""
    groups = [
        (group.value, [(command.usage, command.help) for command in COMMANDS if command.group is group])
        for group in Group
    ]
    groups[0][1].append(("//text", "Send text that begins with a slash"))
    return groups


def help_lines(word: str = "", key: str = "") -> list[str]:
    """What /help prints, a string a line: the commands by group, or usage and example of one.

    `key` shows all there is; empty if no key does.
    """
    if not word:
        return [
            *(
                f"{heading}: {', '.join(usage.split()[0] for usage, _ in rows)}"
                for heading, rows in grouped()
            ),
            f"/help join says what /join does{f', {key} shows everything' if key else ''}.",
        ]
    command = find(word)
    if command is None:
        return [_no_such(f"/{word.removeprefix('/')}")]
    lines = [f"{command.usage}  {command.help}"]
    if command.aliases:
        lines.append("Also: " + ", ".join(f"/{alias}" for alias in command.aliases))
    return lines + [f"Example: {example}" for example in command.examples]
