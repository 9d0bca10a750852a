"""Import of media: taken within bounds, identities confirmed, originals passed on."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Callable

import pytest
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import dcmread

from pacs_common.errors import Conflict
from pacs_web import config
from pacs_web.arrivals.importing import spool, zips
from pacs_web.arrivals.importing.reading import LeftOut, identity_of
from pacs_web.audit.models import AuditEvent
from tests.web import node_stand_in
from tests.web.made_studies import CT_STUDY, file_bytes, instance
from tests.web.node_stand_in import StandIn

pytestmark = pytest.mark.slow

FOREIGN = "1.2.826.0.1.3680043.10.1999.88"
CSRF = {"content_type": "application/octet-stream"}


def slice_of(number: int, study: str = FOREIGN, **given: object):
    told = {"PatientID": "T-77", "PatientName": "Durand^Paul", "InstitutionName": "TOULON"}
    return instance(study, 1, number, "CT", **{"IssuerOfPatientID": None, **told, **given})


def zip_of(**entries: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return made.getvalue()


@pytest.fixture
def technologist(browser: Callable[..., Client]) -> Client:
    return browser("technologist")


@pytest.fixture
def node(nodes: dict[str, StandIn]) -> StandIn:
    """The node CT, which takes new exams and corrections."""
    ct = nodes["CT"]
    ct.api["/api/corrections"] = ("corrections.read", {"latest": "", "corrections": []})
    ct.api["POST /api/corrections"] = ("corrections.write", {"correction": {}})
    return ct


class Medium:
    """One import as the page's script does it."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.url = client.post("/arrivals/import/begin/").json()["url"]

    def upload(self, content: bytes, name: str = "CD/IMG 1"):
        from urllib.parse import quote

        return self.client.post(
            f"{self.url}file/", content, headers={"X-Name": quote(name)}, **CSRF
        )

    def page(self) -> str:
        return self.client.get(self.url).content.decode()

    def confirm(self, **said: str):
        given = {
            "sure": "yes",
            "issuer-0": "TOULON",
            **{k.replace("_", "-"): v for k, v in said.items()},
        }
        return self.client.post(self.url, given)

    def send(self) -> dict:
        for _ in range(50):
            told = self.client.post(f"{self.url}send/").json()
            if told["done"]:
                return told
        raise AssertionError(told)

    def summary(self) -> str:
        return self.client.get(f"{self.url}progress/").content.decode()


@pytest.fixture
def medium(node: StandIn, technologist: Client) -> Medium:
    return Medium(technologist)


def test_a_file_is_looked_at_and_its_patient_shown(medium: Medium) -> None:
    assert medium.upload(file_bytes(slice_of(1))).json() == {"kept": 1, "left_out": 0}
    page = medium.page()
    for shown in ("DURAND Paul", "T-77", "TOULON", "1 image"):
        assert shown in page, shown
    assert re.search(r'name="issuer-0" value="TOULON"', page)


def test_what_is_no_dicom_is_left_out_and_listed(medium: Medium) -> None:
    assert medium.upload(b"MZ viewer.exe", "CD/viewer.exe").json() == {"kept": 0, "left_out": 1}
    page = medium.page()
    assert "CD/viewer.exe" in page
    assert "no DICOM file" in page
    assert "No DICOM file was found" in page


def test_the_mediums_own_index_is_left_out(medium: Medium) -> None:
    directory = slice_of(1)
    content = file_bytes(directory).replace(
        b"1.2.840.10008.5.1.4.1.1.2\0", b"1.2.840.10008.1.3.10\0\0\0\0\0\0", 1
    )
    assert medium.upload(content, "DICOMDIR").json()["kept"] == 0
    assert "own index" in medium.page() or "cannot be read" in medium.page()


def test_a_zip_is_unpacked(medium: Medium) -> None:
    packed = zip_of(a=file_bytes(slice_of(1)), b=file_bytes(slice_of(2)), readme=b"hello")
    assert medium.upload(packed, "cd.zip").json() == {"kept": 2, "left_out": 1}
    page = medium.page()
    assert "2 images" in page
    assert "cd.zip/readme" in page


def test_originals_go_to_the_node_as_they_came(medium: Medium, node: StandIn) -> None:
    sent = slice_of(1)
    medium.upload(file_bytes(sent))
    assert medium.confirm()["Location"] == f"{medium.url}progress/"
    assert medium.send() == {"sent": 1, "total": 1, "done": True}
    (stored,) = [one for one in node.instances if one.StudyInstanceUID == FOREIGN]
    assert stored.PatientID == "T-77"
    assert not stored.IssuerOfPatientID
    assert stored == dcmread(io.BytesIO(file_bytes(sent)))
    assert "1 image is stored" in medium.summary()


