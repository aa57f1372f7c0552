"""A `ChatApp` over a `FakeClient`, for Pilot tests: `async with chatting() as chat`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from textual import events
from textual.geometry import Region
from textual.pilot import Pilot

from broadcast_tui.client.address import Address
from broadcast_tui.client.storage.preferences import Preferences
from broadcast_tui.core.session.updates import RoomEntered, Update
from broadcast_tui.tui.app import ChatApp
from broadcast_tui.tui.local_server import LocalServer
from broadcast_tui.tui.model.settings import Fixed
from broadcast_tui.tui.screens.chat import ChatScreen
from broadcast_tui.tui.widgets.composer import Composer
from broadcast_tui.tui.widgets.message_log import MessageLog
from tests.support.fake_client import FakeClient, member_list


@dataclass
class Chat:
    """A running app, its pilot and its client."""

    app: ChatApp
    pilot: Pilot[None]
    client: FakeClient
    elsewhere: list[FakeClient]
    """The clients of servers that /connect went to."""

    @property
    def screen(self) -> ChatScreen:
        assert isinstance(self.app.screen, ChatScreen)
        return self.app.screen

    @property
    def composer(self) -> Composer:
        return self.app.screen.query_one(Composer)

    async def deliver(self, *updates: Update) -> None:
        """Deliver a batch and wait until it is drawn."""
        await self.client.deliver(*updates)
        await self.pilot.pause()
        await self.settled()

    async def type(self, *keys: str) -> None:
        """Press `keys`, named as Pilot names them."""
        await press(self.pilot, *keys)
        await self.settled()

    async def settled(self) -> None:
        """Wait until the log shows everything."""
        for log in self.app.screen.query(MessageLog):
            while draw_soon(log):
                await self.pilot.pause()

    async def enter(self, text: str) -> None:
        """Put `text` into the input and press Enter."""
        self.composer.give_back(text)
        await self.type("enter")

    @property
    def sent(self) -> list[str]:
        """The texts that were sent."""
        return [text for _, text in self.client.called("say")]

    @property
    def toasts(self) -> str:
        """The texts of all notices, shown as toasts."""
        return "; ".join(notification.message for notification in self.app._notifications)

    def drawn(self, selector: str = "") -> list[str]:
        """The rows on the screen, or those of one widget, as text."""
        screen = self.app.screen
        region = screen.query_one(selector).region if selector else Region(0, 0, *screen.size)
        strips = screen._compositor.render_strips()
        rows = [strip.crop(region.x, region.right).text.rstrip() for strip in strips]
        return rows[region.y : region.bottom]


def draw_soon(log: MessageLog) -> bool:
    """Let a log that waits for its next frame draw it at once; returns whether it waits for one."""
    if log._sync_timer is None:
        return False
    log._sync_timer.cancel()
    log._sync_timer = asyncio.get_running_loop().call_soon(log.call_next, log.sync)  # type: ignore[assignment]
    return True


async def enter_rooms(chat: Chat, *rooms: str) -> None:
    """Join rooms and let the server confirm it; the last one is shown."""
    for room in rooms:
        await chat.enter(f"/join {room}")
        await chat.deliver(RoomEntered(room, 1, 0), member_list(room, "", 1, ("ana",), False))


async def press(pilot: Pilot[None], *keys: str) -> None:
    """Press `keys` as `pilot.press` does, but wait for the app only after keys other than letters."""
    for key in keys:
        if len(key) == 1:
            pilot.app.post_message(events.Key(key, key))
        else:
            pilot.app.post_message(events.Key(key, "\r" if key == "enter" else None))
            await pilot.pause()
    await pilot.pause()


@asynccontextmanager
async def chatting(
    *people: str,
    size: tuple[int, int] = (80, 24),
    name: str = "ana",
    suggested_name: str = "",
    ask_name: bool = False,
    home: Path | None = None,
    theme: str = "",
    keys: Mapping[str, str] | None = None,
    local_server: LocalServer | None = None,
    rooms: tuple[str, ...] = ("lobby",),
    mentions: tuple[str, ...] = (),
    kiosk: bool = False,
    fixed: Mapping[str, Fixed] | None = None,
    others: Sequence[Address] = (),
    shown_server: str = "",
) -> AsyncIterator[Chat]:
    """A chat of `people` (ana among them), or one that is not connected yet when there are none."""
    client = FakeClient(name)
    client.rooms = rooms
    with TemporaryDirectory() as directory:
        preferences = Preferences.load(home or Path(directory))

        def make(chosen: str) -> FakeClient:
            client.name = chosen
            return client

        def go(address: Address, chosen: str) -> FakeClient:
            elsewhere.append(FakeClient(chosen, address.url, address.room))
            return elsewhere[-1]

        elsewhere: list[FakeClient] = []
        app = ChatApp(
            make,
            name=name,
            suggested_name=suggested_name,
            ask_name=ask_name,
            server=client.url,
            elsewhere=go,
            preferences=preferences,
            theme=theme,
            keys=keys,
            local_server=local_server,
            mentions=mentions,
            kiosk=kiosk,
            fixed=fixed,
            others=others,
            shown_server=shown_server,
        )
        async with app.run_test(size=size, notifications=True) as pilot:
            chat = Chat(app, pilot, client, elsewhere)
            await pilot.pause()
            if people:
                await chat.deliver(*client.online(*people))
            yield chat
