"""What operators decide over HTTP: rules, holds, lists, alarms, watermarks, and what they see."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from archive_node import alarms
from archive_node.models import (
    Alarm,
    AuditLine,
    Copy,
    DayOfDisk,
    EvictionList,
    Hold,
    NodePolicy,
    NodeState,
    Rule,
)
from archive_node.policy import holds, trial
from archive_node.policy.scan import scan_all
from tests.archive.conftest import STUDY, run_job, unlike
from tests.archive.test_api import OPERATE, READ, Caller, is_problem
from tests.archive.test_scan import fill, jobs, run_all

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]
RULE = {
    "name": "Old CT", "action": "evict", "vault": "", "reason": "", "enabled": True,
    "conditions": {"modalities": ["CT"], "description": "crane"},
}  # fmt: skip


class Operator(Caller):
    """Who may read and operate."""

    def put(self, path: str, body: object):
        return self._client.put(path, body, content_type="application/json", headers=self._headers)

    def delete(self, path: str):
        return self._client.delete(path, headers=self._headers)


@pytest.fixture
def operator(portal) -> Operator:
    return Operator(portal, READ, OPERATE)


READ_PAGES = [
    "/api/growth", "/api/acts", "/api/rules", "/api/holds", "/api/evictions", "/api/evictions/1",
    "/api/alarms",
]  # fmt: skip
ACTS = [
    "/api/rules", "/api/holds", "/api/holds/1/release", "/api/evictions/1/approve",
    "/api/evictions/1/refuse", "/api/alarms/1/acknowledge",
]  # fmt: skip


@pytest.mark.parametrize("path", READ_PAGES)
def test_reading_needs_the_scope_to_read(path, node, portal):
    assert is_problem(Caller(portal, "archive.recall").get(path), 403)


@pytest.mark.parametrize("path", ACTS)
def test_acting_needs_the_scope_to_operate(path, node, portal):
    assert is_problem(Caller(portal, READ, "archive.recall").post(path, {}), 403)


@pytest.mark.parametrize(
    "path",
    ["/api/holds/99/release", "/api/evictions/99/approve", "/api/evictions/99/refuse",
     "/api/alarms/99/acknowledge"],
)  # fmt: skip
def test_what_is_not_there_is_not_found(path, node, operator):
    assert is_problem(operator.post(path, {}), 404)


def test_a_rule_is_saved_changed_and_removed_and_each_is_a_line(node, operator):
    made = operator.post("/api/rules", RULE)
    rule = made.json()["rule"]
    assert made.status_code == 201
    assert rule | {"id": 0, "changed_at": ""} == RULE | {
        "id": 0, "changed_at": "", "changed_by": "archivist",
    }  # fmt: skip
    changed = operator.put(f"/api/rules/{rule['id']}", rule | {"enabled": False})
    assert changed.status_code == 200 and changed.json()["rule"]["enabled"] is False
    assert operator.get("/api/rules").json()["rules"] == [changed.json()["rule"]]
    assert operator.delete(f"/api/rules/{rule['id']}").status_code == 204
    assert operator.get("/api/rules").json() == {"rules": []}
    acts = [act["kind"] for act in operator.get("/api/acts").json()["acts"]]
    assert acts == ["rule-removed", "rule-saved", "rule-saved"]


def test_two_rules_have_two_names_and_what_is_gone_is_not_changed(node, operator):
    first = operator.post("/api/rules", RULE).json()["rule"]
    assert is_problem(operator.post("/api/rules", RULE), 409)
    second = operator.post("/api/rules", RULE | {"name": "other"}).json()["rule"]
    assert is_problem(operator.put(f"/api/rules/{second['id']}", RULE), 409)
    assert operator.put(f"/api/rules/{first['id']}", RULE).status_code == 200
    assert is_problem(operator.put("/api/rules/99", RULE | {"name": "x"}), 404)
    assert is_problem(operator.delete("/api/rules/99"), 404)
    assert Rule.objects.count() == 2


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"name": ""}, "name is a text of 1 to 80"),
        ({"name": "a\0"}, "name is a text"),
        ({"name": None}, "name is a text"),
        ({"action": "destroy"}, "action is one of hold, evict, copy, recall"),
        ({"action": ["hold"]}, "action is one of"),
        ({"enabled": 1}, "enabled is true or false"),
        ({"colour": 1}, "'colour' is not something that a rule has"),
        ({"vault": "vault-1"}, "vault: only a copy has one"),
        ({"action": "copy"}, "vault: a copy goes to a vault that is not required anyhow"),
        ({"action": "copy", "vault": "vault-1"}, "vault: a copy goes to"),
        ({"conditions": {"nodes": ["XX"]}}, "nodes: no node is called 'XX' here"),
        ({"conditions": []}, "conditions: not an object"),
        ({"conditions": {"unused_days": -1}}, "unused_days: not a number"),
    ],
)
def test_a_rule_that_makes_no_sense_is_named(node, operator, change, why):
    answer = operator.post("/api/rules", RULE | change)
    assert is_problem(answer, 400)
    assert answer.json()["detail"].startswith(why)
    assert Rule.objects.count() == 0


def test_a_rule_is_tried_study_by_study_before_it_is_saved(node, vault, operator):
    fill(node, 3)
    scan_all()
    run_all()
    node.arrive("7.0", "7.0.2", unlike(9))
    scan_all()
    holds.hold("CT", "7.1", "legal", "a case", "it")
    tried = operator.post("/api/rules/try", RULE).json()
    told = {one["study_uid"]: (one["does"], one["why"]) for one in tried["studies"]}
    assert told == {
        "7.0": ("nothing", "not proven in vault-1"),
        "7.1": ("hold", "held: legal (a case), by it"),
        "7.2": ("evict", "rule Old CT"),
    }
    assert (tried["total"], tried["bytes"], tried["complete"]) == (3, 3000, True)
    one = tried["studies"][-1]
    assert set(one) == {
        "node", "study_uid", "study_date", "modalities", "description", "size_bytes",
        "last_used_at", "does", "why",
    }  # fmt: skip
    assert Rule.objects.count() == 0 and jobs("evict") == []
    page = operator._client.post(
        "/api/rules/try?limit=1&offset=1", RULE, content_type="application/json",
        headers=operator._headers,
    )  # fmt: skip
    assert len(page.json()["studies"]) == 1 and page.json()["total"] == 3


def test_a_saved_rule_is_tried_in_place_of_itself(node, vault, operator):
    fill(node, 1)
    scan_all()
    run_all()
    hold = operator.post("/api/rules", RULE | {"action": "hold"}).json()["rule"]
    does = [one["does"] for one in operator.post("/api/rules/try", RULE).json()["studies"]]
    assert does == ["hold"]
    again = operator.post("/api/rules/try", RULE | {"id": hold["id"]}).json()["studies"]
    assert [one["does"] for one in again] == ["evict"]


def test_of_a_rule_that_means_too_many_the_first_are_judged(node, vault, operator, monkeypatch):
    monkeypatch.setattr(trial, "MOST_JUDGED", 2)
    fill(node, 3)
    scan_all()
    tried = operator.post("/api/rules/try", RULE).json()
    assert [one["study_uid"] for one in tried["studies"]] == ["7.0", "7.1"]
    assert (tried["total"], tried["complete"]) == (3, False)


def test_a_study_is_held_listed_and_released(node, operator):
    body = {"node": "CT", "study_uid": STUDY, "kind": "legal", "reason": "a case"}
    made = operator.post("/api/holds", body)
    hold = made.json()["hold"]
    assert made.status_code == 201
    assert set(hold) == {"id", "node", "study_uid", "kind", "reason", "held_at", "held_by"}
    assert hold["held_by"] == "archivist"
    assert is_problem(operator.post("/api/holds", body), 409)
    assert operator.get("/api/holds").json() == {"holds": [hold]}
    assert operator.get(f"/api/studies/{STUDY}").json()["holds"] == [hold]
    assert operator.post(f"/api/holds/{hold['id']}/release", {}).status_code == 200
    assert is_problem(operator.post(f"/api/holds/{hold['id']}/release", {}), 409)
    assert operator.get("/api/holds").json() == {"holds": []}
    acts = operator.get("/api/acts").json()["acts"]
    assert [(act["kind"], act["by"], act["details"]["study_uid"]) for act in acts] == [
        ("released", "archivist", STUDY), ("held", "archivist", STUDY),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [{"node": "XX"}, {"node": ["CT"]}, {"study_uid": "../x"}, {"study_uid": None},
     {"kind": "whim"}, {"reason": "x" * 201}, {"reason": 7}],
)  # fmt: skip
def test_a_hold_that_makes_no_sense_is_refused(node, operator, change):
    body = {"node": "CT", "study_uid": STUDY, "kind": "legal", "reason": ""} | change
    assert is_problem(operator.post("/api/holds", body), 400)
    assert Hold.objects.count() == 0


@pytest.fixture
def proposed(node, vault, archive):
    archive(evict_approval=True)
    fill(node, 3)
    scan_all()
    run_all()
    node.disk |= {"total_bytes": 100_000, "free_bytes": 14_000}
    scan_all()
    return EvictionList.objects.get()


def test_a_list_is_shown_study_by_study_and_approved(proposed, operator):
    (shown,) = operator.get("/api/evictions", state="proposed").json()["lists"]
    assert shown | {"made_at": "", "why": ""} == {
        "id": proposed.id, "node": "CT", "state": "proposed", "why": "", "wanted_bytes": 6000,
        "listed_bytes": 6000, "studies": 2, "made_at": "", "decided_at": None, "decided_by": "",
    }  # fmt: skip
    path = f"/api/evictions/{proposed.id}"
    first = operator.get(path).json()["studies"][0]
    assert set(first) == {"study_uid", "instances", "size_bytes", "last_used_at", "why", "job"}
    assert (first["study_uid"], first["job"]) == ("7.0", None)
    assert operator.get("/api/status").json()["eviction_lists"] == 1
    approved = operator.post(f"{path}/approve", {})
    assert approved.status_code == 200
    assert approved.json()["list"]["decided_by"] == "archivist"
    assert operator.get(path).json()["studies"][0]["job"]["state"] == "queued"
    assert is_problem(operator.post(f"{path}/refuse", {}), 409)
    assert operator.get("/api/evictions", state="proposed").json() == {"lists": []}
    assert is_problem(operator.get("/api/evictions", state="x"), 400)
    assert is_problem(operator.get("/api/evictions/99"), 404)


def test_a_list_is_refused(proposed, operator):
    answer = operator.post(f"/api/evictions/{proposed.id}/refuse", {})
    assert answer.json()["list"]["state"] == "refused"
    assert jobs("evict") == []


def test_a_node_gets_watermarks_of_its_own_and_loses_them(node, vault, operator):
    body = {"high_watermark": 0.9, "low_watermark": 0.7, "least_age_days": 2, "approval": True}
    answer = operator.put("/api/nodes/CT/policy", body)
    assert answer.status_code == 200
    shown = operator.get("/api/status").json()["nodes"][0]
    assert {name: shown[name] for name in body} == body
    operator.put("/api/nodes/CT/policy", dict.fromkeys(body))
    shown = operator.get("/api/status").json()["nodes"][0]
    assert shown["high_watermark"] == 0.85 and shown["approval"] is False
    assert AuditLine.objects.filter(kind="policy-set", by="archivist").count() == 2


@pytest.mark.parametrize(
    "body",
    [{"high_watermark": 1.1}, {"high_watermark": "0.9"}, {"low_watermark": -0.1},
     {"low_watermark": 0.9}, {"high_watermark": 0.5}, {"high_watermark": 0.5, "low_watermark": 0.6},
     {"approval": 1}, {"least_age_days": True}, {"colour": 1}, []],
)  # fmt: skip
def test_a_policy_that_makes_no_sense_is_refused(node, operator, body):
    assert is_problem(operator.put("/api/nodes/CT/policy", body), 400)
    assert NodePolicy.objects.count() == 0


def test_a_node_that_is_not_archived_has_no_policy(node, operator):
    assert is_problem(operator.put("/api/nodes/XX/policy", {}), 404)


def test_alarms_are_listed_and_acknowledged(node, operator):
    alarms.raise_alarm("volume-suspect", "A00001", "warning", "it does not read")
    alarms.raise_alarm("disk-filling", "CT", "critical", "full")
    alarms.raise_alarm("disk-filling", "RF", "critical", "full")
    alarms.end_alarm("disk-filling", "RF")
    first, second = operator.get("/api/alarms").json()["alarms"]
    assert (first["subject"], second["subject"]) == ("CT", "A00001")
    assert len(operator.get("/api/alarms", ended="1").json()["alarms"]) == 3
    assert len(operator.get("/api/alarms", limit="1", offset="1").json()["alarms"]) == 1
    assert operator.get("/api/status").json()["alarms"] == {"warning": 1, "critical": 1}
    answer = operator.post(f"/api/alarms/{first['id']}/acknowledge", {})
    assert answer.json()["alarm"]["acknowledged_by"] == "archivist"
    assert Alarm.objects.get(id=first["id"]).acknowledged_at is not None
    for nonsense in (
        {"ended": "x"}, {"limit": "0"}, {"offset": "-1"}, {"state": "x"}, {"kind": "x" * 33},
    ):  # fmt: skip
        assert is_problem(operator.get("/api/alarms", **nonsense), 400)


def test_alarms_are_found_by_state_and_kind(node, operator):
    for subject in ("CT", "RF"):
        alarms.raise_alarm("disk-filling", subject, "critical", "full")
    alarms.end_alarm("disk-filling", "RF")
    alarms.raise_alarm("volume-suspect", "A00001", "warning", "it does not read")

    def subjects(**asked):
        return [row["subject"] for row in operator.get("/api/alarms", **asked).json()["alarms"]]

    assert subjects(state="ended") == ["RF"]
    assert subjects(state="all", kind="disk-filling") == ["RF", "CT"]
    assert subjects(kind="disk-filling") == ["CT"] == subjects(state="lasting", kind="disk-filling")
    assert subjects(kind="drive-stuck") == []


def test_alarms_say_who_is_told_and_when_they_took_it(node, operator, archive):
    alarms.raise_alarm("disk-filling", "CT", "critical", "full")
    Alarm.objects.update(mailed_at=timezone.now())
    answer = operator.get("/api/alarms").json()
    assert answer["told_by"] == {"mail": False, "webhook": False}
    assert answer["alarms"][0]["mailed_at"] and answer["alarms"][0]["posted_at"] is None
    archive(alarm_mail_to=("it@hospital.example",))
    assert operator.get("/api/alarms").json()["told_by"] == {"mail": True, "webhook": False}


def test_acts_of_rules_and_outcomes_of_jobs_are_not_acts_of_operators(head, vault, operator):
    run_job("copy")
    AuditLine.objects.create(kind="list-approved", by="rule")
    assert operator.get("/api/acts").json() == {"acts": []}
    AuditLine.objects.create(kind="asked", by="archivist", details={"job": 7})
    (act,) = operator.get("/api/acts").json()["acts"]
    assert (act["kind"], act["by"], act["details"]) == ("asked", "archivist", {"job": 7})


def test_the_status_tells_what_may_go_what_may_not_and_when_a_disk_is_full(today, vault, operator):
    for number in range(3):
        today.arrive(f"7.{number}", f"7.{number}.1", unlike(number))
    scan_all()
    run_all()
    today.arrive("7.0", "7.0.2", unlike(9))
    holds.hold("CT", "7.1", "legal", "", "it")
    today.disk |= {"total_bytes": 100_000, "free_bytes": 50_000, "reserve_bytes": 10_000}
    today.arrivals = {"bytes_a_day": 20_000}
    scan_all()
    ct = operator.get("/api/status").json()["nodes"][0]
    assert (ct["evictable_bytes"], ct["unproven_bytes"], ct["held_bytes"]) == (3000, 6000, 3000)
    days = timezone.datetime.fromisoformat(ct["full_at"]) - timezone.now()
    assert timedelta(days=1.99) < days <= timedelta(days=2)
    rule = operator.post("/api/rules", RULE | {"action": "recall"}).json()["rule"]
    scan_all()
    ct = operator.get("/api/status").json()["nodes"][0]
    assert (ct["evictable_bytes"], ct["held_bytes"]) == (0, 3000)
    operator.put(f"/api/rules/{rule['id']}", RULE | {"action": "hold"})
    scan_all()
    ct = operator.get("/api/status").json()["nodes"][0]
    assert (ct["evictable_bytes"], ct["held_bytes"]) == (0, 12_000)


def test_a_node_to_which_nothing_comes_is_never_full(head, vault, operator):
    scan_all()
    assert operator.get("/api/status").json()["nodes"][0]["full_at"] is None


def test_growth_is_a_row_a_day(head, vault, operator):
    run_job("copy")
    scan_all()
    head.disk["free_bytes"] = 800
    scan_all()
    today = timezone.now().date()
    DayOfDisk.objects.create(
        node="CT", day=today - timedelta(days=40), used_bytes=1, total_bytes=1000
    )
    grown = operator.get("/api/growth", days="2").json()
    yesterday = (today - timedelta(days=1)).isoformat()
    assert grown["vaults"] == {
        "vault-1": [
            {"day": yesterday, "bytes": 0},
            {"day": today.isoformat(), "bytes": Copy.objects.get().size_bytes},
        ]
    }
    row = {"day": today.isoformat(), "used_bytes": 200, "total_bytes": 1000}
    assert grown["nodes"] == {"CT": [row]}
    assert len(operator.get("/api/growth", days="60").json()["nodes"]["CT"]) == 2
    for nonsense in ("0", "x", "99999"):
        assert is_problem(operator.get("/api/growth", days=nonsense), 400)


def test_metrics_count_alarms(node, operator):
    alarms.raise_alarm("disk-filling", "CT", "critical", "full")
    text = operator._client.get("/metrics").content.decode()
    assert 'argens_archive_alarms{level="critical"} 1.0' in text
    assert 'argens_archive_alarms{level="warning"} 0.0' in text
    assert NodeState.objects.count() == 0
