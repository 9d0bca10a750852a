"""What the node's answers say, byte for byte: associations, operations, aborts (PS3.7, PS3.8)."""

from __future__ import annotations

import pytest

from dicom_node.models import Instance
from tests.node.objects import SERIES, ct, encoded
from tests.support.raw_association import (
    ABORT,
    ASSOCIATE_AC,
    CT_IMAGE,
    DEFAULT_CONTEXTS,
    EXPLICIT,
    IMPLICIT,
    RELEASE_RP,
    RELEASE_RQ,
    VERIFICATION,
    RawAssociation,
    associate_rq,
    c_echo_rq,
    item,
    p_data,
    pdu,
    ui,
    us,
)

TITLES = slice(4, 68)  # of an association PDU's body: called, calling, reserved (PS3.8 9.3.3)
WINDOW = 0x53


def test_an_answer_repeats_the_titles_and_reserved_bytes_of_the_request(server):
    asked = bytearray(associate_rq(DEFAULT_CONTEXTS, called=b"ARGENS_CT", calling=b" RAW"))
    asked[6 + 36 : 6 + 68] = bytes(range(32))
    with RawAssociation(server.port) as raw:
        raw.send(bytes(asked))
        kind, body = raw.receive()
    assert kind == ASSOCIATE_AC
    assert body[TITLES] == bytes(asked[6:])[TITLES]


def test_one_operation_at_a_time_is_agreed_to_where_a_window_is_asked_for(server):
    asked = item(WINDOW, b"\0\0\0\0")  # as many as we like
    with RawAssociation(server.port) as raw:
        raw.send(associate_rq(DEFAULT_CONTEXTS, more=asked))
        assert item(WINDOW, b"\0\1\0\1") in raw.receive()[1]
    with RawAssociation(server.port) as raw:
        raw.send(associate_rq(DEFAULT_CONTEXTS))
        assert item(WINDOW, b"\0\1\0\1") not in raw.receive()[1]


def test_an_answer_names_the_message_and_the_object_that_it_is_about(server):
    with RawAssociation(server.port).associate() as raw:
        answer = raw.store(f"{SERIES}.1", encoded(ct(1), EXPLICIT))
        assert answer.elements[0x0002] == ui(CT_IMAGE)
        assert answer.elements[0x0120] == us(1)
        assert answer.elements[0x1000] == ui(f"{SERIES}.1")
        raw.send(p_data(3, c_echo_rq(7), command=True, last=True))
        answer = raw.answer()
        assert (answer.elements[0x0002], answer.elements[0x0120]) == (ui(VERIFICATION), us(7))


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (pdu(RELEASE_RQ, bytes(4)), 2),
        (pdu(0x42, bytes(4)), 2),
        (pdu(1, bytes(10)), 6),
        (pdu(1, b"", length=1 << 30), 6),
    ],
)
def test_what_is_no_request_is_aborted_with_the_reason(server, sent, reason):
    with RawAssociation(server.port) as raw:
        raw.send(sent)
        assert raw.receive() == (ABORT, bytes([0, 0, 2, reason]))


def test_a_second_request_within_an_association_is_aborted_as_unexpected(server):
    with RawAssociation(server.port).associate() as raw:
        raw.send(associate_rq(DEFAULT_CONTEXTS))
        assert raw.receive() == (ABORT, bytes([0, 0, 2, 2]))


def test_a_release_in_the_middle_of_a_data_set_is_answered_and_nothing_is_stored(server):
    with RawAssociation(server.port).associate() as raw:
        raw.begin_store(f"{SERIES}.1")
        half = encoded(ct(1), EXPLICIT)[:100]
        raw.send(p_data(1, half, command=False, last=False))
        raw.send(pdu(RELEASE_RQ, bytes(4)))
        assert raw.receive() == (RELEASE_RP, bytes(4))
    with RawAssociation(server.port).associate((3, VERIFICATION, (IMPLICIT,))) as raw:
        assert raw.echo() == 0x0000
    assert not Instance.objects.exists()
