"""The server time of an address: prices, the budget of all its connections, and what happens above it."""

from __future__ import annotations

import json
from collections.abc import Callable

import msgspec
import pytest

from broadcast_tui.core.errors import CloseCode, ErrorCode, RequestError
from broadcast_tui.core.hub import posting, work_budget
from broadcast_tui.core.hub.peer import Peer
from broadcast_tui.core.hub.work_budget import BACKFILL_KIB_S, BACKFILL_POST_S, WorkBudget, WorkBudgets
from broadcast_tui.core.limits import Limits, SharedLimits
from broadcast_tui.core.protocol import commands
from broadcast_tui.core.text import clean_post
from tests.support.hub_pair import Wire, World

NAT = "203.0.113.9"
UNLIMITED = {"message_rate": 0.0, "history_rate": 0.0, "max_errors": 0, "max_refusals": 0}


class Person:
    """A v1 connection from an address, with the frames it got."""

    def __init__(self, world: World, name: str, key: str = NAT, **hello: object) -> None:
        self.world = world
        self.wire = Wire()
        self.peer = world.hub.open(
            self.wire, v1=True, address=f"{key}:5000", when=world.when, rate_limit_key=key
        )
        self.send("hello", name=name, client_id=f"id-{name}", **hello)

    def send(self, type: str, **fields: object) -> list[dict[str, object]]:
        """Send a frame and return the answers."""
        self.world.hub.receive(self.peer, json.dumps({"type": type, **fields}).encode(), self.world.when)
        self.world.serve()
        frames = [msgspec.json.decode(data, type=dict[str, object]) for data in self.wire.to_client]
        self.wire.to_client.clear()
        return frames

    def until_limited(self, type: str, times: int = 100_000, /, **fields: object) -> int:
        """Send frames until one is rejected by a rate limit; the number of those before it."""
        for count in range(times):
            if any(frame.get("code") == "rate_limited" for frame in self.send(type, **fields)):
                return count
        return times


def budget(rate: float = 0.1, burst_s: float = 0.5) -> WorkBudget:
    return WorkBudget(SharedLimits(Limits(work_rate=rate, work_burst_s=burst_s)))


# Budgets


def test_budget_is_refilled_at_its_rate() -> None:
    work = budget()
    work.spend(0.5, 0.0)
    with pytest.raises(RequestError) as caught:
        work.spend(0.01, 0.0)
    assert (caught.value.code, caught.value.temporary) == (ErrorCode.RATE_LIMITED, True)
    assert caught.value.retry_after == pytest.approx(0.1)
    work.spend(0.01, 0.11)


def test_work_that_cannot_be_refused_leads_to_a_bounded_debt() -> None:
    work = budget()
    for _ in range(100):
        work.charge(0.1, 0.0)
    assert work.debt_wait_s(0.0) == pytest.approx(5.0)
    with pytest.raises(RequestError):
        work.spend(0.001, 4.9)
    work.spend(0.001, 5.1)


def test_turn_that_takes_longer_than_its_prices_is_paid() -> None:
    work = budget()
    work.spend(0.3, 0.0)
    work.settle(0.1, 0.0)
    assert work.debt_wait_s(0.0) == 0.0
    work.spend(0.2, 0.0)
    work.settle(0.25, 0.0)
    assert work.debt_wait_s(0.0) == pytest.approx(0.5)


@pytest.mark.parametrize("limits", [{"work_rate": 0.0}, {"work_burst_s": 0.0}])
def test_zero_is_unlimited(limits: dict[str, float]) -> None:
    work = WorkBudget(SharedLimits(Limits(**limits)))  # type: ignore[arg-type]
    assert not work.is_limited
    for _ in range(1_000):
        work.spend(10.0, 0.0)
        work.charge(10.0, 0.0)
    assert work.debt_wait_s(0.0) == 0.0


def test_new_limits_apply_to_existing_budgets() -> None:
    shared = SharedLimits(Limits())
    work = WorkBudget(shared)
    work.charge(0.5, 0.0)
    shared.replace(Limits(work_rate=0.0))
    assert not work.is_limited
    shared.replace(Limits())
    assert work.is_limited
    work.spend(0.5, 0.0)


def test_budgets_outlast_connections_in_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work_budget, "ADDRESSES_MAX", 10)
    budgets = WorkBudgets(SharedLimits(Limits()))
    first = budgets.of("192.0.2.0")
    assert budgets.of("192.0.2.0") is first
    for number in range(1, 100):
        budgets.of(f"192.0.2.{number}")
    assert len(budgets) == 10
    assert budgets.of("192.0.2.0") is not first
    assert not budgets.of("").is_limited


