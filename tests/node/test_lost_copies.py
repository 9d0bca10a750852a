"""A resend is a duplicate only of what is still there: else the bytes that came are kept."""

from __future__ import annotations

import os

import pytest
from pydicom.dataset import Dataset

from dicom_node.index import rebuild
from dicom_node.ingest.ingest import Outcome
from dicom_node.models import Instance, Quarantined, Study
from dicom_node.store import part10
from tests.node.objects import EXPLICIT, ct, put_away
from tests.node.test_rebuild import left_in_another_hour

IMPLICIT = "1.2.840.10008.1.2"


def stored_file(layout):
    row = Instance.objects.get()
    return layout.object(row.hour, row.uid)


def quarantined_file(layout):
    held = Quarantined.objects.get()
    return layout.quarantined(held.hour, held.uid, held.received_sha256)


@pytest.fixture
def lost(take, layout):
    """The way of an instance's file from the disk."""

    def gone():
        stored_file(layout).unlink()

    def flipped():
        content = bytearray(stored_file(layout).read_bytes())
        content[-1] ^= 1
        stored_file(layout).write_bytes(content)
        Instance.objects.update(damaged=True)

    return {"gone": gone, "flipped": flipped}


@pytest.mark.parametrize("how", ["gone", "flipped"])
@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT])
def test_the_resend_of_a_lost_object_is_kept(take, layout, lost, how, syntax):
    take(ct())
    lost[how]()
    assert take(ct(), syntax).outcome is Outcome.QUARANTINED
    assert part10.read_object(quarantined_file(layout)).PixelData == ct().PixelData
    take(ct(), syntax)
    assert Quarantined.objects.count() == 1


def test_the_resend_of_an_evicted_object_is_a_duplicate(take, layout):
    result = take(ct())
    put_away(layout, result.identity.instance)
    assert take(ct()).outcome is Outcome.DUPLICATE
    assert not Quarantined.objects.exists()


def test_an_object_that_only_cannot_be_decoded_is_not_kept_twice(take):
    take(ct())
    Instance.objects.update(damaged=True)
    assert take(ct()).outcome is Outcome.DUPLICATE


def test_the_resend_of_a_quarantined_object_whose_file_is_gone_is_kept(take, layout):
    take(ct())
    other = ct(1, PixelData=bytes(512))
    take(other)
    quarantined_file(layout).unlink()
    assert take(other).outcome is Outcome.QUARANTINED
    assert part10.read_object(quarantined_file(layout)).PixelData == bytes(512)


def test_other_values_behind_the_pixels_are_another_image(take):
    first, second = ct(), ct()
    for ds, value in ((first, b"raw data 1"), (second, b"raw data 2")):
        ds.private_block(0x7FE1, "SCANNER MAKER", create=True).add_new(1, "OB", value)
    take(first)
    assert take(second, IMPLICIT).outcome is Outcome.QUARANTINED


def test_other_floating_point_pixels_are_another_image(take):
    def floats(byte: bytes) -> Dataset:
        ds = ct(1, BitsAllocated=32)
        del ds.PixelData
        ds.FloatPixelData = byte * 4 * ds.Rows * ds.Columns
        return ds

    take(floats(b"\x01"))
    assert take(floats(b"\x02"), IMPLICIT).outcome is Outcome.QUARANTINED


def test_a_move_to_quarantine_that_was_killed_half_way_is_finished(take, layout):
    take(ct(1))
    source = left_in_another_hour(layout, ct(1, PixelData=bytes(512)))
    copy = source.read_bytes()
    rebuild.catch_up(layout, "")
    target = quarantined_file(layout)
    assert target.read_bytes() == copy
    os.link(target, source)  # the kill: both names are there
    Quarantined.objects.all().delete()
    rebuild.catch_up(layout, "")
    assert not source.exists()
    assert target.read_bytes() == copy
    assert Quarantined.objects.get().detail
    assert rebuild.catch_up(layout, "") == rebuild.Report()


def test_a_quarantine_that_was_killed_half_way_does_not_refuse_the_retry(take, layout):
    take(ct(1))
    other = ct(2, PatientID="ANOTHER")
    take(other)
    target = quarantined_file(layout)
    os.link(target, layout.object(Quarantined.objects.get().hour, other.SOPInstanceUID))
    rebuild.catch_up(layout, "")
    assert take(other).outcome is Outcome.QUARANTINED
    assert Study.objects.get().instance_count == 1
