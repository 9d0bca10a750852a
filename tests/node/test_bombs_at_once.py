"""Many bombs at once: every answer is a problem that explains itself, and memory stays bounded."""

from __future__ import annotations

import io
import time
import zlib
from concurrent.futures import ThreadPoolExecutor

import imagecodecs
import numpy as np
import pytest
from django.db import connection
from django.test import Client
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless, JPEGLosslessSV1, JPEGLSLossless, RLELossless

from dicom_node.dicomweb.ranges import Extract, ranged
from dicom_node.ingest import door
from dicom_node.models import Instance
from tests.node.objects import SERIES, STUDY, ct, encoded
from tests.node.stow_bodies import FAILED, as_file, body, meta, poster, uids
from tests.node.test_web_bombs import growth
from tests.node.web_answers import require_problem

pytestmark = pytest.mark.slow

MOST_MEMORY_BYTES = 384 << 20
CLIENTS = 8
DEFLATED = "1.2.840.10008.1.2.1.99"
CT = "1.2.840.10008.5.1.4.1.1.2"
SIDE = 65535
SMALL = np.zeros((16, 16), np.uint16)
RLE = (2).to_bytes(4, "little") + b"\x40\0\0\0\x42\0\0\0" + bytes(52) + b"\x81\0\x81\0"
STREAMS = {
    str(RLELossless): RLE,
    str(JPEGLosslessSV1): imagecodecs.ljpeg_encode(SMALL, bitspersample=16),
    str(JPEGLSLossless): imagecodecs.jpegls_encode(SMALL),
    str(JPEG2000Lossless): imagecodecs.jpeg2k_encode(SMALL, codecformat="j2k", reversible=True),
}


@pytest.fixture
def at_once(layout, transactional_db, ticket):
    """Ask in several threads, each a client of its own, and return all answers."""
    token = ticket("dicomweb", "dicomweb.store", lifetime_s=600)

    def at_once(ask, wanted):
        def one(each):
            try:
                return ask(Client(headers={"Authorization": f"Bearer {token}"}), each)
            finally:
                connection.close()

        with ThreadPoolExecutor(CLIENTS) as pool:
            return list(pool.map(one, wanted))

    yield at_once
    door.close()


def claiming(number: int, syntax: str, stream: bytes):
    """A small compressed picture whose header claims the largest sides that there are."""
    ds = ct(number, Rows=SIDE, Columns=SIDE)
    ds.PixelData = encapsulate([stream])
    ds["PixelData"].VR = "OB"
    ds["PixelData"].is_undefined_length = True
    return ds, syntax


@pytest.mark.timeout(60)
def test_pictures_that_claim_gigabytes_are_told_in_bounded_memory(take, at_once):
    for number, (syntax, stream) in enumerate(STREAMS.items(), 1):
        take(*claiming(number, syntax, stream))
    wanted = [
        f"/dicom-web/studies/{STUDY}/series/{SERIES}/instances/{SERIES}.{number}{path}"
        for path in ("/rendered", "/frames/1?accept=application/octet-stream", "/thumbnail")
        for number in range(1, len(STREAMS) + 1)
    ]
    answers: list = []
    grown = growth(
        lambda: answers.extend(at_once(lambda client, path: client.get(path), wanted * 2))
    )
    assert grown < MOST_MEMORY_BYTES
    for answer in answers:
        require_problem(answer, 406)


def bomb(number: int, grown_bytes: int) -> bytes:
    """A deflated object whose pixels inflate to so much."""
    ds = ct(number)
    plain = encoded(ds)
    engine = zlib.compressobj(1, wbits=-zlib.MAX_WBITS)
    stream = io.BytesIO()
    stream.write(meta(CT, ds.SOPInstanceUID, DEFLATED))
    stream.write(engine.compress(plain[: plain.rindex(b"\xe0\x7f\x10\x00OW")]))
    stream.write(engine.compress(b"\xe0\x7f\x10\x00OW\0\0" + grown_bytes.to_bytes(4, "little")))
    for _ in range(grown_bytes >> 20):
        stream.write(engine.compress(bytes(1 << 20)))
    stream.write(engine.flush())
    return stream.getvalue()


@pytest.mark.timeout(60)
def test_deflated_bombs_at_once_are_refused_and_leave_nothing(at_once, layout):
    bombs = [bomb(number, 96 << 20) for number in range(1, CLIENTS + 1)]
    assert max(map(len, bombs)) < 1 << 20
    answers: list = []
    grown = growth(
        lambda: answers.extend(at_once(lambda client, one: poster(client)(body([one])), bombs))
    )
    assert grown < MOST_MEMORY_BYTES
    for answer in answers:
        assert answer.status_code == 409, answer.content
        assert len(uids(answer, FAILED)) == 1
    assert not Instance.every.exists()
    assert not [path for path in layout.objects.rglob("*") if path.is_file()]


def test_ten_thousand_nothings_are_one_answer(at_once):
    started = time.monotonic()
    (answer,) = at_once(
        lambda client, content: poster(client)(content),
        [body([as_file(ct(1)), *[b""] * 10_000])],
    )
    assert answer.status_code == 202, answer.content[:200]
    assert Instance.objects.count() == 1
    assert time.monotonic() - started < 20


def test_a_flood_of_ranges_is_answered_whole_and_quickly(rf):
    content = bytes(1000)
    floods = [
        "bytes=" + ",".join(f"{n}-{n}" for n in range(10_000)),
        "bytes=" + ",".join(["0-"] * 10_000),
        "bytes=" + "," * 60_000 + "0-0,0-0",
        "bytes=" + ",".join(["-1"] * 10_000),
    ]
    started = time.monotonic()
    for flood in floods:
        request = rf.get("/", headers={"Range": flood})
        answer = ranged(request, Extract(io.BytesIO(content), [(0, 1000)]), "video/mp4")
        assert (answer.status_code, answer.getvalue()) == (200, content)
    assert time.monotonic() - started < 2
