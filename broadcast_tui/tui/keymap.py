"""Every key of the chat in one table: id (`area.verb-noun`) to default keys and what it does.

Bindings, footer and help screen are made from it; an id is what a user's own key table overrides.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msgspec
from textual.app import App
from textual.binding import Binding


class KeyRow(msgspec.Struct, frozen=True):
    """One row: `keys` in Textual's spelling, separated by commas, the first one shown to people."""

    id: str
    keys: str
    text: str
    footer: str = ""
    """The short word for it in the footer; not shown there if empty."""
    shown: str = ""
    """How help writes the keys, where that is shorter; `-`: not at all, another row speaks for this one."""

    @property
    def area(self) -> str:
        return self.id.partition(".")[0]


AREAS = {
    "app": "Everywhere",
    "composer": "Writing",
    "search": "Searching what was typed (Ctrl+R)",
    "log": "Reading",
    "room": "Rooms",
    "pick": "On a picked post",
    "find": "Finding",
    "people": "People",
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
    KeyRow("app.quit-chat", "ctrl+q", "Leave the chat", "Quit"),
    KeyRow("app.interrupt", "ctrl+c,super+c", "Copy the selection, else clear the line, else ask to quit"),
    KeyRow("app.leave-empty", "ctrl+d", "On an empty line ask to quit"),
    KeyRow("app.suspend-process", "ctrl+z", "Back to the shell; `fg` returns"),
    KeyRow("app.redraw-screen", "ctrl+l", "Draw the screen anew"),
    KeyRow("app.reconnect-now", "f5", "Do not wait for the next try to connect"),
    KeyRow("composer.send-post", "enter", "Send"),
    KeyRow("composer.insert-newline", "alt+enter,shift+enter,ctrl+j", "New line"),
    KeyRow("composer.complete-word", "tab", "Complete a name, command, room or emoji, then the next one"),
    KeyRow("composer.complete-back", "shift+tab", "The completion before"),
    KeyRow("composer.close-list", "escape", "Close the list of completions"),
    KeyRow("composer.move-up", "up", "Line up; on the first line what was sent here before"),
    KeyRow("composer.move-down", "down", "Line down; on the last line back to the draft"),
    KeyRow("composer.recall-older", "ctrl+up", "What was sent before, in whatever room"),
    KeyRow("composer.recall-newer", "ctrl+down", "What was sent after, in whatever room"),
    KeyRow("composer.search-history", "ctrl+r", "Search what was typed"),
    KeyRow("composer.insert-last-word", "alt+full_stop", "Put in the last word sent, then the one before"),
    KeyRow("composer.open-editor", "ctrl+x", "Write in an editor of your own ($VISUAL, $EDITOR)"),
    KeyRow("composer.move-left", "left,ctrl+b", "Character left"),
    KeyRow("composer.move-right", "right", "Character right"),
    KeyRow("composer.move-word-left", "alt+b,ctrl+left", "Word left"),
    KeyRow("composer.move-word-right", "alt+f,ctrl+right", "Word right"),
    KeyRow("composer.move-line-start", "ctrl+a,home", "Start of the line"),
    KeyRow("composer.move-line-end", "ctrl+e,end", "End of the line"),
    KeyRow("composer.select-left", "shift+left", "Select to the left"),
    KeyRow("composer.select-right", "shift+right", "Select to the right"),
    KeyRow("composer.select-word-left", "ctrl+shift+left", "Select a word to the left"),
    KeyRow("composer.select-word-right", "ctrl+shift+right", "Select a word to the right"),
    KeyRow("composer.select-line-start", "shift+home", "Select to the start of the line"),
    KeyRow("composer.select-line-end", "shift+end", "Select to the end of the line"),
    KeyRow("composer.delete-left", "backspace,ctrl+h", "Delete the character to the left"),
    KeyRow("composer.delete-right", "ctrl+d,delete", "Delete the character to the right"),
    KeyRow("composer.cut-blank-word", "ctrl+w", "Cut back to the last blank"),
    KeyRow("composer.cut-word-left", "alt+backspace,ctrl+backspace", "Cut the word to the left"),
    KeyRow("composer.cut-word-right", "alt+d,alt+delete,ctrl+delete", "Cut the word to the right"),
    KeyRow("composer.cut-line-start", "ctrl+u", "Cut to the start of the line"),
    KeyRow("composer.cut-line-end", "ctrl+k", "Cut to the end of the line"),
    KeyRow("composer.paste-cut", "ctrl+y", "Put back what was cut"),
    KeyRow("composer.paste-older-cut", "alt+y", "Right after that: put back the cut before instead"),
    KeyRow("composer.paste-copied", "ctrl+v", "Put in what was copied here"),
    KeyRow("composer.swap-characters", "ctrl+t", "Swap the two characters at the cursor"),
    KeyRow("composer.undo-edit", "ctrl+underscore,ctrl+minus", "Undo"),
    KeyRow("composer.redo-edit", "alt+underscore,alt+minus", "Redo"),
    KeyRow("search.find-older", "ctrl+r,up", "The next older one"),
    KeyRow("search.find-newer", "ctrl+s,down", "The next newer one"),
    KeyRow("search.take-found", "enter,tab", "Take it into the input, unsent"),
    KeyRow("search.rub-out", "backspace,ctrl+h", "A letter less"),
    KeyRow("search.clear-query", "ctrl+u,ctrl+w", "Search anew"),
    KeyRow("search.go-back", "escape,ctrl+c,ctrl+g", "Back to what was there"),
    KeyRow("log.page-up", "pageup", "A page up"),
    KeyRow("log.page-down", "pagedown", "A page down"),
    KeyRow("log.line-up", "shift+up", "A line up"),
    KeyRow("log.line-down", "shift+down", "A line down"),
    KeyRow("log.go-top", "ctrl+home,alt+home", "The oldest post held"),
    KeyRow("log.go-bottom", "escape,ctrl+end,alt+end,end", "The newest post; there, drop the unread line"),
    KeyRow("log.go-unread", "alt+u", "The first unread post"),
    KeyRow("log.previous-mention", "alt+p", "The mention of you before"),
    KeyRow("log.next-mention", "alt+n", "The next mention of you"),
    KeyRow("log.unfold-post", "alt+o", "Show a long post in full; once all are, fold them"),
    KeyRow("log.show-presence", "alt+j", "Join and leave lines: of those who spoke lately, of all, none"),
    KeyRow(
        "room.switch",
        "alt+k,ctrl+k",
        "Go to a room by some of its letters (Ctrl+K on an empty line)",
        "Rooms",
    ),
    KeyRow("room.next", "ctrl+n,alt+right", "The next room"),
    KeyRow("room.previous", "ctrl+p,alt+left", "The room before"),
    KeyRow("room.go-urgent", "alt+a", "A room that mentions you, else an unread one, at last back"),
    KeyRow("room.go-last", "alt+slash", "The room you were in last"),
    *(
        KeyRow(f"room.go-{n}", f"alt+{n}", "Your rooms by number", shown="Alt+1 … Alt+9" if n == 1 else "-")
        for n in range(1, 10)
    ),
    KeyRow("room.toggle-list", "f7", "Show or hide your rooms"),
    KeyRow("log.pick-post", "alt+up", "Pick a post: to copy, answer, inspect, open its link"),
    KeyRow("log.find-text", "ctrl+f,ctrl+s", "Find in this room as you type"),
    KeyRow("log.show-bare", "alt+l", "The text alone, for the terminal's own selection"),
    KeyRow("log.toggle-mouse", "alt+m", "Leave the mouse to the terminal, or take it back"),
    KeyRow("pick.move-older", "k,up,alt+up", "The post above"),
    KeyRow("pick.move-newer", "j,down,alt+down", "The post below"),
    KeyRow("pick.page-older", "pageup", "A page up"),
    KeyRow("pick.page-newer", "pagedown", "A page down"),
    KeyRow("pick.go-first", "g,home", "The oldest post held"),
    KeyRow("pick.go-last", "G,end", "The newest post"),
    KeyRow("pick.match-older", "n", "The next older match, after finding"),
    KeyRow("pick.match-newer", "N", "The next newer match, after finding"),
    KeyRow("pick.copy-text", "y", "Copy its text"),
    KeyRow("pick.copy-stamped", "Y", "Copy it with time and name"),
    KeyRow("pick.open-link", "o", "Open its link; again for the next one"),
    KeyRow("pick.answer-sender", "r", "Answer: its sender's name begins the input"),
    KeyRow("pick.inspect-post", "i", "Inspect: full time, id, hidden characters"),
    KeyRow("pick.leave-picking", "escape", "Back to the input; so does typing anything else"),
    KeyRow("find.step-older", "up,ctrl+f", "The next older match"),
    KeyRow("find.step-newer", "down", "The next newer match"),
    KeyRow("find.stay-here", "enter", "Stay at this match; n and N go on"),
    KeyRow("find.go-back", "escape", "Back to where you were"),
    KeyRow("people.toggle-list", "f8", "Show or hide who is here", "Who"),
)

