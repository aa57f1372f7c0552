"""What may stand after a command: names of commands, rooms, people, themes, files, by the command's kind."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from broadcast_tui.tui.model.command_table import COMMANDS, Command, Kind
from broadcast_tui.tui.model.notices import Level
from broadcast_tui.tui.model.slash import find


def command_before(text: str) -> Command | None:
    """The command that `text`, all that stands before a word, consists of; None if it does not."""
    typed = text.strip()
    if not typed.startswith("/") or typed.startswith("//") or len(typed.split()) != 1:
        return None
    return find(typed)


def argument_words(
    kind: Kind,
    typed: str,
    *,
    people: Iterable[str],
    rooms: Iterable[str],
    themes: Iterable[str],
    files: Callable[[str], Iterable[str]],
) -> tuple[str, ...]:
    """Those that begin as `typed` does, each with a blank after it, in the order given.

    Rooms with their `#`, whether it is typed or not; people with the `@` if that is typed; directories
    without a blank. `files` are the paths that begin with its argument.
    """
    mark = ""
    match kind:
        case Kind.COMMAND:
            words: Iterable[str] = (command.name for command in COMMANDS)
            typed = typed.removeprefix("/")
        case Kind.ROOM:
            words, mark, typed = rooms, "#", typed.removeprefix("#")
        case Kind.PERSON:
            words, mark = people, "@" if typed.startswith("@") else ""
            typed = typed.removeprefix("@")
        case Kind.THEME:
            words = themes
        case Kind.LEVEL:
            words = (*Level, "test")
        case Kind.FILE:
            return tuple(path if path.endswith("/") else f"{path} " for path in files(typed))
        case Kind.TEXT:
            words = ()
    prefix = typed.casefold()
    return tuple(f"{mark}{word} " for word in dict.fromkeys(words) if word.casefold().startswith(prefix))
