from __future__ import annotations

from datetime import UTC

from broadcast_tui.core.post import Position, Post
from broadcast_tui.core.post_state import Ask, Deletion, NoteKind, Pin, PostState, Votes
from broadcast_tui.tui.model.transcript.chunks import DeliveryState, Line, LineKind
from broadcast_tui.tui.model.transcript.post_details import details_of
from broadcast_tui.tui.screens.inspect import inspection
from broadcast_tui.tui.widgets.message_log import MessageLog
from broadcast_tui.tui.widgets.question_bar import QuestionBar
from tests.support.chat_app import chatting
from tests.support.fake_client import AT
from tests.support.running import eventually

ASK = Ask(("ok",), "2026-11-28T12:05:00.000Z", 9, ("ana", "ken", "zoë"))
QUESTION = PostState(ask=ASK, tally={"ok": Votes(6, ())}, waiting=("ana", "ken", "zoë"))
EDITED = PostState(edited="2025-08-30T10:31:00.000Z")


async def test_the_open_question_has_a_bar() -> None:
    async with chatting("ana", "mira", size=(120, 24)) as chat:
        bar = chat.screen.query_one(QuestionBar)
        assert not bar.display
        await chat.deliver(chat.client.post("mira", "Deploy in 5 min", state=QUESTION))
        assert chat.drawn("#question")[0].startswith(" ! mira: Deploy in 5 min")
        assert "6/9, waiting: ana ken zoë" in chat.drawn("#question")[0]
        assert bar.answer()
        answered = PostState(tally={"ok": Votes(7, ("ana",))}, waiting=("ken", "zoë"))
        await chat.deliver(chat.client.note(NoteKind.ANSWER, 1, state=answered))
        assert not bar.display
        assert not bar.answer()


async def test_the_header_counts_pinned_posts() -> None:
    async with chatting("ana", "mira", size=(58, 24)) as chat:
        header = chat.screen.query_one("#topic")
        await chat.deliver(chat.client.post("mira", "Keep this"))
        assert not header.display
        await chat.deliver(
            chat.client.note(NoteKind.PIN, 1, by="mira", state=PostState(pinned=Pin("mira", "")))
        )
        assert chat.drawn("#topic")[0].split("  ")[:2] == [" #lobby", "pinned: 1"]
        assert chat.drawn("#topic")[0].endswith(" 2 here")
        await chat.deliver(chat.client.note(NoteKind.PIN, 1, by="mira"))
        assert not header.display


async def test_copying_and_finding_use_the_edited_text() -> None:
    async with chatting("ana", "mira") as chat:
        await chat.deliver(chat.client.post("mira", "old text"), chat.client.post("mira", "other"))
        await chat.type("ctrl+f", *"text")
        await chat.deliver(chat.client.note(NoteKind.EDIT, 1, by="mira", text="new words", state=EDITED))
        log = chat.screen.query_one(MessageLog)
        await eventually(lambda: log.highlights.picked is None)
        await chat.type("escape", "ctrl+f", *"words", "enter")
        assert log.highlights.picked_line is not None
        assert log.highlights.picked_line.text == "new words"
        await chat.type("y")
        await eventually(lambda: chat.app.clipboard == "new words")


async def test_a_picked_post_that_is_deleted_stays_picked() -> None:
    async with chatting("ana", "mira") as chat:
        await chat.deliver(chat.client.post("mira", "secret"))
        await chat.type("alt+up")
        deleted = PostState(deleted=Deletion("mira", ""))
        await chat.deliver(chat.client.note(NoteKind.DELETE, 1, by="mira", state=deleted))
        line = chat.screen.query_one(MessageLog).highlights.picked_line
        assert line is not None
        assert line.text == "deleted by mira"
        assert not any("secret" in row for row in chat.drawn("#log"))


def test_the_inspector_lists_who_reacted() -> None:
    votes = {"👍": Votes(3, ("bob", "zoë"))}
    state = PostState(edited="2025-08-30T10:31:00.000Z", pinned=Pin("mira", ""), reactions=votes)
    details = details_of(Post("", Position("e", 1), "mira", "hi", AT, state=state))
    line = Line(1, LineKind.POST, "mira", "hi", 0.0, DeliveryState.NONE, False, False, details=details)
    assert inspection(line, "e-1", UTC)[-3:] == [
        ("Edited", "2025-08-30T10:31:00.000Z"),
        ("Pinned by", "mira"),
        ("👍", "bob, zoë, 1 more"),
    ]
