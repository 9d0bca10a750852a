"""WADO-URI over HTTP: one object or picture, all said in the query (PS3.18 9)."""

from __future__ import annotations

import io

import pytest
from PIL import Image
from pydicom import dcmread

from dicom_node.models import RecallRequest
from tests.node.objects import SERIES, STUDY, ct, put_away, without_pixels
from tests.node.web_answers import require_problem, stored_bytes, whole

UID = f"{SERIES}.1"
NAMED = {"requestType": "WADO", "studyUID": STUDY, "seriesUID": SERIES, "objectUID": UID}
INSTANCE = f"/dicom-web/studies/{STUDY}/series/{SERIES}/instances/{UID}"
DICOM, EXPLICIT, IMPLICIT = "application/dicom", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"


def asked(client, accept: str = "*/*", **params: str):
    return client.get("/wado", {**NAMED, **params}, headers={"Accept": accept})


@pytest.fixture
def image(take, portal):
    take(ct(1), IMPLICIT)
    return portal


@pytest.mark.parametrize(
    ("params", "syntax"),
    [
        ({}, EXPLICIT),
        ({"transferSyntax": IMPLICIT}, IMPLICIT),
        ({"transferSyntax": "*"}, IMPLICIT),
        ({"transferSyntax": "1.2.840.10008.1.2.5"}, "1.2.840.10008.1.2.5"),
    ],
)
def test_an_object_comes_in_the_syntax_that_is_asked(image, params, syntax):
    answer = asked(image, contentType=DICOM, **params)
    assert answer["Content-Type"] == f"{DICOM}; transfer-syntax={syntax}"
    ds = dcmread(io.BytesIO(whole(answer)))
    assert ds.file_meta.TransferSyntaxUID == syntax
    assert ds.SOPInstanceUID == UID


def test_an_object_as_stored_is_its_file(image, layout):
    assert whole(asked(image, contentType=DICOM, transferSyntax="*")) == stored_bytes(layout, UID)


@pytest.mark.parametrize(
    ("accept", "params", "media_type"),
    [
        ("*/*", {}, "image/jpeg"),
        ("image/png", {}, "image/png"),
        ("text/html", {"contentType": "image/png"}, "image/png"),
        ("*/*", {"contentType": "text/html,image/png"}, "image/png"),
        (f"{DICOM}, */*;q=0.1", {}, f"{DICOM}; transfer-syntax={EXPLICIT}"),
        ("multipart/related; type=x/y", {"contentType": DICOM, "transferSyntax": "*"}, DICOM),
    ],
)
def test_the_content_type_counts_before_what_is_accepted(image, accept, params, media_type):
    answer = asked(image, accept, **params)
    assert answer["Content-Type"].startswith(media_type)
    whole(answer)


@pytest.mark.parametrize(
    ("params", "query"),
    [
        ({"windowCenter": "40", "windowWidth": "400"}, "window=40,400"),
        ({"rows": "8", "columns": "8"}, "viewport=8,8"),
        ({"rows": "8"}, "viewport=8192,8"),
        ({"region": "0.5,0,1,0.5"}, "viewport=8,8,8,0,8,8"),
        ({"region": "0.25,0.25,0.75,0.75", "rows": "4", "columns": "4"}, "viewport=4,4,4,4,8,8"),
        ({"imageQuality": "20"}, "quality=20"),
        ({"annotation": "patient"}, "annotation=patient"),
        ({"frameNumber": "1"}, ""),
    ],
)
@pytest.mark.parametrize("media_type", ["image/jpeg", "image/png"])
def test_a_picture_is_that_of_wado_rs(image, params, query, media_type):
    answer = asked(image, contentType=media_type, **params)
    assert answer.status_code == 200
    same = image.get(f"{INSTANCE}/rendered?{query}", headers={"Accept": media_type})
    assert answer.content == same.content
    Image.open(io.BytesIO(answer.content)).load()


def test_what_is_no_picture_comes_as_an_object(take, portal):
    take(without_pixels(ct(1, Modality="SR", Rows=None, Columns=None)))
    answer = asked(portal)
    assert answer["Content-Type"].startswith(DICOM)
    whole(answer)
    require_problem(asked(portal, contentType="image/jpeg"), 406)


@pytest.mark.parametrize(
    ("params", "status", "detail"),
    [
        ({"requestType": "WADORS"}, 400, "requestType"),
        ({"requestType": ""}, 400, "requestType"),
        ({"studyUID": ""}, 400, "studyUID"),
        ({"objectUID": ""}, 400, "objectUID"),
        ({"objectUID": "1.2.3"}, 404, "1.2.3"),
        ({"seriesUID": "1.2.3"}, 404, ""),
        ({"seriesUID": "../.."}, 400, ""),
        ({"contentType": "text/html"}, 406, "image/jpeg"),
        ({"contentType": DICOM, "transferSyntax": "1.2.840.10008.1.2.4.50"}, 406, "syntax"),
        ({"contentType": DICOM, "anonymize": "yes"}, 406, "anonymize"),
        ({"windowCenter": "40"}, 400, "windowWidth"),
        ({"windowCenter": "x", "windowWidth": "1"}, 400, "window"),
        ({"rows": "0", "columns": "1"}, 400, "viewport"),
        ({"rows": "1e9"}, 400, "viewport"),
        ({"region": "0,0,1"}, 400, "region"),
        ({"region": "0,0,2,1"}, 400, "region"),
        ({"region": "0.5,0,0.5,1"}, 400, "region"),
        ({"region": "nan,0,1,1"}, 400, "region"),
        ({"frameNumber": "2"}, 404, "frames"),
        ({"frameNumber": "0"}, 400, "frame"),
        ({"frameNumber": "1,1"}, 400, "frameNumber"),
        ({"imageQuality": "101"}, 400, "quality"),
        ({"annotation": "nonsense"}, 400, "annotation"),
        ({"presentationUID": "1.2.3"}, 404, "1.2.3"),
        ({"presentationSeriesUID": "1.2.3"}, 400, "presentationUID"),
        ({"presentationUID": "1.2.3", "region": "0,0,1,1"}, 400, "region"),
    ],
)
def test_what_cannot_be_answered_is_a_problem_of_one_line(image, params, status, detail):
    assert detail in require_problem(asked(image, **params), status)


def test_an_evicted_object_is_wanted(image, layout):
    put_away(layout, UID)
    require_problem(asked(image, contentType=DICOM), 503)
    assert RecallRequest.objects.count() == 1


def test_a_ticket_for_one_study_opens_no_other(image, client, ticket):
    bound = {"Authorization": f"Bearer {ticket('dicomweb', study='1.2.3')}"}
    require_problem(client.get("/wado", NAMED, headers=bound), 403)
    own = {"Authorization": f"Bearer {ticket('dicomweb', study=STUDY)}"}
    assert client.get("/wado", NAMED, headers=own).status_code == 200
