from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from functools import partial

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.cells import set_cell_size
from rich.style import Style
from textual.color import Color
from textual.strip import Strip

from broadcast_tui.core.post import Position, Post
from broadcast_tui.core.post_state import Ask, Deletion, Pin, PostState, Votes
from broadcast_tui.tui.model.text.colors import ON_DARK, NameHues
from broadcast_tui.tui.model.text.wrapping import cells_of
from broadcast_tui.tui.model.transcript.chunks import Line, LineKind
from broadcast_tui.tui.model.transcript.layout import (
    FOLD_KEEPS,
    FOLD_ROWS,
    PresenceShown,
    RowLayout,
    VisibilityOptions,
)
from broadcast_tui.tui.model.transcript.navigation import quoted_line
from broadcast_tui.tui.model.transcript.post_details import PostDetails, details_of
from broadcast_tui.tui.model.transcript.row_text import RowText
from broadcast_tui.tui.model.transcript.transcript import Transcript
from broadcast_tui.tui.widgets.line_renderer import LineRenderer
from broadcast_tui.tui.widgets.log_styles import PARTS, log_styles

NOON = datetime(2025, 8, 30, 12, tzinfo=UTC)
BLACK = Color(0, 0, 0)
PIECES = [
    "a", "word ", " ", "\n", "\n\n", "```\n", "\n```\n", "```python\n", "def f(x): return 'y'\n",
    "    indented", "**", "*b*", "`c`", "[t](https://e.org/x)", "https://аррӏе.com/x ", "https://u@e.org ",
    "/me ", "https://e.org/long/path ", "漢字", "e\u0301", "😀", "👍🏽", "👨\u200d👩\u200d👧", "🇩🇪",
    "❤\ufe0f", "\u200d", "x" * 90, "line\n" * 7,
]  # fmt: skip
TEXTS = st.lists(st.sampled_from(PIECES), max_size=25).map("".join)
KEYS = [
    "👍", "✅", "e\u0301", "👨\u200d👩\u200d👧", "❤\ufe0f", "\x1b[31m", "漢字漢字", "+1", "\u202e", "x" * 40,
]  # fmt: skip
CHOICES = st.sampled_from([("ok",), ("yes", "no"), tuple(KEYS)])
NAMES = st.lists(st.sampled_from(["ana", "ken", "李雷"]), max_size=3).map(tuple)
VOTES = st.dictionaries(st.sampled_from(KEYS), st.builds(Votes, st.integers(-1, 2_000), NAMES), max_size=10)
STATES = st.builds(
    PostState,
    folded=st.just(9),
    edited=st.sampled_from(["", "2026-11-28T12:00:00.000Z"]),
    deleted=st.none() | st.none() | st.builds(Deletion, st.sampled_from(["", "ana"]), st.just(""), TEXTS),
    pinned=st.none() | st.just(Pin("bob", "")),
    reactions=VOTES,
    ask=st.none() | st.builds(Ask, CHOICES, st.just(""), st.integers(0, 9)),
    tally=VOTES,
    waiting=st.sampled_from([(), ("ken", "zoë"), ("李雷",) * 30]),
    closed=st.sampled_from(["", "2026-11-28T12:00:00.000Z"]),
)
WIDTHS = st.integers(1, 30) | st.integers(1, 300)


def renderer(width: int, showing: VisibilityOptions | None = None) -> LineRenderer:
    parts = defaultdict(Style, {part: Style(color="red") for part in PARTS})
    parts["block"] = parts["code"] = Style(bgcolor="blue")
    styles = log_styles(Style(), parts, BLACK, ON_DARK)
    return LineRenderer(RowLayout.of_width(width), styles, UTC, showing=showing, unfold_key="Alt+O")


def post_of(text: str) -> Transcript:
    transcript = Transcript(zone=UTC)
    transcript.add_post("ana", text, NOON)
    return transcript


def line_of(transcript: Transcript) -> Line:
    line = transcript.line(transcript.next_id - 1)
    assert line is not None
    return line


def rendered(text: str, width: int = 80, showing: VisibilityOptions | None = None) -> list[Strip]:
    return renderer(width, showing).render(line_of(post_of(text)), None)


