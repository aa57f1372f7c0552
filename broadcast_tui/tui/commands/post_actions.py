"""What the user does with a post: the part that keys and commands share."""

from __future__ import annotations

from broadcast_tui.client.requests import ClientRequests
from broadcast_tui.core.post_state import NoteKind
from broadcast_tui.core.protocol.commands import Question
from broadcast_tui.tui.commands.context import CommandContext, PostContext
from broadcast_tui.tui.model.input.compose_mode import ComposeKind, ComposeMode
from broadcast_tui.tui.model.post_target import PostTarget, newest_question
from broadcast_tui.tui.model.state import AppState
from broadcast_tui.tui.model.text.emoji import with_emoji

NO_QUESTION = "There is no open question for you in this room."
ASK_S = 86_400.0
"""How long a question is open."""


class PostActions:
    """Actions on posts of the displayed room.

    Each returns whether it succeeded; otherwise it has shown the error.
    """

    def __init__(self, client: ClientRequests, state: AppState, context: CommandContext) -> None:
        self._client = client
        self._state = state
        self._context = context

    @property
    def _ui(self) -> PostContext:
        return self._context.post_context

    def reply(self, target: PostTarget, text: str = "") -> bool:
        """Reply with `text`; without it, begin a reply in the input."""
        if target.is_deleted:
            return self._fail_deleted()
        if not text:
            return self._ui.start_writing(ComposeMode(ComposeKind.REPLY, target))
        self._context.say(text, re=target.ref)
        return True

    def edit(self, target: PostTarget, text: str = "") -> bool:
        """Replace the text of an own post; without `text`, begin to edit it in the input."""
        if target.is_deleted:
            return self._fail_deleted()
        if not target.own:
            return self._fail("You can only edit your own messages.")
        if not text:
            return self._ui.start_writing(ComposeMode(ComposeKind.EDIT, target))
        if (text := with_emoji(text)) != target.text:
            self._send(target, NoteKind.EDIT, "Edit", text)
        return True

    def delete(self, target: PostTarget, reason: str = "") -> bool:
        """Delete a post after a question; admins can delete the posts of others."""
        if target.is_deleted:
            return self._fail_deleted()

        def delete() -> None:
            self._send(target, NoteKind.DELETE, "Deletion", reason)

        whose = "your message" if target.own else f"the message from {target.sender or 'a guest'}"
        self._ui.confirm(f'Delete {whose} "{target.excerpt}"?', "Delete", delete)
        return True

    def react(self, target: PostTarget, emoji: str = "") -> bool:
        """Add a reaction, or remove it if the user has given it; without `emoji`, ask for one."""
        if target.is_deleted:
            return self._fail_deleted()
        if not emoji:
            return self._ui.choose_reaction(target)
        self._state.recent_reactions.use(emoji)
        has_reacted = target.has_reacted(self._state.name, emoji)
        self._send(target, NoteKind.REACT, "Reaction", emoji, on=not has_reacted)
        return True

    def pin(self, target: PostTarget) -> bool:
        """Pin a post, or unpin it."""
        if target.is_deleted:
            return self._fail_deleted()
        on = target.state.pinned is None
        self._send(target, NoteKind.PIN, "Pin" if on else "Unpin", on=on)
        return True

    def answer_newest(self) -> bool:
        """Answer the newest open question that the user was asked."""
        target = newest_question(self._state.rooms.shown, self._state.name)
        return self._fail(NO_QUESTION) if target is None else self.answer(target)

    def answer(self, target: PostTarget, choice: str = "") -> bool:
        """Answer a question. Without `choice`, use the only one, or ask."""
        if not target.choices or target.is_deleted:
            return self._fail("This message is not a question.")
        if target.state.closed:
            return self._fail("This question is closed.")
        if not target.can_answer(self._state.name):
            return self._fail("You were not asked this question.")
        if not choice and len(target.choices) > 1:
            question = f"{target.sender}: {target.excerpt}"
            self._ui.choose(question, target.choices, lambda chosen: self._answer(target, chosen))
            return True
        if not choice:
            return self._answer(target, target.choices[0])
        folded = with_emoji(choice).casefold()
        found = next((each for each in target.choices if each.casefold() == folded), None)
        if found is None:
            return self._fail(f"Invalid choice: '{choice}'. Use {', '.join(target.choices)}.")
        return self._answer(target, found)

    def _answer(self, target: PostTarget, choice: str) -> bool:
        self._send(target, NoteKind.ANSWER, "Answer", choice)
        if self._state.is_online:
            self._ui.report("Acknowledged" if target.is_announcement else f"Answered: {choice}")
        return True

    def thread(self, target: PostTarget) -> bool:
        """Show the thread that a post belongs to."""
        if not target.root_id:
            return self._fail("This message has not been sent yet.")
        self._ui.open_thread(target)
        return True

    def ask(self, text: str, choices: tuple[str, ...], to: tuple[str, ...] = ()) -> bool:
        """Post a question with counted answers; without `to`, to everyone in the room."""
        question = Question(tuple(map(with_emoji, choices)), ASK_S, to)
        self._context.say(text, ask=question)
        return True

    def _send(
        self, target: PostTarget, kind: NoteKind, what: str, text: str = "", *, on: bool = True
    ) -> None:
        nonce = self._client.send_note(target.room, target.ref, kind, text=text, on=on)
        self._state.add_note(nonce, target.room)
        if not self._state.is_online:
            self._ui.report(f"{what} queued until you are back online")
        self._context.refresh_views()

    def _fail_deleted(self) -> bool:
        return self._fail("This message was deleted.")

    def _fail(self, reason: str) -> bool:
        self._context.warn(reason)
        return False
