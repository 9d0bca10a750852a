"""What a step is given: its study, and a hold on the job that it may lose at any time."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

from pacs_common.node_client import NodeClient


class LeaseLost(Exception):
    """Another worker has this job now (or it was ended): stop without effect."""


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
        """Count what has been done; raises LeaseLost where the job is no longer ours."""

    def note(self, text: str) -> None:
        """Keep a line for the operator with the job."""
