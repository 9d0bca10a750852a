"""IT's pages for people and groups: who may do what, never what a patient has."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from axes.models import AccessAttempt
from django.contrib.auth.models import Group
from django.test import Client, override_settings
from django.utils import timezone

from pacs_web.accounts import two_steps
from pacs_web.accounts.models import Account, Authenticator, GroupRule, NodeRule, OpenSession
from pacs_web.accounts.reach import reach_of
from pacs_web.accounts.rights import Right
from pacs_web.audit.models import AuditEvent
from tests.web.conftest import PASSWORD

PEOPLE = "/admin-console/accounts/"
SECRET = re.compile(r'class="secret mono">([^<]+)<')


@pytest.fixture
def it(browser: Callable[[str], Client]) -> Client:
    return browser("it")


@pytest.fixture
def helene(db: None, cheap_hashes: None) -> Account:
    account = Account.objects.create_user("helene", password=PASSWORD)
    account.groups.add(Group.objects.get(name="clinician"))
    return account


def ids(*names: str) -> list[int]:
    return [Group.objects.get(name=name).pk for name in names]


def log_in(name: str, password: str) -> Client:
    client = Client()
    client.post("/login/", {"username": name, "password": password})
    return client


class TestSomebodyNew:
    def make(self, it: Client, **said: object):
        asked = {"username": "anne", "first_login": "link", "groups": ids("clinician"), **said}
        return it.post(f"{PEOPLE}new/", asked)

    def test_gets_a_link_that_sets_a_password_once(
        self, it: Client, cheap_hashes: None, client: Client
    ) -> None:
        link = SECRET.search(self.make(it).content.decode())[1]
        page = client.get(link, follow=True)
        address = page.redirect_chain[-1][0]
        assert link.split("/")[-2] not in address  # the secret is out of the address now
        chosen = {"new_password1": PASSWORD, "new_password2": PASSWORD}
        assert client.post(address, chosen).status_code == 302
        assert log_in("anne", PASSWORD).get("/").status_code == 200
        assert "void" in Client().get(link, follow=True).content.decode()

    def test_has_only_a_while_for_it(self, it: Client, client: Client) -> None:
        link = SECRET.search(self.make(it).content.decode())[1]
        with override_settings(PASSWORD_RESET_TIMEOUT=-1):
            assert "void" in client.get(link, follow=True).content.decode()

    def test_or_an_initial_password_that_must_be_changed(
        self, it: Client, cheap_hashes: None
    ) -> None:
        password = SECRET.search(self.make(it, first_login="password").content.decode())[1]
        assert log_in("anne", password).get("/")["Location"] == "/account/password/"

    def test_is_told_to_the_audit_without_the_secret(self, it: Client) -> None:
        secret = SECRET.search(self.make(it).content.decode())[1]
        row = AuditEvent.objects.get(action="account")
        assert row.detail["whose"] == "anne" and "clinician" in row.detail["what"]
        assert secret.split("/")[-2] not in str(row.detail)

    @pytest.mark.parametrize("name", ["HELENE", "a b", "", "a/b"])
    def test_needs_a_name_of_its_own(self, helene: Account, it: Client, name: str) -> None:
        assert self.make(it, username=name).status_code == 422
        assert Account.objects.count() == 2

    def test_never_holds_patient_data_and_maintenance(self, it: Client) -> None:
        answer = self.make(it, groups=ids("clinician", "it"))
        assert answer.status_code == 422
        assert "not be in one hand" in answer.content.decode()
        assert not Account.objects.filter(username="anne").exists()


class TestOnePerson:
    def act(self, it: Client, act: str):
        return it.post(f"{PEOPLE}people/helene/{act}/")

    def test_is_limited_to_servers_and_departments(
        self, nodes: object, helene: Account, it: Client
    ) -> None:
        said = {
            "groups": ids("clinician"),
            "servers": ["CT"],
            "departments": "Cardiologie\n\n Urgences ",
        }
        assert it.post(f"{PEOPLE}people/helene/", said).status_code == 302
        reach = reach_of("helene")
        assert (reach.nodes, reach.departments) == ({"CT"}, {"cardiologie", "urgences"})
        page = it.get(f"{PEOPLE}people/helene/").content.decode()
        assert "Cardiologie\nUrgences" in page
        it.post(f"{PEOPLE}people/helene/", {"groups": ids("clinician")})
        assert reach_of("helene").whole

    def test_is_disabled_at_once(self, nodes: object, helene: Account, it: Client) -> None:
        client = log_in("helene", PASSWORD)
        assert client.get("/").status_code == 200
        self.act(it, "disable")
        assert client.get("/").status_code == 302
        assert not OpenSession.objects.filter(account=helene).exists()
        self.act(it, "enable")
        assert log_in("helene", PASSWORD).get("/").status_code == 200

    @override_settings(AXES_FAILURE_LIMIT=2)
    def test_is_unlocked(self, nodes: object, helene: Account, it: Client) -> None:
        for _ in range(2):
            log_in("helene", "wrong")
        assert log_in("helene", PASSWORD).get("/").status_code == 302
        assert "2 failed logins" in it.get(f"{PEOPLE}people/helene/").content.decode()
        self.act(it, "unlock")
        assert not AccessAttempt.objects.exists()
        assert log_in("helene", PASSWORD).get("/").status_code == 200

    def test_who_lost_the_telephone_gets_the_second_step_removed(
        self, helene: Account, it: Client
    ) -> None:
        two_steps.enrol(helene, two_steps.new_secret(), 0)
        self.act(it, "forget-second-step")
        assert not Authenticator.objects.exists()
        assert AuditEvent.objects.get(action="account").detail["what"] == "forget second step"

    def test_gets_a_new_link(self, helene: Account, it: Client) -> None:
        page = it.post(f"{PEOPLE}people/helene/link/").content.decode()
        assert "/welcome/" in SECRET.search(page)[1]
        assert log_in("helene", PASSWORD).get("/account/").status_code == 200

    @pytest.mark.parametrize("act", ["disable", "end-sessions", "forget-second-step"])
    def test_of_it_does_nothing_with_the_own_account(self, it: Client, act: str) -> None:
        it.post(f"{PEOPLE}people/it/{act}/")
        assert it.get(PEOPLE).status_code == 200
        answer = it.post(f"{PEOPLE}people/it/", {"groups": ids("clinician")})
        assert answer.status_code == 422
        assert [one.name for one in Account.objects.get(username="it").groups.all()] == ["it"]

    def test_that_does_not_exist_is_not_found(self, it: Client) -> None:
        assert it.get(f"{PEOPLE}people/nobody/").status_code == 404
        assert it.post(f"{PEOPLE}people/it/nonsense/").status_code == 404


class TestGroups:
    def save(self, it: Client, name: str, **said: object):
        return it.post(f"{PEOPLE}groups/{name}/", {"name": name, **said})

    def test_of_the_hospitals_own_give_rights_limits_and_the_second_step(
        self, nodes: object, helene: Account, it: Client
    ) -> None:
        said = {"name": "cardiology", "rights": ["search_studies"], "departments": "Cardiologie"}
        assert it.post(f"{PEOPLE}groups/new/", {**said, "needs_two_steps": "on"}).status_code == 302
        helene.groups.add(Group.objects.get(name="cardiology"))
        assert reach_of("helene").departments == {"cardiologie"}
        assert GroupRule.objects.get(group__name="cardiology").needs_two_steps
        assert log_in("helene", PASSWORD).get("/")["Location"] == "/account/two-steps/"

    def test_that_are_built_in_keep_their_rights_and_take_limits(
        self, nodes: object, it: Client
    ) -> None:
        self.save(it, "clinician", rights=["operate_archive"], servers=["CT"])
        clinicians = Group.objects.get(name="clinician")
        held = set(clinicians.permissions.values_list("codename", flat=True))
        assert Right.VIEW.value in held and Right.ARCHIVE.value not in held
        assert clinicians.limits.get().node == "CT"

    def test_never_hold_patient_data_and_maintenance_themselves_or_in_a_member(
        self, helene: Account, it: Client
    ) -> None:
        both = ["view_studies", "manage_nodes"]
        answer = it.post(f"{PEOPLE}groups/new/", {"name": "all", "rights": both})
        assert answer.status_code == 422
        own = Group.objects.create(name="own")
        helene.groups.add(own)
        answer = self.save(it, "own", rights=["manage_nodes"])
        assert answer.status_code == 422 and "helene" in answer.content.decode()
        assert not own.permissions.exists()

    @pytest.mark.parametrize("name", ["clinician", "CLINICIAN", "a/b", "new", ""])
    def test_need_a_name_of_their_own(self, it: Client, name: str) -> None:
        assert it.post(f"{PEOPLE}groups/new/", {"name": name}).status_code == 422

    def test_the_rule_of_each_server_is_kept(self, nodes: object, it: Client) -> None:
        it.post(f"{PEOPLE}without-department/", {"closed": ["CT", "NOWHERE"]})
        rules = dict(NodeRule.objects.values_list("node", "closed"))
        assert rules == {"CT": True, "RF": False}
        assert "checked" in it.get(f"{PEOPLE}groups/").content.decode()


def test_people_are_found_by_their_names(helene: Account, it: Client) -> None:
    Account.objects.filter(pk=helene.pk).update(last_name="Martin")
    assert "helene" in it.get(PEOPLE, {"q": "mart"}).content.decode()
    assert "helene" not in it.get(PEOPLE, {"q": "zzz"}).content.decode()
    assert it.get(PEOPLE, {"q": "\x00", "page": "x"}).status_code == 200


def test_no_patient_stands_on_its_pages(nodes: object, helene: Account, it: Client) -> None:
    log_in("helene", PASSWORD).post("/", {"name": "Lef"}, follow=True)
    helene.broken_glass.create(study_uid="1.2", reason="x" * 8, until=timezone.now() + timedelta(1))
    for address in ("", "people/helene/", "groups/", "new/"):
        page = it.get(f"{PEOPLE}{address}").content.decode()
        assert not any(word in page for word in ("Lef", "LEF", "FRJ000001"))
