"""Commands about posts, on a context without a UI."""

from __future__ import annotations

from datetime import UTC

import pytest

from broadcast_tui.core.post_state import Ask, Deletion, NoteKind, Pin, PostState, Votes
from broadcast_tui.core.session.updates import (
    ConnectionChanged,
    ConnectionState,
    NoteDelivered,
    NoteRejected,
    PostDelivered,
)
from broadcast_tui.tui.commands.parser import CommandInput, PostInput, parse
from broadcast_tui.tui.commands.posts import split_choices, split_names
from broadcast_tui.tui.line_formatter import LineFormatter
from broadcast_tui.tui.model.post_target import target_by_number
from broadcast_tui.tui.model.state import AppState
from tests.support.fake_client import AT
from tests.support.fake_context import FakeContext

OFFLINE = ConnectionChanged(ConnectionState.WAITING, "gone", 9.0)
UNTIL = "2030-01-01T00:00:00.000Z"


def question(
    *choices: str, to: tuple[str, ...] = ("ana", "ken"), tally: dict[str, Votes] | None = None
) -> PostState:
    return PostState(ask=Ask(choices, UNTIL, len(to), to), tally=tally or {}, waiting=to)


def talk(*posts: tuple[str, str], state: PostState | None = None) -> FakeContext:
    """A room with posts, numbered from 1; `state` is that of the last one."""
    context = FakeContext("ana", "bob")
    for number, (sender, text) in enumerate(posts, 1):
        last = number == len(posts)
        context.receive(context.client.post(sender, text, state=state if last and state else PostState()))
    return context


def notes(context: FakeContext) -> list[tuple[str, ...]]:
    return context.client.called("send_note")


# -- which post


def test_commands_are_about_the_newest_post_or_the_newest_own_one() -> None:
    context = talk(("ana", "mine"), ("bob", "his"))
    for typed in ("/reply yes", "/react :tada:", "/edit ours", "/delete oops"):
        assert context.execute(typed), typed
    assert context.called("say") == [("yes", "k3f9-2")]
    assert notes(context) == [
        ("lobby", "k3f9-2", "react", "🎉"),
        ("lobby", "k3f9-1", "edit", "ours"),
        ("lobby", "k3f9-1", "delete", "oops"),
    ]


def test_commands_are_about_the_picked_post() -> None:
    context = talk(("ana", "mine"), ("bob", "his"))
    context.post_context.picked = target_by_number(context.state.rooms.shown, 1)
    for typed in ("/reply yes", "/pin", "/thread"):
        assert context.execute(typed), typed
    assert context.called("say") == [("yes", "k3f9-1")]
    assert notes(context) == [("lobby", "k3f9-1", "pin")]
    assert context.called("open_thread") == [("k3f9-1",)]


def test_deleted_posts_are_skipped() -> None:
    context = talk(("ana", "mine"), ("ana", ""), state=PostState(deleted=Deletion("ana", "")))
    assert context.execute("/edit ours")
    assert context.execute("/react ✅")
    assert [note[1] for note in notes(context)] == ["k3f9-1", "k3f9-1"]


@pytest.mark.parametrize("typed", ["/reply yes", "/edit ours", "/delete", "/react :tada:", "/pin", "/thread"])
def test_an_empty_room_has_nothing_to_act_on(typed: str) -> None:
    context = FakeContext("ana")
    assert not context.execute(typed)
    assert context.warnings
    assert notes(context) == []


def test_numbers_select_posts_in_plain_mode_only() -> None:
    context = talk(("ana", "mine"), ("bob", "his"))
    assert context.execute("/reply 1 first")
    context.post_context.numbers_posts = True
    assert context.execute("/reply 1 first")
    assert context.called("say") == [("1 first", "k3f9-2"), ("first", "k3f9-1")]
    assert not context.execute("/reply 7 first")
    assert "No such message: 7" in context.warnings[-1]


def test_posts_lists_numbers() -> None:
    context = talk(("ana", "mine"), ("bob", "/me waves"), ("bob", "two\nlines"))
    assert not context.execute("/posts")
    context.post_context.numbers_posts = True
    assert context.execute("/posts 2")
    heading, first, second = context.output[-1].splitlines()
    assert heading == "Last messages in #lobby:"
    assert first.startswith("  2 ")
    assert first.endswith("* bob waves")
    assert second.endswith("bob: two lines")


def test_posts_lists_whom_replies_answer_and_the_beginning_of_long_messages() -> None:
    context = talk(("bob", "who?"), ("bob", "\n".join(f"line {number}" for number in range(90))))
    context.receive(context.client.post("zoe", "me", re=1))
    context.post_context.numbers_posts = True
    assert context.execute("/posts")
    *_, long, reply = context.output[-1].splitlines()
    assert "bob: line 0 line 1 " in long
    assert long.endswith("…")
    assert len(long) < 240
    assert reply.endswith("zoe: (to bob) me")


# -- replies and edits


