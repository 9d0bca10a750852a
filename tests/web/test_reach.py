"""Limits to servers and departments hold on every way to an exam; the glass can be broken."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from pacs_common.node_client.images import Answers
from pacs_web import config
from pacs_web.accounts import tokens
from pacs_web.accounts.models import Account, BrokenGlass, Limit, NodeRule
from pacs_web.accounts.policy import Decision, Holding, Reach, decide
from pacs_web.accounts.reach import reach_of
from pacs_web.accounts.rights import Right
from pacs_web.audit.models import AuditEvent
from pacs_web.federation.models import Location
from pacs_web.nodes.limited_server import LimitedServer
from tests.web.made_studies import CT_STUDY, RF_STUDY, SR_STUDY, ct_study
from tests.web.node_stand_in import StandIn, node_stand_in

REASON = "unconscious in the emergency room"
STUDY = f"/studies/{CT_STUDY}/"


@pytest.fixture
def departments(nodes: dict[str, StandIn]) -> dict[str, StandIn]:
    """The CT is of radiology, the RF of cardiology, the report of nobody."""
    for one in nodes["CT"].instances:
        one.InstitutionalDepartmentName = "Radiologie"
    for one in nodes["RF"].instances:
        if one.StudyInstanceUID == RF_STUDY:
            one.RequestingService = "Cardiologie"
    return nodes


@pytest.fixture
def cardiologist(person: Callable[[str], Account], browser: Callable[[str], Client]) -> Client:
    person("clinician").limits.create(department="cardiologie")
    return browser("clinician")


def studies_of(client: Client, query: str = "", **headers: str) -> list[str]:
    found = client.get(f"/dicom-web/studies{query}", headers=headers).json()
    return [one["0020000D"]["Value"][0] for one in found]


class TestPolicy:
    def decided(self, reach: Reach, *holdings: Holding, glass: bool = False) -> Decision:
        rights = {Right.VIEW, Right.BREAK_GLASS} if glass else {Right.VIEW}
        return decide(rights, Right.VIEW, reach, "1.2", holdings)

    def test_no_limit_reaches_everything(self) -> None:
        assert self.decided(Reach(), Holding("CT", ("X",))) is Decision.ALLOWED

    def test_without_the_right_there_is_no_glass_to_break(self) -> None:
        reach = Reach(granted=frozenset({"1.2"}))
        said = decide({Right.BREAK_GLASS}, Right.VIEW, reach, "1.2", [Holding("CT", ())])
        assert said is Decision.DENIED

    def test_one_copy_within_reach_is_enough(self) -> None:
        reach = Reach(nodes=frozenset({"CT"}))
        assert self.decided(reach, Holding("RF", ()), Holding("CT", ())) is Decision.ALLOWED
        assert self.decided(reach, Holding("RF", ())) is Decision.DENIED
        assert self.decided(reach, Holding("RF", ()), glass=True) is Decision.GLASS

    def test_a_copy_that_names_no_department_is_no_way_around_one_that_does(self) -> None:
        reach = Reach(departments=frozenset({"cardiologie"}))
        both = (Holding("CT", ("Radiologie",)), Holding("RF", ()))
        assert self.decided(reach, *both) is Decision.DENIED

    @pytest.mark.parametrize("closed", [True, False])
    def test_where_no_department_is_named_the_nodes_rule_decides(self, closed: bool) -> None:
        reach = Reach(
            departments=frozenset({"cardiologie"}), closed=frozenset({"CT"} if closed else ())
        )
        said = self.decided(reach, Holding("CT", (" ",)))
        assert said is (Decision.DENIED if closed else Decision.ALLOWED)

    @given(st.sampled_from(["Médecine  Interne", "MÉDECINE INTERNE", " médecine interne "]))
    def test_blanks_and_capitals_do_not_matter(self, written: str) -> None:
        reach = Reach(departments=frozenset({"médecine interne"}))
        assert self.decided(reach, Holding("CT", (written,))) is Decision.ALLOWED

    @given(
        st.frozensets(st.sampled_from("AB")),
        st.frozensets(st.sampled_from("xy")),
        st.lists(st.tuples(st.sampled_from("ABC"), st.sampled_from(["", "x", "y", "z"]))),
    )
    def test_a_limit_never_opens_what_is_closed_without_it(self, nodes, departments, held) -> None:
        holdings = [Holding(node, (name,) if name else ()) for node, name in held]
        narrow = Reach(nodes=nodes, departments=departments)
        for wide in (Reach(nodes=nodes), Reach(departments=departments), Reach()):
            if self.decided(narrow, *holdings) is Decision.ALLOWED:
                assert self.decided(wide, *holdings) is Decision.ALLOWED


class TestReach:
    def test_the_limits_of_groups_add_up_and_a_group_without_one_does_not_lift_them(
        self, person: Callable[[str], Account]
    ) -> None:
        account = person("clinician")
        for name in ("cardiology", "surgery"):
            group = Group.objects.create(name=name)
            group.limits.create(department=name)
            account.groups.add(group)
        assert reach_of("clinician").departments == {"cardiology", "surgery"}
        assert reach_of("clinician").nodes is None

    def test_the_persons_own_limits_stand_in_their_place(
        self, person: Callable[[str], Account]
    ) -> None:
        Group.objects.get(name="clinician").limits.create(department="surgery")
        person("clinician").limits.create(department="cardiology")
        assert reach_of("clinician").departments == {"cardiology"}

    def test_who_is_no_person_has_no_limit(self, db: None) -> None:
        assert reach_of("portal").whole


class WarningServer:
    """A server that finds nothing, and warns."""

    name = "CT"

    def qido(self, path: str, params: object) -> Answers:
        return Answers([], ("names were matched as they are written",))


class TestSearches:
    def test_hold_only_what_is_open(self, departments: object, cardiologist: Client) -> None:
        assert studies_of(cardiologist) == [RF_STUDY, SR_STUDY]
        page = cardiologist.post("/", {}, follow=True).content.decode()
        assert RF_STUDY in page and CT_STUDY not in page

    def test_without_a_department_follow_the_rule_of_the_node(
        self, departments: object, cardiologist: Client
    ) -> None:
        NodeRule.objects.create(node="RF", closed=True)
        assert studies_of(cardiologist) == [RF_STUDY]

    def test_ask_only_the_servers_within_reach(
        self,
        departments: dict[str, StandIn],
        person: Callable[[str], Account],
        browser: Callable[[str], Client],
    ) -> None:
        person("clinician").limits.create(node="CT")
        assert studies_of(browser("clinician")) == [CT_STUDY]
        assert departments["RF"].asked == []

    def test_pages_count_what_is_open(self, departments: object, cardiologist: Client) -> None:
        pages = [studies_of(cardiologist, f"?limit=1&offset={at}") for at in range(3)]
        assert pages == [[RF_STUDY], [SR_STUDY], []]

    @pytest.mark.parametrize("level", ["series", "instances"])
    def test_of_series_and_images_show_nothing_whose_department_is_not_told(
        self, departments: object, cardiologist: Client, level: str
    ) -> None:
        assert cardiologist.get(f"/dicom-web/{level}").json() == []

    def test_tell_what_the_server_warned_of(self) -> None:
        limited = LimitedServer(WarningServer(), Reach(nodes=frozenset({"CT"})))
        assert limited.qido("studies", {}).warnings == ("names were matched as they are written",)

    def test_of_a_limited_person_do_not_hide_servers_from_others(
        self,
        departments: dict[str, StandIn],
        person: Callable[[str], Account],
        browser: Callable[[str], Client],
        register: Callable,
    ) -> None:
        with node_stand_in("COPY", ct_study(2), config.TRUST_DIR) as copy:
            register(copy)
            person("clinician").limits.create(node="CT")
            browser("clinician").post("/", {}, follow=True)
            browser("clinician").get(STUDY)
            assert not Location.objects.filter(complete=True).exists()


class TestOneExam:
    def test_of_another_department_is_closed_to_programs_with_the_reason(
        self, departments: object, person: Callable[[str], Account], client: Client
    ) -> None:
        person("clinician").limits.create(department="cardiologie")
        token = tokens.create(person("clinician"), [tokens.DICOMWEB])
        bearing = {"Authorization": f"Bearer {token}"}
        for path in (f"studies/{CT_STUDY}/metadata", f"wado?studyUID={CT_STUDY}"):
            answer = client.get(f"/dicom-web/{path}", headers=bearing)
            assert answer.status_code == 403
            assert "not of a server and department" in answer.json()["detail"]
        assert studies_of(client, **bearing) == [RF_STUDY, SR_STUDY]

    def test_that_lies_nowhere_is_not_found(
        self, departments: object, cardiologist: Client
    ) -> None:
        assert cardiologist.get("/studies/1.2.3/").status_code == 404

    def test_is_not_opened_while_the_server_that_knows_its_department_is_silent(
        self, departments: dict[str, StandIn], cardiologist: Client
    ) -> None:
        departments["CT"].behaviour.fails_at = "studies"
        assert cardiologist.get(STUDY).status_code == 502

    def test_is_decided_once_for_many_pictures(
        self, departments: dict[str, StandIn], cardiologist: Client
    ) -> None:
        thumbnail = f"/studies/{RF_STUDY}/series/{RF_STUDY}.1/thumbnail"
        for _ in range(4):
            response = cardiologist.get(thumbnail)
            assert response.status_code == 200
            response.close()
        asked = [path for path in departments["CT"].asked if "DepartmentName%2C" in path]
        assert len(asked) == 1

    def test_several_at_once_are_closed_with_one_of_them(
        self, departments: object, small_viewer: object, cardiologist: Client
    ) -> None:
        address = f"/together/?study={RF_STUDY}&study={CT_STUDY}"
        assert cardiologist.get(address).status_code == 403
        viewer = f"/viewer/viewer?StudyInstanceUIDs={RF_STUDY},{CT_STUDY}"
        assert cardiologist.get(viewer).status_code == 403


class TestBreakingTheGlass:
    def broken(self, client: Client, **said: str):
        return client.post(f"{STUDY}break-glass/", {"reason": REASON, **said})

    def test_the_closed_exam_asks_for_a_reason(
        self, departments: object, cardiologist: Client
    ) -> None:
        response = cardiologist.get(STUDY)
        page = response.content.decode()
        assert response.status_code == 403
        assert "Break the glass" in page and "Lef" not in page

    @pytest.mark.parametrize("reason", ["", "   ", "x"])
    def test_needs_a_reason(self, departments: object, cardiologist: Client, reason: str) -> None:
        assert self.broken(cardiologist, reason=reason).status_code == 422
        assert cardiologist.get(STUDY).status_code == 403

    def test_opens_this_exam_to_this_person_for_a_while_under_a_banner(
        self,
        departments: object,
        cardiologist: Client,
        person: Callable[[str], Account],
        browser: Callable[[str], Client],
    ) -> None:
        assert (
            self.broken(cardiologist, next=f"{STUDY}timeline/")["Location"] == f"{STUDY}timeline/"
        )
        page = cardiologist.get(STUDY)
        assert page.status_code == 200
        assert "You broke the glass" in page.content.decode()
        assert CT_STUDY in studies_of(cardiologist)
        assert cardiologist.get(f"/dicom-web/studies/{CT_STUDY}/metadata").status_code == 200
        assert "You broke the glass" not in cardiologist.get("/").content.decode()
        person("technologist").limits.create(department="cardiologie")
        assert browser("technologist").get(STUDY).status_code == 403
        BrokenGlass.objects.update(until=timezone.now() - timedelta(seconds=1))
        assert cardiologist.get(STUDY).status_code == 403

    def test_opens_an_exam_on_a_server_beyond_reach_and_nothing_else_there(
        self,
        departments: object,
        person: Callable[[str], Account],
        browser: Callable[[str], Client],
    ) -> None:
        person("clinician").limits.create(node="CT")
        clinician = browser("clinician")
        clinician.post(f"/studies/{RF_STUDY}/break-glass/", {"reason": REASON})
        assert clinician.get(f"/studies/{RF_STUDY}/").status_code == 200
        assert studies_of(clinician) == [RF_STUDY, CT_STUDY]

    def test_is_audited_with_its_reason(self, departments: object, cardiologist: Client) -> None:
        self.broken(cardiologist)
        row = AuditEvent.objects.get(action="break-glass")
        assert (row.who, row.study_uid, row.detail["reason"]) == ("clinician", CT_STUDY, REASON)

    def test_is_not_for_those_without_the_right(
        self,
        departments: object,
        person: Callable[[str], Account],
        browser: Callable[[str], Client],
    ) -> None:
        person("researcher").limits.create(department="cardiologie")
        researcher = browser("researcher")
        assert "Break the glass" not in researcher.get(STUDY).content.decode()
        assert self.broken(researcher).status_code == 403
        assert not BrokenGlass.objects.exists()

    def test_grants_nothing_where_nothing_is_closed(
        self, departments: object, clinician: Client
    ) -> None:
        assert self.broken(clinician).status_code == 302
        assert not BrokenGlass.objects.exists()

    def test_leads_to_no_other_site(self, departments: object, cardiologist: Client) -> None:
        assert self.broken(cardiologist, next="https://evil.example/")["Location"] == STUDY

    def test_is_listed_for_review_without_the_patient(
        self, departments: object, cardiologist: Client, browser: Callable[[str], Client]
    ) -> None:
        self.broken(cardiologist)
        it = browser("it")
        page = it.get("/audit/broken-glass/").content.decode()
        assert REASON in page and CT_STUDY in page
        assert "FRJ000001" not in page and "Lef" not in page
        it.post(f"/audit/broken-glass/{BrokenGlass.objects.get().pk}/review/")
        assert BrokenGlass.objects.get().reviewed_by == "it"
        assert REASON not in it.get("/audit/broken-glass/").content.decode()
        assert REASON in it.get("/audit/broken-glass/?show=all").content.decode()


def test_a_limit_belongs_to_one_person_or_group_and_names_one_thing(db: None) -> None:
    from django.db import IntegrityError, transaction

    group = Group.objects.get(name="clinician")
    for wrong in (
        {"group": group},
        {"node": "CT"},
        {"group": group, "node": "A", "department": "B"},
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            Limit.objects.create(**wrong)


@pytest.mark.parametrize(
    ("limit", "granted"),
    [({}, True), ({"node": "CT"}, True), ({"node": "RF"}, False), ({"department": "X"}, False)],
)
def test_a_node_grants_a_token_only_what_reaches_all_of_it(
    person: Callable[[str], Account], client: Client, limit: dict[str, str], granted: bool
) -> None:
    if limit:
        person("clinician").limits.create(**limit)
    token = tokens.create(person("clinician"), [tokens.DICOMWEB])
    asked = {"token": token, "node": "CT"}
    told = client.post("/api/introspect", asked, content_type="application/json").json()
    assert told["active"] is True
    assert told["scopes"] == ([tokens.DICOMWEB] if granted else [])


@pytest.mark.parametrize(
    "path",
    [
        f"studies/{CT_STUDY}",
        f"studies/{CT_STUDY}/series/{CT_STUDY}.1",
        f"studies/{CT_STUDY}/series/{CT_STUDY}.1/instances/{CT_STUDY}.1.1",
        f"wado?requestType=WADO&studyUID={CT_STUDY}&contentType=application/dicom",
    ],
)
def test_a_researcher_looks_at_exams_and_takes_no_files_along(
    nodes: object, browser: Callable[[str], Client], path: str
) -> None:
    researcher = browser("researcher")
    assert researcher.get(f"/dicom-web/{path}").status_code == 403
    rendered = researcher.get(f"/dicom-web/studies/{CT_STUDY}/series/{CT_STUDY}.1/thumbnail")
    assert rendered.status_code == 200
    rendered.close()
