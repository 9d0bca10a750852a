"""The operator's rules, holds and watermarks: tried, saved, and told in words."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client

from pacs_web.archive.rules import in_words
from pacs_web.audit.models import AuditEvent
from tests.web.archive_answers import NODE, NOW, Archive
from tests.web.made_studies import CT_STUDY

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("nodes")]
RULES = "/archive/rules/"
HOLDS = "/archive/holds/"
MARKS = "/archive/watermarks/"
FILLED = {
    "name": "Old CT", "action": "evict", "nodes": ["RF"], "modalities": "ct, mr",
    "departments": "Neurologie", "description": "crane", "study_age_days": "365",
    "unused_days": "30", "least_mb": "5", "most_mb": "800", "patient_age_below": "18",
    "enabled": "on",
}  # fmt: skip
RULE: dict[str, Any] = {
    "id": 1, "name": "Old CT", "action": "evict", "vault": "", "reason": "", "enabled": True,
    "conditions": {"nodes": ["RF"], "modalities": ["CT"], "study_age_days": 365},
    "changed_at": NOW, "changed_by": "archivist",
}  # fmt: skip
STUDY = {
    "node": "RF", "study_uid": CT_STUDY, "study_date": "20250212", "modalities": ["CT"],
    "description": "CRANE", "size_bytes": 262_000_000, "last_used_at": NOW, "does": "evict",
    "why": "older than 365 days",
}  # fmt: skip


def text_of(client: Client, address: str) -> str:
    """Return a page with its spaces joined."""
    return " ".join(client.get(address).content.decode().split())


def posted(client: Client, address: str, said: dict[str, Any]) -> str:
    """Return the page that answers a form, its spaces joined."""
    return " ".join(client.post(address, said, follow=True).content.decode().split())


def tried(page: str) -> str:
    """Return the mark of the rule that a page has tried."""
    return page.split('name="tried" value="')[1].split('"')[0]


class TestRules:
    def test_are_listed_in_words(self, archive: Archive, operator: Client) -> None:
        archive.policy.rules.append(dict(RULE))
        page = text_of(operator, RULES)
        for shown in ("Old CT", "on RF", "of CT", "older than 365 days", "in force"):
            assert shown in page

    def test_none_of_them_is_explained(self, archive: Archive, operator: Client) -> None:
        assert "No rule yet" in text_of(operator, RULES)

    def test_one_is_tried_before_it_is_saved(self, archive: Archive, operator: Client) -> None:
        held = STUDY | {"does": "hold", "why": "held: legal, by archivist"}
        archive.policy.outcome += [dict(STUDY), held]
        page = posted(operator, f"{RULES}new/", {**FILLED, "do": "try"})
        for shown in (
            "2 exams meet its conditions today",
            "It would act on 524.0 MB",
            CT_STUDY,
            "12/02/2025",
            "older than 365",
        ):
            assert shown in page
        assert "held: legal, by archivist" in page
        assert not archive.policy.rules
        conditions = archive.policy.tried[0]["conditions"]
        assert conditions == {
            "nodes": ["RF"], "modalities": ["CT", "MR"], "departments": ["Neurologie"],
            "description": "crane", "study_age_days": 365, "unused_days": 30,
            "least_bytes": 5_000_000, "most_bytes": 800_000_000, "patient_age_below": 18,
        }  # fmt: skip

    def test_save_shows_first_what_it_would_do_and_saves_what_was_shown(
        self, archive: Archive, operator: Client
    ) -> None:
        archive.policy.outcome.append(dict(STUDY))
        page = posted(operator, f"{RULES}new/", {**FILLED, "do": "save"})
        assert "Not saved yet" in page
        assert not archive.policy.rules
        again = {**FILLED, "do": "save", "tried": tried(page)}
        assert "The rule is saved." in posted(operator, f"{RULES}new/", again)
        assert archive.policy.rules[0]["name"] == "Old CT"
        row = AuditEvent.objects.get(action="configure")
        assert (row.detail["act"], row.detail["rule"]) == ("add", "Old CT")

    def test_what_was_changed_since_it_was_tried_is_tried_anew(
        self, archive: Archive, operator: Client
    ) -> None:
        page = posted(operator, f"{RULES}new/", {**FILLED, "do": "try"})
        other = {**FILLED, "do": "save", "tried": tried(page), "study_age_days": "1"}
        assert "Not saved yet" in posted(operator, f"{RULES}new/", other)
        assert not archive.policy.rules

    def test_one_that_is_out_of_force_is_saved_at_once(
        self, archive: Archive, operator: Client
    ) -> None:
        said = {name: value for name, value in FILLED.items() if name != "enabled"}
        assert "The rule is saved." in posted(operator, f"{RULES}new/", {**said, "do": "save"})
        assert not archive.policy.tried

    def test_one_is_changed(self, archive: Archive, operator: Client) -> None:
        archive.policy.rules.append(dict(RULE))
        assert 'value="365"' in text_of(operator, f"{RULES}1/")
        page = posted(operator, f"{RULES}1/", {**FILLED, "do": "try"})
        posted(operator, f"{RULES}1/", {**FILLED, "do": "save", "tried": tried(page)})
        assert archive.policy.rules[0]["conditions"]["description"] == "crane"
        assert len(archive.policy.rules) == 1

    @pytest.mark.parametrize(
        ("wrong", "field"),
        [
            ({"name": ""}, "id_name_error"),
            ({"action": "copy"}, "id_vault_error"),
            ({"action": "hold"}, "id_reason_error"),
            ({"least_mb": "900"}, "id_most_mb_error"),
            ({"study_age_days": "-1"}, "id_study_age_days_error"),
            ({"patient_age_from": "20"}, "id_patient_age_below_error"),
            ({"nodes": ["elsewhere"]}, "id_nodes"),
        ],
    )
    def test_nonsense_is_named_at_its_field(
        self, archive: Archive, operator: Client, wrong: dict[str, Any], field: str
    ) -> None:
        answer = operator.post(f"{RULES}new/", {**FILLED, "do": "try", **wrong})
        assert answer.status_code == 422
        assert field in answer.content.decode()
        assert not archive.policy.tried

    def test_what_the_archive_refuses_is_told_and_the_form_is_kept(
        self, archive: Archive, operator: Client
    ) -> None:
        said = {**FILLED, "name": "refuse me", "do": "save"}
        page = posted(operator, f"{RULES}new/", said)
        page = posted(operator, f"{RULES}new/", {**said, "tried": tried(page)})
        assert "conditions: nothing meets both" in page
        assert 'value="refuse me"' in page

    def test_one_is_put_out_of_force_and_removed_after_a_question(
        self, archive: Archive, operator: Client
    ) -> None:
        archive.policy.rules.append(dict(RULE))
        assert "Put this rule out of force?" in text_of(operator, f"{RULES}1/disable/")
        posted(operator, f"{RULES}1/disable/", {})
        assert archive.policy.rules[0]["enabled"] is False
        assert "What it has done stays done" in text_of(operator, f"{RULES}1/delete/")
        posted(operator, f"{RULES}1/delete/", {})
        assert not archive.policy.rules
        acts = [row.detail["act"] for row in AuditEvent.objects.filter(action="configure")]
        assert sorted(acts) == ["delete", "disable"]

    def test_one_that_is_gone_is_told_so(self, archive: Archive, operator: Client) -> None:
        assert "is not there any more" in posted(operator, f"{RULES}7/disable/", {})
        assert "The archive does not know this" in text_of(operator, f"{RULES}7/")


@pytest.mark.parametrize(
    ("conditions", "phrases"),
    [
        ({}, []),
        ({"nodes": ["CT", "RF"]}, ["on CT or RF"]),
        ({"study_age_days": 1, "unused_days": 0}, ["older than 1 day"]),
        ({"least_bytes": 1_500_000}, ["of 1.5 MB and more"]),
        ({"patient_age_from": 15, "most_bytes": 10**9},
         ["of 1000 MB at most", "of patients of 15 years and more"]),
    ],
)  # fmt: skip
def test_conditions_are_told_in_words(conditions: dict, phrases: list[str]) -> None:
    assert in_words(conditions) == phrases


class TestHolds:
    SAID = {"node": "CT", "study_uid": CT_STUDY, "kind": "legal", "reason": "court file 7"}

    def test_an_exam_is_held_and_that_is_audited(self, archive: Archive, operator: Client) -> None:
        page = posted(operator, HOLDS, self.SAID)
        assert "The exam is held" in page
        assert "court file 7" in page and "Legal" in page
        assert archive.policy.holds[0]["held_by"] == "archivist"
        row = AuditEvent.objects.get(action="archive")
        assert (row.study_uid, row.detail["act"], row.detail["kind"]) == (CT_STUDY, "hold", "legal")

    def test_the_form_comes_filled_from_the_exams_page(
        self, archive: Archive, operator: Client
    ) -> None:
        page = text_of(operator, f"{HOLDS}?node=RF&study={CT_STUDY}")
        assert f'value="{CT_STUDY}"' in page
        assert '<option value="RF" selected>' in page

    def test_a_hold_needs_a_uid_and_a_reason(self, archive: Archive, operator: Client) -> None:
        answer = operator.post(HOLDS, {**self.SAID, "study_uid": "1..2", "reason": ""})
        assert answer.status_code == 422
        assert "id_study_uid_error" in answer.content.decode()
        assert "id_reason_error" in answer.content.decode()
        assert not archive.policy.holds

    def test_a_hold_is_released_after_a_question(self, archive: Archive, operator: Client) -> None:
        posted(operator, HOLDS, self.SAID)
        assert "its images may leave the disk" in text_of(operator, f"{HOLDS}1/release/")
        assert "The hold is released." in posted(operator, f"{HOLDS}1/release/", {})
        assert not archive.policy.holds

    def test_the_exams_page_offers_it_to_whoever_may(
        self, archive: Archive, clinician: Client, person
    ) -> None:
        address = f"/studies/{CT_STUDY}/"
        assert "/archive/holds/" not in clinician.get(address).content.decode()
        person("clinician").groups.add(Group.objects.get(name="archivist"))
        page = clinician.get(address).content.decode()
        assert f"/archive/holds/?node=CT&amp;study={CT_STUDY}" in page


class TestWatermarks:
    def test_shows_what_is_a_nodes_own_and_what_is_the_default(
        self, archive: Archive, operator: Client
    ) -> None:
        archive.policy.nodes[:] = [NODE | {"name": "CT", "high_watermark": 0.925}]
        page = text_of(operator, MARKS)
        assert 'name="CT-high" value="92.5"' in page
        assert 'placeholder="80"' in page
        assert "from 85 % down to 80 %" in page

    def test_decides_a_nodes_marks_and_approval(self, archive: Archive, operator: Client) -> None:
        said = {"node": "RF", "RF-high": "90", "RF-low": "", "RF-approval": "yes"}
        page = posted(operator, MARKS, said | {"RF-least_age_days": "7"})
        assert "The marks of RF are saved." in page
        assert archive.policy.marks["RF"] == {
            "high_watermark": 0.9,
            "low_watermark": None,
            "least_age_days": 7.0,
            "approval": True,
        }
        row = AuditEvent.objects.get(action="configure")
        assert (row.detail["node"], row.detail["high_watermark"]) == ("RF", 0.9)

    @pytest.mark.parametrize("said", [{"RF-high": "80", "RF-low": "85"}, {"RF-high": "120"}])
    def test_refuses_marks_that_make_no_sense(
        self, archive: Archive, operator: Client, said: dict[str, str]
    ) -> None:
        answer = operator.post(MARKS, {"node": "RF", **said})
        assert answer.status_code == 422
        assert "field-error" in answer.content.decode()
        assert not archive.policy.marks

    def test_knows_no_other_node(self, archive: Archive, operator: Client) -> None:
        said = {"node": "NOPE", "NOPE-high": "x"}
        assert operator.post(MARKS, said).status_code == 404