def detailed(
    text: str, state: PostState, width: int = 80, *, re: int = 0, showing: VisibilityOptions | None = None
) -> list[str]:
    """The rows of a post with a state; a reply if `re` is set."""
    transcript = detailed_post(text, state, re)
    return [strip.text.rstrip() for strip in renderer(width, showing).render(line_of(transcript), None)]


def detailed_post(text: str, state: PostState, re: int = 0) -> Transcript:
    transcript = Transcript(zone=UTC)
    details = details_of(Post("", Position("e", 2), "ana", text, NOON, re=re, root=re, state=state))
    transcript.add_post("ana", text, NOON, post_id="e-2", details=details)
    return transcript


def styled(rows: list[Strip], text: str) -> Style:
    """The style of the first segment that is `text`, or begins with it."""
    segments = [segment for row in rows for segment in row if segment.text.startswith(text)]
    assert segments, f"{text!r} is no segment of {[segment.text for row in rows for segment in row]}"
    style = segments[0].style
    assert style is not None
    return style


@given(TEXTS, WIDTHS, st.booleans())
@example("```\n" + "x" * 100, 5, False)
@example("https://u@e.org", 300, True)
@example("a\u200d*b*", 1, False)
@example("*\u0301b* `漢\u0301`\u0301", 80, False)
def test_the_number_of_rendered_rows_matches_the_count(text: str, width: int, unfolded: bool) -> None:
    transcript = post_of(text)
    showing = VisibilityOptions()
    if unfolded:
        showing.unfolded.add(transcript.next_id - 1)
    columns = RowLayout.of_width(width)
    line = line_of(transcript)
    rows = renderer(width, showing).render(line, None)
    counts = [count for chunk in transcript.chunks for count in columns.count_rows(chunk, 0, showing)]
    assert counts[-1] == len(rows)
    laid = columns.lay(line.kind, line.sender, line.text, folded=not unfolded)
    notice_rows = [number for number in (laid.fold_row, len(rows) - 1 if laid.hosts else -1) if number >= 0]
    for number, (row, (start, end)) in enumerate(zip(rows, laid.rows, strict=True)):
        assert sum(segment.cell_length for segment in row) == row.cell_length == columns.width
        shown = laid.text[start:end]
        inset = laid.inset(number)
        if number in notice_rows or cells_of(shown) + inset > columns.text:
            continue
        if number == laid.cut_row:
            shown = set_cell_size(shown, min(cells_of(shown), columns.text - inset - 1)) + "…"
        # The language of a block stands at the end of its first row.
        assert row.crop(columns.gutter + inset).text.startswith(shown.rstrip())


@given(TEXTS, STATES, WIDTHS, st.booleans(), st.sampled_from([0, 1]))
def test_the_rows_of_a_post_with_a_state_match_the_count(
    text: str, state: PostState, width: int, is_plain: bool, re: int
) -> None:
    transcript = detailed_post(text, state, re)
    showing = VisibilityOptions(reactions=not is_plain)
    if not is_plain:
        showing.unfolded.add(transcript.next_id - 1)
    columns = RowLayout.of_width(width)
    rows = renderer(width, showing).render(line_of(transcript), None)
    counts = [count for chunk in transcript.chunks for count in columns.count_rows(chunk, 0, showing)]
    assert counts[-1] == len(rows)
    for row in rows:
        assert sum(segment.cell_length for segment in row) == row.cell_length == columns.width
        assert not set(row.text) & set("\x1b\n\u202e")


@given(TEXTS, STATES, WIDTHS, st.sampled_from([0, 1]), st.booleans())
def test_the_characters_of_a_post_with_a_state_are_found_in_its_rows(
    text: str, state: PostState, width: int, re: int, folded: bool
) -> None:
    line = line_of(detailed_post(text, state, re))
    rows = RowText(line, RowLayout.of_width(width), folded=folded)
    for index in range(0, len(line.text), 7):
        assert rows.written_at(rows.shown_at(index)) >= index, "the next one that is shown"
        assert 0 <= rows.row_of(index) < len(rows.rows)
    for row in range(len(rows.rows)):
        assert all(0 <= index <= len(line.text) for index in rows.cell_indices(row))
        assert rows.end(row) <= len(line.text)


