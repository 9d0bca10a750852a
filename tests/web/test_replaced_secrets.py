"""The portal's secrets are replaced: people stay logged in, and nothing that is kept is lost."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from io import StringIO

import pyotp
import pytest
from django.core.management import CommandError, call_command
from django.test import Client, override_settings

from pacs_common.errors import PeerUnreachable
from pacs_web import config
from pacs_web.accounts import two_steps
from pacs_web.accounts.models import Account, Authenticator
from pacs_web.nodes.models import Node
from pacs_web.nodes.sealing import sealed, unsealed
from tests.support.roles import ROOT
from tests.web.conftest import PASSWORD

SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


@pytest.fixture
def replaced(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that gives the portal other secrets, as after a restart."""

    def replace(**secrets: str) -> None:
        for name, value in secrets.items():
            monkeypatch.setattr(config, name, value)

    return replace


@pytest.fixture
def kept(db: None, cheap_hashes: None) -> Account:
    """A person with an authenticator, and a server with a password and a key."""
    account = Account.objects.create_user("helene", password=PASSWORD)
    two_steps.enrol(account, SECRET, 0)
    Node.objects.create(name="ORTHANC", sealed_secret=sealed("s3cret"), sealed_key=sealed("k3y"))
    return account


def server() -> tuple[str, str]:
    row = Node.objects.get(name="ORTHANC")
    return unsealed(row.sealed_secret, row.name), unsealed(row.sealed_key, row.name)


def code() -> str:
    return pyotp.TOTP(SECRET).now()


def reseal() -> str:
    out = StringIO()
    call_command("reseal", stdout=out, stderr=out)
    return out.getvalue()


def test_the_old_secret_reads_until_reseal_and_is_not_needed_after(kept, replaced):
    replaced(SECRET_KEY="the new one", SECRET_KEY_OLD=config.SECRET_KEY)
    assert server() == ("s3cret", "k3y")
    assert "the old ones may go" in reseal()
    replaced(SECRET_KEY_OLD="")
    assert server() == ("s3cret", "k3y")
    assert two_steps.passes(kept, code())


def test_the_registrys_key_is_replaced_and_the_second_step_does_not_care(kept, replaced):
    replaced(REGISTRY_KEY="first")
    reseal()
    replaced(REGISTRY_KEY="second", REGISTRY_KEY_OLD="first")
    assert server() == ("s3cret", "k3y")
    reseal()
    replaced(REGISTRY_KEY_OLD="", SECRET_KEY="another")
    assert server() == ("s3cret", "k3y")
    assert not two_steps.passes(kept, code())


def test_what_no_key_reads_is_named_and_left_as_it_is(kept, replaced):
    before = Authenticator.objects.get().sealed_secret
    replaced(SECRET_KEY="another")
    out = StringIO()
    with pytest.raises(CommandError, match="PACS_SECRET_KEY_OLD or PACS_REGISTRY_KEY_OLD"):
        call_command("reseal", stderr=out)
    assert "node ORTHANC was kept under a key that is not here" in out.getvalue()
    assert "authenticator helene was kept under a key" in out.getvalue()
    assert Authenticator.objects.get().sealed_secret == before
    with pytest.raises(PeerUnreachable):
        server()


def test_a_login_outlives_the_secret_that_signed_it(kept, client: Client, settings):
    Authenticator.objects.all().delete()
    form = {"username": "helene", "password": PASSWORD}
    assert client.post("/login/", form).status_code == 302
    assert client.get("/account/").status_code == 200
    old, beside = settings.SECRET_KEY, Client()
    beside.cookies = client.cookies.copy()  # of what a page asks for at once
    with override_settings(SECRET_KEY="a new one", SECRET_KEY_FALLBACKS=[old]):
        for one in (client, beside, client):
            assert one.get("/account/").status_code == 200
    with override_settings(SECRET_KEY="a new one", SECRET_KEY_FALLBACKS=[]):
        assert client.get("/account/").status_code == 200  # it was signed anew on the way
    with override_settings(SECRET_KEY="a third one", SECRET_KEY_FALLBACKS=[]):
        assert client.get("/account/").status_code == 302


def test_the_setting_becomes_djangos_own():
    shown = "from django.conf import settings as s; print(s.SECRET_KEY_FALLBACKS)"
    done = subprocess.run(
        [sys.executable, "manage.py", "web", "shell", "--verbosity", "0", "-c", shown],
        cwd=ROOT,
        env={**os.environ, "PACS_SECRET_KEY_OLD": "the one before"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == "['the one before']", done.stderr
