from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from broadcast_tui.core.post import Position, Post
from broadcast_tui.core.post_state import NO_STATE, Ask, Deletion, NoteKind, Pin, PostState, Votes
from broadcast_tui.core.session.updates import (
    CaughtUp,
    HistoryFetched,
    NoteDelivered,
    RoomEntered,
    Update,
)
from broadcast_tui.tui.model.room import RoomModel
from broadcast_tui.tui.model.state import AppState, Changes
from broadcast_tui.tui.model.transcript.chunks import Line, LineKind
from broadcast_tui.tui.model.transcript.navigation import newest_own_post
from tests.support.fake_client import AT, FakeClient

EDITED = PostState(edited="2026-11-28T12:00:00.000Z")
DELETED = PostState(deleted=Deletion("ana", "2026-11-28T12:00:00.000Z", "wrong room"))
PINNED = PostState(pinned=Pin("bob", "2026-11-28T12:00:00.000Z"))
ASK = Ask(("ok",), "2026-11-28T12:05:00.000Z", 2, ("ana", "ken"))
ACTIONS = ("post", "post", "edit", "delete", "react", "clear", "restore", "ignore", "unignore", "look")
QUESTION = PostState(ask=ASK, waiting=("ana", "ken"))


class Chat:
    """The state of ana's chat in the room `lobby`, driven by updates."""

    def __init__(self, *people: str) -> None:
        self.client = FakeClient()
        self.state = AppState(name="ana")
        self.apply(*self.client.online("ana", *people))

    def apply(self, *updates: Update) -> Changes:
        return self.state.apply(updates, 100.0, datetime(2025, 8, 30, 10, 30, tzinfo=UTC))

    def post(self, sender: str, text: str = "hi", state: PostState = NO_STATE, re: int = 0) -> int:
        """Deliver a live post and return its seq."""
        update = self.client.post(sender, text, state=state, re=re)
        self.apply(update)
        return update.post.position.seq

    @property
    def room(self) -> RoomModel:
        return self.state.rooms.shown

    def line(self, seq: int) -> Line:
        stored = self.room.notes.post(f"k3f9-{seq}")
        assert stored is not None
        line = self.room.transcript.line(-1 if stored.line_id is None else stored.line_id)
        assert line is not None
        return line

    def leave(self) -> None:
        """Look at another window."""
        self.state.rooms.set_focused(False, AT)


def test_an_edit_replaces_the_text() -> None:
    chat = Chat()
    seq = chat.post("bob", "old")
    before = chat.line(seq)
    chat.apply(chat.client.note(NoteKind.EDIT, seq, text="new", by="bob", state=EDITED))
    line = chat.line(seq)
    assert (line.id, line.sender, line.text, line.at) == (before.id, "bob", "new", before.at)
    assert line.details is not None
    assert line.details.marks == "(edited)"


def test_an_older_edit_does_not_replace_a_newer_one() -> None:
    chat = Chat()
    seq = chat.post("bob", "old")
    first = chat.client.note(NoteKind.EDIT, seq, text="first", by="bob", state=EDITED)
    chat.apply(chat.client.note(NoteKind.EDIT, seq, text="second", by="bob", state=EDITED), first)
    assert chat.line(seq).text == "second"


def test_an_edit_turns_a_post_into_an_action_and_back() -> None:
    chat = Chat()
    seq = chat.post("bob", "/me waves")
    chat.apply(chat.client.note(NoteKind.EDIT, seq, text="hello", by="bob", state=EDITED))
    assert (chat.line(seq).kind, chat.line(seq).text) == (LineKind.POST, "hello")
    chat.apply(chat.client.note(NoteKind.EDIT, seq, text="/me leaves", by="bob", state=EDITED))
    assert (chat.line(seq).kind, chat.line(seq).text) == (LineKind.ACTION, "leaves")


def test_a_deleted_post_says_who_deleted_it() -> None:
    chat = Chat()
    seq = chat.post("bob", "ana: secret")
    chat.apply(chat.client.note(NoteKind.DELETE, seq, by="ana", state=DELETED))
    line = chat.line(seq)
    assert (line.kind, line.text, line.mention) == (LineKind.DELETED, "deleted by ana: wrong room", False)
    assert all("secret" not in text for chunk in chat.room.transcript.chunks for text in chunk.texts)


