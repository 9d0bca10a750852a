"""Where a new exam goes: by IT's rules; an exam that exists grows where it lies."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import pytest
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from pacs_web.audit.models import AuditEvent
from pacs_web.dicomweb.first_object import facts_in
from pacs_web.nodes.models import Node, PlacingRule
from pacs_web.nodes.placing import Facts, fits, place
from tests.web.made_studies import ct_study, instance
from tests.web.test_dicomweb_storing import multipart, store

PAGE = "/admin-console/new-exams/"
NEW = "1.2.826.0.1.3680043.10.1999.88"


def rule(modalities: str = "", source: str = "", department: str = "", server: str = "RF"):
    return SimpleNamespace(
        modalities=modalities, source=source, department=department, server=server
    )


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (rule(), True),
        (rule("CT"), True),
        (rule("MR, ct"), True),
        (rule("MR"), False),
        (rule(source="scan*"), True),
        (rule(source="CT_?"), True),
        (rule(source="[s]canner 1"), False),
        (rule(department="radiologie"), True),
        (rule(department="urgences"), True),
        (rule("CT", "scan*", "cardio*"), False),
    ],
)
def test_a_rule_fits_where_all_that_it_names_is_so(written: object, expected: bool) -> None:
    facts = Facts("CT", ("Scanner 1", "CT_A"), ("Radiologie", "Urgences"))
    assert fits(written, facts) is expected


def test_the_first_rule_that_fits_an_able_server_decides() -> None:
    rules = [rule("MR", server="A"), rule("CT", server="OFF"), rule("CT", server="B"), rule()]
    assert place(rules, Facts("CT"), {"A", "B", "RF"}) == "B"
    assert place(rules, Facts("CT"), {"A"}) is None


@given(st.text(max_size=20), st.text(max_size=20))
def test_any_pattern_fits_or_not_and_a_value_fits_itself(pattern: str, value: str) -> None:
    fits(rule(source=pattern), Facts("CT", (value,)))
    assert fits(rule(source=value), Facts("CT", (value,)))


class TestStoring:
    @pytest.fixture
    def technologist(self, browser: Callable[[str], Client]) -> Client:
        return browser("technologist")

    def placed(self, client: Client, *objects: object) -> str:
        assert store(client, multipart(*objects)).status_code == 200
        return AuditEvent.objects.filter(action="store").last().detail["node"]

    def place_on(self, name: str, **said: str) -> None:
        PlacingRule.objects.create(node=Node.objects.get(name=name), **said)

    @pytest.mark.parametrize(
        "said",
        [
            {"modalities": "CT"},
            {"source": "SCANNER*"},
            {"source": "modality_1"},
            {"department": "Urgences"},
            {"department": "Traumatologie"},
            {},
        ],
    )
    def test_a_new_exam_goes_where_a_rule_says(
        self, nodes: dict, technologist: Client, said: dict
    ) -> None:
        self.place_on("RF", **said)
        new = instance(
            NEW,
            1,
            1,
            "CT",
            StationName="SCANNER 1",
            InstitutionalDepartmentName="Urgences",
            RequestingService="Traumatologie",
        )
        new.file_meta.SourceApplicationEntityTitle = "MODALITY_1"
        assert self.placed(technologist, new) == "RF"

    def test_what_fits_no_rule_goes_to_the_first_server(
        self, nodes: dict, technologist: Client
    ) -> None:
        self.place_on("RF", modalities="MR")
        assert self.placed(technologist, instance(NEW, 1, 1, "CT")) == "CT"

    def test_a_rule_of_a_disabled_server_is_passed_over(
        self, nodes: dict, technologist: Client
    ) -> None:
        self.place_on("RF", modalities="CT")
        Node.objects.filter(name="RF").update(enabled=False)
        assert self.placed(technologist, instance(NEW, 1, 1, "CT")) == "CT"

    def test_an_exam_that_exists_grows_where_it_lies(
        self, nodes: dict, technologist: Client
    ) -> None:
        self.place_on("RF", modalities="CT")
        assert self.placed(technologist, ct_study(6)[5]) == "CT"


def test_metadata_in_json_tell_the_same_as_a_file() -> None:
    told = '[{"00080060": {"vr": "CS", "Value": ["CR"]}, "00081040": {"Value": ["Urgences"]}}]'
    body = f"--b\r\nContent-Type: application/dicom+json\r\n\r\n{told}\r\n--b--\r\n".encode()
    kind = 'multipart/related; type="application/dicom+json"; boundary=b'
    assert facts_in(kind, body) == Facts("CR", (), ("Urgences",))


@given(st.binary(max_size=300))
def test_any_bytes_tell_something_or_nothing(body: bytes) -> None:
    facts_in("application/dicom", body)
    facts_in("application/dicom", bytes(128) + b"DICM" + body)
    facts_in("application/dicom+json", b"[" + body)


class TestThePage:
    @pytest.fixture
    def it(self, nodes: dict, browser: Callable[[str], Client]) -> Client:
        return browser("it")

    def test_shows_the_rules_in_their_order_and_what_comes_of_all_else(self, it: Client) -> None:
        node = Node.objects.get(name="RF")
        for modalities in ("ct mr", "CR"):
            said = {"modalities": modalities, "node": node.pk}
            assert it.post(PAGE, said).status_code == 302
        page = " ".join(it.get(PAGE).content.decode().split())
        assert page.index("CT, MR") < page.index("CR</td>") < page.index("All else")
        last = PlacingRule.objects.last()
        it.post(f"{PAGE}{last.pk}/act/", {"act": "up"})
        assert [one.modalities for one in PlacingRule.objects.all()] == ["CR", "CT, MR"]
        it.post(f"{PAGE}{last.pk}/act/", {"act": "remove"})
        assert [one.modalities for one in PlacingRule.objects.all()] == ["CT, MR"]
        acts = AuditEvent.objects.filter(action="configure").order_by("id")
        assert [row.detail["act"] for row in acts] == ["add", "add", "up", "remove"]

    def test_a_rule_is_changed(self, it: Client) -> None:
        row = PlacingRule.objects.create(modalities="CT", node=Node.objects.get(name="RF"))
        node = Node.objects.get(name="CT")
        it.post(f"{PAGE}{row.pk}/", {"modalities": "", "source": "US*", "node": node.pk})
        row.refresh_from_db()
        assert (row.modalities, row.source, row.server) == ("", "US*", "CT")

    def test_what_is_no_modality_or_no_able_server_is_refused(self, it: Client) -> None:
        foreign = Node.objects.create(name="CLINIC", kind="dicomweb", url="http://10.0.0.1")
        ct = Node.objects.get(name="CT")
        assert it.post(PAGE, {"modalities": "C/T", "node": ct.pk}).status_code == 422
        assert it.post(PAGE, {"modalities": "CT", "node": foreign.pk}).status_code == 422
        assert not PlacingRule.objects.exists()

    def test_a_server_that_a_rule_names_is_not_removed(self, it: Client) -> None:
        PlacingRule.objects.create(node=Node.objects.get(name="RF"))
        page = it.post("/admin-console/nodes/RF/remove/", follow=True).content.decode()
        assert "RF is needed by rule" in page
        assert Node.objects.filter(name="RF").exists()
