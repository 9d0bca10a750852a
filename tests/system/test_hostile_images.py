"""What broke other servers, tried here: kept or refused by C-STORE, looked at over DICOMweb.

The list follows the weaknesses that were published for Orthanc (CVE-2026-5437 to CVE-2026-5445):
sizes that overflow, palettes and their indices, compressed streams that lie, PAM in pixels,
Content-Length and compressed bodies of HTTP requests that promise gigabytes.
"""

from __future__ import annotations

import gzip
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from pydicom.encaps import encapsulate

from pacs_common.tickets import TicketIssuer
from tests.support import roles
from tests.support.data_sets import ct, encoded
from tests.support.node_under_fault import assert_kept, small_object, store, wait_serving
from tests.support.process_tree import command_line, peak_rss_bytes, tree
from tests.support.raw_association import CT_IMAGE, EXPLICIT, RawAssociation

STUDY = "1.2.826.0.1.99.20"
PEAK_BYTES = 400 << 20  # of one process
JPEG, RLE, JPEG_2000 = (f"1.2.840.10008.1.2.{n}" for n in ("4.50", "5", "4.90"))
SIDE = 16

pytestmark = pytest.mark.slow


def wide(keyword: str, number: int) -> bytes:
    """Return Rows or Columns as an Unsigned Long, which no image has (CVE-2026-5442)."""
    tag = {"Rows": 0x0010, "Columns": 0x0011}[keyword]
    return struct.pack("<HH2sHL", 0x0028, tag, b"UL", 4, number)


def with_wide_sides(data_set: bytes, rows: int, columns: int) -> bytes:
    for keyword, number in (("Rows", rows), ("Columns", columns)):
        tag = {"Rows": 0x0010, "Columns": 0x0011}[keyword]
        short = struct.pack("<HH2sHH", 0x0028, tag, b"US", 2, SIDE)
        assert short in data_set
        data_set = data_set.replace(short, wide(keyword, number))
    return data_set


def palette(**changes: object) -> dict[str, object]:
    """Return the elements of a palette image whose indices go beyond its table."""
    table = struct.pack("<256H", *range(0, 65536, 256))
    own: dict[str, object] = {
        "PhotometricInterpretation": "PALETTE COLOR",
        "BitsAllocated": 16,
        "BitsStored": 16,
        "HighBit": 15,
        "PixelData": b"\xff" * (2 * SIDE * SIDE),
    }
    for colour in ("Red", "Green", "Blue"):
        own[f"{colour}PaletteColorLookupTableDescriptor"] = [256, 0, 16]
        own[f"{colour}PaletteColorLookupTableData"] = table
    return own | changes


def images() -> Iterator[tuple[str, str, bytes]]:
    """Yield (name, transfer syntax, encoded data set); the number in its UID is its place."""

    def made(number: int, **attributes: object) -> bytes:
        return encoded(ct(number, study=STUDY, series=f"{STUDY}.1", **attributes))

    descriptor = "RedPaletteColorLookupTableDescriptor"
    short = b"\x01\x02" * 8
    fragments = {"PixelData": encapsulate([b"\xff\xd8\xff\xc0\x00\x0b\x08\xff\xff\xff\xff" * 3])}
    yield "sides of 65,535", EXPLICIT, made(1, Rows=65535, Columns=65535)
    yield "sides as Unsigned Long", EXPLICIT, with_wide_sides(made(2), 0x8000_0001, 2)
    yield "no sides", EXPLICIT, made(3, Rows=0, Columns=0)
    yield "two thousand million frames", EXPLICIT, made(4, NumberOfFrames="2000000000")
    yield "less than no frames", EXPLICIT, made(5, NumberOfFrames="-1")
    yield "65,535 samples", EXPLICIT, made(6, SamplesPerPixel=65535)
    yield "no bits", EXPLICIT, made(7, BitsAllocated=0, BitsStored=0, HighBit=0)
    yield "more bits stored than there are", EXPLICIT, made(8, BitsStored=64, HighBit=63)
    yield "indices beyond the palette", EXPLICIT, made(9, **palette())
    yield (
        "a palette shorter than it says",
        EXPLICIT,
        made(
            10, **palette(**{descriptor: [0, 65535, 16], "RedPaletteColorLookupTableData": short})
        ),
    )
    yield "a palette without a table", EXPLICIT, made(11, PhotometricInterpretation="PALETTE COLOR")
    yield (
        "PAM in the pixels",
        EXPLICIT,
        made(
            12,
            PixelData=b"P7\nWIDTH 4294967295\nHEIGHT 4294967295\nDEPTH 4\nMAXVAL 255\nENDHDR\n" * 8,
        ),
    )
    yield (
        "a lookup table of modality beyond its pixels",
        EXPLICIT,
        made(13, RescaleSlope="1e308", RescaleIntercept="-1e308", WindowWidth="1e-308"),
    )
    for number, syntax in ((14, JPEG), (15, RLE), (16, JPEG_2000)):
        ds = ct(number, study=STUDY, series=f"{STUDY}.1", **fragments)
        ds["PixelData"].is_undefined_length = True
        yield f"a compressed stream that lies ({syntax})", syntax, encoded(ds, syntax)
    rle = struct.pack("<16L", 15, *([0xFFFF_FFF0] * 15)) + b"\x81" * 100
    ds = ct(17, study=STUDY, series=f"{STUDY}.1", PixelData=encapsulate([rle]))
    ds["PixelData"].is_undefined_length = True
    yield "RLE segments beyond the stream", RLE, encoded(ds, RLE)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[roles.Role]:
    node = roles.node(tmp_path_factory.mktemp("hostile"))
    with roles.running(node):
        wait_serving(node)
        yield node


