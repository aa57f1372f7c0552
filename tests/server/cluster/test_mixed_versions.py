"""Nodes of different versions, as during an upgrade: what an older one does not know does not disturb it."""

from __future__ import annotations

import asyncio
import json
import types
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Literal, get_args, get_origin

import msgspec
import pytest

from broadcast_tui.core.hub.cluster import Member, TypingNotice
from broadcast_tui.core.hub.sanctions import Sanction
from broadcast_tui.core.post import NewPost, Position, Post
from broadcast_tui.core.post_state import PostState
from broadcast_tui.engine.redis_rows import entry_of, post_row
from broadcast_tui.redis_settings import read_location
from broadcast_tui.server.cluster.signals import (
    ClusterMessage,
    Envelope,
    decode,
    decode_member,
    encode,
)
from broadcast_tui.server.cluster.tokens import RedisTokenStore
from tests.server.cluster.test_shared_lists import create
from tests.support.fake_hub import running_node
from tests.support.redis_engines import open_engine
from tests.support.redis_server import RedisServer, needs_redis
from tests.support.running import PATIENCE_S, eventually

MESSAGES: tuple[type[msgspec.Struct], ...] = get_args(ClusterMessage)


def example(kind: Any) -> Any:
    """A value of a type that messages consist of."""
    if isinstance(kind, types.UnionType):
        return example(next(part for part in get_args(kind) if part is not types.NoneType))
    if get_origin(kind) is tuple:
        return (example(get_args(kind)[0]),)
    if get_origin(kind) is dict:
        return {example(get_args(kind)[0]): example(get_args(kind)[1])}
    if get_origin(kind) is Literal:
        return get_args(kind)[0]
    if issubclass(kind, msgspec.Struct):
        return kind(**{field.name: example(field.type) for field in msgspec.structs.fields(kind)})
    if issubclass(kind, Enum):
        return next(iter(kind))
    return {str: "word", int: 7, bool: True, float: 1.5, datetime: datetime(2026, 1, 1, tzinfo=UTC)}[kind]


def with_later_fields(value: Any) -> Any:
    """The same builtins with further fields in each object."""
    match value:
        case dict():
            later = {"later": {"a": [1, None]}, "type_of_later": "x"}
            return {key: with_later_fields(part) for key, part in value.items()} | later
        case list() | tuple():
            return [with_later_fields(part) for part in value]
    return value


@pytest.mark.parametrize("kind", MESSAGES, ids=lambda kind: kind.__name__)
def test_unknown_fields_of_messages_are_ignored(kind: type[msgspec.Struct]) -> None:
    message = example(kind)
    builtins = msgspec.to_builtins(message)
    for field in msgspec.structs.fields(kind):
        # A mapping of names to names has no fields.
        if get_origin(field.type) is not dict:
            builtins[field.name] = with_later_fields(builtins[field.name])
    builtins |= {"later": 1, "even_later": [{}]}
    assert decode(msgspec.msgpack.encode(("n1", builtins))) == Envelope("n1", message)


UNKNOWN = [
    pytest.param(msgspec.msgpack.encode(("n1", {"type": "invented_later", "room": "lobby"})), id="type"),
    pytest.param(msgspec.msgpack.encode(("n1", {"type": "typing", "room": "lobby"})), id="lacks-fields"),
    pytest.param(msgspec.msgpack.encode(("n1", {"type": "typing", "room": 1})), id="other-types"),
    pytest.param(msgspec.msgpack.encode(("n1", {"type": "stopped"}, "later")), id="longer-envelope"),
    pytest.param(msgspec.msgpack.encode({"node": "n1"}), id="other-envelope"),
    pytest.param(b"\xc1 no MessagePack", id="bytes"),
    pytest.param(b"", id="empty"),
]


@pytest.mark.parametrize("data", UNKNOWN)
def test_unknown_messages_are_ignored(data: bytes) -> None:
    assert decode(data) is None


