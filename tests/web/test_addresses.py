"""Where a request comes from counts for the audit and the locks: nobody may invent it."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from axes.models import AccessAttempt
from django.contrib.auth.models import Group
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from pacs_web import config
from pacs_web.accounts.addresses import _origin, is_inside
from pacs_web.accounts.models import Account
from pacs_web.audit.models import AuditEvent
from tests.web.conftest import PASSWORD

PROXIES = [ip_network("10.9.0.0/24")]


class _Request:
    def __init__(self, address: str, forwarded: str | None = None) -> None:
        self.META = {"REMOTE_ADDR": address}
        if forwarded is not None:
            self.META["HTTP_X_FORWARDED_FOR"] = forwarded


@pytest.fixture
def proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "TRUSTED_PROXIES", PROXIES)


@pytest.mark.parametrize(
    ("address", "forwarded", "origin"),
    [
        ("10.9.0.1", "192.0.2.5", "192.0.2.5"),
        ("10.9.0.1", "6.6.6.6, 192.0.2.5", "192.0.2.5"),
        ("10.9.0.1", "192.0.2.5, 10.9.0.2", "192.0.2.5"),
        ("10.9.0.1", "192.0.2.5, nonsense", "10.9.0.1"),
        ("10.9.0.1", "", "10.9.0.1"),
        ("10.9.0.1", None, "10.9.0.1"),
        ("192.0.2.9", "6.6.6.6", "192.0.2.9"),
        ("::ffff:10.9.0.1", "2001:db8::5", "2001:db8::5"),
    ],
)
def test_the_last_address_that_is_no_proxy_of_ours_is_believed(
    proxies: None, address: str, forwarded: str | None, origin: str
) -> None:
    assert _origin(_Request(address, forwarded)) == origin


@given(st.text(max_size=80))
def test_whoever_does_not_come_through_a_proxy_is_who_he_is(forwarded: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(config, "TRUSTED_PROXIES", PROXIES)
        assert _origin(_Request("192.0.2.9", forwarded)) == "192.0.2.9"


def test_without_named_proxies_no_header_is_believed(db: None, client: Client) -> None:
    client.post(
        "/login/", {"username": "x", "password": "y"}, headers={"X-Forwarded-For": "6.6.6.6"}
    )
    assert AuditEvent.objects.get().address == AccessAttempt.objects.get().ip_address == "127.0.0.1"


def test_behind_a_proxy_audit_and_lock_see_the_real_address(proxies: None, db: None) -> None:
    client = Client(REMOTE_ADDR="10.9.0.1", headers={"X-Forwarded-For": "192.0.2.5"})
    client.post("/login/", {"username": "x", "password": "y"})
    assert AuditEvent.objects.get().address == AccessAttempt.objects.get().ip_address == "192.0.2.5"


@pytest.mark.parametrize(
    ("address", "inside"),
    [("10.1.1.1", True), ("127.0.0.1", True), ("203.0.113.1", False), ("", False), ("::1", True)],
)
def test_inside_is_what_the_setting_names(
    monkeypatch: pytest.MonkeyPatch, address: str, inside: bool
) -> None:
    monkeypatch.setattr(config, "INSIDE_NETWORKS", [ip_network("10.0.0.0/8")])
    assert is_inside(_Request(address)) is inside


def test_without_a_setting_everywhere_is_inside() -> None:
    assert is_inside(_Request("203.0.113.1"))


class TestLocks:
    @pytest.fixture
    def helene(self, db: None, cheap_hashes: None) -> None:
        account = Account.objects.create_user("helene", password=PASSWORD)
        account.groups.add(Group.objects.get(name="clinician"))

    def fail(self, name: str, address: str) -> int:
        said = {"username": name, "password": "wrong"}
        return Client(REMOTE_ADDR=address).post("/login/", said).status_code

    def succeeds(self, address: str) -> bool:
        said = {"username": "helene", "password": PASSWORD}
        return Client(REMOTE_ADDR=address).post("/login/", said).status_code == 302

    def test_an_address_that_tries_many_names_is_locked(
        self, helene: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(config, "ADDRESS_FAILURES", 6)
        for number in range(6):
            self.fail(f"name{number}", "192.0.2.1")
        assert not self.succeeds("192.0.2.1")
        assert self.succeeds("192.0.2.2")

    def test_a_name_that_is_tried_from_many_addresses_is_locked(
        self, helene: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(config, "ACCOUNT_FAILURES", 6)
        for number in range(6):
            self.fail("helene", f"192.0.2.{number + 1}")
        assert not self.succeeds("192.0.2.200")

    def test_a_few_wrong_passwords_of_a_ward_lock_nobody_else(self, helene: None) -> None:
        for number in range(8):
            self.fail(f"name{number}", "192.0.2.1")
        assert self.succeeds("192.0.2.1")