def test_the_mediums_numbers_get_the_issuer_that_was_confirmed(
    medium: Medium, node: StandIn
) -> None:
    medium.upload(file_bytes(slice_of(1)))
    medium.upload(file_bytes(slice_of(2)))
    medium.confirm(issuer_0="HOPITAL DE TOULON")
    medium.send()
    (body,) = node.bodies
    assert body["study_uid"] == FOREIGN
    assert body["values"] == {"IssuerOfPatientID": "HOPITAL DE TOULON"}
    stores = [asked for asked in node.asked if asked.startswith("POST")]
    assert stores.index("POST /api/corrections") == 1  # before the second image


def test_an_issuer_of_the_medium_itself_is_kept(medium: Medium, node: StandIn) -> None:
    medium.upload(file_bytes(slice_of(1, IssuerOfPatientID="NICE")))
    assert "readonly" in medium.page()
    medium.confirm(issuer_0="OTHER")
    medium.send()
    assert node.bodies == []
    assert AuditEvent.objects.get(action="store").patient_issuer == "NICE"


def test_a_chosen_patient_is_a_correction_after_the_issuers(medium: Medium, node: StandIn) -> None:
    chosen = {
        "PatientName": "Durand^Paul",
        "PatientID": "FR-9",
        "IssuerOfPatientID": "FREJUS",
        "PatientBirthDate": "19600101",
        "PatientSex": "M",
        "OtherPatientIDs": "",
    }
    medium.upload(file_bytes(slice_of(1)))
    medium.confirm(patient_0=json.dumps(chosen))
    medium.send()
    issuer, patient = node.bodies
    assert issuer["values"] == {"IssuerOfPatientID": "TOULON"}
    assert patient["values"]["PatientID"] == "FR-9"
    assert patient["kind"] == "identity"
    event = AuditEvent.objects.get(action="store")
    assert (event.patient_issuer, event.patient_id) == ("FREJUS", "FR-9")
    assert event.detail["medium"]["patient_id"] == "T-77"


def test_patients_known_here_stand_beside_the_mediums(medium: Medium, node: StandIn) -> None:
    medium.upload(file_bytes(slice_of(1)))
    known = node.instances[0].PatientID
    answer = medium.client.post(f"{medium.url}patients/0/", {"find-0": known})
    page = answer.content.decode()
    assert known in page
    assert "differs from the medium" in page
    assert "Modality" not in page  # whose it is, not what it shows
    nobody = medium.client.post(f"{medium.url}patients/0/", {"find-0": "NOBODY-1"})
    assert "No patient like this" in nobody.content.decode()


def test_an_exam_that_is_here_keeps_its_identity(medium: Medium, node: StandIn) -> None:
    medium.upload(file_bytes(slice_of(99, CT_STUDY)))
    medium.confirm()
    medium.send()
    assert node.bodies == []
    assert "It was here before" in medium.summary()


@pytest.mark.parametrize("said", [{"sure": ""}, {"issuer_0": " "}, {"patient_0": "{}"}])
def test_nothing_is_sent_without_a_confirmation(medium: Medium, node: StandIn, said) -> None:
    medium.upload(file_bytes(slice_of(1)))
    assert medium.confirm(**said).status_code == 422
    assert medium.client.post(f"{medium.url}send/").status_code == 400
    assert not [asked for asked in node.asked if asked.startswith("POST")]


