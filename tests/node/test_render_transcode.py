"""Lossless JPEG frames and uncompressed objects, read back by other people's software."""

import io
import subprocess
from dataclasses import replace

import imagecodecs
import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import uid
from pydicom.filereader import read_dataset
from pydicom.pixels import get_decoder

from dicom_node.render import encoders, pixels, transcode
from dicom_node.render.codestreams import jpeg_header
from dicom_node.render.image_format import transfer_syntax_of
from pacs_common.errors import ArgensError, CannotRender, NotAcceptable
from tests.node.render_images import (
    BUNDLED,
    big_endian,
    compressed,
    image,
    ramp,
    read,
    real_files,
)
from tests.support.services import require

SV1 = "1.2.840.10008.1.2.4.70"
EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"
WHY_NOT = (  # the only reasons for which a decodable frame is not offered as lossless JPEG
    "does not shrink",
    "bits outside Bits Stored",
    "pixels of 1 bits",
    "pixels of 32 bits",
    "pixels of 64 bits",
    "floating point pixels",
    "YBR_PARTIAL_422 pixels",
    "colours that decoding changes",
)

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::UserWarning")]


def reread(data, syntax):
    ds = read_dataset(io.BytesIO(data), syntax == IMPLICIT, True)
    ds.file_meta = pydicom.dataset.FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = syntax
    return ds


def decoded_by_pydicom(ds, stream):
    alone = compressed(ds, SV1, [stream], NumberOfFrames=1)
    if ds.SamplesPerPixel > 1:
        alone.pop("PlanarConfiguration", None)
        alone.PlanarConfiguration = 0  # what a codestream is, whatever the raw pixels were
    return get_decoder(uid.JPEGLosslessSV1).as_array(alone, index=0, raw=True)[0]


def _equal_below(some, others, mask):
    return np.array_equal(some.astype(np.int64) & mask, others.astype(np.int64) & mask)


def test_lossless_jpeg_of_real_images_reads_back_exactly_or_is_refused_for_a_known_reason():
    made, wrong = 0, []
    for path in real_files()[::3]:
        ds = read(path)
        try:
            expected = pixels.stored_frame(ds, 0)
            stream = transcode.frame_as(ds, 0, SV1)
        except NotAcceptable as error:
            if not any(reason in str(error) for reason in WHY_NOT):
                wrong.append(f"{path.name}: {error}")
            continue
        except CannotRender:
            continue
        if transfer_syntax_of(ds) == SV1:
            continue  # passed on unchanged
        made += 1
        ours = pixels.stored_frame(compressed(ds, SV1, [stream], NumberOfFrames=1), 0)
        if not np.array_equal(ours.samples, expected.samples):
            wrong.append(f"{path.name}: other pixels by our decoder")
        theirs = decoded_by_pydicom(ds, stream)
        mask = (1 << expected.form.bits_stored) - 1
        if not _equal_below(theirs, expected.samples, mask):
            wrong.append(f"{path.name}: other pixels by pydicom")
    assert wrong == []
    assert made > 30


DEPTHS = [(np.uint8, bits) for bits in range(2, 9)]
DEPTHS += [(dtype, bits) for dtype in (np.uint16, np.int16) for bits in range(2, 17)]


@pytest.mark.parametrize(("dtype", "bits"), DEPTHS)
def test_every_depth_survives_lossless_jpeg(dtype, bits):
    low = -(1 << (bits - 1)) if dtype is np.int16 else 0
    frames = ramp((1, 64, 64), dtype, low, low + (1 << bits) - 1)
    ds = image(frames, bits_stored=bits)
    stream = transcode.frame_as(ds, 0, SV1)
    header = jpeg_header(stream)
    assert header.precision == (8 if dtype is np.uint8 else max(9, bits))
    assert stream[stream.find(b"\xff\xda") + 7] == 1  # predictor 1: first-order, SV1
    again = pixels.stored_frame(compressed(ds, SV1, [stream]), 0)
    assert np.array_equal(again.samples, frames[0])
    unsigned = frames[0].view(f"u{frames.itemsize}") & ((1 << bits) - 1)
    assert np.array_equal(imagecodecs.ljpeg_decode(stream), unsigned)