def test_a_reply_quotes_its_target() -> None:
    transcript = Transcript(zone=UTC)
    transcript.add_post("mira", "Yes,\nit runs first.", NOON, post_id="e-1")
    details = PostDetails(re=1, root=1)
    transcript.add_post("ana", "Then I lock", NOON, post_id="e-2", details=details)
    rows = [
        strip.text.rstrip()
        for strip in LineRenderer(
            RowLayout.of_width(80), renderer(80).styles, UTC, quoted=partial(quoted_line, transcript)
        ).render(line_of(transcript), None)
    ]
    assert rows == [
        " 12:00          ana ┆ ↪ mira: Yes, it runs first.",
        "                    │ Then I lock",
    ]
    assert detailed("Then I lock", PostState(), re=7)[0].endswith("┆ ↪ an earlier message")
    assert detailed("hi", PostState(), 40, re=7) == ["12:00┆↪ an earlier message", "      ana: hi"]


def test_marks_follow_the_text() -> None:
    state = PostState(edited="2026-11-28T12:00:00.000Z", pinned=Pin("bob", ""))
    assert detailed("hi", state) == [" 12:00          ana │ hi (edited, pinned)"]
    folded = detailed("line\n" * 19 + "end", PostState(edited="2026-11-28T12:00:00.000Z"))
    assert folded[-1].endswith("… 12 more lines (Alt+O) (edited)")


def test_a_deleted_post_has_only_the_deletion() -> None:
    state = PostState(
        deleted=Deletion("bob", "", "wrong [room](https://e.org)"), reactions={"+": Votes(1, ())}
    )
    rows = renderer(80).render(line_of(detailed_post("", state)), None)
    assert [row.text.rstrip() for row in rows] == [
        " 12:00          ana │ deleted by bob: wrong [room](https://e.org)"
    ]
    assert all(segment.style is None or segment.style.link is None for row in rows for segment in row)
    assert detailed("", PostState(deleted=Deletion("bob", "")), 40) == ["12:00 ana: deleted by bob"]


def test_reactions_are_below_the_post_and_can_be_hidden() -> None:
    state = PostState(reactions={"👍": Votes(2, ("bob", "zoë")), "✅": Votes(1, ("ana",))})
    assert detailed("hi", state)[1] == "                    ┆ 👍 2  ✅ 1"
    assert detailed("hi", state, 40) == ["12:00 ana: hi", "     ┆👍 2 ✅ 1"]
    assert detailed("hi", state, showing=VisibilityOptions(reactions=False)) == [" 12:00          ana │ hi"]


def test_own_votes_stand_out_without_color() -> None:
    parts = defaultdict(Style, {"own-vote": Style(bold=True)})
    own = LineRenderer(
        RowLayout.of_width(80), log_styles(Style(), parts, BLACK, ON_DARK), UTC, own_name="Ana"
    )
    state = PostState(reactions={"👍": Votes(2, ("bob",)), "✅": Votes(1, ("ana",))})
    rows = own.render(line_of(detailed_post("hi", state)), None)
    assert styled(rows, "✅ 1").bold
    assert not styled(rows, "👍 2").bold


def test_a_question_shows_its_votes() -> None:
    ask = Ask(("yes", "no"), "", 9, ())
    tally = {"yes": Votes(3, ("ken", "mira")), "no": Votes(1, ("bob",))}
    assert detailed("Ship it?", PostState(ask=ask, tally=tally, waiting=("zoë",))) == [
        " 12:00          ana │ Ship it?",
        "                    ┆ yes 3  ken mira +1",
        "                    ┆ no 1  bob",
        "                    ┆ 4/9, waiting: zoë +4",
    ]
    assert detailed("Ship it?", PostState(ask=ask, tally=tally, waiting=("zoë",)), 40) == [
        "12:00 ana: Ship it?",
        "     ┆yes 3 · no 1",
        "     ┆4/9",
    ]
    closed = PostState(
        ask=Ask(("ok",), "", 2), tally={"ok": Votes(1, ("ken",))}, closed="2026-11-28T12:00:00Z"
    )
    assert detailed("Deploy", closed)[1] == "                    ┆ closed, acknowledged 1/2"


