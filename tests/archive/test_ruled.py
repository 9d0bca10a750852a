"""What rules do by themselves: copies into further vaults, recalls, while there is room."""

from __future__ import annotations

import pytest

from archive_node import library
from archive_node.models import Proof, Rule
from archive_node.policy import applying
from archive_node.policy.scan import scan_all
from tests.archive.conftest import run_job, unlike
from tests.archive.test_scan import fill, jobs, run_all


@pytest.fixture
def vaults(node, archive, tmp_path):
    """Two required vaults and one for what rules send there; a node with two proven studies."""
    places = {name: f"tape:{tmp_path / name}" for name in ("on-site", "off-site")}
    archive(vaults_written=places | {"extra": f"tape:{tmp_path / 'extra'}?required=no"})
    for name in library.specs():
        library.vault(name)
    fill(node, 2)
    return node


def test_each_required_vault_gets_its_own_copy_and_the_other_none(vaults):
    scan_all()
    scan_all()
    asked = [(job.study_uid, job.vault) for job in jobs("copy")]
    assert sorted(asked) == [
        ("7.0", "off-site"), ("7.0", "on-site"), ("7.1", "off-site"), ("7.1", "on-site"),
    ]  # fmt: skip


def test_nothing_goes_until_every_required_vault_has_it(vaults, archive):
    scan_all()
    for job in jobs("copy", vault="on-site"):
        run_job("copy", job.study_uid)
    archive(evict_after_days=0.01)
    scan_all()
    assert Proof.objects.filter(vault="on-site").count() == 2
    assert jobs("evict") == []
    run_all()
    scan_all()
    assert len(jobs("evict")) == 2


def test_a_rule_copies_what_it_speaks_of_into_another_vault(vaults):
    Rule.objects.create(
        name="skulls", action="copy", vault="extra", conditions={"description": "crane"}
    )
    Rule.objects.create(
        name="chests", action="copy", vault="extra", conditions={"description": "thorax"}
    )
    scan_all()
    assert [job.study_uid for job in jobs("copy", vault="extra")] == ["7.0", "7.1"]
    run_all()
    scan_all()
    assert len(jobs("copy", vault="extra")) == 2
    Rule.objects.filter(name="skulls").delete()
    vaults.arrive("7.9", "7.9.1", unlike(9))
    scan_all()
    assert len(jobs("copy", vault="extra")) == 2


@pytest.fixture
def away(vaults):
    """Both studies are evicted, and a rule wants them back."""
    vaults.disk |= {"total_bytes": 100_000, "free_bytes": 90_000}
    scan_all()
    run_all()
    for uid in ("7.0", "7.1"):
        run_job("evict", uid)
    Rule.objects.create(name="back", action="recall", conditions={"modalities": ["CT"]})
    return vaults


def test_a_rule_recalls_what_is_away(away):
    scan_all()
    scan_all()
    assert {job.study_uid for job in jobs("recall", requested_by="rule")} == {"7.0", "7.1"}
    run_all()
    assert away.online("7.0") and away.online("7.1")
    scan_all()
    assert len(jobs("recall")) == 2


def test_a_rule_recalls_nothing_onto_a_disk_that_would_be_too_full(away):
    away.disk["free_bytes"] = 19_000  # room for one of 3000 bytes below the mark of 85 %
    scan_all()
    scan_all()
    assert len(jobs("recall")) == 1


def test_a_rule_recalls_a_few_at_a_time(away, monkeypatch):
    monkeypatch.setattr(applying, "MOST_RECALLS", 1)
    scan_all()
    assert len(jobs("recall")) == 1
