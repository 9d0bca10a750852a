"""A workstation that retrieves from the node: what it asks, and what it is answered."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.uid import JPEG2000Lossless, JPEGLosslessSV1
from pynetdicom import AE, build_role, evt
from pynetdicom.association import Association
from pynetdicom.sop_class import (
    PatientRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
)

from dicom_node.config import CONFIG
from dicom_node.models import Instance
from dicom_node.store.layout import Layout
from tests.node.dimse_peers import as_file
from tests.node.objects import STUDY

GET, MOVE = (
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
)
PATIENT_GET = PatientRootQueryRetrieveInformationModelGet
LOSSLESS_70, J2K = str(JPEGLosslessSV1), str(JPEG2000Lossless)


@dataclasses.dataclass
class Caller:
    """A workstation's association with the node, and what C-GET brought."""

    association: Association
    kept: list[Dataset]

    def ask(self, model: str, identifier: Dataset, destination: str = "") -> list[Answer]:
        """Return every answer to a C-GET, or to a C-MOVE to a destination."""
        if destination:
            answers = self.association.send_c_move(identifier, destination, model)
        else:
            answers = self.association.send_c_get(identifier, model)
        return [Answer(*answer) for answer in answers]

    def move(self, **keys: str) -> list[Answer]:
        """Move a study (or what `keys` name) to DEST."""
        return self.ask(MOVE, study(**keys), "DEST")


class Answer:
    """One C-GET or C-MOVE response."""

    def __init__(self, status: Dataset, identifier: Dataset | None) -> None:
        self.status = status.Status
        self.comment = status.get("ErrorComment", "")
        names = ("Remaining", "Completed", "Failed", "Warning")
        self.counts = tuple(status.get(f"NumberOf{n}Suboperations") for n in names)
        failed = identifier.get("FailedSOPInstanceUIDList", []) if identifier else []
        self.failed = [failed] if isinstance(failed, str) else list(failed)


def study(level: str = "STUDY", **keys: str) -> Dataset:
    """Return the identifier of a retrieve, of STUDY where nothing is named."""
    ds = Dataset()
    ds.QueryRetrieveLevel = level
    for keyword, value in (keys or {"StudyInstanceUID": STUDY}).items():
        setattr(ds, keyword, value)
    return ds


@contextlib.contextmanager
def calling(port: int, *contexts: tuple[str, str], title: str = "WS1") -> Iterator[Caller]:
    """Associate with the node; `contexts` are (class, syntax) that C-GET may bring."""
    ae = AE(ae_title=title)
    for model in (GET, MOVE, PATIENT_GET):
        ae.add_requested_context(model)
    for sop_class, syntax in contexts:
        ae.add_requested_context(sop_class, syntax)
    roles = [build_role(c, scp_role=True, scu_role=True) for c in {c for c, _ in contexts}]
    kept: list[Dataset] = []

    def keep(event: evt.Event) -> int:
        kept.append(as_file(event))
        return 0x0000

    found = ae.associate("127.0.0.1", port, ext_neg=roles, evt_handlers=[(evt.EVT_C_STORE, keep)])
    assert found.is_established
    try:
        yield Caller(found, kept)
    finally:
        if found.is_established:
            found.release()


def stored_path(row: Instance) -> Path:
    """Return where the node keeps an instance."""
    return Layout(CONFIG.data_dir).object(row.hour, row.uid)


def audited(kind: str) -> list[dict]:
    """Return the audit's records of one kind."""
    folder = Layout(CONFIG.data_dir).audit
    lines = [line for file in folder.glob("*.jsonl") for line in file.read_text().splitlines()]
    return [record for record in map(json.loads, lines) if record["kind"] == kind]
