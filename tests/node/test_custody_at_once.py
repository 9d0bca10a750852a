"""Arrivals, rejections, undos, evictions and recalls of one study at once: the counts are right."""

from __future__ import annotations

import io
import random
import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connections
from django.db.models import Sum
from django.test import Client

from dicom_node.chores import digests
from dicom_node.custody import evict, recall
from dicom_node.ingest import door
from dicom_node.models import Instance, Quarantined, Rejection, Series, Study
from dicom_node.store import part10
from dicom_node.store.layout import Layout
from pacs_common.availability import Availability
from pacs_common.errors import ArgensError
from tests.node.objects import SERIES, STUDY, ct
from tests.node.stow_bodies import as_file, body, poster

pytestmark = pytest.mark.slow
ADDRESS = f"/dicom-web/studies/{STUDY}"


@pytest.fixture
def client(ticket, ingest) -> Callable[[], Client]:
    said = ticket("dicomweb.delete", "dicomweb.store")
    yield lambda: Client(headers={"Authorization": f"Bearer {said}"})
    door.close()


def at_once(*works: Callable[[], object]) -> list[object]:
    """Run each work in a thread of its own; returns what they return."""
    results: list[object] = [None] * len(works)

    def run(number: int) -> None:
        try:
            results[number] = works[number]()
        except Exception as error:
            results[number] = error
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def require_counts() -> None:
    """Compare every count of the study with its instances."""
    study = Study.objects.get(uid=STUDY)
    every, shown = Instance.every.filter(series__study=study), Instance.objects.all()
    shown = shown.filter(series__study=study)
    away = shown.exclude(availability=Availability.ONLINE)
    online = every.filter(availability=Availability.ONLINE)
    assert study.instance_count == shown.count()
    assert study.rejected_count == every.count() - shown.count()
    assert study.evicted_count == away.count()
    assert study.size_bytes == every.aggregate(s=Sum("size_bytes", default=0))["s"]
    assert study.online_bytes == online.aggregate(s=Sum("size_bytes", default=0))["s"]
    assert study.series_count == shown.values("series").distinct().count()
    for series in Series.objects.filter(study=study):
        assert series.instance_count == shown.filter(series=series).count()
        assert series.evicted_count == away.filter(series=series).count()


def test_of_many_who_delete_at_once_one_is_obeyed(take, client):
    for number in range(1, 9):
        take(ct(number))
    answers = at_once(*[lambda: client().delete(ADDRESS).status_code for _ in range(4)])
    assert set(answers) <= {200, 404, 409}, answers
    assert answers.count(200) == 1
    require_counts()
    assert Study.objects.get().instance_count == 0
    assert Rejection.objects.count() == 1


def test_two_requests_with_one_uid_keep_both_contents(client):
    first, second = ct(1), ct(1, StudyDescription="other")
    answers = at_once(
        *[lambda ds=ds: poster(client())(body([as_file(ds)] * 3)) for ds in (first, second)]
    )
    assert sorted(answer.status_code for answer in answers) == [200, 202]
    assert (Instance.every.count(), Quarantined.objects.count()) == (1, 1)


class Busy:
    """What people and the archive do with a study, at random."""

    def __init__(self, client: Callable[[], Client], layout: Layout) -> None:
        self._client, self._layout, self._chosen = client, layout, random.Random(7)
        self._content = {
            row.uid: layout.object(row.hour, row.uid).read_bytes() for row in Instance.objects.all()
        }

    def delete_and_undo(self) -> None:
        for _ in range(6):
            row = self._any()
            series = f"{ADDRESS}/series/{row.series.uid}"
            target = self._chosen.choice([ADDRESS, series, f"{series}/instances/{row.uid}"])
            answer = self._client().delete(target)
            assert answer.status_code in (200, 404, 409), answer.content
            if answer.status_code == 200 and self._chosen.random() < 0.7:
                told = answer.json()["rejection"]["id"]
                assert self._client().post(f"/api/rejections/{told}/undo").status_code == 200

    def evict_and_recall(self) -> None:
        eviction = evict.Eviction(self._layout, timedelta())
        for _ in range(10):
            row = self._any()
            content = self._content[row.uid]
            try:
                if row.availability == Availability.ONLINE:
                    evict.keep_stub(self._layout, row)
                    eviction._remove(row.series.study, [row])
                else:
                    size = len(content)
                    recall.put_back(self._layout, row, io.BytesIO(content), size, reserve_bytes=1)
            except ArgensError:
                continue  # a plan that is void: the study was recalled meanwhile

    def _any(self) -> Instance:
        uid = self._chosen.choice(sorted(self._content))
        return Instance.every.select_related("series__study").get(uid=uid)


def test_counts_are_right_after_everything_at_once(take, client, layout):
    for number in range(1, 13):
        take(ct(number, series=f"{SERIES}.{number % 3}"))
    digests.compute(layout)
    busy = Busy(client, layout)

    def arrive() -> None:
        for number in range(20, 32):
            take(ct(number, series=f"{SERIES}.{number % 4}"))

    works = [busy.delete_and_undo, busy.evict_and_recall] * 2
    assert at_once(*works, arrive) == [None] * 5
    require_counts()
    for row in Instance.every.filter(availability=Availability.ONLINE):
        path = layout.object(row.hour, row.uid)
        assert part10.data_set_sha256(path) == row.received_sha256
