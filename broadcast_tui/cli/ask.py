"""`broadcast-tui ask`: ask people a question; their answers determine the exit status."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Annotated

import msgspec
from cyclopts import Parameter
from cyclopts.validators import Number

from broadcast_tui.cli.connect_options import ConnectOptions
from broadcast_tui.cli.credentials import add_advice
from broadcast_tui.cli.errors import ExitCode, UsageError
from broadcast_tui.cli.option_types import Connection, Texts, Words, time_span
from broadcast_tui.cli.pipes import (
    configure_stdout,
    connect,
    posting_client,
    print_error,
)
from broadcast_tui.cli.stdio import print_message
from broadcast_tui.client import BroadcastClient, ConnectError
from broadcast_tui.core.clock import DAY_S, format_duration
from broadcast_tui.core.errors import InvalidNameError
from broadcast_tui.core.export.json_lines import json_line
from broadcast_tui.core.names import check_name, name_key
from broadcast_tui.core.notes import apply_note, merged, without_lost_notes
from broadcast_tui.core.post import Position, Post
from broadcast_tui.core.post_state import NO_STATE, Ask, PostState, Votes, answer_count, waiting_names
from broadcast_tui.core.protocol.commands import Question
from broadcast_tui.core.protocol.events import Presence
from broadcast_tui.core.session.updates import (
    CaughtUp,
    ConnectionChanged,
    ConnectionState,
    EpochChanged,
    GapFound,
    HistoryFetched,
    NoteArrived,
    PostArrived,
    PostDelivered,
    PostRejected,
    Update,
)
from broadcast_tui.core.text import visible_line

DEFAULT_CHOICES = ("yes", "no")
CHOICES_MAX = 10
CHOICE_CHARS_MAX = 64
PEOPLE_MAX = 100
CONNECT_TIMEOUT_S = 10.0
GRACE_S = 5.0
"""Time after the end of a question in which the server announces that it is closed."""


def ask(
    *text: Words,
    url: str = "",
    room: str | None = None,
    name: str | None = None,
    to: Annotated[str, Parameter(show_default=False)] = "",
    choice: Texts = (),
    timeout: Annotated[float, Parameter(converter=time_span, validator=Number(gt=0, lte=30 * DAY_S))] = 300.0,
    any: bool = False,
    json: bool = False,
    connection: Connection = ConnectOptions(),  # noqa: B008
) -> int:
    """Ask people a question and wait for their answers.

    The exit status is 0 if everyone chose the first choice, 5 if somebody made another choice, and 6 if
    somebody did not answer in time.

    Parameters
    ----------
    text
        The question.
    url
        Server and room, such as ws://host:8765/lobby, or an invite; - prompts [default: localhost:8765].
    room
        Room to ask in [default: that of the URL, or lobby].
    name
        Name to ask under [default: your login name, or a guest's as root].
    to
        Names of the people to ask, separated by commas [default: the people in the room].
    choice
        A choice; repeat the option for more. The first one means success [default: yes and no].
    timeout
        Time to answer, such as 90s, 5m or 2h, or a number of seconds.
    any
        Wait until one person chooses the first choice, and ignore other choices until then.
    json
        Print the question, each answer and the result as lines of JSON.
    """
    question = Question(_choices(choice), timeout, _names(to))
    words = " ".join(text).strip()
    if not words:
        raise UsageError("Add the question as an argument, in quotation marks.")
    client = posting_client(url, room, name, connection)
    configure_stdout(as_json=json)
    return asyncio.run(_Asker(client, client.rooms[0], question, any_one=any, as_json=json).run(words))


def _choices(given: tuple[str, ...]) -> tuple[str, ...]:
    choices = tuple(choice.strip() for choice in given) or DEFAULT_CHOICES
    if any(not 1 <= len(choice) <= CHOICE_CHARS_MAX for choice in choices):
        raise UsageError(f"--choice: a choice must have 1 to {CHOICE_CHARS_MAX} characters.")
    if len(set(choices)) < len(choices):
        raise UsageError("--choice: the choices must differ.")
    if len(choices) > CHOICES_MAX:
        raise UsageError(f"--choice: a question can have at most {CHOICES_MAX} choices.")
    return choices


def _names(given: str) -> tuple[str, ...]:
    try:
        names = tuple(dict.fromkeys(check_name(name) for name in given.split(",") if name.strip()))
    except InvalidNameError as error:
        raise UsageError(f"--to: {error.text}") from error
    if len(names) > PEOPLE_MAX:
        raise UsageError(f"--to: you can ask at most {PEOPLE_MAX} people by name.")
    return names


def result(ask: Ask, state: PostState, *, any_one: bool) -> ExitCode | None:
    """The exit status that the answers to a question lead to; None while it is open.

    Args:
        ask: The question, of which the first choice means success.
        any_one: Whether a single person decides, by the first choice.

    If nobody was in the room to be asked, the first person who comes and answers decides.
    """
    successes = state.tally.get(ask.choices[0], Votes(0, ())).count
    others = answer_count(state) - successes
    is_complete = 0 < ask.of <= successes + others
    if successes and (any_one or ((is_complete or not ask.of) and not others)):
        return ExitCode.OK
    if others and (is_complete or not any_one):
        return ExitCode.OTHER_CHOICE
    return ExitCode.TIMED_OUT if state.closed else None


def new_answers(before: PostState, after: PostState) -> Iterator[tuple[str, str]]:
    """Names with a new choice. If one choice has many votes, a state has only the first names."""
    for choice, votes in after.tally.items():
        known = set(before.tally.get(choice, Votes(0, ())).names)
        yield from ((name, choice) for name in votes.names if name not in known)


class _Asker:
    """Asks one question, prints the answers and determines the exit status."""

    def __init__(
        self, client: BroadcastClient, room: str, question: Question, *, any_one: bool, as_json: bool
    ) -> None:
        self._client = client
        self._room = room
        self._question = question
        self._any_one = any_one
        self._as_json = as_json
        self._nonce = ""
        self._position: Position | None = None
        """Position of the question once the server has stored it."""
        self._post: Post | None = None
        self._read_ref = ""
        """Ref of the request for the current state of the question, at first and after each reconnect."""
        self._is_stored = False
        """Whether such a request has found it."""
        self._members_ref = ""
        """Ref of the request for the people in the room."""

    async def run(self, text: str) -> int:
        try:
            await connect(self._client, min(CONNECT_TIMEOUT_S, self._question.until_s))
        except ConnectError as error:
            return print_error(str(error), ExitCode.UNREACHABLE)
        self._nonce = self._client.say(self._room, text, ask=self._question)
        try:
            async with asyncio.timeout(self._question.until_s + GRACE_S) as limit:
                async for update in self._client.listen():
                    if isinstance(update, PostDelivered) and update.nonce == self._nonce:
                        until = asyncio.get_running_loop().time() + self._question.until_s
                        limit.reschedule(until + GRACE_S)
                    if (status := self._process(update)) is not None:
                        return status
            return ExitCode.UNREACHABLE  # the client was closed
        except TimeoutError:
            return self._finish(ExitCode.TIMED_OUT)
        finally:
            await self._client.close()

    def _process(self, update: Update) -> int | None:
        """Process an update; returns the exit status if the question is decided."""
        match update:
            case PostRejected(nonce=nonce, reason=reason) if nonce == self._nonce:
                return print_error(f"not asked: {reason}", ExitCode.REFUSED)
            case PostDelivered(nonce=nonce, post_id=post_id) if nonce == self._nonce:
                self._position = Position.parse(post_id)
                if update.has_arrived and self._post is None:
                    self._read()
            case PostArrived(post=post) if post.nonce == self._nonce or post.position == self._position:
                return self._asked(post)
            case NoteArrived(note=note) if self._post is not None:
                place = self._post.position
                if (note.position.epoch, note.re) == place:
                    return self._changed(apply_note(self._post, note))
            case CaughtUp() if self._position is not None:
                self._read()
            case GapFound(reason="epoch") if self._position is not None:
                return self._lost()
            case EpochChanged():
                return self._follow(update)
            case HistoryFetched(ref=ref, posts=posts) if ref == self._read_ref:
                return self._read_again(posts)
            case Presence(ref=ref) if ref == self._members_ref:
                self._warn_of_absence(update)
            case ConnectionChanged(state=ConnectionState.REFUSED, reason=reason, cause=cause):
                return print_error(add_advice(reason, cause), ExitCode.UNREACHABLE)
        return None

    def _read(self) -> None:
        """Request the question with the answers so far."""
        self._read_ref = self._client.fetch_history(self._room, around=str(self._position), limit=1)

    def _read_again(self, posts: tuple[Post, ...]) -> int | None:
        found = [post for post in posts if post.position == self._position]
        if not found and not self._is_stored:
            text = "This server does not store messages, so it cannot count answers."
            return print_error(text, ExitCode.REFUSED)
        if not found:
            return self._lost()
        self._is_stored = True
        return (
            self._changed(merged(self._post, found[0])) if self._post is not None else self._asked(found[0])
        )

    def _follow(self, change: EpochChanged) -> int | None:
        """Give the question its id in a new epoch; returns the exit status if it is lost."""
        if self._position is None:
            return None
        self._position = change.follow(self._position)
        if self._position is None:
            return self._lost()
        if self._post is not None:
            state = without_lost_notes(self._post.state, change.seq)
            self._post = msgspec.structs.replace(self._post, position=self._position, state=state)
            self._read()
        return None

    def _lost(self) -> int:
        return print_error("The server no longer has the question.", ExitCode.UNREACHABLE)

    def _asked(self, post: Post) -> int | None:
        """The question is in the log."""
        if self._post is not None:
            return None
        ask = post.state.ask
        if ask is None:
            return print_error("This server does not support questions.", ExitCode.REFUSED)
        self._print_json(
            type="question",
            id=str(post.position),
            room=self._room,
            choices=ask.choices,
            to=ask.to,
            of=ask.of,
            until=ask.until,
        )
        people = ", ".join(map(visible_line, ask.to)) or f"{ask.of} people"
        wait = format_duration(self._question.until_s, round_up=True)
        if ask.of:
            print_message(f"Asked {people} in #{self._room}; waiting for {wait}.")
        else:
            print_message(
                f"Nobody who can answer is in #{self._room}; waiting for {wait}. The first answer decides."
            )
        if ask.to:
            self._members_ref = self._client.list_members(self._room)
        self._position = post.position
        if not self._is_stored:
            self._read()
        return self._changed(post)

    def _warn_of_absence(self, presence: Presence) -> None:
        """Print a note if none of the people asked is in the room."""
        assert self._post is not None
        assert self._post.state.ask is not None
        asked = self._post.state.ask.to
        present = {name_key(member.name) for member in presence.members}
        if presence.truncated or any(name_key(name) in present for name in asked):
            return
        who = f"{visible_line(asked[0])} is not" if len(asked) == 1 else "None of them is"
        print_message(f"{who} in #{self._room} at the moment.")

    def _changed(self, post: Post) -> int | None:
        """Print new answers; returns the exit status if the question is decided."""
        before = self._post.state if self._post is not None else NO_STATE
        self._post = post
        if post.state.deleted is not None:
            by = visible_line(post.state.deleted.by)
            return print_error(f"{by} deleted the question.", ExitCode.REFUSED)
        for name, choice in new_answers(before, post.state):
            self._print_json(type="answer", name=name, choice=choice)
            self._print_line(f"{visible_line(name)}: {visible_line(choice)}")
        assert post.state.ask is not None
        status = result(post.state.ask, post.state, any_one=self._any_one)
        return None if status is None else self._finish(status)

    def _finish(self, status: ExitCode) -> int:
        """Print the result; returns the exit status."""
        if self._post is None or (
            status is ExitCode.TIMED_OUT and self._client.state is not ConnectionState.ONLINE
        ):
            return print_error("No connection to the server.", ExitCode.UNREACHABLE)
        state = self._post.state
        waiting = tuple(map(visible_line, state.waiting or waiting_names(state)))
        self._print_json(type="result", status=int(status), tally=state.tally, waiting=waiting)
        if status is ExitCode.TIMED_OUT:
            missing = f" No answer from {', '.join(waiting)}." if waiting else ""
            print_message(f"Time is up.{missing}")
        return status

    def _print_json(self, **fields: object) -> None:
        if self._as_json:
            print(json_line(fields), flush=True)

    def _print_line(self, line: str) -> None:
        if not self._as_json:
            print(line, flush=True)
