"""Clients end with the posts of the server, whatever the order of notes, pages, replays and duplicates."""

from __future__ import annotations

from collections import deque
from itertools import count

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st

from broadcast_tui.core.clock import Instant
from broadcast_tui.core.errors import RequestError
from broadcast_tui.core.notes import Entry, NewNote, NewSummary, Note, apply_note, fold, is_coalesced, merged
from broadcast_tui.core.post import Position, Post
from broadcast_tui.core.post_state import COALESCED, NO_STATE, Ask, NoteKind, PostState
from broadcast_tui.core.protocol import commands, events
from broadcast_tui.core.protocol.codec import decode_command, encode
from broadcast_tui.core.protocol.entries import event_of, message_of, note_event_of, post_of
from broadcast_tui.core.session import updates as up
from broadcast_tui.core.session.session import ClientSession
from tests.support.hub_pair import EPOCH

AT = "2026-01-01T00:00:00.000+00:00"
UNTIL = "2027-01-01T00:00:00.000+00:00"
WHEN = Instant(100.0, EPOCH)
LAST = 5
"""Number of posts that clients request at first."""
WORDS = ("one", "two", "three")
VOTERS = ("ana", "bob", "zoë")


class Log:
    """The log of a room: what each seq is, and the current state of the posts."""

    def __init__(self) -> None:
        self.posts: dict[int, Post] = {}
        self.entries: list[Post | Note] = []

    @property
    def head(self) -> int:
        return len(self.entries)

    def post(self, text: str) -> Entry:
        seq = self.head + 1
        ask = Ask(("yes", "no"), UNTIL, len(VOTERS), VOTERS) if seq % 3 == 0 else None
        state = PostState(ask=ask) if ask is not None else NO_STATE
        post = Post("lobby", Position("e", seq), "ana", text, EPOCH, author="a", state=state)
        self.posts[seq] = post
        self.entries.append(post)
        return post

    def change(self, new: NewNote | NewSummary) -> Note | None:
        """Append a note; None if there is none, as after votes, which a summary announces."""
        post = self.posts.get(new.re)
        if post is None:
            return None
        seq = self.head + 1
        try:
            folded = fold(post, new, seq)
        except RequestError:
            return None
        if folded is post:
            return None
        self.posts[new.re] = folded
        if is_coalesced(new):
            return None
        by = new.by if isinstance(new, NewNote) else ""
        note = Note("lobby", Position("e", seq), new.kind, new.re, by, EPOCH, folded)
        self.entries.append(note)
        return note

    def event(self, seq: int) -> events.Message | events.Note:
        """An entry as it is read: with the current state of its post."""
        entry = self.entries[seq - 1]
        if isinstance(entry, Note):
            return note_event_of(msgspec.structs.replace(entry, post=self.posts[entry.re]))
        return message_of(self.posts[seq])

    def settle(self) -> list[Note]:
        """Announce all votes."""
        changes = [NewSummary("lobby", seq, kind, EPOCH) for seq in self.posts for kind in COALESCED]
        return [note for change in changes if (note := self.change(change)) is not None]


