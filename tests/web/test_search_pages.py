"""The list of exams page by page, over three nodes: merged, resumed, overlaps told rightly."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from types import SimpleNamespace

import pytest
from django.test import Client

from pacs_web import config
from pacs_web.audit.models import AuditEvent
from pacs_web.federation.locate import all_holders, known_holders
from pacs_web.nodes.models import Node
from pacs_web.studies.asked import PAGE_SIZE
from tests.web.foreign_stand_in import foreign_stand_in, study
from tests.web.made_studies import instance
from tests.web.node_stand_in import StandIn, node_stand_in

pytestmark = pytest.mark.slow

HTMX = {"HTTP_HX_REQUEST": "true"}


@pytest.fixture
def three(register: Callable[[StandIn], Node]) -> Iterator[dict[str, StandIn]]:
    """Three nodes with 130 exams of 13 days, spread over them."""
    with ExitStack() as stack:
        made = {
            name: stack.enter_context(node_stand_in(name, [], config.TRUST_DIR))
            for name in ("CT", "RF", "CR")
        }
        for number in range(130):
            node = list(made.values())[number % 3]
            day = f"202611{number // 10 + 1:02d}" if number >= 20 else ""
            node.instances.append(
                instance(f"1.2.{number}", 1, 1, "CT", PatientID=f"P{number}", StudyDate=day)
            )
        for node in made.values():
            register(node)
        yield made


def listed(page: str) -> list[str]:
    """Return the exams of a page, in order."""
    return re.findall(r'data-href="/studies/([0-9.]+)/"', page)


def more(page: str) -> str:
    """Return the address of the next page, "" at the end."""
    found = re.search(r'hx-get="([^"]+)"', page)
    return html.unescape(found[1]) if found else ""


def read(browser: Client, **typed: object) -> list[str]:
    """Return every page of a search: the first, and the rows that the script fetches."""
    found = [browser.post("/", typed, follow=True).content.decode()]
    while address := more(found[-1]):
        found.append(browser.get(address, **HTMX).content.decode())
    return found


def test_pages_tell_every_exam_once_in_one_order(
    three: dict[str, StandIn], clinician: Client
) -> None:
    pages = read(clinician)
    assert [len(listed(page)) for page in pages] == [PAGE_SIZE, PAGE_SIZE, 30]
    told = [uid for page in pages for uid in listed(page)]
    assert len(set(told)) == 130
    days = {f"1.2.{n}": f"202611{n // 10 + 1:02d}" if n >= 20 else "" for n in range(130)}
    by_uid = sorted(days)
    assert told == sorted(by_uid, key=lambda uid: days[uid], reverse=True)
    assert "<html" in pages[0] and "<html" not in pages[1]


def test_without_a_script_the_next_page_is_a_page(
    three: dict[str, StandIn], clinician: Client
) -> None:
    first = clinician.post("/", {}, follow=True).content.decode()
    second = clinician.get(more(first)).content.decode()
    assert "<html" in second
    assert not set(listed(first)) & set(listed(second))


def test_the_address_of_a_page_names_no_patient_and_belongs_to_its_search(
    three: dict[str, StandIn], clinician: Client
) -> None:
    address = more(clinician.post("/", {"name": "Lefèvre"}, follow=True).content.decode())
    assert "Lef" not in address and "P1" not in address
    other = clinician.post("/", {"name": "L"})["Location"].partition("search=")[2]
    forged = re.sub("search=[^&]+", f"search={other}", address)
    assert clinician.get(forged).status_code == 400
    assert clinician.get(address + "x").status_code == 400


def test_arrivals_between_pages_neither_repeat_nor_hide(
    three: dict[str, StandIn], clinician: Client
) -> None:
    first = clinician.post("/", {}, follow=True).content.decode()
    three["RF"].instances += [
        instance("1.2.900", 1, 1, "RF", StudyDate="20261231"),
        instance("1.2.901", 1, 1, "RF", StudyDate="20261104"),
    ]
    pages = [first]
    while address := more(pages[-1]):
        pages.append(clinician.get(address, **HTMX).content.decode())
    told = [uid for page in pages for uid in listed(page)]
    assert len(told) == len(set(told)) == 131
    assert "1.2.901" in told and "1.2.900" not in told


def test_a_node_that_falls_silent_is_named_in_the_rows_that_follow(
    three: dict[str, StandIn], clinician: Client
) -> None:
    first = clinician.post("/", {}, follow=True).content.decode()
    three["CR"].behaviour.fails_at = "studies"
    rows = clinician.get(more(first), **HTMX).content.decode()
    assert "One server did not answer." in rows and "CR</span>" in rows
    assert len(listed(rows)) > 30


def test_a_dead_node_is_named_and_the_others_pages_go_on(
    three: dict[str, StandIn],
    register: Callable[[SimpleNamespace], Node],
    clinician: Client,
) -> None:
    register(SimpleNamespace(name="DEAD", url="http://127.0.0.1:9"))
    pages = read(clinician)
    assert "DEAD</span> cannot be reached" in pages[0]
    assert all("DEAD" in page and "search again to include it" in page for page in pages[1:])
    assert sum(len(listed(page)) for page in pages) == 130


def test_a_foreign_list_is_sorted_in_and_marked_where_cut(
    three: dict[str, StandIn], clinician: Client, db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pacs_web.federation.listing.FOREIGN_LIMIT", 60)
    held = [
        study(1000 + n, **{"00080020": {"vr": "DA", "Value": [f"202611{n % 13 + 3:02d}"]}})
        for n in range(70)
    ]
    with foreign_stand_in(held) as foreign:
        Node.objects.create(name="PACS", kind="dicomweb", url=foreign.url, position=9, issuer="X")
        pages = read(clinician)
    told = [uid for page in pages for uid in listed(page)]
    assert len(told) == len(set(told)) == 190
    assert "PACS: only" in pages[0] and "exams were read" in pages[0]


def test_copies_are_one_row_whose_series_are_counted_once(
    three: dict[str, StandIn], clinician: Client
) -> None:
    for node in three.values():
        node.instances.clear()
    both = [instance("1.7", 1, n, "CT", StudyDate="20270101") for n in (1, 2)]
    three["CT"].instances += both
    three["RF"].instances += [*both, instance("1.7", 2, 1, "SR", StudyDate="20270101")]
    three["CR"].instances += [instance("1.7", 3, n, "PR", StudyDate="") for n in range(4)]
    three["CR"].instances += [instance("1.8", 1, 1, "CR", StudyDate="20200101")]
    page = clinician.post("/", {}, follow=True).content.decode()
    assert listed(page) == ["1.7", "1.8"]
    row = page[page.index('data-href="/studies/1.7/"') : page.index('data-href="/studies/1.8/"')]
    assert '<td data-label="Images" class="num">7</td>' in row
    assert set(re.findall(r'modality">(\w+)<', row)) == {"CT", "SR", "PR"}
    assert re.findall(r'server">(\w+)<', row)[0] == "CR"  # the most of it lies there
    asked = [path for node in three.values() for path in node.asked if "/series?" in path]
    assert len(asked) == 3 and all("1.8" not in path for path in asked)


def test_where_the_series_cannot_be_asked_the_best_copy_counts(
    three: dict[str, StandIn], clinician: Client
) -> None:
    for node in three.values():
        node.instances[:] = [instance("1.7", 1, 1, "CT")]
    three["RF"].instances.append(instance("1.7", 1, 2, "CT"))
    three["RF"].behaviour.fails_at = "series"
    page = clinician.post("/", {}, follow=True).content.decode()
    assert '<td data-label="Images" class="num">2</td>' in page
    assert re.findall(r'server">(\w+)<', page)[0] == "RF"


def test_a_search_never_says_that_no_other_node_holds_a_part(
    three: dict[str, StandIn], clinician: Client
) -> None:
    three["RF"].instances.append(instance("1.2.129", 5, 1, "SR", StudyDate="20261113"))
    read(clinician, modality="CT")
    assert known_holders("1.2.129") == {"CT"}
    assert not all_holders("1.2.129")  # the report lies elsewhere, and matched nothing


def test_a_page_costs_a_bounded_number_of_statements(
    three: dict[str, StandIn], clinician: Client, django_assert_max_num_queries: Callable
) -> None:
    for node in three.values():
        node.instances += three["CT"].instances[:30]
    first = clinician.post("/", {})["Location"]
    with django_assert_max_num_queries(16):
        page = clinician.get(first).content.decode()
    with django_assert_max_num_queries(16):
        clinician.get(more(page), **HTMX)


def test_every_page_is_audited(three: dict[str, StandIn], clinician: Client) -> None:
    read(clinician, modality="CT")
    rows = AuditEvent.objects.filter(action="search").order_by("at", "id")
    assert [row.detail["found"] for row in rows] == [PAGE_SIZE, PAGE_SIZE, 30]
    assert [row.detail.get("further", False) for row in rows] == [False, True, True]
