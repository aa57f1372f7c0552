"""The interface slash commands use to act on the UI, and the base class of their handlers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Protocol

from broadcast_tui.client.address import Address
from broadcast_tui.client.requests import ClientRequests
from broadcast_tui.core.protocol.commands import Question
from broadcast_tui.tui.model.input.compose_mode import ComposeMode
from broadcast_tui.tui.model.notifications import NotifyLevel
from broadcast_tui.tui.model.post_target import PostTarget
from broadcast_tui.tui.model.servers import Place, Server, ServerSet
from broadcast_tui.tui.model.state import AppState


class ThemeHost(Protocol):
    """Settings for all servers: the theme, in the attributes of Textual's `App`, and the others."""

    theme: str

    @property
    def available_themes(self) -> Mapping[str, object]: ...

    def action_open_settings(self) -> None:
        """Show the settings, to change them."""
        ...


class PostContext(Protocol):
    """The UI that actions on posts use."""

    @property
    def numbers_posts(self) -> bool:
        """Whether a number before other arguments selects a post."""
        ...

    def picked_post(self) -> PostTarget | None:
        """The post that is selected on the screen."""
        ...

    def listed_post(self, number: int) -> PostTarget | None:
        """The post with this number that was listed, such as a search result; it need not be loaded."""
        ...

    def start_writing(self, mode: ComposeMode) -> bool:
        """Begin a reply or an edit in the input; false, after an error, if there is no such input."""
        ...

    def choose_reaction(self, target: PostTarget) -> bool:
        """Ask for an emoji and react with it; false, after an error, if that is not possible."""
        ...

    def confirm(self, question: str, answer: str, action: Callable[[], None]) -> None:
        """Call `action` once the user has confirmed it with `answer`."""
        ...

    def choose(self, question: str, choices: Sequence[str], action: Callable[[str], object]) -> None:
        """Ask for one of `choices` and call `action` with it."""
        ...

    def report(self, text: str) -> None:
        """Show for a short time that something was done."""
        ...

    def open_thread(self, target: PostTarget) -> None:
        """Show the thread of a post."""
        ...

    def open_pins(self) -> None:
        """Show the pinned posts of the current room."""
        ...


class CommandContext(Protocol):
    """The UI that commands act on: the chat screen or line mode."""

    @property
    def theme_host(self) -> ThemeHost: ...

    @property
    def post_context(self) -> PostContext:
        """What the user sees and is asked when acting on posts."""
        ...

    def say(self, text: str, *, re: str = "", ask: Question | None = None) -> None:
        """Send a post to the current room; `re` and `ask` are as for `ClientRequests.say`."""
        ...

    def warn(self, text: str) -> None:
        """Show a warning."""
        ...

    def refresh_views(self, *, people: bool = False) -> None:
        """Redraw what changed in the state; with `people`, the member list too."""
        ...

    def follow_log(self) -> None:
        """Scroll to the newest line."""
        ...

    def show_room(self, room: str) -> None:
        """Switch to `room` of this server, which must be joined."""
        ...

    @property
    def servers(self) -> ServerSet:
        """All servers of the chat; this one is among them."""
        ...

    def show_place(self, place: Place) -> None:
        """Switch to a joined room of any server."""
        ...

    def open_search(self, query: str) -> None:
        """Search the current room's whole history on the server."""
        ...

    def run_in_thread(self, work: Callable[[], str]) -> None:
        """Run blocking `work` in a thread, then print the line it returns in the current room."""
        ...

    def save_notify_level(self, room: str, level: NotifyLevel) -> None:
        """Save the notification level of `room` for the next run."""
        ...

    def save_ignore_list(self) -> None:
        """Save the ignore list for the next run."""
        ...

    def test_notification(self) -> None:
        """Send a test notification and print what was sent."""
        ...

    def connect_to(self, address: Address) -> None:
        """Connect to another server as well, or show it if there is a connection already."""
        ...

    def leave_server(self, server: Server) -> None:
        """Disconnect from a server, which is not the only one, and remove its rooms."""
        ...

    def open_invite(self, name: str) -> None:
        """Show an invite to the current room, with a new token for `name` unless that is empty."""
        ...

    def quit_chat(self, reason: str = "") -> None:
        """Quit, with `reason` in the leave message."""
        ...


class CommandHandler:
    """Base class of command handlers. Each command is a method that takes the argument as typed.

    A method returns true if the command succeeded. Otherwise it shows the error and returns false, and the
    typed line stays in the input.
    """

    def __init__(self, client: ClientRequests, state: AppState, context: CommandContext) -> None:
        self._client = client
        self._state = state
        self._context = context

    def print(self, *lines: str) -> bool:
        """Print lines in the current room; always returns true."""
        self._state.print("\n".join(lines), datetime.now(UTC))
        self._context.refresh_views()
        return True

    def follow(self) -> None:
        """After updates: continue a command that needs several answers of the server, if there is one."""

    def fail(self, reason: str) -> bool:
        """Show why a command failed; always returns false."""
        self._context.warn(reason)
        return False
