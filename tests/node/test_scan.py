"""The scan of a data set as it streams in: what pydicom reads, from chunks of any size."""

from __future__ import annotations

import io
import tracemalloc
import zlib
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.filereader import read_dataset
from pydicom.sequence import Sequence

from dicom_node.store import inflate, scan
from dicom_node.store.scan import Scanner
from pacs_common.errors import NotDicom
from tests.node.objects import ct, encoded

IMPLICIT, EXPLICIT, BIG_ENDIAN, DEFLATED = (
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.1",
    "1.2.840.10008.1.2.2",
    "1.2.840.10008.1.2.1.99",
)
PLAIN = [IMPLICIT, EXPLICIT, BIG_ENDIAN]
NAME, ROWS, REFERRED, PRIVATE = 0x00100010, 0x00280010, 0x00081140, 0x00091001
WANTED = {NAME, ROWS, REFERRED, PRIVATE, 0x00080018, 0x00100020, 0x00104000}
ITEM, ITEM_END, END = (b"\xfe\xff" + tag for tag in (b"\x00\xe0", b"\x0d\xe0", b"\xdd\xe0"))
OPEN, NONE = b"\xff\xff\xff\xff", b"\0\0\0\0"
SEQUENCE = b"\x08\x00\x40\x11SQ\0\0" + OPEN
UNKNOWN = b"\x08\x00\x40\x11UN\0\0" + OPEN


def scanned(content: bytes, syntax: str = EXPLICIT, cuts: list[int] | None = None) -> Scanner:
    """Feed content in pieces that end at `cuts`."""
    scanner = Scanner(syntax, WANTED)
    edges = [0, *sorted(cut % (len(content) + 1) for cut in cuts or []), len(content)]
    for start, end in pairwise(edges):
        scanner.feed(memoryview(content)[start:end])
    scanner.finish()
    return scanner


def raw_of_pydicom(content: bytes, syntax: str) -> dict[int, bytes]:
    """Return the wanted raw values as pydicom reads them, sequences left out."""
    ds = read_dataset(io.BytesIO(content), syntax == IMPLICIT, syntax != BIG_ENDIAN)
    found = {tag: ds.get_item(tag) for tag in WANTED if tag in ds}
    return {tag: e.value or b"" for tag, e in found.items() if e.VR != "SQ" and tag != REFERRED}


def nested(depth: int) -> Dataset:
    ds = Dataset()
    ds.ReferencedSOPInstanceUID = "1.2.3"
    for _ in range(depth):
        outer = Dataset()
        outer.ReferencedImageSequence = [ds]
        ds = outer
    return ds


@st.composite
def data_sets(draw) -> Dataset:
    ds = ct(PatientName=draw(st.text("abc ^", max_size=20)))
    ds.PatientComments = draw(st.sampled_from(["", "x", "long " * 900, "too long " * 5000]))
    ds.add_new(0x00090010, "LO", "PRIVATE")
    ds.add_new(PRIVATE, draw(st.sampled_from(["OB", "UN"])), draw(st.binary(max_size=40)))
    items = [nested(draw(st.integers(0, 4))) for _ in range(draw(st.integers(0, 3)))]
    for item in items:
        item.is_undefined_length_sequence_item = draw(st.booleans())
    ds.ReferencedImageSequence = Sequence(items)
    ds["ReferencedImageSequence"].is_undefined_length = draw(st.booleans())
    if draw(st.booleans()):
        del ds.PixelData
    return ds


@settings(max_examples=150, deadline=None)
@given(data_sets(), st.sampled_from(PLAIN), st.lists(st.integers(0, 10**6), max_size=12))
def test_any_cutting_gives_what_pydicom_reads(ds, syntax, cuts):
    content = encoded(ds, syntax)
    found = scanned(content, syntax, cuts)
    expected = raw_of_pydicom(content, syntax)
    expected = {t: raw for t, raw in expected.items() if len(raw) <= scan.MAX_VALUE_BYTES}
    assert {t: v.raw for t, v in found.values.items() if t != REFERRED} == expected
    assert found.values == scanned(content, syntax).values
    assert found.is_implicit == (syntax == IMPLICIT)


@settings(max_examples=60, deadline=None)
@given(data_sets(), st.sampled_from(PLAIN))
def test_a_wanted_sequence_comes_with_its_items(ds, syntax):
    found = scanned(encoded(ds, syntax), syntax).values[REFERRED].raw
    again = Dataset()
    again.ReferencedImageSequence = ds.ReferencedImageSequence
    again["ReferencedImageSequence"].is_undefined_length = False
    alone = encoded(again, syntax)
    start = 8 if syntax == IMPLICIT else 12
    assert found == alone[start:]


