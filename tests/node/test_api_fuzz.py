"""Whatever is asked of the node's own addresses: an answer or a problem, never a fault of ours."""

from __future__ import annotations

import pytest
from django.urls import get_resolver
from hypothesis import given
from hypothesis import strategies as st

from dicom_node.api import scu
from dicom_node.api.guard import SCOPES_OF_ISSUER
from tests.node.objects import SERIES, STUDY, ct
from tests.node.web_answers import require_problem, whole
from tests.support.any_request import EACH_ADDRESS, METHODS, headers, json_bodies, paths, queries

pytestmark = pytest.mark.slow

ROUTES = [
    route
    for route in (str(pattern.pattern) for pattern in get_resolver("dicom_node.urls").url_patterns)
    if not route.startswith("dicom-web/")
]
HELD = {"study_uid": STUDY, "sop_uid": f"{SERIES}.1", "title": "CT1"}
ASKED = [
    *("after", "before", "due", "kind", "limit", "peer", "revision", "side", "since", "state"),
    *("study", "requestType", "studyUID", "seriesUID", "objectUID", "contentType"),
]
TOLD = [
    *("ae_title", "addresses", "calling", "certificate", "charset", "commit", "copies", "host"),
    *("destination", "destinations", "instances", "keys", "level", "limit", "listens", "may"),
    *("max_associations", "non_patient_objects", "note", "peer", "peer_ae", "plan", "port"),
    *("priority", "receipts", "rules", "series_uid", "sop_instance_uid", "sop_instance_uids"),
    *("state", "study_uid", "time_zone", "transfer_syntaxes", "uids", "volume"),
]
RIGHT = [
    *(STUDY, SERIES, f"{SERIES}.1", "WS1", "STUDY", "IMAGE", "high", "127.0.0.1", 104, ["echo"]),
    *({"StudyInstanceUID": STUDY}, {"PatientName": "\ud800"}, [f"{SERIES}.1"], "\ud800", [], {}),
    *([{"name": "night", "destination": "WS1"}], [{"sop_instance_uid": f"{SERIES}.1"}], ["\ud800"]),
    *({"host": "127.0.0.1", "port": 1, "tls": False}, {"sha256": "0" * 64}, ["10.0.0.0/8", "*"]),
]


@pytest.fixture
def callers(take, ticket):
    """Tickets of every scope, of the portal and of the archive, on a node that holds an image."""
    take(ct(1))
    signed = {
        issuer: ticket(*sorted(scopes), issuer=issuer, lifetime_s=7200, plan="p")
        for issuer, scopes in SCOPES_OF_ISSUER.items()
    }
    yield [{"Authorization": f"Bearer {token}"} for token in signed.values()]
    scu.close_ingest()


@pytest.mark.parametrize("route", ROUTES)
@EACH_ADDRESS
@given(st.data())
def test_no_request_is_a_fault_of_ours(callers, client, route, data):
    path = data.draw(paths(route, HELD))
    told = data.draw(headers("Authorization")) | data.draw(st.sampled_from(callers))
    method = data.draw(METHODS)
    answer = client.generic(
        method,
        "/",
        data.draw(json_bodies(TOLD, RIGHT)),
        headers=told,
        PATH_INFO=path,
        QUERY_STRING=data.draw(queries(ASKED)),
    )
    content = whole(answer)
    assert answer.status_code != 500, content
    assert b"Traceback" not in content
    if answer.status_code >= 400 and method != "HEAD" and route != "readyz":
        require_problem(answer, answer.status_code)
