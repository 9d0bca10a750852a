"""What an operator did, in words: the details of an act as the archive noted them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from django.utils.translation import gettext as _

from pacs_web import amounts
from pacs_web.archive.moments import moment
from pacs_web.archive.rules import in_words
from pacs_web.archive.schedule import window_shown
from pacs_web.archive.telling import in_language, percent, plain
from pacs_web.archive.words import ACTS, ALARMS, DETAILS, HOLD_KINDS, JOB_KINDS, RULE_ACTIONS, said

OF_HOLDS, OF_RULES = {"held", "released"}, {"rule-saved", "rule-removed"}
POLICY = "policy-set"
_EMPTY = ("", None, [])


def act_shown(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return an act with its name and time, its job and exam, and its other details in words."""
    kind = str(row.get("kind", ""))
    details = dict(row.get("details") or {})
    return {
        **row,
        "moment": moment(row.get("at")),
        "act": said(ACTS, kind),
        "job": details.pop("job", None),
        "study_uid": details.pop("study_uid", ""),
        "details": list(_pairs(kind, details)),
    }


def _pairs(kind: str, details: Mapping[str, Any]) -> Iterator[tuple[Any, Any]]:
    """Yield the label and the value of each detail; what says nothing is left out."""
    for name, value in details.items():
        if name == "new":  # whether the act made the job: worth a word only where it did not
            if value is False:
                yield _("Note"), _("this job was there already")
        elif value in _EMPTY and kind == POLICY:
            yield _label(kind, name), _("as set for all")
        elif value not in _EMPTY:
            yield _label(kind, name), _value(kind, name, value)


def _label(kind: str, name: str) -> Any:
    if name == "operation" and kind in OF_HOLDS:
        return DETAILS["kind"]
    if name == "operation" and kind in OF_RULES:
        return _("What it does")
    known = DETAILS.get(name)
    return known if known is not None else name.replace("_", " ").capitalize()


def _value(kind: str, name: str, value: Any) -> Any:
    if name == "operation":
        return _operation(kind, value)
    if name in _SAID:
        return _SAID[name](value)
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, dict):
        told = ((_label(kind, key), one) for key, one in value.items() if one not in _EMPTY)
        return ", ".join(f"{label}: {_value(kind, '', one)}" for label, one in told)
    if isinstance(value, list):
        return ", ".join(str(one) for one in value)
    return plain(value) if isinstance(value, float) else value


def _operation(kind: str, value: Any) -> Any:
    if kind in OF_HOLDS:
        return said(HOLD_KINDS, value)
    return said(RULE_ACTIONS if kind in OF_RULES else JOB_KINDS, value)


def _conditions(value: Any) -> str:
    return ", ".join(in_words(value)) if value else _("all")


def _window(value: Any) -> Any:
    """Return a window in one line; the archive of old noted its number alone."""
    if not isinstance(value, dict):
        return value
    try:
        window = window_shown(value)
    except (LookupError, TypeError, ValueError):
        return value.get("id", "")
    times = _("%(begins)s to %(ends)s") % {"begins": window["begins"], "ends": window["ends"]}
    speed = f"{amounts.size(value['bytes_per_s'])}/s" if value.get("bytes_per_s") else ""
    off = "" if value.get("enabled", True) else _("out of force")
    where = (value.get("node"), value.get("vault"))
    parts = (window["kind_text"], *where, window["days_text"], times, speed, off)
    return ", ".join(str(part) for part in parts if part)


_SAID: Mapping[str, Callable[[Any], Any]] = {
    "conditions": _conditions,
    "window": _window,
    "high_watermark": percent,
    "low_watermark": percent,
    "why": in_language,
    "alarm": lambda kind: said(ALARMS, kind),
    "kind": lambda kind: said(HOLD_KINDS, kind),
}
