"""The order in which servers are named and, where copies are equal, preferred."""

from __future__ import annotations

from django.db import transaction

from pacs_web.nodes.models import Node


@transaction.atomic
def moved(node: Node, *, up: bool) -> None:
    """Put a server before its neighbour of the same site, or behind it; number all anew."""
    rows = sorted(Node.objects.all(), key=lambda row: (row.site, row.position, row.name))
    here = next(index for index, row in enumerate(rows) if row.pk == node.pk)
    there = here - 1 if up else here + 1
    if 0 <= there < len(rows) and rows[there].site == rows[here].site:
        rows[here], rows[there] = rows[there], rows[here]
    for position, row in enumerate(rows):
        row.position = position
    Node.objects.bulk_update(rows, ["position"])
