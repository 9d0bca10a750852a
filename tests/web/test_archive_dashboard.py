"""The operator's first page: alarms, capacity, what waits and what runs; and an archive that is
away, on each page."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client

from pacs_web import config
from pacs_web.audit.models import AuditEvent
from tests.web.archive_answers import NODE, NOW, VAULT, Archive
from tests.web.audited import without_trace
from tests.web.made_studies import CT_STUDY

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("nodes")]
PAGES = [
    "", "alarms/", "jobs/", "jobs/1/", "recalls/", "mounts/", "volumes/", "volumes/vault-1/A00001/",
    "evictions/", "evictions/1/", "rules/", "rules/new/", "rules/1/", "holds/", "watermarks/",
    "schedule/", "acts/",
]  # fmt: skip
GB = 10**9
ALARM = {
    "id": 1, "kind": "vault-missing", "subject": "off-site", "level": "warning",
    "text": "off-site is not mounted", "began_at": NOW, "seen_at": NOW, "ended_at": None,
    "acknowledged_at": None, "acknowledged_by": "",
}  # fmt: skip


def text_of(client: Client, address: str = "/archive/") -> str:
    """Return a page with its spaces joined."""
    return " ".join(client.get(address).content.decode().split())


def node(name: str, **more: object) -> dict:
    """Return a node with a disk of 400 GB, 344 of them in use."""
    disk = {"total_bytes": 410 * GB, "free_bytes": 66 * GB, "reserve_bytes": 10 * GB}
    return NODE | {"name": name, "reachable": True, "error": "", "disk": disk} | more


class TestAlarms:
    def test_stand_first_the_worst_on_top(self, archive: Archive, operator: Client) -> None:
        worse = {"id": 2, "kind": "no-good-copy", "level": "critical", "text": "no copy is good"}
        archive.policy.alarms[:] = [dict(ALARM), ALARM | worse]
        page = text_of(operator)
        assert page.index("no copy is good") < page.index("off-site is not mounted")
        assert page.index("No good copy") < page.index("A vault is missing")

    def test_are_taken_on_by_a_person_which_is_audited(
        self, archive: Archive, operator: Client
    ) -> None:
        archive.policy.alarms[:] = [dict(ALARM)]
        assert 'formaction="/archive/alarms/1/"' in text_of(operator)
        operator.post("/archive/alarms/1/")
        page = text_of(operator)
        assert "archivist looks at it since" in page
        assert 'formaction="/archive/alarms/1/"' not in page
        row = AuditEvent.objects.get(action="archive")
        assert without_trace(row.detail) == {"what": "alarm", "alarm": 1}

    def test_that_are_not_there_are_said_so(self, archive: Archive, operator: Client) -> None:
        assert "No alarm" in text_of(operator)


class TestCapacity:
    def test_shows_the_disk_its_marks_and_when_it_is_full(
        self, archive: Archive, operator: Client
    ) -> None:
        full_at = (datetime.now(UTC) + timedelta(days=3, hours=4, minutes=30)).isoformat()
        archive.policy.nodes[:] = [
            node("CT", full_at=full_at, evictable_bytes=100 * GB, unproven_bytes=20 * GB)
        ]
        page = text_of(operator)
        assert "Full in 3 d 4 h at the present rate" in page
        assert "344.0 GB of 400.0 GB" in page  # the reserve is nobody's
        assert '<path class="mark high" d="M850 0v100"/>' in page
        assert '<rect class="part evictable" x="560" y="0" width="250" height="100"/>' in page

    def test_writes_coordinates_alike_in_every_language(
        self, archive: Archive, operator: Client
    ) -> None:
        archive.policy.nodes[:] = [node("CT", evictable_bytes=33_333_333_333)]
        french = operator.get("/archive/", headers={"Accept-Language": "fr"}).content.decode()
        assert 'width="83.3"' in french
        assert "86 %" in french

    def test_draws_thirty_days_of_growth(self, archive: Archive, operator: Client) -> None:
        today = datetime.now(UTC).date()
        archive.policy.nodes[:] = [node("CT")]
        archive.policy.growth = {
            "nodes": {
                "CT": [
                    {"day": (today - timedelta(days=29)).isoformat()}
                    | {"used_bytes": 100 * GB, "total_bytes": 400 * GB},
                    {"day": today.isoformat(), "used_bytes": 300 * GB, "total_bytes": 400 * GB},
                ]
            },
            "vaults": {"vault-1": [{"day": today.isoformat(), "bytes": 2 * GB}]},
        }
        page = text_of(operator)
        assert 'points="0,75 1000,25"' in page
        assert 'points="0,100 0,75 1000,25 1000,100"' in page
        assert '<rect class="column" x="971.3" y="0" width="24" height="100">' in page
        assert "Full in 17 d 11 h, at 2.0 GB a day" in page

    def test_does_not_count_the_hours_until_a_day_that_is_years_away(
        self, archive: Archive, operator: Client
    ) -> None:
        full_at = (datetime.now(UTC) + timedelta(days=4000)).isoformat()
        archive.policy.nodes[:] = [node("CT", full_at=full_at)]
        assert "Room for two years and more" in text_of(operator)

    def test_a_missing_vault_is_shown_with_the_reason_beside_the_others(
        self, archive: Archive, operator: Client
    ) -> None:
        away = {"name": "off-site", "problem": "/mnt/off-site is not mounted"}
        archive.policy.vaults.append(VAULT | away)
        page = text_of(operator)
        assert "/mnt/off-site is not mounted" in page
        assert "nothing is evicted until it is back" in page
        assert "12.0 MB of 35.0 GB" in page

    def test_a_node_that_is_away_is_shown_with_the_reason(
        self, archive: Archive, operator: Client
    ) -> None:
        assert "no route to RF" in text_of(operator)


class TestWork:
    def test_counts_jobs_by_state_and_shows_what_runs(
        self, archive: Archive, operator: Client
    ) -> None:
        archive.add("copy", CT_STUDY, "failed")
        archive.add("copy", CT_STUDY, "running")["progress"]["seconds_left"] = 61
        page = text_of(operator)
        assert 'href="/archive/jobs/?state=failed"><span class="count-figure">1</span>' in page
        assert "1 min left" in page
        assert 'hx-get="/archive/"' in page and 'hx-trigger="every 3s"' in page

    def test_shows_what_waits_for_a_person(self, archive: Archive, operator: Client) -> None:
        archive.shelf.mounts.append(
            {"id": 1, "vault": "vault-1", "volume": "A00012", "drive": 1, "asked_at": NOW}
            | {"jobs": 3, "for": ["clinician"]}
        )
        archive.policy.lists.append(
            {"id": 4, "node": "CT", "state": "proposed", "why": "", "wanted_bytes": 1}
            | {"listed_bytes": 2, "studies": 3, "made_at": NOW, "decided_at": None}
        )
        page = text_of(operator)
        assert "Insert volume A00012 into drive 1" in page
        assert "CT: a list waits for approval" in page
        assert 'href="/archive/evictions/4/"' in page

    def test_asks_the_archive_a_bounded_number_of_times(
        self, archive: Archive, operator: Client, django_assert_max_num_queries
    ) -> None:
        for _ in range(40):
            archive.add("copy", CT_STUDY, "running")
        operator.get("/archive/")
        archive.asked.clear()
        with django_assert_max_num_queries(10):
            operator.get("/archive/")
        assert len(archive.asked) == 5
        assert "GET /api/growth" not in archive.asked  # it changes once a day


@pytest.mark.parametrize("page", PAGES)
class TestEveryPage:
    @pytest.mark.parametrize("url", ["", "http://127.0.0.1:9"])
    def test_says_when_there_is_no_archive_or_it_is_down(
        self, operator: Client, monkeypatch: pytest.MonkeyPatch, page: str, url: str
    ) -> None:
        monkeypatch.setattr(config, "ARCHIVE_URL", url)
        answer = operator.get(f"/archive/{page}")
        assert answer.status_code == 200
        assert "The archive does not answer" in answer.content.decode()
        live = operator.get(f"/archive/{page}", headers={"HX-Request": "true"})
        assert live.status_code == 200

    def test_shows_what_the_archive_says_when_it_cannot_tell(
        self, archive: Archive, operator: Client, page: str
    ) -> None:
        archive.broken = "the catalogue is being rebuilt"
        assert "the catalogue is being rebuilt" in text_of(operator, f"/archive/{page}")

    def test_asks_little(
        self, archive: Archive, operator: Client, page: str, django_assert_max_num_queries
    ) -> None:
        operator.get(f"/archive/{page}")
        archive.asked.clear()
        with django_assert_max_num_queries(10):
            operator.get(f"/archive/{page}")
        assert len(archive.asked) <= 6
