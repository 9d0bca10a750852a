"""The pages of IT: servers and audit; no patient data."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import pytest
from django.test import Client

from pacs_web.audit.models import Action, AppendOnly, AuditEvent
from pacs_web.nodes.models import Node
from pacs_web.nodes.registry import register_archive, register_nodes
from tests.web.archive_answers import Archive
from tests.web.foreign_stand_in import foreign_stand_in, study
from tests.web.made_studies import CT_STUDY
from tests.web.node_stand_in import StandIn

PATIENT = ("LEFÈVRE", "Lefèvre", "FRJ000001", "1954")


class TestServers:
    def test_shows_it_each_nodes_full_state(
        self, nodes: dict, browser: Callable[[str], Client]
    ) -> None:
        page = browser("it").get("/servers/").content.decode()
        for shown in ("ARGENS_CT", "11112", "2.1 GB", "6.5 GB", "21/11 10:12", "Quarantined"):
            assert shown in page
        assert nodes["CT"].url in page

    def test_says_what_lossless_jpeg_would_save_on_each_node(
        self, nodes: dict, browser: Callable[[str], Client]
    ) -> None:
        page = " ".join(browser("it").get("/servers/").content.decode().split())
        assert "2.7:1 over 480 images" in page
        assert "would save 158.0 MB" in page

    def test_foresees_when_a_disk_reaches_the_watermark(
        self, nodes: dict, browser: Callable[[str], Client]
    ) -> None:
        page = " ".join(browser("it").get("/servers/live/").content.decode().split())
        assert "Full to its watermark in 40 days, at 50.0 MB a day." in page
        assert "Exams with a single copy</dt><dd>17" in page

    def test_shows_the_archive_whose_watermark_counts(
        self, nodes: dict, archive: Archive, browser: Callable[[str], Client]
    ) -> None:
        register_archive(archive.url)
        page = " ".join(browser("it").get("/servers/").content.decode().split())
        assert "Full to its watermark in 20 days, at 50.0 MB a day." in page
        assert "Volumes</dt><dd>1" in page
        assert 'hx-trigger="every 3s"' in page

    def test_groups_by_site_and_shows_what_a_foreign_server_tells(
        self, nodes: dict, browser: Callable[[str], Client]
    ) -> None:
        with foreign_stand_in([study(1)]) as foreign:
            Node.objects.create(
                name="CLINIC", kind="dicomweb", url=foreign.url, issuer="CLINIC", site="Draguignan"
            )
            page = " ".join(browser("it").get("/servers/").content.decode().split())
            browser("it").get("/servers/live/")
        assert page.index("Without a site") < page.index(">CT<") < page.index("Draguignan")
        assert "A search takes" in page
        assert len(foreign.asked) == 1

    def test_names_a_dead_node_with_the_reason(
        self,
        nodes: object,
        register: Callable[[SimpleNamespace], Node],
        browser: Callable[[str], Client],
    ) -> None:
        register(SimpleNamespace(name="DEAD", url="http://127.0.0.1:9"))
        page = browser("it").get("/servers/").content.decode()
        assert "One does not answer." in page
        assert "Connection refused" in page
        assert "ARGENS_CT" in page

    def test_tells_of_a_broken_seal_and_of_a_server_that_is_refilled(
        self, ct: StandIn, nodes: dict, browser: Callable[[str], Client]
    ) -> None:
        whole = browser("it").get("/servers/").content.decode()
        assert "emergency account" not in whole
        at = "2026-11-28T09:30:00+00:00"
        ct.behaviour.says = {"rescue": {"opened_at": at}, "take_over": {"began_at": at}}
        page = browser("it").get("/servers/").content.decode()
        assert "The seal of its emergency account was broken on 28/11 10:30." in page
        assert "stands in for a lost server since 28/11 10:30" in page

    @pytest.mark.parametrize("nonsense", [[], "x", {"opened_at": 7}, {"opened_at": "soon"}, {}])
    def test_a_server_that_tells_nonsense_of_its_seal_is_shown(
        self, ct: StandIn, nodes: dict, browser: Callable[[str], Client], nonsense: object
    ) -> None:
        ct.behaviour.says = {"rescue": nonsense, "take_over": nonsense}
        page = browser("it").get("/servers/").content.decode()
        assert "ARGENS_CT" in page
        assert "emergency account" not in page

    def test_shows_a_clinician_who_answers_and_no_more(
        self, nodes: dict, clinician: Client
    ) -> None:
        page = clinician.get("/servers/").content.decode()
        assert "Answers" in page
        assert "ARGENS_CT" not in page
        assert nodes["CT"].url not in page


class TestAudit:
    @pytest.fixture
    def looked(self, nodes: object, clinician: Client) -> None:
        clinician.post("/", {"name": "Lefèvre"}, follow=True)
        clinician.get(f"/studies/{CT_STUDY}/")

    def test_shows_person_act_and_study_but_no_patient(
        self, looked: None, browser: Callable[[str], Client]
    ) -> None:
        page = browser("it").get("/audit/").content.decode()
        assert "clinician" in page
        assert "Opened exam" in page
        assert CT_STUDY in page
        assert not [word for word in PATIENT if word in page]

    def test_rows_are_never_changed_or_deleted(self, db: None) -> None:
        row = AuditEvent.objects.create(who="x", action=Action.STUDY)
        row.who = "somebody else"
        for attempt in (
            row.save,
            row.delete,
            AuditEvent.objects.all().delete,
            lambda: AuditEvent.objects.update(who="y"),
            lambda: AuditEvent.objects.bulk_update([row], ["who"]),
        ):
            with pytest.raises(AppendOnly):
                attempt()
        assert AuditEvent.objects.get().who == "x"


def test_nodes_are_registered_once_and_followed_to_a_new_address(db: None) -> None:
    register_nodes({"CT": "http://a", "RF": "http://b"})
    Node.objects.filter(name="RF").update(enabled=False)
    register_nodes({"CT": "http://c", "RF": "http://b"})
    rows = Node.objects.values_list("name", "url", "enabled")
    assert list(rows) == [("CT", "http://c", True), ("RF", "http://b", False)]
