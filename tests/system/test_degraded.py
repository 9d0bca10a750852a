"""Parts of the hospital are down: what is left goes on, and says in one line what is missing.

Real processes: two nodes, the archive on Redis, the portal. What single pages say of a silent node
or archive is in tests/web; docs/degraded.md names where each promise is shown.
"""

from __future__ import annotations

import dataclasses
import re
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest

from pacs_common import errors
from pacs_common.archive_client import ArchiveClient
from pacs_common.node_client import NodeClient
from pacs_common.tickets import TicketIssuer
from tests.support import roles
from tests.support.data_sets import STUDY, ct
from tests.support.ports import free_port
from tests.support.redis_server import RedisServer, redis_server
from tests.support.services import require
from tests.support.stow import as_file
from tests.system.test_forwarding_interop import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
FIRST, SECOND, THIRD = (f"{STUDY}.{number}" for number in (501, 502, 503))
NOWHERE_S = 30  # a page that needs a dead part and takes as long, hangs
DESTINATION = "DEMO_SCP"


@dataclasses.dataclass
class Hospital:
    """The roles, Redis, and who may speak to them."""

    folder: Path
    ct: roles.Role
    rf: roles.Role
    archive: roles.Role
    portal: roles.Role
    redis: RedisServer
    move_port: int

    def __post_init__(self) -> None:
        key, trust = self.folder / "portal" / "portal.key.pem", self.folder / "trust"
        self.issuer = TicketIssuer.at("portal", key, trust)

    @property
    def token(self) -> str:
        """An API token of a person's."""
        return roles.accounts(self.folder)["technologist"]["token"]

    def send(self, node: roles.Role, study_uid: str) -> None:
        """Send an image of a new study by C-STORE."""
        file = self.folder / f"{study_uid}.dcm"
        ds = ct(1)
        ds.StudyInstanceUID, ds.SeriesInstanceUID = study_uid, f"{study_uid}.1"
        ds.SOPInstanceUID = f"{study_uid}.1.1"
        file.write_bytes(as_file(ds))
        self.dcmtk("storescu", node, str(file))

    def dcmtk(self, program: str, node: roles.Role, *argv: str) -> str:
        """Run one of DCMTK's programs against a node; return what it said."""
        title = node.env["PACS_AE_TITLE"]
        command = [require(program), "-v", "-aec", title, "127.0.0.1", str(node.dicom_port), *argv]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def is_proven(self, study_uid: str) -> bool:
        """Whether the archive holds a verified copy."""
        with closing(ArchiveClient(self.archive.url, self.issuer, subject="test").http) as http:
            ticket = self.issuer.issue("archive", ["archive.read"], subject="test")
            try:
                told = http.json("GET", f"/api/studies/{study_uid}", token=ticket)
            except errors.ArgensError:
                return False
        return any(copy["verified_at"] for copy in told["copies"])

    @contextmanager
    def person(self, name: str) -> Iterator[httpx.Client]:
        """Yield a browser of one who logs in with a password of the portal's own."""
        password, url = roles.accounts(self.folder)[name]["password"], self.portal.url
        with httpx.Client(base_url=url, timeout=NOWHERE_S, follow_redirects=True) as browser:
            _fill(browser, "/login/", username=name, password=password)
            yield browser


def _fill(browser: httpx.Client, address: str, **fields: str) -> httpx.Response:
    """Fill in the form of a page, and send it."""
    page = browser.get(address)
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
    assert token, page.text[:500]
    form = fields | {"csrfmiddlewaretoken": token[1]}
    return browser.post(address, data=form, headers={"Referer": f"{browser.base_url}{address}"})


@contextmanager
def down(*parts: roles.Role) -> Iterator[None]:
    """Stop roles, and start them again behind the block."""
    for part in parts:
        part.stop()
    yield
    for part in parts:
        part.start()
    for part in parts:
        part.wait_ready()


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    folder, move_port = tmp_path_factory.mktemp("degraded"), free_port()
    with redis_server() as redis:
        moves = {"PACS_MOVE_DESTINATIONS": f"{DESTINATION}=127.0.0.1:{move_port}"}
        nodes = {name: roles.node(folder, name, **moves) for name in ("CT", "RF")}
        archive = roles.archive(folder, nodes, PACS_BROKER_URL=redis.url, PACS_PRIORS="0")
        away = {"PACS_OPENID_ISSUER": "http://127.0.0.1:9", "PACS_OPENID_CLIENT_ID": "argens",
                "PACS_OPENID_CLIENT_SECRET": "s" * 20, "PACS_OPENID_NAME": "CHI login",
                "PACS_AUDIT_COLLECT_S": "1", "PACS_CACHE_URL": redis.url}  # fmt: skip
        portal = roles.portal(folder, nodes, archive.url, **away)
        for node in nodes.values():
            node.env["PACS_PORTAL_URL"] = portal.url
        with roles.running(*nodes.values(), archive, portal):
            place = Hospital(folder, *nodes.values(), archive, portal, redis, move_port)
            place.send(place.ct, FIRST)
            wait_until(lambda: place.is_proven(FIRST), lambda: archive.log[-2000:])
            yield place


