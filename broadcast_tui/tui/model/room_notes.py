"""What people do with the posts of a room: notes applied to its transcript, pinned posts, open questions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import msgspec

from broadcast_tui.core.names import name_key
from broadcast_tui.core.notes import Note, apply_note, in_epoch, merged
from broadcast_tui.core.post import Position, Post
from broadcast_tui.core.post_state import Ask, NoteKind, PostState, answer_count
from broadcast_tui.core.session.updates import EpochChanged, NoteDelivered, RoomEntered
from broadcast_tui.core.text import visible, visible_line
from broadcast_tui.tui.model.transcript.post_details import clean_state
from broadcast_tui.tui.model.transcript.post_rows import ACKNOWLEDGE
from broadcast_tui.tui.model.transcript.records import StoredPost, shortened
from broadcast_tui.tui.model.transcript.transcript import Transcript

POSITIONS_MAX = 100
"""Maximum number of pinned posts and of open questions that a client remembers."""
QUESTIONS_MAX = 10
"""Number of open questions among which to look for one that concerns the user, the newest first."""
EARLY_MAX = 1_000
"""Maximum number of notes remembered while a page of history is on its way."""


class OpenQuestion(msgspec.Struct, frozen=True):
    """A question that concerns the user. Its text is sanitized."""

    post_id: str
    sender: str
    text: str
    choices: tuple[str, ...]
    answered: int
    of: int
    waiting: tuple[str, ...]
    """The first names of the people who have not answered."""
    can_answer: bool
    """Whether the user was asked and has not answered; otherwise the user has asked it."""

    @property
    def is_announcement(self) -> bool:
        """Whether it only asks people to acknowledge it."""
        return self.choices == ACKNOWLEDGE


class RoomNotes:
    """Notes of one room, whose posts are in `transcript`."""

    def __init__(self, transcript: Transcript) -> None:
        self._transcript = transcript
        self._pinned: set[Position] = set()
        self._asks: set[Position] = set()
        self._answered: set[Position] = set()
        """Open questions that the user has answered from this client."""
        self._far: dict[Position, Post] = {}
        """Open questions that are older than all loaded posts; sanitized."""
        self._fetched: set[Position] = set()
        """Open questions that have been requested from the server."""
        self._early: list[Note] = []
        """Notes about posts that a pending page of history may contain."""

    @property
    def pinned(self) -> list[Position]:
        """The pinned posts, in ascending order. Not all of them need be loaded."""
        return sorted(self._pinned)

    @property
    def pin_count(self) -> int:
        return len(self._pinned)

    @property
    def asks(self) -> list[Position]:
        """The open questions, in ascending order. Not all of them need be loaded."""
        return sorted(self._asks)

    def post(self, post_id: str) -> StoredPost | None:
        """The loaded post with this id, with its current state; None if it is not loaded."""
        position = Position.parse(post_id)
        return None if position is None else self._transcript.find_post(position)

    def open_question(self, own_name: str) -> OpenQuestion | None:
        """The newest open question that the user has asked or has to answer."""
        return next(self.open_questions(own_name), None)

    def open_questions(self, own_name: str) -> Iterator[OpenQuestion]:
        """The open questions that the user has asked or has to answer, the newest first."""
        for position in reversed(self.asks[-QUESTIONS_MAX:]):
            stored = self._transcript.find_post(position)
            post = stored.post if stored is not None else self._far.get(position)
            if post is None or post.state.ask is None:
                continue
            is_own = stored.own if stored is not None else post.sender == own_name
            if not is_own and self._transcript.is_hidden(post.sender):
                continue
            ask = post.state.ask
            can_answer = position not in self._answered and _is_waiting_for(post.state, own_name)
            if is_own or can_answer:
                yield OpenQuestion(
                    str(position),
                    post.sender,
                    post.text,
                    ask.choices,
                    answer_count(post.state),
                    ask.of,
                    post.state.waiting,
                    can_answer,
                )

    def take_questions_to_fetch(self) -> list[str]:
        """The ids of open questions that are not loaded; each is returned once."""
        missing = [
            position
            for position in self.asks[-QUESTIONS_MAX:]
            if position not in self._fetched and self._transcript.find_post(position) is None
        ]
        self._fetched.update(missing)
        return [str(position) for position in missing]

    # -- updates

    def entered(self, update: RoomEntered) -> None:
        """Replace the pinned posts and open questions by those of the server."""
        self._pinned = set(update.pinned[-POSITIONS_MAX:])
        self._asks = set(update.asks[-POSITIONS_MAX:])
        self._answered &= self._asks
        self._fetched &= self._asks
        self._far = {position: post for position, post in self._far.items() if position in self._asks}

    def follow(self, change: EpochChanged) -> None:
        """Give everything the ids of a new epoch, and forget what is lost."""
        for positions in (self._pinned, self._asks, self._answered, self._fetched):
            followed = {new for position in positions if (new := change.follow(position)) is not None}
            positions.clear()
            positions.update(followed)
        self._far = {
            new: in_epoch(post, new.epoch)
            for position, post in self._far.items()
            if (new := change.follow(position)) is not None
        }
        self._early = [
            in_epoch(note, new.epoch)
            for note in self._early
            if (new := change.follow(note.position)) is not None
        ]

    def posted(self, post: Post) -> None:
        """Record a post that has a state."""
        state = post.state
        if state.deleted is not None:
            self._discard(post.position)
            return
        _set(self._pinned, post.position, state.pinned is not None)
        _set(self._asks, post.position, state.ask is not None and not state.closed)

    def delivered(self, update: NoteDelivered) -> None:
        """Record that the server has stored a note of the user."""
        position = Position.parse(update.re)
        if update.kind in (NoteKind.EDIT, NoteKind.DELETE):
            # The post may not have been sent yet; then it has no id, and no note about it follows.
            self._transcript.edit_pending(update.re, update.text if update.kind is NoteKind.EDIT else "")
        if update.kind is NoteKind.ANSWER and position in self._asks:
            self._answered.add(position)

    def arrived(self, note: Note, *, is_paging: bool, is_mention: Callable[[str], bool]) -> StoredPost | None:
        """Apply a note.

        Args:
            note: The note.
            is_paging: A page of history is on its way.
            is_mention: Whether a text mentions the user.

        Returns:
            The post before the note; None if the post is not loaded, or was changed by a later note already.
        """
        self._track(note)
        position = Position(note.position.epoch, note.re)
        stored = self._transcript.find_post(position)
        if stored is None:
            if position in self._far:
                self._far[position] = _cleaned(apply_note(self._far[position], note))
            if is_paging and len(self._early) < EARLY_MAX:
                self._early.append(note)
            return None
        post = apply_note(stored.post, note)
        if post is stored.post:
            return None
        self._transcript.replace_post(post, mention=_mentions(post, stored, is_mention))
        return stored

    def take_page(self, posts: Iterable[Post]) -> list[Post]:
        """The posts of a page with the notes that arrived before it."""
        early, self._early = self._early, []
        by_seq: dict[Position, list[Note]] = {}
        for note in early:
            by_seq.setdefault(Position(note.position.epoch, note.re), []).append(note)
        page: list[Post] = []
        for post in posts:
            for note in by_seq.get(post.position, ()):
                post = apply_note(post, note)
            page.append(post)
        return page

    def merge(self, posts: Iterable[Post], is_mention: Callable[[str], bool]) -> None:
        """Update loaded posts and open questions by a page of any kind that contains them."""
        for read in posts:
            is_asked = read.position in self._asks
            stored = self._transcript.find_post(read.position) if read.state.folded or is_asked else None
            if stored is None and is_asked:
                self._far[read.position] = _cleaned(merged(self._far.get(read.position, read), read))
            if stored is not None and (post := merged(stored.post, read)) is not stored.post:
                self._transcript.replace_post(post, mention=_mentions(post, stored, is_mention))

    def _track(self, note: Note) -> None:
        """Update the pinned posts and open questions; the post need not be loaded."""
        position = Position(note.position.epoch, note.re)
        if note.post is None or note.post.state.deleted is not None:
            self._discard(position)
        elif note.kind is NoteKind.PIN:
            _set(self._pinned, position, note.post.state.pinned is not None)
        elif note.kind is NoteKind.ANSWER and note.post.state.closed:
            _set(self._asks, position, False)
            self._far.pop(position, None)

    def _discard(self, position: Position) -> None:
        self._pinned.discard(position)
        self._asks.discard(position)
        self._answered.discard(position)
        self._far.pop(position, None)


def _cleaned(post: Post) -> Post:
    """`post` with sanitized text."""
    return msgspec.structs.replace(
        post,
        sender=visible_line(post.sender),
        text=visible(shortened(post.text)),
        state=clean_state(post.state),
    )


def _set(positions: set[Position], position: Position, on: bool) -> None:
    if not on:
        positions.discard(position)
    elif len(positions) < POSITIONS_MAX:
        positions.add(position)


def _mentions(post: Post, stored: StoredPost, is_mention: Callable[[str], bool]) -> bool:
    """Whether a changed post mentions the user; own posts never do."""
    return not stored.own and post.state.deleted is None and is_mention(post.text)


def was_asked(ask: Ask, name: str) -> bool:
    """Whether a person was asked; never true without a name."""
    key = name_key(name) if name else ""
    return bool(key) and (not ask.to or any(name_key(other) == key for other in ask.to))


def _is_waiting_for(state: PostState, name: str) -> bool:
    """Whether a person was asked and has not answered, as far as the names in `state` tell."""
    if state.ask is None or not was_asked(state.ask, name):
        return False
    key = name_key(name)
    return all(name_key(other) != key for votes in state.tally.values() for other in votes.names)