# Prices

ROOM = "busy"
REQUESTS: dict[str, dict[str, object]] = {
    "message": {"message": "x" * 1_000, "room": ROOM},
    "join": {"room": ROOM, "last": 1_000},
    "leave": {"room": ROOM},
    "history": {"room": ROOM, "limit": 200},
    "presence": {"room": ROOM},
    "rename": {"name": "zoe"},
    "search": {"room": ROOM, "query": "x", "limit": 50},
    "list": {},
    "topic": {"room": ROOM, "topic": "news"},
    "away": {"text": "lunch"},
    "typing": {"room": ROOM},
    "note": {"room": ROOM, "note": "react", "re": "x-1", "key": "+1"},
    "direct": {"name": "ben"},
    "kick": {"name": "ben"},
    "ban": {"who": "ben"},
    "unban": {"who": "ben"},
    "mute": {"name": "ben"},
    "unmute": {"name": "ben"},
    "bans": {},
}


def busy_world(**limits: object) -> World:
    world = World(Limits(**{**UNLIMITED, **limits}))  # type: ignore[arg-type]
    for name in ("ana", "ben"):
        Person(world, name, "", rooms=[{"room": ROOM}])
    return world


@pytest.mark.parametrize("type", REQUESTS)
def test_every_request_is_limited_by_what_it_costs(type: str) -> None:
    burst_s = 0.1
    world = busy_world(work_burst_s=burst_s)
    mallory = Person(world, "mallory", rooms=[{"room": ROOM}])
    count = mallory.until_limited(type, 100_000, **REQUESTS[type])
    assert 0 < count < burst_s / work_budget.FRAME_S
    assert mallory.send(type, **REQUESTS[type])[-1]["retry_after"]


def test_every_command_has_a_price() -> None:
    kinds = {struct.__struct_config__.tag for struct in commands.Command.__args__}
    assert kinds == {*REQUESTS, "hello"}


def price(world: World, peer: Peer, command: commands.Command) -> float:
    return world.hub._prices.price_s(peer, command)


@pytest.mark.parametrize(
    ("cheap", "dear"),
    [
        (commands.Say("x"), commands.Say("x" * 1_000)),
        (commands.Say("x" * 1_000), commands.Say("\u0301" * 1_000)),
        (commands.Rename("x"), commands.Rename("\u0301")),
        (commands.FetchHistory(limit=1), commands.FetchHistory(limit=200)),
        (commands.Search("x", limit=1), commands.Search("x", limit=50)),
        (commands.ListRooms(limit=1), commands.ListRooms()),
        (commands.SetTopic("x"), commands.SetTopic("x" * 4_000)),
        (commands.Join("x" * 48), commands.Join("\u00e9" * 48)),
    ],
    ids=lambda command: str(command)[:40],
)
def test_dearer_requests_have_higher_prices(cheap: commands.Command, dear: commands.Command) -> None:
    world = World()
    peer = Person(world, "ana").peer
    assert price(world, peer, cheap) < price(world, peer, dear)


@pytest.mark.parametrize("build", [
    lambda: commands.Say("x"), lambda: commands.Rename("x"), lambda: commands.ListMembers(),
    lambda: commands.SetTopic("x"), lambda: commands.SetAway(), lambda: commands.Typing(),
    lambda: commands.Say("x", room="#LOBBY"),
])  # fmt: skip
def test_price_grows_with_the_room(build: Callable[[], commands.Command]) -> None:
    world = World(Limits(**UNLIMITED))  # type: ignore[arg-type]
    peer = Person(world, "ana").peer
    alone = price(world, peer, build())
    for number in range(10):
        Person(world, f"user {number}")
    assert price(world, peer, build()) > alone


def test_join_pays_for_its_replay_under_any_spelling() -> None:
    world = World(Limits(**UNLIMITED, idle_room_s=0.0))  # type: ignore[arg-type]
    ana = Person(world, "ana", "", rooms=[{"room": ROOM}])
    peer = Person(world, "ben").peer
    empty = price(world, peer, commands.Join(ROOM, last=100))
    for _ in range(20):
        ana.send("message", message="x" * 10_000, room=ROOM)
    live = price(world, peer, commands.Join(ROOM))
    warm = price(world, peer, commands.Join(ROOM, last=100))
    assert empty == live < warm
    assert warm == pytest.approx(price(world, peer, commands.Join(ROOM.upper(), last=100)))
    ana.send("leave", room=ROOM)
    cold = price(world, peer, commands.Join(ROOM, last=100))
    assert cold >= warm + 20 * BACKFILL_POST_S + 20 * 10_000 / 1_024 * BACKFILL_KIB_S