def test_a_post_can_arrive_with_its_state() -> None:
    chat = Chat()
    seq = chat.post("bob", "", DELETED)
    assert chat.line(seq).text == "deleted by ana: wrong room"
    stored = chat.room.notes.post(f"k3f9-{seq}")
    assert stored is not None
    assert (stored.post.text, stored.post.state.deleted) == ("", DELETED.deleted)


@pytest.mark.parametrize("cleared", [False, True])
def test_a_post_changes_wherever_it_is(cleared: bool) -> None:
    chat = Chat()
    seqs = [chat.post("bob", f"post {number}") for number in range(600)]
    if cleared:
        chat.room.transcript.clear()
    chat.apply(chat.client.note(NoteKind.EDIT, seqs[3], text="changed", by="bob", state=EDITED))
    chat.room.transcript.restore_cleared()
    assert chat.line(seqs[3]).text == "changed"
    assert [chat.line(seqs[at]).text for at in (2, 4)] == ["post 2", "post 4"]


def test_a_hidden_post_changes_unseen() -> None:
    chat = Chat("bob")
    chat.state.rooms.ignore("bob", None)
    seqs = [chat.post("bob", text) for text in ("one", "two", "three")]
    chat.post("zoë")
    chat.apply(
        chat.client.note(NoteKind.EDIT, seqs[0], text="ana: look", by="bob", state=EDITED),
        chat.client.note(NoteKind.DELETE, seqs[1], by="ana", state=DELETED),
    )
    assert chat.room.unread == 0
    chat.state.rooms.unignore("bob")
    assert [chat.line(seq).text for seq in seqs] == ["ana: look", "deleted by ana: wrong room", "three"]


def test_a_note_about_an_unknown_post_changes_nothing() -> None:
    chat = Chat()
    chat.post("bob")
    version = chat.room.transcript.version
    chat.apply(chat.client.note(NoteKind.EDIT, 4_000, text="new", by="bob", state=EDITED))
    assert (chat.room.transcript.version, chat.room.unread) == (version, 0)


def test_reactions_of_ignored_people_are_not_displayed() -> None:
    chat = Chat()
    seq = chat.post("bob")
    votes = {"👍": Votes(2, ("eve", "zoë")), "✅": Votes(1, ("eve",))}
    chat.apply(chat.client.note(NoteKind.REACT, seq, state=PostState(reactions=votes)))
    details = chat.line(seq).details
    assert details is not None
    assert details.reactions == votes
    chat.state.rooms.ignore("eve", None)
    details = chat.line(seq).details
    assert details is not None
    assert details.reactions == {"👍": Votes(1, ("zoë",))}
    chat.state.rooms.unignore("eve")
    details = chat.line(seq).details
    assert details is not None
    assert details.reactions == votes


def test_hostile_text_in_a_state_is_harmless() -> None:
    evil = "\x1b[31m\u202e\n" * 5_000
    chat = Chat()
    state = PostState(
        deleted=None,
        pinned=Pin(evil, ""),
        reactions={evil + str(number): Votes(1, (evil,)) for number in range(100)},
        ask=Ask((evil,) * 100, "", -5, (evil,) * 1_000),
        tally={evil: Votes(-3, ()), "ok": Votes(1, (evil,) * 1_000)},
        waiting=(evil,) * 1_000,
    )
    seq = chat.post("bob", "hi", state)
    details = chat.line(seq).details
    assert details is not None
    assert "\x1b" not in repr(details).replace("\\x1b", "\x1b")
    assert len(repr(details)) < 200_000
    deleted = PostState(deleted=Deletion(evil, "", evil))
    chat.apply(chat.client.note(NoteKind.DELETE, seq, by="ana", state=deleted))
    assert "\n" not in chat.line(seq).text
    assert "\x1b" not in chat.line(seq).text


# Unread posts and alerts


