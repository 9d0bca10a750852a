"""Logging in: passwords, lock-out, sessions, and what is written down."""

from __future__ import annotations

from unittest.mock import patch

import pytest
from django.contrib.auth.hashers import Argon2PasswordHasher, make_password
from django.contrib.auth.models import Group
from django.contrib.sessions.models import Session
from django.test import Client, override_settings
from django.utils import timezone

from pacs_web import config
from pacs_web.accounts.models import Account
from pacs_web.audit.models import AuditEvent
from tests.web.conftest import PASSWORD


@pytest.fixture
def helene(db: None, cheap_hashes: None) -> Account:
    account = Account.objects.create_user("helene", password=PASSWORD)
    account.groups.add(Group.objects.get(name="clinician"))
    return account


def _log_in(client: Client, name: str, password: str, **more: str):
    return client.post("/login/", {"username": name, "password": password, **more})


def test_passwords_are_stored_as_argon2id() -> None:
    assert make_password(PASSWORD).startswith("argon2$argon2id$")


@pytest.mark.parametrize(
    ("group", "page"),
    [("clinician", "/"), ("technologist", "/"), ("it", "/servers/"), ("archivist", "/archive/")],
)
def test_each_person_lands_on_the_page_of_the_daily_work(
    db: None, cheap_hashes: None, client: Client, group: str, page: str
) -> None:
    account = Account.objects.create_user("somebody", password=PASSWORD)
    account.groups.add(Group.objects.get(name=group))
    response = _log_in(client, "somebody", PASSWORD, next="/")
    assert response.status_code == 302
    assert response["Location"] == page


def test_login_leads_back_to_the_page_that_was_asked_for(helene: Account, client: Client) -> None:
    assert _log_in(client, "helene", PASSWORD, next="/servers/")["Location"] == "/servers/"


def test_login_does_not_lead_to_another_site(helene: Account, client: Client) -> None:
    response = _log_in(client, "helene", PASSWORD, next="https://elsewhere.example/")
    assert response["Location"] == "/"


def test_unknown_name_and_wrong_password_get_the_same_answer(
    helene: Account, client: Client
) -> None:
    unknown = _log_in(client, "nobody", "x").content.decode().replace("nobody", "NAME")
    wrong = _log_in(client, "helene", "x").content.decode().replace("helene", "NAME")
    token = 'name="csrfmiddlewaretoken" value="'
    cut = [page.split(token)[0] + page.split(token)[1][64:] for page in (unknown, wrong)]
    assert cut[0] == cut[1]
    assert "do not match" in cut[0]


@pytest.mark.parametrize("name", ["helene", "nobody"])
def test_a_failed_login_computes_exactly_one_hash(
    helene: Account, client: Client, name: str
) -> None:
    counted: list[str] = []
    real = {verb: getattr(Argon2PasswordHasher, verb) for verb in ("encode", "verify")}

    def counting(verb: str):
        def call(self: Argon2PasswordHasher, *args: object, **kwargs: object):
            counted.append(verb)
            return real[verb](self, *args, **kwargs)

        return call

    with (
        patch.object(Argon2PasswordHasher, "encode", counting("encode")),
        patch.object(Argon2PasswordHasher, "verify", counting("verify")),
    ):
        _log_in(client, name, "wrong")
    assert len(counted) == 1


@override_settings(AXES_FAILURE_LIMIT=3)
def test_repeated_failures_lock_account_and_address_but_nobody_elses(
    helene: Account, client: Client
) -> None:
    for _ in range(3):
        response = _log_in(client, "helene", "wrong")
    assert response.status_code == 429
    assert "Locked for a while" in response.content.decode()
    assert _log_in(client, "helene", PASSWORD).status_code == 429
    elsewhere = Client(REMOTE_ADDR="10.0.0.9")
    assert _log_in(elsewhere, "helene", PASSWORD).status_code == 302


def test_an_inactive_account_cannot_log_in(helene: Account, client: Client) -> None:
    Account.objects.filter(pk=helene.pk).update(is_active=False)
    assert "do not match" in _log_in(client, "helene", PASSWORD).content.decode()


def test_the_session_cookie_is_hidden_from_scripts_and_other_sites(
    helene: Account, client: Client
) -> None:
    cookie = _log_in(client, "helene", PASSWORD).cookies["argens_session"]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"


def test_a_session_ends_by_itself(helene: Account, client: Client) -> None:
    _log_in(client, "helene", PASSWORD)
    assert client.session.get_expiry_age() <= config.SESSION_S
    assert client.session.get_expire_at_browser_close()
    Session.objects.update(expire_date=timezone.now())
    assert client.get("/").status_code == 302


def test_a_form_without_its_csrf_token_is_refused_with_a_page(helene: Account) -> None:
    strict = Client(enforce_csrf_checks=True)
    response = _log_in(strict, "helene", PASSWORD)
    assert response.status_code == 403
    assert "open too long" in response.content.decode()


def test_logging_out_ends_the_session(clinician: Client) -> None:
    assert clinician.post("/logout/").status_code == 302
    assert clinician.get("/").status_code == 302


def test_logins_and_failures_are_audited_with_their_address(
    helene: Account, client: Client
) -> None:
    _log_in(client, "helene", "wrong")
    _log_in(client, "helene", PASSWORD)
    client.post("/logout/")
    rows = AuditEvent.objects.order_by("pk").values_list("action", "who", "address")
    assert list(rows) == [
        ("login-failed", "helene", "127.0.0.1"),
        ("login", "helene", "127.0.0.1"),
        ("logout", "helene", "127.0.0.1"),
    ]
