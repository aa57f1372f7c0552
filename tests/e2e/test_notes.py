"""Notes in a server process that is killed: answers of a crowd, deleted texts."""

from __future__ import annotations

import asyncio
import json
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed

from tests.e2e.conftest import HistoryServer
from tests.support.plain import Frame, WireClient, plain_client, v1_client
from tests.support.running import PATIENCE_S

CROWD = 300
CHOICES = ("yes", "no", "later")
CROWD_OPTIONS = (
    *("--max-connections-per-ip", "0", "--max-new-per-minute", "0", "--max-half-open-per-ip", "0"),
    *("--work-rate", "0", "--work-burst", "0", "--handshake-timeout", "60"),
)
NOTES_MAX = 6
"""Notes that announce the answers, if they arrive within 5 s."""


@pytest.fixture
def history_server(tmp_path: Path) -> Iterator[HistoryServer]:
    server = HistoryServer(tmp_path)
    yield server
    server.stop()


# -- crowds


class Crowd:
    """People who answer a question in the lobby, and one who reads: each with a connection."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.acknowledged: set[int] = set()
        """Numbers of the people whose answer has been acknowledged."""
        self.notes: list[Frame] = []
        self._has_new_ack = asyncio.Condition()

    async def connect(self, stack: AsyncExitStack) -> list[WireClient]:
        """A connection for each person, in batches."""
        clients: list[WireClient] = []
        for start in range(0, CROWD, 50):
            opening = (
                stack.enter_async_context(v1_client(self._url, f"user{number}", notes=True))
                for number in range(start, start + 50)
            )
            clients += await asyncio.gather(*opening)
        return clients

    async def answer(self, clients: list[WireClient], post_id: str) -> None:
        """Answer for everyone without an ack; ends early if the server does."""
        waiting = [number for number in range(CROWD) if number not in self.acknowledged]
        await asyncio.gather(*(self._answer(number, clients[number], post_id) for number in waiting))

    async def _answer(self, number: int, client: WireClient, post_id: str) -> None:
        nonce = f"answer-{number}"
        try:
            await client.send("note", note="answer", re=post_id, choice=choice_of(number), nonce=nonce)
            await client.next_of(type="ack", nonce=nonce)
        except (AssertionError, ConnectionClosed):  # the server was killed
            return
        async with self._has_new_ack:
            self.acknowledged.add(number)
            self._has_new_ack.notify_all()

    async def has_answered(self, count: int) -> None:
        """Wait until `count` answers are acknowledged."""
        async with asyncio.timeout(PATIENCE_S), self._has_new_ack:
            await self._has_new_ack.wait_for(lambda: len(self.acknowledged) >= count)

    async def read_notes(self, reader: WireClient, *, until_count: int) -> None:
        """Read notes until one has this many answers."""
        while not self.notes or sum(tally_of(self.notes[-1].get("now", {})).values()) < until_count:
            self.notes.append(await reader.next_of(type="note", note="answer"))


def choice_of(number: int) -> str:
    return CHOICES[number % 7 % 3]


def tally_of(state: Frame) -> dict[str, int]:
    """The number of answers by choice in a post or in `now` of a note."""
    return {choice: votes["count"] for choice, votes in state.get("tally", {}).items()}


def seq_of(frame: Frame) -> int:
    return int(frame["id"].split("-")[1])


@pytest.mark.parametrize("killed_after", [None, CROWD // 3, CROWD])
async def test_answers_of_a_crowd_are_announced_together(
    history_server: HistoryServer, killed_after: int | None
) -> None:
    await asyncio.to_thread(history_server.start, *CROWD_OPTIONS)
    crowd, loop = Crowd(history_server.url), asyncio.get_running_loop()
    async with AsyncExitStack() as stack:
        reader = await stack.enter_async_context(v1_client(history_server.url, "reader", notes=True))
        clients = await crowd.connect(stack)
        await reader.say("Lunch at 12?", ask={"choices": CHOICES, "until_s": 3_600}, nonce="question")
        question = await reader.next_of(type="message", message="Lunch at 12?")
        start = loop.time()
        answering = asyncio.create_task(crowd.answer(clients, question["id"]))
        if killed_after is not None:
            await crowd.has_answered(killed_after)
            await asyncio.to_thread(history_server.kill)
            await asyncio.to_thread(history_server.start)
            await answering
            clients = await crowd.connect(stack)
            resume = [{"room": "lobby", "since": question["id"]}]
            reader = await stack.enter_async_context(
                v1_client(history_server.url, "reader", rooms=resume, notes=True)
            )
            answering = asyncio.create_task(crowd.answer(clients, question["id"]))
        await crowd.read_notes(reader, until_count=CROWD)
        duration_s = loop.time() - start
        await answering
        assert len(crowd.acknowledged) == CROWD

        expected = Counter(map(choice_of, range(CROWD)))
        assert tally_of(crowd.notes[-1]["now"]) == expected
        # One note at once, then at most one a second, also on a machine that needs more than 5 s.
        assert len(crowd.notes) <= max(NOTES_MAX, math.ceil(duration_s) + 1)
        assert [seq_of(note) - seq_of(question) for note in crowd.notes] == [*range(1, len(crowd.notes) + 1)]
        await clients[0].send("history", room="lobby", around=question["id"], limit=1, ref="h")
        page = await clients[0].next_of(type="history", ref="h")
        assert [tally_of(item) for item in page["items"]] == [expected]


# -- deleted texts


SECRETS = ("swordfish1", "kingfisher2", "nightingale3")
"""Texts of a deleted post, of an edited one before the edit, and of one that is deleted before a crash."""


async def everything_sent(url: str, epoch: str, words: Sequence[str]) -> list[str]:
    """The frames that clients of each kind get: replays, pages of the history, and results of searches.

    None of the `words` must be found.
    """
    rooms = [{"room": "lobby", "since": f"{epoch}-0"}]
    frames: list[Frame] = []
    async with AsyncExitStack() as stack:
        for name, notes in (("new", True), ("old", False)):
            client = await stack.enter_async_context(v1_client(url, name, rooms=rooms, notes=notes))
            await client.next_of(type="synced")
            requests: list[Frame] = [{"type": "history", "latest": True, "limit": 100}]
            requests += [{"type": "search", "query": word} for word in words]
            requests += [{"type": "history", "around": f"{epoch}-{seq}", "limit": 3} for seq in range(1, 9)]
            for number, request in enumerate(requests):
                await client.send(**request, room="lobby", ref=str(number))
                await client.next_of(ref=str(number))
            assert not any(frame["items"] for frame in client.frames if frame["type"] == "search")
            frames += client.frames
        plain = await stack.enter_async_context(plain_client(url))
        await plain.say("hello", sender="zoe")
        await plain.next_of(type="message", message="hello")
        frames += plain.frames
    return [json.dumps(frame) for frame in frames]


async def test_deleted_text_is_in_no_file_and_in_no_later_frame(history_server: HistoryServer) -> None:
    await asyncio.to_thread(history_server.start)

    def leaked_to(*places: bytes) -> list[str]:
        return [secret for secret in SECRETS if any(secret.encode() in place for place in places)]

    async with v1_client(history_server.url, "ana", notes=True) as ana:

        async def acknowledged(type: str, nonce: str, **fields: object) -> str:
            await ana.send(type, nonce=nonce, **fields)
            return str((await ana.next_of(type="ack", nonce=nonce))["id"])

        texts = [f"The password is {secret}" for secret in SECRETS]
        ids = [await acknowledged("message", f"n{number}", message=text) for number, text in enumerate(texts)]
        assert leaked_to(history_server.stored_bytes()) == [*SECRETS]
        await acknowledged("note", "react", note="react", re=ids[0], key="👀")
        await acknowledged("note", "delete", note="delete", re=ids[0])
        await acknowledged("note", "edit", note="edit", re=ids[1], message="Changed")
        epoch = ids[0].split("-")[0]
        sent = await everything_sent(history_server.url, epoch, SECRETS[:2])
        assert not any(secret in frame for secret in SECRETS[:2] for frame in sent)
        await acknowledged("note", "last", note="delete", re=ids[2], reason="wrong room")
        await asyncio.to_thread(history_server.kill)
    await asyncio.to_thread(history_server.start)
    sent = await everything_sent(history_server.url, epoch, SECRETS)
    assert any("Changed" in frame for frame in sent)
    assert any("wrong room" in frame for frame in sent)
    assert leaked_to("".join(sent).encode(), history_server.log.read_bytes()) == []
    async with asyncio.timeout(PATIENCE_S):
        while leaked_to(
            history_server.stored_bytes()
        ):  # copies, as in the write-ahead log, go a little later
            await asyncio.sleep(0.05)
