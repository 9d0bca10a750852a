"""Jobs over HTTP: filters and pages, every action, many at once, jobs of volumes."""

from __future__ import annotations

import pytest

from archive_node.jobs import dispatch, states
from archive_node.models import AuditLine, Job
from tests.archive.conftest import STUDY, run_job
from tests.archive.test_api import OPERATE, READ, RECALL, Caller, asked, is_problem

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def reader(portal) -> Caller:
    return Caller(portal, READ)


@pytest.fixture
def operator(portal) -> Caller:
    return Caller(portal, OPERATE)


def queued(number: int, kind: str = "copy", **about: str) -> Job:
    return dispatch.request(kind, "CT", f"{STUDY}.{number}", "rule", **about)[0]


def test_jobs_are_told_by_pages_with_their_number(node, reader):
    ids = [queued(number).id for number in range(5)]
    answer = reader.get("/api/jobs", limit="2", offset="1").json()
    assert [job["id"] for job in answer["jobs"]] == [ids[3], ids[2]]
    assert answer["total"] == 5


def test_jobs_are_found_by_what_they_are_about(node, reader):
    copy, recall = queued(1), queued(2, "recall")
    scrub, _ = dispatch.request_for_volume("scrub", "vault-1", "A00001", "rule")
    states.claim(recall.id).finish()
    for filters, found in (
        ({"state": "open"}, {copy.id, scrub.id}),
        ({"state": "done"}, {recall.id}),
        ({"node": "CT"}, {copy.id, recall.id}),
        ({"vault": "vault-1"}, {copy.id, scrub.id}),
        ({"volume": "A00001"}, {scrub.id}),
        ({"kind": "copy", "vault": "vault-1"}, {copy.id}),
    ):
        assert {job["id"] for job in reader.get("/api/jobs", **filters).json()["jobs"]} == found


def test_a_job_shows_what_can_be_done_with_it_and_its_place(node, reader):
    first, second = queued(1), queued(2)
    job = reader.get(f"/api/jobs/{second.id}").json()["job"]
    assert job["actions"] == ["pause", "cancel", "now", "priority"]
    assert job["queue"] == {"ahead": 1, "expected_s": None}
    lease = states.claim(first.id)
    lease.expect(4, 4000)
    job = reader.get(f"/api/jobs/{first.id}").json()["job"]
    assert job["actions"] == ["pause", "cancel"]
    assert job["progress"] | {"bytes_per_s": 0} == {
        "instances_done": 0, "instances_total": 4, "bytes_done": 0, "bytes_total": 4000,
        "bytes_per_s": 0, "seconds_left": None,
    }  # fmt: skip
    assert job["started_at"]


def test_every_action_is_an_address(node, operator):
    job = queued(1)
    for action, body, state in (
        ("pause", None, "paused"),
        ("resume", None, "queued"),
        ("now", None, "queued"),
        ("priority", {"priority": 20}, "queued"),
        ("cancel", None, "cancelled"),
        ("retry", None, "queued"),
    ):
        response = operator.post(f"/api/jobs/{job.id}/{action}", body)
        assert (response.status_code, response.json()["job"]["state"]) == (202, state)
    shown = response.json()["job"]
    assert (shown["priority"], shown["urgent"]) == (20, True)
    kinds = list(AuditLine.objects.order_by("id").values_list("kind", "by"))
    assert kinds == [
        (kind, "archivist")
        for kind in ("paused", "resumed", "hastened", "reprioritised", "cancelled", "retried")
    ]


def test_an_action_that_the_state_does_not_allow_is_a_conflict(node, operator, reader):
    job = queued(1)
    assert is_problem(operator.post(f"/api/jobs/{job.id}/resume"), 409)
    assert is_problem(operator.post(f"/api/jobs/{job.id}/destroy"), 404)
    assert is_problem(operator.post("/api/jobs/999/pause"), 404)
    assert is_problem(operator.post(f"/api/jobs/{job.id}/priority", {"priority": "high"}), 400)
    assert is_problem(reader.post(f"/api/jobs/{job.id}/pause"), 403)


