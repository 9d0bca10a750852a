"""Seeing one image, and reading its header."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from django.test import Client
from PIL import Image

from pacs_web.audit.models import AuditEvent
from pacs_web.federation import locate
from pacs_web.nodes.models import Node
from pacs_web.viewer.pictures import pictures_of, sorted_instances
from tests.web.made_studies import CT_STUDY, RF_STUDY, SR_STUDY, instance
from tests.web.node_stand_in import StandIn

pytestmark = pytest.mark.slow

SERIES = f"/studies/{CT_STUDY}/series/{CT_STUDY}.1/"
IMAGE = f"{SERIES}instances/{CT_STUDY}.1.3/"
REPORT = f"/studies/{SR_STUDY}/series/{SR_STUDY}.1/instances/{SR_STUDY}.1.1/"
LOOP = f"/studies/{RF_STUDY}/series/{RF_STUDY}.1/instances/{RF_STUDY}.1.1/"


def told(page: str) -> dict:
    """Return what the page tells the viewer about its first picture."""
    found = re.search(r'<script id="told" type="application/json">(.*?)</script>', page, re.S)
    assert found
    return json.loads(found[1])


def pictures(browser: Client, series: str) -> list[dict]:
    """Return what the portal tells the viewer about the pictures of a series."""
    answer = browser.get(f"{series}pictures/").json()
    return [{**answer["common"], **own} for own in answer["pictures"]]


def test_a_series_opens_at_its_first_image(nodes: object, clinician: Client) -> None:
    assert clinician.get(SERIES)["Location"] == f"{SERIES}instances/{CT_STUDY}.1.1/"


def test_the_caption_names_patient_exam_and_series(nodes: object, clinician: Client) -> None:
    page = clinician.get(IMAGE).content.decode()
    for shown in ("LEFÈVRE Hélène", "FRJ000001", "03/11/1954", "20/11/2026", "Axial 5 mm"):
        assert shown in page
    assert "Not for diagnosis" in page and "not calibrated (GSDF)" in page


def test_the_page_brings_its_picture_without_asking_for_the_whole_series(
    ct: StandIn, clinician: Client
) -> None:
    clinician.get(IMAGE)
    ct.asked.clear()
    page = clinician.get(IMAGE).content.decode()
    assert f'src="{IMAGE}rendered?revision=' in page
    assert sum("metadata" in path for path in ct.asked) == 1
    assert not any(path.split("?")[0].endswith("/instances") for path in ct.asked)
    assert told(page)["picture"]["uid"] == f"{CT_STUDY}.1.3"


def test_a_large_image_comes_reduced_at_first(ct: StandIn, clinician: Client) -> None:
    for one in ct.instances:
        one.Rows = one.Columns = 2048
    assert "viewport=1024%2C1024" in clinician.get(IMAGE).content.decode()


def test_pictures_are_told_in_the_order_of_their_numbers(nodes: object, clinician: Client) -> None:
    said = pictures(clinician, SERIES)
    assert [one["number"] for one in said] == [1, 2, 3, 4, 5]
    assert said[0]["window"] == [40, 80]
    assert said[0]["kind"] == "image" and said[0]["online"] and not said[0]["colour"]


def test_every_frame_of_a_loop_is_a_picture(nodes: object, clinician: Client) -> None:
    page = clinician.get(LOOP).content.decode()
    assert [one["frame"] for one in pictures(clinician, LOOP.split("instances")[0])] == [1, 2]
    assert f'src="{LOOP}frames/1/rendered?' in page
    second = clinician.get(f"{LOOP}?frame=2").content.decode()
    assert f'src="{LOOP}frames/2/rendered?' in second
    assert clinician.get(f"{LOOP}?frame=9").status_code == 404


def test_the_revision_of_a_series_changes_when_an_image_arrives(
    ct: StandIn, clinician: Client
) -> None:
    def revision() -> str:
        return clinician.get(f"{SERIES}pictures/").json()["revision"]

    before = revision()
    assert before == revision()
    ct.instances += [instance(CT_STUDY, 1, 99, "CT")]
    assert revision() != before


def test_a_picture_with_a_revision_is_kept_and_never_by_another_persons_browser(
    nodes: object, clinician: Client
) -> None:
    for query, kept in (("?revision=1", "max-age=31536000, immutable"), ("", "max-age=300")):
        response = clinician.get(f"{IMAGE}rendered{query}")
        assert response["Cache-Control"] == f"private, {kept}"
        assert "Cookie" in response["Vary"]
        response.close()


def test_the_revision_is_not_asked_of_the_node(ct: StandIn, clinician: Client) -> None:
    clinician.get(f"{IMAGE}rendered?revision=abc").close()
    assert not any("revision" in path for path in ct.asked)


def test_pages_and_lists_of_the_viewer_are_never_stored(nodes: object, clinician: Client) -> None:
    for address in (IMAGE, f"{SERIES}pictures/", f"{IMAGE}header/", f"/studies/{CT_STUDY}/exams/"):
        assert clinician.get(address)["Cache-Control"] == "no-store"


def test_an_answer_that_names_its_picture_is_passed_on_with_the_name(
    ct: StandIn, clinician: Client
) -> None:
    ct.behaviour.tells = {"X-Picture-Instance": "1.2.3", "X-Picture-Window": "40,400,LINEAR"}
    response = clinician.get(f"{IMAGE}rendered")
    assert response["X-Picture-Instance"] == "1.2.3"
    assert response["X-Picture-Window"] == "40,400,LINEAR"
    response.close()


def test_a_presentation_state_is_asked_of_the_node(ct: StandIn, clinician: Client) -> None:
    clinician.get(f"{IMAGE}rendered?presentation=1.2.840.9").close()
    assert any("presentation=1.2.840.9" in path for path in ct.asked)


def test_presets_are_the_files_windows_and_the_usual_ones_of_a_ct(
    nodes: object, clinician: Client
) -> None:
    page = clinician.get(IMAGE).content.decode()
    options = re.findall(r'<option value="([^"]+)"[^>]*>([^<]+)</option>', page)
    assert options[:3] == [("40,80", "Brain"), ("-600,1500", "Lung"), ("40,400", "Soft tissue")]
    assert ("400,1800", "Bone") in options


def test_a_window_in_the_address_is_in_the_picture(nodes: object, clinician: Client) -> None:
    page = clinician.get(f"{IMAGE}?window=40,400").content.decode()
    assert re.search(rf'src="{IMAGE}rendered\?revision=\w+&amp;window=40%2C400"', page)
    assert '<option value="40,400" selected>' in page


def test_the_picture_comes_from_the_node_in_the_window_and_size_asked_for(
    nodes: object, clinician: Client
) -> None:
    def levels(query: str) -> tuple[tuple[int, int], int]:
        response = clinician.get(f"{IMAGE}rendered{query}")
        assert response["Content-Type"] == "image/jpeg"
        image = Image.open(io.BytesIO(b"".join(response.streaming_content)))
        return image.size, image.getpixel((image.width // 2, image.height // 2))

    (size, centre) = levels("?window=46,400")
    assert size == (64, 64)
    assert abs(centre - 128) < 8  # 46 HU in the middle of the window
    assert levels("?window=46,400&viewport=32,32")[0] == (32, 32)
    assert levels("?window=-600,100")[1] > 250


def test_a_frame_of_a_loop_is_asked_by_its_number(
    nodes: dict[str, StandIn], clinician: Client
) -> None:
    clinician.get(f"{LOOP}frames/2/rendered").close()
    assert any("/frames/2/rendered" in path for path in nodes["RF"].asked)


def test_a_picture_of_a_dead_server_is_a_placeholder_that_says_so(
    ct: StandIn, clinician: Client
) -> None:
    clinician.get(IMAGE)
    Node.objects.filter(name="CT").update(url="http://127.0.0.1:9")
    response = clinician.get(f"{IMAGE}rendered")
    assert response.status_code == 502
    assert b"Server does not answer" in response.content


def test_a_picture_is_taken_from_the_copy_that_answers(
    ct: StandIn, register: Callable[[SimpleNamespace], Node], clinician: Client
) -> None:
    register(SimpleNamespace(name="DEAD", url="http://127.0.0.1:9"))
    Node.objects.filter(name="DEAD").update(position=0)
    Node.objects.filter(name="CT").update(position=9)
    locate.remember({CT_STUDY: ["DEAD", "CT"]}, complete=True)
    response = clinician.get(f"{IMAGE}rendered")
    assert response.status_code == 200
    response.close()


def test_an_archived_image_says_so_and_is_not_asked_for(ct: StandIn, clinician: Client) -> None:
    ct.behaviour.away.add(CT_STUDY)
    page = clinician.get(IMAGE).content.decode()
    assert "This image is in the archive" in page
    assert f'src="{IMAGE}rendered' not in page
    assert f'action="/studies/{CT_STUDY}/recall/"' in page
    response = clinician.get(f"{IMAGE}rendered")
    assert response.status_code == 503
    assert b"In the archive" in response.content


def test_an_object_without_pixels_asks_for_no_picture(nodes: object, clinician: Client) -> None:
    page = clinician.get(REPORT).content.decode()
    assert told(page)["picture"]["kind"] == "none"
    assert f'href="{REPORT}header/"' in page
    assert "rendered" not in page.split("<main")[1].split("</main>")[0]


def test_looking_at_a_series_is_one_audit_row_with_its_patient(
    nodes: object, clinician: Client
) -> None:
    for number in (1, 2, 3):
        clinician.get(f"{SERIES}instances/{CT_STUDY}.1.{number}/")
        clinician.get(f"{SERIES}instances/{CT_STUDY}.1.{number}/rendered").close()
    row = AuditEvent.objects.get(action="images")
    assert (row.who, row.study_uid, row.patient_id) == ("clinician", CT_STUDY, "FRJ000001")


def test_a_picture_alone_is_audited_with_the_patient_known_for_its_exam(
    nodes: object, clinician: Client
) -> None:
    clinician.get(f"/studies/{CT_STUDY}/")
    clinician.get(f"{IMAGE}rendered").close()
    assert AuditEvent.objects.get(action="images").patient_id == "FRJ000001"


def test_an_image_of_another_series_is_not_found(nodes: object, clinician: Client) -> None:
    assert clinician.get(f"{SERIES}instances/1.2.3/").status_code == 404
    assert clinician.get(f"/studies/{CT_STUDY}/series/1.2.3/").status_code == 404


class TestHeader:
    def test_shows_every_element_private_and_nested_ones_too(
        self, nodes: object, clinician: Client
    ) -> None:
        page = clinician.get(f"{IMAGE}header/").content.decode()
        for shown in (
            "(0002,0010)",
            "(0010,0010)",
            "Lefèvre^Hélène",
            "hidden kernel B30",
            "Crâne sans injection",
            "8192 bytes",
        ):
            assert shown in page
        assert page.count('private-tag">private') == 2

    @pytest.mark.parametrize(
        ("words", "shown", "hidden"),
        [
            ("00180050", "Slice Thickness", "Patient's Name"),
            ("(0018,0050)", "Slice Thickness", "Patient's Name"),
            ("slice thick", "(0018,0050)", "(0010,0010)"),
            ("lefèvre", "(0010,0010)", "(0018,0050)"),
            ("private", "hidden kernel", "(0018,0050)"),
            ("injection", "Request Attributes Sequence", "(0018,0050)"),
        ],
    )
    def test_is_searched_by_tag_name_and_value_without_scripts(
        self, nodes: object, clinician: Client, words: str, shown: str, hidden: str
    ) -> None:
        page = clinician.post(f"{IMAGE}header/", {"q": words}).content.decode()
        table = page[page.index('id="elements"') :]
        assert shown.replace("'", "&#x27;") in table
        assert hidden.replace("'", "&#x27;") not in table

    def test_opens_the_sequence_in_which_something_was_found(
        self, nodes: object, clinician: Client
    ) -> None:
        page = clinician.post(f"{IMAGE}header/", {"q": "injection"}).content.decode()
        assert re.search(r'<details class="sequence"[^>]* open', page)

    def test_says_when_nothing_is_found(self, nodes: object, clinician: Client) -> None:
        page = clinician.post(f"{IMAGE}header/", {"q": "zzz"}).content.decode()
        assert "No element holds these words" in page

    def test_reading_it_is_audited(self, nodes: object, clinician: Client) -> None:
        clinician.get(f"{IMAGE}header/")
        row = AuditEvent.objects.get(action="header")
        assert (row.study_uid, row.patient_id) == (CT_STUDY, "FRJ000001")

    def test_is_not_shown_under_another_exams_address(
        self, nodes: dict[str, StandIn], clinician: Client
    ) -> None:
        nodes["RF"].instances += nodes["CT"].instances[:1]
        wrong = f"/studies/{SR_STUDY}/series/{SR_STUDY}.1/instances/{CT_STUDY}.1.1/header/"
        assert clinician.get(wrong).status_code == 404


def test_instances_without_number_are_sorted_by_position() -> None:
    def slice_at(z: float, uid: str) -> dict:
        return {
            "00080018": {"vr": "UI", "Value": [uid]},
            "00200032": {"vr": "DS", "Value": [0, 0, z]},
            "00200037": {"vr": "DS", "Value": [1, 0, 0, 0, 1, 0]},
        }

    found = sorted_instances([slice_at(9, "1.1"), slice_at(-3, "1.2"), slice_at(2, "1.3")])
    assert [one["00080018"]["Value"][0] for one in found] == ["1.2", "1.3", "1.1"]


def test_numbers_written_as_strings_or_missing_do_no_harm() -> None:
    odd = {
        "00080018": {"vr": "UI", "Value": ["1.1"]},
        "00200013": {"vr": "IS", "Value": ["7"]},
        "00280010": {"vr": "US", "Value": [None]},
        "00281050": {"vr": "DS", "Value": ["abc"]},
    }
    (picture,) = pictures_of([odd], "MR")
    assert (picture["number"], picture["kind"]) == (7, "none")


def test_dragging_begins_at_the_files_window_or_a_sane_one() -> None:
    def begins(modality: str, **given: list[float]) -> list[float]:
        tags = {"BitsStored": "00280101", "WindowCenter": "00281050", "WindowWidth": "00281051"}
        answer = {tags[keyword]: {"vr": "DS", "Value": value} for keyword, value in given.items()}
        return pictures_of([answer], modality)[0]["drag_from"]

    assert begins("CT", WindowCenter=[50], WindowWidth=[350]) == [50, 350]
    assert begins("CT", BitsStored=[16]) == [40, 400]
    assert begins("CR", BitsStored=[10]) == [512, 1024]
