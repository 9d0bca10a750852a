"""Objects and associations of any length pass in constant memory."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator

import pytest

from tests.support import roles
from tests.support.data_sets import ct, encoded
from tests.support.node_under_fault import (
    SOAK,
    data_set_digest,
    indexed,
    left_overs,
    objects,
    query,
    scp_processes,
    serving,
    small_object,
)
from tests.support.process_tree import peak_rss_bytes
from tests.support.raw_association import EXPLICIT, RawAssociation

LIMIT_BYTES = 200 << 20
LONG_BYTES = (2 << 30) - (64 << 20) if SOAK else 300 << 20
MANY = 20_000 if SOAK else 2_000
ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2.1"
CHUNK_BYTES = 1 << 20
PLACEHOLDER = 30_000
TEMPLATE = small_object(PLACEHOLDER)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800 if SOAK else 180)]


@pytest.fixture
def node(tmp_path):
    with serving(tmp_path) as node:
        yield node


def multi_frame(size_bytes: int) -> tuple[str, Iterator[bytes]]:
    """Return a multi-frame object as (UID, its encoded data set, made while it is read)."""
    side = 1024
    frames = size_bytes // (2 * side * side)
    ds = ct(
        1, Rows=side, Columns=side, NumberOfFrames=str(frames), SOPClassUID=ENHANCED_CT,
        PixelData=None,
    )  # fmt: skip
    header = encoded(ds)
    pixels = 2 * side * side * frames
    noise = hashlib.shake_128(b"pixels").digest(CHUNK_BYTES)

    def chunks() -> Iterator[bytes]:
        yield header
        yield struct.pack("<HH2sHL", 0x7FE0, 0x0010, b"OW", 0, pixels)
        for start in range(0, pixels, CHUNK_BYTES):
            number = struct.pack("<Q", start)
            yield number + noise[len(number) : min(CHUNK_BYTES, pixels - start)]

    return str(ds.SOPInstanceUID), chunks()


def hashed(chunks: Iterator[bytes], digest) -> Iterator[bytes]:
    for chunk in chunks:
        digest.update(chunk)
        yield chunk


def assert_small(node: roles.Role) -> None:
    peaks = {pid: peak_rss_bytes(pid) >> 20 for pid in scp_processes(node)}
    assert max(peaks.values()) < LIMIT_BYTES >> 20, f"peak memory in MB by process: {peaks}"


def test_a_long_multi_frame_object_passes_in_constant_memory(node):
    uid, chunks = multi_frame(LONG_BYTES)
    digest = hashlib.sha256()
    with RawAssociation(node.dicom_port, 300).associate((1, ENHANCED_CT, (EXPLICIT,))) as sender:
        answer = sender.store(uid, hashed(chunks, digest), 1, ENHANCED_CT)
        sender.release()
    assert answer.status == 0, answer.comment
    assert indexed(node)[uid] == digest.hexdigest() == data_set_digest(objects(node)[uid])
    assert not left_overs(node)
    assert_small(node)


def test_thousands_of_instances_in_one_association_pass_in_constant_memory(node):
    with RawAssociation(node.dicom_port, 60).associate() as association:
        for number in range(1, MANY + 1):
            uid, data_set = instance(number)
            assert association.store(uid, data_set).status == 0
        association.release()
    assert query(node, "SELECT count(*) FROM dicom_node_instance") == [(MANY,)]
    assert_small(node)


def instance(number: int) -> tuple[str, bytes]:
    """Return another instance of one series: the template with another UID of equal length."""
    uid = TEMPLATE[0].replace(str(PLACEHOLDER), str(PLACEHOLDER + number))
    return uid, TEMPLATE[1].replace(TEMPLATE[0].encode(), uid.encode())
