"""Every key of the chat in one table: id (`area.verb-noun`) to default keys and what it does.

Bindings, footer and help screen are made from it; an id is what a user's own key table overrides.
"""

from __future__ import annotations

from dataclasses import dataclass

from textual.binding import Binding


@dataclass(frozen=True, slots=True)
class KeyRow:
    """One row: `keys` in Textual's spelling, separated by commas, the first one shown to people."""

    id: str
    keys: str
    text: str
    footer: str = ""
    """The short word for it in the footer; not shown there if empty."""

    @property
    def area(self) -> str:
        return self.id.partition(".")[0]


AREAS = {
    "app": "Everywhere",
    "composer": "Writing",
    "log": "Reading",
    "people": "People",
}
"""Areas in the order of the help screen, with their headings."""

KEYS: tuple[KeyRow, ...] = (
    KeyRow("app.show-help", "f1", "This help", "Help"),
    KeyRow(
        "app.open-palette",
        "ctrl+g,alt+k,ctrl+k",
        "All commands and themes (Ctrl+K on an empty line)",
        "Commands",
    ),
    KeyRow("app.quit-chat", "ctrl+q", "Leave the chat", "Quit"),
    KeyRow("app.interrupt", "ctrl+c,super+c", "Copy the selection, else clear the line, else ask to quit"),
    KeyRow("app.leave-empty", "ctrl+d", "On an empty line ask to quit"),
    KeyRow("app.suspend-process", "ctrl+z", "Back to the shell; `fg` returns"),
    KeyRow("app.redraw-screen", "ctrl+l", "Draw the screen anew"),
    KeyRow("app.reconnect-now", "ctrl+r", "Do not wait for the next try to connect"),
    KeyRow("composer.send-post", "enter", "Send"),
    KeyRow("composer.insert-newline", "alt+enter,shift+enter,ctrl+j", "New line"),
    KeyRow("composer.complete-word", "tab", "Complete a name or command, then the next one"),
    KeyRow("composer.complete-back", "shift+tab", "The completion before"),
    KeyRow("composer.move-up", "up,ctrl+up", "Line up; on the first line what was sent before"),
    KeyRow("composer.move-down", "down,ctrl+down", "Line down; on the last line back to the draft"),
    KeyRow("composer.move-left", "left,ctrl+b", "Character left"),
    KeyRow("composer.move-right", "right,ctrl+f", "Character right"),
    KeyRow("composer.move-word-left", "alt+b,ctrl+left,alt+left", "Word left"),
    KeyRow("composer.move-word-right", "alt+f,ctrl+right,alt+right", "Word right"),
    KeyRow("composer.move-line-start", "ctrl+a,home", "Start of the line"),
    KeyRow("composer.move-line-end", "ctrl+e,end", "End of the line"),
    KeyRow("composer.select-left", "shift+left", "Select to the left"),
    KeyRow("composer.select-right", "shift+right", "Select to the right"),
    KeyRow("composer.select-word-left", "ctrl+shift+left", "Select a word to the left"),
    KeyRow("composer.select-word-right", "ctrl+shift+right", "Select a word to the right"),
    KeyRow("composer.select-line-start", "shift+home", "Select to the start of the line"),
    KeyRow("composer.select-line-end", "shift+end", "Select to the end of the line"),
    KeyRow("composer.select-all", "f7", "Select everything written"),
    KeyRow("composer.delete-left", "backspace,ctrl+h", "Delete the character to the left"),
    KeyRow("composer.delete-right", "ctrl+d,delete", "Delete the character to the right"),
    KeyRow("composer.cut-blank-word", "ctrl+w", "Cut back to the last blank"),
    KeyRow("composer.cut-word-left", "alt+backspace,ctrl+backspace", "Cut the word to the left"),
    KeyRow("composer.cut-word-right", "alt+d,alt+delete,ctrl+delete", "Cut the word to the right"),
    KeyRow("composer.cut-line-start", "ctrl+u", "Cut to the start of the line"),
    KeyRow("composer.cut-line-end", "ctrl+k", "Cut to the end of the line"),
    KeyRow("composer.paste-cut", "ctrl+y", "Put back what was cut"),
    KeyRow("composer.paste-copied", "ctrl+v", "Put in what was copied here"),
    KeyRow("composer.swap-characters", "ctrl+t", "Swap the two characters at the cursor"),
    KeyRow("composer.undo-edit", "ctrl+underscore,ctrl+minus", "Undo"),
    KeyRow("composer.redo-edit", "alt+underscore,alt+minus", "Redo"),
    KeyRow("log.page-up", "pageup", "A page up"),
    KeyRow("log.page-down", "pagedown", "A page down"),
    KeyRow("log.line-up", "shift+up", "A line up"),
    KeyRow("log.line-down", "shift+down", "A line down"),
    KeyRow("log.go-top", "ctrl+home,alt+home", "The oldest post held"),
    KeyRow("log.go-bottom", "escape,ctrl+end,alt+end,end", "The newest post; there, drop the unread line"),
    KeyRow("log.go-unread", "alt+u", "The first unread post"),
    KeyRow("log.previous-mention", "alt+p", "The mention of you before"),
    KeyRow("log.next-mention", "alt+n", "The next mention of you"),
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


def first_key(id: str) -> str:
    """The first key of row `id`, in Textual's spelling."""
    return _ROWS[id].keys.partition(",")[0]


def shown_key(key: str) -> str:
    """A key as people write it: `ctrl+a` is Ctrl+A, `pageup` is PgUp."""
    names = {
        "pageup": "PgUp",
        "pagedown": "PgDn",
        "escape": "Esc",
        "underscore": "_",
        "delete": "Del",
        "minus": "-",
    }
    parts = [names.get(part, part.capitalize()) for part in key.split("+")]
    return "+".join(parts)


def key_help() -> list[tuple[str, list[tuple[str, str]]]]:
    """For each area its heading and its rows of (keys, text), in the order of the table."""
    return [
        (
            heading,
            [
                (", ".join(shown_key(key) for key in row.keys.split(",")[:2] if "super" not in key), row.text)
                for row in KEYS
                if row.area == area
            ],
        )
        for area, heading in AREAS.items()
    ]
