"""Notes in a client session: sent once and in order, received once and in order, refused with a reason."""

from __future__ import annotations

from itertools import count, pairwise

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from broadcast_tui.core.clock import Instant
from broadcast_tui.core.notes import apply_note
from broadcast_tui.core.post import Position, Post
from broadcast_tui.core.post_state import Ask, Deletion, NoteKind, Pin, Votes
from broadcast_tui.core.protocol import commands, events
from broadcast_tui.core.protocol.codec import decode_command, encode
from broadcast_tui.core.session import updates as up
from broadcast_tui.core.session.page_notes import NOTES_CHARS, NOTES_MAX
from broadcast_tui.core.session.session import DIRECTS_MAX, ClientSession
from tests.support.hub_pair import EPOCH

AT = "2026-01-01T00:00:00.000+00:00"


class Server:
    """A client session and the frames of the server that it is connected to."""

    def __init__(self, *, head: int = 0, burst: int = 0) -> None:
        numbers = count(1)
        self.session = ClientSession(
            client_id="id", make_nonce=lambda: f"n{next(numbers)}", name="ana", rooms=(("lobby", 0),)
        )
        self.head = head
        self.burst = burst
        self.now = 100.0
        self.connect()

    def connect(self) -> None:
        self.session.connected()
        (hello,) = self.sent()
        assert isinstance(hello, commands.Hello)
        assert hello.notes
        self.welcome()
        self.receive(events.Synced("lobby", f"e-{self.head}"))
        self.updates()

    def welcome(self, missed: int = 0, directs: tuple[events.DirectInfo, ...] = ()) -> None:
        limits = events.LimitsInfo(1_000, 1.0, self.burst, 200, 32)
        room = events.RoomState(
            "lobby", f"e-{self.head}", True, missed, 1, pinned=("e-2", "?"), asks=("e-3",)
        )
        self.receive(events.Welcome("ana", "n1", AT, 25.0, limits, (room,), directs))

    def reconnect(self, *replay: events.Event) -> None:
        self.session.disconnected(up.ConnectionState.WAITING, "cut", 1.0)
        self.session.connected()
        self.welcome(len(replay))
        self.receive(*replay, events.Synced("lobby", f"e-{self.head}"))

    def receive(self, *frames: events.Event) -> None:
        for frame in frames:
            self.session.receive(encode(frame), Instant(self.now, EPOCH))

    def post(self, seq: int, text: str = "hi", nonce: str = "", sender: str = "ana") -> events.Message:
        return events.Message(text, sender, AT, f"e-{seq}", "lobby", nonce)

    def edit(self, seq: int, re: int, text: str, by: str = "ana", nonce: str = "") -> events.Note:
        now = events.NoteState(message=text, edited=AT)
        return events.Note(f"e-{seq}", "lobby", NoteKind.EDIT, f"e-{re}", by, AT, now, nonce)

    def ack(self, nonce: str, seq: int, *, dup: bool = False) -> None:
        self.receive(events.Ack(nonce, f"e-{seq}", "lobby", AT, dup))

    def say(self, text: str, re: str = "") -> str:
        return self.session.say("lobby", text, self.now, re=re)

    def note(self, re: str, kind: NoteKind, text: str = "", *, on: bool = True) -> str:
        return self.session.send_note("lobby", re, kind, self.now, text=text, on=on)

    def sent(self) -> list[commands.Command]:
        return [decode_command(data) for data in self.session.pop_outgoing()]

    def sent_nonces(self) -> list[str]:
        return [command.nonce for command in self.sent() if isinstance(command, commands.Say | commands.Note)]

    def updates(self) -> list[up.Update]:
        return self.session.pop_updates()


# -- sending


