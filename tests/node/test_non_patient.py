"""Objects of no patient: refused unless allowed, then kept as durably as any image (PS3.4 GG)."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.forms.models import model_to_dict
from django.test import Client
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.sop_class import (
    _NON_PATIENT_OBJECT_CLASSES,
    ColorPaletteStorage,
    CTImageStorage,
    HangingProtocolStorage,
)

from dicom_node.commitment import checks as commitment
from dicom_node.commitment import queue
from dicom_node.dimse.association import offers
from dicom_node.dimse.scp import commit
from dicom_node.index import non_patient, rebuild, rows
from dicom_node.ingest import checks
from dicom_node.ingest.ingest import Arrival, Origin, Outcome
from dicom_node.models import Instance, NonPatientObject, Quarantined, Study
from dicom_node.peers import Peer, book
from pacs_common.errors import ClassNotSupported
from tests.node.commitment_peers import Heard, ask, asking, committed, failed, request
from tests.node.objects import SERIES, STUDY, ct, encoded

UID = "1.2.826.0.1.3680043.10.1361.38.1"
IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"


def hanging_protocol(uid: str = UID, **attributes: object) -> Dataset:
    """Return a small hanging protocol; keyword arguments set attributes."""
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.SOPClassUID, ds.SOPInstanceUID = HangingProtocolStorage, uid
    ds.HangingProtocolName, ds.HangingProtocolDescription = "THORAX", "Thorax, antériorité"
    ds.HangingProtocolLevel, ds.HangingProtocolCreator = "SITE", "Martin^Paul"
    ds.HangingProtocolCreationDateTime = "20260105093000"
    ds.NumberOfPriorsReferenced = 1
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    return ds


@pytest.fixture
def allowed(monkeypatch):
    """Objects of no patient are kept, by the node's setting."""
    config = dataclasses.replace(checks.CONFIG, keep_non_patient=True)
    monkeypatch.setattr(checks, "CONFIG", config)
    monkeypatch.setattr(commit, "CONFIG", dataclasses.replace(commit.CONFIG, keep_non_patient=True))


@contextlib.contextmanager
def sender(port: int, title: str = "WS1") -> Iterator[Association]:
    ae = AE(ae_title=title)
    for sop_class in (HangingProtocolStorage, ColorPaletteStorage, CTImageStorage):
        ae.add_requested_context(sop_class, [EXPLICIT, IMPLICIT])
    found = ae.associate("127.0.0.1", port)
    assert found.is_established
    yield found
    assert found.is_established
    found.release()


def send(peer: Association, ds: Dataset) -> Dataset:
    ds.file_meta = Dataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return peer.send_c_store(ds)


def snapshot() -> list[dict[str, object]]:
    """Return the rows of all objects of no patient, and of the quarantine, without keys."""
    found = []
    for model in (NonPatientObject, Quarantined):
        for row in model.objects.order_by("uid", "received_sha256"):
            found.append(model_to_dict(row, exclude=["id"]))
    return found


def reasons(layout, *uids: str, copies: int = 1) -> dict[str, int | None]:
    checker = commitment.Checker(
        layout, commit.checker().classes, copies=copies, copies_wait=timedelta(hours=1)
    )
    items = [(HangingProtocolStorage, uid) for uid in uids]
    row = queue.accept("1.2.3", items, peer_ae="X", peer_address="", own_ae="Y")
    checker.decide(row, lambda: True)
    return dict(row.items.values_list("uid", "reason"))


def test_the_classes_are_all_that_are_known_and_none_of_a_patient():
    assert set(non_patient.CLASSES) == set(_NON_PATIENT_OBJECT_CLASSES.values())
    assert not set(non_patient.CLASSES) & set(offers.storage_classes())


def test_they_are_refused_by_default_and_the_association_goes_on(server, layout):
    with sender(server.port) as peer:
        for ds in (hanging_protocol(), hanging_protocol(ICCProfile=bytes(1 << 20))):
            answer = send(peer, ds)
            assert answer.Status == 0x0122
            assert "PACS_KEEP_NON_PATIENT" in answer.ErrorComment
            assert answer.ErrorComment.endswith("non_patient_objects")
        assert send(peer, ct(1)).Status == 0x0000
    assert not NonPatientObject.objects.exists()
    assert len(list(layout.objects.rglob("*.*"))) == 1


