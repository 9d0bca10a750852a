"""Headers that lie: numbers that are none, frames by the milliard, names that are markup."""

from __future__ import annotations

import json

import pytest
from django.test import Client

from pacs_web.federation.dicom_json import numbers, whole
from pacs_web.viewer.frames import MAX_FRAMES
from pacs_web.viewer.pictures import pictures_of
from tests.web.made_studies import CT_STUDY
from tests.web.node_stand_in import StandIn

INFINITE = {"00200013": {"vr": "IS", "Value": ["1e999"]}, "00281050": {"Value": ["NaN"]}}


def test_numbers_without_end_or_sense_are_no_numbers() -> None:
    assert whole(INFINITE, "InstanceNumber") is None
    assert numbers(INFINITE, "WindowCenter") == []


@pytest.mark.parametrize("frames", ["99999999999", 10**12, "1e300", -5])
def test_a_count_of_frames_that_lies_fills_no_memory(frames: object) -> None:
    answer = {
        "00080018": {"vr": "UI", "Value": ["1.2.3"]},
        "00280008": {"vr": "IS", "Value": [frames]},
        "00280010": {"vr": "US", "Value": [64]},
        "00280011": {"vr": "US", "Value": [64]},
    }
    assert 1 <= len(pictures_of([answer], "RF")) <= MAX_FRAMES


def test_what_the_viewer_reads_is_json_that_a_browser_understands() -> None:
    answer = {
        "00080018": {"vr": "UI", "Value": ["1.2.3"]},
        "00281050": {"vr": "DS", "Value": ["inf"]},
        "00281051": {"vr": "DS", "Value": ["nan"]},
        "00280101": {"vr": "US", "Value": [10**6]},
    }
    json.dumps(pictures_of([answer], "OT"), allow_nan=False)


@pytest.mark.parametrize(
    "name",
    ["<script>alert(1)</script>^X", "{{ 7|add:7 }}", "張^三丰", "Ω𝔘𝔫𝔦^😀", "^^^^", "'\"><b>"],
)
def test_any_name_is_text_on_every_page(
    nodes: dict[str, StandIn], clinician: Client, name: str
) -> None:
    for one in nodes["CT"].instances:
        one.PatientName = name
        one.StudyDescription = one.SeriesDescription = "</title><img src=x>"
    exam = f"/studies/{CT_STUDY}/"
    image = f"{exam}series/{CT_STUDY}.1/instances/{CT_STUDY}.1.1/"
    for page in (exam, image, f"{image}header/"):
        text = clinician.get(page).content.decode()
        assert "<script>alert" not in text and "<img src=x>" not in text and "<b>" not in text


def test_titles_tell_exams_apart_without_naming_the_patient(
    nodes: object, clinician: Client
) -> None:
    exam = f"/studies/{CT_STUDY}/"
    image = f"{exam}series/{CT_STUDY}.1/instances/{CT_STUDY}.1.1/"
    for page in (exam, image, f"{image}header/"):
        title = clinician.get(page).content.decode().split("<title>")[1].split("</title>")[0]
        assert "CT 20/11/2026" in title
        assert "LEFÈVRE" not in title.upper() and "FRJ" not in title


@pytest.mark.parametrize("origin", ["https://evil.example", "null"])
@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
def test_no_page_of_another_origin_reads_the_portal_with_its_cookies(
    nodes: dict[str, StandIn], clinician: Client, origin: str, method: str
) -> None:
    headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    answer = clinician.generic(method, "/dicom-web/studies", headers=headers)
    assert not [name for name in answer.headers if name.lower().startswith("access-control-")]
