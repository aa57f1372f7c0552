"""Threads, pinned posts and notes as printed lines, for the chat without a screen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from broadcast_tui.client.requests import ClientRequests
from broadcast_tui.core.notes import in_epoch
from broadcast_tui.core.post import Position, Post
from broadcast_tui.core.session.updates import EpochChanged, HistoryFetched, NoteArrived, Noticed, Update
from broadcast_tui.tui.model.input.compose_mode import ComposeKind, ComposeMode
from broadcast_tui.tui.model.post_lines import note_line, post_line
from broadcast_tui.tui.model.post_target import PostTarget, newest_position, target_of_post
from broadcast_tui.tui.model.state import AppState
from broadcast_tui.tui.model.transcript.log_options import TimeFormat
from broadcast_tui.tui.model.transcript.records import StoredPost

THREAD_MAX = 200
LISTED_MAX = 2_000
"""Maximum number of listed posts that the user can name by number."""


class PostPrinter:
    """The `PostContext` of plain mode. It also prints what happens to posts.

    Args:
        client: The client.
        state: The state.
        print_lines: Prints lines in a room.
        warn: Writes a warning.
        report: Writes that something was done.
    """

    numbers_posts = True

    def __init__(
        self,
        client: ClientRequests,
        state: AppState,
        print_lines: Callable[[str, list[str]], None],
        warn: Callable[[str], None],
        report: Callable[[str], None],
    ) -> None:
        self._client = client
        self._state = state
        self._print_lines = print_lines
        self._warn = warn
        self.report = report
        self._requests: dict[str, str] = {}
        """Headings of the requested lists, by ref."""
        self._listed: dict[tuple[str, Position], Post] = {}

    @property
    def is_waiting(self) -> bool:
        """Whether a requested list has not arrived."""
        return bool(self._requests)

    # PostContext

    def picked_post(self) -> PostTarget | None:
        """None: there is no selection."""
        return None

    def listed_post(self, number: int) -> PostTarget | None:
        """The post with this number that was listed, in the current log of the room."""
        room = self._state.rooms.shown
        newest = newest_position(room)
        if newest is None:
            return None
        post = self._listed.get((room.name, Position(newest.epoch, number)))
        return None if post is None else target_of_post(post, self._state.name)

    def start_writing(self, mode: ComposeMode) -> bool:
        """Write that the text is missing."""
        command = "reply" if mode.kind is ComposeKind.REPLY else "edit"
        self._warn(f"Add the text, for example: /{command} {mode.target.number} Yes, it runs first.")
        return False

    def choose_reaction(self, target: PostTarget) -> bool:
        """Write that the emoji is missing."""
        self._warn(f"Add an emoji, for example: /react {target.number} :thumbs_up:")
        return False

    def confirm(self, question: str, answer: str, action: Callable[[], None]) -> None:
        """Call `action` at once: the next line may already be a message."""
        action()

    def choose(self, question: str, choices: Sequence[str], action: Callable[[str], object]) -> None:
        """Write the choices."""
        self._warn(f"Add one of the choices to the command: {', '.join(choices)}")

    def open_thread(self, target: PostTarget) -> None:
        """Request the thread of a post, and print it once it has arrived."""
        root = target.root_id
        ref = self._client.fetch_history(target.room, root=root, limit=THREAD_MAX)
        self._requests[ref] = f"Thread of message {root.rpartition('-')[2]}:"

    def open_pins(self) -> None:
        """Request the pinned posts of the current room, and print them once they have arrived."""
        room = self._state.rooms.shown
        self._requests[self._client.fetch_history(room.name, pinned=True)] = f"Pinned in {room.label}:"

    # For the chat

    def remember(self, posts: Iterable[Post]) -> None:
        """Let the user name these posts by number."""
        for post in posts:
            self._listed[post.room, post.position] = post
        while len(self._listed) > LISTED_MAX:
            del self._listed[next(iter(self._listed))]

    def known(self, batch: Iterable[Update]) -> dict[tuple[str, Position], StoredPost]:
        """The loaded posts that notes of a batch are about, before the batch is applied."""
        known: dict[tuple[str, Position], StoredPost] = {}
        for update in batch:
            if isinstance(update, NoteArrived) and update.note.room in self._state.rooms.joined:
                position = Position(update.note.position.epoch, update.note.re)
                stored = self._state.rooms.get(update.note.room).notes.post(str(position))
                if stored is not None:
                    known[update.note.room, position] = stored
        return known

    def handle(
        self, batch: Iterable[Update], before: dict[tuple[str, Position], StoredPost], now: datetime
    ) -> None:
        """After a batch was applied: print requested lists, and the notes that changed something."""
        for update in batch:
            match update:
                case HistoryFetched(room=room, ref=ref, posts=posts) if ref in self._requests:
                    heading = self._requests.pop(ref)
                    self.remember(posts)
                    time_format = TimeFormat(self._state.settings["time"])
                    lines = [post_line(post, now, time_format) for post in posts]
                    self._print_lines(room, [heading, *lines] if lines else [f"{heading} none"])
                case Noticed(ref=ref) if ref in self._requests:
                    del self._requests[ref]
                case NoteArrived():
                    self._print_note(update, before)
                case EpochChanged():
                    self._follow(update)

    def _follow(self, change: EpochChanged) -> None:
        """Give listed posts their ids in a new epoch, and forget those that are lost."""
        self._listed = {
            (room, new): in_epoch(post, new.epoch)
            for (room, position), post in self._listed.items()
            if (new := change.follow(position) if room == change.room else position) is not None
        }

    def _print_note(self, update: NoteArrived, before: dict[tuple[str, Position], StoredPost]) -> None:
        note = update.note
        room = self._state.rooms.joined.get(note.room)
        position = Position(note.position.epoch, note.re)
        old = before.get((note.room, position))
        after = None if room is None else room.notes.post(str(position))
        # A post of a replay already includes its notes.
        is_news = update.live if old is None else after is None or after.post != old.post
        if is_news and (line := note_line(note, after, self._state.name)):
            self._print_lines(note.room, [line])