_ROWS = {row.id: row for row in KEYS}


def bind(id: str, action: str, *, priority: bool = False) -> Binding:
    """The binding of row `id` to `action`. KeyError if the table has no such row."""
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


def key_in_force(app: App[Any], id: str) -> str:
    """The first key of row `id` as people write it: the user's own in `app`, if there is one."""
    keys = app._keymap.get(id) or _ROWS[id].keys
    return shown_key(keys.partition(",")[0])


def shown_key(key: str) -> str:
    """A key as people write it: `ctrl+a` is Ctrl+A, `pageup` is PgUp; a letter alone stays as it is."""
    names = {
        "pageup": "PgUp",
        "pagedown": "PgDn",
        "escape": "Esc",
        "underscore": "_",
        "delete": "Del",
        "minus": "-",
        "full_stop": ".",
        "slash": "/",
    }
    if len(key) == 1:
        return key
    parts = [names.get(part, part.capitalize()) for part in key.split("+")]
    return "+".join(parts)


def shown_keys(keys: str) -> str:
    """The first two of some keys, as people write them."""
    return ", ".join([shown_key(key) for key in keys.split(",") if "super" not in key][:2])


def key_help(overrides: Mapping[str, str] = MappingProxyType({})) -> list[tuple[str, list[tuple[str, str]]]]:
    """For each area its heading and its rows of (keys, text), in the order of the table.

    `overrides` are a user's own keys by id, as `App.set_keymap` takes them.
    """
    return [
        (
            heading,
            [
                (_shown(row, overrides), row.text)
                for row in KEYS
                if row.area == area and (row.shown != "-" or row.id in overrides)
            ],
        )
        for area, heading in AREAS.items()
    ]


def _shown(row: KeyRow, overrides: Mapping[str, str]) -> str:
    return shown_keys(overrides[row.id]) if row.id in overrides else row.shown or shown_keys(row.keys)
