from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from rich.style import Style
from textual.app import App, ComposeResult
from textual.geometry import Region
from textual.pilot import Pilot
from textual.widgets import Static

from broadcast_tui.tui.model.transcript.find import pattern_of
from broadcast_tui.tui.model.transcript.records import OlderPost
from broadcast_tui.tui.model.transcript.transcript import Transcript
from broadcast_tui.tui.widgets.log_highlights import PICK_MARK
from broadcast_tui.tui.widgets.message_log import MessageLog

NOON = datetime(2025, 8, 30, 12, tzinfo=UTC)


class LogApp(App[None]):
    """The log above something else that can be selected."""

    CSS = "MessageLog { height: 1fr; }"

    def __init__(self, transcript: Transcript) -> None:
        super().__init__()
        self.log_view = MessageLog(transcript)

    def compose(self) -> ComposeResult:
        yield self.log_view
        yield Static("a status", markup=False)


class Stage:
    def __init__(self, app: LogApp, pilot: Pilot[None]) -> None:
        self.log = app.log_view
        self.app = app
        self.pilot = pilot

    @property
    def copied(self) -> str:
        """The text that copying the selection copies."""
        return self.app.screen.get_selected_text() or ""

    async def drag(self, start: tuple[int, int], end: tuple[int, int]) -> None:
        await self.pilot.mouse_down(offset=start)
        await self.pilot.hover(offset=end)
        await self.pilot.mouse_up(offset=end)
        await self.pilot.pause()

    def styled(self, y: int, style: Style) -> str:
        """The part of row `y` with the background of `style`."""
        row = self.log.render_lines(Region(0, y, *self.log.size))[0]
        return "".join(part.text for part in row if part.style and part.style.bgcolor == style.bgcolor)

    def part(self, name: str) -> Style:
        return self.log.get_component_rich_style(f"message-log--{name}")


@asynccontextmanager
async def stage(transcript: Transcript, width: int = 80, height: int = 12) -> AsyncIterator[Stage]:
    app = LogApp(transcript)
    async with app.run_test(size=(width, height)) as pilot:
        await pilot.pause()
        yield Stage(app, pilot)


def conversation() -> Transcript:
    """At 80 cells: day line, ana's two rows, bob's action, a system line, carl's post."""
    transcript = Transcript(zone=UTC)
    transcript.add_post("ana", "hello wide 漢字 world\nsecond row", NOON)
    transcript.add_post("bob", "/me waves", NOON)
    transcript.add_system("dan joined", NOON)
    transcript.add_post("carl", "see https://example.org/a, ok", NOON)
    return transcript


GUTTER = 14


# Selecting


async def test_a_drag_selects_the_text_between() -> None:
    async with stage(conversation()) as on:
        await on.drag((GUTTER + 6, 1), (GUTTER + 9, 1))
        assert on.copied == "wide"
        assert on.styled(1, on.part("selected")) == "wide"


async def test_both_halves_of_a_wide_character_select_it() -> None:
    async with stage(conversation()) as on:
        for x in (11, 12):
            await on.drag((GUTTER + x, 1), (GUTTER + 13, 1))
            assert on.copied == "漢字"
        for x in (13, 14):
            await on.drag((GUTTER + 11, 1), (GUTTER + x, 1))
            assert on.copied == "漢字"


async def test_a_drag_over_several_posts_includes_the_senders() -> None:
    async with stage(conversation()) as on:
        await on.drag((GUTTER + 7, 2), (GUTTER + 2, 5))
        assert on.copied == "ana: row\n* bob waves\n-- dan joined\ncarl: see"


async def test_a_drag_from_the_gutter_selects_whole_lines_without_the_gutter() -> None:
    async with stage(conversation()) as on:
        await on.drag((2, 1), (2, 3))
        assert on.copied == "hello wide 漢字 world\nsecond row"
        await on.drag((2, 5), (79, 5))
        assert on.copied == "see https://example.org/a, ok"


async def test_dragging_up_selects_the_same_as_dragging_down() -> None:
    async with stage(conversation()) as on:
        await on.drag((GUTTER + 2, 5), (GUTTER + 7, 2))
        assert on.copied == "ana: row\n* bob waves\n-- dan joined\ncarl: see"


async def test_a_drag_into_the_blank_below_ends_with_the_last_post() -> None:
    async with stage(conversation()) as on:
        await on.drag((GUTTER, 5), (3, 9))
        assert on.copied == "see https://example.org/a, ok"


async def test_two_clicks_select_a_word_or_an_address_three_a_post() -> None:
    async with stage(conversation()) as on:
        await on.pilot.double_click(offset=(GUTTER + 2, 1))
        assert on.copied == "hello"
        await on.pilot.double_click(offset=(GUTTER + 9, 5))
        assert on.copied == "https://example.org/a"
        await on.pilot.triple_click(offset=(GUTTER + 2, 1))
        assert on.copied == "hello wide 漢字 world\nsecond row"
        await on.pilot.click(offset=(GUTTER + 2, 3))
        assert on.copied == ""


