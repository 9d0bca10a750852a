"""Asks our own nodes, all at once, and joins what they say into one list."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.http import HttpRequest

from pacs_common.errors import NotFound
from pacs_web import config
from pacs_web.accounts.reach import reach_of
from pacs_web.federation.fan_out import Failure, fan_out
from pacs_web.nodes.registry import own_clients
from pacs_web.nodes.servers.own import OwnServer

Row = dict[str, Any]


@dataclass(frozen=True)
class Joined:
    """The rows of all nodes that answered, each with its `node`, and who did not answer."""

    rows: list[Row]
    failures: list[Failure] = field(default_factory=list)
    answers: Mapping[str, Any] = field(default_factory=dict)


def own_nodes(request: HttpRequest, name: str = "") -> list[OwnServer]:
    """Return clients of our own nodes on behalf of this person, of one alone where it is named."""
    known = own_clients(request.user.get_username())
    return [one for one in known if name in ("", one.name)]


def own_node(request: HttpRequest, name: str) -> OwnServer:
    """Return the client of one node; raises NotFound."""
    found = own_nodes(request, name) if name else []
    if not found:
        raise NotFound(f"there is no server {name[:64]!r}")
    return found[0]


def joined(
    nodes: Sequence[OwnServer],
    ask: Callable[[OwnServer], Mapping[str, Any]],
    key: str,
    newest_by: str,
) -> Joined:
    """Ask the nodes and return the rows under `key` of their answers, newest first."""
    gathered = fan_out(nodes, ask, config.NODE_TIMEOUT_S)
    rows = [{**row, "node": name} for name, told in gathered.answers.items() for row in told[key]]
    rows.sort(key=lambda row: str(row[newest_by]), reverse=True)
    return Joined(rows, gathered.failures, gathered.answers)


def open_to(request: HttpRequest, rows: Iterable[Row]) -> list[Row]:
    """Return the rows whose exams are open to this person, by their node and departments."""
    reach = reach_of(request.user.get_username())
    return [
        row
        for row in rows
        if reach.whole or reach.sees(row["node"], row["study_uid"], row.get("departments", ()))
    ]


def with_times(rows: Iterable[Row], *names: str) -> list[Row]:
    """Return rows whose moments are read, so that a page can write them as people do."""
    return [
        {
            **row,
            **{name: datetime.fromisoformat(row[name]) if row[name] else None for name in names},
        }
        for row in rows
    ]
