"""Every real image, pixel by pixel beside other people's programs: tolerance one shade of 255.

Grayscale without loss (native, RLE, .70, JPEG-LS) and palettes are compared with DCMTK, in an
explicit window and as the image itself asks to be seen; all else with pydicom's own steps.
"""

import subprocess

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom import uid
from pydicom.pixels import apply_color_lut, apply_modality_lut, pixel_array

from dicom_node.render.image_format import transfer_syntax_of
from dicom_node.render.rendition import RenderOptions, picture
from pacs_common.errors import ArgensError
from tests.node.render_images import read, real_files
from tests.support.services import require

EXPLICIT = (100.0, 700.0)
BY_DCMTK = {
    *(uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian, uid.ExplicitVRBigEndian),
    *(uid.DeflatedExplicitVRLittleEndian, uid.RLELossless),
    *(uid.JPEGLosslessSV1, uid.JPEGLSLossless),
}
ONE_CHANNEL = ("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR")
PADDED = "DCMTK counts padding among the values of the image"
UNREAD = "DCMTK does not read {}"
NOT_BY_DCMTK = {  # compared with pydicom instead
    "rtdose_expb.dcm": "DCMTK takes 32-bit cells of big endian for pairs of words",
    "rtdose_expb_1frame.dcm": "DCMTK takes 32-bit cells of big endian for pairs of words",
    "seg_image_sm_control_labelmap.dcm": PADDED,
    "CT1_UNC.fragmented_bot_jpeg_ls.80.dcm": PADDED,
    "CT1_UNC.fragmented_no_bot_jpeg_ls.80.dcm": PADDED,
    "CT1_UNC.not_fragmented_bot_jpeg_ls.80.dcm": PADDED,
    "gdcm-US-ALOKA-16.dcm": UNREAD.format("a segmented palette"),
    "parametric_map_double_float.dcm": UNREAD.format("floating point"),
    "parametric_map_float.dcm": UNREAD.format("floating point"),
    "JLSL_08_07_0_1F.dcm": UNREAD.format("seven bits of JPEG-LS"),
}
NOT_COMPARED = {
    "MR_truncated.dcm": "its pixels end early: refused",
    "badVR.dcm": "its attributes are no numbers: refused",
    "meta_missing_tsyntax.dcm": "it has no image: refused",
    "nested_priv_SQ.dcm": "it has no image: refused",
    "JPEG2000-embedded-sequence-delimiter.dcm": "its codestream is broken: refused",
    "example3.dcm": "its codestream is broken: refused",
    "liver_rle.dcm": "neither DCMTK nor pydicom read single bits as run lengths",
    "liver_nonbyte_aligned_rle.dcm": "neither DCMTK nor pydicom read single bits as run lengths",
    "liver_deflate.dcm": "neither DCMTK nor pydicom know this transfer syntax",
    "liver_nonbyte_aligned_deflate.dcm": "neither DCMTK nor pydicom know this transfer syntax",
    "JPEG-lossy.dcm": "pydicom has no decoder for twelve bits of lossy JPEG",
    "CTImage.dcm_JPEGProcess10_12TransferSyntax_1.2.840.10008.1.2.4.55.dcm": "retired, only here",
    "CTImage.dcm_JPEGProcess6_8TransferSyntax_1.2.840.10008.1.2.4.53.dcm": "retired, only here",
}
DCT = (uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit)
DCT_SHADES = 8  # decoders of a lossy JPEG need not agree: cosines and chroma are rounded freely
OTHERWISE = {  # name: the greatest difference, and why it is larger
    "CTImage.dcm_JPEGProcess1TransferSyntax_1.2.840.10008.1.2.4.50.dcm": (
        21,
        "one stored value is twenty shades in this narrow window",
    ),
    "HTJ2K_08_RGB.dcm": (255, "where the codestream overshoots, pydicom turns white to black"),
}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]


def named_window(ds):
    """Return (center, width) that the first frame names, read in the plainest way."""
    places = [ds]
    for sequence in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
        group = (ds.get(sequence) or [pydicom.Dataset()])[0]
        places = [*group.get("FrameVOILUTSequence", []), *places]
    for place in places:
        center, width = place.get("WindowCenter"), place.get("WindowWidth")
        if center in (None, "") or width in (None, ""):
            continue
        first = [float(np.atleast_1d(value)[0]) for value in (center, width)]
        if first[1] >= 1:
            return tuple(first)
    return None


