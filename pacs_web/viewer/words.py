"""What the viewer's scripts say on the page, in the person's language."""

from __future__ import annotations

from django.utils.translation import gettext as _


def words() -> dict[str, str]:
    """Return the sentences that scripts write; {name} stands for what they fill in."""
    return {
        "ended": _("Your session has ended."),
        "archived": _("This image is in the archive."),
        "unreachable": _("The server does not answer."),
        "unshowable": _("This image cannot be shown as a picture."),
        "mistaken": _("The server sent another picture than the one asked for. It is not shown."),
        "nothing": _("This object holds no picture. Its header can be read."),
        "loading": _("Loading…"),
        "frame": _("frame {n} / {of}"),
        "place": _("position {mm} mm"),
        "stored": _("window as stored"),
        "window": _("C {center}  W {width} {unit}"),
        "unoriented": _("orientation unknown"),
        "lossy": _("lossy {ratio}"),
        "sentLossy": _("sent as lossy JPEG"),
        "reduced": _("reduced: {percent} % of the pixels' size"),
        "state": _("as in “{label}”"),
        "side": _("Side: {side}"),
        "left": _("left"),
        "right": _("right"),
        "both": _("both"),
        "byPosition": _("by position"),
        "byDistance": _("by distance from here"),
        "byShare": _("by share of the series"),
        "sameExam": _("This exam"),
        "noExams": _("No other exam of this patient is known."),
        "noExamFound": _("No exam has this accession number."),
        "silent": _("No answer from {names}."),
        "twoPatients": _("left: {here}, right: {beside}"),
        "twoPatientsStacked": _("above: {here}, below: {beside}"),
        "conflict": _("One patient number, but name, birth date or sex differ."),
        "noDescription": _("No description"),
        "images": _("{n} images"),
        "keyOf": _("{title}, image {n}"),
        "elsewhere": _("in another series"),
    }
