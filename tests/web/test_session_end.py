"""A session that has ended, a wrong method, a hostile body: each gets an answer that helps."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.test import Client, override_settings
from django.utils import timezone

from pacs_web.accounts.models import Account
from tests.web.conftest import PASSWORD
from tests.web.made_studies import CT_STUDY

HTMX = {"HX-Request": "true", "HX-Current-URL": "http://testserver/archive/?x=1"}


@pytest.mark.parametrize("address", ["/archive/", f"/studies/{CT_STUDY}/recall/"])
def test_a_part_of_a_page_whose_session_ended_leads_the_whole_page_to_the_login(
    client: Client, db: None, address: str
) -> None:
    response = client.get(address, headers=HTMX)
    assert response.status_code == 401
    assert response["HX-Redirect"] == "/login/?next=/archive/%3Fx%3D1"
    assert not response.content


def test_an_address_of_another_site_is_no_page_to_come_back_to(client: Client, db: None) -> None:
    evil = {**HTMX, "HX-Current-URL": "https://elsewhere.example//evil.example/x"}
    assert client.get("/archive/", headers=evil)["HX-Redirect"] == "/login/?next=/"


def test_after_the_login_nobody_stands_before_an_act_that_is_only_posted(
    client: Client, db: None
) -> None:
    response = client.post(
        "/archive/jobs/1/retry/", headers={"Referer": "http://testserver/archive/"}
    )
    assert response["Location"] == "/login/?next=/archive/"


@pytest.mark.parametrize("address", ["/login/?next=/login/", "/login/?next=/logout/", "/login/"])
def test_a_person_who_is_logged_in_already_gets_the_first_page(
    clinician: Client, address: str
) -> None:
    response = clinician.get(address)
    assert response.status_code == 302
    assert response["Location"] == "/"


@pytest.mark.parametrize(
    "evil", ["//evil.example", "/\\evil.example", "https:evil.example", "\thttps://evil.example"]
)
def test_a_login_leads_to_no_other_site_however_it_is_written(clinician: Client, evil: str) -> None:
    assert clinician.get("/login/", {"next": evil})["Location"] == "/"


@pytest.mark.parametrize("address", ["/logout/", f"/studies/{CT_STUDY}/"])
def test_a_wrong_method_is_a_designed_page_that_names_the_right_one(
    clinician: Client, address: str
) -> None:
    method = clinician.get if address == "/logout/" else clinician.delete
    response = method(address)
    assert response.status_code == 405
    assert response["Allow"]
    assert "cannot be opened like this" in response.content.decode()


@override_settings(AXES_FAILURE_LIMIT=2)
def test_a_lock_ends_by_itself_though_somebody_goes_on_guessing(
    client: Client, db: None, cheap_hashes: None
) -> None:
    from axes.models import AccessAttempt

    account = Account.objects.create_user("helene", password=PASSWORD)
    account.groups.add(Group.objects.get(name="clinician"))
    said = {"username": "helene", "password": "wrong"}
    for _ in range(2):
        client.post("/login/", said)
    AccessAttempt.objects.update(attempt_time=timezone.now() - timedelta(minutes=14))
    before = AccessAttempt.objects.get().attempt_time
    response = client.post("/login/", said)
    assert response.status_code == 429
    assert AccessAttempt.objects.get().attempt_time == before
    AccessAttempt.objects.update(attempt_time=timezone.now() - timedelta(minutes=16))
    assert client.post("/login/", {**said, "password": PASSWORD}).status_code == 302


@override_settings(AXES_FAILURE_LIMIT=1, AXES_COOLOFF_TIME=timedelta(minutes=40))
def test_a_lock_says_how_long_it_lasts(client: Client, db: None, cheap_hashes: None) -> None:
    page = client.post("/login/", {"username": "helene", "password": "wrong"}).content.decode()
    assert "40 minutes" in page


@pytest.mark.parametrize(
    "body", [b'{"token": "\\ud800"}', b"[" * 8000, b'{"token": "' + b"\xff" * 9 + b'"}', b'{"to']
)
def test_no_question_of_a_stranger_breaks_the_introspection(
    client: Client, db: None, body: bytes
) -> None:
    response = client.post("/api/introspect", body, content_type="application/json")
    assert response.status_code in {200, 400}
    assert b'"active": true' not in response.content


def test_the_session_id_changes_at_the_login_and_dies_at_the_logout(
    client: Client, db: None, cheap_hashes: None, person: Callable[[str], Account]
) -> None:
    account = person("clinician")
    account.set_password(PASSWORD)
    account.save()
    client.cookies["argens_session"] = "planted" * 4
    client.post("/login/", {"username": "clinician", "password": PASSWORD})
    session = client.cookies["argens_session"].value
    assert session != "planted" * 4
    response = client.post("/logout/")
    assert '"cache"' in response["Clear-Site-Data"]
    thief = Client()
    thief.cookies["argens_session"] = session
    assert thief.get("/").status_code == 302
