"""Pages of a list of studies: each begins behind the last study of the one before."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client

from dicom_node.models import Study

STUDIES = "/dicom-web/studies"
DAYS = ["20260301", "20260301", "20260301", "20260115", "", "", "20251231"]


def put(number: int, day: str, **given: Any) -> None:
    """Put a study into the index that has no files."""
    defaults = {"instance_count": 1, "series_count": 1, "last_arrival_at": datetime.now(UTC)}
    Study.objects.create(uid=f"1.2.{number}", study_date=day, **(defaults | given))


@pytest.fixture
def held(db: None) -> None:
    """Seven studies: three of one day, two without a date; UIDs that sort as text, not numbers."""
    for number, day in zip((9, 10, 1, 7, 30, 4, 5), DAYS, strict=True):
        put(number, day)


def page(portal: Client, **asked: Any) -> list[tuple[str, str]]:
    """Return date and UID of the studies of a page."""
    answer = portal.get(STUDIES, asked)
    assert answer.status_code == 200, answer.content
    return [
        (one["00080020"].get("Value", [""])[0], one["0020000D"]["Value"][0])
        for one in answer.json()
    ]


def walked(portal: Client, size: int, **asked: Any) -> list[tuple[str, str]]:
    """Return what the pages hold, one after the other."""
    found = page(portal, limit=size, **asked)
    while more := page(portal, limit=size, **(asked | {"after": ",".join(found[-1])})):
        found += more
    return found


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_pages_of_any_size_are_the_whole_list(held, portal, size):
    assert walked(portal, size) == page(portal)
    assert [uid for _, uid in page(portal)][:3] == ["1.2.1", "1.2.10", "1.2.9"]
    assert [day for day, _ in page(portal)][-2:] == ["", ""]


def test_arrivals_between_pages_neither_repeat_nor_hide(held, portal):
    whole = page(portal)
    first = page(portal, limit=3)
    put(99, "20260401")  # newer than all that was shown
    put(2, "20260301")  # of the day in the midst of which the page ended, before its last
    put(98, "20260110")  # still to come
    rest = walked(portal, 2, after=",".join(first[-1]))
    assert [one for one in first + rest if one in whole] == whole
    assert [one for one in rest if one not in whole] == [("20260110", "1.2.98")]


def test_a_position_may_be_of_a_study_that_is_gone(held, portal):
    Study.objects.filter(uid="1.2.10").delete()
    assert page(portal, after="20260301,1.2.10")[0] == ("20260301", "1.2.9")


def test_a_page_has_its_keys_and_counts_its_offset_behind_the_position(held, portal):
    put(50, "20260115", modalities="CT")
    put(51, "", modalities="CT")
    assert walked(portal, 1, ModalitiesInStudy="CT") == [("20260115", "1.2.50"), ("", "1.2.51")]
    behind = page(portal, after="20260301,1.2.1")
    assert page(portal, after="20260301,1.2.1", offset=2, limit=3) == behind[2:5]


def test_a_page_is_not_counted_again(held, portal):
    assert "X-Total-Count" in portal.get(STUDIES, {"limit": 1})
    assert "X-Total-Count" not in portal.get(STUDIES, {"limit": 1, "after": "20260301,1.2.1"})


@pytest.mark.parametrize(
    ("path", "after"),
    [
        (STUDIES, "20260301"),
        (STUDIES, "20260301,"),
        (STUDIES, "20260301,1.2.x"),
        (STUDIES, "é,1.2"),
        (STUDIES, "20260301,1.2\0"),
        ("/dicom-web/series", "20260301,1.2"),
        ("/dicom-web/instances", ",1.2"),
    ],
)
def test_what_is_no_position_is_refused_with_one_line(db, portal, path, after):
    answer = portal.get(path, {"after": after})
    assert answer.status_code == 400
    assert "after" in answer.json()["detail"]
