"""What every page and every template must keep to, so that a browser can protect people."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.template.loader import render_to_string
from django.test import Client

import pacs_web

FOLDER = Path(pacs_web.__file__).parent
TEMPLATES = sorted((FOLDER / "templates").rglob("*.*"))
SAME_IN_BOTH = {"Argens", "OHIF", "TLS", "ms"}  # names and units
SCRIPTS = sorted(path for path in (FOLDER / "static").rglob("*.js") if "vendor" not in path.parts)


@pytest.mark.parametrize("address", ["/login/", "/nope", "/dicom-web/studies", "/healthz"])
def test_every_answer_carries_the_headers_that_keep_others_out(
    db: None, client: Client, address: str
) -> None:
    response = client.get(address)
    policy = response["Content-Security-Policy"]
    assert "unsafe-inline" not in policy and "unsafe-eval" not in policy
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
    assert response["Referrer-Policy"] == "same-origin"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["X-Frame-Options"] == "DENY"
    assert (
        response["Cache-Control"].startswith("no-store") or "no-cache" in response["Cache-Control"]
    )
    assert response["X-Request-Id"]


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_no_template_holds_inline_script_style_or_handler(template: Path) -> None:
    text = template.read_text(encoding="utf-8")
    assert not re.search(r"<script(?![^>]*\bsrc=)", text)
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", text)
    assert not re.search(r"\|\s*safe\b|autoescape off", text)


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_no_template_asks_another_site(template: Path) -> None:
    text = template.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
    assert "http://" not in text and "https://" not in text


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_no_template_says_a_word_that_cannot_be_translated(template: Path) -> None:
    text = template.read_text(encoding="utf-8")
    text = re.sub(r"{% block (?:main_class|theme) %}.*?{% endblock %}", "", text)
    text = re.sub(r"{% blocktranslate.*?{% endblocktranslate %}", "", text, flags=re.S)
    text = re.sub(r"{%.*?%}|{{.*?}}|{#.*?#}", "", text, flags=re.S)
    spoken = re.findall(r'\b(?:aria-label|title|alt|placeholder)="([^"]*)"', text)
    text = re.sub(r"<!doctype html>|<svg.*?</svg>|<[^>]*>", " ", text, flags=re.S | re.I)
    text = re.sub(r"&[a-z]+;|PACS_[A-Z_]+", " ", " ".join([text, *spoken]))
    words = set(re.findall(r"[A-Za-zÀ-ÿ]{2,}", text)) - SAME_IN_BOTH
    assert not words


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_no_script_writes_markup_or_runs_text(script: Path) -> None:
    text = script.read_text(encoding="utf-8")
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", text)


def test_htmx_is_ours_pinned_and_has_its_licence(db: None, client: Client) -> None:
    vendored = FOLDER / "static/vendor/htmx"
    assert 'version:"2.' in (vendored / "htmx.min.js").read_text(encoding="utf-8")
    assert "Zero-Clause BSD" in (vendored / "LICENSE").read_text(encoding="utf-8")
    response = client.get("/static/vendor/htmx/htmx.min.js")
    assert response.status_code == 200
    response.close()


def test_a_page_that_does_not_exist_is_designed(db: None, client: Client) -> None:
    response = client.get("/nope")
    assert response.status_code == 404
    assert "There is no such page" in response.content.decode()


def test_the_page_of_a_fault_needs_neither_database_nor_session() -> None:
    assert "Something broke on our side" in render_to_string("pages/500.html")


def test_a_fault_is_a_designed_page_without_its_traceback(
    clinician: Client, nodes: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_down(*args: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr("pacs_web.studies.asked.Listing.page", break_down)
    clinician.raise_request_exception = False
    response = clinician.post("/", {}, follow=True)
    assert response.status_code == 500
    page = response.content.decode()
    assert "Something broke on our side" in page
    assert "secret detail" not in page and "Traceback" not in page


class TestProbes:
    def test_healthz_says_that_the_process_lives(self, client: Client, db: None) -> None:
        assert client.get("/healthz").json()["status"] == "ok"

    def test_readyz_says_that_the_database_is_migrated(self, client: Client, db: None) -> None:
        assert client.get("/readyz").json() == {"ready": True, "reasons": []}

    def test_metrics_count_and_name_nobody(self, client: Client, db: None) -> None:
        text = client.get("/metrics").content.decode()
        assert "argens_portal_audit_events 0.0" in text
