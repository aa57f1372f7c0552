from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from broadcast_tui.core.export.code_blocks import parts_of
from broadcast_tui.core.export.describe import Source, title_lines
from broadcast_tui.core.export.formats import Format, exported_lines, format_of
from broadcast_tui.core.export.html import linked
from broadcast_tui.core.post_state import Ask, Deletion, NoteKind, Pin, PostState, Votes
from tests.support.exports import AT, SOURCE, ZONE, exported, note, post

CORPUS = Path(__file__).parents[2] / "fuzz" / "corpus" / "texts.txt"
HOSTILE = (
    *(eval(line).decode(errors="replace") for line in CORPUS.read_text("utf-8").splitlines()),
    "<img src=x onerror=alert(1)><script>alert(1)</script>",
    "</p></article><iframe srcdoc='<script>alert(1)</script>'>",
    '"><svg onload=alert(1)> \' onmouseover=alert(1) x="',
    "javascript:alert(1) data:text/html,<b> vbscript:x file:///etc/passwd",
    "[click](javascript:alert(1)) ![](http://evil.example/x.png) <http://evil.example>",
    "[a]: http://evil.example",
    'http://evil.example/"onmouseover="alert(1) https://a.example/<script>',
    "# heading\n\n- item\n1. item\n> quote\n---\n===\n    indented\n\n| a | b |\n|---|---|",
    "&lt;b&gt; $x$ ~~x~~ &#60;script&#62;",
    "```\n</code></pre><script>alert(1)</script>\n```\n```html\n<b>\n",
    "````\n```\n# not a heading\n````",
    "<!-- --> <![CDATA[ x ]]> <?php ?> {{ x }}",
)
VOTES = {"👍": Votes(2, ("zoë", "bob"))}
FULL = PostState(edited="2025-08-30T10:31:00.000000+00:00", pinned=Pin("eve", ""), reactions=VOTES, folded=9)


def test_the_suffix_of_a_file_selects_the_format() -> None:
    assert format_of(".md") is Format.MARKDOWN
    assert format_of(".JSONL") is format_of(".ndjson") is Format.JSON_LINES
    assert format_of(".html") is format_of(".htm") is Format.HTML
    assert format_of(".txt") is format_of("") is format_of(".log") is Format.TEXT


def test_titles_say_what_is_exported() -> None:
    source = Source("@ana+bob~x", "ws://h:1", AT, since=AT)
    assert source.label == "@ana+bob"
    assert title_lines(source, 1, ZONE)[0] == (
        "1 message from 2025-08-30 12:30:40 +02:00. Exported from ws://h:1 on 2025-08-30 12:30:40 +02:00."
    )
    assert title_lines(SOURCE, 2_000, ZONE)[0].startswith("2,000 messages. Exported from")


def test_text_has_local_time_and_utc_and_indents_further_lines() -> None:
    lines = exported(Format.TEXT, post(1, "one\ntwo"), post(2, "/me waves", sender="eve", minutes=13 * 60))
    assert lines == [
        "",
        "-- 2025-08-30 --",
        "12:30:40 (10:30:40 UTC) ana: one",
        "    two",
        "",
        "-- 2025-08-31 --",
        "01:30:40 (2025-08-30 23:30:40 UTC) * eve waves",
    ]


def test_text_has_quotes_and_what_people_did() -> None:
    gone = PostState(deleted=Deletion("eve", "", "spam"))
    lines = exported(
        Format.TEXT,
        post(1, "Lunch?\nAt 12?", state=FULL),
        post(2, "Yes", sender="bob", re=1),
        post(3, "", state=gone),
        post(4, "to whom?", re=99),
    )
    assert lines[2:] == [
        "12:30:40 (10:30:40 UTC) ana: Lunch?",
        "    At 12?",
        "    [edited 12:31:00]",
        "    [pinned by eve]",
        "    [👍 2 (zoë, bob)]",
        "12:30:40 (10:30:40 UTC) bob:",
        "    > ana: Lunch?…",
        "    Yes",
        "12:30:40 (10:30:40 UTC) ana: (deleted by eve: spam)",
        "12:30:40 (10:30:40 UTC) ana:",
        "    > an earlier message",
        "    to whom?",
    ]