@pytest.fixture(scope="module")
def bearer(node: roles.Role, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    key = tmp_path_factory.mktemp("portal") / "key"
    issuer = TicketIssuer.at("portal", key, Path(node.env["PACS_TRUST_DIR"]))
    return {"Authorization": f"Bearer {issuer.issue('CT', ['dicomweb'], subject='test')}"}


def processes(node: roles.Role) -> dict[int, str]:
    assert node.process is not None
    return {pid: command_line(pid) for pid in tree(node.process.pid)}


def assert_unharmed(node: roles.Role, before: dict[int, str], what: str) -> None:
    """The same processes live, none of them large."""
    assert before.items() <= processes(node).items(), f"{what}: {node.log[-3000:]}"
    peaks = {before[pid][-40:]: peak_rss_bytes(pid) for pid in before}
    assert max(peaks.values()) < PEAK_BYTES, f"{what}: {peaks}"


def test_images_made_to_hurt_are_kept_or_refused_and_looking_at_them_harms_nothing(node, bearer):
    before = processes(node)
    sent = {}
    for number, (name, syntax, data_set) in enumerate(images(), 1):
        uid = f"{STUDY}.1.{number}"
        with RawAssociation(node.dicom_port).associate((1, CT_IMAGE, (syntax,))) as association:
            status = association.store(uid, data_set).status
            association.release()
        assert status == 0 or status in range(0xA700, 0xD000), f"{name}: 0x{status:04X}"
        if status == 0:
            sent[uid] = data_set
            for path in ("rendered", "thumbnail", "frames/1", "metadata"):
                address = f"/dicom-web/studies/{STUDY}/series/{STUDY}.1/instances/{uid}/{path}"
                answer = httpx.get(f"{node.url}{address}", headers=bearer, timeout=60)
                known = {200, 400, 404, 406, 415, 500, 503}
                assert answer.status_code in known, f"{name}: {path}: {answer.status_code}"
                assert answer.status_code != 500, f"{name}: {path}: {node.log[-3000:]}"
        assert_unharmed(node, before, name)
    assert len(sent) > 5, "hardly anything was kept: the test shows nothing"
    assert_kept(node, sent)


def test_a_content_length_of_gigabytes_reserves_no_memory(node, bearer):
    before = processes(node)
    token = bearer["Authorization"]
    for method, address in (
        ("PUT", f"/api/custody/studies/{STUDY}/instances/1.2.3"),
        ("POST", "/api/custody/evictions"),
        ("POST", "/dicom-web/studies"),
    ):
        for length in (4 << 30, 2**63):
            with socket.create_connection(("127.0.0.1", node.http_port), 10) as connection:
                head = f"{method} {address} HTTP/1.1\r\nHost: n\r\nAuthorization: {token}\r\n"
                connection.sendall(f"{head}Content-Length: {length}\r\n\r\n".encode() + bytes(9000))
                time.sleep(0.2)
        assert_unharmed(node, before, f"{method} {address}")
    assert httpx.get(f"{node.url}/healthz", timeout=30).status_code == 200


def test_a_compressed_body_is_not_inflated(node, bearer):
    before = processes(node)
    bomb = gzip.compress(bytes(256 << 20), 9)
    for address in ("/api/custody/evictions", "/dicom-web/studies"):
        answer = httpx.post(
            f"{node.url}{address}",
            headers={**bearer, "Content-Encoding": "gzip", "Content-Type": "application/json"},
            content=bomb,
            timeout=60,
        )
        assert 400 <= answer.status_code < 500
        assert_unharmed(node, before, address)
    uid, data_set = small_object(999)
    assert store(node, uid, data_set).status == 0
