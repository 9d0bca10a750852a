"""The zone of the wall clock by which operators draw windows."""

from __future__ import annotations

from datetime import UTC, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

MACHINE = Path("/etc/localtime")


class NoSuchZone(ValueError):
    """No zone is called so; str() says it."""


def called(name: str) -> tzinfo:
    """Return a zone of the tz database by its name; raises NoSuchZone."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise NoSuchZone(f"no zone is called {name!r} (like Europe/Paris)") from None


def of_this_machine() -> tzinfo:
    """Return the zone that the machine is set to, or UTC.

    The variable TZ is not asked: Django sets it to its own for all programs of the archive.
    """
    try:
        with MACHINE.open("rb") as file:
            return ZoneInfo.from_file(file, key=_name())
    except (OSError, ValueError):
        return UTC


def _name() -> str:
    return str(MACHINE.resolve()).partition("/zoneinfo/")[2] or "local"
