"""The disk is the truth: what a crash leaves is found again, and the index can be made anew."""

from __future__ import annotations

import json

import pytest
from django.core.management import CommandError, call_command
from django.forms.models import model_to_dict

from dicom_node.chores import digests
from dicom_node.index import checkpoint, rebuild
from dicom_node.models import EvictionPlan, Instance, Quarantined, Series, Study
from dicom_node.store import part10
from tests.node.objects import EXPLICIT, SERIES, ct, encoded
from tests.node.test_custody import evict, plan_for  # noqa: F401 - a fixture


def snapshot():
    """Return every row of the index by its UID, without database keys."""
    rows = {}
    for model in (Study, Series, Instance, Quarantined):
        for row in model.objects.all():
            values = model_to_dict(row)
            for name in ("id", "study", "series", "last_access_at"):
                values.pop(name, None)
            rows[(model.__name__, row.uid, values.get("received_sha256", ""))] = values
    return rows


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


def test_a_rebuilt_index_equals_the_one_before(take, layout, evict):  # noqa: F811
    for number in (1, 2, 3):
        take(ct(number), source_ae="CT1")
    take(ct(1, series=f"{SERIES}9", Modality="SR", SeriesNumber=2))
    take(ct(1, study="1.2.9", series="1.2.9.1", PatientID="FR-9", StudyDescription=""))
    take(ct(2, study="1.2.9", series="1.2.9.1", PatientID="FR-9"))
    other = ct(1)
    other.PixelData = bytes(512)
    take(other)
    take(ct(9, PatientID="FR-2"))
    digests.compute(layout)
    assert evict(plan_for(Study.objects.get(uid="1.2.9"))).json()["evicted"]
    before = snapshot()
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


def test_a_plan_of_before_is_forgotten_by_a_rebuild_but_stays_void(take, layout, evict):  # noqa: F811
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
