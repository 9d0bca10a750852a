"""Volumes over HTTP: what lies on them, what operators do with them, mount requests."""

from __future__ import annotations

import pytest
from django.utils import timezone

from archive_node import alarms, library
from archive_node.jobs import mounts, runner
from archive_node.models import Alarm, AuditLine, Copy, Job, MountRequest, Proof
from archive_node.vault.base import Vault, VolumeState
from tests.archive.conftest import STUDY, run_job
from tests.archive.test_api import OPERATE, READ, Caller, is_problem

pytestmark = pytest.mark.django_db(transaction=True)
VOLUME = "/api/volumes/vault-1/A00001"


@pytest.fixture
def operator(portal) -> Caller:
    return Caller(portal, OPERATE, READ)


@pytest.fixture
def second(archive, tmp_path):
    """Two vaults, the second not required: a copy there is asked for by name."""
    archive(
        vaults_written={
            "vault-1": f"tape:{tmp_path / 'vault'}?volume=200kB",
            "vault-2": f"tape:{tmp_path / 'second'}?volume=200kB&required=no",
        }
    )
    return "vault-2"


def test_a_volume_is_shown_with_its_copies_by_pages(head, vault, operator):
    run_job("copy")
    answer = operator.get(VOLUME).json()
    copy = Copy.objects.get()
    assert answer["volume"] == operator.get("/api/volumes").json()["volumes"][0]
    assert [(one["study_uid"], one["member"]) for one in answer["copies"]] == [(STUDY, copy.member)]
    assert answer["total"] == 1
    assert operator.get(VOLUME, offset="1").json()["copies"] == []
    assert is_problem(operator.get("/api/volumes/vault-1/A00009"), 404)
    assert is_problem(operator.get("/api/volumes/elsewhere/A00001"), 400)


def test_bad_copies_are_counted_and_a_volume_is_scrubbed_when_every_good_one_is(
    head, vault, operator
):
    run_job("copy")
    good = Copy.objects.get()
    moment = timezone.now()
    Copy.objects.create(
        node="CT", study_uid="9", vault="vault-1", volume="A00001", member="x", revision=1,
        instances=0, size_bytes=0, bad_since=moment,
    )  # fmt: skip
    assert operator.get(VOLUME).json()["volume"]["scrubbed_at"] is None
    Copy.objects.filter(id=good.id).update(scrubbed_at=moment)
    shown = operator.get(VOLUME).json()["volume"]
    assert (shown["copies"], shown["bad_copies"]) == (2, 1)
    assert shown["scrubbed_at"] == moment.isoformat()


def test_vaults_that_do_not_answer_are_named(head, archive, tmp_path, operator):
    archive(vaults_written={"vault-1": "tape:/proc/nowhere"})
    answer = operator.get("/api/volumes").json()
    assert answer["volumes"] == []
    assert set(answer["missing"]) == {"vault-1"}


def test_a_scrub_and_an_evacuation_are_jobs(head, vault, operator):
    run_job("copy")
    for kind in ("scrub", "evacuate"):
        response = operator.post(f"{VOLUME}/{kind}")
        assert response.status_code == 202
        job = response.json()["job"]
        assert (job["kind"], job["vault"], job["volume"]) == (kind, "vault-1", "A00001")


def test_what_a_volumes_state_does_not_allow_is_a_conflict(vault, operator, portal):
    assert is_problem(operator.post(f"{VOLUME}/trust"), 409)
    assert is_problem(operator.post(f"{VOLUME}/scrub"), 409)  # it is scratch
    assert is_problem(operator.post(f"{VOLUME}/burn"), 404)
    assert is_problem(operator.post("/api/volumes/vault-1/A00009/suspect"), 404)
    assert is_problem(Caller(portal, READ).post(f"{VOLUME}/suspect"), 403)


def test_a_volume_is_suspected_and_trusted_again(head, vault, operator):
    run_job("copy")
    suspect = operator.post(f"{VOLUME}/suspect").json()["volume"]
    assert suspect["state"] == "suspect"
    assert suspect["actions"] == ["scrub", "trust", "shelve", "evacuate", "retire"]
    alarms.raise_alarm("volume-suspect", "vault-1/A00001", "critical", "x")
    assert operator.post(f"{VOLUME}/trust").json()["volume"]["state"] == "filling"
    assert Alarm.objects.get().ended_at is not None
    assert set(AuditLine.objects.values_list("kind", flat=True)) >= {
        "volume-suspected", "volume-trusted",
    }  # fmt: skip


