"""Space for recalls: it is promised once, and freed as files come."""

from __future__ import annotations

import json
import os
from datetime import timedelta

import pytest
from django.utils import timezone

from dicom_node.config import CONFIG
from dicom_node.custody import reservations
from dicom_node.models import Reservation, Study
from dicom_node.store import blobs
from tests.node.custody.plans import path_of, plan_for, put
from tests.node.objects import SERIES, STUDY

FREE = 10_000_000


@pytest.fixture
def disk(monkeypatch):
    """A disk with just `FREE` bytes above half of the reserve."""
    real = os.statvfs

    def statvfs(folder):
        found = list(real(folder))
        found[1], found[4] = 1, FREE + CONFIG.reserve_bytes // 2
        return os.statvfs_result(found)

    monkeypatch.setattr(blobs.os, "statvfs", statvfs)


@pytest.fixture
def reserve(archive):
    """Post a reservation."""

    def reserve(size_bytes, study=STUDY):
        told = {"study_uid": study, "bytes": size_bytes}
        return archive("custody.recall", study=study).post(
            "/api/custody/reservations", json.dumps(told), content_type="application/json"
        )

    return reserve


def test_what_fits_is_reserved_for_an_hour(study, reserve, disk):
    answer = reserve(FREE)
    assert answer.status_code == 201
    assert answer.json()["bytes"] == FREE
    left = Reservation.objects.get().expires_at - timezone.now()
    assert timedelta(minutes=59) < left <= timedelta(hours=1)


def test_what_does_not_fit_is_507(study, reserve, disk):
    assert reserve(FREE + 1).status_code == 507
    assert not Reservation.objects.exists()


def test_space_is_promised_once(study, reserve, disk, take):
    Reservation.objects.create(
        study_uid="1.2.9", size_bytes=FREE - 1000, expires_at=timezone.now() + timedelta(hours=1)
    )
    assert reserve(1001).status_code == 507
    assert reserve(1000).status_code == 201


def test_a_study_asks_again_for_what_is_still_to_come(study, reserve, disk):
    reserve(FREE)
    assert reserve(FREE - 5).status_code == 201
    assert Reservation.objects.get().size_bytes == FREE - 5


def test_one_whose_time_is_over_keeps_nobody_out(study, reserve, disk):
    Reservation.objects.create(
        study_uid="1.2.9", size_bytes=FREE, expires_at=timezone.now() - timedelta(seconds=1)
    )
    assert reserve(FREE).status_code == 201
    reservations.sweep()
    assert Reservation.objects.get().study_uid == STUDY


def test_it_is_freed_as_files_come_and_ends_with_the_last(study, reserve, evict, archive, layout):
    files = {n: path_of(layout, f"{SERIES}.{n}").read_bytes() for n in (1, 2, 3)}
    size = sum(map(len, files.values()))
    evict(plan_for(study))
    reserve(size + 77)
    for number, content in files.items():
        put(archive, f"{SERIES}.{number}", content)
        size -= len(content)
        left = Reservation.objects.values_list("size_bytes", flat=True).first()
        assert left == (size + 77 if number < 3 else None)


def test_a_recall_may_not_take_what_is_reserved_for_another(study, evict, archive, layout, disk):
    content = path_of(layout, f"{SERIES}.1").read_bytes()
    evict(plan_for(study))
    other = Reservation.objects.create(
        study_uid="1.2.9", size_bytes=FREE, expires_at=timezone.now() + timedelta(hours=1)
    )
    assert put(archive, f"{SERIES}.1", content).status_code == 507
    Reservation.objects.filter(id=other.id).update(study_uid=STUDY)
    assert put(archive, f"{SERIES}.1", content).status_code == 201


@pytest.mark.parametrize("size", [0, -1, "7", None, True])
def test_nonsense_is_bad_input(study, reserve, size):
    assert reserve(size).status_code == 400


def test_a_study_that_is_not_here_gets_no_space(study, reserve):
    assert reserve(7, study="1.2.3").status_code == 404
    assert Study.objects.count() == 1