@settings(max_examples=40, deadline=None)
@given(data_sets(), st.sampled_from([*PLAIN, DEFLATED]), st.data())
def test_an_object_that_is_cut_inside_an_element_is_refused(ds, syntax, data):
    content = encoded(ds, EXPLICIT if syntax == DEFLATED else syntax)
    edges = set(_edges(content, syntax))
    if syntax == DEFLATED:
        content, edges = deflated(content), set()
    cut = data.draw(st.integers(1, len(content) - 1).filter(lambda cut: cut not in edges))
    with pytest.raises(NotDicom, match="cut"):
        scanned(content[:cut], syntax)


def _edges(content: bytes, syntax: str) -> list[int]:
    """Return where a cut cannot be seen: between elements, or in the zeros of the next tag."""
    stream, edges = io.BytesIO(content), []

    def note(tag, vr, length):
        edges.append(stream.tell() - (12 if vr in ("OB", "OW", "SQ", "UN", "LT") else 8))
        edges.append(stream.tell() - 8)
        return False

    if syntax != DEFLATED:
        read_dataset(stream, syntax == IMPLICIT, syntax != BIG_ENDIAN, stop_when=note)
    return [edge + n for edge in edges for n in range(4) if not any(content[edge : edge + n])]


def deflated(content: bytes) -> bytes:
    engine = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return engine.compress(content) + engine.flush()


@settings(max_examples=400, deadline=None)
@given(st.binary(max_size=400), st.sampled_from([*PLAIN, DEFLATED]), st.lists(st.integers(0, 400)))
def test_random_bytes_are_refused_or_scanned_but_nothing_else(content, syntax, cuts):
    try:
        scanned(content, syntax, cuts)
    except NotDicom:
        pass


@settings(max_examples=300, deadline=None)
@given(st.data(), st.sampled_from([*PLAIN, DEFLATED]))
def test_a_damaged_object_is_refused_or_scanned_alike_however_it_is_cut(data, syntax):
    content = bytearray(encoded(ct(), EXPLICIT if syntax == DEFLATED else syntax))
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at] = data.draw(st.integers(0, 255))
    whole = deflated(bytes(content)) if syntax == DEFLATED else bytes(content)
    assert outcome(whole, syntax, []) == outcome(whole, syntax, data.draw(st.lists(st.integers(0))))


def outcome(content: bytes, syntax: str, cuts: list[int]) -> object:
    try:
        return scanned(content, syntax, cuts).values
    except NotDicom as error:
        return str(error)


def test_bytes_one_by_one_are_as_good_as_all_at_once():
    content = encoded(ct())
    assert scanned(content, cuts=list(range(len(content)))).values == scanned(content).values


@pytest.mark.parametrize("header", [SEQUENCE, UNKNOWN])
@pytest.mark.parametrize("depth", [scan.MAX_DEPTH, 1000, 20000])
def test_deep_sequences_pass_or_are_refused_cleanly(header, depth):
    inner = SEQUENCE if header == SEQUENCE else b"\x08\x00\x40\x11" + OPEN
    opened = ITEM + OPEN
    content = header + opened + (inner + opened) * (depth - 1)
    content += (ITEM_END + NONE + END + NONE) * depth
    if depth <= scan.MAX_DEPTH:
        scanned(content)
    else:
        with pytest.raises(NotDicom, match="deep"):
            scanned(content)


def test_an_unknown_value_of_undefined_length_is_implicit_inside():
    item = ITEM + OPEN + b"\x08\x00\x55\x11\x06\0\0\x001.2.3\0" + ITEM_END + NONE
    after = b"\x10\x00\x10\x00PN\x04\x00Doe "
    found = scanned(UNKNOWN + item + END + NONE + after).values
    assert found[REFERRED] == (b"UN", item)
    assert found[NAME] == (b"PN", b"Doe ")


def test_an_item_may_be_implicit_within_an_explicit_data_set():
    element = b"\x08\x00\x55\x11\x41\x41\0\0" + b"1" * 0x4141  # its length looks like a VR
    first = b"\x08\x00\x50\x11\x04\0\0\x001.2\0"
    item = ITEM + OPEN + first + element + ITEM_END + NONE
    after = b"\x10\x00\x10\x00PN\x04\x00Doe "
    assert scanned(SEQUENCE + item + END + NONE + after).values[NAME].raw == b"Doe "


@pytest.mark.parametrize(("really", "label"), [(IMPLICIT, EXPLICIT), (EXPLICIT, IMPLICIT)])
def test_a_wrong_label_is_seen_through(really, label):
    found = scanned(encoded(ct(), really), label)
    assert found.is_implicit == (really == IMPLICIT)
    assert found.values[NAME].raw == scanned(encoded(ct(), really), really).values[NAME].raw


