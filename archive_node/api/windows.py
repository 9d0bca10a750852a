"""The hours in which jobs may run, as operators draw them."""

from __future__ import annotations

import re
from datetime import time
from typing import Any

from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse

from archive_node import library, trail
from archive_node.api.guard import body, ticketed
from archive_node.jobs import dispatch, moves, schedule
from archive_node.jobs.windows import ALWAYS
from archive_node.models import Job, Window
from archive_node.nodes import names
from pacs_common import errors
from pacs_common.sentences import say
from pacs_common.tickets import Ticket

_CLOCK = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]\Z")


@ticketed(GET="archive.read", POST="archive.operate")
def windows(request: HttpRequest, ticket: Ticket) -> JsonResponse:
    """List the windows, or draw one."""
    if request.method == "POST":
        window = Window(**_read(body(request)))
        _keep(window, "window-drawn", ticket.subject)
        return JsonResponse({"window": _shown(window)}, status=201)
    return JsonResponse({"windows": [_shown(one) for one in Window.objects.order_by("id")]})


@ticketed(PUT="archive.operate", DELETE="archive.operate")
def window(request: HttpRequest, ticket: Ticket, window_id: int) -> HttpResponse:
    """Change a window, or remove it."""
    found = Window.objects.filter(id=window_id).first()
    if found is None:
        raise errors.NotFound(say("window-unknown", window=window_id))
    if request.method == "DELETE":
        told = _shown(found)
        with transaction.atomic():
            found.delete()
            trail.note("window-removed", ticket.subject, window=told)
        _look_again()
        return HttpResponse(status=204)
    changed = Window(id=window_id, **_read(body(request)))
    _keep(changed, "window-changed", ticket.subject)
    return JsonResponse({"window": _shown(changed)})


def _keep(window: Window, kind: str, by: str) -> None:
    with transaction.atomic():
        window.save()
        trail.note(kind, by, window=_shown(window))
    _look_again()


def _look_again() -> None:
    """Let the jobs that wait for a window see whether they still have to."""
    moves.wake(schedule.WAITS_FOR_WINDOW)
    dispatch.send_due()


def _read(told: dict[str, Any]) -> dict[str, Any]:
    return {
        "kind": _one_of(told, "kind", Job.Kind.values),
        "vault": _one_of(told, "vault", list(library.specs())),
        "node": _one_of(told, "node", names()),
        "weekdays": _weekdays(told.get("weekdays", ALWAYS)),
        "begins": _clock(told, "begins"),
        "ends": _clock(told, "ends"),
        "bytes_per_s": _rate(told.get("bytes_per_s")),
        "enabled": _flag(told.get("enabled", True)),
    }


def _one_of(told: dict[str, Any], name: str, choices: list[str]) -> str:
    value = told.get(name) or ""
    if value and value not in choices:
        raise errors.BadInput(f"{name} is empty or one of {', '.join(choices)}")
    return value


def _weekdays(value: Any) -> str:
    if not isinstance(value, str) or not value or not set(value) <= set(ALWAYS):
        raise errors.BadInput("weekdays are digits from 0 (Monday) to 6 (Sunday), at least one")
    return "".join(sorted(set(value)))


def _clock(told: dict[str, Any], name: str) -> time:
    value = told.get(name)
    if not isinstance(value, str) or not _CLOCK.match(value):
        raise errors.BadInput(f"{name} is a time of day like 20:00")
    return time.fromisoformat(value)


def _rate(value: Any) -> int | None:
    if value is None:
        return None
    if type(value) is not int or not 1 <= value < 2**62:
        raise errors.BadInput("bytes_per_s is null or a number from 1")
    return value


def _flag(value: Any) -> bool:
    if type(value) is not bool:
        raise errors.BadInput("enabled is true or false")
    return value


def _shown(window: Window) -> dict[str, Any]:
    return {
        "id": window.id,
        "kind": window.kind,
        "vault": window.vault,
        "node": window.node,
        "weekdays": window.weekdays,
        "begins": window.begins.strftime("%H:%M"),
        "ends": window.ends.strftime("%H:%M"),
        "bytes_per_s": window.bytes_per_s,
        "enabled": window.enabled,
    }
