from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from broadcast_tui.tui.model.transcript.chunks import DeliveryState, Line, LineKind
from broadcast_tui.tui.model.transcript.records import TEXT_MAX, OlderPost
from broadcast_tui.tui.model.transcript.transcript import HIDDEN_MAX, RECENT_LINES, Transcript

NOON = datetime(2025, 8, 30, 12, tzinfo=UTC)


def lines(transcript: Transcript) -> list[Line]:
    return [chunk.line(i) for chunk in transcript.chunks for i in range(len(chunk))]


def texts(transcript: Transcript, *, days: bool = False) -> list[str]:
    return [line.text for line in lines(transcript) if days or line.kind != LineKind.DAY]


def transcript_of(*posts: str) -> Transcript:
    transcript = Transcript(zone=UTC)
    for number, text in enumerate(posts):
        transcript.add_post("ana", text, NOON, post_id=f"k3f9-{number + 100}")
    return transcript


def older(*posts: str, at: datetime = NOON) -> list[OlderPost]:
    return [
        OlderPost("bob", text, at, False, False, f"k3f9-{number}") for number, text in enumerate(posts, 1)
    ]


def assert_sound(transcript: Transcript) -> None:
    """Assert that ids have no gaps, each line is found by its id, and the length is right."""
    all_lines = lines(transcript)
    first_id = transcript.first_id
    assert [line.id for line in all_lines] == list(range(first_id, first_id + len(all_lines)))
    assert len(transcript) == len(all_lines)
    assert transcript.next_id == first_id + len(all_lines) - transcript.pending_count
    assert [transcript.line(line.id) for line in all_lines] == all_lines
    assert transcript.line(first_id - 1) is None
    assert transcript.line(first_id + len(all_lines)) is None


def test_an_empty_transcript() -> None:
    transcript = Transcript()
    assert_sound(transcript)
    assert (len(transcript), transcript.first_post_id, transcript.senders) == (0, "", ())


def test_a_post_is_stored_as_received() -> None:
    transcript = transcript_of()
    line_id = transcript.add_post("ana", "hi\nthere", NOON, own=True, mention=True, post_id="k3f9-7")
    line = Line(line_id, LineKind.POST, "ana", "hi\nthere", NOON.timestamp(), DeliveryState.NONE, True, True)
    assert transcript.line(line_id) == line
    assert transcript.first_post_id == "k3f9-7"
    assert_sound(transcript)


def test_every_change_raises_the_version() -> None:
    transcript = transcript_of()
    versions = [transcript.version]
    for change in (
        lambda: transcript.add_post("ana", "a", NOON),
        lambda: transcript.add_system("s", NOON),
        lambda: transcript.add_presence("bob joined", "", NOON),
        lambda: transcript.replace_presence(transcript.next_id - 1, "", "", NOON),
        lambda: transcript.add_pending("n", "ana", "p", NOON),
        lambda: transcript.confirm("n"),
        lambda: transcript.reject("n", "too long"),
        lambda: transcript.prepend_posts(older("o")),
        lambda: transcript.clear(),
    ):
        change()
        versions.append(transcript.version)
    assert versions == sorted(set(versions))


def test_me_makes_an_action() -> None:
    transcript = transcript_of("/me waves", "/mean", "/me", "//me x")
    kinds = [(line.kind, line.text) for line in lines(transcript)[1:]]
    assert kinds[0] == (LineKind.ACTION, "waves")
    assert [kind for kind, _ in kinds[1:]] == [LineKind.POST] * 3


def test_system_and_error_lines_have_no_sender() -> None:
    transcript = transcript_of()
    transcript.add_system("bob joined", NOON)
    transcript.add_system("no such command", NOON, error=True)
    kinds = [(line.kind, line.sender) for line in lines(transcript)[1:]]
    assert kinds == [(LineKind.SYSTEM, ""), (LineKind.ERROR, "")]


@pytest.mark.parametrize("enter", ["post", "pending", "system", "older"])
def test_received_text_is_sanitized(enter: str) -> None:
    transcript = transcript_of()
    evil = "\x1b[31m\x9b2J\u202e\x07\r\nx\ud800"
    match enter:
        case "post":
            transcript.add_post(evil, evil, NOON)
        case "pending":
            transcript.add_pending("n", evil, evil, NOON)
            transcript.reject("n", evil)
        case "system":
            transcript.add_system(evil, NOON)
        case "older":
            transcript.prepend_posts([OlderPost(evil, evil, NOON, False, False, "")])
    for line in lines(transcript):
        assert line.sender.isprintable()
        assert line.text.replace("\n", "").isprintable()


# Days


