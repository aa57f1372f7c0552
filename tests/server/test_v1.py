"""Protocol v1, frame by frame, as an independent client would use it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime

import pytest

from broadcast_tui.core.limits import Limits
from broadcast_tui.engine.memory import MemoryEngine
from tests.support.plain import Frame, WireClient, plain_client, silent_v1_client, v1_client
from tests.support.running import running_server

UNLIMITED = Limits(message_rate=0, history_rate=0)


async def post_many(client: WireClient, count: int, room: str = "lobby") -> list[str]:
    """Post `post 1` and so on; returns the ids when all are acknowledged."""
    for number in range(1, count + 1):
        await client.say(f"post {number}", room=room, nonce=f"{room}-{number}")
    return [(await client.next_of(type="ack", nonce=f"{room}-{n}"))["id"] for n in range(1, count + 1)]


def texts(frames: Sequence[Frame]) -> list[str]:
    return [frame["message"] for frame in frames if frame.get("type", "message") == "message"]


# -- hello


async def test_hello_is_answered_with_welcome_and_synced() -> None:
    async with running_server() as server, silent_v1_client(server.url) as ana:
        await ana.send("hello", name="ana", client_id="c1", rooms=[{"room": "lobby"}])
        welcome = await ana.next_frame()
        assert welcome["type"] == "welcome"
        assert welcome["name"] == "ana"
        assert welcome["node"]
        assert datetime.fromisoformat(welcome["time"]).utcoffset() is not None
        assert welcome["ping"] == 25.0
        assert welcome["limits"] == {
            "message_bytes": 16384,
            "rate": 10.0,
            "burst": 30,
            "page": 200,
            "rooms": 32,
        }
        [state] = welcome["rooms"]
        assert (state["room"], state["recovered"], state["missed"], state["online"]) == ("lobby", True, 0, 1)
        synced = await ana.next_of(type="synced")
        assert (synced["room"], synced["id"]) == ("lobby", state["head"])
        assert state["head"].endswith("-0"), "a position exists before any message"


async def test_hello_without_rooms_enters_the_lobby_and_without_a_name_only_reads() -> None:
    async with running_server() as server, silent_v1_client(server.url) as reader:
        await reader.send("hello")
        welcome = await reader.next_of(type="welcome")
        assert [state["room"] for state in welcome["rooms"]] == ["lobby"]
        assert welcome.get("name", "") == ""


async def test_several_rooms_can_be_entered_at_once() -> None:
    async with running_server() as server, silent_v1_client(server.url) as ana:
        await ana.send("hello", name="ana", rooms=[{"room": "lobby"}, {"room": "#Dev", "last": 5}])
        welcome = await ana.next_of(type="welcome")
        assert [state["room"] for state in welcome["rooms"]] == ["lobby", "dev"]
        assert {(await ana.next_of(type="synced"))["room"] for _ in range(2)} == {"lobby", "dev"}


async def test_nothing_is_sent_before_the_hello() -> None:
    async with (
        running_server() as server,
        plain_client(server.url) as ben,
        silent_v1_client(server.url) as ana,
    ):
        await ben.say("too early", sender="Ben")
        await ben.next_of(type="message")
        await server.broadcast_to_all("a notice")
        await ana.send("hello", name="ana")
        assert (await ana.next_frame())["type"] == "welcome"
        await ben.say("now")
        assert texts(await ana.until(type="message")) == ["now"]


@pytest.mark.parametrize(
    "frame",
    [
        {"type": "message", "message": "hi", "nonce": "n1"},
        {"type": "join", "room": "dev", "ref": "r1"},
        {"type": "history", "ref": "r1"},
        {"type": "presence", "ref": "r1"},
        {"type": "rename", "name": "ana", "ref": "r1"},
    ],
    ids=lambda frame: frame["type"],
)
async def test_nothing_but_hello_may_come_first(frame: Frame) -> None:
    async with running_server() as server, silent_v1_client(server.url) as ana:
        await ana.send(**frame)
        error = await ana.next_frame()
        assert (error["type"], error["code"]) == ("error", "hello_expected")
        assert error.get("nonce", "") == frame.get("nonce", "")
        assert error.get("ref", "") == frame.get("ref", "")
        await ana.send("hello", name="ana")
        await ana.next_of(type="welcome")


async def test_second_hello_is_rejected() -> None:
    async with running_server() as server, v1_client(server.url, "ana") as ana:
        await ana.send("hello", name="eve")
        assert (await ana.next_of(type="error"))["code"] == "bad_frame"
        await ana.say("still me", nonce="n1")
        assert (await ana.next_of(type="message"))["sender"] == "ana"


async def test_missing_hello_closes_with_a_retryable_code() -> None:
    limits = Limits(hello_timeout_s=0.05)
    async with running_server(limits=limits) as server, silent_v1_client(server.url) as ana:
        code, reason = await ana.closed()
        assert 4400 <= code <= 4499
        assert reason


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("SYSTEM", "name_reserved"),
        ("server", "name_reserved"),
        ("ѕеrvеr", "bad_name"),
        ("guest-7", "name_reserved"),
        ("x" * 33, "bad_name"),
        ("a\nb", "bad_name"),
        ("\x1b[31mred", "bad_name"),
    ],
)
async def test_rejected_name_in_hello_allows_another(name: str, code: str) -> None:
    async with running_server() as server, silent_v1_client(server.url) as ana:
        await ana.send("hello", name=name)
        error = await ana.next_frame()
        assert (error["type"], error["code"]) == ("error", code)
        await ana.send("hello", name="ana")
        assert (await ana.next_of(type="welcome"))["name"] == "ana"


@pytest.mark.parametrize("lookalike", ["ana", "ANA", "Äna", "ana "])
async def test_name_in_use_and_its_look_alikes_are_taken(lookalike: str) -> None:
    async with (
        running_server() as server,
        v1_client(server.url, "ana", client_id="one"),
        silent_v1_client(server.url) as eve,
    ):
        await eve.send("hello", name=lookalike, client_id="two")
        error = await eve.next_frame()
        assert (error["code"], error["temporary"]) == ("name_taken", True)


async def test_a_plain_client_cannot_take_a_name_in_use() -> None:
    async with (
        running_server() as server,
        v1_client(server.url, "ana") as ana,
        plain_client(server.url) as eve,
    ):
        await eve.say("I am ana", sender="Ana")
        assert (await eve.next_of(event="error"))["code"] == "name_taken"
        await eve.say("then Eve", sender="Eve")
        assert [
            frame["sender"] for frame in await ana.until(type="message") if frame["type"] == "message"
        ] == ["Eve"]


async def test_name_is_free_after_a_normal_close() -> None:
    async with running_server(limits=Limits(leave_grace_s=60)) as server:
        async with v1_client(server.url, "ana", client_id="one") as ana:
            await ana.send("leave", room="lobby", ref="l1")
            await ana.next_of(type="left")
        async with silent_v1_client(server.url) as other:
            await other.send("hello", name="ana", client_id="two")
            assert (await other.next_frame())["type"] == "welcome"


async def test_name_is_reserved_for_a_dropped_owner() -> None:
    async with running_server(limits=Limits(leave_grace_s=60)) as server, plain_client(server.url) as ben:
        async with v1_client(server.url, "ana", client_id="one") as ana:
            ana.drop()
            await ana.closed()
        async with silent_v1_client(server.url) as eve, v1_client(server.url, "ana", client_id="one"):
            await eve.send("hello", name="ana", client_id="two")
            assert (await eve.next_frame())["code"] == "name_taken"
        assert ben.frames


# -- posting


async def test_post_is_acknowledged_with_its_id() -> None:
    async with (
        running_server() as server,
        v1_client(server.url, "ana") as ana,
        v1_client(server.url, "ben") as ben,
    ):
        await ana.say("hi", room="lobby", nonce="8J", sender="somebody else")
        frames = await ana.until(type="message")
        if not any(frame["type"] == "ack" for frame in frames):
            frames += await ana.until(type="ack")
        [ack] = [frame for frame in frames if frame["type"] == "ack"]
        [own] = [frame for frame in frames if frame["type"] == "message"]
        seen = await ben.next_of(type="message")
        assert own == seen | {"nonce": "8J"}
        assert (ack["nonce"], ack["id"], ack["room"], ack["dup"]) == ("8J", seen["id"], "lobby", False)
        assert ack["timestamp"] == seen["timestamp"]
        assert (seen["message"], seen["sender"], seen["room"]) == ("hi", "ana", "lobby")
        assert "nonce" not in seen


async def test_ids_rise_by_one() -> None:
    async with running_server(limits=UNLIMITED) as server, v1_client(server.url, "ana") as ana:
        ids = await post_many(ana, 20)
        epochs, numbers = zip(*(post_id.split("-") for post_id in ids), strict=True)
        assert len(set(epochs)) == 1
        assert [int(number) for number in numbers] == list(range(1, 21))


async def test_resend_is_acknowledged_as_dup_and_not_broadcast() -> None:
    async with (
        running_server() as server,
        v1_client(server.url, "ana", client_id="c1") as ana,
        v1_client(server.url, "ben") as ben,
    ):
        await ana.say("hi", nonce="n1")
        first = await ana.next_of(type="ack")
        await ana.say("hi", nonce="n1")
        second = await ana.next_of(type="ack")
        assert (second["id"], second["timestamp"], second["dup"]) == (first["id"], first["timestamp"], True)
        await ana.say("after", nonce="n2")
        assert texts(await ben.until(message="after")) == ["hi", "after"]


async def test_resend_on_another_connection_is_recognized() -> None:
    async with running_server() as server:
        async with v1_client(server.url, "ana", client_id="c1") as ana:
            await ana.say("hi", nonce="n1")
            first = await ana.next_of(type="ack")
            ana.drop()
        async with v1_client(server.url, "ana", client_id="c1") as ana:
            await ana.say("hi", nonce="n1")
            assert await ana.next_of(type="ack") == first | {"dup": True}


async def test_two_clients_may_use_the_same_nonce() -> None:
    async with (
        running_server() as server,
        v1_client(server.url, "ana", client_id="c1") as ana,
        v1_client(server.url, "ben", client_id="c2") as ben,
    ):
        await ana.say("one", nonce="1")
        await ben.say("two", nonce="1")
        assert (await ana.next_of(type="ack"))["dup"] is False
        assert (await ben.next_of(type="ack"))["dup"] is False


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "empty"),
        ("  \n ", "empty"),
        ("\x1b\x00", "empty"),
        ("x" * 16_385, "too_long"),
        ("é" * 8_193, "too_long"),
    ],
    ids=["empty", "blank", "controls", "long", "long in bytes"],
)
async def test_invalid_post_is_rejected_by_its_nonce(text: str, code: str) -> None:
    async with running_server() as server, v1_client(server.url, "ana") as ana:
        await ana.say(text, nonce="n1")
        error = await ana.next_of(type="error")
        assert (error["code"], error["nonce"], error.get("temporary", False)) == (code, "n1", False)
        await ana.say("x" * 16_384, nonce="n2")
        assert (await ana.next_of(type="ack"))["nonce"] == "n2"


async def test_posts_are_sanitized() -> None:
    async with running_server() as server, plain_client(server.url) as ana, v1_client(server.url) as reader:
        await ana.say("a\x1b[31mb\x9bc\u202ed\r\ne [red]f[/]", sender="Ana")
        assert (await reader.next_of(type="message"))["message"] == "a[31mbcd\ne [red]f[/]"


# -- resuming


async def test_since_replays_missed_posts_and_continues_live() -> None:
    async with running_server(limits=UNLIMITED) as server, v1_client(server.url, "ana") as ana:
        ids = await post_many(ana, 10)
        async with silent_v1_client(server.url) as ben:
            await ben.send("hello", name="ben", rooms=[{"room": "lobby", "since": ids[3]}])
            welcome = await ben.next_of(type="welcome")
            [state] = welcome["rooms"]
            assert (state["head"], state["recovered"], state["missed"]) == (ids[9], True, 6)
            replayed = await ben.until(type="synced")
            assert texts(replayed) == [f"post {number}" for number in range(5, 11)]
            assert replayed[-1]["id"] == ids[9]
            await ana.say("live")
            assert texts(await ben.until(type="message")) == ["live"]


async def test_since_the_head_is_recovered_with_nothing_missed() -> None:
    async with running_server(limits=UNLIMITED) as server, v1_client(server.url, "ana") as ana:
        ids = await post_many(ana, 3)
        async with silent_v1_client(server.url) as ben:
            await ben.send("hello", name="ben", rooms=[{"room": "lobby", "since": ids[-1]}])
            [state] = (await ben.next_of(type="welcome"))["rooms"]
            assert (state["recovered"], state["missed"]) == (True, 0)
            assert texts(await ben.until(type="synced")) == []


async def test_since_the_position_of_an_empty_room_replays_all_of_it() -> None:
    async with running_server(limits=UNLIMITED) as server, v1_client(server.url, "ana") as ana:
        ids = await post_many(ana, 3)
        start = ids[0].rpartition("-")[0] + "-0"
        async with silent_v1_client(server.url) as ben:
            await ben.send("hello", name="ben", rooms=[{"room": "lobby", "since": start}])
            assert texts(await ben.until(type="synced")) == ["post 1", "post 2", "post 3"]


@pytest.mark.parametrize(("last", "expected"), [(0, []), (2, ["post 4", "post 5"]), (-3, []), (10**9, None)])
async def test_last_replays_that_many_posts(last: int, expected: list[str] | None) -> None:
    async with running_server(limits=UNLIMITED) as server, v1_client(server.url, "ana") as ana:
        await post_many(ana, 5)
        async with silent_v1_client(server.url) as ben:
            await ben.send("hello", name="ben", rooms=[{"room": "lobby", "last": last}])
            wanted = expected if expected is not None else [f"post {number}" for number in range(1, 6)]
            assert texts(await ben.until(type="synced")) == wanted


@pytest.mark.parametrize("since", ["beef1234-2", "nonsense", "-", "x-99999999999999999999"])
async def test_since_of_another_log_is_a_gap(since: str) -> None:
    async with running_server(limits=UNLIMITED) as server, v1_client(server.url, "ana") as ana:
        ids = await post_many(ana, 3)
        async with silent_v1_client(server.url) as ben:
            await ben.send("hello", name="ben", rooms=[{"room": "lobby", "since": since}])
            [state] = (await ben.next_of(type="welcome"))["rooms"]
            assert state["recovered"] is False
            gap = await ben.next_of(type="gap")
            assert (gap["room"], gap["reason"], gap["from"]) == ("lobby", "epoch", since)
            assert gap["to"].startswith(ids[0].rpartition("-")[0])
            await ben.next_of(type="synced")


async def test_since_ahead_of_the_log_is_a_gap() -> None:
    async with running_server(limits=UNLIMITED) as server, v1_client(server.url, "ana") as ana:
        ids = await post_many(ana, 3)
        async with silent_v1_client(server.url) as ben:
            ahead = ids[0].rpartition("-")[0] + "-100"
            await ben.send("hello", name="ben", rooms=[{"room": "lobby", "since": ahead}])
            assert (await ben.next_of(type="welcome"))["rooms"][0]["recovered"] is False
            assert (await ben.next_of(type="gap"))["reason"] == "epoch"


async def test_since_a_trimmed_position_sends_a_gap_and_the_rest() -> None:
    engine = MemoryEngine(max_posts=4)
    limits = Limits(message_rate=0, ring_posts=4)
    async with running_server(limits=limits, engine=engine) as server, v1_client(server.url, "ana") as ana:
        ids = await post_many(ana, 10)
        async with silent_v1_client(server.url) as ben:
            await ben.send("hello", name="ben", rooms=[{"room": "lobby", "since": ids[1]}])
            [state] = (await ben.next_of(type="welcome"))["rooms"]
            assert (state["recovered"], state["missed"]) == (False, 4)
            gap = await ben.next_of(type="gap")
            assert (gap["from"], gap["to"], gap["reason"]) == (ids[2], ids[5], "trimmed")
            assert texts(await ben.until(type="synced")) == [f"post {number}" for number in range(7, 11)]


async def test_empty_room_is_replayed_from_the_log() -> None:
    async with running_server(limits=UNLIMITED) as server:
        async with v1_client(server.url, "ana", rooms=[{"room": "dev"}]) as ana:
            ids = await post_many(ana, 5, "dev")
            await ana.send("leave", room="dev")
            await ana.next_of(type="left")
        async with silent_v1_client(server.url) as ben:
            await ben.send("hello", name="ben", rooms=[{"room": "dev", "since": ids[1]}])
            [state] = (await ben.next_of(type="welcome"))["rooms"]
            assert (state["recovered"], state["missed"]) == (True, 3)
            assert texts(await ben.until(type="synced")) == ["post 3", "post 4", "post 5"]


async def test_posts_during_a_resume_arrive_once_and_in_order() -> None:
    async with running_server(limits=UNLIMITED) as server, v1_client(server.url, "ana") as ana:
        ids = await post_many(ana, 300)
        posting = asyncio.create_task(post_more(ana, 300))
        async with silent_v1_client(server.url) as ben:
            await ben.send("hello", name="ben", rooms=[{"room": "lobby", "since": ids[0]}])
            frames = await ben.until(message="more 300")
            await posting
            numbers = [int(frame["id"].rpartition("-")[2]) for frame in frames if frame["type"] == "message"]
            assert numbers == list(range(2, 601))
            assert not any(frame["type"] == "gap" for frame in frames)


async def post_more(client: WireClient, count: int) -> None:
    for number in range(1, count + 1):
        await client.say(f"more {number}")


# -- history


@pytest.mark.parametrize(
    ("query", "expected", "more"),
    [
        ({"latest": True, "limit": 3}, [8, 9, 10], True),
        ({"limit": 3}, [8, 9, 10], True),
        ({"latest": True, "limit": 50}, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10], False),
        ({"before": 5, "limit": 2}, [3, 4], True),
        ({"before": 3, "limit": 10}, [1, 2], False),
        ({"before": 1, "limit": 10}, [], False),
        ({"after": 7, "limit": 2}, [8, 9], True),
        ({"after": 7, "limit": 10}, [8, 9, 10], False),
        ({"after": 10}, [], False),
        ({"after": 0, "limit": 2}, [1, 2], True),
        ({"around": 5, "limit": 5}, [3, 4, 5, 6, 7], True),
        ({"around": 10, "limit": 4}, [8, 9, 10], False),
        ({"limit": -5}, [10], True),
        ({"limit": 0}, [10], True),
    ],
)
async def test_history_gives_pages_ascending(query: Frame, expected: list[int], more: bool) -> None:
    async with running_server(limits=UNLIMITED) as server, v1_client(server.url, "ana") as ana:
        ids = await post_many(ana, 10)
        epoch = ids[0].rpartition("-")[0]
        asked = {key: f"{epoch}-{value}" if key in ("before", "after", "around") else value
                 for key, value in query.items()}  # fmt: skip
        await ana.send("history", ref="h1", room="lobby", **asked)
        page = await ana.next_of(type="history")
        assert (page["ref"], page["room"], page["more"]) == ("h1", "lobby", more)
        assert [int(item["id"].rpartition("-")[2]) for item in page["items"]] == expected
        assert texts(page["items"]) == [f"post {number}" for number in expected]


async def test_a_page_is_no_longer_than_the_limit_in_the_welcome() -> None:
    limits = Limits(message_rate=0, history_page_max=5)
    async with running_server(limits=limits) as server, v1_client(server.url, "ana") as ana:
        await post_many(ana, 12)
        await ana.send("history", ref="h1", limit=10**6)
        page = await ana.next_of(type="history")
        assert len(page["items"]) == 5
        assert page["more"]


async def test_pages_put_together_are_the_whole_log() -> None:
    async with running_server(limits=UNLIMITED) as server, v1_client(server.url, "ana") as ana:
        await post_many(ana, 25)
        items: list[Frame] = []
        query: Frame = {}
        while True:
            await ana.send("history", ref="h", limit=7, **query)
            page = await ana.next_of(type="history")
            items = [*page["items"], *items]
            if not page["more"]:
                break
            query = {"before": items[0]["id"]}
        assert texts(items) == [f"post {number}" for number in range(1, 26)]


@pytest.mark.parametrize("key", ["before", "after", "around"])
@pytest.mark.parametrize("bad_id", ["beef1234-1", "nonsense", "-1", "x-", "x-1x"])
async def test_history_around_an_unknown_id_is_rejected(key: str, bad_id: str) -> None:
    async with running_server() as server, v1_client(server.url, "ana") as ana:
        await ana.send("history", ref="h1", **{key: bad_id})
        error = await ana.next_of(type="error")
        assert (error["code"], error["ref"]) == ("bad_position", "h1")


async def test_history_of_an_unjoined_room_is_rejected() -> None:
    async with running_server() as server, v1_client(server.url, "ana") as ana:
        await ana.send("history", ref="h1", room="dev")
        error = await ana.next_of(type="error")
        assert (error["code"], error["ref"]) == ("not_in_room", "h1")


async def test_too_many_requests_are_temporarily_rejected() -> None:
    limits = Limits(history_rate=1.0)
    async with running_server(limits=limits) as server, v1_client(server.url, "ana") as ana:
        for number in range(10):
            await ana.send("history", ref=f"h{number}", latest=True)
        error = await ana.next_of(type="error")
        assert (error["code"], error["temporary"]) == ("rate_limited", True)
        assert error["retry_after"] > 0
        assert error["ref"]


# -- rooms


async def test_posts_stay_in_their_room() -> None:
    async with (
        running_server() as server,
        v1_client(server.url, "ana", rooms=[{"room": "lobby"}, {"room": "dev"}]) as ana,
        v1_client(server.url, "ben", rooms=[{"room": "dev"}]) as ben,
        plain_client(server.url) as plain,
    ):
        await ana.say("to dev", room="dev", nonce="1")
        await ana.say("to lobby", room="lobby", nonce="2")
        await ana.say("end", room="dev", nonce="3")
        assert texts(await ben.until(message="end")) == ["to dev", "end"]
        assert texts(await plain.until(type="message")) == ["to lobby"]


async def test_joining_and_leaving_a_room_later() -> None:
    async with (
        running_server() as server,
        v1_client(server.url, "ana", rooms=[{"room": "dev"}]) as ana,
        v1_client(server.url, "ben") as ben,
    ):
        ids = await post_many(ana, 3, "dev")
        await ben.send("join", ref="j1", room="dev", last=2)
        joined = await ben.next_of(type="joined")
        assert joined == {
            "type": "joined", "ref": "j1", "room": "dev", "head": ids[-1],
            "recovered": True, "missed": 2, "online": 2,
        }  # fmt: skip
        assert texts(await ben.until(type="synced")) == ["post 2", "post 3"]
        assert (await ana.next_of(event="join"))["name"] == "ben"
        await ben.say("hello", room="dev")
        await ana.next_of(message="hello")
        await ben.send("leave", ref="l1", room="dev")
        assert await ben.next_of(type="left") == {"type": "left", "ref": "l1", "room": "dev"}
        left = await ana.next_of(event="leave")
        assert (left["name"], left["room"]) == ("ben", "dev")
        await ben.say("still here?", room="dev", nonce="n9")
        error = await ben.next_of(type="error")
        assert (error["code"], error["nonce"]) == ("not_in_room", "n9")


async def test_joining_with_a_position_resumes_there() -> None:
    async with (
        running_server(limits=UNLIMITED) as server,
        v1_client(server.url, "ana", rooms=[{"room": "dev"}]) as ana,
        v1_client(server.url, "ben") as ben,
    ):
        ids = await post_many(ana, 5, "dev")
        await ben.send("join", ref="j1", room="dev", since=ids[2])
        assert (await ben.next_of(type="joined"))["missed"] == 2
        assert texts(await ben.until(type="synced")) == ["post 4", "post 5"]
        await ben.send("join", ref="j2", room="dev", since="beef-1")
        assert (await ben.next_of(type="joined"))["recovered"] is False
        assert (await ben.next_of(type="gap"))["reason"] == "epoch"


@pytest.mark.parametrize("room", ["", "-x", "a b", "x" * 49, "a/b", "\x1b"])
async def test_invalid_room_is_rejected_with_its_ref(room: str) -> None:
    async with running_server() as server, v1_client(server.url, "ana") as ana:
        await ana.send("join", ref="j1", room=room)
        error = await ana.next_of(type="error")
        assert (error["code"], error["ref"]) == ("bad_room", "j1")


async def test_rooms_a_connection_are_limited() -> None:
    limits = Limits(max_rooms_per_peer=2)
    async with running_server(limits=limits) as server, v1_client(server.url, "ana") as ana:
        await ana.send("join", ref="j1", room="dev")
        await ana.next_of(type="joined")
        await ana.send("join", ref="j2", room="ops")
        error = await ana.next_of(type="error")
        assert (error["code"], error["ref"]) == ("too_many_rooms", "j2")
        async with silent_v1_client(server.url) as ben:
            await ben.send("hello", name="ben", rooms=[{"room": "a"}, {"room": "b"}, {"room": "c"}])
            assert (await ben.next_of(type="error"))["code"] == "too_many_rooms"


async def test_leaving_an_unjoined_room_is_rejected() -> None:
    async with running_server() as server, v1_client(server.url, "ana") as ana:
        await ana.send("leave", ref="l1", room="dev")
        assert (await ana.next_of(type="error"))["code"] == "not_in_room"


# -- people


async def test_presence_lists_people_sorted_with_their_connections() -> None:
    async with (
        running_server() as server,
        v1_client(server.url, "Zoe") as zoe,
        v1_client(server.url, "ana", client_id="a"),
        v1_client(server.url, "ana", client_id="a"),
        plain_client(server.url),
    ):
        await zoe.send("presence", ref="p1", room="lobby")
        answer = await zoe.next_of(type="presence")
        assert answer == {
            "type": "presence", "ref": "p1", "room": "lobby", "online": 3, "truncated": False,
            "members": [{"name": "ana", "connections": 2}, {"name": "Zoe", "connections": 1}],
        }  # fmt: skip


async def test_a_long_presence_list_is_truncated_and_says_so() -> None:
    limits = Limits(presence_list_max=2)
    async with (
        running_server(limits=limits) as server,
        v1_client(server.url, "ana") as ana,
        v1_client(server.url, "ben"),
        v1_client(server.url, "cleo"),
    ):
        await ana.send("presence", ref="p1", room="lobby")
        answer = await ana.next_of(type="presence")
        assert (answer["online"], len(answer["members"]), answer["truncated"]) == (3, 2, True)


async def test_rename_is_acknowledged_and_broadcast() -> None:
    async with (
        running_server() as server,
        v1_client(server.url, "ana") as ana,
        v1_client(server.url, "ben") as ben,
        plain_client(server.url) as plain,
    ):
        await ana.send("rename", name="ana2", ref="r1")
        assert await ana.next_of(type="renamed") == {"type": "renamed", "ref": "r1", "name": "ana2"}
        line = await ben.next_of(event="rename")
        assert (line["name"], line["names"], line["online"]) == ("ana2", ["ana", "ana2"], 3)
        assert line["message"].startswith("ana is now known as ana2.")
        assert (await plain.next_of(event="rename"))["message"] == line["message"]
        await ana.say("hi")
        assert (await ben.next_of(type="message"))["sender"] == "ana2"
        assert not any(frame.get("event") == "rename" for frame in ana.frames)


@pytest.mark.parametrize(
    ("name", "code"), [("ben", "name_taken"), ("SERVER", "name_reserved"), ("", "bad_name")]
)
async def test_rejected_rename_has_its_ref_and_changes_nothing(name: str, code: str) -> None:
    async with running_server() as server, v1_client(server.url, "ana") as ana, v1_client(server.url, "ben"):
        await ana.send("rename", name=name, ref="r1")
        error = await ana.next_of(type="error")
        assert (error["code"], error["ref"]) == (code, "r1")
        await ana.say("hi")
        assert (await ana.next_of(type="message"))["sender"] == "ana"


async def test_the_name_before_a_rename_is_free_at_once() -> None:
    async with running_server() as server, v1_client(server.url, "ana", client_id="a") as ana:
        await ana.send("rename", name="ana2", ref="r1")
        await ana.next_of(type="renamed")
        async with v1_client(server.url, "ana", client_id="b"):
            pass


async def test_a_flood_of_renames_does_not_flood_the_others() -> None:
    async with (
        running_server(limits=Limits(max_refusals=0)) as server,
        v1_client(server.url, "ana") as ana,
        v1_client(server.url, "ben") as ben,
    ):
        for number in range(500):
            await ana.send("rename", name=f"ana{number % 2}", ref=f"r{number}")
        answered = 0
        while answered < 500:
            answered += (await ana.next_frame()).get("ref", "") != ""
        lines = [frame for frame in await ben.settle() if frame.get("event") == "rename"]
        assert len(lines) < 250


async def test_typing_is_relayed_to_v1_clients_with_a_rate_limit() -> None:
    async with (
        running_server(limits=Limits(typing_interval_s=60)) as server,
        v1_client(server.url, "ana") as ana,
        v1_client(server.url, "ben") as ben,
        plain_client(server.url) as plain,
    ):
        for _ in range(5):
            await ana.send("typing", room="lobby")
        await ana.say("done", nonce="n")
        frames = await ben.until(message="done")
        assert [frame for frame in frames if frame["type"] == "typing"] == [
            {"type": "typing", "room": "lobby", "name": "ana"}
        ]
        await ana.next_of(message="done")
        await plain.next_of(message="done")
        assert not any(frame["type"] == "typing" for frame in [*ana.frames, *plain.frames])


async def test_typing_is_not_replayed() -> None:
    async with running_server() as server, v1_client(server.url, "ana") as ana:
        await ana.send("typing", room="lobby")
        await ana.settle()
        async with silent_v1_client(server.url) as ben:
            await ben.send("hello", name="ben", rooms=[{"room": "lobby", "last": 10}])
            assert not any(frame["type"] == "typing" for frame in await ben.until(type="synced"))