def test_a_class_that_is_not_kept_is_refused_before_a_byte_is_written(ingest, layout):
    with pytest.raises(ClassNotSupported):
        ingest.begin(Origin(EXPLICIT, affected_class=f"{HangingProtocolStorage}\0"))
    assert not any(path.is_file() for path in layout.objects.rglob("*"))


def test_an_object_whose_command_names_no_class_is_refused_by_its_own(ingest, layout):
    content = encoded(hanging_protocol())
    with pytest.raises(ClassNotSupported):
        ingest.take(Arrival(content, EXPLICIT))
    assert not list(layout.objects.rglob("*.*"))


def test_the_setting_lets_them_in_beside_images(server, layout, allowed):
    with sender(server.port) as peer:
        for ds in (hanging_protocol(), ct(1), ct(2)):
            assert send(peer, ds).Status == 0x0000
    row = NonPatientObject.objects.get()
    assert (row.uid, row.sop_class, row.transfer_syntax) == (UID, HangingProtocolStorage, EXPLICIT)
    assert (row.label, row.description) == ("THORAX", "Thorax, antériorité")
    assert (row.source_ae, row.damaged) == ("WS1", False)
    path = layout.object(row.hour, row.uid)
    assert path.read_bytes().endswith(encoded(hanging_protocol()))
    assert path.stat().st_size == row.size_bytes
    assert Instance.objects.count() == 2 and Study.objects.get().instance_count == 2


def test_a_peer_may_be_allowed_alone(server, layout):
    book.put(Peer("WS1", addresses=("*",), non_patient_objects=True))
    try:
        with sender(server.port) as peer:
            assert send(peer, hanging_protocol()).Status == 0x0000
        with sender(server.port, "WS2") as peer:
            assert send(peer, hanging_protocol(f"{UID}.2")).Status == 0x0122
        assert reasons(layout, UID, f"{UID}.2") == {UID: 0x0000, f"{UID}.2": 0x0112}
    finally:
        book.remove("WS1")
    assert [row.uid for row in NonPatientObject.objects.all()] == [UID]


def test_a_palette_tells_its_content_label(take, allowed):
    palette = Dataset()
    palette.SOPClassUID, palette.SOPInstanceUID = ColorPaletteStorage, "1.2.39"
    palette.ContentLabel, palette.ContentDescription = "HOT_IRON", "Hot iron"
    take(palette)
    row = NonPatientObject.objects.get()
    assert (row.label, row.description) == ("HOT_IRON", "Hot iron")


def test_the_same_object_again_changes_nothing(take, allowed, layout):
    assert take(hanging_protocol()).outcome is Outcome.STORED
    before = snapshot()
    assert take(hanging_protocol()).outcome is Outcome.DUPLICATE
    assert take(hanging_protocol(), IMPLICIT).outcome is Outcome.DUPLICATE  # custody rule 5
    assert snapshot() == before
    assert len(list(layout.objects.rglob("*.*"))) == 1


def test_other_bytes_of_one_uid_never_overwrite(take, allowed, layout):
    take(hanging_protocol())
    row = NonPatientObject.objects.get()
    before = layout.object(row.hour, UID).read_bytes()
    for _ in range(2):
        assert take(hanging_protocol(HangingProtocolName="ABDOMEN")).outcome is Outcome.QUARANTINED
    held = Quarantined.objects.get()
    assert (held.uid, held.study_uid, held.reason) == (UID, "", Quarantined.Reason.SAME_UID)
    assert layout.quarantined(held.hour, UID, held.received_sha256).exists()
    assert layout.object(row.hour, UID).read_bytes() == before
    assert reasons(layout, UID) == {UID: 0x0110}


@pytest.mark.parametrize("image_first", [True, False])
def test_an_image_and_an_object_of_no_patient_never_share_a_uid(take, allowed, image_first):
    both = [ct(1, SOPInstanceUID=UID), hanging_protocol()]
    first, second = both if image_first else both[::-1]
    assert take(first).outcome is Outcome.STORED
    assert take(second).outcome is Outcome.QUARANTINED
    assert Instance.objects.count() + NonPatientObject.objects.count() == 1
    assert rows.known_uids([UID, "1.2"]) == {UID}


