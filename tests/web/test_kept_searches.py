"""What a person finds again: searches under a name, and the exams opened lately."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import unquote_plus

import pytest
from django.test import Client
from django.utils import timezone

from pacs_web.accounts.models import Account
from pacs_web.nodes.models import Node
from pacs_web.studies import recent, saved
from pacs_web.studies.models import RecentExam, SavedSearch
from tests.web.made_studies import CT_STUDY, RF_STUDY
from tests.web.node_stand_in import StandIn

pytestmark = pytest.mark.slow

LATELY = "Opened lately"


def keep(browser: Client, name: str, /, **typed: object) -> str:
    """Search, keep the search under a name, and return the page."""
    search_id = browser.post("/", typed)["Location"].partition("search=")[2]
    told = browser.post("/search/saved/", {"search": search_id, "name": name}, follow=True)
    return told.content.decode()


def reopened(browser: Client, name: str) -> str:
    """Open a kept search, and return the page."""
    one = SavedSearch.objects.get(name=name)
    return browser.post(f"/search/saved/{one.pk}/", follow=True).content.decode()


def test_a_kept_search_is_listed_and_searches_again(
    nodes: dict[str, StandIn], clinician: Client
) -> None:
    page = keep(clinician, "  My   head scans ", name="Lefèvre", modality="CT", servers=["CT"])
    assert "kept as “My head scans”" in page and "1 exam" in page
    assert "My head scans" in clinician.get("/").content.decode()
    page = reopened(clinician, "My head scans")
    assert 'value="Lefèvre"' in page and "1 exam" in page
    assert not nodes["RF"].asked


def test_a_quick_search_means_the_day_on_which_it_is_opened(
    nodes: dict[str, StandIn], clinician: Client
) -> None:
    keep(clinician, "Today", quick="today")
    row = SavedSearch.objects.get()
    row.typed |= {"date_from": ["2020-01-01"], "date_to": ["2020-01-01"]}
    row.save()
    reopened(clinician, "Today")
    assert f"StudyDate={timezone.localdate():%Y%m%d}" in unquote_plus(nodes["CT"].asked[-1])


def test_the_same_name_replaces_and_a_search_can_be_removed(
    nodes: object, clinician: Client
) -> None:
    keep(clinician, "Mine", name="A")
    keep(clinician, "Mine", name="B")
    (row,) = SavedSearch.objects.all()
    assert row.typed["name"] == ["B"]
    page = clinician.post(f"/search/saved/{row.pk}/remove/", follow=True).content.decode()
    assert "is not kept any more" in page
    assert not SavedSearch.objects.exists()


def test_a_kept_search_forgets_a_server_that_is_gone(nodes: object, clinician: Client) -> None:
    keep(clinician, "Both", servers=["CT", "RF"])
    Node.objects.filter(name="CT").delete()
    assert "2 exams" in reopened(clinician, "Both")


@pytest.mark.parametrize("act", ["", "remove/"])
def test_a_search_is_its_owners_alone(
    nodes: object, clinician: Client, browser: Callable[[str], Client], act: str
) -> None:
    keep(clinician, "Secret", name="Dupont")
    other = browser("technologist")
    assert "Secret" not in other.get("/").content.decode()
    address = f"/search/saved/{SavedSearch.objects.get().pk}/{act}"
    page = other.post(address, follow=True).content.decode()
    assert "You keep no such search." in page and "Dupont" not in page
    assert SavedSearch.objects.count() == 1


def test_what_cannot_be_kept_is_explained(
    nodes: object, clinician: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "give the search a name" in keep(clinician, "  ")
    unknown = {"search": "unknown", "name": "x"}
    assert "Search first" in clinician.post("/search/saved/", unknown, follow=True).content.decode()
    monkeypatch.setattr(saved, "MOST_SAVED", 1)
    keep(clinician, "One")
    assert "remove one first" in keep(clinician, "Two")
    assert SavedSearch.objects.count() == 1


def test_a_name_with_markup_is_text(nodes: object, clinician: Client) -> None:
    page = keep(clinician, "<script>alert(1)</script>")
    assert "<script>alert" not in page


def test_the_exams_opened_lately_are_listed_without_asking_a_server(
    nodes: dict[str, StandIn], clinician: Client
) -> None:
    assert LATELY not in clinician.get("/").content.decode()
    for uid in (CT_STUDY, RF_STUDY, CT_STUDY):
        clinician.get(f"/studies/{uid}/")
    for node in nodes.values():
        node.asked.clear()
    page = clinician.get("/").content.decode()
    page = page[page.index(LATELY) :]
    assert page.count('href="/studies/') == 2
    assert page.index("LEFÈVRE Hélène") < page.index("DUPONT Marie")
    assert "Scanner cérébral" in page and "20/11/2026" in page
    assert not any(node.asked for node in nodes.values())


def test_nobody_sees_what_others_opened(
    nodes: object, clinician: Client, browser: Callable[[str], Client]
) -> None:
    clinician.get(f"/studies/{CT_STUDY}/")
    assert LATELY not in browser("technologist").get("/").content.decode()


def test_an_exam_is_not_listed_under_other_limits_than_it_was_opened_under(
    nodes: object, clinician: Client, person: Callable[[str], Account]
) -> None:
    clinician.get(f"/studies/{CT_STUDY}/")
    limit = person("clinician").limits.create(node="RF")
    assert LATELY not in clinician.get("/").content.decode()
    limit.delete()
    assert LATELY in clinician.get("/").content.decode()


def test_the_oldest_give_way(
    nodes: object, clinician: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recent, "KEPT", 1)
    clinician.get(f"/studies/{CT_STUDY}/")
    clinician.get(f"/studies/{RF_STUDY}/")
    assert [one.study_uid for one in RecentExam.objects.all()] == [RF_STUDY]


def test_the_search_page_costs_a_bounded_number_of_statements(
    nodes: object, clinician: Client, django_assert_max_num_queries: Callable
) -> None:
    for number in range(12):
        keep(clinician, f"Search {number}")
    clinician.get(f"/studies/{CT_STUDY}/")
    with django_assert_max_num_queries(12):
        clinician.get("/")
