"""A stored file that another one replaces, between any two steps: nothing wrong leaves, or stays.

Each replacement has the size and the modification time of the file that it replaces.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import imagecodecs
import numpy as np
import pytest

from dicom_node.chores import digests, renditions
from dicom_node.models import FrameMap, Instance
from dicom_node.prepared import frames as prepared_frames
from dicom_node.prepared import images
from dicom_node.prepared.kept import PICTURES
from tests.node.objects import SERIES, STUDY, ct
from tests.node.web_answers import parts_of, require_problem, whole

pytestmark = pytest.mark.slow

IN_SERIES = f"/dicom-web/studies/{STUDY}/series/{SERIES}"
IMAGE = f"{IN_SERIES}/instances/{SERIES}.1"
RAW = {"Accept": "multipart/related; type=application/octet-stream"}
JPEG = {"Accept": "multipart/related; type=image/jpeg; transfer-syntax=1.2.840.10008.1.2.4.70"}
AS_PNG = {"Accept": "image/png"}
PIXELS = (np.arange(64 * 64, dtype="<u2") // 16).reshape(64, 64)
NAME, OTHER_NAME = b"Dupont^Marie", b"Martin^Jeann"


@pytest.fixture(params=["another file", "rewritten in place"])
def replace(request):
    """Replace the content of a file; its size and time stay."""

    def replace(path: Path, content: bytes) -> None:
        status = path.stat()
        assert len(content) == status.st_size
        if request.param == "another file":
            other = path.with_name("other")
            other.write_bytes(content)
            os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
            other.replace(path)
        else:
            path.chmod(0o600)
            path.write_bytes(content)
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))

    return replace


@pytest.fixture
def stored(take, layout) -> Path:
    """The file of one image."""
    ds = ct(Rows=64, Columns=64, PatientName=NAME.decode(), SliceThickness="1.0")
    ds.PixelData = PIXELS.tobytes()
    take(ds)
    row = Instance.objects.get()
    return layout.object(row.hour, row.uid)


def other_pixels(sound: bytes) -> bytes:
    return sound.replace(PIXELS.tobytes(), PIXELS[::-1].tobytes())


def other_name(sound: bytes) -> bytes:
    assert NAME in sound
    return sound.replace(NAME, OTHER_NAME)


def moved_pixels(sound: bytes) -> bytes:
    """The pixels 12 bytes earlier: an element before them goes, padding follows them."""
    thickness = b"\x18\x00\x50\x00DS\x04\x001.0 "
    assert thickness in sound
    return sound.replace(thickness, b"") + b"\xfc\xff\xfc\xffOB\0\0\0\0\0\0"


def settle() -> None:
    for study in renditions.due(0):
        renditions.settle(study, lambda: True)


@pytest.mark.parametrize("change", [other_pixels, other_name])
def test_a_file_replaced_after_preparation_gives_what_was_prepared_or_nothing(
    stored, layout, portal, replace, change
):
    assert digests.compute(layout) == 1
    settle()
    sound = stored.read_bytes()
    replace(stored, change(sound))
    require_problem(portal.get(f"{IMAGE}/frames/1", headers=RAW), 500)
    (part,) = parts_of(portal.get(f"{IMAGE}/frames/1", headers=JPEG))
    assert np.array_equal(imagecodecs.ljpeg_decode(part.body), PIXELS)
    require_problem(portal.get(f"{IMAGE}/rendered?window=40,80,linear", headers=AS_PNG), 500)
    require_problem(portal.get(f"{IMAGE}/metadata"), 500)
    require_problem(portal.get(f"/api/instances/{SERIES}.1/header"), 500)
    of_series = json.loads(whole(portal.get(f"{IN_SERIES}/metadata")))
    assert of_series[0]["00100010"]["Value"] == [{"Alphabetic": NAME.decode()}]


@pytest.mark.parametrize("change", [other_pixels, other_name, moved_pixels])
def test_nothing_is_prepared_of_a_file_that_was_replaced_before(
    stored, layout, portal, replace, change
):
    sound = stored.read_bytes()
    replace(stored, change(sound))
    settle()
    assert not FrameMap.objects.exists()
    assert not [path for path in layout.renditions.rglob("*") if path.is_file()]
    replace(stored, sound)
    (raw,) = parts_of(portal.get(f"{IMAGE}/frames/1", headers=RAW))
    assert raw.body == PIXELS.tobytes()
    (found,) = json.loads(whole(portal.get(f"{IMAGE}/metadata")))
    assert found["00100010"]["Value"] == [{"Alphabetic": NAME.decode()}]


def test_where_frames_lay_in_a_replaced_file_is_forgotten_with_it(stored, portal, replace):
    sound = stored.read_bytes()
    replace(stored, moved_pixels(sound))
    require_problem(portal.get(f"{IMAGE}/frames/1", headers=RAW), 500)
    replace(stored, sound)
    (raw,) = parts_of(portal.get(f"{IMAGE}/frames/1", headers=RAW))
    assert raw.body == PIXELS.tobytes()


def test_series_metadata_of_a_damaged_file_has_no_tag_and_is_not_kept(stored, portal, replace):
    address, sound = f"{IN_SERIES}/metadata", stored.read_bytes()
    replace(stored, other_name(sound))
    for _ in range(2):
        answer = portal.get(address)
        (found,) = json.loads(whole(answer))
        assert "ETag" not in answer and "no-store" in answer["Cache-Control"]
        assert found["00080056"]["Value"] == ["UNAVAILABLE"] and "00100010" not in found
    replace(stored, sound)
    answer = portal.get(address)
    (found,) = json.loads(whole(answer))
    assert found["00100010"]["Value"] == [{"Alphabetic": NAME.decode()}]
    assert portal.get(address, headers={"If-None-Match": answer["ETag"]}).status_code == 304


@pytest.fixture
def replaced_meanwhile(stored, replace, monkeypatch):
    """Have the file replaced after it was checked, before its pixels are read."""

    def replaced_meanwhile(module, name: str) -> None:
        honest = getattr(module, name)

        def late(ds, *asked):
            replace(stored, other_pixels(stored.read_bytes()))
            return honest(ds, *asked)

        monkeypatch.setattr(module, name, late)

    return replaced_meanwhile


def test_a_frame_made_while_its_file_was_replaced_is_neither_sent_nor_kept(
    stored, portal, replace, replaced_meanwhile, monkeypatch
):
    sound = stored.read_bytes()
    replaced_meanwhile(prepared_frames, "frame_as")
    require_problem(portal.get(f"{IMAGE}/frames/1", headers=JPEG), 500)
    monkeypatch.undo()
    replace(stored, sound)
    (part,) = parts_of(portal.get(f"{IMAGE}/frames/1", headers=JPEG))
    assert np.array_equal(imagecodecs.ljpeg_decode(part.body), PIXELS)


def test_a_picture_made_while_its_file_was_replaced_is_neither_sent_nor_kept(
    stored, portal, replace, replaced_meanwhile, monkeypatch
):
    address, sound = f"{IMAGE}/rendered?window=128,256,linear", stored.read_bytes()
    before = portal.get(address, headers=AS_PNG).content
    shutil.rmtree(PICTURES.root)
    monkeypatch.setattr(images, "_DECODED", images._Decoded(images.DECODED_BYTES))
    replaced_meanwhile(images, "stored_frame")
    require_problem(portal.get(address, headers=AS_PNG), 500)
    monkeypatch.undo()
    replace(stored, sound)
    assert portal.get(address, headers=AS_PNG).content == before


def test_a_window_measured_without_a_damaged_neighbour_is_not_kept(take, layout, portal, replace):
    for number in (1, 2):
        ds = ct(number, Rows=64, Columns=64, WindowCenter=None, WindowWidth=None)
        ds.PixelData = (PIXELS * number).astype("<u2").tobytes()
        take(ds)
    address = f"{IMAGE}/rendered"
    before = portal.get(address, headers=AS_PNG)
    shutil.rmtree(PICTURES.root)
    row = Instance.objects.get(number=2)
    path = layout.object(row.hour, row.uid)
    sound = path.read_bytes()
    replace(path, sound.replace(b"TDM", b"XDM"))
    meanwhile = portal.get(address, headers=AS_PNG)
    assert meanwhile.status_code == 200 and meanwhile.content != before.content
    assert "ETag" not in meanwhile and "no-store" in meanwhile["Cache-Control"]
    replace(path, sound)
    after = portal.get(address, headers=AS_PNG)
    assert (after.content, after["ETag"]) == (before.content, before["ETag"])