def with_fragments() -> bytes:
    ds = ct()
    ds.PixelData = encapsulate([b"first frame ", b"second"])
    ds["PixelData"].VR = "OB"
    ds["PixelData"].is_undefined_length = True
    return encoded(ds)


def test_the_fragments_of_pixels_are_walked_and_never_kept():
    assert scanned(with_fragments()).values == scanned(encoded(ct())).values
    for cut in (1, 8, 9, 20):
        with pytest.raises(NotDicom, match="cut"):
            scanned(with_fragments()[:-cut])


def test_damaged_fragments_are_refused():
    content = with_fragments()
    at = content.index(b"first frame ") - 4
    with pytest.raises(NotDicom, match="damaged"):
        scanned(content[:at] + OPEN + content[at + 4 :])


def test_signatures_after_the_pixels_are_walked():
    signature = b"\xfa\xff\xfa\xffSQ\0\0" + OPEN + ITEM + OPEN + ITEM_END + NONE + END + NONE
    scanned(encoded(ct()) + signature)
    with pytest.raises(NotDicom, match="cut"):
        scanned(encoded(ct()) + signature[:-8])


def test_what_follows_the_pixels_is_not_kept():
    late = b"\x10\x00\x20\x00LO\x04\x00FR-9"
    assert scanned(encoded(ct()) + late).values[0x00100020].raw.strip() == b"FR-1"


def test_the_last_of_two_equal_tags_counts():
    twice = b"\x10\x00\x20\x00LO\x04\x00FR-8" + b"\x10\x00\x20\x00LO\x04\x00FR-9"
    assert scanned(twice).values[0x00100020].raw == b"FR-9"


@pytest.mark.parametrize("padding", [1, 7, 8, 100])
def test_zeros_at_the_end_are_padding(padding):
    scanned(encoded(ct()) + bytes(padding))


@pytest.mark.parametrize("stray", [ITEM + OPEN, ITEM + NONE])
def test_an_item_outside_a_sequence_is_refused(stray):
    with pytest.raises(NotDicom, match="outside"):
        scanned(stray + encoded(ct()))


@pytest.mark.parametrize(
    "content",
    [
        SEQUENCE + b"\x10\x00\x10\x00PN\x04\x00Doe ",
        SEQUENCE + ITEM + OPEN + END + NONE,
    ],
)
def test_a_damaged_sequence_is_refused(content):
    with pytest.raises(NotDicom, match=r"damaged|no end"):
        scanned(content)


def test_a_large_object_passes_in_constant_memory():
    scanner = Scanner(EXPLICIT, WANTED)
    chunk = bytes(1 << 20)
    frame = SEQUENCE_OF_FRAMES + b"".join(_frame_item(n) for n in range(20000)) + END + NONE
    tracemalloc.start()
    scanner.feed(encoded(ct())[: encoded(ct()).rindex(b"\xe0\x7f\x10\x00")])
    for start in range(0, len(frame), 65536):
        scanner.feed(memoryview(frame)[start : start + 65536])
    scanner.feed(b"\xe0\x7f\x10\x00OW\0\0" + (1 << 31).to_bytes(4, "little"))
    for _ in range(2048):
        scanner.feed(chunk)
    scanner.finish()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20


SEQUENCE_OF_FRAMES = b"\x00\x52\x30\x92SQ\0\0" + OPEN


def _frame_item(number: int) -> bytes:
    content = b"\x20\x00\x11\x91SQ\0\0" + OPEN + ITEM + OPEN
    content += b"\x20\x00\x57\x91UL\x04\x00" + number.to_bytes(4, "little")
    return ITEM + OPEN + content + ITEM_END + NONE + END + NONE + ITEM_END + NONE


def test_a_deflated_object_is_scanned_as_it_inflates():
    content = encoded(ct())
    found = scanned(deflated(content), DEFLATED, list(range(0, 400, 7)))
    assert found.values == scanned(content).values


@pytest.mark.parametrize("bound", ["MAX_INFLATED_BYTES", "FREE_BYTES"])
def test_a_deflate_bomb_is_refused_before_it_is_large(monkeypatch, bound):
    monkeypatch.setattr(inflate, bound, 1 << 20)
    content = encoded(ct(PixelData=bytes(8 << 20)))
    tracemalloc.start()
    with pytest.raises(NotDicom, match="inflates to more than"):
        scanned(deflated(content), DEFLATED)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 30 << 20


def test_a_deflated_object_without_an_end_is_refused():
    with pytest.raises(NotDicom, match="cut"):
        scanned(deflated(encoded(ct()))[:-1], DEFLATED)
