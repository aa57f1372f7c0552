"""A `CommandContext` without a UI: runs commands on an `AppState` and records what they ask for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from broadcast_tui.client.address import Address
from broadcast_tui.core.session.updates import Update
from broadcast_tui.tui.commands.dispatcher import CommandDispatcher
from broadcast_tui.tui.commands.parser import CommandInput, parse
from broadcast_tui.tui.model.notifications import NotifyLevel
from broadcast_tui.tui.model.state import AppState
from broadcast_tui.tui.model.transcript.chunks import LineKind
from tests.support.fake_client import AT, FakeClient


class FakeThemes:
    theme = "broadcast-dark"
    available_themes: Mapping[str, object] = {"broadcast-dark": None, "nord": None}


class FakeContext:
    """Runs commands with `execute`; `warnings` contains the errors, `calls` the actions by method name."""

    def __init__(self, *people: str, name: str = "ana") -> None:
        self.client = FakeClient(name)
        self.state = AppState(name=name)
        self.theme_host = FakeThemes()
        self.warnings: list[str] = []
        self.calls: list[tuple[str, ...]] = []
        self._dispatcher = CommandDispatcher(self.client, self.state, self)
        if people:
            self.receive(*self.client.online(*people))

    def receive(self, *updates: Update) -> None:
        self.state.apply(updates, 0.0, AT)

    def execute(self, typed: str) -> bool:
        """Run a command; returns whether it succeeded."""
        parsed = parse(typed)
        assert isinstance(parsed, CommandInput), parsed
        return self._dispatcher.execute(parsed.command, parsed.argument)

    @property
    def output(self) -> list[str]:
        """The system lines of the current room, in order."""
        chunks = self.state.rooms.shown.transcript.chunks
        lines = [chunk.line(i) for chunk in chunks for i in range(len(chunk))]
        return [line.text for line in lines if line.kind is LineKind.SYSTEM]

    def called(self, method: str) -> list[tuple[str, ...]]:
        """The arguments of all calls of `method`, in order."""
        return [call[1:] for call in self.calls if call[0] == method]

    def say(self, text: str) -> None:
        self.calls.append(("say", text))

    def warn(self, text: str) -> None:
        self.warnings.append(text)

    def refresh_views(self, *, people: bool = False) -> None:
        pass

    def follow_log(self) -> None:
        self.calls.append(("follow_log",))

    def show_room(self, room: str) -> None:
        self.state.rooms.show(room, AT)

    def open_search(self, query: str) -> None:
        self.calls.append(("open_search", query))

    def run_in_thread(self, work: Callable[[], str]) -> None:
        self.state.print(work(), datetime.now(UTC))

    def save_notify_level(self, room: str, level: NotifyLevel) -> None:
        self.calls.append(("save_notify_level", room, level.value))

    def save_ignore_list(self) -> None:
        self.calls.append(("save_ignore_list",))

    def test_notification(self) -> None:
        self.calls.append(("test_notification",))

    def connect_to(self, address: Address) -> None:
        self.calls.append(("connect_to", address.url))

    def quit_chat(self, reason: str = "") -> None:
        self.calls.append(("quit_chat", reason))
