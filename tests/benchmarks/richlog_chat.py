"""`python tests/benchmarks/richlog_chat.py URL`: a chat of Textual's own widgets, as most would write it."""

from __future__ import annotations

import sys

from textual.app import App, ComposeResult
from textual.widgets import Input, RichLog

from broadcast_tui.client import BroadcastClient
from broadcast_tui.core.session.updates import PostArrived


class Chat(App[None]):
    CSS = "RichLog { height: 1fr; }"

    def compose(self) -> ComposeResult:
        yield RichLog(wrap=True, max_lines=100_000)
        yield Input(placeholder="Message #lobby")

    def on_mount(self) -> None:
        self.query_one(Input).cursor_blink = False
        self.query_one(Input).focus()
        self.run_worker(self.follow())

    async def follow(self) -> None:
        log = self.query_one(RichLog)
        client = BroadcastClient(sys.argv[1], name="ana")
        client.start()
        async for batch in client.batches():
            for update in batch:
                if isinstance(update, PostArrived):
                    log.write(f"{update.post.at:%H:%M} {update.post.sender:>12} | {update.post.text}")


if __name__ == "__main__":
    Chat().run()
