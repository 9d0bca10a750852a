"""What is served on which presentation context, in which role, with which right."""

from __future__ import annotations

import dataclasses
import struct
import time

import pytest
from pynetdicom.sop_class import CTImageStorage

from dicom_node.models import Commitment, Instance
from dicom_node.peers import book
from dicom_node.peers.peer import from_json
from tests.node.commitment_peers import Heard, ask, asking, cts, request
from tests.node.objects import SERIES, ct, encoded
from tests.support.raw_association import (
    ASSOCIATE_AC,
    CT_IMAGE,
    EXPLICIT,
    VERIFICATION,
    RawAssociation,
    associate_rq,
    command_set,
    element,
    item,
    p_data,
    ui,
    us,
)

PUSH = "1.2.840.10008.1.20.1"
NOT_FOR_THIS_CONTEXT = 0x0122


def role(sop_class: str, *, scu: bool, scp: bool) -> bytes:
    """A role selection sub-item (PS3.7 D.3.3.4)."""
    uid = sop_class.encode()
    return item(0x54, struct.pack(">H", len(uid)) + uid + bytes([scu, scp]))


@pytest.mark.parametrize("other", [VERIFICATION, PUSH, "1.2.840.10008.5.1.4.1.2.2.1"])
def test_an_object_is_not_stored_on_the_context_of_another_service(server, other):
    with RawAssociation(server.port).associate((1, other, (EXPLICIT,))) as raw:
        answer = raw.store(f"{SERIES}.1", encoded(ct(1), EXPLICIT))
        assert answer.status == NOT_FOR_THIS_CONTEXT
        assert "another service" in answer.comment
    assert not Instance.objects.exists()


def test_a_peer_that_is_the_scp_alone_of_a_class_stores_nothing_of_it(server):
    with RawAssociation(server.port) as raw:
        asked_role = role(CT_IMAGE, scu=False, scp=True)
        raw.send(associate_rq([(1, CT_IMAGE, (EXPLICIT,))], more=asked_role))
        assert raw.receive()[0] == ASSOCIATE_AC
        answer = raw.store(f"{SERIES}.1", encoded(ct(1), EXPLICIT))
        assert answer.status == NOT_FOR_THIS_CONTEXT
    assert not Instance.objects.exists()


def test_a_commitment_is_not_asked_for_on_the_context_of_another_service(server):
    action = command_set(
        element(0x0003, ui(PUSH)),
        element(0x0100, us(0x0130)),
        element(0x0110, us(1)),
        element(0x0800, us(0)),
        element(0x1001, ui("1.2.840.10008.1.20.1.1")),
        element(0x1008, us(1)),
    )
    with RawAssociation(server.port).associate() as raw:
        raw.send(p_data(1, action, command=True, last=True))
        asked = encoded(request(cts(f"{SERIES}.1")), EXPLICIT)
        raw.send(p_data(1, asked, command=False, last=True))
        assert raw.answer().status == NOT_FOR_THIS_CONTEXT
    assert not Commitment.objects.exists()


def test_an_operation_that_is_not_served_is_refused_and_an_answer_to_nothing_passed_over(server):
    def of(field: int) -> bytes:
        return command_set(
            element(0x0100, us(field)), element(0x0110, us(1)), element(0x0800, us(0x0101))
        )

    with RawAssociation(server.port).associate() as raw:
        for field in (0x0140, 0x8140, 0x8001, 0x8100):
            raw.send(p_data(3, of(field), command=True, last=True))
        assert raw.answer().status == 0x0211
        assert raw.echo() == 0x0000


def test_a_peer_that_may_ask_for_commitment_and_nothing_else_gets_its_report(
    server, take, monkeypatch
):
    monkeypatch.setattr(book, "CONFIG", dataclasses.replace(book.CONFIG, accept_loopback=False))
    book.put(from_json({"ae_title": "MODALITY", "addresses": ["127.0.0.1"], "may": ["commit"]}))
    take(ct(1))
    heard = Heard()
    with asking(server.port, heard) as association:
        assert ask(association, request([(CTImageStorage, f"{SERIES}.1")])) == 0x0000
        heard.next()
        deadline = time.monotonic() + 10
        while not Commitment.objects.filter(state=Commitment.State.DONE).exists():
            assert time.monotonic() < deadline, Commitment.objects.values()
            time.sleep(0.02)
        assert association.is_established