def test_an_announcement_shows_who_has_not_acknowledged_it() -> None:
    state = PostState(ask=Ask(("ok",), "", 2), waiting=("ana", "bob"))
    assert detailed("Deploying", state)[1] == "                    ┆ acknowledged 0/2, waiting: ana bob"
    assert detailed("Deploying", state, 40)[1] == "     ┆acknowledged 0/2"
    state = PostState(ask=Ask(("ok",), "", 0), tally={"ok": Votes(3, ("ken",))})
    assert detailed("Deploying", state)[1] == "                    ┆ acknowledged 3"


@given(TEXTS, WIDTHS)
def test_only_blanks_and_folded_text_are_missing(text: str, width: int) -> None:
    columns = RowLayout.of_width(width)
    line = line_of(post_of(text))
    laid = columns.lay(line.kind, line.sender, line.text)
    end = 0
    for start, next_end in laid.rows:
        assert not laid.text[end:start].strip(" \n")
        end = max(end, next_end)
    assert not laid.text[end:].strip(" \n")
    folded = columns.lay(line.kind, line.sender, line.text, folded=True)
    if folded.hidden:
        assert folded.rows[:FOLD_KEEPS] == laid.rows[:FOLD_KEEPS]
        assert len(folded.rows) == len(laid.rows) - folded.hidden + 1
    else:
        assert folded.rows == laid.rows


def test_marked_text_without_its_markers() -> None:
    rows = rendered("a **bold** *it* ~~no~~ `code`")
    assert rows[0].text.partition("│ ")[2].rstrip() == "a bold it no code"
    assert styled(rows, "bold").bold
    assert styled(rows, "it").italic
    assert styled(rows, "no").strike
    assert styled(rows, "code").bgcolor is not None


def test_the_bare_view_shows_the_source() -> None:
    text = "**bold** [here](https://e.org/x)\n> quoted\n```py\nx\n```\n| a | b |\n|---|---|"
    styles = renderer(80).styles
    rows = LineRenderer(RowLayout.bare(80), styles, UTC).render(line_of(post_of(text)), None)
    assert "\n".join(row.text.strip() for row in rows) == f"ana: {text}"


@pytest.mark.parametrize("width", [40, 80])
def test_a_block_of_code_keeps_its_indentation_and_background(width: int) -> None:
    rows = rendered("```py\nif x:\n    return 'one'\n```\nend", width)
    gutter = RowLayout.of_width(width).gutter
    indent = "" if width == 80 else "  "
    label = "" if width == 80 else "ana: "
    assert [row.crop(gutter).text.rstrip() for row in rows] == [
        f"{label}if x:".ljust(RowLayout.of_width(width).text - 3) + "py",
        f"{indent}    return 'one'",
        f"{indent}end",
    ]
    assert styled(rows, "return").bgcolor == styled(rows, "if").bgcolor is not None
    assert styled(rows, "return").color != styled(rows, " x:").color
    assert styled(rows, f"{indent}end").bgcolor is None


def test_the_language_is_left_out_where_there_is_no_room() -> None:
    width = RowLayout.of_width(80).text
    code = "x" * (width - 3)
    assert "python" not in rendered(f"```python\n{code}\n```")[0].text
    assert rendered(f"```{'long' * 9}\nx\n```")[0].text.rstrip().endswith("longlonglonglon…")


def test_long_rows_of_code_are_cut_by_cells() -> None:
    columns = RowLayout.of_width(40)
    laid = columns.lay(LineKind.POST, "ana", "```\nx\n" + "a b " * 20 + "\n```")
    assert [laid.text[start:end] for start, end in laid.rows[1:4]] == [
        "  " + "a b " * 8, "a b " * 8 + "a ", "b " + "a b " * 3,
    ]  # fmt: skip


def test_both_sides_of_a_diff_have_a_color() -> None:
    rows = rendered("```diff\n-old\n+new\n same\n```")
    colors = {styled(rows, text).color for text in ("-old", "+new", " same")}
    assert len(colors) == 3


