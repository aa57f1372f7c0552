"""The chat against hostile servers: it stays usable and bounded, and shows no control characters."""

from __future__ import annotations

import re
from collections import deque
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from time import monotonic

import pytest
from textual import events
from textual.geometry import Region

from broadcast_tui.client import BroadcastClient
from broadcast_tui.client.storage.preferences import Preferences
from broadcast_tui.core.session.updates import ConnectionState, Update
from broadcast_tui.tui.app import ChatApp
from broadcast_tui.tui.model.notice_limiter import LINES_MAX
from broadcast_tui.tui.model.room import MEMBERS_MAX
from broadcast_tui.tui.model.room_bars import question_text
from broadcast_tui.tui.model.state import AppState
from broadcast_tui.tui.model.status import status_items
from broadcast_tui.tui.model.transcript.chunks import POSTS
from broadcast_tui.tui.model.transcript.layout import RowLayout
from broadcast_tui.tui.model.transcript.post_rows import rows_below
from broadcast_tui.tui.model.transcript.row_index import RowIndex
from broadcast_tui.tui.model.update_slice import UpdateSlice
from broadcast_tui.tui.widgets.message_log import MessageLog
from tests.support.chat_app import Chat
from tests.support.fake_client import FakeClient
from tests.support.hostile_scenarios import FOLLOW_UP, SCENARIOS, Scenario, scenario_server
from tests.support.profile import by_profile
from tests.support.running import eventually, in_time

RAW = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
SYSTEM_LINES_MAX = 3 * LINES_MAX
"""Limited notices, and lines about the connection and about people."""


class ModelChat:
    """The chat without a screen: client, state and layout, as `ChatApp` and `MessageLog` use them."""

    def __init__(self, port: int) -> None:
        self.client = BroadcastClient("127.0.0.1", port, name="ana", last=0)
        self.state = AppState(name="ana")
        self.rows = RowIndex(self.state.rooms.shown.transcript, RowLayout.of_width(80))

    async def run_until(self, text: str) -> None:
        """Apply updates until a post says `text`; reconnect when the connection is lost."""
        async for batch in self.client.batches():
            pending = deque(batch)
            while pending:
                self._apply(pending)
            if self.state.connection.state in (ConnectionState.WAITING, ConnectionState.REFUSED):
                self.client.reconnect_now()
            if self.last_post() == text:
                return

    def _apply(self, pending: deque[Update]) -> None:
        changes = self.state.apply(UpdateSlice(pending, monotonic), monotonic(), datetime.now(UTC))
        for room in changes.rooms_to_list:
            self.client.list_members(room)
        self.rows.update()
        self.rows.measure_end(24)
        status_items(self.state, self.client.url, monotonic())

    def last_post(self) -> str:
        transcript = self.state.rooms.shown.transcript
        line = transcript.line(transcript.next_id - 1)
        return "" if line is None else line.text

    def check(self) -> None:
        """Nothing raw is shown, and nothing has grown beyond its bounds."""
        state, transcript = self.state, self.state.rooms.shown.transcript
        assert list(state.rooms.joined) == ["lobby"]
        assert self.client.rooms == ("lobby",)
        assert len(state.rooms.shown.members) <= MEMBERS_MAX
        system = 0
        for chunk in transcript.chunks:
            system += sum(kind not in POSTS for kind in chunk.kinds)
            for details in chunk.details.values():
                rows = rows_below(details, 80, named=True, reactions=True)
                assert len(rows) < 100
                assert not RAW.search("".join(piece.text for row in rows for piece in row))
            for shown in (*chunk.texts, *chunk.senders):
                assert not RAW.search(shown), repr(shown[:100])
        assert system <= SYSTEM_LINES_MAX
        if (question := state.rooms.shown.notes.open_question("ana")) is not None:
            assert not RAW.search(question_text(question, "Alt+R", 80))
        left, right = status_items(state, self.client.url, monotonic())
        assert not RAW.search("".join(item.text for item in (*left, *right)))


@pytest.fixture(autouse=True)
def short_timeouts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broadcast_tui.client.connection.WELCOME_TIMEOUT_S", 5.0)
    monkeypatch.setattr("broadcast_tui.client.connection.CLOSE_TIMEOUT_S", 0.1)
    monkeypatch.setattr("broadcast_tui.client.security.PROBE_S", 0.2)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
async def test_the_client_is_usable_after(scenario: Scenario) -> None:
    async with scenario_server() as server:
        server.begin(scenario)
        chat = ModelChat(server.port)
        chat.client.start()
        try:
            await in_time(chat.run_until(f"{FOLLOW_UP} {scenario.name}"))
            chat.check()
        finally:
            await in_time(chat.client.close())


@pytest.mark.timeout(600)
async def test_the_screen_is_usable_after_one_scenario_after_the_other(tmp_path: Path) -> None:
    async with scenario_server() as server:
        client = BroadcastClient("127.0.0.1", server.port, name="ana", last=0)
        app = ChatApp(lambda name: client, name="ana", preferences=Preferences.load(tmp_path))
        async with app.run_test(size=(80, 24)) as pilot:
            await pilot.pause()
            chat = Chat(app, pilot, FakeClient("ana"), [])
            for scenario in by_profile(SCENARIOS[::5], SCENARIOS):
                server.begin(scenario)
                client.reconnect_now()
                try:
                    await eventually(partial(shows_follow_up, app, client, scenario))
                except TimeoutError:
                    raise AssertionError(
                        f"{scenario.name}: {client.state}\n" + "\n".join(chat.drawn())
                    ) from None
                app.post_message(events.Key("x", "x"))
                await eventually(lambda: chat.composer.text == "x")
                chat.composer.put("")
                assert not RAW.search("".join(chat.drawn())), scenario.name
            await client.close()


def shows_follow_up(app: ChatApp, client: BroadcastClient, scenario: Scenario) -> bool:
    """Whether the log has drawn the post; reconnects if the connection is lost."""
    if client.state in (ConnectionState.WAITING, ConnectionState.REFUSED):
        client.reconnect_now()
    log = app.screen.query_one(MessageLog)
    rows = [strip.text for strip in log.render_lines(Region(0, 0, *log.size))]
    text = " ".join(row.partition("│")[2].strip() for row in rows)
    return f"{FOLLOW_UP} {scenario.name}" in text


def test_there_are_sixty_scenarios_with_distinct_names() -> None:
    assert len({scenario.name for scenario in SCENARIOS}) == len(SCENARIOS) >= 60
