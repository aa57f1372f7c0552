from __future__ import annotations

import operator
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from rich.color import Color as RichColor
from rich.color import ColorSystem
from textual.app import App, ComposeResult
from textual.events import MouseScrollUp
from textual.geometry import Region
from textual.message import Message
from textual.pilot import Pilot
from textual.strip import Strip
from textual.theme import BUILTIN_THEMES

from broadcast_tui.core.post import Position, Post
from broadcast_tui.core.post_state import Ask, Deletion, PostState, Votes
from broadcast_tui.tui.model.text.code import CodeKind
from broadcast_tui.tui.model.text.colors import MIN_CONTRAST, Rgb, contrast
from broadcast_tui.tui.model.transcript.chunks import Line
from broadcast_tui.tui.model.transcript.layout import PresenceShown
from broadcast_tui.tui.model.transcript.post_details import PostDetails
from broadcast_tui.tui.model.transcript.records import OlderPost
from broadcast_tui.tui.model.transcript.transcript import Transcript
from broadcast_tui.tui.themes import OWN_THEMES
from broadcast_tui.tui.widgets.line_renderer import LineRenderer
from broadcast_tui.tui.widgets.log_rows import CACHED_LINES
from broadcast_tui.tui.widgets.message_log import MessageLog
from tests.support.chat_app import draw_soon
from tests.support.running import eventually

NOON = datetime(2025, 8, 30, 12, tzinfo=UTC)
HOSTILE = [
    "\x1b[2J\x1b]0;owned\x07\x9b31m",
    "hi\nSYSTEM: you are banned\n── bob left",
    "[red]x[/red] [/] [@click=app.quit]quit[/] [link=http://x]",
    "\u202eevil\u2066 \u200b\ufeff\u00ad",
    "a" + "\u0301" * 50,
    "\u200d\u200d👍🏽🇩🇪🇩 👨\u200d👩\u200d👧 漢字\ufe0f",
    "\ud800\udfff\x00",
    "\n\n\n",
    "",
    "x" * 5000,
]


OVERLAY = re.compile(r" +(Sat 30 August|↓ (Esc )?Latest) *$")


class LogApp(App[None]):
    """An app with only the log that records its messages."""

    def __init__(self, transcript: Transcript) -> None:
        super().__init__()
        self.log_view = MessageLog(transcript)
        self.log_view.can_focus = True
        self.messages: list[Message] = []

    def compose(self) -> ComposeResult:
        yield self.log_view

    def on_message_log_unseen_changed(self, message: MessageLog.UnseenChanged) -> None:
        self.messages.append(message)

    def on_message_log_end_changed(self, message: MessageLog.EndChanged) -> None:
        self.messages.append(message)

    def on_message_log_top_reached(self, message: MessageLog.TopReached) -> None:
        self.messages.append(message)

    @property
    def unseen_counts(self) -> list[int]:
        return [message.count for message in self.messages if isinstance(message, MessageLog.UnseenChanged)]

    @property
    def top_count(self) -> int:
        return sum(isinstance(message, MessageLog.TopReached) for message in self.messages)


class Stage:
    """A log on a screen and its visible content."""

    def __init__(self, app: LogApp, pilot: Pilot[None]) -> None:
        self.app = app
        self.pilot = pilot
        self.log = app.log_view

    async def synced(self) -> None:
        """Wait until the log shows its transcript."""
        self.log.refresh_lines()
        await self.until(lambda: not draw_soon(self.log))

    async def until(self, condition: Callable[[], bool]) -> None:
        await self.pilot.pause()
        while not condition():
            await self.pilot.pause()
        await self.pilot.pause()

    async def resize(self, width: int, height: int) -> None:
        await self.pilot.resize_terminal(width, height)
        await self.pilot.pause()

    @property
    def rows(self) -> list[str]:
        """The rows of the log, without what is drawn over the first and the last while it is scrolled up."""
        region = Region(0, 0, *self.log.size)
        return [OVERLAY.sub("", strip.text).rstrip() for strip in self.log.render_lines(region)]

    def strip(self, y: int) -> Strip:
        """A row of the log as the compositor gets it."""
        return self.log.render_lines(Region(0, y, self.log.size.width, 1))[0]

    @property
    def screen(self) -> list[str]:
        """The rows of the whole screen, composed."""
        return [strip.text.rstrip() for strip in self.app.screen._compositor.render_strips()]

    @property
    def top_post(self) -> str:
        """The text of the first visible post."""
        return self.rows[0].partition("│ ")[2]


@asynccontextmanager
async def stage(transcript: Transcript, width: int = 80, height: int = 24) -> AsyncIterator[Stage]:
    app = LogApp(transcript)
    async with app.run_test(size=(width, height)) as pilot:
        await pilot.pause()
        yield Stage(app, pilot)


def transcript_of(count: int, text: str = "post {}", limit: int = 100_000) -> Transcript:
    """A transcript with `count` posts, one per minute; `text` is formatted with their number."""
    transcript = Transcript(limit, zone=UTC)
    add_posts(transcript, range(count), text)
    return transcript


