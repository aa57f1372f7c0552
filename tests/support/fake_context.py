"""A `CommandContext` without a UI: runs commands on an `AppState` and records what they ask for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

from broadcast_tui.client.address import Address
from broadcast_tui.core.protocol.commands import Question
from broadcast_tui.core.session.updates import Update
from broadcast_tui.tui.commands.dispatcher import CommandDispatcher
from broadcast_tui.tui.commands.parser import CommandInput, parse
from broadcast_tui.tui.model.input.compose_mode import ComposeMode
from broadcast_tui.tui.model.notifications import NotifyLevel
from broadcast_tui.tui.model.post_target import PostTarget
from broadcast_tui.tui.model.servers import Place, Server, single_server
from broadcast_tui.tui.model.state import AppState
from broadcast_tui.tui.model.transcript.chunks import LineKind
from tests.support.fake_client import AT, FakeClient


class FakeThemes:
    theme = "broadcast-dark"
    available_themes: Mapping[str, object] = {"broadcast-dark": None, "nord": None}

    def action_open_settings(self) -> None:
        pass


class FakePostContext:
    """Records what actions on posts ask for in `calls`. Questions are confirmed, the last choice is made."""

    def __init__(self, calls: list[tuple[str, ...]]) -> None:
        self.calls = calls
        self.numbers_posts = False
        self.picked: PostTarget | None = None
        self.listed: dict[int, PostTarget] = {}

    def picked_post(self) -> PostTarget | None:
        return self.picked

    def listed_post(self, number: int) -> PostTarget | None:
        return self.listed.get(number)

    def start_writing(self, mode: ComposeMode) -> bool:
        self.calls.append(("start_writing", mode.kind.value, mode.target.ref, mode.initial_text))
        return True

    def choose_reaction(self, target: PostTarget) -> bool:
        self.calls.append(("choose_reaction", target.ref))
        return True

    def confirm(self, question: str, answer: str, action: Callable[[], None]) -> None:
        """Recorded, and confirmed."""
        self.calls.append(("confirm", question, answer))
        action()

    def choose(self, question: str, choices: Sequence[str], action: Callable[[str], object]) -> None:
        """Recorded; the last choice is made."""
        self.calls.append(("choose", question, *choices))
        action(choices[-1])

    def report(self, text: str) -> None:
        self.calls.append(("report", text))

    def open_thread(self, target: PostTarget) -> None:
        self.calls.append(("open_thread", target.root_id))

    def open_pins(self) -> None:
        self.calls.append(("open_pins",))


class FakeContext:
    """Runs commands with `execute`; `warnings` contains the errors, `calls` the actions by method name."""

    def __init__(self, *people: str, name: str = "ana") -> None:
        self.client = FakeClient(name)
        self.state = AppState(name=name)
        self.theme_host = FakeThemes()
        self.warnings: list[str] = []
        self.calls: list[tuple[str, ...]] = []
        self.post_context = FakePostContext(self.calls)
        self.servers = single_server(self.client.url, self.state)
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

    def say(self, text: str, *, re: str = "", ask: Question | None = None) -> None:
        """Recorded as text, for a reply also its target, for a question `ask`, choices and names."""
        question = () if ask is None else ("ask", *ask.choices, *ask.to)
        self.calls.append(("say", text, *filter(None, [re]), *question))

    def warn(self, text: str) -> None:
        self.warnings.append(text)

    def refresh_views(self, *, people: bool = False) -> None:
        pass

    def follow_log(self) -> None:
        self.calls.append(("follow_log",))

    def show_room(self, room: str) -> None:
        self.state.rooms.show(room, AT)

    def show_place(self, place: Place) -> None:
        self.servers.show(place, AT)

    def leave_server(self, server: Server) -> None:
        self.calls.append(("leave_server", server.url))

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

    def open_invite(self, name: str) -> None:
        self.calls.append(("open_invite", name))

    def quit_chat(self, reason: str = "") -> None:
        self.calls.append(("quit_chat", reason))