def test_without_a_text_the_input_writes_it() -> None:
    context = talk(("ana", "//mine"), ("bob", "his"))
    assert context.execute("/reply")
    assert context.execute("/edit")
    assert context.called("start_writing") == [("reply", "k3f9-2", ""), ("edit", "k3f9-1", "///mine")]


def test_only_own_posts_are_edited() -> None:
    context = talk(("bob", "his"))
    context.post_context.picked = target_by_number(context.state.rooms.shown, 1)
    assert not context.execute("/edit mine")
    assert context.warnings == ["You can only edit your own messages."]


def test_an_unchanged_text_is_not_sent() -> None:
    context = talk(("ana", "mine"))
    assert context.execute("/edit mine")
    assert notes(context) == []


@pytest.mark.parametrize(
    ("typed", "after"),
    [
        ("s/teh/the/", "the cat and teh dog"),
        ("s/teh/the/g", "the cat and the dog"),
        (r"s/cat/a\/b/", "teh a/b and teh dog"),
        ("s/ and teh dog//", "teh cat"),
        ("/replace cat/bird/", "teh bird and teh dog"),
    ],
)
def test_text_is_replaced_in_the_newest_own_post(typed: str, after: str) -> None:
    context = talk(("ana", "teh cat and teh dog"), ("bob", "teh"))
    assert context.execute(typed)
    assert notes(context) == [("lobby", "k3f9-1", "edit", after)]


def test_a_replacement_without_a_match_is_rejected() -> None:
    context = talk(("ana", "the cat"))
    assert not context.execute("s/dog/bird/")
    assert "does not contain 'dog'" in context.warnings[0]
    assert not context.execute("s/the cat//")
    assert notes(context) == []


@pytest.mark.parametrize("typed", [" s/a/b/", "s/a/b", "s/a/b/ or not", "its/a/b/", "s//b/"])
def test_other_texts_are_posts(typed: str) -> None:
    assert isinstance(parse(typed), PostInput)


def test_a_replacement_is_a_command() -> None:
    parsed = parse("s/a/b/ ")
    assert isinstance(parsed, CommandInput)
    assert (parsed.command.name, parsed.argument) == ("replace", "s/a/b/")


# -- delete, react, pin


def test_delete_asks_and_names_the_post() -> None:
    context = talk(("ana", "wrong room"))
    assert context.execute("/delete")
    assert context.called("confirm") == [('Delete your message "wrong room"?', "Delete")]
    assert notes(context) == [("lobby", "k3f9-1", "delete")]


def test_a_repeated_reaction_removes_it() -> None:
    state = PostState(reactions={"👍": Votes(2, ("bob", "Ana")), "🎉": Votes(1, ("bob",))})
    context = talk(("bob", "his"), state=state)
    for typed in ("/react 👍", "/react :party_popper:", "/react"):
        assert context.execute(typed)
    assert notes(context) == [
        ("lobby", "k3f9-1", "react", "👍", "off"),
        ("lobby", "k3f9-1", "react", "🎉"),
    ]
    assert context.called("choose_reaction") == [("k3f9-1",)]
    assert context.state.recent_reactions.offered()[:3] == ["🎉", "👍", "✅"]


@pytest.mark.parametrize("typed", ["nice one", "+1 is no emoji", ":nosuchname:", "xqx"])
def test_text_is_not_a_reaction(typed: str) -> None:
    context = talk(("bob", "his"))
    assert not context.execute(f"/react {typed}")
    assert "No such emoji" in context.warnings[0]


def test_pin_toggles() -> None:
    context = talk(("bob", "his"), state=PostState(pinned=Pin("bob", "")))
    assert context.execute("/pin")
    assert notes(context) == [("lobby", "k3f9-1", "pin", "off")]


# -- questions


def test_questions_are_posted_with_their_choices() -> None:
    context = talk(("bob", "his"))
    for typed in (
        "/announce Deploying in 5 minutes",
        "/poll Lunch at 12? | yes | no | yes |",
        "/ask ana,ken Deploy 1.5?",
        "/ask @bob, ken When? | today | tomorrow",
    ):
        assert context.execute(typed), typed
    assert context.called("say") == [
        ("Deploying in 5 minutes", "ask", "ok"),
        ("Lunch at 12?", "ask", "yes", "no"),
        ("Deploy 1.5?", "ask", "yes", "no", "ana", "ken"),
        ("When?", "ask", "today", "tomorrow", "bob", "ken"),
    ]


@pytest.mark.parametrize(
    "typed",
    [
        *("/poll Lunch?", "/poll | yes | no", "/poll Lunch? | yes", "/ask ana", f"/poll a? | {'x' * 65} | y"),
        "/poll a? | " + " | ".join(map(str, range(11))),
    ],
)
def test_incomplete_questions_are_rejected(typed: str) -> None:
    context = talk(("bob", "his"))
    assert not context.execute(typed)
    assert context.warnings
    assert context.called("say") == []


