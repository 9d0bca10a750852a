"""What was decided for one node: `PUT /api/nodes/<name>/policy`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.db import transaction
from django.http import HttpRequest, JsonResponse

from archive_node import nodes, trail
from archive_node.api.guard import body, ticketed
from archive_node.api.status import node_as_json
from archive_node.models import NodePolicy
from pacs_common import errors
from pacs_common.sentences import say
from pacs_common.tickets import Ticket

_PARTS = ("high_watermark", "low_watermark")
_FIELDS = (*_PARTS, "least_age_days", "approval")


@ticketed(PUT="archive.operate")
def of_node(request: HttpRequest, ticket: Ticket, name: str) -> JsonResponse:
    """Decide the watermarks, the least age and the approval of a node; null is the default."""
    if name not in nodes.names():
        raise errors.NotFound(say("node-unknown", name=name[:40]))
    wanted = _read(body(request))
    with transaction.atomic():
        NodePolicy.objects.update_or_create(name=name, defaults=wanted)
        trail.note("policy-set", ticket.subject, node=name, **wanted)
    return JsonResponse({"node": node_as_json(name)})


def _read(told: Mapping[str, Any]) -> dict[str, Any]:
    for field in told:
        if field not in _FIELDS:
            raise errors.BadInput(f"{field[:40]!r} is not part of a node's policy")
    wanted: dict[str, Any] = {part: _number(told, part, 1) for part in _PARTS}
    wanted["least_age_days"] = _number(told, "least_age_days", 36_500)
    wanted["approval"] = told.get("approval")
    if not isinstance(wanted["approval"], bool | None):
        raise errors.BadInput("approval is true, false or null")
    config = settings.ARCHIVE
    high, low = (wanted[part] for part in _PARTS)
    high = config.high_watermark if high is None else high
    if (config.low_watermark if low is None else low) > high:
        raise errors.BadInput(say("marks-crossed"))
    return wanted


def _number(told: Mapping[str, Any], field: str, most: float) -> float | None:
    value = told.get(field)
    if value is None:
        return None
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or not 0 <= value <= most:
        raise errors.BadInput(f"{field} is a number from 0 to {most}, or null")
    return float(value)
