"""The audit read onwards: no line is lost or told twice, whatever ends in between."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dicom_node import audit
from dicom_node.audit import trail
from dicom_node.audit.following import SETTLED, after
from pacs_common.errors import BadInput
from tests.node.objects import STUDY, ct

NOW = datetime(2026, 11, 28, 9, tzinfo=UTC)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "audit").mkdir()
    return tmp_path / "audit"


def write(folder, day: str, *numbers: int, end: str = "\n") -> None:
    for number in numbers:
        line = json.dumps({"at": f"{day}T08:00:00+00:00", "kind": "x", "n": number})
        add(folder, day, line + end)


def add(folder, day: str, text: str) -> None:
    with trail.day_file(folder, day).open("a") as file:
        file.write(text)


def follow(folder, cursor: str = "", limit: int = 2, now: datetime = NOW) -> tuple[list[int], str]:
    found, more = [], True
    while more:
        stretch = after(folder, cursor, limit, now)
        found += [record.get("n", -1) for record in stretch.records]
        cursor, more = stretch.next, stretch.more
    return found, cursor


def test_lines_come_oldest_first_over_days_and_then_only_new_ones(folder):
    write(folder, "2026-11-26", 1, 2, 3)
    write(folder, "2026-11-28", 4)
    found, cursor = follow(folder)
    assert found == [1, 2, 3, 4]
    assert follow(folder, cursor)[0] == []
    write(folder, "2026-11-28", 5)
    assert follow(folder, cursor)[0] == [5]


def test_a_key_is_the_same_at_each_reading_and_of_one_line_alone(folder):
    write(folder, "2026-11-28", 1, 2)
    first, again = (after(folder, "", 10, NOW).records for _ in range(2))
    assert first == again
    assert len({record["key"] for record in first}) == 2


def test_a_line_that_is_being_written_waits(folder):
    write(folder, "2026-11-28", 1)
    write(folder, "2026-11-28", 2, end="")
    found, cursor = follow(folder)
    assert found == [1]
    add(folder, "2026-11-28", "\n")
    assert follow(folder, cursor)[0] == [2]


def test_the_next_day_is_read_only_once_nobody_writes_into_the_last(folder):
    write(folder, "2026-11-27", 1)
    write(folder, "2026-11-28", 3)
    midnight = datetime(2026, 11, 28, tzinfo=UTC)
    found, cursor = follow(folder, now=midnight + SETTLED / 2)
    assert found == [1]
    write(folder, "2026-11-27", 2)  # the line of a process that was slow
    assert follow(folder, cursor, now=midnight + SETTLED)[0] == [2, 3]


def test_a_torn_line_is_told_and_hides_none(folder):
    write(folder, "2026-11-27", 1)
    add(folder, "2026-11-27", '{"at": "2026-11-2\n')
    write(folder, "2026-11-27", 2, end="")
    records = after(folder, "", 10, NOW).records
    assert [record["kind"] for record in records] == ["x", "unreadable", "x"]


def test_swept_days_are_passed_over(folder):
    write(folder, "2026-11-20", 1)
    cursor = follow(folder)[1]
    write(folder, "2026-11-28", 2)
    trail.sweep(folder, 3, NOW)
    assert follow(folder, cursor)[0] == [2]


def test_another_file_in_the_place_of_a_days_is_read_from_its_beginning(folder):
    write(folder, "2026-11-28", 1, 2, 3)
    before, cursor = after(folder, "", 10, NOW).records, follow(folder)[1]
    trail.day_file(folder, "2026-11-28").unlink()
    write(folder, "2026-11-28", 7)
    assert follow(folder, cursor)[0] == [7]
    assert after(folder, "", 10, NOW).records[0]["key"] not in {one["key"] for one in before}


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 4)), max_size=8), st.integers(1, 5))
def test_however_it_is_stopped_each_line_is_told_once(tmp_path_factory, steps, limit):
    folder = tmp_path_factory.mktemp("audit")
    day, number, cursor, found = datetime(2026, 11, 1, tzinfo=UTC), 0, "", []
    for days_on, count in steps:
        day += timedelta(days=days_on)
        write(folder, f"{day:%Y-%m-%d}", *range(number, number + count))
        number += count
        stretch = after(folder, cursor, limit, day + timedelta(hours=9))
        found += [record["n"] for record in stretch.records]
        cursor = stretch.next
    found += follow(folder, cursor, limit, day + timedelta(hours=9))[0]
    assert found == list(range(number))


@pytest.mark.parametrize("cursor", ["x", "2026-11-28", "2026-11-28:-1", "2026-11-28:1:2", "../x:1"])
def test_a_cursor_that_is_none_is_refused(folder, cursor):
    with pytest.raises(BadInput):
        after(folder, cursor, 10, NOW)


def test_the_portal_alone_may_read_onwards(layout, db, ticket, client):
    def asked(scope: str, **params: str):
        return client.get(
            "/api/audit/lines", params, headers={"Authorization": f"Bearer {ticket(scope)}"}
        )

    assert client.get("/api/audit/lines").status_code == 401
    assert asked("status").status_code == 403
    cursor = asked("audit.read").json()["next"]
    audit.note("query", ae_title="WS1")
    told = asked("audit.read", after=cursor).json()
    assert [record["ae_title"] for record in told["records"]] == ["WS1"]
    assert asked("audit.read", after="x").status_code == 400


def test_lines_come_with_the_patients_of_their_studies(take, layout, ticket, client):
    take(ct())
    audit.note("sent", ae_title="WS1", studies={STUDY: 1, "1.2.9": 2})
    audit.note("read", study_uid=STUDY)
    answer = client.get(
        "/api/audit/lines", headers={"Authorization": f"Bearer {ticket('audit.read')}"}
    ).json()
    made = ct()
    assert answer["patients"] == {STUDY: {"issuer": "FREJUS", "id": made.PatientID}}
