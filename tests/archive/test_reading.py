"""What a scan reads: all that a node has now and then, else what changed."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from archive_node.catalogue import mark_bad
from archive_node.models import Copy, Job, NodeState, StudyFacts
from archive_node.one_at_a_time import alone
from archive_node.policy import priors, reading, scan
from archive_node.policy.scan import scan_all
from tests.archive.conftest import unlike
from tests.archive.node_of_today import NodeOfToday
from tests.archive.node_stand_in import Study
from tests.archive.test_scan import run_all


def fill(node: NodeOfToday, studies: int, **how: float) -> None:
    for number in range(studies):
        node.arrive(f"7.{number}", f"7.{number}.1", unlike(number), **how)


def read_now(node: NodeOfToday) -> list[str]:
    node.served.clear()
    scan_all()
    assert NodeState.objects.get().error == ""
    return list(node.served)


def full_scan_due() -> None:
    NodeState.objects.update(last_full_scan_at=timezone.now() - timedelta(hours=2))


def test_the_first_scan_reads_all_and_the_next_ones_what_changed(today, vault):
    fill(today, 7)
    assert len(read_now(today)) == 7
    assert read_now(today) == []
    today.arrive("7.3", "7.3.2", unlike(9))
    assert read_now(today) == ["7.3"]
    assert StudyFacts.objects.get(study_uid="7.3").instances == 2
    assert read_now(today) == []


def test_all_is_read_again_when_its_time_has_come(today, vault):
    fill(today, 7)
    read_now(today)
    full_scan_due()
    assert len(read_now(today)) == 7
    assert read_now(today) == []


def test_a_full_pass_of_a_large_node_goes_on_with_the_next_scan(today, vault, monkeypatch):
    monkeypatch.setattr(reading, "PAGES_OF_A_PASS", 1)
    fill(today, 7)
    assert read_now(today) == ["7.0", "7.1", "7.2"]
    assert NodeState.objects.get().last_full_scan_at is None
    today.arrive("7.1", "7.1.2", unlike(9))
    assert read_now(today) == ["7.1", "7.3", "7.4", "7.5"]
    assert read_now(today) == ["7.6"]
    assert NodeState.objects.get().last_full_scan_at is not None
    assert read_now(today) == []
    assert StudyFacts.objects.get(study_uid="7.1").instances == 2


def test_a_pass_that_broke_off_begins_where_it_was(today, vault, monkeypatch):
    monkeypatch.setattr(reading, "PAGES_OF_A_PASS", 1)
    fill(today, 7)
    read_now(today)
    told = type(today).told
    monkeypatch.setattr(type(today), "told", lambda node, uid: {})
    scan_all()
    assert NodeState.objects.get().reachable is False
    monkeypatch.setattr(type(today), "told", told)
    assert read_now(today) == ["7.3", "7.4", "7.5"]


def test_a_node_that_cannot_say_what_changed_is_read_whole_each_time(head, vault):
    for _ in range(2):
        scan_all()
    assert head.called("GET /api/custody/studies") == 2
    assert NodeState.objects.get().changes_since == ""


def test_what_a_node_does_not_name_any_more_is_not_online(today, vault):
    fill(today, 2)
    read_now(today)
    del today.studies["7.0"]
    today.changed.remove("7.0")
    full_scan_due()
    read_now(today)
    assert StudyFacts.objects.get(study_uid="7.0").online == 0
    assert StudyFacts.objects.get(study_uid="7.1").online == 1


def test_facts_of_a_present_node_are_kept(today, vault):
    fill(today, 1)
    today.facts["7.0"] = {
        "birth_date": "19500417", "department": "Neurologie", "body_parts": ["HEAD", "NECK"],
        "incomplete": True, "held": True,
    }  # fmt: skip
    read_now(today)
    row = StudyFacts.objects.get()
    assert (row.birth_date, row.department) == ("19500417", "Neurologie")
    assert (row.body_parts, row.incomplete, row.held) == ("HEAD\\NECK", True, True)


def test_a_node_that_tells_less_is_kept_with_what_is_usual(head, vault, monkeypatch):
    told = Study.facts
    later = {"birth_date", "department", "body_parts", "incomplete", "held", "holds"}
    older = lambda study: {k: v for k, v in told(study).items() if k not in later}  # noqa: E731
    monkeypatch.setattr(Study, "facts", older)
    scan_all()
    row = StudyFacts.objects.get()
    assert (row.birth_date, row.department, row.body_parts) == ("", "", "")
    assert (row.incomplete, row.held) == (False, False)


def test_when_a_study_was_first_seen_stays(today, vault):
    fill(today, 1)
    read_now(today)
    first = StudyFacts.objects.get().first_seen_at
    today.arrive("7.0", "7.0.2", unlike(9))
    read_now(today)
    assert StudyFacts.objects.get().first_seen_at == first


@pytest.fixture
def shown(monkeypatch) -> list[str]:
    """The studies that the recall of priors was shown."""
    found: list[str] = []
    monkeypatch.setattr(
        priors, "recall_for_arrivals",
        lambda node, rows: found.extend(f"{node} {row.study_uid}" for row in rows),
    )  # fmt: skip
    return found


def test_a_study_that_begins_to_arrive_is_shown_to_the_recall_of_priors_once(today, vault, shown):
    today.arrive("1.1", "1.1.1", unlike(1))
    today.arrive("1.2", "1.2.1", unlike(2), ago_s=40 * 86400)  # of a node that is new here
    scan_all()
    today.arrive("1.1", "1.1.2", unlike(3))
    scan_all()
    assert shown == ["CT 1.1"]


def test_what_arrived_in_a_scan_that_broke_off_is_shown_again(today, vault, shown):
    today.arrive("1.1", "1.1.1", unlike(1))
    disk, today.disk = today.disk, None
    scan_all()
    today.disk = disk
    scan_all()
    scan_all()
    assert shown == ["CT 1.1", "CT 1.1"]


def test_two_scans_at_a_time_are_one(today, vault):
    fill(today, 1)
    with alone("scan"):
        scan_all()
    assert not NodeState.objects.exists()
    scan_all()
    assert NodeState.objects.exists()


@pytest.mark.parametrize("fact", [{"incomplete": True}, {"held": True}, {"quarantined": 2}])
def test_what_a_node_says_of_a_study_keeps_it_there(today, vault, archive, fact):
    archive(evict_after_days=1)
    today.arrive("1.1", "1.1.1", unlike(1), ago_s=3 * 86400)
    today.facts["1.1"] = fact
    scan_all()
    run_all()
    scan_all()
    assert not Job.objects.filter(kind="evict").exists()
    today.facts["1.1"] = {}
    today.changed.append("1.1")
    scan_all()
    assert Job.objects.filter(kind="evict").exists()


def test_a_scan_makes_no_more_copies_than_can_be_overseen(today, vault, monkeypatch):
    monkeypatch.setattr(scan.applying, "MOST_COPIES", 2)
    fill(today, 7)
    for asked in (2, 4, 6, 7, 7):
        scan_all()
        assert Job.objects.filter(kind="copy").count() == asked
    oldest = Job.objects.order_by("id").first()
    assert oldest.study_uid == "7.0"


def test_what_was_proven_or_doubted_since_counts_though_the_node_tells_nothing_new(today, vault):
    fill(today, 1)
    read_now(today)
    run_all()
    assert read_now(today) == []
    assert StudyFacts.objects.get().is_proven
    mark_bad(Copy.objects.get(), "a bit flipped")
    assert read_now(today) == []
    assert not StudyFacts.objects.get().is_proven
    assert Job.objects.filter(kind="copy", state="queued").count() == 1
