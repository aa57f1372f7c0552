"""What the composer can complete, collected from the state of the app."""

from __future__ import annotations

from broadcast_tui.core.names import is_direct
from broadcast_tui.tui.commands.context import ThemeHost
from broadcast_tui.tui.commands.registry import available_commands
from broadcast_tui.tui.model.input.completion import CompletionContext
from broadcast_tui.tui.model.post_target import newest_question
from broadcast_tui.tui.model.settings import BY_NAME
from broadcast_tui.tui.model.state import AppState
from broadcast_tui.tui.path_completion import complete_path


def completion_context(state: AppState, themes: ThemeHost) -> CompletionContext:
    """What the composer can complete in the displayed room."""
    view = state.rooms.shown
    question = newest_question(view, state.name)
    rooms = (*state.rooms.joined, *reversed(state.rooms.left), *state.known_rooms)
    return CompletionContext(
        view.transcript.senders,
        view.people(),
        state.name,
        addressed=tuple(reversed(view.addressed)),
        rooms=tuple(dict.fromkeys(filter(lambda name: not is_direct(name), rooms))),
        themes=tuple(sorted(themes.available_themes)),
        emoji=tuple(state.recent_reactions.offered()),
        choices=() if question is None else question.choices,
        settings={name: tuple(state.settings.values_of(name)) for name in BY_NAME},
        files=(lambda typed: ()) if state.is_kiosk else complete_path,
        commands=available_commands(kiosk=state.is_kiosk),
    )
