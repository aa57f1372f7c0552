"""The post that an action of the user is about, and which actions are possible for it."""

from __future__ import annotations

import msgspec

from broadcast_tui.core.names import name_key
from broadcast_tui.core.post import Position, Post
from broadcast_tui.core.post_state import NO_STATE, Ask, PostState
from broadcast_tui.tui.model.room import RoomModel
from broadcast_tui.tui.model.room_notes import was_asked
from broadcast_tui.tui.model.text.wrapping import clip
from broadcast_tui.tui.model.transcript.chunks import POSTS, DeliveryState, Line
from broadcast_tui.tui.model.transcript.navigation import newest_own_post, post_id_of
from broadcast_tui.tui.model.transcript.post_rows import ACKNOWLEDGE
from broadcast_tui.tui.model.transcript.records import written_text

EXCERPT_CELLS = 40


class PostTarget(msgspec.Struct, frozen=True):
    """A post that the user acts on. It need not be loaded."""

    room: str
    ref: str
    """Its id; its nonce if the server has not acknowledged it."""
    sender: str
    text: str
    """As it was written; empty if it was deleted."""
    own: bool
    state: PostState = NO_STATE
    root: int = 0
    """Seq of the first post of its thread; 0 if it is not a reply."""

    @property
    def position(self) -> Position | None:
        """Its position in the log; None if the server has not acknowledged it."""
        return Position.parse(self.ref)

    @property
    def number(self) -> str:
        """Its number in the room; empty if it has none yet."""
        return "" if self.position is None else str(self.position.seq)

    @property
    def root_id(self) -> str:
        """Id of the first post of its thread, which may be this one; empty if it has no id yet."""
        position = self.position
        return "" if position is None else str(Position(position.epoch, self.root or position.seq))

    @property
    def excerpt(self) -> str:
        """The beginning of its text, on one line."""
        return clip(" ".join(self.text[:512].split()), EXCERPT_CELLS)

    @property
    def is_deleted(self) -> bool:
        return self.state.deleted is not None

    def can_answer(self, name: str) -> bool:
        """Whether it is an open question that a person was asked."""
        ask = self.state.ask
        return ask is not None and not self.state.closed and not self.is_deleted and was_asked(ask, name)

    @property
    def is_announcement(self) -> bool:
        """Whether it only asks people to acknowledge it."""
        return self.choices == ACKNOWLEDGE

    @property
    def choices(self) -> tuple[str, ...]:
        """The choices of a question; empty for another post."""
        return () if self.state.ask is None else self.state.ask.choices

    def has_reacted(self, name: str, emoji: str) -> bool:
        """Whether a person has given a reaction, as far as the known names tell."""
        votes = self.state.reactions.get(emoji)
        return votes is not None and any(name_key(other) == name_key(name) for other in votes.names)


def target_of_line(room: RoomModel, line_id: int) -> PostTarget | None:
    """The post of a line, loaded or pending; None for other lines and for rejected posts."""
    line = room.transcript.line(line_id)
    if line is None or line.kind not in POSTS or line.mark is DeliveryState.REJECTED:
        return None
    ref = post_id_of(room.transcript, line_id) or room.transcript.pending_nonce(line_id)
    return _target(room.name, ref, line) if ref else None


def target_of_post(post: Post, own_name: str) -> PostTarget:
    """A post that the server has sent, such as the result of a search."""
    text = "" if post.state.deleted is not None else post.text
    own = bool(own_name) and post.sender == own_name
    return PostTarget(post.room, str(post.position), post.sender, text, own, post.state, post.root)


def in_thread(room: RoomModel, target: PostTarget) -> bool:
    """Whether a post is a reply, or a loaded post replies to it."""
    position = target.position
    if target.root or position is None:
        return target.root > 0
    return any(
        details.root == position.seq or details.re == position.seq
        for chunk in room.transcript.chunks
        for details in chunk.details.values()
    )


def newest_target(room: RoomModel) -> PostTarget | None:
    """The newest post of a room that was neither deleted nor rejected; None if none is loaded."""
    transcript = room.transcript
    for chunk in reversed(transcript.chunks):
        for line_id in range(chunk.first_id + len(chunk) - 1, chunk.first_id - 1, -1):
            target = target_of_line(room, line_id)
            if target is not None and not target.is_deleted:
                return target
    return None


def newest_own_target(room: RoomModel) -> PostTarget | None:
    """The newest post of the user that can be changed."""
    own = newest_own_post(room.transcript)
    return None if own is None else target_of_line(room, own.line_id)


def newest_question(room: RoomModel, own_name: str) -> PostTarget | None:
    """The newest open question that the user was asked and has not answered."""
    for question in room.notes.open_questions(own_name):
        if question.can_answer:
            ask = Ask(question.choices, "", question.of)
            state = PostState(ask=ask)
            return PostTarget(room.name, question.post_id, question.sender, question.text, False, state)
    return None


def target_by_id(room: RoomModel, post_id: str) -> PostTarget | None:
    """The loaded post with this id."""
    stored = room.notes.post(post_id)
    if stored is None:
        return None
    post = msgspec.structs.replace(stored.post, room=room.name)
    return msgspec.structs.replace(target_of_post(post, ""), own=stored.own)


def target_by_number(room: RoomModel, number: int) -> PostTarget | None:
    """The loaded post with this number."""
    newest = newest_position(room)
    return None if newest is None else target_by_id(room, str(Position(newest.epoch, number)))


def newest_position(room: RoomModel) -> Position | None:
    """Position of the newest loaded post of the log."""
    for chunk in reversed(room.transcript.chunks):
        for epoch, number in zip(reversed(chunk.epochs), reversed(chunk.numbers), strict=True):
            if epoch and number >= 0:
                return Position(epoch, number)
    return None


def _target(room: str, ref: str, line: Line) -> PostTarget:
    state = NO_STATE if line.details is None else line.details.state
    root = 0 if line.details is None else max(0, line.details.root)
    return PostTarget(room, ref, line.sender, written_text(line), line.own, state, root)
