"""Notes through the hub: who may write them, what they change, and how each kind of client sees them."""

from __future__ import annotations

from typing import Any

import pytest

from broadcast_tui.core.hub import posting
from broadcast_tui.core.limits import Limits
from broadcast_tui.core.notes import PINS_MAX
from tests.core.hub.test_authorization import ANA, StubAuthenticator
from tests.core.hub.test_hub import only, say, send, v1
from tests.support.hub_pair import Wire, World, read_frames
from tests.support.roles import give_role


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


def test_notes_about_a_post_that_was_deleted_meanwhile_do_not_close_the_connection() -> None:
    world = World(Limits(message_burst=1_000, max_errors=3))
    ana = v1(world, "ana", notes=True)
    say(world, ana, "hi")
    note(world, ana, "delete", nonce="n0")
    for number in range(10):
        note(world, ana, "react", key="👍", nonce=f"n{number + 1}")
        note(world, ana, "react", "e0-1", key="👍", nonce=f"o{number}")
    assert {error["code"] for error in only(ana, "error")} == {"no_such_post"}
    assert ana.peer is not None
    assert ana.peer.closing is None


def test_notes_count_like_posts_in_the_rate_limit() -> None:
    world = World(Limits(message_rate=1.0, message_burst=3))
    ana = v1(world, "ana", notes=True)
    say(world, ana, "hi")
    for number in range(3):
        note(world, ana, "edit", message=f"edit {number}", nonce=f"n{number}")
    (error,) = only(ana, "error")
    assert (error["code"], error["nonce"]) == ("rate_limited", "n2")


def voters(world: World, count: int) -> list[Wire]:
    return [v1(world, f"user{number}", notes=True) for number in range(count)]


def test_reactions_are_acknowledged_one_by_one_and_announced_together() -> None:
    world = World()
    ana, plain, old = v1(world, "ana", notes=True), world.plain(), v1(world, "old")
    users = voters(world, 5)
    say(world, ana, "Ship it?")
    read_frames(plain), read_frames(old), read_frames(ana)
    for number, user in enumerate(users):
        note(world, user, "react", key="👍", nonce="n")
        ack = newest(user, "ack")
        assert (ack["id"], ack["dup"]) == ("e1-1", False), f"of user {number}: it has no entry of its own"
    world.pass_time(1.0)
    world.step()
    first, second = only(ana, "note")
    assert (first["id"], first["by"], first["now"]) == (
        "e1-2", "", {"reactions": {"👍": {"count": 1, "names": ["user0"]}}},
    )  # fmt: skip
    assert second["now"] == {
        "reactions": {"👍": {"count": 5, "names": ["user0", "user1", "user2", "user3", "user4"]}}
    }
    assert read_frames(plain) == [], "plain clients see no reactions"
    assert [frame["message"] for frame in only(old, "message")] == [
        "Reactions to a message from ana: 👍 1",
        "Reactions to a message from ana: 👍 5",
    ]
    note(world, users[0], "react", key="👍", nonce="n2")
    assert newest(users[0], "ack")["dup"], "the same reaction changes nothing"
    note(world, users[0], "react", key="👍", on=False)
    world.pass_time(1.0)
    world.step()
    assert newest(ana, "note")["now"]["reactions"]["👍"]["count"] == 4


def test_300_answers_within_five_seconds_are_at_most_six_notes() -> None:
    world = World()
    ana = v1(world, "ana", notes=True)
    users = voters(world, 300)
    say(world, ana, "Lunch?", ask={"choices": ["yes", "no"], "until_s": 600.0})
    question = newest(ana, "message")
    assert question["ask"]["of"] == 301
    assert "to" not in question["ask"], "more than 100 are not named"
    for number, user in enumerate(users):
        note(world, user, "answer", choice="no" if number % 3 else "yes", nonce="n")
        world.pass_time(5.0 / 300)
    for _ in range(10):
        world.pass_time(0.2)
        world.step()
    notes: list[dict[str, Any]] = only(ana, "note")
    assert len(notes) <= 6
    tally = notes[-1]["now"]["tally"]
    assert {choice: votes["count"] for choice, votes in tally.items()} == {"yes": 100, "no": 200}
    assert all(len(votes["names"]) == 20 for votes in tally.values())
    assert notes[-1]["now"]["of"] == 301