def by_dcmtk(path, ds, window, target):
    """Return the picture that DCMTK makes, None where it makes none."""
    if not str(ds.PhotometricInterpretation).startswith("MONOCHROME"):
        option = []
    elif window:
        option = ["+Ww", *map(str, window)]
    elif "VOILUTSequence" in ds:
        option = ["+Wl", "1"]
    else:
        option = ["+Wm"]
    is_jpeg_ls = transfer_syntax_of(ds) == uid.JPEGLSLossless
    tool = require("dcml2pnm") if is_jpeg_ls else require("dcmj2pnm")
    target.unlink(missing_ok=True)
    command = [tool, *option, "--write-png", str(path), str(target)]
    subprocess.run(command, check=False, capture_output=True)
    return np.asarray(Image.open(target)) if target.exists() else None


def by_pydicom(ds, window):
    """Return the picture of frame 1 as pydicom's functions and the formula of C.11.2 make it."""
    values = pixel_array(ds, index=0, raw=False)
    if ds.PhotometricInterpretation == "PALETTE COLOR":
        bits = ds.RedPaletteColorLookupTableDescriptor[2]
        return eight_bits_of_colours(apply_color_lut(values, ds), bits)
    if values.ndim == 3:
        return eight_bits_of_colours(values, ds.BitsStored)
    scaling = scaling_of(ds)
    padding = ds.get("PixelPaddingValue")
    image = values if padding is None or (values == padding).all() else values[values != padding]
    values, image = (apply_modality_lut(part, scaling).astype(float) for part in (values, image))
    center, width = window or spanned(image)
    if width == 1:
        return np.where(values <= center - 0.5, 0, 255)
    shades = np.clip(((values - (center - 0.5)) / (width - 1) + 0.5) * 255, 0, 255)
    return np.rint(255 - shades if ds.PhotometricInterpretation == "MONOCHROME1" else shades)


def scaling_of(ds):
    """Return the item that rescales frame 1, where the image has functional groups."""
    for sequence in ("PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence"):
        for group in (ds.get(sequence) or [])[:1]:
            if "PixelValueTransformationSequence" in group:
                return group.PixelValueTransformationSequence[0]
    return ds


def spanned(image):
    low, high = image.min(), image.max()
    if 0 < high - low < 1:  # LINEAR_EXACT, said as LINEAR
        return (low + high) / 2 + 0.5, high - low + 1
    return (low + high + 1) / 2, high - low + 1


def eight_bits_of_colours(values, bits):
    values = values[..., :3].astype(int)
    return values >> (bits - 8) if bits > 8 and values.max() > 255 else values


def difference(ours, theirs):
    """Return the greatest difference of two pictures, infinite where they have other shapes."""
    if ours.shape != theirs.shape:
        return np.inf
    return np.abs(ours.astype(int) - theirs.astype(int)).max()


def is_for_dcmtk(ds):
    gray = ds.get("PhotometricInterpretation") in ONE_CHANNEL
    return gray and transfer_syntax_of(ds) in BY_DCMTK


def ours_of(ds, window):
    options = RenderOptions(window=(*window, "LINEAR") if window else None)
    return picture(ds, 0, options).shades


def compared_images():
    return [(path, read(path)) for path in real_files() if path.name not in NOT_COMPARED]


def test_grayscale_without_loss_looks_as_dcmtk_shows_it(tmp_path):
    wrong, compared, excepted = [], 0, set()
    for path, ds in compared_images():
        if not is_for_dcmtk(ds):
            continue
        gray = ds.PhotometricInterpretation != "PALETTE COLOR"
        for window in (EXPLICIT, None) if gray else (None,):
            shown = window or named_window(ds)
            theirs = by_dcmtk(path, ds, shown, tmp_path / "theirs.png")
            found = np.inf if theirs is None else difference(ours_of(ds, window), theirs)
            compared += 1
            if found > 1 and path.name in NOT_BY_DCMTK:
                excepted.add(path.name)
            elif found > 1:
                wrong.append(f"{path.name} in {shown}: {found}")
    assert wrong == []
    assert excepted == set(NOT_BY_DCMTK) & {path.name for path in real_files()}
    assert compared > 350


def test_all_other_images_look_as_pydicom_computes_them():
    wrong, compared = [], 0
    for path, ds in compared_images():
        if is_for_dcmtk(ds) and path.name not in NOT_BY_DCMTK:
            continue
        found = difference(ours_of(ds, None), by_pydicom(ds, named_window(ds)))
        usual = DCT_SHADES if transfer_syntax_of(ds) in DCT else 1
        if found > OTHERWISE.get(path.name, (usual, ""))[0]:
            wrong.append(f"{path.name}: {found}")
        compared += 1
    assert wrong == []
    assert compared > 100


def test_images_that_nobody_else_reads_are_pictured_or_refused_with_a_line():
    for path in real_files():
        if path.name in NOT_COMPARED:
            try:
                assert ours_of(read(path), None).size
            except ArgensError as error:
                assert NOT_COMPARED[path.name].endswith("refused"), error
