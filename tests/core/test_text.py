"""Sanitizing of posts, screen text and log fields: tables, and properties that hold for any string."""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.cells import cell_len
from textual.content import Content

from broadcast_tui.core.confusables import COMBINING, COMBINING_BMP
from broadcast_tui.core.errors import ErrorCode, RequestError
from broadcast_tui.core.limits import Limits
from broadcast_tui.core.text import MAX_COMBINING, MAX_POST_LINES, clean_post, log_safe, visible, visible_line

MAX_BYTES = Limits().max_message_bytes

FAMILY = "\U0001f469\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466"
HEART_ON_FIRE = "\u2764\ufe0f\u200d\U0001f525"
HANDS = "\U0001f469\U0001f3fd\u200d\U0001f91d\u200d\U0001f468\U0001f3ff"
SCOTLAND = "\U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f"
CRASHING = "\u200d\u200d\u2764\ufe0f" + "\u4e00" * 60

HONEST = {
    "ascii": "Hello, world! \\o/ ~`^",
    "markup": "[/nope] [@click=app.quit]x[/] [bold]b[/bold] \\[x] {x!r} %s",
    "address": "https://example.org/a_b?c=d&e=f#g",
    "escape spelled out": r"printf '\x1b[31m' && echo \033[0m",
    "lines": "one\n  two\n\nfour",
    "hebrew": "\u05e9\u05b8\u05c1\u05dc\u05d5\u05b9\u05dd \u05e2\u05d5\u05dc\u05dd",
    "arabic": "\u0645\u0631\u062d\u0628\u0627\u064b \u0628\u0643",
    "persian with a non-joiner": "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
    "right-to-left mark first": "\u200f(abc)",
    "direction marks": "\u05d0\u200e!\u200f \u061c\u0661",
    "hindi": "\u0928\u092e\u0938\u094d\u0924\u0947 \u0915\u094d\u0937\u093f",
    "hindi with a joiner": "\u0915\u094d\u200d\u0937",
    "bengali joiner before a mark": "\u09b0\u200d\u09cd\u09af\u09be\u09ac",
    "sinhala": "\u0dc1\u0dca\u200d\u0dbb\u0dd3 \u0dbd\u0d82\u0d9a\u0dcf",
    "thai": "\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35\u0e17\u0e35\u0e48\u0e19\u0e35\u0e48",
    "burmese": "\u1019\u103c\u102d\u102f\u1037",
    "hangul": "\uc548\ub155\ud558\uc138\uc694",
    "old hangul": "\u1112\u119e\u11ab",
    "japanese": "\u3053\u3093\u306b\u3061\u306f\u3001\u4e16\u754c",
    "vietnamese": "Ti\u1ebfng Vi\u1ec7t",
    "family": f"we are {FAMILY}!",
    "skin tones": HANDS,
    "heart on fire": HEART_ON_FIRE,
    "keycap": "1\ufe0f\u20e3",
    "flags": "\U0001f1e7\U0001f1f7\U0001f1e9\U0001f1ea",
    "flag of a region": f"{SCOTLAND} and \U0001f3f4",
    "pirate flag": "\U0001f3f4\u200d\u2620\ufe0f",
    "mathematics": "\u222b \u2260 \U0001d400",
    "unassigned": "\u0378 \U0001fadf",
    "replacement character": "a\ufffdb",
    "control picture": "\u241b[31m",
}

UNSEEN = (
    "\u00ad\u034f\u180e\u200b\u2060\u2063\u2065\u206a\u206f\ufeff\ufff9\ufffb\U000e0001\U000e0041\U000e007f"
)
BIDI = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
ALIEN = "\ue000\uf8ff\ufdd0\ufdef\ufffe\uffff\U0001fffe\U000effff\U000f0000\U0010ffff"
C0 = "".join(map(chr, [*range(9), *range(0x0B, 0x20)]))
C1 = "".join(map(chr, range(0x80, 0xA0)))
BREAKS = "\r\x0b\x0c\x85\u2028\u2029"
MARKS = "\u0301\u0323\u0345\u20dd\ufe0f\U000e0100\u0e47\u05b7"

