"""Decoding frames, finding codestreams, and the digest that is blind to the transfer syntax."""

import io
import random
import struct

import imagecodecs
import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import uid
from pydicom.encaps import encapsulate, encapsulate_extended
from pydicom.pixels import get_decoder

from dicom_node.render import codecs, pixels
from dicom_node.render.codestreams import j2k_header, jpeg_header
from dicom_node.render.image_format import transfer_syntax_of
from pacs_common.errors import ArgensError, CannotRender
from tests.node.render_images import (
    BUNDLED,
    SHARED,
    big_endian,
    compressed,
    image,
    ramp,
    read,
    real_files,
)

# Real files that hold no picture, and why (a part of the line that a person reads).
REFUSED = {
    "JPEG2000-embedded-sequence-delimiter.dcm": "cannot be decoded",
    "MR_truncated.dcm": "the pixel data end before it",
    "badVR.dcm": "cannot be read",
    "nested_priv_SQ.dcm": "BitsAllocated is missing",
    "meta_missing_tsyntax.dcm": "BitsAllocated is missing",
    "example3.dcm": "cut off",
}
# pydicom itself keeps what exceeds Bits Stored, or has no (or a wrong) decoder.
NOT_COMPARED = {
    "jpeg2000-multiframe-multifragments.dcm",
    "liver_deflate.dcm",
    "liver_nonbyte_aligned_deflate.dcm",
    "liver_rle.dcm",
    "liver_nonbyte_aligned_rle.dcm",
}

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::UserWarning")]


def is_reproducible(ds):
    header = codecs.HEADERS.get(transfer_syntax_of(ds))
    return header is None or header(pixels.encapsulated_frame(ds, 0)).reproducible


def test_every_real_image_decodes_as_pydicom_decodes_it_or_says_why_not():
    wrong, compared = [], 0
    for path in real_files():
        ds = read(path)
        try:
            ours = pixels.stored_frame(ds, 0)
        except ArgensError as error:
            if REFUSED.get(path.name, "nothing") not in str(error) or "\n" in str(error):
                wrong.append(f"{path.name}: {error}")
            continue
        if path.name in REFUSED:
            wrong.append(f"{path.name}: decoded all the same")
        elif path.name not in NOT_COMPARED and is_reproducible(ds):
            decoder = get_decoder(transfer_syntax_of(ds))
            theirs, _ = decoder.as_array(ds, index=0, raw=True)
            compared += 1
            if ours.samples.shape != theirs.shape or not np.array_equal(ours.samples, theirs):
                wrong.append(f"{path.name}: other pixels")
    assert wrong == []
    assert compared > 100


def test_every_real_image_has_a_digest():
    for path in real_files()[::7]:
        assert len(pixels.pixel_sha256(read(path))) == 64


@pytest.mark.skipif(not SHARED.is_dir(), reason="../shared/dicom is not here")
def test_one_ct_in_many_transfer_syntaxes_has_one_digest():
    folder = SHARED / "ct-all-transfer-syntaxes"
    lossless = ("1.2.1.dcm", "1.2.2.dcm", "1.2.1.99.dcm", "4.57.dcm", "4.70.dcm", "4.80.dcm")
    paths = [path for path in folder.rglob("CTImage.dcm_*") if path.name.endswith(lossless)]
    paths += list(folder.rglob("CTImage.dcm_RLE*")) + list(folder.rglob("CTImage.dcm_*90.dcm"))
    digests = {pixels.pixel_sha256(read(path)) for path in paths}
    assert len(paths) >= 8
    assert len(digests) == 1


def lossless_forms(ds, frames):
    """Yield `ds` in each lossless syntax that can hold it."""
    unsigned = frames.view(f"u{frames.dtype.itemsize}") & ((1 << ds.BitsStored) - 1)
    yield big_endian(ds)
    for syntax, encode in (
        (uid.JPEGLosslessSV1, lambda f: imagecodecs.jpeg8_encode(f, lossless=True, predictor=1)),
        (uid.JPEGLossless, imagecodecs.ljpeg_encode),
        (uid.JPEGLSLossless, imagecodecs.jpegls_encode),
        (uid.JPEG2000Lossless, lambda f: imagecodecs.jpeg2k_encode(f, codecformat="j2k")),
        (uid.HTJ2KLossless, lambda f: imagecodecs.htj2k_encode(f, reversible=True)),
    ):
        yield compressed(ds, syntax, [bytes(encode(frame)) for frame in unsigned])
    rle = pydicom.dataset.Dataset()
    rle.update(compressed(ds, uid.ExplicitVRLittleEndian, []))
    rle.file_meta = ds.file_meta
    rle.add_new("PixelData", ds["PixelData"].VR, ds.PixelData)
    rle.file_meta = pydicom.dataset.FileMetaDataset(ds.file_meta)
    rle.compress(uid.RLELossless, generate_instance_uid=False)
    yield rle


