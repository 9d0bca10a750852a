"""What the node prepares once a study is quiet, and how its queue behaves."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from django.utils import timezone

from dicom_node.chores import renditions
from dicom_node.config import Keeping
from dicom_node.models import FrameMap, Instance, Preparation, Study
from dicom_node.prepared import preparing, saving
from dicom_node.prepared.kept import PICTURES, FrameFiles
from dicom_node.prepared.pictures import thumbnail_wanted
from tests.node.objects import SERIES, STUDY, ct, put_away
from tests.node.test_frames import JPEG, get
from tests.node.web_answers import parts_of, require_problem, whole

pytestmark = pytest.mark.slow

PIXELS = np.arange(64 * 64, dtype="<u2").reshape(64, 64) // 16


def always() -> bool:
    return True


def never_made():
    raise AssertionError("made again")


def slice_(number: int, **attributes: object):
    return ct(number, Rows=64, Columns=64, PixelData=(PIXELS + number).tobytes(), **attributes)


def frames_of(number: int) -> str:
    return f"/dicom-web/studies/{STUDY}/series/{SERIES}/instances/{SERIES}.{number}/frames"


def object_file(layout, number: int) -> Path:
    row = Instance.objects.get(uid=f"{SERIES}.{number}")
    return layout.object(row.hour, row.uid)


def kept_as(layout, beginning: bytes) -> list[Path]:
    files = [path for path in layout.renditions.rglob("*") if path.is_file()]
    return [path for path in files if path.read_bytes().startswith(beginning)]


def settle_all(quiet_s: float = 0.0) -> None:
    for study in renditions.due(quiet_s):
        renditions.settle(study, always)


@pytest.fixture
def two_slices(take):
    take(slice_(1))
    take(slice_(2))


def test_a_study_is_due_when_it_has_been_quiet(two_slices):
    assert not renditions.due(60).exists()
    Study.objects.update(last_arrival_at=timezone.now() - timedelta(seconds=61))
    assert renditions.due(60).get().uid == STUDY


def test_frames_are_answered_from_what_was_prepared(two_slices, portal, layout):
    settle_all()
    for number in (1, 2):
        file = object_file(layout, number)
        file.write_bytes(bytes(file.stat().st_size))  # nothing can be made of it any more
        (part,) = parts_of(get(portal, "1", JPEG, frames_of(number)))
        assert np.array_equal(imagecodecs.ljpeg_decode(part.body), PIXELS + number)


def test_where_frames_lie_is_kept_in_the_index(two_slices, layout):
    settle_all()
    for image in Instance.objects.all():
        content = layout.object(image.hour, image.uid).read_bytes()
        map_ = FrameMap.objects.get(instance=image)
        assert (map_.count, map_.stride) == (1, PIXELS.nbytes)
        assert content[map_.start :] == (PIXELS + image.number).tobytes()


def test_the_thumbnail_of_the_middle_image_is_prepared(two_slices, take):
    take(slice_(3))
    settle_all()
    middle = Instance.objects.select_related("series__study").get(number=2)
    assert PICTURES.get_or_make(thumbnail_wanted(middle).key, never_made)


def test_the_metadata_of_its_series_is_prepared(two_slices, layout, portal):
    settle_all()
    kept = [path for path in layout.metadata.rglob("*") if path.is_file()]
    assert len(kept) == 1
    written = kept[0].stat().st_mtime_ns
    answer = portal.get(f"/dicom-web/studies/{STUDY}/series/{SERIES}/metadata")
    assert len(json.loads(whole(answer))) == 2
    assert kept[0].stat().st_mtime_ns == written


def test_what_was_prepared_is_not_due_again_until_an_instance_comes_late(two_slices, take, layout):
    settle_all()
    assert not renditions.due(0).exists()
    take(slice_(3))
    settle_all()
    assert FrameMap.objects.count() == 3
    assert Preparation.objects.get().images == 3
    assert not renditions.due(0).exists()


def test_an_arrival_while_a_study_is_prepared_makes_it_due_again(two_slices, take):
    study = renditions.due(0).get()
    take(slice_(3))
    renditions.settle(study, always)
    assert renditions.due(0).exists()


def test_what_was_interrupted_goes_on_where_it_was(two_slices, layout):
    answers = iter([True] * 4)
    study = renditions.due(0).get()
    renditions.settle(study, lambda: next(answers, False))
    assert renditions.due(0).exists()
    settle_all()
    assert not renditions.due(0).exists()
    assert Preparation.objects.get().images == 2


def test_a_study_that_fails_blocks_no_other_and_is_left_after_three_tries(
    two_slices, take, layout, caplog
):
    other = "1.2.826.0.1.3680043.10.1361.77"
    take(slice_(5, study=other, series=f"{other}.1"))
    file = object_file(layout, 1)
    file.unlink()
    file.mkdir()  # a fault that nobody foresees
    for tries in (1, 2, 3):
        settle_all()
        assert Study.objects.get(uid=other).prepared_revision == 1
        noted = Preparation.objects.get(study__uid=STUDY)
        assert (noted.attempts, noted.error[:16]) == (tries, "IsADirectoryErro")
        assert not renditions.due(0).exists()  # not before its time
        Preparation.objects.update(due_at=timezone.now())
        assert renditions.due(0).exists() == (tries < 3)


def test_a_late_instance_gives_a_failed_study_new_tries(two_slices, take, layout):
    file = object_file(layout, 1)
    content = file.read_bytes()
    file.unlink()
    file.mkdir()
    settle_all()
    file.rmdir()
    file.write_bytes(content)
    take(slice_(3))
    settle_all()
    assert Preparation.objects.get().error == ""
    assert not renditions.due(0).exists()


def test_frames_that_do_not_shrink_are_remembered_as_such(take, portal, layout):
    noise = np.random.default_rng(1).integers(0, 1 << 16, (64, 64), "<u2")
    take(ct(1, Rows=64, Columns=64, BitsStored=16, HighBit=15, PixelData=noise.tobytes()))
    settle_all()
    (kept,) = kept_as(layout, b"refused ")
    written = kept.stat().st_mtime_ns
    require_problem(get(portal, "1", JPEG, frames_of(1)), 406)
    assert kept.stat().st_mtime_ns == written
    assert Preparation.objects.get().images == 0


def test_the_saving_is_measured(two_slices, portal):
    settle_all()
    noted = Preparation.objects.get()
    sizes = [len(parts_of(get(portal, "1", JPEG, frames_of(n)))[0].body) for n in (1, 2)]
    assert (noted.original_bytes, noted.rendition_bytes) == (2 * PIXELS.nbytes, sum(sizes))
    told = saving.account()
    assert (told["images"], told["rendition_bytes"]) == (2, sum(sizes))


def test_without_renditions_frames_are_mapped_and_thumbnails_made(two_slices, layout):
    assert preparing.prepare(Study.objects.get(), always, Keeping.OFF)
    assert FrameMap.objects.count() == 2
    assert kept_as(layout, b"--argens") == []


def test_an_old_study_displaces_nothing_in_a_full_cache(two_slices, layout, monkeypatch):
    full = FrameFiles(layout.renditions, 100_000)
    (layout.renditions / "ab").mkdir(parents=True)
    (layout.renditions / "ab" / "kept").write_bytes(bytes(92_000))
    monkeypatch.setattr(preparing, "FRAMES", full)
    Study.objects.update(last_arrival_at=timezone.now() - timedelta(days=2))
    assert preparing.prepare(Study.objects.get(), always, Keeping.CACHE)
    assert Preparation.objects.get().images == 0


def test_an_evicted_image_is_passed_over(two_slices, layout, portal):
    put_away(layout, f"{SERIES}.1")
    settle_all()
    assert not renditions.due(0).exists()
    assert whole(get(portal, "1", JPEG, frames_of(2)))