def test_notes_are_never_unread_and_cause_no_alert() -> None:
    chat = Chat()
    seq = chat.post("bob")
    chat.leave()
    changes = chat.apply(
        chat.client.note(NoteKind.EDIT, seq, text="new", by="bob", state=EDITED),
        chat.client.note(NoteKind.PIN, seq, by="bob", state=PINNED),
        chat.client.note(NoteKind.REACT, seq, state=PostState(reactions={"+": Votes(1, ("zoë",))})),
    )
    assert (chat.room.unread, changes.alerts) == (0, [])
    bookmark = chat.room.reading.bookmark(AT)
    assert bookmark is not None
    assert bookmark.position == Position("k3f9", 4)


def test_an_edit_that_newly_mentions_the_user_counts_once() -> None:
    chat = Chat()
    seq = chat.post("bob", "hi")
    chat.leave()
    changes = chat.apply(chat.client.note(NoteKind.EDIT, seq, text="hi ana", by="bob", state=EDITED))
    assert [(alert.sender, alert.text, alert.mention) for alert in changes.alerts] == [
        ("bob", "hi ana", True)
    ]
    assert (chat.room.unread, chat.room.mention_count) == (1, 1)
    assert chat.room.reading.target_id == chat.line(seq).id
    changes = chat.apply(chat.client.note(NoteKind.EDIT, seq, text="hi ana!", by="bob", state=EDITED))
    assert (changes.alerts, chat.room.unread, chat.room.mention_count) == ([], 1, 1)
    chat.apply(chat.client.note(NoteKind.EDIT, seq, text="hi", by="bob", state=EDITED))
    assert (chat.room.unread, chat.room.mention_count) == (0, 0)


def test_an_edit_of_an_unread_post_does_not_count_it_again() -> None:
    chat = Chat()
    chat.leave()
    seq = chat.post("bob", "hi")
    chat.apply(chat.client.note(NoteKind.EDIT, seq, text="hi ana", by="bob", state=EDITED))
    assert (chat.room.unread, chat.room.mention_count) == (1, 1)


def test_an_edit_in_view_or_of_an_own_post_does_not_count() -> None:
    chat = Chat()
    seq, own = chat.post("bob", "hi"), chat.post("ana", "mine")
    edits = [
        chat.client.note(NoteKind.EDIT, seq, text="hi ana", by="bob", state=EDITED),
        chat.client.note(NoteKind.EDIT, own, text="I, ana", by="ana", state=EDITED),
    ]
    assert chat.apply(*edits).alerts == []
    assert (chat.room.unread, chat.line(seq).mention, chat.line(own).mention) == (0, True, False)


def test_a_deleted_post_is_no_longer_unread() -> None:
    chat = Chat()
    chat.leave()
    seq = chat.post("bob", "ana: hi")
    chat.post("bob", "there")
    assert (chat.room.unread, chat.room.mention_count) == (2, 1)
    chat.apply(chat.client.note(NoteKind.DELETE, seq, by="bob", state=DELETED))
    assert (chat.room.unread, chat.room.mention_count) == (1, 0)


# Pages


def page_of(*seqs: int, ref: str, state: PostState = NO_STATE, start: int = 0) -> HistoryFetched:
    posts = tuple(Post("lobby", Position("k3f9", seq), "bob", f"p{seq}", AT, state=state) for seq in seqs)
    return HistoryFetched("lobby", ref, posts, True, Position("k3f9", start) if start else None)


def test_history_continues_before_the_first_entry_of_a_page() -> None:
    chat = Chat()
    chat.client._seq = 50
    chat.post("bob")
    assert chat.room.oldest_id == "k3f9-51"
    chat.room.history_ref = "h"
    chat.apply(page_of(ref="h", start=40))
    assert chat.room.oldest_id == "k3f9-40"
    chat.room.history_ref = "h"
    chat.apply(page_of(35, 36, ref="h", start=30))
    assert chat.room.oldest_id == "k3f9-30"


def test_a_note_that_arrives_before_the_page_with_its_post_is_applied() -> None:
    chat = Chat()
    chat.client._seq = 50
    chat.post("bob")
    chat.room.history_ref = "h"
    chat.apply(
        chat.client.note(NoteKind.EDIT, 35, text="new", by="bob", state=EDITED), page_of(35, 36, ref="h")
    )
    assert [chat.line(seq).text for seq in (35, 36)] == ["new", "p36"]


