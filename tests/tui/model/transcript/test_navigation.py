from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from broadcast_tui.core.post import Position
from broadcast_tui.tui.model.transcript.navigation import first_newer, next_mention
from broadcast_tui.tui.model.transcript.transcript import Transcript

NOON = datetime(2025, 8, 30, 12, tzinfo=UTC)


def transcript_of(mentions: list[bool], limit: int = 100_000) -> Transcript:
    transcript = Transcript(limit, zone=UTC)
    for number, mention in enumerate(mentions):
        transcript.add_post("bob", str(number), NOON, mention=mention, post_id=f"k3f9-{number + 1}")
    return transcript


def mention_ids(transcript: Transcript) -> list[int]:
    lines = [chunk.line(i) for chunk in transcript.chunks for i in range(len(chunk))]
    return [line.id for line in lines if line.mention]


@given(st.lists(st.booleans(), max_size=90), st.integers(-5, 99), st.booleans())
def test_the_nearest_mention_is_found_and_the_search_wraps_around(
    mentions: list[bool], line_id: int, back: bool
) -> None:
    transcript = transcript_of(mentions, limit=64)
    transcript.add_pending("n", "ana", "mine", NOON)
    ids = mention_ids(transcript)
    found = next_mention(transcript, line_id, back=back)
    if not ids:
        assert found is None
        return
    beyond = [mention_id for mention_id in ids if (mention_id < line_id if back else mention_id > line_id)]
    choose = max if back else min
    assert found == (choose(beyond or ids), not beyond)


def test_searching_100_000_posts_takes_one_step_per_chunk() -> None:
    transcript = transcript_of([number in (7, 98_000) for number in range(99_000)])
    older, newer = mention_ids(transcript)
    assert next_mention(transcript, transcript.next_id, back=True) == (newer, False)
    assert next_mention(transcript, newer, back=True) == (older, False)
    assert next_mention(transcript, older, back=True) == (newer, True)
    assert next_mention(transcript, newer, back=False) == (older, True)


def test_a_transcript_without_mentions_has_no_next_one() -> None:
    assert next_mention(Transcript(), 0, back=True) is None
    assert next_mention(transcript_of([False]), 0, back=False) is None


def test_the_first_newer_post_is_from_someone_else() -> None:
    transcript = transcript_of([False] * 5)
    transcript.add_post("ana", "ours", NOON, own=True, post_id="k3f9-6")
    transcript.add_post("bob", "theirs", NOON, post_id="k3f9-7")
    line_id = first_newer(transcript, Position("k3f9", 5))
    assert line_id is not None
    line = transcript.line(line_id)
    assert line is not None
    assert line.text == "theirs"
    assert first_newer(transcript, Position("k3f9", 7)) is None
    assert first_newer(transcript, Position("other", 99)) == transcript.first_id + 1
