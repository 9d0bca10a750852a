"""The circle of the main job on the parts of a hospital: HTTPS, DICOM by TLS, one process each."""

from __future__ import annotations

import hashlib
import html
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import imagecodecs
import numpy as np
import pytest
from pydicom.filewriter import dcmwrite

from pacs_common.archive_client import ArchiveClient
from tests.support.certificates import Authority
from tests.support.data_sets import SERIES, STUDY, ct
from tests.support.node_under_fault import wait_until
from tests.support.process_tree import shown_by_ps, tree
from tests.support.roles import ROOT
from tests.system.production_hospital import PASSWORD, Production, production
from tests.system.production_part import at_once

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
STATIC = ROOT / "pacs_web" / "static"
JPEG = "1.2.840.10008.1.2.4.70"
SLICES = 3
PIXELS = np.add.outer(np.arange(256), np.arange(256)).astype("<u2")
OBJECT = f"/dicom-web/studies/{STUDY}/series/{SERIES}/instances/{SERIES}.1"
FRAME = {
    "Accept": f'multipart/related; type="image/jpeg"; transfer-syntax={JPEG}',
}
WAIT_S = 60.0


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Production]:
    """The hospital with one exam, which the modality has sent by TLS."""
    with production(tmp_path_factory.mktemp("production")) as found:
        send(found)
        yield found


def send(place: Production) -> None:
    folder = place.folder / "day"
    folder.mkdir()
    for number in range(1, SLICES + 1):
        pixels = (PIXELS + number).tobytes()
        slice_ = ct(number, Rows=256, Columns=256, PixelData=pixels)
        dcmwrite(folder / f"{number}.dcm", slice_, implicit_vr=False, little_endian=True)
    sent = place.dcmtk("storescu", "+sd", folder)
    assert sent.returncode == 0, sent.stderr + place.node.log[-3000:]


@pytest.fixture
def clinician(place: Production) -> Iterator[httpx.Client]:
    with logged_in(place, "clinician") as client:
        yield client


@contextmanager
def logged_in(place: Production, name: str, address: str = "127.0.0.1") -> Iterator[httpx.Client]:
    with place.caller(address) as client:
        assert submit(client, "/login/", username=name, password=PASSWORD).status_code == 302
        yield client


def submit(client: httpx.Client, page: str, at: str = "", **form: str) -> httpx.Response:
    found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', client.get(page).text)
    assert found is not None
    data = {**form, "csrfmiddlewaretoken": found[1]}
    return client.post(at or page, data=data, headers={"Referer": str(client.base_url)})


def stored(place: Production) -> dict[str, str]:
    """Return the SHA-256 of every object in the node's folder that has its pixels."""
    found = (Path(place.node.env["PACS_DATA_DIR"]) / "objects").rglob("*.dcm")
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in found}


def directly(place: Production) -> httpx.Client:
    """Return a client that comes as nginx does, but is handed nothing over."""
    headers = {
        "X-Forwarded-Proto": "https",
        "X-Forwarded-For": "127.0.0.1",
        "Host": f"localhost:{place.portal.tls_port}",
    }
    url = f"http://127.0.0.1:{place.portal.port}"
    return httpx.Client(base_url=url, headers=headers, timeout=60)


def told(place: Production, path: str) -> list[str]:
    """Return the status of each upstream that nginx asked for a path, by its log."""
    lines = (place.nginx.folder / "portal.log").read_text().splitlines()
    return [line.partition("upstream ")[2] for line in lines if f" {path}" in line]


