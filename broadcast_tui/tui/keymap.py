"""The table of all key bindings: id (`area.verb-noun`), default keys and description.

Bindings, footer and help screen are generated from it. Users override keys by id.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msgspec
from textual.app import App
from textual.binding import Binding


class KeyRow(msgspec.Struct, frozen=True):
    """One key binding. `keys` are in Textual's spelling, separated by commas; the first one is displayed."""

    id: str
    keys: str
    text: str
    footer: str = ""
    """Label in the footer; empty: not in the footer."""
    shown: str = ""
    """How the help screen writes the keys, if shorter; `-`: another row describes this one too."""
    in_kiosk: bool = True
    """Whether the help of a kiosk lists it."""

    @property
    def area(self) -> str:
        return self.id.partition(".")[0]


AREAS = {
    "app": "Everywhere",
    "composer": "Writing",
    "search": "Searching the input history (Ctrl+R)",
    "log": "Reading",
    "room": "Rooms",
    "pick": "Selected post",
    "find": "Finding",
    "people": "People",
    "replay": "Watching a replay (on an empty line)",
}
"""Areas in the order of the help screen, with their headings."""

KEYS: tuple[KeyRow, ...] = (
    KeyRow("app.show-help", "f1", "This help", "Help"),
    KeyRow(
        "app.open-palette",
        "ctrl+g",
        "All commands and themes",
        "Commands",
    ),
    KeyRow("app.open-settings", "f6", "Settings"),
    KeyRow("app.quit-chat", "ctrl+q", "Quit", "Quit"),
    KeyRow("app.interrupt", "ctrl+c,super+c", "Copy the selection, or clear the input, or (twice) quit"),
    KeyRow("app.leave-empty", "ctrl+d", "Quit (twice, on an empty line)"),
    KeyRow("app.suspend-process", "ctrl+z", "Suspend; `fg` resumes", in_kiosk=False),
    KeyRow("app.redraw-screen", "ctrl+l", "Redraw the screen"),
    KeyRow("app.reconnect-now", "f5", "Reconnect now"),
    KeyRow("composer.send-post", "enter", "Send"),
    KeyRow("composer.insert-newline", "alt+enter,shift+enter,ctrl+j", "New line"),
    KeyRow("composer.complete-word", "tab", "Complete a name, command, room or emoji; again: the next"),
    KeyRow("composer.complete-back", "shift+tab", "Previous completion"),
    KeyRow("composer.close-list", "escape", "Close the completion list; cancel a reply or an edit"),
    KeyRow("composer.move-up", "up", "Line up; edit your last post (empty input), then the previous input"),
    KeyRow("composer.move-down", "down", "Line down; on the last line the next input, at last the draft"),
    KeyRow("composer.recall-older", "ctrl+up", "Previous input in any room"),
    KeyRow("composer.recall-newer", "ctrl+down", "Next input in any room"),
    KeyRow("composer.search-history", "ctrl+r", "Search the input history"),
    KeyRow("composer.insert-last-word", "alt+full_stop", "Insert the last word sent; again: the one before"),
    KeyRow("composer.open-editor", "ctrl+x", "Edit in an external editor ($VISUAL, $EDITOR)", in_kiosk=False),
    KeyRow("composer.move-left", "left,ctrl+b", "Character left"),
    KeyRow("composer.move-right", "right", "Character right"),
    KeyRow("composer.move-word-left", "alt+b,ctrl+left", "Word left"),
    KeyRow("composer.move-word-right", "alt+f,ctrl+right", "Word right"),
    KeyRow("composer.move-line-start", "ctrl+a,home", "Start of the line"),
    KeyRow("composer.move-line-end", "ctrl+e,end", "End of the line"),
    KeyRow("composer.select-left", "shift+left", "Select one character left"),
    KeyRow("composer.select-right", "shift+right", "Select one character right"),
    KeyRow("composer.select-word-left", "ctrl+shift+left", "Select one word left"),
    KeyRow("composer.select-word-right", "ctrl+shift+right", "Select one word right"),
    KeyRow("composer.select-line-start", "shift+home", "Select to the start of the line"),
    KeyRow("composer.select-line-end", "shift+end", "Select to the end of the line"),
    KeyRow("composer.delete-left", "backspace,ctrl+h", "Delete the character before the cursor"),
    KeyRow("composer.delete-right", "ctrl+d,delete", "Delete the character at the cursor"),
    KeyRow("composer.cut-blank-word", "ctrl+w", "Cut back to the previous space"),
    KeyRow("composer.cut-word-left", "alt+backspace,ctrl+backspace", "Cut the word before the cursor"),
    KeyRow("composer.cut-word-right", "alt+d,alt+delete,ctrl+delete", "Cut the word after the cursor"),
    KeyRow("composer.cut-line-start", "ctrl+u", "Cut to the start of the line"),
    KeyRow("composer.cut-line-end", "ctrl+k", "Cut to the end of the line"),
    KeyRow("composer.paste-cut", "ctrl+y", "Paste the last cut text"),
    KeyRow("composer.paste-older-cut", "alt+y", "Right after that: replace it by the cut before"),
    KeyRow("composer.paste-copied", "ctrl+v", "Paste text copied in this program"),
    KeyRow("composer.swap-characters", "ctrl+t", "Swap the two characters around the cursor"),
    KeyRow("composer.undo-edit", "ctrl+underscore,ctrl+minus", "Undo"),
    KeyRow("composer.redo-edit", "alt+underscore,alt+minus", "Redo"),
    KeyRow("search.find-older", "ctrl+r,up", "Next older match"),
    KeyRow("search.find-newer", "ctrl+s,down", "Next newer match"),
    KeyRow("search.take-found", "enter,tab", "Accept the match; it is not sent"),
    KeyRow("search.rub-out", "backspace,ctrl+h", "Delete a character"),
    KeyRow("search.clear-query", "ctrl+u,ctrl+w", "Clear the search"),
    KeyRow("search.go-back", "escape,ctrl+c,ctrl+g", "Cancel the search"),
    KeyRow("log.page-up", "pageup", "Page up"),
    KeyRow("log.page-down", "pagedown", "Page down"),
    KeyRow("log.line-up", "shift+up", "Line up"),
    KeyRow("log.line-down", "shift+down", "Line down"),
    KeyRow("log.go-top", "ctrl+home,alt+home", "Oldest loaded post"),
    KeyRow("log.go-bottom", "escape,ctrl+end,alt+end,end", "Newest post; again to remove the unread line"),
    KeyRow("log.go-unread", "alt+u", "First unread post"),
    KeyRow("log.previous-mention", "alt+p", "Previous mention"),
    KeyRow("log.next-mention", "alt+n", "Next mention"),
    KeyRow("log.unfold-post", "alt+o", "Unfold the next long post in view; fold all again"),
    KeyRow("log.show-presence", "alt+j", "Join and leave lines: automatic, everyone, nobody"),
    KeyRow(
        "room.switch",
        "alt+k,ctrl+k",
        "Find a room by part of its name (Ctrl+K on an empty line)",
        "Rooms",
    ),
    KeyRow("room.next", "ctrl+n,alt+right", "Next room"),
    KeyRow("room.previous", "ctrl+p,alt+left", "Previous room"),
    KeyRow("room.go-urgent", "alt+a", "Next room with a mention, or with unread posts; then back"),
    KeyRow("room.go-last", "alt+slash", "Last visited room"),
    *(
        KeyRow(f"room.go-{n}", f"alt+{n}", "Go to a room by number", shown="Alt+1 … Alt+9" if n == 1 else "-")
        for n in range(1, 10)
    ),
    KeyRow("room.toggle-list", "f7", "Show or hide the room list"),
    KeyRow(
        "log.pick-post",
        "alt+up",
        "Select a post: reply, react, edit, delete, pin, copy, open its link",
        "Reply, React",
    ),
    KeyRow("log.answer-question", "alt+r", "Answer the newest open question"),
    KeyRow("log.find-text", "ctrl+f,ctrl+s", "Find in this room as you type"),
    KeyRow("log.show-bare", "alt+l", "Show only text, for the terminal's own selection"),
    KeyRow("log.toggle-mouse", "alt+m", "Turn mouse support off or on"),
    KeyRow("pick.move-older", "k,up,alt+up", "Previous post"),
    KeyRow("pick.move-newer", "j,down,alt+down", "Next post"),
    KeyRow("pick.page-older", "pageup", "Page up"),
    KeyRow("pick.page-newer", "pagedown", "Page down"),
    KeyRow("pick.go-first", "g,home", "Oldest loaded post"),
    KeyRow("pick.go-last", "G,end", "Newest post"),
    KeyRow("pick.match-older", "n", "Next older match of a search"),
    KeyRow("pick.match-newer", "N", "Next newer match of a search"),
    KeyRow("pick.reply-post", "r", "Reply"),
    KeyRow("pick.show-thread", "t", "Show the thread: the first post and its replies"),
    KeyRow("pick.react-post", "plus", "React with an emoji; the same one again removes it"),
    KeyRow("pick.answer-question", "a", "Answer the question"),
    KeyRow("pick.edit-post", "e", "Edit your own post"),
    KeyRow("pick.delete-post", "d", "Delete your own post; admins can delete any"),
    KeyRow("pick.pin-post", "p", "Pin, or unpin"),
    KeyRow("pick.copy-text", "y", "Copy the text"),
    KeyRow("pick.copy-stamped", "Y", "Copy with time and name"),
    KeyRow("pick.open-link", "o", "Open the link; again for the next one"),
    KeyRow("pick.inspect-post", "i", "Inspect: exact time, id, hidden characters"),
    KeyRow("pick.leave-picking", "escape", "Back to the input; typing does the same"),
    KeyRow("find.step-older", "up,ctrl+f", "Next older match"),
    KeyRow("find.step-newer", "down", "Next newer match"),
    KeyRow("find.stay-here", "enter", "Stop at this match; n and N continue"),
    KeyRow("find.go-back", "escape", "Cancel and go back"),
    KeyRow("people.toggle-list", "f8", "Show or hide the member list", "Who"),
    KeyRow("replay.toggle-pause", "space", "Pause, or go on; at the end, begin again"),
    KeyRow("replay.step-back", "left", "Step back"),
    KeyRow("replay.step-on", "right", "Step on"),
    KeyRow("replay.go-start", "home", "Go to the start"),
    KeyRow("replay.go-end", "end", "Go to the end"),
    KeyRow("replay.play-faster", "plus", "Play twice as fast"),
    KeyRow("replay.play-slower", "minus", "Play half as fast"),
)

