"""Every address of the portal, for a stranger, for a person without the right, and with it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import URLPattern, get_resolver, reverse

from pacs_web.accounts.models import Account
from pacs_web.accounts.rights import GROUPS, PATIENT_DATA, Right
from pacs_web.full_viewer import release
from pacs_web.nodes.models import Node, PlacingRule
from tests.web.made_studies import CT_STUDY
from tests.web.node_stand_in import StandIn

pytestmark = pytest.mark.slow

PUBLIC = {
    "login",
    "login-code",
    "openid",
    "openid-back",
    "session-left",
    "logout",
    "language",
    "welcome",
    "introspect",
    "viewer-alive",
    "healthz",
    "readyz",
    "metrics",
}
ARGUMENTS = {
    "saved_id": 1,
    "study_uid": CT_STUDY,
    "series_uid": f"{CT_STUDY}.1",
    "instance_uid": f"{CT_STUDY}.1.1",
    "frame": 1,
    "job_id": 1,
    "kind": "pdf",
    "path": f"studies/{CT_STUDY}/metadata",
    "place": "viewer",
    "release": release.NAME,
    "glass_id": 1,
    "name": "CT",
    "node": "CT",
    "row_id": 7,
    "note_uid": "1.2.840.1",
    "import_id": "0123456789abcdef",
    "number": 0,
    "server_kind": "dicomweb",
    "token_id": 1,
    "rule_id": 1,
    "caller_id": 1,
    "username": "it",
    "group_name": "clinician",
    "act": "unlock",
    "alarm_id": 1,
    "job_action": "retry",
    "vault": "vault-1",
    "label": "A00001",
    "volume_action": "scrub",
    "list_id": 1,
    "decision": "approve",
    "rule_action": "disable",
    "hold_id": 1,
    "window_id": 1,
}
ARGUMENTS_OF = {"viewer-file": {"path": "app.bundle.css"}}
POSTED = {
    "rejection-decide",
    "import-begin",
    "import-file",
    "import-candidates",
    "import-send",
    "quarantine-decide",
    "archive-alarm",
    "archive-job-act",
    "archive-insert",
    "glass-review",
    "person-act",
    "person-link",
    "server-rules",
    "node-test",
    "node-move",
    "node-enable",
    "placing-act",
    "forwarding-retry",
    "peer-remove",
    "peer-echo",
    "caller-decide",
    "correction-undo",
    "correction-resend",
    "patient-is-right",
    "search-save",
    "search-reopen",
    "search-remove",
}
# An image is no report or film; nothing is in quarantine, rejected or imported, nothing decided.
READ = {"document": 406, "content": 406}
READ |= {"quarantined": 404, "quarantined-picture": 404, "quarantine-decide": 400}
READ |= {"rejection": 404, "rejection-decide": 400, "caller-decide": 400}
READ |= {"archive-jobs-act": 405}
READ |= {f"import-{name}": 404 for name in ("review", "file", "candidates", "progress", "send")}


# What runs or is shown there is not ours: OHIF, and what was stored. Each has a policy of its own.
FOREIGN = {"viewer", "viewer-place", "viewer-file", "content"}


def _guarded() -> list[URLPattern]:
    """Return what a right opens; what is neither public nor one's own account must name one."""
    return [
        one
        for one in get_resolver().url_patterns
        if one.name not in PUBLIC and not hasattr(one.callback, "own_account")
    ]


def _own() -> list[URLPattern]:
    return [one for one in get_resolver().url_patterns if hasattr(one.callback, "own_account")]


def _address(pattern: URLPattern) -> str:
    wanted = pattern.pattern.converters
    given = ARGUMENTS | ARGUMENTS_OF.get(pattern.name, {})
    return reverse(pattern.name, kwargs={name: given[name] for name in wanted})


def _names_an_exam(pattern: URLPattern) -> bool:
    """Whether it shows an exam: of the two that name one and show none, one opens others."""
    named = {"study_uid", "path"} & set(pattern.pattern.converters)
    return bool(named) and pattern.name not in {"viewer-file", "break-glass"}


def _open(client: Client, pattern: URLPattern) -> int:
    method = client.post if pattern.name in POSTED else client.get
    response = method(_address(pattern))
    response.close()
    policy = response["Content-Security-Policy"]
    assert pattern.name in FOREIGN or "unsafe" not in policy
    return response.status_code


