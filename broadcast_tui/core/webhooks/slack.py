"""Payloads of Slack's incoming webhooks as Markdown: `text`, `attachments` and `blocks`.

Buttons and menus that need a reply to the sender are left out; buttons that open a page become links.
"""

from __future__ import annotations

import colorsys
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

from broadcast_tui.core.webhooks.markdown import (
    TEXT_CHARS,
    bold,
    clipped,
    from_mrkdwn,
    joined,
    link,
    one_line,
    with_emoji,
)
from broadcast_tui.core.webhooks.values import Json, as_object, as_objects, as_text

ATTACHMENTS_MAX = 20
BLOCKS_MAX = 50
"""The number that Slack accepts, as for the attachments."""
FIELDS_MAX = 30
ELEMENTS_MAX = 100
LIST_ITEMS_MAX = 100
DEPTH_MAX = 8
"""Maximum depth of nested rich text."""

_HEX = re.compile(r"#?([0-9a-fA-F]{6})")
_NAMED_COLORS = {"good": "🟢", "warning": "🟡", "danger": "🔴"}
_HUES = ((20, "🔴"), (40, "🟠"), (70, "🟡"), (170, "🟢"), (260, "🔵"), (330, "🟣"), (361, "🔴"))
"""Signs of colors up to a hue in degrees."""
_GRAY_SATURATION = 0.15


def is_slack(payload: Json) -> bool:
    """Whether a payload has something that Slack shows."""
    return any(key in payload for key in ("text", "attachments", "blocks"))


def from_slack(payload: Json) -> str:
    """The post for a payload; empty if it has no text.

    As in Slack, `text` only stands in for blocks that show nothing.
    """
    text = as_text(payload.get("text"))
    is_plain = payload.get("mrkdwn") is False
    shown = _blocks(payload.get("blocks"))
    if not shown:
        shown = clipped(text, TEXT_CHARS) if is_plain else from_mrkdwn(text)
    attachments = map(_attachment, as_objects(payload.get("attachments"), ATTACHMENTS_MAX))
    return joined([shown.strip("\n"), *attachments], "\n\n").strip("\n")


# -- attachments


def _attachment(attachment: Json) -> str:
    """An attachment; its `fallback` if it shows nothing else."""
    title = as_text(attachment.get("title"))
    heading = link(from_mrkdwn(title), as_text(attachment.get("title_link")))
    author = link(as_text(attachment.get("author_name")), as_text(attachment.get("author_link")))
    actions = as_objects(attachment.get("actions"), ELEMENTS_MAX)
    body = joined(
        [
            author,
            f"**{heading}**" if heading else "",
            from_mrkdwn(as_text(attachment.get("text"))),
            _blocks(attachment.get("blocks")),
            _fields(as_objects(attachment.get("fields"), FIELDS_MAX)),
            _image(attachment),
            joined(
                (
                    link(as_text(action.get("text")), as_text(action["url"]))
                    for action in actions
                    if "url" in action
                ),
                " · ",
            ),
            _footer(attachment),
        ]
    )
    pretext = from_mrkdwn(as_text(attachment.get("pretext")))
    if not (body or pretext):
        return from_mrkdwn(as_text(attachment.get("fallback")))
    sign = color_sign(as_text(attachment.get("color")))
    if not (sign and body.startswith(sign)):
        body = joined([sign, body], " ") if body else ""
    return joined([pretext, body])


def _fields(fields: Sequence[Json]) -> str:
    """Fields as lines; short ones share them, two each."""
    lines: list[str] = []
    is_open = False
    for field in fields:
        name, value = from_mrkdwn(as_text(field.get("title"))), from_mrkdwn(as_text(field.get("value")))
        shown = joined([f"**{one_line(name).rstrip(':')}:**" if name else "", value.strip("\n")], " ")
        if not shown:
            continue
        is_short = field.get("short") is True and "\n" not in shown
        if is_short and is_open:
            lines[-1] += f" · {shown}"
            is_open = False
        else:
            lines.append(shown)
            is_open = is_short
    return "\n".join(lines)


def _link_action(action: Json) -> str:
    url = as_text(action.get("url"))
    return link(as_text(action.get("text")), url) if url else ""


def _image(attachment: Json) -> str:
    return link("image", as_text(attachment.get("image_url"))) if attachment.get("image_url") else ""


def _footer(attachment: Json) -> str:
    footer = from_mrkdwn(as_text(attachment.get("footer")))
    return joined([one_line(footer), _time(attachment.get("ts"))], " · ")


def _time(value: object) -> str:
    """A Unix time in seconds as UTC; empty if it is invalid."""
    try:
        moment = datetime.fromtimestamp(float(as_text(value)), UTC)
    except (ValueError, OverflowError, OSError):
        return ""
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def color_sign(color: str) -> str:
    """A sign for the color of an attachment; empty for none, an unknown one, and gray."""
    if sign := _NAMED_COLORS.get(color):
        return sign
    found = _HEX.fullmatch(color)
    if found is None:
        return ""
    red, green, blue = bytes.fromhex(found[1])
    hue, saturation, _ = colorsys.rgb_to_hsv(red / 255, green / 255, blue / 255)
    if saturation < _GRAY_SATURATION:
        return ""
    return next(sign for limit, sign in _HUES if hue * 360 < limit)