@pytest.mark.parametrize("photometric", ["RGB", "YBR_FULL"])
def test_colours_survive_lossless_jpeg_unconverted(photometric):
    frames = ramp((1, 40, 50, 3), np.uint8, 0, 255)
    ds = image(frames, photometric=photometric)
    stream = transcode.frame_as(ds, 0, SV1)
    assert np.array_equal(decoded_by_pydicom(ds, stream), frames[0])
    assert np.array_equal(pixels.stored_frame(compressed(ds, SV1, [stream]), 0).samples, frames[0])


@pytest.mark.parametrize("name", ["CT_small.dcm", "MR_small.dcm", "SC_rgb_rle.dcm"])
def test_dcmtk_reads_our_lossless_jpeg_exactly(tmp_path, name):
    ds = pydicom.dcmread(BUNDLED / name)
    expected = pixels.stored_frame(ds, 0).samples
    stream = transcode.frame_as(ds, 0, SV1)
    sent = compressed(ds, SV1, [stream])
    sent.file_meta = pydicom.dataset.FileMetaDataset(ds.file_meta)
    sent.file_meta.TransferSyntaxUID = SV1
    sent.save_as(tmp_path / "sent.dcm", enforce_file_format=True)
    command = [require("dcmdjpeg"), str(tmp_path / "sent.dcm"), str(tmp_path / "back.dcm")]
    subprocess.run(command, check=True, capture_output=True)
    back = pydicom.dcmread(tmp_path / "back.dcm")
    assert np.array_equal(pixels.stored_frame(back, 0).samples, expected)


def test_a_frame_in_the_stored_syntax_is_passed_on_unchanged():
    frames = ramp((3, 20, 20))
    streams = [transcode.frame_as(image(frames, bits_stored=12), index, SV1) for index in range(3)]
    ds = compressed(image(frames, bits_stored=12), SV1, streams)
    assert transcode.frame_as(ds, 2, SV1) == streams[2]


def refusals():
    noise = np.random.default_rng(1).integers(0, 1 << 16, (1, 64, 64), np.uint16)
    single_bits = image(ramp((1, 8, 8), np.uint8, 0, 1))
    single_bits.BitsAllocated = single_bits.BitsStored = 1
    return {
        "does not shrink": image(noise),
        "bits outside Bits Stored": image(ramp() | 0x8000, bits_stored=12),
        "pixels of 32 bits": image(ramp(dtype=np.uint32)),
        "pixels of 1 bits": single_bits,
        "RGB pixels of 1 samples": image(ramp(), photometric="RGB"),
    }


@pytest.mark.parametrize("reason", refusals())
def test_what_lossless_jpeg_cannot_hold_is_refused_with_the_reason(reason):
    with pytest.raises(NotAcceptable, match=reason):
        transcode.frame_as(refusals()[reason], 0, SV1)


def test_a_syntax_that_is_not_offered_is_refused():
    with pytest.raises(NotAcceptable, match="JPEG Baseline"):
        transcode.frame_as(image(ramp()), 0, uid.JPEGBaseline8Bit)
    with pytest.raises(NotAcceptable, match="objects are not offered as JPEG Baseline"):
        transcode.to_syntax(image(ramp()), uid.JPEGBaseline8Bit)


def test_an_encoder_that_lies_is_found_out(monkeypatch):
    honest = encoders.ENCODERS[SV1]
    wrong = replace(honest, encode=lambda samples, *rest: honest.encode(samples ^ 1, *rest))
    monkeypatch.setitem(encoders.ENCODERS, SV1, wrong)
    with pytest.raises(NotAcceptable, match="does not read back equal"):
        transcode.frame_as(image(ramp()), 0, SV1)


@pytest.mark.parametrize("make", [lambda ds: ds, big_endian])
def test_a_raw_frame_is_the_stored_cells_in_little_endian(make):
    frames = ramp((3, 7, 9), np.int16, -500, 500)
    ds = make(image(frames))
    assert transcode.frame_as(ds, 1, EXPLICIT) == frames[1].astype("<i2").tobytes()


