"""Logs that fork while clients of several nodes read, write, lag, leave and return.

Whatever happens: once everything has arrived, each client shows the log from where it started, in order, each
entry once, and knows of everything else that it has missed or that was lost.
"""

from __future__ import annotations

from itertools import count
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from broadcast_tui.core.hub.history import Read
from broadcast_tui.core.limits import Limits
from broadcast_tui.core.notes import Entry, Note
from broadcast_tui.core.post import Position, Post
from broadcast_tui.core.post_state import NoteKind
from broadcast_tui.core.session import updates as up
from broadcast_tui.core.session.session import ClientSession
from tests.support.history_check import label_of
from tests.support.hub_cluster import Client, HubCluster, Node
from tests.support.log_view import LogView, Shown, position_of

ROOM = "lobby"
LIMITS = Limits(message_rate=0, message_burst=0, history_rate=1_000_000, ring_posts=4)


class Person:
    """Somebody with a client of the library."""

    def __init__(self, cluster: HubCluster, name: str) -> None:
        nonces = count(1)
        self.session = ClientSession(
            client_id=f"id-{name}", make_nonce=lambda: f"{name}.{next(nonces)}", name=name, rooms=[(ROOM, 3)]
        )
        self.view = LogView(name, ROOM)
        self.client: Client | None = None
        self.own: dict[str, str] = {}
        """Labels of own posts that have arrived, by id."""
        self._cluster = cluster
        self._numbers = count(1)

    def connect(self, node: Node) -> None:
        self.client = node.connect()
        self.session.connected()
        self.pump()

    def cut(self) -> None:
        if self.client is not None:
            self.client.close()
            self.client = None
            self.session.disconnected(up.ConnectionState.WAITING, "cut", 1.0)
            self.pump()

    def say(self) -> None:
        self.session.say(ROOM, f"{self.view.who} {next(self._numbers)} said", self._cluster.when.now)
        self.pump()

    def edit(self) -> None:
        if self.own:
            post_id, label = [*self.own.items()][-1]
            text = f"{label} edited {next(self._numbers)}"
            self.session.send_note(ROOM, post_id, NoteKind.EDIT, self._cluster.when.now, text=text)
            self.pump()

    def pump(self) -> bool:
        """Exchange frames with the node; returns whether there were any."""
        moved = False
        if self.client is not None:
            while self.client.wire.to_client:
                self.session.receive(self.client.wire.to_client.popleft(), self._cluster.when)
                self._follow()
                moved = True
        outgoing = self.session.pop_outgoing()
        if self.client is not None:
            self.client.wire.to_server.extend(outgoing)
            moved |= bool(outgoing)
        self._follow()
        return moved

    def _follow(self) -> None:
        for update in self.session.pop_updates():
            self._apply(update)

    def _apply(self, update: up.Update) -> None:
        view = self.view
        match update:
            case up.PostArrived(post=post):
                self._add(post.position, Shown(post.position.seq, label(post), post.text, post.state.folded))
                if update.own:
                    self.own[str(post.position)] = label(post)
            case up.NoteArrived(note=note):
                self._add(note.position, Shown(note.position.seq, label(note)))
                for shown in view.shown:
                    if shown.seq == note.re and note.post is not None and note.kind is NoteKind.EDIT:
                        shown.text, shown.changed = note.post.text, note.position.seq
            case up.RoomEntered() if view.position is None:
                view.position = self.session.cursors[ROOM].position
            case up.GapFound(count=None):
                view.faults.append(f"{view.who}: a gap of unknown length")
            case up.GapFound(count=int(missing)):
                assert view.position is not None
                first = view.position.seq + 1
                view.skipped.append(range(first, first + missing))
                view.position = view.position._replace(seq=first + missing - 1)
                for shown in view.shown:
                    shown.text = None
            case up.EpochChanged(former=former):
                if view.position is not None and view.position.epoch != former:
                    view.faults.append(f"{view.who}: {update} at {view.position}")
                if view.position is not None:
                    view.position = Position(update.epoch, view.position.seq)
                self.own = {update.follow_id(post_id): label for post_id, label in self.own.items()}
            case up.Withdrawn(position=first):
                assert view.position is not None
                if view.position.seq - first.seq + 1 != update.count and update.count:
                    view.faults.append(f"{view.who}: {update} at {view.position}")
                view.shown = [shown for shown in view.shown if shown.seq < first.seq]
                view.skipped = [range(gap.start, min(gap.stop, first.seq)) for gap in view.skipped]
                for shown in view.shown:
                    if shown.changed >= first.seq:
                        shown.text, shown.changed = None, 0
                view.position = Position(first.epoch, min(view.position.seq, first.seq - 1))
                self.own = {
                    post_id: label
                    for post_id, label in self.own.items()
                    if position_of(post_id).seq < first.seq
                }

    def _add(self, at: Position, shown: Shown) -> None:
        view = self.view
        if view.position is not None and at != view.position._replace(seq=view.position.seq + 1):
            view.faults.append(f"{view.who}: {at} arrived at {view.position}")
        view.position = at
        view.shown.append(shown)


