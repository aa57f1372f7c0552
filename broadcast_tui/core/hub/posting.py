"""Posts and notes from connections: checked, sanitized, and added to the entries that wait for the engine."""

from __future__ import annotations

from datetime import timedelta
from typing import assert_never

import msgspec

from broadcast_tui.core.clock import Instant, timestamp
from broadcast_tui.core.errors import ErrorCode, RequestError
from broadcast_tui.core.hub.auth import Role
from broadcast_tui.core.hub.cluster import Answers, Cluster
from broadcast_tui.core.hub.directs import DirectRooms
from broadcast_tui.core.hub.effects import Effects
from broadcast_tui.core.hub.log_index import LogIndex, current_seq
from broadcast_tui.core.hub.moderation import Moderation
from broadcast_tui.core.hub.name_claims import NameClaims
from broadcast_tui.core.hub.peer import Peer
from broadcast_tui.core.hub.pending_entries import PendingEntry
from broadcast_tui.core.hub.room import Room
from broadcast_tui.core.hub.rooms import Rooms
from broadcast_tui.core.limits import SharedLimits
from broadcast_tui.core.names import check_name, is_direct, name_key
from broadcast_tui.core.notes import NewNote
from broadcast_tui.core.post import LOST_SEQ, NewPost, Position
from broadcast_tui.core.post_state import Ask, NoteKind
from broadcast_tui.core.protocol import commands
from broadcast_tui.core.text import check_reaction, clean_line, clean_post, size_in_utf8

PENDING_ENTRIES_MAX = 10_000
"""Maximum number of entries waiting for the engine; further ones are temporarily rejected."""
REASON_BYTES = 256
"""Maximum length of the reason of a deletion."""
CHOICE_CHARS = 64
"""Maximum length of a choice of a question."""
ASKED_NAMES_MAX = 100
"""Maximum number of people asked by name. A question to more is to everyone."""
OPEN_ASKS_MAX = 100
"""Maximum number of open questions per room."""