def test_each_kind_of_note_is_sent_with_its_own_keys() -> None:
    server = Server(head=9)
    server.note("e-1", NoteKind.EDIT, "new")
    server.note("e-2", NoteKind.DELETE, "wrong room")
    server.note("e-3", NoteKind.PIN, on=False)
    server.note("e-4", NoteKind.REACT, "👍")
    server.note("e-5", NoteKind.ANSWER, "yes")
    ask = commands.Question(("yes", "no"), 60.0, ("ken",))
    server.session.say("lobby", "Deploy?", server.now, re="e-6", ask=ask)
    assert server.sent() == [
        commands.Note(NoteKind.EDIT, "e-1", "lobby", "n1", message="new"),
        commands.Note(NoteKind.DELETE, "e-2", "lobby", "n2", reason="wrong room"),
        commands.Note(NoteKind.PIN, "e-3", "lobby", "n3", on=False),
        commands.Note(NoteKind.REACT, "e-4", "lobby", "n4", key="👍"),
        commands.Note(NoteKind.ANSWER, "e-5", "lobby", "n5", choice="yes"),
        commands.Say("Deploy?", "ana", "lobby", "n6", "e-6", ask),
    ]


def test_posts_and_notes_written_offline_are_sent_in_order_with_the_same_nonces() -> None:
    server = Server(head=9)
    server.session.disconnected(up.ConnectionState.WAITING, "cut", 1.0)
    nonces = [server.say("one"), server.note("e-1", NoteKind.PIN), server.say("two")]
    assert server.sent_nonces() == []
    server.reconnect()
    assert server.sent_nonces() == nonces
    server.reconnect()
    assert server.sent_nonces() == nonces
    for nonce, seq in zip(nonces, (10, 11, 12), strict=True):
        server.ack(nonce, seq)
    server.updates()
    server.reconnect()
    assert server.sent_nonces() == []


def test_notes_share_the_rate_limit_of_posts() -> None:
    server = Server(head=9, burst=3)
    nonces = [server.note(f"e-{seq}", NoteKind.REACT, "👍") for seq in range(1, 6)]
    assert server.sent_nonces() == nonces[:2]
    due = server.session.next_due()
    assert due is not None
    server.session.tick(due)
    assert server.sent_nonces() == nonces[2:3]


def test_a_note_about_an_own_post_waits_for_its_id() -> None:
    server = Server()
    post = server.say("helo")
    edit = server.note(post, NoteKind.EDIT, "hello")
    reply = server.say("right", re=post)
    later = server.say("later")
    assert server.sent_nonces() == [post]
    server.ack(post, 1)
    assert server.sent() == [
        commands.Note(NoteKind.EDIT, "e-1", "lobby", edit, message="hello"),
        commands.Say("right", "ana", "lobby", reply, "e-1"),
        commands.Say("later", "ana", "lobby", later),
    ]
    server.ack(edit, 2)
    assert up.NoteDelivered("lobby", edit, "e-1", NoteKind.EDIT) in server.updates()


def test_the_nonce_of_a_post_identifies_it_after_its_ack() -> None:
    server = Server()
    post = server.say("hello")
    server.ack(post, 1)
    server.sent()
    server.note(post, NoteKind.REACT, "👍")
    assert server.sent() == [commands.Note(NoteKind.REACT, "e-1", "lobby", "n2", key="👍")]


def test_notes_and_replies_are_rejected_with_their_post() -> None:
    server = Server()
    post = server.say("helo")
    edit = server.note(post, NoteKind.EDIT, "hello")
    reply = server.say("right", re=post)
    pin = server.note(reply, NoteKind.PIN)
    later = server.say("later")
    server.sent()
    server.receive(events.Error("muted", "You are muted.", nonce=post))
    assert server.updates() == [
        up.PostRejected("lobby", post, "muted", "You are muted.", "helo"),
        up.NoteRejected("lobby", edit, post, NoteKind.EDIT, "muted", "You are muted.", "hello"),
        up.PostRejected("lobby", reply, "muted", "You are muted.", "right", post),
        up.NoteRejected("lobby", pin, reply, NoteKind.PIN, "muted", "You are muted."),
    ]
    assert server.sent_nonces() == [later]


