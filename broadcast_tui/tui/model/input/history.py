"""What was typed before, walked with Up and Down; the unsent draft waits at the end and is never lost.

Invariants: a walk never shows the same text twice in a row; edits made to a recalled entry last until
something is sent from that room; each room has a draft and a place of its own, the entries are shared.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from broadcast_tui.core.text import visible_line
from broadcast_tui.tui.model.input.suggestions import Suggestion, Suggestions

HISTORY_LIMIT = 1_000
"""Entries held; the file keeps no more either."""


_SECRET_COMMANDS = frozenset(
    ["auth", "identify", "login", "oper", "pass", "password", "register", "secret", "token"]
)


_SECRET_ARGUMENT = re.compile(r"(?i)(?:token|secret|passw\w*|key)\s*[=:]\s*\S")


@dataclass(frozen=True, slots=True)
class Entry:
    """A text as it was typed, and the room it was typed in."""

    room: str
    text: str


@dataclass(slots=True)
class _Walk:
    """Where one room stands: `place` is the number of an entry, None at the draft."""

    place: int | None = None
    draft: str = ""
    edited: dict[int, str] = field(default_factory=dict)


class InputHistory:
    """Entries, oldest first, and a place among them for each room; the place after the last one is the draft.

    `keep` is called with each entry that is to outlast the program.
    """

    def __init__(
        self,
        entries: Iterable[Entry] = (),
        *,
        keep: Callable[[Entry], None] | None = None,
        room: str = "",
        limit: int = HISTORY_LIMIT,
    ) -> None:
        self._limit = limit
        self._entries = list(entries)[-limit:]
        self._first = 0
        """Number of the oldest entry held; it rises as old ones go, so that numbers stay."""
        self._keep = keep
        self._walks: dict[str, _Walk] = {}
        self._walk = _Walk()
        self.room = ""
        self.enter(room)

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def entries(self) -> Sequence[Entry]:
        """All entries, oldest first."""
        return self._entries

    def enter(self, room: str) -> None:
        """Walk the entries of `room` from now on, from where it was left."""
        self.room = room
        self._walk = self._walks.setdefault(room, _Walk())

    def add(self, text: str) -> None:
        """Remember `text`, which was sent, and go back to an empty draft; what is private is not kept."""
        if not is_private(text) and self._remember(text) and self._keep is not None:
            self._keep(self._entries[-1])
        self.end_walk()
        surplus = max(0, len(self._entries) - self._limit)
        del self._entries[:surplus]
        self._first += surplus

    def set_aside(self, text: str, room: str | None = None) -> None:
        """Let Up find `text`, which was not sent, until the program ends; a walk stays where it is."""
        self._remember(text, room)

    def end_walk(self) -> None:
        """Go back to the draft, an empty one."""
        self._walk = self._walks[self.room] = _Walk()

    def older(self, current: str, *, everywhere: bool = False) -> str | None:
        """The entry before this place, of this room or of all, or None at the oldest one.

        `current` is kept for the way back.
        """
        return self._move(-1, current, everywhere)

    def newer(self, current: str, *, everywhere: bool = False) -> str | None:
        """The entry after this place, at last the draft; None at the draft."""
        return self._move(1, current, everywhere)

    def _remember(self, text: str, room: str | None = None) -> bool:
        entry = Entry(self.room if room is None else room, text)
        last = next((old for old in reversed(self._entries) if old.room == entry.room), None)
        if not text.strip() or entry == last:
            return False
        self._entries.append(entry)
        return True

    def _move(self, step: int, current: str, everywhere: bool) -> str | None:
        walk, end = self._walk, self._first + len(self._entries)
        place = end if walk.place is None else walk.place
        shown = self._at(place)
        target = place + step
        while (entry := self._at(target)) is not None and (
            (entry.room != self.room and not everywhere) or (shown is not None and entry.text == shown.text)
        ):
            target += step
        if not self._first <= target <= end or (target == end and walk.place is None):
            return None
        if walk.place is None:
            walk.draft = current
        else:
            walk.edited[walk.place] = current
        walk.place = None if entry is None else target
        return walk.draft if entry is None else walk.edited.get(target, entry.text)

    def _at(self, number: int) -> Entry | None:
        index = number - self._first
        return self._entries[index] if 0 <= index < len(self._entries) else None


def is_private(text: str) -> bool:
    """Whether `text` is never to be remembered: it begins with a blank, or is a command with a secret."""
    if text[:1].isspace():
        return True
    word, *arguments = text.casefold().split() or [""]
    if not word.startswith("/") or word.startswith("//"):
        return False
    if word == "/connect":
        # An address alone, without a user, a query or a fragment: there is nothing to hide in it.
        return len(arguments) > 1 or any(mark in argument for argument in arguments for mark in "@?#")
    return word[1:] in _SECRET_COMMANDS or _SECRET_ARGUMENT.search(text) is not None


class HistorySearch:
    """One search. `query` is what is looked for; nothing is found by an empty one."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._texts = list(dict.fromkeys(entry.text for entry in reversed(entries)))
        self._matching: list[str] = []
        self._index = 0
        self.query = ""

    @property
    def found(self) -> str | None:
        """The text that Enter would take, or None."""
        return self._matching[self._index] if self._matching else None

    def type(self, text: str) -> None:
        """Look for what was looked for and `text` after it."""
        self._look_for(self.query + text, self._texts if not self.query else self._matching)

    def rub_out(self) -> None:
        """Look for one letter less."""
        self._look_for(self.query[:-1], self._texts)

    def clear(self) -> None:
        self._look_for("", self._texts)

    def older(self) -> None:
        """On to the next older text, if there is one."""
        self._index = max(0, min(self._index + 1, len(self._matching) - 1))

    def newer(self) -> None:
        self._index = max(0, self._index - 1)

    def choose(self, row: int) -> None:
        """On to the text in `row` of what `offers` shows."""
        self._index = max(0, min(len(self._matching) - 1 - row, len(self._matching) - 1))

    def offers(self) -> Suggestions:
        """All that was found as rows, the oldest on top, above the prompt."""
        rows = tuple(Suggestion(visible_line(text.replace("\n", " ⏎ "))) for text in reversed(self._matching))
        state = f"{self._index + 1} of {len(rows)}" if rows else "nothing found" if self.query else ""
        return Suggestions(rows, len(rows) - 1 - self._index, prompt=f"(search) {self.query}", state=state)

    def _look_for(self, query: str, among: Iterable[str]) -> None:
        before, self.query = self.found, query
        exact = query != query.lower()
        self._matching = [text for text in among if query and query in (text if exact else text.lower())]
        self._index = self._matching.index(before) if before in self._matching else 0
