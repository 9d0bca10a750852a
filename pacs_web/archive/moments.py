"""Moments and durations of the archive's answers, as people read them."""

from __future__ import annotations

from datetime import datetime

from django.utils.translation import gettext as _

MINUTE_S, HOUR_S, DAY_S = 60, 3600, 86_400


def moment(raw: object) -> datetime | None:
    """Return an ISO time; None where there is none, or nonsense."""
    try:
        return datetime.fromisoformat(str(raw)) if raw else None
    except ValueError:
        return None


def duration(seconds: float) -> str:
    """Return a duration by its two greatest units: "3 d 4 h", "12 min", "40 s"."""
    whole = max(0, round(seconds))
    if whole >= DAY_S:
        days, hours = whole // DAY_S, whole % DAY_S // HOUR_S
        return _("%(days)d d %(hours)d h") % {"days": days, "hours": hours}
    if whole >= HOUR_S:
        hours, minutes = whole // HOUR_S, whole % HOUR_S // MINUTE_S
        return _("%(hours)d h %(minutes)02d min") % {"hours": hours, "minutes": minutes}
    if whole >= MINUTE_S:
        return _("%(minutes)d min") % {"minutes": whole // MINUTE_S}
    return _("%(seconds)d s") % {"seconds": whole}


def wait(seconds: float | None) -> str:
    """Return how long something takes still; "" where that is unknown."""
    return "" if seconds is None else duration(seconds)