def test_an_action_is_done_with_all_that_match_and_may_make_it(node, operator):
    copies = [queued(number) for number in range(3)]
    recall = queued(9, "recall")
    states.claim(copies[0].id).finish()
    answer = operator.post("/api/jobs/actions", {"action": "cancel", "kind": "copy"}).json()
    assert answer == {"done": [copies[1].id, copies[2].id], "refused": []}
    recall.refresh_from_db()
    assert recall.state == "queued"


def test_an_action_is_done_with_the_jobs_that_are_named(node, operator):
    first, second = queued(1), queued(2)
    states.claim(first.id).finish()
    body = {"action": "priority", "priority": 3, "ids": [first.id, second.id]}
    answer = operator.post("/api/jobs/actions", body).json()
    assert answer["done"] == [second.id]
    assert [each["id"] for each in answer["refused"]] == [first.id]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"action": "destroy", "ids": [1]},
        {"action": "cancel", "ids": "all"},
        {"action": "cancel", "ids": ["1"]},
        {"action": "cancel", "ids": [2**63]},
        {"action": "cancel", "state": "x"},
        {"action": "cancel", "state": ["queued"]},
        {"action": "priority", "ids": [1]},
        {"action": "priority", "priority": True, "ids": [1]},
    ],
)
def test_a_bulk_action_that_makes_no_sense_does_nothing(node, operator, body):
    job = queued(1)
    assert is_problem(operator.post("/api/jobs/actions", body), 400)
    job.refresh_from_db()
    assert (job.state, job.priority) == ("queued", 10)


def test_a_scrub_is_asked_for_by_volume_and_by_operators_alone(node, vault, operator, portal):
    wanted = {"kind": "scrub", "vault": "vault-1", "volume": "A00001", "requested_by": "archivist"}
    response = operator.post("/api/jobs", wanted)
    assert response.status_code == 202
    job = response.json()["job"]
    assert (job["kind"], job["vault"], job["volume"], job["node"]) == (
        "scrub", "vault-1", "A00001", "",
    )  # fmt: skip
    assert operator.post("/api/jobs", wanted).json()["job"]["id"] == job["id"]
    assert is_problem(Caller(portal, RECALL).post("/api/jobs", wanted), 403)
    assert is_problem(operator.post("/api/jobs", wanted | {"volume": "A00009"}), 404)
    assert is_problem(operator.post("/api/jobs", wanted | {"vault": "elsewhere"}), 400)


def test_refilling_a_node_is_asked_for_by_operators_alone(node, operator, portal):
    wanted = {"kind": "restore", "node": "CT"}
    response = operator.post("/api/jobs", wanted)
    job = response.json()["job"]
    assert (response.status_code, job["kind"], job["node"]) == (202, "restore", "CT")
    assert is_problem(Caller(portal, RECALL).post("/api/jobs", wanted), 403)
    assert is_problem(operator.post("/api/jobs", wanted | {"node": "XX"}), 400)


def test_a_copy_may_name_its_vault(node, archive, tmp_path, operator):
    archive(vaults_written={name: f"tape:{tmp_path / name}" for name in ("onsite", "offsite")})
    job = operator.post("/api/jobs", asked() | {"vault": "offsite"}).json()["job"]
    assert job["vault"] == "offsite"
    assert operator.post("/api/jobs", asked()).json()["job"]["vault"] == "onsite"
    assert is_problem(operator.post("/api/jobs", asked() | {"vault": "nowhere"}), 400)
    assert is_problem(operator.post("/api/jobs", asked("recall") | {"vault": "onsite"}), 400)


def test_a_job_that_was_done_tells_how_fast(head, vault, reader):
    job = run_job("copy")
    shown = reader.get(f"/api/jobs/{job.id}").json()["job"]
    assert shown["progress"]["bytes_per_s"] > 0
    assert shown["queue"] == {"ahead": 0, "expected_s": None}
