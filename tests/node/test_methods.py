"""Methods of the DICOMweb resources, what they say of themselves, and refusals of all kinds."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import pytest
from django.urls import get_resolver
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dicom_node.dicomweb import capabilities
from tests.node.objects import SERIES, STUDY, ct
from tests.node.web_answers import require_problem, whole

pytestmark = pytest.mark.slow

INSTANCE = f"/dicom-web/studies/{STUDY}/series/{SERIES}/instances/{SERIES}.1"
WADL = f"{{{capabilities.NAMESPACE}}}"
ROUTES = [
    str(pattern.pattern)
    for pattern in get_resolver("dicom_node.urls").url_patterns
    if str(pattern.pattern).startswith(("dicom-web", "wado"))
]
HELD = {"study_uid": STUDY, "series_uid": SERIES, "sop_uid": f"{SERIES}.1", "numbers": "1"}
HELD["path"] = "7FE00010"
WADO_URI = {"requestType": "WADO", "studyUID": STUDY, "seriesUID": SERIES}
WADO_URI["objectUID"] = HELD["sop_uid"]


@pytest.fixture
def one_instance(take, portal):
    take(ct(1))
    return portal


def address(route: str, **named: str) -> str:
    values = {**HELD, **named}
    return "/" + re.sub(r"<\w+:(\w+)>", lambda match: values[match[1]], route)


@pytest.mark.parametrize("route", ROUTES)
def test_every_resource_tells_its_methods_and_refuses_the_others(one_instance, route):
    answer = one_instance.options(address(route))
    assert answer.status_code == 200
    allowed = set(answer["Allow"].split(", "))
    assert {"GET", "HEAD", "OPTIONS"} <= allowed
    for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "BREW"} - allowed:
        refusal = one_instance.generic(method, address(route))
        require_problem(refusal, 405)
        assert set(refusal["Allow"].split(", ")) == allowed


@pytest.mark.parametrize("path", ["/dicom-web/studies", f"{INSTANCE}/metadata", "/nowhere"])
def test_no_answer_runs_or_loads_anything_where_a_browser_opens_it(one_instance, path):
    answer = one_instance.get(path)
    whole(answer)
    policy = answer["Content-Security-Policy"]
    assert "sandbox" in policy and "default-src 'none'" in policy and "unsafe" not in policy
    assert answer["X-Content-Type-Options"] == "nosniff"


def test_the_capabilities_are_the_table_of_addresses(db, client):
    answer = client.options("/dicom-web/")
    assert answer["Content-Type"] == "application/vnd.sun.wadl+xml"
    application = ET.fromstring(answer.content)
    assert application.tag == f"{WADL}application"
    (top,) = application
    assert top.get("base") == "http://testserver/dicom-web/"
    told = {resource.get("path") for resource in top}
    assert told == {
        re.sub(r"<\w+:(\w+)>", r"{\1}", route.removeprefix("dicom-web/"))
        for route in ROUTES
        if route.startswith(("dicom-web/s", "dicom-web/i"))
    }
    ids = [method.get("id") for method in top.iter(f"{WADL}method")]
    assert len(ids) == len(set(ids))


def test_the_capabilities_of_a_resource_are_its_own_and_those_below(db, client):
    answer = client.options(f"/dicom-web/studies/{STUDY}/series", headers={"Accept": "text/*"})
    require_problem(answer, 406)
    as_json = {"Accept": "application/json"}
    told = client.options(f"/dicom-web/studies/{STUDY}/series", headers=as_json).json()
    paths = [one["path"] for one in told["application"]["resources"]["resource"]]
    assert "studies/{study_uid}/series/{series_uid}/metadata" in paths
    assert all(path.startswith("studies/{study_uid}/series") for path in paths)


def test_what_the_capabilities_say_is_served_is_served(one_instance):
    for root, service, query in (("/dicom-web/", "/dicom-web/", {}), ("/wado", "/", WADO_URI)):
        for one in ET.fromstring(one_instance.options(root).content).iter(f"{WADL}resource"):
            served = [each.get("mediaType") for each in one.iter(f"{WADL}representation")]
            url = service + one.get("path")
            for name, value in HELD.items():
                url = url.replace(f"{{{name}}}", value)
            assert served or "bulkdata/" in url
            for media_type in served:
                accept = media_type.replace(
                    "multipart/related;", "multipart/related; transfer-syntax=*;"
                )
                answer = one_instance.get(url, query, headers={"Accept": accept})
                fits = (200, 404) if "bulkdata" in url else (200,)
                assert answer.status_code in fits, (url, media_type, whole(answer))
                whole(answer)


@pytest.mark.parametrize("path", ROUTES)
def test_head_is_get_without_a_body(one_instance, path):
    got, head = one_instance.get(address(path)), one_instance.head(address(path))
    assert head.status_code == got.status_code
    assert whole(head) == b""
    types = [answer["Content-Type"].partition("boundary")[0] for answer in (got, head)]
    assert types[0] == types[1]
    whole(got)


def test_a_refused_head_has_no_body_either(one_instance):
    head = one_instance.head("/dicom-web/studies/1.2.x")
    assert (head.status_code, head.content) == (400, b"")


@pytest.mark.parametrize(
    "query",
    ["PatientName=%FF%FE", "%FF=%00", "PatientName=%00", "&&=&;", "limit=%u0031", "=x", "."],
)
def test_bytes_that_are_no_text_are_a_problem_at_most(one_instance, query):
    answer = one_instance.get(f"/dicom-web/studies?{query}")
    assert answer.status_code in (200, 400)
    if answer.status_code == 400:
        require_problem(answer, 400)


@pytest.mark.parametrize("path", ["/dicom-web/studies", f"/dicom-web/studies/{STUDY}", "/nowhere"])
@pytest.mark.parametrize("host", ["a b", "[", "x/../y", "ex\tample"])
def test_a_host_that_is_none_is_a_problem(one_instance, path, host):
    answer = one_instance.get(path, headers={"Host": host})
    require_problem(answer, 404 if path == "/nowhere" else 400)


UIDS = st.sampled_from(
    ["1.2.3", "..", "1..2", "%2e%2e", "1.2%00", "x" * 65, "1" * 65, "*", "é", "-"]
)
METHODS = st.sampled_from(["GET", "HEAD", "OPTIONS", "POST", "DELETE", "PUT", "BREW"])
QUERIES = st.dictionaries(
    st.sampled_from(
        [
            *("accept", "limit", "offset", "includefield", "PatientName", "window", "viewport"),
            *("quality", "annotation", "presentation", "contentType", "objectUID", "0020000D", "x"),
        ]
    ),
    st.text(max_size=20) | st.sampled_from(["1", "-1", "nan,1", "1e999,1", "*/*", "0,0", "1.2.3"]),
    max_size=3,
)


@pytest.mark.parametrize("route", ROUTES)
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_nonsense_is_a_problem_document_and_never_a_fault_of_ours(one_instance, route, data):
    named = {name: data.draw(UIDS | st.just(value)) for name, value in HELD.items()}
    accept = data.draw(
        st.sampled_from(["*/*", "text/html", "application/dicom+json", ";", "a/b;q"])
    )
    url = address(route, **named)
    method, params = data.draw(METHODS), data.draw(QUERIES)
    answer = one_instance.generic(method, url, query_params=params, headers={"Accept": accept})
    assert answer.status_code < 500, whole(answer)
    if answer.status_code >= 400 and method != "HEAD":
        require_problem(answer, answer.status_code)
    whole(answer)
