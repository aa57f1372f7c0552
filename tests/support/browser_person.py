"""People in front of the page: browsers that enter a name, and clients of the protocol that talk to them."""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import websocket

from tests.support.browser import DESKTOP, Browser, Page

NONCES = itertools.count()
HOOKED = """
const Real = WebSocket;
window.WebSocket = function (url, protocol) {
  if (!window.isOffline) {
    window.socket = new Real(url, protocol);
    window.socket.addEventListener("message", ({ data }) => window.received.push(data));
    return window.socket;
  }
  const dead = { close() {}, send() {} };
  setTimeout(() => dead.onclose({ code: 1006, reason: "" }));
  return dead;
};
window.received = [];
window.inject = (frame) => window.socket.onmessage({ data: JSON.stringify(frame) });
window.disconnect = () => {
  window.isOffline = true;
  const { onclose } = window.socket;
  window.socket.close();
  onclose({ code: 1006, reason: "" });
};
window.reconnect = () => {
  window.isOffline = false;
  window.dispatchEvent(new Event("online"));
};
"""
"""Runs before the page. `inject` acts as the server; `disconnect` lasts until `reconnect`."""


@asynccontextmanager
async def person(
    browser: Browser,
    port: int,
    name: str,
    path: str = "/",
    size: tuple[int, int] = DESKTOP,
    before: str = "",
) -> AsyncIterator[Page]:
    """A browser whose user has entered a name. Nothing in it may come from another host.

    The script `before` runs before those of the page.
    """
    page = await browser.open(f"http://127.0.0.1:{port}{path}", size, before=before)
    if name:
        await page.until("document.querySelector('dialog[open] input:focus') !== null")
        await page.type(name)
        await page.press("Enter")
    await is_online(page)
    yield page
    own = (f"http://127.0.0.1:{port}/", f"ws://127.0.0.1:{port}/")
    assert [url for url in page.requests if not url.startswith((*own, "about:"))] == []
    await page.close()


async def is_online(page: Page) -> None:
    await page.until("document.body.dataset.state === 'online'")


async def say(page: Page, text: str) -> None:
    await page.run("document.getElementById('input').focus()")
    await page.type(text)
    await page.press("Enter")


async def sees(page: Page, *texts: str) -> None:
    """Wait until the log shows posts with these texts, in this order, last."""
    await page.until(
        "Array.from(document.querySelectorAll('.post:not(.pending) > .text'), text => text.textContent)",
        lambda shown: shown is not None and shown[-len(texts) :] == list(texts),
    )


async def choose(page: Page, selector: str, text: str) -> None:
    """Click the first of the matching elements whose text starts with `text`, as soon as there is one."""
    starts = f"e => e.textContent.startsWith({json.dumps(text)})"
    found = f"[...document.querySelectorAll({json.dumps(selector)})].find({starts})"
    await page.until(f"{found} !== undefined")
    await page.run(f"{found}.click()")


def equals(expected: object) -> Callable[[object], bool]:
    return lambda value: value == expected


async def sees_only(page: Page, selector: str, *texts: str) -> None:
    """Wait until the elements that match have these texts."""
    script = f"Array.from(document.querySelectorAll({json.dumps(selector)}), e => e.textContent)"
    await page.until(script, lambda shown: shown == list(texts))


def imported(module: str) -> str:
    """A script that imports a module of the page."""
    return f"import(document.querySelector('script').src.replace('app.js', '{module}'))"


def v1_client(url: str, name: str, *, token: str = "", presence: bool = False) -> websocket.WebSocket:
    """A connection of a program that takes part in the lobby under a name."""
    socket = websocket.create_connection(url, timeout=30, subprotocols=["broadcast-tui.v1"])
    hello = {"type": "hello", "name": name, "client_id": name, "presence": presence}
    socket.send(json.dumps({**hello, **({"token": token} if token else {})}))
    while json.loads(socket.recv())["type"] != "synced":
        pass
    return socket


def ask(socket: websocket.WebSocket, frame: dict[str, object]) -> None:
    """Send a request and wait for its answer."""
    socket.send(json.dumps({"ref": "r", "room": "lobby", **frame}))
    while json.loads(socket.recv()).get("ref") != "r":
        pass


def post(socket: websocket.WebSocket, text: str, **fields: object) -> str:
    """Post, and return the id of the post once it is acknowledged."""
    socket.send(json.dumps({"type": "message", "message": text, "nonce": f"n{next(NONCES)}", **fields}))
    while (answer := json.loads(socket.recv()))["type"] != "ack":
        assert answer["type"] != "error", answer
    identifier: str = answer["id"]
    return identifier
