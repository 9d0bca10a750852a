"""QIDO-RS over HTTP: what may be asked, and the DICOM JSON of the answers (PS3.18 10.6)."""

from __future__ import annotations

import json
from xml.etree import ElementTree as ET

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from dicom_node.dicomweb import qido
from pacs_common.native_xml import NAMESPACE
from tests.node.objects import SERIES, STUDY, ct, put_away
from tests.node.web_answers import parts_of, whole

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
    assert asked(portal, STUDIES, **{name: "A8"}) == []


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
    assert asked(portal, "/dicom-web/instances", offset=3) == []
    assert asked(portal, "/dicom-web/instances", limit=0) == []


def test_more_than_the_server_answers_at_once_is_told(two_studies, portal, monkeypatch):
    monkeypatch.setattr(qido, "MAX_ANSWERS", 2)
    answer = portal.get("/dicom-web/instances")
    assert len(answer.json()) == 2
    assert answer["Warning"] == (
        '299 argens "There are 1 additional results that can be requested"'
    )
    assert "Warning" in portal.get("/dicom-web/instances", {"limit": 3})
    assert "Warning" not in portal.get("/dicom-web/instances", {"offset": 1})
    assert "Warning" not in portal.get("/dicom-web/instances", {"limit": 2})


@pytest.mark.parametrize(
    ("params", "total"),
    [
        ({}, "3"),
        ({"limit": 1}, "3"),
        ({"offset": 2}, "3"),
        ({"limit": 0}, "3"),
        ({"offset": 9}, "3"),
        ({"StudyInstanceUID": OTHER, "limit": 1}, "1"),
        ({"PatientID": "nobody"}, "0"),
    ],
)
def test_the_number_of_all_matches_is_in_a_header(two_studies, portal, params, total):
    assert portal.get("/dicom-web/instances", params)["X-Total-Count"] == total


def test_a_total_that_costs_too_much_is_not_told(two_studies, portal, monkeypatch):
    monkeypatch.setattr(qido, "MAX_COUNTED", 2)
    assert "X-Total-Count" not in portal.get("/dicom-web/instances", {"limit": 1})
    assert portal.get("/dicom-web/instances")["X-Total-Count"] == "3"  # all are in the answer
    monkeypatch.setattr(qido, "MAX_ANSWERS", 1)
    assert "many additional results" in portal.get("/dicom-web/instances")["Warning"]


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
        ({"PatientReligiousPreference": "x"}, "PatientReligiousPreference"),
        ({"00091001": "private"}, "00091001"),
        ({"RequestAttributesSequence.ScheduledProcedureStepID": "1"}, "RequestAttributesSequence"),
        ({"00400275.00400009": "1"}, "RequestAttributesSequence.ScheduledProcedureStepID"),
        ({"Modality": "MR"}, "Modality"),
    ],
)
def test_what_was_not_matched_is_told_in_a_warning(two_studies, portal, params, named):
    answer = portal.get(STUDIES, params)
    assert len(answer.json()) == 2
    assert answer["Warning"].startswith('299 argens "')
    assert named in answer["Warning"]


def test_controls_and_empty_keys_are_no_warning(two_studies, portal):
    params = {
        "includefield": "all",
        "fuzzymatching": "false",
        "PatientReligiousPreference": "",
        "limit": 9,
    }
    assert "Warning" not in portal.get(STUDIES, params)


@pytest.mark.parametrize(
    ("switch", "key", "value", "without", "with_it"),
    [
        ("fuzzymatching", "PatientName", "Lefebvre^Elene", 0, 1),
        ("emptyvaluematching", "AccessionNumber", '""', 0, 1),
        ("multiplevaluematching", "ModalitiesInStudy", "CT,SR", 3, 1),
    ],
)
def test_matching_is_switched_by_a_parameter(
    two_studies, take, portal, switch, key, value, without, with_it
):
    take(ct(3, series=f"{SERIES}.3", Modality="SR"))
    bare = f"{STUDY}7"
    take(ct(1, study=bare, series=f"{bare}.1", AccessionNumber="", PatientName="Durand^Paul"))
    assert _count(portal.get(STUDIES, {key: value})) == without
    assert _count(portal.get(STUDIES, {key: value, switch: "false"})) == without
    assert _count(portal.get(STUDIES, {key: value, switch: "true"})) == with_it
    assert portal.get(STUDIES, {switch: "perhaps"}).status_code == 400