@pytest.mark.parametrize(
    ("dtype", "low", "high", "bits"),
    [
        (np.uint8, 0, 255, 8),
        (np.uint16, 0, 4095, 12),
        (np.uint16, 0, 65535, 16),
        (np.int16, -2000, 2000, 16),
        (np.int16, -2000, 2000, 12),
    ],
)
def test_the_digest_is_the_same_in_every_lossless_transfer_syntax(dtype, low, high, bits):
    frames = ramp((2, 20, 32), dtype, low, high)
    ds = image(frames, bits_stored=bits)
    expected = pixels.pixel_sha256(ds)
    for form in lossless_forms(ds, frames):
        name = transfer_syntax_of(form).name
        assert np.array_equal(pixels.stored_frame(form, 1).samples, frames[1]), name
        assert pixels.pixel_sha256(form) == expected, name


def test_the_digest_is_blind_to_the_planar_configuration():
    frames = ramp((2, 9, 8, 3), np.uint8, 0, 255)
    by_plane = image(frames, photometric="RGB")
    by_plane.PlanarConfiguration = 1
    by_plane.PixelData = frames.transpose(0, 3, 1, 2).tobytes()
    by_pixel = image(frames, photometric="RGB")
    assert pixels.pixel_sha256(by_plane) == pixels.pixel_sha256(by_pixel)


def test_the_digest_tells_apart_what_differs():
    frames = ramp((2, 20, 32))
    digests = [
        pixels.pixel_sha256(ds)
        for ds in (
            image(frames, bits_stored=12),
            image(frames, bits_stored=13),
            image(frames[::-1], bits_stored=12),
            image(frames[:1], bits_stored=12),
            image(frames.reshape(2, 32, 20), bits_stored=12),
            image(frames.astype(np.int16), bits_stored=13),
            image(frames | 0x8000, bits_stored=12),
            pydicom.Dataset(),
        )
    ]
    assert len(set(digests)) == len(digests)
    assert digests[-1] == pixels.NO_PIXELS_SHA256


def test_pixels_that_cannot_be_decoded_are_digested_as_they_are():
    ds = image(ramp())
    ds.PixelData = ds.PixelData[:-10]
    other = image(ramp())
    other.PixelData = b"\1" + ds.PixelData[1:]
    assert pixels.pixel_sha256(ds) != pixels.pixel_sha256(other)
    assert pixels.pixel_sha256(ds) == pixels.pixel_sha256(ds)


def test_a_lossy_jpeg_is_digested_by_its_codestream():
    frame = bytes(imagecodecs.jpeg8_encode(ramp((40, 50), np.uint8, 0, 255)))
    ds = image(ramp((1, 40, 50), np.uint8, 0, 255))
    lossy = compressed(ds, uid.JPEGBaseline8Bit, [frame])
    native = image(pixels.stored_frame(lossy, 0).samples[np.newaxis])
    assert pixels.pixel_sha256(lossy) != pixels.pixel_sha256(native)


@given(st.integers(2, 15), st.lists(st.integers(0, 65535), min_size=6, max_size=6))
@settings(deadline=None, max_examples=60)
def test_signed_pixels_lose_garbage_above_bits_stored_and_keep_their_sign(bits, cells):
    ds = image(np.array(cells, np.uint16).reshape(1, 2, 3), bits_stored=bits)
    ds.PixelRepresentation = 1
    low = [cell % (1 << bits) for cell in cells]
    expected = [value - (1 << bits) if value >> (bits - 1) else value for value in low]
    frame = pixels.stored_frame(ds, 0)
    assert frame.samples.ravel().tolist() == expected
    clean = {cell >> bits for cell in cells} <= {0} or all(
        cell in (low_bits, value & 0xFFFF)
        for cell, low_bits, value in zip(cells, low, expected, strict=True)
    )
    assert frame.has_outside_bits is not clean


def test_a_high_bit_above_bits_stored_shifts_the_sample_down():
    ds = image(np.array([[[0xABC0, 0x1230]]], np.uint16), bits_stored=12)
    ds.HighBit = 15
    assert pixels.stored_frame(ds, 0).samples.tolist() == [[0xABC, 0x123]]