_ROWS = {row.id: row for row in KEYS}

FIRST_KEYS = (
    "composer.send-post",
    "composer.insert-newline",
    "composer.complete-word",
    "composer.move-up",
    "log.pick-post",
    "log.page-up",
    "log.go-bottom",
    "log.go-unread",
    "log.find-text",
    "room.switch",
    "room.go-1",
    "room.go-urgent",
    "people.toggle-list",
    "app.open-palette",
    "app.quit-chat",
)
"""What to know first, in the order of the help screen; few enough for a page of 24 rows."""


def bind(id: str, action: str, *, priority: bool = False) -> Binding:
    """A binding of the keys of row `id` to `action`. Raises KeyError for an unknown id."""
    row = _ROWS[id]
    return Binding(
        row.keys,
        action,
        row.footer or row.text,
        show=bool(row.footer),
        priority=priority,
        tooltip=row.text,
        id=id,
    )


def active_key(app: App[Any], id: str) -> str:
    """The first key of row `id` as displayed: the user's own key if there is one."""
    return shown_key(active_keys(app, id)[0])


def active_keys(app: App[Any], id: str) -> list[str]:
    """The keys of row `id` in Textual's spelling: the user's own keys if there are any."""
    return (app._keymap.get(id) or _ROWS[id].keys).split(",")


