"""Small bodies that would grow to gigabytes in the portal, before any node sees them."""

from __future__ import annotations

import io
import resource
import struct
import zlib

import pytest
from django.test import Client
from pydicom.uid import DeflatedExplicitVRLittleEndian

from pacs_common.errors import BadInput, TooLarge
from pacs_web.dicomweb.body import study_in
from pacs_web.dicomweb.elements import read_elements
from pacs_web.dicomweb.results import MOST_PARTS, require_results
from tests.web.made_studies import CT_STUDY, file_bytes
from tests.web.node_stand_in import StandIn
from tests.web.test_dicomweb_storing import BOUNDARY, KIND, problem_of, report_of, store

pytestmark = pytest.mark.slow

GROWN_BYTES = 512 << 20
MOST_MEMORY_BYTES = 256 << 20


def deflated(grown_bytes: int = 0) -> bytes:
    """Return a deflated report whose last text inflates to so many bytes."""
    report = report_of(CT_STUDY)
    report.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    stream = io.BytesIO(file_bytes(report))
    head_bytes = 144 + int.from_bytes(stream.getbuffer()[140:144], "little")
    head = stream.read(head_bytes)
    plain = zlib.decompress(stream.read(), -zlib.MAX_WBITS)
    engine = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    made = engine.compress(plain)
    if grown_bytes:
        made += engine.compress(struct.pack("<HH2sHL", 0x0041, 0x0010, b"UT", 0, grown_bytes))
        made += b"".join(engine.compress(b" " * (1 << 20)) for _ in range(grown_bytes >> 20))
    return head + made + engine.flush()


def growth(ask) -> int:
    """Return by how many bytes the most memory that this process had grew."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    ask()
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) << 10


def body_of(*files: bytes) -> bytes:
    parts = [f"--{BOUNDARY}\r\nContent-Type: a/b\r\n\r\n".encode() + one + b"\r\n" for one in files]
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def test_a_deflated_report_is_read_and_kept_as_it_came(ct: StandIn, clinician: Client) -> None:
    assert study_in("application/dicom", deflated()) == CT_STUDY
    whole = deflated()
    assert require_results("application/dicom", iter([whole]), CT_STUDY) == whole


def test_looking_for_the_study_inflates_no_bomb() -> None:
    bomb = deflated(GROWN_BYTES)
    assert len(bomb) < 1 << 20
    assert growth(lambda: study_in("application/dicom", bomb)) < MOST_MEMORY_BYTES
    assert study_in("application/dicom", bomb) == CT_STUDY


def test_looking_at_results_inflates_no_bomb() -> None:
    bomb = deflated(GROWN_BYTES)

    def look() -> None:
        require_results(KIND, iter([body_of(bomb)]), CT_STUDY)

    assert growth(look) < MOST_MEMORY_BYTES


def test_a_body_of_a_million_nothings_is_refused(nodes: object, clinician: Client) -> None:
    with pytest.raises(TooLarge):
        require_results(KIND, iter([body_of(*[b""] * (MOST_PARTS + 1))]), CT_STUDY)
    assert store(clinician, body_of(file_bytes(report_of(CT_STUDY)), b"")).status_code == 400


def test_ten_thousand_parts_of_a_clinician_reach_no_node(
    nodes: dict[str, StandIn], clinician: Client
) -> None:
    content = body_of(file_bytes(report_of(CT_STUDY)), *[b""] * 10_000)
    answers = []
    assert growth(lambda: answers.append(store(clinician, content))) < MOST_MEMORY_BYTES
    assert problem_of(answers[0])[0] == 413
    assert not [asked for asked in nodes["CT"].asked if asked.startswith("POST")]


@pytest.mark.parametrize("file", [b"", b"DICM", b"\0" * 200])
def test_what_is_no_file_is_told(file: bytes) -> None:
    with pytest.raises(BadInput):
        read_elements(file, 100, lambda tag, _vr, _length: tag.group > 8)
