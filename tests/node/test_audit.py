"""The audit: whole lines from many processes, bounded and escaped, read newest first, swept."""

from __future__ import annotations

import dataclasses
import json
import os
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dicom_node import audit
from dicom_node.audit import reading, trail
from dicom_node.chores import digests
from dicom_node.models import Instance
from pacs_common.errors import BadInput
from tests.node.objects import SERIES, STUDY, ct

pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
TODAY = datetime.now(UTC)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(trail, "CONFIG", dataclasses.replace(trail.CONFIG, data_dir=tmp_path))
    return tmp_path / "audit"


def lines(folder) -> list[dict]:
    files = sorted(folder.glob("*.jsonl"))
    found = [line for file in files for line in file.read_bytes().splitlines()]
    return [json.loads(line, parse_constant=pytest.fail) for line in found]  # NaN is no JSON


def test_an_act_is_one_line_with_its_time_kind_and_details(folder):
    assert audit.note("query", ae_title="WS1", address="10.0.0.8", keys={"PatientID": "P1"})
    (record,) = lines(folder)
    assert record.pop("at").endswith("+00:00")
    assert record == {
        "kind": "query",
        "ae_title": "WS1",
        "address": "10.0.0.8",
        "keys": {"PatientID": "P1"},
    }
    (file,) = folder.iterdir()
    assert file.stat().st_mode & 0o777 == 0o640


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.dictionaries(st.from_regex(r"[a-z]{1,8}", fullmatch=True), anything, max_size=4))
def test_whatever_a_peer_says_is_one_line_without_controls(folder, details):
    before = len(lines(folder)) if folder.exists() else 0
    details = {name: one for name, one in details.items() if name != "kind"}
    assert audit.note("said", **details)
    assert len(lines(folder)) == before + 1
    content = b"".join(file.read_bytes() for file in folder.iterdir())
    assert all(32 <= byte < 127 or byte == 10 for byte in content)


def test_long_details_are_cut_and_say_so(folder):
    audit.note(
        "query", keys={"StudyInstanceUID": [f"1.2.{n}" for n in range(500)]}, name="x" * 5000
    )
    (record,) = lines(folder)
    assert len(record["name"]) == trail.MAX_TEXT + 1
    assert record["keys"]["StudyInstanceUID"][-1] == "and 400 more"
    audit.note("stored", studies={f"1.2.{n}": 1 for n in range(130)})
    assert lines(folder)[-1]["studies"]["..."] == "and 30 more"
    audit.note("query", keys=[["y" * 1000] * 100] * 100, ae_title="WS1")
    last = lines(folder)[-1]
    assert (last["shortened"], last["ae_title"]) == (True, "WS1")
    assert max(file.stat().st_size for file in folder.iterdir()) < 2 * trail.MAX_LINE_BYTES


def test_lines_of_many_processes_stay_whole(folder):
    children = []
    for number in range(4):
        pid = os.fork()
        if pid == 0:
            for count in range(100):
                trail.note("stored", process=number, count=count, uids=["1.2.3"] * 50)
            os._exit(0)
        children.append(pid)
    for pid in children:
        assert os.waitpid(pid, 0)[1] == 0
    seen = {(record["process"], record["count"]) for record in lines(folder)}
    assert len(seen) == 400


def test_a_disk_that_takes_nothing_stops_nobody(folder, caplog):
    folder.write_text("a file where the folder should be")
    assert audit.note("query", ae_title="WS1", keys={"PatientName": "MARTIN"}) is False
    assert "cannot be written" in caplog.text
    assert "MARTIN" not in caplog.text


def test_old_days_are_swept_and_the_others_kept(folder):
    folder.mkdir()
    for age in (0, 9, 10, 11, 400):
        trail.day_file(folder, f"{TODAY - timedelta(days=age):%Y-%m-%d}").write_text("{}\n")
    (folder / "notes.txt").write_text("not ours")
    assert trail.sweep(folder, 10, TODAY) == 2
    assert len(trail.days(folder)) == 3
    assert (folder / "notes.txt").exists()


def past(folder, day: str, *kinds: str) -> None:
    folder.mkdir(exist_ok=True)
    for number, kind in enumerate(kinds):
        record = {"at": f"{day}T00:00:{number:02}.000+00:00", "kind": kind, "n": number}
        with trail.day_file(folder, day).open("a") as file:
            file.write(json.dumps(record) + "\n")


def read_all(folder, **asked) -> list[str]:
    """Follow the pages to their end; returns what was read as "day/n"."""
    found, before = [], ""
    while True:
        page = reading.page(folder, before=before, **asked)
        found += [f"{record['at'][:10]}/{record['n']}" for record in page.records]
        if page.next is None:
            return found
        before = page.next


