"""The one way in: what is kept, what is refused, and what waits in quarantine."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import OperationalError, connection
from pydicom import dcmread
from pydicom.uid import JPEGLosslessSV1

from dicom_node.index import rows, writer
from dicom_node.ingest.ingest import Arrival, Ingest, Outcome
from dicom_node.models import Instance, Quarantined, Study
from dicom_node.render.transcode import frame_as
from dicom_node.store import part10
from pacs_common.errors import (
    DiskFull,
    IndexUnavailable,
    MissingUid,
    NotDicom,
    UidMismatch,
    UnsafeUid,
)
from tests.node.objects import SERIES, ct, encoded

IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"


def test_the_senders_bytes_are_kept_as_they_came(take, layout):
    ds = ct()
    take(ds, source_ae="CT1")
    row = Instance.objects.get()
    with layout.object(row.hour, row.uid).open("rb") as file:
        part10.data_set_offset(file)
        assert file.read() == encoded(ds)
    assert row.received_sha256 == hashlib.sha256(encoded(ds)).hexdigest()


def test_the_file_says_who_sent_it_and_when(take, layout):
    take(ct(), source_ae="CT1", called_ae="ARGENS_CT")
    row = Instance.objects.get()
    stored = dcmread(layout.object(row.hour, row.uid))
    assert stored.file_meta.SourceApplicationEntityTitle == "CT1"
    assert stored.file_meta.ReceivingApplicationEntityTitle == "ARGENS_CT"
    assert part10.provenance(stored.file_meta, row.arrived_at).arrived_at == row.arrived_at


def test_counts_and_modalities_follow_what_arrives(take):
    take(ct(1))
    take(ct(2))
    take(ct(1, series=f"{SERIES}9", Modality="SR"))
    study = Study.objects.get()
    assert (study.series_count, study.instance_count, study.revision) == (2, 3, 3)
    assert study.modalities == "CT\\SR"
    assert study.online_bytes == sum(Instance.objects.values_list("size_bytes", flat=True))


def test_later_instances_fill_blanks_but_change_nothing(take):
    take(ct(1, StudyDescription="", AccessionNumber="A1"))
    take(ct(2, StudyDescription="TDM", AccessionNumber="A2"))
    study = Study.objects.get()
    assert (study.description, study.accession_number) == ("TDM", "A1")


def test_a_modality_that_comes_later_is_one_of_the_studys(take):
    take(ct(1, Modality=""))
    assert Study.objects.get().modalities == ""
    take(ct(2, Modality="MR"))
    take(ct(3, Modality="CT"))
    assert Study.objects.get().modalities == "MR"


def test_the_same_object_again_changes_nothing(take, layout):
    take(ct())
    assert take(ct()).outcome is Outcome.DUPLICATE
    assert Study.objects.get().revision == 1
    assert len(list(layout.objects.rglob("*.dcm"))) == 1


@pytest.mark.parametrize("syntax", [IMPLICIT, "1.2.840.10008.1.2.2"])
def test_the_same_image_in_another_uncompressed_syntax_is_a_duplicate(take, syntax):
    take(ct())
    again = ct()
    if syntax.endswith(".2.2"):
        words = again.PixelData
        again.PixelData = b"".join(
            words[i + 1 : i + 2] + words[i : i + 1] for i in range(0, 512, 2)
        )
    assert take(again, syntax).outcome is Outcome.DUPLICATE


def test_the_same_image_compressed_without_loss_is_a_duplicate(take, layout):
    import numpy as np
    from pydicom.encaps import encapsulate

    ds = ct(Rows=64, Columns=64)
    ds.PixelData = (np.arange(64 * 64, dtype="<u2") // 8 + 900).tobytes()
    take(ds)
    row = Instance.objects.get()
    stored = part10.read_object(layout.object(row.hour, row.uid))
    ds.PixelData = encapsulate([frame_as(stored, 0, JPEGLosslessSV1)])
    ds["PixelData"].VR = "OB"
    ds["PixelData"].is_undefined_length = True
    assert take(ds, str(JPEGLosslessSV1)).outcome is Outcome.DUPLICATE
    assert Quarantined.objects.count() == 0


def test_one_uid_with_other_content_never_overwrites(take, layout):
    take(ct())
    other = ct()
    other.PixelData = bytes(512)
    assert take(other).outcome is Outcome.QUARANTINED
    row = Instance.objects.get()
    with layout.object(row.hour, row.uid).open("rb") as file:
        part10.data_set_offset(file)
        assert file.read() == encoded(ct())
    held = Quarantined.objects.get()
    assert held.reason == Quarantined.Reason.SAME_UID
    kept = layout.quarantined(held.hour, held.uid, held.received_sha256)
    assert dcmread(kept).PixelData == bytes(512)


def test_quarantine_keeps_each_digest_once(take, layout):
    take(ct())
    other = ct()
    other.PixelData = bytes(512)
    take(other)
    assert take(other).outcome is Outcome.QUARANTINED
    assert Quarantined.objects.count() == 1
    assert len(list(layout.quarantine.rglob("*.dcm"))) == 1


def test_another_patients_instance_never_joins_a_study(take):
    take(ct(1))
    assert take(ct(2, PatientID="FR-2")).outcome is Outcome.QUARANTINED
    study = Study.objects.get()
    assert (study.patient_id, study.instance_count) == ("FR-1", 1)
    assert Quarantined.objects.get().reason == Quarantined.Reason.OTHER_PATIENT


def test_another_issuer_is_another_patient(take):
    take(ct(1))
    assert take(ct(2, IssuerOfPatientID="TOULON")).outcome is Outcome.QUARANTINED


def test_the_hospitals_own_issuer_is_the_missing_one(take):
    take(ct(1))
    assert take(ct(2, IssuerOfPatientID="FREJUS")).outcome is Outcome.STORED


def test_a_path_safe_uid_that_breaks_the_standard_is_stored_and_flagged(take):
    take(ct(SOPInstanceUID="1.2.03.4"))
    assert Instance.objects.get().nonstandard_uid


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"])
def test_a_missing_uid_is_refused(take, layout, keyword):
    with pytest.raises(MissingUid):
        take(ct(**{keyword: None}))
    assert not list(layout.objects.rglob("*.*"))


@pytest.mark.parametrize("uid", ["../../etc/passwd", "1.2/3", "1..2", ".1", "1.", "1." + "2" * 64])
def test_a_uid_that_could_be_a_path_is_refused(take, layout, uid):
    with pytest.raises(UnsafeUid):
        take(ct(SOPInstanceUID=uid))
    assert not list(layout.objects.rglob("*.*"))


def test_an_empty_data_set_is_refused(ingest: Ingest):
    with pytest.raises(NotDicom, match="empty"):
        ingest.take(Arrival(b"", EXPLICIT))


def test_bytes_that_are_no_data_set_are_refused(ingest: Ingest):
    with pytest.raises((NotDicom, MissingUid)):
        ingest.take(Arrival(b"\x08\x00\x16\x00UI" + b"\xff" * 40, EXPLICIT))


@pytest.mark.parametrize("missing", [2, 100, 511])
def test_a_cut_object_is_refused(ingest: Ingest, layout, missing):
    with pytest.raises(NotDicom, match="cut"):
        ingest.take(Arrival(encoded(ct())[:-missing], EXPLICIT))
    assert not list(layout.objects.rglob("*.*"))


@pytest.mark.parametrize("element", [b"\x20\x00\x0e\x00UI", b"\x20\x00\x37\x00DS"])
def test_an_object_that_is_cut_before_its_pixels_is_refused(ingest: Ingest, layout, element):
    whole = encoded(ct())
    with pytest.raises(NotDicom, match="cut"):
        ingest.take(Arrival(whole[: whole.index(element) + 16], EXPLICIT))
    assert not list(layout.objects.rglob("*.*"))


@pytest.mark.parametrize(
    "before", [b"\x02\x00\x10\x00UI\x12\x001.2.840.10008.1.2\0", b"\0\0\0\0UL\4\0abcd"]
)
def test_elements_of_a_file_or_a_command_are_no_data_set(ingest: Ingest, layout, before):
    with pytest.raises(NotDicom, match="group"):
        ingest.take(Arrival(before + encoded(ct()), EXPLICIT))
    assert not list(layout.objects.rglob("*.*"))


@pytest.mark.parametrize("said", [{"affected_uid": "1.2.3"}, {"affected_class": "1.2.3"}])
def test_what_the_command_names_must_be_what_comes(take, said):
    with pytest.raises(UidMismatch):
        take(ct(), **said)


def test_a_full_disk_is_refused_and_nothing_is_left(layout, transactional_db):
    index = writer.IndexWriter()
    with pytest.raises(DiskFull):
        Ingest(layout, index, 1 << 60).take(Arrival(encoded(ct()), EXPLICIT))
    index.close()
    assert not list(layout.objects.rglob("*.*"))


def test_no_success_while_the_index_is_away_and_the_retry_succeeds(take, monkeypatch):
    def away(entries, **how):
        raise OperationalError("database is away")

    monkeypatch.setattr(rows, "add_all", away)
    with pytest.raises(IndexUnavailable):
        take(ct())
    monkeypatch.undo()
    assert take(ct()).outcome is Outcome.STORED
    assert Instance.objects.count() == 1


def test_no_success_while_the_index_cannot_even_be_asked(take, layout):
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE dicom_node_instance RENAME TO away")
    try:
        with pytest.raises(IndexUnavailable):
            take(ct())
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE away RENAME TO dicom_node_instance")
    assert take(ct()).outcome is Outcome.STORED


def test_one_uid_sent_twice_at_once_is_stored_once(ingest: Ingest):
    arrivals = [Arrival(encoded(ct()), EXPLICIT) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        outcomes = sorted(result.outcome for result in pool.map(ingest.take, arrivals))
    assert outcomes == [Outcome.DUPLICATE] * 7 + [Outcome.STORED]


def test_two_patients_racing_for_one_study_leave_it_one_patient(ingest: Ingest):
    arrivals = [Arrival(encoded(ct(n, PatientID=f"FR-{n % 2}")), EXPLICIT) for n in range(1, 13)]
    with ThreadPoolExecutor(12) as pool:
        outcomes = [result.outcome for result in pool.map(ingest.take, arrivals)]
    assert outcomes.count(Outcome.STORED) == outcomes.count(Outcome.QUARANTINED) == 6
    assert Study.objects.get().instance_count == 6


def test_no_partial_file_is_left_beside_the_object(take, layout):
    take(ct())
    names = [name for _, _, files in os.walk(layout.objects) for name in files]
    assert names == [f"{SERIES}.1.dcm"]
