"""Fill a node that took the place of a lost one: all that the vaults hold of it, as a job.

It is what `restore-node` does by hand. The job may be stopped and run again at any moment: what
is whole on the node is passed over.
"""

from __future__ import annotations

import time

from django.utils import timezone

from archive_node import library
from archive_node.models import Job
from archive_node.steps import restore
from archive_node.steps.account import Account
from archive_node.steps.awaited import Awaited
from archive_node.steps.giving_way import PAUSE_S
from archive_node.steps.patience import patient
from archive_node.steps.refilling import known_studies, present_at
from archive_node.steps.whereabouts import Place
from archive_node.steps.work import GaveWay, Work
from archive_node.vault.base import NeedsOperator, Thawing
from pacs_common import errors
from pacs_common.sentences import say

LOOK_EVERY_S = 5.0  # whether somebody waits for the drives


def give_back(work: Work) -> None:
    """Bring back what the node lacks, then tell it that it has all that there is.

    Raises StepAside while the node or a vault is away, NeedsOperator or Thawing where the rest
    cannot be read yet. What no good copy holds any more does not keep it waiting: it is noted.
    """
    try:
        _give_back(work)
    except errors.ArgensError as error:
        raise patient(error, work.node) from error


def _give_back(work: Work) -> None:
    client = work.client
    wanted = client.status().get("take_over")
    studies = known_studies(work.node)
    there = present_at(client)
    online = restore.chosen_online(studies, there, restore.budget_bytes(client), everything=False)
    work.expect(0, sum(known.size_bytes for known in studies))
    account = restore.restore(client, studies, there, online, _Progress(work), _Parking())
    missing = library.answering()[1]
    if account.problems and missing:  # what it holds may be brought once it is back
        raise errors.Unavailable(next(iter(missing.values())))
    work.note(_told(account))
    if wanted:
        client.end_take_over(str(wanted["id"]), len(account.problems))


class _Parking:
    """Lets the job wait, not its worker, for what an operator or a store must bring."""

    def ask(self, place: Place) -> None:
        """Ask later: who settles the job asks for what it waits for."""

    def keep_asking(self) -> None:
        """Do nothing: a job that waits stays on the list."""

    def wait(self, awaited: Awaited) -> None:
        """Raise NeedsOperator for a volume of the shelf, else Thawing."""
        if awaited.volumes:
            place = min(awaited.volumes)
            raise NeedsOperator(place.vault, place.label)
        raise Thawing(next(iter(awaited.studies.values())), awaited.until)


class _Progress:
    """Counts what was brought, and lets a recall at the drives now and then."""

    def __init__(self, work: Work) -> None:
        self._work, self._looked_at = work, time.monotonic()

    def __call__(self, size_bytes: int) -> None:
        self._work.advance(size_bytes, instances=0)
        if time.monotonic() - self._looked_at < LOOK_EVERY_S:
            return
        self._looked_at = time.monotonic()
        recalls = Job.objects.filter(
            kind=Job.Kind.RECALL, state=Job.State.QUEUED, due_at__lte=timezone.now()
        )
        if recalls.exists():
            self._work.give_back(PAUSE_S)
            raise GaveWay


def _told(account: Account) -> str:
    back = account.studies + account.whole_before
    if not account.problems:
        return say("refilled", studies_count=back)
    uid, why = next(iter(account.problems.items()))
    missing = len(account.problems)
    return say("refilled-but", studies_count=back, missing_count=missing, study_uid=uid, why=why)