def test_single_bits_are_read_across_bytes():
    bits = np.random.default_rng(1).integers(0, 2, (3, 5, 7), np.uint8)
    ds = image(bits)
    ds.BitsAllocated = ds.BitsStored = 1
    ds.PixelData = np.packbits(bits.ravel(), bitorder="little").tobytes()
    for index in range(3):
        assert np.array_equal(pixels.stored_frame(ds, index).samples, bits[index])


@pytest.mark.parametrize(
    ("keyword", "dtype"), [("FloatPixelData", "<f4"), ("DoubleFloatPixelData", "<f8")]
)
def test_float_pixels_are_read(keyword, dtype):
    ds = image(ramp((2, 3, 4)))
    values = np.linspace(-1, 1, 24).astype(dtype).reshape(2, 3, 4)
    del ds.PixelData
    ds.BitsAllocated = 8 * values.itemsize
    setattr(ds, keyword, values.tobytes())
    assert np.array_equal(pixels.stored_frame(ds, 1).samples, values[1])
    assert len(pixels.pixel_sha256(ds)) == 64


def test_a_frame_of_many_is_decoded_alone(monkeypatch):
    frames = ramp((9, 16, 16))
    data = [bytes(imagecodecs.jpegls_encode(frame)) for frame in frames]
    ds = compressed(image(frames, bits_stored=12), uid.JPEGLSLossless, data)
    decoded, decode = [], codecs.DECODERS[uid.JPEGLSLossless]
    monkeypatch.setitem(
        codecs.DECODERS,
        uid.JPEGLSLossless,
        lambda stream, form: decoded.append(stream) or decode(stream, form),
    )
    assert np.array_equal(pixels.stored_frame(ds, 5).samples, frames[5])
    assert len(decoded) == 1


def offset_forms(streams):
    """Yield Pixel Data, and extended offsets, in each way that a frame may be found."""
    yield encapsulate(streams, has_bot=True), None
    yield encapsulate(streams, has_bot=False), None
    yield encapsulate(streams, fragments_per_frame=3, has_bot=True), None
    yield encapsulate(streams, fragments_per_frame=3, has_bot=False), None
    data, offsets, lengths = encapsulate_extended(streams)
    yield data, (offsets, lengths)


def test_codestreams_are_found_by_any_offset_table_or_none():
    frames = ramp((4, 16, 16))
    streams = [bytes(imagecodecs.jpegls_encode(frame)) for frame in frames]
    for data, extended in offset_forms(streams):
        ds = compressed(image(frames, bits_stored=12), uid.JPEGLSLossless, streams)
        ds.PixelData = data
        if extended:
            ds.ExtendedOffsetTable, ds.ExtendedOffsetTableLengths = extended
        for index, stream in enumerate(streams):
            assert pixels.encapsulated_frame(ds, index).rstrip(b"\0") == stream.rstrip(b"\0")
        assert pixels.pixel_sha256(ds) == pixels.pixel_sha256(image(frames, bits_stored=12))


def test_a_baseline_jpeg_that_is_labelled_lossless_is_decoded():
    frame = bytes(imagecodecs.jpeg8_encode(ramp((40, 50), np.uint8, 0, 255), level=95))
    ds = compressed(image(ramp((1, 40, 50), np.uint8)), uid.JPEGLosslessSV1, [frame])
    difference = pixels.stored_frame(ds, 0).samples.astype(int) - ramp((40, 50), np.uint8, 0, 255)
    assert np.abs(difference).max() <= 3


def test_a_codestream_that_overshoots_bits_stored_stays_white():
    frames = np.full((1, 8, 8), 4100, np.uint16)
    stream = bytes(imagecodecs.jpeg2k_encode(frames[0], codecformat="j2k"))
    ds = compressed(image(frames, bits_stored=12), uid.JPEG2000Lossless, [stream])
    assert pixels.stored_frame(ds, 0).samples.max() == 4095


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"Rows": None}, "Rows is missing"),
        ({"Rows": 0}, "Rows of 0"),
        ({"Rows": 41}, "the pixel data end before it"),
        ({"BitsAllocated": 12}, "Bits Allocated of 12"),
        ({"NumberOfFrames": "3"}, "the pixel data end before it"),
    ],
)
def test_nonsense_about_the_pixels_is_refused_with_one_line(change, reason):
    with pytest.raises(CannotRender, match=reason):
        ds = image(ramp(), **change)
        pixels.stored_frame(ds, int(change.get("NumberOfFrames", 1)) - 1)


def test_a_frame_that_does_not_exist_is_refused():
    for index in (-1, 1):
        with pytest.raises(CannotRender, match="there is no frame"):
            pixels.stored_frame(image(ramp()), index)


