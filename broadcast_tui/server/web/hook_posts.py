"""What hooks post: their rates, and the posts that are edited.

A post about a group of alerts is edited when later payloads are about the same group. Its text contains the
word of the group, so that a search finds it after a restart and on another node. The posts of groups are also
remembered in memory, for senders whose posts do not contain the word, and for storage that cannot search.
"""

from __future__ import annotations

import asyncio
import hashlib

from broadcast_tui.core.errors import ErrorCode, RequestError, rate_limited
from broadcast_tui.core.post_state import NoteKind
from broadcast_tui.core.protocol import commands, events
from broadcast_tui.core.rate_limit import LruMap, TokenBucket
from broadcast_tui.core.webhooks.alertmanager import is_resolved_post
from broadcast_tui.core.webhooks.payload import HookPost
from broadcast_tui.server.hook_store import HookEntry
from broadcast_tui.server.web.visitor import Visitor

RATE_PER_S = 1.0
"""Requests per second and hook, whatever they contain."""
BURST = 60
"""The same at once."""
HOOKS_MAX = 10_000
"""Maximum number of hooks whose rates are stored."""
GROUPS_MAX = 10_000
"""Maximum number of groups whose posts are remembered."""
SEARCH_POSTS = 20
"""Posts among which that of a hook is found: others may have quoted it."""


class _Group:
    """The post about a group of alerts."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        """Held while a payload is posted, so that payloads at the same time result in one post."""
        self.post_id = ""
        self.is_over = False
        """Whether the alerts are resolved, so that others make a new post."""


class HookPosts:
    """The rates of hooks, and the posts that may have to be edited.

    Args:
        is_shared: Whether other nodes may have posted about a group.
    """

    def __init__(self, *, is_shared: bool) -> None:
        self._is_shared = is_shared
        self._rates = LruMap(lambda _: TokenBucket(RATE_PER_S, BURST), HOOKS_MAX)
        self._groups = LruMap(lambda _: _Group(), GROUPS_MAX)

    def spend(self, hook: HookEntry, now: float) -> None:
        """Count a request of a hook. Raises RequestError (RATE_LIMITED)."""
        wait_s = self._rates.use(hook.id).take(now)
        if wait_s > 0:
            raise rate_limited(f"Too many requests to this hook. Wait {wait_s:.1f} s.", wait_s)

    async def deliver(self, visitor: Visitor, hook: HookEntry, post: HookPost) -> None:
        """Post, or edit the post of the same group. Raises RequestError."""
        if not post.group:
            await visitor.publish(commands.Say(post.text, room=hook.room))
            return
        group = self._groups.use(hashlib.sha256(f"{hook.id} {post.group}".encode()).hexdigest())
        async with group.lock:
            if self._is_shared or not group.post_id:
                await _find(visitor, hook, post.group, group)
            is_known = bool(group.post_id) and (post.is_final or not group.is_over)
            if not (is_known and await _edit(visitor, hook, group.post_id, post.text)):
                group.post_id = (await visitor.publish(commands.Say(post.text, room=hook.room))).id
            group.is_over = post.is_final


async def _find(visitor: Visitor, hook: HookEntry, word: str, group: _Group) -> None:
    """Search the newest post about a group in the log; without one, what is in memory applies."""
    try:
        found = await visitor.request(commands.Search(word, hook.room, "group", limit=SEARCH_POSTS))
    except RequestError:  # such as too many searches: a new post is better than none
        return
    assert isinstance(found, events.Found)
    for item in found.items:
        if item.sender == hook.name and word in item.message:
            group.post_id, group.is_over = item.id, is_resolved_post(item.message)


async def _edit(visitor: Visitor, hook: HookEntry, post_id: str, text: str) -> bool:
    """Change the text of a post; returns whether it still exists. Raises RequestError."""
    try:
        await visitor.change(commands.Note(NoteKind.EDIT, post_id, hook.room, message=text))
    except RequestError as error:
        if error.code is ErrorCode.NO_SUCH_POST:
            return False
        raise
    return True