def test_votes_that_were_not_announced_before_a_crash_are_announced_after_it() -> None:
    world = World()
    ana, bob, ken = (v1(world, name, notes=True) for name in ("ana", "bob", "ken"))
    say(world, ana, "Ship it?")
    note(world, bob, "react", key="👍")
    note(world, ken, "react", key="👍")
    assert world.log.last_seq("lobby") == 2
    world.restart(keep_log=True)
    world.hub.started(world.when)
    eve = v1(world, "eve", notes=True, rooms=[{"room": "lobby", "last": 10}])
    world.step()
    assert newest(eve, "note")["now"]["reactions"]["👍"]["names"] == ["bob", "ken"]
    assert world.log.pending_summaries() == []


def test_a_question_closes_when_all_have_answered() -> None:
    world = World()
    ana, bob, eve = (v1(world, name, notes=True) for name in ("ana", "bob", "eve"))
    say(world, ana, "Deploy?", ask={"choices": ["yes", "no"], "until_s": 600.0, "to": ["ana", "bob", "ANA"]})
    ask = newest(ana, "message")["ask"]
    assert (ask["to"], ask["of"], ask["choices"]) == (["ANA", "bob"], 2, ["yes", "no"])
    note(world, eve, "answer", choice="yes", nonce="n")
    assert newest(eve, "error")["code"] == "forbidden"
    note(world, bob, "answer", choice="perhaps", nonce="n")
    assert newest(bob, "error")["code"] == "bad_frame"
    note(world, bob, "answer", choice="no")
    now = newest(ana, "note")["now"]
    assert (now["of"], now["waiting"], "closed" in now) == (2, ["ANA"], False)
    late = v1(world, "late", notes=True)
    welcome: Any = newest(late, "welcome")
    assert welcome["rooms"][0]["asks"] == ["e1-1"]
    note(world, ana, "answer", choice="yes")
    world.pass_time(1.0)
    world.step()
    now = newest(bob, "note")["now"]
    assert now["closed"]
    assert {choice: votes["names"] for choice, votes in now["tally"].items()} == {
        "no": ["bob"],
        "yes": ["ANA"],
    }
    note(world, bob, "answer", choice="yes", nonce="n2")
    assert newest(bob, "error")["code"] == "ask_closed"
    send(world, late, type="join", room="lobby", ref="j")
    assert "asks" not in newest(late, "joined")


def test_an_announcement_is_not_put_to_its_author() -> None:
    world = World()
    ana, bob = v1(world, "ana", notes=True), v1(world, "bob", notes=True)
    say(world, ana, "Deploying", ask={"choices": ["ok"], "until_s": 60.0})
    ask = newest(bob, "message")["ask"]
    assert (ask["to"], ask["of"]) == (["bob"], 1)
    note(world, bob, "answer", choice="ok")
    assert newest(ana, "note")["now"]["closed"]


@pytest.mark.parametrize("restarts", [False, True])
def test_a_question_closes_when_its_time_is_over(restarts: bool) -> None:
    world = World()
    ana, bob = v1(world, "ana", notes=True), v1(world, "bob", notes=True)
    say(world, ana, "Deploy?", ask={"choices": ["yes", "no"], "until_s": 60.0})
    assert newest(bob, "message")["ask"]["to"] == ["ana", "bob"], "those present"
    world.pass_time(59.0)
    world.step()
    assert only(bob, "note") == []
    if restarts:
        world.restart(keep_log=True)
        world.hub.started(world.when)
        bob = v1(world, "bob", notes=True)
    note(world, bob, "answer", choice="yes")
    assert newest(bob, "note")["now"]["waiting"] == ["ana"]
    world.pass_time(1.5)
    world.step()
    now = newest(bob, "note")["now"]
    assert now["closed"]
    assert "waiting" not in now
    assert world.log.open_asks() == []