def test_unknown_fields_of_stored_members_are_ignored() -> None:
    data = msgspec.msgpack.encode({"key": "ana", "name": "Ana", "connections": 2, "later": {"mood": "fine"}})
    assert decode_member(data) == Member("ana", "Ana", 2)


@needs_redis
async def test_a_node_goes_on_after_unknown_messages(store: RedisServer) -> None:
    async with running_node(store.url) as node:
        link = node.link
        keys = link.keys
        await link._subscriber.subscribe(keys.room_channel("lobby"))
        notice = TypingNotice("lobby", "bob", "Bob")
        for channel in (keys.everyone, keys.node_channel(link.node), keys.room_channel("lobby")):
            for case in UNKNOWN:
                await link._subscriber.publish(channel, case.values[0])  # type: ignore[arg-type]
            await link._subscriber.publish(channel, encode("n1", notice))
        await eventually(lambda: len(node.hub.signals) == 3)
        assert node.hub.signals == [notice] * 3
        assert link.is_up


@needs_redis
async def test_bans_of_a_newer_version_are_kept(store: RedisServer) -> None:
    known = Sanction("mute", "name", "ana", "Ana", "chief", datetime(2026, 1, 1, tzinfo=UTC))
    with_field = json.dumps({**json.loads(msgspec.json.encode(known)), "later": "x"})
    unknown = '{"action":"slow","kind":"name","key":"bob"}'
    store.cli("HSET", "{bt:ctl}:sanctions", "mute name ana", with_field, "slow name bob", unknown)
    async with running_node(store.url) as node:
        loaded = await node.link.sanctions.load()
        assert loaded == [known]
        other = Sanction("ban", "name", "eve", "Eve", "chief", known.at)
        await node.link.sanctions.save([known, other])
    stored = json.loads(store.cli("HGET", "{bt:ctl}:sanctions", "mute name ana"))
    assert stored["later"] == "x"
    assert store.cli("HGET", "{bt:ctl}:sanctions", "slow name bob") == unknown
    assert store.cli("HEXISTS", "{bt:ctl}:sanctions", "ban name eve") == "1"


@needs_redis
async def test_tokens_of_a_newer_version_are_valid_and_kept(store: RedisServer) -> None:
    await create(store.url, "ana")
    (field,) = store.cli("HKEYS", "{bt:ctl}:tokens").split()
    entry = json.loads(store.cli("HGET", "{bt:ctl}:tokens", field)) | {"later": ["x"]}
    store.cli("HSET", "{bt:ctl}:tokens", field, json.dumps(entry), "unknown", '{"kind":"later"}')
    await create(store.url, "bob")
    assert json.loads(store.cli("HGET", "{bt:ctl}:tokens", field)) == entry
    assert store.cli("HEXISTS", "{bt:ctl}:tokens", "unknown") == "1"
    tokens = RedisTokenStore(read_location(store.url))
    assert {entry.name for entry in await asyncio.to_thread(tokens.read)} == {"ana", "bob"}


@needs_redis
async def test_posts_arrive_after_unknown_messages_about_a_room(
    store: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    rooms = ("lobby",)
    async with open_engine(store.url, rooms=rooms) as one, open_engine(store.url, rooms=rooms) as two:
        for data in ("later", "e1 2 later", '{"type":"later"}'):
            store.cli("PUBLISH", "{bt0}:l:lobby", data)
        await one.append([NewPost("lobby", "ana", "hi", datetime.now(UTC))])
        async with asyncio.timeout(PATIENCE_S):
            assert await two.new_entries.wait()
        (post,) = two.new_entries.take()
        assert isinstance(post, Post)
        assert post.text == "hi"
    assert caplog.text.count("could not be handled") >= 3, "once for each engine"


def test_unknown_parts_of_stored_posts_are_ignored() -> None:
    at, position = datetime(2026, 1, 1, tzinfo=UTC), Position("e1", 1)
    post = Post("lobby", position, "ana", "hi", at, author="token ana", state=PostState(edited="later"))
    *row, state = json.loads(post_row(post))
    assert entry_of("lobby", position, json.dumps([*row, state | {"mood": "fine"}, "later"])) == post
