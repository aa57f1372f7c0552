"""Messages of the chat screen to the app, for what only the app can do."""

from __future__ import annotations

from collections.abc import Callable

from textual.message import Message

from broadcast_tui.client.address import Address
from broadcast_tui.tui.model.notifications import NotifyLevel
from broadcast_tui.tui.model.servers import Server


class NameTaken(Message):
    """The client's name on the server at `url` is `name` now."""

    def __init__(self, url: str, name: str) -> None:
        super().__init__()
        self.url = url
        self.name = name


class RoomsChanged(Message):
    """The client of the server at `url` is in `rooms`, in the order joined, and `shown` is displayed."""

    def __init__(self, url: str, rooms: tuple[str, ...], shown: str) -> None:
        super().__init__()
        self.url = url
        self.rooms = rooms
        self.shown = shown


class UnreadChanged(Message):
    """`count` posts are unread, `mentions` of them mention the user; the room `label` is displayed."""

    def __init__(self, label: str, count: int, mentions: int) -> None:
        super().__init__()
        self.label = label
        self.count = count
        self.mentions = mentions


class LevelChanged(Message):
    """The user has changed the notification level of a room on the server at `url`."""

    def __init__(self, url: str, room: str, level: NotifyLevel) -> None:
        super().__init__()
        self.url = url
        self.room = room
        self.level = level


class IgnoredChanged(Message):
    """The user has changed the ignore list of `server`."""

    def __init__(self, server: Server) -> None:
        super().__init__()
        self.server = server


class TestNotificationRequested(Message):
    """The user requests a test notification; the result is passed to `report`."""

    def __init__(self, report: Callable[[str], None]) -> None:
        super().__init__()
        self.report = report


class ConnectRequested(Message):
    """The user wants to connect to another server as well."""

    def __init__(self, address: Address) -> None:
        super().__init__()
        self.address = address


class LeaveRequested(Message):
    """The user wants to disconnect from a server that is not the only one."""

    def __init__(self, server: Server) -> None:
        super().__init__()
        self.server = server


class QuitRequested(Message):
    """The user wants to quit; `reason` is for the other people in the rooms."""

    def __init__(self, reason: str) -> None:
        super().__init__()
        self.reason = reason