def test_a_question_that_could_not_be_closed_is_closed_later() -> None:
    world = World()
    ana = v1(world, "ana", notes=True)
    say(world, ana, "Deploy?", ask={"choices": ["ok"], "until_s": 60.0})
    world.pass_time(60.0)
    batch = world.hub.effects.pending_entries.take_batch()
    world.hub.append_failed(batch, "Disk full.", world.when)
    assert len(batch) == 1
    world.pass_time(4.0)
    assert not world.hub.effects.pending_entries
    world.pass_time(1.0)
    world.step()
    assert newest(ana, "note")["now"]["closed"]


@pytest.mark.parametrize(
    ("ask", "code"),
    [
        ({"choices": ["yes", "YES"], "until_s": 1.0}, "bad_frame"),
        ({"choices": ["\u200b"], "until_s": 1.0}, "empty"),
        ({"choices": [], "until_s": 1.0}, "bad_frame"),
        ({"choices": ["x"] * 11, "until_s": 1.0}, "bad_frame"),
        ({"choices": ["ok"], "until_s": 0}, "bad_frame"),
        ({"choices": ["ok"], "until_s": 1e9}, "bad_frame"),
        ({"choices": ["ok"], "until_s": 1.0, "to": ["ana\n"]}, "bad_name"),
    ],
)
def test_an_invalid_question_is_rejected(ask: dict[str, object], code: str) -> None:
    world = World()
    ana = v1(world, "ana", notes=True)
    say(world, ana, "?", ask=ask, nonce="n")
    error = newest(ana, "error")
    assert (error["code"], error["nonce"]) == (code, "n")


def test_open_questions_of_a_room_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(posting, "OPEN_ASKS_MAX", 2)
    world = World()
    ana = v1(world, "ana", notes=True)
    for number in range(3):
        say(world, ana, "?", ask={"choices": ["ok"], "until_s": 60.0}, nonce=f"n{number}")
    assert newest(ana, "error")["code"] == "too_many_notes"
    assert len(world.log.open_asks()) == 2


@pytest.mark.parametrize(
    "key", ["", " ", "a b", "\u202eabc", "\u200b", "a\u200e", "123456789", "👩\u200d", "\ue000", "\x1b[31m"]
)
def test_an_invalid_reaction_is_rejected(key: str) -> None:
    world = World()
    ana = v1(world, "ana", notes=True)
    say(world, ana, "hi")
    note(world, ana, "react", key=key, nonce="n")
    assert newest(ana, "error")["code"] == "bad_frame"


@pytest.mark.parametrize("key", ["👍", "👍🏽", "❤️", "👨‍👩‍👧‍👦", "🏴󠁧󠁢󠁳󠁣󠁴󠁿", "+1", "lgtm", "はい"])
def test_a_short_visible_text_is_a_reaction(key: str) -> None:
    world = World()
    ana = v1(world, "ana", notes=True)
    say(world, ana, "hi")
    note(world, ana, "react", key=key)
    assert list(newest(ana, "note")["now"]["reactions"]) == [key]


def test_people_without_a_name_cannot_vote_or_pin_but_edit() -> None:
    world = World()
    guest = v1(world, "", notes=True)
    say(world, guest, "hi")
    for kind in ("react", "pin", "answer"):
        note(world, guest, kind, key="👍", choice="ok", nonce=kind)
    assert [error["nonce"] for error in only(guest, "error")] == ["react", "pin", "answer"]
    note(world, guest, "edit", message="hello")
    assert newest(guest, "note")["now"]["message"] == "hello"


def test_posts_of_plain_clients_cannot_be_edited() -> None:
    world = World()
    plain, ana = world.plain(), v1(world, "ana", notes=True)
    say(world, plain, "hi", "Bob")
    note(world, ana, "edit", message="ho", nonce="n")
    nobody = v1(world, "nobody2", notes=True)
    send(world, plain, type="note", note="edit", re="e1-1", message="ho")
    note(world, nobody, "edit", message="ho", nonce="n")
    assert newest(ana, "error")["code"] == newest(nobody, "error")["code"] == "forbidden"
    assert world.log.last_seq("lobby") == 1