def add_posts(transcript: Transcript, numbers: range, text: str = "post {}") -> None:
    for number in numbers:
        at = NOON + timedelta(minutes=number % 600)
        transcript.add_post("ana", text.format(number), at, post_id=f"k3f9-{number + 1000}")


# Appearance


def next_presence(log: MessageLog) -> PresenceShown:
    """Switch to the next setting for join and leave lines."""
    log.folding.show_presence(log.index.visibility.presence.next())
    return log.index.visibility.presence


async def test_a_room_at_80_columns() -> None:
    transcript = Transcript(zone=UTC)
    transcript.add_post("ana", "hello", NOON)
    transcript.add_post("ana", "two\nlines", NOON)
    transcript.add_post("bob", "hi", NOON)
    transcript.add_system("carl joined", NOON + timedelta(minutes=1))
    transcript.add_post("bob", "/me waves", NOON + timedelta(minutes=1))
    transcript.add_post("A very long name indeed", "x", NOON + timedelta(minutes=2))
    transcript.add_system("no such command", NOON + timedelta(minutes=2), error=True)
    async with stage(transcript) as on:
        assert on.rows[0].strip("─") == " Saturday 30 August 2025 "
        assert on.rows[1:9] == [
            " 12:00          ana │ hello",
            "                    │ two",
            "                    ┆ lines",
            "                bob │ hi",
            " 12:01             ── carl joined",
            "                  * │ bob waves",
            " 12:02 A very long… │ x",
            "                    ⚠ no such command",
        ]
        assert on.screen[1:9] == on.rows[1:9]


async def test_a_room_at_40_columns() -> None:
    transcript = Transcript(zone=UTC)
    transcript.add_post("ana", "hello to you all, how are you today?", NOON)
    transcript.add_post("bob", "hi", NOON)
    transcript.add_system("carl joined", NOON + timedelta(minutes=1))
    transcript.add_post("bob", "/me waves", NOON + timedelta(minutes=1))
    async with stage(transcript, 40, 10) as on:
        assert on.rows[1:6] == [
            "12:00 ana: hello to you all, how are",
            "      you today?",
            "      bob: hi",
            "   ── carl joined",
            "      * bob waves",
        ]


async def test_names_and_texts_are_never_markup() -> None:
    transcript = Transcript(zone=UTC)
    transcript.add_post("[red]x[/]", "[/] [bold]", NOON)
    async with stage(transcript) as on:
        assert on.rows[1].endswith("[red]x[/] │ [/] [bold]")


async def test_links_are_underlined() -> None:
    transcript = Transcript(zone=UTC)
    transcript.add_post("ana", "see https://example.org/a_(b), or not", NOON)
    async with stage(transcript) as on:
        strip = on.strip(1)
        assert [part.text for part in strip if part.style and part.style.underline] == [
            "https://example.org/a_(b)"
        ]


async def test_a_new_theme_redraws_the_log() -> None:
    async with stage(transcript_of(3)) as on:
        colors = {str(part.style) for part in on.strip(1)}
        on.app.theme = "textual-light"
        await on.pilot.pause()
        assert colors.isdisjoint(str(part.style) for part in on.strip(1))


@pytest.mark.parametrize("theme", ["ansi-dark", "ansi-light", "nord", "solarized-light"])
async def test_every_kind_of_theme_draws(theme: str) -> None:
    transcript = transcript_of(3)
    transcript.add_post("bob", "ana: hi", NOON, mention=True)
    async with stage(transcript) as on:
        on.app.theme = theme
        await on.pilot.pause()
        assert on.screen[3].endswith("│ post 2")
        assert on.screen[4].endswith("┃ ana: hi")


async def test_no_color_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with stage(transcript_of(3)) as on:
        colors = {part.style.color for part in on.strip(1) if part.style and part.style.color}
        triplets = [color.get_truecolor() for color in colors]
        assert triplets
        assert all(red == green == blue for red, green, blue in triplets)


@pytest.mark.parametrize("theme", ["textual-dark", "textual-light", "ansi-dark", "ansi-light"])
async def test_sixteen_colors_are_readable_and_marks_need_no_color(theme: str) -> None:
    transcript = Transcript(zone=UTC)
    transcript.add_post("bob", "**bold** `code` [text](https://e.org/x) https://e.org", NOON)
    transcript.add_post("bob", "hi **ana** `x`", NOON, mention=True)
    transcript.add_post("bob", "```py\ndef x(): # c\n    return 'a' + 1\n```", NOON)
    transcript.add_pending("n", "me", "mine", NOON)
    transcript.reject("n", "no")
    async with stage(transcript) as on:
        on.app.theme = theme
        await on.pilot.pause()
        rows = on.rows[1:7]
        assert [row[11:12] for row in rows] == [
            "│", "┃", "│", "┆", "⚠", "⚠",
        ]  # fmt: skip
        for y in range(1, 7):
            for part in on.strip(y):
                if not part.text.strip(" │┆") or part.style is None:
                    continue
                colors = [part.style.color, part.style.bgcolor]
                numbers = [c.downgrade(ColorSystem.STANDARD).number if c else None for c in colors]
                assert numbers[0] != numbers[1] or numbers[0] is None, part
                assert theme != "ansi-dark" or numbers[1] is None, part


