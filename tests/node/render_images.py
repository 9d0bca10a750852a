"""Images for the tests of pixels: made in code, or the real files of pydicom and ../shared."""

import functools
import hashlib
import warnings
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian

BUNDLED = Path(pydicom.__file__).parent / "data" / "test_files"
SHARED = Path(__file__).parents[3] / "shared" / "dicom"


def image(frames, *, bits_stored=None, photometric="MONOCHROME2", **attributes):
    """Return a native little endian object: `frames` is (frames, rows, columns[, samples])."""
    frames = np.asarray(frames)
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.set_original_encoding(False, True, "iso8859")
    ds.SOPInstanceUID, ds.SOPClassUID = "1.2.3", "1.2.840.10008.5.1.4.1.1.7"
    ds.SamplesPerPixel = frames.shape[3] if frames.ndim == 4 else 1
    ds.PhotometricInterpretation = photometric
    if frames.ndim == 4:
        ds.PlanarConfiguration = 0
    ds.NumberOfFrames, ds.Rows, ds.Columns = frames.shape[:3]
    ds.BitsAllocated = 8 * frames.dtype.itemsize
    ds.BitsStored = bits_stored or ds.BitsAllocated
    ds.HighBit = ds.BitsStored - 1
    ds.PixelRepresentation = int(frames.dtype.kind == "i")
    data = frames.astype(frames.dtype.newbyteorder("<")).tobytes()
    ds.add_new("PixelData", "OB" if ds.BitsAllocated == 8 else "OW", data + b"\0" * (len(data) % 2))
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    return ds


def compressed(ds, transfer_syntax_uid, frames, **attributes):
    """Return a copy of `ds` that holds the codestreams `frames`."""
    copy = Dataset()
    copy.update({tag: ds[tag] for tag in ds.keys()})
    copy.file_meta = FileMetaDataset()
    copy.file_meta.TransferSyntaxUID = transfer_syntax_uid
    copy.set_original_encoding(False, True, "iso8859")
    copy.add_new("PixelData", "OB", encapsulate(frames))
    copy["PixelData"].is_undefined_length = True
    for keyword, value in attributes.items():
        setattr(copy, keyword, value)
    return copy


def big_endian(ds):
    """Return a copy of a native `ds` of 8 or 16-bit cells as big endian would hold it."""
    copy = compressed(ds, ExplicitVRBigEndian, [])
    copy.set_original_encoding(False, False, "iso8859")
    turned = np.frombuffer(ds.PixelData, f"<u{ds.BitsAllocated // 8}").byteswap().tobytes()
    copy.add_new("PixelData", ds["PixelData"].VR, turned)
    return copy


def ramp(shape=(1, 40, 50), dtype=np.uint16, low=0, high=4095):
    """Return a smooth image, so that lossless codecs shrink it."""
    flat = np.linspace(low, high, int(np.prod(shape)))
    return flat.astype(dtype).reshape(shape)


@functools.cache
def real_files():
    """Return each different readable file with a group 0028, bundled and shared, as paths."""
    seen, found = set(), []
    for folder in (BUNDLED, SHARED):
        for path in sorted(folder.rglob("*")):
            if path.is_file() and _is_new(path, seen) and _is_image(path):
                found.append(path)
    return found


def read(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pydicom.dcmread(path)


def _is_new(path, seen):
    digest = hashlib.sha256(path.read_bytes()).digest()
    if digest in seen:
        return False
    seen.add(digest)
    return True


def _is_image(path):
    try:
        ds = read(path)
    except (pydicom.errors.InvalidDicomError, ValueError, EOFError, AttributeError, OSError):
        return False
    return any(word in ds for word in ("PixelData", "FloatPixelData", "DoubleFloatPixelData"))
