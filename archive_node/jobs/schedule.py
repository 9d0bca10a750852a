"""The windows that the operators drew, asked about the jobs of this moment."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.conf import settings

from archive_node.jobs import windows
from archive_node.jobs.windows import Permit, Span
from archive_node.models import Window

WAITS_FOR_WINDOW = "its window"


def spans() -> list[Span]:
    """Return the windows that are in force."""
    return [span(row) for row in Window.objects.filter(enabled=True)]


def span(row: Window) -> Span:
    """Return a window as `windows` knows it."""
    return Span(
        row.begins, row.ends, row.weekdays, row.kind, row.vault, row.node, row.bytes_per_s
    )  # fmt: skip


def permit(about: tuple[str, str, str], now: datetime) -> Permit:
    """Return what the windows in force say of a job, `about` being its kind, vault and node."""
    return windows.permit(spans(), about, now, settings.ARCHIVE.time_zone)


def closed_nodes(
    drawn: Iterable[Span], kind: str, vault: str, nodes: Iterable[str], now: datetime
) -> list[str]:
    """Return those of `nodes` whose jobs of this kind and vault may not start now."""
    zone, drawn = settings.ARCHIVE.time_zone, list(drawn)
    return [
        node for node in nodes if not windows.permit(drawn, (kind, vault, node), now, zone).is_open
    ]
