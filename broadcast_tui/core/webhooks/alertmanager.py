"""Notifications of Alertmanager (version 4) and Grafana's webhook contact point: one post per alert group.

The address of the link to the sender contains a word that depends on the group. It identifies the post of the
group in the log, as long as there is one, on any server; the programs ignore it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

from broadcast_tui.core.webhooks.markdown import clipped, joined, link, one_line
from broadcast_tui.core.webhooks.values import Json, as_object, as_objects, as_text

ALERTS_MAX = 100
"""Maximum number of alerts that are considered."""
SHOWN_MAX = 20
"""Maximum number of alerts in a post; the others are counted."""
LABELS_MAX = 10
"""Maximum number of labels of an alert or group."""
TEXT_CHARS = 500
GROUP_CHARS = 4_096
"""Longer keys of groups are cut."""
GROUP_DIGITS = 12
"""Hexadecimal digits of the word for a group."""

FIRING, RESOLVED = "🔴", "🟢"

_INTERNAL = re.compile(r"__.*__|alertname|grafana_folder|ref_id|datasource_uid")
"""Labels that say nothing to readers, or that are shown as the name."""
_MINUTE = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d)(?::\d\d(?:\.\d+)?)?(Z|[+-]\d\d:\d\d)")


def is_alertmanager(payload: Json) -> bool:
    """Whether a payload is a notification about a group of alerts."""
    return isinstance(payload.get("alerts"), list) and "groupKey" in payload


def group_word(payload: Json) -> str:
    """A word that identifies the group of a notification among those of one sender."""
    key = clipped(as_text(payload.get("groupKey")), GROUP_CHARS)
    return "g" + hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest()[:GROUP_DIGITS]


def is_resolved(payload: Json) -> bool:
    """Whether no alert of the group is firing any longer."""
    return payload.get("status") == "resolved"


def is_resolved_post(text: str) -> bool:
    """The same of a notification that has become a post."""
    return text.startswith(RESOLVED)


def from_alertmanager(payload: Json) -> str:
    """The post for a notification, without its source."""
    alerts = as_objects(payload.get("alerts"), ALERTS_MAX)
    common = as_object(payload.get("commonLabels"))
    resolved = is_resolved(payload)
    firing = [alert for alert in alerts if not _is_over(alert)]
    name = _name(common) or _name(as_object(payload.get("groupLabels"))) or _shared_name(alerts) or "Alerts"
    count = "" if resolved or len(firing) < 2 else f" ({len(firing)})"
    title = f"{RESOLVED if resolved else FIRING} **{'Resolved' if resolved else 'Firing'}{count}: {name}**"
    labels = _labels(common)
    lines = [
        joined([title, f"({labels})" if labels else ""], " "),
        _annotation(as_object(payload.get("commonAnnotations"))),
        *(_alert(alert, payload, is_group_over=resolved) for alert in alerts[:SHOWN_MAX]),
    ]
    hidden = len(alerts) - SHOWN_MAX + _truncated_count(payload)
    if len(alerts) > SHOWN_MAX or _truncated_count(payload):
        lines.append(f"- … and {max(hidden, _truncated_count(payload))} more")
    return joined(lines)


def _alert(alert: Json, payload: Json, *, is_group_over: bool) -> str:
    """A line about an alert: its own labels and text, since when, and where to look."""
    common = as_object(payload.get("commonLabels"))
    labels = {key: value for key, value in as_object(alert.get("labels")).items() if key not in common}
    annotations = as_object(alert.get("annotations"))
    shared = as_object(payload.get("commonAnnotations"))
    text = _annotation({key: value for key, value in annotations.items() if shared.get(key) != value})
    is_over = _is_over(alert)
    time = _minute(as_text(alert.get("endsAt" if is_over else "startsAt")))
    when = f"{'until' if is_over else 'since'} {time}" if time else ""
    sign = "" if is_over is is_group_over else RESOLVED if is_over else FIRING
    name = _name(labels)
    source = as_text(alert.get("panelURL")) or as_text(alert.get("generatorURL"))
    details = joined(
        [
            joined([f"**{name}**" if name else "", _labels(labels)], " "),
            text,
            when,
            link("source", source) if source else "",
        ],
        " · ",
    )
    return joined(["-", sign, details], " ") if details else ""


def _is_over(alert: Json) -> bool:
    return alert.get("status") == "resolved"


def _name(labels: Json) -> str:
    return one_line(as_text(labels.get("alertname")))


def _shared_name(alerts: Sequence[Json]) -> str:
    """The names of the alerts if there are few."""
    names = sorted({_name(as_object(alert.get("labels"))) for alert in alerts} - {""})
    return ", ".join(names) if len(names) <= 3 else ""


def _labels(labels: Json) -> str:
    """Labels in one line, the severity first."""
    shown = [
        (key, one_line(as_text(value), 100)) for key, value in labels.items() if not _INTERNAL.fullmatch(key)
    ]
    shown.sort(key=lambda label: (label[0] != "severity", label[0]))
    return ", ".join(f"{one_line(key, 100)}={value}" for key, value in shown[:LABELS_MAX] if value)


def _annotation(annotations: Json) -> str:
    """What the annotations say: the summary and the description, or else a message."""
    texts = [one_line(as_text(annotations.get(key)), TEXT_CHARS) for key in ("summary", "description")]
    if not any(texts):
        texts = [one_line(as_text(annotations.get("message")), TEXT_CHARS)]
    runbook = as_text(annotations.get("runbook_url"))
    return joined([joined(dict.fromkeys(texts), " – "), link("runbook", runbook) if runbook else ""], " · ")


def _minute(time: str) -> str:
    """An RFC 3339 time to the minute; empty for none (year 1) and anything else."""
    found = _MINUTE.fullmatch(time)
    if found is None or found[1].startswith("0001"):
        return ""
    return f"{found[1]} {found[2]} {'UTC' if found[3] == 'Z' else found[3]}"


def _truncated_count(payload: Json) -> int:
    """Number of alerts that the sender has left out."""
    count = payload.get("truncatedAlerts")
    return count if isinstance(count, int) and 0 < count < 1_000_000 else 0


def source_of(payload: Json) -> str:
    """A link to the sender, with the word of the group; empty if the sender has no address."""
    url, word = as_text(payload.get("externalURL")).strip(), group_word(payload)
    if not url:
        return ""
    if "orgId" in payload:
        return link("Grafana", f"{url}#{word}")
    return link("Alertmanager", f"{url.rstrip('/')}/#/alerts?group={word}")
