"""WADO-RS: whole objects and their metadata over HTTP (PS3.18 10.4)."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydicom import dcmread

from dicom_node.ingest.ingest import Arrival
from dicom_node.models import Instance, RecallRequest, Study
from tests.node.objects import SERIES, STUDY, ct, put_away, real_file, with_broken_values
from tests.node.web_answers import parts_of, require_problem, stored_bytes, whole

ROOT = f"/dicom-web/studies/{STUDY}"
INSTANCE = f"{ROOT}/series/{SERIES}/instances/{SERIES}.1"
EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"
DICOM_PARTS = 'multipart/related; type="application/dicom"'
AS_STORED = f"{DICOM_PARTS}; transfer-syntax=*"


def get(client, path: str, accept: str = "*/*"):
    return client.get(path, headers={"Accept": accept})


@pytest.mark.parametrize(
    ("path", "numbers"),
    [(ROOT, "123"), (f"{ROOT}/series/{SERIES}", "12"), (INSTANCE, "1")],
)
def test_each_level_comes_whole_and_byte_for_byte(take, portal, layout, path, numbers):
    take(ct(1))
    take(ct(2), IMPLICIT)
    take(ct(3, series=f"{SERIES}.9", SeriesNumber=9))
    parts = parts_of(get(portal, path, AS_STORED))
    uids = [f"{SERIES}.1", f"{SERIES}.2", f"{SERIES}.9.3"]
    expected = [uids[int(number) - 1] for number in numbers]
    assert [part.body for part in parts] == [stored_bytes(layout, uid) for uid in expected]


def test_objects_come_explicit_little_endian_unless_asked_otherwise(take, portal):
    take(ct(1), IMPLICIT)
    for accept in ("*/*", DICOM_PARTS, "multipart/related", "multipart/*"):
        (part,) = parts_of(get(portal, ROOT, accept))
        assert part.content_type == f"application/dicom; transfer-syntax={EXPLICIT}"
        ds = dcmread(io.BytesIO(part.body))
        assert ds.file_meta.TransferSyntaxUID == EXPLICIT
        assert ds.PixelData == ct(1).PixelData
        assert str(ds.PatientName) == "Lefèvre^Hélène"


@pytest.mark.parametrize(
    "name",
    ["MR_small_bigendian.dcm", "image_dfl.dcm", "MR_small_RLE.dcm", "MR_small_jp2klossless.dcm"],
)
def test_real_objects_are_decompressed_and_come_as_stored_too(real, portal, layout, name):
    path = real(name)
    (plain,) = parts_of(get(portal, path))
    original = real_file(name)[0]
    ds = dcmread(io.BytesIO(plain.body))
    assert ds.file_meta.TransferSyntaxUID == EXPLICIT
    assert len(ds.PixelData) == ds.Rows * ds.Columns * ds.BitsAllocated // 8
    (kept,) = parts_of(get(portal, path, AS_STORED))
    assert kept.body.endswith(original)
    assert kept.body == stored_bytes(layout, ds.SOPInstanceUID)


def test_lossy_objects_come_as_they_are_unless_asked_otherwise(real, portal):
    path = real("SC_rgb_jpeg_dcmtk.dcm")
    (part,) = parts_of(get(portal, path))
    assert part.content_type.endswith("1.2.840.10008.1.2.4.50")
    (plain,) = parts_of(get(portal, path, f"{DICOM_PARTS}; transfer-syntax={EXPLICIT}"))
    assert plain.content_type.endswith(EXPLICIT)


def test_objects_without_pixels_come_too(real, portal):
    (part,) = parts_of(get(portal, real("test-SR.dcm")))
    assert dcmread(io.BytesIO(part.body)).Modality == "SR"


@pytest.mark.parametrize(
    "accept",
    ["application/dicom", "application/*", f"application/dicom; transfer-syntax={EXPLICIT}"],
)
def test_one_instance_comes_as_a_single_part(take, portal, accept):
    take(ct(1))
    answer = get(portal, INSTANCE, accept)
    assert answer["Content-Type"].startswith("application/dicom; transfer-syntax=")
    assert dcmread(io.BytesIO(whole(answer))).SOPInstanceUID == f"{SERIES}.1"


@pytest.mark.parametrize(
    ("accept", "syntax"),
    [
        (f"{DICOM_PARTS}; transfer-syntax={IMPLICIT}", IMPLICIT),
        (f'multipart/related;type=application/dicom;transfer-syntax="{IMPLICIT}"', IMPLICIT),
        (f"{DICOM_PARTS}; transfer-syntax=1.2.840.10008.1.2.4.80, {DICOM_PARTS}", EXPLICIT),
        (f"{DICOM_PARTS}; q=0.2, {AS_STORED}; q=0.9", EXPLICIT),
        (f"image/png, {DICOM_PARTS}; transfer-syntax={IMPLICIT}; q=0.5, */*; q=0.1", IMPLICIT),
        ("Multipart/Related; Type=Application/DICOM", EXPLICIT),
    ],
)
def test_the_best_range_that_can_be_served_decides(take, portal, accept, syntax):
    take(ct(1))
    (part,) = parts_of(get(portal, ROOT, accept))
    assert part.content_type == f"application/dicom; transfer-syntax={syntax}"


def test_accept_in_the_query_wins(take, portal):
    take(ct(1))
    answer = get(portal, f"{INSTANCE}?accept=application/dicom", "text/html")
    assert answer["Content-Type"].startswith("application/dicom")


@pytest.mark.parametrize(
    "accept",
    [
        "text/html",
        "image/png",
        "application/dicom",  # a study has no single part
        "multipart/related; type=application/octet-stream",
        f"{DICOM_PARTS}; transfer-syntax=1.2.840.10008.1.2.4.80",
        f"{DICOM_PARTS}; transfer-syntax=nonsense",
        f"{DICOM_PARTS}; q=0",
    ],
)
def test_what_cannot_be_served_is_406_and_wakes_no_archive(take, portal, layout, accept):
    take(ct(1))
    put_away(layout, f"{SERIES}.1")
    require_problem(get(portal, ROOT, accept), 406)
    assert not RecallRequest.objects.exists()


@pytest.mark.parametrize("what", ["", "/frames/1", "/rendered"])
def test_an_evicted_object_is_503_and_its_study_is_wanted(take, portal, layout, what):
    take(ct(1))
    put_away(layout, f"{SERIES}.1")
    answer = get(portal, INSTANCE + what)
    require_problem(answer, 503)
    assert int(answer["Retry-After"]) > 0
    request = RecallRequest.objects.get()
    assert (request.study_uid, request.requested_by) == (STUDY, "WADO-RS by tester")


def test_a_study_of_which_one_object_is_away_is_never_a_short_200(take, portal, layout):
    take(ct(1))
    take(ct(2))
    put_away(layout, f"{SERIES}.2")
    require_problem(get(portal, ROOT), 503)
    assert get(portal, INSTANCE).status_code == 200
    assert RecallRequest.objects.count() == 1


def test_a_file_that_vanished_fails_before_the_answer_begins(take, portal, layout):
    take(ct(1))
    row = Instance.objects.get()
    layout.object(row.hour, row.uid).unlink()
    for path in (INSTANCE, f"{INSTANCE}/frames/1", f"{INSTANCE}/rendered"):
        require_problem(get(portal, path), 503)
    require_problem(get(portal, INSTANCE, AS_STORED), 503)
    require_problem(get(portal, INSTANCE, "application/dicom; transfer-syntax=*"), 503)


def test_a_file_that_is_no_longer_dicom_is_a_500_of_one_line(take, portal, layout):
    take(ct(1))
    row = Instance.objects.get()
    layout.object(row.hour, row.uid).write_bytes(b"overwritten by somebody")
    for path in (f"{INSTANCE}/frames/1", f"{INSTANCE}/metadata", f"{INSTANCE}/thumbnail"):
        assert "damaged" in require_problem(get(portal, path), 500)


def test_reading_is_noted_so_that_eviction_waits(take, portal):
    take(ct(1))
    get(portal, f"{INSTANCE}/metadata")
    assert Study.objects.get().last_access_at is None
    whole(get(portal, INSTANCE))
    assert Study.objects.get().last_access_at is not None


@pytest.mark.parametrize("path", [ROOT, f"{ROOT}/series/{SERIES}", INSTANCE])
def test_metadata_is_dicom_json_of_every_level(take, portal, path):
    take(ct(1))
    answer = get(portal, f"{path}/metadata", "application/dicom+json")
    assert answer["Content-Type"] == "application/dicom+json"
    (found,) = json.loads(whole(answer))
    assert found["00100010"] == {"vr": "PN", "Value": [{"Alphabetic": "Lefèvre^Hélène"}]}
    assert found["00081030"]["Value"] == ["TDM cérébrale"]
    assert found["00280030"] == {"vr": "DS", "Value": [0.5, 0.5]}
    assert found["00080005"]["Value"] == ["ISO_IR 192"]
    assert found["00080056"]["Value"] == ["ONLINE"]
    assert found["00083002"]["Value"] == [EXPLICIT]
    assert "7FE00010" not in found
    assert list(found) == sorted(found)


def test_metadata_of_an_evicted_object_stays_the_same(take, portal, layout):
    take(ct(1))
    (before,) = json.loads(whole(get(portal, f"{INSTANCE}/metadata")))
    put_away(layout, f"{SERIES}.1")
    (after,) = json.loads(whole(get(portal, f"{INSTANCE}/metadata")))
    assert after.pop("00080056")["Value"] == ["NEARLINE"]
    before.pop("00080056")
    assert after == before


def test_metadata_with_values_that_json_does_not_know_is_json_still(take, portal):
    take(ct(1, WindowCenter="1e400", RealWorldValueSlope=float("nan")))
    content = whole(get(portal, f"{INSTANCE}/metadata"))
    json.loads(content, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def test_metadata_leaves_out_what_cannot_be_read(ingest, portal):
    ingest.take(Arrival(with_broken_values(), EXPLICIT))
    (found,) = json.loads(whole(get(portal, f"{INSTANCE}/metadata")))
    assert "00200011" not in found
    assert found["00100020"]["Value"] == ["FR-1"]
    assert portal.get("/dicom-web/instances").status_code == 200
    assert get(portal, f"{INSTANCE}/rendered").status_code == 200


@pytest.mark.parametrize(
    "name", ["badVR.dcm", "CT_small.dcm", "waveform_ecg.dcm", "reportsi.dcm", "rtplan.dcm"]
)
def test_metadata_of_odd_real_files_is_json(real, portal, name):
    (found,) = json.loads(whole(get(portal, f"{real(name)}/metadata")))
    assert found["00080018"]["Value"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/dicom-web/studies/1.2.3", 404),
        (f"{ROOT}/series/1.2.3", 404),
        (f"{ROOT}/series/{SERIES}/instances/1.2.3", 404),
        (f"/dicom-web/studies/1.2.3/series/{SERIES}/instances/{SERIES}.1", 404),
        (f"{ROOT}/series/1.2.3/metadata", 404),
        ("/dicom-web/studies/..", 400),
        ("/dicom-web/studies/1.2.x/metadata", 400),
        (f"/dicom-web/studies/{'1' * 65}", 400),
        ("/dicom-web/studies/1..2/rendered", 400),
        ("/dicom-web/studies/1.2%2C1.3", 400),
        ("/dicom-web/studies/%2e%2e%2f%2e%2e%2fetc/metadata", 404),
        ("/dicom-web/studies/1.2%00", 404),
        ("/dicom-web/studies/*", 400),
        ("/dicom-web/studies/%20", 400),
        ("/dicom-web/patients", 404),
        ("/dicom-web/studies/", 404),
    ],
)
def test_addresses_of_nothing_are_problem_documents(take, portal, path, status):
    take(ct(1))
    require_problem(get(portal, path), status)


HEADERS = st.text(st.characters(max_codepoint=255, exclude_characters="\r\n"), max_size=80)
PIECES = st.sampled_from(
    [
        *("multipart/related", "application/dicom", "image/jpeg", "*/*", "image/*", "/", "*"),
        *(";", ",", "=", '"', " ", "\t", "\\"),
        *("type=", "transfer-syntax=", "q=", "q=nan", "q=-1", "q=1e999", "boundary="),
        *("*", "1.2.840.10008.1.2.4.70", "x*=utf-9'a'%41", "application/dicom+json"),
    ]
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(HEADERS | st.lists(PIECES, max_size=12).map("".join))
@example("a/b; x*=nonsense'en'%41")
@example(";;;")
@example('multipart/related; type="')
def test_no_accept_header_is_a_fault_of_ours(one_instance, accept):
    for path in ("", "/metadata", "/frames/1", "/rendered", "/thumbnail"):
        answer = get(one_instance, INSTANCE + path, accept)
        assert answer.status_code in (200, 406)
        whole(answer)


@pytest.fixture
def one_instance(take, portal):
    take(ct(1))
    return portal
