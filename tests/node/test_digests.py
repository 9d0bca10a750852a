"""The digests leave processors and index to what arrives, and are given all the same."""

from __future__ import annotations

from datetime import timedelta

from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from dicom_node.chores import digests
from dicom_node.models import Instance
from tests.node.objects import ct


def times(count):
    """Return a `goes_on` that is true so many times."""
    left = iter([True] * count)
    return lambda: next(left, False)


def test_while_objects_arrive_digests_wait(take, layout, monkeypatch):
    monkeypatch.setattr(digests, "POLL_S", 0)
    monkeypatch.setattr(digests, "QUIET", timedelta(days=1))
    take(ct())
    digests.compute_all(layout, times(20))
    assert digests.waits()


def test_objects_that_never_stop_arriving_do_not_keep_digests_away(take, layout, monkeypatch):
    monkeypatch.setattr(digests, "QUIET", timedelta(days=1))
    monkeypatch.setattr(digests, "PATIENCE_S", 0)
    take(ct())
    digests.compute_all(layout, lambda: True)
    assert not digests.waits()


def test_once_it_is_quiet_digests_are_given_without_waiting(take, layout, monkeypatch):
    monkeypatch.setattr(digests.time, "sleep", lambda _: 1 / 0)
    take(ct())
    Instance.objects.update(arrived_at=timezone.now() - timedelta(hours=1))
    digests.compute_all(layout, lambda: True)
    assert not digests.waits()


def test_a_batch_takes_one_turn_at_the_index(take, layout):
    for number in range(1, 6):
        take(ct(number))
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert digests.compute(layout) == 5
    began = [query for query in queries if query["sql"].startswith(("BEGIN", "SAVEPOINT"))]
    assert len(began) == 1