def test_a_rejected_note_leaves_the_outbox_with_a_reason() -> None:
    server = Server(head=1)
    edit = server.note("e-1", NoteKind.EDIT, "mine")
    server.receive(events.Error("forbidden", "You can only edit your own messages.", nonce=edit))
    (rejected,) = server.updates()
    assert rejected == up.NoteRejected(
        "lobby", edit, "e-1", NoteKind.EDIT, "forbidden", "You can only edit your own messages.", "mine"
    )
    assert server.session.unacknowledged == 0
    assert [
        update.code
        for re in ("n99", "?", "")
        if server.note(re, NoteKind.PIN)
        for update in server.updates()
        if isinstance(update, up.NoteRejected)
    ] == ["no_such_post"] * 3
    server.session.send_note("other", "e-1", NoteKind.PIN, server.now)
    (elsewhere,) = server.updates()
    assert isinstance(elsewhere, up.NoteRejected)
    assert elsewhere.code == "not_in_room"


def test_a_server_without_notes_is_reported_in_words() -> None:
    server = Server(head=1)
    pin = server.note("e-1", NoteKind.PIN)
    server.receive(events.Error("unknown_type", "Unknown frame type. Known types: hello.", nonce=pin))
    (rejected,) = server.updates()
    assert isinstance(rejected, up.NoteRejected)
    assert rejected.reason == "This server is too old for that command."


def test_a_temporary_error_does_not_change_the_order_of_edits() -> None:
    server = Server(head=1)
    first, second = server.note("e-1", NoteKind.EDIT, "a"), server.note("e-1", NoteKind.EDIT, "b")
    assert server.sent_nonces() == [first]
    server.receive(events.Error("rate_limited", "Slow down.", True, 1.0, nonce=first))
    server.session.tick(server.now + 1.0)
    assert server.sent_nonces() == [first]
    server.now += 1.0
    server.ack(first, 2)
    assert server.sent_nonces() == [second]


def test_a_post_that_was_not_sent_is_edited_and_deleted_in_the_outbox() -> None:
    server = Server()
    server.session.disconnected(up.ConnectionState.WAITING, "cut", 1.0)
    server.updates()
    first, second = server.say("helo"), server.say("wrong room")
    edit = server.note(first, NoteKind.EDIT, "hello")
    reaction = server.note(second, NoteKind.REACT, "👍")
    deletion = server.note(second, NoteKind.DELETE)
    assert server.updates() == [
        up.NoteDelivered("lobby", edit, first, NoteKind.EDIT, "hello"),
        up.NoteDelivered("lobby", deletion, second, NoteKind.DELETE),
        up.NoteRejected(
            "lobby", reaction, second, NoteKind.REACT, "no_such_post", "This message does not exist."
        ),
    ]
    server.reconnect()
    assert server.sent()[1:] == [commands.Say("hello", "ana", "lobby", first)]


def test_a_post_that_may_be_stored_is_edited_by_a_note() -> None:
    server = Server()
    post = server.say("helo")
    server.session.disconnected(up.ConnectionState.WAITING, "cut", 1.0)
    server.note(post, NoteKind.EDIT, "hello")
    server.sent()
    server.reconnect(server.post(1, "helo"))
    assert server.sent()[1:] == [commands.Say("helo", "ana", "lobby", post)]
    server.ack(post, 1, dup=True)
    assert server.sent() == [commands.Note(NoteKind.EDIT, "e-1", "lobby", "n2", message="hello")]


def test_a_rename_waits_for_notes_in_flight() -> None:
    server = Server(head=1)
    pin = server.note("e-1", NoteKind.PIN)
    server.sent()
    server.session.request(lambda ref: commands.Rename("ann", ref))
    assert server.sent() == []
    server.ack(pin, 2)
    assert [type(command) for command in server.sent()] == [commands.Rename]


# -- receiving


def test_notes_and_posts_are_released_in_order_and_once() -> None:
    server = Server()
    edit = server.edit(2, 1, "hello")
    server.receive(server.post(1, "helo"), edit, edit, server.post(1), server.post(3))
    first, note, last = server.updates()
    assert isinstance(first, up.PostArrived)
    assert isinstance(note, up.NoteArrived)
    assert isinstance(last, up.PostArrived)
    assert apply_note(first.post, note.note).text == "hello"
    assert (note.live, note.own, note.note.re) == (True, False, 1)


