"""Every screen of the full-screen chat with typical content, for snapshots and checks of all screens.

A new `Screen` needs a scene here; `tests/tui/test_scenes.py` fails without one.
"""

from __future__ import annotations

import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

import pytest

from broadcast_tui.core.post import Position, Post
from broadcast_tui.core.post_state import Ask, Deletion, NoteKind, Pin, PostState, Votes
from broadcast_tui.core.session.updates import (
    ConnectionChanged,
    ConnectionState,
    DisconnectCause,
    HistoryFetched,
    NameDenied,
    RoomEntered,
    SearchFound,
)
from broadcast_tui.tui.invites import Invite
from broadcast_tui.tui.local_server import leave_question, start_question
from broadcast_tui.tui.quit import UnsentQuestion
from broadcast_tui.tui.screens.invite import InviteScreen
from tests.support.chat_app import Chat, chatting
from tests.support.fake_client import AT, room_list
from tests.support.running import eventually

PEOPLE = ("ana", "bob", "Chloé", "дима", "李雷")


class FixedClock(datetime):
    """A clock that always shows 10:30."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> FixedClock:
        return cls.fromtimestamp(AT.timestamp(), tz)


@contextmanager
def fixed_clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
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


async def _notes(chat: Chat) -> None:
    await deliver_notes(chat)


async def _pick(chat: Chat) -> None:
    await deliver_conversation(chat)
    await chat.type("alt+up", "k", "k")


async def _find(chat: Chat) -> None:
    await deliver_conversation(chat)
    await chat.type("ctrl+f", *"wrapped")
    await eventually(lambda: "1/" in "\n".join(chat.drawn()))


async def _code(chat: Chat) -> None:
    diff = "```diff\n- old = 1\n+ new = 2\n# why\n```"
    code = "```python\n# why\ndef f(x):\n    return x + 1 if x else 'none'\n```"
    quote = "> quoted\n**bold** [label](https://example.org) ~~gone~~ #lobby"
    await chat.deliver(*(chat.client.post("bob", text) for text in (diff, code, quote, f"@ana {quote} `x`")))


async def _unread(chat: Chat) -> None:
    await deliver_conversation(chat)
    await chat.deliver(RoomEntered("dev", 2, 0, "Everything about 1.4"))
    await chat.deliver(*(chat.client.post("bob", "hi @ana", room="dev") for _ in range(3)))
    await chat.deliver(RoomEntered("ops", 2, 0, ""), chat.client.post("bob", "hi", room="ops"))
    await chat.type("f7", "pageup")
    await chat.deliver(*(chat.client.post("bob", f"new {number}") for number in range(5)))


async def _connect(chat: Chat, url: str) -> None:
    count = len(chat.elsewhere)
    await chat.enter(f"/connect {url}")
    await eventually(lambda: len(chat.elsewhere) > count)
    await chat.pilot.pause()


async def open_servers(chat: Chat) -> None:
    """Connect to two more servers, one of which rejects the user; display the other one."""
    await chat.deliver(*chat.client.online(*PEOPLE))
    await chat.deliver(RoomEntered("dev", 2, 0), chat.client.post("bob", "hi ana", room="dev"))
    for host in ("chat.example.org", "community.example.org"):
        await _connect(chat, f"wss://{host}:8765")
    work, refused = chat.elsewhere
    await work.deliver(*work.online("ana", "max"), work.post("max", "@ana, the **deploy** is done."))
    await refused.deliver(ConnectionChanged(ConnectionState.REFUSED, "You are banned."))
    await chat.type("alt+3")
    await chat.deliver(chat.client.post("bob", "lunch?"))
    if chat.app.size.width == 80:
        await chat.type("f7")


async def _write(chat: Chat) -> None:
    await deliver_conversation(chat)
    await chat.type(*"/un")


async def _edit(chat: Chat) -> None:
    await deliver_conversation(chat)
    await chat.type("up", "ctrl+shift+left")


async def _ask_name(chat: Chat) -> None:
    await chat.pilot.pause()


async def _deny_name(chat: Chat) -> None:
    await chat.deliver(
        NameDenied("ana", "name_taken", "That name is taken."), ConnectionChanged(ConnectionState.REFUSED)
    )


async def _ask_token(chat: Chat) -> None:
    cause = DisconnectCause.UNAUTHORIZED
    refused = ConnectionChanged(ConnectionState.REFUSED, "This server needs a token.", cause=cause)
    await chat.deliver(refused)
    await chat.type(*"secret")


async def _deny_token(chat: Chat) -> None:
    await _ask_token(chat)
    await chat.type(*" {}", "enter", "tab", "space")


async def _list_rooms(chat: Chat) -> None:
    await deliver_conversation(chat)
    await chat.deliver(RoomEntered("dev", 2, 0, ""), chat.client.post("bob", "hi ana", room="dev"))
    rooms = [(f"project-{number}", number, "") for number in range(20)]
    await chat.deliver(
        room_list("", (("dev", 2, ""), ("lobby", 5, ""), ("ops", 12, "On call"), *rooms), False)
    )
    await chat.type("alt+k")


async def _find_no_room(chat: Chat) -> None:
    await _list_rooms(chat)
    await chat.type(*"no such room")


async def _help(chat: Chat) -> None:
    await deliver_conversation(chat)
    await chat.type("f1")


async def _inspect(chat: Chat) -> None:
    await chat.deliver(chat.client.post("bob", "no\u200bthing to see https://example.org"))
    await chat.type("alt+up", "i")


async def _invite(chat: Chat) -> None:
    await deliver_conversation(chat)
    invite = Invite("http://192.168.1.5:8765/rooms/lobby", "Everyone in your network can open it.")
    chat.app.push_screen(InviteScreen(invite))
    await chat.pilot.pause()
    await chat.pilot.pause()


def _found(*texts: str) -> tuple[Post, ...]:
    """Posts of an earlier log, which are not loaded."""
    return tuple(
        Post("lobby", Position("aaaa", number), sender, text, AT - timedelta(days=3 - number))
        for number, (sender, text) in enumerate(zip(("bob", "Chloé", "дима"), texts, strict=False), 1)
    )


RESULTS = ("The deploy of 1.3 went well", "Who will deploy 1.4? I can, if somebody watches the error rate")


async def _search(chat: Chat) -> None:
    await deliver_conversation(chat)
    await chat.enter("/search deploy")
    await chat.deliver(SearchFound("lobby", f"n{chat.client._count}", _found(*RESULTS), more=True))
    await chat.type("down")


async def _find_nothing(chat: Chat) -> None:
    await chat.enter("/search deploy")
    await chat.deliver(SearchFound("lobby", f"n{chat.client._count}", (), more=False))


async def _context(chat: Chat) -> None:
    await _search(chat)
    await chat.type("up", "enter")
    posts = _found(*RESULTS, "Thanks!")
    await chat.deliver(HistoryFetched("lobby", f"n{chat.client._count}", posts, more=False))
    await chat.pilot.pause()


async def _long_post(chat: Chat) -> None:
    await deliver_conversation(chat)
    await chat.enter("\n".join(f"row {number}" for number in range(21)))


async def _start_question(chat: Chat) -> None:
    chat.app.push_screen(start_question("ws://localhost:8765"))
    await chat.pilot.pause()


async def _leave_question(chat: Chat) -> None:
    await deliver_conversation(chat)
    chat.app.push_screen(leave_question(4))
    await chat.pilot.pause()


async def _unsent_question(chat: Chat) -> None:
    chat.app.push_screen(UnsentQuestion(3))
    await chat.pilot.pause()


async def _posts(chat: Chat) -> tuple[Post, Post]:
    client = chat.client
    ask = Ask(("yes", "no", "later"), "2030-01-01T00:00:00.000Z", 2, ("ana", "bob"))
    root, reply = client.post("bob", "Who locks the table?"), client.post("Chloé", "I do", re=1)
    await chat.deliver(
        root,
        reply,
        client.post("ana", "wrong room", nonce="own"),
        client.post("bob", "Deploy 1.5?", state=PostState(ask=ask, waiting=("ana", "bob"))),
    )
    return root.post, reply.post


async def _delete(chat: Chat) -> None:
    await _posts(chat)
    await chat.type("alt+up", "k", "d")


async def _react(chat: Chat) -> None:
    await _posts(chat)
    await chat.type("alt+up", "k", "plus")


async def _answer(chat: Chat) -> None:
    await _posts(chat)
    await chat.type("alt+r")


async def _pins(chat: Chat) -> None:
    root, _ = await _posts(chat)
    await chat.enter("/pins")
    await chat.deliver(HistoryFetched("lobby", f"n{chat.client._count}", (root,), more=False))


async def _thread(chat: Chat) -> None:
    posts = await _posts(chat)
    await chat.type("alt+up", "k", "k", "t")
    await chat.deliver(HistoryFetched("lobby", f"n{chat.client._count}", posts, more=False))


async def _settings(chat: Chat) -> None:
    await deliver_conversation(chat)
    await chat.type("f6")


async def _toast(chat: Chat) -> None:
    await deliver_conversation(chat)
    await chat.enter("/nosuch")


@dataclass(frozen=True, slots=True)
class Scene:
    """A screen with content: the class `screen`.

    `open` shows it in a chat; `people` are those of the room, none for a chat that is not connected. `name`
    is that of the user, empty to be asked. A `dialog` stands in front of the chat.
    """

    screen: str
    open: Callable[[Chat], Awaitable[None]]
    people: tuple[str, ...] = PEOPLE
    name: str = "ana"
    dialog: bool = True
    important: bool = False
    """Whether there are snapshots at all sizes, not only at 80×24."""


SCENES: dict[str, Scene] = {
    "room": Scene("ChatScreen", deliver_conversation, dialog=False),
    "notes": Scene("ChatScreen", _notes, dialog=False),
    "pick": Scene("ChatScreen", _pick, dialog=False),
    "find": Scene("ChatScreen", _find, dialog=False),
    "code": Scene("ChatScreen", _code, dialog=False),
    "unread": Scene("ChatScreen", _unread, dialog=False),
    "servers": Scene("ChatScreen", open_servers, (), dialog=False),
    "completion": Scene("ChatScreen", _write, dialog=False),
    "edit": Scene("ChatScreen", _edit, dialog=False),
    "toast": Scene("ChatScreen", _toast, dialog=False),
    "login": Scene("LoginScreen", _ask_name, (), "", important=True),
    "login-denied": Scene("LoginScreen", _deny_name, (), important=True),
    "token": Scene("TokenScreen", _ask_token, ("ana",), important=True),
    "token-denied": Scene("TokenScreen", _deny_token, ("ana",)),
    "switcher": Scene("SwitcherScreen", _list_rooms, important=True),
    "switcher-empty": Scene("SwitcherScreen", _find_no_room),
    "react": Scene("ReactScreen", _react, important=True),
    "help": Scene("HelpScreen", _help, important=True),
    "inspect": Scene("InspectScreen", _inspect, important=True),
    "settings": Scene("SettingsScreen", _settings, important=True),
    "invite": Scene("InviteScreen", _invite, important=True),
    "search": Scene("SearchScreen", _search, important=True),
    "search-empty": Scene("SearchScreen", _find_nothing),
    "context": Scene("ContextScreen", _context, important=True),
    "pins": Scene("SearchScreen", _pins),
    "thread": Scene("ThreadScreen", _thread, important=True),
    "long-post": Scene("ChoiceScreen", _long_post, important=True),
    "start-question": Scene("ChoiceScreen", _start_question, (), important=True),
    "leave-question": Scene("ChoiceScreen", _leave_question, important=True),
    "unsent-question": Scene("UnsentQuestion", _unsent_question),
    "delete": Scene("ChoiceScreen", _delete, important=True),
    "answer": Scene("ChoiceScreen", _answer, important=True),
}


@asynccontextmanager
async def showing(name: str, *, size: tuple[int, int] = (80, 24), theme: str = "") -> AsyncIterator[Chat]:
    """A chat that shows the scene called `name`."""
    scene = SCENES[name]
    async with chatting(*scene.people, name=scene.name, size=size, theme=theme) as chat:
        await scene.open(chat)
        await chat.pilot.pause()
        yield chat