FORBIDDEN = re.compile(
    f"[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\u2028\u2029{BIDI}\u00ad\u034f\u180e\u200b\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ue000-\uf8ff\ufdd0-\ufdef\ufffe\uffff\\ud800-\\udfff\U000e0001\U000f0000-\U0010ffff]"
)
JOINER_OUT_OF_PLACE = re.compile(
    r"(?:^|\s)[\u200c\u200d]|[\u200c\u200d](?:$|\s|[\u200c\u200d])", re.MULTILINE
)
PILE = re.compile(f"[{COMBINING}]{{{MAX_COMBINING + 1}}}")
HANGING = re.compile("^[\u0300-\u034e\u0350-\u036f\u20d0-\u20f0\ufe00-\ufe0f]", re.MULTILINE)

PIECES = (
    *"ab [/]\\\n\t\x7f\u200d\u200c\u200e\u061c\u2764\U0001f3fd\u4e00",
    *"\u0915\u094d\u0958\u09c7\u09be\u0344\ud83d\ude00",
    *(C0 + C1 + BREAKS + BIDI + MARKS + UNSEEN + ALIEN + "\u1100\u1161\u3164\U0001f3f4\U000e0067"),
    *(FAMILY, SCOTLAND, "\u0308" * 9),
)
anything = st.text(st.characters(), max_size=60) | st.lists(st.sampled_from(PIECES), max_size=40).map("".join)


def refusal(text: str, max_bytes: int = MAX_BYTES) -> ErrorCode:
    with pytest.raises(RequestError) as caught:
        clean_post(text, max_bytes)
    assert not caught.value.temporary
    assert re.fullmatch(r"[A-Z][^\n]+\.", caught.value.text)
    return caught.value.code


# Posts


@pytest.mark.parametrize("text", HONEST.values(), ids=HONEST.keys())
def test_ordinary_post_is_unchanged(text: str) -> None:
    assert clean_post(text, MAX_BYTES) == text
    assert visible(text) == text
    assert visible_line(text) == re.sub("\n+", " ", text)


@pytest.mark.parametrize("line_end", ["\n", "\r\n", *BREAKS])
def test_every_line_end_of_a_post_becomes_lf(line_end: str) -> None:
    assert clean_post(f"a{line_end}b", MAX_BYTES) == "a\nb"


@pytest.mark.parametrize("char", sorted({*C0, *C1, *UNSEEN, *BIDI, "\x7f"} - {*BREAKS}), ids=ascii)
def test_control_and_invisible_characters_are_removed_from_a_post(char: str) -> None:
    assert clean_post(f"a{char}b", MAX_BYTES) == "ab"


@pytest.mark.parametrize("char", [*ALIEN])
def test_private_use_characters_are_replaced(char: str) -> None:
    assert clean_post(f"a{char}b", MAX_BYTES) == "a\ufffdb"
    assert visible(f"a{char}b") == "a\ufffdb"


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("\x1b]52;c;cm0gLXJm\x07hi", "]52;c;cm0gLXJmhi"),
        ("\x1b]0;title", "]0;title"),
        ("\x9b6n", "6n"),
        ("\x1bP$q\x1b\\", "P$q\\"),
        ("\x1b[201~rm", "[201~rm"),
    ],
)
def test_escape_sequences_become_inert(text: str, cleaned: str) -> None:
    assert clean_post(text, MAX_BYTES) == cleaned


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("e\u0301", "\u00e9"),
        ("e\u200b\u0301", "\u00e9"),
        ("\u1112\u1161\u11ab", "\ud55c"),
        ("\ufb01 \u00b2 \uff21", "\ufb01 \u00b2 \uff21"),
    ],
    ids=["composed", "composed once the unseen is gone", "hangul", "never NFKC"],
)
def test_post_is_nfc(text: str, cleaned: str) -> None:
    assert clean_post(text, MAX_BYTES) == cleaned


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        (f"{SCOTLAND}", SCOTLAND),
        ("\U0001f3f4\U000e0067\U000e0062", "\U0001f3f4"),
        ("x\U000e0067\U000e0062\U000e007f", "x"),
        (f"\U0001f3f4{chr(0xE0061) * 60}\U000e007f", "\U0001f3f4"),
        ("\U0001f3f4\U000e0020\U000e0021\U000e007f", "\U0001f3f4"),
    ],
    ids=["whole", "without its end", "without a flag", "too long for a region", "no letters"],
)
def test_tag_characters_are_allowed_only_in_subdivision_flags(text: str, cleaned: str) -> None:
    assert clean_post(text, MAX_BYTES) == cleaned


