"""One archive with a vault of its own, and a node on a real wire, for each test."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.conf import settings as django_settings

from archive_node import library, nodes
from archive_node.jobs import dispatch, runner
from archive_node.models import Job
from archive_node.vault.base import Vault
from pacs_common.tickets import TicketIssuer
from tests.archive.node_of_today import NodeOfToday
from tests.archive.node_stand_in import NodeStandIn, serving

STUDY = "1.2.3"


def unlike(number: int, size_bytes: int = 3000) -> bytes:
    """Return bytes that differ from one number to the next."""
    return (f"instance {number} ".encode() * (size_bytes // 8))[:size_bytes]


@pytest.fixture
def archive(settings, tmp_path: Path) -> Callable[..., None]:
    """Change the archive's settings; at first: folders of its own, nothing has to be quiet."""

    def change(**fields: object) -> None:
        settings.ARCHIVE = dataclasses.replace(django_settings.ARCHIVE, **fields)

    change(
        data_dir=tmp_path / "data",
        trust_dir=tmp_path / "trust",
        vault_dir=tmp_path / "vault",
        volume_bytes=200_000,
        quiet_s=0,
        lease_s=30,
    )
    return change


@pytest.fixture
def node(archive, tmp_path: Path, transactional_db: None) -> Iterator[NodeStandIn]:
    """A node called CT that the archive knows and trusts."""
    nodes.issuer()
    with serving(NodeStandIn("CT", tmp_path / "ct", tmp_path / "trust")) as served:
        archive(nodes={"CT": served.url})
        yield served


@pytest.fixture
def today(archive, tmp_path: Path, transactional_db: None) -> Iterator[NodeOfToday]:
    """A node called CT that tells what changed, takes holds and knows its rate."""
    nodes.issuer()
    with serving(NodeOfToday("CT", tmp_path / "ct", tmp_path / "trust")) as served:
        archive(nodes={"CT": served.url})
        yield served


@pytest.fixture
def vault(archive, transactional_db: None) -> Vault:
    return library.vault("vault-1")


@pytest.fixture
def head(node: NodeStandIn) -> NodeStandIn:
    """The node with one quiet study of three instances."""
    for number in range(3):
        node.arrive(STUDY, f"1.2.3.{number}", unlike(number))
    return node


@pytest.fixture
def portal(archive, tmp_path: Path) -> TicketIssuer:
    return TicketIssuer.at("portal", tmp_path / "portal.key.pem", tmp_path / "trust")


def run_job(kind: str, study_uid: str = STUDY, node: str = "CT") -> Job:
    """Ask for a job and run it here, as a worker would."""
    job, _ = dispatch.request(kind, node, study_uid, "archivist")
    runner.run(job.id)
    job.refresh_from_db()
    return job
