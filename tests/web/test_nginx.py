"""nginx in front of the portal: its sites are sound, and it fetches from the nodes itself."""

from __future__ import annotations

import re
from collections.abc import Callable
from io import StringIO
from ipaddress import ip_network
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from pacs_common.tickets import TicketVerifier
from pacs_web import config
from pacs_web.audit.models import Action, AuditEvent
from pacs_web.middleware import CONTENT_SECURITY_POLICY
from pacs_web.nodes.models import Kind, Node
from tests.support.certificates import Authority
from tests.support.nginx import SITES, Nginx
from tests.support.ports import free_port
from tests.web.made_studies import CT_STUDY

FRAME = f"/dicom-web/studies/{CT_STUDY}/series/{CT_STUDY}.1/instances/{CT_STUDY}.1.1/frames/1"
PICTURE = f"/studies/{CT_STUDY}/series/{CT_STUDY}.1/instances/{CT_STUDY}.1.1/rendered"
ABLE = {"HTTP_X_ARGENS_HANDS_OVER": "yes"}


@pytest.fixture
def handing_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the portal hand over to the nginx on loopback."""
    monkeypatch.setattr(config, "ACCEL_PREFIX", "/_node/")
    monkeypatch.setattr(config, "TRUSTED_PROXIES", [ip_network("127.0.0.1")])


def printed(part: str) -> str:
    out = StringIO()
    call_command("nginx", part, stdout=out)
    return out.getvalue()


class TestHandingOver:
    def test_nginx_is_told_the_nodes_place_and_a_ticket_for_that_study_alone(
        self, nodes: object, handing_over: None, clinician: Client
    ) -> None:
        told = clinician.get(f"{FRAME}?a=1&a=b%20c", headers={"Accept": "image/jpeg"}, **ABLE)
        node = Node.objects.get(name="CT")
        assert told["X-Accel-Redirect"] == f"/_node/{node.pk}{FRAME}?a=1&a=b+c"
        assert (told.status_code, told.content) == (200, b"")
        assert told["X-Argens-Accept"] == "image/jpeg"
        assert told["X-Argens-Base"] == "http://testserver/dicom-web"
        kind, _, token = told["X-Argens-Ticket"].partition(" ")
        ticket = TicketVerifier("CT", config.TRUST_DIR).verify(token)
        assert (kind, ticket.study, ticket.scopes) == ("Bearer", CT_STUDY, {"dicomweb"})
        assert ticket.subject == "clinician"

    def test_a_picture_of_a_page_is_handed_over_with_what_the_portal_asks_for(
        self, nodes: object, handing_over: None, clinician: Client
    ) -> None:
        told = clinician.get(f"{PICTURE}?window=40,400", headers={"Accept": "*/*"}, **ABLE)
        assert told["X-Accel-Redirect"].endswith("/rendered?window=40%2C400")
        assert told["X-Argens-Accept"] == "image/jpeg"
        assert told["X-Argens-Cache"] == "private, max-age=300"
        assert "Cache-Control" not in told
        assert "Cookie" in told["Vary"]

    def test_what_is_handed_over_stands_in_the_audit_once(
        self, nodes: object, handing_over: None, clinician: Client
    ) -> None:
        for extra in (ABLE, {}, ABLE):  # in between nginx asked again: the node had refused
            assert clinician.get(FRAME, **extra).status_code == 200
        rows = AuditEvent.objects.filter(action=Action.DICOMWEB, study_uid=CT_STUDY)
        assert rows.count() == 1

    @pytest.mark.parametrize("extra", [{}, {**ABLE, "REMOTE_ADDR": "10.9.9.9"}])
    def test_who_is_no_proxy_of_ours_is_shown_no_ticket(
        self, nodes: object, handing_over: None, clinician: Client, extra: dict[str, str]
    ) -> None:
        told = clinician.get(FRAME, **extra)
        assert "X-Argens-Ticket" not in told and "X-Accel-Redirect" not in told
        assert b"".join(told.streaming_content)

    def test_head_and_foreign_servers_are_passed_on(
        self, nodes: object, handing_over: None, clinician: Client
    ) -> None:
        assert "X-Accel-Redirect" not in clinician.head(FRAME, **ABLE)
        node = Node.objects.get(name="CT")
        node.kind = Kind.DICOMWEB
        node.save()
        assert "X-Accel-Redirect" not in clinician.get(FRAME, **ABLE)

    def test_a_closed_exam_is_not_handed_over(
        self, nodes: object, handing_over: None, browser: Callable[..., Client]
    ) -> None:
        told = browser("archivist").get(FRAME, **ABLE)
        assert (told.status_code, "X-Argens-Ticket" in told) == (403, False)


class TestCommand:
    def test_nothing_is_printed_where_nothing_is_handed_over(self, db: None) -> None:
        with pytest.raises(CommandError, match="PACS_ACCEL_PREFIX is empty"):
            printed("locations")

    def test_a_node_that_nginx_cannot_be_told_is_left_to_the_portal(
        self, db: None, handing_over: None, register: Callable[..., Node]
    ) -> None:
        for name, url in {
            "IP": "https://127.0.0.1:8443",
            "ODD": "http://localhost:1/{}",
            "GONE": "http://no-such-host.invalid",
        }.items():
            register(SimpleNamespace(name=name, url=url))
        assert printed("upstreams").count("the portal passes on what it has") == 3
        assert printed("locations").count("location ") == 1


def test_every_site_is_sound_for_nginx(
    db: None,
    handing_over: None,
    register: Callable[..., Node],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    authority = Authority(tmp_path)
    paper = authority.issue("hospital")
    monkeypatch.setattr(config, "CA_FILE", str(authority.certificate))
    register(SimpleNamespace(name="CT", url="https://localhost:8443/ct"))
    register(SimpleNamespace(name="RF", url="http://127.0.0.1:8102"))
    nginx = Nginx(tmp_path / "nginx")
    nginx.add("tls.conf", {"TLS_CERT": paper.certificate, "TLS_KEY": paper.key})
    nginx.put("nodes-upstreams.conf", printed("upstreams"))
    nginx.put("nodes-locations.conf", printed("locations"))
    for site in ("portal", "node", "archive"):
        filled = {
            "NAME": site,
            "PORT": free_port(),
            "LISTEN": f"127.0.0.1:{free_port()}",
            "LISTEN_PLAIN": f"127.0.0.1:{free_port()}",
            "STATIC_DIR": tmp_path,
            "DATA_DIR": tmp_path,
        }
        nginx.add(f"{site}.conf", filled)
    assert nginx.checked() == ""
    assert not re.search(r"\$\{[A-Z]", "".join(p.read_text() for p in nginx.folder.rglob("*.conf")))
    nginx.put("callers.conf", "allow everybody;")
    assert "invalid parameter" in nginx.checked()


def test_static_files_from_nginx_bear_the_portals_own_policy() -> None:
    assert f'"{CONTENT_SECURITY_POLICY}"' in (SITES / "portal.conf").read_text()