def test_a_rebuilt_index_equals_the_one_before(take, allowed, layout):
    take(ct(1))
    take(hanging_protocol(), source_ae="WS1")
    take(hanging_protocol(f"{UID}.2"), IMPLICIT, source_ae="WS2")
    take(hanging_protocol(HangingProtocolName="ABDOMEN"))
    before = snapshot()
    assert len(before) == 3
    report = rebuild.rebuild(layout)
    assert snapshot() == before
    assert (report.added, report.quarantined, report.missing, report.unreadable) == (3, 1, [], [])


def test_a_rebuild_keeps_what_the_settings_would_refuse_now(take, layout):
    take(hanging_protocol(), non_patient_objects=True)
    before = snapshot()
    rebuild.rebuild(layout)
    assert snapshot() == before


def test_start_up_finds_files_without_rows_and_flags_rows_without_files(take, allowed, layout):
    take(hanging_protocol())
    take(hanging_protocol(f"{UID}.2"))
    assert rebuild.catch_up(layout, since="") == rebuild.Report()
    NonPatientObject.objects.filter(uid=UID).delete()
    lost = NonPatientObject.objects.get()
    layout.object(lost.hour, lost.uid).unlink()
    report = rebuild.catch_up(layout, since="")
    assert (report.added, report.missing) == (1, [f"{lost.hour}/{lost.uid}"])
    assert {row.uid: row.damaged for row in NonPatientObject.objects.all()} == {
        UID: False,
        lost.uid: True,
    }


@pytest.mark.parametrize("is_headless", [True, False])
def test_fsck_reads_them_all(take, allowed, layout, capsys, is_headless):
    take(hanging_protocol())
    call_command("fsck")
    row = NonPatientObject.objects.get()
    path = layout.object(row.hour, row.uid)
    content = bytearray(path.read_bytes())
    content[-1] ^= 4
    path.write_bytes(content[:10] if is_headless else content)
    with pytest.raises(CommandError, match="not whole"):
        call_command("fsck")
    assert UID in capsys.readouterr().err
    assert NonPatientObject.objects.get().damaged
    assert reasons(layout, UID) == {UID: 0x0110}


def test_commitment_answers_for_them(server, layout, allowed):
    with sender(server.port) as peer:
        send(peer, hanging_protocol())
        send(peer, ct(1))
    image = (CTImageStorage, f"{SERIES}.1")
    items = [(HangingProtocolStorage, UID), image, (ColorPaletteStorage, UID[:-1] + "9")]
    heard = Heard()
    with asking(server.port, heard) as peer:
        assert ask(peer, request(items)) == 0x0000
        _, report, _ = heard.next()
    assert committed(report) == {UID, image[1]}
    assert failed(report) == {UID[:-1] + "9": 0x0112}


def test_commitment_looks_at_the_file(take, allowed, layout):
    take(hanging_protocol())
    take(hanging_protocol(f"{UID}.2"))
    one = NonPatientObject.objects.get(uid=UID)
    path = layout.object(one.hour, UID)
    path.write_bytes(path.read_bytes()[:-2] + b"XX")
    layout.object(one.hour, f"{UID}.2").unlink()
    assert reasons(layout, UID, f"{UID}.2") == {UID: 0x0110, f"{UID}.2": 0x0110}
    assert NonPatientObject.objects.filter(damaged=True).count() == 2


def test_where_two_copies_are_required_nobody_vouches_for_the_second(take, allowed, layout):
    take(hanging_protocol())
    assert reasons(layout, UID, copies=2) == {UID: 0x0213}


def test_a_class_that_is_not_kept_is_told_so(layout, transactional_db):
    assert reasons(layout, UID) == {UID: 0x0122}


def test_the_nodes_account_counts_them(take, allowed, ticket):
    take(hanging_protocol())
    take(ct(1))
    client = Client(headers={"Authorization": f"Bearer {ticket('status')}"})
    told = client.get("/api/node").json()
    assert (told["counts"]["non_patient"], told["counts"]["instances"]) == (1, 1)
    sizes = [model.objects.get().size_bytes for model in (NonPatientObject, Instance)]
    assert told["disk"]["stored_bytes"] == sum(sizes)


def test_no_query_finds_them(take, allowed, ticket):
    take(hanging_protocol())
    take(ct(1))
    client = Client(headers={"Authorization": f"Bearer {ticket('dicomweb')}"})
    found = client.get("/dicom-web/instances").json()
    assert [one["00080018"]["Value"] for one in found] == [[f"{SERIES}.1"]]
    assert client.get("/dicom-web/studies").json()[0]["0020000D"]["Value"] == [STUDY]
