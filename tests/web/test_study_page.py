"""Seeing an exam, and taking it along."""

from __future__ import annotations

import io
import threading
import zipfile
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from django.test import Client

from pacs_web import config
from pacs_web.audit.models import AuditEvent
from pacs_web.federation import locate
from pacs_web.nodes.models import Node
from tests.web.made_studies import CT_STUDY, SR_STUDY, ct_study, file_bytes, instance
from tests.web.node_stand_in import Behaviour, StandIn, node_stand_in

PAGE = f"/studies/{CT_STUDY}/"
SERIES = f"{PAGE}series/{CT_STUDY}.1/"


def unzipped(response) -> dict[str, bytes]:
    """Return the members of a streamed ZIP by name, each checked against its CRC."""
    content = io.BytesIO(b"".join(response.streaming_content))
    with zipfile.ZipFile(content) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_exam_shows_patient_series_and_thumbnails(
    nodes: dict[str, StandIn], clinician: Client
) -> None:
    page = clinician.get(PAGE).content.decode()
    for shown in ("LEFÈVRE Hélène", "FRJ000001", "03/11/1954", "72 years", "Axial 5 mm"):
        assert shown in page
    assert f'src="{SERIES}thumbnail"' in page
    assert f'href="{SERIES}"' in page
    assert "5 images" in page


def test_a_thumbnail_is_the_nodes_picture(nodes: dict[str, StandIn], clinician: Client) -> None:
    response = clinician.get(f"{SERIES}thumbnail")
    assert response["Content-Type"] == "image/jpeg"
    assert b"".join(response.streaming_content).startswith(b"\xff\xd8")
    assert response["Cache-Control"].startswith("private")


def test_a_series_without_pictures_has_a_designed_placeholder(
    nodes: dict[str, StandIn], clinician: Client
) -> None:
    response = clinician.get(f"/studies/{SR_STUDY}/series/{SR_STUDY}.1/thumbnail")
    assert response.status_code == 406
    assert response["Content-Type"] == "image/svg+xml"
    assert b"No picture" in response.content


def test_an_unknown_exam_is_not_found(nodes: object, clinician: Client) -> None:
    response = clinician.get("/studies/1.2.3/")
    assert response.status_code == 404
    assert "No server has this exam" in response.content.decode()


def test_an_exam_that_may_lie_on_a_silent_server_says_so(
    nodes: object, register: Callable[[SimpleNamespace], Node], clinician: Client
) -> None:
    register(SimpleNamespace(name="DEAD", url="http://127.0.0.1:9"))
    response = clinician.get("/studies/1.2.3/")
    assert response.status_code == 502
    assert "may lie on DEAD" in response.content.decode()


def test_an_exam_found_by_a_search_is_asked_only_from_its_server(
    nodes: dict[str, StandIn],
    register: Callable[[StandIn], Node],
    clinician: Client,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clinician.post("/", {}, follow=True)
    nodes["RF"].asked.clear()
    assert clinician.get(PAGE).status_code == 200
    assert nodes["RF"].asked == []


def test_an_exam_that_moved_to_another_server_is_found_again(
    nodes: dict[str, StandIn], clinician: Client
) -> None:
    locate.remember({CT_STUDY: ["RF"]}, complete=True)
    page = clinician.get(PAGE).content.decode()
    assert "Scanner cérébral" in page
    assert locate.all_holders(CT_STUDY) == {"CT"}


def test_series_on_two_servers_are_one_exam(
    nodes: dict[str, StandIn], register: Callable[[StandIn], Node], clinician: Client
) -> None:
    other = [instance(CT_STUDY, 7, 1, "CT", SeriesDescription="Ailleurs")]
    with node_stand_in("B", other, config.TRUST_DIR) as node:
        register(node)
        page = clinician.get(PAGE).content.decode()
    assert "Axial 5 mm" in page and "Ailleurs" in page
    assert "6 images" in page


def test_opening_an_exam_is_audited_with_its_patient(nodes: object, clinician: Client) -> None:
    clinician.get(PAGE)
    row = AuditEvent.objects.get(action="study")
    assert (row.who, row.study_uid) == ("clinician", CT_STUDY)
    assert (row.patient_issuer, row.patient_id) == ("FREJUS", "FRJ000001")


def test_the_zip_of_an_exam_holds_every_file_as_the_node_sent_it(
    nodes: dict[str, StandIn], clinician: Client
) -> None:
    response = clinician.get(f"{PAGE}download/")
    assert response["Content-Type"] == "application/zip"
    assert "LEF" not in response["Content-Disposition"].upper()
    members = unzipped(response)
    assert sorted(members.values()) == sorted(file_bytes(one) for one in nodes["CT"].instances)
    assert all(name.endswith(".dcm") and "Lef" not in name for name in members)


def test_the_zip_of_an_image_holds_that_file(nodes: dict[str, StandIn], clinician: Client) -> None:
    members = unzipped(clinician.get(f"{SERIES}instances/{CT_STUDY}.1.3/download/"))
    assert list(members.values()) == [file_bytes(nodes["CT"].instances[2])]


def test_the_zip_of_a_series_holds_its_files(nodes: dict[str, StandIn], clinician: Client) -> None:
    nodes["CT"].instances.append(instance(CT_STUDY, 2, 1, "CT"))
    assert len(unzipped(clinician.get(f"{PAGE}series/{CT_STUDY}.2/download/"))) == 1


def test_a_download_is_audited(nodes: object, clinician: Client) -> None:
    unzipped(clinician.get(f"{PAGE}download/"))
    row = AuditEvent.objects.get(action="download")
    assert (row.study_uid, row.patient_id, row.detail["files"]) == (CT_STUDY, "FRJ000001", 5)


def test_an_exam_in_the_archive_is_not_downloaded_in_part(ct: StandIn, clinician: Client) -> None:
    ct.behaviour.away.add(CT_STUDY)
    response = clinician.get(f"{PAGE}download/")
    assert response.status_code == 503
    assert "Bring it back first".casefold() in response.content.decode().casefold()


def test_an_unknown_image_cannot_be_downloaded(nodes: object, clinician: Client) -> None:
    assert clinician.get(f"{SERIES}instances/1.2.3/download/").status_code == 404


def test_a_hanging_copy_does_not_hide_the_exam(
    nodes: object,
    register: Callable[[StandIn], Node],
    clinician: Client,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(config, "NODE_TIMEOUT_S", 0.4)
    behaviour = Behaviour(hang=threading.Event())
    with node_stand_in("SLOW", ct_study(), config.TRUST_DIR, behaviour) as slow:
        register(slow)
        page = clinician.get(PAGE).content.decode()
    assert "SLOW</span>" in page
    assert "Axial 5 mm" in page


def test_the_number_of_database_queries_of_an_exam_is_bounded(
    nodes: dict[str, StandIn], clinician: Client, django_assert_max_num_queries: Callable
) -> None:
    nodes["CT"].instances += [instance(CT_STUDY, n, 1, "CT") for n in range(2, 30)]
    clinician.get(PAGE)
    with django_assert_max_num_queries(14):
        assert "30 series" not in clinician.get(PAGE).content.decode()