def test_questions_list_their_answers() -> None:
    ask = Ask(("yes", "no"), "2025-08-30T11:00:00+00:00", 3, ("ana", "bob", "eve"))
    open_state = PostState(ask=ask, tally={"yes": Votes(1, ("bob",))}, waiting=("ana", "eve"))
    closed = PostState(ask=ask, tally={"yes": Votes(30, ("bob",))}, closed="2025-08-31T11:00:00+00:00")
    lines = exported(Format.TEXT, post(1, "Deploy?", state=open_state), post(2, "Again?", state=closed))
    assert lines[3:5] == ["    [answers: yes 1 (bob) · no 0]", "    [no answer yet: ana, eve]"]
    assert lines[6:] == ["    [answers: yes 30 (bob, …) · no 0]", "    [closed 2025-08-31 13:00:00]"]


def test_markdown_escapes_posts_and_keeps_code() -> None:
    text = "# no *heading*\n\n- item\n12. twelve\n  <b>\n```py\nx = `1`\n```\nend"
    lines = exported(Format.MARKDOWN, post(1, text), post(2, "hm", sender="a_b", re=1, state=FULL))
    assert lines == [
        "",
        "## 2025-08-30",
        "",
        "12:30:40 (10:30:40 UTC) **ana**",
        "",
        "\\# no \\*heading\\*",
        "",
        "\\- item\\",
        "12\\. twelve\\",
        "&nbsp;&nbsp;\\<b\\>",
        "",
        "```",
        "x = `1`",
        "```",
        "",
        "end",
        "",
        "12:30:40 (10:30:40 UTC) **a\\_b**",
        "",
        "> ana: \\# no \\*heading\\*…",
        "",
        "hm",
        "",
        "*edited 12:31:00*",
        "",
        "*pinned by eve*",
        "",
        "*👍 2 (zoë, bob)*",
    ]


def test_markdown_fences_are_longer_than_those_inside() -> None:
    lines = exported(Format.MARKDOWN, post(1, "````\n```\n````\n```\n```"))
    assert lines[5:] == ["````", "```", "````", "", "```", "```"]


def test_actions_and_deletions_in_markdown() -> None:
    gone = PostState(deleted=Deletion("e*e", ""))
    lines = exported(Format.MARKDOWN, post(1, "/me waves"), post(2, "", state=gone))
    assert lines[3:6] == ["12:30:40 (10:30:40 UTC) \\* **ana**", "", "waves"]
    assert lines[-1] == "*(deleted by e\\*e)*"


def test_json_lines_are_the_events_of_the_protocol() -> None:
    state = PostState(edited="2025-08-30T10:31:00+00:00", reactions=VOTES, folded=3)
    lines = exported(
        Format.JSON_LINES,
        post(1, "one\ntwo", state=state),
        post(2, "\x1b[2J\u202e", re=1),
        notes=(note(3, NoteKind.EDIT, 1, after=post(1, "one\ntwo", state=state)),),
    )
    assert all(line.isprintable() for line in lines)
    first, second, third = map(json.loads, lines)
    assert first == {
        "type": "message",
        "message": "one\ntwo",
        "sender": "ana",
        "timestamp": "2025-08-30T10:30:40.000000+00:00",
        "local": "2025-08-30T12:30:40.000000+02:00",
        "id": "e-1",
        "room": "lobby",
        "edited": "2025-08-30T10:31:00+00:00",
        "reactions": {"👍": {"count": 2, "names": ["zoë", "bob"]}},
        "as": 3,
    }
    assert (second["re"], second["root"], second["message"]) == ("e-1", "e-1", "\x1b[2J\u202e")
    assert (third["type"], third["note"], third["re"], third["by"]) == ("note", "edit", "e-1", "bob")
    assert "now" not in third


def test_the_first_json_line_describes_the_export() -> None:
    source = Source("lobby", "ws://h:1", AT, since=AT.astimezone(ZONE))
    header = json.loads(next(iter(exported_lines(Format.JSON_LINES, source, [], (), ZONE))))
    at = "2025-08-30T10:30:40.000000+00:00"
    assert header == {
        "type": "export",
        "version": 1,
        "room": "lobby",
        "server": "ws://h:1",
        "at": at,
        "since": at,
    }


