"""Replies, edits and reactions in the app: the input, the dialogs and threads."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual import events

from broadcast_tui.core.post import Position, Post
from broadcast_tui.core.post_state import Ask, Deletion, NoteKind, PostState, Votes
from broadcast_tui.core.session.updates import (
    ConnectionChanged,
    ConnectionState,
    HistoryFetched,
    NoteDelivered,
    NoteRejected,
    Noticed,
    PostRejected,
)
from broadcast_tui.tui.screens.choice import ChoiceScreen
from broadcast_tui.tui.screens.react import ReactScreen
from broadcast_tui.tui.screens.search import SearchScreen
from broadcast_tui.tui.screens.thread import ThreadScreen
from tests.support.chat_app import Chat, chatting, enter_rooms
from tests.support.fake_client import AT
from tests.tui.widgets.test_conversation import chat_with_posts, no_desktop, picked, workers_done

__all__ = ["no_desktop"]

QUESTION = PostState(ask=Ask(("yes", "no"), "2030-01-01T00:00:00.000Z", 1, ("ana",)), waiting=("ana",))


async def own_post(chat: Chat, text: str) -> str:
    """Post as ana; returns the id of the post."""
    arrived = chat.client.post("ana", text, nonce=f"own{text}")
    await chat.deliver(arrived)
    return str(arrived.post.position)


def mode_row(chat: Chat) -> str:
    """What the row above the input says; empty if it is hidden."""
    row = chat.screen.query_one("#compose-mode")
    return chat.drawn("#compose-mode")[0].strip() if row.display else ""


def noted(chat: Chat) -> list[tuple[str, ...]]:
    return chat.client.called("send_note")


# -- writing


async def test_up_on_an_empty_input_edits_the_newest_own_post_then_shows_the_history() -> None:
    async with chatting("ana", "bob") as chat:
        await chat.enter("/who")
        post_id = await own_post(chat, "frist")
        await chat.deliver(chat.client.post("bob", "hi"))
        await chat.type("up")
        assert (chat.composer.text, mode_row(chat)) == ("frist", "Editing · Esc cancels")
        await chat.type("up")
        assert (chat.composer.text, mode_row(chat)) == ("/who", "")
        await chat.type("down")
        assert chat.composer.text == ""
        await chat.type("up", "!", "enter")
        assert noted(chat) == [("lobby", post_id, "edit", "frist!")]
        assert (chat.composer.text, mode_row(chat)) == ("", "")


async def test_up_with_a_draft_does_not_edit() -> None:
    async with chatting("ana") as chat:
        await own_post(chat, "mine")
        await chat.type(*"draft", "up")
        assert mode_row(chat) == ""


async def test_down_leaves_an_untouched_edit() -> None:
    async with chatting("ana") as chat:
        await own_post(chat, "mine")
        await chat.type("up", "down")
        assert (chat.composer.text, mode_row(chat)) == ("", "")


async def test_escape_restores_the_draft_and_its_undo_history() -> None:
    async with chat_with_posts("hello") as chat:
        await chat.type(*"draft", "ctrl+w", *"other", "alt+up", "r", *"reply", "escape")
        assert (chat.composer.text, mode_row(chat)) == ("other", "")
        await chat.type("ctrl+underscore")
        assert chat.composer.text != "other"
        # The canceled text is in the history.
        chat.composer.put("")
        await chat.type("up")
        assert chat.composer.text == "reply"


async def test_ctrl_c_cancels_a_reply() -> None:
    async with chat_with_posts("hello") as chat:
        await chat.type(*"draft", "alt+up", "r", *"reply", "ctrl+c")
        assert (chat.composer.text, mode_row(chat)) == ("draft", "")


async def test_a_reply_to_another_post_keeps_its_text() -> None:
    async with chat_with_posts("one", "two") as chat:
        await chat.type("alt+up", "r", *"yes")
        await chat.type("alt+up", "k", "r")
        await chat.type("enter")
        assert chat.client.called("say") == [("lobby", "yes", "k3f9-1")]


async def test_replies_are_written_in_each_room() -> None:
    async with chat_with_posts("hello") as chat:
        await enter_rooms(chat, "dev")
        await chat.type(*"dev draft", "alt+1", "alt+up", "r", *"reply", "alt+2")
        assert (chat.composer.text, mode_row(chat)) == ("dev draft", "")
        await chat.type("alt+1")
        assert (chat.composer.text, mode_row(chat)) == ("reply", "Replying to bob · Esc cancels")
        await chat.type("enter")
        assert chat.client.called("say")[-1] == ("lobby", "reply", "k3f9-1")


async def test_a_command_does_not_end_a_reply_but_an_action_is_one() -> None:
    async with chat_with_posts("hello") as chat:
        await chat.type("alt+up", "r")
        await chat.enter("/who")
        assert mode_row(chat) == "Replying to bob · Esc cancels"
        await chat.enter("/me nods")
        assert chat.client.called("say") == [("lobby", "/me nods", "k3f9-1")]
        assert mode_row(chat) == ""


async def test_a_text_that_begins_with_a_slash_is_edited_as_typed() -> None:
    async with chatting("ana") as chat:
        post_id = await own_post(chat, "/etc/hosts")
        await chat.type("up")
        assert chat.composer.text == "//etc/hosts"
        await chat.type("!", "enter")
        assert noted(chat) == [("lobby", post_id, "edit", "/etc/hosts!")]


async def test_a_rejected_edit_comes_back_with_its_reason() -> None:
    async with chatting("ana") as chat:
        post_id = await own_post(chat, "mine")
        await chat.type("up", "!", "enter")
        rejected = NoteRejected("lobby", "n1", post_id, NoteKind.EDIT, "forbidden", "You are muted.", "mine!")
        await chat.deliver(rejected)
        assert (chat.composer.text, mode_row(chat)) == ("mine!", "Editing · Esc cancels")
        assert "Not edited: You are muted." in chat.toasts
        await chat.type("enter")
        assert noted(chat)[-1] == ("lobby", post_id, "edit", "mine!")


async def test_a_rejected_edit_does_not_replace_another_text() -> None:
    async with chatting("ana") as chat:
        post_id = await own_post(chat, "mine")
        await chat.type(*"draft")
        rejected = NoteRejected("lobby", "n1", post_id, NoteKind.EDIT, "forbidden", "No.", "mine!")
        await chat.deliver(rejected, NoteRejected("lobby", "n2", post_id, NoteKind.PIN, "x", "Too many."))
        assert chat.composer.text == "draft"
        assert "Press Ctrl+Up" in chat.toasts
        assert "Not pinned: Too many." in chat.toasts
        await chat.type("ctrl+up")
        assert chat.composer.text == "mine!"


async def test_a_rejected_reply_returns_to_the_input_as_a_reply() -> None:
    async with chat_with_posts("hello") as chat:
        rejected = PostRejected("lobby", "n1", "rate_limited", "Too fast.", "mine", "k3f9-1")
        await chat.deliver(rejected)
        assert chat.composer.text == "mine"
        assert mode_row(chat).startswith("Replying to bob")
        await chat.type("enter")
        assert chat.client.called("say")[-1] == ("lobby", "mine", "k3f9-1")


@pytest.mark.parametrize(("code", "re"), [("no_such_post", "k3f9-1"), ("muted", "n7"), ("muted", "")])
async def test_a_rejected_reply_to_nothing_returns_as_a_message(code: str, re: str) -> None:
    async with chat_with_posts("hello") as chat:
        await chat.deliver(PostRejected("lobby", "n1", code, "No.", "mine", re))
        assert (chat.composer.text, mode_row(chat)) == ("mine", "")


async def test_changes_are_counted_as_queued() -> None:
    async with chatting("ana", "bob") as chat:
        await own_post(chat, "mine")
        await chat.deliver(ConnectionChanged(ConnectionState.WAITING, "gone", 9.0))
        await chat.type("up", "!", "enter")
        assert "1 queued" in chat.drawn("#status")[0]
        assert "Edit queued until you are back online" in chat.toasts
        nonce = f"n{chat.client._count}"
        await chat.deliver(NoteDelivered("lobby", nonce, "k3f9-1", NoteKind.EDIT))
        assert "queued" not in chat.drawn("#status")[0]


# -- the picked post


async def test_only_possible_actions_are_shown() -> None:
    async with chat_with_posts("see https://one.example", size=(120, 24)) as chat:
        await chat.type("alt+up")
        assert chat.drawn("#pick")[0].split("  ") == [
            *(" r reply", "+ react", "p pin", "y copy", "o open link", "i inspect", "Y copy with time"),
            "Esc back",
        ]
        await own_post(chat, "mine")
        await chat.deliver(chat.client.post("bob", "re", re=2), chat.client.post("bob", "?", state=QUESTION))
        await chat.type("j")
        row = chat.drawn("#pick")[0]
        assert all(hint in row for hint in ("e edit", "d delete", "t thread"))
        await chat.type("G")
        row = chat.drawn("#pick")[0]
        assert "a answer" in row
        assert "e edit" not in row
        gone = PostState(deleted=Deletion("bob", ""))
        await chat.deliver(chat.client.note(NoteKind.DELETE, 4, by="bob", state=gone))
        assert chat.drawn("#pick")[0].split("  ")[0] == " y copy"


async def test_an_action_that_is_not_possible_says_why_and_picking_goes_on() -> None:
    async with chat_with_posts("one", "two") as chat:
        await chat.type("alt+up", "e")
        assert "You can only edit your own messages." in chat.toasts
        await chat.type("a")
        assert "This message is not a question." in chat.toasts
        await chat.type("k")
        assert picked(chat) == "one"
        assert chat.composer.text == ""


async def test_delete_asks_first() -> None:
    async with chatting("ana") as chat:
        post_id = await own_post(chat, "wrong")
        for key, count in (("enter", 0), ("escape", 0), ("n", 0), ("y", 1)):
            await chat.type("alt+up", "d")
            assert isinstance(chat.app.screen, ChoiceScreen)
            assert "wrong" in "".join(chat.drawn("#choice"))
            await chat.type(key)
            assert len(noted(chat)) == count, key
        assert noted(chat) == [("lobby", post_id, "delete")]


async def test_keys_typed_at_once_do_not_confirm_a_deletion() -> None:
    async with chatting("ana") as chat:
        await own_post(chat, "wrong")
        await chat.type("alt+up")
        for key in "dd":
            chat.app.post_message(events.Key(key, key))
        await chat.pilot.pause()
        assert isinstance(chat.app.screen, ChoiceScreen)
        assert noted(chat) == []


@pytest.mark.parametrize(("typed", "emoji"), [("", "👍"), ("tada", "🎉"), (":tada:", "🎉"), ("🫠", "🫠")])
async def test_a_reaction_is_found_by_its_name(typed: str, emoji: str) -> None:
    async with chat_with_posts("hello") as chat:
        await chat.type("alt+up")
        for key in ("+", *typed):
            chat.app.post_message(events.Key("plus" if key == "+" else key, key))
        await chat.pilot.pause()
        await chat.pilot.pause()
        assert isinstance(chat.app.screen, ReactScreen)
        await chat.type("enter")
        assert noted(chat) == [("lobby", "k3f9-1", "react", emoji)]
        # Now it comes first.
        await chat.type("plus", "enter")
        assert noted(chat)[-1][3] == emoji


async def test_own_reactions_are_removed_by_choosing_them_again() -> None:
    async with chatting("ana", "bob") as chat:
        state = PostState(reactions={"👀": Votes(2, ("bob", "ana"))})
        await chat.deliver(chat.client.post("bob", "hello", state=state))
        await chat.type("alt+up", "plus")
        assert "👀" in chat.drawn("#react-rows")[0]
        assert "remove" in chat.drawn("#react-rows")[0]
        await chat.type("enter")
        assert noted(chat) == [("lobby", "k3f9-1", "react", "👀", "off")]


async def test_no_emoji_is_found() -> None:
    async with chat_with_posts("hello") as chat:
        await chat.type("alt+up", "plus", *"nosuch thing", "enter")
        assert isinstance(chat.app.screen, ReactScreen)
        assert "No such emoji" in "".join(chat.drawn("#react"))
        await chat.type("escape")
        assert picked(chat) == "hello"


async def test_alt_r_answers_the_newest_question() -> None:
    async with chatting("ana", "bob") as chat:
        await chat.type("alt+r")
        assert "There is no open question for you" in chat.toasts
        await chat.deliver(chat.client.post("bob", "Deploy?", state=QUESTION), chat.client.post("bob", "hm"))
        await chat.type("alt+r")
        assert isinstance(chat.app.screen, ChoiceScreen)
        await chat.type("2")
        assert noted(chat) == [("lobby", "k3f9-1", "answer", "no")]
        assert "Answered: no" in chat.toasts


async def test_palette_commands_are_about_the_picked_post() -> None:
    async with chat_with_posts("one", "two") as chat:
        await chat.type("alt+up", "k")
        assert chat.screen.submit("/pin")
        assert noted(chat) == [("lobby", "k3f9-1", "pin")]


# -- threads and pinned posts


async def open_thread(chat: Chat) -> None:
    """Open the thread of bob's post 1, to which zoe has replied with post 2."""
    root, reply = chat.client.post("bob", "Who goes?"), chat.client.post("zoe", "I go", re=1)
    await chat.deliver(root, reply)
    await chat.type("alt+up", "t")
    assert chat.client.called("fetch_history") == [("lobby", "", "200", "k3f9-1")]
    ref = f"n{chat.client._count}"
    await chat.deliver(HistoryFetched("lobby", ref, (root.post, reply.post), more=False))


