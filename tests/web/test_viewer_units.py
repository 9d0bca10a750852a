"""HU and SUV stand beside a window only where the file makes them sure."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.sequence import Sequence

from pacs_web.viewer.units import moment, suv_factor, unit_of


def ct(**given: Any) -> dict[str, Any]:
    made = Dataset()
    made.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    for keyword, value in given.items():
        setattr(made, keyword, value)
    return made.to_json_dict()


def pet(tracer: dict[str, Any] | None = None, **given: Any) -> dict[str, Any]:
    """Return a scan an hour after 100 MBq with a half life of an hour, in a person of 80 kg."""
    made, dose = Dataset(), Dataset()
    made.Units, made.DecayCorrection = "BQML", "START"
    made.CorrectedImage = ["ATTN", "DECY", "SCAT"]
    made.PatientWeight = 80
    made.SeriesDate = made.AcquisitionDate = "20261121"
    made.SeriesTime, made.AcquisitionTime = "100000", "100005"
    dose.RadionuclideTotalDose, dose.RadionuclideHalfLife = 1e8, 3600
    dose.RadiopharmaceuticalStartTime = "090000"
    for keyword, value in (tracer or {}).items():
        setattr(dose, keyword, value)
    for keyword, value in given.items():
        setattr(made, keyword, value)
    made.RadiopharmaceuticalInformationSequence = Sequence([dose])
    return made.to_json_dict()


def test_an_original_ct_is_in_hu_and_a_derived_one_is_not() -> None:
    assert unit_of(ct(), "CT").name == "HU"
    assert unit_of(ct(ImageType=["DERIVED", "SECONDARY"]), "CT") is None


def test_rescale_type_has_the_last_word() -> None:
    assert unit_of(ct(ImageType=["DERIVED"], RescaleType="HU"), "CT").name == "HU"
    assert unit_of(ct(RescaleType="HU"), "OT").name == "HU"
    assert unit_of(ct(RescaleType="US"), "CT") is None
    assert unit_of(ct(RescaleType="ED"), "CT") is None


def test_other_modalities_have_no_unit() -> None:
    assert unit_of(ct(), "MR") is None and unit_of({}, "CR") is None


def test_suv_by_body_weight_with_the_dose_decayed_to_the_scan() -> None:
    assert suv_factor(pet()) == pytest.approx(80_000 / 0.5e8)
    assert unit_of(pet(), "PT").name.startswith("SUVbw")


def test_suv_of_pixels_corrected_to_the_administration_needs_no_decay() -> None:
    assert suv_factor(pet(DecayCorrection="ADMIN")) == pytest.approx(80_000 / 1e8)


def test_suv_takes_the_whole_start_date_over_midnight() -> None:
    late = {"RadiopharmaceuticalStartDateTime": "20261120230000.00"}
    scan = {"SeriesTime": "000000", "AcquisitionTime": "000001"}
    assert suv_factor(pet(late, **scan)) == pytest.approx(80_000 / 0.5e8)


@pytest.mark.parametrize(
    "broken",
    [
        {"Units": "CNTS"},
        {"DecayCorrection": "NONE"},
        {"CorrectedImage": ["ATTN"]},
        {"PatientWeight": None},
        {"PatientWeight": 0},
        {"SeriesTime": None},
        {"SeriesTime": "110000"},
        {"tracer": {"RadionuclideTotalDose": None}},
        {"tracer": {"RadionuclideTotalDose": 100}},
        {"tracer": {"RadionuclideHalfLife": None}},
        {"tracer": {"RadionuclideHalfLife": 0}},
        {"tracer": {"RadiopharmaceuticalStartTime": None}},
        {"tracer": {"RadiopharmaceuticalStartTime": "103000"}},
        {"tracer": {"RadiopharmaceuticalStartDateTime": "20261121090000+0100"}},
    ],
)
def test_no_suv_where_a_fact_is_missing_or_makes_no_sense(broken: dict[str, Any]) -> None:
    assert suv_factor(pet(**broken)) is None


@given(st.text(max_size=20), st.text(max_size=20))
def test_no_text_breaks_the_reading_of_a_moment(date: str, time: str) -> None:
    moment(date, time)
