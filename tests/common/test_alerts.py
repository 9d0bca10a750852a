"""The alerts and the dashboard that are shipped: valid, and each alert says where to read on."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.support.services import require

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "deploy/prometheus/alerts.yml"
RUNBOOKS = {
    "disk-full", "tape-stuck", "node-lost", "database-lost", "portal-down", "wrong-patient",
    "modality-moved", "certificate-expired", "who-saw-the-images",
}  # fmt: skip


def alerts() -> list[dict[str, object]]:
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: str(alert["alert"]))
def test_an_alert_says_what_it_means_how_bad_it_is_and_what_to_read(alert):
    assert alert["labels"]["severity"] in {"critical", "warning"}
    assert alert["annotations"]["summary"] and alert["annotations"]["description"]
    runbook = Path(str(alert["annotations"]["runbook"]).partition("#")[0])
    assert runbook.parent == Path("docs/runbooks") and runbook.stem in RUNBOOKS
    if (ROOT / runbook.parent).is_dir():
        assert (ROOT / runbook).is_file()


def test_every_runbook_is_where_some_alert_leads():
    led = {Path(str(one["annotations"]["runbook"])).stem for one in alerts()}
    assert led == RUNBOOKS


def test_no_panel_of_the_dashboard_is_empty_or_stands_on_another():
    panels = json.loads((ROOT / "deploy/grafana/argens.json").read_text())["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"])
                 for y in range(at["y"], at["y"] + at["h"])}  # fmt: skip
        assert not cells & taken and at["x"] + at["w"] <= 24
        taken |= cells
        assert panel["type"] == "row" or all(target["expr"] for target in panel["targets"])


CASES = """
rule_files: [{rules}]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - series: 'up{{job="argens-node", instance="ct"}}'
        values: 1x3000
      - series: 'up{{job="argens-node", instance="rf"}}'
        values: 1x10 0x10
      - series: 'argens_backup_timestamp_seconds{{job="argens-node", instance="rf"}}'
        values: 0x3000
      - series: 'argens_node_disk_bytes{{use="free", instance="ct"}}'
        values: 5x10 1x10
      - series: 'argens_node_disk_bytes{{use="reserve", instance="ct"}}'
        values: 2x20
      - series: 'argens_node_received_instances_total{{door="c-store", outcome="refused"}}'
        values: 0x5 3x15
      - series: 'argens_peer_clock_skew_seconds{{peer="CT", instance="portal"}}'
        values: -40x20
    alert_rule_test:
      - {{alertname: ArgensNodeDown, eval_time: 10m, exp_alerts: []}}
      - alertname: ArgensNodeDown
        eval_time: 15m
        exp_alerts:
          - exp_labels: {{severity: critical, job: argens-node, instance: rf}}
      - {{alertname: ArgensDiskFull, eval_time: 10m, exp_alerts: []}}
      - alertname: ArgensDiskFull
        eval_time: 14m
        exp_alerts:
          - exp_labels: {{severity: critical, instance: ct}}
      - {{alertname: ArgensRefused, eval_time: 4m, exp_alerts: []}}
      - alertname: ArgensRefused
        eval_time: 8m
        exp_alerts:
          - exp_labels: {{severity: warning, door: c-store, outcome: refused}}
      - alertname: ArgensClockOff
        eval_time: 8m
        exp_alerts:
          - exp_labels: {{severity: warning, peer: CT, instance: portal}}
      - {{alertname: ArgensBackupOld, eval_time: 36h, exp_alerts: []}}
      - alertname: ArgensBackupOld
        eval_time: 37h
        exp_alerts:
          - exp_labels: {{severity: warning, job: argens-node, instance: rf}}
      - alertname: ArgensNeverBackedUp
        eval_time: 49h
        exp_alerts:
          - exp_labels: {{severity: warning, job: argens-node, instance: ct}}
"""


def test_the_rules_fire_when_they_should_and_not_before(tmp_path):
    """Prometheus's own promtool: expressions are read, and run over invented series."""
    promtool = require("promtool")
    checked = [
        [promtool, "check", "config", str(ROOT / "deploy/prometheus/prometheus.yml")],
        [promtool, "test", "rules", str(tmp_path / "cases.yml")],
    ]
    quiet = yaml.safe_load(RULES.read_text())
    for group in quiet["groups"]:
        for rule in group["rules"]:
            del rule["annotations"]  # they are told word by word else
    (tmp_path / "rules.yml").write_text(yaml.safe_dump(quiet))
    (tmp_path / "cases.yml").write_text(CASES.format(rules=tmp_path / "rules.yml"))
    for command in checked:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
