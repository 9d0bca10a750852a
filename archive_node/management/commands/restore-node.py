"""`manage.py archive restore-node NAME`: an empty node gets back what the vaults hold of it."""

from __future__ import annotations

import dataclasses
import sys
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from archive_node import nodes
from archive_node.jobs.restore_waits import Waiting
from archive_node.steps import restore
from archive_node.steps.account import Account
from archive_node.steps.awaited import Waits
from archive_node.steps.refilling import Known, known_studies, present_at
from pacs_common import errors
from pacs_common.node_client import NodeClient
from pacs_common.uids import Uid

MOST_TOLD = 50
INTERRUPTED = 130  # as shells tell of Ctrl-C


class Command(BaseCommand):
    """`manage.py archive restore-node NAME`, with the options below."""

    help = (
        "Fill an empty node from the vaults, with its corrections, rejections and holds. "
        "What was evicted stays so. It waits for volumes on the shelf and for cold storage; "
        "run it again to go on after a stop."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument("name", help="the node's name, as the archive knows it")
        parser.add_argument("--url", help="its address, where it is not that of PACS_NODES")
        parser.add_argument("--study", default="", help="one study alone")
        parser.add_argument("--since", help="only what arrived from this day on (2026-11-28)")
        parser.add_argument(
            "--all",
            action="store_true",
            help="bring back what had been evicted too, the newest first, while there is space",
        )
        parser.add_argument(
            "--no-wait",
            action="store_true",
            help="name what lies on the shelf or in cold storage, and end with 1",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Restore, and say what was done; ends with 1 where something is missing."""
        name, url = options["name"], options["url"]
        if url:
            at = {**settings.ARCHIVE.nodes, name: url}
            settings.ARCHIVE = dataclasses.replace(settings.ARCHIVE, nodes=at)
        waiting = Waiting(name, self._say)
        try:
            client = nodes.client(name, subject="restore-node")
            studies = known_studies(
                name, study_uid=_uid(options["study"]), since=_day(options["since"])
            )
            waits = None if options["no_wait"] else waiting
            account = self._restored(client, studies, waits, everything=options["all"])
        except errors.ArgensError as error:
            raise CommandError(str(error)) from None
        except KeyboardInterrupt:
            self._say("stopped: what was brought stays; run it again to go on")
            sys.exit(INTERRUPTED)
        finally:
            waiting.end()
        self._tell(account, len(studies))
        if not account.is_complete:
            sys.exit(1)

    def _say(self, line: str) -> None:
        """Tell the operator at once, whatever the output is."""
        self.stdout.write(line)
        self.stdout.flush()

    def _restored(
        self, client: NodeClient, studies: list[Known], waits: Waits | None, *, everything: bool
    ) -> Account:
        most_bytes = restore.budget_bytes(client)
        there = present_at(client)
        online = restore.chosen_online(studies, there, most_bytes, everything=everything)
        total = sum(known.size_bytes for known in studies)
        bar = tqdm(total=total, unit="B", unit_scale=True, disable=not sys.stderr.isatty())

        def progress(size_bytes: int) -> None:
            bar.update(size_bytes)
            if waits is not None:
                waits.keep_asking()

        with bar:
            return restore.restore(client, studies, there, online, progress, waits)

    def _tell(self, account: Account, known: int) -> None:
        self.stdout.write(
            f"{account.studies} studies restored of {known} in the vaults; "
            f"{account.whole_before} were whole already\n"
            f"{account.instances} instances, {account.size_bytes} bytes; "
            f"{account.stubs} of them are kept as evicted"
        )
        if account.quarantined:
            self.stdout.write(f"{account.quarantined} objects lie in quarantine again")
        if account.problems:
            self.stdout.write(f"{len(account.problems)} studies are not whole:")
        for uid, why in list(account.problems.items())[:MOST_TOLD]:
            self.stdout.write(f"  {uid}: {why}")


def _uid(text: str) -> str:
    return Uid.parse(text, "Study Instance UID") if text else ""


def _day(text: str | None) -> datetime | None:
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise CommandError(f"{text!r} is no date like 2026-11-28") from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)
