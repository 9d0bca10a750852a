"""Where frames lie in their files: the bytes there are the frames that parsing finds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom.data
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import dcmread, uid
from pydicom.dataset import FileMetaDataset
from pydicom.filewriter import dcmwrite

from dicom_node.prepared.offsets import mapped
from dicom_node.render.image_format import ImageFormat
from dicom_node.render.transcode import frame_as
from pacs_common.errors import CannotRender
from tests.node.objects import ct

BUNDLED = Path(pydicom.data.__file__).parent / "test_files"
SHARED = Path("/work/shared/dicom")
MOST_FRAMES = 5  # of each file that are compared
ITEM, END = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0\0\0\0\0"


def frame_at(path: Path, index: int) -> bytes:
    content = path.read_bytes()
    return b"".join(content[start : start + size] for start, size in mapped(path).of(index))


def compare(path: Path) -> bool | None:
    """Compare a file's mapped frames with the parsed ones; whether it is mapped, None: no image."""
    try:
        ds = dcmread(path)
        form = ImageFormat.of(ds)
    except (CannotRender, OSError, *_unreadable()):
        return None
    map_ = mapped(path)
    if not map_.count:
        return False
    assert map_.count == form.frames, path
    syntax = form.transfer_syntax if form.is_encapsulated else uid.ExplicitVRLittleEndian
    for index in range(min(form.frames, MOST_FRAMES)):
        assert frame_at(path, index) == frame_as(ds, index, syntax), (path, index)
    return True


def _unreadable() -> tuple[type[Exception], ...]:
    return (pydicom.errors.InvalidDicomError, ValueError, AttributeError, TypeError, KeyError)


@pytest.mark.filterwarnings("ignore")  # of what is odd in these files
def test_mapped_frames_of_pydicoms_files_are_those_that_parsing_finds():
    outcomes = [compare(path) for path in sorted(BUNDLED.glob("*.dcm"))]
    assert outcomes.count(True) > 50


@pytest.mark.filterwarnings("ignore")
@pytest.mark.skipif(not SHARED.is_dir(), reason="the real files are not here")
def test_mapped_frames_of_real_files_are_those_that_parsing_finds():
    outcomes = [compare(path) for path in sorted(SHARED.rglob("*")) if path.is_file()]
    assert outcomes.count(True) > 250
    assert outcomes.count(False) < 40


def write_encapsulated(
    path: Path, frames: list[list[bytes]], *, table: str = "basic", wrong_by: int = 0
) -> None:
    """Write an object whose frames are lists of fragments, with an offset table of some kind."""
    ds = ct(Rows=8, Columns=8, NumberOfFrames=len(frames))
    del ds.PixelData
    offsets, position = [], 0
    for fragments in frames:
        offsets.append(position + wrong_by)
        position += sum(8 + len(fragment) for fragment in fragments)
    if table == "extended":
        ds.ExtendedOffsetTable = np.array(offsets, "<u8").tobytes()
        ds.ExtendedOffsetTableLengths = np.array([len(f[0]) for f in frames], "<u8").tobytes()
    basic = np.array(offsets, "<u4").tobytes() if table == "basic" else b""
    ds.preamble, ds.file_meta = bytes(128), FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = uid.JPEGLSLossless
    dcmwrite(path, ds, implicit_vr=False, little_endian=True, enforce_file_format=False)
    items = [basic, *(fragment for fragments in frames for fragment in fragments)]
    with path.open("ab") as file:
        file.write(b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff")
        for item in items:
            file.write(ITEM + len(item).to_bytes(4, "little") + item)
        file.write(END)


FRAGMENTS = st.lists(
    st.binary(min_size=2, max_size=9).map(lambda b: b + b[: len(b) % 2]), max_size=4
)


@given(st.lists(FRAGMENTS.filter(bool), min_size=1, max_size=6))
@settings(deadline=None, max_examples=60)
def test_a_basic_offset_table_tells_the_fragments_of_each_frame(tmp_path_factory, frames):
    path = tmp_path_factory.mktemp("map") / "one.dcm"
    write_encapsulated(path, frames)
    assert [frame_at(path, index) for index in range(len(frames))] == list(map(b"".join, frames))


@pytest.mark.parametrize("table", ["extended", "none"])
def test_frames_of_one_fragment_each_need_no_basic_table(tmp_path, table):
    frames = [[b"first "], [b"second"], [b"no"]]
    write_encapsulated(tmp_path / "one.dcm", frames, table=table)
    assert [frame_at(tmp_path / "one.dcm", index) for index in range(3)] == [f[0] for f in frames]


def test_one_frame_in_many_fragments_needs_no_table(tmp_path):
    write_encapsulated(tmp_path / "one.dcm", [[b"one ", b"two ", b"3 "]], table="none")
    assert frame_at(tmp_path / "one.dcm", 0) == b"one two 3 "


@pytest.mark.parametrize(
    ("frames", "how"),
    [
        ([[b"one "], [b"two "]], {"wrong_by": 2}),  # the table points between items
        ([[b"one ", b"more"], [b"two "]], {"table": "none"}),  # whose fragment is which?
    ],
)
def test_what_the_tables_do_not_tell_is_not_mapped(tmp_path, frames, how):
    write_encapsulated(tmp_path / "one.dcm", frames, **how)
    assert mapped(tmp_path / "one.dcm").count == 0


@given(st.integers(0, 400))
@settings(deadline=None, max_examples=60)
def test_a_file_that_ends_early_is_not_mapped_past_its_end(tmp_path_factory, cut):
    path = tmp_path_factory.mktemp("map") / "one.dcm"
    write_encapsulated(path, [[b"one "], [b"two "]])
    content = path.read_bytes()
    path.write_bytes(content[: max(0, len(content) - 1 - cut)])
    assert mapped(path).count == 0


def test_uncompressed_frames_that_are_not_all_there_are_not_mapped(tmp_path):
    ds = ct(Rows=8, Columns=8, NumberOfFrames=3)
    ds.PixelData = bytes(2 * 8 * 8 * 2)
    ds.preamble, ds.file_meta = bytes(128), FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    dcmwrite(tmp_path / "one.dcm", ds, enforce_file_format=False)
    assert mapped(tmp_path / "one.dcm").count == 0