def test_records_are_read_newest_first_over_days_and_pages(folder, monkeypatch):
    past(folder, "2026-01-01", *["a"] * 5)
    past(folder, "2026-01-02", *["a"] * 3)
    expected = [f"2026-01-02/{n}" for n in (2, 1, 0)] + [f"2026-01-01/{n}" for n in (4, 3, 2, 1, 0)]
    for block in (7, 60, 1 << 18):  # lines that lie across blocks, and many in one
        monkeypatch.setattr(reading, "BLOCK_BYTES", block)
        for limit in (1, 2, 3, 8, 100):
            assert read_all(folder, limit=limit) == expected


def test_records_are_chosen_by_kind_and_time(folder):
    past(folder, "2026-01-01", "query", "rejected", "query")
    past(folder, "2026-01-02", "rejected", "query")
    assert read_all(folder, limit=1, kind="rejected") == ["2026-01-02/0", "2026-01-01/1"]
    since = "2026-01-01T00:00:02.000+00:00"
    assert read_all(folder, limit=10, since=since) == [
        "2026-01-02/1",
        "2026-01-02/0",
        "2026-01-01/2",
    ]


def test_a_page_reads_so_much_and_goes_on_where_it_stopped(folder, monkeypatch):
    past(folder, "2026-01-01", "rare", *["query"] * 50)
    monkeypatch.setattr(reading, "MOST_BYTES", 500)
    first = reading.page(folder, kind="rare", limit=10)
    assert (first.records, first.next is not None) == ([], True)
    assert read_all(folder, kind="rare", limit=10) == ["2026-01-01/0"]


def test_a_torn_line_hides_no_other(folder):
    past(folder, "2026-01-01", "a")
    with trail.day_file(folder, "2026-01-01").open("a") as file:
        file.write('{"at": "2026-01-01T00:00:0\n[1]\n{"kind": 5}\n')
    past(folder, "2026-01-01", "a")
    assert read_all(folder, limit=10) == ["2026-01-01/0", "2026-01-01/0"]


def test_a_cursor_of_nobodys_making_is_refused(folder):
    for cursor in ("x", "2026-01-01", "2026-01-01:-1", "../../x:1"):
        with pytest.raises(BadInput):
            reading.page(folder, limit=1, before=cursor)


@pytest.fixture
def acts(layout):
    """What the node's own audit holds of a kind, oldest first."""

    def acts(kind: str) -> list[dict]:
        return [record for record in lines(layout.audit) if record["kind"] == kind]

    return acts


def test_a_query_over_http_is_audited_with_its_keys(take, portal, acts, caplog):
    take(ct(1))
    portal.get("/dicom-web/studies", {"PatientName": "MARTIN*", "limit": 5})
    (query,) = acts("query")
    assert query["keys"] == {"PatientName": ["MARTIN*"], "limit": ["5"]}
    assert (query["by"], query["issuer"], query["address"]) == ("tester", "portal", "127.0.0.1")
    assert "MARTIN" not in caplog.text


def test_who_reads_a_study_over_http_is_one_line_a_minute(take, portal, archive, acts):
    take(ct(1))
    take(ct(2))
    address = f"/dicom-web/studies/{STUDY}"
    for number in (1, 2):
        portal.get(f"{address}/series/{SERIES}/instances/{SERIES}.{number}/metadata")
    portal.get(address).close()
    archive("custody.read", study=STUDY).get(f"/api/custody/studies/{STUDY}")
    readers = [(record["study_uid"], record["issuer"], record["scope"]) for record in acts("read")]
    assert readers == [(STUDY, "portal", "dicomweb"), (STUDY, "archive", "custody.read")]


def test_who_is_not_let_in_reads_nothing_and_is_no_line(take, acts, client):
    take(ct(1))
    client.get(f"/dicom-web/studies/{STUDY}")
    assert acts("read") == []


def test_an_eviction_is_audited(take, layout, archive, acts):
    take(ct(1))
    digests.compute_all(layout, lambda: True)
    row = Instance.objects.get()
    plan = {
        "plan_id": "p1",
        "study_uid": STUDY,
        "revision": 1,
        "recalls": 0,
        "instances": [
            {
                "sop_instance_uid": row.uid,
                "stored_sha256": row.stored_sha256,
                "copies": [{"vault": "v", "volume": "A1", "member": "m", "verified_at": "now"}],
            }
        ],
    }
    asking = archive("custody.evict", study=STUDY, plan="p1")
    answer = asking.post("/api/custody/evictions", plan, "application/json").json()
    assert answer["evicted"] == [row.uid]
    (record,) = acts("evicted")
    assert (record["by"], record["study_uid"], record["instances"]) == ("tester", STUDY, 1)
    assert record["freed_bytes"] == answer["freed_bytes"] > 0
