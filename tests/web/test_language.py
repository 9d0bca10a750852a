"""The portal speaks French and English, whole."""

from __future__ import annotations

import pytest
from django.test import Client

from tests.support import catalogue
from tests.support.services import require
from tests.web.made_studies import CT_STUDY

pytestmark = pytest.mark.slow


def test_every_text_has_its_french() -> None:
    require("msgfmt")
    assert [text for role in catalogue.SPEAKING for text in catalogue.checked(role)] == []


def test_a_browser_that_asks_for_french_gets_french(db: None, client: Client) -> None:
    page = client.get("/login/", headers={"Accept-Language": "fr-FR,fr;q=0.9,en;q=0.5"})
    text = page.content.decode()
    assert '<html lang="fr"' in text
    assert "Mot de passe" in text
    assert page["Content-Language"] == "fr"


def test_any_other_language_is_answered_in_english(db: None, client: Client) -> None:
    text = client.get("/login/", headers={"Accept-Language": "de"}).content.decode()
    assert '<html lang="en"' in text
    assert "Password" in text


def test_a_choice_is_remembered_whatever_the_browser_asks_for(
    nodes: object, clinician: Client
) -> None:
    chosen = clinician.post("/language/", {"language": "fr", "next": f"/studies/{CT_STUDY}/"})
    assert chosen["Location"] == f"/studies/{CT_STUDY}/"
    page = clinician.get(f"/studies/{CT_STUDY}/", headers={"Accept-Language": "en"})
    assert "Télécharger" in page.content.decode()
    assert "20/11/2026" in page.content.decode()


def test_a_choice_leads_to_no_other_site(db: None, client: Client) -> None:
    chosen = client.post("/language/", {"language": "fr", "next": "https://example.org/"})
    assert chosen["Location"] == "/"


def test_a_language_that_the_portal_does_not_speak_changes_nothing(
    db: None, client: Client
) -> None:
    client.post("/language/", {"language": "xx", "next": "/login/"})
    assert '<html lang="en"' in client.get("/login/").content.decode()


def test_errors_are_explained_in_the_language_too(clinician: Client) -> None:
    page = clinician.get("/nowhere/", headers={"Accept-Language": "fr"})
    assert page.status_code == 404
    assert "Cette page n'existe pas" in page.content.decode().replace("&#x27;", "'")