@pytest.mark.parametrize(
    "mark", [*MARKS, "\u200e", "\u200f", "\u061c", "\u1161", "\u093e", "\U0001f3fd", "\u3164"]
)
def test_combining_runs_are_capped(mark: str) -> None:
    assert clean_post("q" + mark * 500 + "b", MAX_BYTES) == "q" + mark * MAX_COMBINING + "b"
    assert visible("q" + mark * 500 + "b") == "q" + mark * MAX_COMBINING + "b"


def test_cap_on_marks_cannot_be_passed_with_joiners_between() -> None:
    assert not PILE.search(clean_post("a" + "\u0323\u200d" * 100 + "b", MAX_BYTES))


@pytest.mark.parametrize("clean", [lambda text: clean_post(text, MAX_BYTES), visible], ids=["post", "screen"])
@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("\u200da", "a"),
        ("a\u200d", "a"),
        ("a\u200d b", "a b"),
        ("a \u200db", "a b"),
        ("a\u200d\nb", "a\nb"),
        ("a\n\u200cb", "a\nb"),
        ("a\u200d\u200db", "a\u200db"),
        ("a\u200c\u200d\u200cb", "a\u200cb"),
        ("\u200e\u200da", "\u200ea"),
        ("q\u0323\u200d b", "q\u0323 b"),
        ("\u0301a", "a"),
        ("b\n\ufe0fa", "b\na"),
        ("a \u20ddb", "a \u20ddb"),
        (CRASHING, CRASHING[2:]),
        (f"x {CRASHING}", f"x {CRASHING[2:]}"),
    ],
)
def test_joiners_and_marks_need_a_base_character(
    clean: Callable[[str], str], text: str, cleaned: str
) -> None:
    assert clean(text) == cleaned


def test_trailing_space_is_removed_and_indentation_kept() -> None:
    assert clean_post("  a \t \n\tb\u3000\n \n\n", MAX_BYTES) == "  a\n\tb"


@pytest.mark.parametrize(
    "char", [*" \n\t\u00a0\u3000\x1b\u2060\u200d\u200f\u0301\ufe0f\u2800\u3164\uffa0\u115f\u1160\u17b4"]
)
@pytest.mark.parametrize("text", ["{}", " {}", "{}\r\n{}", "\ufeff{}\U0001d159\U000e0041"], ids=ascii)
def test_invisible_post_is_rejected(text: str, char: str) -> None:
    assert refusal(text.format(char, char)) is ErrorCode.EMPTY
    assert refusal("") is ErrorCode.EMPTY


@pytest.mark.parametrize("text", ["\ud83d", "a\ude00b", "\ud83d\ude00"], ids=ascii)
def test_lone_surrogate_is_rejected(text: str) -> None:
    assert refusal(text) is ErrorCode.BAD_FRAME


@pytest.mark.parametrize(("text", "max_bytes"), [("a" * 11, 10), ("\u00e9" * 6, 10), ("\U0001f600" * 3, 10)])
def test_post_is_measured_in_bytes(text: str, max_bytes: int) -> None:
    assert refusal(text, max_bytes) is ErrorCode.TOO_LONG
    assert clean_post(text[:-1], max_bytes) == text[:-1]
    assert clean_post(text * 1_000, 0) == text * 1_000


def test_post_is_measured_first_and_again_when_normalizing_lengthened_it() -> None:
    assert refusal("\ud83d" * 11, 10) is ErrorCode.TOO_LONG
    assert refusal("\u0958" * 3, 10) is ErrorCode.TOO_LONG


def test_post_with_too_many_lines_is_rejected_not_cut() -> None:
    lines = "\n".join("x" * MAX_POST_LINES)
    assert clean_post(lines + "\n", 0) == lines
    assert refusal(lines + "\nx", 0) is ErrorCode.TOO_LONG


