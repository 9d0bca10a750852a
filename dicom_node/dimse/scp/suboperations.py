"""The sub-operations of one C-GET or C-MOVE: sent, counted, waited for, told of."""

from __future__ import annotations

import logging
import time
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from pydicom.dataset import Dataset

from dicom_node import audit
from dicom_node.config import CONFIG
from dicom_node.dimse.association import identifiers
from dicom_node.dimse.association.conversation import Conversation
from dicom_node.dimse.association.messages import Message
from dicom_node.dimse.association.status import CANCELLED, PENDING
from dicom_node.dimse.association.wire import AssociationEnded
from dicom_node.dimse.scu import plan
from dicom_node.dimse.scu.delivery import CalledLine, Delivered, Delivery, OwnLine
from dicom_node.dimse.scu.outgoing import Item
from dicom_node.dimse.scu.plan import Plan
from dicom_node.dimse.scu.remote import Remote
from dicom_node.dimse.scu.tally import Tally
from dicom_node.index import wanted
from dicom_node.index.away import asking_the_index
from pacs_common.errors import IndexUnavailable

LOG = logging.getLogger(__name__)
ACCESS_NOTED_S = 60.0
PENDING_EVERY_S = 2.0  # while a recall is waited for: answer, and look what came back


class Cancelled(Exception):
    """The caller has cancelled the retrieve."""


class CallerGone(Exception):
    """The caller's association ended: not to be taken for the end of the destination's."""

    def __init__(self, ended: AssociationEnded) -> None:
        super().__init__(str(ended))
        self.ended = ended


@dataclass
class Retrieval:
    """One retrieve that is under way: C-GET without a destination, C-MOVE with one."""

    caller: Conversation
    request: Message
    plan: Plan
    destination: Remote | None
    tally: Tally = field(init=False)
    _accessed_at: float = field(default_factory=time.monotonic)
    _away: dict[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.tally = Tally(len(self.plan))

    def run(self) -> None:
        """Send everything, telling the caller after each instance; raises AssociationEnded."""
        status = None
        try:
            with asking_the_index():
                self._send_all()
        except Cancelled:
            status = CANCELLED
        except CallerGone as gone:
            raise gone.ended from None
        except IndexUnavailable as error:
            self.tally.give_up(str(error))
        finally:
            self._note(status)
        self._answer(self.tally.status if status is None else status)

    def _send_all(self) -> None:
        self._send(self.plan.ids)
        self._wait_for_recall()
        for uid in self._away.values():
            self.tally.fail(uid, "not on the node's disk; its recall was asked for")
        self.tally.give_up("it is no longer here")

    def _send(self, ids: array[int]) -> None:
        """Send what is online of `ids`; the others are remembered as away."""
        if self.destination is None:
            self._deliver(Delivery(OwnLine(self.caller)), self.plan.items(ids))
            return
        line = CalledLine(self.destination, self._look)
        told = {
            "MoveOriginatorApplicationEntityTitle": self.caller.peer_ae,
            "MoveOriginatorMessageID": self.request.id,
        }
        try:
            for proposals in plan.groups(self.plan.pairs):
                line.start(proposals)
                self._deliver(Delivery(line, **told), plan.fitting(self.plan.items(ids), proposals))
        finally:
            line.release()

    def _deliver(self, delivery: Delivery, items: Iterable[Item]) -> None:
        for done in delivery.run(self._online(items)):
            is_on_this_line = self.destination is None and delivery.is_next_ready
            self._account(done, with_next=is_on_this_line)
            self._look()

    def _online(self, items: Iterable[Item]) -> Iterator[Item]:
        for item in items:
            if item.is_online or item.is_damaged:
                self._away.pop(item.row_id, None)
                yield item
            else:
                self._away[item.row_id] = item.uid
                self._ask_for(item)

    def _ask_for(self, item: Item) -> None:
        """Let the archive bring back what was evicted since the plan was made."""
        if item.study_uid not in self.plan.away_studies:
            self.plan.away_studies.add(item.study_uid)
            wanted.ask_for([item.study_uid], f"{self.operation} from {self.caller.peer_ae}")

    @property
    def operation(self) -> str:
        """What the caller asked for, as the audit says it."""
        return "C-GET" if self.destination is None else "C-MOVE"

    def _account(self, done: Delivered, *, with_next: bool) -> None:
        self.tally.count(done)
        if done.status is None:
            LOG.warning("not sent: %s", done.reason, extra={"sop_instance_uid": done.item.uid})
        if with_next:
            self.caller.answer_with_next(self.request, PENDING, **self.tally.counts(PENDING))
        elif not done.is_lost:  # nobody counts thousands of instances that are not tried
            self._answer(PENDING)
        if time.monotonic() - self._accessed_at > ACCESS_NOTED_S:
            self._accessed_at = time.monotonic()
            wanted.note_access(self.plan.studies)

    def _look(self) -> None:
        """Raise Cancelled where the caller wants no more, CallerGone where it is gone."""
        try:
            is_cancelled = self.caller.is_cancelled(self.request.id)
        except AssociationEnded as error:
            raise CallerGone(error) from None
        if is_cancelled:
            raise Cancelled

    def _wait_for_recall(self) -> None:
        deadline = time.monotonic() + CONFIG.recall_wait_s
        while self._away and (left := deadline - time.monotonic()) > 0:
            self._answer(PENDING)
            self._pause(min(left, PENDING_EVERY_S))
            back = self.plan.online(self._away)
            if back:
                self._send(back)

    def _pause(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._look()
            time.sleep(min(left, 0.2))

    def _answer(self, status: int) -> None:
        tally, data = self.tally, None
        if status != PENDING and tally.failed_uids:
            failed = Dataset()
            failed.FailedSOPInstanceUIDList = tally.failed_uids
            data = identifiers.encoded(failed, self.request.context.transfer_syntax)
        comment = tally.reason if status not in (PENDING, CANCELLED) else ""
        self.caller.answer(self.request, status, comment, data, **tally.counts(status))

    def _note(self, status: int | None) -> None:
        tally, to = self.tally, self.destination
        audit.note(
            "sent",
            **self.caller.whose,
            operation=self.operation,
            destination=self.caller.peer_ae if to is None else to.ae_title,
            studies={uid: tally.sent[uid] for uid in self.plan.studies.values()},
            completed=tally.completed,
            warnings=tally.warnings,
            failed=tally.failed,
            remaining=tally.remaining,
            cancelled=status == CANCELLED,
            reason=tally.reason,
        )
