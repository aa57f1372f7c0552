"""Input history, browsed with Up and Down, or searched. The draft is at its end and is never lost.

Invariants: browsing never shows the same text twice in a row; edits to a recalled entry last until something
is sent from that room; each room has its own draft and position, the entries are shared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import msgspec

from broadcast_tui.core.lazy_pattern import lazy_pattern
from broadcast_tui.core.text import visible_line
from broadcast_tui.tui.model.input.suggestions import Suggestion, Suggestions

HISTORY_LIMIT = 1_000
"""Maximum number of entries, in memory and in the file."""


_SECRET_COMMANDS = frozenset(
    ["auth", "identify", "login", "oper", "pass", "password", "register", "secret", "token"]
)


_SECRET_ARGUMENT = lazy_pattern(r"(?i)(?:token|secret|passw\w*|key)\s*[=:]\s*\S")


class Entry(msgspec.Struct, frozen=True):
    """A submitted text, its room, and the address of its server.

    The address is empty, which means any server, if the entry was saved by a chat with one server.
    """

    room: str
    text: str
    server: str = ""


class _Entries(msgspec.Struct):
    """Entries, oldest first, shared by the histories of all servers."""

    items: list[Entry]
    limit: int
    save: Callable[[Entry], None] | None
    first: int = 0
    """Number of the oldest entry; it increases when old ones are dropped, so numbers stay valid."""
    servers: set[str] = msgspec.field(default_factory=set)
    """Addresses of the servers. Saved entries name theirs only if there are several."""


class _Browse(msgspec.Struct):
    """Position of one room: the number of an entry, or None at the draft."""

    place: int | None = None
    draft: str = ""
    edited: dict[int, str] = msgspec.field(default_factory=dict)


class InputHistory:
    """Entries, oldest first, with a position for each room; the position after the last one is the draft.

    `save` is called with each entry to store for later runs. `server` is the address of the rooms' server.
    """

    def __init__(
        self,
        entries: Iterable[Entry] = (),
        *,
        save: Callable[[Entry], None] | None = None,
        room: str = "",
        limit: int = HISTORY_LIMIT,
        server: str = "",
    ) -> None:
        self._shared = _Entries(list(entries)[-limit:], limit, save)
        self._server = server
        self.add_server(server)
        self.saved_drafts: dict[str, str] = {}
        """Unsent texts of earlier runs by room, which the input takes over."""
        self._positions: dict[str, _Browse] = {}
        self._position = _Browse()
        self.room = ""
        self.enter(room)

    def on_server(self, server: str, room: str) -> InputHistory:
        """A history of the same entries for the rooms of another server."""
        other = InputHistory(room=room, server=server)
        other._shared = self._shared
        other.add_server(server)
        return other

    def add_server(self, server: str) -> None:
        """Record that the chat has this server. From the second one on, saved entries name theirs."""
        if server:
            self._shared.servers.add(server)

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def _entries(self) -> list[Entry]:
        return self._shared.items

    @property
    def _first(self) -> int:
        return self._shared.first

    @property
    def entries(self) -> Sequence[Entry]:
        """All entries, oldest first."""
        return self._entries

    def is_here(self, entry: Entry) -> bool:
        """Whether an entry was submitted in the current room."""
        return entry.room == self.room and self._is_own_server(entry)

    @property
    def is_browsing(self) -> bool:
        """Whether an entry is shown, rather than the draft."""
        return self._position.place is not None

    def enter(self, room: str) -> None:
        """Switch to `room` and its position."""
        self.room = room
        self._position = self._positions.setdefault(room, _Browse())

    def add(self, text: str) -> None:
        """Add a sent `text` and return to an empty draft. Private texts are not stored."""
        shared = self._shared
        self.store(text)
        self.end_browsing()
        surplus = max(0, len(shared.items) - shared.limit)
        del shared.items[:surplus]
        shared.first += surplus

    def store(self, text: str, room: str | None = None) -> None:
        """Add a text, for later runs too, unless it is private. The position does not change."""
        shared = self._shared
        if not is_private(text) and self._add(text, room) and shared.save is not None:
            entry = shared.items[-1]
            shared.save(entry if len(shared.servers) > 1 else msgspec.structs.replace(entry, server=""))

    def unsent(self, room: str, shown: str) -> str:
        """The unsent text of a room whose input shows `shown`: the draft, or an entry that was changed."""
        position = self._positions.get(room)
        entry = None if position is None or position.place is None else self._at(position.place)
        return position.draft if position is not None and entry is not None and shown == entry.text else shown

    def add_unsent(self, text: str, room: str | None = None) -> None:
        """Add a text that was not sent, for this run only. The position does not change."""
        self._add(text, room)

    def end_browsing(self) -> None:
        """Return to an empty draft."""
        self._position = self._positions[self.room] = _Browse()

    def older(self, current: str, *, everywhere: bool = False) -> str | None:
        """Go to the previous entry, of this room or of all; None at the oldest one.

        `current` is saved for the way back.
        """
        return self._move(-1, current, everywhere)

    def newer(self, current: str, *, everywhere: bool = False) -> str | None:
        """Go to the next entry, finally the draft; None at the draft."""
        return self._move(1, current, everywhere)

    def _add(self, text: str, room: str | None = None) -> bool:
        entry = Entry(self.room if room is None else room, text, self._server)
        here = (old for old in reversed(self._entries) if old.room == entry.room and self._is_own_server(old))
        last = next(here, None)
        if not text.strip() or (last is not None and last.text == text):
            return False
        self._entries.append(entry)
        return True

    def _is_own_server(self, entry: Entry) -> bool:
        return entry.server in ("", self._server) or not self._server

    def _move(self, step: int, current: str, everywhere: bool) -> str | None:
        position, end = self._position, self._first + len(self._entries)
        place = end if position.place is None else position.place
        shown = self._at(place)
        target = place + step
        while (entry := self._at(target)) is not None and (
            (not everywhere and not self.is_here(entry)) or (shown is not None and entry.text == shown.text)
        ):
            target += step
        if not self._first <= target <= end or (target == end and position.place is None):
            return None
        if position.place is None:
            position.draft = current
        else:
            position.edited[position.place] = current
        position.place = None if entry is None else target
        return position.draft if entry is None else position.edited.get(target, entry.text)

    def _at(self, number: int) -> Entry | None:
        index = number - self._first
        return self._entries[index] if 0 <= index < len(self._entries) else None


def is_private(text: str) -> bool:
    """Whether `text` must not be stored: it starts with a space, or is a command with a secret."""
    if text[:1].isspace():
        return True
    word, *arguments = text.casefold().split() or [""]
    if not word.startswith("/") or word.startswith("//"):
        return False
    if word == "/connect":
        # A plain address, without user, query or fragment, has no secret.
        return len(arguments) > 1 or any(mark in argument for argument in arguments for mark in "@?#")
    return word[1:] in _SECRET_COMMANDS or has_secret_argument(text)


def has_secret_argument(text: str) -> bool:
    """Whether `text` names a secret and its value: `token=…`, `password: …`."""
    return _SECRET_ARGUMENT.search(text) is not None


class HistorySearch:
    """Incremental search of the history; an empty query finds nothing."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._texts = list(dict.fromkeys(entry.text for entry in reversed(entries)))
        self._matching: list[str] = []
        self._index = 0
        self.query = ""

    @property
    def found(self) -> str | None:
        """The selected match, or None."""
        return self._matching[self._index] if self._matching else None

    def type(self, text: str) -> None:
        """Extend the query."""
        self._search(self.query + text, self._texts if not self.query else self._matching)

    def delete_last(self) -> None:
        """Remove the last character of the query."""
        self._search(self.query[:-1], self._texts)

    def clear(self) -> None:
        self._search("", self._texts)

    def older(self) -> None:
        """Select the next older match, if there is one."""
        self._index = max(0, min(self._index + 1, len(self._matching) - 1))

    def newer(self) -> None:
        self._index = max(0, self._index - 1)

    def choose(self, row: int) -> None:
        """Select the match in `row` of the suggestions."""
        self._index = max(0, min(len(self._matching) - 1 - row, len(self._matching) - 1))

    def offers(self) -> Suggestions:
        """The matches as rows, the oldest on top, above the prompt."""
        rows = tuple(Suggestion(visible_line(text.replace("\n", " ⏎ "))) for text in reversed(self._matching))
        state = f"{self._index + 1} of {len(rows)}" if rows else "no matches" if self.query else ""
        return Suggestions(rows, len(rows) - 1 - self._index, prompt=f"(search) {self.query}", state=state)

    def _search(self, query: str, among: Iterable[str]) -> None:
        before, self.query = self.found, query
        exact = query != query.lower()
        self._matching = [text for text in among if query and query in (text if exact else text.lower())]
        self._index = self._matching.index(before) if before in self._matching else 0
