"""What the network's DICOMweb refuses: with the right status, never with an empty success."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import pytest
from django.test import Client

from pacs_web.nodes.models import Node
from tests.web.made_studies import CT_STUDY, instance
from tests.web.node_stand_in import StandIn

pytestmark = pytest.mark.slow

STUDIES = "/dicom-web/studies"


def test_a_query_that_every_node_refuses_is_refused_and_not_an_empty_success(
    nodes: dict[str, StandIn], clinician: Client
) -> None:
    for node in nodes.values():
        node.behaviour.refuses = "StudyDate is no date"
    response = clinician.get(f"{STUDIES}?StudyDate=soon")
    assert response.status_code == 400
    assert response["Content-Type"] == "application/problem+json"
    assert "StudyDate is no date" in response.json()["detail"]


def test_a_query_that_no_node_answers_is_a_502(
    db: None, register: Callable[[SimpleNamespace], Node], clinician: Client
) -> None:
    register(SimpleNamespace(name="DEAD", url="http://127.0.0.1:9"))
    response = clinician.get(STUDIES)
    assert response.status_code == 502
    assert "DEAD" in response.json()["detail"]


def test_no_question_asks_a_node_for_more_than_a_page(ct: StandIn, clinician: Client) -> None:
    ct.instances += [instance(f"1.2.3.{n}", 1, 1, "CT") for n in range(1005)]
    response = clinician.get(f"{STUDIES}?limit=99999999")
    assert len(response.json()) == 1000
    assert "offset" in response["Warning"]
    rest = clinician.get(f"{STUDIES}?limit=1000&offset=1000")
    assert len(rest.json()) == 8
    assert "Warning" not in rest


@pytest.mark.parametrize("offset", ["9" * 40, "9" * 4000])
def test_an_offset_beyond_all_sense_is_a_400(nodes: object, clinician: Client, offset: str) -> None:
    assert clinician.get(f"{STUDIES}?offset={offset}").status_code == 400


@pytest.mark.parametrize("method", ["put", "patch", "trace"])
def test_a_method_of_no_resource_is_refused_with_a_problem_document(
    nodes: object, clinician: Client, person: Callable, method: str
) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(person("clinician"), "django.contrib.auth.backends.ModelBackend")
    response = getattr(strict, method)(STUDIES)
    assert response.status_code == 405
    assert response["Content-Type"] == "application/problem+json"
    assert response["Allow"] == "GET, HEAD, POST, DELETE, OPTIONS"


def test_asking_only_for_the_head_of_a_retrieval_moves_no_body(
    ct: StandIn, clinician: Client
) -> None:
    response = clinician.head(f"{STUDIES}/{CT_STUDY}")
    assert response.status_code == 200
    assert response["Content-Type"].startswith("multipart/related")
    assert not response.streaming


@pytest.mark.parametrize("path", ["studies/series", "studies/instances", "series/1.2/series"])
def test_a_query_without_its_study_is_no_resource(
    nodes: object, clinician: Client, path: str
) -> None:
    assert clinician.get(f"/dicom-web/{path}").status_code in {400, 404}


@pytest.mark.parametrize("path", [f"{STUDIES}/1.2%0A3", f"{STUDIES}/1%0A/series", "/api/nothing"])
def test_an_address_that_is_none_is_told_to_programs_as_a_problem(
    clinician: Client, path: str
) -> None:
    answer = clinician.get(path)
    assert (answer.status_code, answer["Content-Type"]) == (404, "application/problem+json")
    assert answer.json()["title"] == "Not found"