def test_a_day_line_precedes_the_first_line_of_each_day() -> None:
    transcript = Transcript(zone=UTC)
    for hours in (0, 1, 11, 12, 13, 60):
        transcript.add_post("ana", str(hours), NOON + timedelta(hours=hours))
    assert texts(transcript, days=True) == [
        "Saturday 30 August 2025", "0", "1", "11",
        "Sunday 31 August 2025", "12", "13",
        "Tuesday 2 September 2025", "60",
    ]  # fmt: skip
    assert_sound(transcript)


def test_days_are_those_of_the_time_zone() -> None:
    transcript = Transcript(zone=timezone(timedelta(hours=-13)))
    transcript.add_system("a", NOON)
    transcript.add_system("b", NOON + timedelta(hours=1))
    assert texts(transcript, days=True) == ["Friday 29 August 2025", "a", "Saturday 30 August 2025", "b"]


def test_a_clock_that_steps_back_adds_no_day_line() -> None:
    transcript = Transcript(zone=UTC)
    for hours in (0, 12, -1, 12, -30):
        transcript.add_system("x", NOON + timedelta(hours=hours))
    assert len(transcript) == 5 + 2


@pytest.mark.parametrize("year", [1, 1969, 9999])
def test_timestamps_out_of_range_are_harmless(year: int) -> None:
    transcript = Transcript()
    transcript.add_post("ana", "x", datetime(year, 12, 31, 23, 59, tzinfo=UTC))
    transcript.add_post("ana", "y", NOON)
    assert texts(transcript) == ["x", "y"]


# Pending posts


def test_pending_posts_stay_below_all_others() -> None:
    transcript = transcript_of("a")
    transcript.add_pending("n1", "ana", "mine", NOON)
    transcript.add_pending("n2", "ana", "mine too", NOON)
    transcript.add_post("bob", "b", NOON)
    assert texts(transcript) == ["a", "b", "mine", "mine too"]
    assert [line.mark for line in lines(transcript)[-2:]] == [DeliveryState.PENDING, DeliveryState.PENDING]
    assert transcript.pending_count == 2
    assert_sound(transcript)


def test_a_post_that_arrives_moves_to_its_position() -> None:
    transcript = transcript_of("a")
    transcript.add_pending("n1", "ana", "mine", NOON)
    transcript.add_pending("n2", "ana", "mine too", NOON)
    line_id = transcript.add_post("ana", "mine", NOON, own=True, nonce="n1")
    line = transcript.line(line_id)
    assert line is not None
    assert (line.text, line.mark, line.own) == ("mine", DeliveryState.NONE, True)
    assert texts(transcript) == ["a", "mine", "mine too"]
    assert_sound(transcript)


def test_a_confirmed_post_waits_for_its_position() -> None:
    transcript = transcript_of("a")
    transcript.add_pending("n", "ana", "mine", NOON)
    transcript.confirm("n")
    assert lines(transcript)[-1].mark == DeliveryState.DELIVERED
    assert transcript.pending_count == 1
    transcript.add_post("ana", "mine", NOON, own=True, nonce="n")
    transcript.confirm("n")
    assert [line.mark for line in lines(transcript)[-2:]] == [DeliveryState.NONE, DeliveryState.NONE]
    assert_sound(transcript)


def test_a_confirmed_post_that_has_arrived_is_shown_once() -> None:
    transcript = transcript_of("a")
    transcript.add_pending("n", "ana", "mine", NOON)
    transcript.add_post("ana", "mine", NOON, own=True)
    transcript.confirm("n", has_arrived=True)
    assert texts(transcript) == ["a", "mine"]
    assert transcript.pending_count == 0
    assert_sound(transcript)


def test_a_refused_post_stays_with_the_reason() -> None:
    transcript = transcript_of("a")
    transcript.add_pending("n", "ana", "mine", NOON)
    transcript.reject("n", "Too long.")
    transcript.add_post("bob", "b", NOON)
    assert texts(transcript) == ["a", "mine", "not sent: Too long.", "b"]
    assert [line.mark for line in lines(transcript)[1:]] == [
        DeliveryState.NONE,
        DeliveryState.REJECTED,
        DeliveryState.NONE,
        DeliveryState.NONE,
    ]
    assert transcript.pending_count == 0
    assert_sound(transcript)


def test_an_unknown_nonce_changes_nothing() -> None:
    transcript = transcript_of("a")
    version = transcript.version
    transcript.confirm("x")
    transcript.reject("x", "why")
    assert transcript.version == version
    transcript.add_post("ana", "from my other terminal", NOON, own=True, nonce="x")
    assert texts(transcript) == ["a", "from my other terminal"]


# Older posts


