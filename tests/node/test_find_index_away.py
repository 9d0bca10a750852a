"""The database goes away in the middle of a C-FIND's answers: told as a failure, then healed."""

from __future__ import annotations

import pytest
from pydicom.dataset import Dataset

from dicom_node.index.attributes import ATTRIBUTES, Level
from dicom_node.index.query import COSTLY, known
from tests.support import node_under_fault as faults
from tests.support import postgres
from tests.support.data_sets import EXPLICIT, encoded
from tests.support.raw_association import RawAssociation, command_set, element, p_data, ui, us

pytestmark = pytest.mark.slow
STUDY_ROOT = "1.2.840.10008.5.1.4.1.2.2.1"
PENDING, OUT_OF_RESOURCES, SUCCESS = 0xFF00, 0xA700, 0x0000
STUDIES = 20_000  # more than a socket's buffers hold of answers that nobody reads


def ask(raw: RawAssociation, patient_id: str = "") -> None:
    identifier = Dataset()
    for path in ATTRIBUTES:
        if known(path, Level.STUDY) and "." not in path and ATTRIBUTES[path].column not in COSTLY:
            setattr(identifier, path, None)
    identifier.QueryRetrieveLevel, identifier.PatientID = "STUDY", patient_id
    command = command_set(
        element(0x0002, ui(STUDY_ROOT)),
        element(0x0100, us(0x0020)),
        element(0x0110, us(1)),
        element(0x0700, us(0)),
        element(0x0800, us(0)),
    )
    raw.send(p_data(1, command, command=True, last=True))
    raw.send(p_data(1, encoded(identifier, EXPLICIT), command=False, last=True))


def rest_of(raw: RawAssociation) -> tuple[int, int, str]:
    """Return (pending answers, last status, its comment)."""
    count = 0
    while (answer := raw.answer()).status == PENDING:
        count += 1
    return count, answer.status, answer.comment


def test_a_query_whose_database_goes_away_fails_and_the_next_one_is_answered(tmp_path):
    with postgres.cluster() as cluster:
        url = cluster.create("node")
        with faults.serving(tmp_path, PACS_DATABASE_URL=url) as node:
            made = node.command("sample-index", f"--studies={STUDIES}", "--instances-per-study=1")
            assert made.returncode == 0, made.stderr
            with RawAssociation(node.dicom_port) as raw:
                raw.associate((1, STUDY_ROOT, (EXPLICIT,)))
                ask(raw)
                assert raw.answer().status == PENDING
                cluster.stop("immediate")
                count, status, comment = rest_of(raw)
                assert 0 < count < STUDIES - 1
                assert (status, comment) == (
                    OUT_OF_RESOURCES,
                    "the index does not answer: try again",
                )
                ask(raw)
                assert rest_of(raw)[:2] == (0, OUT_OF_RESOURCES)
                cluster.start()
                ask(raw, "nobody")
                assert rest_of(raw)[:2] == (0, SUCCESS)
                ask(raw)
                assert rest_of(raw)[:2] == (STUDIES, SUCCESS)
