"""What a step is given: its study or volume, and a hold on the job that it may lose at any time.

Steps say what stands in their way by raising it; the runner knows what becomes of the job then:
`NeedsOperator` and `Thawing` of the vault, and `DiskFull` of the node in a recall, let it wait;
`MediumFailed` makes the volume suspect. None of them counts as done, all may be raised anywhere.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol

from pacs_common.node_client import NodeClient


class LeaseLost(Exception):
    """Another worker has this job now (or it was paused or ended): stop without effect."""


class GaveWay(LeaseLost):
    """The job was given back to the queue, for something more urgent: stop without effect."""


class StepAside(Exception):
    """The job may not go on now: it waits for `waits_for` until `until`, and no attempt counts."""

    def __init__(self, waits_for: str, until: datetime | None = None) -> None:
        super().__init__(waits_for)
        self.waits_for, self.until = waits_for, until


class Work(Protocol):
    """A claimed job, as steps see it."""

    @property
    def job_id(self) -> int:
        """The job's number."""

    @property
    def node(self) -> str:
        """The node's name."""

    @property
    def study_uid(self) -> str:
        """The study."""

    @property
    def vault(self) -> str:
        """The vault's name, of a job that is about one."""

    @property
    def volume(self) -> str:
        """The volume's label, of a job that is about one."""

    @property
    def client(self) -> NodeClient:
        """The node, spoken to on behalf of this job."""

    def check(self) -> None:
        """Raise LeaseLost where the job is no longer ours."""

    def fenced(self) -> AbstractContextManager[None]:
        """Run a block in one transaction that has an effect only while the job is ours."""

    def expect(self, instances: int, size_bytes: int) -> None:
        """Say how much there is to do, and begin to count from zero."""

    def advance(self, size_bytes: int, instances: int = 1) -> None:
        """Count what has been done, at the pace that the job's window allows.

        Raises LeaseLost where the job is no longer ours, StepAside where its window has ended.
        """

    def whole(self) -> AbstractContextManager[None]:
        """Let `advance` not raise StepAside within a block: a member is written whole."""

    def give_back(self, after_s: float = 0.0) -> None:
        """Queue the job again without counting the attempt; from here on it is no longer ours."""

    def note(self, text: str) -> None:
        """Keep a line for the operator with the job."""
