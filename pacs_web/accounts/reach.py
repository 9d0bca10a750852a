"""Reads how far a person's rights reach: own limits first, else those of the groups."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from django.db.models import Q, QuerySet
from django.utils import timezone

from pacs_web.accounts.models import BrokenGlass, Limit, NodeRule
from pacs_web.accounts.policy import Reach, folded

# What was read for the request that is under way, so that it is read once.
_OF_REQUEST: ContextVar[tuple[str, Reach] | None] = ContextVar("reach", default=None)


def reach_of(username: str) -> Reach:
    """Return a person's reach; who is no person (a service's own name) has no limit.

    A limit that the person has stands in the place of the groups' of the same kind; the groups'
    add up, and a group without one does not lift the others'.
    """
    known = _OF_REQUEST.get()
    return known[1] if known and known[0] == username else _read(username)


@contextmanager
def remembered(username: str) -> Iterator[Reach]:
    """Read a person's reach once for all that happens within."""
    reach = reach_of(username)
    token = _OF_REQUEST.set((username, reach))
    try:
        yield reach
    finally:
        _OF_REQUEST.reset(token)


def _read(username: str) -> Reach:
    rows = Limit.objects.filter(
        Q(account__username=username) | Q(group__user__username=username)
    ).values_list("account", "node", "department")
    found = set(rows)
    if not found:
        return Reach()
    nodes = _named((own, node) for own, node, _department in found)
    departments = _named((own, department) for own, _node, department in found)
    return Reach(
        nodes=nodes,
        departments=departments and frozenset(map(folded, departments)),
        closed=frozenset(NodeRule.objects.filter(closed=True).values_list("node", flat=True)),
        granted=frozenset(lasting_glass(username).values_list("study_uid", flat=True)),
    )


def lasting_glass(username: str) -> QuerySet[BrokenGlass]:
    """Return what a person broke the glass for, while that lasts."""
    return BrokenGlass.objects.filter(account__username=username, until__gt=timezone.now())


def _named(rows: Iterator[tuple[int | None, str]]) -> frozenset[str] | None:
    """Return what the person's own rows name, else the groups'; None where none does."""
    named = [(own is not None, name) for own, name in rows if name]
    own = frozenset(name for is_own, name in named if is_own)
    return own or frozenset(name for _, name in named) or None