def test_a_file_that_is_refused_is_told_and_the_rest_goes_on(
    medium: Medium, node: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = {"00081198": {"vr": "SQ", "Value": [{"00081197": {"vr": "US", "Value": [0xA900]}}]}}
    medium.upload(file_bytes(slice_of(1)), "CD/BAD")
    medium.upload(file_bytes(slice_of(2)), "CD/GOOD")
    answers = iter([(409, refused)])
    answer_json = node_stand_in._Handler._json

    def once(handler, body, status=200, *more, **told):
        if "00081199" in body and (first := next(answers, None)):
            return answer_json(handler, first[1], first[0], *more, **told)
        return answer_json(handler, body, status, *more, **told)

    monkeypatch.setattr(node_stand_in._Handler, "_json", once)
    medium.confirm()
    medium.send()
    page = medium.summary()
    assert "CD/BAD" in page
    assert "0xA900" in page
    assert "1 image is stored" in page


def test_an_identity_that_cannot_be_set_is_told(medium: Medium, node: StandIn) -> None:
    refused = Conflict("the study was corrected since")
    node.api["POST /api/corrections"] = ("corrections.write", refused)
    medium.upload(file_bytes(slice_of(1)))
    medium.confirm()
    medium.send()
    page = medium.summary()
    assert "the study was corrected since" in page
    assert f"/studies/{FOREIGN}/correct/" in page


class TestBounds:
    def test_a_bomb_is_refused_in_one_line(
        self, medium: Medium, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(zips, "RATIO_FROM_BYTES", 1 << 20)
        answer = medium.upload(zip_of(bomb=bytes(8 << 20)), "bomb.zip")
        assert answer.status_code == 413
        assert "bomb" in answer.json()["detail"]
        assert "\n" not in answer.json()["detail"]

    def test_too_many_entries_are_refused(
        self, medium: Medium, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(zips, "MAX_FILES", 3)
        packed = zip_of(a=b"1", b=b"2", c=b"3", d=b"4")
        assert "4 entries" in medium.upload(packed, "many.zip").json()["detail"]

    def test_what_does_not_fit_is_refused(
        self, medium: Medium, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(config, "IMPORT_BYTES", 1000)
        assert medium.upload(bytes(2000)).status_code == 413
        packed = zip_of(a=bytes(range(256)) * 8)
        assert "too large" in medium.upload(packed, "large.zip").json()["detail"]

    def test_a_full_disk_is_told(self, medium: Medium, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(spool, "FREE_BYTES", 1 << 60)
        assert medium.upload(b"x").status_code == 507

    def test_an_entry_that_lies_about_its_size_is_left_out(self, medium: Medium) -> None:
        packed = bytearray(zip_of(a=b"0123456789" * 10, b=file_bytes(slice_of(1))))
        at = packed.rindex(b"PK\x01\x02", 0, packed.rindex(b"PK\x01\x02"))
        packed[at + 24 : at + 28] = (5).to_bytes(4, "little")
        assert medium.upload(bytes(packed), "liar.zip").json()["left_out"] == 1

    @pytest.mark.filterwarnings("ignore::UserWarning")  # pydicom's, of what it reads all the same
    @settings(
        max_examples=40,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    @given(noise=st.binary(max_size=400), at=st.integers(0, 4000))
    def test_a_damaged_zip_or_file_never_breaks(self, tmp_path, noise: bytes, at: int) -> None:
        packed = zip_of(a=file_bytes(slice_of(1)), b=b"text")
        path = tmp_path / "x"
        path.write_bytes(packed[:at] + noise + packed[at + len(noise) :])
        try:
            with zips.Unpacked(path) as archive:
                for entry in archive.entries:
                    b"".join(archive.content(entry))
        except zips.BadInput:
            pass
        whole = file_bytes(slice_of(1))
        path.write_bytes(whole[:at] + noise + whole[at + len(noise) :])
        try:
            identity_of(path)
        except LeftOut:
            pass

    def test_files_and_folders_lie_below_the_portals_data(self, medium: Medium) -> None:
        packed = zip_of(**{"../../evil": file_bytes(slice_of(1))})
        assert medium.upload(packed, "../../../etc/passwd").json()["kept"] == 1
        folder = config.DATA_DIR / "imports" / medium.url.split("/")[-2]
        names = {path.name for path in folder.iterdir()}
        assert all(re.fullmatch(r"[0-9a-f]{16}\.dcm|owner|size|files\.jsonl", one) for one in names)

    def test_what_nobody_went_on_with_is_forgotten(
        self, medium: Medium, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(spool, "KEPT_S", -1)
        Medium(medium.client)
        assert medium.client.get(medium.url).status_code == 404


def test_an_import_is_its_owners_alone(
    medium: Medium, person, browser, technologist: Client
) -> None:
    from django.contrib.auth.models import Group

    from pacs_web.accounts.models import Account

    medium.upload(file_bytes(slice_of(1)))
    other = Account.objects.create(username="other")
    other.groups.add(Group.objects.get(name="technologist"))
    client = Client()
    client.force_login(other, "django.contrib.auth.backends.ModelBackend")
    assert client.get(medium.url).status_code == 404
    assert client.post(f"{medium.url}send/").status_code == 404
    assert client.post(f"{medium.url}file/", b"x", **CSRF).status_code == 404


def test_a_clinician_imports_nothing(nodes: object, clinician: Client) -> None:
    assert clinician.get("/arrivals/import/").status_code == 403
    assert clinician.post("/arrivals/import/begin/").status_code == 403


def test_the_page_offers_a_drop_zone_and_choosers_for_the_keyboard(
    nodes: object, technologist: Client
) -> None:
    page = technologist.get("/arrivals/import/").content.decode()
    assert 'id="drop"' in page
    assert "webkitdirectory" in page
    assert page.count('type="file"') == 2