def test_the_whole_circle_over_https_and_dicom_tls(place: Production, clinician: httpx.Client):
    def log() -> str:
        return place.archive.log[-3000:]

    before = stored(place)
    assert len(before) == SLICES
    keys = ("-k", "QueryRetrieveLevel=STUDY", "-k", "PatientName=LEFEVRE*", "-k")
    found = place.dcmtk("findscu", "-S", *keys, "StudyInstanceUID")
    assert STUDY in found.stdout + found.stderr

    search = submit(clinician, "/", name="lefevre")
    assert search.status_code == 302, search.text[:2000]
    listed = clinician.get(search.headers["Location"])
    assert STUDY in listed.text and "lefevre" not in search.headers["Location"].lower()
    assert SERIES in clinician.get(f"/studies/{STUDY}/").text
    picture = clinician.get(f"/studies/{STUDY}/series/{SERIES}/instances/{SERIES}.1/rendered")
    assert picture.headers["Content-Type"] == "image/jpeg" and picture.content[:2] == b"\xff\xd8"
    frame = clinician.get(f"{OBJECT}/frames/1", headers=FRAME)
    body = frame.content.partition(b"\r\n\r\n")[2].rpartition(b"\r\n--")[0]
    assert np.array_equal(imagecodecs.ljpeg_decode(body), PIXELS + 1)

    with place.asking_the_archive() as archive:
        wait_until(lambda: proven(archive) == {"onsite", "offsite"}, log, WAIT_S)
        archive.request_job("evict", "CT", STUDY)
    wait_until(lambda: not stored(place), log, WAIT_S)
    away = clinician.get(f"{OBJECT}/frames/1", headers=FRAME)
    assert away.status_code == 503 and away.headers["Retry-After"]
    studies = clinician.get("/dicom-web/studies", params={"StudyInstanceUID": STUDY}).json()
    assert studies[0]["00080056"]["Value"] == ["NEARLINE"]

    asked = submit(clinician, f"/studies/{STUDY}/", f"/studies/{STUDY}/recall/")
    assert asked.status_code == 302, asked.text[:2000]
    wait_until(lambda: stored(place) == before, log, WAIT_S)
    again = clinician.get(f"{OBJECT}/frames/1", headers=FRAME)
    assert again.content.partition(b"\r\n\r\n")[2].rpartition(b"\r\n--")[0] == body


def proven(archive: ArchiveClient) -> set[str]:
    """Return the vaults that hold a verified copy of the exam."""
    copies = archive.study(STUDY)["copies"]
    return {one["vault"] for one in copies if one["verified_at"] and not one["problem"]}


def test_what_nginx_fetches_itself_is_what_the_portal_would_pass_on(place: Production):
    asked: list[tuple[str, dict[str, str]]] = [
        (f"{OBJECT}/frames/1", FRAME),
        (f"{OBJECT}/frames/1", {**FRAME, "Range": "bytes=0-9"}),
        (f"{OBJECT}/metadata", {"Accept": "application/dicom+json"}),
        (f"{OBJECT}/metadata", {"Accept": "application/dicom+xml"}),
        (f"{OBJECT}/rendered?viewport=64,64", {"Accept": "image/png"}),
        (f"{OBJECT}/rendered?viewport=a%20b", {"Accept": "image/png"}),
        (f"{OBJECT}/rendered", {"Accept": "text/plain"}),
        (f"{OBJECT}9/rendered", {"Accept": "image/jpeg"}),
        (f"/studies/{STUDY}/series/{SERIES}/instances/{SERIES}.1/rendered", {}),
        (f"/studies/{STUDY}/series/{SERIES}/instances/{SERIES}.9/rendered", {}),
        (f"/studies/{STUDY}/series/{SERIES}/thumbnail", {}),
    ]
    with logged_in(place, "technologist") as through, directly(place) as direct:
        direct.cookies = httpx.Cookies(
            [(cookie.name, cookie.value) for cookie in through.cookies.jar]
        )
        for path, headers in asked:
            compared(through, direct, path, headers)
        etag = through.get(f"{OBJECT}/metadata", headers={"Accept": "application/dicom+json"})
        kept = {"Accept": "application/dicom+json", "If-None-Match": etag.headers["ETag"]}
        assert compared(through, direct, f"{OBJECT}/metadata", kept) == 304
    wait_until(lambda: "200 : 404 : 404" in told(place, f"{OBJECT}9/rendered"))
    seen = told(place, f"{OBJECT}/frames/1")
    assert seen and all(re.match("200 : (200|206|503 : 503)$", one) for one in seen), seen


SAME = (
    *("Content-Type", "Content-Length", "Content-Range", "ETag", "Cache-Control", "Vary"),
    *("Content-Security-Policy", "X-Frame-Options", "X-Content-Type-Options", "X-Picture-Size"),
    *("Content-Disposition", "Referrer-Policy", "Retry-After", "X-Accel-Redirect"),
    *("X-Argens-Ticket", "X-Argens-Accept", "X-Argens-Base", "Cross-Origin-Opener-Policy"),
)