def test_a_gap_is_filled_with_notes() -> None:
    server = Server(head=1)
    server.receive(server.post(5))
    (request,) = server.sent()
    assert isinstance(request, commands.FetchHistory)
    page = (server.post(2), server.edit(3, 1, "new"), server.edit(4, 2, "newer"))
    server.receive(events.History(request.ref, "lobby", page, False))
    arrived = [
        (type(update), (update.note if isinstance(update, up.NoteArrived) else update.post).position.seq)
        for update in server.updates()
        if isinstance(update, up.PostArrived | up.NoteArrived)
    ]
    assert arrived == [(up.PostArrived, 2), (up.NoteArrived, 3), (up.NoteArrived, 4), (up.PostArrived, 5)]
    assert server.sent() == []


def test_a_page_has_only_posts_but_says_where_it_starts() -> None:
    server = Server(head=9)
    ref = server.session.request(lambda ref: commands.FetchHistory("lobby", ref, "e-9"))
    folded = msgspec.structs.replace(
        server.post(7), edited=AT, folded=8, reactions={"👍": Votes(1, ("ken",))}, re="e-1", root="e-1"
    )
    server.receive(events.History(ref, "lobby", (server.edit(6, 1, "x"), folded), True))
    (page,) = server.updates()
    assert isinstance(page, up.HistoryFetched)
    assert page.start == Position("e", 6)
    (post,) = page.posts
    assert (post.re, post.root, post.state.folded) == (1, 1, 8)
    assert post.state.reactions == {"👍": Votes(1, ("ken",))}


def test_a_page_includes_the_notes_that_overtook_it() -> None:
    server = Server(head=9)
    ref = server.session.request(lambda ref: commands.FetchHistory("lobby", ref, "e-9"))
    search = server.session.request(lambda ref: commands.Search("old", "lobby", ref))
    server.receive(server.edit(10, 7, "first"), server.edit(11, 7, "new"), server.edit(12, 6, "other"))
    server.receive(events.History(ref, "lobby", (server.post(7, "old"), server.post(8)), True))
    server.receive(events.Found(search, "lobby", (server.post(7, "old"),), False))
    *_, page, found = server.updates()
    assert isinstance(page, up.HistoryFetched)
    assert isinstance(found, up.SearchFound)
    assert [post.text for post in (*page.posts, *found.posts)] == ["new", "hi", "new"]
    later = server.session.request(lambda ref: commands.FetchHistory("lobby", ref, "e-9"))
    server.receive(events.History(later, "lobby", (server.post(7, "old"),), True))
    (page,) = server.updates()
    assert isinstance(page, up.HistoryFetched)
    assert [post.text for post in page.posts] == ["old"]


