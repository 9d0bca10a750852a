"""Private SOP classes: with the setting they come, are found and go like any other; else not."""

from __future__ import annotations

import dataclasses

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, JPEGLosslessSV1
from pynetdicom import AE, build_role, evt, register_uid
from pynetdicom.service_class import StorageServiceClass
from pynetdicom.sop_class import (
    CTImageStorage,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
)

from dicom_node.config import NodeConfig
from dicom_node.dimse.scu import fetch
from dicom_node.dimse.scu.remote import Remote
from dicom_node.models import Instance
from pacs_common.errors import PeerFailed
from tests.node.dimse_peers import as_file, storage
from tests.node.objects import SERIES, STUDY, ct
from tests.support import roles

PRIVATE = "1.2.840.113619.4.26"  # as a maker of scanners defines them
FIND, GET, MOVE = (
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
)
OBJECT = ct(1, SOPClassUID=PRIVATE)


@pytest.fixture(scope="module", autouse=True)
def registered():
    """The peer of these tests knows the class too."""
    register_uid(PRIVATE, "PrivateScanStorage", StorageServiceClass)


def send(peer, ds: Dataset) -> int:
    ds.file_meta = Dataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return peer.send_c_store(ds).Status


def image_of(**keys: str) -> Dataset:
    ds = Dataset()
    ds.QueryRetrieveLevel, ds.StudyInstanceUID, ds.SeriesInstanceUID = "IMAGE", STUDY, SERIES
    for keyword, value in keys.items():
        setattr(ds, keyword, value)
    return ds


def told_of_the_class() -> NodeConfig:
    """Return this process's settings with the class among them."""
    return dataclasses.replace(fetch.CONFIG, private_classes=(PRIVATE,))


@pytest.mark.slow
def test_a_configured_class_comes_is_found_and_goes(tmp_path, ingest, monkeypatch):
    with storage(classes=(PRIVATE,)) as destination:
        node = roles.node(
            tmp_path,
            PACS_PRIVATE_CLASSES=f"1.2.3.4, {PRIVATE}",
            PACS_MOVE_DESTINATIONS=f"DEST=127.0.0.1:{destination.port}",
        )
        with roles.running(node):
            kept = _come_find_and_go(node.dicom_port)
            named, remote = image_of(SOPInstanceUID=OBJECT.SOPInstanceUID), _remote(node)
            with pytest.raises(PeerFailed, match="does not take"):
                list(fetch.get(remote, named, ingest))
            monkeypatch.setattr(fetch, "CONFIG", told_of_the_class())
            fetched = list(fetch.get(remote, named, ingest))[-1]
    assert [Dataset(ds) for ds in kept] == [OBJECT]
    assert [Dataset(ds) for ds in destination.kept] == [OBJECT]
    assert (fetched.completed, fetched.failed) == (1, 0)
    assert Instance.objects.get().sop_class == PRIVATE


def _come_find_and_go(port: int) -> list[Dataset]:
    kept: list[Dataset] = []

    def keep(event: evt.Event) -> int:
        kept.append(as_file(event))
        return 0x0000

    ae = AE(ae_title="WS1")
    for model in (FIND, GET, MOVE):
        ae.add_requested_context(model)
    ae.add_requested_context(PRIVATE, ExplicitVRLittleEndian)
    ae.add_requested_context(CTImageStorage, ExplicitVRLittleEndian)
    peer = ae.associate(
        "127.0.0.1",
        port,
        ext_neg=[build_role(PRIVATE, scp_role=True, scu_role=True)],
        evt_handlers=[(evt.EVT_C_STORE, keep)],
    )
    assert send(peer, OBJECT) == 0x0000
    assert send(peer, ct(2)) == 0x0000
    answers = list(peer.send_c_find(image_of(SOPClassUID=PRIVATE, SOPInstanceUID=""), FIND))
    found = [match.SOPInstanceUID for _, match in answers if match is not None]
    assert found == [OBJECT.SOPInstanceUID]
    named = image_of(SOPInstanceUID=OBJECT.SOPInstanceUID)
    assert [status.Status for status, _ in peer.send_c_get(named, GET)][-1] == 0x0000
    assert [status.Status for status, _ in peer.send_c_move(named, "DEST", MOVE)][-1] == 0x0000
    peer.release()
    return kept


def _remote(node: roles.Role) -> Remote:
    return Remote("ARGENS_CT", "127.0.0.1", node.dicom_port)


def test_private_classes_are_asked_for_as_images_within_the_limit_of_contexts(monkeypatch):
    monkeypatch.setattr(fetch, "CONFIG", told_of_the_class())
    found = fetch.proposals()
    assert len(found) == fetch.MAX_CONTEXTS
    syntaxes = {syntax for one in found if one.sop_class == PRIVATE for syntax in one.syntaxes}
    assert {ExplicitVRLittleEndian, JPEGLosslessSV1} <= syntaxes


def test_a_class_that_is_not_configured_is_not_negotiated(server):
    ae = AE(ae_title="CT1")
    ae.add_requested_context(PRIVATE, ExplicitVRLittleEndian)
    ae.add_requested_context(CTImageStorage, ExplicitVRLittleEndian)
    peer = ae.associate("127.0.0.1", server.port)
    assert [context.abstract_syntax for context in peer.accepted_contexts] == [CTImageStorage]
    (rejected,) = peer.rejected_contexts
    assert rejected.result == 0x03  # abstract syntax not supported
    peer.release()