async def test_code_is_readable_in_every_theme() -> None:
    async with stage(transcript_of(1)) as on:
        for theme in [*BUILTIN_THEMES.values(), *OWN_THEMES]:
            if theme.name.startswith("ansi"):
                continue
            on.app.register_theme(theme)
            on.app.theme = theme.name
            await on.pilot.pause()
            styles = on.log.rows.renderer.styles
            background = rgb(styles.block.bgcolor)
            for kind, style in styles.syntax.items():
                if kind is not CodeKind.COMMENT:
                    assert contrast(rgb(style.color), background) >= MIN_CONTRAST, (theme.name, kind)


def rgb(color: RichColor | None) -> Rgb:
    assert color is not None
    red, green, blue = color.get_truecolor()
    return red, green, blue


# Following the end and scrolling


async def test_follows_the_newest_line() -> None:
    transcript = transcript_of(100)
    async with stage(transcript) as on:
        assert on.rows[-1].endswith("post 99")
        add_posts(transcript, range(100, 110))
        await on.synced()
        assert on.rows[-1].endswith("post 109")
        assert on.log.is_following
        assert (on.log.unseen, on.app.unseen_counts) == (0, [])


async def test_a_scrolled_log_does_not_move_and_counts_new_posts() -> None:
    transcript = transcript_of(100)
    async with stage(transcript) as on:
        on.log.action_page_up()
        before = on.rows
        add_posts(transcript, range(100, 112))
        transcript.add_post("me", "own", NOON, own=True)
        transcript.add_system("bob joined", NOON)
        await on.synced()
        assert on.rows[:-1] == before[:-1]
        assert on.rows[-1].endswith(" ↓ 12 new")
        assert on.screen[-1].rstrip(" ▁▂▃▄▅▆▇").endswith("↓ 12 new")
        assert on.app.unseen_counts == [12]


async def test_the_page_above_is_rendered_in_advance(monkeypatch: pytest.MonkeyPatch) -> None:
    rendered: list[int] = []
    render = LineRenderer.render

    def noted_render(renderer: LineRenderer, line: Line, above: Line | None) -> list[Strip]:
        rendered.append(line.id)
        return render(renderer, line, above)

    monkeypatch.setattr(LineRenderer, "render", noted_render)
    async with stage(transcript_of(300)) as on:
        for _ in range(3):
            on.log.action_page_up()
            first = on.log.index.anchor_at(round(on.log.scroll_y) - on.log.container_size.height)
            assert first is not None
            await eventually(partial(operator.contains, rendered, first.line_id))
            rendered.clear()
        on.log.action_page_up()
        on.log.render_lines(on.log.size.region)
        assert not rendered


async def test_back_at_the_end_nothing_is_unseen() -> None:
    transcript = transcript_of(100)
    async with stage(transcript) as on:
        on.log.action_page_up()
        add_posts(transcript, range(100, 103))
        await on.synced()
        on.log.action_scroll_end()
        await on.pilot.pause()
        assert on.rows[-1].endswith("post 102")
        assert (on.log.unseen, on.app.unseen_counts) == (0, [3, 0])


async def test_scrolling_down_to_the_end_follows_again() -> None:
    transcript = transcript_of(100)
    async with stage(transcript) as on:
        on.log.action_page_up()
        assert not on.log.is_following
        for _ in range(30):
            on.log.action_scroll_down()
        assert on.log.is_following
        add_posts(transcript, range(100, 101))
        await on.synced()
        assert on.rows[-1].endswith("post 100")


async def test_a_click_on_the_count_goes_to_the_end() -> None:
    transcript = transcript_of(100)
    async with stage(transcript) as on:
        on.log.action_page_up()
        add_posts(transcript, range(100, 103))
        await on.synced()
        await on.pilot.click(MessageLog, offset=(74, 23))
        assert on.log.is_following


async def test_keys_scroll_by_lines_and_pages() -> None:
    async with stage(transcript_of(100)) as on:
        on.log.focus()
        tops = [on.top_post]
        for key in ("up", "up", "down", "pageup", "pagedown", "home", "pagedown", "end"):
            await on.pilot.press(key)
            tops.append(on.top_post)
        assert tops == [
            f"post {number}" if number >= 0 else "" for number in (76, 75, 74, 75, 52, 75, -1, 22, 76)
        ]


async def test_the_wheel_scrolls() -> None:
    async with stage(transcript_of(100)) as on:
        await on.pilot._post_mouse_events([MouseScrollUp], MessageLog)
        assert not on.log.is_following


async def test_trimmed_lines_do_not_move_the_view() -> None:
    transcript = transcript_of(300, limit=400)
    async with stage(transcript) as on:
        on.log.action_page_up()
        before = on.rows
        add_posts(transcript, range(300, 500))
        await on.synced()
        assert on.rows[:-1] == before[:-1]


async def test_a_cleared_transcript_is_empty_and_at_its_end() -> None:
    transcript = transcript_of(100)
    async with stage(transcript) as on:
        on.log.action_scroll_home()
        transcript.clear()
        await on.synced()
        assert set(on.rows) == {""}
        add_posts(transcript, range(50))
        await on.synced()
        assert on.rows[-1].endswith("post 49")


