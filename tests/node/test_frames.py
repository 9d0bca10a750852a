"""WADO-RS frames: raw, as stored, as lossless JPEG (PS3.18 10.4.1.1.6)."""

from __future__ import annotations

import zlib

import imagecodecs
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels import pixel_array

from dicom_node.ingest.ingest import Arrival
from dicom_node.render.transcode import COMPRESSED
from tests.node.objects import SERIES, STUDY, ct, encoded, put_away, real_file
from tests.node.web_answers import parts_of, require_problem, stored_bytes, whole

FRAMES = f"/dicom-web/studies/{STUDY}/series/{SERIES}/instances/{SERIES}.1/frames"
EXPLICIT, LOSSLESS_JPEG, RLE = (
    "1.2.840.10008.1.2.1",
    "1.2.840.10008.1.2.4.70",
    "1.2.840.10008.1.2.5",
)
IMPLICIT, DEFLATED = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1.99"
OCTETS = 'multipart/related; type="application/octet-stream"'
JPEG = 'multipart/related; type="image/jpeg"'
LOOP = np.arange(3 * 64 * 64, dtype="<u2").reshape(3, 64, 64) // 16


def loop(**attributes: object):
    """Return an object of three frames."""
    ds = ct(Rows=64, Columns=64, NumberOfFrames=3, **attributes)
    ds.PixelData = LOOP.tobytes()
    return ds


def get(client, numbers: str, accept: str = "*/*", path: str = FRAMES):
    return client.get(f"{path}/{numbers}", headers={"Accept": accept})


@pytest.fixture
def real(real):
    """Take a file of pydicom's in; returns the address of its frames."""
    return lambda name: f"{real(name)}/frames"


@pytest.mark.parametrize(
    "accept",
    [
        "*/*",
        OCTETS,
        "multipart/related; type=application/octet-stream",
        "multipart/related",
        f"{OCTETS}; transfer-syntax=*",
        f'{OCTETS}; transfer-syntax="*"',
        f"{OCTETS}; transfer-syntax={EXPLICIT}",
        f"{OCTETS}; transfer-syntax=1.2.840.10008.1.2.4.81, {OCTETS}; q=0.5",
    ],
)
def test_a_list_of_frames_comes_raw_in_the_order_asked(take, portal, accept):
    take(loop())
    parts = parts_of(get(portal, "3,1", accept))
    assert [part.body for part in parts] == [LOOP[2].tobytes(), LOOP[0].tobytes()]
    assert {part.content_type for part in parts} == {
        f"application/octet-stream; transfer-syntax={EXPLICIT}"
    }


def test_a_comma_may_be_escaped(take, portal):
    take(loop())
    assert len(parts_of(get(portal, "1%2C2"))) == 2


@pytest.mark.parametrize("syntax", [IMPLICIT, DEFLATED])
def test_uncompressed_objects_have_raw_frames_as_stored(ingest, portal, syntax):
    ingest.take(Arrival(on_the_wire(loop(), syntax), syntax))
    for accept in (f"{OCTETS}; transfer-syntax=*", f"{OCTETS}; transfer-syntax={syntax}"):
        (part,) = parts_of(get(portal, "2", accept))
        assert part.body == LOOP[1].tobytes()
        assert part.content_type.endswith(EXPLICIT)


def on_the_wire(ds, syntax: str) -> bytes:
    if syntax != DEFLATED:
        return encoded(ds, syntax)
    engine = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    body = engine.compress(encoded(ds)) + engine.flush()
    return body + b"\0" * (len(body) % 2)


def test_big_endian_frames_come_little_endian(real, portal):
    path = real("MR_small_bigendian.dcm")
    (part,) = parts_of(get(portal, "1", f"{OCTETS}; transfer-syntax=*", path=path))
    same = dcmread(get_testdata_file("MR_small.dcm"))
    assert part.body == same.PixelData[: len(part.body)]


@pytest.mark.parametrize(
    "accept",
    [
        JPEG,
        "multipart/related; type=image/jpeg",
        "multipart/related; type=image/*",
        f"{JPEG}; transfer-syntax={LOSSLESS_JPEG}",
        f"{JPEG}; transfer-syntax=*",
        f"{OCTETS}; q=0.3, {JPEG}; q=0.7",
    ],
)
def test_frames_come_as_lossless_jpeg_equal_to_the_pixels(take, portal, accept):
    take(loop())
    parts = parts_of(get(portal, "1,2,3", accept))
    assert {p.content_type for p in parts} == {f"image/jpeg; transfer-syntax={LOSSLESS_JPEG}"}
    decoded = [imagecodecs.ljpeg_decode(part.body) for part in parts]
    assert np.array_equal(np.stack(decoded), LOOP)


OFFERED = {
    LOSSLESS_JPEG: "image/jpeg",
    "1.2.840.10008.1.2.4.80": "image/jls",
    "1.2.840.10008.1.2.4.90": "image/jp2",
    "1.2.840.10008.1.2.4.201": "image/jphc",
    RLE: "image/dicom-rle",
}


def decoded(frame: bytes, syntax: str) -> np.ndarray:
    """Decode a frame of the loop as a reader of DICOM does."""
    ds = ct(Rows=64, Columns=64)
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = syntax
    ds.PixelData = encapsulate([frame])
    ds["PixelData"].VR, ds["PixelData"].is_undefined_length = "OB", True
    return pixel_array(ds)


def test_every_syntax_that_objects_are_offered_in_is_offered_for_frames():
    assert set(OFFERED) == set(COMPRESSED)


