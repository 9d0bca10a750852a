"""Real processes at real work: what they count, how the dashboard names it, and one id's way."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.support import roles
from tests.support.data_sets import STUDY
from tests.system import observed
from tests.system.observed import SLICES, Observed, samples, until, value

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
OWN = re.compile(r"\bargens_[a-z0-9_]+")
SELECTOR = re.compile(r"\b(argens_[a-z0-9_]+)\{([^}]*)\}")
MATCHER = re.compile(r'(\w+)(=~|=)"([^"]*)"')
OF_PROMETHEUS = {"instance", "job"}
CONDITIONAL = {  # outcomes of a closed list that this day did not see
    "damaged", "C-MOVE", "C-GET",
}  # fmt: skip


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Observed]:
    with observed.hospital(tmp_path_factory.mktemp("observed")) as hospital:
        observed.work(hospital)
        done = hospital.node.command("backup", str(hospital.folder / "backups"))
        assert done.returncode == 0, done.stderr
        yield hospital


@pytest.fixture(scope="module")
def told(seen: Observed) -> dict[str, list[dict[str, str]]]:
    """Every exposed name, with the labels of each of its samples."""
    found: dict[str, list[dict[str, str]]] = {}
    for role in seen.all:
        for name, labels in samples(role):
            found.setdefault(name, []).append(dict(labels))
    return found


def expressions() -> Iterator[tuple[str, str]]:
    rules = yaml.safe_load((DEPLOY / "prometheus/alerts.yml").read_text())
    for group in rules["groups"]:
        for rule in group["rules"]:
            yield rule["alert"], rule["expr"]
    dashboard = json.loads((DEPLOY / "grafana/argens.json").read_text())
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"]


def test_every_process_of_a_node_is_counted(seen):
    node = seen.node
    stored = {"door": "c-store", "outcome": "stored"}
    assert value(node, "argens_node_received_instances_total", **stored) == SLICES
    again = {"door": "c-store", "outcome": "duplicate"}
    assert value(node, "argens_node_received_instances_total", **again) == SLICES
    assert value(node, "argens_node_received_bytes_total", door="c-store") > SLICES * 2 * 512
    assert value(node, "argens_node_dimse_seconds_count", operation="C-STORE") == 2 * SLICES
    assert value(node, "argens_node_dimse_seconds_count", operation="C-FIND") == 1
    assert value(node, "argens_node_associations_total", outcome="rejected") == 1
    assert value(node, "argens_node_associations_total", outcome="accepted") == 3
    until(lambda: value(node, "argens_node_associations_total", outcome="released") == 3)
    assert value(node, "argens_node_associations_open", port="dicom") == 0
    assert value(node, "argens_node_index_up") == value(node, "argens_node_chores_running") == 1


def test_http_is_counted_by_route_in_every_role(seen):
    by_route = samples(seen.node)
    routes = {dict(labels)["route"] for name, labels in by_route if name.endswith("_seconds_count")
              and "route" in dict(labels)}  # fmt: skip
    assert {"dicom-web/studies", "readyz", "api/custody/studies/<study_uid>"} <= routes
    assert value(seen.portal, "argens_http_requests_total", route="login", method="POST",
                 status="200") == 1  # fmt: skip
    assert value(seen.archive, "argens_http_request_seconds_count", route="metrics") > 0


def test_no_label_holds_a_uid_or_a_name(seen):
    for role in seen.all:
        text = observed.text_of(role)
        assert STUDY not in text and "Lef" not in text and "FR-1" not in text
        assert not re.search(r"1\.2\.\d+\.\d", text)


def test_the_archive_and_the_portal_tell_of_their_work(seen):
    done = {"kind": "copy", "state": "done"}
    assert value(seen.archive, "argens_archive_jobs_ended_total", **done) == 1
    assert value(seen.archive, "argens_archive_job_turn_seconds_count", kind="copy") == 1
    assert value(seen.archive, "argens_peer_request_seconds_count", peer="CT") > 0
    assert value(seen.archive, "argens_peer_clock_skew_seconds", peer="CT") == 0
    assert value(seen.portal, "argens_portal_logins_total", outcome="failed") == 1
    assert value(seen.portal, "argens_peer_request_seconds_count", peer="CT") > 0


@pytest.mark.parametrize(("where", "expression"), list(expressions()))
def test_what_dashboard_and_alerts_ask_for_is_exposed(told, where, expression):
    for name in OWN.findall(expression):
        assert name in told, f"{where}: nobody exposes {name}"
    for name, matchers in SELECTOR.findall(expression):
        for label, sign, wanted in MATCHER.findall(matchers):
            if label in OF_PROMETHEUS or label == "status":
                continue
            values = {labels.get(label) for labels in told[name]}
            assert values != {None}, f"{where}: {name} has no label {label}"
            words = wanted.split("|") if sign == "=~" else [wanted]
            unknown = {word for word in words if word not in values} - CONDITIONAL
            assert not unknown, f"{where}: {name} has no {label} {unknown}"


def test_one_id_goes_from_the_portal_to_the_node_and_into_both_audits(seen):
    token = roles.accounts(seen.folder)["clinician"]["token"]
    trace = "6F9619FF-8B86-D011-B42D-00CF4FC964FF"
    answer = httpx.get(
        f"{seen.portal.url}/dicom-web/studies/{STUDY}/metadata",
        headers={"Authorization": f"Bearer {token}", "X-Request-Id": trace},
        timeout=30,
    )
    assert answer.status_code == 200 and answer.headers["X-Request-Id"] == trace
    until(lambda: any(line.get("trace") == trace for line in seen.audit()))
    kinds = {line["kind"] for line in seen.audit() if line.get("trace") == trace}
    assert {"read"} <= kinds <= {"read", "query"}  # where the study lies may be asked first
    shown = seen.portal.command("shell", "-c", AUDITED.format(trace=trace))
    assert "dicomweb" in shown.stdout, shown.stderr


AUDITED = """
from pacs_web.audit.models import AuditEvent
print([row.action for row in AuditEvent.objects.filter(source="portal")
       if row.detail.get("trace") == "{trace}"])
