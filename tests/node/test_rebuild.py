"""The disk is the truth: what a crash leaves is found again, and the index can be made anew."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.forms.models import model_to_dict
from pydicom.dataset import Dataset

from dicom_node.chores import digests
from dicom_node.index import checkpoint, rebuild
from dicom_node.ingest.ingest import Arrival, Outcome
from dicom_node.models import EvictionPlan, Instance, Quarantined, Series, Study
from dicom_node.store import blobs, part10
from dicom_node.store.layout import hour_of
from tests.node.custody.plans import plan_for
from tests.node.objects import EXPLICIT, SERIES, ct, encoded


def snapshot():
    """Return every row of the index by its UID, without database keys and what may be forgotten."""
    rows = {}
    for model in (Study, Series, Instance, Quarantined):
        for row in model.objects.all():
            values = model_to_dict(row)
            for name in ("id", "study", "series", "last_access_at", "verified", "changed_at"):
                values.pop(name, None)
            rows[(model.__name__, row.uid, values.get("received_sha256", ""))] = values
    return rows


def other_id(value: str) -> Dataset:
    item = Dataset()
    item.PatientID, item.IssuerOfPatientID = value, "TOULON"
    return item


def test_a_file_without_a_row_is_indexed_at_start(take, layout):
    take(ct(1))
    take(ct(2))
    before = snapshot()
    Instance.objects.filter(uid=f"{SERIES}.2").delete()
    Study.objects.all().delete()
    report = rebuild.catch_up(layout, since="")
    assert report.added == 2
    assert snapshot() == before


def test_start_up_looks_at_nothing_older_than_the_checkpoint(take, layout):
    take(ct(1))
    Study.objects.all().delete()
    assert rebuild.catch_up(layout, since="2999/01/01/00").added == 0
    assert rebuild.catch_up(layout, since="").added == 1


def test_the_checkpoint_leaves_a_margin_of_an_hour(take, layout):
    take(ct(1))
    checkpoint.write(layout)
    assert checkpoint.read(layout) < Instance.objects.get().hour
    Study.objects.all().delete()
    assert rebuild.catch_up(layout, checkpoint.read(layout)).added == 1


def test_half_written_files_are_swept_at_start(take, layout):
    take(ct(1))
    folder = layout.objects / Instance.objects.get().hour
    (folder / ".1.2.3.dcm.abcd.part").write_bytes(b"half")
    assert rebuild.catch_up(layout, since="").partial == 1
    assert [path.suffix for path in folder.iterdir()] == [".dcm"]


def test_a_row_without_its_file_is_flagged_and_not_hidden(take, layout):
    take(ct(1))
    row = Instance.objects.get()
    layout.object(row.hour, row.uid).unlink()
    report = rebuild.catch_up(layout, since="")
    assert report.missing == [f"{row.hour}/{row.uid}"]
    assert Instance.objects.get().damaged


def test_a_conflicting_file_without_a_row_goes_to_quarantine(take, layout):
    take(ct(1))
    row = Instance.objects.get()
    stray = ct(2, PatientID="FR-9")
    origin = part10.Provenance(row.arrived_at, "CT1")
    meta = part10.meta_group(stray.SOPClassUID, stray.SOPInstanceUID, EXPLICIT, origin)
    path = layout.object(row.hour, stray.SOPInstanceUID)
    path.write_bytes(meta + encoded(stray))
    report = rebuild.catch_up(layout, since="")
    held = Quarantined.objects.get()
    assert (report.quarantined, held.reason) == (1, Quarantined.Reason.OTHER_PATIENT)
    assert layout.quarantined(held.hour, held.uid, held.received_sha256).exists()
    assert not path.exists()


def test_a_rebuilt_index_equals_the_one_before(take, ingest, layout, evict):
    for number in (1, 2, 3):
        take(ct(number), source_ae="CT1")
    take(ct(1, series=f"{SERIES}9", Modality="SR", SeriesNumber=2))
    take(ct(1, study="1.2.9", series="1.2.9.1", PatientID="FR-9", StudyDescription=""))
    take(ct(2, study="1.2.9", series="1.2.9.1", PatientID="FR-9"))
    other = ct(1)
    other.PixelData = bytes(512)
    take(other)
    take(ct(9, PatientID="FR-2"))
    guessed = encoded(ct(1, study="1.2.8", series="1.2.8.1", PatientID="FR-8"))[18:]
    ingest.take(Arrival(guessed, EXPLICIT, fallback_charset="ISO_IR 144"))
    take(ct(1, study="1.2.7", series="1.2.7.1", OtherPatientIDsSequence=[other_id("X-1")]))
    digests.compute(layout)
    assert evict(plan_for(Study.objects.get(uid="1.2.9"))).json()["evicted"]
    before = snapshot()
    assert Instance.objects.filter(charset_guessed=True).count() == 1
    assert Study.objects.get(uid="1.2.7").other_id_values
    rebuild.rebuild(layout)
    while digests.compute(layout):
        pass
    after = snapshot()
    assert {key: after[key] for key in before} == before
    assert after.keys() == before.keys()


def test_reindex_and_fsck_are_commands(take, layout, capsys):
    take(ct(1))
    call_command("reindex")
    assert "1 instances indexed" in capsys.readouterr().out
    call_command("fsck")
    assert "0 damaged" in capsys.readouterr().out


def test_fsck_finds_a_flipped_bit(take, layout, capsys):
    take(ct(1))
    row = Instance.objects.get()
    path = layout.object(row.hour, row.uid)
    content = bytearray(path.read_bytes())
    content[-3] ^= 4
    path.write_bytes(content)
    with pytest.raises(CommandError, match="not whole"):
        call_command("fsck")
    assert row.uid in capsys.readouterr().err
    assert Instance.objects.get().damaged


def test_a_plan_of_before_is_forgotten_by_a_rebuild_but_stays_void(take, layout, evict):
    take(ct(1))
    digests.compute(layout)
    plan = plan_for(Study.objects.get())
    evict(plan)
    rebuild.rebuild(layout)
    assert not EvictionPlan.objects.exists()
    again = json.loads(evict(plan).content)
    assert again["freed_bytes"] == 0


def test_fsck_takes_back_an_alarm_that_was_false(take, layout):
    take(ct(1))
    Instance.objects.update(damaged=True)
    call_command("fsck")
    assert not Instance.objects.get().damaged


def test_fsck_tells_of_a_quarantined_file_that_is_gone(take, layout, capsys):
    take(ct(1))
    other = ct(1)
    other.PixelData = bytes(512)
    take(other)
    held = Quarantined.objects.get()
    layout.quarantined(held.hour, held.uid, held.received_sha256).unlink()
    with pytest.raises(CommandError, match="not whole"):
        call_command("fsck")
    assert f"quarantine/{held.uid}" in capsys.readouterr().err


def left_in_another_hour(layout, ds, hour="2026/01/05/09"):
    """Put an object's file where an attempt of another hour left it; returns its path."""
    origin = part10.Provenance(datetime(2026, 1, 5, 9, tzinfo=UTC), "CT1")
    meta = part10.meta_group(ds.SOPClassUID, ds.SOPInstanceUID, EXPLICIT, origin)
    path = layout.object(hour, ds.SOPInstanceUID)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(meta + encoded(ds))
    return path


