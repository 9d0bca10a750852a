"""An index from a backup is older than the disk: what changed since is indexed anew, no more."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.db import connection, connections
from django.test import Client

from dicom_node.chores import digests
from dicom_node.index import checkpoint, rebuild, restored
from dicom_node.ingest import door
from dicom_node.models import Forward, Instance, Quarantined, Study
from dicom_node.store.layout import hour_of
from pacs_common.backup import databases
from tests.node.custody.plans import plan_for
from tests.node.objects import ct
from tests.node.test_rebuild import snapshot

LONG_AGO = datetime.now(UTC) - timedelta(days=90)
OTHER = {"PatientName": "Noël^Zoë", "PatientID": "FR-2", "PatientBirthDate": "1980-02-29",
         "PatientSex": "M"}  # fmt: skip


@pytest.fixture
def web(ticket, ingest):
    def web(scope: str) -> Client:
        return Client(headers={"Authorization": f"Bearer {ticket(scope)}"})

    yield web
    door.close()


@pytest.fixture
def arrive(take, layout):
    """Take a study of two images in, so many days after the first; its folder is as old as that."""

    def arrive(study: str, days: int, **attributes: object) -> None:
        at = LONG_AGO + timedelta(days=days)
        for number in (1, 2):
            ds = ct(number, study=study, series=f"{study}.1", PatientID=f"FR-{study}", **attributes)
            take(ds, arrived_at=at)
        os.utime(layout.folder(hour_of(at)), (at.timestamp(), at.timestamp()))

    return arrive


@pytest.fixture
def go_back(layout, tmp_path) -> Callable[[], Callable[[], restored.Report]]:
    """Back the index up now; what is returned puts it back, and settles it."""

    def backed_up() -> Callable[[], restored.Report]:
        begun, copy = datetime.now(UTC), tmp_path / "index"
        database = databases.of(connection.settings_dict)
        database.dump(copy)

        def put_back() -> restored.Report:
            connections.close_all()
            database.put_back(copy, ".aside")
            for left in Path(database.path).parent.glob("*.aside"):
                left.unlink()
            return restored.settle(layout, begun)

        return put_back

    return backed_up


def reject(web, study: str) -> dict[str, str]:
    answer = web("dicomweb.delete").delete(f"/dicom-web/studies/{study}")
    assert answer.status_code == 200, answer.content
    return answer.json()["rejection"]


def correct(web, study: str) -> None:
    body = {
        "study_uid": study,
        "id": str(uuid.uuid4()),
        "kind": "moved",
        "why": "x",
        "values": OTHER,
    }
    answer = web("corrections.write").post(
        "/api/corrections", body, content_type="application/json"
    )
    assert answer.status_code == 200, answer.content


def comparable() -> dict[object, dict[str, object]]:
    """Return the index without what is only told of how often it was touched."""
    rows = snapshot()
    for values in rows.values():
        for name in ("revision", "prepared_revision", "stored_sha256", "pixel_sha256"):
            values.pop(name, None)
    return rows


def test_everything_that_was_done_since_is_in_the_index_again(
    arrive, take, web, layout, evict, go_back
):
    for day, study in enumerate(("1.2.1", "1.2.2", "1.2.3", "1.2.4", "1.2.5")):
        arrive(study, day)
    arrive("1.2.6", 6)
    undone = reject(web, "1.2.6")
    while digests.compute(layout):
        pass
    put_back = go_back()
    untouched = Study.objects.get(uid="1.2.1").id
    assert evict(plan_for(Study.objects.get(uid="1.2.2"))).json()["evicted"]
    reject(web, "1.2.3")
    correct(web, "1.2.4")
    web("dicomweb.delete").post(f"/api/rejections/{undone['id']}/undo")
    new = LONG_AGO + timedelta(days=80)
    take(ct(1, study="1.2.7", series="1.2.7.1", PatientID="FR-7"), arrived_at=new)
    take(ct(9, study="1.2.5", series="1.2.5.1", PatientID="FR-1.2.5"))
    take(ct(1, study="1.2.1", series="1.2.1.1", PatientID="FR-else"))
    while digests.compute(layout):
        pass
    before = comparable()
    put_back()
    assert Study.objects.get(uid="1.2.1").id == untouched
    while digests.compute(layout):
        pass
    after = comparable()
    assert after.keys() == before.keys()
    for key, values in before.items():
        values["timezone"] = after[key].get("timezone")  # a note that is indexed anew may fill it
        assert after[key] == {k: v for k, v in values.items() if k in after[key]}, key
    rebuild.rebuild(layout)
    assert after == comparable()
    assert Instance.every.filter(damaged=True).count() == 0
    assert Quarantined.objects.count() == 1


def test_what_is_older_than_the_backup_is_not_read_again(arrive, layout, go_back, monkeypatch):
    for day, study in enumerate(("1.2.1", "1.2.2", "1.2.3")):
        arrive(study, day)
    put_back = go_back()
    arrive("1.2.4", 80)
    now = datetime.now(UTC).timestamp()
    newest = layout.objects / Instance.objects.get(uid="1.2.4.1.1").hour
    os.utime(newest, (now, now))
    report = put_back()
    assert (report.added, report.missing) == (2, [])


def test_queues_come_from_the_backup(arrive, go_back):
    arrive("1.2.1", 0)
    Forward.objects.create(uid="1.2.1.1.1", destination="WS1", due_at=datetime.now(UTC))
    put_back = go_back()
    Forward.objects.all().delete()
    put_back()
    assert Forward.objects.get().destination == "WS1"


def test_files_that_went_with_the_disk_are_named_and_flagged(arrive, layout, go_back):
    arrive("1.2.1", 0)
    arrive("1.2.2", 1)
    put_back = go_back()
    layout.object(Instance.objects.get(uid="1.2.1.1.1").hour, "1.2.1.1.1").unlink()
    at = LONG_AGO.timestamp()
    for folder in layout.objects.glob("*/*/*/*"):
        os.utime(folder, (at, at))
    report = put_back()
    assert [line.rpartition("/")[2] for line in report.missing] == ["1.2.1.1.1"]
    assert Instance.every.get(damaged=True).uid == "1.2.1.1.1"


def test_killed_half_way_the_next_start_compares_everything(arrive, layout, go_back, monkeypatch):
    arrive("1.2.1", 0)
    put_back = go_back()
    checkpoint.write(layout)
    monkeypatch.setattr(restored.compare, "catch_up", lambda *told: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        put_back()
    monkeypatch.undo()
    assert checkpoint.read(layout) == ""