class Posting:
    """Turns `message` and `note` frames into entries to append.

    Args:
        claims: Sets the names of connections.
    """

    def __init__(
        self,
        rooms: Rooms,
        index: LogIndex,
        limits: SharedLimits,
        moderation: Moderation,
        effects: Effects,
        claims: NameClaims,
        cluster: Cluster,
        directs: DirectRooms,
    ) -> None:
        self.draining = False
        """Whether the server is stopping: new entries are temporarily rejected."""
        self._rooms = rooms
        self._index = index
        self._limits = limits
        self._moderation = moderation
        self._effects = effects
        self._claims = claims
        self._cluster = cluster
        self._directs = directs

    def say(self, peer: Peer, say: commands.Say, when: Instant) -> None:
        """Add a post. Raises RequestError."""
        room = self._open_room(peer, say.room)
        # Before the text is sanitized: rejected posts would cost as much as accepted ones.
        peer.spend_post(size_in_utf8(say.message), when.now)
        text = clean_post(say.message, self._limits.current.max_message_bytes)
        re = self._seq_of(say.re, room.name) if say.re else 0
        ask = self._ask(peer, room, say.ask, when) if say.ask is not None else None
        if not peer.name and say.sender and not peer.v1:
            name = check_name(say.sender)
            self._moderation.check_not_muted(peer, when, name)
            self._name_and_append(peer, say, name, text, re, ask, when)
        else:
            self._append(peer, say, room.name, text, re, ask, when)

    def _name_and_append(
        self, peer: Peer, say: commands.Say, name: str, text: str, re: int, ask: Ask | None, when: Instant
    ) -> None:
        """Set the first name of a plain client, and add its post."""
        needs = self._claims.needs(peer, name, when)
        if needs:
            needs += self._directs.load_needs(peer)

        def then(answers: Answers, when: Instant) -> None:
            room = self._open_room(peer, say.room)
            self._claims.claim(peer, name, when)
            self._append(peer, say, room.name, text, re, ask, when)

        self._cluster.prepare(peer, say, needs, then, when)

    def _append(
        self, peer: Peer, say: commands.Say, room: str, text: str, re: int, ask: Ask | None, when: Instant
    ) -> None:
        new_post = NewPost(room, peer.sender, text, when.at, peer.client_id, say.nonce, peer.author, re, ask)
        self._add(peer, new_post)

    def note(self, peer: Peer, note: commands.Note, when: Instant) -> None:
        """Add a note. Raises RequestError."""
        room = self._open_room(peer, note.room)
        raw = note.message + note.reason + note.key + note.choice
        peer.spend_post(size_in_utf8(raw), when.now)
        re = self._seq_of(note.re, room.name)
        if not peer.name and note.note in (NoteKind.PIN, NoteKind.REACT, NoteKind.ANSWER):
            raise RequestError(ErrorCode.FORBIDDEN, "Choose a name first.")
        new_note = NewNote(
            room.name,
            re,
            note.note,
            peer.sender,
            when.at,
            peer.author,
            peer.client_id,
            note.nonce,
            peer.role is Role.ADMIN and not is_direct(room.name),
            self._text_of(note),
            note.on,
        )
        self._add(peer, new_note)

    def _add(self, peer: Peer, entry: NewPost | NewNote) -> None:
        epoch = self._index.epoch_of(entry.room) if entry.re else ""
        self._effects.pending_entries.append(PendingEntry(peer, entry, epoch))

    def take_batch(self) -> list[PendingEntry]:
        """Remove and return the entries to append next."""
        batch = self._effects.pending_entries.take_batch()
        if not self._cluster.is_shared:
            return batch
        return [self._current(pending) for pending in batch]

    def _current(self, pending: PendingEntry) -> PendingEntry:
        """An entry as it is to be appended to the current epoch of its room."""
        entry = pending.entry
        if not pending.epoch or pending.epoch == self._index.epoch_of(entry.room):
            return pending
        if current_seq(Position(pending.epoch, entry.re), entry.room, self._index) is not None:
            return pending
        re = 0 if isinstance(entry, NewPost) else LOST_SEQ
        return PendingEntry(pending.peer, msgspec.structs.replace(entry, re=re))

    def _text_of(self, note: commands.Note) -> str:
        """The sanitized text of a note. Raises RequestError."""
        match note.note:
            case NoteKind.EDIT:
                return clean_post(note.message, self._limits.current.max_message_bytes)
            case NoteKind.DELETE:
                return clean_line(note.reason, REASON_BYTES)
            case NoteKind.REACT:
                return check_reaction(note.key)
            case NoteKind.ANSWER:
                return _clean_choice(note.choice)
            case NoteKind.PIN:
                return ""
            case _:
                assert_never(note.note)

    def _open_room(self, peer: Peer, room_name: str) -> Room:
        """The room of an entry. Raises RequestError if it cannot be appended now."""
        if len(self._effects.pending_entries) >= PENDING_ENTRIES_MAX:
            text = "The server is busy. Try again."
            raise RequestError(ErrorCode.TRY_LATER, text, temporary=True, retry_after=1.0)
        if self.draining:
            text = "The server is restarting. Try again."
            raise RequestError(ErrorCode.DRAINING, text, temporary=True, retry_after=2.0)
        return self._rooms.subscription(peer, room_name).room

    def _seq_of(self, re: str, room_name: str) -> int:
        """The seq of the post with an id; LOST_SEQ if it may have been lost.

        Raises RequestError (NO_SUCH_POST) if it is from another log.
        """
        position = Position.parse(re)
        seq = current_seq(position, room_name, self._index) if position is not None else None
        if seq is None and position is not None and self._cluster.is_shared:
            return LOST_SEQ
        if not seq:
            raise RequestError(ErrorCode.NO_SUCH_POST, "This message is not stored on this server.")
        return seq

    def _ask(self, peer: Peer, room: Room, question: commands.Question, when: Instant) -> Ask:
        """The question of a post. Raises RequestError."""
        if len(self._index.open_asks(room.name)) >= OPEN_ASKS_MAX:
            text = f"A room can have at most {OPEN_ASKS_MAX} open questions. Wait until one is closed."
            raise RequestError(ErrorCode.TOO_MANY_NOTES, text)
        choices = tuple(map(_clean_choice, question.choices))
        if len({choice.casefold() for choice in choices}) < len(choices):
            raise RequestError(ErrorCode.BAD_FRAME, "The choices of a question must differ.")
        named = {name_key(name): name for name in map(check_name, question.to)}
        names, count = list(named.values()), len(named)
        if not names:
            # The author of an announcement knows it already.
            author = peer.name if len(choices) == 1 else ""
            names, count = room.presence.names(ASKED_NAMES_MAX, without=author)
        until = when.at + timedelta(seconds=question.until_s)
        return Ask(choices, timestamp(until), count, tuple(names))


def _clean_choice(raw: str) -> str:
    """The sanitized choice of a question. Raises RequestError."""
    choice = clean_line(raw, 4 * CHOICE_CHARS)
    if not choice:
        raise RequestError(ErrorCode.EMPTY, "A choice needs visible text.")
    if len(choice) > CHOICE_CHARS:
        raise RequestError(ErrorCode.TOO_LONG, f"A choice is too long: at most {CHOICE_CHARS} characters.")
    return choice