async def test_a_thread_has_its_posts_only_and_is_live() -> None:
    async with chatting("ana", "bob", "zoe") as chat:
        await open_thread(chat)
        assert isinstance(chat.app.screen, ThreadScreen)
        await chat.deliver(
            chat.client.post("bob", "something else"),
            chat.client.post("bob", "Thanks", re=2, root=1),
            chat.client.note(NoteKind.EDIT, 2, by="zoe", text="I do", state=PostState(edited="x")),
        )
        drawn = "\n".join(chat.drawn("#thread-log"))
        assert all(text in drawn for text in ("Who goes?", "I do (edited)", "Thanks"))
        assert "something else" not in drawn
        await chat.type("escape")
        assert picked(chat) == "I do"


async def test_a_selection_in_a_thread_is_copied() -> None:
    async with chatting("ana", "bob", "zoe") as chat:
        await open_thread(chat)
        row = next(y for y, text in enumerate(chat.drawn("#thread-log")) if "Who goes?" in text)
        await chat.pilot.click("#thread-log", offset=(20, row), times=3)
        await chat.pilot.pause()
        assert chat.toasts == "Ctrl+C copies the selection"
        await chat.type("ctrl+c")
        await workers_done(chat)
        assert chat.app.clipboard == "Who goes?"
        assert isinstance(chat.app.screen, ThreadScreen)


