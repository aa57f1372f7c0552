"""Commands about posts: reply, edit, delete, react, pin, threads, and questions."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from broadcast_tui.client.requests import ClientRequests
from broadcast_tui.tui.commands.context import CommandContext, CommandHandler
from broadcast_tui.tui.commands.parser import SUBSTITUTION
from broadcast_tui.tui.commands.post_actions import NO_QUESTION, PostActions
from broadcast_tui.tui.model.post_lines import numbered_lines
from broadcast_tui.tui.model.post_target import (
    PostTarget,
    newest_own_target,
    newest_question,
    newest_target,
    target_by_number,
)
from broadcast_tui.tui.model.room import RoomModel
from broadcast_tui.tui.model.state import AppState
from broadcast_tui.tui.model.text.emoji import emoji_of
from broadcast_tui.tui.model.transcript.log_options import TimeFormat
from broadcast_tui.tui.model.transcript.post_rows import ACKNOWLEDGE

CHOICES_MAX, CHOICE_CHARS, ASKED_MAX = 10, 64, 100
"""Limits of the protocol for a question: choices, their characters, people."""
NO_OWN_POST = "You have no message here to edit or delete."
YES_NO = ("yes", "no")
POSTS_SHOWN = 20
"""Posts that /posts lists by default."""
POSTS_MAX = 1_000


class PostCommands(CommandHandler):
    """Handlers of commands about posts.

    A command is about the picked post, or else the one that its help names. In plain mode, a number before
    the other arguments selects a post.
    """

    def __init__(self, client: ClientRequests, state: AppState, context: CommandContext) -> None:
        super().__init__(client, state, context)
        self._actions = PostActions(client, state, context)

    def reply(self, argument: str) -> bool:
        return self._act(argument, newest_target, self._actions.reply)

    def edit(self, argument: str) -> bool:
        return self._act(argument, newest_own_target, self._actions.edit)

    def replace(self, argument: str) -> bool:
        """Replace text in the newest own post: `s/old/new/`, or `old/new/`."""
        found = SUBSTITUTION.fullmatch(argument if argument.startswith("s/") else f"s/{argument}")
        if found is None:
            return self.fail("Usage: /replace s/old/new/, for example s/teh/the/")
        target = newest_own_target(self._state.rooms.shown)
        if target is None:
            return self.fail(NO_OWN_POST)
        old, new = (re.sub(r"\\(.)", r"\1", part) for part in found.group(1, 2))
        if old not in target.text:
            hint = "To send this as text, add a space before it."
            return self.fail(f"Your last message does not contain '{old}'. {hint}")
        text = target.text.replace(old, new, -1 if found[3] else 1)
        if not text.strip():
            return self.fail("The message would be empty. Use /delete to delete it.")
        return self._actions.edit(target, text)

    def delete(self, argument: str) -> bool:
        return self._act(argument, newest_own_target, self._actions.delete)

    def react(self, argument: str) -> bool:
        def react(target: PostTarget, typed: str) -> bool:
            emoji = emoji_of(typed)
            if typed and not emoji:
                return self.fail(f"No such emoji: '{typed}'. Use :name: or an emoji.")
            return self._actions.react(target, emoji)

        return self._act(argument, newest_target, react)

    def pin(self, argument: str) -> bool:
        return self._act(argument, newest_target, lambda target, _: self._actions.pin(target))

    def pins(self, _argument: str) -> bool:
        self._context.post_context.open_pins()
        return True

    def thread(self, argument: str) -> bool:
        return self._act(argument, newest_target, lambda target, _: self._actions.thread(target))

    def posts(self, argument: str) -> bool:
        """List the last posts with their numbers."""
        if argument and not (argument.isdecimal() and argument.isascii()):
            return self.fail(f"Invalid number: '{argument}'. Use for example /posts 50.")
        if not self._context.post_context.numbers_posts:
            return self.fail("Message numbers work in plain mode only. Select a message instead.")
        count = min(int(argument or POSTS_SHOWN), POSTS_MAX)
        time_format = TimeFormat(self._state.settings["time"])
        return self.print(*numbered_lines(self._state.rooms.shown, count, time_format=time_format))

    def announce(self, text: str) -> bool:
        return self._actions.ask(text, ACKNOWLEDGE)

    def poll(self, argument: str) -> bool:
        text, choices = split_choices(argument)
        if len(choices) < 2 or not text:
            return self.fail("Specify a question and at least two choices: /poll Lunch at 12? | yes | no")
        return self._check_choices(choices) and self._actions.ask(text, choices)

    def ask(self, argument: str) -> bool:
        names, rest = split_names(argument, self._state.rooms.shown.people() or ())
        text, choices = split_choices(rest)
        if not names or not text:
            return self.fail("Specify names and a question: /ask ana,ken Deploy 1.5?")
        if len(names) > ASKED_MAX:
            return self.fail(f"You can ask at most {ASKED_MAX} people by name.")
        choices = choices or YES_NO
        return self._check_choices(choices) and self._actions.ask(text, choices, names)

    def answer(self, argument: str) -> bool:
        newest = newest_question(self._state.rooms.shown, self._state.name)
        target = self._context.post_context.picked_post() or newest
        is_choice = target is not None and argument.casefold() in map(str.casefold, target.choices)
        if is_choice and target is not None:
            return self._actions.answer(target, argument)
        target, rest = self._target(argument, newest, NO_QUESTION)
        return target is not None and self._actions.answer(target, rest)

    def _act(
        self,
        argument: str,
        default: Callable[[RoomModel], PostTarget | None],
        action: Callable[[PostTarget, str], bool],
    ) -> bool:
        """Run an action on the numbered or picked post, or else on the one that `default` finds."""
        missing = NO_OWN_POST if default is newest_own_target else "No messages here yet."
        target, rest = self._target(argument, default(self._state.rooms.shown), missing)
        return target is not None and action(target, rest)

    def _target(
        self, argument: str, default: PostTarget | None, missing: str
    ) -> tuple[PostTarget | None, str]:
        """The post that a command is about, and the rest of its argument.

        The post is None after an error, which is `missing` if there is neither a picked post nor `default`.
        """
        room = self._state.rooms.shown
        word, _, rest = argument.partition(" ")
        if self._context.post_context.numbers_posts and word.isdecimal() and word.isascii():
            target = target_by_number(room, int(word)) or self._context.post_context.listed_post(int(word))
            if target is None:
                self.fail(f"No such message: {word}. /posts lists the messages with their numbers.")
            return target, rest.strip()
        target = self._context.post_context.picked_post() or default
        if target is None:
            self.fail(missing)
        return target, argument

    def _check_choices(self, choices: tuple[str, ...]) -> bool:
        if len(choices) > CHOICES_MAX:
            return self.fail(f"A question can have at most {CHOICES_MAX} choices.")
        if too_long := next((choice for choice in choices if len(choice) > CHOICE_CHARS), ""):
            return self.fail(f"Choice too long: '{too_long[:20]}…'. Use at most {CHOICE_CHARS} characters.")
        return True


def split_choices(argument: str) -> tuple[str, tuple[str, ...]]:
    """Split `question | choice | choice`; repeated and empty choices are dropped."""
    text, *choices = (" ".join(part.split()) for part in argument.split("|"))
    return text, tuple(dict.fromkeys(filter(None, choices)))


def split_names(argument: str, people: Iterable[str]) -> tuple[tuple[str, ...], str]:
    """Split `ana,ken text` into names, without duplicates, and text.

    A name that contains spaces must be one of `people` or be in double quotes.
    """
    known = sorted(people, key=len, reverse=True)
    names: list[str] = []
    rest = argument.strip()
    while rest:
        name, rest = _first_name(rest, known)
        names += filter(None, [name])
        if not rest.startswith(","):
            break
        rest = rest[1:].lstrip()
    return tuple(dict.fromkeys(names)), rest.strip()


def _first_name(text: str, people: Iterable[str]) -> tuple[str, str]:
    """The first of some names, and the text after it, which begins with a comma if another one follows."""
    if text.startswith('"') and (end := text.find('"', 1)) > 0:
        return text[1:end], text[end + 1 :].lstrip()
    text = text.removeprefix("@")
    folded = text.casefold()
    for name in people:
        after = folded[len(name) :]
        if folded.startswith(name.casefold()) and (not after or after[0] in " ,:"):
            return name, text[len(name) :].lstrip(" :")
    found = re.match(r"[^\s,]+", text)
    name = found[0] if found else ""
    return name.rstrip(":"), text[len(name) :].lstrip()
