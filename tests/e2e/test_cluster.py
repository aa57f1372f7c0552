"""Three nodes on one Redis: nobody can tell on which node another is.

Terminals, plain clients and v1 clients are on different nodes in every test.
"""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from urllib.request import urlopen

import pytest
import websocket
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from broadcast_tui.client import BroadcastClient
from broadcast_tui.core.hub.auth import Role
from broadcast_tui.redis_settings import PASSWORD_VARIABLE, USER_VARIABLE
from tests.e2e.conftest import Open, ServerProcess, terminals
from tests.support.plain import Frame, WireClient, plain_client, silent_v1_client, v1_client
from tests.support.ports import unused_port
from tests.support.redis_server import RedisServer, needs_redis
from tests.support.running import PATIENCE_S
from tests.support.terminal import program

PASSWORD = "swordfish-4711"
ROOT = Path(__file__).parents[2]
pytestmark = needs_redis


class Nodes:
    """Three nodes with their Redis server."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.redis = RedisServer(directory / "redis", password=PASSWORD)
        self.metrics_ports = [unused_port() for _ in range(3)]
        self.servers = [ServerProcess(directory / f"node-{number}.log") for number in range(3)]

    def start(self) -> None:
        self.redis.start()
        assert self.redis.cli("ACL", "SETUSER", *acl_rules()) == "OK"
        for server, port in zip(self.servers, self.metrics_ports, strict=True):
            limits = ("--message-rate", "0", "--max-new-per-minute", "0")
            server.start(
                "--history", self.redis.address, *limits, "--log-level", "debug", "--metrics-port", str(port)
            )

    def stop(self) -> None:
        for server in self.servers:
            server.stop()
        self.redis.stop()

    @property
    def urls(self) -> tuple[str, str, str]:
        first, second, third = (server.url for server in self.servers)
        return first, second, third

    def token(self, name: str, role: Role = Role.MEMBER) -> str:
        """A new token, which all nodes know."""
        found = re.search(r"bt_[\w-]+", self.run("token", "create", name, "--role", role.value))
        assert found is not None
        for url in self.urls:
            deadline = time.monotonic() + PATIENCE_S
            while not _is_accepted(url, found[0]):
                assert time.monotonic() < deadline, f"{url} does not know the token of {name}"
                time.sleep(0.1)
        return found[0]

    def run(self, *words: str) -> str:
        """The output of a command about the cluster."""
        done = subprocess.run(
            program(*words, "--history", self.redis.address), capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr


def acl_rules() -> list[str]:
    """Name and rights of the Redis user in the documentation."""
    found = re.search(r"^    user (chat .*)$", (ROOT / "docs" / "server.md").read_text("utf-8"), re.MULTILINE)
    assert found is not None
    return found[1].replace("PASSWORD", PASSWORD).split()


def _is_accepted(url: str, token: str) -> bool:
    try:
        with connect(url, additional_headers={"Authorization": f"Bearer {token}"}, proxy=None):
            return True
    except InvalidStatus:
        return False


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    nodes = Nodes(tmp_path_factory.mktemp("nodes"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(PASSWORD_VARIABLE, PASSWORD)
        patch.setenv(USER_VARIABLE, "chat")
        try:
            nodes.start()
            yield nodes
        finally:
            nodes.stop()


@pytest.fixture(autouse=True)
def is_without_errors(nodes: Nodes) -> Iterator[None]:
    """No node logs a traceback, or the password, or needs more rights in Redis."""
    yield
    denied = nodes.redis.cli("--json", "ACL", "LOG")
    assert {entry["object"] for entry in json.loads(denied) if entry["reason"] != "auth"} <= {"config|get"}
    for server in nodes.servers:
        text = server.log.read_text()
        assert "Traceback" not in text
        assert PASSWORD not in text


async def answer(client: WireClient, type: str, **fields: object) -> Frame:
    """Send a request and return its answer."""
    number = getattr(client, "asked", 0) + 1
    vars(client)["asked"] = number
    await client.send(type, ref=f"r{number}", **fields)
    return await client.next_of(ref=f"r{number}")


async def members(client: WireClient, room: str) -> dict[str, Frame]:
    return {member["name"]: member for member in (await answer(client, "presence", room=room))["members"]}


def room(name: str) -> list[Frame]:
    return [{"room": name}]


# -- people


async def joined(client: WireClient, name: str) -> None:
    """Wait until a client is notified that somebody joined; joins that come together share a line."""
    line = await client.next_of(event="join")
    while name not in line.get("names", (line.get("name"),)):
        line = await client.next_of(event="join")


async def test_presence_and_counts(nodes: Nodes) -> None:
    first, second, third = nodes.urls
    async with v1_client(first, "pa", rooms=room("people")) as pa:
        async with v1_client(second, "pb", rooms=room("people")) as pb:
            assert pb.frames[0]["rooms"][0]["online"] == 2
            joined = await pa.next_of(event="join", room="people")
            assert (joined["name"], joined["online"]) == ("pb", 2)
            async with v1_client(third, "pc", rooms=room("people")) as pc:
                for client in (pa, pb):
                    joined = await client.next_of(event="join", room="people")
                    assert (joined["name"], joined["online"]) == ("pc", 3)
                for client in (pa, pb, pc):
                    assert set(await members(client, "people")) == {"pa", "pb", "pc"}
                await pc.send("leave", room="people", reason="lunch", ref="l")
                left = await pa.next_of(event="leave", room="people")
                assert (left["name"], left["online"], left["reason"]) == ("pc", 2, "lunch")
        left = await pa.next_of(event="leave", room="people")
        assert (left["name"], left["online"]) == ("pb", 1)
        assert set(await members(pa, "people")) == {"pa"}


async def test_one_person_on_two_nodes_counts_once(nodes: Nodes) -> None:
    first, second, third = nodes.urls
    async with (
        v1_client(first, "twice", rooms=room("twice")) as twice,
        v1_client(third, "watcher", rooms=room("twice")) as watcher,
    ):
        await twice.next_of(event="join", name="watcher")
        async with v1_client(second, "twice", rooms=room("twice")) as other:
            assert other.frames[0]["rooms"][0]["online"] == 2
            await other.say("from the second node", room="twice", nonce="n")
            frames = await watcher.until(type="message")
            assert [frame["type"] for frame in frames if frame["type"] == "system"] == []
        await twice.say("still here", room="twice", nonce="n2")
        frames = await watcher.until(message="still here")
        assert "leave" not in [frame.get("event") for frame in frames]


async def test_names_are_unique_across_nodes(nodes: Nodes) -> None:
    first, second, _ = nodes.urls
    async with v1_client(first, "unique", client_id="c1"), silent_v1_client(second) as other:
        await other.send("hello", name="Unique", client_id="c2", rooms=room("lobby"))
        assert (await other.next_of(type="error"))["code"] == "name_taken"


async def test_a_plain_client_gets_another_name(nodes: Nodes) -> None:
    first, second, _ = nodes.urls
    async with v1_client(first, "owner") as owner, plain_client(second) as plain:
        await plain.say("mine?", sender="owner")
        error = await plain.next_of(event="error")
        assert error["code"] == "name_taken"
        await plain.say("then this one", sender="owner-2")
        assert (await owner.next_of(type="message", message="then this one"))["sender"] == "owner-2"


async def test_guests_have_different_names(nodes: Nodes) -> None:
    async with AsyncExitStack() as stack:
        plains = [await stack.enter_async_context(plain_client(url)) for url in nodes.urls]
        reader = await stack.enter_async_context(v1_client(nodes.urls[0], "guests-reader"))
        senders = set()
        for number, plain in enumerate(plains):
            await plain.say(f"guest post {number}")
            senders.add((await reader.next_of(type="message", message=f"guest post {number}"))["sender"])
    assert len(senders) == 3


async def test_rename_away_and_typing(nodes: Nodes) -> None:
    first, second, third = nodes.urls
    async with (
        v1_client(first, "ra", rooms=room("notices")) as ra,
        v1_client(second, "rb", rooms=room("notices")) as rb,
        v1_client(third, "rc", rooms=room("notices")) as rc,
    ):
        await joined(ra, "rc")
        await rb.send("typing", room="notices")
        for client in (ra, rc):
            assert (await client.next_of(type="typing"))["name"] == "rb"
        await rb.send("away", text="gone fishing", ref="a")
        for client in (ra, rc):
            away = await client.next_of(type="away", name="rb")
            assert (away["away"], away["text"]) == (True, "gone fishing")
        assert (await members(ra, "notices"))["rb"]["away"] == "gone fishing"
        await rb.send("rename", name="rbb", ref="n")
        for client in (ra, rc):
            renamed = await client.next_of(event="rename", room="notices")
            assert "rbb" in renamed["message"]
            assert set(await members(client, "notices")) == {"ra", "rbb", "rc"}
        async with silent_v1_client(third) as thief:
            await thief.send("hello", name="rbb", client_id="thief", rooms=room("notices"))
            assert (await thief.next_of(type="error"))["code"] == "name_taken"


async def test_topics(nodes: Nodes) -> None:
    first, second, third = nodes.urls
    async with v1_client(first, "ta", rooms=room("topics")) as ta:
        async with v1_client(second, "tb", rooms=room("topics")) as tb:
            assert (await answer(ta, "topic", room="topics", topic="All about topics"))["type"] == "topic"
            assert (await tb.next_of(type="topic"))["topic"] == "All about topics"
        async with v1_client(third, "tc", rooms=room("topics")) as tc:
            assert tc.frames[0]["rooms"][0]["topic"] == "All about topics"


async def test_list_of_rooms(nodes: Nodes) -> None:
    first, second, third = nodes.urls
    async with (
        v1_client(first, "la", rooms=room("list-a")) as la,
        v1_client(second, "lb", rooms=room("list-b")),
        v1_client(third, "lc", rooms=room("list-b")),
    ):
        for _ in range(100):  # counts of other nodes may be some seconds old
            found = {item["room"]: item for item in (await answer(la, "list", limit=500))["rooms"]}
            if "list-b" in found and found["list-b"]["online"] == 2:
                break
            await asyncio.sleep(0.1)
        assert found["list-b"]["online"] == 2
        assert found["list-a"]["online"] == 1


# -- posts


async def test_posts_history_and_search(nodes: Nodes) -> None:
    first, second, third = nodes.urls
    async with (
        v1_client(first, "ha", rooms=room("posts")) as ha,
        v1_client(second, "hb", rooms=room("posts")) as hb,
    ):
        for number in range(20):
            author = (ha, hb)[number % 2]
            await author.say(f"post {number} about herons", room="posts", nonce=f"n{number}")
            await author.next_of(type="ack", nonce=f"n{number}")
        for client in (ha, hb):
            await client.next_of(type="message", message="post 19 about herons")
        texts = [
            [frame["message"] for frame in client.frames if frame["type"] == "message"] for client in (ha, hb)
        ]
        assert texts[0] == texts[1] == [f"post {number} about herons" for number in range(20)]
        async with v1_client(third, "hc", rooms=[{"room": "posts", "last": 5}]) as hc:
            replay = [frame["message"] for frame in await hc.until(type="synced") if "message" in frame]
            assert replay == texts[0][-5:]
            page = await answer(hc, "history", room="posts", latest=True, limit=8)
            assert [item["message"] for item in page["items"]] == texts[0][-8:]
            found = await answer(hc, "search", room="posts", query="heron 13", limit=5)
            assert [item["message"] for item in found["items"]] == ["post 13 about herons"]


async def test_changes_reactions_and_questions(nodes: Nodes) -> None:
    first, second, third = nodes.urls
    async with (
        v1_client(first, "qa", rooms=room("questions"), notes=True) as qa,
        v1_client(second, "qb", rooms=room("questions"), notes=True) as qb,
        v1_client(third, "qc", rooms=room("questions"), notes=True) as qc,
    ):
        everyone = (qa, qb, qc)
        await joined(qa, "qc")
        await qa.say("Deploy 1.4?", room="questions", nonce="n1")
        post = (await qb.next_of(type="message", message="Deploy 1.4?"))["id"]
        note = {"room": "questions", "re": post}
        await qa.send("note", note="edit", message="Deploy 1.5?", nonce="n2", **note)
        for client in everyone:
            assert (await client.next_of(type="note", note="edit"))["now"]["message"] == "Deploy 1.5?"
        await qb.send("note", note="edit", message="Not yours", nonce="n3", **note)
        assert (await qb.next_of(nonce="n3"))["code"] == "forbidden"
        await qb.send("note", note="react", key="👍", nonce="n4", **note)
        await qc.send("note", note="react", key="👍", nonce="n5", **note)
        for client in everyone:
            while True:
                now = (await client.next_of(type="note", note="react"))["now"]
                if now["reactions"]["👍"]["count"] == 2:
                    break
            assert sorted(now["reactions"]["👍"]["names"]) == ["qb", "qc"]
        ask = {"choices": ["yes", "no"], "until_s": 600, "to": ["qb", "qc"]}
        await qa.say("Ready?", room="questions", nonce="n6", ask=ask)
        asked = (await qc.next_of(type="message", message="Ready?"))["id"]
        for client, choice in ((qb, "yes"), (qc, "no")):
            await client.send("note", room="questions", note="answer", re=asked, choice=choice, nonce="n7")
            await client.next_of(type="ack", nonce="n7")
        for client in everyone:
            while "closed" not in (now := (await client.next_of(type="note", note="answer"))["now"]):
                pass
            assert now["tally"]["yes"]["names"] == ["qb"]
            assert now["tally"]["no"]["names"] == ["qc"]


async def test_direct_messages(nodes: Nodes) -> None:
    first, second, third = nodes.urls
    async with (
        v1_client(first, "da") as da,
        v1_client(second, "db") as db,
        v1_client(third, "dc") as dc,
    ):
        await joined(da, "dc")
        opened = await answer(da, "direct", name="db")
        assert opened["with"] == "db"
        await da.send("join", room=opened["room"], ref="j", last=10)
        await da.next_of(type="synced", room=opened["room"])
        await da.say("psst", room=opened["room"], nonce="n1")
        await da.next_of(type="ack", nonce="n1")
        notice = await db.next_of(type="direct")
        assert (notice["room"], notice["with"]) == (opened["room"], "da")
        await db.send("join", room=opened["room"], ref="j", last=10)
        assert (await db.next_of(type="message", message="psst"))["sender"] == "da"
        await db.say("yes?", room=opened["room"], nonce="n2")
        assert (await da.next_of(type="message", message="yes?"))["sender"] == "db"
        assert (await answer(dc, "join", room=opened["room"]))["code"] == "forbidden"
        assert (await answer(da, "direct", name="nobody-there"))["code"] == "unknown_person"
        rooms = [item["room"] for item in (await answer(dc, "list", limit=500))["rooms"]]
        assert not any(name.startswith("@") for name in rooms)


# -- moderation and tokens


async def test_kick_ban_and_mute(nodes: Nodes) -> None:
    first, second, third = nodes.urls
    token = nodes.token("chief", Role.ADMIN)
    async with v1_client(first, token=token) as chief:
        async with v1_client(second, "noisy") as noisy, v1_client(third, "noisy") as again:
            await chief.send("kick", name="noisy", reason="spam", ref="k")
            assert (await chief.next_of(ref="k"))["connections"] == 2
            for client in (noisy, again):
                assert await client.closed() == (4503, "chief kicked you: spam")
        async with v1_client(third, "noisy") as noisy:
            await chief.send("mute", name="noisy", seconds=600, ref="m")
            assert (await chief.next_of(ref="m"))["action"] == "mute"
            await noisy.say("can you hear me?", nonce="n1")
            assert (await noisy.next_of(nonce="n1"))["code"] == "muted"
            await chief.send("unmute", name="noisy", ref="u")
            await chief.next_of(ref="u")
            await noisy.say("and now?", nonce="n2")
            assert (await noisy.next_of(nonce="n2"))["type"] == "ack"
            await chief.send("ban", who="noisy", seconds=600, reason="rude", ref="b")
            assert (await chief.next_of(ref="b"))["connections"] == 1
            assert (await noisy.closed())[0] == 4503
        for url in nodes.urls:
            async with silent_v1_client(url) as noisy:
                await noisy.send("hello", name="noisy", client_id="id-of-noisy", rooms=room("lobby"))
                assert (await noisy.next_of(type="error"))["code"] == "banned"
        async with v1_client(second, token=token) as elsewhere:
            bans = (await answer(elsewhere, "bans"))["items"]
            assert [ban["who"] for ban in bans] == ["noisy"]
            assert (await answer(elsewhere, "unban", who="noisy"))["type"] == "moderated"
        async with v1_client(third, "noisy"):
            pass


async def test_a_revoked_token_is_rejected_on_every_node(nodes: Nodes) -> None:
    token = nodes.token("temp")
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(v1_client(url, token=token)) for url in nodes.urls]
        async with silent_v1_client(nodes.urls[1]) as other:
            await other.send("hello", name="temp", client_id="other", rooms=room("lobby"))
            assert (await other.next_of(type="error"))["code"] in ("name_taken", "name_reserved")
        nodes.run("token", "revoke", "temp")
        for client in clients:
            assert (await client.closed())[0] == 4500


# -- terminals


def test_people_in_terminals_see_each_other(nodes: Nodes, tmp_path: Path) -> None:
    first, second, third = nodes.urls
    with terminals(tmp_path) as open_one:
        _check_terminals(first, second, third, open_one)


def _check_terminals(first: str, second: str, third: str, open_one: Open) -> None:
    ana = open_one("chat", f"{first}/talk", "--name", "ana", columns=120, rows=30)
    ana.wait_for("1 here", "Joined #talk")
    zoe = open_one("chat", f"{second}/talk", "--name", "zoe", home="zoe", columns=120, rows=30)
    zoe.wait_for("2 here")
    ana.wait_for("2 here", "zoe joined")
    ana.enter("hello from the first node")
    zoe.wait_for("hello from the first node")
    zoe.enter("/away gone fishing")
    ana.wait_for("zoe (away)", "2 here, 1 away")
    zoe.enter("/back")
    ana.wait_gone(", 1 away")
    zoe.enter("/nick zara")
    zoe.wait_for("You are now known as zara")
    ana.wait_for("zara")
    ana.enter("/topic Herons")
    zoe.wait_for("Herons")
    ana.enter("/msg zara psst")
    zoe.wait_for("2 @ana")
    zoe.type("\x1b1")
    ana.enter("/ask zara Deploy 1.6?")
    zoe.wait_for("Deploy 1.6?", "waiting: zara")
    zoe.type("\x1br")
    zoe.wait_for("1 yes", "2 no")
    zoe.type("2")
    ana.wait_for("no 1  zara", "closed, 1/1")

    plain = websocket.create_connection(third, timeout=PATIENCE_S)
    plain.send(json.dumps({"type": "message", "message": "Hello, world!", "sender": "Alice"}))
    ana.enter("/join lobby")
    ana.wait_for("Joined #lobby", "2 here", "Alice")

    async def talk() -> None:
        async with BroadcastClient(third, name="lib", rooms=["talk"]) as library:
            await library.post("talk", "from the library")
            await asyncio.to_thread(zoe.wait_for, "from the library", "3 here")

    asyncio.run(talk())
    zoe.wait_for("lib left", "2 here")
    ana.enter("welcome Alice")
    while json.loads(plain.recv()).get("message") != "welcome Alice":
        pass
    plain.close()
    for terminal in (ana, zoe):
        terminal.type("\x11")
        assert terminal.wait_exit() == 0


# -- the password


def test_the_password_is_shown_nowhere(nodes: Nodes) -> None:
    """Neither by `cluster` and `ps` nor in errors; the logs are read after each test."""
    output = nodes.run("cluster") + nodes.run("cluster", "--json")
    with urlopen(f"http://127.0.0.1:{nodes.metrics_ports[0]}/metrics", timeout=60) as metrics:
        output += metrics.read().decode()
    assert PASSWORD not in output
    shown = subprocess.run(["ps", "-ww", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert PASSWORD not in shown
    for url in (
        nodes.redis.url.replace(PASSWORD, f"{PASSWORD}-wrong"),
        nodes.redis.url.replace(str(nodes.redis.port), "9"),
        f"{nodes.redis.url}?nonsense={PASSWORD}",
    ):
        failed = subprocess.run(
            program("serve", "--host", "127.0.0.1", "--port", "0", "--history", url, "--log-level", "debug"),
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert failed.returncode != 0
        assert failed.stderr
        assert PASSWORD not in failed.stdout + failed.stderr