# -- blocks


def _blocks(value: object) -> str:
    shown = []
    for block in as_objects(value, BLOCKS_MAX):
        render = _BLOCKS.get(as_text(block.get("type")))
        if render is not None:
            shown.append(render(block).strip("\n"))
    return joined(shown)


def _text_object(value: object) -> str:
    """The text of a `mrkdwn` or `plain_text` object."""
    text_object = as_object(value)
    text = as_text(text_object.get("text"))
    if text_object.get("type") == "plain_text":
        return with_emoji(clipped(text, TEXT_CHARS))
    return from_mrkdwn(text)


def _header(block: Json) -> str:
    return bold(_text_object(block.get("text")))


def _section(block: Json) -> str:
    fields = (
        " ".join(_text_object(field).split("\n")) for field in as_objects(block.get("fields"), FIELDS_MAX)
    )
    return joined([_text_object(block.get("text")), *fields, _element(as_object(block.get("accessory")))])


def _divider(block: Json) -> str:
    return "---"


def _context(block: Json) -> str:
    elements = as_objects(block.get("elements"), ELEMENTS_MAX)
    return joined((one_line(_element(element), TEXT_CHARS) for element in elements), " · ")


def _actions(block: Json) -> str:
    elements = as_objects(block.get("elements"), ELEMENTS_MAX)
    return joined((_element(element) for element in elements if element.get("type") == "button"), " · ")


def _element(element: Json) -> str:
    """An element of a block: text, a button that opens a page, or the description of an image."""
    match element.get("type"):
        case "mrkdwn" | "plain_text":
            return _text_object(element)
        case "button":
            url = as_text(element.get("url"))
            return link(_text_object(element.get("text")), url) if url else ""
        case "image":
            return one_line(as_text(element.get("alt_text")))
    return ""


def _image_block(block: Json) -> str:
    label = _text_object(block.get("title")) or as_text(block.get("alt_text")) or "image"
    return link(label, as_text(block.get("image_url")))


def _video_block(block: Json) -> str:
    return link(_text_object(block.get("title")), as_text(block.get("title_url")))


def _markdown_block(block: Json) -> str:
    return clipped(as_text(block.get("text")), TEXT_CHARS)


# -- rich text


def _rich_text(block: Json) -> str:
    return _rich_parts(block, DEPTH_MAX)


def _rich_parts(block: Json, depth: int) -> str:
    if depth == 0:
        return ""
    parts = (_rich_part(part, depth - 1) for part in as_objects(block.get("elements"), LIST_ITEMS_MAX))
    return joined(parts)


def _rich_part(part: Json, depth: int) -> str:
    """A section, list, quote or code block."""
    match part.get("type"):
        case "rich_text_list":
            items = as_objects(part.get("elements"), LIST_ITEMS_MAX)
            is_ordered = part.get("style") == "ordered"
            return joined(
                f"{f'{number}.' if is_ordered else '-'} {_rich_part(item, depth - 1)}"
                for number, item in enumerate(items if depth > 0 else (), 1)
            )
        case "rich_text_quote":
            return "\n".join(f"> {line}" for line in _rich_line(part).split("\n"))
        case "rich_text_preformatted":
            return f"```\n{_rich_line(part)}\n```"
        case "rich_text_section":
            return _rich_line(part)
    return ""


def _rich_line(section: Json) -> str:
    return "".join(_rich_element(element) for element in as_objects(section.get("elements"), ELEMENTS_MAX))


def _rich_element(element: Json) -> str:
    match element.get("type"):
        case "text":
            return _styled(clipped(as_text(element.get("text")), TEXT_CHARS), as_object(element.get("style")))
        case "link":
            url = as_text(element.get("url"))
            return link(as_text(element.get("text")) or url, url)
        case "emoji":
            return _emoji(as_text(element.get("unicode"))) or with_emoji(f":{as_text(element.get('name'))}:")
        case "user":
            return f"@{as_text(element.get('user_id'))}"
        case "usergroup":
            return f"@{as_text(element.get('usergroup_id'))}"
        case "channel":
            return f"#{as_text(element.get('channel_id'))}"
        case "broadcast":
            return f"@{as_text(element.get('range'))}"
    return ""


def _styled(text: str, style: Json) -> str:
    """Text with its styles; white space around it stays outside of the markers."""
    inner = text.strip()
    if not inner or "\n" in inner:
        return text
    start = text.index(inner)
    marked = inner
    for name, marker in (("code", "`"), ("strike", "~~"), ("italic", "_"), ("bold", "**")):
        if style.get(name) is True:
            marked = f"{marker}{marked}{marker}"
    return f"{text[:start]}{marked}{text[start + len(inner) :]}"


def _emoji(code_points: str) -> str:
    """The emoji with hexadecimal code points separated by hyphens; empty if they are invalid."""
    if len(code_points) > 64:
        return ""
    try:
        return "".join(chr(int(code, 16)) for code in code_points.split("-") if code)
    except (ValueError, OverflowError):
        return ""


_BLOCKS: Mapping[str, Callable[[Json], str]] = {
    "header": _header,
    "section": _section,
    "divider": _divider,
    "context": _context,
    "actions": _actions,
    "image": _image_block,
    "video": _video_block,
    "markdown": _markdown_block,
    "rich_text": _rich_text,
}