@given(anything)
@example(CRASHING)
@example("=\u200d\u0338\u0345")
@example("\n\u09c7\u200d\u09be")
def test_any_string_is_sanitized_or_rejected_as_a_post(text: str) -> None:
    try:
        cleaned = clean_post(text, MAX_BYTES)
    except RequestError:
        assert refusal(text) in {ErrorCode.EMPTY, ErrorCode.BAD_FRAME}
        return
    assert clean_post(cleaned, MAX_BYTES) == cleaned
    assert visible(cleaned) == cleaned.replace("\t", "    ")
    assert unicodedata.is_normalized("NFC", cleaned)
    assert not FORBIDDEN.search(cleaned)
    assert not JOINER_OUT_OF_PLACE.search(cleaned)
    assert not PILE.search(cleaned)
    assert not HANGING.search(cleaned)
    assert all(line == line.rstrip() for line in cleaned.split("\n"))
    assert cleaned.strip()


def python_calls(function: Callable[[], object]) -> int:
    """The number of Python functions that `function` calls, itself included."""
    count = 0

    def profile(frame: object, event: str, argument: object) -> None:
        nonlocal count
        count += event == "call"

    sys.setprofile(profile)
    try:
        with suppress(RequestError):
            function()
    finally:
        sys.setprofile(None)
    return count


COSTLY = (
    *("q\u0344", "q\u0301", " \u0301", "\n\u0301", "\u200d ", "a\u200d\u200d", "q" + "\u0301" * 9),
    *("a\xad", "a\ue000", "a\x01", "a\r", "\u200e\u2800", "a\U0001f3fd", "q" + "\U0001d165" * 9),
    *("\U0001d160", SCOTLAND, f"{SCOTLAND}\u200b", "\n\u200e\u0301\u200ea", "\n"),
)


