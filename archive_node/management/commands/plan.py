"""`manage.py archive plan NODE`: what would be evicted now, study by study; nothing is done."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from archive_node import nodes
from archive_node.models import NodeState
from archive_node.policy import evictions
from archive_node.policy.decided import rules_of


class Command(BaseCommand):
    help = "Print the list that would be made now for a node, as it was last scanned."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the node's name."""
        parser.add_argument("node")

    def handle(self, *args: Any, node: str, **options: Any) -> None:
        """Print one line for each study, and a line of sums."""
        if node not in nodes.names():
            raise CommandError(f"no node is called {node!r}; there are {', '.join(nodes.names())}")
        state = NodeState.objects.filter(name=node).first()
        if state is None or not state.disk:
            raise CommandError(f"{node} has not been scanned yet")
        found = evictions.proposal(node, state.disk, rules_of(node, timezone.now()))
        for facts, why in found.studies:
            used = f"{facts.last_used_at:%Y-%m-%d %H:%M}"
            self.stdout.write(
                f"{facts.study_uid}  {facts.online} instances  {facts.online_bytes} bytes  "
                f"last used {used} UTC  {why}"
            )
        self.stdout.write(
            f"{len(found.studies)} studies, {found.listed_bytes} bytes, of {found.wanted_bytes} "
            f"wanted: {found.why}"
        )
