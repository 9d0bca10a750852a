"""IT's page of a node's DICOM peers, with a real node: who calls, who is let in, who is not."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from django.test import Client
from pynetdicom import AE
from pynetdicom.sop_class import Verification

from pacs_common.errors import PeerUnreachable
from pacs_web import config
from pacs_web.audit.models import AuditEvent
from pacs_web.nodes import registry
from pacs_web.nodes.models import Node
from tests.support import roles
from tests.support.ports import free_port
from tests.web.audited import without_trace
from tests.web.node_stand_in import StandIn

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]
PAGE = "/admin-console/peers/"
FORM = f"{PAGE}CT/peer/"


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[roles.Role]:
    """A node that lets in nobody whom it does not know."""
    registry.ticket_issuer()  # publishes the portal's key
    folder, trust = tmp_path_factory.mktemp("peers"), str(config.TRUST_DIR)
    node = roles.node(folder, PACS_TRUST_DIR=trust, PACS_ACCEPT_LOOPBACK="no")
    with roles.running(node):
        yield node


@pytest.fixture
def node(process: roles.Role, db: None) -> roles.Role:
    """The node, registered."""
    Node.objects.create(name="CT", url=process.url)
    return process


@pytest.fixture
def it(browser: Callable[[str], Client]) -> Client:
    """The browser of somebody of IT."""
    return browser("it")


def text_of(response) -> str:
    return " ".join(response.content.decode().split())


def is_let_in(node: roles.Role, title: str) -> bool:
    """Whether a modality of this AE title may associate from this machine."""
    modality = AE(title)
    modality.add_requested_context(Verification)
    association = modality.associate("127.0.0.1", node.dicom_port, ae_title="ARGENS_CT")
    is_open = association.is_established
    if is_open:
        association.release()
    return is_open


def said(title: str, **other: object) -> dict[str, object]:
    """What the form sends for a peer."""
    told = {"ae_title": title, "addresses": "127.0.0.1", "may": ["echo"]}
    return told | {"every_destination": "on"} | other


def caller_of(page: str, title: str) -> str:
    """Return the address to which the decision on a caller is sent."""
    rows = re.findall(r"<strong>([^<]*)</strong>.*?action=\"([^\"]*)\"", page)
    return dict(rows)[title]


def test_an_unknown_caller_is_shown_and_let_in_at_once(it: Client, node: roles.Role) -> None:
    assert not is_let_in(node, "NEW_CT")
    page = text_of(it.get(PAGE))
    assert "Unknown AE title" in page
    decision = {"act": "approve", "may": ["echo", "store"]}
    page = text_of(it.post(caller_of(page, "NEW_CT"), decision, follow=True))
    assert "NEW_CT is let in from now on." in page
    assert "Not let in" not in page
    assert is_let_in(node, "NEW_CT")
    detail = AuditEvent.objects.filter(action="configure").last().detail
    assert without_trace(detail) == {
        "what": "peer",
        "act": "approve",
        "node": "CT",
        "peer": "NEW_CT",
    }


def test_a_known_title_at_a_new_address_is_let_in_by_one_click(
    it: Client, node: roles.Role
) -> None:
    it.post(FORM, said("MOVED", addresses="10.9.9.9"))
    assert not is_let_in(node, "MOVED")
    page = text_of(it.get(PAGE))
    assert "Known AE title, new address" in page
    it.post(caller_of(page, "MOVED"), {"act": "approve"})
    assert is_let_in(node, "MOVED")


def test_a_stranger_is_not_let_in_without_a_right_and_can_be_forgotten(
    it: Client, node: roles.Role
) -> None:
    assert not is_let_in(node, "STRANGER")
    address = caller_of(text_of(it.get(PAGE)), "STRANGER")
    page = text_of(it.post(address, {"act": "approve"}, follow=True))
    assert "Nothing was changed" in page
    assert not is_let_in(node, "STRANGER")
    address = caller_of(text_of(it.get(PAGE)), "STRANGER")
    assert "STRANGER" not in text_of(it.post(address, {"act": "forget"}, follow=True))


def test_a_peer_is_added_changed_and_removed_and_the_rest_of_it_stays(
    it: Client, node: roles.Role
) -> None:
    it.post(FORM, said("WS/1", host="127.0.0.1", port="11112", may=["echo", "query"]))
    client = registry.own_client(Node.objects.get(), "it", 5)
    (told,) = [one for one in client.peers()["peers"] if one["ae_title"] == "WS/1"]
    del told["in_settings"]
    client.put_peer(told | {"charset": "ISO_IR 192", "max_associations": 3})
    assert 'value="127.0.0.1"' in text_of(it.get(f"{FORM}?ae_title=WS/1"))
    change = said("WS/1", addresses="10.0.0.0/8, ws1.local", destinations="MOVED")
    del change["every_destination"]
    assert it.post(f"{FORM}?ae_title=WS/1", change).status_code == 302
    (told,) = [one for one in client.peers()["peers"] if one["ae_title"] == "WS/1"]
    assert told["addresses"] == ["10.0.0.0/8", "ws1.local"]
    assert (told["listens"], told["destinations"]) == (None, ["MOVED"])
    assert (told["charset"], told["max_associations"]) == ("ISO_IR 192", 3)
    assert "WS/1" in text_of(it.get(PAGE))
    page = text_of(it.post(f"{PAGE}CT/remove/", {"ae_title": "WS/1"}, follow=True))
    assert "WS/1 is not let in any more." in page
    assert it.get(f"{FORM}?ae_title=WS/1").status_code == 404


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ({"addresses": "10.0.0.300"}, "10.0.0.300"),
        ({"host": "127.0.0.1"}, "Name both the host and the port"),
        ({"sha256": "abc"}, "64 hexadecimal digits"),
        ({"ae_title": "BACK\\SLASH"}, "BACK"),
        ({"may": ["everything"]}, "everything"),
    ],
)
def test_what_cannot_be_is_refused_in_a_line(
    it: Client, node: roles.Role, wrong: dict[str, object], expected: str
) -> None:
    answer = it.post(FORM, said("WRONG") | wrong)
    assert answer.status_code == 422
    assert expected in text_of(answer)
    assert "WRONG" not in str(registry.own_client(Node.objects.get(), "it", 5).peers())


def test_a_test_says_whether_the_peer_answers(it: Client, node: roles.Role) -> None:
    it.post(FORM, said("ITSELF", host="127.0.0.1", port=str(node.dicom_port)))
    it.post(FORM, said("ARGENS_CT", host="127.0.0.1", port=str(node.dicom_port)))
    it.post(FORM, said("NOBODY", host="127.0.0.1", port=str(free_port())))
    assert "ARGENS_CT answers in" in text_of(it.post(f"{PAGE}CT/test/", {"ae_title": "ARGENS_CT"}))
    page = text_of(it.post(f"{PAGE}CT/test/", {"ae_title": "NOBODY"}))
    assert "NOBODY does not answer." in page
    assert AuditEvent.objects.filter(result="failed", detail__peer="NOBODY").exists()


def test_the_settings_of_a_node_keep_their_peer(it: Client, nodes: dict[str, StandIn]) -> None:
    named = {"ae_title": "FIXED", "addresses": ["10.0.0.1"], "certificate": None, "may": []}
    named |= {"destinations": [], "listens": None, "note": "", "in_settings": True}
    nodes["CT"].api["/api/peers"] = ("peers.read", {"peers": [named], "problem": "peers.json"})
    nodes["CT"].api["/api/rejected-callers"] = ("peers.read", {"callers": []})
    nodes["RF"].api["/api/peers"] = ("peers.read", PeerUnreachable("away"))
    page = text_of(it.get(PAGE))
    assert "in the settings" in page
    assert "The last good list stays in force." in page
    assert "One server did not answer." in page
    page = text_of(it.get(f"{FORM}?ae_title=FIXED"))
    assert "PACS_PEERS" in page
    assert "Remove" not in page


def test_a_node_without_peers_and_a_hospital_without_nodes_say_what_to_do(
    it: Client, nodes: dict[str, StandIn]
) -> None:
    nodes["CT"].api["/api/peers"] = ("peers.read", {"peers": [], "problem": ""})
    nodes["CT"].api["/api/rejected-callers"] = ("peers.read", {"callers": []})
    assert "No peer is known" in text_of(it.get(PAGE))
    assert it.get(f"{PAGE}NOWHERE/peer/").status_code == 404
    Node.objects.all().delete()
    assert "No node is registered" in text_of(it.get(PAGE))
