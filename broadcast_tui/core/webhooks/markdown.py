"""Pieces of Markdown made from untrusted text, and Slack's mrkdwn as Markdown.

All functions are linear in the length of their input.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

LABEL_CHARS = 250
"""Longer labels of links are cut."""
URL_CHARS = 2_000
"""Longer addresses are left out: clients do not recognize them as links."""
TEXT_CHARS = 16_384
"""Longer texts of a payload are cut before they are converted."""
CUT = "…"
"""Follows a text that was cut."""

_WEB_ADDRESS = re.compile(r"https?://[^\s/?#]", re.IGNORECASE)
_UNSAFE_IN_URL = re.compile(r"[\s<>\"`()\[\]]")
_CODE = re.compile(r"(```.*?```|`[^`\n]+`)", re.DOTALL)
_ENTITY = re.compile(r"<([^<>\n]*)>")
_ESCAPED = re.compile(r"&(amp|lt|gt);")
_CHARS = {"amp": "&", "lt": "<", "gt": ">"}
_BOLD = re.compile(r"(?<![*\w])\*(?=[^\s*])([^*\n]*[^\s*])\*(?![*\w])")
_STRUCK = re.compile(r"(?<![~\w])~(?=[^\s~])([^~\n]*[^\s~])~(?![~\w])")


_EMOJI = re.compile(r"(?<![\w:]):([a-z0-9_+-]{1,40}):(?![\w:])")
_EMOJI_NAMES = {
    "+1": "👍", "-1": "👎", "alarm_clock": "⏰", "arrows_counterclockwise": "🔄", "boom": "💥", "bug": "🐛",
    "bulb": "💡", "checkered_flag": "🏁", "exclamation": "❗", "eyes": "👀", "fire": "🔥", "hammer": "🔨",
    "heavy_check_mark": "✔️", "hourglass": "⌛", "information_source": "ℹ️", "large_blue_circle": "🔵",
    "large_green_circle": "🟢", "large_orange_circle": "🟠", "large_yellow_circle": "🟡", "lock": "🔒",
    "mag": "🔍", "no_entry": "⛔", "package": "📦", "question": "❓", "red_circle": "🔴", "rocket": "🚀",
    "rotating_light": "🚨", "skull": "💀", "tada": "🎉", "thumbsdown": "👎", "thumbsup": "👍", "warning": "⚠️",
    "white_check_mark": "✅", "white_circle": "⚪", "wrench": "🔧", "x": "❌", "zap": "⚡",
}  # fmt: skip
"""Names of emoji that programs use in reports; others stay as they are."""


def with_emoji(text: str) -> str:
    """The text with the names of common emoji, such as `:warning:`, replaced."""
    return _EMOJI.sub(lambda match: _EMOJI_NAMES.get(match[1], match[0]), text)


def clipped(text: str, max_chars: int) -> str:
    """The text, cut to at most `max_chars` characters."""
    return text if len(text) <= max_chars else text[: max_chars - 1] + CUT


def one_line(text: str, max_chars: int = LABEL_CHARS) -> str:
    """The text in one line of at most `max_chars` characters."""
    return clipped(" ".join(text[: 4 * max_chars].split()), max_chars)


def bold(text: str) -> str:
    """The text in one bold line, unless it is empty."""
    text = one_line(text)
    return f"**{text}**" if text else ""


def link(label: str, url: str) -> str:
    """A link to a web address; only the label if it is no such address."""
    label = one_line(label)
    url = url.strip()
    if not _WEB_ADDRESS.match(url) or len(url) > URL_CHARS:
        return label
    url = _UNSAFE_IN_URL.sub(lambda match: f"%{ord(match[0]):02X}" if match[0].isascii() else "", url)
    if not label or label == url:
        return url
    return f"[{label.replace('[', '(').replace(']', ')')}]({url})"


def joined(parts: Iterable[str], separator: str = "\n") -> str:
    """The parts that are not empty."""
    return separator.join(part for part in parts if part)


def fitting(text: str, max_bytes: int, max_lines: int, ending: str = "") -> str:
    """The text, cut to at most `max_lines` lines and `max_bytes` bytes of UTF-8 (0: unlimited).

    Args:
        ending: A last line that is not cut; it is left out if it would take more than half of the bytes.
    """
    if ending:
        ending_bytes = len(ending.encode()) + 1
        if max_bytes and ending_bytes > max_bytes // 2:
            return fitting(text, max_bytes, max_lines)
        shortened = fitting(text, max_bytes - ending_bytes if max_bytes else 0, max_lines - 1)
        return f"{shortened}\n{ending}"
    text = text.encode("utf-8", "replace").decode()
    lines = text.split("\n", max_lines)
    if len(lines) > max_lines:
        text = "\n".join(lines[: max_lines - 1]) + f"\n{CUT}"
    data = text.encode()
    if not max_bytes or len(data) <= max_bytes:
        return text
    room = max(0, max_bytes - len(CUT.encode()))
    return data[:room].decode(errors="ignore") + CUT


def unescaped(text: str) -> str:
    """The text without Slack's escapes: `&amp;`, `&lt;` and `&gt;`, each once."""
    return _ESCAPED.sub(lambda match: _CHARS[match[1]], text)


