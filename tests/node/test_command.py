"""Command sets: what pynetdicom writes is read, what we write pynetdicom reads."""

from __future__ import annotations

import struct
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pynetdicom.dsutils import decode as peer_decode
from pynetdicom.dsutils import encode as peer_encode

from dicom_node.dimse.association import command
from dicom_node.dimse.association.wire import BadPdu

UIDS = st.from_regex(r"[1-9][0-9]{0,8}(\.[1-9][0-9]{0,8}){1,5}", fullmatch=True)
TITLES = st.from_regex(r"[A-Z0-9_]{1,16}", fullmatch=True)


@st.composite
def command_sets(draw: st.DrawFn) -> dict[str, object]:
    """Any C-STORE request that PS3.7 allows."""
    return {
        "AffectedSOPClassUID": draw(UIDS),
        "CommandField": command.C_STORE,
        "MessageID": draw(st.integers(0, 65535)),
        "Priority": draw(st.sampled_from([0, 1, 2])),
        "AffectedSOPInstanceUID": draw(UIDS),
        "MoveOriginatorApplicationEntityTitle": draw(TITLES),
        "MoveOriginatorMessageID": draw(st.integers(0, 65535)),
    }


@given(command_sets(), st.booleans())
def test_a_command_set_comes_back_as_it_was_written(asked: dict[str, object], data: bool) -> None:
    found = command.decode(command.encode(asked, has_data=data))
    assert {key: found[key] for key in asked} == asked
    assert command.has_data_set(found) is data


@given(command_sets())
def test_a_peer_reads_what_we_write(asked: dict[str, object]) -> None:
    encoded = command.encode(asked, has_data=True)
    found = peer_decode(BytesIO(encoded), True, True)
    assert {key: found[key].value for key in asked} == asked
    assert found.CommandGroupLength == len(encoded) - 12


@given(command_sets())
def test_what_a_peer_writes_is_read(asked: dict[str, object]) -> None:
    ds = Dataset()
    for key, value in asked.items():
        setattr(ds, key, value)
    ds.CommandDataSetType = 0x0102  # anything but 0101H says that data follow (PS3.7 E.1)
    found = command.decode(peer_encode(ds, True, True))
    assert {key: found[key] for key in asked} == asked
    assert command.has_data_set(found)


def test_tags_are_read_and_written() -> None:
    asked = {"CommandField": command.N_GET, "AttributeIdentifierList": [0x00100010, 0x7FE00010]}
    assert command.decode(command.encode(asked, has_data=False))["AttributeIdentifierList"] == [
        0x00100010,
        0x7FE00010,
    ]


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(garbage: bytes) -> None:
    try:
        assert isinstance(command.decode(garbage)["CommandField"], int)
    except BadPdu:
        pass


@pytest.mark.parametrize(
    ("encoded", "why"),
    [
        (struct.pack("<HHLH", 0, 0x0100, 2, 1)[:-1], "cannot be read"),
        (struct.pack("<HHLH", 0x0008, 0x0016, 2, 1), "cannot be read"),
        (struct.pack("<HHL", 0, 0x0100, 0xFFFFFFFF), "cannot be read"),
        (b"\0\0\0", "cut"),
        (command.encode({"MessageID": 1}, has_data=False), "without its Command Field"),
        (struct.pack("<HHLHH", 0, 0x0100, 4, 1, 1), "without its Command Field"),
    ],
)
def test_a_damaged_command_set_is_refused_with_its_reason(encoded: bytes, why: str) -> None:
    with pytest.raises(BadPdu, match=why):
        command.decode(encoded)


@pytest.mark.parametrize("value", [b"", b"\1", b"\1\0\2\0"])
def test_what_is_not_one_number_counts_as_absent(value: bytes) -> None:
    asked = command.encode({"CommandField": command.C_ECHO}, has_data=False)
    broken = struct.pack("<HHL", 0, 0x0120, len(value)) + value
    assert "MessageIDBeingRespondedTo" not in command.decode(asked + broken)


def test_the_first_of_two_equal_elements_counts() -> None:
    one = struct.pack("<HHLH", 0, 0x0100, 2, 0x0030)
    other = struct.pack("<HHLH", 0, 0x0100, 2, 0x0001)
    assert command.decode(one + other)["CommandField"] == 0x0030


def test_an_error_comment_is_one_short_line_of_ascii() -> None:
    assert command.comment("Lefèvre \\ " + "x" * 100) == "Lef?vre / " + "x" * 54