def test_any_page_updates_posts_that_are_loaded() -> None:
    chat = Chat()
    seq = chat.post("bob", "p1")
    state = PostState(folded=9, edited="2026-11-28T12:00:00.000Z")
    chat.apply(page_of(seq, 900, ref="other", state=state))
    details = chat.line(seq).details
    assert details is not None
    assert details.marks == "(edited)"


# Pins and questions


def test_pinned_posts_and_questions_of_a_room() -> None:
    chat = Chat()
    pins, asks = (Position("k3f9", 3), Position("k3f9", 5)), (Position("k3f9", 4),)
    chat.client._seq = 9
    chat.apply(RoomEntered("lobby", 2, 0, pinned=pins, asks=asks), CaughtUp("lobby"))
    seq = chat.post("bob")
    chat.apply(
        chat.client.note(NoteKind.PIN, seq, by="bob", state=PINNED),
        chat.client.note(NoteKind.PIN, 3, by="bob", state=NO_STATE),
    )
    assert chat.room.notes.pinned == [Position("k3f9", 5), Position("k3f9", seq)]
    chat.apply(
        chat.client.note(NoteKind.DELETE, 5, by="ana", state=DELETED),
        chat.client.note(NoteKind.ANSWER, 4, state=PostState(closed="2026-11-28T12:05:00.000Z")),
    )
    assert chat.room.notes.pinned == [Position("k3f9", seq)]
    assert chat.room.notes.asks == []


def test_the_open_question_is_the_newest_one_that_concerns_the_user() -> None:
    chat = Chat()
    first = chat.post("mira", "Deploy in 5 min", QUESTION)
    second = chat.post("ana", "Lunch?", PostState(ask=Ask(("yes", "no"), "", 1, ("ken",))))
    chat.post("mira", "Not for ana", PostState(ask=Ask(("ok",), "", 1, ("ken",))))
    question = chat.room.notes.open_question("ana")
    assert question is not None
    assert (question.post_id, question.can_answer) == (f"k3f9-{second}", False)
    closed = PostState(ask=Ask(("yes", "no"), "", 1, ("ken",)), closed="2026-11-28T12:05:00.000Z")
    chat.apply(chat.client.note(NoteKind.ANSWER, second, state=closed))
    question = chat.room.notes.open_question("ana")
    assert question is not None
    assert (question.text, question.answered, question.of, question.can_answer, question.is_announcement) == (
        "Deploy in 5 min", 0, 2, True, True,
    )  # fmt: skip
    answered = PostState(tally={"ok": Votes(1, ("ana",))}, waiting=("ken",))
    chat.apply(chat.client.note(NoteKind.ANSWER, first, state=answered))
    assert chat.room.notes.open_question("ana") is None
    other = chat.room.notes.open_question("ken")
    assert other is not None
    assert other.text == "Not for ana"


def test_an_answer_counts_as_soon_as_the_server_has_stored_it() -> None:
    chat = Chat()
    seq = chat.post("mira", "Deploy in 5 min", QUESTION)
    chat.apply(NoteDelivered("lobby", "n1", f"k3f9-{seq}", NoteKind.ANSWER))
    assert chat.room.notes.open_question("ana") is None


def test_the_newest_own_post() -> None:
    chat = Chat()
    assert newest_own_post(chat.room.transcript) is None
    first, second = chat.post("ana", "one"), chat.post("ana", "/me two")
    chat.post("bob")
    own = newest_own_post(chat.room.transcript)
    assert own is not None
    assert (own.ref, own.text) == (f"k3f9-{second}", "/me two")
    chat.apply(chat.client.note(NoteKind.DELETE, second, by="ana", state=DELETED))
    own = newest_own_post(chat.room.transcript)
    assert own is not None
    assert (own.ref, own.text) == (f"k3f9-{first}", "one")
    chat.state.add_own_post("n7", "on its way", AT, re=f"k3f9-{first}")
    own = newest_own_post(chat.room.transcript)
    assert own is not None
    assert (own.ref, own.text) == ("n7", "on its way")


