"""A commitment SCU and SCP by pynetdicom: it asks, listens for reports, and keeps what it heard."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from queue import Empty, Queue

from pydicom.dataset import Dataset
from pynetdicom import AE, build_role, evt
from pynetdicom.association import Association
from pynetdicom.sop_class import CTImageStorage, StorageCommitmentPushModel

INSTANCE = "1.2.840.10008.1.20.1.1"
PUSH = StorageCommitmentPushModel
TRANSACTION = "1.2.826.0.1.3680043.10.1361.9.1"
WAIT_S = 20.0


@dataclass
class Heard:
    """Reports as they came: event type, data set, and whether over an association of the node's.

    A report is there once its answer is on the wire: a release that overtook the answer would
    break the association. `roles` are (SCU, SCP) as the node proposed them for itself.
    """

    reports: Queue = field(default_factory=Queue)
    unanswered: Queue = field(default_factory=Queue)
    answer: Callable[[], int] = lambda: 0x0000
    roles: list[tuple[bool, bool]] = field(default_factory=list)

    def take(self, event: evt.Event) -> tuple[int, None]:
        """Note one report, and answer it."""
        status = self.answer()
        called_us = event.assoc.is_acceptor
        for told in event.assoc.requestor.role_selection.values():
            self.roles.append((told.scu_role, told.scp_role))
        self.unanswered.put((event.request.EventTypeID, event.event_information, called_us))
        return status, None

    def sent(self, event: evt.Event) -> None:
        """Keep the reports that are answered now."""
        with contextlib.suppress(Empty):
            while True:
                self.reports.put(self.unanswered.get_nowait())

    @property
    def handlers(self) -> list[tuple[evt.EventType, Callable]]:
        """Return what pynetdicom calls."""
        return [(evt.EVT_N_EVENT_REPORT, self.take), (evt.EVT_PDU_SENT, self.sent)]

    def next(self) -> tuple[int, Dataset, bool]:
        """Return the next report: event type, data set, whether the node had called."""
        return self.reports.get(timeout=WAIT_S)


def request(items: Sequence[tuple[str, str]], transaction: str | None = TRANSACTION) -> Dataset:
    """Return the action information for instances as (SOP class, SOP instance)."""
    ds = Dataset()
    if transaction is not None:
        ds.TransactionUID = transaction
    ds.ReferencedSOPSequence = []
    for sop_class, uid in items:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, uid
        ds.ReferencedSOPSequence.append(item)
    return ds


def cts(*uids: str) -> list[tuple[str, str]]:
    """Return CT instances as (SOP class, SOP instance)."""
    return [(CTImageStorage, uid) for uid in uids]


@contextlib.contextmanager
def asking(port: int, heard: Heard | None = None, title: str = "MODALITY") -> Iterator[Association]:
    """An association that asks for commitment, and takes a report on it."""
    ae = AE(ae_title=title)
    ae.acse_timeout = ae.dimse_timeout = WAIT_S
    ae.add_requested_context(PUSH)
    handlers = heard.handlers if heard else []
    association = ae.associate("127.0.0.1", port, evt_handlers=handlers, ae_title="ARGENS_CT")
    assert association.is_established
    try:
        yield association
    finally:
        if association.is_established:
            release(association)


def release(association: Association) -> None:
    """Release an association of pynetdicom's, which on a busy machine may wait for itself.

    Its `release` spins until its reactor says that it is paused; seldom, the reactor sits at its
    checkpoint without having said so.
    """
    thread = threading.Thread(target=association.release, daemon=True)
    thread.start()
    thread.join(WAIT_S)
    if thread.is_alive():
        association._is_paused = True
        thread.join(WAIT_S)


def ask(association: Association, ds: Dataset, **changed: object) -> int:
    """Send a request and return the status of its answer."""
    how = {"action_type": 1, "class_uid": PUSH, "instance_uid": INSTANCE, **changed}
    status, _ = association.send_n_action(ds, **how)
    return status.Status


@contextlib.contextmanager
def listening(heard: Heard, title: str = "MODALITY") -> Iterator[int]:
    """Listen for reports on associations that the node opens; yields the port."""
    ae = AE(ae_title=title)
    ae.add_supported_context(PUSH, scu_role=False, scp_role=True)
    scp = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=heard.handlers)
    try:
        yield scp.socket.getsockname()[1]
    finally:
        scp.shutdown()


def committed(report: Dataset) -> set[str]:
    """Return the instances that a report commits."""
    return {i.ReferencedSOPInstanceUID for i in report.get("ReferencedSOPSequence", [])}


def failed(report: Dataset) -> dict[str, int]:
    """Return the instances that a report fails, with their reasons."""
    return {
        i.ReferencedSOPInstanceUID: i.FailureReason for i in report.get("FailedSOPSequence", [])
    }


def role() -> object:
    """Return the role selection of a report: SCP only."""
    return build_role(PUSH, scp_role=True)
