"""Holds: kept here, told to the node until it has them, and never lost."""

from __future__ import annotations

import pytest
from django.utils import timezone

from archive_node import holding
from archive_node.models import Hold, NodeState, Rule, StudyFacts
from archive_node.policy import holds
from archive_node.policy.scan import scan_all
from pacs_common import errors
from tests.archive.conftest import STUDY, unlike

LEGAL = {"kind": "legal", "reason": "a case", "by": "it"}


def held(kind: str = "legal", reason: str = "a case") -> Hold:
    return holds.hold("CT", STUDY, kind, reason, "it")


@pytest.fixture
def there(today, vault):
    """A node of today with one study."""
    today.arrive(STUDY, "1.2.3.1", unlike(1))
    return today


def puts(node) -> int:
    return node.called("PUT /api/custody/studies/1.2.3/holds")


def test_a_node_is_told_of_a_hold_once(there):
    held()
    for _ in range(3):
        scan_all()
    assert there.holds == {STUDY: [LEGAL]}
    assert puts(there) == 1


def test_a_node_is_told_all_holds_of_a_study_and_of_each_release(there):
    first = held()
    scan_all()
    held("teaching", "")
    scan_all()
    assert there.holds[STUDY] == [LEGAL, {"kind": "teaching", "reason": "", "by": "it"}]
    holds.release(first.id, "it")
    scan_all()
    assert [one["kind"] for one in there.holds[STUDY]] == ["teaching"]
    assert puts(there) == 3


def test_a_hold_that_was_released_before_it_was_told_is_never_told(there):
    holds.release(held().id, "it")
    scan_all()
    assert puts(there) == 0


def test_a_node_that_lost_a_hold_is_told_again(there):
    held()
    scan_all()
    there.holds.clear()
    there.changed.append(STUDY)
    scan_all()
    scan_all()
    assert there.holds == {STUDY: [LEGAL]}


def test_a_node_that_is_down_is_told_when_it_is_back(there, archive):
    held()
    url = there.url
    archive(nodes={"CT": "http://127.0.0.1:1"})
    scan_all()
    archive(nodes={"CT": url})
    scan_all()
    assert there.holds == {STUDY: [LEGAL]}


def test_a_node_that_knows_no_holds_or_not_the_study_is_tolerated(there):
    Hold.objects.create(node="CT", study_uid="9.9", kind="legal", reason="", held_by="it")
    held()
    scan_all()
    state = NodeState.objects.get()
    assert state.reachable and state.error == ""
    assert there.holds == {STUDY: [LEGAL]}
    assert Hold.objects.get(study_uid="9.9").told_at is None


def test_one_hold_of_a_kind_is_in_force_at_a_time(db):
    first = held()
    with pytest.raises(errors.Conflict, match="a legal hold"):
        held()
    held("teaching")
    holds.release(first.id, "it")
    with pytest.raises(errors.Conflict, match="released already"):
        holds.release(first.id, "it")
    held()
    with pytest.raises(errors.NotFound):
        holds.release(999, "it")


def test_who_is_about_to_evict_learns_why_a_study_is_held(db):
    assert holding.why_held("CT", STUDY) == ""
    made = held()
    assert holding.why_held("CT", STUDY) == "legal (a case), by it"
    assert holding.why_held("RF", STUDY) == ""
    holds.release(made.id, "it")
    row = StudyFacts.objects.create(
        node="CT", study_uid=STUDY, modalities="CT", last_arrival_at=timezone.now(), held=True
    )
    assert holding.why_held("CT", STUDY) == "by its node"
    row.held = False
    row.save()
    Rule.objects.create(name="skulls", action="hold", conditions={"modalities": ["CT"]})
    assert holding.why_held("CT", STUDY) == "rule skulls"
    Rule.objects.update(enabled=False)
    assert holding.why_held("CT", STUDY) == ""