def test_an_open_question_above_all_loaded_posts_is_requested_once() -> None:
    chat = Chat()
    chat.client._seq = 90
    asks = (Position("k3f9", 4),)
    changes = chat.apply(
        RoomEntered("lobby", 2, 0, asks=asks), chat.client.post("bob", "hi", live=False), CaughtUp("lobby")
    )
    assert changes.questions_to_fetch == [("lobby", "k3f9-4")]
    assert chat.room.notes.open_question("ana") is None
    post = Post("lobby", Position("k3f9", 4), "mira", "Deploy\x1b in 5 min", AT, state=QUESTION)
    chat.apply(HistoryFetched("lobby", "q", (post,), True))
    question = chat.room.notes.open_question("ana")
    assert question is not None
    assert (question.post_id, question.sender, question.answered) == ("k3f9-4", "mira", 0)
    assert "\x1b" not in question.text
    chat.apply(
        chat.client.note(
            NoteKind.ANSWER, 4, state=PostState(tally={"ok": Votes(1, ("ken",))}, waiting=("ana",))
        )
    )
    question = chat.room.notes.open_question("ana")
    assert question is not None
    assert (question.answered, question.waiting) == (1, ("ana",))
    assert chat.apply(RoomEntered("lobby", 2, 0, asks=asks), CaughtUp("lobby")).questions_to_fetch == []
    chat.apply(chat.client.note(NoteKind.ANSWER, 4, state=PostState(closed="2026-11-28T12:05:00.000Z")))
    assert chat.room.notes.open_question("ana") is None


def test_a_question_of_an_ignored_person_has_no_bar() -> None:
    chat = Chat("mira")
    chat.state.rooms.ignore("mira", None)
    chat.post("mira", "Deploy in 5 min", QUESTION)
    assert chat.room.notes.open_question("ana") is None


# Any order of changes


@example([("post", 2), ("post", 0), ("post", 2), ("ignore", 0), ("clear", 0), ("post", 0)])
@given(st.lists(st.tuples(st.sampled_from(ACTIONS), st.integers(0, 11)), max_size=60))
def test_posts_are_as_the_server_has_them_after_any_changes(actions: list[tuple[str, int]]) -> None:
    chat = Chat("eve")
    transcript = chat.room.transcript
    posts: dict[int, str] = {}
    for number, (action, choice) in enumerate(actions):
        seq = list(posts)[choice % len(posts)] if posts else 0
        match action:
            case "post":
                posts[chat.post(("ana", "bob", "eve")[choice % 3], f"text {number}")] = f"text {number}"
            case "edit" if posts.get(seq):
                posts[seq] = f"/me edits {number}" if choice % 2 else f"edit\n{number}"
                chat.apply(chat.client.note(NoteKind.EDIT, seq, by="bob", text=posts[seq], state=EDITED))
            case "delete" if seq:
                posts[seq] = ""
                chat.apply(chat.client.note(NoteKind.DELETE, seq, by="ana", state=DELETED))
            case "react" if posts.get(seq):
                state = PostState(reactions={"+": Votes(number + 1, ("eve",))})
                chat.apply(chat.client.note(NoteKind.REACT, seq, state=state))
            case "clear":
                transcript.clear()
            case "restore":
                transcript.restore_cleared()
            case "ignore":
                chat.state.rooms.ignore("eve", None)
            case "unignore":
                chat.state.rooms.unignore("eve")
            case "look":
                chat.state.rooms.set_focused(choice % 2 == 0, AT)
        assert 0 <= chat.room.mention_count <= chat.room.unread
    chat.state.rooms.unignore("eve")
    transcript.restore_cleared()
    for seq, text in posts.items():
        stored = chat.room.notes.post(f"k3f9-{seq}")
        assert stored is not None
        assert (stored.post.text, stored.post.state.deleted is not None) == (text, not text)
    lines = [chunk.line(i) for chunk in transcript.chunks for i in range(len(chunk))]
    assert [line.id for line in lines] == list(range(transcript.first_id, transcript.next_id))
    assert sum(chunk.char_count for chunk in transcript.chunks) == sum(len(line.text) for line in lines)
    assert transcript._chars == sum(len(line.text) for line in lines)
