"""Bulk data by the address that metadata gives it, whole, in ranges, or all at once."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from dicom_node.ingest.ingest import Arrival
from dicom_node.models import Instance, RecallRequest
from tests.node.objects import SERIES, STUDY, ct, encoded, put_away
from tests.node.web_answers import parts_of, require_problem, whole

ROOT = f"/dicom-web/studies/{STUDY}"
OF_SERIES = f"{ROOT}/series/{SERIES}"
INSTANCE = f"{OF_SERIES}/instances/{SERIES}.1"
PIXELS = f"{INSTANCE}/bulkdata/7FE00010"
OCTETS = "application/octet-stream"
MULTIPART = 'multipart/related; type="application/octet-stream"'
BIG_ENDIAN, IMPLICIT, DEFLATED = (f"1.2.840.10008.1.2{end}" for end in (".2", "", ".1.99"))
PRIVATE = bytes(range(256)) * 8
PDF = b"%PDF-1.4 " + bytes(range(256)) * 20
ENCAPSULATED_PDF = "1.2.840.10008.5.1.4.1.1.104.1"


def get(client, path, accept="*/*", **headers):
    return client.get(path, headers={"Accept": accept, **headers})


def addresses(client, path):
    """Return every BulkDataURI in the metadata of an address."""
    text = whole(client.get(f"{path}/metadata")).decode()
    json.loads(text)
    return re.findall('"BulkDataURI":"([^"]+)"', text)


def with_private(number=1):
    item = Dataset()
    item.add_new(0x00091001, "OB", PRIVATE)
    ds = ct(number)
    ds.ReferencedSeriesSequence = Sequence([Dataset(), item])
    return ds


def document():
    ds = ct(1)
    for keyword in ("PixelData", "Rows", "Columns"):
        delattr(ds, keyword)
    ds.SOPClassUID = ENCAPSULATED_PDF
    ds.Modality = "DOC"
    ds.EncapsulatedDocument, ds.EncapsulatedDocumentLength = PDF, len(PDF)
    ds.MIMETypeOfEncapsulatedDocument = "application/pdf"
    return ds


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.1", IMPLICIT])
def test_every_address_in_metadata_answers_its_value(take, portal, syntax):
    take(with_private(), syntax)
    expected = [PRIVATE, ct(1).PixelData]
    found = addresses(portal, INSTANCE)
    assert found == [f"{INSTANCE}/bulkdata/00081115/2/00091001", PIXELS]
    assert [whole(get(portal, address)) for address in found] == expected


def test_words_of_big_endian_come_in_little_endian(take, portal):
    ds = ct(1)
    ds.PixelData = np.frombuffer(ds.PixelData, "<u2").astype(">u2").tobytes()
    take(ds, BIG_ENDIAN)
    assert whole(get(portal, PIXELS)) == ct(1).PixelData


def test_a_deflated_object_gives_its_values(real, portal):
    path = real("image_dfl.dcm")
    (address,) = addresses(portal, path)
    assert len(whole(get(portal, address))) == 512 * 512


def test_one_part_or_multipart_as_the_caller_takes_it(take, portal):
    take(ct(1))
    single = get(portal, PIXELS, OCTETS)
    assert single["Content-Type"] == OCTETS
    (part,) = parts_of(get(portal, PIXELS, MULTIPART))
    assert (part.content_type, part.body) == (OCTETS, whole(single))
    anything = get(portal, PIXELS, "*/*")
    assert (anything["Content-Type"], whole(anything)) == (OCTETS, part.body)


def test_ranges_of_a_value_come_alone(take, portal):
    take(ct(1))
    answer = get(portal, PIXELS, OCTETS, Range="bytes=100-109")
    assert (answer.status_code, whole(answer)) == (206, ct(1).PixelData[100:110])
    assert answer["Content-Range"] == "bytes 100-109/512"
    assert get(portal, PIXELS, OCTETS, Range="bytes=512-").status_code == 416
    again = get(portal, PIXELS, OCTETS, **{"Range": "bytes=0-1", "If-Range": answer["ETag"]})
    assert (again.status_code, len(whole(again))) == (206, 2)


def test_a_value_that_the_caller_has_is_not_sent_again(take, portal):
    take(ct(1))
    first = get(portal, PIXELS)
    whole(first)
    assert "private" in first["Cache-Control"]
    assert get(portal, PIXELS, **{"If-None-Match": first["ETag"]}).status_code == 304
    since = {"If-Modified-Since": first["Last-Modified"]}
    assert get(portal, PIXELS, **since).status_code == 304


@pytest.mark.parametrize(
    ("accept", "kind", "multipart"),
    [
        ("*/*", "application/pdf", False),
        ("application/pdf", "application/pdf", False),
        (OCTETS, OCTETS, False),
        ('multipart/related; type="application/pdf"', "application/pdf", True),
        (f'multipart/related; type="application/pdf", {MULTIPART}', "application/pdf", True),
        (MULTIPART, OCTETS, True),
    ],
)
def test_a_document_comes_as_what_it_is_or_as_octets(take, portal, accept, kind, multipart):
    take(document())
    (address,) = addresses(portal, INSTANCE)
    assert address.endswith("/bulkdata/00420011")
    answer = get(portal, address, accept)
    if multipart:
        (part,) = parts_of(answer)
        assert (part.content_type, part.body) == (kind, PDF)
    else:
        assert (answer["Content-Type"], whole(answer)) == (kind, PDF)


def test_a_document_has_ranges(take, portal):
    take(document())
    answer = get(portal, f"{INSTANCE}/bulkdata/00420011", Range="bytes=-4")
    assert (answer.status_code, whole(answer)) == (206, PDF[-4:])


def test_compressed_pixels_come_as_their_frames(real, portal):
    path = real("SC_rgb_rle_2frame.dcm")
    (address,) = addresses(portal, path)
    parts = parts_of(get(portal, address, MULTIPART))
    assert [len(part.body) for part in parts] == [100 * 100 * 3] * 2


@pytest.mark.parametrize("path", [ROOT, OF_SERIES, INSTANCE])
def test_all_bulk_data_of_an_address_comes_with_the_address_of_each(take, portal, path):
    take(with_private())
    take(with_private(2))
    answer = get(portal, f"{path}/bulkdata", MULTIPART)
    body = whole(answer)
    places = re.findall(rb"Content-Location: (.+)\r\n", body)
    assert [place.decode() for place in places] == addresses(portal, path)
    parts = parts_of(get(portal, f"{path}/bulkdata"))
    assert [part.body for part in parts][:2] == [PRIVATE, ct(1).PixelData]


def test_pixel_data_of_an_address_comes_alone(take, real, portal):
    take(with_private())
    parts = parts_of(get(portal, f"{ROOT}/pixeldata"))
    assert [part.body for part in parts] == [ct(1).PixelData]
    compressed = real("SC_rgb_rle_2frame.dcm")
    assert len(parts_of(get(portal, f"{compressed}/pixeldata"))) == 2


@pytest.mark.parametrize("what", ["bulkdata/7FE00010", "bulkdata", "pixeldata"])
def test_bulk_data_that_is_away_is_503_and_wanted(take, portal, layout, what):
    take(ct(1))
    put_away(layout, f"{SERIES}.1")
    answer = get(portal, f"{INSTANCE}/{what}")
    require_problem(answer, 503)
    assert answer["Retry-After"]
    assert RecallRequest.objects.get().study_uid == STUDY


def test_what_cannot_be_served_wakes_no_archive(take, portal, layout):
    take(ct(1))
    put_away(layout, f"{SERIES}.1")
    for what in ("bulkdata/7FE00010", "bulkdata"):
        require_problem(get(portal, f"{INSTANCE}/{what}", "image/png"), 406)
    assert not RecallRequest.objects.exists()


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("bulkdata/00100010", 404),  # it stands in the metadata
        ("bulkdata/00081115/1/00091001", 404),
        ("bulkdata/00081115/0/00091001", 400),
        ("bulkdata/7fe00010", 200),
        ("bulkdata/PixelData", 400),
        ("bulkdata/7FE00010/", 400),
        ("bulkdata/..%2f..%2fetc%2fpasswd", 400),
        ("bulkdata/7FE00010%00", 400),
        ("bulkdata/" + "00081115/1/" * 300 + "00091001", 400),
    ],
)
def test_addresses_of_no_value_are_told_apart(take, portal, path, status):
    take(with_private())
    answer = get(portal, f"{INSTANCE}/{path}")
    whole(answer)
    assert answer.status_code == status


def test_a_damaged_file_is_a_500_of_one_line(take, portal, layout):
    take(ct(1))
    row = Instance.objects.get()
    layout.object(row.hour, row.uid).write_bytes(b"overwritten by somebody")
    assert "damaged" in require_problem(get(portal, PIXELS), 500)
    assert "damaged" in require_problem(get(portal, f"{INSTANCE}/bulkdata"), 500)


def test_objects_without_bulk_data_have_none(ingest, portal):
    ds = ct(1)
    del ds.PixelData
    ingest.take(Arrival(encoded(ds), "1.2.840.10008.1.2.1"))
    require_problem(get(portal, f"{INSTANCE}/bulkdata"), 404)
    require_problem(get(portal, PIXELS), 404)
