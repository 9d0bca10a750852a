"""IT's page of the certificates in use: read from what shows them, the first to end first."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.test import Client

from pacs_web import config
from pacs_web.nodes.models import Kind, Node
from tests.support.certificates import Authority
from tests.support.ports import free_port
from tests.web.foreign_stand_in import foreign_stand_in, study
from tests.web.node_stand_in import StandIn

PAGE = "/admin-console/certificates/"


@pytest.fixture
def it(browser: Callable[[str], Client]) -> Client:
    """The browser of somebody of IT."""
    return browser("it")


def text_of(response) -> str:
    return " ".join(response.content.decode().split())


@pytest.mark.parametrize(
    ("days", "expected"),
    [(90, "89 days left"), (30, "renew: 29 days left"), (31, "30 days left"), (-1, "expired")],
)
def test_a_server_s_certificate_is_read_whether_it_is_believed_or_not(
    it: Client, tmp_path: Path, days: int, expected: str
) -> None:
    paper = Authority(tmp_path).issue("pacs", days=days)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(paper.certificate, paper.key)
    with foreign_stand_in([study(1)], tls) as running:
        Node.objects.create(name="CLINIC", kind=Kind.DICOMWEB, url=running.url)
        page = text_of(it.get(PAGE))
    assert "web address of CLINIC" in page
    assert "CN=pacs" in page
    assert expected in page
    assert ("renew" in page) is (days == 30)


def test_the_first_to_end_stands_first(
    it: Client, tmp_path: Path, nodes: dict[str, StandIn], monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path)
    shown, receiver = authority.issue("portal", days=50), authority.issue("receiver", days=40)
    monkeypatch.setattr(config, "AUDIT_SYSLOG_CERT", str(receiver.certificate))
    end = (datetime.now(UTC) + timedelta(days=60)).isoformat()
    of_ct = {"subject": "CN=ct", "issuer": "CN=Authority", "not_after": end}
    nodes["CT"].behaviour.dicom_tls = of_ct
    Node.objects.create(
        name="CLINIC",
        kind=Kind.DICOMWEB,
        url=f"https://127.0.0.1:{free_port()}",
        certificate=shown.certificate.read_text(),
        authority=authority.certificate.read_text(),
    )
    page = text_of(it.get(PAGE))
    uses = ["authority of CLINIC", "receiver of the audit", "shown to CLINIC", "DICOM port of CT"]
    places = [page.index(one) for one in uses]
    assert places == sorted(places)
    assert "CLINIC HTTPS" in page
    assert "cannot be reached" in page
    assert "DICOM port of RF" not in page
    assert "port DICOM de CT" in text_of(it.get(PAGE, headers={"Accept-Language": "fr"}))


def test_a_hospital_without_tls_is_told_so(it: Client, nodes: dict[str, StandIn]) -> None:
    assert "No certificate is in use" in text_of(it.get(PAGE))