async def test_the_selection_stays_on_its_text() -> None:
    transcript = Transcript(200, zone=UTC)
    for n in range(60):
        transcript.add_post("ana", f"post {n} is rather long, so that it wraps in a narrow terminal", NOON)
    async with stage(transcript) as on:
        await on.drag((GUTTER - 1, 3), (GUTTER + 6, 5))
        before = on.copied
        assert before.count("\n") == 2
        for n in range(60, 90):
            transcript.add_post("ana", f"post {n}", NOON)
        transcript.prepend_posts([OlderPost("bob", "old", NOON - timedelta(days=1), False, False, "")] * 20)
        on.log.refresh_lines()
        await on.pilot.pause(0.1)
        await on.pilot.resize_terminal(40, 12)
        await on.pilot.pause()
        assert on.copied == before
        on.log.navigator.bring_into_view(on.app.screen.selections[on.log].start.y)  # type: ignore[union-attr]
        await on.pilot.pause()
        rows = [on.styled(y, on.part("selected")) for y in range(on.log.size.height)]
        assert " ".join(filter(None, rows)) == before.replace("ana: ", "").replace("\n", " ")


async def test_the_text_of_hidden_rows_is_copied_too() -> None:
    transcript = Transcript(zone=UTC)
    transcript.add_post("ana", "a" * 200, NOON)
    async with stage(transcript) as on:
        await on.drag((GUTTER - 1, 1), (79, 4))
        assert on.copied == "a" * 200


async def test_narrow_layouts_do_not_select_the_name() -> None:
    async with stage(conversation(), 40) as on:
        # `12:00 ana: hello …`
        await on.drag((7, 1), (15, 1))
        assert on.copied == "hello"


# Picking and marking


@pytest.mark.parametrize(("width", "row"), [(80, "▶12:00"), (40, "12:00▶"), (20, "▶")])
async def test_a_picked_post_is_marked_without_color_too(width: int, row: str) -> None:
    async with stage(conversation(), width) as on:
        on.log.pick(1)
        assert on.log.render_lines(Region(0, 1, width, 1))[0].text.startswith(row)
        assert on.styled(2, on.part("picked"))
        on.log.pick(None)
        assert PICK_MARK not in on.log.render_lines(Region(0, 1, width, 1))[0].text


async def test_a_post_out_of_view_is_brought_into_it_and_one_in_view_moves_nothing() -> None:
    transcript = Transcript(zone=UTC)
    for n in range(300):
        transcript.add_post("ana", f"post {n} " * (n % 7), NOON)
    async with stage(transcript) as on:
        for line_id in (1, 300, 150, 153, 149):
            on.log.pick(line_id)
            top = round(on.log.scroll_y)
            ids = {
                place.line_id
                for y in range(top, top + on.log.size.height)
                if (place := on.log.index.anchor_at(y)) is not None
            }
            assert line_id in ids
            on.log.pick(line_id)
            assert round(on.log.scroll_y) == top
        on.log.pick(300)
        assert on.log.is_following


async def test_matches_are_highlighted_and_differently_in_the_picked_post() -> None:
    async with stage(conversation()) as on:
        on.log.highlights.pattern = pattern_of("o")
        assert on.styled(1, on.part("found")) == "oo"
        assert on.styled(2, on.part("found")) == "oo"
        assert on.styled(4, on.part("found")) == ""
        on.log.pick(1)
        assert on.styled(1, on.part("found-here")) == "oo"
        on.log.highlights.pattern = None
        assert on.styled(1, on.part("found-here")) == ""


async def test_no_color_leaves_marks_without_colors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with stage(conversation()) as on:
        on.log.highlights.pattern = pattern_of("hello")
        on.log.pick(1)
        row = on.log.render_lines(Region(0, 1, 80, 1))[0]
        colors = [part.style.bgcolor for part in row if part.style and part.style.bgcolor]
        assert colors
        assert all(red == green == blue for red, green, blue in (color.get_truecolor() for color in colors))
        assert any(part.style and part.style.underline for part in row)


@pytest.mark.parametrize("width", [1, 3, 5, 24, 59, 60, 100])
async def test_all_highlights_can_be_drawn_at_any_width(width: int) -> None:
    transcript = conversation()
    transcript.add_post("eve", "\u200d👍🏽 e\u0301" * 9 + "\n\n x", NOON, mention=True)
    transcript.add_pending("n", "me", "on its way", NOON)
    async with stage(transcript, width, 30) as on:
        on.log.highlights.pattern = pattern_of("e")
        on.log.text_select_all()
        for line_id in range(1, 6):
            on.log.pick(line_id)
            await on.pilot.pause()
            for strip in on.log.render_lines(Region(0, 0, *on.log.size)):
                assert sum(part.cell_length for part in strip) == strip.cell_length
                assert strip.cell_length == on.log.index.columns.width
            for y in range(on.log.size.height):
                assert on.log.render_line(y).cell_length == on.log.index.columns.width


# The bare view


async def test_the_bare_view_has_no_gutter_and_shows_each_sender() -> None:
    async with stage(conversation()) as on:
        on.log.set_bare(True)
        await on.pilot.pause()
        rows = [strip.text.rstrip() for strip in on.log.render_lines(Region(0, 0, *on.log.size))]
        assert rows[1:6] == [
            "ana: hello wide 漢字 world",
            "  second row",
            "* bob waves",
            "dan joined",
            "carl: see https://example.org/a, ok",
        ]
        on.log.set_bare(False)
        await on.pilot.pause()
        assert on.log.render_lines(Region(0, 1, *on.log.size))[0].text.startswith(" 12:00 ")
