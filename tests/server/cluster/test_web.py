"""HTTP requests to two servers with the same rooms."""

from __future__ import annotations

from tests.server.cluster.test_two_servers import two_servers
from tests.server.web.test_api import script_for
from tests.server.web.test_events import following
from tests.support.plain import v1_client
from tests.support.redis_server import RedisServer, needs_redis

pytestmark = needs_redis


async def test_requests_to_any_server_see_the_same_rooms(store: RedisServer) -> None:
    async with (
        two_servers(store.url) as (first, second),
        script_for(first) as one,
        script_for(second) as two,
        following(two) as reader,
        v1_client(second.url, "ana", rooms=[{"room": "ops"}]) as ana,
    ):
        key = {"X-Name": "ci", "Idempotency-Key": "d15"}
        answer = await one.post("Deploy done", headers=key)
        assert answer.status == 201, answer.text
        assert (await reader.next_of("message")).id == answer.json["id"]
        assert (await ana.next_of(type="message"))["sender"] == "ci"
        again = await two.post("Deploy done", headers=key)
        assert again.json == {**answer.json, "dup": True}
        assert (await two.get("/rooms/ops")).messages == ["Deploy done"]
        taken = await one.post("x", headers={"X-Name": "Ana"})
        assert (taken.status, taken.json["code"]) == (409, "name_taken")
        rooms = {info["room"]: info["online"] for info in (await one.get("/rooms")).json["rooms"]}
        assert rooms["ops"] == 1
