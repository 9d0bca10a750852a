"""A node starts from whatever its disk holds, and finds all that was answered with success."""

from __future__ import annotations

import os
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.conf import settings
from pydicom import dcmread

from dicom_node.chores import loop
from dicom_node.index import checkpoint, rebuild
from dicom_node.models import Instance, Quarantined, Study
from dicom_node.store import part10
from dicom_node.store.layout import hour_of
from tests.node.objects import EXPLICIT, SERIES, ct, encoded
from tests.node.test_rebuild import left_in_another_hour


def stops_after(rounds):
    left = iter([False] * rounds)
    return lambda wait_s: next(left, True)


def now_folder(layout):
    folder = layout.objects / hour_of(datetime.now(UTC))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def test_chores_write_no_checkpoint_since_they_know_not_whether_the_index_is_whole(take, layout):
    take(ct())
    loop.run(layout, stops_after(2))
    assert checkpoint.read(layout) == ""


def test_the_checkpoint_is_kept_up_by_who_made_the_index_whole(layout, transactional_db):
    checkpoint.keep(layout, stops_after(1))
    assert checkpoint.read(layout) == hour_of(datetime.now(UTC) - timedelta(hours=1))


def test_a_checkpoint_waits_for_a_reader_that_keeps_the_log_from_being_synced(take, layout):
    take(ct(1))
    reader = sqlite3.connect(settings.DATABASES["default"]["TEST"]["NAME"])
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM dicom_node_study").fetchall()
    take(ct(2))
    checkpoint.write(layout)
    assert checkpoint.read(layout) == ""
    reader.close()
    checkpoint.write(layout)
    assert checkpoint.read(layout)


def test_a_checkpoint_that_cannot_be_written_does_not_end_the_node(layout, transactional_db):
    layout.checkpoint.with_suffix(".new").mkdir()
    try:
        checkpoint.keep(layout, stops_after(1))
    finally:
        layout.checkpoint.with_suffix(".new").rmdir()
    assert checkpoint.read(layout) == ""


@pytest.mark.parametrize("noted", ["2999/01/01/00", "nonsense", "\xff\xfe", ""])
def test_a_checkpoint_of_a_wrong_clock_hides_nothing_that_arrives_now(take, layout, noted):
    layout.checkpoint.write_bytes(noted.encode("latin-1"))
    take(ct())
    Study.objects.all().delete()
    assert rebuild.catch_up(layout, checkpoint.read(layout)).added == 1


def test_a_rebuild_that_was_killed_is_finished_by_the_next_start(take, layout):
    take(ct())
    old = layout.objects / "2026/01/05/09"
    old.mkdir(parents=True)
    row = Instance.objects.get()
    layout.object(row.hour, row.uid).rename(old / f"{row.uid}.dcm")
    checkpoint.write(layout)

    def killed(hour):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rebuild.rebuild(layout, killed)
    rebuild.catch_up(layout, checkpoint.read(layout))
    assert Instance.objects.get().hour == "2026/01/05/09"


def test_a_foreign_file_name_is_reported_and_stops_nothing(take, layout):
    take(ct(1))
    Study.objects.all().delete()
    for name in ("README.dcm", "1..2.dcm", "a b.stub"):
        (now_folder(layout) / name).write_bytes(b"x")
    report = rebuild.catch_up(layout, "")
    assert (report.added, len(report.unreadable)) == (1, 3)


@pytest.mark.parametrize("content", [b"", b"x" * 142, bytes(128) + b"DICM\2\0\0\0UL\4"])
def test_a_file_that_is_no_object_is_reported_and_stops_nothing(layout, transactional_db, content):
    (now_folder(layout) / "1.2.3.dcm").write_bytes(content)
    kept = layout.quarantine / hour_of(datetime.now(UTC))
    kept.mkdir(parents=True)
    (kept / "1.2.3.0123456789abcdef.dcm").write_bytes(content)
    report = rebuild.catch_up(layout, "")
    assert len(report.unreadable) == 2
    assert not Instance.objects.exists() and not Quarantined.objects.exists()


def test_a_file_without_a_transfer_syntax_is_reported_and_stops_nothing(take, layout):
    take(ct(1))
    row = Instance.objects.get()
    ds = dcmread(layout.object(row.hour, row.uid))
    del ds.file_meta.TransferSyntaxUID
    ds.SOPInstanceUID = "1.2.3"
    target = now_folder(layout) / "1.2.3.dcm"
    ds.save_as(target, implicit_vr=False, little_endian=True, enforce_file_format=False)
    assert len(rebuild.catch_up(layout, "").unreadable) == 1


def test_a_file_that_holds_another_instance_than_its_name_says_gets_no_row(take, layout):
    take(ct(1))
    row = Instance.objects.get()
    stray = ct(2)
    meta = part10.meta_group(
        stray.SOPClassUID, stray.SOPInstanceUID, EXPLICIT, part10.Provenance(row.arrived_at)
    )
    (now_folder(layout) / f"{SERIES}.3.dcm").write_bytes(meta + encoded(stray))
    report = rebuild.catch_up(layout, "")
    assert len(report.unreadable) == 1
    assert Instance.objects.count() == 1


def test_a_file_where_an_hours_folder_should_be_stops_nothing(take, layout):
    take(ct(1))
    (layout.objects / "2026/01/05").mkdir(parents=True)
    (layout.objects / "2026/01/05/09").write_bytes(b"x")
    assert rebuild.catch_up(layout, "").unreadable == []


def test_a_half_written_file_that_goes_while_others_look_is_no_failure(layout, transactional_db):
    (now_folder(layout) / ".1.2.3.dcm.abcd.part").symlink_to("gone")
    assert rebuild.catch_up(layout, "").partial == 0


def test_a_keeper_that_comes_later_compares_from_the_last_checkpoint_on(layout, transactional_db):
    layout.checkpoint.write_text("2026/01/05/08")
    left_in_another_hour(layout, ct(1), "2026/01/05/09")
    checkpoint.keep(layout, stops_after(1))
    assert Instance.objects.get().hour == "2026/01/05/09"


def test_a_checkpoint_without_its_index_hides_nothing(take, layout):
    left_in_another_hour(layout, ct(1), "2026/01/05/09")
    layout.checkpoint.write_text("2026/01/06/00")
    assert checkpoint.start(layout) == ""
    rebuild.catch_up(layout, checkpoint.start(layout))
    assert checkpoint.start(layout) == "2026/01/06/00"


@pytest.mark.parametrize("kind", ["objects", "quarantine"])
def test_the_names_that_a_killed_process_left_are_synced_before_they_have_rows(
    take, layout, tmp_path, kind
):
    take(ct(1))
    if kind == "quarantine":
        take(ct(1, PixelData=bytes(512)))
    for model in (Study, Quarantined):
        model.objects.all().delete()
    hour = next(layout.hours(getattr(layout, kind)))
    calls = synced_folders(lambda: rebuild.catch_up(layout, ""))
    folder = getattr(layout, kind) / hour
    assert calls >= {folder, *folder.parents[:5]}
    assert Instance.objects.exists()


def synced_folders(work):
    """Return the folders that are synced while `work` runs."""
    found, real = set(), os.fsync

    def fsync(handle):
        found.add(Path(os.readlink(f"/proc/self/fd/{handle}")))
        real(handle)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        work()
    return found