def shown_key(key: str) -> str:
    """A key as displayed: `ctrl+a` is Ctrl+A, `pageup` is PgUp; a single letter stays as it is."""
    names = {
        "pageup": "PgUp",
        "pagedown": "PgDn",
        "escape": "Esc",
        "underscore": "_",
        "delete": "Del",
        "minus": "-",
        "full_stop": ".",
        "slash": "/",
        "plus": "+",
    }
    if len(key) == 1:
        return key
    parts = [names.get(part, part.capitalize()) for part in key.split("+")]
    return "+".join(parts)


def shown_keys(keys: str) -> str:
    """The first two of some keys, as displayed."""
    return ", ".join([shown_key(key) for key in keys.split(",") if "super" not in key][:2])


def key_help(
    overrides: Mapping[str, str] = MappingProxyType({}), *, kiosk: bool = False
) -> list[tuple[str, list[tuple[str, str]]]]:
    """Headings of the areas with their rows of (keys, text), in the order of the table.

    Args:
        overrides: The user's own keys by id, as for `App.set_keymap`.
    """
    return [
        (
            heading,
            [
                (_shown(row, overrides), row.text)
                for row in KEYS
                if row.area == area
                and (row.shown != "-" or row.id in overrides)
                and (row.in_kiosk or not kiosk)
            ],
        )
        for area, heading in AREAS.items()
    ]


def first_keys(overrides: Mapping[str, str] = MappingProxyType({})) -> list[tuple[str, str]]:
    """The keys to know first, as rows of (keys, text). See `key_help`."""
    return [(_shown(_ROWS[id], overrides), _ROWS[id].text) for id in FIRST_KEYS]


def _shown(row: KeyRow, overrides: Mapping[str, str]) -> str:
    return shown_keys(overrides[row.id]) if row.id in overrides else row.shown or shown_keys(row.keys)
