"""Every address of the portal, for a stranger, for a person without the right, and with it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import URLPattern, get_resolver, reverse

from pacs_web.accounts.rights import GROUPS, Right
from tests.web.made_studies import CT_STUDY

PUBLIC = {"login", "logout", "introspect", "healthz", "readyz", "metrics"}
ARGUMENTS = {
    "study_uid": CT_STUDY,
    "series_uid": f"{CT_STUDY}.1",
    "instance_uid": f"{CT_STUDY}.1.1",
    "frame": 1,
    "job_id": 1,
    "path": "studies",
}
POSTED = {"archive-retry"}


def _guarded() -> list[URLPattern]:
    return [one for one in get_resolver().url_patterns if one.name not in PUBLIC]


def _address(pattern: URLPattern) -> str:
    wanted = pattern.pattern.converters
    return reverse(pattern.name, kwargs={name: ARGUMENTS[name] for name in wanted})


def _open(client: Client, pattern: URLPattern) -> int:
    method = client.post if pattern.name in POSTED else client.get
    return method(_address(pattern)).status_code


@pytest.mark.parametrize("pattern", _guarded(), ids=lambda one: one.name)
class TestEveryAddress:
    def test_names_the_right_that_it_needs(self, pattern: URLPattern) -> None:
        assert pattern.callback.required_right in Right

    def test_sends_a_stranger_to_the_login_or_answers_401(
        self, pattern: URLPattern, client: Client, db: None
    ) -> None:
        address = _address(pattern)
        response = client.get(address)
        if address.startswith(("/dicom-web/", "/api/")):
            assert response.status_code == 401
            assert "Bearer" in response["WWW-Authenticate"]
        else:
            assert response.status_code == 302
            assert response["Location"].startswith("/login/?next=")

    def test_refuses_a_person_without_the_right(
        self, pattern: URLPattern, browser: Callable[[str], Client]
    ) -> None:
        right = pattern.callback.required_right
        for group in [name for name, rights in GROUPS.items() if right not in rights]:
            assert _open(browser(group), pattern) == 403, group
        assert _open(browser("nobody"), pattern) == 403

    @pytest.mark.usefixtures("nodes")
    def test_admits_a_person_with_the_right(
        self, pattern: URLPattern, browser: Callable[[str], Client]
    ) -> None:
        right = pattern.callback.required_right
        for group in [name for name, rights in GROUPS.items() if right in rights]:
            assert _open(browser(group), pattern) in {200, 302}, group


def test_it_and_archivists_hold_no_right_to_patient_data() -> None:
    patient_data = {Right.SEARCH, Right.VIEW, Right.DOWNLOAD, Right.RECALL}
    assert not patient_data & (GROUPS["it"] | GROUPS["archivist"])


def test_the_menu_holds_only_what_the_person_may_open(browser: Callable[[str], Client]) -> None:
    page = browser("archivist").get("/archive/").content.decode()
    assert 'href="/archive/"' in page
    assert 'href="/servers/"' not in page
    assert 'href="/audit/"' not in page


def test_a_refused_person_sees_where_to_go_instead(browser: Callable[[str], Client]) -> None:
    response = browser("archivist").get("/")
    assert response.status_code == 403
    assert "This page is not for your role" in response.content.decode()
    assert 'href="/archive/"' in response.content.decode()


def test_an_address_with_an_unsafe_uid_is_not_found(clinician: Client) -> None:
    for uid in ("1..2", "1.2.", "." * 5, "1" * 65, "../1"):
        assert clinician.get(f"/studies/{uid}/").status_code == 404, uid
