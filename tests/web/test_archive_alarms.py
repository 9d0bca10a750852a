"""The page of all alarms: those that last, those that are over, and who was told of them."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from tests.web.archive_answers import Archive
from tests.web.test_archive_dashboard import ALARM, text_of

ALARMS = "/archive/alarms/"
OVER: dict[str, Any] = {
    "id": 2, "kind": "node-unreachable", "subject": "RF", "level": "critical",
    "text": "RF is silent since 2026-11-20 08:00 UTC", "began_at": "2026-11-20T08:00:00+00:00",
    "ended_at": "2026-11-20T11:30:00+00:00", "acknowledged_at": "2026-11-20T09:00:00+00:00",
    "acknowledged_by": "marie", "mailed_at": "2026-11-20T08:05:00+00:00",
}  # fmt: skip


@pytest.fixture(autouse=True)
def told(archive: Archive) -> None:
    archive.policy.alarms[:] = [dict(ALARM), ALARM | OVER]


def test_those_that_are_over_stand_with_their_end_and_their_duration(operator: Client) -> None:
    page = text_of(operator, ALARMS)
    for shown in ("RF is silent since 20/11/2026 09:00", "20/11/2026 12:30", "after 3 h 30 min"):
        assert shown in page
    assert "off-site is not mounted" in page
    assert "marie" in page


def test_one_that_lasts_can_be_taken_on_here(operator: Client) -> None:
    assert 'formaction="/archive/alarms/1/"' in text_of(operator, ALARMS)
    answer = operator.post(f"{ALARMS}1/", {"next": ALARMS})
    assert answer["Location"] == ALARMS
    page = text_of(operator, ALARMS)
    assert 'formaction="/archive/alarms/1/"' not in page
    assert "archivist" in page


def test_whether_mail_and_webhook_took_it_is_told(archive: Archive, operator: Client) -> None:
    archive.policy.told_by |= {"mail": True, "webhook": True}
    page = text_of(operator, ALARMS)
    assert "mail, 20/11 09:05" in page
    assert page.count("mail: not yet") == 1 and page.count("webhook: not yet") == 2
    assert "neither a mail address" not in page


def test_that_nobody_else_is_told_of_them_is_said(operator: Client) -> None:
    page = text_of(operator, ALARMS)
    assert "neither a mail address nor a webhook is set" in page
    assert "not yet" not in page


@pytest.mark.parametrize(
    ("query", "there", "away"),
    [
        ("?state=ended", "RF is silent", "off-site is not mounted"),
        ("?state=lasting", "off-site is not mounted", "RF is silent"),
        ("?kind=vault-missing", "off-site is not mounted", "RF is silent"),
        ("?state=nonsense&kind=nonsense", "off-site is not mounted", "no alarm at all"),
    ],
)
def test_they_are_found_by_state_and_kind(
    operator: Client, query: str, there: str, away: str
) -> None:
    page = text_of(operator, ALARMS + query)
    assert there in page and away not in page


def test_they_are_paged_with_their_filters(archive: Archive, operator: Client) -> None:
    archive.policy.alarms[:] = [ALARM | {"id": n, "text": f"alarm-{n}."} for n in range(60)]
    page = text_of(operator, f"{ALARMS}?state=lasting")
    assert "alarm-49." in page and "alarm-50." not in page
    assert 'href="?state=lasting&amp;page=2"' in page
    assert "alarm-50." in text_of(operator, f"{ALARMS}?state=lasting&page=2")


def test_none_at_all_and_none_that_matches_are_pages_too(
    archive: Archive, operator: Client
) -> None:
    assert "No alarm matches" in text_of(operator, f"{ALARMS}?kind=drive-stuck")
    archive.policy.alarms.clear()
    assert "There was no alarm yet" in text_of(operator, ALARMS)


def test_the_first_page_leads_to_them(archive: Archive, operator: Client) -> None:
    for left in (1, 0):
        archive.policy.alarms[left:] = []
        assert 'id="all-alarms" href="/archive/alarms/"' in text_of(operator)


def test_the_page_follows_by_itself(archive: Archive, operator: Client) -> None:
    part = operator.get(ALARMS, headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in part
    seen = part.rsplit('value="', 1)[1].split('"')[0]
    again = operator.get(f"{ALARMS}?seen={seen}", headers={"HX-Request": "true"})
    assert again.status_code == 204
    archive.policy.alarms[0]["ended_at"] = OVER["ended_at"]
    again = operator.get(f"{ALARMS}?seen={seen}", headers={"HX-Request": "true"})
    assert again.status_code == 200
