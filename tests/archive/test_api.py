"""The archive's HTTP API: shapes, and who may ask."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from django.test import Client

from archive_node.models import Copy, Job, NodeState
from archive_node.policy.scan import scan_all
from pacs_common.tickets import TicketIssuer
from tests.archive.conftest import STUDY, run_job

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]
READ, OPERATE, RECALL = "archive.read", "archive.operate", "archive.recall"


class Caller:
    """A person's requests, as the portal sends them."""

    def __init__(self, issuer: TicketIssuer, *scopes: str, audience: str = "archive") -> None:
        token = issuer.issue(audience, scopes, subject="archivist")
        self._headers = {"Authorization": f"Bearer {token}"}
        self._client = Client(raise_request_exception=False)

    def get(self, path: str, **params: str):
        return self._client.get(path, params, headers=self._headers)

    def post(self, path: str, body: object = None):
        return self._client.post(
            path, json.dumps(body), content_type="application/json", headers=self._headers
        )


@pytest.fixture
def reader(portal) -> Caller:
    return Caller(portal, READ)


@pytest.fixture
def operator(portal) -> Caller:
    return Caller(portal, OPERATE)


def is_problem(response, status: int) -> bool:
    document = response.json()
    return (
        response.status_code == status
        and response["Content-Type"] == "application/problem+json"
        and document["status"] == status
        and bool(document["title"])
        and "\n" not in document["detail"]
    )


def asked(kind: str = "copy", study: str = STUDY, node: str = "CT") -> dict[str, str]:
    return {"kind": kind, "node": node, "study_uid": study, "requested_by": "archivist"}


PAGES = ["/api/status", "/api/jobs", "/api/jobs/1", "/api/volumes", f"/api/studies/{STUDY}"]