class Script:
    """A v1 client of its own, perhaps without epochs."""

    def __init__(self, cluster: HubCluster, name: str, *, epochs: bool) -> None:
        self.view = LogView(name, ROOM)
        self.client: Client | None = None
        self._cluster = cluster
        self._epochs = epochs

    def connect(self, node: Node) -> None:
        self.client = node.connect()
        since = {} if self.view.position is None else {"since": str(self.view.position)}
        hello: dict[str, Any] = {"epochs": True} if self._epochs else {}
        self.client.send("hello", notes=True, rooms=[{"room": ROOM} | since], **hello)

    def cut(self) -> None:
        if self.client is not None:
            self.pump()
            self.client.close()
            self.client = None

    def pump(self) -> bool:
        if self.client is None:
            return False
        frames = self.client.frames()
        for frame in frames:
            match frame["type"]:
                case "welcome":
                    self.view.enter(frame["rooms"][0])
                case "message" | "note" | "gap" | "epoch":
                    self.view.receive(frame)
        self.client.clear()
        return bool(frames)


def label(entry: Entry) -> str:
    return f"{entry.kind.value} {entry.re}" if isinstance(entry, Note) else label_of(entry.text)


def shown_of(log: list[Entry]) -> list[Shown]:
    return [
        Shown(entry.position.seq, label(entry), entry.text if isinstance(entry, Post) else "")
        for entry in log
    ]


class Forks(RuleBasedStateMachine):
    """Two nodes, two people, and two scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.cluster = HubCluster(2, LIMITS)
        self.people = [Person(self.cluster, name) for name in ("ana", "bob")]
        self.scripts = [Script(self.cluster, "new", epochs=True), Script(self.cluster, "old", epochs=False)]
        self.clients: list[Person | Script] = [*self.people, *self.scripts]
        self.reads: list[tuple[Node, Read, list[Entry]]] = []
        self._epochs = count(2)
        for number, client in enumerate(self.clients):
            client.connect(self.cluster[1 + number % 2])
        self.settle()

    # -- people

    @rule(who=st.integers(0, 1), times=st.integers(1, 6))
    def say(self, who: int, times: int) -> None:
        for _ in range(times):
            self.people[who].say()

    @rule(who=st.integers(0, 1))
    def edit(self, who: int) -> None:
        self.people[who].edit()

    @rule(who=st.integers(0, 3))
    def cut(self, who: int) -> None:
        self.clients[who].cut()

    @rule(who=st.integers(0, 3), node=st.integers(1, 2))
    def connect(self, who: int, node: int) -> None:
        self.clients[who].cut()
        self.clients[who].connect(self.cluster[node])

    @rule(who=st.integers(0, 3))
    def read_slowly(self, who: int) -> None:
        client = self.clients[who].client
        if client is not None and client.wire.peer is not None:
            client.wire.peer.blocked = True

    @rule(who=st.integers(0, 3))
    def pump(self, who: int) -> None:
        self.clients[who].pump()

    # -- nodes

    @rule(node=st.integers(1, 2), work=st.sampled_from(["receive", "append", "follow", "write", "collect"]))
    def work(self, node: int, work: str) -> None:
        self.start_reads()
        getattr(self.cluster[node], work)()

    @rule(node=st.integers(1, 2))
    def answer(self, node: int) -> None:
        if self.cluster[node].preparations:
            self.cluster[node].answer()

    @rule()
    def start_reads(self) -> None:
        """Read now, and deliver later."""
        for node in self.cluster.nodes.values():
            for read in node.hub.effects.take_reads():
                self.reads.append((node, read, self.cluster.log.read(read)))

    @precondition(lambda self: self.reads)
    @rule()
    def finish_read(self) -> None:
        node, read, entries = self.reads.pop(0)
        node.hub.reads.done(read, entries)

    # -- the log

    @rule(lost=st.integers(0, 6))
    def fork(self, lost: int) -> None:
        seq = max(0, self.cluster.log.last_seq(ROOM) - lost)
        self.cluster.fork(ROOM, seq, f"e{next(self._epochs)}")

    @rule(room=st.just(ROOM))
    def trim(self, room: str) -> None:
        self.cluster.log.trim(room, max(0, self.cluster.log.last_seq(room) - 6))

    # -- the end

    def settle(self) -> None:
        while True:
            while self.reads:
                self.finish_read()
            for client in self.clients:
                peer = client.client.wire.peer if client.client is not None else None
                if peer is not None and peer.blocked:
                    peer.blocked = False
                    client.client.node.hub.effects.dirty_peers.add(peer)  # type: ignore[union-attr]
            self.cluster.settle()
            moved = [client.pump() for client in self.clients]
            if not any(moved):
                break

    @rule()
    def check(self) -> None:
        for number, client in enumerate(self.clients):
            if client.client is None:
                client.connect(self.cluster[1 + number % 2])
        self.settle()
        log = self.cluster.log
        shown = shown_of(log.entries.get(ROOM, []))
        for client in self.clients:
            faults = client.view.faults_against(shown, log.epoch_of(ROOM))
            assert faults == [], faults
        for person in self.people:
            assert person.session.unacknowledged == 0

    @invariant()
    def nothing_is_doubled(self) -> None:
        texts = [post.text for post in self.cluster.log.posts.get(ROOM, [])]
        assert len(texts) == len(set(texts))

    def teardown(self) -> None:
        self.check()


TestForks = Forks.TestCase
TestForks.settings = settings(max_examples=60, stateful_step_count=40)
