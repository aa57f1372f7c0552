"""Random histories of three nodes: all of them, and all clients, agree with a simple model on the members."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from broadcast_tui.core.hub.auth import Identity, Role
from broadcast_tui.core.hub.peer import Peer
from broadcast_tui.core.limits import Limits
from tests.core.hub.test_authorization import StubAuthenticator
from tests.support.hub_cluster import Client, HubCluster, Node
from tests.support.profile import by_profile

NODES = 3
ROOMS = ("lobby", "dev")
NAMES = ("ana", "bob", "eve", "zoe")
GRACE_S = 5.0
ROOT = Identity("t-root", "root2", Role.ADMIN)
LIMITS = Limits(
    message_rate=0,
    message_burst=0,
    history_rate=1_000,
    presence_rate=1_000,
    presence_burst=1_000,
    leave_grace_s=GRACE_S,
    max_errors=100_000,
)

people, texts = st.sampled_from(NAMES), st.sampled_from(("", "lunch", "tea"))


@dataclass
class View:
    """A room as a client knows it from its frames."""

    members: set[str] = field(default_factory=set)
    online: int | None = 0
    """None after a rename of one's own, until the next line."""
    renamed: set[str] = field(default_factory=set)
    """Former names: with several connections, a client cannot know whether the person is still there."""

    def rename(self, old: str, new: str) -> None:
        self.members.discard(old)
        self.members.add(new)
        self.renamed.discard(new)
        if old and old != new:
            self.renamed.add(old)


