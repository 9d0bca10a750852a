"""A node that is killed after a DELETE hides what it hid, on each database, and reindexed too."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from pacs_common.tickets import TicketIssuer
from tests.support import roles
from tests.support.data_sets import ct
from tests.support.node_under_fault import kill_node, objects
from tests.support.postgres import cluster
from tests.support.stow import RELATED, STUDIES, as_file, body

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
STUDY = "1.2.826.0.1.3680043.10.1361.701"
SCOPES = ["dicomweb", "dicomweb.store", "dicomweb.delete", "rejections.read"]


@pytest.fixture(params=["sqlite", "postgres"])
def node(request, tmp_path) -> Iterator[roles.Role]:
    """A node on each database, not started."""
    if request.param == "sqlite":
        yield roles.node(tmp_path)
        return
    with cluster() as server:
        yield roles.node(tmp_path, PACS_DATABASE_URL=server.create("node"))


OF_THE_STUDY = ("patient", "departments", "description")  # what a list tells besides


def client(node: roles.Role) -> httpx.Client:
    """A client whose ticket lets it do everything."""
    trust = Path(node.env["PACS_TRUST_DIR"])
    signer = TicketIssuer.at("portal", node.folder / "portal.key", trust)
    ticket = signer.issue("CT", SCOPES, subject="tester", lifetime_s=600)
    headers = {"Authorization": f"Bearer {ticket}"}
    return httpx.Client(base_url=node.url, headers=headers, timeout=60)


def found(node: roles.Role) -> int:
    with client(node) as web:
        answer = web.get("/dicom-web/instances", params={"StudyInstanceUID": STUDY})
    return len(answer.json()) if answer.status_code == 200 else 0


def test_what_was_deleted_is_hidden_after_a_kill_and_a_reindex_until_it_is_undone(node):
    sent = body(as_file(ct(n, study=STUDY, series=f"{STUDY}.1")) for n in range(1, 6))
    with roles.running(node):
        with client(node) as web:
            assert web.post(STUDIES, content=sent, headers={"Content-Type": RELATED}).is_success
            told = web.delete(f"{STUDIES}/{STUDY}", params={"reason": "113038"})
            assert told.status_code == 200, told.text
        kill_node(node)
    assert len(objects(node)) == 6
    with roles.running(node):
        assert found(node) == 0
    reindexed = node.command("reindex")
    assert reindexed.returncode == 0, reindexed.stderr
    with roles.running(node):
        assert found(node) == 0
        with client(node) as web:
            (listed,) = web.get("/api/rejections").json()["rejections"]
            of_the_study = {name: listed.pop(name) for name in OF_THE_STUDY}
            assert listed == told.json()["rejection"]
            assert of_the_study["patient"] == {"name": "Lefèvre^Hélène", "id": "FR-1"}
            undone = web.post(f"/api/rejections/{listed['id']}/undo")
            assert undone.status_code == 200, undone.text
        assert found(node) == 6
