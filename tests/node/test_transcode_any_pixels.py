"""Any pixels, in any offered transfer syntax: the same values come back, or a clear refusal."""

import io
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import imagecodecs
import numpy as np
import pydicom
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydicom import uid
from pydicom.encaps import generate_fragments, get_frame
from pydicom.filereader import read_dataset

from dicom_node.render import pixels, transcode
from dicom_node.render.codestreams import j2k_header
from pacs_common.errors import CannotRender, NotAcceptable
from tests.node.render_images import BUNDLED, big_endian, compressed, image, ramp, read

EXPLICIT, IMPLICIT = str(uid.ExplicitVRLittleEndian), str(uid.ImplicitVRLittleEndian)
DEFLATED, RLE = str(uid.DeflatedExplicitVRLittleEndian), str(uid.RLELossless)
SV1 = str(uid.JPEGLosslessSV1)

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def reread(data, syntax):
    if syntax == DEFLATED:
        data = pydicom.filereader.zlib.decompress(data, -15)
    ds = read_dataset(io.BytesIO(data), syntax == IMPLICIT, True)
    ds.file_meta = pydicom.dataset.FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = syntax
    return ds


@st.composite
def objects(draw):
    """Draw an image of any depth, sign, colour, layout, byte order and number of frames."""
    allocated = draw(st.sampled_from((8, 16)))
    stored = draw(st.integers(1, allocated))
    signed, samples = draw(st.booleans()), draw(st.sampled_from((1, 1, 3)))
    size = draw(st.integers(1, 3)), draw(st.integers(1, 40)), draw(st.integers(1, 40))
    low = -(1 << (stored - 1)) if signed else 0
    levels = draw(st.sampled_from((1, 2, 1 << (stored // 2), 1 << stored)))
    chance = np.random.default_rng(draw(st.integers(0, 1 << 30)))
    top = low + max(1, min(levels, 1 << stored)) - 1
    values = chance.integers(low, top, (*size, samples), endpoint=True)
    outside = draw(st.integers(0, 9)) == 0 and stored < allocated
    frames = values.astype(f"{'i' if signed else 'u'}{allocated // 8}")
    if outside:
        frames = frames.view(f"u{allocated // 8}") ^ (1 << stored)
    frames = frames.view(f"{'i' if signed else 'u'}{allocated // 8}")
    names = ("RGB", "YBR_FULL") if samples == 3 else ("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR")
    photometric = draw(st.sampled_from(names))
    ds = image(
        frames if samples == 3 else frames[..., 0], bits_stored=stored, photometric=photometric
    )
    if samples == 3 and draw(st.booleans()):
        ds.PlanarConfiguration = 1
        data = frames.transpose(0, 3, 1, 2).tobytes()
        ds.PixelData = data + b"\0" * (len(data) % 2)
    return big_endian(ds) if allocated == 16 and draw(st.booleans()) else ds


def values(ds):
    return [frame.samples for frame in pixels.stored_frames(ds)]


@given(objects(), st.sampled_from(transcode.OFFERED))
@settings(deadline=None, max_examples=400)
def test_pixels_come_back_equal_from_every_offered_syntax_or_are_refused(ds, syntax):
    wanted = values(ds)
    try:
        back = reread(transcode.to_syntax(ds, syntax), syntax)
    except NotAcceptable as error:
        assert syntax in transcode.COMPRESSED
        assert "does not shrink" in str(error) or "bits outside" in str(error)
        return
    found = values(back)
    assert len(found) == len(wanted)
    assert all(
        some.dtype.kind == other.dtype.kind and np.array_equal(some, other)
        for some, other in zip(found, wanted, strict=True)
    )
    assert pixels.pixel_sha256(back) == pixels.pixel_sha256(ds)
    if syntax in transcode.COMPRESSED:
        for index in range(len(wanted)):
            own = get_frame(back.PixelData, index, number_of_frames=len(wanted))
            assert transcode.frame_as(ds, index, syntax) == own
    frames = [transcode.frame_as(ds, index, EXPLICIT) for index in range(len(wanted))]
    assert {len(frame) for frame in frames} == {wanted[0].nbytes}


@given(objects(), st.sampled_from(transcode.OFFERED), st.sampled_from(transcode.OFFERED))
@settings(deadline=None, max_examples=200)
@example(image(ramp((2, 20, 20, 3), np.uint8, 0, 255), photometric="RGB"), SV1, RLE)
def test_pixels_survive_two_syntaxes_one_after_the_other(ds, first, second):
    wanted = values(ds)
    try:
        between = reread(transcode.to_syntax(ds, first), first)
        back = reread(transcode.to_syntax(between, second), second)
    except NotAcceptable:
        return
    assert all(np.array_equal(a, b) for a, b in zip(values(back), wanted, strict=True))


@pytest.mark.parametrize(
    ("syntax", "photometric", "planar"),
    [
        (SV1, "RGB", 0),
        (str(uid.JPEGLSLossless), "RGB", 0),
        (str(uid.JPEG2000Lossless), "YBR_RCT", 0),
        (str(uid.HTJ2KLossless), "YBR_RCT", 0),
        (RLE, "RGB", 1),
    ],
)
def test_colour_is_called_what_it_is_in_each_syntax_and_is_rgb_again_after_it(
    syntax, photometric, planar
):
    frames = ramp((2, 40, 50, 3), np.uint8, 0, 255)
    ds = image(frames, photometric="RGB")
    ds.ExtendedOffsetTable, ds.ExtendedOffsetTableLengths = bytes(16), bytes(16)
    sent = reread(transcode.to_syntax(ds, syntax), syntax)
    assert (sent.PhotometricInterpretation, sent.PlanarConfiguration) == (photometric, planar)
    assert "ExtendedOffsetTable" not in sent
    assert "LossyImageCompression" not in sent
    table, *fragments = generate_fragments(sent.PixelData)
    assert (table, len(fragments)) == (b"", 2)
    back = reread(transcode.to_syntax(sent, EXPLICIT), EXPLICIT)
    assert (back.PhotometricInterpretation, back.PlanarConfiguration) == ("RGB", 0)
    assert back.PixelData == ds.PixelData


@pytest.mark.parametrize("syntax", transcode.COMPRESSED)
def test_ybr_full_stays_ybr_full(syntax):
    frames = ramp((1, 40, 50, 3), np.uint8, 0, 255)
    sent = reread(transcode.to_syntax(image(frames, photometric="YBR_FULL"), syntax), syntax)
    assert sent.PhotometricInterpretation == "YBR_FULL"
    assert np.array_equal(values(sent)[0], frames[0])


def test_what_came_lossy_is_marked_when_it_is_compressed_again_without_loss():
    ds = read(BUNDLED / "JPGExtended.dcm")
    sent = reread(transcode.to_syntax(ds, SV1), SV1)
    assert sent.LossyImageCompression == "01"
    assert np.array_equal(values(sent)[0], values(ds)[0])


def test_elements_behind_the_pixels_and_their_characters_stay():
    ds = image(ramp())
    ds.SpecificCharacterSet = "ISO_IR 192"
    block = ds.private_block(0x7FE1, "ÉPREUVE", create=True)
    block.add_new(1, "LO", "Lefèvre")
    ds.DataSetTrailingPadding = b"\0\0"
    for syntax in transcode.OFFERED:
        back = reread(transcode.to_syntax(ds, syntax), syntax)
        assert back.private_block(0x7FE1, "ÉPREUVE")[1].value in ("Lefèvre", "Lefèvre".encode())
        assert back.DataSetTrailingPadding == b"\0\0"


def test_an_object_of_many_frames_is_written_frame_by_frame():
    ds = image(ramp((200, 64, 64)), bits_stored=12)
    sent = reread(transcode.to_syntax(ds, SV1), SV1)
    tracemalloc.start()
    for syntax in (EXPLICIT, IMPLICIT, RLE, str(uid.JPEGLSLossless)):
        parts = sum(len(part) for part in transcode.encoded(sent, syntax))
        assert parts > 10_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < ds.Rows * ds.Columns * 2 * 20  # 20 of 200 frames


def test_nothing_goes_out_when_the_first_frame_cannot_be_made():
    parts = transcode.encoded(image(ramp() | 0x8000, bits_stored=12), SV1)
    with pytest.raises(NotAcceptable, match="bits outside"):
        next(parts)


def test_frames_of_two_colour_models_are_not_written_under_one_name():
    frames = ramp((1, 8, 8, 3), np.uint8, 0, 255)
    ds = image(frames, photometric="YBR_FULL")
    lossless, lossy = transcode.frame_as(ds, 0, SV1), bytes(imagecodecs.jpeg8_encode(frames[0]))
    both = compressed(ds, uid.JPEGBaseline8Bit, [lossless, lossy])
    both.pop("NumberOfFrames")
    both.NumberOfFrames = 2
    with pytest.raises(CannotRender, match="frames are YBR_FULL and RGB"):
        transcode.to_syntax(both, EXPLICIT)


def test_a_damaged_later_frame_is_never_left_out():
    frames = ramp((2, 20, 20))
    ds = image(frames, bits_stored=12)
    streams = [transcode.frame_as(ds, 0, SV1), b"\xff\xd8junk\xff\xd9"]
    for syntax in (EXPLICIT, RLE):
        with pytest.raises(CannotRender):
            transcode.to_syntax(compressed(ds, SV1, streams), syntax)


class TestRawFrames:
    """Raw frames are what the attributes of their data set say."""

    def jpeg(self, name):
        ds = read(BUNDLED / name)
        return ds, transcode.frame_as(ds, 0, EXPLICIT)

    def test_a_jpeg_called_ybr_full_422_comes_as_ybr_full_422(self):
        ds, frame = self.jpeg("SC_rgb_dcmtk_+eb+cy+np.dcm")
        assert ds.PhotometricInterpretation == "YBR_FULL_422"
        assert len(frame) == ds.Rows * ds.Columns * 2
        native = reread(transcode.to_syntax(ds, EXPLICIT), EXPLICIT)
        native.pop("PhotometricInterpretation")
        native.PhotometricInterpretation = "YBR_FULL_422"
        native.PixelData = frame
        again = pixels.stored_frame(native, 0)
        assert again.photometric == "YBR_FULL"
        wanted = pixels.stored_frame(ds, 0).samples.astype(int)
        rgb = pydicom.pixels.convert_color_space(again.samples, "YBR_FULL", "RGB").astype(int)
        assert np.median(np.abs(rgb - wanted)) <= 2

    def test_a_jpeg_called_rgb_comes_as_rgb(self):
        ds, frame = self.jpeg("SC_rgb_dcmtk_+eb+cr.dcm")
        assert ds.PhotometricInterpretation == "RGB"
        assert frame == pixels.stored_frame(ds, 0).samples.tobytes()

    def test_rgb_in_a_jpeg_called_ybr_full_is_turned_into_it(self):
        ds = read(BUNDLED / "SC_rgb_dcmtk_+eb+cr.dcm")
        ds.PhotometricInterpretation = "YBR_FULL"
        frame = np.frombuffer(transcode.frame_as(ds, 0, EXPLICIT), np.uint8)
        shown = pydicom.pixels.convert_color_space(
            frame.reshape(ds.Rows, ds.Columns, 3), "YBR_FULL", "RGB"
        )
        wanted = pixels.stored_frame(read(BUNDLED / "SC_rgb_dcmtk_+eb+cr.dcm"), 0).samples
        assert np.abs(shown.astype(int) - wanted).max() <= 2

    def test_what_is_called_ybr_rct_comes_as_rgb_by_pixel(self):
        frames = ramp((1, 30, 40, 3), np.uint8, 0, 255)
        syntax = str(uid.JPEG2000Lossless)
        sent = reread(transcode.to_syntax(image(frames, photometric="RGB"), syntax), syntax)
        assert sent.PhotometricInterpretation == "YBR_RCT"
        sent.PlanarConfiguration = 1  # real files say so, though the codestream has no planes
        assert transcode.frame_as(sent, 0, EXPLICIT) == frames[0].tobytes()

    def test_planes_are_given_where_the_data_set_names_planes(self):
        frames = ramp((1, 30, 40, 3), np.uint8, 0, 255)
        sent = reread(transcode.to_syntax(image(frames, photometric="RGB"), RLE), RLE)
        assert transcode.frame_as(sent, 0, EXPLICIT) == frames[0].transpose(2, 0, 1).tobytes()

    def test_whole_chroma_called_half_is_refused(self):
        frames = ramp((1, 30, 40, 3), np.uint8, 0, 255)
        sent = reread(transcode.to_syntax(image(frames, photometric="YBR_FULL"), SV1), SV1)
        sent.PhotometricInterpretation = "YBR_FULL_422"
        with pytest.raises(NotAcceptable, match="called YBR_FULL_422"):
            transcode.frame_as(sent, 0, EXPLICIT)


@pytest.mark.parametrize("syntax", transcode.COMPRESSED)
def test_threads_that_encode_at_once_get_the_frames_that_one_gets(syntax):
    frames = ramp((12, 128, 96)) ^ (np.arange(12, dtype=np.uint16)[:, None, None] << 2)
    ds = image(frames, bits_stored=12)
    alone = [transcode.frame_as(ds, index, syntax) for index in range(12)]
    with ThreadPoolExecutor(8) as threads:
        found = list(
            threads.map(lambda index: transcode.frame_as(ds, index % 12, syntax), range(120))
        )
    assert found == alone * 10


@pytest.mark.parametrize("syntax", [str(uid.JPEG2000Lossless), str(uid.HTJ2KLossless)])
def test_wavelet_codestreams_name_the_sign_that_the_data_set_names(syntax):
    for dtype, low in ((np.int16, -2000), (np.uint16, 0)):
        frame = transcode.frame_as(image(ramp((1, 40, 50), dtype, low, 2000)), 0, syntax)
        assert j2k_header(frame).signed == (low < 0)
