from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from broadcast_tui.tui.model.transcript.chunks import LineKind
from broadcast_tui.tui.model.transcript.navigation import posts_by
from broadcast_tui.tui.model.transcript.records import OlderPost
from broadcast_tui.tui.model.transcript.transcript import Transcript

AT = datetime(2025, 8, 30, 10, 30, tzinfo=UTC)


def lines(transcript: Transcript) -> list[str]:
    """All lines except day lines, as `sender: text` or the text."""
    found = [chunk.line(i) for chunk in transcript.chunks for i in range(len(chunk))]
    return [
        f"{line.sender}: {line.text}" if line.sender else line.text
        for line in found
        if line.kind is not LineKind.DAY
    ]


def ids_have_no_holes(transcript: Transcript) -> bool:
    ids = [chunk.line(i).id for chunk in transcript.chunks for i in range(len(chunk))]
    return ids == list(range(transcript.first_id, transcript.first_id + len(ids)))


def add(transcript: Transcript, *posts: tuple[str, str]) -> None:
    for sender, text in posts:
        transcript.add_post(sender, text, AT, own=sender == "ana", post_id=f"e-{len(transcript)}")


def eve(name: str) -> bool:
    return name == "eve"


def test_a_run_of_hidden_posts_is_one_line_that_counts_them() -> None:
    transcript = Transcript()
    transcript.hide(eve)
    add(transcript, ("bob", "1"), ("eve", "2"), ("eve", "3"))
    assert lines(transcript) == ["bob: 1"]
    add(transcript, ("bob", "4"), ("eve", "5"))
    transcript.add_system("news", AT)
    assert lines(transcript) == ["bob: 1", "2 hidden from eve", "bob: 4", "1 hidden from eve", "news"]


def test_hiding_removes_posts_and_showing_restores_them_in_place() -> None:
    transcript = Transcript()
    add(transcript, ("bob", "1"), ("eve", "/me waves"), ("ana", "3"), ("eve", "4"))
    before = lines(transcript)
    transcript.hide(eve)
    assert lines(transcript) == ["bob: 1", "1 hidden from eve", "ana: 3"]
    add(transcript, ("eve", "5"))
    transcript.hide(None)
    assert lines(transcript) == [*before, "eve: 5"]
    assert ids_have_no_holes(transcript)


def test_marks_mentions_and_post_ids_survive_hiding() -> None:
    transcript = Transcript()
    transcript.add_post("bob", "ana!", AT, mention=True, post_id="e-7")
    transcript.add_pending("n", "ana", "refused", AT)
    transcript.reject("n", "too long")
    transcript.add_pending("p", "ana", "on its way", AT)
    found = [chunk.line(i)[1:] for chunk in transcript.chunks for i in range(len(chunk))]
    transcript.hide(eve)
    transcript.hide(None)
    assert [chunk.line(i)[1:] for chunk in transcript.chunks for i in range(len(chunk))] == found
    assert transcript.first_post_id == "e-7"
    assert transcript.pending_count == 1


def test_hidden_posts_are_not_counted_as_arrived_and_their_senders_not_offered() -> None:
    transcript = Transcript()
    transcript.hide(eve)
    add(transcript, ("bob", "1"), ("eve", "2"))
    assert transcript.received_count == 1
    assert transcript.senders == ("bob",)
    transcript.hide(None)
    assert transcript.received_count == 1


def test_our_own_posts_are_never_hidden() -> None:
    transcript = Transcript()
    transcript.hide(lambda name: True)
    add(transcript, ("ana", "1"))
    assert lines(transcript) == ["ana: 1"]


def older(*posts: tuple[str, str]) -> list[OlderPost]:
    return [
        OlderPost(sender, text, AT - timedelta(minutes=9), False, False, f"e-{number}")
        for number, (sender, text) in enumerate(posts)
    ]


def test_a_page_of_history_is_folded_too_and_unfolds_in_its_place() -> None:
    transcript = Transcript()
    add(transcript, ("bob", "new"))
    transcript.hide(eve)
    page = older(("eve", "1"), ("eve", "2"), ("bob", "3"), ("eve", "4"))
    assert transcript.prepend_posts(page) > 0
    assert lines(transcript) == ["2 hidden from eve", "bob: 3", "1 hidden from eve", "bob: new"]
    assert transcript.first_post_id == "e-0"
    assert ids_have_no_holes(transcript)
    transcript.hide(None)
    assert lines(transcript) == ["eve: 1", "eve: 2", "bob: 3", "eve: 4", "bob: new"]


def test_posts_without_a_sender_in_a_page_are_posts() -> None:
    transcript = Transcript()
    transcript.hide(eve)
    transcript.prepend_posts(older(("", "a"), ("eve", "b"), ("", "c")))
    assert lines(transcript) == ["a", "1 hidden from eve", "c"]


@given(
    st.lists(
        st.tuples(st.sampled_from("abe"), st.booleans()) | st.sampled_from([("hide", True), ("show", True)]),
        max_size=30,
    ),
    st.integers(0, 6),
)
def test_nothing_is_lost_whatever_is_hidden_and_shown(
    steps: list[tuple[str, bool]], older_count: int
) -> None:
    transcript = Transcript(zone=UTC)
    expected = []
    for number, (what, _) in enumerate(steps):
        if what == "hide":
            transcript.hide(lambda name: name == "e")
        elif what == "show":
            transcript.hide(None)
        else:
            transcript.add_post(what, str(number), AT + timedelta(hours=5 * number))
            expected.append(f"{what}: {number}")
        assert ids_have_no_holes(transcript)
    page = older(*(("e" if n % 3 else "a", f"o{n}") for n in range(older_count)))
    if transcript.prepend_posts(page):
        expected[:0] = [f"{post[0]}: {post[1]}" for post in page]
    transcript.hide(None)
    assert lines(transcript) == expected


def test_cleared_lines_are_restored_above_newer_ones() -> None:
    transcript = Transcript()
    add(transcript, ("bob", "1"), ("bob", "2"))
    transcript.add_pending("n", "ana", "on its way", AT)
    transcript.clear()
    assert lines(transcript) == ["ana: on its way"]
    assert transcript.has_cleared
    add(transcript, ("bob", "3"))
    transcript.clear()
    add(transcript, ("bob", "4"))
    assert lines(transcript) == ["bob: 4", "ana: on its way"]
    transcript.restore_cleared()
    assert not transcript.has_cleared
    assert lines(transcript) == ["bob: 1", "bob: 2", "bob: 3", "bob: 4", "ana: on its way"]
    assert ids_have_no_holes(transcript)
    days = [k for chunk in transcript.chunks for k in chunk.kinds if k == LineKind.DAY]
    assert len(days) == 1


def test_cleared_and_restored_lines_stay_within_the_limit() -> None:
    transcript = Transcript(limit=32)
    for n in range(60):
        add(transcript, ("bob", str(n)))
        if n % 20 == 0:
            transcript.clear()
    transcript.restore_cleared()
    assert len(transcript) <= 32
    assert lines(transcript)[-1] == "bob: 59"


def test_posts_of_a_sender_are_counted() -> None:
    transcript = Transcript()
    add(transcript, ("bob", "1"), ("eve", "2"))
    transcript.add_post("bob", "3", AT + timedelta(hours=1))
    assert posts_by(transcript, "bob") == (2, (AT + timedelta(hours=1)).timestamp())
    assert posts_by(transcript, "zoe") == (0, None)
