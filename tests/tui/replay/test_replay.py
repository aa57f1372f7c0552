"""A recording in the chat app, at every size of terminal."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual.pilot import Pilot

from broadcast_tui.client.storage.preferences import Preferences
from broadcast_tui.core.export.formats import Format, exported_lines
from broadcast_tui.core.export.recording import Recording, read_recording
from broadcast_tui.core.notes import Note
from broadcast_tui.core.post import Post
from broadcast_tui.core.post_state import NoteKind, Pin, PostState, Votes
from broadcast_tui.core.protocol import events
from broadcast_tui.core.session.updates import (
    HistoryFetched,
    NoteRejected,
    Noticed,
    PostRejected,
    SearchFound,
    Update,
)
from broadcast_tui.tui.app import ChatApp
from broadcast_tui.tui.model.recorded_room import BACKLOG
from broadcast_tui.tui.model.replay import Playback
from broadcast_tui.tui.replay.client import READ_ONLY, ReplayClient
from broadcast_tui.tui.widgets.composer import Composer
from broadcast_tui.tui.widgets.message_log import MessageLog
from tests.support.chat_app import draw_soon, press
from tests.support.exports import SOURCE, ZONE, note, post

FINAL = PostState(folded=9, reactions={"👍": Votes(1, ("zoë",))}, pinned=Pin("ana", ""))
SIZES = [(40, 10), (80, 24), (120, 40)]


def recording(*entries: Post | Note) -> Recording:
    posts = [each for each in entries if isinstance(each, Post)]
    notes = [each for each in entries if isinstance(each, Note)]
    lines = exported_lines(Format.JSON_LINES, SOURCE, posts, notes, ZONE)
    return read_recording(line.encode() for line in lines)


def hour() -> Recording:
    """Four posts within an hour; the first one gets a reaction and is pinned after half an hour."""
    return recording(
        post(1, "alpha", state=FINAL),
        post(2, "bravo", sender="bob", minutes=20),
        note(3, NoteKind.REACT, 1, minutes=30),
        note(4, NoteKind.PIN, 1, minutes=30),
        post(5, "charlie", re=1, minutes=40),
        post(6, "delta", minutes=60),
    )


class Time:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Shown:
    """A running replay; its clock stands still until a test moves it."""

    def __init__(self, app: ChatApp, pilot: Pilot[None], client: ReplayClient, time: Time) -> None:
        self.app, self.pilot, self.client, self.time = app, pilot, client, time

    async def settled(self) -> None:
        await self.pilot.pause()
        for log in self.app.screen.query(MessageLog):
            while draw_soon(log):
                await self.pilot.pause()
        await self.pilot.pause()

    async def wait_for(self, text: str) -> None:
        for _ in range(500):
            await self.settled()
            if text in self.text:
                return
        raise AssertionError(f"{text!r} is not in\n{self.text}")

    async def wait_gone(self, text: str) -> None:
        for _ in range(500):
            await self.settled()
            if text not in self.text:
                return
        raise AssertionError(f"{text!r} is still in\n{self.text}")

    async def type(self, *keys: str) -> None:
        await press(self.pilot, *keys)
        await self.settled()

    async def enter(self, text: str) -> None:
        self.app.screen.query_one(Composer).give_back(text)
        await self.type("enter")

    @property
    def text(self) -> str:
        strips = self.app.screen._compositor.render_strips()
        return "\n".join(strip.text.rstrip() for strip in strips)

    @property
    def bar(self) -> str:
        return next(row for row in self.text.split("\n") if row.lstrip().startswith(("▶", "‖", "■")))


@asynccontextmanager
async def replaying(
    played: Recording, home: Path, size: tuple[int, int] = (100, 30), position_s: float = 0.0
) -> AsyncIterator[Shown]:
    playback, time = Playback(played), Time()
    playback.seek(position_s)
    client = ReplayClient(playback, "replay of a.jsonl", time)
    app = ChatApp(
        lambda _name: client,
        room=played.room,
        server=client.url,
        preferences=Preferences.load(home),
        has_token=True,
    )
    async with app.run_test(size=size, notifications=True) as pilot:
        replay = Shown(app, pilot, client, time)
        await replay.wait_for("alpha" if position_s == 0.0 else "×")
        yield replay


@pytest.mark.parametrize("size", SIZES)
async def test_messages_appear_at_their_times(tmp_path: Path, size: tuple[int, int]) -> None:
    async with replaying(hour(), tmp_path, size) as replay:
        assert "bravo" not in replay.text
        assert "👍" not in replay.text
        assert "1/6" in replay.bar
        replay.time.now = 20 * 60.0
        replay.client._changed.set()
        await replay.wait_for("bravo")
        replay.time.now = 31 * 60.0
        replay.client._changed.set()
        await replay.wait_for("👍")
        assert "charlie" not in replay.text
        replay.time.now = 61 * 60.0
        replay.client._changed.set()
        await replay.wait_for("delta")
        await replay.wait_for("■")


@pytest.mark.parametrize("size", SIZES)
async def test_keys_pause_step_and_go_to_the_ends(tmp_path: Path, size: tuple[int, int]) -> None:
    async with replaying(hour(), tmp_path, size) as replay:
        await replay.type("space")
        await replay.wait_for("‖")
        await replay.type("end")
        await replay.wait_for("delta")
        await replay.type("left")
        await replay.wait_for("5/6")
        await replay.wait_gone("delta")
        assert "charlie" in replay.text
        await replay.type("home")
        await replay.wait_for("1/6")
        await replay.wait_gone("bravo")
        assert "👍" not in replay.text
        await replay.type("right")
        await replay.wait_for("bravo")
        assert replay.text.count("alpha") == 1


async def test_the_speed_is_shown(tmp_path: Path) -> None:
    async with replaying(hour(), tmp_path) as replay:
        await replay.type("plus", "plus")
        await replay.wait_for("4×")
        await replay.type("minus")
        await replay.wait_for("2×")


async def test_at_goes_to_a_time(tmp_path: Path) -> None:
    played = hour()
    async with replaying(played, tmp_path) as replay:
        await replay.enter(f"/at {played.entries[1].at.astimezone():%H:%M:%S}")
        await replay.wait_for("bravo")
        assert "charlie" not in replay.text
        await replay.enter("/at soon")
        assert "Invalid time: 'soon'" in toasts(replay)
        await replay.type("ctrl+u")
        await replay.enter("/at 2001-01-01")
        assert "This replay is from 2025-08-30" in toasts(replay)


async def test_keys_edit_a_text_that_has_begun(tmp_path: Path) -> None:
    async with replaying(hour(), tmp_path) as replay:
        await replay.type("/", "a", "t", "left", "home", "end")
        playback = replay.client.playback
        assert replay.app.screen.query_one(Composer).text.startswith("/at")
        assert (playback.is_paused, playback.speed, playback.count) == (False, 1.0, 1)


@pytest.mark.parametrize("typed", ["hello", "/me waves", "/topic new", "/nick bob", "/msg bob hi"])
async def test_nothing_can_be_sent(tmp_path: Path, typed: str) -> None:
    async with replaying(hour(), tmp_path) as replay:
        await replay.enter(typed)
        await replay.settled()
        assert READ_ONLY in toasts(replay) + replay.text.replace("\n", " ")
        assert "alpha" in replay.text


async def test_a_text_stays_in_the_input(tmp_path: Path) -> None:
    async with replaying(hour(), tmp_path) as replay:
        await replay.enter("hello")
        assert READ_ONLY in toasts(replay)
        assert replay.app.screen.query_one(Composer).text == "hello"
        assert "not sent" not in replay.text


async def test_the_input_says_that_it_is_read_only(tmp_path: Path) -> None:
    async with replaying(hour(), tmp_path) as replay:
        assert "Replay, read-only" in replay.text
        assert "here for help" not in replay.text


async def test_a_replay_is_not_saved(tmp_path: Path) -> None:
    async with replaying(hour(), tmp_path) as replay:
        await replay.type("ctrl+q")
    assert replay.app.return_code == 0


def toasts(replay: Shown) -> str:
    return "; ".join(each.message for each in replay.app._notifications)


# -- the client


def answers(client: ReplayClient) -> list[Update]:
    return client._due()


def client_at_the_end(count: int = 3 * BACKLOG) -> ReplayClient:
    playback = Playback(recording(*(post(seq, f"post {seq}", minutes=seq) for seq in range(1, count + 1))))
    playback.seek(1e9)
    client = ReplayClient(playback, "x", lambda: 0.0)
    client._room.opening(playback.count)
    return client


def test_a_jump_shows_the_last_posts_only() -> None:
    client = client_at_the_end()
    assert len(client._room.opening(client.playback.count)) == BACKLOG + 2


def test_history_is_answered_from_the_recording() -> None:
    client = client_at_the_end()
    client.fetch_history("lobby", before="e-100", limit=10)
    client.fetch_history("lobby", before="e-5", limit=10)
    client.fetch_history("lobby", around="e-50", limit=4)
    client.fetch_history("lobby", pinned=True)
    first, second, third, fourth = answers(client)
    assert isinstance(first, HistoryFetched)
    assert [each.position.seq for each in first.posts] == list(range(90, 100))
    assert (first.more, str(first.start)) == (True, "e-90")
    assert isinstance(second, HistoryFetched)
    assert [each.position.seq for each in second.posts] == [1, 2, 3, 4]
    assert not second.more
    assert isinstance(third, HistoryFetched)
    assert [each.position.seq for each in third.posts] == [48, 49, 50, 51]
    assert isinstance(fourth, HistoryFetched)
    assert (fourth.posts, fourth.start) == ((), None)


def test_search_threads_and_people_are_answered_from_the_recording() -> None:
    playback = Playback(hour())
    playback.seek(1e9)
    client = ReplayClient(playback, "x", lambda: 0.0)
    client._room.opening(playback.count)
    client.search("lobby", "CHAR")
    client.fetch_history("lobby", root="e-1")
    client.list_members("lobby")
    client.list_rooms()
    found, thread, members, rooms = answers(client)
    assert isinstance(found, SearchFound)
    assert [each.text for each in found.posts] == ["charlie"]
    assert isinstance(thread, HistoryFetched)
    assert [each.text for each in thread.posts] == ["alpha", "charlie"]
    assert isinstance(members, events.Presence)
    assert [each.name for each in members.members] == ["ana", "bob"]
    assert isinstance(rooms, events.RoomList)
    assert rooms.rooms[0].room == "lobby"


def test_everything_else_is_rejected() -> None:
    client = client_at_the_end(3)
    client.say("lobby", "hi")
    client.send_note("lobby", "e-1", NoteKind.PIN)
    client.ban("bob")
    post_rejected, note_rejected, notice = answers(client)
    assert isinstance(post_rejected, PostRejected)
    assert (post_rejected.text, post_rejected.reason) == ("hi", READ_ONLY)
    assert isinstance(note_rejected, NoteRejected)
    assert isinstance(notice, Noticed)
    assert notice.text == READ_ONLY