def test_notes_for_a_page_that_never_comes_are_bounded() -> None:
    server = Server(head=9)
    server.session.request(lambda ref: commands.FetchHistory("lobby", ref, "e-9"))
    text = "x" * (NOTES_CHARS // 4)
    for seq in range(10, 20):
        server.receive(server.edit(seq, seq - 9, text))
    notes = server.session._page_notes
    assert sum(len(note.post.text) for note in notes._notes.values() if note.post) <= NOTES_CHARS
    for seq in range(20, 30 + NOTES_MAX):
        server.receive(server.edit(seq, seq, "short"))
    assert len(notes._notes) == NOTES_MAX
    assert notes._chars == len("short") * NOTES_MAX


def test_an_own_note_is_recognized_by_the_id_of_its_ack() -> None:
    server = Server(head=1)
    edit = server.note("e-1", NoteKind.EDIT, "new")
    server.ack(edit, 2)
    server.receive(server.edit(2, 1, "new"))
    delivered, arrived = server.updates()
    assert delivered == up.NoteDelivered("lobby", edit, "e-1", NoteKind.EDIT)
    assert isinstance(arrived, up.NoteArrived)
    assert (arrived.own, arrived.note.nonce) == (True, edit)


def test_an_own_note_with_a_lost_ack_is_recognized_in_the_replay() -> None:
    server = Server(head=1)
    edit = server.note("e-1", NoteKind.EDIT, "new")
    server.updates()
    server.reconnect(server.edit(2, 1, "new"))
    (arrived,) = [update for update in server.updates() if isinstance(update, up.NoteArrived)]
    assert (arrived.own, arrived.live) == (True, False)
    server.ack(edit, 2, dup=True)
    assert server.updates() == [up.NoteDelivered("lobby", edit, "e-1", NoteKind.EDIT)]
    server.receive(server.edit(3, 1, "newer"))
    (other,) = server.updates()
    assert isinstance(other, up.NoteArrived)
    assert not other.own


def test_the_ack_of_a_reaction_does_not_claim_its_post() -> None:
    server = Server()
    server.receive(server.post(4, sender="ken"))  # the first three are missing
    (request,) = server.sent()
    assert isinstance(request, commands.FetchHistory)
    reaction = server.note("e-4", NoteKind.REACT, "👍")
    server.ack(reaction, 4)
    page = tuple(server.post(seq, sender="ken") for seq in (1, 2, 3))
    server.receive(events.History(request.ref, "lobby", page, False))
    arrived = [update for update in server.updates() if isinstance(update, up.PostArrived)]
    assert [(update.post.position.seq, update.own) for update in arrived] == [
        (seq, False) for seq in (1, 2, 3, 4)
    ]


def test_a_note_without_a_valid_id_is_ignored() -> None:
    server = Server()
    note = msgspec.structs.replace(server.edit(1, 1, "x"), id="?")
    elsewhere = msgspec.structs.replace(server.edit(1, 1, "x"), room="other")
    server.receive(note, elsewhere)
    assert server.updates() == []


def test_a_question_and_the_notes_about_it_arrive() -> None:
    server = Server()
    ask = Ask(("yes", "no"), AT, 2, ("ken", "zoë"))
    question = msgspec.structs.replace(server.post(1), ask=ask, waiting=("ken", "zoë"))
    now = events.NoteState(tally={"yes": Votes(1, ("ken",))}, of=2, waiting=("zoë",))
    answer = events.Note("e-2", "lobby", NoteKind.ANSWER, "e-1", "", AT, now)
    server.receive(question, answer)
    post, note = server.updates()
    assert isinstance(post, up.PostArrived)
    assert isinstance(note, up.NoteArrived)
    state = apply_note(post.post, note.note).state
    assert (state.ask, state.waiting) == (ask, ("zoë",))
    assert state.tally == {"yes": Votes(1, ("ken",))}


def test_an_entered_room_has_its_pinned_posts_and_open_questions() -> None:
    server = Server(head=9)
    server.session.disconnected(up.ConnectionState.WAITING, "cut", 1.0)
    server.session.connected()
    server.updates()
    server.welcome()
    (entered,) = [update for update in server.updates() if isinstance(update, up.RoomEntered)]
    assert (entered.pinned, entered.asks) == ((Position("e", 2),), (Position("e", 3),))


# -- direct messages


def test_direct_messages_are_opened_by_request_by_others_and_while_away() -> None:
    server = Server()
    ref = server.session.request(lambda ref: commands.Direct("bob", ref))
    assert server.sent() == [commands.Direct("bob", ref)]
    server.receive(events.Direct("@ana+bob", "bob", "f-0", True, "bob cannot answer.", ref))
    server.receive(events.Direct("@ana+ken", "ken", "f-3", True, ref="r99"))
    assert server.updates() == [
        up.DirectOpened("@ana+bob", "bob", True, "bob cannot answer.", ref, Position("f", 0)),
        up.DirectOpened("@ana+ken", "ken", True, head=Position("f", 3)),
    ]
    server.session.disconnected(up.ConnectionState.WAITING, "cut", 1.0)
    server.session.connected()
    server.updates()
    server.welcome(directs=(events.DirectInfo("@ana+zoë", "zoë", "f-1", False),))
    assert up.DirectOpened("@ana+zoë", "zoë", False, head=Position("f", 1)) in server.updates()


def test_a_room_that_others_can_enter_is_never_opened_as_direct_messages() -> None:
    server = Server()
    ref = server.session.request(lambda ref: commands.Direct("bob", ref))
    server.receive(
        events.Direct("ops", "bob", "e-1", True), events.Direct("ops", "bob", "e-1", True, "", ref)
    )
    assert not [update for update in server.updates() if isinstance(update, up.DirectOpened)]


def test_a_direct_room_is_not_opened_again_without_new_entries() -> None:
    server = Server()
    room, direct = "@ana+bob", events.Direct("@ana+bob", "bob", "e-0", True)
    ref = server.session.request(lambda ref: commands.Join(room, ref))
    server.receive(events.Joined(ref, room, "e-0", True, 0, 1), events.Synced(room, "e-0"), direct)
    assert not [update for update in server.updates() if isinstance(update, up.DirectOpened)]
    server.receive(events.Left("", room), direct)
    assert [type(update) for update in server.updates()] == [up.RoomLeft]
    server.receive(msgspec.structs.replace(direct, head="e-1"))
    assert [type(update) for update in server.updates()] == [up.DirectOpened]


def test_a_server_cannot_open_any_number_of_direct_rooms() -> None:
    server = Server()
    server.receive(
        *(events.Direct(f"@ana+{number}", str(number), "e-1", True) for number in range(2 * DIRECTS_MAX))
    )
    assert len(server.updates()) == DIRECTS_MAX


# -- hostile servers

ids = st.sampled_from(("e-0", "e-1", "e-2", "e-3", "e-5", "f-1", "-1", "e-9007199254740991", "?", ""))
texts = st.text(max_size=5)
votes = st.dictionaries(texts, st.builds(Votes, st.integers(-1, 5), st.tuples(texts, texts)), max_size=3)
deletions = st.none() | st.builds(Deletion, texts, texts, texts)
pins = st.none() | st.builds(Pin, texts, texts)
asks = st.none() | st.builds(Ask, st.tuples(texts), texts, st.integers(-1, 5), st.tuples(texts))
common = {"edited": texts, "deleted": deletions, "pinned": pins, "reactions": votes, "tally": votes}
note_states = st.builds(events.NoteState, message=texts, of=st.integers(), closed=texts, **common)
hostile_notes = st.builds(
    events.Note,
    id=ids,
    room=st.sampled_from(("lobby", "other")),
    note=st.sampled_from(NoteKind),
    re=ids,
    by=st.sampled_from(("ana", "eve", "")),
    timestamp=texts,
    now=st.none() | note_states,
    nonce=st.sampled_from(("", "n1", "n2", "n9")),
)
hostile_posts = st.builds(
    events.Message,
    message=texts,
    sender=st.sampled_from(("ana", "eve", "")),
    timestamp=texts,
    id=ids,
    room=st.sampled_from(("lobby", "other")),
    nonce=st.sampled_from(("", "n1", "n2", "n9")),
    re=ids,
    root=ids,
    ask=asks,
    waiting=st.tuples(texts),
    closed=texts,
    folded=st.integers(-1, 2**60),
    **common,
)
hostile_frames = st.one_of(
    hostile_notes,
    hostile_posts,
    st.builds(events.Ack, st.sampled_from(("n1", "n2", "n9")), ids, texts, texts, st.booleans()),
    st.builds(events.Error, st.sampled_from(("muted", "?")), texts, st.booleans(), nonce=st.just("n2")),
    st.builds(events.Direct, texts, texts, ids, st.booleans(), texts, st.sampled_from(("", "r1", "r9"))),
    st.builds(
        events.History,
        st.sampled_from(("r1", "r2")),
        texts,
        st.tuples(hostile_posts, hostile_notes),
        st.booleans(),
    ),
)


@given(st.lists(hostile_frames, max_size=20))
def test_notes_of_a_hostile_server_do_not_raise(frames: list[events.Event]) -> None:
    server = Server(head=1)
    server.note(server.say("hello"), NoteKind.EDIT, "bye")
    server.note("e-1", NoteKind.REACT, "👍")
    server.session.request(lambda ref: commands.FetchHistory("lobby", ref, "e-1"))
    server.receive(*frames)
    seqs: list[Position] = []
    posts: dict[Position, Post] = {}
    for update in server.updates():
        match update:
            case up.PostArrived(post=post) if post.position.epoch:
                seqs.append(post.position)
                posts[post.position] = post
            case up.NoteArrived(note=note):
                seqs.append(note.position)
                posts = {position: apply_note(known, note) for position, known in posts.items()}
    for before, after in pairwise(seqs):
        assert before.epoch != after.epoch or before.seq < after.seq
