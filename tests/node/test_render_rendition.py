"""Pictures for people: windows to the letter of the standard, colours, thumbnails."""

import io
import math
import subprocess

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from dicom_node.render import rendition, shades
from dicom_node.render.rendition import RenderOptions, rendered, thumbnail
from dicom_node.render.windows import Window
from pacs_common.errors import ArgensError, BadInput, CannotRender, NotAcceptable
from tests.node.render_images import BUNDLED, image, ramp, read, real_files
from tests.support.services import require

PNG = RenderOptions(format="png")

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::UserWarning")]


def picture(ds, index=0, **options):
    data = rendered(ds, index, RenderOptions(format="png", **options))
    return np.asarray(Image.open(io.BytesIO(data)))


def by_the_book(x, center, width, function):
    """PS3.3 C.11.2.1.2.1 and C.11.2.1.3, word for word, for an output from 0 to 255."""
    if function == "SIGMOID":
        return 255 / (1 + math.exp(min(700, -4 * (x - center) / width)))
    if function == "LINEAR_EXACT":
        if x <= center - width / 2:
            return 0
        if x > center + width / 2:
            return 255
        return ((x - center) / width + 0.5) * 255
    if x <= center - 0.5 - (width - 1) / 2:
        return 0
    if x > center - 0.5 + (width - 1) / 2:
        return 255
    return ((x - (center - 0.5)) / (width - 1) + 0.5) * 255


@given(
    st.lists(st.integers(-32768, 32767), min_size=1, max_size=40),
    st.integers(-3000, 3000),
    st.integers(1, 5000),
    st.sampled_from(["LINEAR", "LINEAR_EXACT", "SIGMOID"]),
)
@settings(deadline=None, max_examples=300)
def test_windows_follow_the_formulas_of_the_standard(values, center, width, function):
    ours = shades.windowed(np.array(values, np.float32), Window(center, width, function))
    for value, shade in zip(values, ours, strict=True):
        assert abs(by_the_book(value, center, width, function) - shade) <= 0.51


def test_a_linear_window_of_width_one_is_a_threshold():
    shown = shades.windowed(np.array([9, 10, 11], np.float32), Window(10.5, 1))
    assert shown.tolist() == [0, 0, 255]


def test_monochrome1_is_inverted_exactly_once():
    frames = np.array([[[0, 100], [200, 255]]], np.uint8)
    window = {"WindowCenter": "128", "WindowWidth": "256"}
    normal = picture(image(frames, **window))
    assert normal.tolist() == frames[0].tolist()
    inverse = [
        image(frames, photometric="MONOCHROME1", **window),
        image(frames, photometric="MONOCHROME1", PresentationLUTShape="INVERSE", **window),
        image(frames, PresentationLUTShape="INVERSE", **window),
    ]
    for ds in inverse:
        assert np.array_equal(picture(ds), 255 - normal)
    assert np.array_equal(picture(inverse[0], invert=True), normal)


def test_rescaling_comes_before_the_window():
    ds = image(np.array([[[0, 1024, 2048]]], np.uint16), RescaleSlope="1", RescaleIntercept="-1024")
    shown = picture(ds, window=(0, 2048, "LINEAR_EXACT"))
    assert shown.tolist() == [[0, 128, 255]]


def test_the_first_of_several_windows_is_used_and_nonsense_ones_are_passed_over():
    frames = np.array([[[0, 50, 100]]], np.uint8)
    ds = image(frames, WindowCenter=["9", "50.5"], WindowWidth=["0", "101"])
    assert rendition.default_window(ds) == (50.5, 101)
    assert picture(ds).tolist() == [[0, 128, 255]]


def test_a_missing_window_spans_the_values_without_padding():
    frames = np.array([[[-2000, 0, 1000]]], np.int16)
    assert rendition.default_window(image(frames)) == (-499.5, 3001)
    padded = image(frames)
    padded.add_new("PixelPaddingValue", "SS", -2000)
    assert rendition.default_window(padded) == (500.5, 1001)
    assert picture(padded).tolist() == [[0, 0, 255]]


def test_a_frame_of_one_value_is_black():
    assert picture(image(np.full((1, 4, 4), 77, np.uint8))).max() == 0