def test_a_codestream_of_another_size_is_refused_before_decoding():
    huge = bytearray(imagecodecs.jpeg8_encode(ramp((40, 50), np.uint8)))
    position = huge.find(b"\xff\xc0") + 5
    huge[position : position + 4] = b"\xff\xff\xff\xff"
    ds = compressed(image(ramp((1, 40, 50), np.uint8)), uid.JPEGBaseline8Bit, [bytes(huge)])
    with pytest.raises(CannotRender, match="65535 x 65535"):
        pixels.stored_frame(ds, 0)


def test_video_and_documents_are_named_as_such():
    video = compressed(image(ramp()), uid.MPEG4HP41, [b"\0" * 100])
    with pytest.raises(CannotRender, match="video"):
        pixels.stored_frame(video, 0)
    assert len(pixels.pixel_sha256(video)) == 64
    document = pydicom.Dataset()
    document.EncapsulatedDocument = b"%PDF"
    document.MIMETypeOfEncapsulatedDocument = "application/pdf"
    with pytest.raises(CannotRender, match="document"):
        pixels.frame_count(document)


@given(st.binary(max_size=300))
@settings(deadline=None, max_examples=200)
def test_codestream_headers_refuse_garbage_with_a_value_or_struct_error(data):
    for read_header in (jpeg_header, j2k_header):
        for prefix in (b"", b"\xff\xd8\xff", b"\xff\x4f\xff\x51"):
            try:
                read_header(prefix + data)
            except (ValueError, struct.error, IndexError):
                pass


def test_a_transfer_syntax_that_is_none_is_told_on_one_line():
    ds = pydicom.dcmread(BUNDLED / "MR_small_RLE.dcm")
    ds.file_meta.TransferSyntaxUID = "1\n2.840.10008.1.2.5"
    with pytest.raises(CannotRender) as refused:
        pixels.stored_frame(ds, 0)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "name", ["CT_small.dcm", "SC_rgb_gdcm_KY.dcm", "MR_small_RLE.dcm", "JPEG2000.dcm"]
)
@given(data=st.data())
@settings(deadline=None, max_examples=25)
def test_a_damaged_real_file_never_raises_anything_but_our_own_errors(name, data):
    raw = bytearray((BUNDLED / name).read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        raw[data.draw(st.integers(132, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        ds = pydicom.dcmread(io.BytesIO(raw), force=True)
        _ = "PixelData" in ds
    except Exception:
        return
    try:
        pixels.stored_frame(ds, 0)
    except ArgensError as error:
        assert "\n" not in str(error)
    assert len(pixels.pixel_sha256(ds)) == 64


@pytest.mark.timeout(30)
def test_tiles_that_do_not_cover_the_image_are_refused_before_a_decoder_loops_over_them():
    stream = bytearray(imagecodecs.htj2k_encode(ramp((64, 64)), reversible=True))
    stream[39] = 31  # YTOsiz, behind YOsiz
    with pytest.raises(ValueError, match="tiles"):
        j2k_header(bytes(stream))
    with pytest.raises(CannotRender):
        pixels.stored_frame(
            compressed(image(ramp((1, 64, 64))), uid.HTJ2KLossless, [bytes(stream)]), 0
        )


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    ("syntax", "encode"),
    [
        (uid.JPEGLosslessSV1, lambda f: imagecodecs.jpeg8_encode(f, lossless=True, predictor=1)),
        (uid.JPEGLSLossless, imagecodecs.jpegls_encode),
        (uid.JPEG2000Lossless, lambda f: imagecodecs.jpeg2k_encode(f, codecformat="j2k")),
        (uid.HTJ2KLossless, lambda f: imagecodecs.htj2k_encode(f, reversible=True)),
    ],
)
def test_a_damaged_codestream_ends_in_pixels_or_in_our_own_error(syntax, encode):
    rng, frames = random.Random(1), ramp((1, 64, 64))
    stream = bytes(encode(frames[0]))
    for _ in range(120):
        damaged = bytearray(stream)
        for _ in range(rng.randint(1, 4)):
            damaged[rng.randrange(len(damaged) if rng.random() < 0.6 else 120)] = rng.randrange(256)
        if rng.random() < 0.2:  # without its end marker one decoder searched for ever
            damaged = damaged[: rng.randrange(2, len(damaged))]
        try:
            pixels.stored_frame(compressed(image(frames), syntax, [bytes(damaged)]), 0)
        except CannotRender as error:
            assert "\n" not in str(error)
