"""Volumes, made ready for a page: fill, place and what may be done to them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from pacs_web.archive import plots
from pacs_web.archive.moments import moment
from pacs_web.archive.words import VOLUME_STATES, said

ACTIONS: Mapping[str, Promise] = {
    "scrub": gettext_lazy("Check…"),
    "suspect": gettext_lazy("Mark as suspect…"),
    "trust": gettext_lazy("Trust again…"),
    "shelve": gettext_lazy("Put on the shelf…"),
    "evacuate": gettext_lazy("Evacuate…"),
    "retire": gettext_lazy("Retire…"),
}
DANGEROUS = {"retire", "evacuate"}


def volume_shown(volume: Mapping[str, Any]) -> dict[str, Any]:
    """Return a volume with its fill as percent, its place in words and its times as times."""
    capacity, used = volume.get("capacity_bytes") or 0, volume.get("used_bytes") or 0
    allowed = volume.get("actions") or []
    return {
        **volume,
        "state_text": said(VOLUME_STATES, volume.get("state", "")),
        "percent": round(100 * used / capacity) if capacity else 0,
        "boxes": plots.fill(capacity, [("stored", used)]),
        "place": place_of(volume),
        "buttons": [(name, text) for name, text in ACTIONS.items() if name in allowed],
        "may_insert": volume.get("state") == "exported" or "insert" in allowed,
        "first_written": moment(volume.get("first_written_at")),
        "last_written": moment(volume.get("last_written_at")),
        "scrubbed": moment(volume.get("scrubbed_at")),
    }


def place_of(volume: Mapping[str, Any]) -> str:
    """Return where a volume is: "" where its vault has neither drives nor slots."""
    if volume.get("drive") is not None:
        return _("drive %(n)s") % {"n": volume["drive"]}
    if volume.get("state") == "exported":
        return _("on the shelf")
    if volume.get("slot") is not None:
        return _("slot %(n)s") % {"n": volume["slot"]}
    return ""


def copy_shown(copy: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy with its times as times."""
    times = ("written_at", "verified_at", "scrubbed_at")
    return {**copy, **{name: moment(copy.get(name)) for name in times}}


def happens(action: str) -> list[str]:
    """Return what an action does to a volume, in sentences."""
    return {
        "scrub": [
            _("Every copy on it is read whole and compared with its digest. This takes a drive."),
            _("A bad copy is replaced from another one, at once."),
        ],
        "suspect": [
            _("Nothing more is written on it. It is read only where no other copy is at hand."),
            _("Its copies stay where they are. You can trust it again."),
        ],
        "trust": [_("It is written and read again as any other volume.")],
        "shelve": [
            _("The library hands it out. Put it on the shelf, and keep its label readable."),
            _("What lies on it alone is off-line: a recall asks an operator to insert it again."),
        ],
        "evacuate": [
            _("It is marked as suspect, and each copy on it is written anew and verified."),
            _("Then it is retired. What cannot be brought over is named, and it stays."),
        ],
        "retire": [
            _("It is neither read nor written any more, and its copies no longer count."),
            _("The archive refuses this while a good copy lies on it alone: evacuate it first."),
            _("This cannot be taken back here."),
        ],
    }[action]