def test_a_quote_has_a_bar_beside_all_of_its_rows() -> None:
    rows = [row.text[22:] for row in rendered("> " + "word " * 30 + "\nme")]
    assert [row[:6].rstrip() for row in rows] == ["▎ word", "▎ word", "▎ word", "me"]
    assert rendered("> hi", 40)[0].text.rstrip() == "12:00 ana: > hi", "the label is not quoted"


def test_a_table_is_aligned() -> None:
    rows = rendered("| room | posts |\n|---|--:|\n| lobby | 7 |\n| a | 12 |")
    assert [row.text[22:].rstrip() for row in rows] == [
        "room   posts",
        "─────  ─────",
        "lobby      7",
        "a         12",
    ]
    assert styled(rows, "room").bold
    wide = rendered("| room | posts |\n|---|--:|\n| " + "x" * 70 + " | 7 |")
    assert wide[2].text[22:].rstrip() == "x" * 49 + "…      7", "cut where it does not fit"
    assert len(wide) == 3


def test_a_table_beside_a_label_begins_below_it() -> None:
    rows = rendered("| room | what happened |\n|---|---|\n| lobby | a long story |", 40)
    assert [row.text.strip() for row in rows] == [
        "12:00 ana:",
        "room   what happened",
        "─────  ─────────────",
        "lobby  a long story",
    ]


def test_only_the_first_row_of_a_post_has_a_line() -> None:
    transcript = Transcript(zone=UTC)
    transcript.add_post("ana", "one\ntwo", NOON, mention=True)
    assert [row.text[19:22] for row in renderer(80).render(line_of(transcript), None)] == [" ┃ ", " ┇ "]
    assert [row.text[19:22] for row in rendered("one\ntwo")] == [" │ ", " ┆ "]


def test_known_names_and_rooms_in_a_text() -> None:
    hues = NameHues()
    hues.of("bob"), hues.of("Zoë Q")
    colorful = LineRenderer(
        RowLayout.of_width(80),
        renderer(80).styles,
        UTC,
        own_name="ana",
        hues=hues,
        is_room=lambda name: name == "dev",
    )
    text = "@bob, @Zoë Q and @ana: not @nobody, x@bob, #dev. #1 `@bob` https://e.org/@bob#dev"
    rows = colorful.render(line_of(post_of(text)), None)
    styles = colorful.styles
    assert styled(rows, "@bob").color == styles.names[hues.of("bob")].color
    assert styled(rows, "@Zoë Q").color == styles.names[hues.of("Zoë Q")].color
    assert styled(rows, "@ana").bold
    assert styled(rows, "#dev").underline
    plain = [segment.text for row in rows for segment in row if segment.style == styles.text]
    assert any("not @nobody, x@bob, " in part for part in plain)
    assert any(". #1 " in part for part in plain)


def test_the_first_row_in_view_names_the_sender() -> None:
    line = line_of(post_of("one\ntwo"))
    for width, expected in (80, " 12:00          ana ┆ two"), (40, "12:00   two"):
        drawn = renderer(width)
        assert drawn.with_head(drawn.render(line, None)[1], line).text.rstrip() == expected


def test_multiline_tokens_of_code_have_one_color() -> None:
    rows = rendered('```py\nx = """one\ntwo\n  three"""\n```')
    assert styled(rows, "two").color == styled(rows, "  three").color == styled(rows, "one").color
    assert styled(rows, "two").color != styled(rows, "x").color


def test_links_can_be_opened() -> None:
    rows = rendered("https://e.org/a;b and [text](https://e.org/x)")
    assert styled(rows, "https://e.org/a;b").link == "https://e.org/a%3Bb"
    assert styled(rows, "text").link == styled(rows, "e.org").link == "https://e.org/x"
    assert rows[0].text.rstrip().endswith("and text e.org")


def test_a_wrapped_link_is_one_link() -> None:
    rows = rendered("https://e.org/" + "x" * 200)
    ids = {segment.style.link_id for row in rows for segment in row if segment.style and segment.style.link}
    assert len(rows) > 2
    assert len(ids) == 1