def test_float_values_within_one_unit_still_show():
    ds = image(ramp((1, 1, 3)))
    del ds.PixelData
    ds.BitsAllocated = 32
    ds.FloatPixelData = np.array([0.25, 0.5, np.nan, 0.75], "<f4").tobytes()
    ds.Columns = 4
    assert picture(ds).tolist() == [[0, 128, 0, 255]]


def lut(keyword, first, bits, entries, vr="US"):
    item = Dataset()
    item.add_new("LUTDescriptor", vr, [len(entries), first, bits])
    item.add_new("LUTData", "US", entries)
    return {keyword: [item]}


def test_a_voi_lut_is_used_where_no_window_is_asked():
    frames = np.array([[[0, 10, 11, 12, 200]]], np.uint8)
    ds = image(frames, **lut("VOILUTSequence", 10, 12, [0, 2048, 4095]))
    assert picture(ds).tolist() == [[0, 0, 128, 255, 255]]
    assert picture(ds, window=(128, 256, None)).tolist() == frames[0].tolist()


def test_a_modality_lut_comes_before_the_window():
    frames = np.array([[[0, 1, 2]]], np.uint8)
    ds = image(frames, **lut("ModalityLUTSequence", 0, 16, [0, 1000, 500]))
    assert picture(ds, window=(500, 1000, "LINEAR_EXACT")).tolist() == [[0, 255, 128]]


def test_a_table_and_padding_of_signed_pixels_may_be_read_as_unsigned():
    frames = np.array([[[-2, -1, 0]]], np.int16)
    ds = image(frames, **lut("ModalityLUTSequence", 65534, 16, [0, 1000, 500]))
    assert picture(ds, window=(500, 1000, "LINEAR_EXACT")).tolist() == [[0, 255, 128]]
    padded = image(np.array([[[-2000, 0, 1000]]], np.int16))
    padded.add_new("PixelPaddingValue", "US", 65536 - 2000)
    assert rendition.default_window(padded) == (500.5, 1001)


def test_the_first_sample_of_argb_is_no_colour():
    frames = np.array([[[[9, 1, 2, 3]]]], np.uint8)
    assert picture(image(frames, photometric="ARGB")).tolist() == [[[1, 2, 3]]]
    with pytest.raises(CannotRender, match="retired"):
        picture(image(frames, photometric="CMYK"))


def group(sequence, **values):
    item, frame = Dataset(), Dataset()
    for keyword, value in values.items():
        setattr(item, keyword, value)
    setattr(frame, sequence, [item])
    return frame


def test_functional_groups_rule_each_frame_and_shared_ones_all():
    ds = image(np.full((2, 1, 1), 100, np.uint8), RescaleIntercept="7", RescaleSlope="7")
    ds.SharedFunctionalGroupsSequence = [
        group("PixelValueTransformationSequence", RescaleSlope="2", RescaleIntercept="-100")
    ]
    ds.PerFrameFunctionalGroupsSequence = [
        group("FrameVOILUTSequence", WindowCenter="100", WindowWidth="200"),
        group(
            "FrameVOILUTSequence",
            WindowCenter="0",
            WindowWidth="1000",
            WindowCenterWidthExplanation="WIDE",
        ),
    ]
    assert rendition.default_window(ds, 0) == (100, 200)
    assert rendition.window_presets(ds, 1) == [{"name": "WIDE", "center": 0.0, "width": 1000.0}]
    assert (picture(ds, 0).item(), picture(ds, 1).item()) == (128, 153)


def test_a_ct_offers_its_own_windows_and_the_usual_ones():
    ds = image(ramp(), Modality="CT", WindowCenter="45", WindowWidth="350")
    presets = rendition.window_presets(ds)
    assert presets[0] == {"name": "window 1", "center": 45.0, "width": 350.0}
    assert {"name": "lung", "center": -600.0, "width": 1500.0} in presets


def test_a_viewport_shrinks_keeps_the_shape_and_never_enlarges():
    ds = image(ramp((1, 100, 200)))
    assert picture(ds, viewport=(50, 50)).shape == (25, 50)
    assert picture(ds, viewport=(1000, 1000)).shape == (100, 200)
    assert picture(ds, viewport=(1, 1)).shape == (1, 1)


