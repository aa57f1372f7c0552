"""Every screen of the full-screen chat with typical content, for snapshots and checks of all screens.

A new `Screen` needs a scene here; `tests/tui/test_scenes.py` fails without one.
"""

from __future__ import annotations

import importlib
import pkgutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from functools import cache
from types import ModuleType

import pytest
from textual.notifications import SeverityLevel

from broadcast_tui import tui
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
from tests.support.fake_client import AT, member_list, room_list
from tests.support.running import eventually

SEVERITIES: tuple[SeverityLevel, ...] = ("information", "warning", "error")
PEOPLE = ("ana", "bob", "Chloé", "дима", "李雷")


class FixedClock(datetime):
    """A clock that always shows 10:30."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> FixedClock:
        return cls.fromtimestamp(AT.timestamp(), tz)


@cache
def _modules_with_times() -> list[ModuleType]:
    """The modules of the chat that use `datetime`, also those of screens that are loaded later."""
    names = [found.name for found in pkgutil.walk_packages(tui.__path__, "broadcast_tui.tui.")]
    return [module for module in map(importlib.import_module, names) if "datetime" in vars(module)]


@contextmanager
def fixed_clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Use a fixed clock and time zone for the times on the screen."""
    monkeypatch.setenv("TZ", "UTC")
    for module in _modules_with_times():
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


async def deliver_thread(chat: Chat) -> tuple[Post, Post]:
    """Deliver a post with a reply, which are returned, an own post and a question."""
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
    await deliver_thread(chat)
    await chat.type("alt+up", "k", "d")


async def _react(chat: Chat) -> None:
    await deliver_thread(chat)
    await chat.type("alt+up", "k", "plus")


async def _answer(chat: Chat) -> None:
    await deliver_thread(chat)
    await chat.type("alt+r")


async def _pins(chat: Chat) -> None:
    root, _ = await deliver_thread(chat)
    await chat.enter("/pins")
    await chat.deliver(HistoryFetched("lobby", f"n{chat.client._count}", (root,), more=False))


async def _thread(chat: Chat) -> None:
    posts = await deliver_thread(chat)
    await chat.type("alt+up", "k", "k", "t")
    await chat.deliver(HistoryFetched("lobby", f"n{chat.client._count}", posts, more=False))


async def _settings(chat: Chat) -> None:
    await deliver_conversation(chat)
    await chat.type("f6")


async def _toast(chat: Chat) -> None:
    await deliver_conversation(chat)
    await chat.enter("/nosuch")


async def _toasts(chat: Chat) -> None:
    await deliver_conversation(chat)
    for severity in SEVERITIES:
        chat.app.notify(f"A toast of severity {severity}", title=severity, severity=severity)
    await chat.pilot.pause()
    await eventually(lambda: len(chat.app.screen.query("Toast")) == len(SEVERITIES))


async def _drag(chat: Chat, selector: str | None, start: tuple[int, int], end: tuple[int, int]) -> None:
    """Select text with the mouse, between two cells of a widget or of the screen."""
    await chat.pilot.mouse_down(selector, offset=start)
    await chat.pilot.hover(selector, offset=end)
    await chat.pilot.mouse_up(selector, offset=end)
    await chat.pilot.pause()


async def _select_posts(chat: Chat) -> None:
    """Select text of every kind: names, times, code, quotes, links, mentions, votes."""
    await _code(chat)
    await deliver_notes(chat)
    bottom = chat.screen.log_view.size.height - 1
    await _drag(chat, "#log", (0, 0), (60, bottom))
    assert chat.screen.get_selected_text()


async def _deliver_away(chat: Chat) -> None:
    """Deliver the members of the room, two of whom are away, and show them."""
    away = (("bob", "lunch"), ("Chloé", ""))
    await chat.deliver(member_list("lobby", "", len(PEOPLE), PEOPLE, away=away))
    await chat.type("f8")
    await chat.pilot.pause()
    assert "2 away" in "\n".join(chat.drawn("#people"))


async def _select_lists(chat: Chat) -> None:
    """Select the names in both lists: a drag that begins in one of them ends in the other."""
    await _muted(chat)
    await _deliver_away(chat)
    start, end = chat.screen.rooms.region, chat.screen.people.region
    await _drag(chat, None, (start.x + 1, start.y), (end.right - 2, end.bottom - 1))
    assert "lobby" in (chat.screen.get_selected_text() or "")


async def _select_help(chat: Chat) -> None:
    await _help(chat)
    region = chat.app.screen.query_one("#help").region
    await _drag(chat, None, (region.x + 3, region.y + 1), (region.right - 4, region.bottom - 2))
    assert chat.app.screen.get_selected_text()


async def _select_draft(chat: Chat) -> None:
    await chat.type(*"a draft of some words")
    await _drag(chat, "#composer", (3, 0), (12, 0))
    assert chat.composer.selected_text


async def _select_name(chat: Chat) -> None:
    await chat.type(*"anabel", "shift+left", "shift+left")


