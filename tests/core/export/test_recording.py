from __future__ import annotations

import json

import pytest

from broadcast_tui.core.export.formats import Format, exported_lines
from broadcast_tui.core.export.recording import Recording, RecordingError, read_recording
from broadcast_tui.core.notes import Note, apply_note
from broadcast_tui.core.post import Post
from broadcast_tui.core.post_state import Ask, Deletion, NoteKind, Pin, PostState, Votes
from tests.support.exports import AT, SOURCE, ZONE, note, post

ASK = Ask(("yes", "no"), "2025-08-30T12:00:00+00:00", 2, ("ana", "bob"))
FINAL = PostState(
    folded=9,
    edited="2025-08-30T10:31:00+00:00",
    pinned=Pin("eve", "2025-08-30T10:32:00+00:00"),
    reactions={"👍": Votes(1, ("zoë",))},
    ask=ASK,
    tally={"yes": Votes(2, ("ana", "bob"))},
    closed="2025-08-30T10:33:00+00:00",
)


def recorded(*entries: Post | Note) -> Recording:
    posts = [each for each in entries if isinstance(each, Post)]
    notes = [each for each in entries if isinstance(each, Note)]
    lines = exported_lines(Format.JSON_LINES, SOURCE, posts, notes, ZONE)
    return read_recording(line.encode() for line in lines)


def test_an_export_is_read_back() -> None:
    first, second = post(1, "one\ntwo", minutes=0), post(2, "three", sender="bob", re=1, minutes=2)
    found = recorded(first, second)
    assert found.room == "lobby"
    assert found.entries == (first, second)
    assert found.times_s == (0.0, 120.0)
    assert found.people == ("ana", "bob")
    assert (found.start, found.duration_s) == (AT, 120.0)
    assert (found.end - found.start).total_seconds() == 120.0


def test_changes_happen_at_the_times_of_their_notes() -> None:
    final = post(1, "new", state=FINAL)
    notes = [
        note(seq, kind, 1, minutes=seq) for seq, kind in enumerate(NoteKind, 2) if kind is not NoteKind.DELETE
    ]
    found = recorded(final, *notes)
    first = found.entries[0]
    assert isinstance(first, Post)
    assert first.state == PostState(ask=ASK, waiting=("ana", "bob"))
    shown = first
    for entry in found.entries[1:]:
        assert isinstance(entry, Note)
        shown = apply_note(shown, entry)
    for field in ("edited", "pinned", "reactions", "tally", "closed", "ask"):
        assert getattr(shown.state, field) == getattr(FINAL, field)


def test_changes_without_notes_are_there_from_the_start() -> None:
    first = recorded(post(1, "new", state=FINAL), note(3, NoteKind.PIN, 1)).entries[0]
    assert isinstance(first, Post)
    assert (first.state.edited, first.state.pinned) == (FINAL.edited, None)


def test_a_deleted_post_is_deleted_from_the_start() -> None:
    gone = PostState(folded=2, deleted=Deletion("eve", ""))
    first = recorded(post(1, "", state=gone), note(2, NoteKind.DELETE, 1)).entries[0]
    assert isinstance(first, Post)
    assert first.state.deleted == Deletion("eve", "")


def test_output_of_tail_has_the_state_of_each_note() -> None:
    shared = {"timestamp": AT.isoformat(), "room": "x"}
    now = {"message": "new", "edited": AT.isoformat()}
    lines = (
        {"type": "message", "message": "old", "sender": "a", "id": "e-1", **shared},
        {"type": "note", "note": "edit", "re": "e-1", "by": "a", "id": "e-2", "now": now, **shared},
    )
    found = read_recording(json.dumps(line).encode() for line in lines)
    first, second = found.entries
    assert isinstance(first, Post)
    assert isinstance(second, Note)
    assert first.text == "old"
    assert apply_note(first, second).text == "new"


def test_times_never_go_back() -> None:
    found = recorded(post(1, "a", minutes=5), post(2, "b", minutes=3), post(3, "c", minutes=6))
    assert found.times_s == (0.0, 0.0, 60.0)


def test_notes_before_the_first_post_are_left_out() -> None:
    found = recorded(post(5, "a"), note(2, NoteKind.PIN, 1))
    assert len(found.entries) == 1


MESSAGE = (
    '{"type":"message","message":"a","sender":"b","timestamp":"2025-08-30T10:00:00","id":"%s","room":"%s"}'
)


@pytest.mark.parametrize(
    ("lines", "error"),
    [
        ([], "there are no messages in this file"),
        (['{"type":"export","version":1,"room":"lobby"}'], "there are no messages"),
        (["hello"], "line 1: not JSON: "),
        (["", MESSAGE % ("e-1", "x"), "\x00\xff"], "line 3: not JSON: "),
        (['{"type":"welcome"}'], "line 1: not a line of an export: "),
        (["[]"], "line 1: not a line of an export: "),
        (['{"type":"message","message":1}'], "line 1: not a line of an export: "),
        (['{"type":"export","version":2,"room":"x"}'], "line 1: made by a newer version of this program"),
        ([MESSAGE % ("e-1", "x"), MESSAGE % ("e-2", "y")], "line 2: a line about another room: 'y'"),
        ([MESSAGE % ("e", "x")], "line 1: invalid id: 'e'"),
        ([MESSAGE % ("e-0", "x")], "line 1: invalid id: 'e-0'"),
        ([MESSAGE % ("e-2", "x"), MESSAGE % ("e-2", "x")], "line 2: the id e-2 does not follow e-2"),
        ([MESSAGE % ("e-2", "x"), MESSAGE % ("f-3", "x")], "line 2: the id f-3 does not follow e-2"),
        ([(MESSAGE % ("e-1", "x")).replace("2025", "20x5")], "line 1: invalid timestamp: '20x5"),
    ],
)
def test_a_bad_file_is_one_line_of_error(lines: list[str], error: str) -> None:
    with pytest.raises(RecordingError) as caught:
        read_recording(line.encode("latin-1") for line in lines)
    assert str(caught.value).startswith(error)
    assert "\n" not in str(caught.value)
