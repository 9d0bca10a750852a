"""WADO-RS: whole objects over HTTP (PS3.18 10.4)."""

from __future__ import annotations

import io
import re
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydicom import dcmread

from dicom_node.dicomweb import encoded_objects
from dicom_node.models import Instance, RecallRequest, Study
from dicom_node.render.transcode import OFFERED
from pacs_common.errors import NotAcceptable
from tests.node.objects import (
    SERIES,
    STUDY,
    ct,
    put_away,
    real_file,
    without_pixels,
)
from tests.node.web_answers import parts_of, require_problem, stored_bytes, whole

pytestmark = pytest.mark.slow

ROOT = f"/dicom-web/studies/{STUDY}"
INSTANCE = f"{ROOT}/series/{SERIES}/instances/{SERIES}.1"
EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"
JPEG_LS, RLE = "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.5"
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
    content = whole(answer)
    assert dcmread(io.BytesIO(content)).SOPInstanceUID == f"{SERIES}.1"
    assert answer["Content-Length"] == str(len(content))
    assert answer["Content-Location"] == f"http://testserver{INSTANCE}"


@pytest.mark.parametrize(
    ("accept", "syntax"),
    [
        (f"{DICOM_PARTS}; transfer-syntax={IMPLICIT}", IMPLICIT),
        (f'multipart/related;type=application/dicom;transfer-syntax="{IMPLICIT}"', IMPLICIT),
        (f"{DICOM_PARTS}; transfer-syntax=1.2.840.10008.1.2.4.50, {DICOM_PARTS}", EXPLICIT),
        (f"{DICOM_PARTS}; transfer-syntax={JPEG_LS}, {DICOM_PARTS}; q=0.5", JPEG_LS),
        (f"{DICOM_PARTS}; transfer-syntax={JPEG_LS}; q=0.4, {DICOM_PARTS}; q=0.5", EXPLICIT),
        (f"{DICOM_PARTS}; q=0.2, {AS_STORED}; q=0.9", EXPLICIT),
        (f"image/png, {DICOM_PARTS}; transfer-syntax={IMPLICIT}; q=0.5, */*; q=0.1", IMPLICIT),
        ("Multipart/Related; Type=Application/DICOM", EXPLICIT),
    ],
)
def test_the_best_range_that_can_be_served_decides(take, portal, accept, syntax):
    take(ct(1))
    (part,) = parts_of(get(portal, ROOT, accept))
    assert part.content_type == f"application/dicom; transfer-syntax={syntax}"


@pytest.mark.parametrize("syntax", OFFERED)
@pytest.mark.parametrize("stored", [IMPLICIT, EXPLICIT])
def test_an_object_comes_in_every_syntax_that_is_offered(take, portal, syntax, stored):
    original = smooth_ct()
    take(original, stored)
    (part,) = parts_of(get(portal, ROOT, f"{DICOM_PARTS}; transfer-syntax={syntax}"))
    assert part.content_type == f"application/dicom; transfer-syntax={syntax}"
    ds = dcmread(io.BytesIO(part.body))
    assert ds.file_meta.TransferSyntaxUID == syntax
    assert ds.pixel_array.tobytes() == original.PixelData
    assert str(ds.PatientName) == "Lefèvre^Hélène"


def test_each_part_names_the_address_of_its_object(take, portal):
    take(ct(1))
    take(ct(2))
    answer = get(portal, ROOT)
    addresses = re.findall(rb"Content-Location: http://testserver(\S+)", whole(answer))
    assert all(parts_of(get(portal, one.decode())) for one in addresses)
    assert addresses == [f"{ROOT}/series/{SERIES}/instances/{SERIES}.{n}".encode() for n in (1, 2)]


def test_what_has_no_pixels_comes_explicit_where_a_compressed_syntax_is_asked(take, portal):
    take(smooth_ct())
    take(without_pixels(ct(2, series=f"{SERIES}.2")), IMPLICIT)
    parts = parts_of(get(portal, ROOT, f"{DICOM_PARTS}; transfer-syntax={JPEG_LS}"))
    assert [part.content_type.rpartition("=")[2] for part in parts] == [JPEG_LS, EXPLICIT]


def test_an_object_that_a_syntax_cannot_hold_comes_in_the_next_one_or_not_at_all(take, portal):
    take(noise())  # it would not shrink
    only = f"{DICOM_PARTS}; transfer-syntax={JPEG_LS}"
    detail = require_problem(get(portal, ROOT, only), 406)
    assert f"{SERIES}.1" in detail
    (part,) = parts_of(
        get(portal, ROOT, f"{only}, {DICOM_PARTS}; transfer-syntax={IMPLICIT}; q=0.5")
    )
    assert part.content_type.endswith(f"={IMPLICIT}")