def compared(through: httpx.Client, direct: httpx.Client, path: str, headers: Any) -> int:
    got, meant = through.get(path, headers=headers), direct.get(path, headers=headers)
    assert got.status_code == meant.status_code, (path, got.text)
    assert got.content == meant.content, path
    differ = {
        name: (got.headers.get(name), meant.headers.get(name))
        for name in SAME
        if got.headers.get(name) != meant.headers.get(name)
    }
    if path.startswith("/studies/"):  # the node's own policy of a picture is stricter
        assert got.headers["Content-Security-Policy"].startswith("default-src 'none'; ")
        differ.pop("Content-Security-Policy", None)
    assert differ == {}, path
    return got.status_code


def test_who_calls_counts_by_the_real_address_and_strangers_are_refused(place: Production):
    with logged_in(place, "technologist", "127.0.0.5") as client:
        client.headers["X-Forwarded-For"] = "10.1.1.1"
        client.headers["X-Argens-Hands-Over"] = "no"
        picture = f"/studies/{STUDY}/series/{SERIES}/instances/{SERIES}.2/rendered"
        assert client.get(picture).status_code == 200
        assert "X-Argens-Ticket" not in client.get(picture).headers
        for hidden in ("/_node/1/dicom-web/studies", "/_node/"):
            assert client.get(hidden).status_code == 404
    rows = place.portal.manage("shell", "--verbosity", "0", "-c", ADDRESSES).split()
    assert "127.0.0.5" in rows and "10.1.1.1" not in rows
    with place.caller("127.0.0.2") as stranger:
        for part in (place.node, place.archive):
            assert stranger.get(f"{part.url}/api/node").status_code == 403
        assert stranger.get(f"{place.node.url}/dicom-web/studies").status_code == 403
        assert stranger.get("/metrics").status_code == 403
    with place.caller() as neighbour:
        assert neighbour.get(f"{place.node.url}/dicom-web/studies").status_code == 401
        plain = neighbour.get(place.node.url.replace("https", "http"))
        assert plain.status_code == 400 and "HTTPS port" in plain.text
        assert neighbour.get(f"{place.node.url}/_kept/x").status_code == 404


ADDRESSES = (
    "from pacs_web.audit.models import AuditEvent as E;"
    "print(*[a for a in E.objects.values_list('address', flat=True) if a])"
)


def test_pages_come_by_https_and_static_files_from_nginx(place: Production):
    with place.caller() as client:
        login = client.get("/login/")
        assert login.headers["Strict-Transport-Security"] == "max-age=31536000; includeSubDomains"
        assert all("Secure" in one for one in login.headers.get_list("Set-Cookie"))
        (style, *_) = re.findall(r'href="(/static/[^"]+[.]css)"', login.text)
        served = client.get(html.unescape(style))
        assert served.headers["Content-Type"].startswith("text/css")
        assert served.headers["Content-Security-Policy"] == login.headers["Content-Security-Policy"]
        assert served.text == (STATIC / style.removeprefix("/static/")).read_text()
        wait_until(lambda: told(place, style) == ["-"])  # nobody behind nginx was asked
        old = httpx.get(f"http://localhost:{place.plain_port}/login/?a=b")
        assert (old.status_code, old.headers["Location"]) == (301, "https://localhost/login/?a=b")


def test_a_modality_without_a_certificate_of_the_hospital_is_refused(place: Production, tmp_path):
    stranger = Authority(tmp_path, "Elsewhere").issue("stranger")
    assert place.dcmtk("echoscu").returncode == 0
    assert place.dcmtk("echoscu", paper=stranger).returncode != 0


def test_every_role_passes_the_deployment_check(place: Production):
    checking = ("check", "--deploy", "--fail-level", "WARNING")
    at_once(*(partial(part.manage, *checking) for part in place.parts))


def test_no_secret_shows_among_the_processes_nor_in_a_log(place: Production):
    running = {pid for part in place.parts for one in part.processes for pid in tree(one.pid)}
    assert len(running) > 12
    logs = [*place.folder.rglob("*.log"), *place.folder.rglob("log/*")]
    assert len(logs) > 6
    places = {str(log): log.read_text(errors="replace") for log in logs if log.is_file()}
    places |= {f"process {pid}": shown_by_ps(pid) for pid in running}
    assert any("PACS_SECRET_KEY_FILE" in text for text in places.values())
    for name, word in {**place.secrets, "password": PASSWORD, "patient": "LEFEVRE"}.items():
        for where, text in places.items():
            assert word.lower() not in text.lower(), f"{name} shows in {where}"