@pytest.mark.parametrize(("aspect", "shape"), [([2, 1], (100, 100)), ([1, 2], (25, 100))])
def test_pixels_that_are_not_square_are_made_square_in_a_viewport(aspect, shape):
    ds = image(ramp((1, 50, 100)), PixelAspectRatio=aspect)
    assert picture(ds, viewport=(100, 100)).shape == shape
    assert picture(ds).shape == (50, 100)


def test_a_thumbnail_shows_the_middle_frame_within_its_size():
    frames = np.stack([np.full((300, 600), value, np.uint8) for value in (0, 200, 0)])
    ds = image(frames, WindowCenter="128", WindowWidth="256")
    shown = Image.open(io.BytesIO(thumbnail(ds)))
    assert (shown.format, shown.size) == ("JPEG", (128, 64))
    assert abs(int(np.asarray(shown).mean()) - 200) <= 2


def test_colours_of_every_model_come_out_as_rgb():
    red = np.zeros((1, 8, 8, 3), np.uint8) + np.array([254, 0, 0], np.uint8)
    ybr = np.zeros((1, 8, 8, 3), np.uint8) + np.array([76, 85, 255], np.uint8)
    wide = red.astype(np.uint16) << 8
    partial = np.zeros((1, 8, 8, 3), np.uint8) + np.array([81, 90, 240], np.uint8)
    for frames, model in (
        (red, "RGB"),
        (ybr, "YBR_FULL"),
        (wide, "RGB"),
        (partial, "YBR_PARTIAL_420"),
    ):
        shown = picture(image(frames, photometric=model)).astype(int)
        assert np.abs(shown - red[0]).max() <= 3, model


@pytest.mark.parametrize(("bits", "scale"), [(8, 1), (16, 257)])
def test_a_palette_of_8_or_16_bits_is_applied(bits, scale):
    ds = image(np.array([[[0, 1, 2]]], np.uint8), photometric="PALETTE COLOR")
    colours = {"Red": [255, 0, 0, 0], "Green": [0, 255, 0, 0], "Blue": [0, 0, 128, 0]}
    for name, values in colours.items():
        entries = np.array(values) * scale
        data = entries.astype("<u1" if bits == 8 else "<u2").tobytes()
        ds.add_new(f"{name}PaletteColorLookupTableDescriptor", "US", [4, 0, bits])
        ds.add_new(f"{name}PaletteColorLookupTableData", "OW", data)
    assert picture(ds).tolist() == [[[255, 0, 0], [0, 255, 0], [0, 0, 128]]]


def test_every_real_image_is_pictured_or_refused_with_one_line():
    shown, refused = 0, []
    for path in real_files():
        ds = read(path)
        try:
            middle = ds.get("NumberOfFrames") or 1
            thumbnail(ds)
            rendition.default_window(ds, 0)
            rendition.window_presets(ds, int(middle) - 1)
            shown += 1
        except ArgensError as error:
            refused.append(path.name)
            assert "\n" not in str(error)
    assert shown > 100
    assert len(refused) <= 8


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (RenderOptions(window=(0, 0, "LINEAR")), BadInput),
        (RenderOptions(window=(0, -1, "SIGMOID")), BadInput),
        (RenderOptions(window=(float("nan"), 1, None)), BadInput),
        (RenderOptions(window=(0, 10, "CUBIC")), BadInput),
        (RenderOptions(window=("x", 10, None)), BadInput),
        (RenderOptions(quality=0), BadInput),
        (RenderOptions(viewport=(0, 10)), BadInput),
        (RenderOptions(format="tiff"), NotAcceptable),
    ],
)
def test_nonsense_is_refused(options, error):
    with pytest.raises(error):
        rendered(image(ramp()), 0, options)


def test_objects_without_a_picture_say_so():
    for ds in (Dataset(), image(ramp(), photometric="RGB")):
        with pytest.raises(CannotRender):
            rendered(ds, 0)


