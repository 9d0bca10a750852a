"""What a node measures of itself for those who run it: how fast it fills, what exists once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_node.arrivals import rate
from dicom_node.commitment import receipts
from dicom_node.commitment.single_copies import SingleCopies
from dicom_node.models import Instance
from dicom_node.store.journal import COPIED, Journal
from dicom_node.store.layout import hour_of
from tests.node.objects import SERIES, STUDY, ct, put_away

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def arrived(take, number: int, ago: timedelta, size: int = 1000) -> None:
    """Store an instance and say when it came and how large it is."""
    take(ct(number))
    row = Instance.objects.filter(uid=f"{SERIES}.{number}")
    row.update(hour=hour_of(NOW - ago), size_bytes=size)


def test_the_rate_is_that_of_the_last_week(take):
    arrived(take, 1, timedelta(days=30), 10**9)
    arrived(take, 2, timedelta(days=6))
    arrived(take, 3, timedelta(hours=1))
    assert rate.measured(NOW) == {"days": 7.0, "instances": 2, "bytes": 2000, "bytes_a_day": 286}


def test_a_young_nodes_rate_is_that_since_its_first_arrival_but_of_a_day_at_least(take):
    arrived(take, 1, timedelta(days=2))
    assert rate.measured(NOW)["bytes_a_day"] == 500
    arrived(take, 1, timedelta(hours=2))
    assert rate.measured(NOW)["bytes_a_day"] == 1000


def test_an_empty_node_has_no_rate(db):
    assert rate.measured(NOW)["bytes_a_day"] == 0


@pytest.fixture
def journal(layout) -> Journal:
    return Journal(layout.journal)


def copied(layout, *numbers: int) -> None:
    """Tell the node of the archive's verified copies."""
    copies = [{"vault": "v", "volume": "A1", "member": "m", "verified_at": "2026-11-21T09:00:00"}]
    named = [
        {
            "sop_instance_uid": row.uid,
            "stored_sha256": row.stored_sha256,
            "copies": copies,
        }
        for row in Instance.every.filter(uid__in=[f"{SERIES}.{number}" for number in numbers])
    ]
    told = receipts.note_copies(layout, {"study_uid": STUDY, "instances": named})
    assert len(told["taken"]) == len(numbers)


def test_a_study_exists_once_until_every_instance_is_on_record(take, layout, journal):
    assert SingleCopies(journal).count() == 0
    take(ct(1))
    take(ct(2))
    Instance.every.update(stored_sha256="a" * 64)
    counted = SingleCopies(journal)
    assert counted.count() == 1
    copied(layout, 1)
    assert SingleCopies(journal).count() == 1
    copied(layout, 1, 2)
    assert SingleCopies(journal).count() == 0
    take(ct(3))
    assert SingleCopies(journal).count() == 1
    assert counted.count() == 1  # as it was a moment ago: it is kept for a minute


def test_an_evicted_study_is_the_archives_to_count(take, layout, journal):
    take(ct(1))
    put_away(layout, f"{SERIES}.1")
    assert SingleCopies(journal).count() == 0


def test_a_long_journal_is_read_in_pieces(take, layout, journal):
    take(ct(1))
    Instance.every.update(stored_sha256="a" * 64)
    copied(layout, 1)
    journal.append("recalled", [{"study_uid": STUDY, "note": "x" * 500}] * 20)
    counted = SingleCopies(journal)
    told = [counted.count(most_bytes=4000) for _ in range(4)]
    assert told[0] is None
    assert told[-1] == 0


@given(st.lists(st.sampled_from([COPIED, "evicted"]), max_size=12), st.integers(1, 400))
def test_pieces_of_a_journal_hold_each_record_once(tmp_path_factory, kinds, most_bytes):
    journal = Journal(tmp_path_factory.mktemp("pieces"))
    for number, kind in enumerate(kinds):
        journal.append(kind, [{"number": number}])
    marks: dict[str, int] = {}
    found = []
    for _ in range(len(kinds) + 2):
        added = journal.since(marks, most_bytes)
        found += added.records
        if added.whole:
            break
    assert [record["number"] for record in found] == list(range(len(kinds)))
