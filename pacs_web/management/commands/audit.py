"""`manage.py web audit ...`: verifies the chain, notes its end, collects what others noted."""

from __future__ import annotations

import logging
import time
from argparse import ArgumentParser
from collections.abc import Callable
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, close_old_connections

from pacs_common.processes import StopSignals
from pacs_web import config
from pacs_web.archive.asking import archive_at
from pacs_web.audit.anchors import anchors, drop_anchor
from pacs_web.audit.collecting import Source, collect
from pacs_web.audit.delivering import deliver, receiver
from pacs_web.audit.verifying import verify
from pacs_web.nodes.registry import ARCHIVE, archive_url, own_clients

LOG = logging.getLogger(__name__)
SUBJECT = "audit"
ANCHOR_EVERY_S = 600.0


class Command(BaseCommand):
    help = "Verify the audit's chain, note its end, collect the other roles' audit."

    def add_arguments(self, parser: ArgumentParser) -> None:
        todo = parser.add_subparsers(dest="todo", required=True)
        todo.add_parser("verify", help="walk the chain; fail at the first row that is not whole")
        todo.add_parser("anchor", help="note the chain's end in the anchors' file and the log")
        todo.add_parser("collect", help="take what the nodes and the archive have noted")
        todo.add_parser("send", help="send to PACS_AUDIT_SYSLOG_HOST what it has not got yet")
        todo.add_parser("keep", help="collect, send and note the end until stopped")

    def handle(self, *args: Any, **options: Any) -> None:
        getattr(self, f"_{options['todo']}")()

    def _verify(self) -> None:
        try:
            noted = anchors()
        except ValueError as error:
            raise CommandError(str(error)) from None
        verdict = verify(noted)
        if verdict.broken is not None:
            raise CommandError(f"the chain is broken: {verdict.broken.why}")
        told = f"{verdict.rows} rows are as they were written; {verdict.anchors} anchors hold"
        self.stdout.write(told)

    def _anchor(self) -> None:
        anchor = drop_anchor()
        self.stdout.write(
            f"row {anchor.row} is noted" if anchor else "there is nothing new to note"
        )

    def _collect(self) -> None:
        for name, source in sources().items():
            self.stdout.write(f"{name}: {collect(name, source)} new rows")

    def _send(self) -> None:
        to = receiver()
        if to is None:
            raise CommandError("PACS_AUDIT_SYSLOG_HOST names no receiver")
        self.stdout.write(f"{deliver(to)} rows are sent")

    def _keep(self) -> None:
        keep(StopSignals().arrive_within)


def sources() -> dict[str, Source]:
    """Return the roles whose audit is collected, by name."""
    found: dict[str, Source] = {one.name: one for one in own_clients(SUBJECT)}
    url = archive_url()
    return found | ({ARCHIVE: archive_at(url, SUBJECT)} if url else {})


def keep(stopped_within: Callable[[float], bool]) -> None:
    """Do all that the audit needs done now and then, until stopped."""
    anchored_at, to = -ANCHOR_EVERY_S, receiver()
    while True:
        try:
            for name, source in sources().items():
                collect(name, source)
            if to is not None:
                deliver(to)
            if time.monotonic() - anchored_at >= ANCHOR_EVERY_S:
                drop_anchor()
                anchored_at = time.monotonic()
        except (DatabaseError, OSError, ValueError) as error:
            LOG.error("the audit is not kept up: %s", error)
        close_old_connections()
        if stopped_within(config.AUDIT_COLLECT_S):
            return
