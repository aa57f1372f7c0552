"""The keys of a replay, and the row with its position."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widget import Widget

from broadcast_tui.client.requests import ClientRequests
from broadcast_tui.tui.keymap import active_keys, bind
from broadcast_tui.tui.model.replay import bar_text
from broadcast_tui.tui.replay.client import ReplayClient
from broadcast_tui.tui.widgets.conversation import Conversation

REFRESH_S = 0.25
ACTIONS = {
    "replay.toggle-pause": "toggle_pause",
    "replay.step-back": "step(-1)",
    "replay.step-on": "step(1)",
    "replay.go-start": "go_to_start",
    "replay.go-end": "go_to_end",
    "replay.play-faster": "change_speed(2.0)",
    "replay.play-slower": "change_speed(0.5)",
}
"""Actions by key binding."""


class ReplayBar(Widget):
    """One row: whether the replay plays, its speed, time and progress."""

    def __init__(self, client: ReplayClient) -> None:
        super().__init__(id="replay")
        self._client = client
        self._shown = ""

    def on_mount(self) -> None:
        self.set_interval(REFRESH_S, self.refresh_position)

    def refresh_position(self) -> None:
        """Redraw if the text has changed."""
        self._client.tick()
        if self._text() != self._shown:
            self.refresh()

    def render(self) -> Content:
        self._shown = self._text()
        return Content(self._shown)

    def _text(self) -> str:
        return bar_text(self._client.playback, self.content_size.width)


class ReplayControls(Vertical):
    """A conversation with a replay of it.

    The keys control the replay while the input is empty; otherwise they edit it.
    """

    DEFAULT_CSS = """
    ReplayControls {
        height: 1fr;
        #status { display: none; }
        #replay {
            height: 1;
            padding: 0 1;
            background: $panel;
            color: $foreground;
            text-style: bold;
            text-wrap: nowrap;
        }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [bind(id, action) for id, action in ACTIONS.items()]

    def __init__(self, client: ReplayClient, conversation: Conversation) -> None:
        super().__init__()
        self._client = client
        self._conversation = conversation
        self._bar = ReplayBar(client)

    def compose(self) -> ComposeResult:
        yield self._conversation
        yield self._bar

    def on_mount(self) -> None:
        self._conversation.composer.on_empty_key = self._handle_key

    async def _handle_key(self, key: str) -> bool:
        """Run the binding of a key. The input calls this in the order typed, before it handles the key."""
        for id, action in ACTIONS.items():
            if key in active_keys(self.app, id):
                await self.run_action(action)
                self._bar.refresh_position()
                return True
        return False

    def action_toggle_pause(self) -> None:
        self._client.toggle()

    def action_step(self, direction: int) -> None:
        self._client.step(direction)

    def action_go_to_start(self) -> None:
        self._client.seek(0.0)

    def action_go_to_end(self) -> None:
        self._client.seek(self._client.playback.recording.duration_s)

    def action_change_speed(self, factor: float) -> None:
        self._client.change_speed(factor)


def with_controls(client: ClientRequests, conversation: Conversation) -> Widget:
    """The conversation with the controls of `client`, if that replays a recording."""
    return ReplayControls(client, conversation) if isinstance(client, ReplayClient) else conversation
