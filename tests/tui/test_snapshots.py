"""Snapshots of the screens; see `tests/support/screen_text.py`."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, tzinfo

import pytest
from rich.color import ColorSystem

from broadcast_tui.core.post import Position, Post
from broadcast_tui.core.post_state import Ask, Deletion, NoteKind, Pin, PostState, Votes
from broadcast_tui.core.session.updates import (
    CaughtUp,
    ConnectionChanged,
    ConnectionState,
    DirectOpened,
    DisconnectCause,
    HistoryFetched,
    NameDenied,
    RoomEntered,
    SearchFound,
)
from broadcast_tui.tui.local_server import leave_question, start_question
from tests.support.chat_app import Chat, chatting
from tests.support.fake_client import AT, room_list
from tests.support.running import eventually
from tests.support.screen_text import compare, screen_text

PEOPLE = ("ana", "bob", "Chloé", "дима", "李雷")
AT_TWO_SIZES = pytest.mark.parametrize("size", [(40, 10), (80, 24)], ids=lambda size: f"{size[0]}x{size[1]}")


class FixedClock(datetime):
    """A clock that always shows 10:30."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> FixedClock:
        return cls.fromtimestamp(AT.timestamp(), tz)


@pytest.fixture(autouse=True)
def fixed_time(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Use a fixed clock and time zone for the times on the screen."""
    monkeypatch.setenv("TZ", "UTC")
    for module in [*sys.modules.values()]:
        if getattr(module, "__name__", "").startswith("broadcast_tui.tui") and "datetime" in vars(module):
            monkeypatch.setattr(module, "datetime", FixedClock)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


async def deliver_conversation(chat: Chat) -> None:
    """Deliver a conversation with every kind of content."""
    client = chat.client
    texts = [
        ("bob", "Deploy of **1.4** starts at `14:00`, see https://example.org/runbook"),
        ("bob", "/me gets coffee"),
        ("Chloé", "@ana can you watch the *error rate*? 👍🏽"),
        ("李雷", "好的，我来看看日志。这是一个很长的句子，用来检查换行是否正确，标点符号不应出现在行首。"),
        ("дима", "```python\ndef ready(pods):\n    return all(pod.ready for pod in pods)\n```"),
        (
            "bob",
            "a line that is longer than the terminal is wide, so that it has to be wrapped at a blank " * 2,
        ),
    ]
    for minute, (sender, text) in enumerate(texts):
        await chat.deliver(client.post(sender, text, at=AT + timedelta(minutes=minute // 2)))
    await chat.deliver(client.post("ana", "watching", nonce="own", at=AT + timedelta(minutes=4)))


@pytest.mark.parametrize("theme", ["broadcast-dark", "broadcast-light"])
@pytest.mark.parametrize("size", [(40, 10), (80, 24), (120, 40)], ids=lambda size: f"{size[0]}x{size[1]}")
async def test_a_room(size: tuple[int, int], theme: str) -> None:
    async with chatting(*PEOPLE, size=size, theme=theme) as chat:
        await deliver_conversation(chat)
        compare(f"room-{size[0]}x{size[1]}-{theme}", screen_text(chat.app))


@pytest.mark.parametrize("theme", ["ansi-dark", "ansi-light", "broadcast-dark", "broadcast-light"])
async def test_a_room_in_sixteen_colors(theme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("textual.constants.COLOR_SYSTEM", "standard")
    async with chatting(*PEOPLE, theme=theme) as chat:
        await deliver_conversation(chat)
        compare(f"room-16-colors-{theme}", screen_text(chat.app, ColorSystem.STANDARD))


async def test_a_room_without_colors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with chatting(*PEOPLE) as chat:
        await deliver_conversation(chat)
        compare("room-no-color", screen_text(chat.app))


async def deliver_notes(chat: Chat) -> None:
    """Deliver posts with everything that people can do with them, and an announcement."""
    client = chat.client
    ask = Ask(("yes", "no"), "2026-11-28T12:05:00.000Z", 3, ("ana", "bob", "дима"))
    votes = {"yes": Votes(1, ("bob",))}
    state = PostState(ask=ask, tally=votes, waiting=("ana", "дима"))
    edited = PostState(edited="2025-08-30T10:31:00.000Z")
    await chat.deliver(
        client.post("bob", "Yes, it runs first.", at=AT),
        client.post("Chloé", "Then I lock the table by hand", at=AT, re=1),
        client.post("ana", "I wrote this in another room", at=AT),
        client.post("bob", "Keep this in mind", at=AT),
        client.post("李雷", "An answer to something long ago", at=AT, re=900),
        client.post("дима", "Ship it today?", at=AT, state=state),
        client.note(
            NoteKind.EDIT,
            2,
            by="Chloé",
            text="Then I lock it",
            state=edited,
        ),
        client.note(NoteKind.DELETE, 3, by="ana", state=PostState(deleted=Deletion("ana", "", "wrong room"))),
        client.note(NoteKind.PIN, 4, by="bob", state=PostState(pinned=Pin("bob", ""))),
        client.note(
            NoteKind.REACT,
            1,
            state=PostState(reactions={"👍": Votes(2, ("bob", "Chloé")), "✅": Votes(1, ("ana",))}),
        ),
        client.post(
            "Chloé",
            "Deploy 1.5 in 5 min",
            at=AT,
            state=PostState(
                ask=Ask(("ok",), "2026-11-28T12:05:00.000Z", 9, ("ana", "bob", "дима")),
                tally={"ok": Votes(7, ("bob",))},
                waiting=("ana", "дима"),
            ),
        ),
    )


@pytest.mark.parametrize("theme", ["broadcast-dark", "broadcast-light"])
@pytest.mark.parametrize("size", [(40, 10), (80, 24), (120, 40)], ids=lambda size: f"{size[0]}x{size[1]}")
async def test_notes(size: tuple[int, int], theme: str) -> None:
    async with chatting(*PEOPLE, size=size, theme=theme) as chat:
        await deliver_notes(chat)
        compare(f"notes-{size[0]}x{size[1]}-{theme}", screen_text(chat.app))


async def test_notes_in_sixteen_colors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("textual.constants.COLOR_SYSTEM", "standard")
    async with chatting(*PEOPLE, theme="ansi-dark") as chat:
        await deliver_notes(chat)
        compare("notes-16-colors", screen_text(chat.app, ColorSystem.STANDARD))


async def test_notes_without_colors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with chatting(*PEOPLE) as chat:
        await deliver_notes(chat)
        compare("notes-no-color", screen_text(chat.app))


async def test_rooms_beside_it() -> None:
    async with chatting(*PEOPLE, size=(120, 30)) as chat:
        await deliver_conversation(chat)
        await chat.deliver(
            RoomEntered("dev", 2, 0, "Everything about 1.4"), chat.client.post("bob", "hi ana", room="dev")
        )
        compare("rooms-120x30", screen_text(chat.app))


async def test_finding() -> None:
    async with chatting(*PEOPLE) as chat:
        await deliver_conversation(chat)
        await chat.type("ctrl+f", *"wrapped")
        await eventually(lambda: "1/" in "\n".join(chat.drawn()))
        compare("find-80x24", screen_text(chat.app))


async def test_a_list_of_completions() -> None:
    async with chatting(*PEOPLE) as chat:
        await deliver_conversation(chat)
        await chat.type(*"/un")
        compare("completion-80x24", screen_text(chat.app))


@AT_TWO_SIZES
async def test_the_name_dialog(size: tuple[int, int]) -> None:
    async with chatting(name="", size=size) as chat:
        compare(f"dialog-{size[0]}x{size[1]}", screen_text(chat.app))


async def test_the_name_dialog_with_a_reason() -> None:
    async with chatting() as chat:
        await chat.deliver(
            NameDenied("ana", "name_taken", "That name is taken."), ConnectionChanged(ConnectionState.REFUSED)
        )
        compare("dialog-refused", screen_text(chat.app))


@AT_TWO_SIZES
async def test_help(size: tuple[int, int]) -> None:
    async with chatting(*PEOPLE, size=size) as chat:
        await chat.type("f1")
        compare(f"help-{size[0]}x{size[1]}", screen_text(chat.app))


@AT_TWO_SIZES
async def test_the_room_switcher(size: tuple[int, int]) -> None:
    async with chatting(*PEOPLE, size=size) as chat:
        await deliver_conversation(chat)
        await chat.deliver(RoomEntered("dev", 2, 0, ""), chat.client.post("bob", "hi ana", room="dev"))
        await chat.deliver(room_list("", (("dev", 2, ""), ("lobby", 5, ""), ("ops", 12, "On call")), False))
        await chat.type("alt+k")
        compare(f"switcher-{size[0]}x{size[1]}", screen_text(chat.app))


@AT_TWO_SIZES
async def test_direct_messages(size: tuple[int, int]) -> None:
    room = "@ana+bob~x1"
    async with chatting(*PEOPLE, size=size) as chat:
        await deliver_conversation(chat)
        await chat.deliver(DirectOpened(room, "bob", False, head=Position("k3f9", 1)))
        await chat.deliver(RoomEntered(room, 2, 1, ""), chat.client.post("bob", "Lunch at noon?", room=room))
        await chat.deliver(CaughtUp(room))
        await chat.enter("/buffer bob")
        compare(f"direct-{size[0]}x{size[1]}", screen_text(chat.app))


async def test_the_room_switcher_in_sixteen_colors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("textual.constants.COLOR_SYSTEM", "standard")
    async with chatting(*PEOPLE, theme="ansi-dark") as chat:
        await chat.type("alt+k")
        compare("switcher-16-colors", screen_text(chat.app, ColorSystem.STANDARD))


@AT_TWO_SIZES
async def test_search_results(size: tuple[int, int]) -> None:
    async with chatting(*PEOPLE, size=size) as chat:
        await deliver_conversation(chat)
        await chat.enter("/search deploy")
        texts = (
            "The deploy of 1.3 went well",
            "Who will deploy 1.4? I can, if somebody watches the error rate",
        )
        posts = tuple(
            Post("lobby", Position("k3f9", number), sender, text, AT - timedelta(days=3 - number))
            for number, (sender, text) in enumerate(zip(("bob", "Chloé"), texts, strict=True), 1)
        )
        await chat.deliver(SearchFound("lobby", f"n{chat.client._count}", posts, more=True))
        compare(f"search-{size[0]}x{size[1]}", screen_text(chat.app))


@AT_TWO_SIZES
async def test_the_question_before_a_long_post(size: tuple[int, int]) -> None:
    async with chatting(*PEOPLE, size=size) as chat:
        await chat.enter("\n".join(f"row {number}" for number in range(21)))
        compare(f"long-post-{size[0]}x{size[1]}", screen_text(chat.app))


@AT_TWO_SIZES
async def test_a_picked_post_with_its_actions(size: tuple[int, int]) -> None:
    async with chatting(*PEOPLE, size=size) as chat:
        await deliver_conversation(chat)
        await chat.type("alt+up", "k", "k", "k")
        compare(f"pick-{size[0]}x{size[1]}", screen_text(chat.app))


@AT_TWO_SIZES
async def test_an_inspected_post(size: tuple[int, int]) -> None:
    async with chatting(*PEOPLE, size=size) as chat:
        await chat.deliver(chat.client.post("bob", "no\u200bthing to see"))
        await chat.type("alt+up", "i")
        compare(f"inspect-{size[0]}x{size[1]}", screen_text(chat.app))


@AT_TWO_SIZES
async def test_the_question_whether_to_start_a_server(size: tuple[int, int]) -> None:
    async with chatting(size=size) as chat:
        chat.app.push_screen(start_question("ws://localhost:8765"))
        await chat.pilot.pause()
        compare(f"start-question-{size[0]}x{size[1]}", screen_text(chat.app))


async def test_the_question_whether_to_stop_the_own_server() -> None:
    async with chatting(*PEOPLE) as chat:
        chat.app.push_screen(leave_question(4))
        await chat.pilot.pause()
        compare("leave-question-80x24", screen_text(chat.app))


async def test_the_bare_view() -> None:
    async with chatting(*PEOPLE) as chat:
        await deliver_conversation(chat)
        await chat.type("alt+l")
        compare("bare-80x24", screen_text(chat.app))


@AT_TWO_SIZES
async def test_the_token_dialog(size: tuple[int, int]) -> None:
    async with chatting("ana", size=size) as chat:
        reason, cause = "This server needs a token.", DisconnectCause.UNAUTHORIZED
        await chat.deliver(ConnectionChanged(ConnectionState.REFUSED, reason, cause=cause))
        await chat.type(*"secret")
        compare(f"token-{size[0]}x{size[1]}", screen_text(chat.app))


@pytest.mark.parametrize("theme", ["broadcast-dark", "broadcast-light"])
@AT_TWO_SIZES
async def test_a_reply_and_the_dialogs_about_posts(size: tuple[int, int], theme: str) -> None:
    name = f"{size[0]}x{size[1]}-{theme}"
    async with chatting(*PEOPLE, size=size, theme=theme) as chat:
        client = chat.client
        ask = Ask(("yes", "no", "later"), "2030-01-01T00:00:00.000Z", 2, ("ana", "bob"))
        root, reply = client.post("bob", "Who locks the table?"), client.post("Chloé", "I do", re=1)
        await chat.deliver(
            root,
            reply,
            client.post("ana", "wrong room", nonce="own"),
            client.post("bob", "Deploy 1.5?", state=PostState(ask=ask, waiting=("ana", "bob"))),
        )
        await chat.type("alt+up", "k", "k", "k", "r", *"me too")
        compare(f"reply-{name}", screen_text(chat.app))
        await chat.type("escape", "alt+up", "k", "d")
        compare(f"delete-{name}", screen_text(chat.app))
        await chat.type("escape", "plus")
        compare(f"react-{name}", screen_text(chat.app))
        await chat.type("escape", "j", "a")
        compare(f"answer-{name}", screen_text(chat.app))
        await chat.type("escape", "escape")
        await chat.enter("/pins")
        await chat.deliver(HistoryFetched("lobby", f"n{client._count}", (root.post,), more=False))
        compare(f"pins-{name}", screen_text(chat.app))
        await chat.type("escape", "alt+up", "k", "k", "t")
        posts = (root.post, reply.post)
        await chat.deliver(HistoryFetched("lobby", f"n{client._count}", posts, more=False))
        compare(f"thread-{name}", screen_text(chat.app))
