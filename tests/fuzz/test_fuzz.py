"""Fuzz tests of everything strangers can send: no exceptions, no effect on others, no control characters."""

from __future__ import annotations

import contextlib
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from cyclopts import CycloptsError
from hypothesis import HealthCheck, given, settings
from websockets.server import ServerProtocol

from broadcast_tui.cli.config import check
from broadcast_tui.cli.parser import app
from broadcast_tui.core.errors import BroadcastError, FrameError, RequestError
from broadcast_tui.core.limits import Limits
from broadcast_tui.core.names import check_name, check_room, name_key
from broadcast_tui.core.network import rate_limit_key
from broadcast_tui.core.protocol.codec import decode_command, decode_event
from broadcast_tui.core.text import clean_post, log_safe, visible, visible_line
from broadcast_tui.server.admission import is_allowed_origin
from broadcast_tui.server.client_address import client_address, parse_networks
from broadcast_tui.server.connection import is_handshake
from tests.fuzz.mutation import mutated, seeds
from tests.support.hub_pair import World, read_frames
from tests.support.profile import by_profile
from tests.support.roles import give_role

FUZZ = settings(max_examples=by_profile(80, 2_000), suppress_health_check=list(HealthCheck))
RAW = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def take_frame(data: bytes) -> None:
    for decode in (decode_command, decode_event):
        with contextlib.suppress(FrameError):
            decode(data)


def take_in_hub(frames: list[bytes]) -> None:
    """Send the frames from a stranger of each kind and an admin; a bystander is still served."""
    world = World(Limits(max_errors=10**6, history_rate=0))
    bystander = world.user("ben")
    for role, v1 in (("member", True), ("admin", True), ("member", False)):
        wire = world.plain() if not v1 else None
        stranger = wire
        if stranger is None:
            user = world.user(f"x{role}")
            assert user.wire is not None
            stranger = user.wire
        assert stranger.peer is not None
        give_role(stranger.peer, role)
        for data in frames:
            if stranger.peer.closing is None:
                world.hub.receive(stranger.peer, data, world.when)
                world.step()
        for frame in read_frames(stranger):
            assert frame["type"] != "message" or not RAW.search(str(frame["message"]))
        assert all(line.text.isprintable() for line in world.hub.effects.audit_lines)
    assert bystander.wire is not None
    assert bystander.wire.peer is not None
    if bystander.wire.peer.closing is None and not world.hub.moderation.sanctions.all(world.when.at):
        bystander.say("still here")
        world.step()
        assert "still here" in [post.text for post in bystander.posts()]


def take_text(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    assert not RAW.search(visible(text))
    assert not RAW.search(visible_line(text))
    assert "\n" not in visible_line(text)
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u202e\ud800-\udfff]", log_safe(text))
    try:
        cleaned = clean_post(text, 10_000)
    except RequestError:
        return
    assert not RAW.search(cleaned)
    assert clean_post(cleaned, 10_000) == cleaned


def take_name(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    assert name_key(name_key(text)) == name_key(text)
    for check_it in (check_name, check_room):
        with contextlib.suppress(RequestError):
            assert not RAW.search(check_it(text))


def take_request(data: bytes) -> None:
    """Parse the data with the library, as from a socket, then pass the request to all its readers."""
    protocol = ServerProtocol()
    protocol.receive_data(data)
    is_handshake(data)
    for request in protocol.events_received():
        headers = request.headers  # type: ignore[union-attr]
        forwarded = headers.get_all("X-Forwarded-For")
        rate_limit_key(client_address("10.0.0.1", forwarded, parse_networks(["10.0.0.0/8"])))
        is_allowed_origin(headers.get_all("Origin"), headers.get_all("Host"), ("http://x",), local=True)


def take_config(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "server.toml"
        path.write_bytes(data)
        before = app.config
        with contextlib.suppress(BroadcastError, CycloptsError):
            check(path)
        assert app.config is before


TARGETS = {
    "frame": (take_frame, "frames"),
    "text": (take_text, "texts"),
    "name": (take_name, "texts"),
    "request": (take_request, "requests"),
    "config": (take_config, "configs"),
}


def cases() -> Iterator[tuple[str, bytes]]:
    for target, (_, corpus) in TARGETS.items():
        for seed in seeds(corpus):
            yield target, seed


@pytest.mark.parametrize(("target", "seed"), cases(), ids=lambda value: None)
def test_corpus_seed_is_handled(target: str, seed: bytes) -> None:
    TARGETS[target][0](seed)


def test_hub_handles_corpus_frames() -> None:
    take_in_hub(seeds("frames"))


@FUZZ
@given(mutated("frames"))
def test_any_frame_is_handled(data: bytes) -> None:
    take_frame(data)


@settings(FUZZ, max_examples=60)
@given(mutated("frames"), mutated("frames"), mutated("frames"))
def test_hub_handles_any_frames(one: bytes, two: bytes, three: bytes) -> None:
    take_in_hub([one, two, three])


@FUZZ
@given(mutated("texts"))
def test_any_text_is_handled(data: bytes) -> None:
    take_text(data)
    take_name(data)


@FUZZ
@given(mutated("requests"))
def test_any_request_is_handled(data: bytes) -> None:
    take_request(data)


@settings(FUZZ, max_examples=60)
@given(mutated("configs"))
def test_any_configuration_is_handled(data: bytes) -> None:
    take_config(data)
