"""Stored files as DICOM JSON (PS3.18 F): values, addresses, odd encodings, hostile ones."""

from __future__ import annotations

import base64
import json
import struct
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from dicom_node.metadata.json_model import JsonWriter, bulk_of, reading
from dicom_node.metadata.walk import MAX_BINARY_BYTES
from dicom_node.store.part10 import Provenance, meta_group
from pacs_common.errors import NotDicom
from tests.support.data_sets import ct, encoded

EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"
BIG_ENDIAN = "1.2.840.10008.1.2.2"
PROVENANCE = {"arrived_at": datetime(2026, 11, 21, tzinfo=UTC)}


@pytest.fixture
def stored(tmp_path):
    """Store bytes of a data set as the node does; returns the path."""

    def stored(body, syntax=EXPLICIT, **origin):
        meta = meta_group("1.2.3", "1.2.3.4", syntax, Provenance(**PROVENANCE, **origin))
        path = tmp_path / "1.2.3.4.dcm"
        path.write_bytes(meta + body)
        return path

    return stored


@pytest.fixture
def written(stored):
    """Return an object's JSON, of a data set or of bytes."""

    def written(body, syntax=EXPLICIT, writer=None, **origin):
        content = encoded(body, syntax) if isinstance(body, Dataset) else body
        return json.loads(
            (writer or JsonWriter()).written(stored(content, syntax, **origin), "/at/", {})
        )

    return written  # fmt: skip


def element(group, number, vr, value):
    """Return an element of Explicit VR Little Endian."""
    if vr in ("OB", "OW", "UN", "UT", "SQ", "UC", "UR", "OF", "UV"):
        return struct.pack("<HH2sHL", group, number, vr.encode(), 0, len(value)) + value
    return struct.pack("<HH2sH", group, number, vr.encode(), len(value)) + value


def of(vr, value, *, before=b""):
    return before + element(0x0040, 0x9999, vr, value)


@pytest.mark.parametrize(
    ("vr", "raw", "values"),
    [
        ("LO", b" two  \\ \\words ", ["two", None, "words"]),
        ("LO", b"  ", None),
        ("ST", b"  back\\slash  ", ["  back\\slash"]),
        ("UT", b'"quoted"\r\n\x1b ', ['"quoted"\r\n\x1b']),
        ("UI", b"1.2.3\\1.2\0", ["1.2.3", "1.2"]),
        ("PN", b"A^B=C^D=E", [{"Alphabetic": "A^B", "Ideographic": "C^D", "Phonetic": "E"}]),
        ("PN", b"==E\\^^\\B ", [{"Phonetic": "E"}, None, {"Alphabetic": "B"}]),
        ("DS", b"1.50\\-.5\\+2\\1E3\\007 ", [1.5, -0.5, 2, 1000.0, 7]),
        ("DS", b"nan \\1e400\\ \\1_0", ["nan", "1e400", None, "1_0"]),
        ("DS", b"1.2.3 ", ["1.2.3"]),
        ("IS", b"12\\-3 \\99999999999999999999", [12, -3, "99999999999999999999"]),
        ("US", b"\x01\x00\xff\xff", [1, 65535]),
        ("SS", b"\xff\xff", [-1]),
        ("UL", b"\x00\x00\x00\x80", [2147483648]),
        ("UV", struct.pack("<QQ", 5, 2**60), [5, str(2**60)]),
        ("FL", struct.pack("<ff", 0.1, 1.5), [0.1, 1.5]),
        ("FL", struct.pack("<f", 3.4028234663852886e38), [3.40282347e38]),
        ("FD", struct.pack("<dd", 0.1, float("nan")), [0.1, None]),
        ("FD", struct.pack("<d", float("-inf")), [None]),
        ("AT", b"\x10\x00\x20\x00\xe0\x7f\x10\x00", ["00100020", "7FE00010"]),
        ("DA", b"", None),
        ("CS", b"caf\xe9", ["café"]),
    ],
)
def test_values_by_their_representation(written, vr, raw, values):
    found = written(of(vr, raw))["00409999"]
    assert found == ({"vr": vr} if values is None else {"vr": vr, "Value": values})


@pytest.mark.parametrize("vr", ["US", "UL", "FD", "FL"])
def test_bytes_that_cannot_be_numbers_stay_bytes(written, vr):
    found = written(of(vr, b"\x01\x02\x03"))["00409999"]
    assert found == {"vr": "UN", "InlineBinary": "AQID"}


def test_an_unknown_representation_is_that_of_the_dictionary_or_bytes(written):
    body = element(0x0008, 0x0060, "XX", b"CT") + of("ZZ", b"ab")
    found = written(body)
    assert found["00080060"] == {"vr": "CS", "Value": ["CT"]}
    assert found["00409999"] == {"vr": "UN", "InlineBinary": "YWI="}


def test_small_binary_stands_inline_and_large_goes_by_address(written):
    small, large = bytes(MAX_BINARY_BYTES), bytes(MAX_BINARY_BYTES + 2)
    body = element(0x0009, 0x1001, "OB", small) + element(0x0009, 0x1002, "UN", large)
    found = written(body)
    assert base64.b64decode(found["00091001"]["InlineBinary"]) == small
    assert found["00091002"] == {"vr": "UN", "BulkDataURI": "/at/00091002"}


