"""A real node for tests: its disk, its index, its DICOM port; nothing stands in for anything."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from django.core.cache import caches
from django.test import Client
from pydicom.dataset import Dataset

from dicom_node.config import CONFIG
from dicom_node.index.writer import IndexWriter
from dicom_node.ingest.ingest import Arrival, Ingest, Result
from dicom_node.models import Instance
from dicom_node.store.blobs import ensure_folder
from dicom_node.store.layout import Layout
from pacs_common.tickets import TicketIssuer
from tests.node.objects import encoded, real_file

if TYPE_CHECKING:
    from dicom_node.dimse.server.port import DicomServer


@pytest.fixture
def layout() -> Iterator[Layout]:
    """The node's empty disk."""
    layout = Layout(CONFIG.data_dir)
    _clear(layout)
    for name in ("default", "shared"):
        caches[name].clear()
    ensure_folder(layout.objects)
    yield layout
    _clear(layout)


@pytest.fixture
def ingest(layout: Layout, transactional_db: None) -> Iterator[Ingest]:
    """The one way in, on an empty disk and index."""
    index = IndexWriter()
    yield Ingest(layout, index, CONFIG.reserve_bytes)
    index.close()


@pytest.fixture
def take(ingest: Ingest) -> Callable[[Dataset], Result]:
    """Take one data set in, as a modality would send it."""

    def take(ds: Dataset, transfer_syntax: str = "1.2.840.10008.1.2.1", **said: str) -> Result:
        return ingest.take(Arrival(encoded(ds, transfer_syntax), transfer_syntax, **said))

    return take


@pytest.fixture
def server(layout: Layout, transactional_db: None) -> Iterator[DicomServer]:
    """The node's DICOM port, on a free port."""
    from dicom_node.dimse.server.port import DicomServer, Listener, listen

    listeners = [Listener(listen("127.0.0.1", 0))]
    server = DicomServer(layout, listeners, reserve_bytes=CONFIG.reserve_bytes)
    yield server
    server.stop()


@pytest.fixture
def ticket(tmp_path: Path) -> Callable[..., str]:
    """Sign a ticket for this node: `ticket("dicomweb")`, `ticket("custody.read", study=uid)`."""

    def ticket(
        scope: str, *more: str, issuer: str = "", audience: str = "", **bound: object
    ) -> str:
        issuer = issuer or ("archive" if scope.startswith("custody") else "portal")
        signer = TicketIssuer.at(issuer, tmp_path / f"{issuer}.key", CONFIG.trust_dir)
        return signer.issue(audience or CONFIG.name, [scope, *more], subject="tester", **bound)

    return ticket


@pytest.fixture
def portal(client: Client, ticket: Callable[..., str]) -> Client:
    """An HTTP client that comes with the portal's ticket for DICOMweb."""
    client.defaults["HTTP_AUTHORIZATION"] = f"Bearer {ticket('dicomweb')}"
    return client


@pytest.fixture
def archive(ticket: Callable[..., str]) -> Callable[..., Client]:
    """An HTTP client that comes with a ticket of the archive for one custody scope."""

    def archive(scope: str, **bound: object) -> Client:
        return Client(headers={"Authorization": f"Bearer {ticket(scope, **bound)}"})

    return archive


@pytest.fixture
def evict(archive):
    """Post a plan: `evict(plan)` with a fresh ticket for it."""

    def evict(plan, **other):
        bound = {"plan": plan["plan_id"], "study": plan["study_uid"]} | other.get("ticket", {})
        client = archive("custody.evict", **bound)
        return client.post(
            "/api/custody/evictions", json.dumps(plan), content_type="application/json"
        )

    return evict


@pytest.fixture
def real(ingest: Ingest) -> Callable[[str], str]:
    """Take a file of pydicom's in; returns the address of its instance."""

    def real(name: str) -> str:
        content, syntax = real_file(name)
        ingest.take(Arrival(content, syntax))
        row = Instance.objects.select_related("series__study").latest("id")
        study, series = row.series.study.uid, row.series.uid
        return f"/dicom-web/studies/{study}/series/{series}/instances/{row.uid}"

    return real


def _clear(layout: Layout) -> None:
    for folder in (layout.objects, layout.quarantine, layout.journal, layout.renditions):
        shutil.rmtree(folder, ignore_errors=True)
    shutil.rmtree(layout.audit, ignore_errors=True)
    kept = (layout.checkpoint, layout.peers, layout.routed_until, layout.forwarding_rules)
    for file in kept:
        file.unlink(missing_ok=True)
