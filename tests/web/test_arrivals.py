"""The technologists' pages: what arrived, what was refused, and that they follow by themselves."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from pacs_web.audit.models import AuditEvent
from tests.web.node_stand_in import StandIn

SEEN = re.compile(r'name="seen" value="(\w+)"')


def arrived(uid: str = "1.2.3", **told: Any) -> dict[str, Any]:
    return {
        "study_uid": uid,
        "patient": {"issuer": "FREJUS", "id": "FR-1", "name": "Lefèvre^Hélène", "birth_date": ""},
        "study_date": "20260105",
        "accession_number": "A100",
        "description": "TDM cérébrale",
        "modalities": ["CT"],
        "sources": ["CT1"],
        "first_arrival_at": "2026-01-05T08:29:50+00:00",
        "last_arrival_at": "2026-01-05T08:30:00+00:00",
        "series": 1,
        "instances": 312,
        "rejected": 0,
        "quarantined": 0,
        "state": "arriving",
        **told,
    }


def transfer(**told: Any) -> dict[str, Any]:
    return {
        "id": 1,
        "source_ae": "CT1",
        "address": "10.0.0.7",
        "began_at": "2026-01-05T08:29:50+00:00",
        "last_at": "2026-01-05T08:30:00+00:00",
        "ended_at": "2026-01-05T08:30:00+00:00",
        "why_ended": "",
        "stored": 312,
        "duplicates": 0,
        "quarantined": 0,
        "refused": 0,
        "unfinished": 0,
        "refusals": [],
        **told,
    }


def tells(node: StandIn, *studies: dict[str, Any], sources: tuple[str, ...] = ("CT1",)) -> None:
    told = {"studies": list(studies), "sources": list(sources)}
    node.api["/api/arrivals"] = ("arrivals.read", told)


def tells_transfers(node: StandIn, *found: dict[str, Any], callers: tuple = ()) -> None:
    told = {"transfers": list(found), "rejected_callers": list(callers)}
    node.api["/api/transfers"] = ("arrivals.read", told)


@pytest.fixture
def technologist(browser: Callable[..., Client]) -> Client:
    return browser("technologist")


@pytest.fixture
def both(nodes: dict[str, StandIn]) -> dict[str, StandIn]:
    """Two nodes with nothing to tell yet."""
    for node in nodes.values():
        tells(node)
        tells_transfers(node)
    return nodes


def page_of(client: Client, address: str) -> str:
    response = client.get(address)
    assert response.status_code == 200
    return response.content.decode()


def test_what_arrived_on_all_nodes_is_one_list_the_latest_first(both, technologist) -> None:
    tells(both["CT"], arrived("1.2.1", last_arrival_at="2026-01-05T08:30:00+00:00"))
    tells(both["RF"], arrived("1.2.2", last_arrival_at="2026-01-05T08:31:00+00:00"))
    page = page_of(technologist, "/arrivals/")
    assert page.index("/studies/1.2.2/") < page.index("/studies/1.2.1/")
    for shown in ("LEFÈVRE Hélène", "CT1", "312", "09:30:00", "Arriving", "TDM cérébrale"):
        assert shown in page, shown


def test_nodes_are_asked_for_what_the_filters_say(both, technologist) -> None:
    page_of(technologist, "/arrivals/?server=CT&modality=CT&source=CT1&hours=72")
    (asked,) = [one for one in both["CT"].asked if one.startswith("/api/arrivals")]
    for part in ("hours=72", "modality=CT", "source=CT1"):
        assert part in asked
    assert not [one for one in both["RF"].asked if one.startswith("/api/arrivals")]


@pytest.mark.parametrize("query", ["hours=nonsense", "server=NOBODY", "modality=%00", "hours="])
def test_nonsense_filters_show_all_of_the_last_day(both, technologist, query) -> None:
    page_of(technologist, f"/arrivals/?{query}")
    assert any("hours=24" in one for one in both["CT"].asked)


def test_a_node_that_is_silent_is_named_and_hides_nothing(both, register, technologist) -> None:
    from types import SimpleNamespace

    register(SimpleNamespace(name="DEAD", url="http://127.0.0.1:9"))
    tells(both["CT"], arrived())
    page = page_of(technologist, "/arrivals/")
    assert "DEAD" in page
    assert "LEFÈVRE Hélène" in page


def test_an_empty_page_says_what_will_stand_there(both, technologist) -> None:
    assert "Nothing has arrived yet" in page_of(technologist, "/arrivals/")
    assert "Nothing like this has arrived" in page_of(technologist, "/arrivals/?modality=CT")


def test_a_page_that_is_up_to_date_is_left_as_it_is(both, technologist) -> None:
    tells(both["CT"], arrived())
    seen = SEEN.search(page_of(technologist, "/arrivals/"))[1]
    assert technologist.get("/arrivals/live/", {"seen": seen}).status_code == 204
    tells(both["CT"], arrived(instances=313))
    changed = technologist.get("/arrivals/live/", {"seen": seen})
    assert changed.status_code == 200
    assert "313" in changed.content.decode()
    assert "<html" not in changed.content.decode()


def test_opening_the_arrivals_is_audited_once_and_its_questions_are_not(both, technologist) -> None:
    page_of(technologist, "/arrivals/?modality=CT")
    technologist.get("/arrivals/live/")
    (event,) = AuditEvent.objects.filter(detail__page="arrivals")
    assert event.who == "technologist"
    assert event.detail["modality"] == "CT"


def test_a_refusal_is_told_with_its_count_and_reason(both, technologist) -> None:
    refusal = {"count": 3, "status": "0xA900", "why": "no Series Instance UID"}
    tells_transfers(both["CT"], transfer(refused=3, refusals=[refusal]))
    page = page_of(technologist, "/arrivals/transfers/")
    for shown in ("CT1", "312", "3 refused", "0xA900", "no Series Instance UID", "Ended"):
        assert shown in page, shown


def test_a_transfer_that_broke_off_and_one_under_way_say_so(both, technologist) -> None:
    broken = transfer(why_ended="the peer went away", unfinished=1)
    tells_transfers(both["CT"], broken, transfer(ended_at=None))
    page = page_of(technologist, "/arrivals/transfers/")
    for shown in ("Broke off", "the peer went away", "1 image broke off", "Under way"):
        assert shown in page, shown


def test_who_was_not_let_in_is_told_with_the_reason(both, technologist) -> None:
    caller = {
        "ae_title": "CT9",
        "address": "10.0.0.9",
        "cause": "unknown-ae",
        "why": "'CT9' is not a known peer",
        "count": 12,
        "last_at": "2026-01-05T08:30:00+00:00",
    }
    tells_transfers(both["CT"], callers=(caller,))
    page = page_of(technologist, "/arrivals/transfers/")
    assert "CT9" in page
    assert "is not a known peer" in page


def test_trouble_alone_is_shown_unless_all_is_asked_for(both, technologist) -> None:
    assert "No transfer has failed" in page_of(technologist, "/arrivals/transfers/")
    assert any("troubled=1" in one for one in both["CT"].asked)
    both["CT"].asked.clear()
    page_of(technologist, "/arrivals/transfers/?show=all")
    assert not any("troubled=1" in one for one in both["CT"].asked)


def test_transfers_follow_by_themselves(both, technologist) -> None:
    seen = SEEN.search(page_of(technologist, "/arrivals/transfers/"))[1]
    address = "/arrivals/transfers/live/"
    assert technologist.get(address, {"seen": seen}).status_code == 204
    tells_transfers(both["CT"], transfer(unfinished=2))
    assert "2 images broke off" in technologist.get(address, {"seen": seen}).content.decode()


@pytest.mark.parametrize("group", ["clinician", "it", "archivist"])
def test_others_see_no_arrivals(both, browser, group) -> None:
    assert browser(group).get("/arrivals/").status_code == 403
    assert 'href="/arrivals/"' not in browser(group).get("/servers/").content.decode()


def test_the_menu_leads_there(both, technologist) -> None:
    assert 'href="/arrivals/"' in page_of(technologist, "/arrivals/transfers/")
