"""STOW-RS of metadata and bulk data: the object is what both say (PS3.18 10.5.1.2)."""

from __future__ import annotations

import json

import pytest
from django.test import Client
from pydicom.dataset import Dataset

from dicom_node.ingest import door
from dicom_node.models import Instance
from dicom_node.store import part10
from dicom_node.store.layout import Layout
from tests.node.objects import ct, real_file
from tests.node.stow_bodies import BOUNDARY, KEPT, OTHER, Post, poster, reasons, uids
from tests.node.web_answers import require_problem

RELATED = f'multipart/related; type="application/dicom+json"; boundary={BOUNDARY}'
HERE = "bulk/1"
OCTETS = "application/octet-stream"


@pytest.fixture
def post(layout: Layout, transactional_db: None, ticket) -> Post:
    """POST metadata with a ticket that may store."""
    send = poster(Client(headers={"Authorization": f"Bearer {ticket('dicomweb.store')}"}))
    yield lambda content, **more: send(content, **({"content_type": RELATED} | more))
    door.close()


def part(content: bytes, content_type: str, location: str = "") -> bytes:
    """Return one part with its headers."""
    head = f"--{BOUNDARY}\r\nContent-Type: {content_type}\r\n"
    head += f"Content-Location: {location}\r\n" if location else ""
    return head.encode() + b"\r\n" + content + b"\r\n"


def body(metadata: object, *parts: bytes) -> bytes:
    """Return a body whose first part is this metadata."""
    text = metadata if isinstance(metadata, bytes) else json.dumps(metadata).encode()
    first = part(text, "application/dicom+json")
    return first + b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def as_json(ds: Dataset, uri: str = HERE, vr: str = "OW") -> dict:
    """Return the metadata of an object whose pixels come by URI."""
    copy = Dataset({e.tag: e for e in ds if e.keyword != "PixelData"})
    return copy.to_json_dict() | {"7FE00010": {"vr": vr, "BulkDataURI": uri}}


def stored(layout: Layout, uid: str) -> Dataset:
    row = Instance.objects.get(uid=uid)
    return part10.read_object(layout.object(row.hour, uid))


def elements(ds: Dataset) -> dict:
    return {e.tag: e.value for e in ds if e.keyword != "SpecificCharacterSet"}


def test_metadata_with_its_bulk_data_is_the_object(post, layout):
    ds = ct(1, SpecificCharacterSet="ISO_IR 192")
    answer = post(body([as_json(ds)], part(ds.PixelData, OCTETS, HERE)))
    assert (answer.status_code, uids(answer, KEPT)) == (200, [ds.SOPInstanceUID])
    found = stored(layout, ds.SOPInstanceUID)
    assert elements(found) == elements(ds)
    assert found.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"


def test_many_instances_share_one_body(post, layout):
    objects = [ct(number, SpecificCharacterSet="ISO_IR 192") for number in (1, 2, 3)]
    parts = [part(ds.PixelData, OCTETS, f"at/{ds.InstanceNumber}") for ds in objects]
    told = [as_json(ds, f"at/{ds.InstanceNumber}") for ds in objects]
    answer = post(body(told, *parts))
    assert (answer.status_code, len(uids(answer, KEPT))) == (200, 3)
    for ds in objects:
        assert stored(layout, ds.SOPInstanceUID).PixelData == ds.PixelData


def test_metadata_alone_is_an_object_without_bulk_data(post, layout):
    ds = ct(1, SpecificCharacterSet="ISO_IR 192", PixelData=None)
    assert post(body([ds.to_json_dict()])).status_code == 200
    assert elements(stored(layout, ds.SOPInstanceUID)) == elements(ds)


