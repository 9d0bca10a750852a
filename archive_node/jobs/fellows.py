"""The recalls that come along in another's round: claimed, kept alive and settled one by one."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.models import Exists, OuterRef
from django.utils import timezone

from archive_node.jobs import states
from archive_node.jobs.states import Lease, State, claimable
from archive_node.models import Copy, Job
from archive_node.steps import staging
from archive_node.steps.whereabouts import Place
from archive_node.steps.work import LeaseLost

LOG = logging.getLogger(__name__)
MOST = 50  # others on one mount: who leads must not wait for all of a long queue
Settle = Callable[[Lease, Exception], None]


class Fellows:
    """A context in which queued recalls are taken along; who is not settled is given back."""

    def __init__(self, settle: Settle) -> None:
        """`settle` ends or postpones a job that cannot go on, as the runner does."""
        self._settle = settle
        self._held: dict[int, Lease] = {}
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Fellows:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for lease in list(self._held.values()):
            with suppress(LeaseLost):
                self.give_back(lease)
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()

    def join(self, place: Place) -> list[Lease]:
        """Claim the queued recalls of studies that have a proven copy on a volume."""
        there = Copy.objects.filter(
            node=OuterRef("node"),
            study_uid=OuterRef("study_uid"),
            vault=place.vault,
            volume=place.label,
            bad_since=None,
            verified_at__isnull=False,
        )
        queued = Job.objects.filter(
            claimable(timezone.now()),
            Exists(there),
            kind=Job.Kind.RECALL,
            state=State.QUEUED,
            attempts__lt=states.MAX_ATTEMPTS,
        )
        ids = queued.order_by("-priority", "due_at").values_list("id", flat=True)[:MOST]
        leases = [lease for job_id in list(ids) if (lease := self._claimed(job_id)) is not None]
        if leases:
            LOG.info("recalls come along", extra={"volume": place.label, "jobs": len(leases)})
        return leases

    def finish(self, lease: Lease) -> None:
        """End one that lacks nothing more."""
        self._held.pop(lease.job_id, None)
        lease.finish()
        staging.clear(lease.job_id)

    def give_back(self, lease: Lease) -> None:
        """Queue one again at once."""
        self._held.pop(lease.job_id, None)
        lease.give_back()

    def settle(self, lease: Lease, error: Exception) -> None:
        """End, or postpone, one that cannot go on."""
        self._held.pop(lease.job_id, None)
        self._settle(lease, error)

    def _claimed(self, job_id: int) -> Lease | None:
        lease = states.claim(job_id)
        if lease is not None:
            self._held[job_id] = lease
            self._keep_alive()
        return lease

    def _keep_alive(self) -> None:
        """Extend all leases from one thread: one connection, however many come along."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._extend_all, daemon=True)
            self._thread.start()

    def _extend_all(self) -> None:
        try:
            while not self._stopped.wait(settings.ARCHIVE.lease_s / 3):
                for lease in list(self._held.values()):
                    try:
                        lease.extend()
                    except LeaseLost:
                        self._held.pop(lease.job_id, None)  # its next step learns it too
                    except DatabaseError as error:
                        LOG.warning("lease not extended: %s", error)
        finally:
            connection.close()