@pytest.mark.parametrize("text", ["https://аррӏе.com/login", "ok https://bank.org@evil.org"])
def test_a_misleading_link_shows_its_host(text: str) -> None:
    rows = rendered(text)
    assert len(rows) == 2
    assert "⚠ a link goes to " in rows[1].text
    assert styled(rows, "⚠").link is None


def test_system_lines_have_links_but_no_marks() -> None:
    transcript = Transcript(zone=UTC)
    transcript.add_system("**not bold** `no code` https://e.org\n```\nno block", NOON)
    rows = renderer(80).render(line_of(transcript), None)
    assert len(rows) == 3
    assert [s.text for row in rows for s in row if s.style and s.style.link] == ["https://e.org"]
    assert not any(s.style and (s.style.bold or s.style.bgcolor) for row in rows for s in row)


def test_a_long_post_is_folded() -> None:
    text = "\n".join(f"line {number}" for number in range(40))
    rows = rendered(text)
    assert [row.crop(RowLayout.of_width(80).gutter).text.rstrip() for row in rows] == [
        *(f"line {number}" for number in range(FOLD_KEEPS)), "… 32 more lines (Alt+O)",
    ]  # fmt: skip
    rows = rendered(text, 30)
    assert rows[-1].text.strip() == "… 32 more lines (Alt+O)", "as written, not as wrapped"
    assert rendered("word " * 200)[-1].text.partition("┆ ")[2].strip() == "… 11 more lines (Alt+O)"
    assert len(rendered("\n".join("x" * FOLD_ROWS))) == FOLD_ROWS
    assert len(rendered("\n".join("x" * (FOLD_ROWS + 1)))) == FOLD_KEEPS + 1


@pytest.mark.parametrize("width", [80, 30])
def test_a_line_that_is_folded_in_the_middle_ends_with_an_ellipsis(width: int) -> None:
    wide = "x" * (width * 3 // 2)
    rows = rendered("\n".join(["```", "first", *[wide] * 20, "```"]), width)
    assert rows[-2].text.rstrip().endswith("xx…")
    rows = rendered("word " * 4 * width, width)
    assert rows[-2].text.rstrip().endswith("wor…" if width == 30 else "word…")
    assert not any(row.text.rstrip().endswith("…") for row in rows[:-2])


@pytest.mark.parametrize(("height", "most", "kept"), [(4, 4, 3), (10, 6, 5), (18, 12, 8), (60, 40, 8)])
def test_a_post_is_folded_if_it_takes_two_thirds_of_the_log(height: int, most: int, kept: int) -> None:
    columns = RowLayout.of_width(80, height=height)
    for count, rows in (most, most), (most + 1, kept + 1):
        laid = columns.lay(LineKind.POST, "ana", "\n".join("x" * count), folded=True)
        assert len(laid.rows) == rows


def test_a_folded_post_shows_the_real_host_too() -> None:
    rows = rendered("x\n" * 19 + "https://u@e.org")
    assert [row.crop(RowLayout.of_width(80).gutter).text[:12] for row in rows[-2:]] == [
        "… 12 more li",
        "⚠ a link goe",
    ]


@pytest.mark.parametrize(
    ("presence", "expected"),
    [
        (PresenceShown.ALL, ["ana and bob joined"]),
        (PresenceShown.AUTO, ["ana joined"]),
        (PresenceShown.NONE, []),
    ],
)
def test_join_and_leave_lines_follow_the_setting(presence: PresenceShown, expected: list[str]) -> None:
    transcript = Transcript(zone=UTC)
    transcript.add_presence("ana and bob joined", "ana joined", NOON)
    showing = VisibilityOptions(presence)
    rows = renderer(80, showing).render(line_of(transcript), None)
    assert [row.text.partition("── ")[2].rstrip() for row in rows] == expected
    assert RowLayout.of_width(80).count_rows(transcript.chunks[0], 1, showing) == [len(expected)]


@pytest.mark.parametrize("width", [48, 59, 60, 200])
def test_a_log_with_a_name_column_does_not_touch_the_lists_beside_it(width: int) -> None:
    columns = RowLayout.of_width(width)
    assert (columns.margin, columns.padding) == (1, 1)
    assert columns.gutter + columns.text + columns.padding == width