def test_a_document_and_pixels_always_go_by_address(written):
    found = written(of("OB", b"", before=element(0x0042, 0x0011, "OB", b"%PDF")))
    assert found["00420011"] == {"vr": "OB", "BulkDataURI": "/at/00420011"}
    assert found["00409999"] == {"vr": "OB"}
    assert written(ct(1))["7FE00010"] == {"vr": "OW", "BulkDataURI": "/at/7FE00010"}


def test_large_texts_stand_inline(written):
    text = b"A long report. " * 10_000
    assert written(of("UT", text))["00409999"]["Value"] == [text.decode().rstrip()]


def nested():
    item = Dataset()
    item.add_new(0x00091001, "OB", bytes(MAX_BINARY_BYTES + 2))
    item.PatientName = "Lefèvre"
    inner = Dataset()
    inner.WaveformSequence = Sequence([Dataset(), item])
    ds = ct(1)
    ds.ReferencedSeriesSequence = Sequence([inner])
    return ds


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG_ENDIAN])
def test_nested_values_go_by_tags_and_item_numbers(written, stored, syntax):
    found = written(nested(), syntax)
    item = found["00081115"]["Value"][0]["54000100"]["Value"][1]
    path = "00081115/1/54000100/2/00091001"
    assert item["00091001"]["BulkDataURI"] == f"/at/{path}"
    assert item["00100010"]["Value"] == [{"Alphabetic": "Lefèvre"}]
    with reading(stored(encoded(nested(), syntax), syntax)) as opened:
        assert [bulk.path for bulk in bulk_of(opened)] == [path, "7FE00010"]


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG_ENDIAN])
def test_each_encoding_says_the_same(written, syntax):
    ds = ct(1, SmallestImagePixelValue=3, PixelRepresentation=1)
    ds.RedPaletteColorLookupTableData = b"\x01\x02\x03\x04"
    found, expected = written(ds, syntax), written(ds)
    if syntax == BIG_ENDIAN:  # its words leave in Little Endian
        assert found["00281201"] != {"vr": "OW", "InlineBinary": "AQIDBA=="}
        del found["00281201"], expected["00281201"]
    if syntax == IMPLICIT:
        found["00280106"]["vr"], expected["00280106"]["vr"] = "SS", "SS"
    assert found == expected


def test_words_of_big_endian_leave_in_little_endian(written):
    body = struct.pack(">HH2sHL", 0x0028, 0x1201, b"OW", 0, 4) + b"\x01\x02\x03\x04"
    assert base64.b64decode(written(body, BIG_ENDIAN)["00281201"]["InlineBinary"]) == b"\2\1\4\3"


def test_without_a_representation_signedness_decides(written):
    for signed, vr, value in ((0, "US", 65535), (1, "SS", -1)):
        ds = ct(1, PixelRepresentation=signed)
        body = encoded(ds, IMPLICIT)
        smallest = struct.pack("<HHLH", 0x0028, 0x0106, 2, 0xFFFF)
        at = body.index(struct.pack("<HHL", 0x0028, 0x1050, 4))
        found = written(body[:at] + smallest + body[at:], IMPLICIT)
        assert found["00280106"] == {"vr": vr, "Value": [value]}


def test_a_private_creator_tells_what_no_representation_tells(written):
    creator = struct.pack("<HHL", 0x0009, 0x0010, 12) + b"GEMS_IDEN_01"
    known = struct.pack("<HHL", 0x0009, 0x1027, 4) + b"\x07\0\0\0"
    orphan = struct.pack("<HHL", 0x0009, 0x1127, 4) + b"\x07\0\0\0"
    found = written(encoded(ct(1), IMPLICIT)[:0] + creator + known + orphan, IMPLICIT)
    assert found["00091027"] == {"vr": "SL", "Value": [7]}
    assert found["00091127"] == {"vr": "UN", "InlineBinary": "BwAAAA=="}


def test_texts_come_in_utf_8_by_their_own_set_or_the_senders(written):
    cyrillic = element(0x0008, 0x0005, "CS", b"ISO_IR 144") + element(
        0x0010, 0x0010, "PN", "Люкс".encode("iso8859_5")
    )
    found = written(cyrillic)
    assert found["00100010"]["Value"] == [{"Alphabetic": "Люкс"}]
    assert found["00080005"]["Value"] == ["ISO_IR 192"]
    mute = element(0x0010, 0x0020, "LO", "Люк".encode("iso8859_5") + b" ")
    assert written(mute, fallback_charset="ISO_IR 144")["00100020"]["Value"] == ["Люк"]