class Person:
    """A connection, with what its client knows."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.name = ""
        self.views: dict[str, View] = {}
        self.away: dict[str, str] = {}
        assert client.wire.peer is not None
        self.peer: Peer = client.wire.peer

    @property
    def node(self) -> Node:
        return self.client.node

    @property
    def is_open(self) -> bool:
        return self.node.hub.peers.get(self.peer.id) is self.peer

    def read(self) -> None:
        """Apply the frames that have arrived."""
        frames = self.client.frames()
        for frame in frames:
            match frame["type"]:
                case "welcome":
                    self.name = frame["name"]
                    self.views = {room["room"]: View(online=room["online"]) for room in frame["rooms"]}
                case "joined":
                    self.views[frame["room"]] = View(online=frame["online"])
                case "left":
                    self.views.pop(frame["room"], None)
                case "presence":
                    view = self.views[frame["room"]]
                    view.members = {member["name"] for member in frame["members"]}
                    for member in frame["members"]:
                        self._set_away(member["name"], member.get("away"))
                    view.online = frame["online"]
                    view.renamed.clear()
                case "system" if "online" in frame and frame.get("room") in self.views:
                    self._read_line(self.views[frame["room"]], frame)
                case "renamed":
                    for view in self.views.values():
                        view.rename(self.name, frame["name"])
                        view.online = None
                    self._rename_away(self.name, frame["name"])
                    self.name = frame["name"]
                case "away":
                    self._set_away(frame["name"], frame.get("text", "") if frame["away"] else None)
        frames.clear()
        self.client.received.clear()

    def _read_line(self, view: View, frame: dict[str, object]) -> None:
        view.online = frame["online"]  # type: ignore[assignment]
        names: list[str] = list(frame.get("names") or [frame.get("name")])  # type: ignore[call-overload]
        match frame["event"]:
            case "join":
                view.members.update(filter(None, names))
                view.renamed.difference_update(names)
            case "leave":
                view.members.difference_update(names)
                for name in names:
                    if not any(name in other.members for other in self.views.values()):
                        self._set_away(name, None)
            case "rename" if len(names) == 2:
                view.rename(*names)
                self._rename_away(*names)

    def _set_away(self, name: str, text: str | None) -> None:
        self.away.pop(name, None)
        if text is not None:
            self.away[name] = text

    def _rename_away(self, old: str, new: str) -> None:
        if old in self.away:
            self.away[new] = self.away.pop(old)


class ClusterMachine(RuleBasedStateMachine):
    """People come and go on three nodes. Between two checks, signals are on their way, or lost and read."""

    def __init__(self) -> None:
        super().__init__()
        self.cluster = HubCluster(NODES, LIMITS, StubAuthenticator(ROOT, needs_token=False))
        self.numbers = count(NODES + 1)
        self.connections: list[Person] = []
        self.grace: dict[tuple[str, str, str], float] = {}
        """Ends of grace periods, by node, room and name."""
        self.leaving: dict[tuple[str, str, str], float] = {}
        """The same for members of dead nodes, by the node that knew them."""
        self.away: dict[str, str] = {}
        self.unsure: set[str] = set()
        """People from dead nodes: they are still away if they return to a node that knew it."""
        self.ending: set[str] = set()
        """People whose away status has ended; nodes may not know it yet."""
        self.rooms_before: list[str] = []

    # -- the model

    def open(self) -> list[Person]:
        return [person for person in self.connections if person.is_open]

    def idle(self) -> list[Person]:
        """Connections past their hello, of which no command waits."""
        return [p for p in self.open() if p.peer.subscriptions and not p.client.wire.is_held]

    def has(self, node: str, room: str, name: str) -> bool:
        return any(
            p.node.name == node and p.peer.name == name and room in p.peer.subscriptions for p in self.open()
        )

    def members(self, room: str) -> set[str]:
        present = {p.peer.name for p in self.open() if room in p.peer.subscriptions}
        return present | {name for _, other, name in self.grace if other == room}

    def known_members(self, node: str, room: str) -> set[str]:
        """The members that a node knows."""
        leaving = {name for other, place, name in self.leaving if (other, place) == (node, room)}
        return self.members(room) | leaving

    def lost(self, person: Person) -> None:
        """Start the grace periods of a connection that has closed."""
        name, node = person.peer.name, person.node.name
        for room in self.rooms_before:
            if not self.has(node, room, name):
                self.grace[node, room, name] = self.cluster.when.now + GRACE_S

    def pick(self, number: int) -> Person:
        idle = self.idle()
        return idle[number % len(idle)]

    def node(self, number: int) -> Node:
        return list(self.cluster.nodes.values())[number % NODES]

    @invariant()
    def follow_the_grace_periods(self) -> None:
        now = self.cluster.when.now
        self.grace = {
            (node, room, name): until
            for (node, room, name), until in self.grace.items()
            if until > now and node in self.cluster.nodes and not self.has(node, room, name)
        }
        self.leaving = {
            (node, room, name): until
            for (node, room, name), until in self.leaving.items()
            if until > now and node in self.cluster.nodes
        }
        present = {name for room in ROOMS for name in self.members(room)}
        self.unsure &= present | {name for _, _, name in self.leaving}
        self.ending |= self.away.keys() - present
        self.away = {name: text for name, text in self.away.items() if name in present}

    def settle(self) -> None:
        """Move everything until nothing is on its way."""
        self.cluster.settle()
        self.follow_the_grace_periods()
        # Who returned to a node before it knew of the end of their grace period may still be away.
        self.unsure |= {name for name in self.ending if any(name in self.members(room) for room in ROOMS)}
        self.ending.clear()

    # -- what people do

    @initialize()
    def start(self) -> None:
        for number, name in enumerate(NAMES[:2]):
            self.come(name, number, dev=False)
        self.agree()

    @rule(name=people, number=st.integers(0, NODES - 1), dev=st.booleans())
    def come(self, name: str, number: int, dev: bool) -> None:
        rooms = [{"room": room} for room in (ROOMS if dev else ROOMS[:1])]
        client = self.node(number).connect()
        client.send("hello", name=name, client_id=f"id-{name}", rooms=rooms)
        for room in rooms:
            client.send("presence", room=room["room"], ref="p")
        self.connections.append(Person(client))
        client.node.receive()

    @precondition(lambda self: bool(self.idle()))
    @rule(number=st.integers(0, 20))
    def disconnect(self, number: int) -> None:
        person = self.pick(number)
        self.rooms_before = list(person.peer.subscriptions)
        person.client.close()
        self.lost(person)

    @precondition(lambda self: bool(self.idle()))
    @rule(number=st.integers(0, 20))
    def enter_or_leave_dev(self, number: int) -> None:
        client = self.pick(number).client
        is_in = "dev" in self.pick(number).peer.subscriptions
        client.send("leave" if is_in else "join", room="dev", ref="j")
        if not is_in:
            client.send("presence", room="dev", ref="p")
        client.node.receive()

    @precondition(lambda self: bool(self.idle()))
    @rule(number=st.integers(0, 20), name=people)
    def rename(self, number: int, name: str) -> None:
        self.settle()
        person = self.pick(number)
        old = person.peer.name
        text, is_unsure = self.away.get(old), old in self.unsure
        person.client.send("rename", name=name, ref="r")
        self.settle()
        if person.peer.name != old:
            self.unsure |= {name} if is_unsure else set()
            # Dead nodes may have had the old name with another status, for the person who takes it next.
            self.unsure |= {old} & {known for _, _, known in self.leaving}
            if text is not None:
                self.away[name] = text

    @precondition(lambda self: bool(self.idle()))
    @rule(number=st.integers(0, 20), text=texts)
    def set_away(self, number: int, text: str) -> None:
        self.settle()
        person = self.pick(number)
        person.client.send("away", away=bool(text), text=text, ref="a")
        self.settle()
        self.away.pop(person.peer.name, None)
        self.unsure.discard(person.peer.name)
        if text:
            self.away[person.peer.name] = text

    @rule(number=st.integers(0, NODES - 1), name=people, is_ban=st.booleans())
    def kick(self, number: int, name: str, is_ban: bool) -> None:
        self.settle()
        if any(key_name == name for _, _, key_name in self.grace):
            return  # it would end the away status, but not the grace periods in other rooms
        admin = self.node(number).connect(identity=ROOT, address="198.51.100.1:1")
        admin.send("hello", name=ROOT.name, presence=False)
        if is_ban:
            admin.send("ban", who=name, ref="m")
            admin.send("unban", who=name, ref="m")
        else:
            admin.send("kick", name=name, ref="m")
        self.settle()
        admin.close()
        self.settle()

    # -- what happens to nodes and signals

    @rule(number=st.integers(0, NODES - 1))
    def replace_node(self, number: int) -> None:
        self.settle()
        dying = self.node(number)
        places = {(room, name) for node, room, name in self.grace if node == dying.name}
        for person in self.open():
            if person.node is dying:
                places |= {(room, person.peer.name) for room in person.peer.subscriptions}
        killed = self.cluster.kill(dying.name)
        until = self.cluster.when.now + GRACE_S
        for node in self.cluster.nodes.values():
            known = [(room, name) for room, name in places if room in node.hub.rooms.by_name]
            self.leaving.update({(node.name, room, name): until for room, name in known})
        self.unsure |= {name for _, name in places}
        self.connections = [person for person in self.connections if person.node is not killed]
        self.cluster.start(f"n{next(self.numbers)}")

    @rule(number=st.integers(0, NODES - 1))
    def lose_signals(self, number: int) -> None:
        for node in self.cluster.nodes.values():
            node.collect()
        self.node(number).lose_signals()
        self.node(number).load_rosters()

    @rule(number=st.integers(0, NODES - 1))
    def run_a_node(self, number: int) -> None:
        self.cluster.run(self.node(number))

    @rule(number=st.integers(0, NODES - 1), source=st.integers(0, NODES - 1))
    def deliver_a_signal(self, number: int, source: int) -> None:
        self.node(source).collect()
        self.node(number).deliver(self.node(source).name)

    @rule(seconds=st.sampled_from((0.5, 2.0, GRACE_S, 20.0)))
    def pass_time(self, seconds: float) -> None:
        self.cluster.pass_time(seconds)

    # -- what must hold

    @rule()
    def agree(self) -> None:
        self.settle()
        self.cluster.pass_time(0.0)  # sends the lines that wait for the next tick
        self.settle()
        for room in ROOMS:
            self.check_nodes(room)
        for person in self.idle():
            person.read()
            assert person.views.keys() == person.peer.subscriptions.keys()
            for room, view in person.views.items():
                self.check_view(person.node.name, room, view)
                for name in view.members & self.members(room):
                    assert person.away.get(name) == self.away.get(name)

    def check_nodes(self, room: str) -> None:
        for node in self.cluster.nodes.values():
            if (here := node.hub.rooms.by_name.get(room)) is None:
                continue
            expected = self.known_members(node.name, room)
            assert {name for name, _ in here.presence.members(100)} == expected
            assert here.presence.online == len(expected)
            for name in self.members(room):
                text = node.hub.away.of(here.presence, name)
                if name in self.unsure:
                    self.unsure.discard(name)
                    self.away.update({name: text} if text is not None else {})
                    if text is None:
                        self.away.pop(name, None)
                assert text == self.away.get(name)

    def check_view(self, node: str, room: str, view: View) -> None:
        expected = self.known_members(node, room)
        assert view.online in (None, len(expected))
        assert view.members | (view.renamed & expected) == expected

    def teardown(self) -> None:
        self.agree()


ClusterMachine.TestCase.settings = settings(
    max_examples=by_profile(60, 2_000),
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestClusterMachine = pytest.mark.timeout(by_profile(120, 600))(ClusterMachine.TestCase)


# -- histories that have failed


def test_a_rename_of_one_of_two_connections_of_a_person_who_is_away() -> None:
    machine = ClusterMachine()
    machine.start()
    machine.disconnect(number=0)
    machine.set_away(number=0, text="lunch")
    machine.come(name="bob", number=0, dev=False)
    machine.rename(number=0, name="eve")
    machine.rename(number=1, name="bob")
    machine.agree()
    machine.rename(number=1, name="zoe")
    machine.agree()
    assert machine.away == {"eve": "lunch", "zoe": "lunch"}


def test_a_rename_of_a_person_who_has_returned_as_their_away_status_ended() -> None:
    machine = ClusterMachine()
    machine.start()
    machine.set_away(number=1, text="tea")
    machine.disconnect(number=1)
    machine.settle()
    machine.pass_time(GRACE_S)
    machine.follow_the_grace_periods()
    machine.come(name="bob", number=0, dev=False)
    machine.rename(number=1, name="zoe")
    machine.agree()
    assert machine.away == {"zoe": "tea"}  # the node of the return read it before it learned of the end


def test_a_rename_to_the_name_of_a_person_who_was_away_on_a_dead_node() -> None:
    machine = ClusterMachine()
    machine.start()
    machine.kick(number=0, name="ana", is_ban=False)
    machine.set_away(number=0, text="lunch")
    machine.come(name="ana", number=0, dev=False)
    machine.replace_node(number=1)
    machine.come(name="ana", number=1, dev=False)
    machine.rename(number=0, name="bob")
    machine.agree()
    assert machine.away == {"bob": "lunch"}


def test_a_name_that_was_given_up_is_taken_while_a_dead_node_knows_its_status() -> None:
    machine = ClusterMachine()
    machine.start()
    machine.come(name="ana", number=1, dev=False)
    machine.kick(number=0, name="bob", is_ban=False)
    machine.set_away(number=0, text="tea")
    machine.replace_node(number=0)
    machine.set_away(number=0, text="tea")
    machine.rename(number=0, name="zoe")
    machine.come(name="bob", number=0, dev=False)
    machine.rename(number=1, name="ana")
    machine.agree()
    assert machine.away == {"zoe": "tea", "ana": "tea"}
