"""How the databases answer: by an index, whatever the number of studies; by plan, not by time."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from django.db import connection

from dicom_node.custody.facts import changed
from dicom_node.index.cursors import selects_after
from dicom_node.index.matching import Condition
from dicom_node.index.query import Level, Position, Query, select
from dicom_node.index.semantics import Semantics
from dicom_node.sampleday.sample_index import make
from tests.support.postgres import cluster
from tests.support.roles import ROOT

pytestmark = pytest.mark.slow

FUZZY = Semantics(fuzzy=True)
CASES = [
    (Query(Level.STUDY, {"PatientID": "FR-010000100"}), {"study_by_patient_id"}),
    (Query(Level.STUDY, {"PatientID": "FR-0100001*"}), {"study_by_patient_id"}),
    (Query(Level.STUDY, {"PatientName": "LEFEVRE-MAR*"}), {"study_by_name"}),
    (Query(Level.STUDY, {"PatientName": "Lefebvre^Elene"}, FUZZY), {"study_by_name_sound"}),
    (Query(Level.STUDY, {"StudyDate": "20200303"}), {"study_by_date"}),
    (Query(Level.STUDY, {"StudyDate": "20200301-20200307"}), {"study_by_date"}),
    (Query(Level.STUDY, {"AccessionNumber": "A0100000500"}), {"study_by_accession"}),
    (
        Query(Level.STUDY, {"StudyDate": "20200301-20200307", "ModalitiesInStudy": "CT"}),
        {"study_by_date"},
    ),
    (Query(Level.STUDY, {"PatientBirthDate": "19500417"}), {"study_by_birth_date"}),
    (Query(Level.STUDY, {"StudyInstanceUID": "1.2.3"}), {"study_once"}),
    (Query(Level.STUDY, {"StudyInstanceUID": "1.2.3\\1.2.4"}), {"study_once"}),
    (Query(Level.PATIENT, {"PatientID": "FR-010000100"}), {"study_by_patient_id"}),
    (
        Query(Level.SERIES, {"StudyInstanceUID": "1.2.3"}),
        {"study_once", "series_once_per_study"},
    ),
    (
        Query(Level.IMAGE, {"StudyInstanceUID": "1.2.3", "SeriesInstanceUID": "1.2.3.1"}),
        {"study_once", "series_by_uid", "series_once_per_study"},
    ),
    (Query(Level.IMAGE, {"SOPInstanceUID": "1.2.3.1.1"}), {"instance_once"}),
]
SCANS = ("SCAN st", "SCAN se", "SCAN i", "Seq Scan on dicom_node_")


def plan(query: Query) -> str:
    """Return the database's plan of a query."""
    return plan_of(select(query))


def plan_of(statement: Condition) -> str:
    """Return the database's plan of a statement."""
    explain = "EXPLAIN " if connection.vendor == "postgresql" else "EXPLAIN QUERY PLAN "
    with connection.cursor() as cursor:
        cursor.execute(explain + statement.sql, statement.params)
        return "\n".join(str(row[-1]) for row in cursor.fetchall())


def hold_to_indexes() -> None:
    """Fail where a query reads a whole table, or none of the indexes that it should."""
    for query, indexes in CASES:
        said = plan(query)
        assert not any(scan in said for scan in SCANS), f"{query.keys}:\n{said}"
        assert any(index in said for index in indexes) or "autoindex" in said, said


def whole_answers_come_in_order_of_an_index() -> None:
    """Fail where everything would be sorted before the first answer."""
    for level in (Level.STUDY, Level.SERIES, Level.IMAGE):
        said = plan(Query(level, {}))
        assert "TEMP B-TREE" not in said, said


def a_page_begins_in_the_index_where_the_one_before_ended() -> None:
    """Fail where a later page of studies would read those of earlier pages, or sort."""
    for day in ("20200303", ""):
        asked = Query(Level.STUDY, {}, limit=51, after=Position(day, "1.2.3"))
        same_day, *earlier = [plan_of(one) for one in selects_after(asked)]
        assert len(earlier) == bool(day)  # nothing is older than what has no date
        begins = ("(study_date=? AND uid>?)", "Index Cond: ((study_date = ")
        assert any(where in same_day for where in begins), same_day
        for said in earlier:
            assert "(study_date<?)" in said or "Index Cond: (study_date < " in said, said
        for said in (same_day, *earlier):
            assert "study_by_date" in said, said
            assert "TEMP B-TREE" not in said and "Sort" not in said, said


