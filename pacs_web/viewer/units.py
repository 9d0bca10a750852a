"""What the values of an image mean: HU, SUV, or nothing that may be claimed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pacs_web.federation.dicom_json import Attributes, items, numbers, text, values

LEAST_DOSE_BQ = 1e5  # a smaller one was written in MBq, against the standard
MOST_KG = 700
MOST_S = 2 * 86400.0


@dataclass(frozen=True)
class Unit:
    """A unit of the window's numbers: multiply them by `factor` to read them in `name`."""

    name: str
    factor: float = 1.0


def unit_of(image: Attributes, modality: str) -> Unit | None:
    """Return the unit that may stand beside an image's window, None where none is sure.

    HU where Rescale Type says so, or where it is silent on an original CT (PS3.3 C.8.2.1.1.2).
    """
    said = text(image, "RescaleType").upper()
    if said == "HU":
        return Unit("HU")
    if modality == "CT":
        original = values(image, "ImageType")[:1] == ["ORIGINAL"]
        return Unit("HU") if original and not said else None
    factor = suv_factor(image) if modality == "PT" else None
    return Unit("SUVbw g/ml", factor) if factor is not None else None


def suv_factor(image: Attributes) -> float | None:
    """Return what turns Bq/ml into SUV by body weight (g/ml), None where a fact is missing.

    Needs Units BQML, decay correction to the start of the scan or the administration,
    weight, dose, and for START half life and both times (PS3.3 C.8.9.1, C.8.9.2).
    """
    tracer = next(iter(items(image, "RadiopharmaceuticalInformationSequence")), {})
    weight_kg, dose_bq = _first(image, "PatientWeight"), _first(tracer, "RadionuclideTotalDose")
    decayed = {str(value) for value in values(image, "CorrectedImage")} >= {"DECY", "ATTN"}
    if text(image, "Units") != "BQML" or not decayed or not weight_kg or not dose_bq:
        return None
    if not 0 < weight_kg < MOST_KG or dose_bq < LEAST_DOSE_BQ:
        return None
    left = _left(image, tracer)
    return None if left is None else weight_kg * 1000 / (dose_bq * left)


def _left(image: Attributes, tracer: Attributes) -> float | None:
    """Return which part of the dose is left at the moment to which pixels are corrected."""
    how = text(image, "DecayCorrection")
    if how == "ADMIN":
        return 1.0
    half_life_s = _first(tracer, "RadionuclideHalfLife")
    given, scanned = _given_at(image, tracer), _scanned_at(image)
    if how != "START" or not half_life_s or half_life_s <= 0 or not given or not scanned:
        return None
    waited_s = (scanned - given).total_seconds()
    return float(2 ** (-waited_s / half_life_s)) if 0 <= waited_s <= MOST_S else None


def _given_at(image: Attributes, tracer: Attributes) -> datetime | None:
    said = text(tracer, "RadiopharmaceuticalStartDateTime")
    if said:
        return moment(said[:8], said[8:]) if len(said) >= 14 and said[14:15] in {"", "."} else None
    return moment(text(image, "SeriesDate"), text(tracer, "RadiopharmaceuticalStartTime"))


def _scanned_at(image: Attributes) -> datetime | None:
    """Return the start of the scan: the series' time, unless it was written after the scan."""
    series = moment(text(image, "SeriesDate"), text(image, "SeriesTime"))
    acquired = moment(text(image, "AcquisitionDate"), text(image, "AcquisitionTime"))
    return series if series and acquired and series <= acquired else None


def moment(date: str, time: str) -> datetime | None:
    """Return a DICOM date and time, to the second or finer; None for nonsense."""
    whole, _, fraction = f"{date}{time}".partition(".")
    if len(date) != 8 or len(whole) != 14 or not (whole + fraction).isdigit():
        return None
    try:
        return datetime.strptime(f"{whole}.{fraction[:6] or 0}", "%Y%m%d%H%M%S.%f")
    except ValueError:
        return None


def _first(attributes: Attributes, keyword: str) -> float | None:
    return next(iter(numbers(attributes, keyword)), None)