def calls_to_sanitize(unit: str) -> int:
    """The calls of Python functions to sanitize the longest post that repeats `unit`."""
    text = unit * (MAX_BYTES // len(unit.encode(errors="replace")))
    with suppress(RequestError):
        clean_post(text, MAX_BYTES)  # compiles the patterns that it needs
    return python_calls(lambda: clean_post(text, MAX_BYTES)) - len(set(text))


@pytest.mark.parametrize("unit", COSTLY, ids=ascii)
def test_sanitizing_costly_text_calls_no_function_for_each_character(unit: str) -> None:
    assert calls_to_sanitize(unit) < 40


@given(anything.filter(bool))
def test_sanitizing_any_text_calls_no_function_for_each_character(unit: str) -> None:
    assert calls_to_sanitize(unit) < 40


# Screens


@pytest.mark.parametrize("code", [code for code in range(0x20) if code not in (0x09, 0x0A, 0x0D)])
def test_control_characters_become_pictures_on_screen(code: int) -> None:
    assert visible(f"a{chr(code)}b") == f"a{chr(0x2400 + code)}b"


@pytest.mark.parametrize("char", [*C1, *BIDI, *UNSEEN, "\ud800", "\U000e0020"], ids=ascii)
def test_hidden_characters_become_replacements_on_screen(char: str) -> None:
    assert visible(f"a{char}b") == "a\ufffdb"


@pytest.mark.parametrize(
    ("text", "shown", "line"),
    [
        ("a\x7fb", "a\u2421b", "a\u2421b"),
        ("a\tb", "a    b", "a    b"),
        ("a\rb", "a\nb", "a b"),
        ("a\r\nb", "a\nb", "a b"),
        ("a\u2028b\u2029c", "a\nb\nc", "a b c"),
        ("a\n\n\nb\n", "a\n\n\nb\n", "a b "),
        ("\x1b[2J\x9b6n", "\u241b[2J\ufffd6n", "\u241b[2J\ufffd6n"),
        ("hi\nSYSTEM: bye", "hi\nSYSTEM: bye", "hi SYSTEM: bye"),
        ("\ud83d\ude00", "\ufffd\ufffd", "\ufffd\ufffd"),
        ("\U0001f3f4\U000e0067", "\U0001f3f4\ufffd", "\U0001f3f4\ufffd"),
        ("", "", ""),
    ],
)
def test_screen_text(text: str, shown: str, line: str) -> None:
    assert visible(text) == shown
    assert visible_line(text) == line


@given(anything)
@example(CRASHING)
def test_any_string_is_safe_on_a_screen(text: str) -> None:
    shown = visible(text)
    assert visible(shown) == shown
    assert "\t" not in shown
    assert not FORBIDDEN.search(shown)
    assert not JOINER_OUT_OF_PLACE.search(shown)
    assert not PILE.search(shown)
    assert not HANGING.search(shown)
    shown.encode()

    line = visible_line(text)
    assert visible_line(line) == line
    assert len(line.splitlines()) <= 1
    assert line == re.sub("\n+", " ", shown)


@given(anything, st.sampled_from(["", "\u4e00" * 60, "\u2764\ufe0f" * 30]), st.integers(8, 90))
@example("\u200d\u200d\u2764\ufe0f", "\u4e00" * 60, 21)
def test_shown_text_can_be_wrapped(text: str, tail: str, width: int) -> None:
    Content(visible(text + tail)).wrap(width)
    Content(f"bob: {visible_line(text + tail)}").wrap(width)


def test_every_character_without_a_cell_is_capped() -> None:
    clings = re.compile(f"[{COMBINING}\n]")
    planes_in_use = [*range(0x20000), *range(0xE0000, 0xE1000)]
    shown = (visible(f".{chr(code)}.")[1:-1] for code in planes_in_use)
    assert [char for char in shown if char and not clings.match(char) and cell_len(char) == 0] == []


def test_every_mark_of_this_unicode_version_is_capped() -> None:
    clings = re.compile(f"[{COMBINING}\u034f]")
    marks = [char for char in map(chr, range(sys.maxunicode + 1)) if unicodedata.category(char)[0] == "M"]
    assert [char for char in marks if not clings.match(char)] == []


def test_table_of_the_basic_plane_is_the_start_of_the_whole() -> None:
    assert COMBINING.startswith(COMBINING_BMP)
    assert (
        max(COMBINING_BMP)
        < "\U00010000"
        <= min(COMBINING.removeprefix(COMBINING_BMP).replace("-", "\U00010000"))
    )


# Logs


@pytest.mark.parametrize(
    ("text", "logged"),
    [
        ("bob", "bob"),
        (
            "\u05d0\u05b8 \u0928\u0947 \u4e00 \U0001f600 \u00e9",
            "\u05d0\u05b8 \u0928\u0947 \u4e00 \U0001f600 \u00e9",
        ),
        ("a\r\nb\tc\0", r"a\x0d\x0ab\x09c\x00"),
        ("\x1b[31m\x7f\x9b", r"\x1b[31m\x7f\x9b"),
        ("\u2028\u2029\x85", r"\u2028\u2029\x85"),
        ("\u202ex\u2066", r"\u202ex\u2066"),
        ("\ud800", r"\ud800"),
        ("\u200b\u200d\u200f\ufeff\u00ad", r"\u200b\u200d\u200f\ufeff\xad"),
        ("\ue000\U000e0041\U0010ffff", r"\ue000\U000e0041\U0010ffff"),
        ("a" + "\u0301" * 9, "a" + "\u0301" * 8 + r"\u0301"),
        ("back\\slash", "back\\slash"),
    ],
    ids=ascii,
)
def test_log_field(text: str, logged: str) -> None:
    assert log_safe(text) == logged


@pytest.mark.parametrize(
    ("text", "limit", "logged"),
    [
        ("abcd", 4, "abcd"),
        ("abcde", 4, "abc\u2026"),
        ("ab\x1bcd", 4, "ab\u2026"),
        ("ab\x1b", 6, "ab\\x1b"),
        ("\x1b\x1b", 7, "\\x1b\u2026"),
        ("\u202e" * 3, 11, "\\u202e\u2026"),
        ("abc", 1, "\u2026"),
        ("abc", 0, ""),
        ("", 0, ""),
        ("abc", -5, ""),
    ],
    ids=ascii,
)
def test_log_field_is_cut_between_escapes(text: str, limit: int, logged: str) -> None:
    assert log_safe(text, limit) == logged


def test_log_field_is_limited_to_200_characters_by_default() -> None:
    assert log_safe("x" * 200) == "x" * 200
    assert log_safe("x" * 10_000) == "x" * 199 + "\u2026"


@given(anything, st.integers(-1, 250))
def test_any_string_is_safe_in_a_log(text: str, limit: int) -> None:
    logged = log_safe(text, limit)
    assert len(logged) <= max(limit, 0)
    assert len(logged.splitlines()) <= 1
    assert "\t" not in logged
    assert not FORBIDDEN.search(logged)
    assert log_safe(logged, limit) == logged
    logged.encode()