def test_a_node_goes_on_without_portal_archive_and_broker(hospital: Hospital, tmp_path: Path):
    node = hospital.ct
    with httpx.Client(base_url=node.url, timeout=NOWHERE_S) as http:
        known = {"Authorization": f"Bearer {hospital.token}"}
        assert http.get("/dicom-web/studies", headers=known).status_code == 200
        envelope = _made(node)
        hospital.redis.kill()
        with down(hospital.portal, hospital.archive):
            hospital.send(node, SECOND)
            keys = ("-S", "-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={SECOND}")
            assert SECOND in hospital.dcmtk("findscu", node, *keys)
            _retrieved(hospital, tmp_path, keys)
            ticket = hospital.issuer.issue("CT", ["dicomweb"], subject="anna")
            for bearer in ({"Authorization": f"Bearer {ticket}"}, known):
                found = http.get(f"/dicom-web/studies?StudyInstanceUID={SECOND}", headers=bearer)
                assert len(found.json()) == 1
                assert http.get(f"/dicom-web/studies/{SECOND}", headers=bearer).status_code == 200
            unknown = http.get("/dicom-web/studies", headers={"Authorization": "Bearer unknown"})
            assert (unknown.status_code, unknown.json()["detail"]) == (
                502, "the portal, which knows the tokens, does not answer",
            )  # fmt: skip
            _rescued(node, envelope)
            hospital.redis.start()
    wait_until(lambda: hospital.is_proven(SECOND), lambda: hospital.archive.log[-2000:])


def _made(node: roles.Role) -> str:
    made = node.command("rescue-account")
    assert made.returncode == 0, made.stderr
    return re.search(r"^ +([A-Z0-9-]{23})$", made.stdout, re.MULTILINE)[1]


def _retrieved(hospital: Hospital, folder: Path, keys: tuple[str, ...]) -> None:
    """C-GET and C-MOVE bring the image, byte for byte of its pixels, as files."""
    for program, more in (("getscu", ()), ("movescu", ("+P", str(hospital.move_port)))):
        to = folder / program
        to.mkdir()
        where = ("-od", str(to)) if program == "getscu" else ("-od", str(to), "-aem", DESTINATION)
        hospital.dcmtk(program, hospital.ct, *where, *more, *keys)
        assert len(list(to.iterdir())) == 1


def _rescued(node: roles.Role, envelope: str) -> None:
    """The envelope opens the node's own page, and the exam is there."""
    with httpx.Client(base_url=node.url, timeout=NOWHERE_S, follow_redirects=True) as browser:
        told = {"passphrase": envelope, "person": "Dr Martin", "reason": "portal down"}
        page = _fill(browser, "/rescue/login/", **told)
        assert "Emergency access on node CT" in page.text
        assert f"/rescue/studies/{SECOND}/" in page.text
        assert browser.get(f"/rescue/studies/{SECOND}/").status_code == 200


def test_the_portal_goes_on_without_archive_cache_openid_and_a_node(hospital: Hospital):
    hospital.redis.kill()
    with down(hospital.archive, hospital.rf):
        with hospital.person("clinician") as clinician, hospital.person("archivist") as operator:
            search = _fill(clinician, "/")
            assert FIRST in search.text
            assert "One server did not answer." in search.text
            assert "RF</span> cannot be reached" in search.text
            exam = clinician.get(f"/studies/{FIRST}/")
            assert (exam.status_code, "Traceback" in exam.text) == (200, False)
            for page in ("", "jobs/", "volumes/", "rules/", "holds/", "schedule/"):
                answer = operator.get(f"/archive/{page}")
                assert (answer.status_code, "The archive does not answer" in answer.text) == (
                    200, True,
                )  # fmt: skip
            servers = clinician.get("/servers/").text
            assert servers.count("No answer") == 2
        with httpx.Client(base_url=hospital.portal.url, timeout=NOWHERE_S) as stranger:
            assert "CHI login" in stranger.get("/login/").text
            away = stranger.get("/login/openid/")
            assert (away.status_code, "CHI login does not answer" in away.text) == (502, True)
            assert 'name="password"' in away.text
        hospital.redis.start()


def test_the_archive_goes_on_with_a_node_down_and_without_the_portal(hospital: Hospital):
    with down(hospital.rf, hospital.portal):
        hospital.send(hospital.ct, THIRD)
        wait_until(lambda: hospital.is_proven(THIRD), lambda: hospital.archive.log[-2000:])
        ticket = hospital.issuer.issue("archive", ["archive.read"], subject="test")
        headers = {"Authorization": f"Bearer {ticket}"}
        told = httpx.get(f"{hospital.archive.url}/api/status", headers=headers, timeout=NOWHERE_S)
        reachable = {node["name"]: node["reachable"] for node in told.json()["nodes"]}
        assert reachable == {"CT": True, "RF": False}
        errors_told = [node["error"] for node in told.json()["nodes"] if not node["reachable"]]
        assert "RF" in errors_told[0] and "\n" not in errors_told[0]


def test_what_was_opened_past_the_portal_is_collected_by_it_later(hospital: Hospital):
    with closing(NodeClient("CT", hospital.ct.url, hospital.issuer, subject="x").http) as http:
        ticket = hospital.issuer.issue("CT", ["audit.read"], subject="x")
        lines = http.json("GET", "/api/audit?kind=rescue-opened", token=ticket)["records"]
    assert [(line["by"], line["person"]) for line in lines] == [("rescue", "Dr Martin")]
    with hospital.person("it") as browser:
        wait_until(
            lambda: ",rescue,Broke the glass," in browser.get("/audit/export.csv").text,
            lambda: browser.get("/audit/export.csv").text[-2000:],
        )
