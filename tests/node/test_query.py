"""The one query engine: which answers a query has, and what each of them says."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from dicom_node.index.attributes import ATTRIBUTES, Level
from dicom_node.index.cursors import rows
from dicom_node.index.query import COSTLY, Query, unmatched
from dicom_node.models import Instance, Series, Study
from pacs_common.errors import BadQuery
from tests.node.asked import datasets
from tests.node.objects import SERIES, STUDY, ct

OTHER = f"{STUDY}9"


@pytest.fixture
def hospital(take):
    """Two patients, three studies, four series, six instances."""
    take(ct(1))
    take(ct(2))
    take(ct(1, series=f"{SERIES}.2", SeriesNumber=2, Modality="SR", SeriesDescription="Dose"))
    take(ct(1, study=OTHER, series=f"{OTHER}.1", StudyDate="20260301", AccessionNumber="A2"))
    smith = {"PatientID": "FR-2", "PatientName": "Smith^Ann", "StudyDate": "20260201"}
    take(ct(1, study=f"{STUDY}8", series=f"{STUDY}8.1", Modality="MR", **smith))
    take(ct(2, study=f"{STUDY}8", series=f"{STUDY}8.1", Modality="MR", **smith))


def answers(level: Level, **keys: str) -> list:
    return datasets(Query(level, keys))


def uids(level: Level, **keys: str) -> list[str]:
    keyword = {
        "STUDY": "StudyInstanceUID",
        "SERIES": "SeriesInstanceUID",
        "IMAGE": "SOPInstanceUID",
    }
    return [ds[keyword[level]].value for ds in answers(level, **keys)]


def test_studies_come_newest_first(hospital):
    assert uids(Level.STUDY) == [OTHER, f"{STUDY}8", STUDY]


def test_series_and_instances_come_by_number_and_unnumbered_last(take):
    for number in (10, 2, None):
        take(ct(number or 99, InstanceNumber=number))
    take(ct(1, series=f"{SERIES}0", SeriesNumber=None))
    within = {"StudyInstanceUID": STUDY}
    found = uids(Level.IMAGE, SeriesInstanceUID=SERIES, **within)
    assert found == [f"{SERIES}.{n}" for n in (2, 10, 99)]
    assert uids(Level.SERIES, **within) == [SERIES, f"{SERIES}0"]


def test_answers_from_many_studies_come_as_they_arrived_so_that_nothing_is_sorted(take):
    for number in (10, 2):
        take(ct(number))
    assert uids(Level.IMAGE) == [f"{SERIES}.10", f"{SERIES}.2"]


def test_a_key_of_each_level_above_narrows_the_answers(hospital):
    assert uids(Level.IMAGE, PatientID="FR-2") == [f"{STUDY}8.1.1", f"{STUDY}8.1.2"]
    assert uids(Level.IMAGE, StudyInstanceUID=STUDY, Modality="SR") == [f"{SERIES}.2.1"]
    assert uids(Level.SERIES, PatientName="smith*") == [f"{STUDY}8.1"]
    assert uids(Level.STUDY, PatientID="FR-1", StudyDate="20260201-") == [OTHER]
    assert uids(Level.STUDY, PatientID="nobody") == []


def test_a_key_below_the_level_is_not_matched_and_is_told(hospital):
    query = Query(Level.STUDY, {"Modality": "MR", "PatientID": "FR-1", "SeriesNumber": ""})
    assert len(datasets(query)) == 2
    assert unmatched(query) == ["Modality"]


def test_keys_that_are_only_returned_are_told_too():
    asked = {
        "NumberOfStudyRelatedInstances": "3",
        "PatientReligiousPreference": "x",
        "RetrieveAETitle": "",
    }
    assert unmatched(Query(Level.STUDY, asked)) == [
        "NumberOfStudyRelatedInstances",
        "PatientReligiousPreference",
    ]


def test_a_study_of_many_series_is_answered_once(hospital):
    assert uids(Level.STUDY, ModalitiesInStudy="CT\\SR") == [OTHER, STUDY]
    assert uids(Level.SERIES, ModalitiesInStudy="SR") == [SERIES, f"{SERIES}.2"]
    assert len(uids(Level.IMAGE, ModalitiesInStudy="C*")) == 4
    assert len(datasets(Query(Level.STUDY, {"ModalitiesInStudy": "CT\\SR"}))) == 2


def test_a_study_tells_its_counts_modalities_and_availability(hospital):
    (study,) = answers(Level.STUDY, StudyInstanceUID=STUDY)
    assert study.NumberOfStudyRelatedSeries == 2
    assert study.NumberOfStudyRelatedInstances == 3
    assert study.ModalitiesInStudy == ["CT", "SR"]
    assert (study.InstanceAvailability, study.RetrieveAETitle) == ("ONLINE", "ARGENS_CT")
    assert str(study.PatientName) == "Lefèvre^Hélène"
    assert study.IssuerOfPatientID == "FREJUS"


def test_a_series_tells_its_own_counts(hospital):
    first, second = answers(Level.SERIES, StudyInstanceUID=STUDY)
    assert (first.NumberOfSeriesRelatedInstances, first.SeriesDescription) == (2, "Axiale")
    assert (second.NumberOfSeriesRelatedInstances, second.SeriesDescription) == (1, "Dose")


def test_one_evicted_instance_makes_its_series_and_study_nearline(hospital):
    Instance.objects.filter(uid=f"{SERIES}.1").update(availability="NEARLINE")
    Series.objects.filter(uid=SERIES).update(evicted_count=1)
    Study.objects.filter(uid=STUDY).update(evicted_count=1)
    assert [s.InstanceAvailability for s in answers(Level.STUDY)] == [
        "ONLINE",
        "ONLINE",
        "NEARLINE",
    ]
    said = [s.InstanceAvailability for s in answers(Level.SERIES, StudyInstanceUID=STUDY)]
    assert said == ["NEARLINE", "ONLINE"]
    said = [i.InstanceAvailability for i in answers(Level.IMAGE, SeriesInstanceUID=SERIES)]
    assert said == ["NEARLINE", "ONLINE"]


def test_patients_are_told_apart_by_issuer_and_id(hospital, take):
    take(ct(1, study=f"{STUDY}7", series=f"{STUDY}7.1", IssuerOfPatientID="TOULON"))
    keys = [(p.IssuerOfPatientID, p.PatientID) for p in answers(Level.PATIENT)]
    assert keys == [("FREJUS", "FR-1"), ("TOULON", "FR-1"), ("FREJUS", "FR-2")]
    assert len(answers(Level.PATIENT, PatientID="FR-1")) == 2


def test_studies_without_a_patient_id_are_not_one_patient(take):
    for number in (1, 2):
        take(ct(1, study=f"{STUDY}{number}", series=f"{STUDY}{number}.1", PatientID=""))
    assert len(answers(Level.PATIENT)) == 2


def test_a_patient_answers_with_the_values_that_were_found(take):
    take(ct(1, PatientName="Durand^Anne"))
    take(ct(1, study=OTHER, series=f"{OTHER}.1", PatientName="Lefèvre^Anne"))
    (patient,) = answers(Level.PATIENT, PatientName="durand*")
    assert str(patient.PatientName) == "Durand^Anne"
    assert "StudyInstanceUID" not in patient


def test_no_value_of_another_instance_leaks_into_an_answer(take):
    take(ct(1, WindowCenter=[40, 400], WindowWidth=[80, 2000], NumberOfFrames=3))
    take(ct(2, WindowCenter=None, WindowWidth=None, ImagePositionPatient=None))
    with_window, without = answers(Level.IMAGE)
    assert with_window.WindowCenter == [40, 400]
    assert with_window.NumberOfFrames == 3
    assert without.WindowCenter is None
    assert without.NumberOfFrames is None
    assert not without.ImagePositionPatient


def test_an_instance_tells_what_a_viewer_needs(take):
    take(ct(1, PatientOrientation=["L", "P"], ImageLaterality="R", SliceLocation="5.0"))
    (image,) = answers(Level.IMAGE)
    assert (image.Rows, image.Columns, image.BitsAllocated, image.BitsStored) == (16, 16, 16, 12)
    assert image.ImagePositionPatient == [0, 0, 5]
    assert image.PatientOrientation == ["L", "P"]
    assert (image.ImageLaterality, image.SliceLocation) == ("R", 5.0)
    assert image.AvailableTransferSyntaxUID == "1.2.840.10008.1.2.1"


@pytest.mark.parametrize(
    "shown",
    [
        {"BitsAllocated": "16\\16", "WindowCenter": "1e400"},
        {"BitsAllocated": "many", "WindowCenter": "nan\\40"},
        {"ImagePositionPatient": "1\\\\3", "AcquisitionNumber": "one"},
    ],
)
def test_values_that_make_no_sense_are_answered_as_absent(take, shown):
    take(ct())
    Instance.objects.update(shown=shown)
    (image,) = answers(Level.IMAGE)
    for keyword in shown:
        assert image[keyword].value in (None, 16) or image[keyword].is_empty
    image.to_json()


def test_pages_are_stable_and_whole(hospital):
    pages = [datasets(Query(Level.IMAGE, limit=2, offset=offset)) for offset in range(0, 8, 2)]
    paged = [image.SOPInstanceUID for page in pages for image in page]
    assert paged == uids(Level.IMAGE)
    assert [len(page) for page in pages] == [2, 2, 2, 0]
    assert len(datasets(Query(Level.IMAGE, offset=4))) == 2


@pytest.mark.parametrize("level", list(Level))
def test_a_page_costs_one_query_whatever_its_length(hospital, level):
    with CaptureQueriesContext(
        connection,
    ) as captured:
        assert datasets(Query(level, {"PatientName": "*e*"}))
    assert len(captured) == 1


def test_an_invalid_query_fails_before_the_first_answer(db):
    with pytest.raises(BadQuery, match="StudyDate"):
        rows(Query(Level.STUDY, {"StudyDate": "soon"}))


@pytest.mark.parametrize("level", list(Level))
def test_every_attribute_of_a_level_is_in_its_answers(hospital, level):
    levels = list(Level)
    for answer in answers(level):
        for attribute in ATTRIBUTES.values():
            is_held = levels.index(attribute.level) <= levels.index(level)
            is_told = is_held and attribute.column not in COSTLY
            keyword = attribute.sequence or attribute.keyword
            if attribute.sequence or keyword != "PatientID":
                assert (keyword in answer) is is_told, keyword
