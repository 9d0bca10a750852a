"""The DICOM port over real associations: statuses, matches, retrieves, rejections."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest
from django.db import OperationalError
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLosslessSV1,
    RLELossless,
)
from pynetdicom import AE, build_role, evt
from pynetdicom.association import Association
from pynetdicom.dimse_messages import C_STORE_RQ
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.pdu import P_DATA_TF
from pynetdicom.sop_class import (
    CTImageStorage,
    PatientRootQueryRetrieveInformationModelFind,
    PatientRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
    Verification,
)

from dicom_node.config import CONFIG, Peer
from dicom_node.dimse.server.port import DicomServer, Listener, listen
from dicom_node.index import answers, wanted
from dicom_node.models import Instance, RecallRequest, Study
from dicom_node.peers import book
from pacs_common.availability import Availability
from tests.node.objects import SERIES, STUDY, as_stream, ct, encoded
from tests.support.rejections import rejected

pytestmark = pytest.mark.slow

STUDY_FIND = StudyRootQueryRetrieveInformationModelFind
STUDY_GET = StudyRootQueryRetrieveInformationModelGet
STUDY_MOVE = StudyRootQueryRetrieveInformationModelMove


@pytest.fixture
def peer(server: DicomServer) -> Iterator[Association]:
    """An association with everything that the tests need."""
    ae = AE(ae_title="WS1")
    for sop_class in (Verification, STUDY_FIND, STUDY_GET, STUDY_MOVE):
        ae.add_requested_context(sop_class)
    ae.add_requested_context(PatientRootQueryRetrieveInformationModelFind)
    ae.add_requested_context(PatientRootQueryRetrieveInformationModelGet)
    ae.add_requested_context(CTImageStorage, ExplicitVRLittleEndian)
    roles = [build_role(CTImageStorage, scp_role=True, scu_role=True)]
    kept: list[Dataset] = []
    found = ae.associate(
        "127.0.0.1",
        server.port,
        ext_neg=roles,
        evt_handlers=[(evt.EVT_C_STORE, _keep, [kept])],
    )
    assert found.is_established
    found.kept = kept
    yield found
    if found.is_established:
        found.release()


def _keep(event: evt.Event, kept: list[Dataset]) -> int:
    ds = event.dataset
    ds.file_meta = event.file_meta
    kept.append(ds)
    return 0x0000


def send(peer: Association, ds: Dataset) -> Dataset:
    ds.file_meta = Dataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return peer.send_c_store(ds)


def identifier(level: str, **keys: str) -> Dataset:
    ds = Dataset()
    ds.QueryRetrieveLevel = level
    for keyword, value in keys.items():
        setattr(ds, keyword, value)
    return ds


def matches(peer: Association, model: str, ds: Dataset) -> tuple[list[Dataset], int]:
    found, last = [], 0
    for status, match in peer.send_c_find(ds, model):
        last = status.Status
        if match is not None:
            found.append(match)
    return found, last


def test_echo_is_answered(peer):
    assert peer.send_c_echo().Status == 0x0000


def test_a_stored_object_is_answered_with_success_and_found(peer):
    assert send(peer, ct()).Status == 0x0000
    found, last = matches(peer, STUDY_FIND, identifier("STUDY", StudyInstanceUID=""))
    assert [match.StudyInstanceUID for match in found] == [STUDY]
    assert last == 0x0000


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"StudyInstanceUID": None}, 0xA900),
        ({"StudyInstanceUID": "1/../2"}, 0xC000),
    ],
)
def test_a_refusal_carries_its_status_and_a_line_for_a_person(peer, change, status):
    answer = send(peer, ct(**change))
    assert answer.Status == status
    assert "UID" in answer.ErrorComment
    assert Study.objects.count() == 0


def test_a_uid_that_differs_from_the_data_sets_is_a900(peer):
    ds = ct()
    original = peer.dimse.send_msg

    def renamed(primitive, context_id):
        primitive.AffectedSOPInstanceUID = "1.2.3.4"
        original(primitive, context_id)

    peer.dimse.send_msg = renamed
    assert send(peer, ds).Status == 0xA900
    assert Instance.objects.count() == 0


def test_a_full_disk_is_a700(layout, transactional_db):
    server = DicomServer(layout, [Listener(listen("127.0.0.1", 0))], reserve_bytes=1 << 60)
    ae = AE(ae_title="CT1")
    ae.add_requested_context(CTImageStorage, ExplicitVRLittleEndian)
    modality = ae.associate("127.0.0.1", server.port)
    answer = send(modality, ct())
    modality.release()
    server.stop()
    assert answer.Status == 0xA700
    assert "free" in answer.ErrorComment


def test_an_internal_error_is_a_failure_and_never_a_success(peer, monkeypatch):
    def broken(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("dicom_node.ingest.incoming.entry_of", broken)
    assert send(peer, ct()).Status == 0x0110
    monkeypatch.undo()
    assert send(peer, ct()).Status == 0x0000


def test_an_unknown_calling_ae_is_rejected_with_the_reason(server, monkeypatch):
    strict = dataclasses.replace(CONFIG, accept_loopback=False, peers={"CT1": "127.0.0.1"})
    monkeypatch.setattr(book, "CONFIG", strict)
    who = AE(ae_title="WHO")
    stranger = rejected(lambda: who.associate("127.0.0.1", server.port, _verification()))
    assert stranger.acceptor.primitive.diagnostic == 0x03  # calling AE title not recognized
    known = AE(ae_title="CT1").associate("127.0.0.1", server.port, _verification())
    assert known.is_established
    known.release()


def _verification():
    ae = AE()
    ae.add_requested_context(Verification)
    return ae.requested_contexts


def test_find_answers_only_what_was_asked_and_the_unique_key(peer):
    send(peer, ct())
    asked = identifier("STUDY", PatientName="LEFEVRE*", StudyDate="20260101-20260131")
    (match,), _ = matches(peer, STUDY_FIND, asked)
    assert {element.keyword for element in match} == {
        "QueryRetrieveLevel",
        "SpecificCharacterSet",
        "PatientName",
        "StudyDate",
        "StudyInstanceUID",
        "RetrieveAETitle",
        "InstanceAvailability",
    }
    assert str(match.PatientName) == "Lefèvre^Hélène"


def test_find_answers_latin_1_where_it_was_asked_in_latin_1(peer):
    assert send(peer, ct()).Status == 0x0000
    asked = identifier("STUDY", PatientName="")
    assert matches(peer, STUDY_FIND, asked)[0][0].SpecificCharacterSet == "ISO_IR 192"
    asked.SpecificCharacterSet = "ISO_IR 100"
    assert matches(peer, STUDY_FIND, asked)[0][0].SpecificCharacterSet == "ISO_IR 100"


def test_find_says_when_a_key_is_not_supported(peer):
    send(peer, ct())
    statuses = [
        status.Status
        for status, _ in peer.send_c_find(identifier("STUDY", MilitaryRank="x"), STUDY_FIND)
    ]
    assert statuses == [0xFF01, 0x0000]


@pytest.mark.parametrize(
    "wrong",
    [
        identifier("NONSENSE"),
        identifier("PATIENT", PatientID="1"),
        identifier("STUDY", StudyDate="20261399"),
    ],
)
def test_a_query_that_makes_no_sense_is_refused(peer, wrong):
    assert matches(peer, STUDY_FIND, wrong) == ([], 0xA900)


def test_a_patient_is_found_once_for_all_studies(peer):
    send(peer, ct(1))
    send(peer, ct(1, study=f"{STUDY}.9", series=f"{SERIES}.9"))
    found, _ = matches(
        peer,
        PatientRootQueryRetrieveInformationModelFind,
        identifier("PATIENT", PatientID="FR-1", PatientName=""),
    )
    assert len(found) == 1


@pytest.mark.parametrize(
    ("level", "keys", "expected"),
    [
        ("STUDY", {"StudyInstanceUID": STUDY}, 3),
        ("SERIES", {"StudyInstanceUID": STUDY, "SeriesInstanceUID": SERIES}, 2),
        ("IMAGE", {"SOPInstanceUID": f"{SERIES}.1\\{SERIES}.2"}, 2),
    ],
)
def test_get_brings_every_instance_back_equal(peer, level, keys, expected):
    sent = [ct(1), ct(2), ct(1, series=f"{SERIES}9")]
    for ds in sent:
        send(peer, ds)
    *_, (status, _) = peer.send_c_get(identifier(level, **keys), STUDY_GET)
    assert status.Status == 0x0000
    assert status.NumberOfCompletedSuboperations == expected
    by_uid = {ds.SOPInstanceUID: ds for ds in sent}
    assert len(peer.kept) == expected
    for got in peer.kept:
        assert Dataset(got) == Dataset(by_uid[got.SOPInstanceUID])


def test_a_patient_is_got_with_all_studies(peer):
    send(peer, ct(1))
    send(peer, ct(1, study=f"{STUDY}.9", series=f"{SERIES}.9"))
    wanted = identifier("PATIENT", PatientID="FR-1")
    *_, (status, _) = peer.send_c_get(wanted, PatientRootQueryRetrieveInformationModelGet)
    assert status.NumberOfCompletedSuboperations == 2


def test_a_retrieve_without_its_unique_key_is_refused(peer):
    send(peer, ct())
    *_, (status, _) = peer.send_c_get(identifier("STUDY", PatientID="FR-1"), STUDY_GET)
    assert status.Status == 0xA900
    assert peer.kept == []


def test_instances_that_are_away_are_counted_listed_and_asked_for(peer):
    for number in (1, 2):
        send(peer, ct(number))
    Instance.objects.filter(uid=f"{SERIES}.2").update(availability=Availability.NEARLINE)
    row = Instance.objects.get(uid=f"{SERIES}.2")
    path = handlers_path(row)
    path.unlink()
    *_, (status, failed) = peer.send_c_get(identifier("STUDY", StudyInstanceUID=STUDY), STUDY_GET)
    assert status.Status == 0xB000
    counts = (status.NumberOfCompletedSuboperations, status.NumberOfFailedSuboperations)
    assert counts == (1, 1)
    assert failed.FailedSOPInstanceUIDList == f"{SERIES}.2"
    assert RecallRequest.objects.get().study_uid == STUDY


def handlers_path(row):
    from dicom_node.store.layout import Layout

    return Layout(CONFIG.data_dir).object(row.hour, row.uid)


def test_a_move_to_an_unknown_destination_is_a801(peer):
    send(peer, ct())
    wanted = identifier("STUDY", StudyInstanceUID=STUDY)
    *_, (status, _) = peer.send_c_move(wanted, "NOWHERE", STUDY_MOVE)
    assert status.Status == 0xA801


@pytest.fixture
def destination(monkeypatch):
    """A storage SCP that takes uncompressed CT alone, known to the node as DEST."""
    kept: list[Dataset] = []
    ae = AE(ae_title="DEST")
    ae.add_supported_context(CTImageStorage, ImplicitVRLittleEndian)
    scp = ae.start_server(
        ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, _keep, [kept])]
    )
    port = scp.socket.getsockname()[1]
    known = {"DEST": Peer("DEST", "127.0.0.1", port)}
    monkeypatch.setattr(book, "CONFIG", dataclasses.replace(CONFIG, destinations=known))
    yield kept
    scp.shutdown()


def test_move_sends_to_the_destination_what_it_takes(peer, destination):
    send(peer, ct())
    wanted = identifier("STUDY", StudyInstanceUID=STUDY)
    *_, (status, _) = peer.send_c_move(wanted, "DEST", STUDY_MOVE)
    assert status.Status == 0x0000
    assert destination[0].PixelData == ct().PixelData


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLosslessSV1])
def test_move_decompresses_for_a_peer_that_needs_it(peer, take, destination, syntax):
    ds = ct(Rows=64, Columns=64)
    ds.PixelData = bytes(8192)
    if syntax == RLELossless:
        ds.file_meta = Dataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.compress(RLELossless, generate_instance_uid=False)
    else:
        from pydicom.encaps import encapsulate

        from dicom_node.render.transcode import frame_as

        raw = ct(Rows=64, Columns=64)
        raw.PixelData = bytes(8192)
        raw.file_meta = Dataset()
        raw.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.PixelData = encapsulate([frame_as(raw, 0, JPEGLosslessSV1)])
        ds["PixelData"].VR = "OB"
        ds["PixelData"].is_undefined_length = True
    take(ds, str(syntax))
    wanted = identifier("STUDY", StudyInstanceUID=STUDY)
    *_, (status, _) = peer.send_c_move(wanted, "DEST", STUDY_MOVE)
    assert status.Status == 0x0000
    assert destination[0].PixelData == bytes(8192)
    assert destination[0].file_meta.TransferSyntaxUID == ImplicitVRLittleEndian


def test_every_stored_file_can_be_read_by_others(peer, layout):
    send(peer, ct())
    row = Instance.objects.get()
    assert dcmread(layout.object(row.hour, row.uid)).pixel_array.shape == (16, 16)


def test_a_transfer_that_breaks_off_leaves_nothing_and_the_node_goes_on(server):
    ae = AE(ae_title="CT1")
    ae.add_requested_context(CTImageStorage, ExplicitVRLittleEndian)
    ae.maximum_pdu_size = 1024
    modality = ae.associate("127.0.0.1", server.port)
    parts = list(_store_request(ct(1), modality.accepted_contexts[0].context_id))
    assert len(parts) > 3
    for part in parts[:-1]:
        modality.dul.socket.send(_pdu(part))
    modality.dul.socket.socket.close()
    modality.kill()

    again = ae.associate("127.0.0.1", server.port)
    assert Instance.objects.count() == 0
    assert send(again, ct(1)).Status == 0x0000
    again.release()


def _store_request(ds: Dataset, context_id: int):
    request = C_STORE()
    request.MessageID, request.Priority = 1, 2
    request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = ds.SOPClassUID, ds.SOPInstanceUID
    request.DataSet = as_stream(encoded(ds))
    message = C_STORE_RQ()
    message.primitive_to_message(request)
    return message.encode_msg(context_id, 256)


def _pdu(part) -> bytes:
    pdu = P_DATA_TF()
    pdu.from_primitive(part)
    return pdu.encode()


def test_queries_and_retrieves_say_when_the_index_is_away_and_recover(peer, monkeypatch):
    send(peer, ct())

    def away(*_: object, **__: object):
        raise OperationalError("database is away")
        yield

    asked = identifier("STUDY", StudyInstanceUID=STUDY)
    monkeypatch.setattr(answers, "find", away)
    monkeypatch.setattr(wanted, "note_access", lambda _: next(away()))
    assert matches(peer, STUDY_FIND, asked) == ([], 0xA700)
    *_, (status, _) = peer.send_c_get(asked, STUDY_GET)
    assert status.Status == 0xA701  # PS3.4 C.4.3.1.4: matches cannot be counted
    monkeypatch.undo()
    assert len(matches(peer, STUDY_FIND, asked)[0]) == 1