def test_post_pays_for_indexing_its_words() -> None:
    """Short random words take 4 ms of the storing thread in 16 KiB."""
    world = World(Limits(**UNLIMITED))  # type: ignore[arg-type]
    peer = Person(world, "ben").peer
    short = price(world, peer, commands.Say("x", room="lobby"))
    assert price(world, peer, commands.Say("xyz " * 4_096, room="lobby")) > short + 0.004


def test_returning_pays_for_the_posts_that_were_missed() -> None:
    world = World(Limits(**UNLIMITED))  # type: ignore[arg-type]
    ana = Person(world, "ana", "", rooms=[{"room": ROOM}])
    peer = Person(world, "ben").peer
    for _ in range(20):
        ana.send("message", message="x" * 10_000, room=ROOM)
    everything = price(world, peer, commands.Join(ROOM, last=20))
    epoch = world.hub.rooms.by_name[ROOM].epoch
    assert price(world, peer, commands.Join(ROOM, since=f"{epoch}-19")) < everything / 5
    assert price(world, peer, commands.Join(ROOM, since=f"{epoch}-0")) == pytest.approx(everything)
    assert price(world, peer, commands.Join(ROOM, since="other-19")) == pytest.approx(everything)


def test_page_that_is_cheaper_than_its_price_is_refunded() -> None:
    world = busy_world()
    mallory = Person(world, "mallory", rooms=[{"room": ROOM}])
    full = price(world, mallory.peer, commands.FetchHistory(ROOM, limit=200))
    count = mallory.until_limited("history", room=ROOM, limit=200)
    assert count > 3 * 0.5 / full, "the room is empty"


def test_costly_search_is_paid_afterwards() -> None:
    world = busy_world()
    mallory = Person(world, "mallory", rooms=[{"room": ROOM}])
    hub = world.hub
    for _ in range(3):
        hub.receive(mallory.peer, b'{"type":"search","room":"busy","query":"x"}', world.when)
        for read in hub.effects.take_reads():
            hub.reads.failed(read, RequestError(ErrorCode.SEARCH_TOO_COSTLY, "Too costly."), world.when)
    assert mallory.send("search", room=ROOM, query="x")[-1]["code"] == "rate_limited"


def test_size_is_charged_before_the_text_is_sanitized() -> None:
    world = World(Limits(message_rate=1_000.0, message_burst=1_000, byte_rate=1.0, byte_burst=1_000))
    ana = Person(world, "ana")
    answers = ana.send("message", message="a" + "\u0301" * 1_000, nonce="1")
    assert [frame["type"] for frame in answers if frame["type"] != "message"] == ["ack"]
    assert ana.send("message", message="short", nonce="2")[-1]["code"] == "rate_limited"


def test_rejected_posts_are_not_sanitized(monkeypatch: pytest.MonkeyPatch) -> None:
    sanitized: list[str] = []

    def recorded(text: str, max_bytes: int) -> str:
        sanitized.append(text)
        return clean_post(text, max_bytes)

    monkeypatch.setattr("broadcast_tui.core.hub.posting.clean_post", recorded)
    ana = Person(World(Limits(message_rate=1.0, message_burst=1)), "ana")
    answers = [ana.send("message", message=f"post {number}", nonce=f"{number}") for number in range(3)]
    assert [answer[-1].get("code") for answer in answers] == [None, "rate_limited", "rate_limited"]
    assert sanitized == ["post 0"]


# Addresses


def test_connections_of_an_address_share_its_budget_and_others_have_their_own() -> None:
    world = busy_world()
    people = [Person(world, f"user {number}", rooms=[{"room": ROOM}]) for number in range(5)]
    other = Person(world, "olga", "198.51.100.7", rooms=[{"room": ROOM}])
    people[0].until_limited("history", room=ROOM, limit=200)
    assert people[4].until_limited("history", room=ROOM, limit=200) == 0
    assert other.until_limited("history", room=ROOM, limit=200) > 0


