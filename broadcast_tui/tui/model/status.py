"""The status line: items fitted to a width; the least important ones are dropped first.

Left: room, topic and members. Right: typing users, other rooms, connection, server and the user's name. What
another part of the screen shows is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

import msgspec
from rich.cells import cell_len, set_cell_size

from broadcast_tui.core.session.updates import ConnectionState, DisconnectCause
from broadcast_tui.core.text import visible_line
from broadcast_tui.tui.model.connection import OWN_CAUSES
from broadcast_tui.tui.model.room import RoomModel
from broadcast_tui.tui.model.servers import ServerSet, host_of, single_server
from broadcast_tui.tui.model.state import AppState
from broadcast_tui.tui.model.text.wrapping import clip
from broadcast_tui.tui.model.transcript.presence_summary import joined_names

GAP = "  "


ACTIVE_MAX = 3
"""Other rooms listed by name; those with mentions come first."""


TOPIC_CELLS = 60
"""Cells of the topic."""


REASON_CELLS = 40
"""Cells of the rejection reason; the log has the whole reason."""


ROOM_CELLS = 16
"""Cells of the room's name once everything else is as short as possible."""


ALWAYS_SHORTENED = 65
"""An item of this weight or more is dropped only after all items have been shortened."""


class Role(Enum):
    """Kind of an item, for its color."""

    GOOD = "good"
    WAIT = "wait"
    BAD = "bad"
    PLAIN = "plain"
    QUIET = "quiet"
    NEW = "new"
    NAME = "name"


class StatusItem(msgspec.Struct, frozen=True):
    """A sanitized one-line text. On each side, the item with the lowest `weight` is dropped first."""

    text: str
    role: Role
    weight: int
    short: str = ""
    """Shorter form for narrow screens; empty: the item is dropped instead."""


class ShownElsewhere(msgspec.Struct, frozen=True):
    """Parts of the screen that show what the status line then leaves out."""

    topic: bool = False
    """The row above the log, with the topic."""
    rooms: bool = False
    """The list of rooms, with their unread posts and the states of all servers."""
    people: bool = False
    """Another place has the number of people."""


NOTHING_SHOWN = ShownElsewhere()


def status_items(
    state: AppState,
    server: str,
    now: float,
    servers: ServerSet | None = None,
    elsewhere: ShownElsewhere = NOTHING_SHOWN,
) -> tuple[list[StatusItem], list[StatusItem]]:
    """All items of the left and the right side; server texts are sanitized here.

    With several `servers`, the items include the unread posts and the lost connections of the others.
    """
    room = state.rooms.shown
    left = [StatusItem(room.label, Role.NAME, 95, short=clip(room.label, ROOM_CELLS))]
    if room.topic and not elsewhere.topic:
        left.append(StatusItem(clip(room.topic, TOPIC_CELLS), Role.QUIET, 20))
    is_inside = room.entered and state.connection.state is ConnectionState.ONLINE
    if is_inside and not elsewhere.people and (presence := _presence(room)):
        left.append(StatusItem(presence, Role.PLAIN, 60))
    is_single = servers is None or servers.is_single
    if servers is not None and not is_single:
        left.insert(1, StatusItem(servers.name(servers.shown), Role.PLAIN, 69))
    right = []
    online = state.connection.state is ConnectionState.ONLINE
    if typing := room.typing(now) if online else []:
        verb = "is" if len(typing) == 1 else "are"
        who = joined_names(typing)
        right.append(StatusItem(f"{who} {verb} typing…", Role.QUIET, 40, short=f"{who}…"))
    if state.draft_excess:
        right.append(StatusItem(f"⚠ {state.draft_excess}", Role.BAD, 90))
    if queued := state.queued:
        right.append(StatusItem(f"⏳ {queued:,} queued", Role.WAIT, 50, short=f"⏳{queued:,}"))
    if hidden := room.transcript.hidden_count:
        right.append(StatusItem(f"{hidden:,} hidden", Role.QUIET, 35))
    if servers is not None and not elsewhere.rooms and (others := _lost_servers(servers)):
        right.append(others)
    activity, short = ("", "") if elsewhere.rooms else rooms_activity(state, servers)
    if activity:
        right.append(StatusItem(activity, Role.NEW, 75, short=short))
    if state.own_away is not None:
        right.append(StatusItem("away", Role.WAIT, 65))
    right.append(_connection_item(state, now))
    if is_single:
        address = StatusItem(visible_line(server), Role.QUIET, 10, short=visible_line(host_of(server)))
        right.append(address)
    right.append(StatusItem(state.name, Role.NAME, 30))
    return left, right


def rooms_activity(state: AppState, servers: ServerSet | None = None) -> tuple[str, str]:
    """Unread posts in other rooms, in a long and a short form; both empty if there are none.

    `2:dev @1  3:ops 5`: a post in room 2 mentions the user, room 3 has five unread posts. Short form: `2@`
    and, without mentions, `3+`.
    """
    servers = servers or single_server("", state)
    busy = []
    for number, place in enumerate(servers.places, 1):
        room = place.model
        if room is not state.rooms.shown and room.unread and (room.mention_count or not room.muted):
            is_mention = room.mention_count and not room.is_direct
            count = f"@{room.mention_count:,}" if is_mention else f"{room.unread:,}"
            text = f"{number}:{servers.qualified(place)} {count}"
            busy.append((not room.mention_count, text, f"{number}{'@' if room.mention_count else '+'}"))
    busy.sort(key=lambda room: room[0])
    more = f"{GAP}…" if len(busy) > ACTIVE_MAX else ""
    named = busy[:ACTIVE_MAX]
    return GAP.join(text for _, text, _ in named) + more, " ".join(short for *_, short in named)


