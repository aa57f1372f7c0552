"""Tab: the word before the cursor completed to a command or a name, the next Tab to the next candidate.

Names come in the order in which they are likely meant: who spoke last first, then the others by name,
oneself last; nobody who has left. `ana: ` at the start of a message, `ana ` elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from broadcast_tui.tui.model.argument_words import argument_words, command_before
from broadcast_tui.tui.model.slash import COMMANDS, Kind

_IGNORED = "[]_-^`{}|\\"
"""Leading decorations of names that nobody types (`_ana_` completes from `an`)."""


@dataclass(frozen=True, slots=True)
class People:
    """Whom a name may be completed to. `here` is None when the room is too large to be listed."""

    speakers: Sequence[str] = ()
    """Who spoke, last speaker first."""
    here: Iterable[str] | None = None
    own: str = ""
    rooms: Sequence[str] = ()
    """Rooms that are known, without `#`, in the order to be offered."""
    themes: Sequence[str] = ()

    def ordered(self) -> list[str]:
        """All candidates, likeliest first, each once."""
        if self.here is None:
            names = list(self.speakers)
        else:
            here = set(self.here)
            spoken = [name for name in self.speakers if name in here]
            names = spoken + sorted(here.difference(spoken), key=str.casefold)
        others = [name for name in dict.fromkeys(names) if name != self.own]
        return [*others, self.own] if self.own else others


@dataclass(frozen=True, slots=True)
class Candidates:
    """What the text from `start` to `end` may become, each with its suffix; never empty."""

    start: int
    end: int
    texts: tuple[str, ...]


def candidates(text: str, cursor: int, people: People) -> Candidates | None:
    """Completions of the word that ends at `cursor` (an index into `text`), or None if there are none."""
    start = max(text.rfind(blank, 0, cursor) for blank in " \n\t") + 1
    word = text[start:cursor]
    if start == 0 and word.startswith("/") and not word.startswith("//"):
        found = _commands(word[1:].casefold(), "/")
    elif (command := command_before(text[:start])) is not None and command.kind is not Kind.TEXT:
        found = argument_words(
            command.kind, word, people=people.ordered(), rooms=people.rooms, themes=people.themes
        )
    elif word or not text:
        found = _names(word, start == 0, people)
    else:
        found = ()
    return Candidates(start, cursor, found) if found else None


def _commands(prefix: str, slash: str) -> tuple[str, ...]:
    names = [command.name for command in COMMANDS]
    aliases = [alias for command in COMMANDS for alias in command.aliases]
    matching = [name for name in names if name.startswith(prefix)]
    matching = matching or [alias for alias in aliases if alias.startswith(prefix)]
    return tuple(f"{slash}{name} " for name in matching)


def _names(word: str, first: bool, people: People) -> tuple[str, ...]:
    at = "@" if word.startswith("@") else ""
    prefix = word[len(at) :].casefold()
    suffix = ": " if first and not at else " "
    return tuple(
        f"{at}{name}{suffix}"
        for name in people.ordered()
        if name.casefold().startswith(prefix) or name.lstrip(_IGNORED).casefold().startswith(prefix)
    )


class Completer:
    """One run of Tabs: the first one looks for candidates, the next ones go round them."""

    def __init__(self) -> None:
        self._found: tuple[str, ...] = ()
        self._before = ""
        self._after = ""
        self._index = 0
        self._shown = ("", -1)

    def step(self, text: str, cursor: int, people: People, *, back: bool = False) -> tuple[str, int] | None:
        """The text and cursor after one Tab (Shift+Tab with `back`), or None if nothing fits."""
        if self._found and (text, cursor) == self._shown:
            self._index += -1 if back else 1
        else:
            found = candidates(text, cursor, people)
            if found is None:
                self._found = ()
                return None
            self._found = found.texts
            self._before = text[: found.start]
            self._after = text[found.end :].removeprefix(" ")
            self._index = -1 if back else 0
        choice = self._found[self._index % len(self._found)]
        self._shown = (self._before + choice + self._after, len(self._before) + len(choice))
        return self._shown
