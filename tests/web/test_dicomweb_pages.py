"""The portal's QIDO-RS: pages at any depth, what servers warn of, answers without bound."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from types import SimpleNamespace

import pytest
from django.test import Client

from pacs_common.node_client import images
from pacs_web import config
from pacs_web.dicomweb import search
from pacs_web.federation.models import Continuation
from pacs_web.nodes.models import Node
from tests.web.foreign_stand_in import foreign_stand_in, study
from tests.web.made_studies import CT_STUDY, instance
from tests.web.node_stand_in import StandIn, node_stand_in
from tests.web.test_hostile_nodes import Hostile, answer

pytestmark = pytest.mark.slow

STUDIES = "/dicom-web/studies"


@pytest.fixture
def three(register: Callable[[StandIn], Node]) -> Iterator[dict[str, StandIn]]:
    """Three nodes with 31 exams between them, two of which lie on two nodes."""
    with ExitStack() as stack:
        made = {
            name: stack.enter_context(node_stand_in(name, [], config.TRUST_DIR))
            for name in ("CT", "RF", "CR")
        }
        for n in range(31):
            held = instance(f"1.2.{n}", 1, 1, "CT", StudyDate=f"202611{n // 4 + 1:02d}")
            list(made.values())[n % 3].instances.append(held)
        for n in (5, 17):
            report = instance(f"1.2.{n}", 2, 1, "SR", StudyDate=f"202611{n // 4 + 1:02d}")
            list(made.values())[(n + 1) % 3].instances.append(report)
        for node in made.values():
            register(node)
        yield made


def told(response: object) -> list[str]:
    """Return the studies of an answer."""
    assert response.status_code == 200, response.content
    return [one["0020000D"]["Value"][0] for one in response.json()]


@pytest.mark.parametrize("size", [1, 4, 31, 40])
def test_pages_are_the_whole_list(three: dict, clinician: Client, size: int) -> None:
    whole = told(clinician.get(STUDIES))
    assert len(whole) == 31
    paged = []
    while page := told(clinician.get(f"{STUDIES}?limit={size}&offset={len(paged)}")):
        paged += page
    assert paged == whole


def test_a_page_that_follows_another_asks_no_node_for_what_was_told(
    three: dict[str, StandIn], clinician: Client
) -> None:
    clinician.get(f"{STUDIES}?limit=5")
    for node in three.values():
        node.asked.clear()
    clinician.get(f"{STUDIES}?limit=5&offset=5")
    asked = [path for node in three.values() for path in node.asked if "limit=6" in path]
    assert len(asked) == 3 and all("after=" in path for path in asked)


def test_a_page_out_of_the_blue_is_right_too(three: dict, clinician: Client) -> None:
    whole = told(clinician.get(STUDIES))
    Continuation.objects.all().delete()
    assert told(clinician.get(f"{STUDIES}?limit=5&offset=12")) == whole[12:17]


def test_where_a_list_goes_on_is_known_to_who_asked_alone(
    three: dict[str, StandIn], clinician: Client, browser: Callable[[str], Client]
) -> None:
    clinician.get(f"{STUDIES}?limit=5")
    three["CT"].asked.clear()
    browser("technologist").get(f"{STUDIES}?limit=5&offset=5")
    assert "after=" not in three["CT"].asked[0]
    assert not Continuation.objects.filter(key__contains="1.2").exists()


def test_only_pages_that_follow_each_other_go_beyond_the_bound(
    three: dict, clinician: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "MAX_OFFSET", 10)
    assert clinician.get(f"{STUDIES}?limit=5&offset=11").status_code == 400
    for offset in (0, 10, 20):
        assert len(told(clinician.get(f"{STUDIES}?limit=10&offset={offset}"))) == 10
    assert told(clinician.get(f"{STUDIES}?limit=10&offset=30"))
    assert clinician.get(f"{STUDIES}/{CT_STUDY}/series?offset=11").status_code in (400, 404)


def test_more_than_a_node_gives_at_once_is_asked_for_in_parts(
    three: dict[str, StandIn], clinician: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = told(clinician.get(STUDIES))
    monkeypatch.setattr("pacs_web.federation.listing.AT_ONCE", 3)
    assert told(clinician.get(STUDIES)) == whole


def test_a_study_on_two_nodes_tells_what_both_hold(three: dict, clinician: Client) -> None:
    row = next(
        one for one in clinician.get(STUDIES).json() if one["0020000D"]["Value"] == ["1.2.5"]
    )
    assert set(row["00080061"]["Value"]) == {"CT", "SR"}
    assert row["00201206"]["Value"] == row["00201208"]["Value"] == [2]


def test_the_total_is_told_where_all_was_read(three: dict, clinician: Client) -> None:
    assert clinician.get(STUDIES)["X-Total-Count"] == "31"
    assert "X-Total-Count" not in clinician.get(f"{STUDIES}?limit=5")
    clinician.get(f"{STUDIES}?limit=20")
    assert clinician.get(f"{STUDIES}?limit=20&offset=20")["X-Total-Count"] == "31"


def test_our_own_continuation_is_no_parameter(three: dict, clinician: Client) -> None:
    assert clinician.get(f"{STUDIES}?after=20261101,1.2").status_code == 400


@pytest.mark.parametrize("level", ["series", "instances"])
def test_a_list_that_is_cut_says_so_and_has_no_total(
    three: dict, clinician: Client, level: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "LIMIT", 10)
    response = clinician.get(f"/dicom-web/{level}")
    assert len(response.json()) == 10
    assert "there are more than 10 results" in response["Warning"]
    assert "X-Total-Count" not in response


def test_a_foreign_list_that_is_cut_is_named(
    three: dict, clinician: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pacs_web.federation.listing.FOREIGN_LIMIT", 5)
    with foreign_stand_in([study(n) for n in range(1000, 1009)]) as foreign:
        Node.objects.create(name="PACS", kind="dicomweb", url=foreign.url, position=9, issuer="X")
        response = clinician.get(STUDIES)
    assert "PACS: only" in response["Warning"]
    assert "X-Total-Count" not in response


@pytest.fixture
def odd(register: Callable[[SimpleNamespace], Node], three: dict) -> Iterator[Hostile]:
    """A fourth node that says what it is told to say."""
    node = Hostile()
    register(SimpleNamespace(name=node.name, url=node.url))
    node.where = "studies$"
    yield node
    node.socket.close()


@pytest.mark.parametrize(
    ("warned", "passed"),
    [
        ('299 argens "not matched of this index: PatientMood"', "not matched of this index"),
        ('299 x "one", 299 y "two \\"quoted\\""', 'HOSTILE: two \\"quoted\\"'),
    ],
)
def test_what_a_node_warns_of_is_passed_on_with_its_name(
    odd: Hostile, clinician: Client, warned: str, passed: str
) -> None:
    odd.says = answer(b"[]", Warning=warned)
    response = clinician.get(STUDIES)
    assert passed in response["Warning"] and "HOSTILE: " in response["Warning"]
    assert len(response.json()) == 31


@pytest.mark.parametrize("warned", ['299 x "\xe9\x01"', "299", "x" * 9000, '299 x "a', '199 x "a"'])
def test_no_warning_of_a_node_breaks_the_answer(
    odd: Hostile, clinician: Client, warned: str
) -> None:
    odd.says = answer(b"[]", Warning=warned)
    assert len(clinician.get(STUDIES).json()) == 31


def test_an_answer_without_bound_is_that_nodes_failure_by_name(
    odd: Hostile, clinician: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "MOST_BYTES", 100_000)
    odd.says = answer(b"[" + b" " * 200_000 + b"]")
    response = clinician.get(STUDIES)
    assert "no answer from HOSTILE" in response["Warning"]
    assert len(response.json()) == 31
    page = clinician.post("/", {}, follow=True).content.decode()
    assert "HOSTILE</span>" in page and "31 exams" in page


def test_more_answers_than_asked_for_are_that_nodes_failure_by_name(
    odd: Hostile, clinician: Client
) -> None:
    many = [{"0020000D": {"vr": "UI", "Value": [f"9.{n:04d}"]}} for n in range(1002)]
    odd.says = answer(json.dumps(many).encode())
    response = clinician.get(STUDIES)
    assert "no answer from HOSTILE" in response["Warning"]
    assert len(response.json()) == 31


def test_a_search_costs_a_bounded_number_of_statements(
    three: dict, clinician: Client, django_assert_max_num_queries: Callable
) -> None:
    for address in (f"{STUDIES}?limit=9", f"{STUDIES}?limit=9&offset=9"):
        with django_assert_max_num_queries(20):
            clinician.get(address)
