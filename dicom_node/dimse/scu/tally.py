"""The account of a retrieve's sub-operations, and the status that it ends with.

PS3.4 C.4.2.1.5 to C.4.2.1.9 (C-MOVE) and C.4.3.1.4 (C-GET).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from dicom_node.dimse.association.status import (
    CANCELLED,
    NONE_DONE,
    PENDING,
    SOME_FAILED,
    SUCCESS,
    code_of,
)
from dicom_node.dimse.scu.delivery import Delivered

MOST = 0xFFFF  # a US holds no more; the true numbers stand in the audit


@dataclass
class Tally:
    """How far a retrieve of `total` instances has come."""

    total: int
    completed: int = 0
    warnings: int = 0
    failed: int = 0
    failed_uids: list[str] = field(default_factory=list)
    reason: str = ""
    sent: Counter[str] = field(default_factory=Counter)

    @property
    def remaining(self) -> int:
        """The sub-operations that have not been tried."""
        return max(0, self.total - self.completed - self.warnings - self.failed)

    def count(self, done: Delivered) -> None:
        """Count one sub-operation by what the peer said."""
        if not done.is_taken:
            self.fail(done.item.uid, _told(done))
            return
        self.sent[done.item.study_uid] += 1
        if done.is_warning:
            self.warnings += 1
            self.reason = self.reason or _told(done)
        else:
            self.completed += 1

    def fail(self, uid: str, why: str) -> None:
        """Count one sub-operation as failed, and list it; the first reason is kept."""
        self.failed += 1
        self.failed_uids.append(uid)
        self.reason = self.reason or why

    def give_up(self, why: str) -> None:
        """Count what has not been tried as failed."""
        self.failed += self.remaining
        self.reason = self.reason or why

    @property
    def status(self) -> int:
        """The final status, where nobody cancelled."""
        if not self.failed and not self.warnings:
            return SUCCESS
        return SOME_FAILED if self.completed or self.warnings else NONE_DONE

    def counts(self, status: int) -> dict[str, int]:
        """Return the fields of an answer; what remains is told while something may remain."""
        numbers = {
            "NumberOfCompletedSuboperations": self.completed,
            "NumberOfFailedSuboperations": self.failed,
            "NumberOfWarningSuboperations": self.warnings,
        }
        if status in (PENDING, CANCELLED):
            numbers["NumberOfRemainingSuboperations"] = self.remaining
        return {keyword: min(number, MOST) for keyword, number in numbers.items()}


def _told(done: Delivered) -> str:
    if done.status is None:
        return done.reason
    return f"the peer answered {code_of(done.status)} {done.reason}".strip()
