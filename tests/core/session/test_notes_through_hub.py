"""Sessions and a hub over failing connections: each note is stored once, in order, and for its own post."""

from __future__ import annotations

from collections import Counter

from hypothesis import example, given
from hypothesis import strategies as st

from broadcast_tui.core.notes import apply_note, merged
from broadcast_tui.core.post import Position, Post
from broadcast_tui.core.post_state import NoteKind
from broadcast_tui.core.protocol import commands
from broadcast_tui.core.session import updates as up
from tests.support.hub_pair import User, World
from tests.support.note_check import Change, expected_views, view_of

NAMES = ("ana", "bob")
ASK = commands.Question(("yes", "no"), 86_400.0, (*NAMES, "absent"))
EMOJI = ("👍", "✅")


class Person:
    """A user, what the user has sent, and the posts on the screen."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.user = world.user(name)
        self.posted: dict[str, str] = {}
        self.changes: list[Change] = []
        self.posts: dict[Position, Post] = {}
        self._read = 0

    def say(self, number: int, re: str = "") -> None:
        text = f"{self.user.session.name} {len(self.posted)}"
        ask = ASK if number % 3 == 0 else None
        nonce = self.user.session.say("lobby", text, self.world.when.now, re=re, ask=ask)
        self.posted[nonce] = text
        self.user.collect()

    def change(self, kind: NoteKind, re: str, text: str, on: bool = True) -> None:
        session = self.user.session
        nonce = session.send_note("lobby", re, kind, self.world.when.now, text=text, on=on)
        self.changes.append(Change(nonce, "lobby", re, kind, text, on))
        self.user.collect()

    def read(self) -> None:
        for update in self.user.updates[self._read :]:
            match update:
                case up.PostArrived(post=post):
                    known = self.posts.get(post.position)
                    self.posts[post.position] = post if known is None else merged(known, post)
                case up.NoteArrived(note=note):
                    target = Position(note.position.epoch, note.re)
                    self.posts[target] = apply_note(self.posts[target], note)
        self._read = len(self.user.updates)


Step = tuple[str, int, int, bool]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            (
                *("say", "reply", "edit", "edit", "react", "answer"),
                *("cut", "ghost", "return", "move a little", "move", "wait", "restart"),
            )
        ),
        st.integers(0, 1),
        st.integers(0, 20),
        st.booleans(),
    ),
    max_size=50,
)


@example(
    # A reaction is stored, but not announced when the server ends.
    [
        *(("say", 0, 1, True), ("move", 0, 0, True)),
        *(("react", 1, 0, True), ("move", 0, 0, True), ("react", 1, 1, True), ("move", 0, 0, True)),
        ("restart", 0, 0, True),
    ]
)
@given(STEPS)
def test_notes_survive_failing_connections(steps: list[Step]) -> None:
    world = World()
    people = [Person(world, name) for name in NAMES]
    for step in steps:
        carry_out(step, world, people)
    settle(world, people)
    check(world, people)


def carry_out(step: Step, world: World, people: list[Person]) -> None:
    action, who, number, on = step
    person = people[who]
    person.read()
    own, seen = list(person.posted), list(person.posts)
    match action:
        case "say":
            person.say(number)
        case "reply" if own:
            person.say(number, own[number % len(own)])
        case "edit" if own:
            nonce = own[number % len(own)]
            person.change(NoteKind.EDIT, nonce, f"{person.posted[nonce]} edited {len(person.changes)}")
        case "react" if seen:
            target = str(seen[number // 2 % len(seen)])
            person.change(NoteKind.REACT, target, EMOJI[number % 2], on)
        case "answer":
            asks = [post.position for post in person.posts.values() if post.state.ask is not None]
            if asks:
                target = str(asks[number % len(asks)])
                person.change(NoteKind.ANSWER, target, ASK.choices[int(on)])
        case "cut" | "ghost":
            person.user.cut(noticed=action == "cut")
        case "return" if person.user.wire is None:
            person.user.connect()
        case "move a little":
            world.serve()
            world.deliver(person.user, number % 4)
        case "move":
            world.step()
        case "wait":
            world.pass_time(number / 10)
        case "restart":
            world.restart(keep_log=True)


def settle(world: World, people: list[Person]) -> None:
    """Reconnect, and let everything be sent and announced."""
    for person in people:
        if person.user.wire is None:
            person.user.connect()
    for _ in range(5):
        world.step()
        world.pass_time(2.0)
    world.step()
    for person in people:
        person.read()
        assert person.user.session.unacknowledged == 0


def check(world: World, people: list[Person]) -> None:
    positions: dict[str, Position] = {}
    for person in people:
        for update in delivered(person.user):
            if isinstance(update, up.PostDelivered):
                position = Position.parse(update.post_id)
                assert position is not None
                positions[update.nonce] = position
        sent = [*person.posted, *(change.nonce for change in person.changes)]
        assert Counter(update.nonce for update in delivered(person.user)) == Counter(sent)
        arrived = [
            (update.note if isinstance(update, up.NoteArrived) else update.post).position.seq
            for update in person.user.updates
            if isinstance(update, up.PostArrived | up.NoteArrived)
        ]
        assert arrived == list(range(1, world.log.last_seq("lobby") + 1))
        own = Counter(
            update.note.nonce
            for update in person.user.updates
            if isinstance(update, up.NoteArrived) and update.own
        )
        assert set(own.values()) <= {1}
        assert own.keys() <= {change.nonce for change in person.changes}
    posted = {positions[nonce]: text for person in people for nonce, text in person.posted.items()}
    changes = [(person.user.session.name, person.changes) for person in people]
    expected = expected_views(posted, changes, lambda re: positions.get(re) or Position.parse(re))
    for person in people:
        assert {position: view_of(post) for position, post in person.posts.items()} == expected


def delivered(user: User) -> list[up.PostDelivered | up.NoteDelivered]:
    return [update for update in user.updates if isinstance(update, up.PostDelivered | up.NoteDelivered)]