class Client:
    """A client and its room as a screen has it, with frames in transit that may be lost and doubled."""

    def __init__(self, log: Log) -> None:
        self.log = log
        numbers = count(1)
        self.session = ClientSession(
            client_id="id", make_nonce=lambda: f"n{next(numbers)}", name="ana", rooms=(("lobby", LAST),)
        )
        self.transit: deque[bytes] = deque()
        self.pages: list[events.History] = []
        self.posts: dict[int, Post] = {}
        self.connect()
        self.receive(len(self.transit))

    def connect(self) -> None:
        self.transit.clear()
        self.pages.clear()
        self.session.disconnected(up.ConnectionState.WAITING, "cut", 1.0)
        self.session.connected()
        position = self.session.cursors["lobby"].position
        start = position.seq if position is not None else self.log.head - LAST
        head = self.log.head
        limits = events.LimitsInfo(1_000, 0.0, 0, 200, 32)
        room = events.RoomState("lobby", f"e-{head}", True, head - start, 1)
        self.send(events.Welcome("ana", "n1", AT, 25.0, limits, (room,)))
        self.send(*(self.log.event(seq) for seq in range(start + 1, head + 1)))
        self.send(events.Synced("lobby", f"e-{head}"))

    def send(self, *frames: events.Event) -> None:
        self.transit.extend(encode(frame) for frame in frames)

    def request_page(self, before: int) -> None:
        if self.session.welcomed:
            self.session.request(lambda ref: commands.FetchHistory("lobby", ref, f"e-{before}", limit=4))

    def read(self) -> None:
        """Read the pages that the client has requested, as they are now."""
        for data in self.session.pop_outgoing():
            command = decode_command(data)
            if isinstance(command, commands.FetchHistory):
                seqs = range(1, self.log.head + 1)
                if command.after:
                    after = Position.parse(command.after)
                    assert after is not None
                    page = [seq for seq in seqs if seq > after.seq][: command.limit]
                else:
                    before = Position.parse(command.before)
                    assert before is not None
                    page = [seq for seq in seqs if seq < before.seq][-command.limit :]
                self.pages.append(
                    events.History(command.ref, "lobby", tuple(map(self.log.event, page)), True)
                )

    def send_pages(self) -> None:
        """Send the pages that were read."""
        self.send(*self.pages)
        self.pages.clear()

    def receive(self, number: int, *, twice: bool = False) -> None:
        for _ in range(min(number, len(self.transit))):
            data = self.transit.popleft()
            for _ in range(2 if twice else 1):
                self.session.receive(data, WHEN)
            for update in self.session.pop_updates():
                self.apply(update)

    def apply(self, update: up.Update) -> None:
        match update:
            case up.PostArrived(post=post):
                self.load(post)
            case up.HistoryFetched(posts=posts):
                for post in posts:
                    self.load(post)
            case up.NoteArrived(note=note):
                if (known := self.posts.get(note.re)) is not None:
                    self.posts[note.re] = apply_note(known, note)

    def load(self, post: Post) -> None:
        known = self.posts.get(post.position.seq)
        self.posts[post.position.seq] = post if known is None else merged(known, post)


def shown(post: Post) -> object:
    """What a screen shows of a post."""
    state = msgspec.structs.replace(post.state, folded=0, applied={}, pending=(), asked=0)
    return post.text, state


Step = tuple[str, int, int, int]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            (
                *("post", "edit", "delete", "pin", "react", "answer", "summary", "lose", "cut"),
                *("page", "read", "send pages", "receive", "receive twice"),
            )
        ),
        st.integers(0, 40),
        st.integers(0, 2),
        st.integers(0, 1),
    ),
    max_size=60,
)


@example(
    # A note overtakes a page that was read before it.
    [
        ("page", 6, 0, 0),
        ("read", 0, 0, 0),
        ("edit", 3, 2, 0),
        ("receive", 9, 0, 0),
        ("send pages", 0, 0, 0),
        ("receive", 9, 0, 0),
    ]
)
@given(STEPS)
def test_clients_converge(steps: list[Step]) -> None:
    log = Log()
    for word in WORDS * 4:
        log.post(word)
    first_seq = log.head - LAST + 1
    clients = [Client(log), Client(log)]
    for step in steps:
        carry_out(step, log, clients)
    for note in log.settle():
        for client in clients:
            client.send(event_of(note))
    for client in clients:
        client.connect()
        for _ in range(100):
            client.receive(1_000)
            client.read()
            client.send_pages()
            if not client.transit:
                break
        assert {seq for seq in client.posts if seq >= first_seq} == {
            seq for seq in log.posts if seq >= first_seq
        }
        for seq, post in client.posts.items():
            assert shown(post) == shown(post_of(message_of(log.posts[seq]), WHEN))


def carry_out(step: Step, log: Log, clients: list[Client]) -> None:
    action, number, choice, who = step
    client = clients[who]
    re = number % max(1, log.head) + 1
    new: Entry | None = None
    match action:
        case "post":
            new = log.post(WORDS[choice])
        case "edit" | "delete" | "pin" | "react" | "answer":
            text = {"react": ("👍", "✅", "👀"), "answer": ("yes", "no", "maybe")}.get(action, WORDS)[choice]
            kind = NoteKind(action)
            by = VOTERS[number % len(VOTERS)]
            new = log.change(NewNote("lobby", re, kind, by, EPOCH, author="a", text=text, on=bool(who)))
        case "summary":
            kind = (NoteKind.REACT, NoteKind.ANSWER)[who]
            new = log.change(NewSummary("lobby", re, kind, EPOCH, close=choice == 0))
        case "lose":
            client.transit.clear()
            client.connect()
        case "cut":
            client.connect()
        case "page":
            client.request_page(re)
        case "read":
            client.read()
        case "send pages":
            client.send_pages()
        case "receive" | "receive twice":
            client.receive(number, twice=action.endswith("twice"))
    if new is not None:
        for each in clients:
            each.send(event_of(new))