class _Tags(HTMLParser):
    """The tags, links and text of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.links: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("text", HOSTILE)
def test_no_hostile_text_becomes_markup(text: str) -> None:
    votes = {text: Votes(1, (text,))}
    state = PostState(
        edited=text, pinned=Pin(text, text), reactions=votes, ask=Ask((text,), text, 1), waiting=(text,)
    )
    gone = PostState(deleted=Deletion(text, text, text))
    source = Source(text, text, AT)
    posts = [
        post(1, text, sender=text, state=state),
        post(2, text, sender=text, re=1),
        post(3, "", state=gone),
    ]
    page = "\n".join(exported_lines(Format.HTML, source, posts, (), ZONE))
    found = _Tags()
    found.feed(page)
    known = "html meta title style h1 h2 p main article header strong bdi time a blockquote pre code"
    assert found.tags <= set(known.split())
    allowed = "lang charset http-equiv content name class id dir datetime href rel"
    assert found.attributes <= set(allowed.split())
    assert all(link.startswith(("#m", "http://", "https://")) for link in found.links)
    assert not any(character in page for character in "\x1b\x9b\u202e\x00\x07\x08\x7f")


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("wanted", [Format.TEXT, Format.MARKDOWN])
def test_no_hostile_text_becomes_control_characters(text: str, wanted: Format) -> None:
    lines = list(exported_lines(wanted, Source(text, text, AT), [post(1, text, sender=text)], (), ZONE))
    assert not any(ord(character) < 32 or 127 <= ord(character) < 160 for line in lines for character in line)
    assert not {"\u202a", "\u202d", "\u202e", "\u2066", "\u2067"} & set("".join(lines))


@pytest.mark.parametrize("text", HOSTILE)
def test_no_hostile_text_becomes_markdown(text: str) -> None:
    """Outside of code blocks, each character with a meaning has a backslash before it."""
    fence = ""
    for line in exported(Format.MARKDOWN, post(1, text))[4:]:
        if line.startswith("```") and fence in ("", line):
            fence = "" if fence else line
        elif not fence:
            bare = line.replace("\\\\", "").replace("&nbsp;", "")
            for special in "`*_[]<>#|~!&":
                assert bare.count(special) == bare.count(f"\\{special}")
            assert not bare.startswith(("-", "+", "=", " "))


@pytest.mark.parametrize("text", HOSTILE)
def test_markdown_parsers_find_only_text_and_code(text: str) -> None:
    lines = exported(Format.MARKDOWN, post(1, text, sender=text), post(2, "x", re=1))
    inert = "heading paragraph inline text strong em softbreak hardbreak text_special fence blockquote"
    blocks = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse("\n".join(lines))
    found = [
        token.type.removesuffix("_open").removesuffix("_close")
        for block in blocks
        for token in (block, *(block.children or ()))
    ]
    assert {*found} <= set(inert.split())
    assert found.count("heading") == 2  # the start and the end of the day


def test_html_is_self_contained_and_has_a_policy() -> None:
    page = "\n".join(exported_lines(Format.HTML, SOURCE, [post(1, "hi", state=FULL)], (), ZONE))
    assert "default-src 'none'; style-src 'sha256-" in page
    assert "<script" not in page
    assert '<time datetime="2025-08-30T10:30:40Z">' in page
    assert '<p class="fact" dir="auto">pinned by eve</p>' in page


def test_html_links_replies_to_what_is_in_the_page() -> None:
    lines = exported(Format.HTML, post(1, "one"), post(2, "two", re=1), post(3, "three", re=99))
    quotes = [line for line in lines if line.startswith("<blockquote>")]
    assert quotes == [
        '<blockquote><a href="#m1"><bdi>ana: one</bdi></a></blockquote>',
        "<blockquote><bdi>an earlier message</bdi></blockquote>",
    ]
    assert lines.count('<article id="m2" class="reply">') == 1


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("see https://a.example/x?y=1&z=2.", "https://a.example/x?y=1&amp;z=2"),
        ("(https://a.example/w_(x))", "https://a.example/w_(x)"),
        ("HTTP://A.example, and", "HTTP://A.example"),
        ("http://)", "http://"),
    ],
)
def test_addresses_end_before_punctuation(text: str, address: str) -> None:
    assert f'<a href="{address}" rel="noopener noreferrer nofollow">{address}</a>' in linked(text)


def test_code_blocks_need_an_end() -> None:
    assert [tuple(part) for part in parts_of("a\n```\nb\n```\nc")] == [
        (False, ["a"]),
        (True, ["b"]),
        (False, ["c"]),
    ]
    assert [part.is_code for part in parts_of("```\nb")] == [False]
    assert [tuple(part) for part in parts_of("```\n```")] == [(True, [])]
