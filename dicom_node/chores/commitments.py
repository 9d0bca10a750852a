"""Storage commitment that no association waits for: checks, reports, and requests of our own."""

from __future__ import annotations

import logging
import time

from django.db.models import Exists, OuterRef
from pydicom.uid import generate_uid

from dicom_node.chores.lanes import GoesOn, Lanes
from dicom_node.commitment import queue
from dicom_node.config import CONFIG
from dicom_node.dimse.scp import commit, commit_reports
from dicom_node.index.durable import durable_transaction
from dicom_node.models import Commitment, Forward, Instance
from pacs_common.errors import ArgensError

LOG = logging.getLogger(__name__)
RENEW_S = 20.0
MAX_PEERS = 100  # of which requests are looked at in one round
BATCH_INSTANCES = 5000


class Commitments:
    """Starts what is due, in lanes: one for each peer."""

    def __init__(self, lanes: Lanes) -> None:
        self._lanes = lanes

    def look(self) -> None:
        """Start each peer whose requests can be worked on, and the asking for what was sent."""
        due = queue.due().order_by().values_list("peer_ae", flat=True).distinct()
        for peer_ae in due[:MAX_PEERS]:
            self._lanes.start("commitment", peer_ae, _worker(peer_ae))
        if _unasked().exists():
            self._lanes.start("asking", "", ask_for_sent)


def work_on(peer_ae: str, goes_on: GoesOn) -> None:
    """Work on the requests of one peer that are due."""
    for row in queue.due().filter(peer_ae=peer_ae):
        if not goes_on():
            return
        if queue.lease(row):
            _advance(row, goes_on)


def ask_for_sent(goes_on: GoesOn = lambda: True) -> None:
    """Ask destinations to commit what rules sent them, a study at a time, once all of it left."""
    pairs = _unasked().values_list("destination", "study_uid").distinct()
    for destination, study_uid in list(pairs):
        if not goes_on():
            return
        sent = _unasked().filter(destination=destination, study_uid=study_uid)
        ids = list(sent.order_by("id").values_list("id", flat=True)[:BATCH_INSTANCES])
        rows = Forward.objects.filter(id__in=ids)
        uids = rows.values("uid")
        items = list(Instance.objects.filter(uid__in=uids).values_list("sop_class", "uid"))
        with durable_transaction():
            if items:
                request = queue.ask(
                    generate_uid(prefix=None),
                    items,
                    peer_ae=destination,
                    own_ae=CONFIG.ae_title,
                    requested_by="rule",
                )
                rows.update(commitment=request)
            else:
                rows.update(wants_commitment=False)


def _worker(peer_ae: str):
    return lambda goes_on: work_on(peer_ae, goes_on)


def _unasked():
    """Return what was sent under a rule that asks for commitment, of studies that left whole."""
    under_way = Forward.objects.filter(
        destination=OuterRef("destination"),
        study_uid=OuterRef("study_uid"),
        state__in=(Forward.State.WAITING, Forward.State.SENDING),
    )
    sent = Forward.objects.filter(state=Forward.State.SENT, wants_commitment=True, commitment=None)
    return sent.filter(~Exists(under_way))


def _advance(row: Commitment, goes_on: GoesOn) -> None:
    state = Commitment.State(row.state)
    try:
        if state is Commitment.State.CHECKING and not _is_decided(row, goes_on):
            return
        if row.state == Commitment.State.REPORTING:
            commit_reports.report(row)
        elif state is Commitment.State.ASKING:
            commit.ask(row)
        elif state is Commitment.State.AWAITING:
            queue.postpone(row, f"{row.peer_ae} has not reported", is_final=True)
    except ArgensError as error:
        LOG.warning("commitment: %s", error, extra={"ae_title": row.peer_ae})
        queue.postpone(row, str(error))


def _is_decided(row: Commitment, goes_on: GoesOn) -> bool:
    renewed = time.monotonic()

    def renewing() -> bool:
        nonlocal renewed
        if time.monotonic() - renewed > RENEW_S:
            queue.renew(row)
            renewed = time.monotonic()
        return goes_on()

    if commit.checker().decide(row, renewing):
        queue.advance(row, Commitment.State.REPORTING)
        return True
    if goes_on():
        queue.wait_for_copies(row)
    else:
        queue.free(row)
    return False
