"""`broadcast-tui tail`: print the posts of a room as text or JSON lines."""

from __future__ import annotations

import asyncio
import sys

from broadcast_tui import cli
from broadcast_tui.cli.connect_options import ConnectOptions
from broadcast_tui.cli.credentials import add_advice
from broadcast_tui.cli.errors import ExitCode
from broadcast_tui.cli.pipes import configure_stdout, connect, print_error, server_address
from broadcast_tui.cli.stdio import discard_stdout, is_stdout_closed, print_message
from broadcast_tui.client import BroadcastClient, ConnectError
from broadcast_tui.core.export.json_lines import json_line
from broadcast_tui.core.notes import Note
from broadcast_tui.core.post import Post
from broadcast_tui.core.post_state import NoteKind
from broadcast_tui.core.protocol.entries import message_of, note_event_of
from broadcast_tui.core.session.updates import (
    CaughtUp,
    ConnectionChanged,
    ConnectionState,
    GapFound,
    NoteArrived,
    Noticed,
    PostArrived,
    Update,
    Withdrawn,
)
from broadcast_tui.core.text import visible, visible_line


def tail(
    url: str = "",
    /,
    *,
    room: str | None = None,
    last: cli.option_types.Last = 10,
    json: bool = False,
    follow: cli.option_types.Follow = False,
    connection: cli.option_types.Connection = ConnectOptions(),  # noqa: B008
    timeout: cli.option_types.Duration = 10.0,
) -> int:
    """Print the posts of a room.

    Parameters
    ----------
    url
        Server and room, such as ws://host:8765/lobby, or an invite; - prompts [default: localhost:8765].
    room
        Room to read [default: that of the URL, or lobby].
    last
        Number of latest posts to print first.
    json
        Print each post, and each change of a post, as one line of JSON.
    follow
        Keep printing new posts, also after reconnects, until Ctrl+C.
    timeout
        Time to keep trying to connect at the start: seconds, or such as 2m.
    """
    address = server_address(url, room)
    configure_stdout(as_json=json)
    security = connection.security(address)
    client = BroadcastClient(address.url, rooms=[address.room], last=last, presence=False, security=security)
    return asyncio.run(_tail(client, as_json=json, follow=follow, timeout_s=timeout))


async def _tail(client: BroadcastClient, *, as_json: bool, follow: bool, timeout_s: float) -> int:
    try:
        await connect(client, timeout_s)
    except ConnectError as error:
        return print_error(str(error), ExitCode.UNREACHABLE)
    closer = asyncio.create_task(_close_with_stdout(client))
    status = int(ExitCode.OK)
    try:
        async for batch in client.batches():
            status = _print(batch, as_json=as_json)
            if status or (not follow and any(isinstance(update, CaughtUp) for update in batch)):
                break
    except BrokenPipeError:
        discard_stdout()
    finally:
        closer.cancel()
        await client.close()
    return status


def _print(batch: list[Update], *, as_json: bool) -> int:
    """Print a batch in one write; returns the exit status, 0 to continue."""
    lines = []
    for update in batch:
        match update:
            case PostArrived(post=post):
                lines.append(json_line(message_of(post)) if as_json else _text_line(post))
            case NoteArrived(note=note):
                lines += [json_line(note_event_of(note))] if as_json else _note_lines(note)
            case GapFound(reason=reason, count=count):
                number = "Some" if count is None else str(count)
                print_message(f"{number} post(s) missing here ({reason}).")
            case Withdrawn(count=count) if count:
                print_message(f"The server has lost the last {count} post(s).")
            case Noticed(text=text, error=True):
                print_message(visible_line(text))
            case ConnectionChanged(state=ConnectionState.REFUSED, reason=reason, cause=cause):
                return print_error(add_advice(reason, cause), ExitCode.UNREACHABLE)
    if lines:
        sys.stdout.write("\n".join(lines) + "\n")
        sys.stdout.flush()
    return ExitCode.OK


def _text_line(post: Post) -> str:
    """`HH:MM name: text` in local time. Further lines are indented, so that they cannot imitate a post."""
    return f"{post.at.astimezone():%H:%M} {visible_line(post.sender)}: {_text_of(post)}"


def _note_lines(note: Note) -> list[str]:
    """`HH:MM * name edited a message: text`, or the same about a deletion; other notes have no line."""
    if note.post is None or note.kind not in (NoteKind.EDIT, NoteKind.DELETE):
        return []
    by = visible_line(note.by)
    if note.post.state.deleted is None:
        what = f"{by} edited a message: {_text_of(note.post)}"
    elif note.kind is NoteKind.DELETE:
        reason = visible_line(note.post.state.deleted.reason)
        what = f"{by} deleted a message" + (f": {reason}" if reason else "")
    else:
        return []  # an edit of a message that was deleted later
    return [f"{note.at.astimezone():%H:%M} * {what}"]


def _text_of(post: Post) -> str:
    """The text of a post or, if it was deleted, a description of that."""
    if (deletion := post.state.deleted) is None:
        return visible(post.text).replace("\n", "\n    ")
    reason = f": {visible_line(deletion.reason)}" if deletion.reason else ""
    return f"(deleted by {visible_line(deletion.by)}{reason})"


async def _close_with_stdout(client: BroadcastClient) -> None:
    """Close the client once the reader of standard output is gone, even if nothing is posted."""
    while not is_stdout_closed():
        await asyncio.sleep(1.0)
    discard_stdout()
    await client.close()