ATTRIBUTES = """Rows Columns SamplesPerPixel BitsAllocated BitsStored HighBit PixelRepresentation
PhotometricInterpretation NumberOfFrames PlanarConfiguration WindowCenter WindowWidth RescaleSlope
RescaleIntercept PixelPaddingValue PixelPaddingRangeLimit PixelSpacing PixelAspectRatio
VOILUTFunction VOILUTSequence ModalityLUTSequence PresentationLUTSequence PresentationLUTShape
SharedFunctionalGroupsSequence PerFrameFunctionalGroupsSequence ShutterShape CenterOfCircularShutter
RadiusOfCircularShutter VerticesOfThePolygonalShutter ShutterLeftVerticalEdge ShutterOverlayGroup
PatientName KVP SeriesNumber RedPaletteColorLookupTableDescriptor
SegmentedRedPaletteColorLookupTableData""".split()
SHAPES = ["CIRCULAR", "RECTANGULAR", "POLYGONAL", "BITMAP"]
NONSENSE = [None, "", 0, -1, 3, 16, 65535, 2**31, "1\\2", "nan", "1e400", "PALETTE COLOR"]
NONSENSE += ["YBR_FULL_422", "INVERSE", SHAPES, [1, 2], [0, 0], [], [Dataset()], b"ab", 1.5]


def written_upon(ds, index):
    options = RenderOptions(annotation=("patient", "technique"), viewport=(7, 5))
    return rendered(ds, index, options)


@given(st.dictionaries(st.sampled_from(ATTRIBUTES), st.sampled_from(NONSENSE), max_size=3))
@settings(deadline=None, max_examples=300)
def test_nonsense_in_any_attribute_ends_in_a_picture_or_in_our_own_error(changes):
    ds = image(ramp((2, 12, 10)), bits_stored=12)
    for keyword, value in changes.items():
        tag = tag_for_keyword(keyword)
        vr = dictionary_VR(tag).split(" ")[0]
        try:
            ds[keyword] = DataElement(tag, vr, value, validation_mode=0)
        except (ValueError, TypeError, OverflowError, AttributeError):
            continue  # cannot be read from a file either
    for use in (rendered, written_upon, rendition.default_window, rendition.window_presets):
        try:
            use(ds, 0)
        except ArgensError as error:
            assert "\n" not in str(error)


@pytest.mark.parametrize("window", [(40, 400), (-600, 1500), (400, 1800), (40, 80)])
@pytest.mark.parametrize("name", ["CT_small.dcm", "MR_small.dcm", "examples_palette.dcm"])
def test_pictures_agree_with_dcmtk(tmp_path, name, window):
    ds = pydicom.dcmread(BUNDLED / name)
    option = [] if "palette" in name else ["+Ww", str(window[0]), str(window[1])]
    target = tmp_path / "theirs.png"
    command = [require("dcm2pnm"), *option, "--write-png", str(BUNDLED / name), str(target)]
    subprocess.run(command, check=True, capture_output=True)
    theirs = np.asarray(Image.open(target)).astype(int)
    ours = picture(ds, window=(*window, "LINEAR"))
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() <= 1


OVERLAY = (0x0010, 0x0011, 0x0015, 0x0040, 0x0050, 0x0051, 0x0100, 0x0102, 0x3000)
NUMBERS = [0, 1, 8, 15, 16, 65535, [0, 0], [-32768, 32767], None]


@given(st.dictionaries(st.sampled_from(OVERLAY), st.sampled_from(NUMBERS)), st.binary(max_size=40))
@settings(deadline=None, max_examples=200)
def test_overlays_without_sense_spoil_no_picture(elements, data):
    ds = image(ramp((2, 12, 10)), bits_stored=12)
    for element, value in {0x0010: 4, 0x0011: 5, 0x0050: [1, 1], 0x0100: 1, **elements}.items():
        ds.add(DataElement((0x6000, element), "SS", value, validation_mode=0))
    if 0x3000 not in elements:
        ds.add_new((0x6000, 0x3000), "OW", data)
    assert picture(ds, 1).shape == (12, 10)


@pytest.mark.parametrize("size", [(1, 1), (1, 20), (20, 1)])
@pytest.mark.parametrize("format_", ["jpeg", "png", "gif"])
def test_pictures_of_one_row_or_column_are_encoded(size, format_):
    rows, columns = size
    for frames, model in (
        (np.zeros((1, rows, columns), np.uint8), "MONOCHROME2"),
        (np.zeros((1, rows, columns, 3), np.uint8), "RGB"),
        (np.zeros((1, rows, columns, 4), np.uint8), "ARGB"),
    ):
        made = rendered(image(frames, photometric=model), 0, RenderOptions(format=format_))
        assert Image.open(io.BytesIO(made)).size == (columns, rows)
