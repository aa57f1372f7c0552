"""Notes, replies, questions and direct messages in the library, against a server in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from broadcast_tui.client import BroadcastClient, ConnectError
from broadcast_tui.core.errors import ErrorCode, RequestError
from broadcast_tui.core.notes import apply_note
from broadcast_tui.core.post import Post
from broadcast_tui.core.post_state import NoteKind, Votes
from broadcast_tui.core.session.updates import NoteArrived, PostArrived
from tests.support.running import eventually, in_time, running_server


class Watcher:
    """A client and the posts of its rooms, with the notes so far."""

    def __init__(self, client: BroadcastClient) -> None:
        self.client = client
        self.posts: dict[str, Post] = {}
        self.kinds: list[NoteKind] = []

    async def watch(self) -> None:
        async for update in self.client.listen():
            if isinstance(update, PostArrived):
                self.posts[str(update.post.position)] = update.post
            elif isinstance(update, NoteArrived):
                self.kinds.append(update.note.kind)
                post_id = f"{update.note.position.epoch}-{update.note.re}"
                self.posts[post_id] = apply_note(self.posts[post_id], update.note)


@asynccontextmanager
async def watching(url: str, name: str) -> AsyncIterator[Watcher]:
    async with BroadcastClient(url, name=name) as client:
        watcher = Watcher(client)
        task = asyncio.create_task(watcher.watch())
        yield watcher
    await in_time(task)


async def test_posts_are_changed_and_everyone_sees_it() -> None:
    async with (
        running_server() as server,
        watching(server.url, "ana") as ana,
        watching(server.url, "bob") as bob,
    ):
        post_id = (await ana.client.post("lobby", "helo")).post_id
        reply_id = (await bob.client.reply("lobby", post_id, "right")).post_id
        edited = await ana.client.edit("lobby", post_id, "hello")
        assert (edited.re, edited.kind) == (post_id, NoteKind.EDIT)
        await bob.client.pin("lobby", post_id)
        await bob.client.react("lobby", post_id, "👍")
        await eventually(lambda: bob.kinds[-1:] == [NoteKind.REACT])
        await bob.client.delete("lobby", reply_id, "wrong room")
        for each in (ana, bob):
            await eventually(lambda each=each: NoteKind.DELETE in each.kinds)  # type: ignore[misc]
            post, reply = each.posts[post_id], each.posts[reply_id]
            assert (post.text, bool(post.state.edited)) == ("hello", True)
            assert post.state.pinned is not None
            assert post.state.reactions == {"👍": Votes(1, ("bob",))}
            assert (reply.re, reply.root) == (post.position.seq, post.position.seq)
            assert reply.text == ""
            assert reply.state.deleted is not None
            assert (reply.state.deleted.by, reply.state.deleted.reason) == ("bob", "wrong room")
        await bob.client.pin("lobby", post_id, on=False)
        await bob.client.react("lobby", post_id, "👍", on=False)
        await eventually(lambda: ana.posts[post_id].state.reactions == {})
        assert ana.posts[post_id].state.pinned is None


async def test_a_question_is_answered() -> None:
    async with (
        running_server() as server,
        watching(server.url, "ana") as ana,
        watching(server.url, "bob") as bob,
    ):
        question = await ana.client.ask("lobby", "Deploy?", ["yes", "no"], to=["bob"])
        await bob.client.answer("lobby", question.post_id, "yes")
        await eventually(lambda: question.post_id in ana.posts)
        await eventually(lambda: bool(ana.posts[question.post_id].state.closed))
        assert ana.posts[question.post_id].state.tally == {"yes": Votes(1, ("bob",))}
        with pytest.raises(RequestError) as closed:
            await bob.client.answer("lobby", question.post_id, "no")
        assert closed.value.code is ErrorCode.ASK_CLOSED


async def test_what_is_not_allowed_raises() -> None:
    async with (
        running_server() as server,
        watching(server.url, "ana") as ana,
        watching(server.url, "bob") as bob,
    ):
        post_id = (await ana.client.post("lobby", "hello")).post_id
        for refused, code in (
            (bob.client.edit("lobby", post_id, "bye"), ErrorCode.FORBIDDEN),
            (bob.client.delete("lobby", post_id), ErrorCode.FORBIDDEN),
            (bob.client.answer("lobby", post_id, "ok"), ErrorCode.NO_SUCH_POST),
            (bob.client.react("lobby", "e-99", "👍"), ErrorCode.NO_SUCH_POST),
            (bob.client.pin("lobby", "?"), ErrorCode.NO_SUCH_POST),
            (bob.client.pin("elsewhere", post_id), ErrorCode.NOT_IN_ROOM),
        ):
            with pytest.raises(RequestError) as raised:
                await in_time(refused)
            assert raised.value.code is code


async def test_direct_messages_are_between_two() -> None:
    async with (
        running_server() as server,
        watching(server.url, "ana") as ana,
        watching(server.url, "bob") as bob,
    ):
        room = (await ana.client.open_direct("bob")).room
        post_id = (await ana.client.post(room, "just you")).post_id
        assert (await bob.client.open_direct("ana")).room == room
        await eventually(lambda: post_id in bob.posts)
        assert bob.posts[post_id].text == "just you"
        with pytest.raises(RequestError):
            await ana.client.open_direct("nobody here")


async def test_a_post_that_is_deleted_before_it_is_sent_is_not_posted() -> None:
    async with running_server() as server, watching(server.url, "ana") as ana:
        ana.client.disconnect()
        await eventually(lambda: ana.client.state.value == "closed")
        post = asyncio.create_task(ana.client.post("lobby", "too soon"))
        await eventually(lambda: ana.client.unacknowledged == 1)
        (nonce,) = ana.client._outcomes
        await ana.client.delete("lobby", nonce)
        with pytest.raises(RequestError, match="deleted"):
            await in_time(post)
        pending = asyncio.create_task(ana.client.edit("lobby", "e-1", "x"))
        await eventually(lambda: ana.client.unacknowledged == 1)
        await ana.client.close()
        with pytest.raises(ConnectError):
            await in_time(pending)
