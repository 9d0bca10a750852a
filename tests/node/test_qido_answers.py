"""What QIDO-RS answers: all that the standard requires, and all that OHIF asks (PS3.18 10.6.3)."""

from __future__ import annotations

import pytest
from pydicom.dataset import Dataset

from tests.node.objects import SERIES, STUDY, ct
from tests.node.web_answers import whole

OTHER = f"{STUDY}9"


@pytest.fixture
def two_studies(take):
    take(ct(1))
    take(ct(2))
    take(ct(1, study=OTHER, series=f"{OTHER}.1", StudyDate="20260301", PatientName="Durand^Paul"))


def asked(portal, path: str) -> list[dict]:
    answer = portal.get(path)
    assert answer.status_code == 200, answer.content
    return answer.json()


# PS3.18 tables 10.6.3-3 to 10.6.3-5: what each answer holds.
OF_STUDY = (
    "00080005 00080020 00080030 00080050 00080056 00080061 00080090 00081190 00100010 00100020"
)
OF_STUDY += " 00100030 00100040 0020000D 00200010 00201206 00201208"
OF_SERIES = "00080060 0008103E 00081190 0020000E 00200011 00201209 00400244 00400245 00400275"
OF_INSTANCE = "00080016 00080018 00080056 00081190 00200013 00280010 00280011 00280100 00280008"


@pytest.mark.parametrize(
    ("path", "tags"),
    [
        ("studies", OF_STUDY),
        (f"studies/{STUDY}/series", OF_SERIES),
        ("series", f"{OF_STUDY} {OF_SERIES}"),
        (f"studies/{STUDY}/series/{SERIES}/instances", OF_INSTANCE),
        (f"studies/{STUDY}/instances", f"{OF_SERIES} {OF_INSTANCE}"),
        ("instances", f"{OF_STUDY} {OF_SERIES} {OF_INSTANCE}"),
    ],
)
def test_every_attribute_that_the_standard_requires_is_answered(take, portal, path, tags):
    item = Dataset()
    item.ScheduledProcedureStepID, item.RequestedProcedureID = "S1", "P1"
    take(
        ct(
            1,
            RequestAttributesSequence=[item],
            NumberOfFrames=1,
            TimezoneOffsetFromUTC="+0100",
            PerformedProcedureStepStartDate="20260105",
            PerformedProcedureStepStartTime="0930",
        )
    )
    (found,) = asked(portal, f"/dicom-web/{path}")
    missing = [tag for tag in (*tags.split(), "00080201") if "Value" not in found.get(tag, {})]
    assert missing == []


@pytest.mark.parametrize("path", ["studies", "series", "instances"])
def test_the_retrieve_url_retrieves_what_was_found(two_studies, portal, path):
    for found in asked(portal, f"/dicom-web/{path}"):
        (url,) = found["00081190"]["Value"]
        assert url.startswith("http://testserver/dicom-web/studies/")
        answer = portal.get(url)
        assert answer.status_code == 200
        whole(answer)


def test_study_attributes_come_from_the_study_never_from_the_last_instance(take, portal):
    take(ct(1, StudyDescription="Thorax", StudyDate="20260105"))
    take(ct(2, StudyDescription=None, StudyDate=None, series=f"{SERIES}.2"))
    for path in ("studies", "series", "instances"):
        for found in asked(portal, f"/dicom-web/{path}"):
            assert found["00081030"]["Value"] == ["Thorax"]
            assert found["00080020"]["Value"] == ["20260105"]


# What OHIF 3.12.10 was seen to ask, word for word ({s}: a Study Instance UID).
PAGE = "limit=101&offset=0&fuzzymatching=false&includefield=00081030%2C00080060"
OHIF = [
    (f"studies?{PAGE}", 2),
    (f"studies?{PAGE}&PatientName=*lef*", 1),
    (f"studies?{PAGE}&PatientName=*roe*", 0),
    (f"studies?{PAGE}&00100020=*FR*", 2),
    (f"studies?{PAGE}&AccessionNumber=*A1*", 2),
    (f"studies?{PAGE}&StudyDescription=*tdm*", 2),
    (f"studies?{PAGE}&ModalitiesInStudy=CT%2CMR", 2),
    (f"studies?{PAGE}&ModalitiesInStudy=US%2CMR", 0),
    (f"studies?{PAGE}&ModalitiesInStudy=CT%5CMR", 2),
    (f"studies?{PAGE}&StudyDate=20260101-20260131", 1),
    ("studies/{s}/series?includefield=0008103E%2C00080021", 1),
    (f"studies?{PAGE}&StudyInstanceUID={{s}}", 1),
    (f"studies?{PAGE}&StudyInstanceUID={{s}}%2C{OTHER}", 2),
    (f"studies?{PAGE}&StudyInstanceUID={{s}}%5C{OTHER}", 2),
    (f"studies?{PAGE}&StudyInstanceUID=1.2.3", 0),
    ("studies/{s}/series?includefield=00080021%2C00080031%2C0008103E%2C00200011", 1),
    (f"studies/{{s}}/series?includefield=00080021%2C00080031&SeriesInstanceUID={SERIES}", 1),
    ("studies?00100020=FR-1&" + PAGE, 2),
]


@pytest.mark.parametrize(("query", "count"), OHIF)
def test_what_ohif_asks_is_answered(two_studies, portal, query, count):
    answer = portal.get(f"/dicom-web/{query.replace('{s}', STUDY)}")
    assert answer.status_code == 200
    assert len(answer.json()) == count


def test_each_instance_among_others_is_told_as_it_is_alone(two_studies, take, portal):
    other = Dataset()
    other.ScheduledProcedureStepID, other.RequestedProcedureID = "S2", "P2"
    take(ct(1, series=f"{SERIES}.8", SeriesNumber=8, RequestAttributesSequence=[other]))
    take(ct(3, SeriesDescription="the first object's counts", ImageType=["DERIVED", "PRIMARY"]))
    told = asked(portal, "/dicom-web/instances?includefield=all")
    assert len(told) == 5
    for one in told:
        uid = one["00080018"]["Value"][0]
        alone = asked(portal, f"/dicom-web/instances?includefield=all&SOPInstanceUID={uid}")
        assert alone == [one]