def test_names_and_choices_are_split() -> None:
    assert split_choices(" a  b? | x | y | x ") == ("a b?", ("x", "y"))
    assert split_names("ana maria, ken: go?", ["ana maria", "ana"]) == (("ana maria", "ken"), "go?")
    assert split_names('"a, b",ken go', []) == (("a, b", "ken"), "go")
    assert split_names("ana", []) == (("ana",), "")


def test_an_announcement_is_acknowledged_at_once() -> None:
    context = talk(("bob", "Deploying"), state=question("ok"))
    assert context.execute("/answer")
    assert notes(context) == [("lobby", "k3f9-1", "answer", "ok")]
    assert context.called("report") == [("Acknowledged",)]


def test_an_answer_is_chosen_or_named() -> None:
    context = talk(("bob", "Deploy?"), state=question("yes", "no"))
    assert context.execute("/answer")
    assert context.called("choose") == [("bob: Deploy?", "yes", "no")]
    assert context.execute("/answer YES")
    assert [note[3] for note in notes(context)] == ["no", "yes"]
    assert not context.execute("/answer maybe")
    assert context.warnings == ["Invalid choice: 'maybe'. Use yes, no."]


def test_a_choice_that_is_a_number_is_not_a_post() -> None:
    context = talk(("bob", "his"), ("bob", "How many?"), state=question("1", "2"))
    context.post_context.numbers_posts = True
    assert context.execute("/answer 1")
    assert context.execute("/answer 2 1")
    assert [note[1:] for note in notes(context)] == [("k3f9-2", "answer", "1")] * 2


def test_answered_and_other_questions_are_not_answered() -> None:
    context = talk(("bob", "Deploy?"), state=question("ok", to=("ken",)))
    assert not context.execute("/answer")
    assert context.warnings == ["There is no open question for you in this room."]
    context.post_context.picked = target_by_number(context.state.rooms.shown, 1)
    assert not context.execute("/answer")
    assert context.warnings[1:] == ["You were not asked this question."]
    assert notes(context) == []


def test_only_people_who_were_asked_see_how_to_answer() -> None:
    context = talk(("bob", "Deploy?"), state=question("yes", "no", to=("ken",)))
    target = target_by_number(context.state.rooms.shown, 1)
    assert target is not None
    for name, is_asked in (("ken", True), ("ana", False)):
        assert target.can_answer(name) is is_asked
        lines = "".join(LineFormatter(UTC).new_lines(context.state.rooms.shown, name))
        assert ("Answer with /answer 1 and one of: yes, no" in lines) is is_asked


# -- offline, and what the server says


def queued(state: AppState) -> int:
    return state.queued


def test_changes_are_queued_while_offline() -> None:
    context = talk(("ana", "mine"))
    context.receive(OFFLINE)
    assert context.execute("/edit ours")
    assert context.called("report") == [("Edit queued until you are back online",)]
    assert queued(context.state) == 1
    context.receive(NoteDelivered("lobby", "n1", "k3f9-1", NoteKind.EDIT))
    assert queued(context.state) == 0


def test_a_rejected_change_is_no_longer_queued() -> None:
    context = talk(("ana", "mine"))
    context.receive(OFFLINE)
    assert context.execute("/pin")
    context.receive(NoteRejected("lobby", "n1", "k3f9-1", NoteKind.PIN, "forbidden", "No."))
    assert queued(context.state) == 0


def test_a_post_that_was_not_sent_yet_is_edited_and_deleted() -> None:
    context = talk()
    context.receive(OFFLINE)
    context.state.add_own_post("n1", "frist", AT)
    assert context.execute("s/frist/first/")
    assert notes(context) == [("lobby", "n1", "edit", "first")]
    context.receive(NoteDelivered("lobby", "n9", "n1", NoteKind.EDIT, "first"))
    transcript = context.state.rooms.shown.transcript
    line = transcript.line(transcript.next_id)
    assert line is not None
    assert line.text == "first"
    context.receive(NoteDelivered("lobby", "n10", "n1", NoteKind.DELETE))
    assert transcript.pending_count == 0


def test_an_own_post_without_a_position_is_edited_by_its_nonce() -> None:
    context = talk()
    context.state.add_own_post("n1", "mine", AT)
    context.receive(PostDelivered("lobby", "n1", "k3f9-1", AT))
    assert context.execute("/edit ours")
    assert notes(context) == [("lobby", "n1", "edit", "ours")]


def test_names_of_emoji_become_emoji_in_edits_and_questions() -> None:
    context = talk(("ana", "mine"))
    for typed in ("/edit I :heart: it", "/replace mine/our :+1:/", "/poll Lunch? | :pizza: | none"):
        assert context.execute(typed), typed
    assert [note[3] for note in notes(context)] == ["I ❤ it", "our 👍"]
    assert context.called("say") == [("Lunch?", "ask", "🍕", "none")]
    context = talk(("bob", "Lunch?"), state=question("🍕", "none"))
    assert context.execute("/answer :pizza:")
    assert notes(context)[-1][3] == "🍕"
