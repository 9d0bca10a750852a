"""The header as a person reads it: every element of an object, wherever its bytes are."""

from __future__ import annotations

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from dicom_node.ingest.ingest import Arrival
from dicom_node.models import Instance
from tests.node.objects import SERIES, STUDY, ct, put_away, real_file, with_broken_values
from tests.node.web_answers import require_problem

UID = f"{SERIES}.1"


def header(client, uid: str = UID) -> dict:
    answer = client.get(f"/api/instances/{uid}/header")
    assert answer.status_code == 200, answer.content
    return answer.json()


def element(found: dict, tag: str) -> dict:
    (line,) = [line for line in found["elements"] if line["tag"] == tag]
    return line


def nested() -> Dataset:
    """Return an object with private elements, and one sequence inside another."""
    ds = ct(1)
    code = Dataset()
    code.CodeValue, code.CodeMeaning = "T-D1100", "Tête"
    request = Dataset()
    request.ScheduledProcedureStepID = "S1"
    request.ScheduledProtocolCodeSequence = Sequence([code, Dataset()])
    ds.RequestAttributesSequence = Sequence([request])
    block = ds.private_block(0x0009, "ARGENS TEST", create=True)
    block.add_new(0x01, "LO", "secret")
    block.add_new(0x02, "UN", bytes(range(100)))
    return ds


def test_the_instance_is_named_by_its_uids_and_syntax(take, portal):
    take(ct(1))
    found = header(portal)
    assert (found["study_uid"], found["series_uid"]) == (STUDY, SERIES)
    assert found["sop_instance_uid"] == UID
    assert found["transfer_syntax"] == "Explicit VR Little Endian"


def test_every_element_is_there_in_order_group_2_first(take, portal, layout):
    take(nested())
    found = header(portal)
    row = Instance.objects.get()
    stored = dcmread(layout.object(row.hour, row.uid))
    tags = [f"({t.group:04X},{t.element:04X})" for t in (*stored.file_meta.keys(), *stored.keys())]
    assert [line["tag"] for line in found["elements"]] == tags
    keys = {"tag", "vr", "name", "keyword", "private", "length", "value"}
    assert all(keys <= line.keys() for line in found["elements"])


def test_a_name_is_one_value_with_its_accents(take, portal):
    take(ct(1))
    assert element(header(portal), "(0010,0010)") == {
        "tag": "(0010,0010)",
        "vr": "PN",
        "name": "Patient's Name",
        "keyword": "PatientName",
        "private": False,
        "length": 14,
        "value": "Lefèvre^Hélène",
    }


def test_several_values_are_told_apart_and_uids_have_names(take, portal):
    take(ct(1, OtherPatientNames=["A^B", "C^D"]))
    found = header(portal)
    assert element(found, "(0028,0030)")["value"] == "0.5\\0.5"
    assert element(found, "(0010,1001)")["value"] == "A^B\\C^D"
    assert element(found, "(0008,0016)")["value"] == "1.2.840.10008.5.1.4.1.1.2 (CT Image Storage)"
    assert element(found, "(0002,0010)")["value"].endswith("(Explicit VR Little Endian)")


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2"])
def test_pixels_are_told_by_their_size_and_not_read(take, portal, syntax):
    ds = ct(1, Rows=512, Columns=512)
    ds.PixelData = bytes(512 * 512 * 2)
    take(ds, syntax)
    pixels = element(header(portal), "(7FE0,0010)")
    assert (pixels["vr"], pixels["name"], pixels["keyword"]) == ("OW", "Pixel Data", "PixelData")
    assert (pixels["length"], pixels["value"]) == (524288, "524288 bytes")


def test_private_elements_come_with_their_creator(take, portal):
    take(nested())
    found = header(portal)
    creator, text, data = (element(found, f"(0009,{n})") for n in ("0010", "1001", "1002"))
    assert (creator["name"], creator["value"]) == ("Private Creator", "ARGENS TEST")
    assert (text["private"], text["value"]) == (True, "secret")
    assert data["value"] == "100 bytes"


def test_sequences_hold_their_items_however_deep(take, portal):
    take(nested())
    sequence = element(header(portal), "(0040,0275)")
    assert (sequence["vr"], sequence["value"]) == ("SQ", "1 item")
    ((inner, *_),) = [[line for line in item if line["vr"] == "SQ"] for item in sequence["items"]]
    assert inner["value"] == "2 items"
    first, empty = inner["items"]
    assert [line["value"] for line in first] == ["T-D1100", "Tête"]
    assert empty == []


def test_values_that_cannot_be_read_say_so_and_hide_nothing_else(ingest, portal):
    ingest.take(Arrival(with_broken_values(), "1.2.840.10008.1.2.1"))
    found = header(portal)
    assert element(found, "(0020,0011)")["value"].startswith("cannot be read: ")
    assert element(found, "(0028,1050)")["value"]
    assert element(found, "(0010,0020)")["value"] == "FR-1"


def test_long_values_are_cut_visibly(take, portal):
    take(ct(1, ImageComments="x" * 9000))
    assert element(header(portal), "(0020,4000)")["value"] == "x" * 4096 + "…"


def test_an_evicted_object_still_has_its_header(take, portal, layout):
    take(nested())
    before = [line for line in header(portal)["elements"] if line["tag"] < "(7FE0"]
    put_away(layout, UID)
    after = header(portal)["elements"]
    assert [(a["tag"], a["value"], a.get("items")) for a in after] == [
        (b["tag"], b["value"], b.get("items")) for b in before
    ]


@pytest.mark.parametrize(
    "name",
    [
        *(
            "CT_small.dcm",
            "badVR.dcm",
            "waveform_ecg.dcm",
            "JPEG2000.dcm",
            "MR_small_bigendian.dcm",
        ),
        *("rtplan.dcm", "test-SR.dcm", "examples_palette.dcm", "image_dfl.dcm", "rtdose.dcm"),
    ],
)
def test_real_files_are_readable(ingest, portal, name):
    content, syntax = real_file(name)
    ingest.take(Arrival(content, syntax))
    found = header(portal, Instance.objects.get().uid)
    broken = [x["tag"] for x in found["elements"] if x["value"].startswith("cannot be read")]
    assert not broken


def test_an_unknown_instance_is_404(db, portal):
    require_problem(portal.get("/api/instances/1.2.3/header"), 404)


@pytest.mark.parametrize("uid", ["nonsense", "..", "%00", "1" * 200])
def test_what_is_no_uid_never_reaches_the_index(db, portal, uid):
    require_problem(portal.get(f"/api/instances/{uid}/header"), 400)