def test_reconnecting_does_not_refill_the_budget() -> None:
    world = busy_world()
    mallory = Person(world, "mallory", rooms=[{"room": ROOM}])
    mallory.peer.budget.charge(0.5, world.when.now)
    world.hub.close(mallory.peer, world.when)
    world.hub.open(Wire(), v1=True, address="x", when=world.when, rate_limit_key=NAT)
    assert world.hub.budgets.of(NAT).debt_wait_s(world.when.now) > 0


def test_exempt_connections_have_no_budget() -> None:
    world = busy_world()
    ana = Person(world, "anna", "", rooms=[{"room": ROOM}])
    assert ana.until_limited("topic", 3_000, room=ROOM, topic="x" * 4_000) == 3_000


def test_a_classroom_behind_one_address_does_not_notice_the_budget() -> None:
    """30 people join three rooms at once, read a page of history, and talk for a minute."""
    world = World(Limits(idle_room_s=0.0))
    names = ("lobby", "maths", "music")
    teacher = Person(world, "teacher", "", rooms=[{"room": name} for name in names])
    for number in range(900):
        world.pass_time(1.0)
        teacher.send(
            "message", message=f"Line {number} of what was said before. " * 3, room=names[number % 3]
        )
    world.hub.close(teacher.peer, world.when)
    world.pass_time(60.0)
    rooms = [{"room": name, "last": 50} for name in names]
    people = [Person(world, f"pupil {number}", rooms=rooms) for number in range(30)]
    answers = [frame for person in people for frame in person.send("history", room="maths", limit=50)]
    for second in range(60):
        world.pass_time(1.0)
        for person in people[second % 3 :: 3]:
            answers += person.send("message", message="That is a good question! \u00e9", room="maths")
            answers += person.send("typing", room="music")
    assert not [frame for frame in answers if frame["type"] == "error"]
    assert len(world.log.posts["maths"]) == 300 + 600


# Peers that go on


def test_going_on_after_rejections_closes_with_4429() -> None:
    world = World(Limits(max_refusals=10, message_rate=1.0, message_burst=1))
    ana = Person(world, "ana")
    for _ in range(1 + 1 + 10):
        ana.send("message", message="x")
    assert ana.peer.closing is None
    ana.send("message", message="x")
    assert ana.peer.closing is not None
    assert ana.peer.closing[0] is CloseCode.TOO_MANY_REQUESTS


def test_client_that_waits_as_told_is_never_closed() -> None:
    world = World(Limits(max_refusals=5, message_rate=10.0, message_burst=1))
    ana, posted = Person(world, "ana"), 0
    while posted < 2_000:
        answer = ana.send("message", message="x", nonce=str(posted))
        errors = [frame for frame in answer if frame["type"] == "error"]
        posted += not errors
        for error in errors:
            world.pass_time(float(str(error["retry_after"])))
        assert ana.peer.closing is None


def test_going_on_while_the_server_is_overloaded_closes_with_1013(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(Limits(max_refusals=10, message_rate=0, message_burst=0))
    ana = Person(world, "ana")
    monkeypatch.setattr(posting, "PENDING_ENTRIES_MAX", 0)
    for _ in range(12):
        world.hub.receive(ana.peer, b'{"type":"message","message":"x"}', world.when)
    assert ana.peer.closing is not None
    assert ana.peer.closing[0] is CloseCode.TRY_AGAIN_LATER


def test_hello_over_the_budget_closes_the_connection() -> None:
    world = busy_world()
    world.hub.budgets.of(NAT).charge(0.5, world.when.now)
    late = Person(world, "late")
    assert not late.peer.welcomed
    assert late.peer.closing is not None
    assert late.peer.closing[0] is CloseCode.TOO_MANY_REQUESTS


def test_second_search_waits_for_the_first() -> None:
    world = World()
    ana = Person(world, "ana")
    hub = world.hub
    for ref in ("1", "2"):
        hub.receive(ana.peer, b'{"type":"search","query":"x","ref":"%s"}' % ref.encode(), world.when)
    assert [read.ref for read in hub.effects.reads] == ["1"]  # type: ignore[union-attr]
    error, found = ana.send("search", query="x", ref="3"), ana.send("search", query="x", ref="4")
    assert [frame["ref"] for frame in error if frame["type"] == "error"] == ["2", "3"]
    assert found[-1]["type"] == "search"


def test_pages_that_are_being_read_are_limited() -> None:
    world = World(Limits(history_rate=0))
    ana = Person(world, "ana")
    for _ in range(100):
        world.hub.receive(ana.peer, b'{"type":"history"}', world.when)
    assert len(world.hub.effects.reads) == 20
    world.serve()
    assert ana.peer.reads == []