def test_what_an_attempt_of_another_hour_left_ends_as_a_duplicate(take, layout):
    take(ct(1))
    before = snapshot()
    path = left_in_another_hour(layout, ct(1))
    assert rebuild.catch_up(layout, "").duplicates == 1
    assert not path.exists()
    assert snapshot() == before
    assert rebuild.catch_up(layout, "") == rebuild.Report()


def test_other_content_that_an_attempt_left_goes_to_quarantine(take, layout):
    take(ct(1))
    path = left_in_another_hour(layout, ct(1, PixelData=bytes(512)))
    assert rebuild.catch_up(layout, "").quarantined == 1
    held = Quarantined.objects.get()
    assert held.reason == Quarantined.Reason.SAME_UID
    assert layout.quarantined(held.hour, held.uid, held.received_sha256).exists()
    assert not path.exists()


def test_the_last_file_of_an_instance_is_never_a_duplicate(take, layout):
    take(ct(1))
    row = Instance.objects.get()
    layout.object(row.hour, row.uid).unlink()
    path = left_in_another_hour(layout, ct(1))
    assert len(rebuild.catch_up(layout, "").unreadable) == 1
    assert path.exists()


def test_a_comparison_leaves_an_arrival_under_way_to_its_writer(take, layout):
    take(ct(1))
    hour = Instance.objects.get().hour
    arriving = blobs.Partial(layout.folder(hour))
    arriving.write(b"not whole yet")
    arriving.name(layout.object(hour, "1.2.3"))
    assert rebuild.catch_up(layout, "") == rebuild.Report()
    arriving.remove()


