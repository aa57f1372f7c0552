from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from broadcast_tui.core.post import Position, Post
from broadcast_tui.core.post_state import Deletion, PostState, Votes
from broadcast_tui.tui.model.transcript.export import Format, format_of, lines_of
from broadcast_tui.tui.model.transcript.transcript import Transcript

AT = datetime(2025, 8, 30, 10, 30, 40, tzinfo=UTC)
LOCAL = AT.astimezone()


def transcript() -> Transcript:
    made = Transcript()
    made.add_post("bob", "one\ntwo *stars* <b>", AT)
    made.add_post("eve", "/me waves", AT)
    made.add_system("eve left", AT)
    return made


def exported(wanted: Format) -> list[str]:
    return list(lines_of(transcript().snapshot(), wanted, "lobby"))


def test_the_file_extension_selects_the_format() -> None:
    assert format_of(".md") is Format.MARKDOWN
    assert format_of(".JSONL") is Format.JSON_LINES
    assert format_of(".txt") is format_of("") is Format.TEXT


def test_text_export_has_one_entry_per_post_with_indented_lines() -> None:
    at = f"{LOCAL:%Y-%m-%d %H:%M:%S}"
    assert exported(Format.TEXT) == [
        f"{at} bob: one",
        "    two *stars* <b>",
        f"{at} * eve waves",
        f"{at} -- eve left",
    ]


def test_markdown_export_escapes_posts() -> None:
    lines = exported(Format.MARKDOWN)
    assert lines[:4] == ["# #lobby".replace("##", "#"), "", f"## {LOCAL:%Y-%m-%d}", ""]
    assert lines[4] == f"- {LOCAL:%H:%M} **bob**: one  \n  two \\*stars\\* \\<b\\>"
    assert lines[5] == f"- {LOCAL:%H:%M} *eve waves*"


def test_json_lines_export_is_complete() -> None:
    rows = [json.loads(line) for line in exported(Format.JSON_LINES)]
    assert rows[0] == {
        "at": "2025-08-30T10:30:40+00:00",
        "room": "lobby",
        "kind": "post",
        "sender": "bob",
        "text": "one\ntwo *stars* <b>",
    }
    assert [row["kind"] for row in rows] == ["post", "action", "system"]


@pytest.mark.parametrize("wanted", Format)
def test_cancelled_presence_changes_leave_no_empty_line(wanted: Format) -> None:
    transcript = Transcript(zone=UTC)
    transcript.add_presence("", "", datetime(2025, 8, 30, 10, 30, tzinfo=UTC))
    transcript.add_presence("eve left", "", datetime(2025, 8, 30, 10, 30, tzinfo=UTC))
    lines = list(lines_of(transcript.snapshot(), wanted, "lobby"))
    assert len([line for line in lines if line.startswith(("20", "- ", "{"))]) == 1
    assert "eve left" in lines[-1]


def test_marks_deletions_and_votes_are_exported() -> None:
    state = PostState(edited="2025-08-30T10:31:00.000Z", reactions={"👍": Votes(2, ("zoë",))})
    made = Transcript()
    for number, text in enumerate(("one", "secret"), 1):
        made.add_post("bob", text, AT, post_id=f"e-{number}")
    made.replace_post(Post("", Position("e", 1), "bob", "new *text*", AT, state=state), mention=False)
    deleted = PostState(deleted=Deletion("eve", ""))
    made.replace_post(Post("", Position("e", 2), "bob", "", AT, state=deleted), mention=False)
    lines, markdown, rows = (
        list(lines_of(made.snapshot(), wanted, "lobby"))[-2:]
        for wanted in (Format.TEXT, Format.MARKDOWN, Format.JSON_LINES)
    )
    assert [line[20:] for line in lines] == ["bob: new *text* (edited)", "bob: deleted by eve"]
    assert [line[8:] for line in markdown] == [
        "**bob**: new \\*text\\* (edited)",
        "**bob**: *deleted by eve*",
    ]
    first, second = map(json.loads, rows)
    assert (first["text"], first["edited"], first["reactions"]) == ("new *text*", state.edited, {"👍": 2})
    assert (second["kind"], second["text"]) == ("deleted", "deleted by eve")