def test_texts_of_notes_are_sanitized_and_bounded() -> None:
    world = World(Limits(message_rate=0, message_burst=0, max_message_bytes=20))
    ana = v1(world, "ana", notes=True)
    say(world, ana, "hi")
    note(world, ana, "edit", message="a\x1b\u202eb  ")
    assert newest(ana, "note")["now"]["message"] == "ab"
    note(world, ana, "edit", message="x" * 21, nonce="n1")
    note(world, ana, "edit", message="\u200b", nonce="n2")
    assert [error["code"] for error in only(ana, "error")] == ["too_long", "empty"]
    note(world, ana, "delete", reason="wrong\n\x07room")
    assert newest(ana, "note")["now"]["deleted"]["reason"] == "wrong room"


def test_muted_people_can_only_delete_and_answer() -> None:
    world = World()
    boss, ana = v1(world, "boss", notes=True), v1(world, "ana", notes=True)
    assert boss.peer is not None
    give_role(boss.peer, "admin")
    say(world, ana, "Ready?", ask={"choices": ["ok"], "until_s": 60.0, "to": ["ana", "bob"]})
    send(world, boss, type="mute", name="ana", ref="m")
    for kind in ("edit", "pin", "react"):
        note(world, ana, kind, message="x", key="👍", nonce=kind)
    note(world, ana, "delete", reason="x", nonce="delete")
    assert [error["code"] for error in only(ana, "error")] == ["muted"] * 4
    note(world, ana, "answer", choice="ok", nonce="a")
    assert newest(ana, "ack")["nonce"] == "a"
    note(world, ana, "delete", nonce="d")
    assert newest(ana, "ack")["nonce"] == "d"


def test_readers_can_answer_but_neither_react_nor_pin() -> None:
    world = World()
    ana, rita = v1(world, "ana", notes=True), v1(world, "rita", notes=True)
    assert rita.peer is not None
    give_role(rita.peer, "reader")
    say(world, ana, "Lunch?", ask={"choices": ["ok"], "until_s": 60.0})
    note(world, rita, "react", key="👍", nonce="n1")
    note(world, rita, "pin", nonce="n2")
    assert [error["code"] for error in only(rita, "error")] == ["forbidden", "forbidden"]
    note(world, rita, "answer", choice="ok", nonce="n3")
    assert newest(rita, "ack")["nonce"] == "n3"


def test_a_room_has_a_maximum_of_pins() -> None:
    world = World()
    ana = v1(world, "ana", notes=True)
    for number in range(1, PINS_MAX + 2):
        say(world, ana, f"post {number}")
        note(world, ana, "pin", f"e1-{2 * number - 1}", nonce=f"n{number}")
    (error,) = only(ana, "error")
    assert (error["code"], error["nonce"]) == ("too_many_notes", f"n{PINS_MAX + 1}")
    note(world, ana, "delete", "e1-1")
    note(world, ana, "pin", f"e1-{2 * PINS_MAX + 1}", nonce="again")
    assert newest(ana, "ack")["nonce"] == "again"


def test_admins_delete_the_posts_of_others_but_do_not_edit_them() -> None:
    world = World()
    boss, ana = v1(world, "boss", notes=True), v1(world, "ana", notes=True)
    assert boss.peer is not None
    give_role(boss.peer, "admin")
    say(world, ana, "spam")
    note(world, boss, "edit", message="x", nonce="n")
    assert newest(boss, "error")["code"] == "forbidden"
    note(world, boss, "delete", reason="spam")
    assert newest(ana, "note")["now"]["deleted"]["by"] == "boss"


def test_a_token_is_the_author_on_each_of_its_connections() -> None:
    world = World(authenticator=StubAuthenticator(ANA))
    phone = v1(world, "ana", token="1", notes=True)
    say(world, phone, "hi")
    laptop = Wire()
    laptop.peer = world.hub.open(laptop, v1=True, address="test", when=world.when)
    send(world, laptop, type="hello", name="ana", token="1", client_id="another", notes=True)
    note(world, laptop, "edit", message="hello", nonce="n")
    assert newest(laptop, "ack")["nonce"] == "n"