async def _empty_token(chat: Chat) -> None:
    """The field without text and without the focus."""
    await chat.deliver(ConnectionChanged(ConnectionState.REFUSED, cause=DisconnectCause.UNAUTHORIZED))
    await chat.type("tab")
    assert not chat.app.screen.query_one("#token-text").has_focus


async def _away(chat: Chat) -> None:
    await chat.enter("/away lunch")
    await _deliver_away(chat)


async def _muted(chat: Chat) -> None:
    """Muted rooms: with and without unread posts and mentions."""
    for room, text in (("dev", "hi @ana"), ("ops", "hi"), ("random", "")):
        await chat.deliver(RoomEntered(room, 2, 0))
        await chat.enter(f"/buffer {room}")
        await chat.enter("/mute")
        await chat.enter("/buffer lobby")
        if text:
            await chat.deliver(*(chat.client.post("bob", text, room=room) for _ in range(2)))
    await chat.type("f7")
    assert "⊘" in "\n".join(chat.drawn("#rooms"))


async def _muted_shown(chat: Chat) -> None:
    await _muted(chat)
    await chat.enter("/mute")


async def _offline(chat: Chat) -> None:
    """Servers whose connection was closed, is lost and is being made."""
    await open_servers(chat)
    closed, connecting = chat.elsewhere
    await closed.deliver(ConnectionChanged(ConnectionState.CLOSED))
    await connecting.deliver(ConnectionChanged(ConnectionState.CONNECTING))
    await chat.deliver(ConnectionChanged(ConnectionState.WAITING, "The connection was lost.", 3600.0))
    rows = "\n".join(chat.drawn("#rooms"))
    assert "○" in rows
    assert "◌" in rows
    assert "◐" in rows


async def _ignored(chat: Chat) -> None:
    """Posts of an ignored person are hidden; the rest of the room and a deleted post are not."""
    await deliver_notes(chat)
    await chat.enter("/ignore bob")
    await chat.deliver(chat.client.post("bob", "nobody sees this"))
    await chat.type("f8")
    assert "hidden" in "\n".join(chat.drawn())


async def _pick_deleted(chat: Chat) -> None:
    await deliver_notes(chat)
    await chat.type("alt+up", *"kkkk")


async def _pick_question(chat: Chat) -> None:
    await deliver_notes(chat)
    await chat.type("alt+up")


async def _hover(chat: Chat) -> None:
    """The mouse on a row that is not highlighted."""
    await _settings(chat)
    await chat.pilot.hover("#settings-rows", offset=(4, 3))


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
    "notes": Scene("ChatScreen", deliver_notes, dialog=False),
    "pick": Scene("ChatScreen", _pick, dialog=False),
    "find": Scene("ChatScreen", _find, dialog=False),
    "code": Scene("ChatScreen", _code, dialog=False),
    "unread": Scene("ChatScreen", _unread, dialog=False),
    "servers": Scene("ChatScreen", open_servers, (), dialog=False),
    "completion": Scene("ChatScreen", _write, dialog=False),
    "edit": Scene("ChatScreen", _edit, dialog=False),
    "toast": Scene("ChatScreen", _toast, dialog=False),
    "toasts": Scene("ChatScreen", _toasts, dialog=False),
    "select-posts": Scene("ChatScreen", _select_posts, dialog=False),
    "select-lists": Scene("ChatScreen", _select_lists, dialog=False),
    "select-draft": Scene("ChatScreen", _select_draft, dialog=False),
    "away": Scene("ChatScreen", _away, dialog=False),
    "muted": Scene("ChatScreen", _muted, dialog=False),
    "muted-shown": Scene("ChatScreen", _muted_shown, dialog=False),
    "offline": Scene("ChatScreen", _offline, (), dialog=False),
    "ignored": Scene("ChatScreen", _ignored, dialog=False),
    "pick-deleted": Scene("ChatScreen", _pick_deleted, dialog=False),
    "pick-question": Scene("ChatScreen", _pick_question, dialog=False),
    "login": Scene("LoginScreen", _ask_name, (), "", important=True),
    "login-denied": Scene("LoginScreen", _deny_name, (), important=True),
    "login-selected": Scene("LoginScreen", _select_name, (), ""),
    "token": Scene("TokenScreen", _ask_token, ("ana",), important=True),
    "token-denied": Scene("TokenScreen", _deny_token, ("ana",)),
    "token-empty": Scene("TokenScreen", _empty_token, ("ana",)),
    "switcher": Scene("SwitcherScreen", _list_rooms, important=True),
    "switcher-empty": Scene("SwitcherScreen", _find_no_room),
    "react": Scene("ReactScreen", _react, important=True),
    "help": Scene("HelpScreen", _help, important=True),
    "select-help": Scene("HelpScreen", _select_help),
    "inspect": Scene("InspectScreen", _inspect, important=True),
    "settings": Scene("SettingsScreen", _settings, important=True),
    "settings-hover": Scene("SettingsScreen", _hover),
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
