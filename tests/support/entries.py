"""The posts among entries of a log, and the new entries of an engine."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable

from broadcast_tui.core.notes import Entry, LogEvent
from broadcast_tui.core.post import AppendResult, Fork, Post
from broadcast_tui.engine.base import Engine


def posts_of(entries: Iterable[Entry]) -> list[Post]:
    """The posts, in their order."""
    return [entry for entry in entries if isinstance(entry, Post)]


def texts_of(entries: Iterable[Entry]) -> list[str]:
    """The texts of the posts, in their order."""
    return [post.text for post in posts_of(entries)]


def comparable(result: AppendResult) -> tuple[object, ...]:
    """A result with the code and text of its error: errors themselves are compared by identity."""
    error = result.error
    return result.position, result.at_text, result.dup, result.post, error and (error.code, error.text)


async def event_tail(engine: Engine) -> AsyncIterator[list[LogEvent]]:
    """The new entries of an engine in non-empty batches; ends after it has been closed."""
    while await engine.new_entries.wait():
        yield engine.new_entries.take()


async def entry_tail(engine: Engine) -> AsyncIterator[list[Entry]]:
    """The new entries of an engine without forks."""
    async for events in event_tail(engine):
        if entries := [event for event in events if not isinstance(event, Fork)]:
            yield entries