def test_a_comparison_beside_live_ingest_adds_and_loses_nothing(ingest, layout):
    arrivals = [Arrival(encoded(ct(number)), EXPLICIT) for number in range(1, 61)]
    reports = []
    with ThreadPoolExecutor(3) as pool:
        taking = [
            pool.submit(lambda part=part: list(map(ingest.take, part)))
            for part in (arrivals[::2], arrivals[1::2])
        ]
        while not all(task.done() for task in taking):
            reports.append(rebuild.catch_up(layout, ""))
        outcomes = [result.outcome for task in taking for result in task.result()]
    assert set(outcomes) <= {Outcome.STORED, Outcome.DUPLICATE}
    assert not any(report.missing or report.unreadable or report.quarantined for report in reports)
    assert Study.objects.get().instance_count == Instance.objects.count() == 60
    assert all(layout.object(i.hour, i.uid).exists() for i in Instance.objects.all())


def test_the_checkpoint_moves_past_no_hour_that_was_not_compared_again(take, layout, monkeypatch):
    path = left_in_another_hour(layout, ct(1))
    hours = iter(["2026/01/05/09", "2026/01/05/09", "2026/01/05/10"])
    monkeypatch.setattr(checkpoint, "_latest", lambda: next(hours))
    checkpoint.keep(layout, stops_after(1))
    assert not Instance.objects.exists()
    hours = iter(["2026/01/05/09", "2026/01/05/10"])
    checkpoint.keep(layout, stops_after(1))
    assert Instance.objects.get().hour == "2026/01/05/09"
    assert path.exists()
    assert layout.checkpoint.read_text() == "2026/01/05/10"


def test_the_checkpoint_stays_while_disk_and_index_cannot_be_compared(layout, transactional_db):
    layout.checkpoint.write_text("2026/01/05/09")
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE dicom_node_instance RENAME TO away")
    left_in_another_hour(layout, ct(1), hour_of(datetime.now(UTC)))
    try:
        checkpoint.keep(layout, stops_after(1), lost_a_process=lambda: True)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE away RENAME TO dicom_node_instance")
    assert layout.checkpoint.read_text() == "2026/01/05/09"


def test_a_process_that_died_has_its_hours_compared_at_once(layout, transactional_db):
    hour = hour_of(datetime.now(UTC))
    left_in_another_hour(layout, ct(1), hour)
    checkpoint.keep(layout, stops_after(1))
    assert not Instance.objects.exists()
    checkpoint.keep(layout, stops_after(1), lost_a_process=lambda: True)
    assert Instance.objects.get().hour == hour


def stops_after(rounds):
    left = iter([False] * rounds)
    return lambda wait_s: next(left, True)


def test_two_birth_dates_under_one_key_are_one_patient_and_the_first_stays(take):
    take(ct(1, PatientBirthDate="19500417"))
    assert take(ct(2, PatientBirthDate="19500714")).outcome is Outcome.STORED
    study = Study.objects.get()
    assert (study.birth_date, study.instance_count) == ("19500417", 2)
