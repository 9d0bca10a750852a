"""Storing into the network (STOW-RS): who may, where to, and that it comes from our own pages."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from django.test import Client
from pydicom import Dataset

from pacs_web import config
from pacs_web.accounts import tokens
from pacs_web.accounts.models import Account
from pacs_web.audit.models import AuditEvent
from pacs_web.nodes.models import Node
from tests.web.audited import without_trace
from tests.web.made_studies import CT_STUDY, RF_STUDY, ct_study, file_bytes, instance
from tests.web.node_stand_in import StandIn, node_stand_in

pytestmark = pytest.mark.slow

STUDIES = "/dicom-web/studies"
NEW_STUDY = "1.2.826.0.1.3680043.10.1999.77"
BOUNDARY = "kept.apart"
KIND = f'multipart/related; type="application/dicom"; boundary="{BOUNDARY}"'


def multipart(*stored: Dataset) -> bytes:
    """Return the body of a STOW-RS request."""
    parts = [
        f"--{BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode()
        + file_bytes(one)
        + b"\r\n"
        for one in stored
    ]
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def report_of(study: str, number: int = 1, **given: object) -> Dataset:
    return instance(study, 900, number, "SR", **given)


def ct_of(study: str, slices: int) -> list[Dataset]:
    return [instance(study, 1, number, "CT") for number in range(1, slices + 1)]


def store(client: Client, body: bytes, address: str = STUDIES, kind: str = KIND, **headers: str):
    return client.generic("POST", address, body, content_type=kind, headers=headers)


def problem_of(response) -> tuple[int, str]:
    assert response["Content-Type"] == "application/problem+json"
    return response.status_code, response.json()["detail"]


@pytest.fixture
def technologist(browser: Callable[..., Client]) -> Client:
    return browser("technologist")


@pytest.fixture
def uploading(person: Callable[[str], Account]) -> dict[str, str]:
    token = tokens.create(person("technologist"), [tokens.STORE])
    return {"Authorization": f"Bearer {token}"}


class TestWhereTo:
    def test_a_result_goes_to_the_node_that_holds_its_study(
        self, nodes: dict[str, StandIn], clinician: Client
    ) -> None:
        response = store(clinician, multipart(report_of(RF_STUDY)))
        assert response.status_code == 200
        assert response["Content-Type"] == "application/dicom+json"
        assert response.json()["00081199"]["Value"][0]["00081155"]["Value"] == [f"{RF_STUDY}.900.1"]
        assert f"{RF_STUDY}.900.1" in [one.SOPInstanceUID for one in nodes["RF"].instances]
        assert not [asked for asked in nodes["CT"].asked if asked.startswith("POST")]

    def test_what_was_stored_is_found_at_once(
        self, nodes: dict[str, StandIn], clinician: Client
    ) -> None:
        before = clinician.get(f"{STUDIES}/{RF_STUDY}/series").json()
        store(clinician, multipart(report_of(RF_STUDY)), f"{STUDIES}/{RF_STUDY}")
        after = clinician.get(f"{STUDIES}/{RF_STUDY}/series").json()
        assert len(after) == len(before) + 1

    def test_a_new_study_goes_to_the_first_node(
        self, nodes: dict[str, StandIn], technologist: Client
    ) -> None:
        assert store(technologist, multipart(*ct_of(NEW_STUDY, 2))).status_code == 200
        assert any(one.StudyInstanceUID == NEW_STUDY for one in nodes["CT"].instances)

    def test_a_new_study_goes_to_the_node_that_the_setting_names(
        self, nodes: dict[str, StandIn], technologist: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(config, "STOW_NODE", "RF")
        store(technologist, multipart(*ct_of(NEW_STUDY, 2)))
        assert any(one.StudyInstanceUID == NEW_STUDY for one in nodes["RF"].instances)

    def test_a_setting_that_names_no_node_is_told(
        self, nodes: dict[str, StandIn], technologist: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(config, "STOW_NODE", "ELSEWHERE")
        status, why = problem_of(store(technologist, multipart(*ct_of(NEW_STUDY, 1))))
        assert status == 502
        assert "ELSEWHERE" in why

    def test_a_study_that_a_silent_node_may_hold_is_not_begun_twice(
        self,
        nodes: dict[str, StandIn],
        register: Callable[[SimpleNamespace], Node],
        technologist: Client,
    ) -> None:
        register(SimpleNamespace(name="DEAD", url="http://127.0.0.1:9"))
        status, why = problem_of(store(technologist, multipart(*ct_of(NEW_STUDY, 1))))
        assert status == 502
        assert "DEAD" in why
        assert not any(one.StudyInstanceUID == NEW_STUDY for one in nodes["CT"].instances)

    def test_the_first_object_tells_the_study_whatever_stands_before_it(
        self, nodes: dict[str, StandIn], technologist: Client
    ) -> None:
        early = ct_of(RF_STUDY, 1)
        early[0].add_new(0x00091001, "OB", b"\0" * 300_000)
        store(technologist, b"what comes before the first part\r\n" + multipart(*early))
        assert [asked for asked in nodes["RF"].asked if asked.startswith("POST")]

    def test_one_file_without_parts_is_stored_too(
        self, nodes: dict[str, StandIn], technologist: Client
    ) -> None:
        body = file_bytes(report_of(RF_STUDY))
        assert store(technologist, body, kind="application/dicom").status_code == 200

    def test_metadata_as_json_tells_its_study(
        self, nodes: dict[str, StandIn], technologist: Client
    ) -> None:
        told = json.dumps([report_of(RF_STUDY).to_json_dict()]).encode()
        head = b"--kept.apart\r\nContent-Type: application/dicom+json\r\n\r\n"
        kind = KIND.replace("application/dicom", "application/dicom+json")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("tests.web.node_storing.StoringHandler._parts", lambda *_: [])
            assert (
                store(technologist, head + told + b"\r\n--kept.apart--", kind=kind).status_code
                == 200
            )
        assert [asked for asked in nodes["RF"].asked if asked.startswith("POST")]

    @pytest.mark.parametrize("body", [b"", b"nonsense", b"--kept.apart--", multipart()])
    def test_a_body_that_shows_no_study_is_a_400(
        self, nodes: object, technologist: Client, body: bytes
    ) -> None:
        assert problem_of(store(technologist, body))[0] == 400

    def test_the_node_learns_under_which_address_it_is_read(
        self, nodes: dict[str, StandIn], clinician: Client
    ) -> None:
        store(clinician, multipart(report_of(RF_STUDY)))
        assert nodes["RF"].told[0]["X-Forwarded-Base"] == "http://testserver/dicom-web"


class TestWhoMay:
    def test_images_of_a_clinician_are_refused(self, ct: StandIn, clinician: Client) -> None:
        held = len(ct.instances)
        status, why = problem_of(store(clinician, multipart(instance(CT_STUDY, 5, 1, "CT"))))
        assert status == 403
        assert "no images" in why
        assert len(ct.instances) == held

    def test_an_image_behind_a_report_is_refused_too(self, ct: StandIn, clinician: Client) -> None:
        both = multipart(report_of(CT_STUDY), instance(CT_STUDY, 5, 1, "CT"))
        assert problem_of(store(clinician, both))[0] == 403
        assert not [asked for asked in ct.asked if asked.startswith("POST")]

    def test_a_rejection_note_is_no_result(self, ct: StandIn, clinician: Client) -> None:
        note = report_of(CT_STUDY, SOPClassUID="1.2.840.10008.5.1.4.1.1.88.59")
        assert problem_of(store(clinician, multipart(note)))[0] == 403

    def test_results_of_another_exam_do_not_slip_in(self, nodes: object, clinician: Client) -> None:
        both = multipart(report_of(CT_STUDY), report_of(RF_STUDY))
        assert problem_of(store(clinician, both))[0] == 403
        assert problem_of(store(clinician, both, f"{STUDIES}/{CT_STUDY}"))[0] == 403

    def test_a_clinician_begins_no_exam(self, nodes: object, clinician: Client) -> None:
        assert problem_of(store(clinician, multipart(report_of(NEW_STUDY))))[0] == 403

    def test_results_are_bounded(
        self, nodes: object, clinician: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("pacs_web.dicomweb.results.MOST_BYTES", 1000)
        long = report_of(CT_STUDY, TextValue="x" * 2000)
        assert problem_of(store(clinician, multipart(long)))[0] == 413

    @pytest.mark.parametrize("group", ["it", "archivist", "nobody"])
    def test_others_store_nothing(
        self, nodes: object, browser: Callable[..., Client], group: str
    ) -> None:
        assert problem_of(store(browser(group), multipart(report_of(CT_STUDY))))[0] == 403

    def test_a_stranger_gets_a_401_and_no_redirect(self, nodes: object, client: Client) -> None:
        response = store(client, multipart(report_of(CT_STUDY)))
        assert response.status_code == 401
        assert "Bearer" in response["WWW-Authenticate"]

    def test_a_session_must_show_the_token_of_our_own_pages(
        self, nodes: object, browser: Callable[..., Client], small_viewer: object
    ) -> None:
        strict = browser("technologist", enforce_csrf_checks=True)
        status, why = problem_of(store(strict, multipart(report_of(CT_STUDY))))
        assert status == 403
        assert "CSRF" in why
        strict.get("/viewer/")
        given = {"X-CSRFToken": strict.cookies["argens_csrf"].value}
        assert store(strict, multipart(report_of(CT_STUDY)), **given).status_code == 200

    def test_a_program_with_a_token_needs_none(
        self, nodes: object, uploading: dict[str, str]
    ) -> None:
        strict = Client(enforce_csrf_checks=True)
        body = multipart(*ct_of(NEW_STUDY, 1))
        assert store(strict, body, **uploading).status_code == 200

    def test_a_token_for_reading_stores_nothing(
        self, nodes: object, client: Client, person: Callable[[str], Account]
    ) -> None:
        token = tokens.create(person("technologist"), [tokens.DICOMWEB])
        response = store(client, multipart(report_of(CT_STUDY)), Authorization=f"Bearer {token}")
        assert response.status_code == 403

    def test_a_clinicians_token_is_never_one_for_storing(
        self, nodes: object, client: Client, person: Callable[[str], Account]
    ) -> None:
        token = tokens.create(person("clinician"), [tokens.STORE])
        response = store(client, multipart(report_of(CT_STUDY)), Authorization=f"Bearer {token}")
        assert response.status_code == 403

    def test_storing_is_audited_with_node_and_outcome(
        self, nodes: object, clinician: Client
    ) -> None:
        store(clinician, multipart(report_of(RF_STUDY)))
        row = AuditEvent.objects.get(action="store")
        assert (row.who, row.study_uid) == ("clinician", RF_STUDY)
        assert without_trace(row.detail) == {"node": "RF", "status": 200}


class TestRejecting:
    def test_what_a_technologist_rejects_is_gone_from_every_node_that_holds_it(
        self, ct: StandIn, register: Callable[[StandIn], Node], technologist: Client
    ) -> None:
        with node_stand_in("COPY", ct_study(2), config.TRUST_DIR) as copy:
            register(copy)
            response = technologist.delete(f"{STUDIES}/{CT_STUDY}?reason=113037")
            assert response.status_code == 200
            assert (ct.instances, copy.instances) == ([], [])
            assert "reason=113037" in copy.asked[-1]
        assert technologist.get(f"{STUDIES}/{CT_STUDY}/series").status_code == 404

    def test_one_image_may_be_rejected(self, ct: StandIn, technologist: Client) -> None:
        held = len(ct.instances)
        address = f"{STUDIES}/{CT_STUDY}/series/{CT_STUDY}.1/instances/{CT_STUDY}.1.2"
        assert technologist.delete(address).status_code == 200
        assert len(ct.instances) == held - 1

    def test_what_is_not_there_is_a_404(self, nodes: object, technologist: Client) -> None:
        assert technologist.delete(f"{STUDIES}/{CT_STUDY}/series/1.2.3").status_code == 404
        assert technologist.delete(f"{STUDIES}/1.2.3").status_code == 404

    @pytest.mark.parametrize("path", ["studies", f"studies/{CT_STUDY}/metadata", "instances"])
    def test_nothing_else_can_be_rejected(
        self, ct: StandIn, technologist: Client, path: str
    ) -> None:
        assert technologist.delete(f"/dicom-web/{path}").status_code == 400
        assert ct.instances

    def test_a_clinician_rejects_nothing(self, ct: StandIn, clinician: Client) -> None:
        assert clinician.delete(f"{STUDIES}/{CT_STUDY}").status_code == 403
        assert ct.instances

    def test_another_site_rejects_nothing(
        self, ct: StandIn, browser: Callable[..., Client]
    ) -> None:
        strict = browser("technologist", enforce_csrf_checks=True)
        assert strict.delete(f"{STUDIES}/{CT_STUDY}").status_code == 403
        assert ct.instances

    def test_rejecting_is_audited(self, ct: StandIn, technologist: Client) -> None:
        technologist.delete(f"{STUDIES}/{CT_STUDY}?reason=113001")
        row = AuditEvent.objects.get(action="reject")
        assert row.who == "technologist"
        assert row.detail["reason"] == "113001"
        assert row.detail["nodes"] == ["CT"]


def test_the_capabilities_are_told_under_the_portals_address(
    nodes: object, clinician: Client
) -> None:
    for response in (clinician.options("/dicom-web/studies"), clinician.get("/dicom-web/")):
        told = response.json()["application"]["resources"]
        assert told["base"] == "http://testserver/dicom-web/"
