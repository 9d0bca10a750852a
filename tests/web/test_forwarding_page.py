"""IT's page of what each node sends on: its rules in words, its queue, another try."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from pacs_common.errors import BadInput, PeerUnreachable
from pacs_web.audit.models import AuditEvent
from pacs_web.nodes.models import Node
from tests.web.audited import without_trace
from tests.web.made_studies import CT_STUDY
from tests.web.node_stand_in import StandIn

PAGE = "/admin-console/forwarding/"
NIGHT = {
    "name": "night",
    "destination": "TELERAD",
    "modality": ["CT", "MR"],
    "description": "*crane*",
    "hours": [{"from": "18:30", "to": "08:00", "days": ["mon", "tue"]}],
    "priority": "high",
    "commit": True,
}
AWAY = {
    "ae_title": "TELERAD",
    "waiting": 12,
    "given_up": 3,
    "waiting_since": "2026-11-21T08:00:00+00:00",
    "away_since": "2026-11-21T07:00:00+00:00",
    "next_try_at": None,
    "error": "TELERAD at 10.0.0.9:104 cannot be reached",
    "last_sent_at": None,
}


@pytest.fixture
def it(browser: Callable[[str], Client]) -> Client:
    """The browser of somebody of IT."""
    return browser("it")


@pytest.fixture
def ct(nodes: dict[str, StandIn]) -> StandIn:
    """A node with a rule and a destination that is away; the other node is empty."""
    study = {"destination": "TELERAD", "study_uid": CT_STUDY, "error": "DURAND^MARIE"}
    for node, queues, rules in ((nodes["CT"], [AWAY], [NIGHT]), (nodes["RF"], [], [])):
        told = {"destinations": queues, "studies": [study]}
        node.api["/api/forwarding"] = ("forwarding.read", told)
        answer = {"rules": rules, "time_zone": "Europe/Paris"}
        node.api["/api/forwarding/rules"] = ("forwarding.read", answer)
    return nodes["CT"]


def text_of(response) -> str:
    return " ".join(response.content.decode().split())


def test_rules_and_queue_are_shown_and_no_exam(it: Client, ct: StandIn) -> None:
    page = text_of(it.get(PAGE))
    for expected in ("night", "CT, MR", "*crane*", "18:30–08:00 Mon Tue", "before others"):  # noqa: RUF001
        assert expected in page
    assert "away since 21/11/2026" in page
    assert "TELERAD at 10.0.0.9:104 cannot be reached" in page
    assert "This node sends nothing on by itself" in page
    assert CT_STUDY not in page
    assert "DURAND" not in page


def test_what_was_given_up_is_tried_again(it: Client, ct: StandIn) -> None:
    ct.api["POST /api/forwarding/resend"] = ("forwarding.write", {"queued": 3})
    said = {"destination": "TELERAD"}
    page = text_of(it.post(f"{PAGE}CT/retry/", said, follow=True))
    assert "3 images are sent again." in page
    assert ct.bodies == [{"destination": "TELERAD", "state": "given-up"}]
    detail = AuditEvent.objects.filter(action="configure").last().detail
    assert without_trace(detail) == {"what": "forwarding", "act": "retry", "node": "CT", **said}


def test_a_try_that_fails_says_why(it: Client, ct: StandIn) -> None:
    refused = BadInput("name a destination or a study_uid")
    ct.api["POST /api/forwarding/resend"] = ("forwarding.write", refused)
    page = text_of(it.post(f"{PAGE}CT/retry/", follow=True))
    assert "Nothing was changed: " in page
    assert "name a destination" in page
    assert AuditEvent.objects.filter(action="configure").last().result == "failed"
    assert it.post(f"{PAGE}NOWHERE/retry/").status_code == 404


def test_broken_rules_do_not_hide_the_queue_nor_a_silent_node_the_others(
    it: Client, ct: StandIn, nodes: dict[str, StandIn]
) -> None:
    broken = BadInput("forwarding.json cannot be read")
    ct.api["/api/forwarding/rules"] = ("forwarding.read", broken)
    nodes["RF"].api["/api/forwarding"] = ("forwarding.read", PeerUnreachable("away"))
    page = text_of(it.get(PAGE))
    assert "forwarding.json cannot be read" in page
    assert "away since" in page
    assert "One server did not answer." in page
    Node.objects.all().delete()
    assert "No node is registered" in text_of(it.get(PAGE))