def test_an_item_has_a_character_set_of_its_own(written):
    name = element(0x0010, 0x0010, "PN", "Люк".encode("iso8859_5") + b" ")
    inside = element(0x0008, 0x0005, "CS", b"ISO_IR 144") + name
    item = struct.pack("<HHL", 0xFFFE, 0xE000, len(inside)) + inside
    body = element(0x0008, 0x1115, "SQ", item) + element(0x0010, 0x0010, "PN", b"\xe9 ")
    found = written(body)
    assert found["00081115"]["Value"][0]["00100010"]["Value"] == [{"Alphabetic": "Люк"}]
    assert found["00100010"]["Value"] == [{"Alphabetic": "é"}]


def test_group_lengths_and_padding_are_left_out(written):
    body = element(0x0008, 0x0000, "UL", b"\x08\0\0\0") + element(0x0008, 0x0060, "CS", b"CT")
    found = written(body + element(0xFFFC, 0xFFFC, "OB", bytes(64)))
    assert set(found) == {"00080005", "00080060"}


def test_a_damaged_sequence_is_bytes_and_nothing_else_suffers(written):
    found = written(
        element(0x0008, 0x1115, "SQ", b"\xfe\xff\x00\xe0\xff\x00\x00\x00ab")
        + element(0x0008, 0x1140, "SQ", bytes(MAX_BINARY_BYTES + 2))
        + element(0x0010, 0x0020, "LO", b"FR-1")
    )
    assert found["00081115"]["vr"] == "UN"
    assert found["00081140"] == {"vr": "UN", "BulkDataURI": "/at/00081140"}
    assert found["00100020"]["Value"] == ["FR-1"]


def test_objects_of_one_series_do_not_speak_for_each_other(written):
    writer = JsonWriter()
    for number in (1, 2, 1):
        ds = ct(number, PatientName=f"Nommée^{number}", SpecificCharacterSet="ISO_IR 192")
        if number == 2:
            ds.SpecificCharacterSet = "ISO_IR 100"
        assert written(ds, writer=writer) == written(ds)
        assert written(ds, IMPLICIT, writer=writer) == written(ds, IMPLICIT)


def test_the_same_bytes_in_another_character_set_are_another_text(written):
    writer = JsonWriter()
    for charset, text in (("ISO_IR 100", "éé"), ("ISO_IR 144", "щщ"), ("ISO_IR 100", "éé")):
        named = element(0x0008, 0x0005, "CS", charset.encode())
        found = written(named + element(0x0010, 0x0020, "LO", b"\xe9\xe9"), writer=writer)
        assert found["00100020"]["Value"] == [text]


def test_a_value_that_is_cut_is_no_data_set(written):
    for body in (b"\x08", of("LO", b"whole")[:-2], of("UT", b"whole")[:9]):
        if len(body) < 8:
            continue
        with pytest.raises(NotDicom):
            written(body)


def test_what_follows_pixels_may_be_nonsense(written):
    pixels = element(0x7FE0, 0x0010, "OW", bytes(32))
    assert "7FE00010" in written(pixels + b"\xff" * 40)
    assert "7FE00010" in written(pixels + bytes(400))


@pytest.mark.parametrize("depth", [90, 400, 20_000])
def test_deep_nesting_ends_in_an_answer_or_a_refusal(written, depth):
    opening = struct.pack("<HH2sHL", 0x0008, 0x1115, b"SQ", 0, 0xFFFFFFFF)
    opening += struct.pack("<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF)
    closing = struct.pack("<HHLHHL", 0xFFFE, 0xE00D, 0, 0xFFFE, 0xE0DD, 0)
    body = opening * depth + closing * depth
    if depth < 100:
        assert "00081115" in written(body)
    else:
        with pytest.raises(NotDicom):
            written(body)


def test_a_huge_private_value_is_not_read(stored):
    path = stored(b"")
    with path.open("r+b") as file:  # a hole of 2 GiB
        file.seek(0, 2)
        file.write(struct.pack("<HH2sHL", 0x0009, 0x1001, b"OB", 0, 2 << 30))
        file.seek((2 << 30) - 1, 1)
        file.write(b"\0" + element(0x0010, 0x0020, "LO", b"FR-1"))
    found = json.loads(JsonWriter().written(path, "/at/", {}))
    assert found["00100020"]["Value"] == ["FR-1"]
    assert found["00091001"]["BulkDataURI"] == "/at/00091001"


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.binary(max_size=200), st.sampled_from([EXPLICIT, IMPLICIT, BIG_ENDIAN]))
def test_any_bytes_are_json_or_no_data_set(stored, body, syntax):
    try:
        text = JsonWriter().written(stored(body, syntax), "/at/", {})
    except NotDicom:
        return
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.integers(0, 10_000), st.binary(min_size=1, max_size=6))
def test_a_flipped_object_is_json_or_no_data_set(stored, place, bytes_):
    body = bytearray(encoded(nested()))
    place %= len(body)
    body[place : place + len(bytes_)] = bytes_
    try:
        json.loads(JsonWriter().written(stored(bytes(body)), "/at/", {}))
    except NotDicom:
        pass


def test_bulk_lies_where_it_says(stored):
    path = stored(encoded(ct(1)))
    with reading(path) as opened:
        (pixels,) = bulk_of(opened)
    ((offset, length),) = pixels.stretches
    assert path.read_bytes()[offset : offset + length] == dcmread(path).PixelData
