"""Metadata over HTTP: JSON and XML of every level, known tags, and what is away or damaged."""

from __future__ import annotations

import gzip
import json
from urllib.parse import urljoin
from xml.etree import ElementTree

import pytest

from dicom_node.ingest.ingest import Arrival
from dicom_node.models import Instance
from tests.node.objects import SERIES, STUDY, ct, put_away, with_broken_values
from tests.node.web_answers import parts_of, require_problem, whole

ROOT = f"/dicom-web/studies/{STUDY}"
OF_SERIES = f"{ROOT}/series/{SERIES}"
INSTANCE = f"{OF_SERIES}/instances/{SERIES}.1"
EXPLICIT = "1.2.840.10008.1.2.1"
JSON = "application/dicom+json"
XML = 'multipart/related; type="application/dicom+xml"'
LEVELS = pytest.mark.parametrize("path", [ROOT, OF_SERIES, INSTANCE])


def get(client, path, accept=JSON, **headers):
    return client.get(f"{path}/metadata", headers={"Accept": accept, **headers})


def objects(client, path, **headers):
    answer = get(client, path, **headers)
    assert answer.status_code == 200, whole(answer)
    return json.loads(whole(answer))


@LEVELS
def test_every_level_is_dicom_json_in_utf_8(take, portal, path):
    take(ct(1))
    answer = get(portal, path)
    assert answer["Content-Type"] == JSON
    (found,) = json.loads(whole(answer))
    assert found["00100010"] == {"vr": "PN", "Value": [{"Alphabetic": "Lefèvre^Hélène"}]}
    assert found["00081030"]["Value"] == ["TDM cérébrale"]
    assert found["00280030"] == {"vr": "DS", "Value": [0.5, 0.5]}
    assert found["00080005"]["Value"] == ["ISO_IR 192"]
    assert found["00080056"]["Value"] == ["ONLINE"]
    assert found["00083002"]["Value"] == [EXPLICIT]
    assert list(found) == sorted(found)
    assert not any(tag.startswith("0002") for tag in found)


@LEVELS
def test_pixels_go_by_an_address_that_any_door_resolves(take, portal, path):
    take(ct(1))
    (found,) = objects(portal, path)
    address = found["7FE00010"]["BulkDataURI"]
    assert address == f"{INSTANCE}/bulkdata/7FE00010"
    asked = f"https://portal.hospital{path}/metadata"
    assert urljoin(asked, address).startswith("https://portal.hospital/dicom-web/studies/")


def test_a_study_joins_its_series_in_their_order(take, portal):
    take(ct(2))
    take(ct(1, series=f"{SERIES}.9", SeriesNumber=9))
    take(ct(1))
    uids = [found["00080018"]["Value"][0] for found in objects(portal, ROOT)]
    assert uids == [f"{SERIES}.1", f"{SERIES}.2", f"{SERIES}.9.1"]
    assert len(objects(portal, OF_SERIES)) == 2


@pytest.mark.parametrize("accepted", ["gzip", "gzip, deflate, br, zstd", "br;q=0.5, gzip"])
def test_a_series_leaves_gzipped_as_it_is_kept(take, portal, accepted):
    take(ct(1))
    plain = get(portal, OF_SERIES)
    answer = get(portal, OF_SERIES, **{"Accept-Encoding": accepted})
    assert answer["Content-Encoding"] == "gzip"
    assert not answer.streaming
    assert answer["Content-Length"] == str(len(answer.content))
    assert gzip.decompress(answer.content) == whole(plain)
    assert answer["ETag"] != plain["ETag"]


def test_a_series_leaves_as_brotli_where_that_is_liked_better(take, portal):
    take(ct(1))
    answer = get(portal, OF_SERIES, **{"Accept-Encoding": "br, gzip;q=0.5"})
    assert answer["Content-Encoding"] == "br"


@LEVELS
def test_xml_is_one_part_an_instance(take, portal, path):
    take(ct(1))
    answer = get(portal, path, XML)
    (part,) = parts_of(answer)
    assert 'type="application/dicom+xml"' in answer["Content-Type"]
    assert part.content_type == "application/dicom+xml"
    root = ElementTree.fromstring(part.body)
    assert root.tag == "{http://dicom.nema.org/PS3.19/models/NativeDICOM}NativeDicomModel"
    bulk = root.find(".//{*}DicomAttribute[@tag='7FE00010']/{*}BulkData")
    assert bulk.get("uri") == f"{INSTANCE}/bulkdata/7FE00010"
    name = root.find(".//{*}DicomAttribute[@tag='00100010']//{*}FamilyName")
    assert name.text == "Lefèvre"