@pytest.fixture
def rule(nodes: dict) -> PlacingRule:
    """A rule of the registry of servers."""
    return PlacingRule.objects.create(pk=ARGUMENTS["rule_id"], node=Node.objects.get(name="RF"))


@pytest.mark.parametrize("pattern", _guarded(), ids=lambda one: one.name)
class TestEveryAddress:
    def test_names_the_right_that_it_needs(self, pattern: URLPattern) -> None:
        assert pattern.callback.required_right in Right

    def test_sends_a_stranger_to_the_login_or_answers_401(
        self, pattern: URLPattern, client: Client, db: None
    ) -> None:
        address = _address(pattern)
        response = client.get(address)
        if address.startswith(("/dicom-web/", "/api/")):
            assert response.status_code == 401
            assert "Bearer" in response["WWW-Authenticate"]
        else:
            assert response.status_code == 302
            assert response["Location"].startswith("/login/?next=")

    def test_refuses_a_person_without_the_right(
        self, pattern: URLPattern, browser: Callable[[str], Client]
    ) -> None:
        right = pattern.callback.required_right
        for group in [name for name, rights in GROUPS.items() if right not in rights]:
            assert _open(browser(group), pattern) == 403, group
        assert _open(browser("nobody"), pattern) == 403

    @pytest.mark.usefixtures("nodes", "rule", "small_viewer")
    def test_admits_a_person_with_the_right(
        self, pattern: URLPattern, browser: Callable[[str], Client]
    ) -> None:
        right = pattern.callback.required_right
        for group in [name for name, rights in GROUPS.items() if right in rights]:
            wanted = {READ[pattern.name]} if pattern.name in READ else {200, 302}
            assert _open(browser(group), pattern) in wanted, group


@pytest.mark.parametrize("pattern", _own(), ids=lambda one: one.name)
class TestEveryAddressOfOnesOwn:
    def test_is_closed_to_a_stranger(self, pattern: URLPattern, client: Client, db: None) -> None:
        assert client.get(_address(pattern))["Location"].startswith("/login/?next=")

    def test_is_open_to_everybody_else(
        self, pattern: URLPattern, browser: Callable[[str], Client]
    ) -> None:
        assert _open(browser("nobody"), pattern) in {200, 302, 404, 405}


@pytest.mark.usefixtures("nodes", "small_viewer")
@pytest.mark.parametrize(
    "pattern", [one for one in _guarded() if _names_an_exam(one)], ids=lambda one: one.name
)
class TestEveryAddressOfAnExam:
    def test_is_closed_to_a_person_of_another_server_or_department_and_open_to_one_of_its_own(
        self,
        pattern: URLPattern,
        nodes: dict[str, StandIn],
        browser: Callable[[str], Client],
        person: Callable[[str], Account],
    ) -> None:
        for one in nodes["CT"].instances:
            one.RequestingService = "Cardiologie"
        right = pattern.callback.required_right
        group = next(name for name in ("clinician", "technologist") if right in GROUPS[name])
        limits, client = person(group).limits, browser(group)
        for limit in ({"node": "RF"}, {"department": "CHIRURGIE"}):
            limits.all().delete()
            limits.create(**limit)
            assert _open(client, pattern) == 403, limit
        limits.all().delete()
        limits.create(department=" CARDIOLOGIE")
        assert _open(client, pattern) in {200, 302, 406}


def test_it_and_archivists_hold_no_right_to_patient_data() -> None:
    assert {Right.SEARCH, Right.VIEW, Right.DOWNLOAD, Right.RECALL, Right.ARRIVALS} <= PATIENT_DATA
    assert not PATIENT_DATA & (GROUPS["it"] | GROUPS["archivist"])


def test_the_menu_holds_only_what_the_person_may_open(browser: Callable[[str], Client]) -> None:
    page = browser("archivist").get("/archive/").content.decode()
    assert 'href="/archive/"' in page
    assert 'href="/servers/"' not in page
    assert 'href="/audit/"' not in page


def test_a_refused_person_sees_where_to_go_instead(browser: Callable[[str], Client]) -> None:
    response = browser("archivist").get("/")
    assert response.status_code == 403
    assert "This page is not for your role" in response.content.decode()
    assert 'href="/archive/"' in response.content.decode()


def test_an_address_with_an_unsafe_uid_is_not_found(clinician: Client) -> None:
    for uid in ("1..2", "1.2.", "." * 5, "1" * 65, "../1"):
        assert clinician.get(f"/studies/{uid}/").status_code == 404, uid