def test_a_raw_frame_keeps_the_planes_that_the_data_set_names():
    frames = ramp((2, 4, 6, 3), np.uint8, 0, 255)
    ds = image(frames, photometric="RGB")
    ds.PlanarConfiguration = 1
    ds.PixelData = frames.transpose(0, 3, 1, 2).tobytes()
    assert transcode.frame_as(ds, 1, EXPLICIT) == frames[1].transpose(2, 0, 1).tobytes()


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT])
def test_real_objects_keep_elements_and_pixels_when_written_uncompressed(syntax):
    wrong, done = [], 0
    for path in real_files()[1::5]:
        ds = read(path)
        try:
            form_is_sound = pixels.stored_frame(ds, 0) is not None
            back = reread(transcode.to_syntax(ds, syntax), syntax)
        except ArgensError:
            continue
        done += form_is_sound
        reproducible = ".4.5" not in transfer_syntax_of(ds) and ".4.203" not in ds.file_meta.get(
            "TransferSyntaxUID", ""
        )
        ours, theirs = pixels.stored_frame(ds, 0), pixels.stored_frame(back, 0)
        if not np.array_equal(ours.samples, theirs.samples):
            wrong.append(f"{path.name}: pixels")
        if reproducible and ours.photometric != theirs.photometric:
            wrong.append(f"{path.name}: colours")
        missing = {tag for tag in ds.keys() if tag.element} - set(back.keys())
        if missing - {0x7FE00001, 0x7FE00002}:
            wrong.append(f"{path.name}: {missing}")
    assert wrong == []
    assert done > 40


def test_words_of_big_endian_elements_are_turned():
    ds = big_endian(image(ramp((1, 3, 5))))
    ds.add_new(0x60003000, "OW", b"\x01\x02\x03\x04")
    back = reread(transcode.to_syntax(ds, EXPLICIT), EXPLICIT)
    assert back[0x60003000].value == b"\x02\x01\x04\x03"
    assert np.array_equal(pixels.stored_frame(back, 0).samples, ramp((3, 5)))
    assert ds[0x60003000].value == b"\x01\x02\x03\x04"


def test_colours_of_a_lossy_jpeg_are_labelled_as_they_are_after_decoding():
    ds = read(BUNDLED / "SC_rgb_dcmtk_+eb+cy+np.dcm")
    assert ds.PhotometricInterpretation == "YBR_FULL_422"
    back = reread(transcode.to_syntax(ds, EXPLICIT), EXPLICIT)
    assert back.PhotometricInterpretation == "RGB"
    assert ds.PhotometricInterpretation == "YBR_FULL_422"
    assert (back.PlanarConfiguration, back.LossyImageCompression) == (0, "01")
    assert len(back.PixelData) == ds.Rows * ds.Columns * 3
    assert np.array_equal(back.pixel_array, pixels.stored_frame(ds, 0).samples)


def test_many_frames_of_single_bits_stay_without_gaps():
    bits = np.random.default_rng(2).integers(0, 2, (3, 5, 7), np.uint8)
    streams = [np.packbits(frame.ravel(), bitorder="little").tobytes() for frame in bits]
    deflated = [imagecodecs.zlib_encode(stream)[2:-4] for stream in streams]
    ds = compressed(image(bits), "1.2.840.10008.1.2.8.1", [bytes(stream) for stream in deflated])
    ds.BitsAllocated = ds.BitsStored = 1
    back = reread(transcode.to_syntax(ds, EXPLICIT), EXPLICIT)
    for index in range(3):
        assert np.array_equal(pixels.stored_frame(back, index).samples, bits[index])


@given(st.binary(min_size=24, max_size=24))
@settings(deadline=None, max_examples=40)
def test_every_bit_of_run_length_pixels_stays(data):
    frames = np.frombuffer(data, "<u2").reshape(1, 3, 4)
    ds = image(frames, bits_stored=12)
    rle = compressed(ds, EXPLICIT, [])
    rle.add_new("PixelData", "OW", data)
    rle.compress(uid.RLELossless, generate_instance_uid=False)
    back = reread(transcode.to_syntax(rle, EXPLICIT), EXPLICIT)
    assert back.PixelData == data


def test_an_object_without_pixels_only_changes_its_encoding():
    ds = pydicom.Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.PatientName = "Lefèvre^Jean"
    back = reread(transcode.to_syntax(ds, IMPLICIT), IMPLICIT)
    assert back.PatientName == "Lefèvre^Jean"
