"""Line mode: the lines written for updates, and the effect of typed lines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from unittest.mock import patch

import pytest

from broadcast_tui.client.address import Address
from broadcast_tui.client.storage.preferences import Preferences
from broadcast_tui.core.post import Position, Post
from broadcast_tui.core.post_state import Ask, Deletion, NoteKind, Pin, PostState, Votes
from broadcast_tui.core.session.updates import (
    ConnectionChanged,
    ConnectionState,
    DirectOpened,
    EpochChanged,
    HistoryFetched,
    NameChanged,
    NameDenied,
    NoteRejected,
    PostArrived,
    PostDelivered,
    PostRejected,
    RoomEntered,
    SearchFound,
    Withdrawn,
)
from broadcast_tui.tui.line_mode import LineChat
from tests.support.fake_client import AT, FakeClient, member_list, room_list
from tests.support.running import PATIENCE_S, eventually, in_time


@dataclass
class Conversation:
    """A running line chat; `written` is its output."""

    client: FakeClient
    chat: LineChat
    written: list[str]
    typed: asyncio.Queue[str | None] = field(default_factory=asyncio.Queue)

    async def lines(self) -> AsyncIterator[str]:
        while (line := await self.typed.get()) is not None:
            yield line

    async def type(self, *lines: str) -> None:
        """Type lines and wait until all are read."""
        for line in lines:
            self.typed.put_nowait(line + "\n")
        await eventually(self.typed.empty)
        await asyncio.sleep(0)


@asynccontextmanager
async def plain(
    *people: str,
    echo: bool = True,
    preferences: Preferences | None = None,
    connect_timeout_s: float | None = None,
) -> AsyncIterator[Conversation]:
    client = FakeClient()
    written: list[str] = []
    chat = LineChat(
        client,
        "lobby",
        written.append,
        echo=echo,
        preferences=preferences,
        connect_timeout_s=connect_timeout_s,
    )
    talk = Conversation(client, chat, written)
    running = asyncio.create_task(talk.chat.run(talk.lines()))
    if people:
        await client.deliver(*client.online(*people))
    yield talk
    # The fake server does not answer what a test leaves open.
    with patch("broadcast_tui.tui.line_mode.ANSWER_TIMEOUT_S", 0.1):
        talk.typed.put_nowait(None)
        await in_time(running)
    assert client.closed


async def test_posts_are_written_with_time_and_name() -> None:
    async with plain("ana", "bob") as talk:
        await talk.client.deliver(talk.client.post("bob", "hello"), talk.client.post("bob", "/me waves"))
        await talk.client.deliver(talk.client.post("bob", "ana: two\nlines"))
    posts = [line for line in talk.written if not line.startswith("--")]
    assert [line[6:] for line in posts] == ["bob: hello", "* bob waves", "! bob: ana: two\n      lines"]
    assert all(line[2] == ":" for line in posts)
    assert any(line.startswith("-- Joined #lobby as ana") and "/help" in line for line in talk.written)


async def test_each_line_is_written_once() -> None:
    async with plain("ana", "bob") as talk:
        for number in range(5):
            await talk.client.deliver(talk.client.post("bob", f"post {number}"))
    assert [line[6:] for line in talk.written if "post" in line] == [f"bob: post {n}" for n in range(5)]


async def test_lines_wait_for_the_join_and_the_end_for_all_answers() -> None:
    client = FakeClient()
    written: list[str] = []
    talk = Conversation(client, LineChat(client, "lobby", written.append, echo=True), written)
    talk.typed.put_nowait("hello\n")
    talk.typed.put_nowait("/who")
    talk.typed.put_nowait(None)
    running = asyncio.create_task(talk.chat.run(talk.lines()))
    await client.deliver(ConnectionChanged(ConnectionState.CONNECTING))
    assert client.called("say") == []
    await client.deliver(*client.online("ana"))
    await eventually(lambda: client.called("say") == [("lobby", "hello")])
    await eventually(lambda: len(client.called("list_members")) == 2)
    nonce = client.ref_of("say", "lobby", "hello")
    await client.deliver(*client.echo(nonce, "hello"))
    assert not client.closed
    await client.deliver(member_list("lobby", f"n{len(client.calls) - 1}", 1, ("ana",), False))
    await in_time(running)
    assert any("ana" in line and "1" in line for line in written[-1:]), written


async def test_a_list_of_rooms_is_written_after_its_last_page() -> None:
    async with plain("ana") as talk:
        await talk.type("/list")
        await eventually(lambda: talk.client.called("list_rooms") != [])
        await talk.client.deliver(room_list(talk.client.ref_of("list_rooms"), (("dev", 2, ""),), True))
        await eventually(lambda: len(talk.client.called("list_rooms")) == 2)
        await talk.client.deliver(room_list(talk.client.ref_of("list_rooms", "dev"), (("ops", 1, ""),)))
        assert talk.written[-1].split("\n")[1:] == ["        #dev     2", "        #ops     1"]


async def test_own_posts_are_not_echoed_after_typing() -> None:
    async with plain("ana", echo=False) as talk:
        await talk.type("hi", " ", "")
        await eventually(lambda: talk.client.called("say") == [("lobby", "hi")])
        await talk.client.deliver(*talk.client.echo(talk.client.ref_of("say", "lobby", "hi"), "hi"))
        assert not [line for line in talk.written if "hi" in line.split()]


async def test_a_rejected_post_is_reported_with_the_reason() -> None:
    async with plain("ana") as talk:
        await talk.type("hi")
        await eventually(lambda: bool(talk.client.called("say")))
        nonce = talk.client.ref_of("say", "lobby", "hi")
        await talk.client.deliver(PostRejected("lobby", nonce, "rate_limited", "too fast", "hi"))
        assert "!! not sent: too fast" in talk.written


async def test_commands_are_the_same_as_in_the_full_screen_chat() -> None:
    async with plain("ana") as talk:
        await talk.type("/frob", "/help nick", "//slash", "/help", "/nick <>", "/nick eve")
        await eventually(lambda: talk.client.called("rename") == [("eve",)])
        assert talk.client.called("say") == [("lobby", "/slash")]
        text = "\n".join(talk.written)
        assert "!! No such command: /frob." in text
        assert "Change your name" in text
        assert "/help join describes /join." in text
        assert [line for line in talk.written if line.startswith("!!") and "letters" in line]
        nonce = talk.client.ref_of("say", "lobby", "/slash")
        await talk.client.deliver(*talk.client.echo(nonce, "/slash"))


async def test_the_current_room_is_named_and_themes_are_unavailable() -> None:
    async with plain("ana") as talk:
        await talk.type("/buffer 1", "/theme nord", "/theme")
        await eventually(lambda: talk.written.count("!! Themes are not available in plain mode.") == 2)
        assert "-- Now in #lobby. Your messages go there." in talk.written


async def test_quit_closes_the_client() -> None:
    async with plain("ana") as talk:
        await talk.type("/quit")
        await eventually(lambda: talk.client.closed)


async def test_undelivered_posts_are_reported_at_the_end() -> None:
    async with plain("ana") as talk:
        talk.client.unacknowledged = 1
        await talk.type("/quit")
    assert talk.written[-1] == "!! 1 post was not sent."


async def test_a_temporary_ignore_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broadcast_tui.tui.line_mode.TICK_S", 0.01)
    async with plain("ana", "bob") as talk:
        await talk.type("/ignore bob 10m")
        await eventually(lambda: "Ignoring bob" in "".join(talk.written))
        monkeypatch.setattr("broadcast_tui.tui.line_server.monotonic", lambda: monotonic() + 600)
        await eventually(lambda: "-- bob is no longer ignored" in talk.written)
        await talk.client.deliver(talk.client.post("bob", "hi"))
        assert talk.written[-1].endswith("bob: hi")


async def test_the_ignore_list_is_saved(tmp_path: Path) -> None:
    preferences = Preferences.load(tmp_path)
    preferences.set_ignored(FakeClient().url, {"bob": None, "eve": 1.0})
    async with plain("ana", "bob", preferences=preferences) as talk:
        await talk.client.deliver(talk.client.post("bob", "secret"), talk.client.post("eve", "shown"))
        await talk.type("/ignore zed")
    assert not any("secret" in line for line in talk.written)
    assert any("shown" in line for line in talk.written)
    assert list(Preferences.load(tmp_path).ignored[talk.client.url]) == ["bob", "zed"]


async def test_a_new_name_is_saved(tmp_path: Path) -> None:
    async with plain("ana", preferences=Preferences.load(tmp_path)) as talk:
        assert Preferences.load(tmp_path).name == "", "a name given for one run is not"
        await talk.client.deliver(NameChanged("nina"))
    assert Preferences.load(tmp_path).name == "nina"


async def test_a_room_is_left_after_posts_to_it_have_arrived(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broadcast_tui.tui.line_mode.ANSWER_TIMEOUT_S", 10 * PATIENCE_S)
    async with plain("ana") as talk:
        await talk.type("/join #dev", "for dev", "/part")
        await eventually(lambda: talk.client.called("say") == [("dev", "for dev")])
        nonce = talk.client.ref_of("say", "dev", "for dev")
        await talk.client.deliver(RoomEntered("dev", 1, 0))
        await talk.client.deliver(PostDelivered("dev", nonce, "k3f9-1", AT))
        assert talk.client.called("leave") == []
        await talk.client.deliver(talk.client.post("ana", "for dev", nonce=nonce, room="dev"))
        await eventually(lambda: talk.client.called("leave") == [("dev",)])


async def test_without_a_connection_a_room_is_left_at_once() -> None:
    async with plain("ana") as talk:
        await talk.client.deliver(ConnectionChanged(ConnectionState.CLOSED))
        await talk.type("/join #dev", "lost", "/part")
        await eventually(lambda: talk.client.called("leave") == [("dev",)])


async def test_closing_is_not_reported_as_a_lost_connection() -> None:
    async with plain("ana") as talk:
        close = talk.client.close

        async def close_with_news(reason: str = "", timeout_s: float = 0.0) -> None:
            talk.client.feed(ConnectionChanged(ConnectionState.CLOSED))
            await close(reason)

        talk.client.close = close_with_news  # type: ignore[method-assign]
        await talk.type("/quit")
    assert not any("Disconnected" in line for line in talk.written)


async def test_a_taken_name_prompts_for_another() -> None:
    async with plain() as talk:
        await talk.client.deliver(
            NameDenied("ana", "name_taken", "That name is taken."), ConnectionChanged(ConnectionState.REFUSED)
        )
        assert "!! That name is taken. Enter another name." in talk.written
        await talk.type("<>", "ana2")
        await eventually(lambda: talk.client.called("rename") == [("ana2",)])
        assert not talk.chat.has_failed


async def test_a_rejection_by_the_server_ends_the_chat() -> None:
    async with plain() as talk:
        await talk.client.deliver(ConnectionChanged(ConnectionState.REFUSED, "You are banned."))
        await eventually(lambda: talk.client.closed)
    assert talk.chat.has_failed
    assert any(line.startswith("!!") and "You are banned." in line for line in talk.written)


async def test_a_server_that_is_not_reached_in_time_ends_the_chat() -> None:
    async with plain(connect_timeout_s=0.01) as talk:
        await eventually(lambda: talk.client.closed)
    assert talk.chat.has_failed
    assert talk.written[-1] == f"!! No connection to {talk.client.url} within 0.01 s."


async def test_nothing_hostile_is_written() -> None:
    async with plain("ana", "bob") as talk:
        await talk.client.deliver(talk.client.post("bob\x1b[2J", "x\x1b]0;title\x07\u202ey\n\nz"))
        await talk.client.deliver(member_list("lobby", "", 1, ("a\x1b[31m",), False))
    assert all(char.isprintable() or char == "\n" for line in talk.written for char in line)


async def test_search_results_are_written() -> None:
    async with plain("ana") as talk:
        await talk.type("/search needle")
        await eventually(lambda: bool(talk.client.called("search")))
        ref = talk.client.ref_of("search", "lobby", "needle", "")
        post = talk.client.post("bob", "the needle").post
        await talk.client.deliver(SearchFound("lobby", ref, (post,), False))
        text = "\n".join(talk.written)
        assert "1 result:" in text
        assert "bob: the needle" in text


def test_configured_words_count_as_mentions() -> None:
    chat = LineChat(FakeClient(), "lobby", print, echo=True, mentions=("deploy",))
    assert chat.servers.shown.state.keywords == ("deploy",)


async def test_a_line_after_query_waits_for_the_conversation() -> None:
    async with plain("ana", "bob") as talk:
        await talk.type("/query bob", "secret")
        await eventually(lambda: bool(talk.client.called("direct")))
        assert talk.client.called("say") == []
        ref = talk.client.ref_of("direct", "bob")
        await talk.client.deliver(DirectOpened("@ana+bob", "bob", True, ref=ref))
        await eventually(lambda: bool(talk.client.called("say")))
        assert talk.client.called("say") == [("@ana+bob", "secret")]
        [nonce] = [f"n{n}" for n, call in enumerate(talk.client.calls) if call[0] == "say"]
        await talk.client.deliver(PostDelivered("@ana+bob", nonce, "e-1", AT), RoomEntered("@ana+bob", 2, 0))
        await talk.client.deliver(talk.client.post("bob", "yes?", room="@ana+bob"))
    assert talk.written[-1].endswith("bob: yes?")


async def test_the_end_of_the_input_waits_for_a_direct_message() -> None:
    async with plain("ana", "bob") as talk:
        await talk.type("/msg bob hello")
        talk.typed.put_nowait(None)
        await eventually(lambda: bool(talk.client.called("direct")))
        ref = talk.client.ref_of("direct", "bob")
        await talk.client.deliver(DirectOpened("@ana+bob", "bob", True, ref=ref))
        [nonce] = [f"n{n}" for n, call in enumerate(talk.client.calls) if call[0] == "say"]
        await talk.client.deliver(PostDelivered("@ana+bob", nonce, "e-1", AT, has_arrived=True))
    assert talk.client.called("say") == [("@ana+bob", "hello")]


async def test_posts_are_acted_on_by_number() -> None:
    async with plain("ana", "bob") as conversation:
        client = conversation.client
        state = PostState(ask=Ask(("yes", "no"), "2030-01-01T00:00:00.000Z", 1, ("ana",)), waiting=("ana",))
        await client.deliver(
            client.post("bob", "Who goes?"),
            client.post("ana", "mine", nonce="n0"),
            client.post("zoe", "I go", re=1),
            client.post("bob", "Deploy?", state=state),
        )
        assert any(line.endswith("zoe: (to bob) I go") for line in conversation.written)
        assert any("Answer with /answer 4 and one of: yes, no" in line for line in conversation.written)
        await conversation.type("/posts 2", "/edit 2 ours", "/react 3 ✅", "/answer 4 no", "/delete")
        await conversation.type("/reply 1 Me", "/reply 9 x", "/reply 3", "/react 3", "/answer")
        assert client.called("say") == [("lobby", "Me", "k3f9-1")]
        assert client.called("send_note") == [
            ("lobby", "k3f9-2", "edit", "ours"),
            ("lobby", "k3f9-3", "react", "✅"),
            ("lobby", "k3f9-4", "answer", "no"),
            ("lobby", "k3f9-2", "delete"),
        ]
        warnings = [line for line in conversation.written if line.startswith("!! ")]
        assert warnings[0] == "!! No such message: 9. /posts lists the messages with their numbers."
        assert [warning.partition(",")[0] for warning in warnings[1:]] == [
            "!! Add the text",
            "!! Add an emoji",
            "!! Add one of the choices to the command: yes",
        ]


async def test_names_of_emoji_are_sent_as_emoji() -> None:
    async with plain("ana") as conversation:
        await conversation.type("nice :tada: `:tada:`", "/me :+1:")
        assert conversation.client.called("say") == [("lobby", "nice 🎉 `:tada:`"), ("lobby", "/me 👍")]


async def test_lists_of_posts_have_times_as_set() -> None:
    async with plain("ana", "bob") as conversation:
        client = conversation.client
        evening = AT.astimezone().replace(hour=21, minute=5)
        post = client.post("bob", "hello", at=evening)
        await client.deliver(post)
        await conversation.type("/set time 12h", "/posts", "/thread 1", "/search hello")
        refs = [f"n{number}" for number in (client._count - 1, client._count)]
        await client.deliver(HistoryFetched("lobby", refs[0], (post.post,), True))
        await client.deliver(SearchFound("lobby", refs[1], (post.post,), False))
        listed = [line for line in conversation.written if "hello" in line and "9:05pm" in line]
        assert len(listed) == 3
        await conversation.type("/set time off", "/posts")
        assert conversation.written[-1].endswith("  1 bob: hello")


async def test_changes_of_posts_are_written() -> None:
    async with plain("ana", "bob") as conversation:
        client = conversation.client
        await client.deliver(client.post("bob", "frist"), client.post("ana", "mine", nonce="n0"))
        del conversation.written[:]
        edited, gone = PostState(edited="x"), PostState(deleted=Deletion("bob", "x", "wrong room"))
        await client.deliver(
            client.note(NoteKind.EDIT, 1, by="bob", text="first", state=edited),
            client.note(NoteKind.PIN, 2, by="bob", state=PostState(pinned=Pin("bob", "x"))),
        )
        await client.deliver(
            client.note(NoteKind.REACT, 2, state=PostState(reactions={"✅": Votes(2, ("bob", "zoe"))})),
            client.note(NoteKind.DELETE, 1, by="bob", state=gone),
        )
        assert conversation.written == [
            "-- bob edited their message 1: first",
            "-- bob pinned your message 2",
            "-- Reactions to your message 2: ✅ 2",
            "-- bob deleted their message 1: wrong room",
        ]
        await client.deliver(
            NoteRejected("lobby", "n5", "k3f9-2", NoteKind.EDIT, "forbidden", "You are muted.", "ours")
        )
        assert conversation.written[-2:] == ["!! Not edited: You are muted.", "!! Your text was: ours"]


async def test_listed_posts_need_not_be_loaded() -> None:
    async with plain("ana", "bob") as conversation:
        client = conversation.client
        await client.deliver(client.post("bob", "new"))
        await conversation.type("/pins")
        old = Post("lobby", Position("k3f9", 900), "zoe", "/me waves", AT)
        await client.deliver(HistoryFetched("lobby", f"n{client._count}", (old,), more=False))
        assert conversation.written[-1].startswith("-- Pinned in #lobby:\n        900 ")
        assert conversation.written[-1].endswith(" * zoe waves")
        await conversation.type("/reply 900 still true")
        assert client.called("say") == [("lobby", "still true", "k3f9-900")]
        await conversation.type("/thread 900")
        await client.deliver(HistoryFetched("lobby", f"n{client._count}", (), more=False))
        assert conversation.written[-1] == "-- Thread of message 900: none"


async def test_lost_posts_are_reported_once() -> None:
    def post(seq: int, epoch: str) -> PostArrived:
        text = f"{seq} of {epoch}"
        return PostArrived(Post("lobby", Position(epoch, seq), "bob", text, AT), True, False)

    async with plain("ana", "bob") as talk:
        await talk.client.deliver(post(1, "e1"), post(2, "e1"))
        start = len(talk.written)
        await talk.client.deliver(
            post(3, "e1"),
            EpochChanged("lobby", "e1", "e2", 1),
            Withdrawn("lobby", Position("e2", 2), 2),
            post(2, "e2"),
            post(3, "e2"),
        )
        await eventually(lambda: any("3 of e2" in line for line in talk.written))
    written = [line.partition("bob: ")[2] or line for line in talk.written[start:]]
    lost = "-- The server lost 2 messages. They were removed."
    assert written[:4] == ["3 of e1", lost, "2 of e2", "3 of e2"]


async def test_listed_posts_have_the_same_numbers_in_a_new_epoch() -> None:
    async with plain("ana", "bob") as talk:
        client = talk.client
        await client.deliver(PostArrived(Post("lobby", Position("e1", 9), "bob", "hi", AT), True, False))
        await talk.type("/pins")
        pinned = tuple(Post("lobby", Position("e1", seq), "bob", f"deploy {seq}", AT) for seq in (2, 8))
        await client.deliver(HistoryFetched("lobby", f"n{client._count}", pinned, more=False))
        await client.deliver(
            EpochChanged("lobby", "e1", "e2", 5),
            Withdrawn("lobby", Position("e2", 6), 4),
            PostArrived(Post("lobby", Position("e2", 6), "bob", "hi", AT), True, False),
        )
        await talk.type("/reply 8 no", "/reply 2 yes")
        await eventually(lambda: bool(client.called("say")))
    assert client.called("say") == [("lobby", "yes", "e2-2")]


# Several servers

WORK = "ws://work.example.org:8765"


@asynccontextmanager
async def two_servers(
    preferences: Preferences | None = None,
) -> AsyncIterator[tuple[Conversation, FakeClient]]:
    """A line chat with localhost and then WORK, which is the current one; both have the room lobby."""
    client = FakeClient()
    others: list[FakeClient] = []
    written: list[str] = []

    def elsewhere(address: Address, name: str) -> FakeClient:
        others.append(FakeClient(name, address.url, address.room))
        return others[-1]

    chat = LineChat(client, "lobby", written.append, echo=True, preferences=preferences, elsewhere=elsewhere)
    talk = Conversation(client, chat, written)
    running = asyncio.create_task(chat.run(talk.lines()))
    await client.deliver(*client.online("ana", "bob"))
    await talk.type(f"/connect {WORK}")
    await eventually(lambda: bool(others))
    work = others[0]
    await work.deliver(*work.online("ana", "max"))
    yield talk, work
    with patch("broadcast_tui.tui.line_mode.ANSWER_TIMEOUT_S", 0.1):
        talk.typed.put_nowait(None)
        await in_time(running)
    assert client.closed
    assert work.closed


async def test_connect_adds_a_server_and_lines_of_the_other_one_name_it() -> None:
    async with two_servers() as (talk, work):
        assert not talk.client.closed
        joined = [line.partition(" as ana")[0] for line in talk.written if "-- Joined" in line]
        assert joined == ["-- Joined #lobby", "-- Joined #lobby on work.example.org"]
        await work.deliver(work.post("max", "here"))
        await talk.client.deliver(talk.client.post("bob", "ana: there"))
        assert [line[6:] for line in talk.written if line.endswith("ere")] == [
            "max: here",
            "localhost/#lobby ! bob: ana: there",
        ]
        await talk.type("hello work", "/buffer 1", "hello home")
        await eventually(lambda: talk.client.called("say") == [("lobby", "hello home")])
        assert work.called("say") == [("lobby", "hello work")]
        assert "-- Now in #lobby on localhost. Your messages go there." in talk.written
        await talk.type(f"/connect {WORK}/ops")
        await eventually(lambda: work.called("join") == [("ops", "50")])
        assert len(talk.chat.servers.all) == 2


async def test_servers_lists_them_with_room_numbers() -> None:
    async with two_servers() as (talk, work):
        await work.deliver(ConnectionChanged(ConnectionState.WAITING, "gone", 4.0))
        await talk.type("/buffer 1", "/servers")
        await eventually(lambda: any("work.example.org ◌ reconnecting" in line for line in talk.written))
        listed = next(line for line in talk.written if "◌ reconnecting" in line)
        assert [line.strip() for line in listed.splitlines()] == [
            "-- localhost ● online",
            "* 1 #lobby",
            "work.example.org ◌ reconnecting",
            "2 #lobby",
        ]


async def test_a_lost_server_is_reported_with_its_name_and_the_other_one_works() -> None:
    async with two_servers() as (talk, work):
        await talk.type("/buffer 1")
        await work.deliver(ConnectionChanged(ConnectionState.WAITING, "gone", 4.0))
        assert any(line.startswith("-- work.example.org/#lobby Connection lost") for line in talk.written)
        await talk.type("still here")
        await eventually(lambda: talk.client.called("say") == [("lobby", "still here")])


async def test_a_refused_server_does_not_end_the_chat() -> None:
    async with two_servers() as (talk, work):
        await work.deliver(ConnectionChanged(ConnectionState.REFUSED, "Banned."))
        assert any("Connection rejected: Banned." in line for line in talk.written)
        await talk.type("/buffer 1", "still here")
        await eventually(lambda: talk.client.called("say") == [("lobby", "still here")])
    assert talk.chat.has_failed


async def test_a_rejected_name_is_asked_for_while_its_server_is_the_current_one() -> None:
    async with two_servers() as (talk, work):
        await talk.type("/buffer 1")
        await eventually(lambda: any("Now in #lobby on localhost" in line for line in talk.written))
        await work.deliver(
            NameDenied("ana", "name_taken", "Name in use."),
            ConnectionChanged(ConnectionState.REFUSED, "Name in use."),
        )
        assert not any("Enter another name" in line for line in talk.written)
        await talk.type("a message", "/buffer 2")
        await eventually(lambda: any("Name in use. Enter another name." in line for line in talk.written))
        await talk.type("ana2")
        await eventually(lambda: work.called("rename") == [("ana2",)])
        assert talk.client.called("say") == [("lobby", "a message")]


async def test_disconnect_leaves_a_server_and_the_servers_are_saved(tmp_path: Path) -> None:
    preferences = Preferences.load(tmp_path)
    async with two_servers(preferences) as (talk, work):
        assert Preferences.load(tmp_path).servers == (talk.client.url, WORK)
        await talk.type("/disconnect")
        await eventually(lambda: "-- Disconnected from work.example.org. /connect returns." in talk.written)
        assert work.closed
        assert Preferences.load(tmp_path).servers == (talk.client.url,)
        await talk.type("only one left")
        await eventually(lambda: talk.client.called("say") == [("lobby", "only one left")])


async def test_connect_without_a_way_to_connect_is_an_error() -> None:
    async with plain("ana") as talk:
        await talk.type(f"/connect {WORK}")
        await eventually(lambda: "!! This chat cannot connect to other servers." in talk.written)
