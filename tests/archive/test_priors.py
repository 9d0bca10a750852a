"""A study's arrival brings the patient's earlier exams back, once, and no stranger's."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from archive_node.jobs import dispatch
from archive_node.models import Job, StudyFacts
from archive_node.policy.priors import recall_for_arrivals

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def nodes(archive) -> None:
    archive(nodes={"CT": "http://127.0.0.1:9", "CR": "http://127.0.0.1:9"})


def exam(study_uid: str, date: str, **fields: object) -> StudyFacts:
    """An exam of one patient; evicted unless told otherwise."""
    told = {
        "node": "CT", "patient_issuer": "FREJUS", "patient_id": "4711", "modalities": "CT",
        "instances": 3, "online": 0, "last_arrival_at": timezone.now(),
    } | fields  # fmt: skip
    return StudyFacts.objects.create(study_uid=study_uid, study_date=date, **told)


def arrival(**fields: object) -> StudyFacts:
    return exam("1.9", "20261128", **({"online": 3} | fields))


def asked() -> list[str]:
    return list(
        Job.objects.filter(kind="recall").order_by("id").values_list("study_uid", flat=True)
    )


def test_the_last_two_exams_of_the_patient_are_recalled(nodes):
    for number, date in enumerate(("20200101", "20260101", "20240101")):
        exam(f"1.{number}", date)
    assert recall_for_arrivals("CT", [arrival()]) == 2
    assert asked() == ["1.1", "1.2"]
    job = Job.objects.first()
    assert (job.node, job.requested_by) == ("CT", "prior of 1.9")
    assert job.priority < dispatch.PRIORITIES["recall"]
    assert job.priority < dispatch.PRIORITIES["evict"]


@pytest.mark.parametrize(
    ("prior", "new", "brought"),
    [
        pytest.param({}, {}, True, id="same modality"),
        pytest.param({"modalities": "MR"}, {}, False, id="another modality"),
        pytest.param(
            {"modalities": "MR", "body_parts": "HEAD"}, {"body_parts": "Head\\NECK"}, True,
            id="same body part",
        ),
        pytest.param({"modalities": "PR\\CR"}, {"modalities": "CT\\PR"}, False, id="both have PR"),
        pytest.param({"node": "CR"}, {}, True, id="on another node"),
        pytest.param({"node": "GONE"}, {}, False, id="on a node that is no more"),
        pytest.param({"patient_issuer": "NICE"}, {}, False, id="another issuer"),
        pytest.param({"patient_id": "4712"}, {}, False, id="another patient"),
        pytest.param({"online": 3}, {}, False, id="online already"),
        pytest.param({"online": 1}, {}, True, id="partly away"),
        pytest.param({"patient_id": ""}, {"patient_id": ""}, False, id="nobody"),
        pytest.param({"patient_id": "UNKNOWN"}, {"patient_id": "UNKNOWN"}, False, id="placeholder"),
        pytest.param({"patient_id": "0000"}, {"patient_id": "0000"}, False, id="one sign"),
        pytest.param({"study_date": "20261129"}, {}, False, id="a later exam"),
        pytest.param({"study_date": ""}, {}, False, id="without a date"),
    ],
)  # fmt: skip
def test_what_is_compared_is_recalled_and_nothing_else(prior, new, brought):
    told = {"study_date": "20250101"} | prior
    exam("1.1", str(told.pop("study_date")), **told)
    recall_for_arrivals("CT", [arrival(**new)])
    assert asked() == (["1.1"] if brought else [])


def test_an_exam_that_is_online_counts_among_the_last(nodes):
    exam("1.1", "20260101", online=3)
    exam("1.2", "20250101", online=3)
    exam("1.3", "20240101")
    recall_for_arrivals("CT", [arrival()])
    assert asked() == []


def test_an_exam_on_two_nodes_is_not_recalled_where_one_has_it(nodes):
    exam("1.1", "20260101")
    exam("1.1", "20260101", node="CR", online=3)
    recall_for_arrivals("CT", [arrival()])
    assert asked() == []


def test_an_arrival_asks_once_even_where_a_prior_is_evicted_again(nodes):
    exam("1.1", "20260101")
    new = arrival()
    recall_for_arrivals("CT", [new])
    Job.objects.update(state="done")
    assert recall_for_arrivals("CT", [new]) == 0
    assert asked() == ["1.1"]


def test_an_old_exam_that_is_seen_for_the_first_time_is_no_arrival(nodes):
    exam("1.1", "20250101")
    new = arrival(last_arrival_at=timezone.now() - timedelta(days=3))
    assert recall_for_arrivals("CT", [new]) == 0


def test_none_are_recalled_where_the_setting_says_none(archive):
    archive(priors=0)
    exam("1.1", "20250101")
    assert recall_for_arrivals("CT", [arrival()]) == 0
