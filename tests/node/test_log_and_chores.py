"""What a node tells IT of its own work: the last lines of its log, what waits and who does it."""

from __future__ import annotations

import fcntl
import logging
import os
from datetime import datetime

import pytest

from dicom_node.models import Commitment, Forward, Instance, Preparation, Study
from tests.node.objects import STUDY, ct


@pytest.fixture
def told(client, ticket, layout):
    """Ask the node for its chores."""

    def told(scope: str = "status") -> dict:
        header = {"HTTP_AUTHORIZATION": f"Bearer {ticket(scope)}"}
        return client.get("/api/chores", **header).json()

    return told


def waiting(told: dict) -> dict[str, int]:
    return {one["name"]: one["waiting"] for one in told["chores"]}


def test_a_node_at_rest_has_nothing_waiting(told, db):
    assert waiting(told()) == {"digests": 0, "renditions": 0, "forwarding": 0, "commitment": 0}
    assert all(one["since"] is None and one["failing"] == 0 for one in told()["chores"])


def test_what_arrived_waits_for_digests_and_pictures_since_its_arrival(take, told):
    take(ct(1))
    take(ct(2))
    found = {one["name"]: one for one in told()["chores"]}
    assert found["digests"]["waiting"] == 2
    assert found["renditions"]["waiting"] == 1
    arrival = Study.objects.get(uid=STUDY).last_arrival_at
    assert found["renditions"]["since"] == arrival.isoformat()
    assert datetime.fromisoformat(found["digests"]["since"]) <= arrival


def test_what_is_done_waits_no_more(take, told):
    take(ct(1))
    Instance.every.update(stored_sha256="a" * 64)
    study = Study.objects.get(uid=STUDY)
    Study.objects.update(prepared_revision=study.revision)
    assert waiting(told())["digests"] == waiting(told())["renditions"] == 0


def test_what_fails_is_counted(take, told):
    take(ct(1))
    study = Study.objects.get(uid=STUDY)
    Preparation.objects.create(study=study, revision=study.revision, attempts=3, error="no pixels")
    for state in (Forward.State.GIVEN_UP, Forward.State.WAITING):
        Forward.objects.create(
            uid=f"1.2.{state}", study_uid=STUDY, destination="WS", state=state, **_forward()
        )
    Commitment.objects.create(
        side=Commitment.Side.NODE, state=Commitment.State.GIVEN_UP, transaction_uid="1.2.3",
        peer_ae="WS", own_ae="ARGENS_CT", due_at=study.last_arrival_at,
        settled_at=study.last_arrival_at,
    )  # fmt: skip
    found = {one["name"]: (one["waiting"], one["failing"]) for one in told()["chores"]}
    assert found["renditions"] == (1, 1)
    assert found["forwarding"] == (1, 1)
    assert found["commitment"] == (0, 1)


def _forward() -> dict:
    named = {field.name for field in Forward._meta.fields}
    due = {"due_at": datetime.fromisoformat("2026-11-21T09:00:00+00:00")}
    return {key: value for key, value in due.items() if key in named}


def test_it_says_whether_anybody_does_the_chores(told, layout, db):
    assert told()["running"] is False
    lock = os.open(layout.chores_lock, os.O_RDWR | os.O_CREAT)
    assert told()["running"] is False  # a lock that a dead process left behind
    fcntl.flock(lock, fcntl.LOCK_EX)
    assert told()["running"] is True
    os.close(lock)
    assert told()["running"] is False


def test_the_log_is_for_the_portal_and_its_scope(client, ticket, db):
    assert client.get("/api/log").status_code == 401
    for scope in ("status", "dicomweb"):
        header = {"HTTP_AUTHORIZATION": f"Bearer {ticket(scope)}"}
        assert client.get("/api/log", **header).status_code == 403


def test_the_log_tells_its_newest_lines_and_refuses_nonsense(client, ticket, db):
    logging.getLogger("dicom_node.test").warning("a marked line", extra={"number": 7})

    def asked(query: str):
        header = {"HTTP_AUTHORIZATION": f"Bearer {ticket('log.read')}"}
        return client.get(f"/api/log?{query}", **header)

    (line,) = asked("level=WARNING&words=marked&limit=1").json()["lines"]
    assert (line["message"], line["number"], line["logger"]) == (
        "a marked line",
        7,
        "dicom_node.test",
    )
    refused = asked("level=LOUD")
    assert refused.status_code == 400
    assert refused.json()["detail"] == "level is one of INFO, WARNING, ERROR"
