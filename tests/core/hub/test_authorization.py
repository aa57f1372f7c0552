"""Authorization: fixed names, roles, and tokens that expire or are revoked."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest

from broadcast_tui.core.clock import Instant
from broadcast_tui.core.errors import CloseCode, ErrorCode, RequestError
from broadcast_tui.core.hub.auth import Identity, Role
from broadcast_tui.core.limits import Limits
from broadcast_tui.core.names import name_key
from tests.support.hub_pair import Wire, World, read_frames

ANA = Identity("1", "ana")
READER = Identity("2", "rita", Role.READER)
ADMIN = Identity("3", "olga", Role.ADMIN)


class StubAuthenticator:
    """Tokens are ids of identities; what is taken out of `known` is not valid any more."""

    def __init__(self, *known: Identity, needs_token: bool = True) -> None:
        self.needs_token = needs_token
        self.known = list(known)

    def authenticate(self, token: str, address: str, when: Instant) -> Identity:
        for identity in self.known:
            if identity.token_id == token:
                return identity
        raise RequestError(ErrorCode.UNAUTHORIZED, "wrong")

    def is_reserved(self, key: str) -> bool:
        return any(name_key(identity.name) == key for identity in self.known)

    def token_name(self, key: str) -> str:
        return next((identity.name for identity in self.known if name_key(identity.name) == key), "")

    def is_valid(self, identity: Identity, when: Instant) -> bool:
        return identity in self.known and (identity.expires_at is None or identity.expires_at > when.at)


def send(world: World, wire: Wire, **frame: object) -> None:
    assert wire.peer is not None
    world.hub.receive(wire.peer, msgspec.json.encode(frame), world.when)
    world.step()


def opened(world: World, *, v1: bool, identity: Identity | None = None) -> Wire:
    wire = Wire()
    wire.peer = world.hub.open(wire, v1=v1, address="test", when=world.when, identity=identity)
    world.step()
    return wire


def hello(world: World, identity: Identity | None = None, **fields: object) -> Wire:
    wire = opened(world, v1=True, identity=identity)
    send(world, wire, type="hello", **fields)
    return wire


def closing(wire: Wire) -> CloseCode | None:
    assert wire.peer is not None
    return wire.peer.closing[0] if wire.peer.closing else None


def first(wire: Wire, kind: str) -> dict[str, object]:
    return next(frame for frame in read_frames(wire) if frame["type"] == kind)


@pytest.mark.parametrize("fields", [{}, {"name": "ana"}, {"token": "9"}], ids=["nothing", "name", "wrong"])
def test_connection_without_valid_token_gets_only_an_error(fields: dict[str, str]) -> None:
    wire = hello(World(authenticator=StubAuthenticator(ANA)), None, **fields)
    (answer,) = read_frames(wire)
    assert (answer["type"], answer["code"]) == ("error", "unauthorised")
    assert closing(wire) is CloseCode.UNAUTHORIZED
    assert wire.peer is not None
    assert not wire.peer.subscriptions


@pytest.mark.parametrize("name", ["", "ben", "SYSTEM", "\x1b[31m"])
def test_name_of_the_token_overrides_the_hello(name: str) -> None:
    wire = hello(World(authenticator=StubAuthenticator(ANA)), name=name, token="1")
    assert first(wire, "welcome")["name"] == "ana"
    assert closing(wire) is None


def test_token_of_the_handshake_overrides_the_hello() -> None:
    wire = hello(World(authenticator=StubAuthenticator(ANA, ADMIN)), identity=ADMIN, token="1")
    assert first(wire, "welcome")["name"] == "olga"


def test_plain_client_has_the_name_of_its_token_from_the_start() -> None:
    world = World(authenticator=StubAuthenticator(ANA))
    wire = opened(world, v1=False, identity=ANA)
    send(world, wire, type="message", message="hi", sender="ben")
    assert first(wire, "message")["sender"] == "ana"


def test_name_of_a_token_cannot_be_changed() -> None:
    world = World(authenticator=StubAuthenticator(ANA))
    wire = hello(world, token="1")
    for name in ("ben", "Ana"):
        send(world, wire, type="rename", name=name)
        assert first(wire, "error")["code"] == "forbidden"
    send(world, wire, type="rename", name="ana")
    assert first(wire, "renamed")["name"] == "ana"


@pytest.mark.parametrize("look", ["ana", "ANA", "аnа"])
def test_name_with_a_token_is_reserved_on_an_open_server(look: str) -> None:
    world = World(authenticator=StubAuthenticator(ANA, needs_token=False))
    assert first(hello(world, name=look), "error")["code"] in ("name_reserved", "bad_name")
    plain = opened(world, v1=False)
    read_frames(plain)
    send(world, plain, type="message", message="I am ana", sender=look)
    assert first(plain, "system")["code"] in ("name_reserved", "bad_name")
    assert first(hello(world, name="ben"), "welcome")["name"] == "ben"


def test_one_name_on_two_connections_of_one_token_is_one_person() -> None:
    world = World(authenticator=StubAuthenticator(ANA))
    hello(world, token="1", client_id="laptop")
    phone = hello(world, token="1", client_id="phone")
    welcome = first(phone, "welcome")
    assert welcome["name"] == "ana"
    rooms = welcome["rooms"]
    assert isinstance(rooms, list)
    assert rooms[0]["online"] == 1


@pytest.mark.parametrize(
    "frame",
    [
        {"type": "message", "message": "hi", "nonce": "n"},
        {"type": "topic", "topic": "t", "ref": "r"},
        {"type": "away", "text": "t", "ref": "r"},
    ],
    ids=["post", "topic", "away"],
)
def test_reader_cannot_post(frame: dict[str, str]) -> None:
    world = World(authenticator=StubAuthenticator(READER))
    wire = hello(world, token="2")
    read_frames(wire)
    send(world, wire, **frame)
    (answer,) = read_frames(wire)
    assert answer["code"] == "forbidden"
    assert "read-only" in str(answer["message"])
    assert (answer.get("nonce"), answer.get("ref")) == (frame.get("nonce"), frame.get("ref"))
    assert world.log.posts.get("lobby", []) == []
    assert world.log.topics == {}


def test_reader_can_read() -> None:
    world = World(authenticator=StubAuthenticator(READER, ANA))
    wire, ana = hello(world, token="2", rooms=[{"room": "lobby"}]), hello(world, token="1")
    send(world, ana, type="message", message="hi", nonce="n")
    assert first(wire, "message")["message"] == "hi"
    for frame in ({"type": "history", "ref": "h"}, {"type": "presence", "ref": "p"}, {"type": "list"}):
        send(world, wire, **frame)
        assert first(wire, str(frame["type"]))
    assert wire.peer is not None
    assert wire.peer.role is Role.READER


def test_typing_of_a_reader_is_ignored_without_error() -> None:
    world = World(limits=Limits(max_errors=1), authenticator=StubAuthenticator(READER, ANA))
    wire, ana = hello(world, token="2"), hello(world, token="1")
    read_frames(wire), read_frames(ana)
    for _ in range(3):
        send(world, wire, type="typing")
    send(world, wire, type="away", ref="r")
    assert [frame["type"] for frame in read_frames(wire)] == ["away"]
    assert [frame["type"] for frame in read_frames(ana)] == ["away"]
    assert closing(wire) is None


def test_role_is_set_on_the_peer() -> None:
    world = World(authenticator=StubAuthenticator(ADMIN, needs_token=False))
    admin, guest = hello(world, token="3"), hello(world)
    assert admin.peer is not None
    assert guest.peer is not None
    assert (admin.peer.role, guest.peer.role) == (Role.ADMIN, Role.MEMBER)


def test_only_connections_with_a_revoked_token_are_closed() -> None:
    authenticator = StubAuthenticator(ANA, ADMIN)
    world = World(authenticator=authenticator)
    ana, olga = hello(world, token="1"), hello(world, token="3")
    world.hub.close_expired(world.when)
    assert (closing(ana), closing(olga)) == (None, None)
    authenticator.known.remove(ANA)
    world.hub.close_expired(world.when)
    assert (closing(ana), closing(olga)) == (CloseCode.UNAUTHORIZED, None)


def test_connection_closes_when_its_token_expires() -> None:
    world = World()
    soon = Identity("1", "ana", expires_at=world.when.at + timedelta(seconds=60))
    world = World(authenticator=StubAuthenticator(soon))
    ana = hello(world, token="1")
    for seconds, code in ((59, None), (1, CloseCode.UNAUTHORIZED)):
        world.pass_time(seconds)
        world.hub.close_expired(world.when)
        assert closing(ana) is code


def test_name_claimed_by_a_new_token_closes_its_user() -> None:
    authenticator = StubAuthenticator(needs_token=False)
    world = World(authenticator=authenticator)
    squatter = hello(world, name="ana", client_id="other")
    authenticator.known.append(ANA)
    holder = hello(world, token="1")
    assert first(holder, "welcome")["name"] == "ana"
    world.hub.close_expired(world.when)
    assert (closing(squatter), closing(holder)) == (CloseCode.REPLACED, None)