def _lost_servers(servers: ServerSet) -> StatusItem | None:
    """The other servers without a connection; None if all have one."""
    lost = [server for server in servers.all if server is not servers.shown and not server.state.is_online]
    if not lost:
        return None
    is_rejected = any(server.state.connection.state is ConnectionState.REFUSED for server in lost)
    named = " ".join(f"{connection_mark(server.state)[0]} {servers.name(server)}" for server in lost)
    short = " ".join(connection_mark(server.state)[0] for server in lost)
    return StatusItem(named, Role.BAD if is_rejected else Role.WAIT, 80, short=short)


def server_lines(servers: ServerSet) -> list[str]:
    """Output of /servers: for each server its name, the state of its connection, and its numbered rooms."""
    numbers = {place: number for number, place in enumerate(servers.places, 1)}
    lines = []
    for server in servers.all:
        is_waiting = server.state.connection.state is ConnectionState.WAITING
        status = "◌ reconnecting" if is_waiting else _connection_item(server.state, 0.0).text
        lines.append(f"{servers.name(server)} {status}")
        for place, number in numbers.items():
            if place.server is server:
                mark = "*" if place == servers.shown_place else " "
                unread = f"  {place.model.unread:,} unread" if place.model.unread else ""
                lines.append(f"{mark} {number} {place.model.label}{unread}")
    return lines


def connection_mark(state: AppState) -> tuple[str, Role]:
    """The state of a connection as one character, and its color."""
    match state.connection.state:
        case ConnectionState.ONLINE:
            return "●", Role.GOOD
        case ConnectionState.CONNECTING:
            return "◐", Role.WAIT
        case ConnectionState.WAITING:
            return "◌", Role.WAIT
        case ConnectionState.REFUSED:
            return "✕", Role.BAD
        case _:
            return "○", Role.WAIT


def _presence(room: RoomModel) -> str:
    """Who is in the shown room; empty if only the user is in a room for direct messages."""
    if not room.is_direct:
        return f"{room.online:,} here"
    # The other person may be connected and not in the room: it opens with the first message.
    return f"{room.other} is here" if room.other and room.online > 1 else ""


def _connection_item(state: AppState, now: float) -> StatusItem:
    connection = state.connection
    match connection.state:
        case ConnectionState.ONLINE:
            return StatusItem("● online", Role.GOOD, 100, short="●")
        case ConnectionState.CONNECTING:
            return StatusItem("◐ connecting…", Role.WAIT, 100, short="◐")
        case ConnectionState.WAITING:
            left = connection.retry_in(now)
            when = "now" if not left else f"in {left} s"
            return StatusItem(f"◌ reconnecting {when}", Role.WAIT, 100, short=f"◌ {when}")
        case ConnectionState.REFUSED:
            why = f": {clip(connection.reason, REASON_CELLS)}" if connection.reason else ""
            what = "not connected" if connection.cause in OWN_CAUSES else "rejected"
            if connection.cause is DisconnectCause.KICKED:
                what = "kicked"
            return StatusItem(f"✕ {what}{why}", Role.BAD, 100, short=f"✕ {what}")
        case _:
            return StatusItem("○ offline", Role.WAIT, 100, short="○")


def fit(
    left: Sequence[StatusItem], right: Sequence[StatusItem], width: int
) -> tuple[list[tuple[str, Role]], list[tuple[str, Role]], int]:
    """Fit both sides into `width` cells.

    Items are shortened, then dropped, by weight; the important ones are dropped only after all have been
    shortened. The last one is cut. At the end, what fits after all is restored.

    Returns:
        The texts of both sides, and the number of cells between them.
    """
    shown = {id(item): item.text for item in [*left, *right]}

    def used() -> int:
        sides = [[shown[id(p)] for p in side if shown[id(p)]] for side in (left, right)]
        cells = [sum(map(cell_len, texts)) + len(GAP) * max(0, len(texts) - 1) for texts in sides]
        return sum(cells) + (len(GAP) if all(cells) else 0)

    by_weight = sorted([*left, *right], key=lambda item: item.weight)
    for item in by_weight:
        if used() > width and item.short:
            shown[id(item)] = item.short
        if used() > width and item.weight < ALWAYS_SHORTENED:
            shown[id(item)] = ""
    for item in by_weight:
        if used() > width and item.weight < 100:
            shown[id(item)] = ""
    for item in reversed(by_weight):
        for text in (item.text, item.short):
            before = shown[id(item)]
            if before in ("", item.short):
                shown[id(item)] = text
                if used() > width:
                    shown[id(item)] = before
    texts = [[(shown[id(p)], p.role) for p in side if shown[id(p)]] for side in (left, right)]
    if used() > width:
        last = by_weight[-1]
        texts = [[(set_cell_size(shown[id(last)], max(0, width)).rstrip(), last.role)], []]
    cells = sum(cell_len(text) for side in texts for text, _ in side)
    gaps = sum(len(GAP) * max(0, len(side) - 1) for side in texts)
    return texts[0], texts[1], max(0, width - cells - gaps)


def unsent_text(count: int) -> str:
    """`1 post has not been sent`."""
    return f"{count:,} {'post has' if count == 1 else 'posts have'} not been sent"


def undelivered_text(count: int) -> str:
    """`1 post was not sent`."""
    return f"{count:,} {'post was' if count == 1 else 'posts were'} not sent"
