"""Notes through the hub: who may write them, what they change, and how each kind of client sees them."""

from __future__ import annotations

from typing import Any

import pytest

from broadcast_tui.core.limits import Limits
from tests.core.hub.test_hub import only, say, send, v1
from tests.support.hub_pair import Wire, World, read_frames


def newest(wire: Wire, kind: str) -> dict[str, Any]:
    return only(wire, kind)[-1]


def note(world: World, wire: Wire, kind: str, re: str = "e1-1", **fields: object) -> None:
    send(world, wire, type="note", note=kind, re=re, **fields)


def test_an_edit_is_acknowledged_and_reaches_everyone() -> None:
    world = World()
    ana, bob, old, plain = (
        v1(world, "ana", notes=True),
        v1(world, "bob", notes=True),
        v1(world, "old"),
        world.plain(),
    )
    say(world, ana, "Deploying 1.4")
    for wire in (ana, bob, old, plain):
        read_frames(wire)
    note(world, ana, "edit", message="Deploying 1.5", nonce="n1")
    ack, own = read_frames(ana)
    assert (ack["type"], ack["nonce"], ack["id"], ack["dup"]) == ("ack", "n1", "e1-2", False)
    assert own.pop("nonce") == "n1"
    (seen,) = read_frames(bob)
    assert seen == own
    assert (seen["type"], seen["id"], seen["note"], seen["re"], seen["by"]) == (
        "note",
        "e1-2",
        "edit",
        "e1-1",
        "ana",
    )
    now: Any = seen["now"]
    assert now["message"] == "Deploying 1.5"
    assert now["edited"] == seen["timestamp"]
    (legacy,) = read_frames(old)
    assert (legacy["type"], legacy["id"], legacy["sender"]) == ("message", "e1-2", "ana")
    assert legacy["message"] == "ana edited a message: Deploying 1.5"
    (line,) = read_frames(plain)
    assert (line["type"], line["event"], line["message"]) == (
        "system", "note", "ana edited a message: Deploying 1.5",
    )  # fmt: skip


def test_a_deletion_removes_the_text_from_the_ring() -> None:
    world = World()
    ana, plain = v1(world, "ana", notes=True), world.plain()
    say(world, ana, "secret one")
    note(world, ana, "edit", message="secret two")
    note(world, ana, "pin")
    read_frames(plain)
    note(world, ana, "delete", reason="wrong room")
    (line,) = read_frames(plain)
    assert line["message"] == "A message from ana was deleted."
    room = world.hub.rooms.by_name["lobby"]
    assert b"secret" not in b"".join(room.ring.after(0))
    late = v1(world, "late", notes=True, rooms=[{"room": "lobby", "last": 10}])
    frames = [frame for frame in read_frames(late) if frame.get("id")]
    assert [frame["type"] for frame in frames if frame["type"] != "synced"] == [
        "message",
        "note",
        "note",
        "note",
    ]
    deletion: Any = frames[0]["deleted"]
    assert (frames[0]["message"], deletion["by"], deletion["reason"]) == ("", "ana", "wrong room")


def test_a_pin_is_part_of_the_state_of_the_room() -> None:
    world = World()
    ana, plain = v1(world, "ana", notes=True), world.plain()
    say(world, ana, "release at 15:00")
    read_frames(plain)
    note(world, ana, "pin")
    (line,) = read_frames(plain)
    assert line["message"] == "ana pinned a message from ana."
    bob = v1(world, "bob", notes=True)
    (welcome,) = only(bob, "welcome")
    rooms: Any = welcome["rooms"]
    assert rooms[0]["pinned"] == ["e1-1"]
    note(world, ana, "pin", on=False)
    assert only(plain, "system")[-1]["message"] == "ana unpinned a message from ana."
    send(world, bob, type="join", room="lobby", ref="j")
    assert "pinned" not in newest(bob, "joined")


def test_only_authors_edit_and_only_they_and_admins_delete() -> None:
    world = World()
    ana, bob = v1(world, "ana", notes=True), v1(world, "bob", notes=True)
    say(world, ana, "mine")
    read_frames(bob)
    note(world, bob, "edit", message="his", nonce="n1")
    note(world, bob, "delete", nonce="n2")
    errors = only(bob, "error")
    assert [(error["code"], error["nonce"]) for error in errors] == [("forbidden", "n1"), ("forbidden", "n2")]
    assert world.log.last_seq("lobby") == 1


@pytest.mark.parametrize("re", ["", "e1", "e0-1", "e1-0", "e1-2", "e1-9007199254740992"])
def test_a_note_about_no_post_is_rejected(re: str) -> None:
    world = World()
    ana = v1(world, "ana", notes=True)
    say(world, ana, "hi")
    note(world, ana, "edit", re, message="ho", nonce="n1")
    assert newest(ana, "error")["code"] == "no_such_post"


def test_notes_count_like_posts_in_the_rate_limit() -> None:
    world = World(Limits(message_rate=1.0, message_burst=3))
    ana = v1(world, "ana", notes=True)
    say(world, ana, "hi")
    for number in range(3):
        note(world, ana, "edit", message=f"edit {number}", nonce=f"n{number}")
    (error,) = only(ana, "error")
    assert (error["code"], error["nonce"]) == ("rate_limited", "n2")
