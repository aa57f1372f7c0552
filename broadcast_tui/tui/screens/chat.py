"""The chat screen: rooms, log, people, status and composer around one `AppState`.

The app hands batches of updates to `receive`. What the user does goes to the client; what only the app can
do (another name, the terminal's title, saved rooms, another server, quitting) is requested by messages.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import partial
from time import monotonic
from typing import ClassVar

from textual import events, getters, on
from textual.actions import SkipAction
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.geometry import Offset
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import TextArea

from broadcast_tui.client.requests import ClientRequests
from broadcast_tui.core.session.updates import ConnectionState, Update
from broadcast_tui.tui.commands.directs import follow_openings
from broadcast_tui.tui.commands.parser import CommandInput, InputError, PostInput, parse
from broadcast_tui.tui.completion_context import completion_context
from broadcast_tui.tui.invites import InviteMaker, link_to
from broadcast_tui.tui.keymap import active_key, bind
from broadcast_tui.tui.missing import request_missing
from broadcast_tui.tui.model.input.compose_mode import ComposeKind, ComposeMode
from broadcast_tui.tui.model.input.history import InputHistory
from broadcast_tui.tui.model.room import RoomModel
from broadcast_tui.tui.model.servers import Place, ServerSet
from broadcast_tui.tui.model.state import AppState, Changes
from broadcast_tui.tui.model.status import ShownElsewhere
from broadcast_tui.tui.model.transcript.transcript import Transcript
from broadcast_tui.tui.screens import chat_messages as messages
from broadcast_tui.tui.screens.history_loader import HistoryLoader
from broadcast_tui.tui.screens.one_layout import one_layout
from broadcast_tui.tui.screens.screen_context import ScreenContext
from broadcast_tui.tui.screens.server_display import OneServer, ServerDisplay
from broadcast_tui.tui.screens.side_lists import SideLists
from broadcast_tui.tui.screens.size_classes import SizeClasses
from broadcast_tui.tui.widgets.composer import Composer
from broadcast_tui.tui.widgets.composer_panel import ComposerPanel
from broadcast_tui.tui.widgets.conversation import Conversation
from broadcast_tui.tui.widgets.empty_state import EmptyState
from broadcast_tui.tui.widgets.key_dispatch import run_binding
from broadcast_tui.tui.widgets.key_footer import KeyFooter
from broadcast_tui.tui.widgets.member_list import MemberList
from broadcast_tui.tui.widgets.message_log import MessageLog
from broadcast_tui.tui.widgets.room_list import RoomList, room_rows
from broadcast_tui.tui.widgets.status_bar import StatusBar
from broadcast_tui.tui.widgets.toast import clear_toasts, show_toast

WIDTHS = [(0, "-narrow"), (60, "-medium"), (100, "-wide")]
HEIGHTS = [(0, "-low"), (8, "-short"), (20, "-tall"), (30, "-roomy")]
QUIT_AGAIN_S = 3.0
"""How long after the first Ctrl+C a second one quits."""


class ChatScreen(Screen[None]):
    """The rooms of one client. Updates from the server come in through `receive` only."""

    BLANK = True

    BINDINGS: ClassVar[list[BindingType]] = [
        # The bindings of the footer first, in the order shown.
        bind("app.show-help", "app.show_help"),
        bind("room.switch", "switch_room"),
        bind("people.toggle-list", "toggle_list('people')"),
        bind("app.quit-chat", "app.quit"),
        bind("app.open-palette", "app.command_palette"),
        bind("app.interrupt", "interrupt"),
        bind("app.leave-empty", "quit_when_repeated"),
        bind("app.reconnect-now", "reconnect_now"),
        bind("room.next", "step_room(1)"),
        bind("room.previous", "step_room(-1)"),
        bind("room.go-urgent", "go_to_urgent"),
        bind("room.go-last", "go_to_last"),
        *(bind(f"room.go-{n}", f"go_to_room({n})") for n in range(1, 10)),
        bind("room.toggle-list", "toggle_list('rooms')"),
    ]

    conversation = getters.query_one(Conversation)
    rooms = getters.query_one("#rooms", RoomList)
    people = getters.query_one("#people", MemberList)
    composer = getters.query_one("#composer", Composer)

    def __init__(
        self,
        client: ClientRequests,
        state: AppState,
        past: InputHistory | None = None,
        make_invite: InviteMaker = link_to,
        display: ServerDisplay | None = None,
    ) -> None:
        super().__init__()
        self._display = display or OneServer(client.url, state)
        self.servers: ServerSet = self._display.servers
        self.server = next(server for server in self.servers.all if server.state is state)
        self._size_classes = SizeClasses(self, WIDTHS, HEIGHTS)
        self._make_invite = make_invite
        self._client = client
        self._state = state
        self.context = ScreenContext(self, client, state, make_invite)
        self._past = InputHistory(room=state.rooms.shown_name) if past is None else past
        self.log_view = MessageLog(id="log")
        self.status = StatusBar(state, client.url, self.servers, self._shown_elsewhere, id="status")
        self._history = HistoryLoader(client, state, self.log_view)
        self._drawn_room: RoomModel | None = None
        self._posted_rooms: tuple[str, tuple[str, ...], str] = ("", (), "")
        """Arguments of the last `RoomsChanged`."""
        self._posted_unread: tuple[str, int, int, str] = ("", -1, -1, "")
        """Arguments of the last `UnreadChanged` and `NameTaken`."""
        self._quit_until = 0.0
        self._quit_key = 0
        """The composer's key count at the first request to quit."""
        self._was_displayed = False
        self._is_resizing = False
        """Whether the screen is being laid out for a new size, and painted only after that."""
        self.is_ready = False
        """Whether `receive` can be called."""
        self._before: ChatScreen | None = None
        """The screen that was displayed before this one, while this one is not ready."""

    def compose(self) -> ComposeResult:
        self._size_classes.set(self.app.size)
        complete = partial(completion_context, self._state, self.context.theme_host)
        panel = ComposerPanel(
            self._state, complete, self._past, self.status, read_only=self._client.read_only
        )
        conversation = Conversation(
            self._state,
            self.log_view,
            self._history,
            panel,
            empty=EmptyState(self._state, self._client.url, self._make_invite, id="empty"),
            left=RoomList(id="rooms"),
            right=MemberList(id="people"),
        )
        if self._client.read_only:
            from broadcast_tui.tui.replay.controls import with_controls

            yield with_controls(self._client, conversation)
        else:
            yield conversation
        yield KeyFooter()

    def on_screen_resume(self, event: events.ScreenResume) -> None:
        # Mounting has styled all widgets already.
        event.refresh_styles = self._was_displayed
        self._was_displayed = True

    def on_screen_suspend(self) -> None:
        # A dialog shows the current toasts again, in a place of their own.
        self.query("ToastHolder").remove()

    async def on_resize(self, event: events.Resize) -> None:
        """Lay out the screen for a new size, in place of Textual's handler, and then paint it separately."""
        event.prevent_default()
        # The event may be Textual's report of an earlier size, after a layout for that.
        size, before = self.app.size, self.outer_size
        if not self._size_classes.update(size) and size == before:
            return
        self._is_resizing = True
        try:
            with one_layout():
                self._screen_resized(size)
            for _ in range(2):  # in each turn, the event loop handles input and timers last
                await asyncio.sleep(0)
        finally:
            self._is_resizing = False
        # The requests to paint the resized widgets are handled before that.
        self.call_later(self._compositor_refresh)
        if size != before:
            self._repaint_required = False  # that was a request to paint all of it once more

    def _compositor_refresh(self) -> None:
        if not self._is_resizing:
            super()._compositor_refresh()

    def on_mount(self) -> None:
        self._state.rooms.unread_key = active_key(self.app, "log.go-unread")
        self._state.help_key = active_key(self.app, "app.show-help")
        self.conversation.get_actor = lambda: self.context.post_context
        self.conversation.answer_key = active_key(self.app, "log.answer-question")
        state = self._state
        self._lists = SideLists(self, state.settings, self.refresh_views)
        self._ticks = self.set_interval(1.0, self._tick, pause=True)
        self.watch(self.app, "app_focus", self._focus_changed, init=False)
        self.is_ready = True
        # The user may have left while the screen was opening: then some widgets are never mounted.
        if self.query(Composer):
            self.composer.focus()
            if self._before is None:
                self.refresh_views(people=True)
            else:
                self.bring_back(self._before)
                self._before = None

    # Updates from the client

    @property
    def is_displayed(self) -> bool:
        """Whether the user sees this server; otherwise nothing is drawn."""
        return self.servers.shown is self.server

    def receive(self, batch: Iterable[Update]) -> Changes:
        """Apply updates from the client, then show all changes at once."""

        def open_at_unread() -> None:
            self._history.open_at_unread()
            self.refresh_views()

        changes = self._state.apply(batch, monotonic(), datetime.now(UTC))
        request_missing(self._client, self._state, changes)
        follow_openings(self._client, self._state, self.context, changes.directs)
        for error in changes.errors:
            self.context.warn(error)
        for refused in changes.rejected:
            self.context.post_context.handle_rejected_post(refused)
        if self.is_displayed:
            self._history.follow()
            if changes.opened:
                self.call_after_refresh(open_at_unread)
            self.refresh_views(people=changes.people)
        self.context.search.follow()
        self.context.post_context.follow()
        self.context.commands.follow()
        for note in changes.rejected_notes:
            self.context.post_context.handle_rejected(note)
        return changes

    # What the user writes

    def fill(self, text: str) -> None:
        """Put the beginning of a command into the composer, unless it has other text."""
        if not self.composer.text.strip():
            self.composer.put(text)
        self.composer.focus()

    def submit(self, text: str, mode: ComposeMode | None = None) -> bool:
        """Send a post or execute a command, as if it had been typed; false if it was rejected.

        With `mode`, what would be posted is a reply or an edit.
        """
        self.context.mode = mode
        try:
            match parse(text, kiosk=self._state.is_kiosk):
                case PostInput(text=post):
                    self.context.say(post)
                case CommandInput(command=command, argument=argument):
                    return self.context.commands.execute(command, argument)
                case InputError(text=why):
                    self.context.warn(why)
                    return False
            return True
        finally:
            self.context.mode = None

    @on(Composer.Submitted)
    def submit_pending(self) -> None:
        """Submit the entered texts in the room where they were written; call this before switching rooms."""
        submitted = self.composer.take_submitted()
        if submitted:
            clear_toasts(self)  # they are about earlier inputs
        for submission in submitted:
            if self.submit(submission.text, submission.mode):
                self.composer.remember(submission.text)
            else:
                self.composer.reject(submission)

    @on(TextArea.Changed, "#composer")
    def send_typing(self) -> None:
        text = self.composer.text
        if text:
            self._quit_until = 0.0
        self.status.refresh_status()
        is_online = self._state.connection.state is ConnectionState.ONLINE
        mode = self.composer.drafts.mode
        is_edit = mode is not None and mode.kind is ComposeKind.EDIT
        is_new = text.strip() and not text.startswith("/") and not is_edit
        if is_new and is_online and not self.composer.drafts.is_restored:
            self._client.send_typing(self._state.rooms.shown_name)

    async def on_key(self, event: events.Key) -> None:
        """Keys typed anywhere go to the composer; without a focus, the bindings of the conversation apply."""
        has_focus = self.focused is not None
        await self.conversation.type_key(event)
        if not has_focus and self.focused is None:
            self.conversation.focus_default()
            await run_binding(self, event)

    def on_paste(self, event: events.Paste) -> None:
        self.conversation.paste(event)

    @on(Conversation.SearchRequested)
    def search_server(self, event: Conversation.SearchRequested) -> None:
        self.context.search.open(event.query)

    def unsent(self, *, at_end: bool = False) -> dict[str, str]:
        """The unsent texts by room; `at_end`: what drafts cannot contain goes to the history."""
        if not self.query(Composer):
            return {}
        drafts = self.composer.drafts
        return drafts.finish() if at_end else drafts.texts()

    # Rooms

    def show_place(self, place: Place | None) -> None:
        """Show a joined room of any server, on that server's screen; None: the one that is displayed."""
        self.submit_pending()
        if place is not None and place.room in place.server.state.rooms.joined:
            self.servers.show(place, datetime.now(UTC))
        if self.is_displayed:
            self.refresh_views()
        else:
            self._display.display(self.servers.shown)

    @on(RoomList.RoomChosen)
    @on(RoomList.ServerChosen)
    @on(MessageLog.RoomClicked)
    def show_chosen_room(
        self, event: RoomList.RoomChosen | RoomList.ServerChosen | MessageLog.RoomClicked
    ) -> None:
        match event:
            case RoomList.RoomChosen():
                self.action_go_to_room(event.number)
            case RoomList.ServerChosen():
                self.show_place(self.servers.place_of(self.servers.all[event.index]))
            case MessageLog.RoomClicked():
                self.submit(f"/join {event.room}")

    @on(MemberList.PersonChosen)
    def show_chosen_person(self, event: MemberList.PersonChosen) -> None:
        self.submit(f"/query {event.name}")

    def action_step_room(self, step: int) -> None:
        self.submit_pending()
        self.show_place(self.servers.adjacent(step))

    def action_go_to_room(self, number: int) -> None:
        self.submit_pending()
        self.show_place(self.servers.by_number(number))

    def action_go_to_last(self) -> None:
        self.submit_pending()
        self.show_place(self.servers.previous())

    def action_go_to_urgent(self) -> None:
        self.submit_pending()
        if not self.servers.show_urgent(datetime.now(UTC)):
            show_toast(self, "No unread posts in other rooms", 3)
        self.show_place(None)

    def action_switch_room(self) -> None:
        """Open the switcher with the known rooms, and request the lists of the servers' rooms."""
        from broadcast_tui.tui.screens.switcher import SwitcherScreen, choices_of, chosen

        def go(value: str | None) -> None:
            if value is None:
                return
            server, room = chosen(value, self.servers)
            if room in server.state.rooms.joined:
                self.show_place(Place(server, room))
            elif server is self.server:
                self.submit(f"/join {room}")
            else:
                self.submit_pending()
                self._display.join(Place(server, room))

        self._display.list_rooms()
        self.app.push_screen(SwitcherScreen(choices_of(self.servers)), go)

    # Other actions

    def action_interrupt(self) -> None:
        """Ctrl+C: copy the selection, or clear the composer, or quit when pressed again."""
        if self.conversation.copy_selected():
            return
        if self.composer.text:
            self._quit_until = 0.0
            self.composer.stash()
        else:
            self.action_quit_when_repeated()

    def action_quit_when_repeated(self) -> None:
        if self.composer.text:
            raise SkipAction
        # No other key may be pressed in between.
        if monotonic() < self._quit_until and self.composer.key_count <= self._quit_key + 1:
            self.context.quit_chat()
            return
        self._quit_until, self._quit_key = monotonic() + QUIT_AGAIN_S, self.composer.key_count
        show_toast(self, "Press again to quit", QUIT_AGAIN_S)

    def action_reconnect_now(self) -> None:
        self._client.reconnect_now()

    def action_toggle_list(self, name: str) -> None:
        """Show a list, `people` or `rooms`, if it is hidden, and hide it otherwise."""
        self._lists.toggle(name)
        self.call_after_refresh(self.status.refresh_status)

    def _shown_elsewhere(self) -> ShownElsewhere:
        """What the status line need not say."""
        header = self.conversation.header.display
        return ShownElsewhere(header, self.rooms.display, header or self.people.display)

    # What the log reports. By the time a message arrives, another room may be displayed: ask the log.

    @on(MessageLog.UnseenChanged)
    def count_unseen(self) -> None:
        self._state.rooms.unseen = self.log_view.unseen
        self.refresh_views()

    @on(MessageLog.EndChanged)
    def follow_end(self) -> None:
        self._state.rooms.set_at_end(self.log_view.is_following)
        self.refresh_views()

    @on(MessageLog.TopReached)
    def load_older(self) -> None:
        """Show cleared lines again, or else fetch older posts."""
        transcript = self._state.rooms.shown.transcript
        if transcript.has_cleared:
            transcript.restore_cleared()
            self.refresh_views()
        else:
            self._history.fetch_older()

    def get_widget_and_offset_at(self, x: int, y: int) -> tuple[Widget | None, Offset | None]:
        """The widget under the mouse; a drag that began in the log never leaves it."""
        state = self._select_state
        if self._selecting and state is not None and state.start.content_widget is self.log_view:
            x, y = self.log_view.highlights.nearest_cell(x, y)
        return super().get_widget_and_offset_at(x, y)

    # Showing the state

    def refresh_views(self, *, people: bool = False) -> None:
        """Show the state; with `people`, update the member list too."""
        if not self.is_displayed:
            return
        state, view = self._state, self._state.rooms.shown
        people |= self._refresh_room()
        rows = self.log_view.rows
        if rows.set_own_name(state.name) | rows.set_rooms(state.rooms.joined, state.known_rooms):
            self.log_view.refresh()
        self.log_view.refresh_lines()
        self.status.refresh_status()
        self._arm_ticks()
        if people:
            is_known = state.is_online and view.entered
            online = view.online if is_known else None
            hues = view.transcript.hues
            known_count = hues.count
            self.people.show(state.member_list(), online, hues)
            if hues.count > known_count:  # mentions of them have a color now
                self.log_view.rows.clear()
                self.log_view.refresh()
        self.conversation.refresh_header()
        self.conversation.refresh_bar()
        self._report_changes()

    def _refresh_room(self) -> bool:
        """Update log, composer and room list; returns whether another room is displayed now."""
        state, view = self._state, self._state.rooms.shown
        has_changed = view is not self._drawn_room
        if has_changed:
            self._drawn_room = view
            self.composer.enter_room(state.rooms.shown_name)
            self.log_view.show(view.transcript, view.unread)
            state.rooms.unseen = self.log_view.unseen
            if not view.reading.begins_above:
                state.rooms.set_at_end(self.log_view.is_following)
        # After the log: the posts that it displays are no longer unread.
        self._refresh_room_list()
        rooms = (self._client.url, tuple(state.rooms.joined), state.rooms.shown_name)
        if rooms != self._posted_rooms:
            self._posted_rooms = rooms
            self.post_message(messages.RoomsChanged(*rooms))
        if has_changed:
            self._history.room_changed()
            self.conversation.end()
        return has_changed

    def refresh_overview(self) -> None:
        """Show what has changed on other servers."""
        self._refresh_room_list()
        self.status.refresh_status()
        self._report_changes()

    def _refresh_room_list(self) -> None:
        """Show the rooms of all servers, and where a message goes."""
        server = self.servers.label(self.server)
        message = f"Message {self._state.rooms.shown.label}{f' on {server}' if server else ''}"
        self.composer.set_hint(self._client.hint or message)
        self.rooms.show(room_rows(self.servers))
        self.rooms.set_class(len(self.servers.places) > 1, "-several")

    def _report_changes(self) -> None:
        """Tell the app about a new name and new numbers of unread posts."""
        state, servers = self._state, self.servers
        label = " · ".join(filter(None, (state.rooms.shown.label, servers.label(self.server))))
        current = (label, servers.unread, servers.mention_count, state.name)
        if current != self._posted_unread:
            if state.name != self._posted_unread[3]:
                self.post_message(messages.NameTaken(self._client.url, state.name))
            self._posted_unread = current
            self.post_message(messages.UnreadChanged(label, servers.unread, servers.mention_count))

    def take_key(self, event: events.Key) -> None:
        """Accept a key that was typed after the user had gone to this server from another one."""
        (self.focused or self).post_message(events.Key(event.key, event.character))

    def put_away(self) -> None:
        """Show nothing until `bring_back`: another server is displayed now."""
        self.conversation.end()
        self.conversation.leave_bare()
        self.clear_selection()
        self.log_view.show(Transcript())
        self._drawn_room = None
        self._ticks.pause()

    def bring_back(self, before: ChatScreen) -> None:
        """Show the displayed room, and the lists as on the screen `before`, now or once this one is ready."""
        if not self.is_ready:
            self._before = before
            return
        for name in ("-rooms-off", "-rooms-on", "-people-off", "-people-on"):
            self.set_class(before.has_class(name), name)
        self._posted_unread = ("", -1, -1, self._posted_unread[3])
        self.refresh_views(people=True)

    def _focus_changed(self, focused: bool) -> None:
        if self.is_displayed:
            self.servers.set_focused(focused, datetime.now(UTC))
            self.refresh_views()

    def _tick(self) -> None:
        """Called once a second while something counts down."""
        if self._state.tick(monotonic(), datetime.now(UTC)):
            self.log_view.follow()
        self.status.refresh_status()
        self._arm_ticks()

    def _arm_ticks(self) -> None:
        waiting = self._state.connection.retry_at is not None or self._state.rooms.ignored.is_timed
        if waiting or self._state.rooms.shown.typing(monotonic()):
            self._ticks.resume()
        else:
            self._ticks.pause()
