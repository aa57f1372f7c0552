"""`python -m tests.support.chat_program HOME [NAME]`: the chat as a process without a network.

Every post comes back; one that says `crash` is an update that no client makes, one that says `hang` blocks
the event loop.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import NoReturn

from broadcast_tui.client.storage.preferences import Preferences
from broadcast_tui.core.protocol import commands, events
from broadcast_tui.tui.app import ChatApp
from tests.support.fake_client import FakeClient


class EchoClient(FakeClient):
    """A client whose server has no other users."""

    def start(self) -> None:
        self.feed(*self.online(self.name))

    def say(self, room: str, text: str, *, re: str = "", ask: commands.Question | None = None) -> str:
        nonce = super().say(room, text, re=re, ask=ask)
        if text == "crash":
            self.feed(events.Typing("lobby", name=7))  # type: ignore[arg-type]
        elif text == "hang":
            asyncio.get_running_loop().call_later(0.2, hang)
        else:
            self.feed(*self.echo(nonce, text))
        return nonce


def hang() -> NoReturn:
    print("hanging", file=sys.__stderr__, flush=True)
    while True:
        pass


def main() -> None:
    home, name = Path(sys.argv[1]), "".join(sys.argv[2:3])
    app = ChatApp(EchoClient, name=name, server="ws://localhost:8765", preferences=Preferences.load(home))
    app.run()
    sys.exit(app.return_code)


if __name__ == "__main__":
    main()