def test_a_compressed_frame_becomes_one_fragment_of_its_syntax(post, layout):
    content, syntax = real_file("JPEG2000.dcm")
    ds = part10.parse_data_set(content, syntax)
    from pydicom.encaps import generate_frames

    (frame,) = generate_frames(ds.PixelData, number_of_frames=1)
    kind = f"image/jp2; transfer-syntax={syntax}"
    answer = post(body([as_json(ds, vr="OB")], part(frame, kind, HERE)))
    assert answer.status_code == 200, answer.content
    found = stored(layout, ds.SOPInstanceUID)
    assert found.file_meta.TransferSyntaxUID == syntax
    (kept,) = generate_frames(found.PixelData, number_of_frames=1)
    assert kept.rstrip(b"\0") == frame.rstrip(b"\0")


BROKEN = {
    "no JSON": (body(b"{"), 400),
    "a list of numbers": (body([1, 2]), 400),
    "deep": (body(b"[" * 99_999), 400),
    "two parts of one place": (
        body([as_json(ct(1))], part(b"x", OCTETS, HERE), part(b"y", OCTETS, HERE)),
        400,
    ),
    "bulk data of no place": (body([as_json(ct(1))], part(b"x", OCTETS)), 400),
    "metadata that is bulk": (
        part(b"x", OCTETS) + f"--{BOUNDARY}--\r\n".encode(),
        400,
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_metadata_that_cannot_be_read_is_a_bad_request(post, layout, name):
    content, status = BROKEN[name]
    require_problem(post(content), status)
    assert not Instance.objects.exists()
    assert not list(layout.objects.rglob("*.part"))


WRONG = {
    "a URI of nowhere": as_json(ct(1), "elsewhere"),
    "no elements": {"hello": {"vr": "LO"}},
    "a VR of nobody": as_json(ct(1)) | {"00100010": {"vr": "QQ", "Value": ["x"]}},
    "a value that is none": as_json(ct(1)) | {"00280010": {"vr": "US", "Value": ["many"]}},
    "no names": {"00100020": {"vr": "LO", "Value": ["7"]}},
}


@pytest.mark.parametrize("name", WRONG)
def test_an_instance_that_cannot_be_made_fails_and_harms_no_neighbour(post, name):
    good = ct(2)
    told = [as_json(good, "good"), WRONG[name]]
    answer = post(body(told, part(good.PixelData, OCTETS, "good"), part(b"xx", OCTETS, HERE)))
    assert (answer.status_code, uids(answer, KEPT)) == (202, [good.SOPInstanceUID])
    assert len(reasons(answer) + reasons(answer, OTHER)) == 1


def test_metadata_beyond_the_setting_is_too_large(post, monkeypatch):
    from dataclasses import replace

    from dicom_node.dicomweb import stow

    monkeypatch.setattr(stow, "CONFIG", replace(stow.CONFIG, stow_max_metadata_bytes=99))
    require_problem(post(body([as_json(ct(1))])), 413)


@pytest.mark.parametrize(
    ("charset", "kept"),
    [("ISO_IR 192", ""), ("ISO_IR 100", "ISO_IR 100"), (None, ""), ("ISO_IR 144", ""), (7, "")],
)
def test_texts_keep_their_characters_after_a_large_value_too(post, layout, charset, kept):
    ds = ct(1, PatientName="Lefèvre^Hélène", SpecificCharacterSet="ISO_IR 192")
    ds.ICCProfile = bytes(8)
    ds.PerformedProcedureStepDescription = "Thorax à gauche"  # (0040,0254), after (0028,2000)
    told = as_json(ds) | {"00282000": {"vr": "OB", "BulkDataURI": "icc"}}
    del told["00080005"]
    if charset:
        told["00080005"] = {"vr": "CS", "Value": [charset]}
    parts = part(ds.PixelData, OCTETS, HERE), part(ds.ICCProfile, OCTETS, "icc")
    assert post(body([told], *parts)).status_code == 200
    found = stored(layout, ds.SOPInstanceUID)
    assert found.SpecificCharacterSet == (kept or "ISO_IR 192")
    assert str(found.PatientName) == "Lefèvre^Hélène"
    assert found.PerformedProcedureStepDescription == "Thorax à gauche"
