"""Eviction lists that a person approves, the recall queue, and the acts of operators."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client

from pacs_web.audit.models import AuditEvent
from tests.web.archive_answers import NOW, Archive
from tests.web.audited import without_trace
from tests.web.made_studies import CT_STUDY

LISTS = "/archive/evictions/"
LIST: dict[str, Any] = {
    "id": 1, "node": "CT", "state": "proposed", "why": "its disk is 94 % full",
    "wanted_bytes": 10**9, "listed_bytes": 2 * 10**9, "studies": 2, "made_at": NOW,
    "decided_at": None, "decided_by": "",
}  # fmt: skip


def text_of(client: Client, address: str) -> str:
    """Return a page with its spaces joined."""
    return " ".join(client.get(address).content.decode().split())


class TestEvictions:
    @pytest.fixture(autouse=True)
    def listed(self, archive: Archive) -> None:
        archive.policy.lists.append(dict(LIST))
        archive.policy.listed += [
            {"study_uid": uid, "instances": 60, "size_bytes": 10**9, "last_used_at": NOW}
            | {"why": "unused longest", "job": None}
            for uid in (CT_STUDY, "1.2.3")
        ]

    def test_are_listed_and_found_by_state(self, archive: Archive, operator: Client) -> None:
        archive.policy.lists.append(LIST | {"id": 2, "state": "refused"})
        assert "2.0 GB" in text_of(operator, LISTS)
        page = text_of(operator, f"{LISTS}?state=refused")
        assert 'id="list-2"' in page and 'id="list-1"' not in page

    def test_one_is_shown_study_by_study_to_be_printed(
        self, archive: Archive, operator: Client
    ) -> None:
        page = text_of(operator, f"{LISTS}1/")
        for shown in (CT_STUDY, "1.2.3", "unused longest", "its disk is 94 % full", "data-print"):
            assert shown in page

    @pytest.mark.parametrize(
        ("decision", "state"), [("approve", "approved"), ("refuse", "refused")]
    )
    def test_one_is_decided_once_it_is_said_what_happens(
        self, archive: Archive, operator: Client, decision: str, state: str
    ) -> None:
        address = f"{LISTS}1/{decision}/"
        assert f'hx-get="{address}"' in text_of(operator, f"{LISTS}1/")
        assert operator.get(address).status_code == 200
        assert archive.policy.lists[0]["state"] == "proposed"
        operator.post(address)
        assert archive.policy.lists[0]["state"] == state
        assert address not in text_of(operator, f"{LISTS}1/")
        row = AuditEvent.objects.get(action="archive")
        assert without_trace(row.detail) == {
            "what": "eviction list",
            "list": 1,
            "decision": decision,
        }

    def test_one_that_was_overtaken_says_so(self, archive: Archive, operator: Client) -> None:
        archive.policy.lists[0]["state"] = "overtaken"
        page = operator.post(f"{LISTS}1/approve/", follow=True).content.decode()
        assert "list 1 is overtaken" in page

    def test_knows_no_other_decision(self, archive: Archive, operator: Client) -> None:
        assert operator.post(f"{LISTS}1/explode/").status_code == 404

    def test_shows_the_jobs_of_an_approved_list(self, archive: Archive, operator: Client) -> None:
        job = archive.add("evict", CT_STUDY, "running")
        archive.policy.listed[0]["job"] = {**job, "actions": []}
        page = text_of(operator, f"{LISTS}1/")
        assert 'href="/archive/jobs/1/"' in page and "running" in page


class TestRecalls:
    def test_stand_in_the_order_in_which_they_come(
        self, archive: Archive, operator: Client
    ) -> None:
        archive.add("recall", "1.2.1", queue={"ahead": 4, "expected_s": 60})
        archive.add("recall", "1.2.2", queue={"ahead": 0, "expected_s": 60})
        archive.add("recall", "1.2.3", "waiting", waits_for="volume A00012 of vault-1")
        archive.add("recall", "1.2.4", "running", by="clinician")
        archive.add("copy", "1.2.5", "running")
        archive.add("recall", "1.2.6", "done")
        page = text_of(operator, "/archive/recalls/")
        places = [page.index(f">{uid}<") for uid in ("1.2.4", "1.2.2", "1.2.1", "1.2.3", "1.2.6")]
        assert places == sorted(places)
        assert "1.2.5" not in page
        assert "4 jobs ahead · done in 1 min" in page
        assert page.index("Ended last") < page.index(">1.2.6<")

    def test_nobody_waiting_is_a_page_too(self, archive: Archive, operator: Client) -> None:
        assert "Nobody waits for an exam" in text_of(operator, "/archive/recalls/")


class TestActs:
    def test_tell_who_did_what(self, archive: Archive, operator: Client) -> None:
        archive.work.acts += [
            {"at": NOW, "by": "archivist", "kind": "list-approved", "details": {"list": 2}},
            {"at": NOW, "by": "marie", "kind": "cancelled"}
            | {"details": {"job": 7, "operation": "copy", "study_uid": CT_STUDY, "node": "CT"}},
            {"at": NOW, "by": "pierre", "kind": "something-new", "details": {}},
        ]
        page = text_of(operator, "/archive/acts/")
        for shown in (
            "approved an eviction list", "cancelled a job", 'href="/archive/jobs/7/"', CT_STUDY,
            "<dt>Job</dt><dd>Copy</dd>", "something-new", "pierre",
        ):  # fmt: skip
            assert shown in page

    def test_are_paged(self, archive: Archive, operator: Client) -> None:
        archive.work.acts += [
            {"at": NOW, "by": f"by-{n}", "kind": "asked", "details": {}} for n in range(130)
        ]
        assert "by-99<" in text_of(operator, "/archive/acts/")
        page = text_of(operator, "/archive/acts/?page=2")
        assert "by-100<" in page and "by-99<" not in page

    @pytest.mark.parametrize(
        ("kind", "details", "there"),
        [
            (
                "policy-set",
                {"node": "CT", "high_watermark": 0.9, "low_watermark": 0.825}
                | {"least_age_days": 7.0, "approval": True},
                ["High watermark 90%", "Low watermark 82.5%", "Least age (days) 7", "Approval yes"],
            ),
            (
                "policy-set",
                {"node": "CT", "high_watermark": None, "approval": False},
                ["High watermark as set for all", "Approval no"],
            ),
            (
                "held",
                {"hold": 4, "node": "CT", "operation": "legal", "why": "expertise"},
                ["Hold 4", "Kind of hold Legal", "Why expertise"],
            ),
            ("asked", {"operation": "copy", "new": True}, ["Job Copy"]),
            ("asked", {"operation": "copy", "new": False}, ["Note this job was there already"]),
            (
                "rule-saved",
                {"rule": None, "name": "Old CT", "operation": "evict", "enabled": False}
                | {"conditions": {}, "vault": "", "why": ""},
                ["What it does Free the server", "In force no", "To exams all"],
            ),
            (
                "list-approved",
                {"list": 2, "why": "the disk is 92.3% full, above 85.0%", "studies": 3},
                ["Why the disk is 92.3% full, above 85%"],
            ),
            (
                "window-drawn",
                {"window": {"id": 1, "kind": "copy", "vault": "", "node": "CT", "enabled": True}}
                | {"weekdays": "0123456", "begins": "20:00", "ends": "06:00"},
                ["Window 1"],
            ),
            (
                "window-drawn",
                {
                    "window": {"id": 1, "kind": "copy", "vault": "", "node": "CT", "enabled": False}
                    | {
                        "weekdays": "04",
                        "begins": "20:00",
                        "ends": "06:00",
                        "bytes_per_s": 4 * 10**7,
                    }
                },
                ["Window Copy, CT, Monday, Friday, 20:00 to 06:00, 40.0 MB/s, out of force"],
            ),
            ("alarm-seen", {"alarm": "vault-missing", "about": "v"}, ["Alarm A vault is missing"]),
            ("something-new", {"some_thing": {"a_b": True}}, ["Some thing A b: yes"]),
        ],
    )
    def test_their_details_are_words(
        self,
        archive: Archive,
        operator: Client,
        kind: str,
        details: dict[str, Any],
        there: list[str],
    ) -> None:
        archive.work.acts += [{"at": NOW, "by": "marie", "kind": kind, "details": details}]
        pairs = text_of(operator, "/archive/acts/").partition('<dl class="pairs">')[2]
        told = re.sub("<[^>]*>", " ", pairs.partition("</dl>")[0].replace("&#x27;", "'"))
        shown = " ".join(told.split())
        for text in there:
            assert text in shown
        for raw in ("None", "True", "False", "new", "operation"):
            assert raw not in shown
