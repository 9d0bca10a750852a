"""Rejection over DICOM: the note of a peer that may reject hides; C-FIND and C-GET (rule 8)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from django.utils import timezone
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE, build_role, evt
from pynetdicom.association import Association
from pynetdicom.sop_class import (
    CTImageStorage,
    KeyObjectSelectionDocumentStorage,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
)

from dicom_node.commitment.checks import NO_SUCH_INSTANCE, Checker
from dicom_node.custody import reject, reject_note
from dicom_node.dimse.server.port import DicomServer
from dicom_node.models import Commitment, Instance
from dicom_node.peers import book
from dicom_node.peers.peer import from_json
from dicom_node.store import part10
from tests.node.objects import STUDY, ct

FIND = StudyRootQueryRetrieveInformationModelFind
GET = StudyRootQueryRetrieveInformationModelGet
NOTE = f"{STUDY}.99"


@pytest.fixture
def associate(server: DicomServer) -> Iterator[Callable[[str], Association]]:
    """Associate under an AE title: `associate("CT1")`."""
    open_ones: list[Association] = []

    def associate(title: str) -> Association:
        ae = AE(ae_title=title)
        for sop_class in (FIND, GET):
            ae.add_requested_context(sop_class)
        for sop_class in (CTImageStorage, KeyObjectSelectionDocumentStorage):
            ae.add_requested_context(sop_class, ExplicitVRLittleEndian)
        roles = [build_role(CTImageStorage, scp_role=True, scu_role=True)]
        handlers = [(evt.EVT_C_STORE, lambda event: 0x0000)]
        found = ae.associate("127.0.0.1", server.port, ext_neg=roles, evt_handlers=handlers)
        assert found.is_established
        open_ones.append(found)
        return found

    yield associate
    for one in open_ones:
        one.release()


def stored(association: Association, ds: Dataset) -> int:
    ds.ensure_file_meta()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return association.send_c_store(ds).Status


def found(association: Association) -> list[str]:
    keys = Dataset()
    keys.QueryRetrieveLevel, keys.StudyInstanceUID, keys.SOPInstanceUID = "IMAGE", STUDY, ""
    keys.SeriesInstanceUID = f"{STUDY}.1"
    answers = association.send_c_find(keys, FIND)
    return sorted(str(ds.SOPInstanceUID) for status, ds in answers if ds is not None)


def fetched(association: Association) -> int:
    keys = Dataset()
    keys.QueryRetrieveLevel, keys.StudyInstanceUID = "STUDY", STUDY
    *_, (status, _) = association.send_c_get(keys, GET)
    return status.get("NumberOfCompletedSuboperations", 0)


def note() -> Dataset:
    """A note that rejects what is stored, as a workstation would write it."""
    rows = list(Instance.objects.select_related("series__study"))
    why = ("113037", "wrong patient")
    content = reject_note.write(NOTE, rows[0].series.study, rows, why, "WS1", timezone.now())
    return part10.parse_data_set(content, reject_note.SYNTAX)


def known(title: str, *may: str) -> None:
    book.put(from_json({"ae_title": title, "addresses": ["127.0.0.1"], "may": list(may)}))


def test_the_note_of_a_peer_that_may_reject_hides_what_it_names(associate):
    known("WS1", "store", "query", "retrieve", "reject")
    peer = associate("WS1")
    for number in (1, 2):
        assert stored(peer, ct(number)) == 0x0000
    assert (len(found(peer)), fetched(peer)) == (2, 2)
    assert stored(peer, note()) == 0x0000
    assert (found(peer), fetched(peer)) == ([], 0)
    assert stored(peer, ct(1)) == 0x0000
    assert found(peer) == []
    (told,) = map(reject.account, reject.known())
    assert (told["source"], told["code"], told["comment"]) == ("WS1", "113037", "wrong patient")


def test_the_note_of_any_other_peer_is_kept_and_hides_nothing(associate):
    known("WS2", "store", "query", "retrieve")
    peer = associate("WS2")
    stored(peer, ct(1))
    assert stored(peer, note()) == 0x0000
    assert found(peer) == [str(ct(1).SOPInstanceUID)]
    assert Instance.objects.filter(uid=NOTE).exists()


def test_nobody_vouches_for_what_is_rejected(associate, layout):
    known("WS1", "store", "query", "reject")
    peer = associate("WS1")
    stored(peer, ct(1))
    stored(peer, note())
    now = timezone.now()
    request = Commitment.objects.create(
        side="peer", state="checking", transaction_uid="1.2", peer_ae="A", own_ae="B", due_at=now
    )
    request.items.create(sop_class=ct(1).SOPClassUID, uid=ct(1).SOPInstanceUID)
    checker = Checker(layout, [str(CTImageStorage)], 1, timezone.timedelta(0))
    assert checker.decide(request, lambda: True)
    assert request.items.get().reason == NO_SUCH_INSTANCE