async def test_many_changes_are_drawn_in_one_frame() -> None:
    transcript = transcript_of(10)
    async with stage(transcript) as on:
        frame_count = 0
        sync = on.log.sync

        def count_sync() -> None:
            nonlocal frame_count
            frame_count += 1
            sync()

        on.log.sync = count_sync  # type: ignore[method-assign]
        for number in range(1000):
            add_posts(transcript, range(number, number + 1))
            on.log.refresh_lines()
        await on.until(lambda: not draw_soon(on.log) and frame_count > 0)
        assert frame_count == 1
        assert on.rows[-1].endswith("post 999")


async def test_lines_outside_the_view_are_measured_after_a_flood(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broadcast_tui.tui.widgets.message_log.FLOOD_FRAME_S", 3600.0)
    transcript = transcript_of(10)
    async with stage(transcript) as on:
        add_posts(transcript, range(10, 5_000))
        on.log.sync()
        assert on.rows[-1].endswith("post 4999")
        on.log._measure_slice()
        assert not on.log.index.is_exact
        add_posts(transcript, range(5_000, 5_001))
        on.log.refresh_lines()
        await on.until(lambda: on.rows[-1].endswith("post 5000") and on.log.index.is_exact)


# Width and height


@pytest.mark.parametrize("size", [(40, 10), (200, 50), (61, 24), (25, 12), (80, 5)])
async def test_a_resize_keeps_the_top_post(size: tuple[int, int]) -> None:
    async with stage(transcript_of(400, "post {0} " * 20)) as on:
        on.log.action_scroll_home()
        for _ in range(5):
            on.log.action_page_down()
        place = on.log.top_anchor
        assert place is not None
        await on.resize(*size)
        top = on.log.index.anchor_at(round(on.log.scroll_y))
        assert top is not None
        assert top.line_id == place.line_id
        await on.resize(80, 24)
        assert on.log.index.anchor_at(round(on.log.scroll_y)) == place


@pytest.mark.parametrize("size", [(40, 10), (200, 50), (25, 3)])
async def test_a_resize_at_the_end_stays_at_the_end(size: tuple[int, int]) -> None:
    async with stage(transcript_of(400, "many words in post {0}, " * 2 + "END {0}")) as on:
        await on.resize(*size)
        assert on.rows[-1].endswith("END 399")
        assert on.log.is_following


async def test_a_resize_of_many_lines_is_exact_in_the_end() -> None:
    transcript = transcript_of(20_000, "post {} with some more words in it, enough for a second row or two")
    async with stage(transcript) as on:
        await on.until(lambda: on.log.index.is_exact)
        on.log.action_page_up()
        await on.resize(45, 20)
        before = on.rows
        await on.until(lambda: on.log.index.is_exact)
        assert on.rows == before
        on.log.action_scroll_home()
        assert on.rows[0].strip("─") == " Saturday 30 August 2025 "
        assert on.rows[1].startswith("12:00 ana: post 0 with")
        on.log.action_scroll_end()
        assert "post 19999" in "".join(on.rows[-3:])


@pytest.mark.parametrize("width", [1, 2, 3, 4, 5, 23, 24, 59, 60, 99, 100, 300])
async def test_any_text_can_be_drawn_at_any_width(width: int) -> None:
    transcript = Transcript(zone=UTC)
    for text in HOSTILE:
        transcript.add_post(text, text, NOON)
        transcript.add_post("me", "/me " + text, NOON, own=True, mention=True)
        transcript.add_system(text, NOON, error=True)
        transcript.add_pending(text, text, text, NOON)
    transcript.reject(HOSTILE[0], HOSTILE[0])
    async with stage(transcript, width, 100) as on:
        row_width = on.log.index.columns.width
        for _ in range(60):
            for strip in on.log.render_lines(Region(0, 0, width, 100)):
                assert sum(part.cell_length for part in strip) == strip.cell_length
                assert strip.cell_length == row_width
                assert strip.text.replace("\u200d", "").isprintable()
            on.log.action_page_up()
        assert len(on.screen) == 100


async def test_a_log_of_one_cell_does_not_crash() -> None:
    transcript = transcript_of(50)
    async with stage(transcript, 1, 1) as on:
        for action in (on.log.action_page_up, on.log.action_scroll_home, on.log.action_scroll_end):
            action()
            await on.pilot.pause()
        add_posts(transcript, range(50, 60))
        await on.synced()
        await on.resize(300, 100)
        assert "post 59" in "\n".join(on.rows)
        await on.resize(1, 1)


async def test_a_post_cannot_draw_into_the_gutter() -> None:
    transcript = Transcript(zone=UTC)
    for text in HOSTILE:
        transcript.add_post("evil", text, NOON)
    for width in (40, 80):
        async with stage(transcript, width, 60) as on:
            gutter = on.log.index.columns.gutter
            on.log.action_scroll_home()
            for row in on.rows[1:30]:
                assert set(row[:gutter]) <= set(" 12:0evil│┆")


async def test_the_cache_of_rendered_lines_is_bounded() -> None:
    async with stage(transcript_of(2000)) as on:
        for _ in range(60):
            on.log.action_page_up()
            on.log.render_lines(Region(0, 0, 80, 24))
        assert len(on.log.rows) <= CACHED_LINES


# Own posts


async def test_pending_posts_are_marked_until_they_arrive() -> None:
    transcript = transcript_of(3)
    async with stage(transcript) as on:
        transcript.add_pending("n", "me", "mine", NOON)
        await on.synced()
        assert on.rows[4] == " 12:00  me … mine"
        transcript.confirm("n")
        await on.synced()
        assert on.rows[4] == " 12:00  me │ mine"
        transcript.add_post("bob", "first", NOON)
        await on.synced()
        assert [row.partition(" │ ")[2] for row in on.rows[4:6]] == ["first", "mine"]
        transcript.add_post("me", "mine", NOON, own=True, nonce="n")
        transcript.add_post("bob", "last", NOON)
        await on.synced()
        assert [row.partition(" │ ")[2] for row in on.rows[4:7]] == ["first", "mine", "last"]


async def test_a_refused_post_stays_with_the_reason() -> None:
    transcript = transcript_of(1)
    async with stage(transcript) as on:
        transcript.add_pending("n", "me", "mine", NOON)
        await on.synced()
        transcript.reject("n", "Wait 2 s.")
        await on.synced()
        assert on.rows[2:4] == ["        me ⚠ mine", "           ⚠ not sent: Wait 2 s."]


# Older posts


def older(count: int) -> list[OlderPost]:
    return [
        OlderPost("bob", f"old {number}", NOON, False, False, f"k3f9-{number + 1}") for number in range(count)
    ]


async def test_top_reached_is_posted_once_per_visit() -> None:
    async with stage(transcript_of(100)) as on:
        for _ in range(9):
            on.log.action_page_up()
            await on.pilot.pause()
        assert on.app.top_count == 1
        on.log.action_page_down()
        on.log.action_scroll_home()
        await on.pilot.pause()
        assert on.app.top_count == 2


async def test_top_reached_is_posted_if_everything_fits() -> None:
    async with stage(transcript_of(3)) as on:
        assert on.app.top_count == 0
        on.log.action_page_up()
        on.log.action_page_up()
        await on.pilot.pause()
        assert on.app.top_count == 1


async def test_older_posts_do_not_move_the_view() -> None:
    transcript = transcript_of(100)
    async with stage(transcript) as on:
        on.log.action_scroll_home()
        before = on.rows
        transcript.prepend_posts(older(50))
        await on.synced()
        assert on.rows[2:] == before[2:]
        assert on.rows[0].endswith("old 49")
        on.log.action_scroll_home()
        await on.pilot.pause()
        assert on.rows[1].endswith("old 0")
        assert on.app.top_count == 2


async def test_a_page_of_long_posts_does_not_move_the_view() -> None:
    transcript = transcript_of(100)
    async with stage(transcript) as on:
        on.log.action_scroll_home()
        before = on.rows
        page = [OlderPost("bob", "old words " * 30, NOON, False, False, f"k3f9-{n + 1}") for n in range(50)]
        transcript.prepend_posts(page)
        await on.synced()
        assert on.rows[2:] == before[2:]
        assert on.rows[0].endswith("old words")
        on.log.action_page_up()
        on.log.action_page_down()
        await on.pilot.pause()
        assert on.rows[2:] == before[2:]


async def test_scrolling_to_the_top_includes_undrawn_posts() -> None:
    transcript = transcript_of(100)
    async with stage(transcript) as on:
        on.log.action_scroll_home()
        transcript.prepend_posts(older(50))
        on.log.action_scroll_home()
        assert on.rows[1].endswith("old 0")


# Several transcripts


async def test_each_transcript_preserves_its_scroll_position() -> None:
    one, other = transcript_of(100, "one {}"), transcript_of(200, "other {}")
    async with stage(one) as on:
        on.log.action_page_up()
        before = on.rows
        on.log.show(other)
        assert on.rows[-1].endswith("other 199")
        assert on.log.is_following
        add_posts(one, range(100, 105), "one {}")
        add_posts(other, range(200, 205), "other {}")
        on.log.show(one)
        assert on.rows[:-1] == before[:-1]
        assert on.log.unseen == 5
        on.log.show(other)
        await on.pilot.pause()
        assert on.rows[-1].endswith("other 204")
        assert on.app.unseen_counts == [5, 0]


async def test_a_transcript_filled_before_it_is_shown() -> None:
    app = LogApp(Transcript())
    app.log_view.show(transcript_of(30))
    app.log_view.refresh_lines()
    async with app.run_test() as pilot:
        on = Stage(app, pilot)
        await pilot.pause()
        assert on.rows[-1].endswith("post 29")


async def test_an_empty_transcript_that_fills_up() -> None:
    transcript = Transcript(zone=UTC)
    async with stage(transcript) as on:
        assert set(on.rows) == {""}
        add_posts(transcript, range(30))
        await on.synced()
        assert on.rows[-1].endswith("post 29")


# Long posts


def with_paste(before: int, lines: int, after: int) -> Transcript:
    transcript = transcript_of(before)
    transcript.add_post("bob", "\n".join(f"pasted {number}" for number in range(lines)), NOON)
    add_posts(transcript, range(before, before + after))
    return transcript


def row_with(on: Stage, text: str) -> int:
    return next(y for y, row in enumerate(on.rows) if text in row)


async def test_a_long_post_unfolds_in_place() -> None:
    async with stage(with_paste(30, 40, 3)) as on:
        y = row_with(on, "pasted 0")
        assert on.rows[y + 8].endswith("┆ … 32 more lines (Alt+O)")
        assert on.log.folding.unfold_next()
        assert on.rows[y].endswith("pasted 0")
        assert on.rows[-1].endswith(f"pasted {23 - y}")
        assert not on.log.is_following
        assert on.log.index.is_exact
        on.log.action_scroll_home()
        on.log.action_page_down()
        assert on.log.folding.unfold_next(), "folds it again"
        assert on.rows[row_with(on, "pasted 7") + 1].endswith("32 more lines (Alt+O)")
        on.log.action_scroll_end()
        assert on.rows[-1].endswith("post 32")


async def test_the_lowest_folded_post_is_the_first_to_be_shown() -> None:
    transcript = with_paste(2, 13, 1)
    transcript.add_post("cy", "\n".join(f"other {number}" for number in range(13)), NOON)
    lines = [line for line in map(transcript.line, range(transcript.next_id)) if line and "\n" in line.text]
    async with stage(transcript) as on:
        folded = []
        for _ in range(4):
            on.log.folding.unfold_next()
            folded.append(tuple(on.log.index.visibility.folds(line.id) for line in lines))
        assert folded == [(True, False), (False, False), (True, True), (True, False)]


async def test_unfolding_without_long_posts_does_nothing() -> None:
    async with stage(transcript_of(30)) as on:
        assert not on.log.folding.unfold_next()
        assert on.log.is_following


async def test_a_click_on_a_fold_shows_the_post() -> None:
    async with stage(with_paste(2, 13, 1)) as on:
        y = row_with(on, "more lines")
        await on.pilot.click(MessageLog, offset=(25, y - 1))
        assert "pasted 12" not in "\n".join(on.rows)
        await on.pilot.click(MessageLog, offset=(25, y))
        assert on.rows[y].endswith("pasted 8")
        assert on.rows[y + 4].endswith("pasted 12")
        assert on.log.is_following


async def test_unfolded_posts_are_remembered_per_transcript() -> None:
    one, other = with_paste(2, 13, 1), with_paste(2, 13, 1)
    async with stage(one) as on:
        on.log.folding.unfold_next()
        on.log.show(other)
        assert "pasted 12" not in "\n".join(on.rows)
        on.log.show(one)
        assert "pasted 12" in "\n".join(on.rows)


# Join and leave lines


async def test_a_join_and_leave_line_is_updated_in_place() -> None:
    transcript = transcript_of(30)
    line_id = transcript.add_presence("bob joined", "bob joined", NOON + timedelta(hours=1))
    async with stage(transcript) as on:
        assert on.rows[-1].endswith("── bob joined")
        transcript.replace_presence(line_id, "bob and cy joined", "bob joined", NOON + timedelta(hours=1))
        await on.synced()
        assert on.rows[-1].endswith("── bob joined")
        next_presence(on.log)
        assert on.rows[-1].endswith("── bob and cy joined")
        transcript.replace_presence(line_id, "bob joined · eve left", "", NOON + timedelta(hours=1))
        await on.synced()
        assert on.rows[-1].endswith("── bob joined · eve left")
        transcript.replace_presence(line_id, "", "", NOON + timedelta(hours=1))
        await on.synced()
        assert on.rows[-1].endswith("post 29")


async def test_join_and_leave_lines_follow_the_chosen_setting() -> None:
    transcript = transcript_of(3)
    transcript.add_presence("eve joined", "", NOON + timedelta(minutes=2))
    transcript.add_post("ana", "hello", NOON + timedelta(minutes=2))
    async with stage(transcript) as on:
        assert on.rows[3:5] == [" 12:02 ana │ post 2", "           │ hello"]
        shown = []
        for _ in range(3):
            shown.append((next_presence(on.log).name, on.rows[4].strip(), on.rows[5].strip()))
        assert shown == [
            ("ALL", "── eve joined", "ana │ hello"), ("NONE", "│ hello", ""), ("AUTO", "│ hello", ""),
        ]  # fmt: skip


async def test_hiding_lines_does_not_move_the_view() -> None:
    transcript = Transcript(zone=UTC)
    for number in range(400):
        add_posts(transcript, range(number, number + 1))
        transcript.add_presence(f"bob {number} joined", "", NOON + timedelta(minutes=number))
    async with stage(transcript) as on:
        on.log.action_page_up()
        on.log.action_page_up()
        top = on.top_post
        assert top == "post 330"
        next_presence(on.log)
        assert on.top_post == top
        assert on.rows[1].endswith("── bob 330 joined")
        next_presence(on.log)
        assert on.top_post == top
        on.log.action_scroll_home()
        assert on.rows[1].endswith("post 0")
        on.log.action_scroll_end()
        assert on.rows[-1].endswith("post 399")


# The unread line and mentions


RULE = " new "


async def test_the_unread_line_is_a_row_above_its_post() -> None:
    transcript = transcript_of(3)
    add_posts(transcript, range(2, 3), "again {}")
    async with stage(transcript) as on:
        transcript.unread_line_id = transcript.next_id - 1
        await on.synced()
        assert on.rows[4].strip("─") == RULE
        assert on.rows[5] == " 12:02 ana │ again 2"
        assert on.screen[4].rstrip().strip("─") == RULE
        transcript.unread_line_id = None
        await on.synced()
        assert on.rows[4] == "           │ again 2"
        assert on.rows[5] == ""


@pytest.mark.parametrize("width", [1, 3, 24, 40, 120])
async def test_the_unread_line_fits_any_width(width: int) -> None:
    transcript = transcript_of(100)
    transcript.unread_line_id = 90
    async with stage(transcript, width, 10) as on:
        on.log.start_at_unread_line(0)
        assert on.rows[0].strip("─") in (RULE, " new", "", " ne…", " n…", " …", "…")
        assert on.log.top_anchor in (None, (90, 0))


async def test_the_log_starts_at_the_unread_line_unless_that_is_in_view() -> None:
    transcript = transcript_of(100)
    async with stage(transcript) as on:
        transcript.unread_line_id = 95
        on.log.start_at_unread_line(6)
        assert on.log.is_following
        transcript.unread_line_id = 40
        on.log.start_at_unread_line(60)
        await on.pilot.pause()
        assert on.rows[0].strip("─") == RULE
        assert on.rows[1].endswith("post 39")
        assert on.log.unseen == 60
        on.log.action_page_down()
        place = on.log.top_anchor
        on.log.start_at_unread_line(60)
        assert on.log.top_anchor == place


async def test_a_room_shown_again_starts_at_its_unread_line() -> None:
    one, other = transcript_of(100, "one {}"), transcript_of(100, "other {}")
    async with stage(one) as on:
        on.log.show(other, 0)
        add_posts(one, range(100, 200), "one {}")
        one.unread_line_id = one.next_id - 100
        on.log.show(one)
        assert on.rows[0].strip("─") == RULE
        assert on.rows[1].endswith("one 100")
        assert on.log.unseen == 100
        on.log.action_page_down()
        before = on.rows
        on.log.show(other)
        on.log.show(one)
        assert on.rows == before
        third = transcript_of(100, "third {}")
        third.unread_line_id = 50
        on.log.show(third, 51)
        assert (on.rows[1][-8:], on.log.unseen) == ("third 49", 51)


async def test_adding_or_removing_the_unread_line_does_not_move_the_view() -> None:
    transcript = transcript_of(100)
    async with stage(transcript) as on:
        on.log.action_page_up()
        before = on.rows
        for unread_line_id in (10, 99, None):
            transcript.unread_line_id = unread_line_id
            await on.synced()
            assert on.rows == before
        transcript.unread_line_id = on.log.top_anchor.line_id + 3 if on.log.top_anchor else 0
        await on.synced()
        assert on.rows[3].strip("─") == RULE
        assert on.rows[:3] == before[:3]
        assert on.rows[4:] == before[3:-1]


async def test_the_newest_post_stays_in_view_when_the_unread_line_appears() -> None:
    transcript = transcript_of(100)
    async with stage(transcript) as on:
        add_posts(transcript, range(100, 101))
        transcript.unread_line_id = transcript.next_id - 1
        await on.synced()
        assert on.rows[-2].strip("─") == RULE
        assert on.rows[-1].endswith("post 100")


async def test_end_changed_is_posted_when_the_end_is_reached_or_left() -> None:
    async with stage(transcript_of(100)) as on:
        on.log.action_page_up()
        on.log.action_page_up()
        on.log.action_scroll_end()
        await on.pilot.pause()
        messages = [
            message.at_end for message in on.app.messages if isinstance(message, MessageLog.EndChanged)
        ]
        assert messages == [False, True]


async def test_mentions_are_visited_in_order_and_wrap_around() -> None:
    transcript = transcript_of(300)
    for number in (50, 150, 152, 295):
        transcript.add_post("bob", f"ana {number}", NOON, mention=True)
        add_posts(transcript, range(60))
    async with stage(transcript) as on:
        on.log.action_scroll_end()

        def shown() -> str:
            return next((row.partition("┃ ana ")[2] for row in on.rows[6:9] if "┃" in row), "")

        walk = []
        for back in (True, True, True, True, True, False, False, False):
            wrapped = on.log.navigator.go_to_mention(back=back)
            walk.append((shown(), wrapped))
        assert [text for text, _ in walk] == ["295", "152", "150", "50", "295", "50", "150", "152"]
        assert [wrapped for _, wrapped in walk] == [False, False, False, False, True, True, False, False]


async def test_the_previous_mention_is_above_the_top_of_the_view() -> None:
    transcript = transcript_of(100)
    transcript.add_post("bob", "ana one", NOON, mention=True)
    add_posts(transcript, range(100))
    transcript.add_post("bob", "ana two", NOON, mention=True)
    add_posts(transcript, range(100))
    async with stage(transcript) as on:
        assert on.log.navigator.go_to_mention(back=True) is False
        on.log.action_scroll_end()
        assert on.log.navigator.go_to_mention(back=True) is False
        assert any(row.endswith("ana two") for row in on.rows)
        assert on.log.navigator.go_to_mention(back=True) is False
        assert any(row.endswith("ana one") for row in on.rows)


async def test_without_mentions_the_log_does_not_move() -> None:
    async with stage(transcript_of(100)) as on:
        assert on.log.navigator.go_to_mention(back=True) is None
        assert on.log.is_following


# Notes


def transcript_with_ids(count: int) -> Transcript:
    transcript = Transcript(zone=UTC)
    for number in range(1, count + 1):
        transcript.add_post("bob", f"post {number}", NOON, post_id=f"k3f9-{number}")
    return transcript


def change(transcript: Transcript, number: int, text: str, state: PostState, re: int = 0) -> None:
    """Change a post of `transcript_with_ids`."""
    post = Post("", Position("k3f9", number), "", text, NOON, re=re, state=state)
    transcript.replace_post(post, mention=False)


EDITED = PostState(edited="2025-08-30T12:00:00.000Z")
DELETED = PostState(deleted=Deletion("ana", "", "wrong room"))


@pytest.mark.parametrize("number", [3, 590, 900])
async def test_a_post_out_of_view_changes_without_moving_the_view(number: int) -> None:
    transcript = transcript_with_ids(1_000)
    async with stage(transcript) as on:
        on.log.navigator.go_to_line(transcript.first_id + 600)
        await on.until(lambda: on.log.index.is_exact)
        rows, total = on.rows, on.log.index.total
        change(transcript, number, "line\n" * 3 + "end", PostState(reactions={"+": Votes(1, ("zoë",))}))
        await on.synced()
        assert on.rows == rows
        assert on.log.index.total == total + 4


async def test_a_post_in_view_changes_in_place() -> None:
    transcript = transcript_with_ids(100)
    async with stage(transcript) as on:
        change(transcript, 99, "new", EDITED)
        change(transcript, 100, "", DELETED)
        await on.synced()
        assert on.rows[-2].endswith("│ new (edited)")
        assert on.rows[-1].endswith("│ deleted by ana: wrong room")


async def test_a_quote_follows_its_target() -> None:
    transcript = transcript_with_ids(300)
    transcript.add_post("zoë", "yes", NOON, post_id="k3f9-301", details=PostDetails(re=5, root=5))
    async with stage(transcript) as on:
        assert on.rows[-2].endswith("┆ ↪ bob: post 5")
        change(transcript, 5, "changed", EDITED)
        await on.synced()
        assert on.rows[-2].endswith("┆ ↪ bob: changed")
        change(transcript, 5, "", DELETED)
        await on.synced()
        assert on.rows[-2].endswith("┆ ↪ bob: deleted by ana: wrong room")
        transcript.clear()
        transcript.add_post("zoë", "no", NOON, post_id="k3f9-302", details=PostDetails(re=301, root=5))
        await on.synced()
        assert any(row.endswith("┆ ↪ zoë: yes") for row in on.rows)


async def test_the_quote_of_a_hidden_post_has_no_text() -> None:
    transcript = transcript_with_ids(1)
    transcript.add_post("zoë", "yes", NOON, post_id="k3f9-2", details=PostDetails(re=1, root=1))
    transcript.hide(lambda name: name == "bob")
    async with stage(transcript) as on:
        assert any(row.endswith("┆ ↪ an earlier message") for row in on.rows)


async def test_reactions_can_be_hidden() -> None:
    transcript = transcript_with_ids(3)
    change(transcript, 3, "post 3", PostState(reactions={"+1": Votes(2, ("zoë", "ken"))}))
    async with stage(transcript) as on:
        assert any(row.endswith("┆ +1 2") for row in on.rows)
        on.log.folding.show_reactions(False)
        await on.synced()
        assert not any("+1" in row for row in on.rows)


async def test_own_votes_are_highlighted() -> None:
    transcript = transcript_with_ids(1)
    change(transcript, 1, "post", PostState(reactions={"+1": Votes(1, ("zoë",))}))
    async with stage(transcript) as on:

        def is_bold() -> bool:
            segments = [segment for y in range(5) for segment in on.strip(y) if "+1" in segment.text]
            return any(segment.style is not None and bool(segment.style.bold) for segment in segments)

        assert not is_bold()
        assert on.log.rows.set_own_name("Zoë")
        assert is_bold()


@pytest.mark.parametrize("evil", HOSTILE)
async def test_hostile_notes_stay_in_their_rows(evil: str) -> None:
    transcript = transcript_with_ids(2)
    votes = {f"{evil}{number}": Votes(2, (evil,)) for number in range(3)}
    ask = Ask((evil, "yes"), evil, 3, (evil,))
    state = PostState(folded=9, reactions=votes, ask=ask, tally=votes, waiting=(evil,))
    change(transcript, 1, evil, state, re=2)
    change(transcript, 2, evil, PostState(deleted=Deletion(evil, evil, evil)))
    async with stage(transcript) as on:
        for width in (80, 40, 12, 1):
            await on.resize(width, 24)
            await on.synced()
            for y in range(on.log.size.height):
                strip = on.strip(y)
                assert strip.cell_length == sum(segment.cell_length for segment in strip)
                assert not set(strip.text) & set("\x1b\n\x9b\u202e\x00\u200b")