def _count(answer) -> int:
    return len(answer.json()) if answer.content else 0


@pytest.mark.parametrize(
    "name", ["00400275.00400009", "RequestAttributesSequence.ScheduledProcedureStepID"]
)
def test_a_key_in_a_sequence_is_a_path(take, portal, name):
    item = Dataset()
    item.ScheduledProcedureStepID, item.RequestedProcedureID = "S1", "P1"
    take(ct(1, RequestAttributesSequence=[item]))
    (found,) = asked(portal, "/dicom-web/series", **{name: "S1"})
    assert found["00400275"]["Value"] == [
        {
            "00400009": {"vr": "SH", "Value": ["S1"]},
            "00401001": {"vr": "SH", "Value": ["P1"]},
        }
    ]
    assert asked(portal, "/dicom-web/series", **{name: "S2"}) == []


def test_what_costs_is_answered_to_who_includes_it(two_studies, portal):
    assert "00080062" not in asked(portal, STUDIES)[0]
    found = asked(
        portal, STUDIES, includefield="SOPClassesInStudy,00201200", StudyInstanceUID=STUDY
    )
    assert found[0]["00080062"] == {"vr": "UI", "Value": ["1.2.840.10008.5.1.4.1.1.2"]}
    assert found[0]["00201200"] == {"vr": "IS", "Value": [2]}


@pytest.mark.parametrize(
    "included", ["all", "00080062,00201200", "SOPClassesInStudy&includefield=00201200"]
)
def test_included_attributes_are_named_in_any_form(two_studies, portal, included):
    found = asked(portal, f"{STUDIES}?includefield={included}")[0]
    assert {"00080062", "00201200"} <= found.keys()


@pytest.mark.parametrize(
    ("level", "included", "named"),
    [
        ("studies", "PatientReligiousPreference", "PatientReligiousPreference"),
        ("studies", "00101040,00091001", "00091001 PatientAddress"),
        ("studies", "00080060", "Modality"),
        ("series", "NumberOfFrames,00280008", "NumberOfFrames"),
        ("studies", "ReferencedStudySequence.00081150", "ReferencedStudySequence"),
        ("studies", ",".join(f"0009{n:04X}" for n in range(16, 60)), "and 24 more"),
    ],
)
def test_what_cannot_be_included_is_told_in_a_warning(two_studies, portal, level, included, named):
    warning = portal.get(f"/dicom-web/{level}", {"includefield": included})["Warning"]
    assert warning.startswith('299 argens "not in answers of this index: ')
    assert named in warning
    assert len(warning) < 600


@pytest.mark.parametrize(
    "included",
    ["00081030", "00080061,00081190", "00400275", "ProcedureCodeSequence.CodeValue", "", "all,all"],
)
def test_what_is_included_is_no_warning(two_studies, portal, included):
    assert "Warning" not in portal.get("/dicom-web/series", {"includefield": included})


def test_no_match_is_an_empty_list(db, portal):
    assert asked(portal, STUDIES, PatientID="nobody") == []


def test_answers_are_the_native_dicom_model_in_parts_where_xml_is_asked(two_studies, portal):
    headers = {"Accept": 'multipart/related; type="application/dicom+xml"'}
    answer = portal.get(STUDIES, headers=headers)
    parts = parts_of(answer)
    assert [part.content_type for part in parts] == ["application/dicom+xml"] * 2
    names = {"n": NAMESPACE}
    uids = []
    for part in parts:
        (uid,) = ET.fromstring(part.body).findall(
            "n:DicomAttribute[@tag='0020000D']/n:Value", names
        )
        uids.append(uid.text)
    assert uids == [OTHER, STUDY]
    assert answer["X-Total-Count"] == "2"
    empty = portal.get(STUDIES, {"PatientID": "nobody"}, headers=headers)
    assert (empty.status_code, whole(empty)) == (204, b"")


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
        ('multipart/related; type="application/dicom+xml"', 200),
        ('multipart/related; type="application/dicom"', 406),
        ("text/html", 406),
        ("application/dicom+json;q=0", 406),
    ],
)
def test_answers_are_json_or_xml_in_parts_or_not_acceptable(two_studies, portal, accept, status):
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
    assert portal.get(STUDIES, params).status_code in (200, 400, 406)