@pytest.mark.parametrize(("syntax", "media_type"), OFFERED.items())
def test_frames_come_in_each_lossless_syntax_equal_to_the_pixels(take, portal, syntax, media_type):
    take(loop())
    for accept in (
        f'multipart/related; type="{media_type}"; transfer-syntax={syntax}',
        f'multipart/related; type="{media_type}"',
        f"multipart/related; type=application/octet-stream; transfer-syntax={syntax}",
    ):
        parts = parts_of(get(portal, "3,2", accept))
        kind = "application/octet-stream" if "octet" in accept else media_type
        assert {p.content_type for p in parts} == {f"{kind}; transfer-syntax={syntax}"}
        for part, index in zip(parts, (2, 1), strict=True):
            assert np.array_equal(decoded(part.body, syntax), LOOP[index])
    single = get(portal, "1", f"{media_type}; transfer-syntax={syntax}")
    assert np.array_equal(decoded(whole(single), syntax), LOOP[0])


@pytest.mark.parametrize("name", ["MR_small_RLE.dcm", "MR_small_jpeg_ls_lossless.dcm"])
def test_compressed_objects_have_frames_in_other_syntaxes(real, portal, name):
    (part,) = parts_of(get(portal, "1", JPEG, real(name)))
    same = pixel_array(dcmread(get_testdata_file("MR_small.dcm")))
    assert np.array_equal(imagecodecs.ljpeg_decode(part.body).view(same.dtype), same)


@pytest.mark.parametrize("media_type", ["image/jpeg", "application/octet-stream"])
def test_one_frame_may_come_as_a_single_part(take, portal, media_type):
    take(loop())
    answer = get(portal, "2", media_type)
    assert answer["Content-Type"].startswith(f"{media_type}; transfer-syntax=")
    assert whole(answer)
    require_problem(get(portal, "1,2", media_type), 406)


def test_stored_codestreams_come_as_they_are(take, portal, layout):
    jpeg = [imagecodecs.jpeg8_encode(f, lossless=True, bitspersample=12) for f in LOOP]
    jpeg = [frame + b"\0" * (len(frame) % 2) for frame in jpeg]
    ds = loop()
    ds.PixelData = encapsulate(jpeg)
    ds["PixelData"].VR, ds["PixelData"].is_undefined_length = "OB", True
    take(ds, LOSSLESS_JPEG)
    for accept in (
        JPEG,
        f"{OCTETS}; transfer-syntax=*",
        f"{OCTETS}; transfer-syntax={LOSSLESS_JPEG}",
    ):
        (part,) = parts_of(get(portal, "2", accept))
        assert part.body == jpeg[1]
        assert part.body in stored_bytes(layout, f"{SERIES}.1")
    (raw,) = parts_of(get(portal, "2"))
    assert raw.body == LOOP[1].tobytes()


@pytest.mark.parametrize(
    ("name", "media_type", "syntax"),
    [
        ("MR_small_RLE.dcm", "image/dicom-rle", RLE),
        ("MR_small_jp2klossless.dcm", "image/jp2", "1.2.840.10008.1.2.4.90"),
        ("MR_small_jpeg_ls_lossless.dcm", "image/jls", "1.2.840.10008.1.2.4.80"),
        ("SC_rgb_jpeg_dcmtk.dcm", "image/jpeg", "1.2.840.10008.1.2.4.50"),
    ],
)
def test_stored_codestreams_have_their_own_media_types(real, portal, name, media_type, syntax):
    path = real(name)
    for params in ("; transfer-syntax=*", f"; transfer-syntax={syntax}"):
        accept = f'multipart/related; type="{media_type}"{params}'
        (part,) = parts_of(get(portal, "1", accept, path))
        assert part.content_type == f"{media_type}; transfer-syntax={syntax}"
        assert part.body in real_file(name)[0]


def test_a_frame_that_one_range_cannot_have_comes_by_the_next(real, portal):
    path = real("SC_ybr_full_422_uncompressed.dcm")
    require_problem(get(portal, "1", JPEG, path), 406)
    (part,) = parts_of(get(portal, "1", f"{JPEG}, {OCTETS}; q=0.5", path))
    assert part.content_type.startswith("application/octet-stream")


@pytest.mark.parametrize("numbers", ["4", "1,4", "99999999"])
def test_a_frame_out_of_range_is_404_and_says_how_many_there_are(take, portal, numbers):
    take(loop())
    assert "1 to 3" in require_problem(get(portal, numbers), 404)


@pytest.mark.parametrize(
    "numbers", ["0", "-1", "one", "1,", "1,,2", "1.5", "²", "1 2", "1-3", "9" * 9, "%00"]
)
def test_what_is_no_list_of_frames_is_400(db, portal, numbers):
    require_problem(get(portal, numbers), 400)


@pytest.mark.parametrize(
    "accept",
    [
        "text/html",
        "application/dicom",
        "multipart/related; type=application/dicom",
        "multipart/related; type=image/jls; transfer-syntax=1.2.840.10008.1.2.4.81",
        f"{OCTETS}; transfer-syntax=1.2.840.10008.1.2.4.91",
        f"{JPEG}; transfer-syntax=1.2.840.10008.1.2.4.50",
        f"{OCTETS}; q=0",
    ],
)
def test_what_cannot_be_made_is_406(take, portal, accept):
    take(loop())
    require_problem(get(portal, "1", accept), 406)


def test_nonsense_about_an_evicted_object_wakes_no_archive(take, portal, layout):
    take(loop())
    put_away(layout, f"{SERIES}.1")
    require_problem(get(portal, "one"), 400)
    require_problem(get(portal, "1", "text/html"), 406)
    require_problem(get(portal, "1"), 503)


def test_an_object_without_pixels_has_no_frames(real, portal):
    require_problem(get(portal, "1", path=real("test-SR.dcm")), 406)
