from __future__ import annotations

from datetime import UTC, datetime

from broadcast_tui.tui.model.transcript.navigation import line_of, post_from, post_id_of, post_near
from broadcast_tui.tui.model.transcript.transcript import Transcript

NOON = datetime(2025, 8, 30, 12, tzinfo=UTC)


def transcript() -> Transcript:
    """Lines 0 to 5: day, post 1, system, system, post 2, system; then a pending post."""
    made = Transcript(zone=UTC)
    made.add_post("ana", "one", NOON, post_id="k3f9-1")
    made.add_system("bob joined", NOON)
    made.add_system("bob left", NOON)
    made.add_post("ana", "/me two", NOON, post_id="k3f9-2")
    made.add_system("carl joined", NOON)
    made.add_pending("n", "me", "on its way", NOON)
    return made


def test_the_next_post_skips_other_lines() -> None:
    lines = transcript()
    assert [post_from(lines, at, 1) for at in range(-3, 9)] == [
        1,
        1,
        1,
        1,
        1,
        4,
        4,
        4,
        None,
        None,
        None,
        None,
    ]
    assert [post_from(lines, at, -1) for at in (0, 1, 3, 5, 99)] == [None, 1, 1, 4, 4]
    assert [post_near(lines, at) for at in (0, 3, 5)] == [1, 1, 4]
    assert post_near(Transcript(), 0) is None


def test_posts_and_ids_map_both_ways() -> None:
    lines = transcript()
    assert [post_id_of(lines, at) for at in (-1, 0, 1, 2, 4, 6, 7)] == [
        "",
        "",
        "k3f9-1",
        "",
        "k3f9-2",
        "",
        "",
    ]
    assert [
        line_of(lines, post_id) for post_id in ("k3f9-1", "k3f9-2", "k3f9-3", "zzzz-1", "", "k3f9-x")
    ] == [
        1,
        4,
        None,
        None,
        None,
        None,
    ]