def test_older_posts_go_on_top_under_one_day_line() -> None:
    transcript = transcript_of("a", "b")
    assert transcript.prepend_posts(older("y", "z")) == 2
    assert texts(transcript, days=True) == ["Saturday 30 August 2025", "y", "z", "a", "b"]
    assert transcript.first_post_id == "k3f9-1"
    assert_sound(transcript)


def test_older_posts_of_another_day_get_their_own_day_line() -> None:
    transcript = transcript_of("a")
    assert transcript.prepend_posts(older("z", at=NOON - timedelta(days=1))) == 2
    assert texts(transcript, days=True) == ["Friday 29 August 2025", "z", "Saturday 30 August 2025", "a"]
    assert_sound(transcript)


def test_line_ids_are_stable_when_older_posts_are_prepended() -> None:
    transcript = transcript_of("a")
    transcript.add_pending("n", "ana", "mine", NOON)
    ids = {line.text: line.id for line in lines(transcript)[1:]}
    transcript.prepend_posts(older(*map(str, range(600))))
    assert {line.text: line.id for line in lines(transcript)[-2:]} == ids
    assert_sound(transcript)


def test_older_posts_into_an_empty_transcript() -> None:
    transcript = transcript_of()
    transcript.prepend_posts(older("y"))
    transcript.add_post("ana", "a", NOON)
    assert texts(transcript, days=True) == ["Saturday 30 August 2025", "y", "a"]
    assert transcript.prepend_posts([]) == 0
    assert_sound(transcript)


def test_older_posts_above_a_trimmed_top_get_their_day_line() -> None:
    transcript = Transcript(limit=64, zone=UTC)
    for number in range(66):
        transcript.add_post("ana", str(number), NOON + timedelta(minutes=number))
    assert lines(transcript)[0].kind == LineKind.POST
    transcript.prepend_posts(older("z", at=NOON - timedelta(days=1)))
    assert [line.kind for line in lines(transcript)[:4]] == [
        LineKind.DAY, LineKind.POST, LineKind.DAY, LineKind.POST,
    ]  # fmt: skip
    assert_sound(transcript)


def test_a_full_transcript_accepts_no_older_posts() -> None:
    transcript = Transcript(limit=16, zone=UTC)
    for number in range(15):
        transcript.add_post("ana", str(number), NOON)
    assert transcript.prepend_posts(older("z")) == 0
    assert_sound(transcript)


# Join and leave lines


def test_a_presence_line_can_be_replaced_while_it_is_the_last() -> None:
    transcript = transcript_of("a")
    line_id = transcript.add_presence("bob joined", "", NOON)
    version, later = transcript.version, NOON + timedelta(minutes=5)
    assert transcript.replace_presence(line_id, "bob and cy joined", "cy joined", later)
    line = transcript.line(line_id)
    assert line is not None
    assert (line.kind, line.text, line.brief) == (LineKind.PRESENCE, "bob and cy joined", "cy joined")
    assert line.at == later.timestamp()
    assert transcript.version > version
    assert transcript.rewritten_count == 1
    assert texts(transcript) == ["a", "bob and cy joined"]
    assert_sound(transcript)


def test_a_line_that_is_not_the_last_stays_as_it_is() -> None:
    transcript = transcript_of("a")
    line_id = transcript.add_presence("bob joined", "", NOON)
    transcript.add_post("bob", "b", NOON)
    assert not transcript.replace_presence(line_id, "x", "x", NOON)
    assert not transcript.replace_presence(transcript.next_id - 1, "x", "x", NOON)
    line_id = transcript.add_presence("bob left", "", NOON)
    assert not transcript.replace_presence(line_id, "x", "x", NOON + timedelta(days=1)), "another day"
    transcript.clear()
    assert not transcript.replace_presence(line_id, "x", "x", NOON)
    assert transcript.rewritten_count == 0
    assert_sound(transcript)


def test_a_chunk_seen_before_does_not_change() -> None:
    transcript = transcript_of("a")
    line_id = transcript.add_presence("bob joined", "bob joined", NOON)
    chunk = transcript.chunks[-1]
    transcript.replace_presence(line_id, "", "", NOON)
    assert chunk.line(len(chunk) - 1).text == chunk.line(len(chunk) - 1).brief == "bob joined"


def test_recent_senders() -> None:
    transcript = transcript_of("a")
    assert transcript.posted_recently("ana")
    assert not transcript.posted_recently("bob")
    for number in range(RECENT_LINES - 2):
        transcript.add_post("bob", str(number), NOON)
    assert transcript.posted_recently("ana")
    transcript.add_system("x", NOON)
    assert not transcript.posted_recently("ana")
    assert transcript.posted_recently("bob")