def test_a_reply_has_the_root_of_its_thread() -> None:
    world = World()
    ana, bob = v1(world, "ana", notes=True), v1(world, "bob", notes=True)
    say(world, ana, "one")
    say(world, bob, "two", re="e1-1")
    say(world, ana, "three", re="e1-2")
    say(world, ana, "four")
    assert [(m.get("re"), m.get("root")) for m in only(bob, "message")] == [
        (None, None), ("e1-1", "e1-1"), ("e1-2", "e1-1"), (None, None),
    ]  # fmt: skip
    say(world, ana, "five", re="e9-1", nonce="n")
    assert newest(ana, "error")["code"] == "no_such_post"
    send(world, ana, type="history", ref="h", root="e1-1", latest=True)
    page = newest(ana, "history")
    assert [item["message"] for item in page["items"]] == ["one", "two", "three"]
    assert not page["more"]
    send(world, ana, type="history", ref="h", root="e1-1", limit=2)
    page = newest(ana, "history")
    assert ([item["message"] for item in page["items"]], page["more"]) == (["two", "three"], True)
    send(world, ana, type="search", ref="s", query="o", root="e1-1")
    assert [item["message"] for item in newest(ana, "search")["items"]] == ["one", "two"]


def test_pinned_posts_are_a_page() -> None:
    world = World()
    ana = v1(world, "ana", notes=True)
    for number in range(1, 6):
        say(world, ana, f"post {number}")
    for number in (5, 2, 3):
        note(world, ana, "pin", f"e1-{number}")
    send(world, ana, type="history", ref="h", pinned=True)
    page = newest(ana, "history")
    assert [item["id"] for item in page["items"]] == ["e1-2", "e1-3", "e1-5"]
    assert all(item["pinned"]["by"] == "ana" for item in page["items"])
    assert not page["more"]


def test_pages_are_folded_in_the_dialect_of_the_client() -> None:
    world = World()
    ana, old = v1(world, "ana", notes=True), v1(world, "old")
    say(world, ana, "one")
    note(world, ana, "edit", message="two")
    say(world, ana, "gone")
    note(world, ana, "delete", "e1-3")
    for wire in (ana, old):
        read_frames(wire)
        send(world, wire, type="history", ref="h", latest=True)
    new: Any = newest(ana, "history")["items"]
    assert [(item["type"], item["id"]) for item in new] == [
        ("message", "e1-1"), ("note", "e1-2"), ("message", "e1-3"), ("note", "e1-4"),
    ]  # fmt: skip
    assert (new[0]["message"], new[0]["as"], new[1]["now"]["message"], new[2]["message"]) == (
        "two",
        2,
        "two",
        "",
    )
    legacy: Any = newest(old, "history")["items"]
    assert [(item["type"], item["id"], item["sender"], item["message"]) for item in legacy] == [
        ("message", "e1-1", "ana", "two"),
        ("message", "e1-2", "ana", "ana edited a message: two"),
        ("message", "e1-3", "ana", "This message was deleted."),
        ("message", "e1-4", "ana", "A message from ana was deleted."),
    ]


def test_a_resent_note_is_not_applied_again() -> None:
    world = World()
    ana = v1(world, "ana", notes=True)
    say(world, ana, "one")
    note(world, ana, "edit", message="two", nonce="n")
    note(world, ana, "edit", message="three", nonce="m")
    read_frames(ana)
    note(world, ana, "edit", message="two", nonce="n")
    (ack,) = read_frames(ana)
    assert (ack["id"], ack["dup"]) == ("e1-2", True)


def test_the_nonce_of_an_unchanged_note_does_not_appear_in_another_frame() -> None:
    world = World()
    ana = v1(world, "ana", notes=True)
    say(world, ana, "one", nonce="first")
    read_frames(ana)
    assert ana.peer is not None
    subscription = ana.peer.subscriptions["lobby"]
    subscription.cursor = 0
    note(world, ana, "edit", message="one", nonce="n")
    assert newest(ana, "ack")["id"] == "e1-1"
    assert subscription.own_nonces == {}
