"""QIDO-RS over HTTP: what may be asked, and the DICOM JSON of the answers (PS3.18 10.6)."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dicom_node.dicomweb import qido
from tests.node.objects import SERIES, STUDY, ct, put_away

STUDIES = "/dicom-web/studies"
OTHER = f"{STUDY}9"


@pytest.fixture
def two_studies(take):
    take(ct(1))
    take(ct(2))
    name = {"SpecificCharacterSet": "ISO_IR 192", "PatientName": "Œuvrard^Loïc"}
    take(ct(1, study=OTHER, series=f"{OTHER}.1", StudyDate="20260301", **name))


def asked(portal, path: str, **params: object) -> list[dict]:
    answer = portal.get(path, params)
    assert answer.status_code == 200, answer.content
    assert answer["Content-Type"] == "application/dicom+json"
    return answer.json()


def values(found: list[dict], tag: str) -> list:
    return [answer[tag]["Value"][0] for answer in found]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/dicom-web/studies", 2),
        ("/dicom-web/series", 2),
        ("/dicom-web/instances", 3),
        (f"/dicom-web/studies/{STUDY}/series", 1),
        (f"/dicom-web/studies/{STUDY}/instances", 2),
        (f"/dicom-web/studies/{STUDY}/series/{SERIES}/instances", 2),
    ],
)
def test_each_resource_answers_with_and_without_parents(two_studies, portal, path, expected):
    assert len(asked(portal, path)) == expected


@pytest.mark.parametrize("name", ["AccessionNumber", "00080050"])
def test_keys_are_keywords_or_tags(take, portal, name):
    take(ct(1, AccessionNumber="A7"))
    assert len(asked(portal, STUDIES, **{name: "A7"})) == 1
    assert portal.get(STUDIES, {name: "A8"}).status_code == 204


def test_a_list_of_uids_is_separated_by_commas(two_studies, portal):
    found = asked(portal, STUDIES, StudyInstanceUID=f"{STUDY},{OTHER}")
    assert values(found, "0020000D") == [OTHER, STUDY]


def test_the_same_uid_key_twice_is_a_list(two_studies, portal):
    assert len(asked(portal, f"{STUDIES}?StudyInstanceUID={STUDY}&0020000D={OTHER}")) == 2


def test_names_with_accents_are_asked_and_answered(two_studies, portal):
    (found,) = asked(portal, STUDIES, PatientName="œuvrard*")
    assert found["00100010"] == {"vr": "PN", "Value": [{"Alphabetic": "Œuvrard^Loïc"}]}
    assert len(asked(portal, STUDIES, PatientName="LEFEVRE*")) == 1


def test_name_groups_stand_apart_in_the_answer(take, portal):
    take(ct(SpecificCharacterSet="ISO_IR 192", PatientName="Yamada^Tarou=山田^太郎=やまだ^たろう"))
    (found,) = asked(portal, STUDIES)
    assert found["00100010"]["Value"] == [
        {"Alphabetic": "Yamada^Tarou", "Ideographic": "山田^太郎", "Phonetic": "やまだ^たろう"}
    ]


def test_limit_and_offset_cut_a_page(two_studies, portal):
    everything = values(asked(portal, "/dicom-web/instances"), "00080018")
    pages = [asked(portal, "/dicom-web/instances", limit=1, offset=n)[0] for n in range(3)]
    assert values(pages, "00080018") == everything
    assert portal.get("/dicom-web/instances", {"offset": 3}).status_code == 204


def test_more_than_the_server_answers_at_once_is_told(two_studies, portal, monkeypatch):
    monkeypatch.setattr(qido, "MAX_ANSWERS", 2)
    answer = portal.get("/dicom-web/instances")
    assert len(answer.json()) == 2
    assert "more than 2 results" in answer["Warning"]
    assert "Warning" not in portal.get("/dicom-web/instances", {"offset": 1})
    assert "Warning" not in portal.get("/dicom-web/instances", {"limit": 2})


@pytest.mark.parametrize(
    ("params", "detail"),
    [
        ({"PatientNam": "x"}, "neither a DICOM keyword nor a tag"),
        ({"a\r\nSet-Cookie: b.PatientName": "x"}, "neither a DICOM keyword nor a tag"),
        ({"ReferencedStudySequence.Nonsense": "x"}, "neither a DICOM keyword nor a tag"),
        ({"StudyDate": "soon"}, "StudyDate"),
        ({"00080020": "20261332"}, "StudyDate"),
        ({"limit": "many"}, "limit"),
        ({"limit": "²"}, "limit"),
        ({"limit": "-1"}, "limit"),
        ({"offset": "1e3"}, "offset"),
        ({"StudyInstanceUID": "1.2.x"}, "StudyInstanceUID"),
    ],
)
def test_nonsense_is_a_400_with_one_line(db, portal, params, detail):
    answer = portal.get(STUDIES, params)
    assert answer.status_code == 400
    assert answer["Content-Type"] == "application/problem+json"
    assert detail in answer.json()["detail"]
    assert len(answer.json()["detail"].splitlines()) == 1


@pytest.mark.parametrize(
    "path",
    [
        "1.2,1.3/series",
        "../series",
        "1.2.x/instances",
        f"{'1' * 65}/series",
        "1.2/series/a/instances",
    ],
)
def test_an_address_that_names_no_uid_is_a_problem(db, portal, path):
    answer = portal.get(f"{STUDIES}/{path}")
    assert answer.status_code in (400, 404)
    assert answer["Content-Type"] == "application/problem+json"


def test_a_key_that_contradicts_the_address_is_refused(two_studies, portal):
    answer = portal.get(f"{STUDIES}/{STUDY}/series", {"StudyInstanceUID": OTHER})
    assert answer.status_code == 400


@pytest.mark.parametrize(
    ("params", "named"),
    [
        ({"EthnicGroup": "x"}, "EthnicGroup"),
        ({"00091001": "private"}, "00091001"),
        ({"RequestAttributesSequence.ScheduledProcedureStepID": "1"}, "RequestAttributesSequence"),
        ({"00400275.00400009": "1"}, "RequestAttributesSequence.ScheduledProcedureStepID"),
        ({"Modality": "MR"}, "Modality"),
        ({"fuzzymatching": "true"}, "fuzzymatching"),
    ],
)
def test_what_was_not_matched_is_told_in_a_warning(two_studies, portal, params, named):
    answer = portal.get(STUDIES, params)
    assert len(answer.json()) == 2
    assert answer["Warning"].startswith('299 argens "')
    assert named in answer["Warning"]


def test_controls_and_empty_keys_are_no_warning(two_studies, portal):
    params = {"includefield": "all", "fuzzymatching": "false", "EthnicGroup": "", "limit": 9}
    assert "Warning" not in portal.get(STUDIES, params)


def test_no_match_is_204_without_content(db, portal):
    answer = portal.get(STUDIES, {"PatientID": "nobody"})
    assert (answer.status_code, answer.content) == (204, b"")


def test_a_study_answer_is_dicom_json(two_studies, portal):
    found = asked(portal, STUDIES, StudyInstanceUID=STUDY)[0]
    assert found["00201208"] == {"vr": "IS", "Value": [2]}
    assert found["00080061"] == {"vr": "CS", "Value": ["CT"]}
    assert found["00080056"] == {"vr": "CS", "Value": ["ONLINE"]}
    assert found["00100021"] == {"vr": "LO", "Value": ["FREJUS"]}
    assert found["00081030"] == {"vr": "LO", "Value": ["TDM cérébrale"]}
    assert found["00080020"] == {"vr": "DA", "Value": ["20260105"]}
    assert found["00080030"] == {"vr": "TM", "Value": ["093000"]}
    assert list(found) == sorted(found)


def test_an_instance_answer_has_numbers_as_numbers_and_nothing_empty(two_studies, portal):
    found = asked(portal, f"{STUDIES}/{STUDY}/instances")[0]
    assert found["00200013"] == {"vr": "IS", "Value": [1]}
    assert found["00280010"] == {"vr": "US", "Value": [16]}
    assert found["00280100"] == {"vr": "US", "Value": [16]}
    assert found["00281050"] == {"vr": "DS", "Value": [40.0]}
    assert found["00200032"]["Value"] == [0.0, 0.0, 5.0]
    assert "00200062" not in found  # ImageLaterality: the object has none
    assert all("Value" in found[tag] for tag in ("00080018", "00080016", "00083002"))


def test_a_required_attribute_without_a_value_is_there_and_empty(take, portal):
    take(ct(AccessionNumber="", StudyTime=None, ReferringPhysicianName=None))
    (found,) = asked(portal, STUDIES)
    assert (found["00080050"], found["00080030"]) == ({"vr": "SH"}, {"vr": "TM"})
    assert found["00080090"] == {"vr": "PN"}


def test_values_out_of_their_vr_do_not_break_the_answer(take, portal):
    take(ct(WindowCenter="1e400", StudyDate="20261399", StudyTime="noon", SeriesNumber=None))
    answer = portal.get("/dicom-web/instances")
    json.loads(answer.content, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def test_evicted_instances_are_found_and_nearline(two_studies, portal, layout):
    put_away(layout, f"{SERIES}.1")
    assert values(asked(portal, STUDIES), "00080056") == ["ONLINE", "NEARLINE"]
    found = asked(portal, f"{STUDIES}/{STUDY}/instances")
    assert values(found, "00080056") == ["NEARLINE", "ONLINE"]


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("application/dicom+json", 200),
        ("application/json", 200),
        ("*/*", 200),
        ("application/*;q=0.1", 200),
        ("application/dicom+xml, application/dicom+json;q=0.1", 200),
        ('multipart/related; type="application/dicom+xml"', 406),
        ("text/html", 406),
        ("application/dicom+json;q=0", 406),
    ],
)
def test_answers_are_json_or_not_acceptable(two_studies, portal, accept, status):
    assert portal.get(STUDIES, headers={"Accept": accept}).status_code == status


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.dictionaries(
        st.sampled_from(["PatientName", "StudyDate", "00080061", "limit", "StudyTime"])
        | st.text(max_size=12),
        st.text(max_size=12),
        max_size=3,
    )
)
def test_no_query_string_is_a_fault_of_ours(portal, db, params):
    assert portal.get(STUDIES, params).status_code in (200, 204, 400, 406)
