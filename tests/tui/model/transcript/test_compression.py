"""A transcript whose older chunks are compressed reads as one without compression."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcast_tui.core.post import Position, Post
from broadcast_tui.core.post_state import Deletion, PostState
from broadcast_tui.core.session.updates import EpochChanged
from broadcast_tui.tui.model.transcript.chunks import RECENT_CHUNKS, Chunk
from broadcast_tui.tui.model.transcript.find import FindState
from broadcast_tui.tui.model.transcript.layout import RowLayout
from broadcast_tui.tui.model.transcript.navigation import first_from, newest_own_post, posts_by
from broadcast_tui.tui.model.transcript.records import OlderPost
from broadcast_tui.tui.model.transcript.transcript import CHUNK_LINES, Transcript

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
LIMIT = 64
"""So small that the oldest lines are dropped; chunks have 8 lines."""
FIRST_SEQ = 1_000
TEXTS = st.sampled_from(["hello", "", "two\nlines", "Größe 漢字", "😀 e\u0301", "a\ud800b", "word " * 60])
NAMES = st.sampled_from(["ana", "bob", "eve", "Zoë"])
PAGES = st.lists(st.tuples(NAMES, TEXTS), min_size=3, max_size=20)
PLACES = st.integers(0, 30)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("posts"), PAGES),
        st.tuples(st.just("posts"), PAGES),
        st.tuples(st.just("presence"), NAMES, st.booleans()),
        st.tuples(st.just("older"), PAGES),
        st.tuples(st.just("edit"), PLACES, TEXTS),
        st.tuples(st.just("edit"), PLACES, TEXTS),
        st.tuples(st.just("delete"), PLACES),
        st.tuples(st.just("pending"), TEXTS),
        st.tuples(st.just("hide"), st.booleans()),
        st.tuples(st.sampled_from(["clear", "restore", "follow"])),
        st.tuples(st.just("withdraw"), st.integers(0, 5)),
    ),
    min_size=8,
    max_size=40,
)


class Story:
    """A transcript and what happened in its room."""

    def __init__(self) -> None:
        self.transcript = Transcript(LIMIT, UTC)
        self.epoch, self.seq, self.oldest = "e", FIRST_SEQ, FIRST_SEQ
        self.at = NOON

    def apply(self, step: tuple[object, ...]) -> None:
        self.at += timedelta(minutes=37)
        transcript = self.transcript
        match step:
            case "posts", list(posts):
                for name, text in posts:
                    self.seq += 1
                    post_id = f"{self.epoch}-{self.seq}"
                    transcript.add_post(name, text, self.at, own=name == "ana", post_id=post_id)
            case "presence", str(name), bool(grows):
                growing = transcript.growing_id
                if growing is None:
                    transcript.add_presence(f"{name} joined", name, self.at, grows=grows)
                else:
                    transcript.replace_presence(growing, f"{name} joined too", "", self.at)
            case "older", list(posts):
                self.oldest -= len(posts)
                page = [
                    OlderPost(
                        name, text, NOON - timedelta(days=1), name == "ana", False, f"{self.epoch}-{number}"
                    )
                    for number, (name, text) in enumerate(posts, self.oldest)
                ]
                transcript.prepend_posts(page)
            case "edit", int(back), str(text):
                self._replace(back, text, PostState(edited="2026-03-01T12:00:00Z"))
            case "delete", int(back):
                self._replace(back, "", PostState(deleted=Deletion("bob", "")))
            case "pending", str(text):
                transcript.add_pending("n", "ana", text, self.at)
            case "hide", bool(hides):
                transcript.hide((lambda name: name == "eve") if hides else None)
            case ("clear",):
                transcript.clear()
            case ("restore",):
                transcript.restore_cleared()
            case ("follow",):
                former, self.epoch = self.epoch, f"{self.epoch}x"[-8:]
                transcript.follow(EpochChanged("lobby", former, self.epoch, self.seq))
            case "withdraw", int(count):
                self.seq = max(FIRST_SEQ, self.seq - count)
                transcript.withdraw(Position(self.epoch, self.seq + 1))
            case _:
                raise AssertionError(step)

    def _replace(self, back: int, text: str, state: PostState) -> None:
        position = Position(self.epoch, self.seq - back)
        if (stored := self.transcript.find_post(position)) is not None:
            post = Post("", position, stored.post.sender, text, self.at, state=state)
            self.transcript.replace_post(post, mention="e" in text)

    def reading(self) -> list[object]:
        """All that can be read of the transcript."""
        transcript = self.transcript
        layout = RowLayout.of_width(60)
        find = FindState(transcript, re.compile("l"), transcript.next_id)
        while not find.search_some(lambda: False):
            pass
        return [
            [[chunk.record(i) for i in range(len(chunk))] for chunk in transcript.chunks],
            [[chunk.line(i) for i in range(len(chunk))] for chunk in transcript.chunks],
            [(chunk.first_id, chunk.char_count, layout.count_rows(chunk)) for chunk in transcript.chunks],
            [transcript.find_post(Position(self.epoch, self.seq - back)) for back in range(60)],
            (find.count, find.current, transcript.first_post_id, transcript.senders, len(transcript)),
            (newest_own_post(transcript), posts_by(transcript, "bob")),
            first_from(transcript, Position(self.epoch, FIRST_SEQ)),
        ]


def read(steps: list[tuple[object, ...]]) -> list[object]:
    story = Story()
    for step in steps:
        story.apply(step)
    return story.reading()


@given(STEPS)
def test_a_compressed_transcript_reads_as_before(steps: list[tuple[object, ...]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("broadcast_tui.tui.model.transcript.chunks.RECENT_CHUNKS", 1)
        compressed = read(steps)
        patch.setattr(Chunk, "compress", lambda chunk: None)
        plain = read(steps)
    assert compressed == plain


def test_all_but_the_last_chunks_are_compressed() -> None:
    transcript = Transcript(zone=UTC)
    for number in range(CHUNK_LINES * (RECENT_CHUNKS + 3)):
        transcript.add_post("ana", f"{number} {'word ' * 20}", NOON)
    compressed = [chunk.texts._is_compressed for chunk in transcript.chunks]
    assert compressed == [*[True] * (len(compressed) - RECENT_CHUNKS), *[False] * RECENT_CHUNKS]


def test_pages_of_history_are_compressed() -> None:
    transcript = Transcript(zone=UTC)
    page = [OlderPost("ana", "word " * 20, NOON, False, False, f"e-{number}") for number in range(200)]
    transcript.prepend_posts(page)
    assert all(len(chunk.texts._packed) < chunk.char_count / 2 for chunk in transcript.chunks)
