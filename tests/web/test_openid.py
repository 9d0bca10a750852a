"""Logging in at an OpenID Connect provider: who is believed, what they get, who is not let in."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client

from pacs_web import config
from pacs_web.accounts.models import Account
from pacs_web.audit.models import AuditEvent
from tests.support.openid_provider import (
    CLIENT,
    OTHER_KEY,
    SECRET,
    Provider,
    asked_of,
    serving,
)

pytestmark = pytest.mark.slow

NOBODY_OUTSIDE = "From outside the hospital a second step is needed"


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch, db: None) -> Iterator[Provider]:
    """A provider that the portal knows, and that says of each person to be Hélène Lefèvre."""
    with serving() as running:
        given = {
            "OPENID_ISSUER": running.url,
            "OPENID_NAME": "the hospital's login",
            "OPENID_CLIENT_ID": CLIENT,
            "OPENID_CLIENT_SECRET": SECRET,
            "OUTSIDE_GROUPS": {"clinician": "Médecins", "it": "PACS admins"},
        }
        for name, value in given.items():
            monkeypatch.setattr(config, name, value)
        running.claims = {
            "preferred_username": "h.lefevre",
            "given_name": "Hélène",
            "family_name": "Lefèvre",
            "email": "h.lefevre@hospital.test",
            "groups": ["médecins", "staff"],
        }
        yield running


def log_in(client: Client, provider: Provider, asked: str = "") -> Any:
    """Go to the provider and come back, as a browser does."""
    away = client.get("/login/openid/", {"next": asked} if asked else {})
    assert away.status_code == 302 and away["Location"].startswith(f"{provider.url}/authorize?")
    return client.get(provider.authorized(asked_of(away["Location"])))


def test_the_login_page_offers_the_provider_and_keeps_the_page_that_was_asked_for(
    provider, client
) -> None:
    page = client.get("/login/?next=/servers/").content.decode()
    assert "Log in with the hospital&#x27;s login" in page
    assert 'href="/login/openid/?next=/servers/"' in page


def test_without_a_provider_nothing_of_it_is_shown_or_served(client, db) -> None:
    assert "/login/openid/" not in client.get("/login/").content.decode()
    assert client.get("/login/openid/")["Location"] == "/login/"
    assert client.get("/login/openid/back/?code=x&state=y")["Location"] == "/login/"


def test_a_person_whom_the_provider_proves_is_let_in_with_the_groups_that_it_tells(
    provider, client
) -> None:
    answer = log_in(client, provider, "/servers/")
    assert (answer.status_code, answer["Location"]) == (302, "/servers/")
    account = Account.objects.get(username="h.lefevre")
    assert (account.first_name, account.last_name) == ("Hélène", "Lefèvre")
    assert (account.kept_by, account.has_usable_password()) == ("openid", False)
    assert [group.name for group in account.groups.all()] == ["clinician"]
    assert client.get("/").status_code == 200
    assert AuditEvent.objects.filter(who="h.lefevre", action="login").count() == 1


def test_groups_are_kept_up_at_each_login_and_those_that_it_gave_stay(provider, client) -> None:
    log_in(client, provider)
    account = Account.objects.get(username="h.lefevre")
    account.groups.add(Group.objects.get(name="researcher"))
    provider.claims["groups"] = "PACS admins"
    log_in(Client(), provider)
    assert {group.name for group in account.groups.all()} == {"it", "researcher"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"wrong": {"aud": "another-portal"}},
        {"wrong": {"iss": "https://elsewhere.test"}},
        {"wrong": {"nonce": "of-another-login"}},
        {"wrong": {"exp": 1}},
        {"key": OTHER_KEY},
        {"algorithm": "none"},
        {"claims": {}},
        {"claims": {"preferred_username": "no spaces, please"}},
    ],
    ids=["audience", "issuer", "nonce", "expired", "key", "unsigned", "nameless", "bad name"],
)
def test_what_is_not_proven_lets_nobody_in(provider, client, wrong: dict[str, Any]) -> None:
    for name, value in wrong.items():
        setattr(provider, name, value)
    answer = log_in(client, provider)
    assert answer.status_code in {403, 422}
    assert not Account.objects.exists()
    assert client.get("/")["Location"].startswith("/login/")


def test_a_provider_that_says_it_is_another_is_not_used(provider, client) -> None:
    provider.metadata = {"issuer": "https://elsewhere.test"}
    assert client.get("/login/openid/").status_code == 502


def test_a_provider_that_is_away_leaves_the_password(provider, client, monkeypatch) -> None:
    monkeypatch.setattr(config, "OPENID_ISSUER", "http://127.0.0.1:9")
    answer = client.get("/login/openid/")
    assert answer.status_code == 502
    assert "the hospital&#x27;s login does not answer" in answer.content.decode()


def test_an_answer_that_nobody_asked_for_is_refused(provider, client) -> None:
    assert client.get("/login/openid/back/?code=code-0&state=made-up").status_code == 422
    away = client.get("/login/openid/")["Location"]
    back = provider.authorized(asked_of(away))
    assert Client().get(back).status_code == 422  # of another browser
    assert client.get("/login/openid/back/?error=access_denied&state=x").status_code == 422


def test_an_account_with_a_password_of_its_own_is_not_taken_over(provider, client) -> None:
    account = Account.objects.create_user("h.lefevre", password="corail-barrage-1959")
    assert log_in(client, provider).status_code == 403
    assert AuditEvent.objects.filter(action="login-failed", who="h.lefevre").exists()
    account.set_unusable_password()  # IT hands it over
    account.save()
    assert log_in(client, provider).status_code == 302


def test_a_closed_account_stays_closed(provider, client) -> None:
    log_in(client, provider)
    Account.objects.update(is_active=False)
    assert log_in(Client(), provider).status_code == 403


class TestFromOutside:
    @pytest.fixture(autouse=True)
    def _outside(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(config, "INSIDE_NETWORKS", (ip_network("10.0.0.0/8"),))

    @pytest.fixture
    def outside(self) -> Client:
        return Client(REMOTE_ADDR="203.0.113.9")

    def test_a_login_without_a_second_step_is_refused(self, provider, outside) -> None:
        answer = log_in(outside, provider)
        assert answer.status_code == 403 and NOBODY_OUTSIDE in answer.content.decode()

    def test_a_second_step_that_the_provider_tells_of_counts(self, provider, outside) -> None:
        provider.claims["amr"] = ["pwd", "otp"]
        assert log_in(outside, provider).status_code == 302
        assert outside.get("/").status_code == 200

    def test_so_does_one_that_the_provider_always_asks(
        self, provider, outside, monkeypatch
    ) -> None:
        monkeypatch.setattr(config, "OPENID_SECOND_STEP", True)
        assert log_in(outside, provider).status_code == 302