async def test_a_text_in_a_thread_is_a_reply_to_its_first_post() -> None:
    async with chatting("ana", "bob", "zoe") as chat:
        await open_thread(chat)
        await chat.type(*"me too", "enter")
        assert chat.client.called("say") == [("lobby", "me too", "k3f9-1")]
        assert "me too" in "\n".join(chat.drawn("#thread-log"))
        nonce = f"n{chat.client._count}"
        await chat.deliver(chat.client.post("ana", "me too", nonce=nonce, re=1))
        assert "\n".join(chat.drawn("#thread-log")).count("me too") == 1
        await chat.type("up", "!", "enter")
        assert noted(chat) == [("lobby", "k3f9-3", "edit", "me too!")]
        await chat.type(*"/who", "enter")
        assert "Commands do not work in a thread" in chat.toasts
        assert chat.composer.text == "/who"
        await chat.type("ctrl+c", "escape")
        assert not isinstance(chat.app.screen, ThreadScreen)


async def test_a_thread_that_cannot_be_fetched_says_why() -> None:
    async with chat_with_posts("hello") as chat:
        await chat.type("alt+up", "t")
        await chat.deliver(Noticed("No such message.", True, "no_such_post", f"n{chat.client._count}"))
        assert "No such message." in "\n".join(chat.drawn("#thread"))


