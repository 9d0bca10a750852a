"""A PACS that speaks only DIMSE (Orthanc without web), through a real node that is its landing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from django.test import Client
from django.utils import timezone

from pacs_common.errors import BadQuery, NotOnline, PeerFailed, PeerUnreachable, Refused
from pacs_web import config
from pacs_web.federation.dicom_json import text, values
from pacs_web.nodes import fetching, registry
from pacs_web.nodes.models import Fetch, Kind, Node
from pacs_web.nodes.servers.dimse import DimseServer
from tests.benchmarks import peers
from tests.support import roles
from tests.support.ports import free_port
from tests.support.services import require
from tests.web.made_studies import CT_STUDY, RF_STUDY, ct_study, file_bytes, rf_study

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]
IMAGES = 3
SERIES = f"studies/{CT_STUDY}/series/{CT_STUDY}.1"


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[roles.Role, peers.Peer]]:
    """A node, and an Orthanc with a CT and an RF that knows the node as a destination."""
    require("Orthanc")
    folder: Path = tmp_path_factory.mktemp("dimse")
    registry.ticket_issuer()  # publishes the portal's key
    node = roles.node(folder, "CT", PACS_TRUST_DIR=str(config.TRUST_DIR))
    knows = {"argens": ["ARGENS_CT", "127.0.0.1", node.dicom_port]}
    with roles.running(node):
        orthanc = peers.orthanc(folder, DicomAet="OLDPACS", DicomModalities=knows)
        try:
            for one in [*ct_study(IMAGES), *rf_study()]:
                del one.IssuerOfPatientID
                web = f"http://127.0.0.1:{orthanc.http_port}/instances"
                assert httpx.post(web, content=file_bytes(one), timeout=30).status_code == 200
            yield node, orthanc
        finally:
            orthanc.stop()


@pytest.fixture
def rows(pair: tuple, db: None) -> tuple[Node, Node]:
    """The node and the PACS in the registry."""
    node, orthanc = pair
    landing = Node.objects.create(name="CT", url=node.url, position=1)
    pacs = Node.objects.create(
        name="OLDPACS",
        kind=Kind.DIMSE,
        ae_title="OLDPACS",
        host="127.0.0.1",
        port=orthanc.port,
        through=landing,
        issuer="FREJUS",
    )
    return landing, pacs


@pytest.fixture
def pacs(rows: tuple[Node, Node]) -> DimseServer:
    return registry.dimse_client(rows[1], "clinician", registry.STREAM_READ_S)


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "NODE_TIMEOUT_S", 20.0)


def studies(found: list) -> set[str]:
    return {text(one, "StudyInstanceUID") for one in found}


def test_it_is_searched_as_a_node_is(pacs: DimseServer) -> None:
    (found,) = pacs.qido("studies", {"PatientName": "LEF*", "limit": 10})
    assert text(found, "StudyInstanceUID") == CT_STUDY
    assert text(found, "IssuerOfPatientID") == "FREJUS"
    assert text(found, "InstanceAvailability") == "NEARLINE"
    assert values(found, "NumberOfStudyRelatedInstances") == [IMAGES]
    assert studies(pacs.qido("studies", {"ModalitiesInStudy": "CT\\RF"})) == {CT_STUDY, RF_STUDY}
    assert studies(pacs.qido("studies", {"00100020": "FRJ000002"})) == {RF_STUDY}
    both = {"StudyInstanceUID": f"{CT_STUDY},{RF_STUDY}"}
    assert studies(pacs.qido("studies", both)) == {CT_STUDY, RF_STUDY}
    assert len(pacs.qido("studies", {"limit": 1, "offset": 1})) == 1
    assert pacs.qido("studies", {"IssuerOfPatientID": "CLINIC"}) == []
    assert len(pacs.qido(f"studies/{CT_STUDY}/series", {})) == 1
    assert len(pacs.qido(f"{SERIES}/instances", {"limit": 2, "offset": 1})) == 2
    assert len(pacs.qido(f"studies/{CT_STUDY}/instances", {})) == IMAGES


@pytest.mark.parametrize(
    ("path", "params"),
    [("series", {}), ("instances", {"SOPInstanceUID": "1.2"}), ("studies", {"Nonsense": "1"})],
)
def test_what_cannot_be_asked_is_refused(pacs: DimseServer, path: str, params: dict) -> None:
    with pytest.raises(BadQuery):
        pacs.qido(path, params)


def test_nothing_is_stored_or_rejected_there(pacs: DimseServer) -> None:
    with pytest.raises(Refused):
        pacs.store("studies", [], {})
    with pytest.raises(Refused):
        pacs.reject(f"studies/{CT_STUDY}")


def test_opening_brings_the_exam_to_the_node(
    rows: tuple[Node, Node],
    pacs: DimseServer,
    clinician: Client,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(NotOnline), pacs.dicomweb(f"{SERIES}/metadata"):
        pass
    assert clinician.get(f"/dicom-web/{SERIES}/metadata").status_code == 503
    page = clinician.get(f"/studies/{CT_STUDY}/").content.decode()
    assert "The images of this exam are on OLDPACS" in page
    assert 'hx-trigger="submit, load"' in page
    monkeypatch.setattr(fetching, "Thread", AtOnce)  # a test's database is of one thread
    clinician.post(f"/studies/{CT_STUDY}/fetch/", headers={"HX-Request": "true"})
    row = Fetch.objects.get()
    assert (row.state, row.completed, row.error) == (Fetch.State.DONE, IMAGES, "")
    asked = clinician.get(f"/studies/{CT_STUDY}/fetch/", headers={"HX-Request": "true"})
    assert asked["HX-Refresh"] == "true"
    page = clinician.get(f"/studies/{CT_STUDY}/").content.decode()
    assert "are on OLDPACS" not in page
    assert 'id="recall"' not in page
    answer = clinician.get(f"/studies/{CT_STUDY}/series/{CT_STUDY}.1/thumbnail")
    assert answer["Content-Type"] == "image/jpeg"
    answer.close()
    with pacs.dicomweb(f"{SERIES}/metadata") as landed:
        assert landed.status_code == 200


class AtOnce:
    """A thread that has run when it is started."""

    def __init__(self, *, target: Callable[..., None], args: tuple, daemon: bool) -> None:
        self._args = args

    def start(self) -> None:
        fetching.follow(*self._args)


def test_a_failed_move_is_told_with_its_reason(
    rows: tuple[Node, Node], clinician: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "Thread", AtOnce)
    server = registry.dimse_client(rows[1], "clinician", 30)
    failing = (PeerFailed("OLDPACS answered 0xA801: Move Destination unknown") for _ in [1])

    def broken(study_uid: str):
        raise next(failing)
        yield

    monkeypatch.setattr(DimseServer, "fetch", lambda self, uid: broken(uid))
    assert fetching.begin(RF_STUDY, rows[1], "clinician")
    page = clinician.get(f"/studies/{RF_STUDY}/").content.decode()
    assert "OLDPACS did not send the images" in page
    assert "Move Destination unknown" in page
    assert 'hx-trigger="submit"' in page
    assert server.name == "OLDPACS"


def test_one_thread_follows_a_study(
    rows: tuple[Node, Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[object] = []
    monkeypatch.setattr(AtOnce, "start", lambda self: started.append(self))
    monkeypatch.setattr(fetching, "Thread", AtOnce)
    assert fetching.begin(RF_STUDY, rows[1], "one")
    assert not fetching.begin(RF_STUDY, rows[1], "another")
    Fetch.objects.update(changed_at=timezone.now() - 2 * fetching.SILENT)
    assert fetching.latest(RF_STUDY, rows[1]).state == Fetch.State.FAILED
    assert fetching.begin(RF_STUDY, rows[1], "another")
    assert len(started) == 2


class TestRegistering:
    SAID = {"name": "OLDPACS", "ae_title": "OLDPACS", "host": "127.0.0.1"}

    def test_its_patients_are_those_of_the_landing_node(
        self, rows: tuple[Node, Node], browser: Callable[[str], Client]
    ) -> None:
        landing, known = rows
        said = self.SAID | {"port": known.port, "through": landing.pk}
        known.delete()
        it = browser("it")
        assert it.post("/admin-console/new-node/dimse/", said).status_code == 302
        assert Node.objects.get(name="OLDPACS").issuer == "FREJUS"
        page = it.post("/admin-console/nodes/OLDPACS/test/").content.decode()
        assert "OLDPACS works." in page
        Node.objects.filter(name="OLDPACS").update(port=free_port())
        page = it.post("/admin-console/nodes/OLDPACS/test/").content.decode()
        assert "OLDPACS cannot be used yet" in page
        assert "C-ECHO" in page
        Node.objects.filter(name="OLDPACS").update(issuer="ELSEWHERE")
        page = it.post("/admin-console/nodes/OLDPACS/test/").content.decode()
        assert "the issuer FREJUS, not ELSEWHERE any more" in page

    def test_a_landing_node_must_answer(
        self, rows: tuple[Node, Node], browser: Callable[[str], Client]
    ) -> None:
        landing, known = rows
        known.delete()
        Node.objects.filter(pk=landing.pk).update(url=f"http://127.0.0.1:{free_port()}")
        said = self.SAID | {"port": "104", "through": landing.pk}
        answer = browser("it").post("/admin-console/new-node/dimse/", said)
        assert answer.status_code == 422
        assert "This node must answer" in answer.content.decode()

    def test_a_landing_node_is_not_removed(
        self, rows: tuple[Node, Node], browser: Callable[[str], Client]
    ) -> None:
        page = browser("it").post("/admin-console/nodes/CT/remove/", follow=True)
        assert "CT is needed by OLDPACS" in page.content.decode()

    def test_a_silent_pacs_is_named(self, rows: tuple[Node, Node]) -> None:
        rows[1].port = free_port()
        with pytest.raises(PeerUnreachable):
            registry.dimse_client(rows[1], "it", 5).status()
