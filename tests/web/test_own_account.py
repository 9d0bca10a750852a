"""One's own account: password, tokens, where one is logged in, and when that ends."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.utils import timezone

from pacs_web import config
from pacs_web.accounts import tokens
from pacs_web.accounts.models import Account, ApiToken, OpenSession
from pacs_web.audit.models import AuditEvent
from tests.web.audited import without_trace
from tests.web.conftest import PASSWORD

NEW = "un-nouveau-barrage-1961"


@pytest.fixture
def helene(db: None, cheap_hashes: None) -> Account:
    account = Account.objects.create_user("helene", password=PASSWORD)
    account.groups.add(Group.objects.get(name="clinician"))
    return account


@pytest.fixture
def log_in(helene: Account) -> Callable[[], Client]:
    def log_in() -> Client:
        client = Client()
        client.post("/login/", {"username": "helene", "password": PASSWORD})
        return client

    return log_in


class TestSessions:
    def test_idling_ends_one(self, log_in: Callable[[], Client]) -> None:
        client = log_in()
        past = timezone.now() - timedelta(seconds=config.SESSION_IDLE_S)
        OpenSession.objects.update(seen_at=past)
        assert client.get("/").status_code == 302
        assert not OpenSession.objects.exists()

    def test_work_puts_that_off_but_not_for_ever(self, log_in: Callable[[], Client]) -> None:
        client = log_in()
        past = timezone.now() - timedelta(seconds=config.SESSION_IDLE_S - 60)
        OpenSession.objects.update(seen_at=past)
        client.get("/")
        assert OpenSession.objects.get().seen_at > past
        OpenSession.objects.update(started_at=timezone.now() - timedelta(seconds=config.SESSION_S))
        assert client.get("/").status_code == 302

    @pytest.mark.parametrize(
        ("address", "headers"),
        [("/session/", {}), ("/viewer/alive", {}), ("/servers/", {"HX-Request": "true"})],
    )
    def test_what_a_page_asks_by_itself_does_not(
        self, log_in: Callable[[], Client], address: str, headers: dict[str, str]
    ) -> None:
        client = log_in()
        past = timezone.now() - timedelta(seconds=300)
        OpenSession.objects.update(seen_at=past)
        client.get(address, headers=headers)
        assert OpenSession.objects.get().seen_at == past

    def test_the_page_learns_how_long_it_lasts_and_can_prolong_it(
        self, log_in: Callable[[], Client]
    ) -> None:
        client = log_in()
        OpenSession.objects.update(seen_at=timezone.now() - timedelta(seconds=600))
        told = client.get("/session/").json()
        assert told["stays"] is True
        assert config.SESSION_IDLE_S - 610 < told["left_s"] <= config.SESSION_IDLE_S - 600
        assert client.post("/session/").json()["left_s"] > config.SESSION_IDLE_S - 10

    def test_a_stranger_has_none(self, db: None, client: Client) -> None:
        assert client.get("/session/").status_code == 401

    def test_can_be_ended_everywhere_else(self, log_in: Callable[[], Client]) -> None:
        here, elsewhere = log_in(), log_in()
        assert here.get("/account/").content.decode().count("<tr>") == 3
        here.post("/account/log-out-everywhere/")
        assert elsewhere.get("/").status_code == 302
        assert here.get("/").status_code == 200

    def test_a_disabled_person_has_none_at_once(self, log_in: Callable[[], Client]) -> None:
        client = log_in()
        Account.objects.update(is_active=False)
        assert client.get("/").status_code == 302

    def test_logging_out_leaves_no_row(self, log_in: Callable[[], Client]) -> None:
        log_in().post("/logout/")
        assert not OpenSession.objects.exists()


class TestPassword:
    def change(self, client: Client, old: str, new: str):
        said = {"old_password": old, "new_password1": new, "new_password2": new}
        return client.post("/account/password/", said)

    def test_is_changed_with_the_old_one_and_ends_other_logins(
        self, log_in: Callable[[], Client], helene: Account
    ) -> None:
        here, elsewhere = log_in(), log_in()
        assert self.change(here, PASSWORD, NEW).status_code == 302
        assert here.get("/").status_code == 200
        assert elsewhere.get("/").status_code == 302
        helene.refresh_from_db()
        assert helene.check_password(NEW)
        row = AuditEvent.objects.get(action="account")
        assert without_trace(row.detail) == {"whose": "helene", "what": "password changed"}

    @pytest.mark.parametrize(("old", "new"), [("wrong", NEW), (PASSWORD, "short")])
    def test_is_not_changed_to_a_weak_one_or_without_the_old(
        self, log_in: Callable[[], Client], helene: Account, old: str, new: str
    ) -> None:
        assert self.change(log_in(), old, new).status_code == 422
        helene.refresh_from_db()
        assert helene.check_password(PASSWORD)

    def test_that_somebody_else_knows_must_be_changed_first(
        self, log_in: Callable[[], Client]
    ) -> None:
        Account.objects.update(must_change_password=True)
        client = log_in()
        assert client.get("/")["Location"] == "/account/password/"
        self.change(client, PASSWORD, NEW)
        assert client.get("/").status_code == 200


class TestTokens:
    def make(self, client: Client, **said: object) -> str:
        asked = {"label": "3D Slicer", "scopes": ["dicomweb"], "days": 7, **said}
        page = client.post("/account/tokens/", asked).content.decode()
        found = re.search(r'class="secret mono">([^<]+)<', page)
        return found[1] if found else ""

    def test_is_shown_once_and_works(self, nodes: object, clinician: Client) -> None:
        secret = self.make(clinician)
        assert secret not in clinician.get("/account/tokens/").content.decode()
        bearing = {"Authorization": f"Bearer {secret}"}
        assert Client().get("/dicom-web/studies", headers=bearing).status_code == 200
        kept = ApiToken.objects.get()
        assert secret not in kept.digest
        assert timedelta(days=6) < kept.expires_at - timezone.now() <= timedelta(days=7)
        page = clinician.get("/account/tokens/").content.decode()
        assert "3D Slicer" in page and "never" not in page

    def test_grants_no_more_than_its_owner_may(self, clinician: Client) -> None:
        assert not self.make(clinician, scopes=["dicomweb.delete"])
        assert not ApiToken.objects.exists()

    @pytest.mark.parametrize("how", ["revoked", "expired"])
    def test_that_ended_is_refused_here_and_at_the_nodes(
        self, nodes: object, clinician: Client, client: Client, how: str
    ) -> None:
        secret = self.make(clinician)
        token = ApiToken.objects.get()
        if how == "revoked":
            clinician.post(f"/account/tokens/{token.pk}/revoke/")
        else:
            ApiToken.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
        bearing = {"Authorization": f"Bearer {secret}"}
        assert client.get("/dicom-web/studies", headers=bearing).status_code == 401
        asked = {"token": secret, "node": "CT"}
        told = client.post("/api/introspect", asked, content_type="application/json")
        assert told.json() == {"active": False}

    def test_of_somebody_else_cannot_be_revoked(
        self, person: Callable[[str], Account], clinician: Client
    ) -> None:
        tokens.create(person("technologist"), [tokens.DICOMWEB])
        answer = clinician.post(f"/account/tokens/{ApiToken.objects.get().pk}/revoke/")
        assert answer.status_code == 404
        assert ApiToken.objects.exists()
