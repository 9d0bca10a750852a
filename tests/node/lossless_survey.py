"""What becomes of every real file in every offered transfer syntax, and how others read it.

`python -m tests.node.lossless_survey` prints the table of docs/lossless.md.
"""

import collections
import functools
import struct
import subprocess
import warnings

import numpy as np
import pydicom
from pydicom import uid
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_data_element, write_file_meta_info
from pydicom.pixels import get_decoder

from dicom_node.render import pixels, transcode
from dicom_node.render.image_format import ImageFormat, transfer_syntax_of
from pacs_common.errors import ArgensError
from tests.node.render_images import SHARED, read, real_files

# Part of what a refusal says, and the reason as the table names it.
REASONS = {
    "does not shrink": "a frame does not shrink (noise, or smaller than its headers)",
    "pixels of 1 bits": "1 bit a pixel",
    "pixels of 32 bits": "32 bits a pixel",
    "floating point": "floating point pixels",
    "colours that decoding changes": "lossy or half-sampled YCbCr: decoding changes its colours",
    "bits outside Bits Stored": "bits outside Bits Stored",
    "cannot be decoded": "damaged: cut off, or no decoder reads it",
    "is cut off": "damaged: cut off, or no decoder reads it",
    "the pixel data end before it": "damaged: the pixels are cut off",
    "cannot be read": "no usable description of the pixels",
    "is missing": "no usable description of the pixels",
    "have the colours of": "called YBR_FULL_422, but its chroma is not halved",
    "pixels are called": "named colours that decoding does not give",
}
AS_STORED, EQUAL, REWRITTEN = "as stored", "equal", "damaged, rewritten as it is"
# Elements that say how pixels are coded; all others must stay.
_OF_PIXELS = {0x00280004, 0x00280006, 0x00282110, 0x7FE00001, 0x7FE00002}
_UNREADABLE = (ValueError, TypeError, NotImplementedError, pydicom.errors.BytesLengthException)
_PIXELS = {0x7FE00008, 0x7FE00009, 0x7FE00010}

COMMANDS = {
    str(uid.JPEGLosslessSV1): ["dcmdjpeg", "+cn"],
    str(uid.JPEGLSLossless): ["dcmdjpls"],
    str(uid.JPEG2000Lossless): ["gdcmconv", "--raw"],
    str(uid.RLELossless): ["dcmdrle"],
}
"""The foreign software that decompresses each syntax; HTJ2K is left to pylibjpeg-openjpeg."""


def outcome(path, syntax, folder):
    """Return what becomes of a file in a syntax, or raise AssertionError where it is not equal."""
    ds = read(path)
    wanted = _samples(ds)
    try:
        data = transcode.to_syntax(ds, syntax)
    except ArgensError as error:
        return next((said for part, said in REASONS.items() if part in str(error)), str(error))
    if transfer_syntax_of(ds) == syntax:
        return AS_STORED
    if wanted is None:
        return REWRITTEN
    sent = _saved(ds, syntax, data, folder)
    require_same_elements(ds, pydicom.dcmread(sent))
    _require_equal(wanted, _samples(pydicom.dcmread(sent)), ds, "our decoder")
    _require_equal(wanted, _foreign(sent, syntax), ds, "foreign software")
    return EQUAL


def require_same_elements(ds, back):
    """Check that all elements but those that tell how pixels are coded have the same bytes."""
    for tag in ds.keys():
        if tag.group == 2 or tag.element == 0 or tag in _OF_PIXELS | _PIXELS:
            continue
        try:
            before = _element_bytes(ds[tag])
        except _UNREADABLE:
            continue  # broken on purpose; it has been written as it was
        # text of nested items is bytes here, and there decoded and encoded anew
        assert _bytes_again(back, tag) == before or back[tag] == ds[tag], f"{tag} differs"


def _bytes_again(back, tag):
    raw = back.get_item(tag)
    try:
        return _element_bytes(back[tag])
    except _UNREADABLE:  # implicit: where the dictionary has another VR than the file had
        return struct.pack("<HHI", tag.group, tag.element, len(raw.value)) + raw.value


def _element_bytes(element):
    file = DicomBytesIO()
    file.is_implicit_VR, file.is_little_endian = True, True
    write_data_element(file, element, ["utf8"])
    return file.getvalue()


def _samples(ds):
    try:
        return [_values(frame) for frame in pixels.stored_frames(ds)]
    except ArgensError:
        return None


def _values(frame):
    return frame.cells if frame.has_outside_bits else frame.samples


def _saved(ds, syntax, data, folder):
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = syntax
    meta.MediaStorageSOPClassUID = ds.get("SOPClassUID") or "1.2.840.10008.5.1.4.1.1.7"
    meta.MediaStorageSOPInstanceUID = ds.get("SOPInstanceUID") or "1.2.3"
    meta.ImplementationClassUID = "1.2.3"
    head = DicomBytesIO()
    head.is_implicit_VR, head.is_little_endian = False, True
    head.write(bytes(128) + b"DICM")
    write_file_meta_info(head, meta)
    path = folder / "sent.dcm"
    path.write_bytes(head.getvalue() + data)
    return path


