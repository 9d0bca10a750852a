"""Pictures for people over HTTP: rendered and thumbnail, of every level (PS3.18 10.4.1.1.3)."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from dicom_node.prepared import pictures
from tests.node.objects import SERIES, STUDY, ct, put_away
from tests.node.web_answers import require_problem

pytestmark = pytest.mark.slow

ROOT = f"/dicom-web/studies/{STUDY}"
INSTANCE = f"{ROOT}/series/{SERIES}/instances/{SERIES}.1"
LEVELS = [ROOT, f"{ROOT}/series/{SERIES}", INSTANCE, f"{INSTANCE}/frames/1"]


def get(client, path: str, accept: str = "*/*", **params: object):
    return client.get(path, params, headers={"Accept": accept})


def picture(answer) -> np.ndarray:
    assert answer.status_code == 200, answer.content
    return np.asarray(Image.open(io.BytesIO(answer.content)))


@pytest.mark.parametrize("path", LEVELS)
@pytest.mark.parametrize("what", ["rendered", "thumbnail"])
def test_every_level_has_a_picture(take, portal, path, what):
    take(ct(1))
    answer = get(portal, f"{path}/{what}")
    assert answer["Content-Type"] == "image/jpeg"
    assert "private" in answer["Cache-Control"]
    assert picture(answer).shape == (16, 16)


def test_the_window_changes_the_picture(take, portal):
    take(ct(1))
    wide = picture(get(portal, f"{INSTANCE}/rendered", "image/png", window="100,4000"))
    narrow = picture(get(portal, f"{INSTANCE}/rendered", "image/png", window="100,50"))
    assert np.ptp(wide) < 40
    assert np.ptp(narrow) == 255
    assert (narrow[0, 0], narrow[-1, -1]) == (0, 255)


@pytest.mark.parametrize("function", ["linear", "LINEAR_EXACT", "linear-exact", "sigmoid"])
def test_the_window_takes_a_function(take, portal, function):
    take(ct(1))
    answer = get(portal, f"{INSTANCE}/rendered", window=f" 100 , 200.5 , {function}")
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("accept", "query", "expected"),
    [
        ("*/*", "", "image/jpeg"),
        ("image/*", "", "image/jpeg"),
        ("image/png", "", "image/png"),
        ("image/gif", "", "image/gif"),
        ("image/jpeg;q=0.4, image/png;q=0.8", "", "image/png"),
        ("text/html, image/png;q=0.1", "", "image/png"),
        ("image/jpeg", "?accept=image/png", "image/png"),
        ("text/html", "?accept=image/jpeg", "image/jpeg"),
    ],
)
def test_the_caller_chooses_jpeg_png_or_gif(take, portal, accept, query, expected):
    take(ct(1))
    answer = get(portal, f"{INSTANCE}/rendered{query}", accept)
    assert answer["Content-Type"] == expected
    assert Image.open(io.BytesIO(answer.content)).format == expected[6:].upper()


@pytest.mark.parametrize(
    "accept", ["text/html", "image/webp", "application/pdf", "multipart/related; type=image/jpeg"]
)
@pytest.mark.parametrize("what", ["rendered", "thumbnail"])
def test_other_formats_are_406(take, portal, accept, what):
    take(ct(1))
    require_problem(get(portal, f"{INSTANCE}/{what}", accept), 406)


@pytest.mark.parametrize(
    ("what", "params"),
    [
        *(
            ("rendered", {"window": window})
            for window in ("wide", "40", "40,0", "40,-5", "nan,40", "40,inf", "40,400,CURVED")
        ),
        ("rendered", {"window": "40,400,LINEAR,5"}),
        ("rendered", {"window": ""}),
        *(
            (what, {"viewport": viewport})
            for what in ("rendered", "thumbnail")
            for viewport in ("wide", "100", "0,0", "-5,5", "5,5,5", "²,5", "9000,5", "", "1e2,5")
        ),
        *(("rendered", {"quality": quality}) for quality in ("0", "101", "good", "²", "", "9" * 9)),
    ],
)
def test_nonsense_is_400_before_anything_is_looked_up(db, portal, what, params):
    require_problem(get(portal, f"{INSTANCE}/{what}", **params), 400)


@pytest.mark.parametrize("number", ["1,,2", "0", "x", "-1"])
@pytest.mark.parametrize("what", ["rendered", "thumbnail"])
def test_a_frame_list_without_sense_is_400(db, portal, number, what):
    require_problem(get(portal, f"{INSTANCE}/frames/{number}/{what}"), 400)


def test_one_frame_makes_one_thumbnail(take, portal):
    take(ct(1))
    require_problem(get(portal, f"{INSTANCE}/frames/1,1/thumbnail"), 400)


@pytest.mark.parametrize("what", ["rendered", "thumbnail"])
def test_a_frame_beyond_the_last_is_404(take, portal, what):
    take(ct(1))
    require_problem(get(portal, f"{INSTANCE}/frames/2/{what}"), 404)


def test_the_viewport_and_the_quality_shrink_the_picture(take, portal):
    ds = ct(1, Rows=64, Columns=64)
    ds.PixelData = (np.arange(64 * 64, dtype="<u2") % 977).tobytes()
    take(ds)
    assert picture(get(portal, f"{INSTANCE}/rendered", viewport="32,20")).shape == (20, 20)
    assert picture(get(portal, f"{INSTANCE}/thumbnail", viewport="9,90")).shape == (9, 9)
    small = get(portal, f"{INSTANCE}/rendered", quality=5)
    assert len(small.content) < len(get(portal, f"{INSTANCE}/rendered", quality=95).content)


def test_a_series_is_represented_by_its_middle_image(take, portal):
    for number in (1, 2, 3):
        ds = ct(number)
        ds.PixelData = np.full(256, 900 + 60 * number, "<u2").tobytes()
        take(ds)
    middle = get(portal, f"{INSTANCE[:-1]}2/rendered", "image/png").content
    for path in LEVELS[:2]:
        assert get(portal, f"{path}/rendered", "image/png").content == middle


def test_a_study_is_represented_by_an_image_and_not_by_a_report(take, portal):
    report = {"Rows": None, "Columns": None, "PixelData": None, "Modality": "SR"}
    take(ct(1, series=f"{SERIES}.0", SeriesNumber=0, **report))
    take(ct(1))
    assert get(portal, f"{ROOT}/thumbnail").status_code == 200
    alone = f"{ROOT}/series/{SERIES}.0"
    require_problem(get(portal, f"{alone}/thumbnail"), 406)
    require_problem(get(portal, f"{alone}/rendered"), 406)


@pytest.mark.parametrize("path", LEVELS)
def test_the_thumbnail_of_an_evicted_object_stays(take, portal, layout, path):
    take(ct(1))
    put_away(layout, f"{SERIES}.1")
    assert picture(get(portal, f"{path}/thumbnail")).shape == (16, 16)
    require_problem(get(portal, f"{path}/rendered"), 503)


def test_an_evicted_object_without_pixels_has_no_thumbnail(take, portal, layout):
    take(ct(1, Rows=None, Columns=None, PixelData=None))
    put_away(layout, f"{SERIES}.1")
    require_problem(get(portal, f"{INSTANCE}/thumbnail"), 406)


@pytest.mark.parametrize("what", ["rendered", "thumbnail"])
def test_a_picture_is_made_once_and_comes_again_with_equal_bytes(take, portal, monkeypatch, what):
    take(ct(1))
    first = get(portal, f"{INSTANCE}/{what}").content
    monkeypatch.setattr(pictures, "picture", lambda *_: pytest.fail("made again"))
    assert get(portal, f"{INSTANCE}/{what}").content == first
