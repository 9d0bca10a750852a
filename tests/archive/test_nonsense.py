"""What a node or a caller sends that makes no sense: one clear line, and nobody else suffers."""

from __future__ import annotations

import pytest

from archive_node.models import Copy, Job, NodeState
from archive_node.policy.scan import scan_all
from tests.archive.conftest import STUDY, run_job, unlike
from tests.archive.node_stand_in import Handler, NodeStandIn, Study, serving
from tests.archive.test_api import Caller, is_problem

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def other(head, archive, tmp_path):
    """A second, sane node, which is scanned after CT."""
    with serving(NodeStandIn("RF", tmp_path / "rf", tmp_path / "trust")) as served:
        served.arrive("9.9", "9.9.1", unlike(4))
        archive(nodes={"CT": head.url, "RF": served.url})
        yield served


def only_ct_is_blamed() -> None:
    scan_all()
    states = {state.name: state for state in NodeState.objects.all()}
    assert not states["CT"].reachable and states["CT"].error
    assert states["RF"].reachable
    assert Job.objects.filter(node="RF", kind="copy").count() == 1


@pytest.mark.parametrize(
    "page", [[], None, "x", {}, {"studies": []}, {"studies": 5, "next": None},
             {"studies": [], "next": 7}, {"studies": [7], "next": None}],
)  # fmt: skip
def test_a_page_of_facts_that_cannot_be_read_is_that_nodes_error(
    head, vault, other, monkeypatch, page
):
    told = Handler._page
    monkeypatch.setattr(
        Handler,
        "_page",
        lambda self, query: page if self.node.name == "CT" else told(self, query),
    )
    only_ct_is_blamed()


@pytest.mark.parametrize(
    ("fact", "value"),
    [("size_bytes", -1), ("size_bytes", 10**30), ("online", float("inf")), ("revision", "x"),
     ("modalities", 3), ("patient_key", []), ("last_arrival_at", "9999-12-31T23:59:59-23:00"),
     ("study_uid", "../x")],
)  # fmt: skip
def test_facts_out_of_range_are_that_nodes_error(head, vault, other, monkeypatch, fact, value):
    told = Study.facts
    monkeypatch.setattr(
        Study,
        "facts",
        lambda study: told(study) | ({fact: value} if study.uid == STUDY else {}),
    )
    only_ct_is_blamed()


@pytest.mark.parametrize(
    "disk", [None, [], {}, {"total_bytes": "much", "free_bytes": 0}, {"total_bytes": 5}]
)
def test_a_disk_that_cannot_be_read_is_that_nodes_error(head, vault, other, disk):
    head.disk = disk
    only_ct_is_blamed()


@pytest.mark.parametrize("requests", [None, 5, [5], [{}], [{"study_uid": "../x"}]])
def test_recall_requests_that_cannot_be_read_are_that_nodes_error(head, vault, other, requests):
    head.requests = requests
    only_ct_is_blamed()


def test_an_instance_named_twice_in_a_manifest_is_not_copied(head, vault):
    instances = head.studies[STUDY].instances
    instances["again"] = instances["1.2.3.1"]
    job = run_job("copy")
    assert job.state == "queued" and "cannot be read" in job.error
    assert Copy.objects.count() == 0 and vault.find("CT/1.2.3/r3-1.tar") is None


def test_a_body_nested_without_end_is_a_bad_request(node, portal):
    caller = Caller(portal, "archive.operate")
    answer = caller._client.post(
        "/api/jobs", "[" * 60_000, content_type="application/json", headers=caller._headers
    )
    assert is_problem(answer, 400)


@pytest.mark.parametrize("limit", ["9" * 5000, "²", "-1", "0", "1e3", ""])
def test_a_limit_that_is_no_number_is_a_bad_request(node, portal, limit):
    assert is_problem(Caller(portal, "archive.read").get("/api/jobs", limit=limit), 400)


@pytest.mark.parametrize(
    "path", ["/api/jobs/99999999999999999999999", f"/api/jobs/{'9' * 5000}", "/api/jobs/-1"]
)
def test_a_job_that_cannot_exist_is_not_found(node, portal, path):
    assert is_problem(Caller(portal, "archive.read").get(path), 404)


def test_too_many_fields_are_a_problem_document_too(node, portal):
    fields = {f"field{number}": "1" for number in range(1001)}
    assert is_problem(Caller(portal, "archive.read").get("/api/jobs", **fields), 400)


@pytest.mark.parametrize("method", ["head", "put", "delete", "patch", "options"])
def test_a_wrong_method_is_answered_with_those_that_exist(node, portal, method):
    caller = Caller(portal, "archive.read")
    answer = getattr(caller._client, method)("/api/volumes", headers=caller._headers)
    assert (answer.status_code, answer["Allow"]) == (405, "GET")


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_what_monitors_read_cannot_be_written(vault, portal, path):
    answer = Caller(portal, "archive.read").post(path, {})
    assert is_problem(answer, 405) and "GET" in answer["Allow"]


def test_a_ticket_for_one_study_recalls_no_other(node, portal):
    caller = Caller(portal, "archive.recall")
    token = portal.issue("archive", ["archive.recall"], subject="clinician", study="1.2.3")
    caller._headers = {"Authorization": f"Bearer {token}"}
    wanted = {"kind": "recall", "node": "CT", "study_uid": "1.2.4"}
    assert is_problem(caller.post("/api/jobs", wanted), 403)
    assert caller.post("/api/jobs", wanted | {"study_uid": "1.2.3"}).status_code == 202
