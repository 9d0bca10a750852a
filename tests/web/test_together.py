"""Several exams chosen and opened together: one person's at once, two persons' on purpose."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from pacs_web import config
from pacs_web.audit.models import AuditEvent
from pacs_web.nodes.models import Node
from tests.web.made_studies import CT_STUDY, RF_STUDY, ROOT, SR_STUDY, instance
from tests.web.node_stand_in import StandIn, node_stand_in

pytestmark = pytest.mark.usefixtures("nodes", "small_viewer")
VIEWER = "/viewer/viewer?StudyInstanceUIDs="


def test_exams_of_one_person_open_at_once_in_the_order_chosen(clinician: Client) -> None:
    response = clinician.get("/together/", {"study": [SR_STUDY, CT_STUDY, SR_STUDY]})
    assert response["Location"] == f"{VIEWER}{SR_STUDY},{CT_STUDY}&hangingProtocolId=argensCompare"


def test_two_persons_are_named_and_shown_only_on_purpose(clinician: Client) -> None:
    response = clinician.get("/together/", {"study": [CT_STUDY, RF_STUDY]})
    assert response.status_code == 200
    page = response.content.decode()
    assert "different patients" in page
    for name in ("LEFÈVRE Hélène", "DUPONT"):
        assert name in page
    assert f'href="{VIEWER}{CT_STUDY},{RF_STUDY}&amp;hangingProtocolId' in page


@pytest.mark.parametrize(
    "differs", [{"PatientBirthDate": "19700101"}, {"PatientID": "0"}], ids=["born", "placeholder"]
)
def test_one_id_is_not_one_person_where_something_else_differs_or_it_names_nobody(
    register: Callable[[StandIn], Node], clinician: Client, differs: dict[str, str]
) -> None:
    uids = [f"{ROOT}.{number}" for number in (71, 72)]
    held = [instance(uid, 1, 1, "CT", PatientID="77") for uid in uids]
    for one in held if "PatientID" in differs else held[:1]:
        for keyword, value in differs.items():
            setattr(one, keyword, value)
    with node_stand_in("MORE", held, config.TRUST_DIR) as more:
        register(more)
        response = clinician.get("/together/", {"study": uids})
    assert "different patients" in response.content.decode()


def test_an_exam_in_the_archive_is_not_opened(clinician: Client, nodes: dict[str, StandIn]) -> None:
    nodes["CT"].behaviour.away.add(CT_STUDY)
    assert clinician.get("/together/", {"study": [CT_STUDY]}).status_code == 503


@pytest.mark.parametrize(
    ("asked", "status"),
    [([], 302), ([f"1.{n}" for n in range(9)], 400), (["../1"], 400), (["1.2.3"], 404)],
)
def test_nonsense_is_refused(clinician: Client, asked: list[str], status: int) -> None:
    assert clinician.get("/together/", {"study": asked}).status_code == status


def test_each_exam_that_was_opened_is_audited(clinician: Client) -> None:
    clinician.get("/together/", {"study": [CT_STUDY, SR_STUDY]})
    seen = set(AuditEvent.objects.filter(action="study").values_list("study_uid", flat=True))
    assert seen == {CT_STUDY, SR_STUDY}


def test_the_exam_page_leads_to_the_patients_exams_with_this_one_chosen(
    clinician: Client,
) -> None:
    exam = clinician.get(f"/studies/{CT_STUDY}/").content.decode()
    assert f'href="/studies/{CT_STUDY}/timeline/"' in exam
    page = clinician.get(f"/studies/{CT_STUDY}/timeline/").content.decode()
    boxes = [line for line in page.splitlines() if 'type="checkbox"' in line]
    chosen = {uid: any(uid in box and "checked" in box for box in boxes) for uid in ALL}
    assert len(boxes) == 2  # the fluoroscopy is another patient's
    assert chosen == {CT_STUDY: True, SR_STUDY: False, RF_STUDY: False}


ALL = (CT_STUDY, SR_STUDY, RF_STUDY)


def test_a_list_offers_a_choice_of_what_is_online(
    clinician: Client, nodes: dict[str, StandIn]
) -> None:
    nodes["CT"].behaviour.away.add(CT_STUDY)
    page = clinician.post("/", {"servers": ["CT", "RF"]}, follow=True).content.decode()
    assert f'name="study" value="{RF_STUDY}" form="together"' in page
    assert f'value="{CT_STUDY}"' not in page


def test_without_the_full_viewer_there_is_no_choice(clinician: Client, small_viewer) -> None:
    (small_viewer / "release.json").unlink()
    page = clinician.post("/", {"servers": ["CT", "RF"]}, follow=True).content.decode()
    assert 'form="together"' not in page
    assert clinician.get("/together/", {"study": [CT_STUDY]}).status_code == 404
    page = clinician.get(f"/studies/{CT_STUDY}/timeline/").content.decode()
    assert "Open together" not in page