def _foreign(path, syntax):
    ds = pydicom.dcmread(path)
    form = ImageFormat.of(ds)
    command = COMMANDS.get(syntax)
    # GDCM writes no file of several 16-bit colour frames
    if command is None or (syntax == uid.JPEG2000Lossless and form.samples > 1 < form.frames):
        return _by_pydicom(ds, form)
    back = path.with_name("back.dcm")
    back.unlink(missing_ok=True)
    done = subprocess.run([*command, str(path), str(back)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return _samples(pydicom.dcmread(back))


def _by_pydicom(ds, form):
    if form.is_subsampled:  # pydicom has a way of its own to spread the chroma
        return _samples(ds)
    decoder = get_decoder(form.transfer_syntax)
    return [decoder.as_array(ds, index=index, raw=True)[0] for index in range(form.frames)]


def _require_equal(wanted, found, ds, by):
    form = ImageFormat.of(ds)
    assert found is not None, f"{by} cannot read it"
    assert [some.shape for some in found] == [some.shape for some in wanted], by
    for index, (some, others) in enumerate(zip(found, wanted, strict=True)):
        if form.is_float:
            assert np.array_equal(some, others, equal_nan=True), f"{by}: frame {index + 1}"
            continue
        mask = (1 << form.bits_stored) - 1  # foreign software need not extend the sign
        same = np.array_equal(some.astype(np.int64) & mask, others.astype(np.int64) & mask)
        assert same, f"{by}: frame {index + 1} differs"


def raw_outcome(path):
    """Return what becomes of the raw frames of a file; they are as long as its attributes say."""
    ds = read(path)
    try:
        form = ImageFormat.of(ds)
        frames = [
            transcode.frame_as(ds, index, uid.ExplicitVRLittleEndian)
            for index in range(form.frames)
        ]
    except ArgensError as error:
        return next((said for part, said in REASONS.items() if part in str(error)), str(error))
    samples = 2 if form.photometric.endswith("_422") else form.samples
    bits = form.rows * form.columns * samples * form.bits_allocated
    assert {len(frame) for frame in frames} == {-(-bits // 8)}
    if form.samples == 1 or form.photometric == "RGB":
        _require_raw(ds, form, frames)
    return EQUAL


def _require_raw(ds, form, frames):
    alone = Dataset()
    alone.update({tag: ds[tag] for tag in ds.keys() if tag.group == 0x28 and tag != 0x00280008})
    alone.file_meta = FileMetaDataset()
    alone.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    alone.set_original_encoding(False, True)
    alone.NumberOfFrames = 1
    for frame, wanted in zip(frames, pixels.stored_frames(ds), strict=True):
        vr = {"FloatPixelData": "OF", "DoubleFloatPixelData": "OD"}.get(form.keyword, "OW")
        alone.add_new(form.keyword, vr, frame)
        _require_equal([_values(wanted)], [_values(pixels.stored_frame(alone, 0))], ds, "raw")


@functools.cache
def shared_files():
    """Return each different real image of ../shared/dicom."""
    return [path for path in real_files() if SHARED in path.parents]


@functools.cache
def one_of_each_kind():
    """Return the smallest shared file of each kind of pixels, in the order of their kinds."""
    kinds = {}
    for path in sorted(shared_files(), key=lambda path: path.stat().st_size):
        ds = read(path)
        shape = [ds.get(k) for k in ("PhotometricInterpretation", "BitsAllocated", "BitsStored")]
        several = str(ds.get("NumberOfFrames") or 1) != "1"
        kind = transfer_syntax_of(ds), *shape, ds.get("PixelRepresentation"), several
        kinds.setdefault(repr(kind), path)
    return [path for _, path in sorted(kinds.items())]


def become_of(path, column, folder):
    """Return what becomes of a file in a syntax, or of its frames ("raw")."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return raw_outcome(path) if column == "raw" else outcome(path, column, folder)


def counted(syntax, folder):
    """Return how many of the shared files have which outcome in a syntax ("raw": raw frames)."""
    found, wrong = collections.Counter(), []
    for path in shared_files():
        try:
            found[become_of(path, syntax, folder)] += 1
        except AssertionError as error:
            wrong.append(f"{path.name}: {error}")
    assert not wrong, "\n".join(wrong)
    return found


def table(counts):
    """Return the table of docs/lossless.md from the counts of each column."""
    order = [EQUAL, AS_STORED, *dict.fromkeys(REASONS.values()), REWRITTEN]
    others = {said for column in counts.values() for said in column} - set(order)
    lines = [
        "| outcome | " + " | ".join(map(name_of, counts)) + " |",
        "|---" * (len(counts) + 1) + "|",
    ]
    for said in [*order, *sorted(others)]:
        row = [column.get(said, 0) for column in counts.values()]
        if any(row):
            lines.append(f"| {said} | " + " | ".join(str(n) if n else "" for n in row) + " |")
    return "\n".join(lines) + "\n"


def name_of(column):
    names = {
        "1.2.840.10008.1.2.1": "Explicit",
        "1.2.840.10008.1.2": "Implicit",
        "raw": "raw frames",
    }
    names |= {"1.2.840.10008.1.2.1.99": "Deflated", str(uid.RLELossless): "RLE"}
    return names.get(column) or "." + column.removeprefix("1.2.840.10008.1.2.4.")


COLUMNS = ("raw", *transcode.OFFERED)

if __name__ == "__main__":
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        print(table({column: counted(column, Path(folder)) for column in COLUMNS}))
