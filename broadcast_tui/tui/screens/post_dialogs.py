"""What the chat screen shows for actions on posts: dialogs, threads, and replies and edits in the input."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual.app import App

from broadcast_tui.client.requests import ClientRequests
from broadcast_tui.core.errors import ErrorCode
from broadcast_tui.core.post import Position
from broadcast_tui.core.session.updates import NoteRejected, PostRejected
from broadcast_tui.tui.commands.context import CommandContext
from broadcast_tui.tui.commands.post_actions import PostActions
from broadcast_tui.tui.model.input.completion import CompletionContext
from broadcast_tui.tui.model.input.compose_mode import ComposeKind, ComposeMode, typed_text
from broadcast_tui.tui.model.input.post_size import is_post
from broadcast_tui.tui.model.post_lines import rejection_text
from broadcast_tui.tui.model.post_target import PostTarget, target_by_id
from broadcast_tui.tui.model.state import AppState
from broadcast_tui.tui.screens.choice import Choice, ChoiceScreen, numbered_choices
from broadcast_tui.tui.screens.react import ReactScreen
from broadcast_tui.tui.screens.search import SearchController
from broadcast_tui.tui.screens.thread import ThreadController
from broadcast_tui.tui.widgets.composer import Submission
from broadcast_tui.tui.widgets.conversation import Conversation
from broadcast_tui.tui.widgets.post_bar import PostAction
from broadcast_tui.tui.widgets.toast import show_toast

REPORT_S = 3.0


class PostDialogs:
    """The `PostContext` of the chat screen.

    Args:
        app: The app.
        client: The client.
        state: The state.
        context: The chat screen.
        conversation: The log and the composer.
        search: Lists pinned posts.
        complete: What the input of a thread can complete.
        submit: Called with a text that was submitted in a thread.
    """

    numbers_posts = False

    def __init__(
        self,
        app: App[None],
        client: ClientRequests,
        state: AppState,
        context: CommandContext,
        conversation: Conversation,
        search: SearchController,
        complete: Callable[[], CompletionContext],
        submit: Callable[[str, ComposeMode | None], bool],
    ) -> None:
        self._app = app
        self._state = state
        self._context = context
        self._conversation = conversation
        self._search = search
        self._submit = submit
        self.actions = PostActions(client, state, context)
        self._threads = ThreadController(
            app, client, state, complete, self._submit_in_thread, conversation.copy
        )

    # PostContext

    def picked_post(self) -> PostTarget | None:
        """The post that is selected in the log."""
        return self._conversation.picked_post

    def listed_post(self, number: int) -> PostTarget | None:
        """None: posts have no numbers on the screen."""
        return None

    def start_writing(self, mode: ComposeMode) -> bool:
        """Begin a reply or an edit in the input."""
        conversation = self._conversation
        conversation.end()
        conversation.leave_bare()
        conversation.composer.drafts.begin(mode)
        conversation.focus_composer()
        return True

    def choose_reaction(self, target: PostTarget) -> bool:
        """Open the list of emoji, then react with the chosen one."""

        def react(emoji: str | None) -> None:
            if emoji:
                self.actions.react(target, emoji)

        given = [emoji for emoji in target.state.reactions if target.has_reacted(self._state.name, emoji)]
        self._app.push_screen(ReactScreen(self._state.recent_reactions.offered(), given), react)
        return True

    def confirm(self, question: str, answer: str, action: Callable[[], None]) -> None:
        """Ask before `action`."""

        def on_answer(chosen: str | None) -> None:
            if chosen:
                action()

        choices = Choice("n", "Cancel", ""), Choice("y", answer, answer)
        self._app.push_screen(ChoiceScreen(question, choices, title=answer), on_answer)

    def choose(self, question: str, choices: Sequence[str], action: Callable[[str], object]) -> None:
        """Ask for one of `choices`, then call `action` with it."""

        def on_answer(chosen: str | None) -> None:
            if chosen:
                action(chosen)

        dialog = ChoiceScreen(question, numbered_choices(choices), title="Answer")
        self._app.push_screen(dialog, on_answer)

    def report(self, text: str) -> None:
        """Show for a short time that something was done."""
        show_toast(self._conversation, text, REPORT_S)

    def open_thread(self, target: PostTarget) -> None:
        """Show the thread of a post on a screen of its own."""
        self._threads.open(target)

    def open_pins(self) -> None:
        """List the pinned posts of the displayed room."""
        self._search.open_pins()

    # PostActor

    def act(self, action: PostAction, target: PostTarget) -> bool:
        """Carry out an action on a post; returns whether it was possible."""
        actions = self.actions
        acts: dict[PostAction, Callable[[PostTarget], bool]] = {
            PostAction.REPLY: actions.reply,
            PostAction.THREAD: actions.thread,
            PostAction.REACT: actions.react,
            PostAction.ANSWER: actions.answer,
            PostAction.EDIT: actions.edit,
            PostAction.DELETE: actions.delete,
            PostAction.PIN: actions.pin,
        }
        return acts[action](target)

    def answer_newest(self) -> None:
        """Answer the newest open question."""
        self.actions.answer_newest()

    # For the chat screen

    def follow(self) -> None:
        """Show what has changed in the open thread."""
        self._threads.follow()

    def handle_rejected_post(self, rejected: PostRejected) -> None:
        """Return the text of a rejected post to the input, as a reply if the post it answers still exists."""
        room = self._state.rooms.get(rejected.room)
        mode = None
        if rejected.code != ErrorCode.NO_SUCH_POST and Position.parse(rejected.re) is not None:
            target = target_by_id(room, rejected.re)
            target = target or PostTarget(rejected.room, rejected.re, "", "", own=False)
            mode = ComposeMode(ComposeKind.REPLY, target)
        if not self._conversation.composer.give_back(rejected.text, rejected.room, mode):
            self._context.warn(f"Not sent: {rejected.reason} Press Ctrl+Up to edit the text.")

    def handle_rejected(self, note: NoteRejected) -> None:
        """Report why a change to a post was rejected; the text of an edit goes back to the input."""
        reason = rejection_text(note)
        if not note.text:
            self._context.warn(reason)
            return
        room = self._state.rooms.get(note.room)
        target = target_by_id(room, note.re) or PostTarget(note.room, note.re, self._state.name, "", own=True)
        mode = ComposeMode(ComposeKind.EDIT, target)
        is_back = self._conversation.composer.give_back(typed_text(note.text), note.room, mode)
        self._context.warn(reason if is_back else f"{reason} Press Ctrl+Up to edit the text.")

    def _submit_in_thread(self, submission: Submission) -> bool:
        """Submit a text of the open thread: a reply to its first post, or an edit."""
        thread = self._state.thread
        if thread is None:
            return False
        if not is_post(submission.text):
            self._context.warn("Commands do not work in a thread. Press Esc to return to the room.")
            return False
        root = PostTarget(thread.view.name, thread.root_id, "", "", own=False)
        return self._submit(submission.text, submission.mode or ComposeMode(ComposeKind.REPLY, root))
