"""Messages of the chat screen to the app, for what only the app can do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from textual.message import Message

from broadcast_tui.client.address import Address
from broadcast_tui.tui.model.notifications import NotifyLevel
from broadcast_tui.tui.model.servers import Server


@dataclass
class NameTaken(Message):
    """The client's name on the server at `url` is `name` now."""

    url: str
    name: str


@dataclass
class RoomsChanged(Message):
    """The client of the server at `url` is in `rooms`, in the order joined, and `shown` is displayed."""

    url: str
    rooms: tuple[str, ...]
    shown: str


@dataclass
class UnreadChanged(Message):
    """`count` posts are unread, `mentions` of them mention the user; the room `label` is displayed."""

    label: str
    count: int
    mentions: int


@dataclass
class LevelChanged(Message):
    """The user has changed the notification level of a room on the server at `url`."""

    url: str
    room: str
    level: NotifyLevel


@dataclass
class IgnoredChanged(Message):
    """The user has changed the ignore list of `server`."""

    server: Server


@dataclass
class TestNotificationRequested(Message):
    """The user requests a test notification; the result is passed to `report`."""

    report: Callable[[str], None]


@dataclass
class ConnectRequested(Message):
    """The user wants to connect to another server as well."""

    address: Address


@dataclass
class LeaveRequested(Message):
    """The user wants to disconnect from a server that is not the only one."""

    server: Server


@dataclass
class QuitRequested(Message):
    """The user wants to quit; `reason` is for the other people in the rooms."""

    reason: str