def test_xml_of_a_study_has_every_instance(take, portal):
    for number in (1, 2, 3):
        take(ct(number))
    take(ct(1, series=f"{SERIES}.9", SeriesNumber=9))
    assert len(parts_of(get(portal, ROOT, XML))) == 4


@pytest.mark.parametrize(
    "accept", ["application/dicom+xml", "text/html", "multipart/related; type=application/dicom"]
)
def test_other_forms_are_not_acceptable(take, portal, accept):
    take(ct(1))
    require_problem(get(portal, INSTANCE, accept), 406)


@LEVELS
@pytest.mark.parametrize("coding", ["identity", "gzip", "br"])
def test_what_the_caller_has_is_not_sent_again_until_it_changes(take, portal, layout, path, coding):
    take(ct(1))
    headers = {"Accept-Encoding": coding}
    etag = get(portal, path, **headers)["ETag"]
    again = get(portal, path, **headers, **{"If-None-Match": etag})
    assert (again.status_code, again["ETag"], whole(again)) == (304, etag, b"")
    assert "private" in again["Cache-Control"]
    put_away(layout, f"{SERIES}.1")
    changed = get(portal, path, **headers, **{"If-None-Match": etag})
    assert changed.status_code == 200
    assert changed["ETag"] != etag


def test_json_and_xml_have_tags_of_their_own(take, portal):
    take(ct(1))
    assert get(portal, OF_SERIES)["ETag"] != get(portal, OF_SERIES, XML)["ETag"]


@LEVELS
def test_metadata_of_an_evicted_object_stays_the_same(take, portal, layout, path):
    take(ct(1))
    (before,) = objects(portal, path)
    put_away(layout, f"{SERIES}.1")
    (after,) = objects(portal, path)
    assert after.pop("00080056")["Value"] == ["NEARLINE"]
    before.pop("00080056")
    assert after == before


def test_values_that_json_does_not_know_leave_json_behind(take, portal):
    take(ct(1, WindowCenter="1e400", RealWorldValueSlope=float("nan")))
    (found,) = json.loads(
        whole(get(portal, INSTANCE)), parse_constant=lambda name: pytest.fail(f"{name} is no JSON")
    )
    assert found["00281050"]["Value"] == ["1e400"]
    assert found["00409225"]["Value"] == [None]


def test_values_that_make_no_sense_stay_as_they_are(ingest, portal):
    ingest.take(Arrival(with_broken_values(), EXPLICIT))
    (found,) = objects(portal, OF_SERIES)
    assert found["00200011"] == {"vr": "UN", "InlineBinary": "MSA="}
    assert found["00281050"] == {"vr": "DS", "Value": ["none"]}
    assert found["00100020"]["Value"] == ["FR-1"]


@pytest.mark.parametrize(
    "name", ["badVR.dcm", "CT_small.dcm", "waveform_ecg.dcm", "reportsi.dcm", "rtplan.dcm"]
)
def test_odd_real_files_have_metadata(real, portal, name):
    (found,) = objects(portal, real(name))
    assert found["00080018"]["Value"]


def test_a_damaged_file_costs_its_series_one_entry(take, portal, layout):
    take(ct(1))
    take(ct(2))
    row = Instance.objects.get(uid=f"{SERIES}.1")
    layout.object(row.hour, row.uid).write_bytes(b"overwritten by somebody")
    first, second = objects(portal, OF_SERIES)
    assert first["00080018"]["Value"] == [f"{SERIES}.1"]
    assert first["00080056"]["Value"] == ["UNAVAILABLE"]
    assert second["00280010"]["Value"] == [16]
    assert "damaged" in require_problem(get(portal, INSTANCE), 500)


def test_the_portal_is_refused_what_its_ticket_does_not_open(take, client, ticket):
    take(ct(1))
    bearer = {"Authorization": f"Bearer {ticket('dicomweb', study='1.2.3')}"}
    require_problem(get(client, OF_SERIES, **bearer), 403)
    require_problem(get(client, OF_SERIES), 401)