def from_mrkdwn(text: str) -> str:
    """Slack's mrkdwn as Markdown: `*bold*`, `~struck~`, `<url|label>`, `<@U123|name>`, `<!here>`, `&amp;`.

    Italic text, code and quotes are written alike in both. What already is Markdown stays.
    """
    text = clipped(text, TEXT_CHARS)
    parts = _CODE.split(text)
    for number in range(1, len(parts), 2):
        if parts[number].startswith("```"):
            parts[number - 1] = parts[number - 1].removesuffix("\n")
            parts[number + 1] = parts[number + 1].removeprefix("\n")
    shown = "".join(
        _from_code(part) if number % 2 else _from_prose(part) for number, part in enumerate(parts)
    )
    return shown.strip("\n")


def _from_prose(text: str) -> str:
    """mrkdwn without code as Markdown. The markers around links count, those in addresses do not."""
    links: list[str] = []

    def set_aside(match: re.Match[str]) -> str:
        links.append(_entity(match[1], in_code=False))
        return f"\0{len(links) - 1}\0"

    text = _ENTITY.sub(set_aside, text.replace("\0", ""))
    text = _STRUCK.sub(r"~~\1~~", _BOLD.sub(r"**\1**", text))
    text = with_emoji(unescaped(text))
    return re.sub("\0(\\d+)\0", lambda match: links[int(match[1])], text)


def _from_code(text: str) -> str:
    """Code as it is shown: with the labels of links only, and a fence in lines of its own."""
    text = unescaped(_ENTITY.sub(lambda match: _entity(match[1], in_code=True), text))
    if not text.startswith("```"):
        return text
    code = text[3:-3].strip("\n")
    return f"\n```\n{code}\n```\n"


def _entity(content: str, *, in_code: bool) -> str:
    """What stands between angle brackets: a link, a mention, a command, or simply text."""
    target, _, label = content.partition("|")
    label = unescaped(label)
    if content.startswith(("@", "#")):
        return f"{target[0]}{label.removeprefix(target[0])}" if label else target
    if content.startswith("!"):
        name = target[1:].partition("^")[0]
        if name in ("date", "subteam"):
            return label or f"@{name}"
        return f"@{name}"
    target = unescaped(target)
    if _WEB_ADDRESS.match(target):
        if in_code:
            return label or target
        bold_label = _BOLD.fullmatch(label)
        # Labels of links are plain text.
        shown = link(_STRUCK.sub(r"\1", _BOLD.sub(r"\1", label)) or target, target)
        return f"**{shown}**" if bold_label else shown
    if target.lower().startswith("mailto:"):
        return label or target[len("mailto:") :]
    return label or f"<{target}>"
