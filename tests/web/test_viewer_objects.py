"""What the viewer makes of objects: frames, key objects, presentation states, reports."""

from __future__ import annotations

from typing import Any

from django.test import Client
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.sequence import Sequence

from pacs_web.viewer.companions import key_objects, presentation_states
from pacs_web.viewer.kinds import Kind, kind_of
from pacs_web.viewer.markup import lines_of
from pacs_web.viewer.pictures import laterality_of, pictures_of_one, rate_of, shared
from pacs_web.viewer.report import tree_of
from tests.web.made_studies import CT_STUDY, SR_STUDY, instance
from tests.web.node_stand_in import StandIn

ANY_JSON = st.recursive(
    st.none() | st.text(max_size=8) | st.integers() | st.floats(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["0040A730", "0040A040", "0040A300", "Value", "vr"]), inner
        )
    ),
    max_leaves=12,
)


def dataset(**given_: Any) -> Dataset:
    made = Dataset()
    for keyword, value in given_.items():
        setattr(made, keyword, value)
    return made


def code(value: str, meaning: str) -> Sequence:
    return Sequence([dataset(CodeValue=value, CodingSchemeDesignator="L", CodeMeaning=meaning)])


def item(kind: str, name: str, **given_: Any) -> Dataset:
    return dataset(ValueType=kind, ConceptNameCodeSequence=code("1", name), **given_)


def enhanced() -> dict[str, Any]:
    """Return a two-frame enhanced CT: one shared orientation, a position and side of each."""

    def frame(z: float, side: str) -> Dataset:
        return dataset(
            PlanePositionSequence=Sequence([dataset(ImagePositionPatient=[0, 0, z])]),
            FrameAnatomySequence=Sequence([dataset(FrameLaterality=side)]),
            FrameVOILUTSequence=Sequence([dataset(WindowCenter=z, WindowWidth=100)]),
        )

    whole = dataset(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])
    groups = dataset(
        PlaneOrientationSequence=Sequence([whole]),
        PixelValueTransformationSequence=Sequence([dataset(RescaleType="HU")]),
    )
    made = dataset(Rows=8, Columns=8, NumberOfFrames=2, PhotometricInterpretation="MONOCHROME2")
    made.SharedFunctionalGroupsSequence = Sequence([groups])
    made.PerFrameFunctionalGroupsSequence = Sequence([frame(5, "L"), frame(10, "R")])
    return made.to_json_dict()


def test_frames_have_the_geometry_of_their_functional_groups() -> None:
    one, two = pictures_of_one(enhanced(), "CT")
    assert one["edges"] == two["edges"] == ["A", "L", "P", "R"]
    assert (one["place"], two["place"]) == ([0, 0, 5], [0, 0, 10])
    assert (one["laterality"], two["laterality"]) == ("L", "R")
    assert (one["window"], two["window"]) == ([5, 100], [10, 100])
    assert one["unit"]["name"] == "HU"


def test_what_is_the_same_in_all_pictures_stands_once() -> None:
    before = pictures_of_one(enhanced(), "CT")
    told = pictures_of_one(enhanced(), "CT")
    common = shared(told)
    assert "edges" in common and "place" not in common
    assert [{**common, **own} for own in told] == before


def test_a_loop_plays_at_its_own_rate_and_never_faster_than_fifteen() -> None:
    assert rate_of(dataset(CineRate=10).to_json_dict()) == 10
    assert rate_of(dataset(FrameTime=125).to_json_dict()) == 8
    assert rate_of(dataset(RecommendedDisplayFrameRate=30).to_json_dict()) == 15
    assert rate_of(dataset(FrameTime=0).to_json_dict()) is None


def test_lossy_tells_its_ratio_or_that_it_is_unknown() -> None:
    given_ = {"Rows": 8, "Columns": 8, "LossyImageCompression": "01"}
    told = dataset(**given_, LossyImageCompressionRatio=[10, 2.5]).to_json_dict()
    assert pictures_of_one(told, "CR")[0]["lossy"] == "10:1, 2.5:1"
    assert pictures_of_one(dataset(**given_).to_json_dict(), "CR")[0]["lossy"] == ""
    del told["00282110"]
    assert pictures_of_one(told, "CR")[0]["lossy"] is None


def test_each_object_is_shown_as_what_it_is() -> None:
    def kind(**given_: Any) -> Kind:
        return kind_of(dataset(**given_).to_json_dict())

    film = "1.2.840.10008.1.2.4.102"
    assert kind(Rows=4, Columns=4) is Kind.IMAGE
    assert kind(Rows=4, Columns=4, AvailableTransferSyntaxUID=film) is Kind.VIDEO
    assert kind(MIMETypeOfEncapsulatedDocument="application/pdf") is Kind.PDF
    assert kind(MIMETypeOfEncapsulatedDocument="text/XML") is Kind.TEXT
    assert kind(SOPClassUID="1.2.840.10008.5.1.4.1.1.11.1") is Kind.STATE
    assert kind(ContentSequence=Sequence([item("TEXT", "a")])) is Kind.REPORT
    assert kind() is Kind.NONE