# Bounds


def test_the_number_of_lines_never_exceeds_the_limit() -> None:
    transcript = Transcript(limit=1000, zone=UTC)
    for number in range(5000):
        transcript.add_post("ana", str(number), NOON, post_id=f"k3f9-{number}")
        assert len(transcript) <= 1000
    assert texts(transcript)[-1] == "4999"
    assert len(transcript) > 800
    assert transcript.first_post_id == f"k3f9-{lines(transcript)[0].text}"
    assert_sound(transcript)


def test_a_limit_below_16_is_an_error() -> None:
    with pytest.raises(ValueError, match="16 lines"):
        Transcript(limit=15)


def test_clear_removes_all_but_pending_posts() -> None:
    transcript = transcript_of("a", "b")
    transcript.add_pending("n", "ana", "mine", NOON)
    end = transcript.next_id
    transcript.clear()
    assert texts(transcript) == ["mine"]
    assert (transcript.first_post_id, transcript.first_id) == ("", end)
    transcript.add_post("ana", "c", NOON)
    assert texts(transcript, days=True) == ["c", "mine"]
    assert_sound(transcript)


# Senders and post ids


def test_senders_are_the_last_speakers_last_first() -> None:
    transcript = transcript_of()
    for name in ("ana", "bob", "carl", "ana"):
        transcript.add_post(name, "x", NOON)
    transcript.add_system("dora joined", NOON)
    assert transcript.senders == ("ana", "carl", "bob")


def test_senders_are_bounded() -> None:
    transcript = transcript_of()
    for number in range(1000):
        transcript.add_post(f"user{number}", "x", NOON)
    assert len(transcript.senders) == 256
    assert transcript.senders[0] == "user999"


def test_only_posts_of_others_count_as_arrived() -> None:
    transcript = transcript_of()
    transcript.add_post("bob", "x", NOON)
    transcript.add_post("ana", "x", NOON, own=True)
    transcript.add_system("x", NOON)
    transcript.prepend_posts(older("x"))
    assert transcript.received_count == 1


@pytest.mark.parametrize("post_id", ["k3f9-1", "k3f9-0", "a-b-12", "odd", "odd-x", "x-1234567890123456789"])
def test_post_ids_round_trip(post_id: str) -> None:
    transcript = transcript_of()
    transcript.add_system("no post", NOON)
    transcript.add_post("ana", "x", NOON, post_id=post_id)
    assert transcript.first_post_id == post_id


def test_narrow_layouts_indent_continuation_lines() -> None:
    from broadcast_tui.tui.model.transcript.layout import RowLayout

    assert RowLayout.of_width(40).body("hi\nSYSTEM: you are logged out") == "hi\n  SYSTEM: you are logged out"
    assert RowLayout.of_width(80).body("hi\nthere") == "hi\nthere"


def test_a_very_long_post_is_shortened() -> None:
    transcript = Transcript(zone=UTC)
    transcript.add_post("ana", "x" * (TEXT_MAX + 1_234), NOON)
    line = transcript.line(transcript.next_id - 1)
    assert line is not None
    assert line.text == "x" * TEXT_MAX + "\n… (1,234 more characters are not shown)"


def test_all_lines_together_are_also_bounded_by_length(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broadcast_tui.tui.model.transcript.transcript.CHARS_MAX", 100_000)
    monkeypatch.setattr("broadcast_tui.tui.model.transcript.transcript.CHUNK_CHARS", 10_000)
    transcript = Transcript(zone=UTC)
    for number in range(50):
        transcript.add_post("ana", f"{number} {'x' * 5_000}", NOON)
        transcript.add_presence("bob joined", "", NOON)
        transcript.replace_presence(transcript.next_id - 1, "bob and eve joined", "", NOON)
    stored = sum(len(text) for chunk in transcript.chunks for text in chunk.texts)
    assert 80_000 < stored <= 100_000
    assert transcript._chars == stored
    transcript.clear()
    transcript.restore_cleared()
    assert transcript._chars == sum(len(text) for chunk in transcript.chunks for text in chunk.texts)
    assert transcript.prepend_posts([OlderPost("ana", "y" * 60_000, NOON, False, False, "e-1")]) == 0


def test_a_flood_of_hidden_posts_becomes_lines() -> None:
    transcript = Transcript(limit=1_000, zone=UTC)
    transcript.hide(lambda name: name == "eve")
    for number in range(3 * HIDDEN_MAX + 5):
        transcript.add_post("eve", f"{number}", NOON)
    assert transcript.hidden_count == 5
    assert [line.text for line in lines(transcript)[1:]] == ["1,000 hidden from eve"] * 3
