"""Whatever is asked of the portal: a page or a problem document, never a fault of ours."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import get_resolver
from hypothesis import given
from hypothesis import strategies as st

from pacs_web.accounts.models import Account
from pacs_web.full_viewer import release
from tests.support.any_request import (
    EACH_ADDRESS,
    METHODS,
    NOISE,
    headers,
    json_bodies,
    paths,
    queries,
)
from tests.web.made_studies import CT_STUDY

pytestmark = pytest.mark.slow

ASKED_BY_SCRIPTS = {"readyz", "session/", "viewer/alive"}  # whose status says all
ROUTES = [str(pattern.pattern) for pattern in get_resolver("pacs_web.urls").url_patterns]
HELD = {
    "study_uid": CT_STUDY,
    "series_uid": f"{CT_STUDY}.1",
    "instance_uid": f"{CT_STUDY}.1.1",
    "kind": "pdf",
    "path": f"studies/{CT_STUDY}/series/{CT_STUDY}.1/instances/{CT_STUDY}.1.1/frames/1",
    "place": "viewer",
    "release": release.NAME,
}
ASKED = [
    *("search", "page", "study", "uid", "frame", "window", "viewport", "quality", "presentation"),
    *("annotation", "accept", "limit", "offset", "includefield", "PatientName", "00100020", "next"),
    *(
        "StudyInstanceUIDs",
        "revision",
        "state",
        "node",
        "kind",
        "since",
        "left",
        "right",
        "comment",
    ),
]
TOLD = [
    *("name", "patient_id", "birth_date", "accession", "date_from", "date_to", "modality", "q"),
    *("description", "servers", "username", "password", "next", "kind", "node", "study_uid"),
    *("token", "studies", "study", "reason"),
]
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture
def anybody(nodes, small_viewer, cheap_hashes, person) -> Account:
    """Somebody who may do everything, before two nodes and a viewer."""
    account = person("everything")
    account.groups.set(Group.objects.all())
    return account


@pytest.mark.parametrize("route", ROUTES)
@EACH_ADDRESS
@given(st.data())
def test_no_request_is_a_fault_of_ours(anybody, route, data):
    client = Client()
    if data.draw(st.booleans()) or data.draw(st.booleans()):
        client.force_login(anybody, "django.contrib.auth.backends.ModelBackend")
    body, kind = data.draw(
        st.tuples(queries(TOLD).map(str.encode), st.just(FORM))
        | st.tuples(json_bodies(TOLD, [CT_STUDY]), st.just({"Content-Type": "application/json"}))
        | st.tuples(NOISE, st.just({}))
    )
    method = data.draw(METHODS)
    answer = client.generic(
        method,
        "/",
        body,
        headers=kind | data.draw(headers()),
        PATH_INFO=data.draw(paths(route, HELD)),
        QUERY_STRING=data.draw(queries(ASKED)),
    )
    content = answer.getvalue()
    assert answer.status_code != 500, content
    assert b"Traceback" not in content
    if answer.status_code >= 400 and method != "HEAD" and route not in ASKED_BY_SCRIPTS:
        require_page_or_problem(answer, content)


def require_page_or_problem(answer, content: bytes) -> None:
    """Check that a refusal explains itself: in a page of ours, or as RFC 9457 says."""
    kind = answer["Content-Type"]
    if kind == "application/problem+json":
        problem = answer.json()
        assert problem["status"] == answer.status_code
        assert problem["title"] and len(problem["detail"].splitlines()) == 1
    elif answer.status_code != 401 or "HX-Redirect" not in answer:
        assert kind.startswith("text/html") and b"<main" in content, (kind, content[:200])


@pytest.mark.parametrize("value", ["caf\xe9", "a\x1f", "a\x7f"])
@pytest.mark.parametrize("name", ["Accept", "If-None-Match", "Range"])
def test_a_header_that_cannot_be_sent_on_is_refused(clinician, nodes, name, value):
    answer = clinician.get(f"/dicom-web/{HELD['path']}", headers={name: value})
    assert (answer.status_code, name in answer.json()["detail"]) == (400, True)


@pytest.mark.parametrize("page", ["here", "A%25%25 3", "//evil.example/", "https://evil.example/"])
def test_whoever_opened_an_exam_goes_on_to_a_page_of_ours_only(clinician, nodes, page):
    answer = clinician.get(f"/studies/{CT_STUDY}/break-glass/?next={page}")
    assert (answer.status_code, answer["Location"]) == (302, f"/studies/{CT_STUDY}/")


@pytest.mark.parametrize("host", ["a b", "[::1", "evil.example"])
def test_a_host_that_is_not_ours_is_refused_in_a_page_or_a_problem(clinician, host):
    for path in ("/", "/login/", "/dicom-web/studies", "/api/introspect"):
        answer = clinician.get(path, headers={"Host": host})
        assert answer.status_code == 400
        require_page_or_problem(answer, answer.content)
