"""The room of a recording at one position: its posts, and the answers to requests about them."""

from __future__ import annotations

from collections.abc import Iterator

from broadcast_tui.core.export.recording import Recording
from broadcast_tui.core.notes import Entry, apply_note
from broadcast_tui.core.post import Position, Post
from broadcast_tui.core.protocol import commands, events
from broadcast_tui.core.session.updates import (
    CaughtUp,
    HistoryFetched,
    PostArrived,
    RoomEntered,
    SearchFound,
    Update,
)

BACKLOG = 200
"""Posts that are shown at once after a jump; older ones are fetched as the user scrolls."""


class RecordedRoom:
    """The posts up to a position of `recording`, as they were then."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._posts: dict[int, Post] = {}

    def apply(self, entry: Entry) -> None:
        """Add the next post, or apply the next note."""
        if isinstance(entry, Post):
            self._posts[entry.position.seq] = entry
        elif (post := self._posts.get(entry.re)) is not None:
            self._posts[entry.re] = apply_note(post, entry)

    def opening(self, count: int) -> list[Update]:
        """Go to the position after `count` entries: enter the room, with the last posts before it."""
        self._posts.clear()
        for entry in self._recording.entries[:count]:
            self.apply(entry)
        posts = list(self._posts.values())
        pinned = tuple(post.position for post in posts if post.state.pinned)
        room, online = self._recording.room, len(self._recording.people)
        backlog = [PostArrived(post, False, False) for post in posts[-BACKLOG:]]
        return [RoomEntered(room, online, len(backlog), pinned=pinned), *backlog, CaughtUp(room)]

    def answer(self, command: commands.Request) -> Update | None:
        """The answer to a request for posts, people or rooms; None for any other request."""
        room = self._recording.room
        match command:
            case commands.FetchHistory():
                page, more = self._page(command)
                start = page[0].position if page else None
                return HistoryFetched(room, command.ref, tuple(page), more, start)
            case commands.Search(query=query, before=before, limit=limit, root=root):
                words = query.casefold().split()
                found = [
                    post
                    for post in self._before(before, root)
                    if all(word in post.text.casefold() for word in words)
                ]
                return SearchFound(room, command.ref, tuple(found[-limit:]), len(found) > limit)
            case commands.ListMembers():
                members = tuple(events.MemberInfo(name, 1) for name in self._recording.people)
                return events.Presence(command.ref, room, len(members), members, False)
            case commands.ListRooms():
                info = events.RoomInfo(room, len(self._recording.people), "")
                return events.RoomList(command.ref, (info,), False)
            case _:
                return None

    def _page(self, command: commands.FetchHistory) -> tuple[list[Post], bool]:
        """The posts of a page of history, and whether there are older ones."""
        if command.pinned:
            return [post for post in self._posts.values() if post.state.pinned], False
        if command.around:
            position = Position.parse(command.around)
            posts = list(self._posts.values())
            middle = next(
                (at for at, post in enumerate(posts) if position and post.position.seq >= position.seq),
                len(posts),
            )
            first = max(0, middle - command.limit // 2)
            return posts[first : first + command.limit], first > 0
        older = list(self._before(command.before, command.root))
        return older[-command.limit :], len(older) > command.limit

    def _before(self, post_id: str, root: str) -> Iterator[Post]:
        """The posts before an id (empty: all), of a thread if `root` is set."""
        before, first = Position.parse(post_id), Position.parse(root)
        for seq, post in self._posts.items():
            if before is not None and seq >= before.seq:
                return
            if first is None or first.seq in (seq, post.root):
                yield post
