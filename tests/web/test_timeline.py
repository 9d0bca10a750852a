"""One patient's exams on all servers, by year, to compare and to open."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import pytest
from django.test import Client

from pacs_web import config
from pacs_web.audit.models import AuditEvent
from pacs_web.nodes.models import Node
from tests.web.made_studies import CT_STUDY, RF_STUDY, SR_STUDY, instance
from tests.web.node_stand_in import StandIn, node_stand_in

PAGE = f"/studies/{CT_STUDY}/timeline/"


def test_the_exams_of_all_servers_stand_under_their_years_newest_first(
    nodes: object, register: Callable[[StandIn], Node], clinician: Client
) -> None:
    earlier = [
        instance("1.2.3", 1, 1, "CT", StudyDate="20190305", StudyDescription="Thorax"),
        instance("1.2.4", 1, 1, "CT", StudyDate="", StudyDescription="Undated one"),
    ]
    with node_stand_in("OLD", earlier, config.TRUST_DIR) as node:
        register(node)
        page = clinician.get(PAGE).content.decode()
    places = [page.index(f">{what}<") for what in ("2026", "2019", "Thorax", "Undated one")]
    assert places == sorted(places)
    assert "Without a date" in page
    assert RF_STUDY not in page  # the fluoroscopy is another patient's


def test_one_modality_can_be_looked_at_alone(nodes: object, clinician: Client) -> None:
    page = clinician.get(f"{PAGE}?modality=SR").content.decode()
    assert f'href="/studies/{SR_STUDY}/"' in page
    assert page.count('class="year-exam card') == 1
    assert "No exam of this modality" in clinician.get(f"{PAGE}?modality=XX").content.decode()


def test_a_server_that_is_silent_is_named_and_the_others_exams_are_shown(
    nodes: object, register: Callable[[SimpleNamespace], Node], clinician: Client
) -> None:
    register(SimpleNamespace(name="DEAD", url="http://127.0.0.1:9"))
    page = clinician.get(PAGE).content.decode()
    assert "DEAD" in page
    assert f'href="/studies/{SR_STUDY}/"' in page


@pytest.mark.parametrize("nobody", ["", "UNKNOWN"])
def test_a_placeholder_names_nobody(
    nodes: dict[str, StandIn], clinician: Client, nobody: str
) -> None:
    for node in nodes.values():
        for one in node.instances:
            one.PatientID = nobody
    page = clinician.get(PAGE).content.decode()
    assert "nothing tells which other exams" in page
    assert page.count('class="year-exam card') == 1


def test_another_exam_can_be_put_beside_this_one_in_the_quick_view(
    nodes: object, clinician: Client
) -> None:
    page = clinician.get(PAGE).content.decode()
    assert f'href="/studies/{CT_STUDY}/series/{CT_STUDY}.1/#beside={SR_STUDY}"' in page
    assert f"#beside={CT_STUDY}" not in page


def test_nothing_is_put_beside_an_exam_whose_images_are_in_the_archive(
    nodes: dict[str, StandIn], clinician: Client
) -> None:
    nodes["CT"].behaviour.away.add(CT_STUDY)
    assert "#beside=" not in clinician.get(PAGE).content.decode()


def test_looking_at_the_time_line_is_audited_as_a_search(nodes: object, clinician: Client) -> None:
    clinician.get(PAGE)
    assert AuditEvent.objects.filter(action="search").count() == 1
