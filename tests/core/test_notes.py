"""Folding notes into posts on the server, and applying them on clients in any order."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broadcast_tui.core.clock import Instant, timestamp
from broadcast_tui.core.errors import ErrorCode, RequestError
from broadcast_tui.core.notes import (
    PINS_MAX,
    REACTION_KEYS_MAX,
    VOTES_MAX,
    Entry,
    NewNote,
    NewSummary,
    Note,
    apply_note,
    author_key,
    first_fitting,
    fold,
    is_coalesced,
    merged,
    text_bytes,
)
from broadcast_tui.core.post import Position, Post
from broadcast_tui.core.post_state import NO_STATE, Ask, Deletion, NoteKind, Pin, PostState, Votes
from broadcast_tui.core.protocol.entries import entry_of, event_of

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
UNTIL = AT + timedelta(minutes=10)
ANA = author_key("ana", "")
POST = Post("lobby", Position("e", 7), "ana", "teh", AT, author=ANA)


def note(
    kind: NoteKind,
    text: str = "",
    *,
    by: str = "ana",
    on: bool = True,
    is_admin: bool = False,
    at: datetime = AT,
    re: int = 7,
) -> NewNote:
    author = author_key(by, "")
    return NewNote("lobby", re, kind, by, at, author, text=text, on=on, is_admin=is_admin)


def summary(kind: NoteKind, *, close: bool = False, re: int = 7) -> NewSummary:
    return NewSummary("lobby", re, kind, AT, close)


def question(*to: str) -> Post:
    ask = Ask(("yes", "no"), timestamp(UNTIL), len(to), to)
    return msgspec.structs.replace(POST, state=PostState(ask=ask))


def folded(post: Post, *changes: NewNote | NewSummary) -> Post:
    for seq, change in enumerate(changes, 10):
        post = fold(post, change, seq)
    return post


def error_of(post: Post, change: NewNote | NewSummary, pin_count: int = 0) -> ErrorCode:
    with pytest.raises(RequestError) as caught:
        fold(post, change, 10, pin_count)
    return caught.value.code


def votes(*names: str) -> Votes:
    return Votes(len(names), names)


# -- who may edit and delete


def test_the_author_may_edit() -> None:
    edited = fold(POST, note(NoteKind.EDIT, "the"), 10)
    assert (edited.text, edited.state) == ("the", PostState(folded=10, edited=timestamp(AT)))
    assert (edited.position, edited.sender, edited.author) == (POST.position, "ana", ANA)


def test_an_edit_keeps_reactions_and_pins() -> None:
    post = folded(POST, note(NoteKind.PIN), note(NoteKind.REACT, "x"), note(NoteKind.EDIT, "the"))
    assert post.state.pinned is not None
    assert post.state.reactions == {"x": votes("ana")}


def test_an_edit_to_the_same_text_changes_nothing() -> None:
    assert fold(POST, note(NoteKind.EDIT, "teh"), 10) is POST


@pytest.mark.parametrize("is_admin", [False, True])
def test_others_may_not_edit(is_admin: bool) -> None:
    assert error_of(POST, note(NoteKind.EDIT, "x", by="eve", is_admin=is_admin)) is ErrorCode.FORBIDDEN


def test_others_may_not_delete_but_admins_may() -> None:
    assert error_of(POST, note(NoteKind.DELETE, by="eve")) is ErrorCode.FORBIDDEN
    deleted = fold(POST, note(NoteKind.DELETE, "spam", by="zoe", is_admin=True), 10)
    assert deleted.state == PostState(folded=10, deleted=Deletion("zoe", timestamp(AT), "spam"))
    assert deleted.text == ""


def test_a_post_without_an_author_cannot_be_edited() -> None:
    anonymous = msgspec.structs.replace(POST, author="")
    plain = msgspec.structs.replace(note(NoteKind.EDIT, "x"), author="")
    assert error_of(anonymous, plain) is ErrorCode.FORBIDDEN
    assert error_of(anonymous, msgspec.structs.replace(plain, kind=NoteKind.DELETE)) is ErrorCode.FORBIDDEN


def test_authors_are_names_of_tokens_or_else_client_ids() -> None:
    keys = [author_key("ana", ""), author_key("", "ana"), author_key("ben", "ana"), author_key("", "")]
    assert len(set(keys)) == 4
    assert author_key("ana", "1") == author_key("ana", "2")
    assert author_key("", "") == ""


def test_a_deletion_removes_everything() -> None:
    post = folded(
        question("ana", "ben"),
        note(NoteKind.PIN),
        note(NoteKind.REACT, "x"),
        note(NoteKind.ANSWER, "yes"),
        note(NoteKind.DELETE),
    )
    assert (post.text, post.state) == ("", PostState(folded=13, deleted=Deletion("ana", timestamp(AT))))


@pytest.mark.parametrize("kind", NoteKind)
def test_a_deleted_post_cannot_be_changed(kind: NoteKind) -> None:
    deleted = fold(POST, note(NoteKind.DELETE), 10)
    assert error_of(deleted, note(kind, "x", is_admin=True)) is ErrorCode.NO_SUCH_POST
    assert error_of(deleted, summary(kind)) is ErrorCode.NO_SUCH_POST


# -- pins


def test_a_post_is_pinned_and_unpinned() -> None:
    pinned = fold(POST, note(NoteKind.PIN, by="ben"), 10)
    assert pinned.state == PostState(folded=10, pinned=Pin("ben", timestamp(AT)))
    assert fold(pinned, note(NoteKind.PIN, by="eve"), 11, PINS_MAX) is pinned
    assert fold(pinned, note(NoteKind.PIN, on=False), 11, PINS_MAX).state == PostState(folded=11)
    assert fold(POST, note(NoteKind.PIN, on=False), 10) is POST


def test_pins_of_a_room_are_limited() -> None:
    assert fold(POST, note(NoteKind.PIN), 10, PINS_MAX - 1).state.pinned is not None
    assert error_of(POST, note(NoteKind.PIN), PINS_MAX) is ErrorCode.TOO_MANY_NOTES


# -- reactions


def test_reactions_are_sets_of_names() -> None:
    post = folded(
        POST,
        note(NoteKind.REACT, "x", by="ben"),
        note(NoteKind.REACT, "y", by="ana"),
        note(NoteKind.REACT, "x", by="ana"),
    )
    assert post.state.reactions == {"x": votes("ben", "ana"), "y": votes("ana")}
    assert (post.state.folded, post.state.pending) == (0, (NoteKind.REACT,))
    assert fold(post, note(NoteKind.REACT, "x", by="BEN"), 11) is post
    left = folded(post, note(NoteKind.REACT, "x", by="BEN", on=False), note(NoteKind.REACT, "y", on=False))
    assert left.state.reactions == {"x": votes("ana")}
    assert fold(POST, note(NoteKind.REACT, "x", on=False), 10) is POST


def test_reactions_are_limited() -> None:
    post = folded(POST, *(note(NoteKind.REACT, f"k{number}") for number in range(REACTION_KEYS_MAX)))
    assert error_of(post, note(NoteKind.REACT, "more")) is ErrorCode.TOO_MANY_NOTES
    assert fold(post, note(NoteKind.REACT, "k1", by="ben"), 99).state.reactions["k1"].count == 2
    names = tuple(f"n{number}" for number in range(VOTES_MAX))
    crowded = msgspec.structs.replace(POST, state=PostState(reactions={"x": Votes(len(names), names)}))
    assert error_of(crowded, note(NoteKind.REACT, "x")) is ErrorCode.TOO_MANY_NOTES
    assert error_of(crowded, note(NoteKind.REACT, "y")) is ErrorCode.TOO_MANY_NOTES
    assert fold(crowded, note(NoteKind.REACT, "x", by="n5", on=False), 10).state.reactions["x"].count == (
        VOTES_MAX - 1
    )


# -- answers


def test_an_answer_replaces_the_earlier_one() -> None:
    post = folded(question(), note(NoteKind.ANSWER, "yes"), note(NoteKind.ANSWER, "no", by="ANA"))
    assert post.state.tally == {"no": votes("ANA")}
    assert fold(post, note(NoteKind.ANSWER, "no"), 12) is post


def test_people_are_counted_by_the_name_under_which_they_were_asked() -> None:
    post = folded(question("ana", "ben"), note(NoteKind.ANSWER, "yes", by="ANA"))
    assert post.state.tally == {"yes": votes("ana")}


def test_only_those_who_were_asked_may_answer() -> None:
    asked = question("ana", "ben")
    assert error_of(asked, note(NoteKind.ANSWER, "yes", by="eve")) is ErrorCode.FORBIDDEN
    assert error_of(asked, note(NoteKind.ANSWER, "maybe")) is ErrorCode.BAD_FRAME
    assert error_of(POST, note(NoteKind.ANSWER, "yes")) is ErrorCode.NO_SUCH_POST
    assert error_of(asked, note(NoteKind.ANSWER, "yes", at=UNTIL)) is ErrorCode.ASK_CLOSED
    just_in_time = note(NoteKind.ANSWER, "yes", at=UNTIL - timedelta(microseconds=1))
    assert fold(asked, just_in_time, 10).state.tally == {"yes": votes("ana")}


def test_a_summary_closes_a_question_that_all_have_answered() -> None:
    post = folded(question("ana", "ben"), note(NoteKind.ANSWER, "yes"), summary(NoteKind.ANSWER))
    assert (post.state.closed, post.state.pending, post.state.folded) == ("", (), 11)
    post = folded(post, note(NoteKind.ANSWER, "no", by="ben"), summary(NoteKind.ANSWER))
    assert post.state.closed == timestamp(AT)
    assert error_of(post, note(NoteKind.ANSWER, "yes", by="ben")) is ErrorCode.ASK_CLOSED
    assert fold(post, summary(NoteKind.ANSWER, close=True), 20) is post


def test_a_question_is_closed_early_or_without_answers() -> None:
    post = fold(question("ana", "ben"), summary(NoteKind.ANSWER, close=True), 10)
    assert (post.state.closed, post.state.folded) == (timestamp(AT), 10)
    assert fold(POST, summary(NoteKind.ANSWER, close=True), 10) is POST


def test_a_question_to_everyone_is_open_until_it_is_closed() -> None:
    post = folded(question(), note(NoteKind.ANSWER, "yes"), summary(NoteKind.ANSWER))
    assert post.state.closed == ""


def test_a_summary_announces_its_kind_only() -> None:
    post = folded(question(), note(NoteKind.ANSWER, "yes"), note(NoteKind.REACT, "x"))
    assert post.state.pending == (NoteKind.ANSWER, NoteKind.REACT)
    post = fold(post, summary(NoteKind.REACT), 20)
    assert (post.state.pending, post.state.folded) == ((NoteKind.ANSWER,), 20)
    assert fold(post, summary(NoteKind.REACT), 21) is post


def test_reactions_and_answers_are_coalesced() -> None:
    coalesced = {kind for kind in NoteKind if is_coalesced(note(kind))}
    assert coalesced == {NoteKind.REACT, NoteKind.ANSWER}
    assert not is_coalesced(summary(NoteKind.REACT))


# -- sizes


def test_entries_fit_by_the_size_of_their_texts() -> None:
    posts = [msgspec.structs.replace(POST, text="é" * 5) for _ in range(3)]
    noted = Note("lobby", Position("e", 9), NoteKind.EDIT, 7, "ana", AT, posts[0])
    entries: list[Entry] = [*posts, noted, Note("lobby", Position("e", 9), NoteKind.EDIT, 7, "ana", AT)]
    assert [text_bytes(entry) for entry in entries] == [10, 10, 10, 10, 0]
    assert len(first_fitting(entries, None)) == 5
    assert len(first_fitting(entries, 40)) == 4
    assert len(first_fitting(entries, 39)) == 3
    assert len(first_fitting(entries, 0)) == 1
    assert len(first_fitting(entries, 40, overhead_bytes=10)) == 2
    assert first_fitting([], 10) == []


# -- convergence on clients

WHEN = Instant(0.0, AT)
PEOPLE = ("ana", "ben")
TEXTS = ("one", "two")


class Server:
    """A log of two posts and a question with notes, and the states of its posts after each entry."""

    def __init__(self) -> None:
        self.posts: dict[int, Post] = {}
        self.entries: list[Entry] = []
        self.snapshots: list[dict[int, Post]] = []
        """The posts after each change; also after those that are announced later."""
        self.appended_at: list[int] = []
        """The number of snapshots when each entry was appended."""
        for number in range(3):
            state = question(*PEOPLE).state if number == 2 else NO_STATE
            self._add(Post("lobby", self.next, "ana", "text", AT, author=ANA, state=state))

    @property
    def next(self) -> Position:
        return Position("e", len(self.entries) + 1)

    def _add(self, entry: Entry) -> None:
        if isinstance(entry, Post):
            self.posts[entry.position.seq] = entry
            self.snapshots.append(dict(self.posts))
        self.entries.append(entry)
        self.appended_at.append(len(self.snapshots) - 1)

    def change(self, change: NewNote | NewSummary) -> None:
        post = self.posts[change.re]
        try:
            post = fold(post, change, self.next.seq)
        except RequestError:
            return
        if post is self.posts[change.re]:
            return
        self.posts[change.re] = post
        self.snapshots.append(dict(self.posts))
        if not is_coalesced(change):
            by = change.by if isinstance(change, NewNote) else ""
            self._add(Note("lobby", self.next, change.kind, change.re, by, AT, post))

    def announce_all(self) -> None:
        for seq in (1, 2, 3):
            for kind in (NoteKind.REACT, NoteKind.ANSWER):
                if self.posts[seq].state.deleted is None:
                    self.change(summary(kind, re=seq))

    def frame(self, seq: int, read_at: int) -> Entry:
        """An entry as a client gets it that was read after this many changes, or sent live before."""
        entry = self.entries[seq - 1]
        posts = self.snapshots[max(read_at, self.appended_at[seq - 1])]
        if isinstance(entry, Post):
            return sent(posts[seq])
        return sent(entry if read_at < 0 else msgspec.structs.replace(entry, post=posts[entry.re]))


def sent(entry: Entry) -> Entry:
    """The entry after its way over the wire."""
    return entry_of(event_of(entry), WHEN)


def sent_post(post: Post) -> Post:
    read = sent(post)
    assert isinstance(read, Post)
    return read


class Client:
    """The posts of a client, and notes that arrived before their posts."""

    def __init__(self) -> None:
        self.posts: dict[int, Post] = {}
        self.early: dict[int, list[Note]] = {}

    def receive(self, entry: Entry) -> None:
        if isinstance(entry, Note):
            if entry.re in self.posts:
                self.posts[entry.re] = apply_note(self.posts[entry.re], entry)
            else:
                self.early.setdefault(entry.re, []).append(entry)
            return
        seq = entry.position.seq
        if seq in self.posts:
            self.posts[seq] = merged(self.posts[seq], entry)
            return
        for early in self.early.pop(seq, []):
            entry = apply_note(entry, early)
        self.posts[seq] = entry


def shown(posts: dict[int, Post]) -> dict[int, Post]:
    """The posts without the numbers with which a client orders notes."""
    return {
        seq: msgspec.structs.replace(
            post, state=msgspec.structs.replace(post.state, folded=0, applied={}, pending=())
        )
        for seq, post in posts.items()
    }


people = st.sampled_from(PEOPLE)
switches = st.booleans()
seqs = st.sampled_from((1, 2, 3))
changes: st.SearchStrategy[NewNote | NewSummary] = st.one_of(
    st.builds(lambda seq, text: note(NoteKind.EDIT, text, re=seq), seqs, st.sampled_from(TEXTS)),
    st.builds(lambda seq, on: note(NoteKind.PIN, on=on, re=seq), seqs, switches),
    st.builds(
        lambda seq, key, by, on: note(NoteKind.REACT, key, by=by, on=on, re=seq),
        seqs,
        st.sampled_from(("x", "y")),
        people,
        switches,
    ),
    st.builds(
        lambda choice, by: note(NoteKind.ANSWER, choice, by=by, re=3),
        st.sampled_from(("yes", "no")),
        people,
    ),
    st.builds(lambda seq, kind: summary(kind, re=seq), seqs, st.sampled_from(list(NoteKind)[3:])),
    st.builds(lambda seq: note(NoteKind.DELETE, re=seq), seqs),
    st.just(summary(NoteKind.ANSWER, close=True, re=3)),
)


@given(st.lists(changes, max_size=12), st.data())
@settings(max_examples=200, deadline=None)
def test_clients_converge_whatever_the_order_in_which_frames_arrive(
    made: Sequence[NewNote | NewSummary], data: st.DataObject
) -> None:
    """Each entry arrives at least once: live, in a replay, or in pages, which may be late and repeated."""
    server = Server()
    for change in made:
        server.change(change)
    server.announce_all()
    times = st.integers(-1, len(server.snapshots) - 1)
    numbers = range(1, len(server.entries) + 1)
    frames = [server.frame(seq, data.draw(times)) for seq in numbers]
    frames += [
        server.frame(seq, at)
        for seq, at in data.draw(st.lists(st.tuples(st.sampled_from(numbers), times), max_size=10))
    ]
    client = Client()
    for frame in data.draw(st.permutations(frames)):
        client.receive(frame)
    expected = shown({post.position.seq: post for post in map(sent_post, server.posts.values())})
    assert shown(client.posts) == expected
    for frame in frames:
        client.receive(frame)
    assert shown(client.posts) == expected