def named(series: str, *uids: str) -> Sequence:
    images = Sequence([dataset(ReferencedSOPInstanceUID=uid) for uid in uids])
    held = dataset(SeriesInstanceUID=series, ReferencedSOPSequence=images)
    return Sequence([dataset(ReferencedSeriesSequence=Sequence([held]))])


def test_a_key_object_tells_its_title_words_and_images() -> None:
    text = item("TEXT", "Key Object Description", TextValue="Nodule")
    note = dataset(
        ConceptNameCodeSequence=code("113000", "Of Interest"),
        CurrentRequestedProcedureEvidenceSequence=named("1.2", "1.2.3", "1.2.4"),
        ContentSequence=Sequence([text]),
    )
    (told,) = key_objects([note.to_json_dict()])
    assert (told["title"], told["words"]) == ("Of Interest", "Nodule")
    assert told["images"][1] == {"series": "1.2", "uid": "1.2.4", "frames": []}


def test_a_rejection_note_names_no_key_images() -> None:
    note = dataset(
        ConceptNameCodeSequence=code("113001", "Rejected for Quality Reasons"),
        CurrentRequestedProcedureEvidenceSequence=named("1.2", "1.2.3"),
    )
    assert key_objects([note.to_json_dict()]) == []


def test_a_presentation_state_tells_how_it_turns_what() -> None:
    image = dataset(ReferencedSOPInstanceUID="1.2.3", ReferencedFrameNumber=[1, 3])
    series = dataset(SeriesInstanceUID="1.2", ReferencedImageSequence=Sequence([image]))
    state = dataset(
        ContentLabel="LUNG",
        ImageRotation=90,
        ImageHorizontalFlip="Y",
        ReferencedSeriesSequence=Sequence([series]),
    )
    (told,) = presentation_states([state.to_json_dict()])
    assert (told["label"], told["rotation"], told["flip"]) == ("LUNG", 90, True)
    assert told["images"] == [{"series": "1.2", "uid": "1.2.3", "frames": [1, 3]}]


def report() -> Dataset:
    """Return a report with a hostile text, a measurement and the image that it was made on."""
    source = dataset(ReferencedSOPInstanceUID=f"{CT_STUDY}.1.3")
    amount = dataset(NumericValue="12.50", MeasurementUnitsCodeSequence=code("mm", "millimeter"))
    measured = item("NUM", "Diameter", MeasuredValueSequence=Sequence([amount]))
    measured.ContentSequence = Sequence(
        [item("IMAGE", "Source", ReferencedSOPSequence=Sequence([source]))]
    )
    missing = item(
        "NUM", "Volume", NumericValueQualifierCodeSequence=code("114007", "Not measured")
    )
    hostile = item("TEXT", "<b>Lungs</b>", TextValue="<script>alert(1)</script>\nsecond line")
    made = instance(SR_STUDY, 5, 1, "SR", CompletionFlag="COMPLETE", VerificationFlag="UNVERIFIED")
    made.ConceptNameCodeSequence = code("1", "Chest CT report")
    evidence = named(f"{CT_STUDY}.1", f"{CT_STUDY}.1.3")
    evidence[0].StudyInstanceUID = CT_STUDY
    made.CurrentRequestedProcedureEvidenceSequence = evidence
    made.ContentSequence = Sequence([hostile, measured, missing])
    return made


def test_a_report_is_a_page_whose_text_is_text_and_whose_images_are_links(
    nodes: dict[str, StandIn], clinician: Client
) -> None:
    nodes["RF"].instances.append(report())
    page = clinician.get(
        f"/studies/{SR_STUDY}/series/{SR_STUDY}.5/instances/{SR_STUDY}.5.1/document/"
    )
    text = page.content.decode()
    assert "Chest CT report" in text and "12.5 mm" in text and "Not measured" in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;<br>second line" in text
    assert "<script>" not in text and "<b>" not in text
    assert f'href="/studies/{CT_STUDY}/series/{CT_STUDY}.1/instances/{CT_STUDY}.1.3/"' in text
    assert page["X-Frame-Options"] == "SAMEORIGIN"
    assert "frame-ancestors 'self'" in page["Content-Security-Policy"]
    assert "unsafe" not in page["Content-Security-Policy"]


