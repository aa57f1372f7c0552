"""New epochs of a room in the chat: lost messages disappear, the others stay what they were."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from broadcast_tui.core.notes import Note
from broadcast_tui.core.post import Bookmark, Position, Post
from broadcast_tui.core.post_state import NO_STATE, Ask, NoteKind, Pin, PostState
from broadcast_tui.core.session.updates import (
    EpochChanged,
    HistoryFetched,
    NoteArrived,
    PostArrived,
    PostDelivered,
    RoomEntered,
    Update,
    Withdrawn,
)
from broadcast_tui.tui.model.post_target import target_by_id
from broadcast_tui.tui.model.room import RoomModel
from broadcast_tui.tui.model.state import AppState
from broadcast_tui.tui.model.thread import Thread
from broadcast_tui.tui.model.transcript.chunks import POSTS, Line, LineKind
from tests.support.fake_client import AT, FakeClient

PINNED = PostState(pinned=Pin("bob", "2026-11-28T12:00:00.000Z"))
ASK = PostState(ask=Ask(("ok",), "2026-11-28T12:05:00.000Z", 1, ("ana",)), waiting=("ana",))


class Chat:
    """The chat of ana in the lobby."""

    def __init__(self) -> None:
        self.client = FakeClient()
        self.state = AppState(name="ana")
        self.apply(*self.client.online("ana"))

    def apply(self, *updates: Update) -> None:
        self.state.apply(updates, 100.0, datetime(2025, 8, 30, 10, 30, tzinfo=UTC))

    def posts(self, *seqs: int, epoch: str = "e1", sender: str = "bob", state: PostState = NO_STATE) -> None:
        self.apply(*(PostArrived(post(seq, epoch, sender, state), True, sender == "ana") for seq in seqs))

    def fork(self, seq: int, lost: int = 0, *nonces: str) -> None:
        """Continue in `e2` after `seq`, and withdraw `lost` posts."""
        self.apply(EpochChanged("lobby", "e1", "e2", seq))
        if lost or nonces:
            self.apply(Withdrawn("lobby", Position("e2", seq + 1), lost, nonces))

    @property
    def room(self) -> RoomModel:
        return self.state.rooms.shown

    @property
    def texts(self) -> list[str]:
        """The shown posts."""
        return [line.text for line in self.lines if line.kind in POSTS]

    @property
    def lines(self) -> list[Line]:
        chunks = self.room.transcript.chunks
        return [chunk.line(i) for chunk in chunks for i in range(len(chunk))]


def post(seq: int, epoch: str = "e1", sender: str = "bob", state: PostState = NO_STATE) -> Post:
    return Post("lobby", Position(epoch, seq), sender, f"post {seq} of {epoch}", AT, state=state)


@pytest.fixture
def chat() -> Chat:
    return Chat()


def test_posts_are_found_under_both_ids(chat: Chat) -> None:
    chat.posts(1, 2)
    chat.fork(2)
    chat.posts(3, epoch="e2")
    for post_id in ("e1-2", "e2-2"):
        target = target_by_id(chat.room, post_id)
        assert target is not None
        assert target.text == "post 2 of e1"
    assert target_by_id(chat.room, "e1-3") is None
    assert chat.room.oldest_id == "e2-1"
    assert chat.texts == ["post 1 of e1", "post 2 of e1", "post 3 of e2"]


def test_lost_posts_are_removed_and_reported(chat: Chat) -> None:
    chat.posts(1, 2, 3, 4)
    chat.fork(1, 3)
    chat.posts(2, epoch="e2")
    assert chat.texts == ["post 1 of e1", "post 2 of e2"]
    assert "The server lost 3 messages. They were removed." in [line.text for line in chat.lines]


def test_one_lost_post(chat: Chat) -> None:
    chat.posts(1)
    chat.fork(0, 1)
    assert chat.texts == []
    assert chat.lines[-1].text == "The server lost 1 message. It was removed."


def test_posts_of_another_log_stay(chat: Chat) -> None:
    chat.posts(7, epoch="e0")
    chat.posts(1, 2)
    chat.fork(1, 1)
    assert chat.texts == ["post 7 of e0", "post 1 of e1"]


def test_hidden_posts_are_removed_too(chat: Chat) -> None:
    chat.state.rooms.ignore("zoe", None)
    chat.posts(1, 2, sender="zoe")
    chat.posts(3)
    chat.fork(1, 2)
    chat.state.rooms.unignore("zoe")
    assert chat.texts == ["post 1 of e1"]
    assert chat.room.notes.post("e1-1") is not None
    assert chat.room.notes.post("e2-1") is not None


def test_hidden_posts_get_their_new_ids(chat: Chat) -> None:
    chat.state.rooms.ignore("zoe", None)
    chat.posts(1, sender="zoe")
    chat.posts(2)
    chat.posts(3, sender="zoe")
    chat.fork(3)
    assert chat.room.oldest_id == "e2-1"
    assert chat.room.notes.post("e2-3") is not None


def test_cleared_posts_are_removed_too(chat: Chat) -> None:
    chat.posts(1, 2)
    chat.room.transcript.clear()
    chat.posts(3)
    chat.fork(1, 2)
    assert chat.texts == ["post 1 of e1"]


def test_pending_posts_that_are_lost_are_removed(chat: Chat) -> None:
    for nonce in ("n1", "n2"):
        chat.state.add_own_post(nonce, f"text {nonce}", AT)
    chat.apply(PostDelivered("lobby", "n1", "e1-1", AT))
    chat.fork(0, 0, "n1")
    assert chat.texts == ["text n2"]
    assert "The server lost 1 message. It was removed." in [line.text for line in chat.lines]


def test_unread_posts_that_are_lost_do_not_count(chat: Chat) -> None:
    chat.posts(1)
    chat.state.rooms.set_focused(False, AT)
    chat.posts(2, 3, 4)
    assert chat.room.unread == 3
    chat.fork(2, 2)
    assert chat.room.unread == 1
    unread = chat.room.transcript.line(chat.room.reading.target_id or 0)
    assert unread is not None
    assert unread.text == "post 2 of e1"
    chat.posts(3, epoch="e2")
    assert chat.room.unread == 2


def test_the_read_position_follows(chat: Chat) -> None:
    chat.posts(1, 2, 3)
    chat.fork(2, 1)
    bookmark = chat.room.reading.bookmark(AT)
    assert bookmark == Bookmark(Position("e2", 2), AT)


def test_unloaded_posts_stay_counted(chat: Chat) -> None:
    room = RoomModel("dev")
    room.reading.resume(Bookmark(Position("e1", 2), AT))
    room.reading.entered(AT, there=True)
    room.arrived(
        PostArrived(msgspec.structs.replace(post(5), room="dev"), False, False),
        "ana",
        there=True,
        at_end=True,
    )
    room.follow(EpochChanged("dev", "e1", "e2", 5))
    room.reading.caught_up(AT + timedelta(seconds=1), there=True)
    assert room.transcript.unloaded_count == 2
    room.follow(EpochChanged("dev", "e2", "e3", 5))
    assert room.reading.bookmark(AT) == Bookmark(Position("e3", 2), AT)


def test_pins_and_questions_follow(chat: Chat) -> None:
    chat.apply(RoomEntered("lobby", 1, 0, "", (Position("e1", 1), Position("e1", 9)), (Position("e1", 2),)))
    chat.posts(3, state=PINNED)
    chat.posts(4, state=ASK)
    chat.fork(4)
    assert chat.room.notes.pinned == [Position("e2", 1), Position("e2", 3)]
    assert chat.room.notes.asks == [Position("e2", 2), Position("e2", 4)]
    question = chat.room.notes.open_question("ana")
    assert question is not None
    assert question.post_id == "e2-4"


def test_an_unloaded_question_follows(chat: Chat) -> None:
    chat.apply(RoomEntered("lobby", 1, 0, "", (), (Position("e1", 2),)))
    chat.posts(5)
    assert chat.room.notes.take_questions_to_fetch() == ["e1-2"]
    chat.apply(HistoryFetched("lobby", "r9", (post(2, state=ASK),), False))
    chat.fork(5)
    question = chat.room.notes.open_question("ana")
    assert question is not None
    assert question.post_id == "e2-2"


def test_other_notes_take_the_places_of_lost_ones(chat: Chat) -> None:
    chat.posts(1, state=PINNED)
    chat.apply(edit(2, "lost"))
    chat.fork(1, 1)
    assert chat.texts == ["lost"]
    assert chat.lines[-1].text == "The server lost the latest changes of messages."
    chat.apply(edit(2, "kept", "e2"))
    assert chat.texts == ["kept"]


def edit(seq: int, text: str, epoch: str = "e1") -> NoteArrived:
    """An edit of the first post."""
    state = PostState(edited="2026-11-28T12:00:00.000Z")
    changed = Post("lobby", Position(epoch, 1), "", text, AT, state=state)
    return NoteArrived(Note("lobby", Position(epoch, seq), NoteKind.EDIT, 1, "bob", AT, changed), True, False)


def test_a_thread_follows(chat: Chat) -> None:
    view = RoomModel("lobby")
    thread = Thread(view, Position("e1", 1))
    replies = [msgspec.structs.replace(post(seq), re=1, root=1) for seq in (2, 3)]
    for reply in replies:
        thread.apply(PostArrived(reply, True, False), "ana")
    thread.apply(EpochChanged("lobby", "e1", "e2", 2), "ana")
    thread.apply(Withdrawn("lobby", Position("e2", 3), 1), "ana")
    new = msgspec.structs.replace(post(3, "e2"), re=1, root=1)
    thread.apply(PostArrived(new, True, False), "ana")
    texts = [text for chunk in view.transcript.chunks for text in chunk.texts if text.startswith("post")]
    assert texts == ["post 2 of e1", "post 3 of e2"]
    assert thread.root_id == "e2-1"


def test_lines_above_the_lost_ones_keep_their_ids(chat: Chat) -> None:
    chat.posts(*range(1, 601))
    target = target_by_id(chat.room, "e1-10")
    assert target is not None
    before = chat.room.notes.post("e1-10")
    days = sum(line.kind is LineKind.DAY for line in chat.lines)
    chat.fork(595, 5)
    chat.posts(596, epoch="e2")
    assert chat.texts[-2:] == ["post 595 of e1", "post 596 of e2"]
    after = chat.room.notes.post("e1-10")
    assert before is not None
    assert after is not None
    assert before.line_id == after.line_id
    ids = [line.id for line in chat.lines]
    assert ids == list(range(ids[0], ids[0] + len(ids)))
    assert sum(line.kind is LineKind.DAY for line in chat.lines) == days
    assert len(chat.room.transcript) == len(ids)


def test_only_hidden_posts_are_lost(chat: Chat) -> None:
    chat.posts(1)
    chat.state.rooms.ignore("zoe", None)
    chat.posts(2, 3, sender="zoe")
    chat.fork(2, 1)
    chat.state.rooms.unignore("zoe")
    assert chat.texts == ["post 1 of e1", "post 2 of e1"]


def test_a_run_of_hidden_posts_is_lost_in_part(chat: Chat) -> None:
    chat.state.rooms.ignore("zoe", None)
    chat.posts(1)
    chat.posts(2, 3, sender="zoe")
    chat.state.print("a line", AT)
    chat.fork(2, 1)
    chat.state.rooms.unignore("zoe")
    assert chat.texts == ["post 1 of e1", "post 2 of e1"]
