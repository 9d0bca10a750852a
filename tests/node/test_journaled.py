"""What the journal says of one study, found without reading all of it."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connections
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dicom_node.commitment.receipts import copies_of, proven
from dicom_node.index import journaled, rebuild
from dicom_node.models import JournalMark, JournalRun
from dicom_node.store.journal import COPIED, Journal
from tests.node.objects import SERIES, STUDY, ct


@pytest.fixture
def journal(layout, transactional_db):
    return Journal(layout.journal)


def numbers(journal, study_uid):
    return [record["n"] for record in journaled.of_study(journal, study_uid)]


def append(journal, *told):
    journal.append("copied", [{"study_uid": uid, "n": n} for uid, n in told])


def test_a_studys_records_are_found_before_and_after_they_have_rows(journal):
    append(journal, ("1", 1), ("2", 2), ("1", 3))
    assert (numbers(journal, "1"), numbers(journal, "3")) == ([1, 3], [])
    assert not JournalRun.objects.exists()
    journaled.look_through(journal)
    assert JournalRun.objects.count() == 3
    append(journal, ("2", 4), ("1", 5))
    assert (numbers(journal, "1"), numbers(journal, "2")) == ([1, 3, 5], [2, 4])


def test_records_of_a_study_that_follow_one_another_have_one_row(journal):
    append(journal, *(("1", n) for n in range(60)))
    journaled.look_through(journal)
    journaled.look_through(journal)
    assert JournalRun.objects.count() == 1
    assert numbers(journal, "1") == list(range(60))


def test_only_the_lines_of_a_study_are_read(journal, monkeypatch):
    for uid in range(200):
        append(journal, *((str(uid), n) for n in range(5)))
    journaled.look_through(journal)
    read, lines = [], Journal.lines

    def counted(self, *span):
        for line in lines(self, *span):
            read.append(line)
            yield line

    monkeypatch.setattr(Journal, "lines", counted)
    assert numbers(journal, "77") == [0, 1, 2, 3, 4]
    assert len(read) == 5


def test_what_was_added_gets_rows_once_it_is_long(journal, monkeypatch):
    monkeypatch.setattr(journaled, "READ_THROUGH_BYTES", 2000)
    append(journal, ("1", 1))
    assert numbers(journal, "1") == [1] and not JournalMark.objects.exists()
    append(journal, *(("2", n) for n in range(50)))
    assert numbers(journal, "1") == [1] and JournalMark.objects.exists()


def test_files_are_told_in_their_order(journal, layout):
    append(journal, ("1", 2))
    (layout.journal / "1999-12.jsonl").write_text('{"study_uid": "1", "n": 1}\n')
    assert numbers(journal, "1") == [1, 2]
    journaled.look_through(journal)
    assert numbers(journal, "1") == [1, 2]


def test_a_torn_line_is_waited_for_and_hides_nothing(journal, layout):
    append(journal, ("1", 1))
    (file,) = layout.journal.glob("*.jsonl")
    file.write_bytes(file.read_bytes() + b'{"study_uid": "1", "n":')
    journaled.look_through(journal)
    assert numbers(journal, "1") == [1]
    append(journal, ("1", 2))
    assert numbers(journal, "1") == [1, 2]
    journaled.look_through(journal)
    assert numbers(journal, "1") == [1, 2]


def test_a_journal_that_became_shorter_is_looked_through_anew(journal, layout):
    append(journal, *(("1", n) for n in range(20)))
    journaled.look_through(journal)
    (file,) = layout.journal.glob("*.jsonl")
    file.write_text('{"study_uid": "2", "n": 7}\n')
    assert (numbers(journal, "1"), numbers(journal, "2")) == ([], [7])


def test_a_kill_between_mark_and_rows_leaves_neither(journal, monkeypatch):
    append(journal, ("1", 1))

    def killed(*given, **more):
        raise KeyboardInterrupt

    monkeypatch.setattr(JournalRun.objects, "bulk_create", killed)
    with pytest.raises(KeyboardInterrupt):
        journaled.look_through(journal)
    monkeypatch.undo()
    assert not JournalMark.objects.exists()
    journaled.look_through(journal)
    assert numbers(journal, "1") == [1]


def test_several_who_look_through_at_once_count_each_line_once(journal, monkeypatch):
    monkeypatch.setattr(journaled, "PIECE_BYTES", 400)
    append(journal, *((str(n % 7), n) for n in range(300)))

    def look(_):
        try:
            journaled.look_through(journal)
            return numbers(journal, "3")
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(look, range(4)))
    assert found == [[n for n in range(300) if n % 7 == 3]] * 4
    assert JournalRun.objects.count() == 300


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 10**6))
def test_it_says_what_reading_everything_says(journal, layout, seed):
    rng = random.Random(seed)
    journaled.forget()
    for file in layout.journal.glob("*"):
        file.unlink()
    for _ in range(rng.randrange(12)):
        if rng.random() < 0.3:
            journaled.look_through(journal)
        else:
            append(journal, *((rng.choice("123"), rng.random()) for _ in range(rng.randrange(6))))
    for uid in "1234":
        every = [record for record in journal.read() if record["study_uid"] == uid]
        assert journaled.of_study(journal, uid) == every


def test_receipts_are_found_by_the_studies_of_their_instances(take, layout):
    take(ct(1))
    take(ct(1, study="1.2.9", series="1.2.9.1"))
    copy = {"vault": "v", "volume": "A1", "member": "m", "verified_at": "2026-11-21"}
    for study_uid, uid in ((STUDY, f"{SERIES}.1"), ("1.2.9", "1.2.9.1.1")):
        told = {"study_uid": study_uid, "sop_instance_uid": uid, "stored_sha256": "a" * 64}
        Journal(layout.journal).append(COPIED, [told | {"copies": [copy]}])
    assert proven(layout, {f"{SERIES}.1"}) == {(f"{SERIES}.1", "a" * 64)}
    assert copies_of(layout, {"1.2.9.1.1"}) == {("1.2.9.1.1", "a" * 64): [copy]}
    assert proven(layout, set()) == set()


def test_reindex_looks_the_journal_through_anew(take, layout, journal):
    take(ct(1))
    append(journal, (STUDY, 1))
    journaled.look_through(journal)
    JournalRun.objects.update(begins_at=9, ends_at=10)
    rebuild.rebuild(layout)
    assert JournalRun.objects.get().begins_at == 0
    assert numbers(journal, STUDY) == [1]
