"""The audit's pages: filters, pages by keyset, reports, CSV; patients for those alone who may."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from pacs_web.audit.filters import Filters, page_of
from pacs_web.audit.models import AuditEvent, append_all
from pacs_web.audit.tables import safe

NOON = datetime(2021, 11, 20, 12, tzinfo=UTC)
STUDY = "1.2.826.7"


def add(**given: object) -> AuditEvent:
    return AuditEvent.objects.create(**({"who": "lea", "action": "study", "at": NOON} | given))


@pytest.fixture
def acts(db: None) -> None:
    """What three people did with two patients' exams."""
    martin = {"patient_id": "P-1", "patient_issuer": "FREJUS"}
    add(study_uid=STUDY, **martin, detail={"name": "MARTIN"})
    add(who="WS1", action="send", study_uid=STUDY, source="CT", at=NOON + timedelta(hours=1))
    add(who="tom", action="refused", result="refused", study_uid=STUDY, at=NOON + timedelta(days=1))
    add(study_uid="1.2.9", patient_id="P-1", patient_issuer="ELSEWHERE")
    add(action="search", at=NOON - timedelta(days=30))


def shown(client: Client, **asked: str) -> int:
    answer = client.get("/audit/", asked)
    assert answer.status_code == 200
    return answer.content.decode().count('data-label="When"')


@pytest.mark.parametrize(
    ("asked", "rows"),
    [
        ({"who": "lea"}, 3),
        ({"who": "le"}, 0),
        ({"action": "study"}, 2),
        ({"result": "refused"}, 1),
        ({"source": "CT"}, 1),
        ({"study": STUDY}, 3),
        ({"since": "2021-11-21", "until": "2021-11-22"}, 1),
        ({"until": "2021-11-20"}, 4),
        ({"since": "2021-11-20", "until": "2021-11-20", "who": "lea"}, 2),
        ({"who": "lea", "action": "nonsense", "since": "2021-02-31", "until": "x"}, 3),
    ],
)
def test_rows_are_narrowed_by_each_filter(
    acts: None, browser: Callable[[str], Client], asked: dict[str, str], rows: int
) -> None:
    assert shown(browser("it"), **asked) == rows


def test_pages_go_on_where_the_last_ended_though_rows_come(
    db: None, browser: Callable[[str], Client]
) -> None:
    append_all([AuditEvent(who=f"p{n}", action="search", at=NOON) for n in range(120)])
    rows = Filters.of({"action": "search"}).rows()
    found, cursor = [], ""
    for _page in range(3):
        page = page_of(rows, cursor)
        found += [row.who for row in page.rows]
        cursor = page.older
        add(action="search", at=NOON + timedelta(days=1))
    assert found == [f"p{n}" for n in reversed(range(120))]
    assert cursor == ""
    first = browser("it").get("/audit/", {"action": "search"}).content.decode()
    assert "older=2021" in first and "action=search" in first


@pytest.mark.parametrize("cursor", ["x", "2021-11-20T12:00:00,1", ",", "2021-99-99T1:1,1", "\x00"])
def test_a_cursor_that_is_nonsense_is_the_first_page(
    acts: None, browser: Callable[[str], Client], cursor: str
) -> None:
    assert shown(browser("it"), older=cursor, who="lea") == 3


@pytest.mark.parametrize("asked", [
    {}, {"who": "p1"}, {"action": "study"}, {"result": "failed"}, {"source": "CT"},
    {"study": "1.2.5"}, {"since": "2021-11-01", "until": "2021-11-02"},
])  # fmt: skip
def test_a_page_reads_an_index_and_sorts_nothing(db: None, asked: dict[str, str]) -> None:
    append_all([
        AuditEvent(
            who=f"p{n % 9}", action="study" if n % 2 else "images", study_uid=f"1.2.{n % 50}",
            source="CT" if n % 3 else "portal", at=NOON + timedelta(seconds=n),
        )
        for n in range(3000)
    ])  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    for older in ("", f"{(NOON + timedelta(seconds=900)).isoformat()},700"):
        with CaptureQueriesContext(connection) as queries:
            page_of(Filters.of(asked).rows(), older)
        [query] = queries.captured_queries
        with connection.cursor() as cursor:
            cursor.execute("EXPLAIN QUERY PLAN " + query["sql"])
            plan = " / ".join(str(line[-1]) for line in cursor.fetchall())
        assert "INDEX" in plan, plan
        assert "TEMP B-TREE" not in plan, plan


def test_the_list_costs_few_queries(acts: None, browser: Callable[[str], Client]) -> None:
    client = browser("privacy")
    client.get("/audit/")
    with CaptureQueriesContext(connection) as queries:
        client.get("/audit/")
    assert len(queries) <= 12


