"""What a job waits for, in a person's words; the archive tells it as a short text."""

from __future__ import annotations

import re

from django.utils.translation import gettext as _

_VOLUME = re.compile(r"volume (?P<label>\S+) of (?P<vault>.+)")
_SPACE = re.compile(r"space on (?P<node>\S+)")
_JOB = re.compile(r"job (?P<id>[0-9]+)")
THAW, WINDOW = "cold storage", "its window"


def volume_waited_for(told: str) -> str:
    """Return the label of the volume that a job waits for, "" where it waits for something else."""
    found = _VOLUME.fullmatch(told)
    return found["label"] if found else ""


def in_words(told: str) -> str:
    """Return what a job waits for; a text that is unknown here is shown as it is."""
    if found := _VOLUME.fullmatch(told):
        return _("an operator to insert volume %(label)s") % {"label": found["label"]}
    if found := _SPACE.fullmatch(told):
        return _("room on %(node)s") % {"node": found["node"]}
    if found := _JOB.fullmatch(told):
        return _("job %(id)s, which has its volume mounted") % {"id": found["id"]}
    fixed = {
        THAW: _("cold storage to bring it out, which takes hours"),
        WINDOW: _("the hours in which it may run"),
    }
    return fixed.get(told, told)
