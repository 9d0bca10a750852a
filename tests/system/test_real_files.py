"""Everything on real files: what others made goes in, is shown, is archived, and comes back.

The files are those that pydicom ships and, where the folder exists, some 460 public ones. Many
are odd or broken on purpose: each is taken, or refused with one line. `make test` takes each third
(test_whole_collection.py sends every one), `make soak` all.
"""

from __future__ import annotations

import io
import re
import time
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pydicom.data
import pytest

from pacs_common.archive_client import ArchiveClient
from pacs_common.node_client import NodeClient
from pacs_common.tickets import TicketIssuer
from tests.support import roles
from tests.support.node_under_fault import SOAK
from tests.support.services import SHARED_DICOM

SHIPPED = Path(pydicom.data.__file__).parent / "test_files"
# Why a file is not taken: each line must match one of these, and say nothing else.
REFUSALS = [
    r"not a DICOM file",
    r"no file meta group",
    r"its file meta group does not say what it is",
    r"the peer does not take (Media Storage Directory Storage|1\.2\.111\.)",
    r"0x0122 set PACS_KEEP_NON_PATIENT",
    r"0xA900 (Study Instance|Series Instance|SOP Instance|SOP Class) UID is missing",
    r"0xA900 Affected SOP (Instance|Class) UID",
    r"0xC000 (Study|Series|SOP) Instance UID '.*",
    r"0xC000 the data set is cut",
    r"0xC000 the fragments of the pixels are damaged",
    r"0xC000 the data set cannot be read",
]
WAIT_S = 90
EVERY = 1 if SOAK else 3  # of the files, and of a study's series: each, or some


@dataclass
class RealHospital:
    """One node with every real file in it, the archive, the portal, and a clinician's session."""

    node: roles.Role
    clinician: httpx.Client
    custody: NodeClient
    archive: ArchiveClient
    sent: int
    refused: list[str]

    def facts(self) -> dict[str, dict]:
        """Return the node's studies by UID."""
        return {one["study_uid"]: one for one in self.custody.custody_studies()["studies"]}


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealHospital]:
    folder = tmp_path_factory.mktemp("real")
    node = roles.node(folder, "CT")
    archive = roles.archive(folder, {"CT": node}, PACS_HIGH_WATERMARK="1")
    portal = roles.portal(folder, {"CT": node}, archive.url)
    with roles.running(node, archive, portal):
        real = [*SHIPPED.rglob("*"), *SHARED_DICOM.rglob("*")]
        files = sorted(str(path) for path in real if path.is_file())[::EVERY]
        done = node.command("send", "127.0.0.1", str(node.dicom_port), *files, timeout_s=300)
        lines = [
            line for line in done.stderr.splitlines()
            if re.match(r"/.*: \S", line) and "img/s" not in line
        ]  # fmt: skip
        custody = NodeClient("CT", node.url, signer(folder, "archive"), subject="tester")
        operator = ArchiveClient(archive.url, signer(folder, "portal"), subject="archivist")
        with httpx.Client(base_url=portal.url, follow_redirects=True, timeout=60) as client:
            log_in(client, roles.accounts(folder)["clinician"]["password"])
            total = int(re.findall(r"(\d+)/(\d+)", done.stderr)[-1][1])
            yield RealHospital(node, client, custody, operator, total, lines)
        custody.http.close()
        operator.http.close()


def signer(folder: Path, issuer: str) -> TicketIssuer:
    """Return the ticket signer of a running role, by its own key."""
    return TicketIssuer.at(issuer, folder / issuer / f"{issuer}.key.pem", folder / "trust")


def log_in(client: httpx.Client, password: str) -> None:
    page = client.get("/login/")
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
    assert token is not None
    fields = {"username": "clinician", "password": password, "csrfmiddlewaretoken": token[1]}
    answer = client.post("/login/", data=fields, headers={"Referer": str(page.url)})
    assert answer.status_code == 200 and "/login/" not in str(answer.url)


def test_each_file_is_taken_or_refused_with_a_reason(hospital: RealHospital):
    reasons = [line.split(": ", 1)[1] for line in hospital.refused]
    strange = [r for r in reasons if not any(re.match(known, r) for known in REFUSALS)]
    assert strange == []
    counts = hospital.custody.status()["counts"]
    assert counts["instances"] > 60
    assert counts["damaged"] == 0
    print(hospital.sent, "files,", counts, Counter(reason[:40] for reason in reasons))


def test_every_study_page_image_page_and_header_opens(hospital: RealHospital):
    broken = []
    for uid in hospital.facts():
        page = hospital.clinician.get(f"/studies/{uid}/")
        if page.status_code != 200:
            broken.append((uid, page.status_code))
            continue
        links = re.findall(rf'href="(/studies/{uid}/series/[0-9.]+/)"', page.text)
        for link in sorted(set(links))[::EVERY]:
            image = hospital.clinician.get(link)
            header = hospital.clinician.get(f"{image.url.path}header/")
            broken += [
                (str(answer.url), answer.status_code)
                for answer in (image, header)
                if answer.status_code != 200
            ]
            for source in re.findall(r'<img[^>]+src="([^"]+rendered[^"]*)"', image.text):
                picture = hospital.clinician.get(source.replace("&amp;", "&"))
                is_picture = picture.headers["Content-Type"].startswith("image/")
                if not (is_picture or picture.status_code in (406, 415)):
                    broken.append((source, picture.status_code))
    assert broken == []


def test_a_download_holds_the_nodes_files(hospital: RealHospital):
    facts = max(hospital.facts().values(), key=lambda one: one["instances"])
    manifest = hospital.custody.manifest(facts["study_uid"])
    answer = hospital.clinician.get(f"/studies/{facts['study_uid']}/download/")
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    sizes = sorted(i.file_size for i in archive.infolist() if i.filename.endswith(".dcm"))
    assert sizes == sorted(instance["size_bytes"] for instance in manifest["instances"])


@pytest.mark.timeout(300)
def test_real_studies_go_to_the_archive_and_come_back_byte_for_byte(
    hospital: RealHospital,
):
    """What waits in quarantine stays online; everything else goes and returns."""
    data = Path(hospital.node.env["PACS_DATA_DIR"])
    objects = data / "objects"
    held = {
        path.name.rpartition(".dcm")[0].rpartition(".")[0]
        for path in data.glob("quarantine/*/*/*/*/*")
    }
    before = {path.name: path.read_bytes() for path in objects.rglob("*.dcm")}
    staying = {name for name in before if name.removesuffix(".dcm") in held}
    archive, studies = hospital.archive, hospital.facts()
    until(lambda: copied(archive, studies), "not every study was copied")
    for uid in studies:
        archive.request_job("evict", "CT", uid)
    until(lambda: names(objects) == staying, "what may go is still there")
    for uid in studies:
        archive.request_job("recall", "CT", uid)
    until(lambda: names(objects) == before.keys(), "not every file came back")
    assert {path.name: path.read_bytes() for path in objects.rglob("*.dcm")} == before


def names(objects: Path) -> set[str]:
    return {path.name for path in objects.rglob("*.dcm") if not path.name.startswith(".")}


def copied(archive, studies: dict[str, dict]) -> bool:
    return all(any(copy["verified_at"] for copy in archive.study(uid)["copies"]) for uid in studies)


def until(ask, what: str) -> None:
    deadline = time.monotonic() + WAIT_S
    while not ask():
        assert time.monotonic() < deadline, what
        time.sleep(0.5)
