"""Amounts of data, as the reader's language writes them."""

from __future__ import annotations

from collections.abc import Callable

from django.utils.formats import number_format
from django.utils.translation import gettext as _

UNITS: tuple[Callable[[], str], ...] = (
    lambda: _("%(n)s B"),
    lambda: _("%(n)s kB"),
    lambda: _("%(n)s MB"),
    lambda: _("%(n)s GB"),
    lambda: _("%(n)s TB"),
)


def size(count: object) -> str:
    """Return a count of bytes in decimal units, as disks are sold; "-" where it is none."""
    try:
        amount = float(count)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return "-"
    power = 0
    while power < len(UNITS) - 1 and round(amount, 1 if power else 0) >= 1000:
        amount, power = amount / 1000, power + 1
    return UNITS[power]() % {"n": number_format(amount, 1 if power else 0)}
