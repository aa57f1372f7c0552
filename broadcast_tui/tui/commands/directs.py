"""Commands for direct messages, and what follows when their rooms are opened."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from broadcast_tui.client.requests import ClientRequests
from broadcast_tui.core.names import name_key
from broadcast_tui.core.text import visible_line
from broadcast_tui.tui.commands.context import CommandContext, CommandHandler
from broadcast_tui.tui.model.directs import DirectOpening, DirectRequest
from broadcast_tui.tui.model.state import AppState
from broadcast_tui.tui.model.text.emoji import with_emoji

OFFLINE = "You are offline. Try again when you are connected."


class DirectCommands(CommandHandler):
    """Handlers of commands for direct messages."""

    def msg(self, argument: str) -> bool:
        """Send a direct message without leaving the current room."""
        name, text = split_name(argument, self._state)
        if not text:
            return self.fail(f"Specify a message: /msg {name} hello, or open the conversation: /query {name}")
        return self._open(DirectRequest(name, (with_emoji(text),)))

    def query(self, argument: str) -> bool:
        """Show the direct messages with a person."""
        return self._open(DirectRequest(argument.strip().removeprefix("@").rstrip(":,").strip(), show=True))

    def answer(self, text: str) -> bool:
        """Send a direct message to the person who sent the last one."""
        room = self._state.rooms.find(self._state.directs.last_room)
        if room is None:
            return self.fail("Nobody has written to you yet. Use /msg bob hello.")
        return self._follow(room.name, DirectRequest(room.other, (with_emoji(text),)))

    def _open(self, request: DirectRequest) -> bool:
        state = self._state
        if state.is_online:
            # Even if there is a room: on a server without tokens, the name may belong to another client now.
            state.directs.expect(self._client.direct(request.name), request)
            return True
        room = state.rooms.direct_with(request.name)
        if room is None or room.name not in state.rooms.joined:
            return self.fail(OFFLINE)
        return self._follow(room.name, request)

    def _follow(self, room: str, request: DirectRequest) -> bool:
        is_joined = room in self._state.rooms.joined
        self._state.rooms.enter(room)
        opening = DirectOpening(room, is_joined, request)
        follow_openings(self._client, self._state, self._context, [opening])
        return True


def follow_openings(
    client: ClientRequests, state: AppState, context: CommandContext, openings: Iterable[DirectOpening]
) -> None:
    """Join rooms for direct messages that were opened, and send or show what was requested."""
    for opening in openings:
        room, request = state.rooms.get(opening.room), opening.request
        if not opening.is_joined:
            client.join(opening.room)
        for text in request.texts:
            state.add_own_post(client.say(opening.room, text), text, datetime.now(UTC), room=room)
        if request.texts:
            if room is not state.rooms.shown and not request.show:
                state.print(f"Sent to {room.label} only.", datetime.now(UTC))
                context.follow_log()
            context.refresh_views()
        if request.show:
            context.show_room(opening.room)


def split_name(argument: str, state: AppState) -> tuple[str, str]:
    """Split a name and a message. The longest known name counts, since names may contain spaces."""
    argument = argument.strip().removeprefix("@")
    known = {name_key(name) for room in state.rooms.all() for name in room.known_names()}
    words = argument.split(" ")
    for count in range(len(words), 1, -1):
        name = " ".join(words[:count]).rstrip(":,")
        if name_key(name) in known:
            return name, " ".join(words[count:]).strip()
    name, _, text = argument.partition(" ")
    return visible_line(name.rstrip(":,")), text.strip()