@pytest.mark.parametrize("path", PAGES)
def test_without_a_ticket_nothing_is_told(path, archive):
    response = Client().get(path)
    assert is_problem(response, 401)
    assert response["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("path", PAGES)
def test_a_ticket_without_the_scope_is_refused(path, portal):
    assert is_problem(Caller(portal, "status", OPERATE).get(path), 403)


def test_a_ticket_for_a_node_is_not_valid_here(portal):
    assert is_problem(Caller(portal, READ, audience="CT").get("/api/jobs"), 401)


def test_a_ticket_that_an_unknown_key_signed_is_not_valid(portal, tmp_path):
    stranger = TicketIssuer.at("portal", tmp_path / "other.pem", tmp_path / "other-trust")
    assert is_problem(Caller(stranger, READ).get("/api/jobs"), 401)


def test_only_the_portal_may_ask_the_archive(portal, tmp_path):
    node = TicketIssuer.at("archive", tmp_path / "archive.pem", tmp_path / "trust")
    response = Caller(node, READ).get("/api/jobs")
    assert is_problem(response, 403)


def test_a_job_is_asked_for_once_and_shown(node, reader, operator):
    first = operator.post("/api/jobs", asked())
    again = operator.post("/api/jobs", asked())
    assert first.status_code == again.status_code == 202
    job = first.json()["job"]
    assert again.json()["job"]["id"] == job["id"]
    assert set(job) == {
        "id", "kind", "state", "node", "study_uid", "vault", "volume", "requested_by", "attempts",
        "error", "waits_for", "priority", "urgent", "actions", "progress", "queue", "started_at",
        "due_at", "created_at", "updated_at",
    }  # fmt: skip
    assert (job["kind"], job["state"], job["requested_by"]) == ("copy", "queued", "archivist")
    assert reader.get(f"/api/jobs/{job['id']}").json()["job"] == job
    assert is_problem(reader.get("/api/jobs/999"), 404)


def test_who_may_recall_may_ask_for_nothing_else(node, portal, reader):
    clinician = Caller(portal, RECALL)
    assert clinician.post("/api/jobs", asked("recall")).status_code == 202
    assert is_problem(clinician.post("/api/jobs", asked("copy")), 403)
    assert is_problem(clinician.post("/api/jobs", asked("evict")), 403)
    assert is_problem(reader.post("/api/jobs", asked("recall")), 403)
    assert [job.kind for job in Job.objects.all()] == ["recall"]


@pytest.mark.parametrize(
    "body",
    [
        asked(kind="destroy"),
        asked(node="NOWHERE"),
        asked(study="../../x"),
        asked(study=""),
        {},
        [],
        None,
        "text",
        asked() | {"node": ["CT"]},
        asked() | {"kind": {}},
    ],
)
def test_a_request_that_makes_no_sense_is_a_clear_answer(node, operator, body):
    assert is_problem(operator.post("/api/jobs", body), 400)
    assert Job.objects.count() == 0


def test_who_asked_is_kept_as_one_printable_line(node, operator):
    response = operator.post("/api/jobs", asked() | {"requested_by": "dr\0 \nWho" + "o" * 500})
    assert response.json()["job"]["requested_by"] == ("dr Who" + "o" * 500)[:200]


def test_jobs_are_listed_newest_first_and_filtered(head, vault, reader):
    run_job("copy")
    run_job("evict")
    run_job("recall", "9.9")
    listed = reader.get("/api/jobs").json()["jobs"]
    assert [job["kind"] for job in listed] == ["recall", "evict", "copy"]
    assert [job["kind"] for job in reader.get("/api/jobs", state="failed").json()["jobs"]] == [
        "recall"
    ]
    assert len(reader.get("/api/jobs", study=STUDY).json()["jobs"]) == 2
    assert len(reader.get("/api/jobs", kind="copy").json()["jobs"]) == 1
    assert len(reader.get("/api/jobs", limit="1").json()["jobs"]) == 1
    for nonsense in ({"state": "x"}, {"kind": "\0"}, {"study": "1\0x"}, {"study": "../x"}):
        assert is_problem(reader.get("/api/jobs", **nonsense), 400)
    for limit in ("0", "x", "-1", "100000", "²"):
        assert is_problem(reader.get("/api/jobs", limit=limit), 400)


def test_a_failed_job_is_retried_and_no_other(head, vault, operator):
    failed, done = run_job("recall", "9.9"), run_job("copy")
    response = operator.post(f"/api/jobs/{failed.id}/retry")
    assert response.status_code == 202
    assert response.json()["job"]["state"] == "queued"
    assert is_problem(operator.post(f"/api/jobs/{done.id}/retry"), 409)
    assert is_problem(operator.post("/api/jobs/999/retry"), 404)


def test_a_method_that_does_not_exist_is_said_with_those_that_do(node, reader):
    response = reader.post("/api/volumes")
    assert is_problem(response, 405)
    assert response["Allow"] == "GET"


def test_an_unknown_address_is_a_problem_document(archive):
    assert is_problem(Client().get("/api/nothing"), 404)


def test_volumes_are_shown_with_what_they_hold(head, vault, reader):
    run_job("copy")
    (volume,) = reader.get("/api/volumes").json()["volumes"]
    copy = Copy.objects.get()
    assert volume == {
        "label": "A00001",
        "vault": "vault-1",
        "state": "filling",
        "used_bytes": copy.size_bytes,
        "capacity_bytes": 200_000,
        "copies": 1,
        "bad_copies": 0,
        "first_written_at": copy.written_at.isoformat(),
        "last_written_at": copy.written_at.isoformat(),
        "scrubbed_at": None,
        "drive": 1,
        "slot": 1,
        "actions": ["scrub", "suspect", "shelve", "evacuate", "retire"],
    }


def test_a_study_is_shown_with_its_copies_and_jobs(head, vault, reader):
    run_job("copy")
    answer = reader.get(f"/api/studies/{STUDY}").json()
    (copy,) = answer["copies"]
    assert (copy["node"], copy["volume"], copy["instances"]) == ("CT", "A00001", 3)
    assert copy["verified_at"] is not None
    assert [job["kind"] for job in answer["jobs"]] == ["copy"]
    assert reader.get("/api/studies/9.9.9").json()["copies"] == []
    assert is_problem(reader.get("/api/studies/1..2"), 400)


def test_the_status_names_vaults_jobs_nodes_and_policy(head, vault, archive, reader):
    archive(nodes={"CT": head.url, "RF": "http://127.0.0.1:1"})
    scan_all()
    status = reader.get("/api/status").json()
    assert status["name"] == "archive"
    assert status["vaults"][0] | {"used_bytes": 0} == {
        "name": "vault-1", "kind": "tape library", "drives": 2, "volumes": 1, "used_bytes": 0,
        "capacity_bytes": 200_000, "required": True, "shelf": 0, "problem": "",
    }  # fmt: skip
    assert status["jobs"] == dict.fromkeys(Job.State.values, 0) | {"queued": 1}
    ct, rf = status["nodes"]
    assert (ct["name"], ct["reachable"], ct["studies"], ct["disk"]) == ("CT", True, 1, head.disk)
    assert (rf["reachable"], rf["last_scan_at"]) == (False, None)
    assert "RF: " in rf["error"]
    assert status["policy"] == {
        "quiet_s": 0, "evict_after_days": 0, "high_watermark": 0.85, "low_watermark": 0.8,
    }  # fmt: skip


def test_health_and_readiness_need_no_ticket_and_give_reasons(vault, archive, tmp_path: Path):
    client = Client()
    assert client.get("/healthz").status_code == 200
    (tmp_path / "data" / "broker" / "messages").mkdir(parents=True)
    assert client.get("/readyz").json() == {"status": "ready", "reasons": {}}
    archive(vault_dir=tmp_path / "gone", data_dir=tmp_path / "nowhere")
    response = client.get("/readyz")
    assert response.status_code == 503
    assert set(response.json()["reasons"]) == {"vault", "broker"}


def test_metrics_are_computed_from_the_database_and_name_no_patient(head, vault):
    scan_all()
    run_job("copy")
    text = Client().get("/metrics").content.decode()
    assert 'argens_archive_jobs{kind="copy",state="done"} 1.0' in text
    assert 'argens_archive_node_reachable{node="CT"} 1.0' in text
    assert 'argens_archive_copies{proof="verified"} 1.0' in text
    assert STUDY not in text and '"42"' not in text
    NodeState.objects.all().delete()
    text = Client().get("/metrics").content.decode()
    assert 'argens_archive_node_reachable{node="CT"} 0.0' in text


def test_the_log_is_told_to_its_own_scope_alone(portal, reader, settings):
    line = {"at": "2026-11-21T09:00:00+00:00", "level": "WARNING", "message": "a marked line"}
    settings.ARCHIVE.log_dir.mkdir(parents=True)
    (settings.ARCHIVE.log_dir / "recent.jsonl").write_text(json.dumps(line) + "\n")
    assert is_problem(reader.get("/api/log"), 403)
    caller = Caller(portal, "log.read")
    assert caller.get("/api/log", words="marked").json() == {"lines": [line]}
    assert caller.get("/api/log", level="ERROR").json() == {"lines": []}
    assert is_problem(caller.get("/api/log", level="LOUD"), 400)
