"""Webhooks: recorded payloads of programs and the posts they become, and the bounds of hostile ones.

Next to each payload is the post that it becomes, in a file of the same name.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from broadcast_tui.core.errors import ErrorCode, RequestError
from broadcast_tui.core.text import clean_post
from broadcast_tui.core.webhooks.alertmanager import is_resolved_post
from broadcast_tui.core.webhooks.markdown import fitting, from_mrkdwn, link
from broadcast_tui.core.webhooks.payload import BODY_BYTES, FORM, POST_LINES, read_payload
from broadcast_tui.core.webhooks.slack import color_sign

PAYLOADS = Path(__file__).parent / "payloads"
JSON = "application/json"
POST_BYTES = 16_384


def read(payload: object, max_post_bytes: int = POST_BYTES) -> str:
    return read_payload(json.dumps(payload).encode(), JSON, max_post_bytes).text


def error_of(body: bytes, content_type: str = JSON) -> ErrorCode:
    with pytest.raises(RequestError) as caught:
        read_payload(body, content_type, POST_BYTES)
    return caught.value.code


@pytest.mark.parametrize("path", sorted(PAYLOADS.glob("*.json")), ids=lambda path: path.stem)
def test_a_recorded_payload_becomes_its_post(path: Path) -> None:
    expected = path.with_suffix(".md").read_text("utf-8").removesuffix("\n")
    post = read_payload(path.read_bytes(), JSON, POST_BYTES)
    assert post.text == expected
    assert clean_post(post.text, POST_BYTES)
    form = urlencode({"payload": path.read_text("utf-8")}).encode()
    assert read_payload(form, FORM, POST_BYTES) == post
    assert read_payload(path.read_bytes(), FORM, POST_BYTES) == post


def test_payloads_of_a_group_belong_together_until_it_is_resolved() -> None:
    firing = read_payload((PAYLOADS / "alertmanager_firing.json").read_bytes(), JSON, POST_BYTES)
    resolved = read_payload((PAYLOADS / "alertmanager_resolved.json").read_bytes(), JSON, POST_BYTES)
    assert firing.group == resolved.group != ""
    assert (firing.is_final, resolved.is_final) == (False, True)
    assert all(post.group in post.text for post in (firing, resolved))
    several = [
        read_payload((PAYLOADS / f"alertmanager_several_{state}.json").read_bytes(), JSON, POST_BYTES)
        for state in ("firing", "partly", "resolved")
    ]
    assert {post.group for post in several} != {firing.group}
    assert len({post.group for post in several}) == 1
    assert [post.is_final for post in several] == [False, False, True]
    assert [is_resolved_post(post.text) for post in several] == [False, False, True]


def test_the_word_of_a_group_is_not_cut() -> None:
    payload = json.loads((PAYLOADS / "alertmanager_firing.json").read_bytes())
    payload["alerts"] *= 50
    body = json.dumps(payload).encode()
    whole = read_payload(body, JSON, 0)
    for max_bytes in (200, 500, len(whole.text.encode()) - 1):
        post = read_payload(body, JSON, max_bytes)
        assert len(post.text.encode()) <= max_bytes
        assert post.text.endswith(whole.text.rpartition("\n")[2])
        assert post.group in post.text
    assert len(read_payload(body, JSON, 100).text.encode()) <= 100


@pytest.mark.parametrize(
    ("mrkdwn", "markdown"),
    [
        ("a * b * c", "a * b * c"),
        ("*a*b", "*a*b"),
        ("(*a*), *b c*.", "(**a**), **b c**."),
        ("~~a~~ ~b~", "~~a~~ ~~b~~"),
        ("`*a*` *b*", "`*a*` **b**"),
        ("&amp;lt; &lt;@U1&gt; &copy;", "&lt; <@U1> &copy;"),
        ("<!channel> <!subteam^S1|@oncall> <!unknown>", "@channel @oncall @unknown"),
        ("<@U1> <#C1> <#C1|general>", "@U1 #C1 #general"),
        ("<javascript:alert(1)|click>", "click"),
        ("<https://a.example/x|https://a.example/x>", "https://a.example/x"),
        ("<https://a.example/*x*|*b*>", "**[b](https://a.example/*x*)**"),
        ("`<https://a.example|text>`", "`text`"),
        ("<https://a.example|!1 *b* ~c~>", "[!1 b c](https://a.example)"),
        (":x: failed :unknown: 10:30:15 a:x:b `:x:`", "❌ failed :unknown: 10:30:15 a:x:b `:x:`"),
        ("<unclosed *a*", "<unclosed **a**"),
        ("```\ncode\n```", "```\ncode\n```"),
        ("a\x000\x00 <https://a.example>", "a0 https://a.example"),
    ],
)
def test_mrkdwn_becomes_markdown(mrkdwn: str, markdown: str) -> None:
    assert from_mrkdwn(mrkdwn) == markdown


def test_links_are_only_to_web_addresses_and_cannot_be_broken_out_of() -> None:
    assert link("a", "javascript:alert(1)") == "a"
    assert link("a", "https://" + "x" * 5_000) == "a"
    assert link("a](https://evil.example)", "https://b.example/) [c") == (
        "[a)(https://evil.example)](https://b.example/%29%20%5Bc)"
    )


@pytest.mark.parametrize(
    ("color", "sign"),
    [
        ("good", "🟢"),
        ("danger", "🔴"),
        ("warning", "🟡"),
        ("#D63232", "🔴"),
        ("2eb886", "🟢"),
        ("#439FE0", "🔵"),
        ("#FF9000", "🟠"),
        ("#7B3FE4", "🟣"),
        ("#cccccc", ""),
        ("nonsense", ""),
        ("", ""),
    ],
)
def test_colors_have_signs(color: str, sign: str) -> None:
    assert color_sign(color) == sign


def test_values_of_other_types_count_as_missing_and_numbers_are_shown() -> None:
    assert (
        read({"text": ["no"], "attachments": [None, 3, {"title": {}, "text": "yes", "fields": "no"}]})
        == "yes"
    )
    fields = [
        {"title": "Count", "value": 12},
        {"title": "Share", "value": 0.25},
        {"value": True},
        {"title": []},
    ]
    assert read({"attachments": [{"fields": fields}]}) == "**Count:** 12\n**Share:** 0.25\ntrue"
    assert read({"text": "*a* <b>", "mrkdwn": False}) == "*a* <b>"
    assert read({"attachments": [{"fallback": "only this", "actions": [{"text": "Fix"}]}]}) == "only this"
    assert read({"attachments": [{"text": "a", "ts": "soon", "footer": "f"}]}) == "a\nf"


def test_alerts_of_other_types_are_left_out() -> None:
    alerts = [3, {"labels": [], "annotations": None}, {"labels": {"alertname": "B", "a": 1}, "status": 4}]
    assert read({"groupKey": 7, "alerts": alerts, "status": "firing"}) == "🔴 **Firing (2): B**\n- **B** a=1"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", ErrorCode.BAD_JSON),
        (b"{", ErrorCode.BAD_JSON),
        (b'{"text": "\xff"}', ErrorCode.BAD_JSON),
        (b"[" * 100_000, ErrorCode.BAD_JSON),
        (b'{"a":' * 40_000, ErrorCode.BAD_JSON),
        (b"[1]", ErrorCode.BAD_FRAME),
        (b"{}", ErrorCode.BAD_FRAME),
        (b'{"alerts": []}', ErrorCode.BAD_FRAME),
        (b'{"text": ""}', ErrorCode.EMPTY),
        (b'{"blocks": [{"type": "actions", "elements": []}]}', ErrorCode.EMPTY),
        (b" " * (BODY_BYTES + 1), ErrorCode.TOO_LONG),
    ],
    ids=lambda value: str(value)[:20],
)
def test_what_is_no_payload_is_rejected(body: bytes, code: ErrorCode) -> None:
    assert error_of(body) is code


@pytest.mark.parametrize(
    "form",
    [b"", b"a=b", b"payload=1&payload=2", b"payload=%ff", b"a&" * 1_000],
    ids=lambda form: str(form)[:20],
)
def test_an_invalid_form_is_rejected(form: bytes) -> None:
    assert error_of(form, FORM) is ErrorCode.BAD_FRAME


def test_brackets_in_strings_are_no_nesting() -> None:
    text = "[" * 1_000 + '\\"{' * 10
    assert read({"text": text}) == text


def test_a_long_post_is_cut_to_what_the_server_accepts() -> None:
    lines = read({"text": "\n".join(f"line {number}" for number in range(5_000))}).split("\n")
    assert (len(lines), lines[-1]) == (POST_LINES, "…")
    cut = read({"text": "ä" * 5_000}, 100)
    assert len(cut.encode()) <= 100
    assert cut.endswith("ä…")
    assert fitting("a\ud800b", 0, 10) == "a?b"


def nested(depth: int) -> Any:
    part: Any = {"type": "rich_text_section", "elements": [{"type": "text", "text": "deep"}]}
    for _ in range(depth):
        part = {"type": "rich_text_list", "elements": [part]}
    return {"type": "rich_text", "elements": [part]}


HOSTILE = {
    "signs": {"text": "*~<`_[" * 20_000},
    "open quotes": {"text": '"' * 120_000},
    "entities": {"text": "<a|b" * 30_000 + ">"},
    "stars": {"attachments": [{"text": "*a " * 4_000, "title": "~b " * 1_000}] * 15},
    "blocks": {"blocks": [{"type": "section", "fields": [{"type": "mrkdwn", "text": "`a"}] * 40}] * 100},
    "rich text": {"blocks": [nested(14)] * 50},
    "alerts": {"groupKey": "k", "alerts": [{"labels": {f"l{n}": "v" for n in range(100)}}] * 100},
    "long label": {"groupKey": "k", "alerts": [{"labels": {"a" * 50_000: "b" * 100_000}}]},
    "spaces": {"attachments": [{"title": " " * 100_000, "text": "x"}]},
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_payload_takes_little_time(name: str) -> None:
    started = time.process_time()
    text = read(HOSTILE[name])
    assert time.process_time() - started < 2
    assert len(text.encode()) <= POST_BYTES


def test_unclosed_strings_are_rejected_in_linear_time() -> None:
    started = time.process_time()
    assert error_of(b'{"text": "' + b'\\"' * 100_000) is ErrorCode.BAD_JSON
    assert time.process_time() - started < 2
