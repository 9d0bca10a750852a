"""Windows over HTTP: drawn, changed and removed; nonsense is refused by name."""

from __future__ import annotations

import json
from datetime import UTC

import pytest

from archive_node.jobs import dispatch, states
from archive_node.models import AuditLine, Window
from tests.archive.conftest import STUDY
from tests.archive.test_api import OPERATE, READ, Caller, is_problem

pytestmark = pytest.mark.django_db(transaction=True)
NIGHT = {
    "kind": "copy", "vault": "vault-1", "node": "CT", "weekdays": "01234", "begins": "20:00",
    "ends": "06:00", "bytes_per_s": None, "enabled": True,
}  # fmt: skip


@pytest.fixture
def operator(node, archive, portal) -> Caller:
    archive(time_zone=UTC)
    return Caller(portal, OPERATE, READ)


def put(caller: Caller, path: str, body: object):
    return caller._client.put(
        path, json.dumps(body), content_type="application/json", headers=caller._headers
    )


def test_a_window_is_drawn_changed_and_removed(operator):
    response = operator.post("/api/windows", NIGHT)
    window = response.json()["window"]
    assert (response.status_code, window) == (201, NIGHT | {"id": window["id"]})
    assert operator.get("/api/windows").json() == {"windows": [window]}

    address = f"/api/windows/{window['id']}"
    changed = put(operator, address, NIGHT | {"bytes_per_s": 5_000_000, "weekdays": "65"})
    assert changed.status_code == 200
    assert changed.json()["window"] == window | {"bytes_per_s": 5_000_000, "weekdays": "56"}

    assert operator._client.delete(address, headers=operator._headers).status_code == 204
    assert not Window.objects.exists()
    assert is_problem(put(operator, address, NIGHT), 404)
    assert list(AuditLine.objects.order_by("id").values_list("kind", flat=True)) == [
        "window-drawn", "window-changed", "window-removed",
    ]  # fmt: skip


def test_a_window_may_leave_open_what_it_speaks_of(operator):
    window = operator.post("/api/windows", {"begins": "00:00", "ends": "00:00"}).json()["window"]
    assert (window["kind"], window["vault"], window["node"]) == ("", "", "")
    assert (window["weekdays"], window["enabled"]) == ("0123456", True)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("kind", "destroy"), ("vault", "elsewhere"), ("node", "MR"), ("weekdays", "7"),
        ("weekdays", ""), ("weekdays", 3), ("begins", "24:00"), ("begins", "8:00"),
        ("ends", None), ("ends", "06:00:00"), ("bytes_per_s", 0), ("bytes_per_s", "1"),
        ("bytes_per_s", True), ("enabled", "yes"), ("kind", ["copy"]),
    ],
)  # fmt: skip
def test_nonsense_is_refused_by_name(operator, field, value):
    response = operator.post("/api/windows", NIGHT | {field: value})
    assert is_problem(response, 400)
    assert field in response.json()["detail"]
    assert not Window.objects.exists()


def test_whoever_may_only_read_draws_nothing(operator, portal):
    assert is_problem(Caller(portal, READ).post("/api/windows", NIGHT), 403)
    assert is_problem(Caller(portal, OPERATE).get("/api/windows"), 403)


def test_jobs_that_wait_for_a_window_look_again_when_one_is_drawn(operator):
    job, _ = dispatch.request("copy", "CT", STUDY, "rule")
    states.claim(job.id).park("its window")
    operator.post("/api/windows", NIGHT)
    job.refresh_from_db()
    assert job.state == "queued"