"""


def test_an_id_that_is_no_id_is_replaced_at_the_door(seen):
    answer = httpx.get(f"{seen.portal.url}/healthz", headers={"X-Request-Id": "a b"}, timeout=30)
    assert re.fullmatch("[0-9a-f]{16}", answer.headers["X-Request-Id"])


def test_every_line_of_an_association_has_its_id_and_no_two_share_one(seen):
    audit: list[dict[str, Any]] = [
        line for line in seen.audit() if line["kind"] in {"associated", "stored", "ended"}
    ]
    ids = [line["trace"] for line in audit if line["kind"] == "associated"]
    assert len(set(ids)) == len(ids) == 3
    assert {line["trace"] for line in audit} == set(ids)
    assert all(re.fullmatch("assoc-[0-9a-f]{16}", one) for one in ids)
    rejected = [line for line in seen.lines(seen.node) if "rejected" in str(line["message"])]
    assert [str(line["trace"])[:6] for line in rejected] == ["assoc-"]


def test_all_that_the_roles_log_is_json(seen):
    for role in seen.all:
        strange = [line for line in role.log.splitlines() if line and not line.startswith("{")]
        assert strange == [], strange[:5]


def test_a_doctor_finds_a_working_hospital_without_a_problem(seen):
    for role in seen.all:
        done = role.command("doctor", "--json")
        found = json.loads(done.stdout)
        assert [one for one in found if one["level"] == "problem"] == []
        assert done.returncode == 1  # warnings: a test's hospital has no second vault, no backup
        told = {(one["about"].split()[0], one["level"]) for one in found}
        assert ("HTTP", "ok") in told and ("database", "ok") in told
    listed = seen.portal.command("doctor").stdout
    assert "our tickets are believed" in listed and "its clock agrees" in listed
    assert any(line.startswith("ok       HTTP port") and "ours" in line
               for line in listed.splitlines())  # fmt: skip


def test_roles_in_other_time_zones_agree_on_when(seen):
    """India, Newfoundland and New Zealand: half hours, and a day between them."""
    now = datetime.now(UTC)
    moments = [datetime.fromisoformat(str(line["at"])) for line in seen.audit()]
    moments += [datetime.fromisoformat(str(line["at"])) for role in seen.all
                for line in seen.lines(role)]  # fmt: skip
    assert all(timedelta(0) <= now - at < timedelta(hours=1) for at in moments if at <= now)
    assert max(moments) - now < timedelta(minutes=1)
    (hour,) = {file.parent for file in (seen.folder / "node-ct/objects").rglob("*.dcm")}
    arrived = datetime.strptime("/".join(hour.parts[-4:]) + "+0000", "%Y/%m/%d/%H%z")
    assert timedelta(0) <= now - arrived < timedelta(hours=2)
    scanned = value(seen.archive, "argens_archive_node_scan_timestamp_seconds", node="CT")
    assert abs(scanned - now.timestamp()) < 600
    assert value(seen.portal, "argens_portal_audit_lag_seconds", source="CT") < 600
