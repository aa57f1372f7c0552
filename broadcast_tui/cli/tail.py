"""`broadcast-tui tail`: a room's posts on standard output, as text or JSON lines."""

from __future__ import annotations

import asyncio
import sys
from json import dumps
from typing import Annotated

import msgspec
from cyclopts import Parameter
from cyclopts.validators import Number

from broadcast_tui.cli.credentials import security_for
from broadcast_tui.cli.errors import ExitCode
from broadcast_tui.cli.pipes import complain, reach, server_address, with_token_hint, write_all_characters
from broadcast_tui.cli.stdio import stdout_gone
from broadcast_tui.client import BroadcastClient, ConnectError
from broadcast_tui.core.post import Post
from broadcast_tui.core.protocol.codec import message_of
from broadcast_tui.core.session.updates import (
    CaughtUp,
    ConnectionChanged,
    ConnectionState,
    GapFound,
    Noticed,
    PostArrived,
    Update,
)
from broadcast_tui.core.text import visible, visible_line


def tail(
    url: str = "",
    /,
    *,
    room: str | None = None,
    last: Annotated[int, Parameter(alias="-n", validator=Number(gte=0))] = 10,
    json: Annotated[bool, Parameter(negative=())] = False,
    follow: Annotated[bool, Parameter(alias="-f", negative=())] = False,
    token_file: str = "",
    ca: str = "",
    insecure_token: Annotated[bool, Parameter(negative=())] = False,
    timeout: Annotated[float, Parameter(validator=Number(gt=0))] = 10.0,
) -> int:
    """Print the posts of a room.

    Parameters
    ----------
    url
        Server and room, such as ws://host:8765/lobby, or an invite; - asks for it [default: localhost:8765].
    room
        Room to read [default: that of the URL, else lobby].
    last
        How many of the newest posts to begin with.
    json
        Print each post as a line of JSON instead of text.
    follow
        Go on with what is posted from now on, over lost connections too, until Ctrl+C.
    token_file
        File with the token to show, readable by you alone [default: BROADCAST_TUI_TOKEN, or what is kept].
    ca
        File with the authorities whose certificates to trust [default: those of the system].
    insecure_token
        Send the token over unencrypted connections to other machines too.
    timeout
        Seconds to go on trying to reach the server at the start.
    """
    address = server_address(url, room)
    write_all_characters(as_json=json)
    security = security_for(address, token_file, ca, insecure_token)
    client = BroadcastClient(address.url, rooms=[address.room], last=last, security=security)
    return asyncio.run(_tail(client, as_json=json, follow=follow, timeout_s=timeout))


async def _tail(client: BroadcastClient, *, as_json: bool, follow: bool, timeout_s: float) -> int:
    try:
        await reach(client, timeout_s)
    except ConnectError as error:
        return complain(str(error), ExitCode.UNREACHABLE)
    watch = asyncio.create_task(_close_when_unread(client))
    status = int(ExitCode.OK)
    try:
        async for batch in client.batches():
            status = _print(batch, as_json=as_json)
            if status or (not follow and any(isinstance(update, CaughtUp) for update in batch)):
                break
    except BrokenPipeError:
        stdout_gone()
    finally:
        watch.cancel()
        await client.close()
    return status


def _print(batch: list[Update], *, as_json: bool) -> int:
    """Print a batch at once; the exit status to end with, 0 to go on."""
    lines = []
    for update in batch:
        match update:
            case PostArrived(post=post):
                lines.append(_json_line(post) if as_json else _text_line(post))
            case GapFound(reason=reason, count=count):
                number = "Some" if count is None else str(count)
                print(f"broadcast-tui: {number} post(s) are missing here ({reason}).", file=sys.stderr)
            case Noticed(text=text, error=True):
                print(f"broadcast-tui: {visible_line(text)}", file=sys.stderr)
            case ConnectionChanged(state=ConnectionState.REFUSED, reason=reason, unauthorized=wanted):
                return complain(with_token_hint(reason) if wanted else reason, ExitCode.UNREACHABLE)
    if lines:
        sys.stdout.write("\n".join(lines) + "\n")
        sys.stdout.flush()
    return ExitCode.OK


def _json_line(post: Post) -> str:
    """The `message` event; what a terminal would not print is escaped, whatever the server sent."""
    line = msgspec.json.encode(message_of(post)).decode()
    if line.isprintable():
        return line
    return "".join(char if char.isprintable() else dumps(char)[1:-1] for char in line)


def _text_line(post: Post) -> str:
    """`HH:MM name: text` in local time; further lines are indented, so that none can pose as a post."""
    text = visible(post.text).replace("\n", "\n    ")
    return f"{post.at.astimezone():%H:%M} {visible_line(post.sender)}: {text}"


async def _close_when_unread(client: BroadcastClient) -> None:
    """End when nobody reads standard output any more, even if nothing is posted."""
    while not stdout_gone(only_look=True):
        await asyncio.sleep(1.0)
    await client.close()
