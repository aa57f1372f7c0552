"""Tab completion of the word before the cursor: commands, names, rooms, emoji.

Names are ordered by relevance: users who mentioned the user last, then recent senders, then other members by
name, the user last. Users who left are suggested only after `@`. A name at the start of a message becomes
`ana: `, elsewhere `ana `. Words that start with a marker (`/`, `@`, `#`, `:`) are completed while they are
typed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from broadcast_tui.core.lazy_pattern import lazy_pattern
from broadcast_tui.tui.commands.parser import find
from broadcast_tui.tui.commands.registry import COMMANDS, Command, Kind
from broadcast_tui.tui.model.input.suggestions import Suggestion, Suggestions
from broadcast_tui.tui.model.notifications import NotifyLevel
from broadcast_tui.tui.model.text.collation import collation_key
from broadcast_tui.tui.model.text.emoji import emoji_named


def command_before(text: str) -> Command | None:
    """The command if `text`, everything before the word, is a single command; else None."""
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
    emoji: Iterable[str] = (),
    choices: Iterable[str] = (),
    settings: Iterable[str] = (),
    commands: Iterable[Command] = COMMANDS,
) -> tuple[str, ...]:
    """Completions of a command argument, each followed by a space, in the given order.

    Rooms start with `#` whether it is typed or not, users with `@` if it is typed; directories are not
    followed by a space. `files` returns the paths that start with its argument.
    """
    mark = ""
    match kind:
        case Kind.COMMAND:
            words: Iterable[str] = (command.name for command in commands)
            typed = typed.removeprefix("/")
        case Kind.ROOM:
            words, mark, typed = rooms, "#", typed.removeprefix("#")
        case Kind.PERSON:
            words, mark = people, "@" if typed.startswith("@") else ""
            typed = typed.removeprefix("@")
        case Kind.THEME:
            words = themes
        case Kind.LEVEL:
            words = (*NotifyLevel, "test")
        case Kind.FILE:
            return tuple(path if path.endswith("/") else f"{path} " for path in files(typed))
        case Kind.EMOJI if typed:
            return tuple(f"{emoji} " for _, emoji in emoji_named(typed.strip(":")))
        case Kind.EMOJI:
            words = emoji
        case Kind.PEOPLE:
            before, comma, typed = typed.rpartition(",")
            words, mark = people, f"{before}{comma}"
        case Kind.SETTING:
            words = settings
        case Kind.CHOICE:
            words = choices
        case Kind.TEXT:
            words = ()
    prefix = typed.casefold()
    return tuple(f"{mark}{word} " for word in dict.fromkeys(words) if word.casefold().startswith(prefix))


_IGNORED = "[]_-^`{}|\\"
"""Leading characters of names that may be omitted (`_ana_` is completed from `an`)."""


_EMOJI = lazy_pattern(r"(?:^|(?<=[(\[{\"'*~>])):((?:[a-zA-Z0-9+]|-1)[a-zA-Z0-9_+\-]*)(:?)\Z")
"""The start of an emoji name at the end of a word. A colon inside a word (a time, a URL) does not count."""


class CompletionContext(msgspec.Struct, frozen=True):
    """The names that can be completed. `here` is None if the room is too large to list."""

    speakers: Sequence[str] = ()
    """Recent senders, the most recent first."""
    here: Iterable[str] | None = None
    own: str = ""
    addressed: Sequence[str] = ()
    """Users who mentioned the user, the most recent first."""
    rooms: Sequence[str] = ()
    """Known rooms, without `#`, in the order to suggest."""
    themes: Sequence[str] = ()
    emoji: Sequence[str] = ()
    """Emoji to react with, the likeliest first."""
    settings: Mapping[str, Sequence[str]] = {}
    """The values of each setting."""
    choices: Sequence[str] = ()
    """The choices of the newest question put to the user."""
    files: Callable[[str], Sequence[str]] = lambda typed: ()
    """Returns the paths that start with the given text; directories end with `/`."""
    commands: Sequence[Command] = COMMANDS

    def ordered(self) -> list[str]:
        """All names, the likeliest first, without duplicates."""
        recent = [*self.addressed, *self.speakers]
        if self.here is None:
            names = recent
        else:
            here = set(self.here)
            spoken = [name for name in recent if name in here]
            names = spoken + sorted(here.difference(spoken), key=collation_key)
        others = [name for name in dict.fromkeys(names) if name != self.own]
        return [*others, self.own] if self.own else others

    def gone(self) -> list[str]:
        """Recent senders who are not here, the most recent first."""
        here = {self.own, *(self.here if self.here is not None else self.speakers)}
        return [name for name in dict.fromkeys(self.speakers) if name not in here]


class Candidate(msgspec.Struct, frozen=True):
    """A completion with its suffix, and how it is shown."""

    text: str
    label: str
    note: str = ""


class Candidates(msgspec.Struct, frozen=True):
    """Completions of the text from `start` to `end`; never empty."""

    start: int
    end: int
    found: tuple[Candidate, ...]

    @property
    def texts(self) -> tuple[str, ...]:
        return tuple(candidate.text for candidate in self.found)

    def offers(self, chosen: int = -1) -> Suggestions:
        return Suggestions(
            tuple(Suggestion(candidate.label, candidate.note) for candidate in self.found), chosen
        )


def candidates(text: str, cursor: int, people: CompletionContext) -> Candidates | None:
    """Complete the word that ends at index `cursor` of `text`; None if there is no completion."""
    start = max(text.rfind(blank, 0, cursor) for blank in " \n\t") + 1
    word = text[start:cursor]
    found: Iterable[Candidate] = ()
    if start == 0 and word.startswith("/") and not word.startswith("//"):
        found = _commands(word[1:].casefold(), "/", people.commands)
    elif word and (command := command_before(text[:start])) is not None and command.kind is Kind.EMOJI:
        found = _emoji(word.strip(":").casefold(), whole=len(word) > 1 and word.endswith(":"))
    elif (command := command_before(text[:start])) is not None and command.kind is not Kind.TEXT:
        words = argument_words(
            command.kind,
            word,
            people=people.ordered(),
            rooms=people.rooms,
            themes=people.themes,
            files=people.files,
            emoji=people.emoji,
            choices=people.choices,
            settings=people.settings,
            commands=people.commands,
        )
        found = (Candidate(text, text.rstrip()) for text in words)
    elif (values := _values_of(text[:start], people.settings)) is not None:
        found = (Candidate(f"{value} ", value) for value in values if value.startswith(word.casefold()))
    elif (emoji := _EMOJI.search(word)) and len(emoji[1]) > 1:
        start += emoji.start()
        found = _emoji(emoji[1].casefold(), whole=bool(emoji[2]))
    elif word.startswith("#"):
        found = _rooms(word[1:].casefold(), people)
    elif word or not text:
        found = _names(word, start == 0, people)
    found = tuple(found)
    return Candidates(start, cursor, found) if found else None


def _values_of(text: str, settings: Mapping[str, Sequence[str]]) -> Sequence[str] | None:
    """The values that can follow `text`, such as `/set time `; None if it is something else."""
    words = text.split()
    if len(words) != 2 or not text.startswith("/") or "\n" in text:
        return None
    command = find(words[0])
    return settings.get(words[1]) if command is not None and command.kind is Kind.SETTING else None


def hint(text: str, cursor: int, people: Callable[[], CompletionContext]) -> Suggestions | None:
    """Suggestions while typing: the usage of a command, or completions of a word with a marker.

    None for plain words, for which `people` is not called, and if nothing matches.
    """
    if cursor != len(text):
        return None
    if text.startswith("/") and text.endswith(" ") and text.count(" ") == 1 and (command := find(text[:-1])):
        return Suggestions((_row(command),)) if command in people().commands else None
    word = re.split(r"[ \n\t]", text)[-1]
    marked = word.startswith(("@", "#", ":")) and len(word) > 1
    if not marked and not (text.startswith("/") and word == text):
        return None
    found = candidates(text, cursor, people())
    return found.offers() if found else None


def _row(command: Command) -> Suggestion:
    return Suggestion(command.usage, command.help)


def _commands(prefix: str, slash: str, commands: Iterable[Command]) -> Iterable[Candidate]:
    commands = tuple(commands)
    named = [(command.name, command) for command in commands if command.name.startswith(prefix)]
    if not named:
        named = [
            (alias, command) for command in commands for alias in command.aliases if alias.startswith(prefix)
        ]
    for name, command in named:
        row = _row(command)
        yield Candidate(f"{slash}{name} ", row.label.replace(f"/{command.name}", f"/{name}", 1), row.note)


def _emoji(part: str, *, whole: bool) -> Iterable[Candidate]:
    for name, emoji in emoji_named(part):
        if name == part or not whole:
            yield Candidate(f"{emoji} ", f":{name}:", emoji)


def _rooms(prefix: str, people: CompletionContext) -> Iterable[Candidate]:
    for room in dict.fromkeys(people.rooms):
        if room.casefold().startswith(prefix):
            yield Candidate(f"#{room} ", f"#{room}")


def _names(word: str, first: bool, people: CompletionContext) -> Iterable[Candidate]:
    at = "@" if word.startswith("@") else ""
    prefix = word[len(at) :].casefold()
    suffix = ": " if first and not at else " "
    # People who have left can still be mentioned, but are not who a plain word is likely to mean.
    gone = people.gone() if at else []
    for name in (*people.ordered(), *gone):
        if name == people.own and not word:
            continue
        if name.casefold().startswith(prefix) or name.lstrip(_IGNORED).casefold().startswith(prefix):
            if name in gone:
                note = "left"
            else:
                note = "you" if name == people.own else "mentioned you" if name in people.addressed else ""
            yield Candidate(f"{at}{name}{suffix}", f"{at}{name}", note)


class Completer:
    """A series of Tabs: the first one finds the candidates, the next ones cycle through them."""

    def __init__(self) -> None:
        self._found: Candidates | None = None
        self._before = ""
        self._after = ""
        self._index = 0
        self._shown = ("", -1)

    def step(
        self, text: str, cursor: int, people: CompletionContext, *, back: bool = False
    ) -> tuple[str, int] | None:
        """Return the text and cursor after one Tab (`back`: Shift+Tab), or None if nothing matches."""
        if self._found is not None and (text, cursor) == self._shown and not self._is_directory:
            self._index += -1 if back else 1
        else:
            self._found = candidates(text, cursor, people)
            if self._found is None:
                return None
            self._before = text[: self._found.start]
            self._after = text[self._found.end :].removeprefix(" ")
            self._index = -1 if back else 0
        return self._choose()

    def pick(self, text: str, cursor: int, people: CompletionContext, index: int) -> tuple[str, int] | None:
        """Like `step`, but use the candidate in row `index`."""
        if self._found is None or (text, cursor) != self._shown:
            self.step(text, cursor, people)
        if self._found is None:
            return None
        self._index = index
        return self._choose()

    def offers(self, text: str, cursor: int) -> Suggestions | None:
        """The candidates if the series is at `text` and `cursor`, with the current one chosen; else None.

        A single candidate is not shown.
        """
        if self._found is None or (text, cursor) != self._shown or len(self._found.found) < 2:
            return None
        return self._found.offers(self._index % len(self._found.found))

    @property
    def _is_directory(self) -> bool:
        """Whether the only candidate was a directory, which the next Tab completes in."""
        return self._found is not None and len(self._found.texts) == 1 and self._found.texts[0].endswith("/")

    def _choose(self) -> tuple[str, int]:
        assert self._found is not None
        choice = self._found.texts[self._index % len(self._found.texts)]
        self._shown = (self._before + choice + self._after, len(self._before) + len(choice))
        return self._shown
