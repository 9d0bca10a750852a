"""Small objects that claim or draw without end: told or cut short, in bounded memory and time."""

from __future__ import annotations

import resource
from collections.abc import Callable

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import RLELossless

from dicom_node.render.graphics import Canvas
from dicom_node.render.placement import Placement
from pacs_common.errors import CannotRender
from tests.node.objects import SERIES, STUDY, ct
from tests.node.web_answers import whole

INSTANCE = f"/dicom-web/studies/{STUDY}/series/{SERIES}/instances/{SERIES}.1"
MOST_MEMORY_BYTES = 256 << 20


def growth(ask: Callable[[], object]) -> int:
    """Return by how many bytes the most memory that this process had grew."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    ask()
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) << 10


@pytest.fixture
def claiming(take, portal):
    """Take in one small compressed frame that claims to be two milliards."""
    ds = ct(1)
    ds.NumberOfFrames = 2**31 - 1
    ds.PixelData = encapsulate([b"\1\0\0\0" + b"\x40\0\0\0" + b"\0" * 56 + b"\0" * 10])
    ds["PixelData"].VR = "OB"
    ds["PixelData"].is_undefined_length = True
    take(ds, str(RLELossless))
    return portal


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "path",
    [
        *("/bulkdata/7FE00010", "/bulkdata", "/pixeldata", "/frames/1", "/frames/99999999", ""),
        *("/rendered", "/frames/1,99999999/rendered", "/rendered?accept=image/gif", "/thumbnail"),
        "/metadata",
    ],
)
def test_frames_by_the_milliard_are_claimed_and_not_made(claiming, path):
    def ask() -> None:
        answer = claiming.get(f"{INSTANCE}{path}")
        assert answer.status_code != 500 or answer["Content-Type"] == "application/problem+json"
        whole(answer)

    assert growth(ask) < MOST_MEMORY_BYTES


def graphic(kind: str, points: int) -> Dataset:
    item = Dataset()
    item.GraphicAnnotationUnits, item.GraphicType, item.GraphicDimensions = "PIXEL", kind, 2
    item.GraphicData = [float(n * 7919 % 400) for n in range(2 * points)]
    item.NumberOfGraphicPoints = points
    return item


@pytest.mark.parametrize(("kind", "points"), [("POLYLINE", 20_000), ("ELLIPSE", 4)])
def test_a_state_draws_so_much_and_no_more(kind, points):
    canvas = Canvas(np.zeros((64, 64), np.uint8), Placement.whole(64, 64))
    item = graphic(kind, points)
    with pytest.raises(CannotRender):
        for _ in range(2000):
            canvas.graphic(item, 255)


def test_words_without_end_are_no_picture():
    canvas = Canvas(np.zeros((64, 64), np.uint8), Placement.whole(64, 64))
    with pytest.raises(CannotRender):
        for _ in range(200):
            canvas.words("x" * 2000, (0, 0))
