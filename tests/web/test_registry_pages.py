"""IT's registry of servers: who is asked, what is refused, what is shown, and what never is."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.test import Client

from pacs_web import config
from pacs_web.audit.models import AuditEvent
from pacs_web.nodes import registry
from pacs_web.nodes.models import Kind, Node
from pacs_web.nodes.sealing import sealed, unsealed
from tests.support.certificates import Authority
from tests.support.ports import free_port
from tests.web.archive_stand_in import archive_stand_in
from tests.web.foreign_stand_in import Foreign, foreign_stand_in, study

NODES = "/admin-console/nodes/"
NEW_WEB = "/admin-console/new-node/dicomweb/"
WEB = {
    "name": "CLINIC",
    "url": "http://127.0.0.1:8042/dicom-web/",
    "issuer": "CLINIC",
    "answers_at_once": "0",
    "authentication": "basic",
    "user": "portal",
    "secret": "s3cret-of-the-clinic",
}


@pytest.fixture
def it(browser: Callable[[str], Client]) -> Client:
    """The browser of somebody of IT."""
    return browser("it")


@pytest.fixture
def foreign() -> Iterator[Foreign]:
    with foreign_stand_in([study(1)]) as running:
        yield running


def text_of(response) -> str:
    return " ".join(response.content.decode().split())


class TestRegistering:
    def test_a_foreign_server_is_kept_and_its_password_never_shown(self, it: Client) -> None:
        page = text_of(it.post(NEW_WEB, WEB, follow=True))
        row = Node.objects.get(name="CLINIC")
        assert (row.kind, row.url) == (Kind.DICOMWEB, "http://127.0.0.1:8042/dicom-web")
        assert unsealed(row.sealed_secret, "") == WEB["secret"]
        assert "CLINIC is saved" in page
        for shown in (page, text_of(it.get(f"{NODES}CLINIC/")), str(AuditEvent.objects.values())):
            assert WEB["secret"] not in shown
            assert row.sealed_secret not in shown

    def test_what_is_done_is_audited(self, it: Client) -> None:
        it.post(NEW_WEB, WEB)
        row = AuditEvent.objects.get(action="configure")
        assert (row.who, row.detail["act"], row.detail["node"]) == ("it", "add", "CLINIC")

    @pytest.mark.parametrize(
        ("field", "given"),
        [
            ("name", "a b"),
            ("name", ""),
            ("url", "http://169.254.169.254/latest"),
            ("url", "http://portal:s3cret@pacs/"),
            ("url", "ftp://pacs"),
            ("issuer", ""),
            ("user", ""),
            ("secret", ""),
            ("certificate", "no certificate"),
            ("authority", "no certificate"),
        ],
    )
    def test_what_cannot_be_asked_is_refused_beside_its_field(
        self, it: Client, field: str, given: str
    ) -> None:
        response = it.post(NEW_WEB, WEB | {field: given})
        assert response.status_code == 422
        errors = response.context["form"].errors
        assert errors.keys() & {field, "key"}
        assert not Node.objects.exists()

    def test_a_password_is_kept_until_the_address_changes(self, it: Client) -> None:
        it.post(NEW_WEB, WEB)
        known = WEB | {"secret": ""}
        assert it.post(f"{NODES}CLINIC/", known | {"url": WEB["url"] + "rs"}).status_code == 302
        assert unsealed(Node.objects.get().sealed_secret, "") == WEB["secret"]
        moved = it.post(f"{NODES}CLINIC/", known | {"url": "http://elsewhere:8042/"})
        assert moved.status_code == 422
        assert "enter it again" in text_of(moved)
        assert it.post(f"{NODES}CLINIC/", known | {"authentication": "none"}).status_code == 302
        assert Node.objects.get().sealed_secret == ""

    def test_a_client_certificate_needs_its_own_key(self, it: Client, tmp_path: Path) -> None:
        authority = Authority(tmp_path)
        one, other = authority.issue("one"), authority.issue("other")
        papers = {"certificate": one.certificate.read_text(), "key": other.key.read_text()}
        assert it.post(NEW_WEB, WEB | papers).status_code == 422
        papers["key"] = one.key.read_text()
        assert it.post(NEW_WEB, WEB | papers).status_code == 302
        assert "PRIVATE KEY" not in Node.objects.get().sealed_key
        page = text_of(it.get(f"{NODES}CLINIC/"))
        assert papers["key"].split("\n")[1] not in page

    def test_two_servers_of_one_name_are_refused(self, it: Client, nodes: dict) -> None:
        own = {"name": "CT", "url": "http://10.0.0.7:8101"}
        assert it.post("/admin-console/new-node/own/", own).status_code == 422
        assert it.post("/admin-console/new-node/nonsense/", own).status_code == 404


class TestTheList:
    def test_stands_by_site_in_an_order_that_it_changes(self, it: Client, nodes: dict) -> None:
        Node.objects.create(name="FAR", kind=Kind.OWN, url="http://10.9.9.9", site="Saint-Raphaël")
        page = text_of(it.get(NODES))
        assert "Saint-Raphaël" in page
        assert "Without a site" in page
        assert page.index(">CT<") < page.index(">RF<")
        it.post(f"{NODES}RF/move/", {"to": "up"})
        assert [one.name for one in registry.enabled_nodes()] == ["RF", "CT", "FAR"]
        it.post(f"{NODES}FAR/move/", {"to": "up"})
        assert [one.name for one in registry.enabled_nodes()] == ["RF", "CT", "FAR"]

    def test_a_disabled_server_is_asked_no_more(self, it: Client, nodes: dict) -> None:
        it.post(f"{NODES}RF/enable/", {"enabled": "no"})
        assert [one.name for one in registry.clients("x")] == ["CT"]
        it.post(f"{NODES}RF/enable/", {"enabled": "yes"})
        assert [one.name for one in registry.clients("x")] == ["CT", "RF"]

    def test_removing_asks_first(self, it: Client, nodes: dict, monkeypatch) -> None:
        monkeypatch.setattr(config, "NODES", {"RF": nodes["RF"].url})
        page = text_of(it.get(f"{NODES}RF/remove/"))
        assert "No image is deleted" in page
        assert "PACS_NODES still names it" in page
        assert Node.objects.filter(name="RF").exists()
        it.post(f"{NODES}RF/remove/")
        assert not Node.objects.filter(name="RF").exists()

    def test_the_archive_is_registered_at_start_and_used_where_it_is(
        self, it: Client, db: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(config, "ARCHIVE_URL", "http://127.0.0.1:9")
        assert registry.archive_url() == "http://127.0.0.1:9"
        registry.register_archive("http://127.0.0.1:10")
        assert registry.archive_url() == "http://127.0.0.1:10"
        assert registry.clients("x") == []
        it.post(f"{NODES}archive/enable/", {"enabled": "no"})
        assert registry.archive_url() == ""


class TestTesting:
    def outcome(self, it: Client, name: str) -> str:
        return text_of(it.post(f"{NODES}{name}/test/"))

    def test_an_own_node_is_tried_up_to_its_ticket(self, it: Client, nodes: dict) -> None:
        page = self.outcome(it, "CT")
        assert "the server says that it is ready" in page
        assert "CT works." in page
        nodes["CT"].behaviour.unready = ["nothing listens on the DICOM port 11112"]
        assert "nothing listens on the DICOM port 11112" in self.outcome(it, "CT")

    def test_the_archive_is_tried_too(self, it: Client, db: None) -> None:
        with archive_stand_in(config.TRUST_DIR) as running:
            registry.register_archive(running.url)
            assert "archive works." in self.outcome(it, "archive")

    def test_a_wrong_name_is_told_from_a_wrong_port(self, it: Client, nodes: dict) -> None:
        Node.objects.filter(name="RF").update(name="OTHER")
        page = self.outcome(it, "OTHER")
        assert "OTHER cannot be used yet" in page
        assert "PACS_NODE_NAME" in page
        Node.objects.filter(name="CT").update(url=f"http://127.0.0.1:{free_port()}")
        page = self.outcome(it, "CT")
        assert "Connection refused" in page
        assert "firewall" in page

    def test_a_host_that_nobody_knows_is_named(self, it: Client, db: None) -> None:
        Node.objects.create(name="X", url="http://no-such-host.invalid")
        assert "Check the spelling of the host" in self.outcome(it, "X")

    def test_a_foreign_server_is_searched(self, it: Client, db: None, foreign: Foreign) -> None:
        row = Node.objects.create(name="CLINIC", kind=Kind.DICOMWEB, url=foreign.url)
        assert "CLINIC works." in self.outcome(it, "CLINIC")
        foreign.wants = "Bearer s3cret"
        assert "Check the user, password, token" in self.outcome(it, "CLINIC")
        row.authentication, row.sealed_secret = "bearer", sealed("s3cret")
        row.save()
        assert "CLINIC works." in self.outcome(it, "CLINIC")

    @pytest.mark.parametrize(
        ("days", "trusted", "expected"),
        [
            (90, True, "more days"),
            (2, True, "Renew the server&#x27;s certificate"),
            (-1, True, "certificate has expired"),
            (90, False, "Enter the authority that signed"),
        ],
    )
    def test_a_certificate_is_read_before_it_is_believed(
        self, it: Client, db: None, tmp_path: Path, days: int, trusted: bool, expected: str
    ) -> None:
        authority = Authority(tmp_path)
        paper = authority.issue("pacs", days=days)
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(paper.certificate, paper.key)
        believed = authority.certificate.read_text() if trusted else ""
        with foreign_stand_in([study(1)], tls) as running:
            Node.objects.create(
                name="CLINIC", kind=Kind.DICOMWEB, url=running.url, authority=believed
            )
            page = self.outcome(it, "CLINIC")
        assert expected in page
        assert "CN=pacs" in page
        assert ("CLINIC works." in page) is (days > 0 and trusted)


def test_the_room_of_it_shows_a_card_for_what_it_may_do(it: Client) -> None:
    page = text_of(it.get("/admin-console/"))
    assert f'href="{NODES}"' in page
    assert "No patient data is shown here" in page
