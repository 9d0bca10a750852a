"""What a node answers about datasets: QIDO-RS, metadata and pictures, in their plainest form."""

from __future__ import annotations

import fnmatch
import io
from typing import Any

import numpy as np
from PIL import Image
from pydicom import Dataset
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.multival import MultiValue

STUDY_KEYS = (
    "StudyInstanceUID StudyDate StudyTime AccessionNumber StudyDescription PatientName PatientID "
    "IssuerOfPatientID PatientBirthDate PatientSex InstitutionalDepartmentName RequestingService"
).split()
SERIES_KEYS = (
    "StudyInstanceUID SeriesInstanceUID Modality SeriesNumber SeriesDescription BodyPartExamined "
    "Laterality"
).split()
INSTANCE_KEYS = (
    "SOPClassUID SOPInstanceUID InstanceNumber NumberOfFrames Rows Columns BitsAllocated "
    "BitsStored PhotometricInterpretation WindowCenter WindowWidth ImagePositionPatient "
    "ImageOrientationPatient SliceLocation ImageLaterality PatientOrientation"
).split()


def matches(one: Dataset, params: dict[str, str]) -> bool:
    """Whether a dataset matches the query's attributes: exact, wildcard, date range."""
    return (
        all(
            any(_matches(str(one.get(keyword, "")), value) for value in _listed(keyword, wanted))
            for keyword, wanted in params.items()
            if tag_for_keyword(keyword) and keyword != "ModalitiesInStudy"
        )
        and params.get("ModalitiesInStudy", one.Modality) == one.Modality
    )


def _listed(keyword: str, wanted: str) -> list[str]:
    return wanted.split(",") if keyword.endswith("InstanceUID") else [wanted]


def _matches(value: str, wanted: str) -> bool:
    first, dash, last = wanted.partition("-")
    if dash and (first + last).isdigit():
        return (first or "0") <= value <= (last or "9")
    return fnmatch.fnmatchcase(value.casefold(), wanted.casefold())


def studies(found: list[Dataset], away: set[str]) -> list[dict[str, Any]]:
    """Return QIDO-RS study answers, newest first."""
    answers = []
    for held in _grouped(found, "StudyInstanceUID"):
        answer = _picked(held[0], STUDY_KEYS)
        answer["00080061"] = {"vr": "CS", "Value": sorted({one.Modality for one in held})}
        answer["00201206"] = {"vr": "IS", "Value": [len(_grouped(held, "SeriesInstanceUID"))]}
        answer["00201208"] = {"vr": "IS", "Value": [len(held)]}
        answers.append(_available(answer, held[0], away))
    answers.sort(key=lambda one: one["0020000D"]["Value"])
    return sorted(answers, key=lambda one: one["00080020"].get("Value", [""]), reverse=True)


def behind(answers: list[dict[str, Any]], after: str) -> list[dict[str, Any]]:
    """Return the studies behind the place `DATE,UID` of their order."""
    day, _, uid = after.partition(",")

    def is_behind(one: dict[str, Any]) -> bool:
        held = one["00080020"].get("Value", [""])[0] or ""
        return held < day or (held == day and one["0020000D"]["Value"][0] > uid)

    return [one for one in answers if is_behind(one)]


def series(found: list[Dataset], away: set[str]) -> list[dict[str, Any]]:
    """Return QIDO-RS series answers."""
    answers = []
    for held in _grouped(found, "SeriesInstanceUID"):
        answer = _picked(held[0], SERIES_KEYS)
        answer["00201209"] = {"vr": "IS", "Value": [len(held)]}
        answers.append(_available(answer, held[0], away))
    return answers


def instances(found: list[Dataset], away: set[str]) -> list[dict[str, Any]]:
    """Return QIDO-RS instance answers by Instance Number, those without one last."""
    ordered = sorted(
        found, key=lambda one: (one.get("InstanceNumber") is None, one.get("InstanceNumber"))
    )
    return [_available(_picked(one, INSTANCE_KEYS), one, away) for one in ordered]


def _grouped(found: list[Dataset], keyword: str) -> list[list[Dataset]]:
    groups: dict[str, list[Dataset]] = {}
    for one in found:
        groups.setdefault(one.get(keyword), []).append(one)
    return list(groups.values())


def _picked(one: Dataset, keywords: list[str]) -> dict[str, Any]:
    picked = Dataset()
    for keyword in keywords:
        if keyword in one:
            picked[keyword] = one[keyword]
    answer: dict[str, Any] = picked.to_json_dict()
    for keyword in keywords:
        answer.setdefault(f"{tag_for_keyword(keyword):08X}", {"vr": dictionary_VR(keyword)})
    return answer


def _available(answer: dict[str, Any], one: Dataset, away: set[str]) -> dict[str, Any]:
    state = "NEARLINE" if one.StudyInstanceUID in away else "ONLINE"
    answer["00080056"] = {"vr": "CS", "Value": [state]}
    return answer


def metadata_of(one: Dataset) -> dict[str, Any]:
    """Return WADO-RS metadata: the dataset without bulk data."""
    described = Dataset()
    described.update({element.tag: element for element in one if element.keyword != "PixelData"})
    answer: dict[str, Any] = described.to_json_dict()
    return answer


def window_of(one: Dataset, params: dict[str, str]) -> tuple[float, float]:
    """Return the window that is asked for, else the first of the file."""
    if "window" in params:
        centre, width = params["window"].split(",")[:2]
        return float(centre), float(width)
    given = [one.get(keyword, 128) for keyword in ("WindowCenter", "WindowWidth")]
    first = [value[0] if isinstance(value, MultiValue) else value for value in given]
    return float(first[0]), float(first[1])


def picture_of(one: Dataset, frame: int, params: dict[str, str]) -> bytes:
    """Return the windowed JPEG of a frame, no larger than the viewport."""
    pixels = (
        one.pixel_array if int(one.get("NumberOfFrames", 1)) == 1 else one.pixel_array[frame - 1]
    )
    values = pixels * float(one.get("RescaleSlope", 1)) + float(one.get("RescaleIntercept", 0))
    centre, width = window_of(one, params)
    shades = np.clip((values - (centre - width / 2)) / width, 0, 1) * 255
    image = Image.fromarray(shades.astype(np.uint8))
    if "viewport" in params:
        image.thumbnail(tuple(map(int, params["viewport"].split(","))))
    kept = io.BytesIO()
    image.save(kept, "JPEG", quality=85)
    return kept.getvalue()