class TestPatientsAreForThoseWhoWatchOverPrivacy:
    def test_it_sees_none_in_the_list_nor_in_its_file(
        self, acts: None, browser: Callable[[str], Client]
    ) -> None:
        it = browser("it")
        page = it.get("/audit/").content.decode()
        file = b"".join(it.get("/audit/export.csv")).decode()
        for text in (page, file):
            assert STUDY in text
            assert "P-1" not in text and "MARTIN" not in text

    def test_privacy_sees_them(self, acts: None, browser: Callable[[str], Client]) -> None:
        page = browser("privacy").get("/audit/").content.decode()
        assert "P-1" in page and "MARTIN" in page

    @pytest.mark.parametrize("address", ["/audit/patient/", "/audit/person/"])
    def test_it_opens_no_report(
        self, acts: None, browser: Callable[[str], Client], address: str
    ) -> None:
        assert browser("it").post(address, {"patient_id": "P-1"}).status_code == 403


class TestWhoSawAPatient:
    def ask(self, client: Client, as_: str = "page", **more: str) -> str:
        given = {"patient_id": "P-1", "issuer": "FREJUS", "as": as_} | more
        answer = client.post("/audit/patient/", given)
        assert answer.status_code == 200
        return b"".join(answer).decode() if answer.streaming else answer.content.decode()

    def test_names_all_with_the_patients_studies_and_no_other_patient(
        self, acts: None, browser: Callable[[str], Client]
    ) -> None:
        page = self.ask(browser("privacy"))
        assert all(f">{who}<" in page for who in ("lea", "WS1", "tom"))
        assert "1.2.9" not in page and "ELSEWHERE" not in page
        assert "3 persons or programs" in page

    def test_is_cut_to_the_days(self, acts: None, browser: Callable[[str], Client]) -> None:
        page = self.ask(browser("privacy"), until="2021-11-20", since="2021-11-20")
        assert ">tom<" not in page and ">WS1<" in page

    def test_answers_an_access_request_with_who_what_and_when(
        self, acts: None, browser: Callable[[str], Client]
    ) -> None:
        page = self.ask(browser("privacy"), "print")
        assert "Article 15" in page and "data-print" in page
        assert "20/11/2021 13:00" in page and "Sent to another system" in page

    def test_is_a_csv_file(self, acts: None, browser: Callable[[str], Client]) -> None:
        text = self.ask(browser("privacy"), "csv")
        rows = list(csv.reader(io.StringIO(text.removeprefix("\ufeff"))))
        assert rows[0][:3] == ["When", "Person", "Act"]
        assert [row[1] for row in rows[1:]] == ["tom", "WS1", "lea"]

    def test_is_itself_noted_with_the_patient_but_does_not_count_as_seeing(
        self, acts: None, browser: Callable[[str], Client]
    ) -> None:
        client = browser("privacy")
        assert 'who-name">privacy<' not in self.ask(client) + self.ask(client)
        noted = AuditEvent.objects.filter(action="audit")
        assert [(row.who, row.patient_id) for row in noted] == [("privacy", "P-1")] * 2

    @pytest.mark.parametrize("given", [{}, {"patient_id": "P", "since": "x"}])
    def test_a_form_that_is_incomplete_says_so(
        self, acts: None, browser: Callable[[str], Client], given: dict[str, str]
    ) -> None:
        answer = browser("privacy").post("/audit/patient/", given)
        assert answer.status_code == 422
        assert "field-error" in answer.content.decode()


def test_what_a_person_saw_is_a_line_for_each_exam(
    acts: None, browser: Callable[[str], Client]
) -> None:
    add(study_uid=STUDY, patient_id="P-1", patient_issuer="FREJUS", at=NOON + timedelta(hours=3))
    page = browser("privacy").get("/audit/person/", {"who": "lea"}).content.decode()
    assert page.count('data-label="Patient"') == 2
    assert "20/11/2021 16:00" in page
    assert AuditEvent.objects.get(action="audit").detail["filters"] == {"who": "lea"}


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_no_cell_is_a_formula(cell: str) -> None:
    assert safe(cell) == f"'{cell}"
    assert safe("1=1") == "1=1"


def test_an_export_is_streamed_and_noted(acts: None, browser: Callable[[str], Client]) -> None:
    add(who="=cmd|' /C calc'!A0")
    answer = browser("privacy").get("/audit/export.csv", {"source": "portal"})
    assert answer.streaming and "attachment" in answer["Content-Disposition"]
    rows = list(csv.reader(io.StringIO(b"".join(answer).decode().removeprefix("\ufeff"))))
    assert "'=cmd|' /C calc'!A0" in {row[1] for row in rows}
    assert AuditEvent.objects.get(action="audit").detail["report"] == "export"