def changes_come_in_order_of_an_index() -> None:
    """Fail where the archive's question for what changed would read or sort other studies."""
    since = "2099-01-01T00:00:00+00:00"
    for after in ("", f"{since}/1.2.3"):
        statement, params = changed(since, after)[:500].query.sql_with_params()
        said = plan_of(Condition(statement, params))
        assert "study_by_change" in said, said
        assert not any(word in said for word in ("TEMP B-TREE", "Sort", *SCANS)), said


@pytest.fixture
def filled(db: None) -> None:
    """A small index; SQLite plans without statistics, so its size does not matter."""
    make(studies=60, instances_per_study=2)


def test_sqlite_uses_an_index_for_each_common_query(filled):
    hold_to_indexes()


def test_sqlite_sorts_no_whole_answer(filled):
    whole_answers_come_in_order_of_an_index()


def test_sqlite_begins_a_page_where_the_one_before_ended(filled):
    a_page_begins_in_the_index_where_the_one_before_ended()


def test_sqlite_finds_what_changed_by_an_index(filled):
    changes_come_in_order_of_an_index()


@pytest.fixture(scope="module")
def postgresql() -> Iterator[str]:
    """The URL of a database on a cluster of its own, with an index of 4,000 studies."""
    with cluster() as server:
        url = server.create("plans")
        for argv in (["migrate", "-v0"], ["sample-index", "--studies", "4000"]):
            _manage(url, *argv)
        server.execute("VACUUM ANALYZE", "plans")
        yield url


@pytest.mark.slow
def test_postgresql_uses_an_index_for_each_common_query(postgresql, tmp_path):
    """In a process of its own, since a process knows one database."""
    code = "from tests.node import test_query_plans as plans; plans.hold_to_indexes()"
    _manage(postgresql, "shell", "-v0", "-c", code)


@pytest.mark.slow
def test_postgresql_begins_a_page_where_the_one_before_ended(postgresql):
    code = (
        "from tests.node import test_query_plans as plans;"
        "plans.a_page_begins_in_the_index_where_the_one_before_ended()"
    )
    _manage(postgresql, "shell", "-v0", "-c", code)


@pytest.mark.slow
def test_postgresql_finds_what_changed_by_an_index(postgresql):
    code = (
        "from tests.node import test_query_plans as plans;plans.changes_come_in_order_of_an_index()"
    )
    _manage(postgresql, "shell", "-v0", "-c", code)


@pytest.mark.slow
def test_postgresql_streams_a_long_answer_through_a_cursor(postgresql):
    code = (
        "from dicom_node.index.query import *; from dicom_node.index.cursors import rows;"
        "found = rows(Query(Level.STUDY, {}));"
        "first = next(found); from django.db import connection; c = connection.cursor();"
        "assert len(list(found)) == 3999;"
        "found = rows(Query(Level.IMAGE, {})); next(found);"
        "[next(found) for _ in range(600)];"
        "c.execute('SELECT count(*) FROM pg_cursors'); assert c.fetchone() == (1,);"
        "found.close();"
        "c.execute('SELECT count(*) FROM pg_cursors'); assert c.fetchone() == (0,)"
    )
    _manage(postgresql, "shell", "-v0", "-c", code)


@pytest.mark.slow
def test_postgresql_takes_an_over_long_identifier(postgresql):
    code = (
        "from dicom_node.index.attributes import columns_of, Level;"
        "from dicom_node.models import Study; from django.utils import timezone;"
        "import secrets; junk = secrets.token_hex(20000);"
        "columns = columns_of(lambda path: junk, {Level.PATIENT, Level.STUDY});"
        "columns['uid'] = '1.2.3.4';"
        "Study.objects.create(last_arrival_at=timezone.now(), **columns)"
    )
    _manage(postgresql, "shell", "-v0", "-c", code)


def _manage(url: str, *argv: str) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), "node", *argv],
        env={**os.environ, "PACS_DATABASE_URL": url, "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
