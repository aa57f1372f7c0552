"""New epochs of a room, in a client: what it keeps, what it withdraws, and what it waits for."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count

import msgspec

from broadcast_tui.core.clock import Instant
from broadcast_tui.core.notes import Note
from broadcast_tui.core.post import Position, Post
from broadcast_tui.core.post_state import NoteKind, Pin, PostState
from broadcast_tui.core.protocol import commands, events
from broadcast_tui.core.protocol.codec import decode_command, encode
from broadcast_tui.core.session import updates as up
from broadcast_tui.core.session.page_notes import PageNotes
from broadcast_tui.core.session.room_cursor import RoomCursor
from broadcast_tui.core.session.session import ClientSession
from tests.support.hub_pair import EPOCH

WHEN = Instant(100.0, EPOCH)
AT = "2026-01-01T00:00:00.000+00:00"
LIMITS = events.LimitsInfo(16_384, 0, 0, 200, 30)


def change(seq: int, former: str = "e1", epoch: str = "e2") -> up.EpochChanged:
    return up.EpochChanged("lobby", former, epoch, seq)


class Client:
    """A session of ana in the lobby, whose server is the test."""

    def __init__(self, head: str = "e1-0") -> None:
        numbers = count(1)
        self.session = ClientSession(
            client_id="id", make_nonce=lambda: f"n{next(numbers)}", name="ana", rooms=[("lobby", 50)]
        )
        self.enter(head)
        self.pop()

    def enter(self, head: str) -> None:
        self.session.connected()
        self.sent()
        state = events.RoomState("lobby", head, True, 0, 1)
        self.receive(events.Welcome("ana", "n", AT, 25.0, LIMITS, (state,)), events.Synced("lobby", head))

    def receive(self, *frames: events.Event) -> None:
        for frame in frames:
            self.session.receive(encode(frame), WHEN)

    def posts(self, *ids: str, sender: str = "bob") -> None:
        self.receive(*(message(post_id, sender) for post_id in ids))

    def pop(self) -> list[up.Update]:
        return self.session.pop_updates()

    def sent(self) -> list[commands.Command]:
        return [decode_command(data) for data in self.session.pop_outgoing()]


def message(post_id: str, sender: str = "bob", text: str = "hi") -> events.Message:
    return events.Message(text, sender, AT, post_id, "lobby")


def epoch(start: str, end: str) -> events.Epoch:
    return events.Epoch("lobby", start, end)


def gap(start: str, end: str) -> events.Gap:
    return events.Gap("lobby", start, end, "epoch", forked=True)


def story(updates: Iterable[up.Update]) -> list[str]:
    """The updates about the log."""
    lines = []
    for update in updates:
        match update:
            case up.PostArrived(post=post):
                lines.append(str(post.position))
            case up.NoteArrived(note=note):
                lines.append(f"{note.position} {note.kind.value}")
            case up.EpochChanged():
                lines.append(f"{update.former} -> {update.epoch} up to {update.seq}")
            case up.Withdrawn():
                nonces = f" {','.join(update.nonces)}" if update.nonces else ""
                lines.append(f"withdrawn {update.count} from {update.position}{nonces}")
            case up.GapFound():
                lines.append(f"gap {update.count} {update.reason}")
    return lines


def test_the_hello_says_that_epochs_are_understood() -> None:
    session = Client().session
    session.disconnected(up.ConnectionState.WAITING, "")
    session.connected()
    [hello] = [decode_command(data) for data in session.pop_outgoing()]
    assert isinstance(hello, commands.Hello)
    assert hello.epochs


def test_posts_go_on_in_a_new_epoch() -> None:
    client = Client()
    client.posts("e1-1", "e1-2")
    client.receive(epoch("e1-2", "e2-2"))
    client.posts("e2-3")
    assert story(client.pop()) == ["e1-1", "e1-2", "e1 -> e2 up to 2", "e2-3"]


def test_lost_posts_are_withdrawn() -> None:
    client = Client()
    client.posts("e1-1", "e1-2", "e1-3")
    client.receive(gap("e1-2", "e2-1"))
    client.posts("e2-2")
    lost = ["e1 -> e2 up to 1", "withdrawn 2 from e2-2", "e2-2"]
    assert story(client.pop()) == ["e1-1", "e1-2", "e1-3", *lost]


def test_what_follows_the_lost_posts_may_be_missing_too() -> None:
    client = Client()
    client.posts("e1-1", "e1-2")
    client.receive(gap("e1-1", "e2-7"))
    client.posts("e2-8")
    lost = ["e1 -> e2 up to 0", "withdrawn 2 from e2-1", "gap 7 epoch", "e2-8"]
    assert story(client.pop()) == ["e1-1", "e1-2", *lost]


def test_a_position_that_the_server_never_had() -> None:
    client = Client()
    client.posts("e1-1", "e1-2")
    client.receive(gap("e1-2", "e1-1"))
    client.posts("e1-2")
    assert story(client.pop()) == ["e1-1", "e1-2", "withdrawn 1 from e1-2", "e1-2"]


def test_a_repeated_announcement_changes_nothing() -> None:
    client = Client()
    client.posts("e1-1")
    client.receive(epoch("e1-1", "e2-1"), epoch("e1-1", "e2-1"), gap("e1-1", "e2-0"))
    assert story(client.pop()) == ["e1-1", "e1 -> e2 up to 1"]


def test_invalid_announcements_are_ignored() -> None:
    client = Client()
    client.posts("e1-1")
    client.receive(epoch("?", "e2-1"), epoch("e1-1", "?"), gap("e1-1", "?"))
    client.receive(events.Epoch("elsewhere", "e1-1", "e2-1"))
    client.posts("e1-2")
    assert story(client.pop()) == ["e1-1", "e1-2"]


def test_a_forked_gap_without_a_start_is_a_gap() -> None:
    client = Client()
    client.posts("e1-1")
    client.receive(gap("?", "e2-4"))
    assert story(client.pop()) == ["e1-1", "gap None epoch"]


def test_the_replay_after_a_reconnect_goes_on() -> None:
    client = Client()
    client.posts("e1-1", "e1-2")
    client.session.disconnected(up.ConnectionState.WAITING, "")
    client.session.connected()
    [hello] = client.sent()
    assert isinstance(hello, commands.Hello)
    assert hello.rooms == (commands.RoomRequest("lobby", "e1-2"),)
    state = events.RoomState("lobby", "e2-3", True, 1, 1)
    client.receive(events.Welcome("ana", "n", AT, 25.0, LIMITS, (state,)), epoch("e1-2", "e2-2"))
    client.posts("e2-3")
    client.receive(events.Synced("lobby", "e2-3"))
    assert story(client.pop()) == ["e1-1", "e1-2", "e1 -> e2 up to 2", "e2-3"]


# -- gaps that are being filled


def lagging() -> Client:
    """A client at 2 that fills a gap up to 4 and has 5 and 6 already."""
    client = Client()
    client.posts("e1-1", "e1-2")
    client.receive(events.Gap("lobby", "e1-3", "e1-4", "lagged"))
    client.posts("e1-5", "e1-6")
    client.pop()
    client.sent()
    return client


def page(client: Client, *ids: str) -> None:
    """Answer the history request of the client."""
    [ref] = client.session._fills
    client.receive(events.History(ref, "lobby", tuple(map(message, ids)), False))


def test_a_gap_is_filled_in_the_new_epoch() -> None:
    client = lagging()
    client.receive(epoch("e1-6", "e2-6"))
    page(client, "e2-3", "e2-4")
    client.posts("e2-7")
    assert story(client.pop()) == ["e1 -> e2 up to 6", "e2-3", "e2-4", "e2-5", "e2-6", "e2-7"]


def test_what_waits_behind_a_gap_can_be_lost() -> None:
    client = lagging()
    client.receive(gap("e1-6", "e2-5"))
    page(client, "e2-3", "e2-4")
    client.posts("e2-6")
    assert story(client.pop()) == ["e1 -> e2 up to 5", "e2-3", "e2-4", "e2-5", "e2-6"]


def test_a_gap_can_end_at_the_fork() -> None:
    client = lagging()
    client.receive(gap("e1-3", "e2-2"))
    client.posts("e2-3")
    assert story(client.pop()) == ["e1 -> e2 up to 2", "e2-3"]


def test_a_gap_can_grow_by_what_follows_the_fork() -> None:
    client = lagging()
    client.receive(gap("e1-4", "e2-5"))
    page(client, "e2-3", "e2-4", "e2-5")
    client.posts("e2-6")
    assert story(client.pop()) == ["e1 -> e2 up to 3", "e2-3", "e2-4", "e2-5", "e2-6"]


def test_a_cursor_without_a_position_ignores_forks() -> None:
    assert RoomCursor("lobby", 5).fork(change(3), 3) == []


# -- own posts and notes


def ack(nonce: str, post_id: str) -> events.Ack:
    return events.Ack(nonce, post_id, "lobby", AT, False)


def test_an_own_post_is_recognized_under_its_new_id() -> None:
    client = Client()
    nonce = client.session.say("lobby", "hi", 0.0)
    client.receive(ack(nonce, "e1-1"), epoch("e1-0", "e2-0"))
    client.pop()
    # The post was behind the place of the connection, and is not lost.
    client.session._own_posts._expected = {("lobby", Position("e2", 1)): nonce}
    client.posts("e2-1", sender="ana")
    [arrived] = client.pop()
    assert isinstance(arrived, up.PostArrived)
    assert (arrived.own, arrived.post.nonce) == (True, nonce)


def test_own_posts_that_are_lost_before_they_arrive_are_withdrawn() -> None:
    client = Client()
    client.posts("e1-1")
    nonce = client.session.say("lobby", "hi", 0.0)
    client.receive(ack(nonce, "e1-2"), gap("e1-2", "e2-1"))
    assert story(client.pop()) == ["e1-1", "e1 -> e2 up to 1", f"withdrawn 0 from e2-2 {nonce}"]
    client.posts("e2-2")
    [arrived] = client.pop()
    assert isinstance(arrived, up.PostArrived)
    assert not arrived.own


def test_unacknowledged_posts_are_sent_again() -> None:
    client = Client()
    client.session.say("lobby", "hi", 0.0)
    client.session.disconnected(up.ConnectionState.WAITING, "")
    client.session.connected()
    client.sent()
    state = events.RoomState("lobby", "e2-0", True, 0, 1)
    client.receive(
        events.Welcome("ana", "n", AT, 25.0, LIMITS, (state,)),
        epoch("e1-0", "e2-0"),
        events.Synced("lobby", "e2-0"),
    )
    [say] = client.sent()
    assert isinstance(say, commands.Say)
    assert (say.message, say.nonce) == ("hi", "n1")


def test_notes_that_wait_are_about_posts_of_the_new_epoch() -> None:
    client = Client()
    client.posts("e1-1", "e1-2")
    client.session.disconnected(up.ConnectionState.WAITING, "")
    client.session.send_note("lobby", "e1-1", NoteKind.EDIT, 0.0, text="new")
    client.session.send_note("lobby", "e1-2", NoteKind.EDIT, 0.0, text="lost")
    client.session.connected()
    client.sent()
    state = events.RoomState("lobby", "e2-1", False, 0, 1)
    client.receive(
        events.Welcome("ana", "n", AT, 25.0, LIMITS, (state,)),
        gap("e1-2", "e2-1"),
        events.Synced("lobby", "e2-1"),
    )
    assert [note.re for note in client.sent() if isinstance(note, commands.Note)] == ["e2-1", "e1-2"]


def test_notes_wait_for_pages_under_their_new_ids() -> None:
    notes = PageNotes()
    notes.requested("r1", "lobby")
    notes.requested("r2", "dev")
    for arrived in (note("lobby", 4), note("lobby", 5, NoteKind.PIN), note("dev", 4)):
        notes.arrived(arrived)
    notes.follow(change(4))
    post = Post("lobby", Position("e2", 1), "bob", "old", EPOCH)
    [found] = notes.completed("r1", [post])
    assert (found.text, found.state.edited, found.state.pinned) == ("text 4", AT, None)
    [other] = notes.completed("r2", [msgspec.structs.replace(post, room="dev", position=Position("e1", 1))])
    assert other.text == "text 4"


def note(room: str, seq: int, kind: NoteKind = NoteKind.EDIT) -> Note:
    """A change of the first post."""
    state = PostState(edited=AT, pinned=Pin("bob", AT))
    target = Post(room, Position("e1", 1), "bob", f"text {seq}", EPOCH, state=state)
    return Note(room, Position("e1", seq), kind, 1, "bob", EPOCH, target)


def test_ids_follow_a_change() -> None:
    assert change(3).follow_id("e1-3") == "e2-3"
    assert change(3).follow_id("e1-4") == "e1-4"
    assert change(3).follow_id("e0-1") == "e0-1"
    assert change(3).follow_id("a nonce") == "a nonce"