def test_a_volume_is_not_retired_while_a_good_copy_lies_on_it_alone(head, vault, operator):
    run_job("copy")
    response = operator.post(f"{VOLUME}/retire")
    assert is_problem(response, 409)
    assert "something lies on A00001 alone: evacuate it first" in response.json()["detail"]
    assert vault.volumes()[0].state == "filling"
    assert Copy.objects.get().bad_since is None


def test_a_volume_whose_copies_lie_elsewhere_too_is_retired_and_counts_no_more(
    head, second, vault, operator
):
    run_job("copy")
    body = {"kind": "copy", "node": "CT", "study_uid": STUDY, "vault": second}
    job = operator.post("/api/jobs", body).json()["job"]
    assert is_problem(operator.post(f"{VOLUME}/retire"), 409)
    runner.run(job["id"])
    assert operator.post(f"{VOLUME}/retire").json()["volume"]["state"] == "retired"
    on_it = Copy.objects.get(vault="vault-1")
    assert on_it.bad_since and on_it.problem == "its volume was retired"
    assert Proof.objects.get().vault == second
    assert run_job("copy").state == "done"
    assert Copy.objects.filter(vault="vault-1", bad_since=None).get().volume != "A00001"


def test_a_copy_on_a_suspect_volume_makes_up_for_none(head, second, vault, operator):
    run_job("copy")
    body = {"kind": "copy", "node": "CT", "study_uid": STUDY, "vault": second}
    runner.run(operator.post("/api/jobs", body).json()["job"]["id"])
    elsewhere = Copy.objects.get(vault=second)
    library.vault(second).mark(elsewhere.volume, VolumeState.SUSPECT)
    assert is_problem(operator.post(f"{VOLUME}/retire"), 409)


def waiting_recall(head, vault: Vault) -> Job:
    run_job("copy")
    run_job("evict")
    vault.shelve("A00001")
    return run_job("recall")


def test_a_recall_from_the_shelf_waits_for_the_volume_and_goes_on_when_it_is_in(
    head, vault, operator
):
    before = head.online(STUDY)
    job = waiting_recall(head, vault)
    assert (job.state, job.waits_for) == ("waiting", "volume A00001 of vault-1")
    (request,) = operator.get("/api/mount-requests").json()["requests"]
    assert request | {"asked_at": ""} == {
        "id": request["id"], "vault": "vault-1", "volume": "A00001", "drive": 1, "asked_at": "",
        "jobs": 1, "for": ["archivist"], "restore_of": "",
    }  # fmt: skip

    confirm = f"/api/mount-requests/{request['id']}/confirm"
    wrong = operator.post(confirm, {"barcode": "A00002"})
    assert is_problem(wrong, 409) and wrong.json()["title"] == "Wrong volume"
    assert operator.post(confirm, {"barcode": "A00001"}).status_code == 200
    assert operator.get("/api/mount-requests").json()["requests"] == []
    assert is_problem(operator.post(confirm, {"barcode": "A00001"}), 409)

    job.refresh_from_db()
    assert job.state == "queued"
    assert run_job("recall").state == "done"
    assert head.online(STUDY) == before


def test_a_volume_is_put_back_that_was_asked_for_by_jobs_or_by_nobody(head, vault, operator):
    job = waiting_recall(head, vault)
    shelved = operator.get(VOLUME).json()["volume"]
    assert shelved["state"] == "exported" and "insert" in shelved["actions"]
    assert is_problem(operator.post(f"{VOLUME}/shelve"), 409)
    assert is_problem(operator.post(f"{VOLUME}/insert", {}), 400)
    assert operator.post(f"{VOLUME}/insert", {"barcode": "A00001"}).status_code == 200
    assert MountRequest.objects.get().ended_by == "archivist"
    job.refresh_from_db()
    assert job.state == "queued"


def test_a_confirmation_whose_answer_was_lost_may_be_repeated(head, vault):
    waiting_recall(head, vault)
    vault.insert("A00001", "A00001")  # and the archive was killed before it vault that
    assert mounts.insert("vault-1", "A00001", "A00001", None, "archivist") == 1


def test_nobody_else_confirms(head, vault, portal, operator):
    MountRequest.objects.create(vault="vault-1", volume="A00001")
    assert is_problem(Caller(portal, READ).post("/api/mount-requests/1/confirm", {}), 403)
    assert is_problem(operator.post("/api/mount-requests/999/confirm", {"barcode": "x"}), 404)
    request = MountRequest.objects.get()
    for nonsense in ({}, {"barcode": 1}, {"barcode": "A00001", "drive": "1"}):
        assert is_problem(operator.post(f"/api/mount-requests/{request.id}/confirm", nonsense), 400)


def test_a_drive_that_is_taken_is_not_named(head, vault):
    assert mounts.drive_for(vault) == 1
    with vault.warm("A00001"):
        assert mounts.drive_for(vault) == 2
