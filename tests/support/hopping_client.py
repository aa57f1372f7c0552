"""A client of a cluster: it reconnects to any node and resends what is not acknowledged."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from random import Random

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from broadcast_tui.core.errors import ErrorCode
from tests.support.history_check import label_of
from tests.support.log_view import Frame, LogView, Shown, faults_of_log, position_of, shown_of
from tests.support.plain import V1, WireClient, silent_v1_client

RETRY_S = (0.05, 0.3)
PAGE = 200


class HoppingClient:
    """A v1 client without the library: an outbox by nonce, and a position in each room.

    Args:
        port: Port of a proxy that passes each connection to some node.
        epochs: Whether it understands `epoch` frames. Others get gaps.
    """

    def __init__(
        self, name: str, port: int, rooms: Sequence[str], rng: Random, *, epochs: bool = True
    ) -> None:
        self.name = name
        self.views = {room: LogView(name, room) for room in rooms}
        self.texts: dict[str, str] = {}
        """The text of each post that was sent, by its label; after an acknowledged edit, the new one."""
        self.uncertain: set[tuple[str, str]] = set()
        """Label and text of edits that were rejected after a try whose outcome is unknown.

        That one may have succeeded, on a node whose primary had the post. Once a later edit of the same post
        is acknowledged, it has to be replaced.
        """
        self.acknowledged: dict[str, str] = {}
        """Ids of acknowledged posts, by label."""
        self.counts: Counter[str] = Counter()
        self.rejected: list[str] = []
        self.slowest_ack_s = 0.0
        self.changed = asyncio.Condition()
        self._url = f"ws://127.0.0.1:{port}"
        self._epochs = epochs
        self._rng = rng
        self._outbox: dict[str, Frame] = {}
        """Posts and edits that are not acknowledged, by nonce."""
        self._sent_at: dict[str, float] = {}
        self._in_flight: set[str] = set()
        """Nonces that were sent on this connection and are not answered."""
        self._unknown: set[str] = set()
        """Nonces with a try that the server may have carried out without an answer that says so."""
        self._socket: ClientConnection | None = None
        self._behind: set[str] = set()
        self._task = asyncio.create_task(self._run())
        self._resends: set[asyncio.Task[None]] = set()

    # -- sending

    @property
    def is_settled(self) -> bool:
        """Whether everything is acknowledged, and the replays of this connection are complete."""
        if self._task.done():
            self._task.result()  # raises what has ended it
        return not self._outbox and self._socket is not None and not self._behind

    async def say(self, room: str, label: str, text: str) -> None:
        self.texts[label] = text
        await self._submit({"type": "message", "room": room, "message": text})

    async def edit(self, room: str, label: str, text: str) -> None:
        """Edit an own acknowledged post, unless an edit of it is not acknowledged yet."""
        if any(frame.get("label") == label for frame in self._outbox.values()):
            return
        frame = {"type": "note", "note": "edit", "room": room, "re": self.acknowledged[label]}
        await self._submit({**frame, "message": text, "label": label})

    async def _submit(self, frame: Frame) -> None:
        nonce = f"{self._rng.getrandbits(128):032x}"
        self._outbox[nonce] = {**frame, "nonce": nonce}
        self._sent_at[nonce] = asyncio.get_running_loop().time()
        if self._socket is not None and not self._behind:
            await self._send(nonce)

    async def _send(self, nonce: str) -> None:
        frame = {key: value for key, value in self._outbox[nonce].items() if key != "label"}
        with contextlib.suppress(WebSocketException, OSError):
            assert self._socket is not None
            self._in_flight.add(nonce)
            await self._socket.send(json.dumps(frame))

    async def _resend(self, nonce: str, after_s: float) -> None:
        await asyncio.sleep(after_s)
        if nonce in self._outbox and self._socket is not None and not self._behind:
            await self._send(nonce)

    # -- receiving

    async def _run(self) -> None:
        while True:
            try:
                async with connect(
                    self._url,
                    subprotocols=[V1],
                    compression=None,
                    ping_interval=None,
                    open_timeout=3,
                    close_timeout=1,
                    max_size=None,
                    proxy=None,
                ) as socket:
                    await self._talk(socket)
            except (WebSocketException, OSError, TimeoutError) as error:
                self.counts[type(error).__name__] += 1
            finally:
                self._socket = None
                self._lose_answers()
            await asyncio.sleep(self._rng.uniform(*RETRY_S))

    async def _talk(self, socket: ClientConnection) -> None:
        hello: Frame = {"type": "hello", "name": self.name, "client_id": f"id-of-{self.name}", "notes": True}
        if self._epochs:
            hello["epochs"] = True
        self._behind = set(self.views)
        rooms = [{"room": view.room} | self._since(view) for view in self.views.values()]
        await socket.send(json.dumps({**hello, "rooms": rooms}))
        self._socket = socket
        async for data in socket:
            await self._handle(json.loads(data))
            async with self.changed:
                self.changed.notify_all()

    def _lose_answers(self) -> None:
        self._unknown |= self._in_flight
        self._in_flight.clear()

    def _since(self, view: LogView) -> Frame:
        return {} if view.position is None else {"since": str(view.position)}

    async def _handle(self, frame: Frame) -> None:
        match frame["type"]:
            case "welcome":
                for state in frame["rooms"]:
                    self.views[state["room"]].enter(state)
            case "message" | "note" | "gap" | "epoch":
                self.views[frame["room"]].receive(frame)
            case "synced":
                self._behind.discard(frame["room"])
                if not self._behind:
                    for nonce in list(self._outbox):
                        await self._send(nonce)
            case "ack":
                self._settle(frame)
            case "error":
                self._retry(frame)

    def _settle(self, frame: Frame) -> None:
        self._forget_tries(frame["nonce"])
        sent = self._outbox.pop(frame["nonce"], None)
        if sent is None:
            return
        took_s = asyncio.get_running_loop().time() - self._sent_at.pop(frame["nonce"])
        self.slowest_ack_s = max(self.slowest_ack_s, took_s)
        self.counts["resends recognized"] += frame.get("dup", False)
        if "label" in sent:
            self.texts[sent["label"]] = sent["message"]
            self.uncertain = {edit for edit in self.uncertain if edit[0] != sent["label"]}
        else:
            self.acknowledged[label_of(sent["message"])] = frame["id"]

    def _forget_tries(self, nonce: str) -> bool:
        """Forget the tries of an answered nonce; returns whether one of them has an unknown outcome."""
        is_unknown = nonce in self._unknown
        self._unknown.discard(nonce)
        self._in_flight.discard(nonce)
        return is_unknown

    def _retry(self, frame: Frame) -> None:
        self.counts[f"error {frame['code']}"] += 1
        nonce = frame.get("nonce", "")
        if not frame.get("temporary"):
            is_unknown = self._forget_tries(nonce)
            sent = self._outbox.pop(nonce, None)
            if sent is None or "label" not in sent or frame["code"] != "no_such_post":
                self.rejected.append(f"{self.name} got {frame} for {sent}")
            elif is_unknown:
                self.uncertain.add((sent["label"], sent["message"]))
            return
        if nonce:
            self._in_flight.discard(nonce)
            if frame["code"] == ErrorCode.TRY_LATER:  # the store may have failed after it has stored it
                self._unknown.add(nonce)
            task = asyncio.create_task(self._resend(nonce, frame.get("retry_after") or 0.5))
            self._resends.add(task)
            task.add_done_callback(self._resends.discard)

    async def wait_settled(self) -> None:
        async with self.changed:
            await self.changed.wait_for(lambda: self.is_settled)

    def is_at(self, positions: dict[str, str]) -> bool:
        """Whether the client has everything up to these ids of each room, and nothing else."""
        return self.is_settled and all(
            str(view.position) == positions[room] for room, view in self.views.items()
        )

    async def wait_past(self, positions: dict[str, str]) -> None:
        """Wait until the client has everything up to these ids of each room, which are of the last epochs."""
        ends = {room: position_of(text) for room, text in positions.items()}

        def is_past(view: LogView) -> bool:
            at, end = view.position, ends[view.room]
            return at is not None and at.epoch == end.epoch and at.seq >= end.seq

        async with self.changed:
            await self.changed.wait_for(lambda: self.is_settled and all(map(is_past, self.views.values())))

    async def close(self) -> None:
        for task in (self._task, *self._resends):
            task.cancel()
        await asyncio.gather(self._task, *self._resends, return_exceptions=True)


@asynccontextmanager
async def hopping_client(
    name: str, port: int, rooms: Sequence[str], rng: Random, *, epochs: bool = True
) -> AsyncIterator[HoppingClient]:
    client = HoppingClient(name, port, rooms, rng, epochs=epochs)
    try:
        yield client
    finally:
        await client.close()


async def read_log(url: str, room: str) -> tuple[str, list[Shown]]:
    """The current epoch of a room and its stored log, as one node serves them."""
    async with silent_v1_client(url) as client:
        epoch = position_of((await _enter(client, room))["head"]).epoch
        items: list[Frame] = []
        bound: Frame = {"after": f"{epoch}-0"}
        number = 0
        while True:
            number += 1
            await client.send("history", room=room, limit=PAGE, ref=f"page-{number}", **bound)
            frames = await client.until(ref=f"page-{number}")
            if frames[-1]["type"] == "error":
                assert frames[-1].get("temporary"), frames[-1]
                await asyncio.sleep(frames[-1].get("retry_after") or 0.5)
                continue
            items += frames[-1]["items"]
            if not frames[-1]["more"]:
                return epoch, shown_of(items)
            bound = {"after": items[-1]["id"]}


async def _enter(client: WireClient, room: str) -> Frame:
    """Enter a room, which a node may not be able to open while it reconnects to Redis; returns its state."""
    while True:
        hello: Frame = {"client_id": "reader", "rooms": [{"room": room}], "notes": True, "presence": False}
        await client.send("hello", **hello)
        frame = await client.next_frame()
        if frame["type"] == "welcome":
            state: Frame = frame["rooms"][0]
            return state
        assert frame.get("temporary"), frame
        await asyncio.sleep(frame["retry_after"])


def faults_of_run(
    clients: Sequence[HoppingClient], logs: dict[str, tuple[str, list[Shown]]], *, may_lose: bool = False
) -> tuple[list[str], int]:
    """The faults of a run, and how many acknowledged posts the logs have lost.

    Args:
        logs: Epoch and log of each room at the end.
        may_lose: Whether the storage may lose acknowledged posts. They have to be announced all the same.
    """
    texts = {label: text for client in clients for label, text in client.texts.items()}
    uncertain = {edit for client in clients for edit in client.uncertain}
    found = [fault for client in clients for fault in client.rejected]
    stored: dict[str, str] = {}
    for room, (epoch, log) in logs.items():
        found += faults_of_log(room, log, set(texts))
        stored |= {entry.label: entry.text for entry in log if entry.text}
        for client in clients:
            found += client.views[room].faults_against(log, epoch)
    acknowledged = {label for client in clients for label in client.acknowledged}
    lost = acknowledged - stored.keys()
    if not may_lose:
        found += [f"{label!r} was acknowledged and is lost" for label in sorted(lost)]
        found += [
            f"{label!r} has the text {stored[label]!r}, and the last acknowledged one is {texts[label]!r}"
            for label in sorted(acknowledged - lost)
            if stored[label] != texts[label] and (label, stored[label]) not in uncertain
        ]
    return found, len(lost)