async def test_pinned_posts_are_listed_and_shown() -> None:
    async with chat_with_posts("one", "two") as chat:
        await chat.enter("/pins")
        assert isinstance(chat.app.screen, SearchScreen)
        assert "Loading…" in "\n".join(chat.drawn("#search"))
        pinned = Post("lobby", Position("k3f9", 1), "bob", "one", AT)
        await chat.deliver(HistoryFetched("lobby", f"n{chat.client._count}", (pinned,), more=False))
        assert "one" in "\n".join(chat.drawn("#search"))
        await chat.type("enter")
        await chat.pilot.pause()
        assert picked(chat) == "one"


async def test_a_room_without_pinned_posts_says_so() -> None:
    async with chat_with_posts("one") as chat:
        await chat.enter("/pins")
        await chat.deliver(HistoryFetched("lobby", f"n{chat.client._count}", (), more=False))
        assert "No pinned messages" in "\n".join(chat.drawn("#search"))


async def test_a_result_that_is_not_loaded_is_acted_on() -> None:
    async with chat_with_posts("new") as chat:
        await chat.enter("/pins")
        far = Post("lobby", Position("other", 7), "zoe", "far away", AT)
        await chat.deliver(HistoryFetched("lobby", f"n{chat.client._count}", (far,), more=False))
        await chat.type("enter")
        await chat.deliver(HistoryFetched("lobby", f"n{chat.client._count}", (far,), more=False))
        assert "r Reply" in "\n".join(chat.drawn("#context"))
        await chat.type("r")
        await chat.pilot.pause()
        assert mode_row(chat) == "Replying to zoe · Esc cancels"
        await chat.type(*"yes", "enter")
        assert chat.client.called("say") == [("lobby", "yes", "other-7")]


async def test_used_emoji_come_first_in_the_next_run(tmp_path: Path) -> None:
    for first in ("👍", "🎉"):
        async with chatting("ana", "bob", home=tmp_path) as chat:
            await chat.deliver(chat.client.post("bob", "hello"))
            await chat.type("alt+up", "plus")
            assert first in chat.drawn("#react-rows")[0]
            await chat.type(*"tada", "enter")
            await chat.app.action_quit()
            await chat.pilot.pause()