def test_where_a_container_does_not_do_the_next_one_is_taken(take, portal):
    take(noise())
    archive = f"application/zip; transfer-syntax={JPEG_LS}"
    parts = f"{DICOM_PARTS}; transfer-syntax={IMPLICIT}; q=0.5"
    require_problem(get(portal, ROOT, archive), 406)
    (part,) = parts_of(get(portal, ROOT, f"{archive}, {parts}"))
    assert part.content_type.endswith(f"={IMPLICIT}")


def test_a_stored_syntax_that_is_excluded_is_not_sent(take, portal):
    take(ct(1), IMPLICIT)
    never = f"{DICOM_PARTS}; transfer-syntax={IMPLICIT}; q=0"
    require_problem(get(portal, ROOT, f"{AS_STORED}, {never}"), 406)
    require_problem(get(portal, ROOT, f"multipart/related; transfer-syntax=*, {never}"), 406)
    (part,) = parts_of(get(portal, ROOT, f"{AS_STORED}, {never}, {DICOM_PARTS}; q=0.1"))
    assert part.content_type.endswith(f"={EXPLICIT}")


def test_a_later_object_that_fails_never_ends_in_a_whole_answer(take, portal):
    take(smooth_ct())
    take(noise(2))
    answer = get(portal, ROOT, f"{DICOM_PARTS}; transfer-syntax={JPEG_LS}")
    assert answer.status_code == 200
    with pytest.raises(NotAcceptable):
        whole(answer)
    archive = get(portal, ROOT, f"application/zip; transfer-syntax={JPEG_LS}")
    with pytest.raises(NotAcceptable):
        whole(archive)


def test_what_grows_too_long_comes_as_it_is_stored(take, portal, monkeypatch):
    ds = smooth_ct()
    take(ds, IMPLICIT)
    monkeypatch.setattr(encoded_objects, "TOO_LONG_BYTES", len(ds.PixelData) - 1)
    (part,) = parts_of(get(portal, ROOT))
    assert part.content_type.endswith(f"={IMPLICIT}")
    (part,) = parts_of(get(portal, ROOT, f"{DICOM_PARTS}; transfer-syntax={EXPLICIT}"))
    assert part.content_type.endswith(f"={EXPLICIT}")


@pytest.mark.parametrize(
    "accept", ["application/zip", "application/*", "application/zip, */*;q=0.1"]
)
def test_a_study_comes_as_a_zip_archive_with_a_folder_for_each_series(take, portal, accept):
    take(ct(1))
    take(ct(2), IMPLICIT)
    take(ct(1, series=f"{SERIES}.9"))
    answer = get(portal, ROOT, accept)
    assert answer["Content-Type"] == "application/zip"
    assert answer["Content-Disposition"] == f'attachment; filename="{STUDY}.zip"'
    archive = zipfile.ZipFile(io.BytesIO(whole(answer)))
    assert archive.testzip() is None
    assert sorted(archive.namelist()) == sorted(
        [f"{SERIES}/{SERIES}.1.dcm", f"{SERIES}/{SERIES}.2.dcm", f"{SERIES}.9/{SERIES}.9.1.dcm"]
    )
    for name in archive.namelist():
        ds = dcmread(io.BytesIO(archive.read(name)))
        assert name == f"{ds.SeriesInstanceUID}/{ds.SOPInstanceUID}.dcm"
        assert ds.file_meta.TransferSyntaxUID == EXPLICIT


def test_an_archive_as_stored_has_the_files_byte_for_byte(take, portal, layout):
    take(ct(1), IMPLICIT)
    answer = get(portal, f"{ROOT}/series/{SERIES}", "application/zip; transfer-syntax=*")
    archive = zipfile.ZipFile(io.BytesIO(whole(answer)))
    assert archive.read(f"{SERIES}/{SERIES}.1.dcm") == stored_bytes(layout, f"{SERIES}.1")


def test_a_single_object_is_known_by_its_tag_and_comes_in_ranges(take, portal, layout):
    take(ct(1))
    headers = {"Accept": "application/dicom; transfer-syntax=*"}
    answer = portal.get(INSTANCE, headers=headers)
    content, etag = whole(answer), answer["ETag"]
    assert content == stored_bytes(layout, f"{SERIES}.1")
    again = portal.get(INSTANCE, headers={**headers, "If-None-Match": etag})
    assert (again.status_code, again.content) == (304, b"")
    piece = portal.get(INSTANCE, headers={**headers, "Range": "bytes=128-131"})
    assert (piece.status_code, whole(piece)) == (206, b"DICM")
    other = portal.get(
        INSTANCE, headers={"Accept": f"application/dicom; transfer-syntax={IMPLICIT}"}
    )
    assert other["ETag"] != etag
    whole(other)


