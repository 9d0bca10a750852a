"""No line of the node's log names a patient, a key of a query, or a query string."""

from __future__ import annotations

import logging

import pytest
from django.test import Client
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.sop_class import (
    CTImageStorage,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
)

from dicom_node.chores import digests
from dicom_node.ingest import door
from dicom_node.models import Instance
from pacs_common.logs import JsonLines
from tests.node.objects import SERIES, STUDY, ct
from tests.node.retrieve.callers import study
from tests.node.stow_bodies import as_file, body, poster
from tests.node.web_answers import whole

FIND = StudyRootQueryRetrieveInformationModelFind
GET = StudyRootQueryRetrieveInformationModelGet
MOVE = StudyRootQueryRetrieveInformationModelMove
INSTANCE = f"/dicom-web/studies/{STUDY}/series/{SERIES}/instances/{SERIES}.1"
MARKED = {"PatientName": "Zzyzx^Quirin", "PatientID": "ZZYZX-ID", "AccessionNumber": "ZZYZX-ACC"}


@pytest.fixture
def lines():
    """What the node writes to its log, as it writes it."""
    found: list[str] = []

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append(self.format(record))

    handler = Kept()
    handler.setFormatter(JsonLines())
    logging.getLogger().addHandler(handler)
    yield found
    logging.getLogger().removeHandler(handler)


def require_silence(lines: list[str]) -> None:
    assert lines
    assert [line for line in lines if "zzyzx" in line.lower()] == []


def test_over_dicom(server, lines, caplog):
    caplog.set_level("INFO")
    ae = AE(ae_title="WS1")
    for model in (FIND, GET, MOVE):
        ae.add_requested_context(model)
    ae.add_requested_context(CTImageStorage, ExplicitVRLittleEndian)
    peer = ae.associate("127.0.0.1", server.port)
    assert peer.is_established
    for ds in (ct(1, **MARKED), ct(1, **MARKED | {"PatientComments": "other content"})):
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        assert peer.send_c_store(ds).Status == 0x0000
    keys = [study(**MARKED), study("ZZYZX", **MARKED), study(StudyDate="zzyzx", **MARKED)]
    keys.append(study(PatientName="Zzyzx\\Zzyzx*", PatientBirthDate="zzyzx"))
    for key in keys:
        list(peer.send_c_find(key, FIND))
        list(peer.send_c_get(key, GET))
        list(peer.send_c_move(key, "ZZY", MOVE))
    list(peer.send_c_get(study(), GET))
    peer.release()
    require_silence(lines)


def test_over_http_and_in_chores(take, layout, ticket, lines, caplog):
    caplog.set_level("INFO")
    take(ct(1, **MARKED))
    token = ticket("dicomweb", "dicomweb.store", "dicomweb.delete", "status")
    client = Client(headers={"Authorization": f"Bearer {token}"}, raise_request_exception=False)
    store = poster(client)
    whole_body = body(map(as_file, [ct(1, **MARKED), ct(2, **MARKED | {"PatientID": "ZZYZX-2"})]))
    store(whole_body)
    store(whole_body[:-900])
    for path in ("studies", "series", "instances", "nowhere"):
        for name in (*MARKED, "limit", "zzyzx", "fuzzymatching", "StudyDate"):
            whole(client.get(f"/dicom-web/{path}", {name: "Zzyzx*"}))
    for below in ("", "/rendered", "/metadata", "/frames/1", "/frames/9", "/thumbnail", "/x"):
        whole(client.get(f"{INSTANCE}{below}", {"window": "zzyzx", "accept": "zzyzx/x"}))
        whole(client.get(f"{INSTANCE}{below}"))
    client.delete(f"{INSTANCE}?comment=zzyzx")
    row = Instance.every.get(uid=f"{SERIES}.1")
    layout.object(row.hour, row.uid).write_bytes(as_file(ct(1, **MARKED))[:-9])
    whole(client.get(INSTANCE))
    digests.compute(layout)
    door.close()
    require_silence(lines)
