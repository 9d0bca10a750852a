"""The second step of a login: asked of whom it should be, from where it should be, taken once."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from ipaddress import ip_network

import pyotp
import pytest
from django.contrib.auth.models import Group
from django.test import Client, override_settings

from pacs_web import config
from pacs_web.accounts import two_steps
from pacs_web.accounts.models import Account, Authenticator, GroupRule, OpenSession, RecoveryCode
from pacs_web.audit.models import AuditEvent
from tests.web.conftest import PASSWORD

OUTSIDE = "203.0.113.7"
SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


@pytest.fixture
def helene(db: None, cheap_hashes: None) -> Account:
    account = Account.objects.create_user("helene", password=PASSWORD)
    account.groups.add(Group.objects.get(name="clinician"))
    return account


@pytest.fixture
def codes(helene: Account) -> list[str]:
    """Hélène's recovery codes; her telephone knows SECRET."""
    return two_steps.enrol(helene, SECRET, 0)


@pytest.fixture
def hospital(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only 10.0.0.0/8 is inside."""
    monkeypatch.setattr(config, "INSIDE_NETWORKS", [ip_network("10.0.0.0/8")])


def give_password(client: Client, **more: str):
    return client.post("/login/", {"username": "helene", "password": PASSWORD, **more})


def give_code(client: Client, code: str):
    return client.post("/login/code/", {"code": code})


def now() -> str:
    return pyotp.TOTP(SECRET).now()


def test_a_password_alone_opens_nothing_where_there_is_a_second_step(
    codes: object, client: Client
) -> None:
    assert give_password(client)["Location"] == "/login/code/"
    assert client.get("/")["Location"].startswith("/login/")
    assert not OpenSession.objects.exists()


def test_the_code_logs_in_and_leads_to_the_page_that_was_asked_for(
    codes: object, client: Client
) -> None:
    give_password(client, next="/servers/")
    assert give_code(client, now())["Location"] == "/servers/"
    assert client.get("/").status_code == 200
    assert OpenSession.objects.get().two_steps


def test_a_code_is_taken_once(codes: object, client: Client) -> None:
    code = now()
    give_password(client)
    assert give_code(client, code).status_code == 302
    thief = Client()
    give_password(thief)
    assert give_code(thief, code).status_code == 422
    assert thief.get("/").status_code == 302


def test_an_older_code_than_the_last_is_not_taken(codes: object, helene: Account) -> None:
    totp, step = pyotp.TOTP(SECRET), int(time.time()) // two_steps.STEP_S
    assert two_steps.passes(helene, totp.generate_otp(step))
    assert not two_steps.passes(helene, totp.generate_otp(step - 1))
    assert two_steps.passes(helene, totp.generate_otp(step + 1))
    assert not two_steps.passes(helene, totp.generate_otp(step + 9))


def test_a_recovery_code_is_taken_once_however_it_is_typed(
    codes: list[str], client: Client
) -> None:
    typed = codes[3].lower().replace("-", " ")
    give_password(client)
    assert give_code(client, typed).status_code == 302
    again = Client()
    give_password(again)
    assert give_code(again, codes[3]).status_code == 422


def test_secrets_and_recovery_codes_cannot_be_read_in_the_database(codes: list[str]) -> None:
    kept = Authenticator.objects.get().sealed_secret + "".join(
        RecoveryCode.objects.values_list("digest", flat=True)
    )
    assert SECRET not in kept
    assert not any(code.replace("-", "") in kept for code in codes)


def test_under_another_key_no_code_matches_and_nothing_breaks(
    codes: object, helene: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config, "SECRET_KEY", "another")
    assert not two_steps.passes(helene, now())


@override_settings(AXES_FAILURE_LIMIT=3)
def test_wrong_codes_lock_out_like_wrong_passwords_and_are_audited(
    codes: object, client: Client
) -> None:
    give_password(client)
    for _ in range(3):
        response = give_code(client, "000000")
    assert response.status_code == 429
    assert give_code(client, now()).status_code == 429
    assert AuditEvent.objects.filter(action="login-failed", who="helene").count() >= 3


def test_a_password_waits_for_its_code_only_a_while(
    codes: object, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    give_password(client)
    monkeypatch.setattr("pacs_web.accounts.login.WAITS_S", -1)
    assert give_code(client, now())["Location"] == "/login/"


def test_a_code_without_a_password_is_sent_to_the_login(db: None, client: Client) -> None:
    assert client.get("/login/code/")["Location"] == "/login/"


class TestFromOutside:
    def test_nobody_gets_in_without_a_second_step(self, helene: Account, hospital: None) -> None:
        response = give_password(Client(REMOTE_ADDR=OUTSIDE))
        assert "set it up inside first" in response.content.decode()
        assert give_password(Client(REMOTE_ADDR="10.1.2.3"))["Location"] == "/"

    def test_the_code_opens_a_short_session(
        self, codes: object, hospital: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        client = Client(REMOTE_ADDR=OUTSIDE)
        give_password(client)
        give_code(client, now())
        assert client.get("/session/").json()["left_s"] <= config.OUTSIDE_SESSION_S
        assert client.get("/").status_code == 200
        monkeypatch.setattr(config, "OUTSIDE_SESSION_S", 0)
        assert client.get("/").status_code == 302

    def test_a_session_that_is_carried_out_of_the_hospital_ends(
        self, helene: Account, hospital: None
    ) -> None:
        client = Client(REMOTE_ADDR="10.1.2.3")
        give_password(client)
        assert client.get("/").status_code == 200
        assert client.get("/", REMOTE_ADDR=OUTSIDE).status_code == 302
        assert client.get("/").status_code == 302


class TestWhoMust:
    @pytest.fixture(params=["person", "group"])
    def asked(self, helene: Account, request: pytest.FixtureRequest) -> Account:
        if request.param == "group":
            group = Group.objects.get(name="clinician")
            GroupRule.objects.create(group=group, needs_two_steps=True)
        else:
            Account.objects.update(needs_two_steps=True)
        return helene

    def test_set_it_up_does_so_before_anything_else(self, asked: Account, client: Client) -> None:
        give_password(client)
        for page in ("/", "/account/", "/account/tokens/", "/servers/"):
            assert client.get(page)["Location"] == "/account/two-steps/", page
        assert client.get("/dicom-web/studies").status_code == 403
        client.post("/account/two-steps/", {"code": _offered_code(client)})
        assert client.get("/").status_code == 200


def _offered_code(client: Client) -> str:
    client.get("/account/two-steps/")
    return pyotp.TOTP(client.session["offered_secret"]).now()


class TestSettingItUp:
    def test_shows_a_picture_that_the_policy_allows_and_the_key(self, clinician: Client) -> None:
        page = clinician.get("/account/two-steps/").content.decode()
        assert 'src="data:image/svg+xml' in page
        assert clinician.session["offered_secret"][:4] in page

    def test_needs_a_code_and_shows_recovery_codes_once(self, clinician: Client) -> None:
        assert clinician.post("/account/two-steps/", {"code": "000000"}).status_code == 422
        assert not Authenticator.objects.exists()
        page = clinician.post("/account/two-steps/", {"code": _offered_code(clinician)})
        shown = re.findall(r"<li>([A-Z2-7-]{19})</li>", page.content.decode())
        assert len(shown) == RecoveryCode.objects.count() == 10
        assert shown[0] not in clinician.get("/account/two-steps/").content.decode()
        assert two_steps.passes(Account.objects.get(), shown[0])

    def test_the_code_that_set_it_up_does_not_log_in(self, clinician: Client) -> None:
        code = _offered_code(clinician)
        clinician.post("/account/two-steps/", {"code": code})
        assert not two_steps.passes(Account.objects.get(), code)

    @pytest.mark.parametrize("what", ["remove", "codes"])
    def test_is_changed_only_with_a_code(
        self, person: Callable[[str], Account], clinician: Client, what: str
    ) -> None:
        old = two_steps.enrol(person("clinician"), SECRET, 0)
        clinician.post(f"/account/two-steps/{what}/", {"code": "123456"})
        assert Authenticator.objects.exists()
        assert RecoveryCode.objects.filter(used_at=None).count() == len(old)
        clinician.post(f"/account/two-steps/{what}/", {"code": now()})
        assert Authenticator.objects.exists() is (what == "codes")
        assert not two_steps.passes(person("clinician"), old[0])
