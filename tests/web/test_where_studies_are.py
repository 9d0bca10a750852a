"""What the portal remembers of where studies are never hides a server that was not heard."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

from django.test import Client

from pacs_web import config
from pacs_web.nodes.models import Node
from tests.web.made_studies import CT_STUDY, ct_study, instance
from tests.web.node_stand_in import StandIn, node_stand_in

PAGE = f"/studies/{CT_STUDY}/"


def second_series() -> list:
    """Return a series of the CT study that another server holds."""
    return [instance(CT_STUDY, 2, 1, "CT", SeriesDescription="Reconstruction")]


def test_an_exam_found_on_the_chosen_server_shows_its_series_on_the_others_too(
    nodes: dict[str, StandIn], clinician: Client
) -> None:
    nodes["RF"].instances += second_series()
    clinician.post("/", {"servers": ["CT"]}, follow=True)
    page = clinician.get(PAGE).content.decode()
    assert "Axial 5 mm" in page and "Reconstruction" in page


def test_an_exam_found_while_a_server_is_silent_names_it_each_time_it_is_opened(
    nodes: object, register: Callable[[SimpleNamespace], Node], clinician: Client
) -> None:
    register(SimpleNamespace(name="DEAD", url="http://127.0.0.1:9"))
    clinician.post("/", {}, follow=True)
    for _ in range(2):
        assert "DEAD</span> cannot be reached" in clinician.get(PAGE).content.decode()


def test_an_exam_shows_its_other_series_as_soon_as_their_server_is_back(
    nodes: object, register: Callable[[SimpleNamespace], Node], clinician: Client
) -> None:
    away = register(SimpleNamespace(name="LATE", url="http://127.0.0.1:9"))
    assert "Reconstruction" not in clinician.get(PAGE).content.decode()
    with node_stand_in("LATE", second_series(), config.TRUST_DIR) as back:
        Node.objects.filter(pk=away.pk).update(url=back.url)
        assert "Reconstruction" in clinician.get(PAGE).content.decode()


def test_pictures_are_asked_of_a_known_holder_even_while_another_server_is_silent(
    nodes: dict[str, StandIn], register: Callable[[SimpleNamespace], Node], clinician: Client
) -> None:
    register(SimpleNamespace(name="DEAD", url="http://127.0.0.1:9"))
    clinician.get(PAGE)
    nodes["RF"].asked.clear()
    response = clinician.get(f"{PAGE}series/{CT_STUDY}.1/thumbnail")
    assert response.status_code == 200
    response.close()
    assert not nodes["RF"].asked


def test_a_copy_that_appears_on_a_second_server_is_shown_after_a_search(
    nodes: dict[str, StandIn], clinician: Client
) -> None:
    clinician.get(PAGE)
    nodes["RF"].instances += ct_study(5) + second_series()
    clinician.post("/", {"servers": ["RF"]}, follow=True)
    assert "Reconstruction" in clinician.get(PAGE).content.decode()