def test_an_image_is_no_report(nodes: object, clinician: Client) -> None:
    image = f"/studies/{CT_STUDY}/series/{CT_STUDY}.1/instances/{CT_STUDY}.1.1/"
    assert clinician.get(f"{image}document/").status_code == 406
    assert clinician.get(f"{image}content/pdf").status_code == 406  # whatever the node sends
    assert clinician.get(f"{image}content/html").status_code == 404


@given(st.dictionaries(st.sampled_from(["0040A730", "0040A040", "0040A160"]), ANY_JSON, max_size=3))
def test_no_report_breaks_its_reading(tree: dict[str, Any]) -> None:
    tree_of({tag: element for tag, element in tree.items() if isinstance(element, dict)})


def test_a_report_that_nests_without_end_is_cut() -> None:
    deep: dict[str, Any] = {}
    for _ in range(500):
        deep = {"0040A730": {"vr": "SQ", "Value": [deep]}}
    depth, at = 0, tree_of(deep)
    while at.items:
        depth, at = depth + 1, at.items[0]
    assert depth < 50


def test_a_clinical_document_is_read_as_its_words() -> None:
    source = """<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "b">]><ClinicalDocument>
      <title>Compte rendu</title><text><paragraph>Pas d&apos;anomalie &amp; rien.</paragraph>
      <script>alert(1)</script><table><tr><td>a</td><td>b</td></tr></table></text></ClinicalDocument>"""
    assert lines_of(source) == ["Compte rendu", "Pas d'anomalie & rien.", "a b"]


def test_the_key_images_of_an_exam_are_told(nodes: dict[str, StandIn], clinician: Client) -> None:
    note = instance(CT_STUDY, 9, 1, "KO")
    note.ConceptNameCodeSequence = code("113000", "Of Interest")
    note.CurrentRequestedProcedureEvidenceSequence = named(f"{CT_STUDY}.1", f"{CT_STUDY}.1.3")
    nodes["CT"].instances.append(note)
    told = clinician.get(f"/studies/{CT_STUDY}/companions/").json()
    assert told["keys"][0]["images"][0]["uid"] == f"{CT_STUDY}.1.3"
    assert told["states"] == []


class TestExamsOfThePatient:
    def test_are_those_of_one_key_and_never_of_a_placeholder(
        self, nodes: dict[str, StandIn], clinician: Client
    ) -> None:
        def exams() -> list[str]:
            answer = clinician.get(f"/studies/{CT_STUDY}/exams/").json()
            return [one["uid"] for one in answer["exams"]]

        assert exams() == [CT_STUDY, SR_STUDY]  # the fluoroscopy is another patient's
        for one in nodes["RF"].instances:
            one.IssuerOfPatientID = "ELSEWHERE"
        assert exams() == [CT_STUDY]
        for one in nodes["CT"].instances + nodes["RF"].instances:
            one.PatientID = "0"
        assert exams() == []

    def test_another_exam_is_found_by_its_number_without_wildcards(
        self, nodes: object, clinician: Client
    ) -> None:
        address = f"/studies/{CT_STUDY}/exams/"
        found = clinician.post(address, {"accession": "A2000"}).json()["exams"]
        assert [one["patient"] for one in found] == ["DUPONT Marie"]
        assert clinician.post(address, {"accession": "A2*"}).json()["exams"] == []


def test_an_unpaired_frame_has_not_the_side_of_its_series() -> None:
    frame = {"00209072": {"vr": "CS", "Value": ["U"]}, "00200060": {"vr": "CS", "Value": ["L"]}}
    assert laterality_of(frame) == ""
    assert laterality_of({"00200060": frame["00200060"]}) == "L"


def test_a_presentation_state_is_shown_under_its_label() -> None:
    state = {
        "00080016": {"vr": "UI", "Value": ["1.2.840.10008.5.1.4.1.1.11.1"]},
        "00700080": {"vr": "CS", "Value": ["QUARTER"]},
    }
    assert pictures_of_one(state, "PR")[0]["title"] == "QUARTER"


def test_an_enhanced_image_offers_the_windows_of_its_frames(ct: StandIn, clinician: Client) -> None:
    for one in ct.instances:
        group, window = Dataset(), Dataset()
        window.WindowCenter, window.WindowWidth = 123, 456
        window.WindowCenterWidthExplanation = "FRAMES"
        group.FrameVOILUTSequence = Sequence([window])
        one.SharedFunctionalGroupsSequence = Sequence([group])
    series = f"/studies/{CT_STUDY}/series/{CT_STUDY}.1/"
    told = clinician.get(f"{series}pictures/").json()
    assert {"label": "Frames", "window": "123,456"} in told["presets"]
    page = clinician.get(f"{series}instances/{CT_STUDY}.1.3/").content.decode()
    assert '<option value="123,456"' in page
