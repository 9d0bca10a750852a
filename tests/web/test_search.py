"""Choosing servers, patient and exam."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from urllib.parse import unquote_plus

import pytest
from django.test import Client

from pacs_common.availability import BEING_REFILLED
from pacs_web import config
from pacs_web.audit.models import AuditEvent
from pacs_web.nodes.models import Node
from pacs_web.studies.asked import PAGE_SIZE
from tests.web.audited import without_trace
from tests.web.made_studies import CT_STUDY, ct_study, instance, rf_study
from tests.web.node_stand_in import Behaviour, StandIn, node_stand_in

pytestmark = pytest.mark.slow


def found(browser: Client, **typed: object) -> str:
    """Search and return the page of results."""
    response = browser.post("/", typed, follow=True)
    assert response.status_code == 200
    return response.content.decode()


def last_query(node: StandIn) -> str:
    """Return what the node was asked last, decoded."""
    return unquote_plus([path for path in node.asked if "/dicom-web/studies?" in path][-1])


def test_an_empty_search_shows_the_exams_of_all_servers_newest_first(
    nodes: dict[str, StandIn], clinician: Client
) -> None:
    page = found(clinician)
    assert page.index("DUPONT Marie") < page.index("LEFÈVRE Hélène") < page.index("Compte rendu")
    assert "3 exams" in page
    assert "20/11/2026" in page and "08:15" in page


def test_a_result_shows_what_identifies_patient_and_exam(
    nodes: dict[str, StandIn], clinician: Client
) -> None:
    page = found(clinician, name="lefèvre", servers="CT")
    for shown in ("FRJ000001", "03/11/1954", "Scanner cérébral", "A1999", "CT", "Online"):
        assert shown in page
    assert f'href="/studies/{CT_STUDY}/"' in page


@pytest.mark.parametrize(
    ("typed", "query"),
    [
        ({"name": "DUPONT"}, "PatientName=DUPONT*"),
        ({"name": "Dupont, Marie"}, "PatientName=Dupont*Marie*"),
        ({"name": "le gall"}, "PatientName=le*gall*"),
        ({"name": "D?PONT"}, "PatientName=D?PONT"),
        ({"name": "*PONT"}, "PatientName=*PONT"),
        ({"patient_id": " FRJ000002 "}, "PatientID=FRJ000002"),
        ({"birth_date": "29/02/1980"}, "PatientBirthDate=19800229"),
        ({"accession": "A2000"}, "AccessionNumber=A2000"),
        ({"description": "baryté"}, "StudyDescription=*baryté*"),
        ({"modality": "RF"}, "ModalitiesInStudy=RF"),
        ({"date_from": "2026-11-01"}, "StudyDate=20261101-"),
        ({"date_to": "1.12.2026"}, "StudyDate=-20261201"),
        ({"date_from": "01/11/2026", "date_to": "30/11/2026"}, "StudyDate=20261101-20261130"),
        ({"date_from": "20261121", "date_to": "2026-11-21"}, "StudyDate=20261121"),
    ],
)
def test_each_field_becomes_its_query(
    nodes: dict[str, StandIn], clinician: Client, typed: dict[str, str], query: str
) -> None:
    found(clinician, **typed)
    parts = last_query(nodes["RF"]).partition("?")[2].split("&")
    assert parts == [query, f"limit={PAGE_SIZE + 1}"]


def test_criteria_are_combined(nodes: dict[str, StandIn], clinician: Client) -> None:
    assert "1 exam" in found(clinician, name="dupont", date_from="2026-11-21", modality="RF")
    assert "No exam matches" in found(clinician, name="dupont", modality="CT")


@pytest.mark.parametrize(
    "typed",
    [
        {"birth_date": "2026-02-31"},
        {"birth_date": "31/02/1950"},
        {"birth_date": "yesterday"},
        {"birth_date": "٣١/١٢/١٩٥٠"},
        {"birth_date": "01/01/0001"},
        {"date_from": "2026-13-01"},
        {"date_to": "00/00/0000"},
    ],
)
def test_a_day_that_does_not_exist_is_refused_beside_its_field_and_kept_as_typed(
    nodes: dict[str, StandIn], clinician: Client, typed: dict[str, str]
) -> None:
    response = clinician.post("/", {"name": "Dupont", **typed})
    page = response.content.decode()
    assert response.status_code == 422
    (field, value), *_ = typed.items()
    assert f'id="id_{field}_error"' in page
    assert f'value="{value}"' in page
    assert 'value="Dupont"' in page
    assert not nodes["CT"].asked


def test_a_birth_date_to_come_is_refused(nodes: object, clinician: Client) -> None:
    response = clinician.post("/", {"birth_date": "01/01/2999"})
    assert response.status_code == 422
    assert "still to come" in response.content.decode()


def test_a_range_that_ends_before_it_begins_is_refused(nodes: object, clinician: Client) -> None:
    response = clinician.post("/", {"date_from": "2026-11-21", "date_to": "2026-11-20"})
    assert response.status_code == 422
    assert "lies before the first one" in response.content.decode()


def test_a_quick_button_searches_a_range_of_days(
    nodes: dict[str, StandIn], clinician: Client
) -> None:
    found(clinician, quick="week", date_from="nonsense")
    first, last = last_query(nodes["CT"]).split("StudyDate=")[1].split("&")[0].split("-")
    assert len(first) == len(last) == 8
    assert first < last


def test_only_the_chosen_servers_are_asked(nodes: dict[str, StandIn], clinician: Client) -> None:
    page = found(clinician, servers=["RF"])
    assert "DUPONT Marie" in page
    assert "Scanner cérébral" not in page
    assert not nodes["CT"].asked


def test_an_unknown_server_is_refused(nodes: object, clinician: Client) -> None:
    assert clinician.post("/", {"servers": "PARIS"}).status_code == 422


def test_a_disabled_server_is_not_asked(nodes: dict[str, StandIn], clinician: Client) -> None:
    Node.objects.filter(name="CT").update(enabled=False)
    found(clinician)
    assert not nodes["CT"].asked


def test_a_search_is_a_post_and_its_address_names_no_patient(
    nodes: object, clinician: Client
) -> None:
    response = clinician.post("/", {"name": "Lefèvre", "patient_id": "FRJ000001"})
    assert response.status_code == 302
    address = response["Location"]
    assert address.startswith("/?search=")
    assert "Lef" not in address and "FRJ" not in address
    page = clinician.get(address).content.decode()
    assert 'value="Lefèvre"' in page


def test_another_session_cannot_open_a_search(
    nodes: object, clinician: Client, browser: Callable[[str], Client]
) -> None:
    address = clinician.post("/", {"name": "Lefèvre"})["Location"]
    response = browser("technologist").get(address, follow=True)
    assert response.redirect_chain == [("/", 302)]
    assert "That search has ended" in response.content.decode()


def test_a_search_is_audited_with_what_was_looked_for(nodes: object, clinician: Client) -> None:
    found(clinician, name="Lefèvre", servers="CT")
    row = AuditEvent.objects.get(action="search")
    assert row.who == "clinician"
    assert without_trace(row.detail) == {
        "query": {"PatientName": "Lefèvre*"},
        "servers": ["CT"],
        "found": 1,
    }


def test_a_study_on_two_servers_is_one_row_with_both(
    nodes: dict[str, StandIn], register: Callable[[StandIn], Node], clinician: Client
) -> None:
    with node_stand_in("COPY", ct_study(3), config.TRUST_DIR) as copy:
        register(copy)
        page = found(clinician, name="lefèvre", modality="CT")
    assert "1 exam" in page
    row = page[page.index("<tbody>") :]
    assert row.index(">CT</span>") < row.index(">COPY</span>")
    assert '<td data-label="Images" class="num">5</td>' in row


def test_a_server_that_is_down_is_named_and_hides_nobodys_answer(
    nodes: object, register: Callable[[SimpleNamespace], Node], clinician: Client
) -> None:
    register(SimpleNamespace(name="DEAD", url="http://127.0.0.1:9"))
    page = found(clinician)
    assert "One server did not answer." in page
    assert "DEAD</span> cannot be reached" in page
    assert "3 exams" in page


def test_a_server_that_is_not_refilled_yet_is_named(
    nodes: object, ct: StandIn, clinician: Client
) -> None:
    ct.behaviour.warns = BEING_REFILLED
    page = found(clinician)
    assert "CT stands in for a lost server" in page
    assert "3 exams" in page


def test_a_server_that_hangs_is_given_up_at_the_deadline_and_named(
    nodes: object,
    register: Callable[[StandIn], Node],
    clinician: Client,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(config, "NODE_TIMEOUT_S", 0.4)
    behaviour = Behaviour(hang=threading.Event())
    with node_stand_in("SLOW", [], config.TRUST_DIR, behaviour) as slow:
        register(slow)
        begun = time.monotonic()
        page = found(clinician)
        waited = time.monotonic() - begun
    assert "SLOW</span>" in page and ("no answer within" in page or "in time" in page)
    assert "3 exams" in page
    assert waited < 10  # it hangs for twenty seconds unless given up


def test_a_server_that_answers_nonsense_is_named(
    nodes: object, register: Callable[[StandIn], Node], clinician: Client
) -> None:
    behaviour = Behaviour(nonsense=True)
    with node_stand_in("ODD", [], config.TRUST_DIR, behaviour) as odd:
        register(odd)
        page = found(clinician)
    assert "ODD</span>" in page
    assert "3 exams" in page


def test_no_match_with_a_silent_server_says_where_it_may_lie(
    nodes: object, register: Callable[[SimpleNamespace], Node], clinician: Client
) -> None:
    register(SimpleNamespace(name="DEAD", url="http://127.0.0.1:9"))
    page = found(clinician, name="Personne")
    assert "No exam matches" in page
    assert "not every server answered" in page


def test_one_patient_id_with_two_birth_dates_is_shown_as_a_conflict(
    nodes: dict[str, StandIn], clinician: Client
) -> None:
    other = instance("1.2.99", 1, 1, "CT", PatientBirthDate="19991231")
    nodes["CT"].instances.append(other)
    assert found(clinician, servers="CT").count("Identity conflict") == 2


def test_placeholder_ids_name_nobody_and_never_conflict(
    nodes: dict[str, StandIn], clinician: Client
) -> None:
    nodes["CT"].instances[:] = [
        instance("1.2.1", 1, 1, "CT", PatientID="UNKNOWN", PatientBirthDate="19500101"),
        instance("1.2.2", 1, 1, "CT", PatientID="UNKNOWN", PatientBirthDate="19600101"),
    ]
    assert "Identity conflict" not in found(clinician, servers="CT")


def test_the_number_of_database_queries_does_not_grow_with_the_results(
    nodes: dict[str, StandIn], clinician: Client, django_assert_max_num_queries: Callable
) -> None:
    nodes["CT"].instances[:] = [
        instance(f"1.2.3.{n}", 1, 1, "CT", PatientID=f"P{n}") for n in range(150)
    ]
    address = clinician.post("/", {})["Location"]
    with django_assert_max_num_queries(16):
        clinician.get(address)


def test_without_any_server_the_page_says_so(db: None, clinician: Client) -> None:
    assert "No server is registered yet" in clinician.get("/").content.decode()
    assert "No exam matches" in found(clinician)


def test_names_with_markup_are_shown_as_text(nodes: dict[str, StandIn], clinician: Client) -> None:
    evil = rf_study()[0]
    evil.PatientName = "<script>alert(1)</script>^X"
    nodes["CT"].instances[:] = [evil]
    page = found(clinician, servers="CT")
    assert "<script>alert" not in page.casefold()
    assert json.dumps("&lt;SCRIPT&gt;")[1:-1] in page