@pytest.mark.parametrize("accept", [AS_STORED, DICOM_PARTS, "application/zip", "*/*"])
@pytest.mark.parametrize("path", [ROOT, f"{ROOT}/series/{SERIES}", INSTANCE])
def test_several_objects_that_the_caller_has_are_not_sent_again(take, portal, accept, path):
    take(ct(1))
    first = get(portal, path, accept)
    whole(first)
    assert first["ETag"].startswith('W/"')
    shown = {"Accept": accept, "If-None-Match": first["ETag"]}
    again = portal.get(path, headers=shown)
    assert (again.status_code, whole(again), again["ETag"]) == (304, b"", first["ETag"])
    assert portal.head(path, headers=shown).status_code == 304
    take(ct(2))
    grown = portal.get(path, headers=shown)
    whole(grown)
    assert grown.status_code == (304 if path == INSTANCE else 200)


def test_other_forms_of_the_same_objects_have_other_tags(take, portal):
    take(ct(1))
    forms = [AS_STORED, DICOM_PARTS, "application/zip", "application/zip; transfer-syntax=*"]
    answers = [get(portal, path, accept) for accept in forms for path in (ROOT, INSTANCE)]
    assert len({answer["ETag"] for answer in answers}) == len(answers)
    for answer in answers:
        whole(answer)


def test_accept_in_the_query_wins(take, portal):
    take(ct(1))
    answer = get(portal, f"{INSTANCE}?accept=application/dicom", "text/html")
    assert answer["Content-Type"].startswith("application/dicom")
    whole(answer)


@pytest.mark.parametrize(
    "accept",
    [
        "text/html",
        "image/png",
        "application/dicom",  # a study has no single part
        "multipart/related; type=application/octet-stream",
        f"{DICOM_PARTS}; transfer-syntax=1.2.840.10008.1.2.4.50",  # lossy
        f"{DICOM_PARTS}; transfer-syntax=nonsense",
        f"{DICOM_PARTS}; q=0",
    ],
)
def test_what_cannot_be_served_is_406_and_wakes_no_archive(take, portal, layout, accept):
    take(ct(1))
    put_away(layout, f"{SERIES}.1")
    require_problem(get(portal, ROOT, accept), 406)
    assert not RecallRequest.objects.exists()


def smooth_ct():
    """A CT that every lossless codec makes smaller."""
    rows, columns = np.indices((64, 64), dtype=np.int16)
    pixels = (rows * 4 + columns).astype("<i2")
    return ct(1, Rows=64, Columns=64, PixelData=pixels.tobytes())


def noise(number: int = 1):
    """A CT that no codec makes smaller."""
    pixels = np.random.default_rng(1).integers(0, 2**16, (64, 64), dtype=np.uint16)
    bits = {"BitsStored": 16, "HighBit": 15, "PixelRepresentation": 0}
    return ct(number, Rows=64, Columns=64, PixelData=pixels.tobytes(), **bits)


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
    assert parts_of(get(portal, INSTANCE))
    assert RecallRequest.objects.count() == 1


def test_a_file_that_vanished_fails_before_the_answer_begins(take, portal, layout):
    take(ct(1, PatientComments="of its own, so that no cache knows it"))
    row = Instance.objects.get()
    layout.object(row.hour, row.uid).unlink()
    for path in (INSTANCE, f"{INSTANCE}/frames/1", f"{INSTANCE}/rendered"):
        require_problem(get(portal, path), 503)
    require_problem(get(portal, INSTANCE, AS_STORED), 503)
    require_problem(get(portal, INSTANCE, "application/dicom; transfer-syntax=*"), 503)


def test_a_file_that_is_no_longer_dicom_is_a_500_of_one_line(take, portal, layout):
    take(ct(1, PatientComments="this one too"))
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


def test_no_more_is_asked_of_a_file_than_it_has_left():
    asked = []

    class Watched(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            asked.append(size)
            return super().read(size)

    content = bytes(range(256)) * ((encoded_objects.CHUNK_BYTES + 1000) // 256)
    file = Watched(content)
    whole_object = encoded_objects.EncodedObject(EXPLICIT, file, len(content))
    assert b"".join(whole_object.chunks()) == content
    assert asked == [encoded_objects.CHUNK_BYTES, len(content) - encoded_objects.CHUNK_BYTES, 0]
    assert file.closed
